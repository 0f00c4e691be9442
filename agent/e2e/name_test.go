package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// network is the shop's, as two namespaces and a cable: the agents' machine, with
// two addresses, and a guest's or a till's, which asks avahi.
type network struct {
	testing.TB
	box, guest     string // namespaces
	boxIf, guestIf string
	buses          map[string]string // of avahi in each namespace
}

func newNetwork(t testing.TB) *network {
	t.Helper()
	id := fmt.Sprintf("%08x", rand.Uint32()) // an interface's name has at most 15 letters
	n := &network{TB: t, box: "ekn-b" + id, guest: "ekn-g" + id, boxIf: "ekb" + id, guestIf: "ekg" + id, buses: map[string]string{}}
	t.Cleanup(func() { // a namespace takes its end of the cable along
		_ = exec.Command("ip", "netns", "del", n.box).Run()
		_ = exec.Command("ip", "netns", "del", n.guest).Run()
	})
	n.ip("netns add " + n.box)
	n.ip("netns add " + n.guest)
	n.ip("link add " + n.boxIf + " netns " + n.box + " type veth peer name " + n.guestIf + " netns " + n.guest)
	for _, end := range [][2]string{{n.box, n.boxIf}, {n.guest, n.guestIf}} {
		n.ip("-n " + end[0] + " link set lo up")
		n.ip("-n " + end[0] + " link set " + end[1] + " up")
	}
	n.ip("-n " + n.box + " addr add 10.77.1.1/24 dev " + n.boxIf)
	n.ip("-n " + n.box + " addr add 10.77.1.2/24 dev " + n.boxIf)
	n.ip("-n " + n.guest + " addr add 10.77.1.20/24 dev " + n.guestIf)
	n.avahi(n.guest, n.guestIf)
	n.avahi(n.box, n.boxIf) // as on Raspberry Pi OS: the agent shares the port with it
	return n
}

func (n *network) ip(args string) {
	n.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		n.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

// avahi runs there, with a bus of its own.
func (n *network) avahi(namespace, iface string) {
	n.Helper()
	dir, err := os.MkdirTemp("", "ekn") // a socket's path must be short
	if err != nil {
		n.Fatal(err)
	}
	n.Cleanup(func() { os.RemoveAll(dir) })
	bus := "unix:path=" + dir + "/bus"
	n.buses[namespace] = bus
	for name, text := range map[string]string{
		"bus.conf": `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>` + bus + `</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow eavesdrop="true"/><allow own="*"/><allow user="*"/></policy></busconfig>
`,
		"avahi.conf": "[server]\nhost-name=" + namespace + "\nuse-ipv4=yes\nuse-ipv6=no\nallow-interfaces=" + iface + "\n[publish]\npublish-workstation=no\npublish-hinfo=no\n",
	} {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			n.Fatal(err)
		}
	}
	startCmd(n, n.at(namespace, "dbus-daemon", "--config-file="+dir+"/bus.conf", "--nofork"))
	eventually(n, "the bus is there", func() bool { _, err := os.Stat(dir + "/bus"); return err == nil })
	// "ip netns exec" gives each its own mounts, so that avahi's files in /run hide no one else's.
	startCmd(n, n.at(namespace, "sh", "-c", "mount -t tmpfs none /run && mkdir -p /run/avahi-daemon && "+
		"exec avahi-daemon --no-drop-root --no-chroot --no-rlimits -f "+dir+"/avahi.conf"))
}

func (n *network) at(namespace, name string, args ...string) *exec.Cmd {
	cmd := exec.Command("ip", append([]string{"netns", "exec", namespace, name}, args...)...)
	cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+n.buses[namespace])
	return cmd
}

// says has the guest ask until the answer is as it should be.
func (n *network) says(what string, holds func(string) bool, name string, args ...string) {
	n.Helper()
	n.saysAt(n.guest, what, holds, name, args...)
}

func (n *network) saysAt(namespace, what string, holds func(string) bool, name string, args ...string) {
	n.Helper()
	last := ""
	eventually(n, what, func() bool {
		out, _ := n.at(namespace, name, args...).CombinedOutput() // avahi is not there at once, and ends with 0 where it finds nothing
		if last = string(out); holds(last) {
			return true
		}
		n.Logf("%s: %s", what, strings.TrimSpace(last))
		return false
	})
}

// agent is one in the network, and the process that it is; lent is the address of a
// socket that it is started with, "" for none.
func (n *network) agent(address, lent string) (*shop, *process) {
	n.Helper()
	s := bareShop(n)
	s.listen = address
	s.config["listen"], s.config["discovery"] = address, object{"interfaces": []string{n.boxIf}}
	s.write()
	cmd := n.at(n.box, agentBinary, "run", "--config", s.file)
	if lent != "" {
		cmd = n.at(n.box, "sh", "-c", asSystemd, agentBinary, "run", "--config", s.file)
		cmd.ExtraFiles = []*os.File{n.socket(lent)}
	}
	p := startCmd(n, cmd)
	p.says(&p.err, `msg=ready listen=(\S+)`)
	return s, p
}

// asSystemd has a shell become a program that is given one socket, which is the
// shell's descriptor 3.
const asSystemd = `LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@"`

// listenIn listens in a network namespace. The thread that goes there comes back: were
// it to end instead, the kernel would kill every program that was started by it, of
// whichever test (Pdeathsig).
func listenIn(space, address string) (f *os.File, err error) {
	runtime.LockOSThread()
	left := false
	defer func() {
		if !left {
			runtime.UnlockOSThread()
		}
	}()
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	defer here.Close()
	there, err := os.Open(space)
	if err != nil {
		return nil, err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, err
	}
	defer func() {
		back := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET)
		left = back != nil
		err = errors.Join(err, back)
	}()
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	f, err = l.(*net.TCPListener).File()
	return f, errors.Join(err, l.Close())
}

// socket listens in the box, as systemd does there.
func (n *network) socket(address string) *os.File {
	n.Helper()
	f, err := listenIn("/run/netns/"+n.box, address)
	if err != nil {
		n.Fatalf("listen on %s in the box: %v", address, err)
	}
	n.Cleanup(func() { f.Close() })
	return f
}

// A browser in the shop opens the agent under its name; a second agent takes the
// next one; and who leaves takes the name back.
func TestName_OpensThePageInTheShopsNetwork(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	s, first := n.agent("10.77.1.1:8787", "")
	is := func(want string) func(string) bool {
		return func(out string) bool { return strings.Contains(out, want) }
	}
	first.says(&first.err, `name=(ekassa\.local)`)
	n.says("the name has the agent's address", is("10.77.1.1"), "avahi-resolve", "-4", "-n", "ekassa.local")
	n.saysAt(n.box, "the agent's own machine knows it too", is("10.77.1.1"), "avahi-resolve", "-4", "-n", "ekassa.local")
	n.says("avahi of that machine still answers", is("10.77.1."), "avahi-resolve", "-4", "-n", n.box+".local")
	n.says("the page is listed", func(out string) bool {
		return strings.Contains(out, "=;") && strings.Contains(out, "ekassa.local;10.77.1.1;8787") && strings.Contains(out, "E-kassa")
	}, "avahi-browse", "-rptk", "_http._tcp")

	alone, second := n.agent("10.77.1.2:8787", "0.0.0.0:80")
	second.says(&second.err, `name=(ekassa-2\.local)`)
	n.says("the second has the next name", is("10.77.1.2"), "avahi-resolve", "-4", "-n", "ekassa-2.local")
	n.says("the first keeps its own", is("10.77.1.1"), "avahi-resolve", "-4", "-n", "ekassa.local")
	n.says("its page is listed at port 80", is("ekassa-2.local;10.77.1.2;80;"), "avahi-browse", "-rptk", "_http._tcp")

	// A third is for this machine alone, whatever its socket is in reach of.
	n.agent("127.0.0.1:8787", "0.0.0.0:81")
	n.saysAt(n.box, "the third has its page for its own machine", is("200"), "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "http://localhost:81/")
	for url, status := range map[string]string{
		"http://ekassa-2.local/": "200", "http://ekassa-3.local/": "403", // the same guard as elsewhere
		"http://10.77.1.1/":           "Empty reply", // not where it listens
		"http://10.77.1.1:81/":        "Empty reply",
		"http://ekassa-2.local:8787/": "200", "http://ekassa.local:8787/": "200", "http://ekassa-3.local:8787/": "403",
	} {
		n.says(url, is(status), "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--resolve", "ekassa-3.local:8787:10.77.1.2", "--resolve", "ekassa-3.local:80:10.77.1.2",
			"--resolve", "ekassa-2.local:8787:10.77.1.2", "--resolve", "ekassa-2.local:80:10.77.1.2", "--resolve", "ekassa.local:8787:10.77.1.1", url)
	}
	if r := runCmd(t, n.at(n.box, agentBinary, "doctor", "--lang", "en", "--config", s.file)); !strings.Contains(r.out, "http://ekassa.local:8787") {
		t.Errorf("the doctor says nothing of the name:\n%s", r.out)
	}
	// What the second listens on is another's to the first.
	for file, line := range map[string]string{s.file: "! port 80: another program has it", alone.file: "http://ekassa-2.local opens the page"} {
		if r := runCmd(t, n.at(n.box, agentBinary, "doctor", "--lang", "en", "--config", file)); !strings.Contains(r.out, line) {
			t.Errorf("the doctor does not say %q:\n%s", line, r.out)
		}
	}

	if code, _ := second.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if code, _ := first.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	n.says("both are gone from the list", func(out string) bool { return !strings.Contains(out, "E-kassa") }, "avahi-browse", "-ptk", "_http._tcp")
}
