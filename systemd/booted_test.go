package systemd_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"ekassa/agent/journal"
	"ekassa/agent/update"
	"ekassa/cloud/wire"
)

// The life of the package in a system that really boots (systemd-nspawn, on a
// Debian that debootstrap makes): installation, service, kill, hang, power cut
// of the whole system, upgrade, downgrade, removal. Its steps are in testdata.
func TestPackage_LivesInABootedSystem(t *testing.T) {
	root := system(t)
	old, new := packages(t)
	put := func(name, from string) { put(t, root, name, from) }
	put("before.deb", before(t, filepath.Join(old, "ekassa-agent_1.0.0_amd64.deb")))
	put("old.deb", filepath.Join(old, "ekassa-agent_1.0.0_amd64.deb"))
	put("new.deb", filepath.Join(new, "ekassa-agent_1.1.0_amd64.deb"))
	put("ekassa-sim", filepath.Join(old, "linux-amd64", "ekassa-sim"))
	output(t, "cp", "-r", release(t, new), filepath.Join(root, "root", "release"))
	for _, name := range []string{"common.sh", "first.sh", "second.sh", "sim.service", "agent.yaml"} {
		put(name, filepath.Join("testdata", name))
	}

	first := boot(t, root, "first.sh")
	first.until(t, "ok selling")
	time.Sleep(500 * time.Millisecond) // some sales, of which none is looked at: the moment is to be any
	first.cut(t)
	boot(t, root, "second.sh").until(t, "ALL DONE")
}

// before makes of a package one as they were once: with the configuration as a
// conffile, and without a socket.
func before(t *testing.T, deb string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "package")
	output(t, "dpkg-deb", "-R", deb, dir)
	output(t, "sh", "-ec", `cd "$0"
		mv usr/share/ekassa-agent/agent.yaml etc/ekassa-agent/
		echo /etc/ekassa-agent/agent.yaml >DEBIAN/conffiles
		rm lib/systemd/system/ekassa-agent.socket
		sed -i '/^Sockets=/d' lib/systemd/system/ekassa-agent.service
		sed -i 's/^Version: .*/&~before/' DEBIAN/control
		sed -i '/ekassa-agent.socket/,+2d' DEBIAN/prerm`, dir)
	output(t, "dpkg-deb", "--root-owner-group", "--build", dir, dir+".deb")
	return dir + ".deb"
}

// put copies a file into the home of a system's root.
func put(t *testing.T, root, name, from string) {
	t.Helper()
	output(t, "install", "-m", "755", from, filepath.Join(root, "root", name))
}

// base is a minimal Debian. It is made once per machine; whoever comes meanwhile
// waits.
func base(t *testing.T, cache string) string {
	t.Helper()
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	lock := flock.New(filepath.Join(cache, "bookworm.lock"))
	if err := lock.Lock(); err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	base := filepath.Join(cache, "bookworm")
	if _, err := os.Stat(base); errors.Is(err, fs.ErrNotExist) {
		making := base + ".making"
		if err := os.RemoveAll(making); err != nil {
			t.Fatal(err)
		}
		output(t, "debootstrap", "--variant=minbase", "--include=systemd,systemd-sysv,dbus,passwd,curl,init-system-helpers", "bookworm", making)
		if err := os.Rename(making, base); err != nil {
			t.Fatal(err)
		}
	}
	return base
}

// system is a fresh copy of a minimal Debian that runs its steps when it boots.
func system(t *testing.T) string {
	t.Helper()
	cache, err := filepath.Abs("../.cache")
	if err != nil {
		t.Fatal(err)
	}
	base := base(t, cache)
	dir, err := os.MkdirTemp(cache, "booted-") // not below /tmp, which may be memory
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	root := filepath.Join(dir, "root")
	output(t, "cp", "-a", "--reflink=auto", base, root)
	// A login prompt is begun idly: for five seconds of the boot there is a copy of
	// systemd that has every socket open, so that none could be closed and opened anew.
	if err := os.Symlink("/dev/null", filepath.Join(root, "etc/systemd/system/console-getty.service")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "etc/systemd/system/steps.service"), []byte(`[Unit]
After=basic.target

[Service]
Type=oneshot
ExecStart=/bin/bash /root/steps.sh
StandardOutput=file:/root/steps.log
StandardError=inherit
TimeoutStartSec=infinity
ExecStopPost=/bin/systemctl --no-block poweroff

[Install]
WantedBy=multi-user.target
`), 0o644); err != nil {
		t.Fatal(err)
	}
	output(t, "systemctl", "--root", root, "enable", "steps.service")
	return root
}

// packages gives the folders of two versions of the packages as they are shipped,
// built once for all tests.
func packages(t *testing.T) (old, new string) {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "1.0.0"), filepath.Join(dir, "1.1.0")
}

// packagesDir is there while tests run.
var packagesDir string

var built = sync.OnceValues(func() (string, error) {
	for version, programs := range map[string][]string{"1.0.0": {"--program", "ekassa-agent", "--program", "ekassa-sim"}, "1.1.0": {"--program", "ekassa-agent"}} {
		out := filepath.Join(packagesDir, version)
		for _, c := range [][]string{{"../scripts/build", "--only", "linux-amd64", "--out", out}, {"../scripts/package", "--only", "amd64", "--from", out}} {
			cmd := exec.Command(c[0], append(c[1:], programs...)...)
			cmd.Env = append(os.Environ(), "VERSION="+version, "UPDATE_KEYS="+update.Keys{signer.Public().(ed25519.PublicKey)}.String())
			if text, err := cmd.CombinedOutput(); err != nil {
				return "", fmt.Errorf("%v: %w\n%s", c, err, text)
			}
		}
	}
	return packagesDir, nil
})

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if packagesDir, err = os.MkdirTemp("", "ekassa-packages-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(packagesDir)
		return m.Run()
	}())
}

// signer signs the updates of this test.
var signer = ed25519.NewKeyFromSeed([]byte("the key that signs releases now."))

// release signs what scripts/build has made, as an update.
func release(t *testing.T, built string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "release")
	newest, readable := journal.Schema()
	_, err := update.Make(built, out, update.Plan{
		Version: filepath.Base(built), Over: "1.0.0", Created: time.Now(), Lasts: time.Hour, Journal: wire.ReleaseJournal{Schema: newest, ReadableFrom: readable},
	}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// booted is a system that runs its steps.
type booted struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
	err   error // of the command; read after ended
	out   bytes.Buffer
}

// boot starts the system with some steps, and ends it with the test.
func boot(t *testing.T, root, steps string) *booted {
	t.Helper()
	log := filepath.Join(root, "root", "steps.log")
	if err := os.Remove(log); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	output(t, "ln", "-sf", steps, filepath.Join(root, "root", "steps.sh"))
	b := &booted{log: log, ended: make(chan struct{})}
	// script gives it the terminal without which it does not boot.
	b.cmd = exec.Command("script", "-qfec", fmt.Sprintf("systemd-nspawn --quiet --register=no --keep-unit --private-network -D %s -b", root), "/dev/null")
	b.cmd.Stdout, b.cmd.Stderr = &b.out, &b.out
	if err := b.cmd.Start(); err != nil {
		t.Fatalf("boot %s: %v", root, err)
	}
	go func() {
		defer close(b.ended)
		b.err = b.cmd.Wait()
	}()
	t.Cleanup(func() {
		if err := b.kill(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// until waits for a line of the steps' output.
func (b *booted) until(t *testing.T, line string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	for {
		text, err := os.ReadFile(b.log)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
			if strings.HasPrefix(s.Text(), "FAILED") {
				select { // it says why
				case <-b.ended:
				case <-time.After(20 * time.Second):
				}
				text, _ := os.ReadFile(b.log)
				t.Fatalf("%s", text)
			}
			if s.Text() == line {
				t.Logf("%s", text)
				return
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("no %q in time:\n%s", line, text)
		case <-b.ended:
			text, _ := os.ReadFile(b.log)
			if strings.Contains(string(text), line+"\n") {
				return
			}
			t.Fatalf("the system ended before %q: %v\n%s\n%s", line, b.err, text, b.out.Bytes())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// cut takes the power away.
func (b *booted) cut(t *testing.T) {
	t.Helper()
	if err := b.kill(); err != nil {
		t.Fatal(err)
	}
}

// kill ends the system's first process, and with it everything in it at once.
func (b *booted) kill() error {
	select {
	case <-b.ended:
		return nil
	default:
	}
	// A system whose steps are done powers itself off, so its first process may be
	// gone by now; that is an error only if the system then stays.
	first, err := first(b.cmd.Process.Pid)
	if err == nil {
		if err = syscall.Kill(first, syscall.SIGKILL); err != nil {
			err = fmt.Errorf("kill the system's first process %d: %w", first, err)
		}
	}
	select {
	case <-b.ended:
		return nil
	case <-time.After(20 * time.Second):
		return errors.Join(errors.New("the system does not end"), err)
	}
}

// first finds, below a process, the first process of a system: the one that calls
// itself 1. How many there are between (a shell, nspawn) differs between machines,
// and to kill one of those would leave the system running.
func first(below int) (int, error) {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", below))
	if err != nil {
		return 0, fmt.Errorf("find the system's first process: %w", err)
	}
	for _, child := range strings.Fields(string(children)) {
		pid, err := strconv.Atoi(child)
		if err != nil {
			return 0, fmt.Errorf("find the system's first process: child %q of %d: %w", child, below, err)
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return 0, fmt.Errorf("find the system's first process: %w", err)
		}
		for line := range strings.Lines(string(status)) {
			if fields := strings.Fields(line); len(fields) > 2 && fields[0] == "NSpid:" && fields[len(fields)-1] == "1" {
				return pid, nil
			}
		}
		if found, err := first(pid); err == nil {
			return found, nil
		}
	}
	return 0, fmt.Errorf("find the system's first process: none below %d calls itself 1", below)
}

// output runs a command that must succeed.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	text, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, text)
	}
	return string(text)
}
