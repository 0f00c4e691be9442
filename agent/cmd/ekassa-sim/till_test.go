package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
)

// TestTill_SellsAFileAndCounts runs the real program against an agent that
// refuses one receipt.
func TestTill_SellsAFileAndCounts(t *testing.T) {
	var ids []string
	agent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var x struct{ ID string }
		if err := json.NewDecoder(r.Body).Decode(&x); err != nil || r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		ids = append(ids, x.ID)
		state := "fiscal"
		if x.ID == "z-w1-001267" {
			state = "refused"
		}
		fmt.Fprintf(w, `{"id":%q,"state":%q,"reason":{"code":"c","text":"No paper."}}`, x.ID, state)
	}))
	defer agent.Close()
	cmd := exec.Command(program, "till", "--agent", agent.URL, "--receipts", "../../testdata/week.jsonl",
		"--day", "2026-11-20", "--limit", "40", "--prefix", "z-", "--wait", "1s")
	cmd.Env = []string{"EKASSA_TOKEN=secret"}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState.ExitCode() != 1 || len(ids) != 40 {
		t.Errorf("%v, %d sold: %s", err, len(ids), errs.String())
	}
	if got := out.String(); !strings.HasPrefix(got, "40 receipts: 40 told yes, 39 fiscal, 0 waiting, 1 refused, 0 held; answers ") || strings.Count(got, "\n") != 1 {
		t.Errorf("%s", got)
	}
	if got := errs.String(); !strings.Contains(got, "z-w1-001267 is refused: No paper.\n") || strings.ContainsAny(got, "\r\x1b") || strings.Contains(got, "secret") {
		t.Errorf("%q", got)
	}
}

func TestTill_ErrorsAreOneLine(t *testing.T) {
	for _, args := range [][]string{
		{"till"},
		{"till", "--receipts", "/no/such/file", "--token", "x"},
		{"till", "--receipts", "/dev/null", "--token", "x"},
		{"till", "--receipts", "/dev/null"},
		{"till", "--receipts", "/dev/null", "--token", "x", "--agent", "127.0.0.1:8787"},
		{"till", "--receipts", "../../testdata/week.jsonl", "--token", "x", "--day", "20.11."},
	} {
		cmd := exec.Command(program, args...)
		cmd.Env = []string{}
		out, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 1 || bytes.Count(out, []byte("\n")) != 1 || !bytes.HasPrefix(out, []byte("ekassa-sim: ")) {
			t.Errorf("%v: %s", args, out)
		}
	}
	out, err := exec.Command(program, "till", "--help").Output()
	if err != nil || !bytes.Contains(out, []byte("Examples:")) {
		t.Errorf("%v %s", err, out)
	}
}
