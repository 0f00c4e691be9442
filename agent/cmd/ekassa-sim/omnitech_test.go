package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ekassa/agent/register/simulator"
)

// omnitechPost sends requestData: the fields that are given, and the token.
func omnitechPost(base, token, fields string) (map[string]any, error) {
	body := `{"requestData":{"access_token":"` + token + `",` + fields + `}}`
	resp, err := client.Post(base+"/v2", "application/json;charset=UTF-8", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var out map[string]any
	return out, json.NewDecoder(resp.Body).Decode(&out)
}

func omnitechLogin(t *testing.T, base, user, password string) string {
	t.Helper()
	out, err := omnitechPost(base, "", `"checkData":{"check_type":40},"name":"`+user+`","password":"`+password+`"`)
	token, _ := out["access_token"].(string)
	if err != nil || token == "" {
		t.Fatalf("%v %v", out, err)
	}
	return token
}

func omnitechSale(ref string) string {
	return `"int_ref":"` + ref + `","tokenData":{"parameters":{"doc_type":"sale","data":{"cashier":"Əli","currency":"AZN",` +
		`"items":[{"itemName":"Çay","itemCodeType":0,"itemCode":"1","itemQuantityType":0,"itemQuantity":1.000,"itemPrice":1.00,"itemSum":1.00,"itemVatPercent":18.0}],` +
		`"sum":1.00,"cashSum":1.00,"cashlessSum":0.00,"prepaymentSum":0.00,"creditSum":0.00,"bonusSum":0.00,"incomingSum":1.00,` +
		`"vatAmounts":[{"vatSum":1.00,"vatPercent":18.0}]}},"operationId":"createDocument","version":1},"checkData":{"check_type":1}`
}

// TestOmnitech_KillLosesNoAnsweredDocument kills the program in the middle of a
// stream of sales, and finds every answered one in the next life: once, and under
// its int_ref in the history.
func TestOmnitech_KillLosesNoAnsweredDocument(t *testing.T) {
	state := filepath.Join(t.TempDir(), "kassa.jsonl")
	told := map[string]string{}
	next := 0
	for life := range 3 {
		cmd, base := runAs(t, "omnitech", `serial \S+`, "--state", state)
		token := omnitechLogin(t, base, simulator.DefaultUser, simulator.DefaultPassword)
		if life == 0 {
			if out, err := omnitechPost(base, token, `"checkData":{"check_type":15}`); err != nil || out["code"] != 0.0 {
				t.Fatal(out, err)
			}
		}
		var mu sync.Mutex
		answered := 0
		var senders sync.WaitGroup
		stop, enough := make(chan struct{}), make(chan struct{})
		for range 4 {
			senders.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					mu.Lock()
					next++
					ref := fmt.Sprint("r", next)
					mu.Unlock()
					out, err := omnitechPost(base, token, omnitechSale(ref))
					if err == nil && out["code"] == 0.0 {
						mu.Lock()
						told[ref] = out["long_id"].(string)
						if answered++; answered == 15 {
							close(enough)
						}
						mu.Unlock()
					}
				}
			})
		}
		select {
		case <-enough:
		case <-time.After(20 * time.Second):
			t.Error("the sales do not come through")
		}
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		close(stop)
		senders.Wait()
		_ = cmd.Wait()
	}
	cmd, base := runAs(t, "omnitech", `serial \S+`, "--state", state)
	resp, err := client.Get(base + "/sim/ledger")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var docs []simulator.Document
	if err := json.NewDecoder(resp.Body).Decode(&docs); err != nil {
		t.Fatal(err)
	}
	have := map[string]string{}
	for i, d := range docs {
		if have[d.Client.Key] != "" || d.Number != int64(i+1) {
			t.Errorf("document %d: int_ref %s, number %d", i, d.Client.Key, d.Number)
		}
		have[d.Client.Key] = d.FiscalID
	}
	token := omnitechLogin(t, base, simulator.DefaultUser, simulator.DefaultPassword)
	out, err := omnitechPost(base, token, `"checkData":{"check_type":17},"date_start":"2020-01-01 00:00:00","date_end":"2099-01-01 00:00:00"`)
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{}
	for _, r := range out["transactions"].([]any) {
		row := r.(map[string]any)
		listed[row["int_ref"].(string)] = row["token_response"].(string)
	}
	for ref, id := range told {
		if have[ref] != id || !strings.Contains(listed[ref], `"`+id+`"`) {
			t.Errorf("%s was answered with %s, the ledger has %q, the history %s", ref, id, have[ref], listed[ref])
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
}

func TestOmnitech_TakesItsOwnFlagsAndNoOthers(t *testing.T) {
	_, base := runAs(t, "omnitech", `serial NMQ-7`, "--quirk", "login-kills-token", "--user", "Əli", "--password", "gizli", "--serial", "NMQ-7")
	token := omnitechLogin(t, base, "Əli", "gizli")
	if out, err := omnitechPost(base, token, `"checkData":{"check_type":14}`); err != nil || out["serial"] != "NMQ-7" {
		t.Errorf("%v %v", out, err)
	}
	for _, args := range [][]string{{"--edition", "new"}, {"--merchant-id", "x"}, {"--quirk", "strict-form"}} {
		out, err := exec.Command(program, append([]string{"omnitech", "--listen", "127.0.0.1:0"}, args...)...).CombinedOutput()
		if err == nil || bytes.Count(out, []byte("\n")) != 1 || !bytes.HasPrefix(out, []byte("ekassa-sim: ")) {
			t.Errorf("%v: %v %s", args, err, out)
		}
	}
	out, err := exec.Command(program, "omnitech", "--help").Output()
	for _, want := range []string{"Examples:", "copy-is-document", "127.0.0.1:8989", "drop-after"} {
		if err != nil || !bytes.Contains(out, []byte(want)) {
			t.Errorf("no %q: %v %s", want, err, out)
		}
	}
}
