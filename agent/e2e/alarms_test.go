package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"ekassa/agent/register/simulator"
)

// What Prometheus and Grafana are shipped with asks for what a running agent has,
// and every alarm has a line in the runbook.
func TestAlarms_AskForWhatThereIsAndAreExplained(t *testing.T) {
	t.Parallel()
	sim := register(t, simulator.Config{})
	f := newFleet(t)
	s := slipShop(t, sim.Addr(), newPrinter(t, newHost()+":9100").Addr())
	f.enroll(s)
	s.serve(fast)
	s.till().Post("/v1/receipts", sale("a"), wait).Want(http.StatusCreated)
	sim.Arm(simulator.Fault{Name: simulator.RefuseConnection, MS: 600_000})
	s.till().Post("/v1/receipts", sale("b")).Want(http.StatusAccepted)
	s.waitsFor("b", "register_unreachable")
	has := string(s.till().Get("/metrics").Want(http.StatusOK).Body)

	read := func(name string) string {
		t.Helper()
		data, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr         string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(read("systemd/alerts.yaml")), &rules); err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal([]byte(read("systemd/dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	runbook := read("systemd/RUNBOOK.md")
	var expressions, codes []string
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" || r.Annotations["summary"] == "" {
				t.Errorf("a rule without a name or summary: %+v", r)
			}
			expressions, codes = append(expressions, r.Expr), append(codes, r.Labels["runbook"])
		}
	}
	for _, p := range dashboard.Panels {
		for _, x := range p.Targets {
			expressions = append(expressions, x.Expr)
		}
	}
	if len(codes) < 8 || len(expressions) < 18 {
		t.Fatalf("%d rules, %d expressions", len(codes), len(expressions))
	}
	for _, x := range expressions {
		for _, name := range regexp.MustCompile(`\b(ekassa|process)_[a-z_]+`).FindAllString(x, -1) {
			if strings.HasPrefix(name, "ekassa_machine_") {
				continue // what no Pi is here to tell: TestCare_TellsWhatAlarmsAskFor
			}
			if !strings.Contains(has, "\n"+name+"{") && !strings.Contains(has, "\n"+name+" ") {
				t.Errorf("%s asks for %s, which the agent does not have", x, name)
			}
		}
	}
	var words map[string]string
	if err := json.Unmarshal([]byte(read("cloud/console/texts/en.json")), &words); err != nil {
		t.Fatal(err)
	}
	for key := range words {
		if code, ok := strings.CutPrefix(key, "alert."); ok && key != "alert.over" && key != "alert.seen" && key != "alert.acknowledge" {
			codes = append(codes, code)
		}
	}
	for _, code := range codes {
		if !strings.Contains(runbook, "| `"+code+"` |") {
			t.Errorf("the runbook does not explain %q", code)
		}
	}
}
