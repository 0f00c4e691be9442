package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	secrets := []string{s.person("Leyla", "manager")}
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
	if len(secrets) < 7 {
		t.Fatalf("only %d secrets to look for", len(secrets))
	}
	out := filepath.Join(t.TempDir(), "evidence.tar.gz")
	command(t, agentBinary, "export", "--config", s.file, "--out", out).ok(t)
	oneLine(t, command(t, agentBinary, "export", "--config", s.file, "--out", out), "choose another name")

	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	has, sums := map[string][]byte{}, ""
	for files := tar.NewReader(z); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		if h.Name != "SHA256SUMS" {
			sums += fmt.Sprintf("%x  %s\n", sha256.Sum256(data), h.Name)
		}
		has[h.Name] = data
		for n, secret := range secrets {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("%s holds secret %d", h.Name, n)
			}
		}
	}
	if string(has["SHA256SUMS"]) != sums {
		t.Errorf("the sums are wrong: %s, want %s", has["SHA256SUMS"], sums)
	}
	for _, id := range []string{"sold-till-1", "sold-till-2", "sold-till-3"} {
		if !bytes.Contains(has["journal.db"], []byte(id)) {
			t.Errorf("the journal has no %s", id)
		}
	}
	for name, words := range map[string]string{"settings.json": "***", "doctor.json": "kassa-2", "about.json": "data_dir", "README.txt": "journal.db"} {
		if !strings.Contains(string(has[name]), words) {
			t.Errorf("%s: %.200s", name, has[name])
		}
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(out), ".export-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
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
	out := filepath.Join(t.TempDir(), "evidence.tar.gz")
	reset := func(out string) result { return command(t, agentBinary, "reset", "--config", s.file, "--out", out) }
	oneLine(t, reset(out), "another agent is running", "nothing was touched")
	sim.Arm(simulator.Fault{Name: simulator.RefuseConnection, MS: 1500})
	s.till().Post("/v1/receipts", sale("waits")).Want(http.StatusAccepted)
	p.stop()
	oneLine(t, reset(out), "1 receipts or cash orders that are not final", "the shift 1 of kassa-1", "nothing was touched")
	oneLine(t, reset(filepath.Join(s.dir, "evidence.tar.gz")), "in the folder that is emptied")
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
	oneLine(t, reset(filepath.Join(t.TempDir(), "again.tar.gz")), "there is no journal")
}
