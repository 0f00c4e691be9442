package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		writeUntilKilled(dir)
	}
	goleak.VerifyTestMain(m)
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.FixedZone("", 4*60*60))

func open(t testing.TB, dir string) *Journal {
	t.Helper()
	j, err := Open(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return j
}

func fresh(t testing.TB) *Journal {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "data"))
}

// body is what a till might send; more goes between its braces.
func body(id, kind, more string) string {
	s := fmt.Sprintf(`{"id":%q,"kind":%q,"time":"2026-11-23T19:05:12+04:00"`, id, kind)
	if kind != "cancel" {
		s += `,"items":[{"name":"Plov","quantity":"1.5","price":"8.00"}],"payments":{"cash":"7.00","card":"5.00"}`
	}
	return s + more + "}"
}

func decode(t testing.TB, body string) (receipt.Receipt, receipt.Fingerprint) {
	t.Helper()
	r, f, err := receipt.Decode([]byte(body), receipt.Defaults{Fiscal: true, Tax: receipt.Tax{Type: receipt.VAT18}})
	if err != nil {
		t.Fatal(err)
	}
	return r, f
}

func accept1(t testing.TB, j *Journal, name, body string) receipt.Stored {
	t.Helper()
	r, f := decode(t, body)
	s, isNew, err := j.Accept("till-1", name, r, f)
	if err != nil || !isNew {
		t.Fatalf("accept %s: new %v, %v", r.ID, isNew, err)
	}
	return s
}

func sale(t testing.TB, j *Journal, id string) receipt.Stored {
	t.Helper()
	return accept1(t, j, "kassa-1", body(id, "sale", ""))
}

func attempt(s receipt.Stored) register.Attempt {
	return register.Attempt{
		Seq: s.Seq, Number: s.Attempts + 1, Register: s.Register, Address: "192.168.1.1:8008",
		Baseline: register.Baseline{Serial: "AZ-1", Shift: register.Shift{Open: true, ID: "7"}, Last: "41"},
		Request:  register.Request{Route: "sale", Key: s.Key, Body: []byte(`{"documentExtID":"` + s.Key + `"}`)},
		At:       noon,
	}
}

func begin(t testing.TB, j *Journal, s receipt.Stored) register.Attempt {
	t.Helper()
	a := attempt(s)
	if err := j.Begin(a); err != nil {
		t.Fatal(err)
	}
	return a
}

func document(id string) *receipt.Document {
	return &receipt.Document{
		FiscalID: id, ShortID: receipt.ShortID(id), Number: "42", RegisterID: "99", RegisterSerial: "AZ-1", Shift: "7",
		URL: "https://monitoring.e-kassa.gov.az/#/index?doc=" + receipt.ShortID(id), Printed: true, At: noon,
	}
}

func made(id string) register.Conclusion {
	return register.Conclusion{State: receipt.Fiscal, Proof: register.ProofMade, Text: "made", Document: document(id)}
}

func conclude(t testing.TB, j *Journal, a register.Attempt, c register.Conclusion) {
	t.Helper()
	if err := j.Conclude(a, c); err != nil {
		t.Fatal(err)
	}
}

// to brings a new receipt into any state, the way the agent would.
func to(t testing.TB, j *Journal, id string, state receipt.State) receipt.Stored {
	t.Helper()
	if state == receipt.NonFiscal {
		return accept1(t, j, "kassa-1", body(id, "sale", `,"fiscal":false`))
	}
	s := sale(t, j, id)
	why := receipt.Reason{Code: "why", Detail: "detail"}
	unclear := register.Conclusion{State: receipt.Checking, Reason: why, Proof: register.ProofUnclear, Text: "no answer"}
	switch state {
	case receipt.Waiting:
	case receipt.Sending:
		begin(t, j, s)
	case receipt.Checking:
		conclude(t, j, begin(t, j, s), unclear)
	case receipt.Fiscal:
		conclude(t, j, begin(t, j, s), made("fiscal-of-"+id))
	case receipt.Refused:
		conclude(t, j, begin(t, j, s), register.Conclusion{State: receipt.Refused, Reason: why, Proof: register.ProofRefused})
	case receipt.Held:
		a := begin(t, j, s)
		conclude(t, j, a, unclear)
		conclude(t, j, a, register.Conclusion{State: receipt.Held, Reason: why, Proof: register.ProofUnclear})
	case receipt.Withdrawn:
		if _, err := j.Withdraw("till-1", id, "Leyla", "wrong table"); err != nil {
			t.Fatal(err)
		}
	}
	return get(t, j, id, state)
}

func get(t testing.TB, j *Journal, id string, want receipt.State) receipt.Stored {
	t.Helper()
	s, err := j.Get("till-1", id)
	if err != nil || s.State != want {
		t.Fatalf("%s is %s, %v, want %s", id, s.State, err, want)
	}
	return s
}

func wantErr(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

// count asks the file itself.
func count(t testing.TB, j *Journal, query string, args ...any) (n int) {
	t.Helper()
	if err := j.read.QueryRow(query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// dump is everything that the file holds, to see that nothing changed.
func dump(t testing.TB, j *Journal) string {
	t.Helper()
	var all strings.Builder
	for _, table := range []string{"epoch", "receipt", "life", "attempt", "evidence", "document", "report", "record", "pairing"} {
		rows, err := j.read.Query(`SELECT * FROM ` + table)
		if err != nil {
			t.Fatal(err)
		}
		columns, _ := rows.Columns()
		for rows.Next() {
			values := make([]any, len(columns))
			for n := range values {
				values[n] = new([]byte)
			}
			if err := rows.Scan(values...); err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(&all, table)
			for _, v := range values {
				fmt.Fprintf(&all, " %q", bytes.TrimSpace(*v.(*[]byte)))
			}
			fmt.Fprintln(&all)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

// at is one register for all tills.
func at(name string) func(string) string { return func(string) string { return name } }
