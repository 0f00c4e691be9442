package setup

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"
)

func TestACodeIsGoodOnceForSomeTriesAndMinutes(t *testing.T) {
	now := time.Now()
	c := CodesIn(t.TempDir())
	c.now = func() time.Time { return now }
	if err := c.Use("0000-0000"); !errors.Is(err, ErrCodeVoid) {
		t.Errorf("without a code: %v", err)
	}
	fresh := func() string {
		t.Helper()
		code, err := c.New()
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	wrong := func(code string) string {
		var n int
		if _, err := fmt.Sscanf(code[:4], "%d", &n); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%04d", (n+1)%10000) + code[4:]
	}

	code := fresh()
	if info, err := os.Stat(c.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others can read it: %v, %v", info, err)
	}
	if err := c.Use(wrong(code)); !errors.Is(err, ErrCode) {
		t.Errorf("a wrong one: %v", err)
	}
	if err := c.Use(" " + code[:4] + " " + code[5:] + " "); err != nil {
		t.Errorf("as people type it: %v", err)
	}
	if err := c.Use(code); !errors.Is(err, ErrCodeVoid) {
		t.Errorf("a second time: %v", err)
	}

	// Whoever guesses makes it void, and the right one comes too late.
	code = fresh()
	for n := range codeTries {
		want := ErrCode
		if n == codeTries-1 {
			want = ErrCodeVoid
		}
		if err := c.Use(wrong(code)); !errors.Is(err, want) {
			t.Errorf("miss %d: %v", n+1, err)
		}
	}
	if err := c.Use(code); !errors.Is(err, ErrCodeVoid) {
		t.Errorf("after the misses: %v", err)
	}

	code = fresh() // the misses were the old one's
	if err := c.Use(wrong(code)); !errors.Is(err, ErrCode) {
		t.Errorf("the first miss of another one: %v", err)
	}
	now = now.Add(CodeAge + time.Second)
	if err := c.Use(code); !errors.Is(err, ErrCodeVoid) {
		t.Errorf("too late: %v", err)
	}

	if err := os.WriteFile(c.path, []byte(`{"code":""}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Use(""); !errors.Is(err, ErrCodeVoid) {
		t.Errorf("a damaged file: %v", err)
	}
}
