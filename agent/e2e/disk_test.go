package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ekassa/agent/receipt"
	reg "ekassa/agent/register"
	"ekassa/agent/register/simulator"
	"ekassa/agent/till/tilltest"
)

// What was told yes is finished on a full disk, also by an agent that starts on
// it; what is new is refused until there is room.
func TestDisk_FullOnesFinishWhatWasAccepted(t *testing.T) {
	t.Parallel()
	sim := register(t, simulator.Config{})
	s := bareShop(t, at(sim.Addr()))
	disk := s.moveToSmallDisk()
	s.token = s.newToken(terminal)
	p := s.run()
	c := s.till()
	c.Post("/v1/receipts", sale("a"), wait).Want(http.StatusCreated)

	address := sim.Addr()
	if err := sim.Close(); err != nil { // what is accepted now has to wait
		t.Fatal(err)
	}
	for n := range 20 {
		c.Post("/v1/receipts", sale(fmt.Sprint("w", n))).Want(http.StatusAccepted)
	}
	fill := filepath.Join(disk, "fill")
	stuff(t, fill)
	refused := func(id string) {
		t.Helper()
		c.Post("/v1/receipts", sale(id)).Want(http.StatusInsufficientStorage)
		c.Get("/v1/receipts/" + id).Want(http.StatusNotFound)
		if c.Get("/v1/status").Want(http.StatusOK).Field("message.code") != "disk_short" {
			t.Error("the till's screen does not say that the disk is short")
		}
	}
	refused("new-1")
	c.Post("/v1/receipts", sale("w0")).Want(http.StatusOK) // the same again is answered
	p.kill()
	p = s.run() // on a disk without a byte
	c = s.till()
	refused("new-2")
	sim = register(t, simulator.Config{Listen: address})
	s.reaches("w19", receipt.Fiscal)
	refused("new-3")
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	c.Post("/v1/receipts", sale("new-1"), wait).Want(http.StatusCreated)
	for n := range 20 {
		s.reaches(fmt.Sprint("w", n), receipt.Fiscal)
	}
	if n := len(sim.Ledger()); n != 21 {
		t.Errorf("%d documents, want 20 that waited and a new one", n)
	}
	if code, _ := p.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// moveToSmallDisk gives the agent's folder, empty as yet, a small disk of its own.
func (s *shop) moveToSmallDisk() (disk string) {
	s.Helper()
	disk = filepath.Join(filepath.Dir(s.dir), "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		s.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=24m", "none", disk).CombinedOutput(); err != nil {
		s.Fatalf("mount a small tmpfs (this test needs root): %v: %s", err, out)
	}
	s.Cleanup(func() {
		if out, err := exec.Command("umount", disk).CombinedOutput(); err != nil {
			s.Errorf("umount: %v: %s", err, out)
		}
	})
	s.dir = filepath.Join(disk, "data")
	s.config["data_dir"] = s.dir
	s.write()
	return disk
}

// stuff fills what is left of a disk.
func stuff(t testing.TB, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
}

// A damaged journal costs no doubled receipt: what waited is held, and so is what
// the till posts again.
func TestDisk_ADamagedJournalSendsNothingBlindly(t *testing.T) {
	t.Parallel()
	sim := register(t, simulator.Config{})
	s := newShop(t, at(sim.Addr()))
	p := s.run()
	c := s.till()
	c.Post("/v1/receipts", sale("made"), wait).Want(http.StatusCreated)
	p.kill()
	for _, name := range []string{"journal.db", "journal.db-wal"} { // beyond reading
		path := filepath.Join(s.dir, name)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for n := range data {
			data[n] ^= 0x5a
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p = s.run()
	p.says(&p.err, `(the journal was damaged)`)
	c = s.till()
	c.Get("/v1/receipts/made").Want(http.StatusNotFound)
	again := func(c *tilltest.Client, id string, more ...object) stored {
		t.Helper()
		return storedIn(c.Post("/v1/receipts", sale(id, more...), wait))
	}
	if r := again(c, "made"); r.State != receipt.Held || r.Reason.Code != reg.WhyJournalLost {
		t.Errorf("posted again, it is %+v", r)
	}
	if r := again(c, "later", object{"time": "2099-11-23T19:05:12+04:00"}); r.State != receipt.Fiscal {
		t.Errorf("a new one is %+v", r)
	}
	if n := len(sim.Ledger()); n != 2 {
		t.Errorf("%d documents, want the one that was lost and the new one", n)
	}
	if kept, _ := filepath.Glob(filepath.Join(s.dir, "damaged-*", "journal.db")); len(kept) != 1 {
		t.Errorf("the damaged journal is in %v", kept)
	}
	p.stop()
}

func TestDisk_BackupAndRestore(t *testing.T) {
	t.Parallel()
	sim := register(t, simulator.Config{})
	s := newShop(t, at(sim.Addr()))
	p := s.run()
	c := s.till()
	c.Post("/v1/receipts", sale("before"), wait).Want(http.StatusCreated)
	out := filepath.Join(t.TempDir(), "backup.db")
	if r := command(t, agentBinary, "backup", "--config", s.file, "--out", out).ok(t); !strings.Contains(r.out, out) {
		t.Error(r.out)
	}
	oneLine(t, command(t, agentBinary, "backup", "--config", s.file, "--out", out), out, "choose another name")
	c.Post("/v1/receipts", sale("since"), wait).Want(http.StatusCreated)
	oneLine(t, command(t, agentBinary, "restore", "--config", s.file, "--from", out), "another agent is running", "stop")
	p.stop()
	r := command(t, agentBinary, "restore", "--config", s.file, "--from", out).ok(t)
	if !strings.Contains(r.out, "replaced-") || !strings.Contains(r.out, "1 receipts") {
		t.Error(r.out)
	}
	p = s.run()
	c = s.till()
	if r := s.get("before"); r.State != receipt.Fiscal {
		t.Errorf("%+v", r)
	}
	c.Get("/v1/receipts/since").Want(http.StatusNotFound)
	if r := storedIn(c.Post("/v1/receipts", sale("since"), wait)); r.State != receipt.Held || r.Reason.Code != reg.WhyJournalLost {
		t.Errorf("posted again, it is %+v", r)
	}
	if n := len(sim.Ledger()); n != 2 {
		t.Errorf("%d documents", n)
	}
	p.stop()
}
