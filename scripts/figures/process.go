package figures

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Process is a real program at work.
type Process struct {
	Cmd   *exec.Cmd
	Begun time.Time
	Ended chan struct{} // closed then
	log   bytes.Buffer  // what it said, read once it has ended
}

// Start runs a program. It is killed when ctx ends.
func Start(ctx context.Context, path string, args ...string) (*Process, error) {
	p := &Process{Cmd: exec.CommandContext(ctx, path, args...), Ended: make(chan struct{}), Begun: time.Now()}
	p.Cmd.Stdout, p.Cmd.Stderr = &p.log, &p.log
	if err := p.Cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.Ended)
		_ = p.Cmd.Wait() // how it ended is asked for in Stop
	}()
	return p, nil
}

// PID is its number.
func (p *Process) PID() int { return p.Cmd.Process.Pid }

// Said are the last words of one that has ended.
func (p *Process) Said() string {
	text := bytes.TrimSpace(p.log.Bytes())
	return string(text[max(0, len(text)-2000):])
}

// Stop ends it cleanly. A second call does nothing.
func (p *Process) Stop() error {
	_ = p.Cmd.Process.Signal(syscall.SIGTERM) // fails where it has ended already
	select {
	case <-p.Ended:
	case <-time.After(time.Minute):
		p.Kill()
		return fmt.Errorf("%s did not stop", filepath.Base(p.Cmd.Path))
	}
	if code := p.Cmd.ProcessState.ExitCode(); code > 0 {
		return fmt.Errorf("%s ended with %d: %s", filepath.Base(p.Cmd.Path), code, p.Said())
	}
	return nil
}

// Kill is kill -9.
func (p *Process) Kill() {
	_ = p.Cmd.Process.Kill() // fails where it has ended already
	<-p.Ended
}
