package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func stateFile(t *testing.T) (string, func(*Config)) {
	path := filepath.Join(t.TempDir(), "kassa.jsonl")
	return path, func(c *Config) { c.State = path }
}

// reopen starts a second life of a register on the same file.
func reopen(t *testing.T, path string, change ...func(*Config)) (*Simulator, *till) {
	return start(t, append([]func(*Config){func(c *Config) { c.State = path }}, change...)...)
}

func TestRestart_BringsEverythingBack(t *testing.T) {
	path, state := stateFile(t)
	s, c := open(t, state, func(c *Config) { c.Serial = "NMQ-5" })
	sale := c.ok("/sale", keyed("a"))
	c.ok("/refund", refundOf(sale, line("7", 500, 400)))
	c.ok("/close_shift", object{})
	c.ok("/open_shift", object{"employeeName": "Vəli"})
	s.Arm(Fault{Name: PaperOut, Times: 1})
	c.code("/sale", keyed("b"), 15)
	c.ok("/sale", keyed("b")) // prints it after all
	c.ok("/deposit", object{"documentExtID": "d", "amount": 1000})
	c.ok("/order", object{"items": []object{line("7", 1000, 850)}})
	before, docs, shifts := s.State(), s.Ledger(), s.Shifts()
	x := c.ok("/x_report", object{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s, c = reopen(t, path)
	after := s.State()
	after.Requests, before.Requests, after.Clock = nil, nil, before.Clock
	for _, pair := range [][2]any{{before, after}, {docs, s.Ledger()}, {shifts, s.Shifts()}} {
		if was, is := asJSON(t, pair[0]), asJSON(t, pair[1]); was != is {
			t.Errorf("before\n%s\nafter\n%s", was, is)
		}
	}
	if got := c.ok("/x_report", object{}); !reflect.DeepEqual(got, x) {
		t.Errorf("x report\n%v\n%v", x, got)
	}
	if again := c.ok("/sale", keyed("a")); again["fiscalID"] != sale["fiscalID"] {
		t.Errorf("the key is forgotten: %v", again)
	}
	c.code("/refund", refundOf(sale, line("7", 600, 400)), 19)
	count(t, s, len(docs))
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRestart_TheSerialComesBackAndAnotherIsRefused(t *testing.T) {
	path, state := stateFile(t)
	s, _ := start(t, state, func(c *Config) { c.Serial = "A" })
	if err := s.SetSerial("B"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := Start(Config{Listen: "127.0.0.1:0", State: path, Serial: "A"}); err == nil || !strings.Contains(err.Error(), "serial B") {
		t.Errorf("another serial: %v", err)
	}
	s, _ = reopen(t, path)
	if s.Serial() != "B" {
		t.Errorf("serial %s", s.Serial())
	}
}

func TestState_IsLocked(t *testing.T) {
	path, state := stateFile(t)
	s, _ := start(t, state)
	if _, err := Start(Config{Listen: "127.0.0.1:0", State: path}); err == nil || !strings.Contains(err.Error(), "another simulator holds it") {
		t.Errorf("%v", err)
	}
	s.Close()
	reopen(t, path)
}

func TestTornLastLine_IsCutOffWithAWarning(t *testing.T) {
	path, state := stateFile(t)
	s, c := open(t, state)
	c.ok("/sale", keyed("a"))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c.ok("/sale", keyed("b"))
	s.Close()
	full, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := len(whole); cut < len(full); cut += 37 {
		if err := os.WriteFile(path, full[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		s, err := Start(Config{Listen: "127.0.0.1:0", State: path, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		count(t, s, 1)
		s.Close()
		if got, _ := os.ReadFile(path); !bytes.Equal(got, whole) {
			t.Fatalf("cut at %d: the file was not cut back", cut)
		}
		if warned := strings.Contains(log.String(), "torn last line"); warned != (cut > len(whole)) {
			t.Errorf("cut at %d: warned: %t", cut, warned)
		}
	}
}

func TestTornFirstLine_StartsAfresh(t *testing.T) {
	path, _ := stateFile(t)
	if err := os.WriteFile(path, []byte(`{"type":"ledger","at":"20`), 0o600); err != nil {
		t.Fatal(err)
	}
	s, _ := reopen(t, path)
	count(t, s, 0)
}

func TestDamage_IsAnError(t *testing.T) {
	path, state := stateFile(t)
	s, c := open(t, state)
	c.ok("/sale", keyed("a"))
	c.ok("/sale", keyed("b"))
	s.Close()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(good, []byte("\n"))
	for name, bad := range map[string][]byte{
		"a changed digit":   bytes.Replace(good, []byte(`"amount":850`), []byte(`"amount":840`), 1),
		"a missing line":    bytes.Join([][]byte{lines[0], lines[1], lines[3]}, nil),
		"a doubled line":    bytes.Join([][]byte{lines[0], lines[1], lines[2], lines[2]}, nil),
		"no first line":     bytes.Join(lines[1:], nil),
		"an empty line":     bytes.Join([][]byte{lines[0], []byte("\n"), lines[1]}, nil),
		"another kind":      []byte("root:x:0:0\n"),
		"another, unbroken": []byte("hello"),
	} {
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Start(Config{Listen: "127.0.0.1:0", State: path})
		if err == nil {
			s.Close()
			t.Errorf("%s: accepted", name)
		}
		if got, _ := os.ReadFile(path); !bytes.Equal(got, bad) {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

func TestFailedWrite_MakesNothing(t *testing.T) {
	path, state := stateFile(t)
	s, c := open(t, state)
	syncs := 0
	s.dev.mu.Lock()
	sync := s.dev.book.sync
	s.dev.book.sync = func(f *os.File) error {
		if syncs++; syncs == 1 {
			return errors.New("no space left on device")
		}
		return sync(f)
	}
	s.dev.mu.Unlock()
	c.code("/sale", keyed("a"), 5)
	count(t, s, 0)
	out := c.ok("/sale", keyed("a"))
	if out["fiscalNum"] != "1" {
		t.Errorf("%v", out)
	}
	s.Close()
	s, _ = reopen(t, path)
	count(t, s, 1)
}

func TestFailedWrite_ThatCannotBeTakenBackStopsTheToken(t *testing.T) {
	path, state := stateFile(t)
	s, c := open(t, state)
	s.dev.mu.Lock()
	s.dev.book.sync = func(*os.File) error { return errors.New("input/output error") }
	s.dev.mu.Unlock()
	c.code("/sale", keyed("a"), 5)
	s.dev.mu.Lock()
	s.dev.book.sync = (*os.File).Sync
	s.dev.mu.Unlock()
	c.code("/sale", keyed("b"), 5)
	count(t, s, 0)
	s.Close()
	reopen(t, path)
}

// TestAnswer_ComesAfterTheSync holds the sync back and sees that no answer comes.
func TestAnswer_ComesAfterTheSync(t *testing.T) {
	_, state := stateFile(t)
	s, c := open(t, state)
	hold, reached := make(chan struct{}), make(chan struct{})
	s.dev.mu.Lock()
	s.dev.book.sync = func(f *os.File) error { close(reached); <-hold; return f.Sync() }
	s.dev.mu.Unlock()
	answered := make(chan error, 1)
	go func() { _, _, err := c.try("/sale", keyed("a")); answered <- err }()
	<-reached
	select {
	case <-answered:
		t.Error("answered before the sync")
	default:
	}
	close(hold)
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

func TestFiscalIDs_AreUniqueAcrossLivesOfASerial(t *testing.T) {
	seen := map[string]bool{}
	for life := range 3 {
		b, _, err := openBook("", "azsmart", "S", "", fixedNow)
		if err != nil {
			t.Fatal(err)
		}
		for n := range int64(500) {
			id := fiscalID(b.salt, "S", n)
			if seen[id] || seen[shortID(id)] || len(id) < 43 || len(id) > 44 {
				t.Fatalf("life %d, document %d: %q", life, n, id)
			}
			seen[id], seen[shortID(id)] = true, true
		}
	}
}
