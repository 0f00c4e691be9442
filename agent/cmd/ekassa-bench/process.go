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
	"time"

	"ekassa/scripts/figures"
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
		b.table.Add(figures.Row{Name: "size of " + filepath.Base(path), Figure: float64(info.Size()) / 1e6, Unit: "MB", Note: "stripped"})
	}
	return nil
}

// usage is what the kernel counted for a process so far.
type usage struct {
	rss, peak  float64 // MB
	cpu        time.Duration
	disk, said float64 // bytes: towards the disk, and by any write call
}

// kibPerMB turns the kernel's kB, which are KiB, into MB.
const kibPerMB = 1e6 / 1024.0

// tick is Linux's unit of CPU time in /proc on every machine of ours.
const tick = 10 * time.Millisecond

func usageOf(pid int) (u usage, err error) {
	dir := "/proc/" + strconv.Itoa(pid)
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
