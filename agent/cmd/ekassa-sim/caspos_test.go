package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ekassa/agent/register/simulator"
)

// runCaspos starts the real program as a Caspos register and returns its address.
func runCaspos(t *testing.T, args ...string) (*exec.Cmd, string) {
	t.Helper()
	return runAs(t, "caspos", `serial \S+`, args...)
}

type casposAnswer struct {
	Code, Message string
	Data          map[string]any
}

func casposPost(t *testing.T, base, js string) (a casposAnswer) {
	t.Helper()
	resp, err := client.Post(base+"/", "application/json; charset=utf-8", strings.NewReader(js))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		t.Fatal(err)
	}
	return a
}

const casposSale = `{"operation":"sale","data":{"documentUUID":"d2719f4c-1","cashierName":"Əli","currency":"AZN","cashPayment":10.00,
	"items":[{"name":"Çay","code":"1","quantity":1.000,"salePrice":1.50,"vatType":1,"quantityType":0,"codeType":0}]}}`

// TestCaspos_RemembersAUUIDThroughAKill loses the answer to a sale, kills the
// program, and finds the document again in its next life.
func TestCaspos_RemembersAUUIDThroughAKill(t *testing.T) {
	state := filepath.Join(t.TempDir(), "kassa.jsonl")
	cmd, base := runCaspos(t, "--state", state, "--faults", "drop-after:/sale:times=1")
	if a := casposPost(t, base, `{"operation":"openShift","cashierName":"Əli","data":{"sum":0}}`); a.Code != "0" {
		t.Fatalf("%+v", a)
	}
	if resp, err := client.Post(base+"/", "application/json; charset=utf-8", strings.NewReader(casposSale)); err == nil {
		resp.Body.Close()
		t.Fatal("the answer was not lost")
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()

	cmd, base = runCaspos(t, "--state", state)
	resp, err := client.Get(base + "/sim/ledger")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var docs []simulator.Document
	if err := json.NewDecoder(resp.Body).Decode(&docs); err != nil || len(docs) != 1 {
		t.Fatalf("%v %+v", err, docs)
	}
	a := casposPost(t, base, casposSale)
	if a.Code != "1" || a.Message != "Təkrar satış" || a.Data["document_id"] != docs[0].FiscalID {
		t.Errorf("%+v", a)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
}

func TestCaspos_TakesItsOwnFlagsAndNoOthers(t *testing.T) {
	_, base := runCaspos(t, "--quirk", "login-required", "--quirk", "credentials-checked", "--user", "Əli", "--password", "gizli", "--serial", "NMQ-7")
	if a := casposPost(t, base, `{"operation":"toLogin","username":"x","password":"y"}`); a.Code != "401" {
		t.Errorf("%+v", a)
	}
	if a := casposPost(t, base, `{"operation":"toLogin","username":"Əli","password":"gizli"}`); a.Code != "0" {
		t.Errorf("%+v", a)
	}
	if a := casposPost(t, base, `{"operation":"getInfo"}`); a.Data["cashbox_factory_number"] != "NMQ-7" {
		t.Errorf("%+v", a)
	}
	for _, args := range [][]string{{"--edition", "new"}, {"--merchant-id", "x"}, {"--quirk", "strict-form"}} {
		out, err := exec.Command(program, append([]string{"caspos", "--listen", "127.0.0.1:0"}, args...)...).CombinedOutput()
		if err == nil || bytes.Count(out, []byte("\n")) != 1 || !bytes.HasPrefix(out, []byte("ekassa-sim: ")) {
			t.Errorf("%v: %v %s", args, err, out)
		}
	}
	out, err := exec.Command(program, "caspos", "--help").Output()
	for _, want := range []string{"Examples:", "uuids-forgotten-at-z", "127.0.0.1:5544", "drop-after"} {
		if err != nil || !bytes.Contains(out, []byte(want)) {
			t.Errorf("no %q: %v %s", want, err, out)
		}
	}
}
