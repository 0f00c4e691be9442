package e2e

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ekassa/agent"
	"ekassa/agent/config"
	"ekassa/agent/dispatch"
)

// The programs under test, built once for a run of the tests.
var agentBinary, simBinary, cloudBinary string

// impatient names the configuration of which this very binary is the agent.
const impatient = "EKASSA_E2E_IMPATIENT"

// beAgent is ekassa-agent run with less patience. A register that has no key to
// ask for is given a minute and a half before its silence proves anything; the
// tests have not so much time for each kill.
func beAgent(file string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	cfg, err := config.Load(file)
	if err == nil {
		pace := dispatch.DefaultPace
		pace.Document = 4 * time.Second
		err = agent.Run(ctx, cfg, agent.Options{Log: log, Pace: pace})
	}
	if err != nil {
		log.Error("failed", "error", err)
		return 1
	}
	return 0
}

func TestMain(m *testing.M) {
	if file := os.Getenv(impatient); file != "" {
		os.Exit(beAgent(file))
	}
	folder, err := os.MkdirTemp("", "ekassa-e2e")
	if err == nil {
		err = errors.Join(os.Chmod(folder, 0o755), build(folder)) // other users start them too
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	agentBinary, simBinary, cloudBinary = filepath.Join(folder, "ekassa-agent"), filepath.Join(folder, "ekassa-sim"), filepath.Join(folder, "ekassa-cloud")
	// Most of these tests wait most of the time, for a register or a till.
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", "6"); err != nil {
			panic(err) // the flag is testing's
		}
	}
	code := m.Run()
	os.RemoveAll(folder)
	os.Exit(code)
}

// build makes the programs as the tests were made: with the race detector, if
// these have it.
func build(folder string) error {
	args := []string{"build", "-o", folder + "/"}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "-race" && s.Value == "true" {
				args = append(args, "-race")
			}
		}
	}
	out, err := exec.Command("go", append(args, "ekassa/agent/cmd/ekassa-agent", "ekassa/agent/cmd/ekassa-sim", "ekassa/cloud/cmd/ekassa-cloud")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("build the programs: %w: %s", err, out)
	}
	return nil
}

// patience is for what must happen; nothing waits so long unless it is broken.
const patience = 2 * time.Minute

// eventually waits until a condition holds. It is asked often, and fails the
// test when patience is over.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(25 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// moves waits until a count has come to what is wanted, for as long as it moves.
func moves(t testing.TB, what string, want int, count func() int) {
	t.Helper()
	last, since := count(), time.Now()
	for n := last; n < want; n = count() {
		if n != last {
			last, since = n, time.Now()
		}
		if time.Since(since) > patience {
			t.Fatalf("%s: still %d, want %d", what, n, want)
		}
		time.Sleep(250 * time.Millisecond)
	}
}

// output collects what a program writes.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// process is a program that runs.
type process struct {
	t        testing.TB
	cmd      *exec.Cmd
	out, err output
	done     chan struct{}
}

// start runs a program until the test ends; after that it must not have
// panicked or raced.
func start(t testing.TB, name string, args ...string) *process {
	t.Helper()
	return startCmd(t, exec.Command(name, args...))
}

func startCmd(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.out, &p.err
	cmd.WaitDelay = 5 * time.Second // a grandchild may hold the pipes
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL // tests that hang are ended without their cleanup
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait() // its exit code is read from ProcessState
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if text := p.err.String(); strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic:") || strings.Contains(text, "panicked") {
			t.Errorf("%s broke:\n%s", cmd.Path, text)
		} else if t.Failed() {
			t.Logf("%s said:\n%s", strings.Join(cmd.Args, " "), tail(text, 6000))
		}
	})
	return p
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

// says waits until the program has written what the pattern finds, and gives
// the pattern's first group.
func (p *process) says(o *output, pattern string) string {
	p.t.Helper()
	find := regexp.MustCompile(pattern)
	var found []string
	eventually(p.t, fmt.Sprintf("%s says %s", p.cmd.Path, pattern), func() bool {
		select {
		case <-p.done:
			if !find.MatchString(o.String()) {
				p.t.Fatalf("%s ended with %s:\n%s", strings.Join(p.cmd.Args, " "), p.cmd.ProcessState, p.err.String())
			}
		default:
		}
		found = find.FindStringSubmatch(o.String())
		return found != nil
	})
	return found[1]
}

// ended tells whether the process is over.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// stop is SIGTERM; it gives the exit code and how long that took.
func (p *process) stop() (code int, took time.Duration) {
	p.t.Helper()
	began := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("%s does not stop", p.cmd.Path)
	}
	return p.cmd.ProcessState.ExitCode(), time.Since(began)
}

// result is what a command that ends by itself came to.
type result struct {
	code     int
	out, err string
}

// command runs one to its end.
func command(t testing.TB, name string, args ...string) result {
	t.Helper()
	return runCmd(t, exec.Command(name, args...))
}

func runCmd(t testing.TB, cmd *exec.Cmd) result {
	t.Helper()
	p := startCmd(t, cmd)
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Fatalf("%s does not end\n%s", strings.Join(cmd.Args, " "), p.err.String())
	}
	return result{cmd.ProcessState.ExitCode(), p.out.String(), p.err.String()}
}

// ok fails the test unless the command did what it should.
func (r result) ok(t testing.TB) result {
	t.Helper()
	if r.code != 0 {
		t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	return r
}
