package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// build makes the binaries as they are shipped, without tables for debuggers.
func (b *bench) build(ctx context.Context) error {
	b.sim = filepath.Join(b.cache, "ekassa-sim")
	built := map[string]string{"./agent/cmd/ekassa-sim": b.sim}
	if b.agent == "" {
		b.agent = filepath.Join(b.cache, "ekassa-agent")
		built["./agent/cmd/ekassa-agent"] = b.agent
	}
	for pkg, path := range built {
		out, err := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, pkg).CombinedOutput()
		if err != nil {
			return fmt.Errorf("go build %s: %w: %s", pkg, err, bytes.TrimSpace(out))
		}
	}
	for _, path := range []string{b.agent, b.sim} {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		b.table.add(row{Name: "size of " + filepath.Base(path), Figure: float64(info.Size()) / 1e6, Unit: "MB", Note: "stripped"})
	}
	return nil
}

// process is one of the real binaries at work.
type process struct {
	cmd   *exec.Cmd
	log   bytes.Buffer // what it said, read once it has ended
	ended chan struct{}
	begun time.Time
}

// start runs a binary. It is killed when ctx ends.
func start(ctx context.Context, path string, args ...string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, path, args...), ended: make(chan struct{}), begun: time.Now()}
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // how it ended is asked for in stop
	}()
	return p, nil
}

// stop ends it cleanly. A second call does nothing.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails where it has ended already
	select {
	case <-p.ended:
	case <-time.After(40 * time.Second):
		p.kill()
		return fmt.Errorf("%s did not stop", filepath.Base(p.cmd.Path))
	}
	if code := p.cmd.ProcessState.ExitCode(); code > 0 {
		return fmt.Errorf("%s ended with %d: %s", filepath.Base(p.cmd.Path), code, bytes.TrimSpace(p.log.Bytes()))
	}
	return nil
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails where it has ended already
	<-p.ended
}

// usage is what the kernel counted for a process so far.
type usage struct {
	rss, peak  float64 // MB
	cpu        time.Duration
	disk, said float64 // bytes: towards the disk, and by any write call
}

func (p *process) usage() (u usage, err error) { return usageOf(strconv.Itoa(p.cmd.Process.Pid)) }

// kibPerMB turns the kernel's kB, which are KiB, into MB.
const kibPerMB = 1e6 / 1024.0

// tick is Linux's unit of CPU time in /proc on every machine of ours.
const tick = 10 * time.Millisecond

func usageOf(pid string) (u usage, err error) {
	dir := "/proc/" + pid
	for _, part := range []struct {
		file, key string
		into      *float64
		by        float64
	}{
		{"status", "VmRSS:", &u.rss, kibPerMB}, {"status", "VmHWM:", &u.peak, kibPerMB},
		{"io", "write_bytes:", &u.disk, 1}, {"io", "wchar:", &u.said, 1},
	} {
		data, err := os.ReadFile(filepath.Join(dir, part.file))
		if err != nil {
			return u, err
		}
		for line := range strings.Lines(string(data)) {
			if fields := strings.Fields(line); len(fields) > 1 && fields[0] == part.key {
				n, err := strconv.ParseFloat(fields[1], 64)
				if err != nil {
					return u, err
				}
				*part.into = n / part.by
			}
		}
	}
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return u, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return u, errors.New("read /proc/PID/stat: too short")
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	u.cpu = time.Duration(user+system) * tick
	return u, errors.Join(err1, err2)
}

// freeAddress is one on loopback where nobody listens.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
