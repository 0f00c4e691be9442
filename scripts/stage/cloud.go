package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

const (
	fleetVenue = "demo"
	fleetAgent = "demo-01"
)

// startCloud starts a cloud with its own broker and database, and enrols the
// agent that is yet to be started.
func (s *show) startCloud(ctx context.Context) error {
	at, err := free(2)
	if err != nil {
		return err
	}
	listen, broker := at[0], at[1]
	s.cloudURL = "http://" + listen
	yaml := fmt.Sprintf("listen: %s\ndata_dir: cloud\ndatabase: sqlite\nbroker: {embedded: %q}\n", listen, broker)
	if err := os.WriteFile(s.file("cloud.yaml"), []byte(yaml), 0o600); err != nil {
		return err
	}
	out, err := exec.Command(s.file("ekassa-cloud"), "user", "add", "demo", "--role", "admin", "--config", s.file("cloud.yaml"), "--json").Output()
	if err != nil {
		return fmt.Errorf("add a user of the cloud: %w", err)
	}
	var user struct{ Token string }
	if err := json.Unmarshal(out, &user); err != nil {
		return fmt.Errorf("add a user of the cloud: %w", err)
	}
	s.cloudToken = user.Token
	if err := os.WriteFile(s.file("cloud-token"), []byte(user.Token+"\n"), 0o600); err != nil {
		return err
	}
	if s.cloud, err = start(s.file("cloud.log"), s.file("ekassa-cloud"), "serve", "--config", s.file("cloud.yaml")); err != nil {
		return err
	}
	if err := s.until(ctx, 20*time.Second, "the cloud", func() error { return get(s.cloudURL+"/readyz", "", nil) }); err != nil {
		return err
	}
	var enrolment struct{ Code string }
	for _, x := range []struct {
		method, path, body string
		into               any
	}{
		{"POST", "/venues", `{"id":"` + fleetVenue + `","name":"Nümunə restoranı"}`, nil},
		{"PUT", "/venues/" + fleetVenue + "/modules/azsmart", `{"enabled":true}`, nil},
		{"PUT", "/venues/" + fleetVenue + "/modules/omnitech", `{"enabled":true}`, nil},
		{"PUT", "/venues/" + fleetVenue + "/modules/caspos", `{"enabled":true}`, nil},
		{"POST", "/enrolments", `{"venue":"` + fleetVenue + `","agent":"` + fleetAgent + `"}`, &enrolment},
	} {
		if err := s.fleet(ctx, x.method, x.path, x.body, "", x.into); err != nil {
			return err
		}
	}
	enroll := exec.CommandContext(ctx, s.file("ekassa-agent"), "enroll", "--cloud", s.cloudURL, "--code", enrolment.Code, "--config", s.file("agent.yaml"))
	if text, err := enroll.CombinedOutput(); err != nil {
		return fmt.Errorf("enrol the agent: %w: %s", err, text)
	}
	fmt.Printf("✓ cloud      on %s, its broker on %s; the agent is enrolled as %s, with a one-time code\n", listen, broker, fleetAgent)
	return nil
}

// fleet asks the cloud's API.
func (s *show) fleet(ctx context.Context, method, path, body, match string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, s.cloudURL+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.cloudToken)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if match != "" {
		req.Header.Set("If-Match", match)
	}
	_, err = answer(req, into)
	return err
}

// steer changes the agent's settings from the cloud, and looks whether they are
// in force at the till.
func (s *show) steer(ctx context.Context) error {
	fmt.Print("\nThe cloud steers, and is told:\n\n")
	var online struct{ Online bool }
	if err := s.until(ctx, 30*time.Second, "the agent to connect to the cloud", func() error {
		if err := s.fleet(ctx, "GET", "/agents/"+fleetAgent, "", "", &online); err != nil || !online.Online {
			return errors.Join(err, errors.New("it is not online"))
		}
		return nil
	}); err != nil {
		return err
	}
	began := time.Now()
	if err := s.fleet(ctx, "PUT", "/agents/"+fleetAgent+"/settings", s.wanted("az"), `"0"`, nil); err != nil {
		return err
	}
	var now status
	if err := s.until(ctx, 20*time.Second, "the settings to be in force", func() error {
		if err := get(s.agentURL+"/v1/status", s.token, &now); err != nil {
			return err
		}
		if now.Message.Text != "Kassa hazırdır." {
			return fmt.Errorf("the till's screen says %q", now.Message.Text)
		}
		return nil
	}); err != nil {
		return err
	}
	took := time.Since(began)
	var a struct {
		Settings struct {
			Desired, Reported int
			State             string
		}
	}
	if err := s.until(ctx, 30*time.Second, "the agent's word on its settings", func() error {
		if err := s.fleet(ctx, "GET", "/agents/"+fleetAgent, "", "", &a); err != nil || a.Settings.State != "applied" {
			return errors.Join(err, fmt.Errorf("they are %s", a.Settings.State))
		}
		return nil
	}); err != nil {
		return err
	}
	passed("settings %d, with the language changed, went down; %s later the till's screen says %q", a.Settings.Desired, took.Round(10*time.Millisecond), now.Message.Text)
	return nil
}

// wanted are the settings as the cloud has them from now on.
func (s *show) wanted(language string) string {
	type object = map[string]any
	registers := []any{object{"id": "kassa-1", "name": "Bar", "driver": "azsmart", "merchant_id": s.merchantID, "serial": s.serial, "terminal": "till-1", "mode": "active"}}
	terminals := []any{object{"id": "till-1", "name": "Till 1"}}
	for n, m := range otherMakers {
		p := s.places[n+1]
		registers = append(registers, object{"id": p.register, "name": m.name, "driver": m.driver, "address": strings.TrimPrefix(p.url, "http://"),
			"username": m.user, "password": m.password, "terminal": p.terminal, "mode": "active"})
		terminals = append(terminals, object{"id": p.terminal, "name": m.name})
	}
	text, err := json.Marshal(object{
		"module": object{"enabled": true, "show_on_terminal": true, "auto_send": true}, "tax": object{"type": "vat18"},
		"registers": registers, "terminals": terminals, "shift": object{"auto_open": true}, "timezone": "Asia/Baku", "language": language,
	})
	if err != nil { // only texts: cannot fail
		panic(err)
	}
	return string(text)
}

// checkReports looks whether the cloud has each closed shift as the register had
// it, and every receipt once.
func (s *show) checkReports(ctx context.Context) error {
	var reports struct {
		Items []struct {
			Register   string
			Sales      struct{ Count int }
			Difference []any
		}
	}
	if err := s.until(ctx, 30*time.Second, "the closed shifts to reach the cloud", func() error {
		if err := s.fleet(ctx, "GET", "/shift-reports?agent="+fleetAgent, "", "", &reports); err != nil || len(reports.Items) != len(s.places) {
			return errors.Join(err, fmt.Errorf("%d of %d are there", len(reports.Items), len(s.places)))
		}
		return nil
	}); err != nil {
		return err
	}
	want := map[string]int{}
	for _, p := range s.places {
		f, err := p.ledger()
		if err != nil {
			return err
		}
		want[p.register] = f.sales
	}
	sales := 0
	for _, r := range reports.Items {
		if r.Sales.Count != want[r.Register] || len(r.Difference) > 0 {
			return fmt.Errorf("the cloud has %d sales of %s, whose ledger has %d; differences %v", r.Sales.Count, r.Register, want[r.Register], r.Difference)
		}
		sales += r.Sales.Count
	}
	passed("the cloud has the report of each closed shift, %d sales in all, as the registers' ledgers", sales)
	return nil
}
