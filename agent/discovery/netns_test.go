package discovery

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// lan is two network namespaces joined by a cable: the agent's, which is
// 10.77.1.1/24, and the shop's with its registers, from 10.77.1.20 on.
type lan struct {
	agentNS, shopNS string
	agentIf, shopIf string
}

// newLAN makes the namespaces, and removes them with all that runs in them when
// the test ends. It fails, not skips, where that cannot be done.
func newLAN(t *testing.T) *lan {
	t.Helper()
	t.Parallel() // each test has its own LAN, and mostly waits
	if os.Geteuid() != 0 {
		t.Fatal("network namespaces need root: run these tests as root")
	}
	needTool(t, "ip", "iproute2")
	id := fmt.Sprintf("%08x", rand.Uint32()) // an interface's name has at most 15 characters
	l := &lan{"ekd-a" + id, "ekd-s" + id, "eka" + id, "eks" + id}
	t.Cleanup(func() {
		// A namespace takes its end of the cable along. Either may not be there.
		_ = exec.Command("ip", "netns", "del", l.agentNS).Run()
		_ = exec.Command("ip", "netns", "del", l.shopNS).Run()
	})
	ip(t, "netns add "+l.agentNS)
	ip(t, "netns add "+l.shopNS)
	ip(t, "link add "+l.agentIf+" netns "+l.agentNS+" type veth peer name "+l.shopIf+" netns "+l.shopNS)
	for _, end := range [][3]string{{l.agentNS, l.agentIf, "10.77.1.1"}, {l.shopNS, l.shopIf, "10.77.1.20"}} {
		ip(t, "-n "+end[0]+" link set lo up")
		ip(t, "-n "+end[0]+" addr add "+end[2]+"/24 dev "+end[1])
		ip(t, "-n "+end[0]+" link set "+end[1]+" up")
		ip(t, "-n "+end[0]+" route add 224.0.0.0/4 dev "+end[1])
	}
	return l
}

func needTool(t *testing.T, tool, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		t.Fatalf("%s is missing: apt-get install %s", tool, pkg)
	}
}

func ip(t *testing.T, args string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

// shopAddr gives the shop's side an address more, or takes it away.
func (l *lan) shopAddr(t *testing.T, do, addr string) {
	t.Helper()
	ip(t, "-n "+l.shopNS+" addr "+do+" "+addr+"/24 dev "+l.shopIf)
}

// actor is this test binary in a namespace, playing a role.
type actor struct {
	name string
	in   *json.Encoder
	out  *json.Decoder
}

func (l *lan) actor(t *testing.T, ns, role string) *actor {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("ip", "netns", "exec", ns, self)
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close() // its sign to leave
		if err := cmd.Wait(); err != nil {
			t.Errorf("role %s: %v", role, err)
		}
	})
	return &actor{role, json.NewEncoder(in), json.NewDecoder(out)}
}

// try has an order done and returns the answer, which may be an error.
func (a *actor) try(t *testing.T, o order) reply {
	t.Helper()
	if err := a.in.Encode(o); err != nil {
		t.Fatalf("%s: %s: %v", a.name, o.Do, err)
	}
	var r reply
	if err := a.out.Decode(&r); err != nil {
		t.Fatalf("%s: %s: %v", a.name, o.Do, err)
	}
	return r
}

func (a *actor) do(t *testing.T, o order) reply {
	t.Helper()
	r := a.try(t, o)
	if r.Err != "" {
		t.Fatalf("%s: %s: %s", a.name, o.Do, r.Err)
	}
	return r
}

// finds has the agent find a register by its serial and checks where.
func (a *actor) finds(t *testing.T, serial, addr string, via Via) {
	t.Helper()
	r := a.try(t, order{Do: "find", Want: serial})
	for range windows {
		if via == ViaMDNS && r.NotFound { // an answer may miss a window
			r = a.try(t, order{Do: "find", Want: serial})
		}
	}
	if r.Err != "" {
		t.Fatalf("%s: find %s: %s", a.name, serial, r.Err)
	}
	f := r.Found[0]
	if f.Serial != serial || f.Addr != at(addr) || f.Via != via {
		t.Fatalf("found %s at %s via %s, want %s at %s via %s", f.Serial, f.Addr, f.Via, serial, addr, via)
	}
}

const browseWindow = 1500 * time.Millisecond

// windows that something is heard in at the latest.
const windows = 10

// hears browses until just that is heard of what has these names.
func (a *actor) hears(t *testing.T, l *lan, want string, names ...string) {
	t.Helper()
	var got string
	for range windows {
		if got = named(a.do(t, order{Do: "browse", Iface: l.agentIf, Window: browseWindow}).Candidates, names...); got == want {
			return
		}
	}
	t.Fatalf("heard %q, want %q", got, want)
}

func TestNamespaces_BrowseHearsAZeroconfAnnouncer(t *testing.T) {
	l := newLAN(t)
	shop, agent := l.actor(t, l.shopNS, roleShop), l.actor(t, l.agentNS, roleAgent)
	shop.do(t, order{Do: "announce", Name: "Bar on left", Addr: at("10.77.1.20:8008"), Iface: l.shopIf, TXT: []string{"protocol=azsmart", "serial=A"}})
	shop.do(t, order{Do: "announce", Name: "Hall", Addr: at("172.16.5.5:8989"), Iface: l.shopIf}) // a foreign subnet is still a candidate

	want := "0 10.77.1.20:8008 azsmart A; 1 172.16.5.5:8989  "
	agent.hears(t, l, want, "Bar on left", "Hall")
	if cs := agent.do(t, order{Do: "browse", Iface: "lo", Window: browseWindow / 3}).Candidates; len(cs) != 0 {
		t.Errorf("heard %v on loopback, which was not asked", cs)
	}
	// A fresh resolver for each window: who left is gone, who came back elsewhere is there.
	shop.do(t, order{Do: "silence", Name: "Bar on left"})
	shop.do(t, order{Do: "announce", Name: "Bar on left", Addr: at("10.77.1.33:8008"), Iface: l.shopIf, TXT: []string{"serial=A"}})
	want = "0 10.77.1.33:8008  A; 1 172.16.5.5:8989  "
	agent.hears(t, l, want, "Bar on left", "Hall")
}

func TestNamespaces_SweepFindsAListener(t *testing.T) {
	l := newLAN(t)
	l.shopAddr(t, "add", "10.77.1.201")
	shop, agent := l.actor(t, l.shopNS, roleShop), l.actor(t, l.agentNS, roleAgent)
	shop.do(t, order{Do: "listen", Addr: at("10.77.1.201:8008"), Serial: "A"})
	shop.do(t, order{Do: "listen", Addr: at("10.77.1.20:9000"), Serial: "not on a maker's port"})

	var took time.Duration
	for range 3 { // the best of some: another test may have the processor
		start := time.Now()
		open := agent.do(t, order{Do: "sweep", Sweep: prefix("10.77.1.0/24")}).Open
		if !slices.Equal(open, []netip.AddrPort{at("10.77.1.201:8008")}) {
			t.Errorf("open: %v", open)
		}
		if took = time.Since(start); took <= 10*time.Second {
			break
		}
	}
	if took > 10*time.Second {
		t.Errorf("a /24 took %s", took)
	}
	if r := agent.try(t, order{Do: "sweep", Sweep: prefix("10.88.0.0/30")}); !strings.Contains(r.Err, "unreachable") {
		t.Errorf("a subnet without a route: %q", r.Err)
	}
}

func TestNamespaces_AnotherRegisterIsNeverReturned(t *testing.T) {
	l := newLAN(t)
	l.shopAddr(t, "add", "10.77.1.21")
	shop, agent := l.actor(t, l.shopNS, roleShop), l.actor(t, l.agentNS, roleAgent)
	shop.do(t, order{Do: "listen", Addr: at("10.77.1.20:8008"), Serial: "A"})
	shop.do(t, order{Do: "listen", Addr: at("10.77.1.21:8008"), Serial: "B"})
	agent.do(t, order{Do: "config", Sweep: prefix("10.77.1.16/28")})
	agent.finds(t, "A", "10.77.1.20:8008", ViaSweep)
	agent.finds(t, "B", "10.77.1.21:8008", ViaSweep)
	agent.finds(t, "A", "10.77.1.20:8008", ViaKnown)

	// The two change places, and then A is switched off.
	shop.do(t, order{Do: "close", Addr: at("10.77.1.20:8008")})
	shop.do(t, order{Do: "close", Addr: at("10.77.1.21:8008")})
	shop.do(t, order{Do: "listen", Addr: at("10.77.1.20:8008"), Serial: "B"})
	shop.do(t, order{Do: "listen", Addr: at("10.77.1.21:8008"), Serial: "A"})
	agent.finds(t, "A", "10.77.1.21:8008", ViaSweep)
	shop.do(t, order{Do: "close", Addr: at("10.77.1.21:8008")})
	if r := agent.try(t, order{Do: "find", Want: "A"}); !r.NotFound || r.Wrong == nil || r.Wrong.Got != "B" {
		t.Errorf("A is off, and found was %v: %s", r.Found, r.Err)
	}
	r := agent.try(t, order{Do: "find", Want: "A", Fixed: at("10.77.1.20:8008")})
	if r.Wrong == nil || r.NotFound || *r.Wrong != (WrongRegister{at("10.77.1.20:8008"), "A", "B"}) {
		t.Errorf("B at A's fixed address: %v: %s", r.Found, r.Err)
	}
	if all := agent.do(t, order{Do: "list"}).Found; len(all) != 1 || all[0].Serial != "B" {
		t.Errorf("listed %v", all)
	}
}

// TestNamespaces_AvahiMoves: a foreign announcer, and a register behind it that
// gets another address while the agent runs.
func TestNamespaces_AvahiMoves(t *testing.T) {
	l := newLAN(t)
	bus := l.avahi(t)
	shop, agent := l.actor(t, l.shopNS, roleShop), l.actor(t, l.agentNS, roleAgent)
	shop.do(t, order{Do: "listen", Addr: at("10.77.1.20:9008"), Serial: "A"})
	l.publish(t, bus, "Kassa Bar №1", "9008", "protocol=azsmart", "serial=A")

	agent.hears(t, l, "0 10.77.1.20:9008 azsmart A", "Kassa Bar №1") // avahi probes for about a second before it announces
	agent.do(t, order{Do: "config", Iface: l.agentIf, Window: browseWindow})
	agent.finds(t, "A", "10.77.1.20:9008", ViaMDNS)
	agent.finds(t, "A", "10.77.1.20:9008", ViaKnown)

	// The lease ends. Another register gets the address, A gets a new one.
	shop.do(t, order{Do: "close", Addr: at("10.77.1.20:9008")})
	l.shopAddr(t, "del", "10.77.1.20")
	l.shopAddr(t, "add", "10.77.1.77")
	ip(t, "-n "+l.shopNS+" route replace 224.0.0.0/4 dev "+l.shopIf)
	shop.do(t, order{Do: "listen", Addr: at("10.77.1.77:9008"), Serial: "A"})
	agent.finds(t, "A", "10.77.1.77:9008", ViaMDNS)
	agent.finds(t, "A", "10.77.1.77:9008", ViaKnown)
}

// avahi runs a private D-Bus and avahi-daemon in the shop, and returns the
// bus's address.
func (l *lan) avahi(t *testing.T) string {
	t.Helper()
	needTool(t, "dbus-daemon", "dbus")
	needTool(t, "avahi-daemon", "avahi-daemon")
	needTool(t, "avahi-publish", "avahi-utils")
	dir, err := os.MkdirTemp("", "ekd") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	bus := "unix:path=" + dir + "/bus"
	write(t, dir+"/bus.conf", `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>`+bus+`</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow eavesdrop="true"/><allow own="*"/><allow user="*"/></policy></busconfig>
`)
	write(t, dir+"/avahi.conf", `[server]
host-name=shop
use-ipv4=yes
use-ipv6=no
allow-interfaces=`+l.shopIf+`
[publish]
publish-workstation=no
publish-hinfo=no
`)
	l.start(t, "", "dbus-daemon", "--config-file="+dir+"/bus.conf", "--nofork")
	waitFor(t, dir+"/bus")
	// "ip netns exec" gives each its own mounts, so that avahi's files in /run hide no one else's.
	l.start(t, bus, "sh", "-c", `mount -t tmpfs none /run && mkdir -p /run/avahi-daemon && touch `+dir+`/ready &&
		exec avahi-daemon --no-drop-root --no-chroot --no-rlimits -f `+dir+`/avahi.conf`)
	waitFor(t, dir+"/ready")
	return bus
}

// publish has avahi announce a register, and waits until avahi took it.
func (l *lan) publish(t *testing.T, bus, name, port string, txt ...string) {
	t.Helper()
	// avahi-daemon takes a moment to appear on the bus; without -f publish gives up at once.
	l.start(t, bus, "avahi-publish", append([]string{"-f", "-s", name, ServiceType, port}, txt...)...)
}

// start runs a program in the shop until the test ends.
func (l *lan) start(t *testing.T, bus, name string, args ...string) {
	t.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", l.shopNS, name}, args...)...)
	cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+bus)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended with its bus
		_ = cmd.Wait()
	})
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Clean(path), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func waitFor(t *testing.T, path string) {
	t.Helper()
	for range 3000 {
		if _, err := os.Stat(path); err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s did not appear", path)
}
