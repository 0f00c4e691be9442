package token

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func add(t *testing.T, s *Store, terminal string) string {
	t.Helper()
	token, err := s.Add(terminal)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func wantTerminal(t *testing.T, s *Store, token, want string) {
	t.Helper()
	got, ok := s.Terminal(token)
	if got != want || ok != (want != "") {
		t.Errorf("Terminal(…) = %q, %v, want %q", got, ok, want)
	}
}

func TestATokenNamesItsTerminal(t *testing.T) {
	s := Open(t.TempDir())
	wantTerminal(t, s, "ek_nothing", "")
	one, other, second := add(t, s, "till-1"), add(t, s, "till-2"), add(t, s, "till-1")
	for _, token := range []string{one, other, second} {
		if !strings.HasPrefix(token, Prefix) || len(token) != len(Prefix)+43 {
			t.Errorf("token %q is not %s and 256 bits", token, Prefix)
		}
	}
	wantTerminal(t, s, one, "till-1")
	wantTerminal(t, s, second, "till-1")
	wantTerminal(t, s, other, "till-2")
	for _, wrong := range []string{"", one[:len(one)-1], one + "x", strings.TrimPrefix(one, Prefix), strings.ToUpper(one)} {
		wantTerminal(t, s, wrong, "")
	}
}

func TestTheFileHoldsNoTokenAndIsOnlyOurs(t *testing.T) {
	dir := t.TempDir()
	token := add(t, Open(dir), "till-1")
	path := filepath.Join(dir, fileName)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), strings.TrimPrefix(token, Prefix)) {
		t.Error("the token itself is in the file")
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode().Perm())
	}
	left, err := filepath.Glob(path + ".*")
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != fileName+".lock" {
		t.Errorf("left beside the file: %v, %v", left, err)
	}
}

func TestARunningStoreSeesWhatAnotherProcessChanged(t *testing.T) {
	dir := t.TempDir()
	running, command := Open(dir), Open(dir)
	kept := add(t, command, "till-2")
	for range 20 { // often within one tick of the file system's clock
		token := add(t, command, "till-1")
		wantTerminal(t, running, token, "till-1")
		if n, err := command.Revoke("till-1"); n != 1 || err != nil {
			t.Fatalf("Revoke = %d, %v", n, err)
		}
		wantTerminal(t, running, token, "")
		wantTerminal(t, running, kept, "till-2")
	}
}

func TestRevokeTakesAllOfATerminal(t *testing.T) {
	s := Open(t.TempDir())
	if _, err := s.Revoke("till-1"); !errors.Is(err, ErrNone) {
		t.Errorf("Revoke without a token: %v, want ErrNone", err)
	}
	one, second, other := add(t, s, "till-1"), add(t, s, "till-1"), add(t, s, "till-2")
	if n, err := s.Revoke("till-1"); n != 2 || err != nil {
		t.Errorf("Revoke = %d, %v, want 2", n, err)
	}
	wantTerminal(t, s, one, "")
	wantTerminal(t, s, second, "")
	wantTerminal(t, s, other, "till-2")
	list, err := s.List()
	if err != nil || len(list) != 1 || list[0].Terminal != "till-2" || list[0].CreatedAt.IsZero() {
		t.Errorf("List = %v, %v", list, err)
	}
}

func TestWritersDoNotLoseEachOthersTokens(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for n := range 20 {
		wg.Go(func() {
			if _, err := Open(dir).Add(fmt.Sprintf("till-%d", n)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	list, err := Open(dir).List()
	if err != nil || len(list) != 20 {
		t.Errorf("%d tokens, %v; want 20", len(list), err)
	}
}

func TestABrokenFileLetsNobodyInAndIsNotOverwritten(t *testing.T) {
	for name, content := range map[string]string{
		"no JSON":      "{",
		"half a hash":  `{"tokens":[{"terminal":"till-1","created_at":"2026-11-23T19:05:12Z","sha256":"abcd"}]}`,
		"no terminal":  `{"tokens":[{"created_at":"2026-11-23T19:05:12Z","sha256":"` + strings.Repeat("00", 32) + `"}]}`,
		"other fields": `{"tokens":[],"more":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := Open(dir)
			token := add(t, s, "till-1")
			path := filepath.Join(dir, fileName)
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			wantTerminal(t, s, token, "")
			if err := s.Check(); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("Check = %v, want an error that names the file", err)
			}
			if _, err := s.Add("till-2"); err == nil {
				t.Error("Add wrote over a broken file")
			}
			if data, err := os.ReadFile(path); err != nil || string(data) != content {
				t.Errorf("the file is now %q, %v", data, err)
			}
		})
	}
}

func TestAddRefusesWhatNamesNoTerminal(t *testing.T) {
	s := Open(t.TempDir())
	for _, terminal := range []string{"", "a\nb"} {
		if _, err := s.Add(terminal); err == nil {
			t.Errorf("Add(%q) gave a token", terminal)
		}
	}
}

func TestTheDataFolderIsMadeButNotItsParent(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(filepath.Join(dir, "data")).Add("till-1"); err != nil {
		t.Errorf("Add before the agent's first run: %v", err)
	}
	if _, err := Open(filepath.Join(dir, "none", "data")).Add("till-1"); err == nil {
		t.Error("Add gave a token that is nowhere")
	}
}
