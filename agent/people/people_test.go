package people

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ekassa/agent/durable"
)

func TestAPINIsToldOnceAndNeverStored(t *testing.T) {
	dir := t.TempDir()
	pin, err := Open(dir).Add("  Aysel   M. ", Cashier)
	if err != nil || !regexp.MustCompile(`^[0-9]{6}$`).MatchString(pin) {
		t.Fatalf("%q, %v", pin, err)
	}
	data, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil || strings.Contains(string(data), pin) {
		t.Errorf("the file holds the PIN, or cannot be read: %v", err)
	}
	if info, err := os.Stat(filepath.Join(dir, fileName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	s := Open(dir)
	if err := s.Verify("Aysel M.", pin); err != nil {
		t.Error(err)
	}
	if err := s.Verify("Aysel M.", wrong(pin)); !errors.Is(err, ErrPIN) {
		t.Errorf("a wrong one: %v", err)
	}
	if err := s.Verify("Rauf", pin); !errors.Is(err, ErrNone) {
		t.Errorf("nobody: %v", err)
	}
}

func wrong(pin string) string {
	if pin == "000000" {
		return "000001"
	}
	return "000000"
}

func TestANewPINReplacesTheOldOne_WithItsRole(t *testing.T) {
	dir := t.TempDir()
	s, command := Open(dir), Open(dir)
	old, err := command.Add("Aysel", Cashier)
	if err != nil {
		t.Fatal(err)
	}
	_, before, _ := s.Role("Aysel")
	fresh, err := command.Add("Aysel", Manager)
	if err != nil {
		t.Fatal(err)
	}
	role, since, ok := s.Role("Aysel")
	if !ok || role != Manager || !since.After(before) {
		t.Errorf("%s since %v, before %v", role, since, before)
	}
	if err := s.Verify("Aysel", fresh); err != nil {
		t.Error(err)
	}
	if err := s.Verify("Aysel", old); old != fresh && !errors.Is(err, ErrPIN) {
		t.Errorf("the old one: %v", err)
	}
	if err := command.Remove("Aysel"); err != nil {
		t.Error(err)
	}
	if _, _, ok := s.Role("Aysel"); ok || len(s.Names()) != 0 {
		t.Error("she is still there")
	}
	if err := command.Remove("Aysel"); !errors.Is(err, ErrNone) {
		t.Errorf("removed twice: %v", err)
	}
}

func TestMissesCost(t *testing.T) {
	s := Open(t.TempDir())
	now := time.Date(2026, 11, 24, 20, 0, 0, 0, time.UTC)
	s.now = func() time.Time { return now }
	pin, err := s.Add("Aysel", Cashier)
	if err != nil {
		t.Fatal(err)
	}
	for range freeMisses {
		if err := s.Verify("Aysel", wrong(pin)); !errors.Is(err, ErrPIN) {
			t.Fatal(err)
		}
	}
	pause := firstPause
	for range 6 {
		var locked *Locked
		if err := s.Verify("Aysel", pin); !errors.As(err, &locked) || locked.For != pause {
			t.Fatalf("want a wait of %v, also for the right one: %v", pause, err)
		}
		now = now.Add(pause)
		if err := s.Verify("Aysel", wrong(pin)); !errors.Is(err, ErrPIN) {
			t.Fatal(err)
		}
		pause = min(2*pause, mostPause)
	}
	now = now.Add(mostPause)
	if err := s.Verify("Aysel", pin); err != nil {
		t.Error(err)
	}
	if err := s.Verify("Aysel", wrong(pin)); !errors.Is(err, ErrPIN) {
		t.Errorf("the right one did not forgive the misses: %v", err)
	}
}

func TestWhatIsNoPersonIsRefused(t *testing.T) {
	s := Open(t.TempDir())
	for _, c := range [][2]string{{"", Cashier}, {" ", Cashier}, {strings.Repeat("a", 41), Cashier}, {"A\x01", Cashier}, {"Aysel", "owner"}} {
		if _, err := s.Add(c[0], c[1]); err == nil {
			t.Errorf("%q as %q is taken", c[0], c[1])
		}
	}
}

func TestADamagedFileLetsNobodyIn(t *testing.T) {
	dir := t.TempDir()
	s := Open(dir)
	pin, err := s.Add("Aysel", Manager)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, fileName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n, text := range []string{"", "{", `{"people":[{"name":"Aysel","role":"manager"}]}`, string(whole) + " ", strings.Replace(string(whole), `"manager"`, `"owner"`, 1), strings.Replace(string(whole), `"role"`, `"rôle"`, 1)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.file = durable.NewFile(path, parse) // the clock of the file system may be coarse
		err := s.Verify("Aysel", pin)
		if _, _, ok := s.Role("Aysel"); n != 3 && (ok || err == nil) || n == 3 && err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := s.Add("Rauf", Cashier); err == nil {
		t.Error("a file that cannot be read was written over")
	}
}

func ExampleLocked() {
	fmt.Println((&Locked{For: time.Minute}).Error())
	// Output: too many wrong PINs; wait 1m0s
}
