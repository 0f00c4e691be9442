// Package scripts_test runs what the README and the demo print, as a reader
// would.
package scripts_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// output collects what a program prints, and can be looked at meanwhile.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// run starts a script with its temporary folder in ours, so that what it leaves
// behind is seen.
func run(t *testing.T, name string, args ...string) (*exec.Cmd, *output, string) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatal("curl is missing: apt-get install curl")
	}
	tmp := t.TempDir()
	out := &output{}
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp, "TERM=dumb")
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out, tmp
}

func nothingLeft(t *testing.T, tmp string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(tmp, "ekassa-demo*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, c := range commands {
		if line, err := os.ReadFile(c); err == nil && bytes.Contains(line, []byte(tmp)) {
			t.Errorf("still running: %s", bytes.ReplaceAll(line, []byte{0}, []byte(" ")))
		}
	}
}

// TestDemo_ItsLinesWorkAsPrinted starts the demo, runs what it says to try, and
// ends it with Ctrl-C.
func TestDemo_ItsLinesWorkAsPrinted(t *testing.T) {
	demo, out, tmp := run(t, "./demo", "--limit", "3")
	ended := make(chan error, 1)
	go func() { ended <- demo.Wait() }()
	t.Cleanup(func() { _ = demo.Process.Signal(syscall.SIGTERM) })
	for deadline := time.Now().Add(5 * time.Minute); !strings.Contains(out.String(), "Ctrl-C ends"); time.Sleep(100 * time.Millisecond) {
		select {
		case err := <-ended:
			t.Fatalf("the demo ended: %v\n%s", err, out)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("the demo is not up: %s", out)
		}
	}
	for _, maker := range []string{"AzSmart", "Omnitech", "Caspos"} {
		if !regexp.MustCompile(`(?m)^  ` + maker + ` +([34]: [0-9.]+)(?: +[34]: [0-9.]+){3}$`).MatchString(out.String()) {
			t.Errorf("no four accounts of the shift of %s", maker)
		}
	}
	rule := strings.Repeat("-", 80)
	parts := strings.Split(out.String(), rule)
	if len(parts) != 3 {
		t.Fatalf("no script between two rules: %s", out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	tries := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", parts[1])
	tries.Dir = ".."
	said, err := tries.CombinedOutput()
	if err != nil {
		t.Errorf("what to try: %v", err)
	}
	if got := len(regexp.MustCompile(`(?m)^\{"id":"try-1".*"state":"fiscal"`).FindAll(said, -1)); got != 3 {
		t.Errorf("try-1 was fiscal %d times, want 3", got)
	}
	if ids := regexp.MustCompile(`"id":"try-1".*?"fiscal_id":"(\w+)"`).FindAllSubmatch(said, -1); len(ids) == 3 && !bytes.Equal(ids[0][1], ids[2][1]) {
		t.Errorf("try-1 has two fiscal ids: %s, %s", ids[0][1], ids[2][1])
	}
	for _, want := range []string{
		`{"id":"try-2"`, `5 receipts: 5 told yes, `, `"id":"out-w1-000005"`, `"state":"waiting"`,
		`{"receipts":[]}`,     // none waits after the kill
		`"sales":{"count":7,`, // the evening's own shift is closed before
		`"id":"demo-01","venue":"demo"`, "\ndemo-01,kassa-1,2,", `"module":"azsmart"`,
	} {
		if !bytes.Contains(said, []byte(want)) {
			t.Errorf("what to try did not print %s", want)
		}
	}
	if token, err := filepath.Glob(filepath.Join(tmp, "ekassa-demo*", "token")); err != nil || len(token) != 1 {
		t.Errorf("no token file: %v", err)
	} else if secret, err := os.ReadFile(token[0]); err != nil || strings.Contains(out.String(), strings.TrimSpace(string(secret))) {
		t.Errorf("the token was printed, or cannot be read: %v", err)
	}
	if err := demo.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Ctrl-C: %v", err)
	}
	nothingLeft(t, tmp)
	if t.Failed() {
		t.Logf("the demo:\n%s\nwhat to try:\n%s", out, said)
	}
}

// TestDemo_FailsPlainly where a port is taken: one line that names it, exit code
// 1, and nothing left.
func TestDemo_FailsPlainly(t *testing.T) {
	demo, out, tmp := run(t, "./demo", "--once", "--port", "1", "--register-port", "99999")
	err := demo.Wait()
	if demo.ProcessState.ExitCode() != 1 || !strings.Contains(out.String(), "demo: failed: take port 99999") {
		t.Errorf("%v\n%s", err, out)
	}
	nothingLeft(t, tmp)
}
