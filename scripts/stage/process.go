package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// process is a program of ours that runs beside the demo.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how; read it after done
}

// start runs a program with its output going into a log. It is in a group of
// its own, so that Ctrl-C reaches only the demo, which ends it in order; should
// the demo be killed, the kernel ends it.
func start(log, program string, args ...string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p := &process{cmd: exec.Command(program, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		if p.err == nil {
			p.err = fmt.Errorf("exit code 0")
		}
		close(p.done)
	}()
	return p, nil
}

// end asks, waits, and insists.
func (p *process) end() {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(25 * time.Second): // the agent finishes what is on its way
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// tail prints the end of a log.
func (s *show) tail(name string, lines int) {
	data, err := os.ReadFile(s.file(name))
	if err != nil {
		return
	}
	all := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	fmt.Printf("--- %s, its last lines\n%s\n", name, strings.Join(all[max(0, len(all)-lines):], "\n"))
}
