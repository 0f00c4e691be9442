package e2e

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register/simulator"
)

// What support is sent holds the whole journal, of every maker, and no secret.
func TestExport_HasAllOfTheEvidenceAndNoSecret(t *testing.T) {
	t.Parallel()
	azsmart := register(t, simulator.Config{Serial: "EXPORT-A"})
	omnitech := newModel(t, model{protocol: simulator.Omnitech})
	caspos := newModel(t, model{protocol: simulator.Caspos})
	bind := func(r object, id, till string) object { r["id"], r["terminal"] = id, till; return r }
	list := []object{bind(at(azsmart.Addr()), "kassa-1", "till-1"), bind(omnitech.model.at(omnitech.listen), "kassa-2", "till-2"), bind(caspos.model.at(caspos.listen), "kassa-3", "till-3")}
	s := bareShop(t, list...)
	s.settings["terminals"] = []any{object{"id": "till-1"}, object{"id": "till-2"}, object{"id": "till-3"}}
	s.write()
	s.run()
	pin, secrets := s.person("Leyla", "manager"), []string(nil)
	for _, r := range list {
		for _, key := range []string{"merchant_id", "password"} {
			if v, ok := r[key].(string); ok {
				secrets = append(secrets, v)
			}
		}
		s.token = s.newToken(r["terminal"].(string))
		secrets = append(secrets, s.token)
		id := "sold-" + r["terminal"].(string)
		s.till().Post("/v1/receipts", sale(id), wait).Want(http.StatusCreated)
	}
	if len(secrets) < 6 {
		t.Fatalf("only %d secrets to look for", len(secrets))
	}
	// What should not be in a log, and is.
	log := filepath.Join(t.TempDir(), "agent.log")
	if err := os.WriteFile(log, []byte("a library said "+secrets[0]+" and "+secrets[2]+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "evidence.zip")
	command(t, agentBinary, "export", "--config", s.file, "--log", log, "--out", out).ok(t)
	oneLine(t, command(t, agentBinary, "export", "--config", s.file, "--out", out), "choose another name")
	oneLine(t, command(t, agentBinary, "export", "--config", s.file, "--out", out+".tar.gz"), "ends in .zip")
	oneLine(t, command(t, agentBinary, "export", "--config", s.file, "--from", "24.11.2026", "--out", out), "write it as 2026-11-24")

	has := unzipped(t, out)
	for name, data := range has {
		for n, secret := range secrets {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("%s holds secret %d", name, n)
			}
		}
		// Six digits may be part of a longer number, or of a checksum, by chance.
		if name != "SHA256SUMS" && regexp.MustCompile(`(^|[^0-9])`+pin+`([^0-9]|$)`).Match(data) {
			t.Errorf("%s holds the PIN", name)
		}
	}
	for _, id := range []string{"sold-till-1", "sold-till-2", "sold-till-3"} {
		if !bytes.Contains(has["journal.db"], []byte(id)) {
			t.Errorf("the journal has no %s", id)
		}
		if !bytes.Contains(has["receipts.jsonl"], []byte(id)) {
			t.Errorf("the receipts have no %s", id)
		}
	}
	for name, words := range map[string]string{"settings.json": "***", "doctor.json": "kassa-2", "versions.json": "EXPORT-A", "README.txt": "journal.db", "log.txt": "a library said *** and ***"} {
		if !strings.Contains(string(has[name]), words) {
			t.Errorf("%s: %.200s", name, has[name])
		}
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(out), ".export-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// unzipped reads a bundle of evidence, whose sums must be right.
func unzipped(t *testing.T, path string) map[string][]byte {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	has, sums := map[string][]byte{}, ""
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err = errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		if f.Name != "SHA256SUMS" {
			sums += fmt.Sprintf("%x  %s\n", sha256.Sum256(data), f.Name)
		}
		has[f.Name] = data
	}
	if string(has["SHA256SUMS"]) != sums {
		t.Errorf("the sums are wrong: %s, want %s", has["SHA256SUMS"], sums)
	}
	return has
}

// Of a time there is what became of receipts in it, with every attempt, and
// nothing of other times.
func TestExport_OfATimeHasEachAttempt(t *testing.T) {
	t.Parallel()
	sim := register(t, simulator.Config{})
	s := newShop(t, at(sim.Addr()))
	s.serve(fast)
	// The journal's times are whole milliseconds: each bound has one of its own.
	bound := func() time.Time {
		time.Sleep(time.Millisecond)
		at := time.Now()
		time.Sleep(time.Millisecond)
		return at
	}
	s.till().Post("/v1/receipts", sale("before"), wait).Want(http.StatusCreated)
	from := bound()
	sim.Arm(simulator.Fault{Name: simulator.DropBefore, Route: "/sale", Times: 1})
	s.till().Post("/v1/receipts", sale("within"), wait).Want(http.StatusCreated)
	s.till().Post("/v1/shift/close", "{}").Want(http.StatusOK)
	to := bound()
	s.till().Post("/v1/receipts", sale("after"), wait).Want(http.StatusCreated)
	out := filepath.Join(t.TempDir(), "evidence.zip")
	command(t, agentBinary, "export", "--config", s.file, "--from", from.Format(time.RFC3339Nano), "--to", to.Format(time.RFC3339Nano), "--out", out).ok(t)
	has := unzipped(t, out)
	if _, whole := has["journal.db"]; whole {
		t.Error("the whole journal came along")
	}
	type history struct {
		Receipt  struct{ ID string }
		State    receipt.State
		Moves    []struct{ State string }
		Attempts []struct {
			Number  int
			Sent    string
			Learned []struct{ Proof string }
		}
	}
	var h history
	if lines := bytes.Split(bytes.TrimSpace(has["receipts.jsonl"]), []byte("\n")); len(lines) != 1 {
		t.Fatalf("%d receipts: %s", len(lines), has["receipts.jsonl"])
	} else if err := json.Unmarshal(lines[0], &h); err != nil {
		t.Fatal(err)
	}
	if h.Receipt.ID != "within" || h.State != receipt.Fiscal || len(h.Attempts) != 2 || len(h.Moves) < 4 {
		t.Fatalf("%+v", h)
	}
	first, second := h.Attempts[0], h.Attempts[1]
	if !strings.Contains(first.Sent, "Plov") || len(first.Learned) == 0 || first.Learned[len(first.Learned)-1].Proof != "not_made" || second.Number != 2 {
		t.Errorf("%+v", h.Attempts)
	}
	if r := string(has["reports.jsonl"]); strings.Count(r, "\n") != 1 || !strings.Contains(r, "saleCount") {
		t.Errorf("reports: %s", r)
	}
	if v := string(has["versions.json"]); !strings.Contains(v, serial) || !strings.Contains(v, "\"schema\": ") || !strings.Contains(v, "\"program\": ") {
		t.Errorf("versions: %s", v)
	}
}

// A machine is emptied only once nothing in it is unfinished, and never without a
// copy of what was in it.
func TestReset_RefusesWhileAnythingIsUnfinished(t *testing.T) {
	t.Parallel()
	sim := register(t, simulator.Config{})
	s := newShop(t, at(sim.Addr()))
	p := s.run()
	s.till().Post("/v1/receipts", sale("done"), wait).Want(http.StatusCreated)
	out := filepath.Join(t.TempDir(), "evidence.zip")
	reset := func(out string) result { return command(t, agentBinary, "reset", "--config", s.file, "--out", out) }
	oneLine(t, reset(out), "another agent is running", "nothing was touched")
	sim.Arm(simulator.Fault{Name: simulator.RefuseConnection, MS: 8000})
	s.till().Post("/v1/receipts", sale("waits")).Want(http.StatusAccepted)
	p.stop()
	oneLine(t, reset(out), "1 receipts or cash orders that are not final", "the shift 1 of kassa-1", "nothing was touched")
	oneLine(t, reset(filepath.Join(s.dir, "evidence.zip")), "in the folder that is emptied")
	if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it wrote something although it refused: %v", err)
	}
	p = s.run()
	s.reaches("waits", receipt.Fiscal)
	s.till().Post("/v1/shift/close", "{}").Want(http.StatusOK)
	p.stop()
	if r := reset(out).ok(t); !strings.Contains(r.out, out) {
		t.Errorf("%+v", r)
	}
	if left, err := os.ReadDir(s.dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if info, err := os.Stat(out); err != nil || info.Size() < 1000 {
		t.Errorf("the evidence: %v", err)
	}
	oneLine(t, reset(filepath.Join(t.TempDir(), "again.zip")), "there is no journal")
}
