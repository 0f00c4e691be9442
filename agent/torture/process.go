package torture

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// process is one of the programs at work; what it says goes to a file.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// start runs a program.
func start(log string, args ...string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the program has its own
	p := &process{cmd: exec.Command(args[0], args[1:]...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	// Whoever runs this may die too; the programs must not outlive it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // how it ended stands in ProcessState
	}()
	return p, nil
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// stop is SIGTERM.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.ended:
	case <-time.After(30 * time.Second):
		p.kill()
		return fmt.Errorf("stop %s: it does not end on SIGTERM", filepath.Base(p.cmd.Path))
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("stop %s: it ended with %s", filepath.Base(p.cmd.Path), p.cmd.ProcessState)
	}
	return nil
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// broke finds panics and data races in what programs said.
func broke(logs ...string) (found []string) {
	for _, log := range logs {
		text, err := os.ReadFile(log)
		if err != nil {
			continue // it never ran
		}
		for _, word := range []string{"panic:", "panicked", "DATA RACE", "fatal error:"} {
			if at := strings.Index(string(text), word); at >= 0 {
				found = append(found, fmt.Sprintf("%s: %.2000s", filepath.Base(log), text[at:]))
			}
		}
	}
	return found
}
