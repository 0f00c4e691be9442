package simulator

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grandcat/zeroconf"
	"github.com/miekg/dns"
)

// TestMDNS_AnnouncesTheRegisterOnLoopback looks for it as an agent would, on the
// loopback interface and nowhere else.
func TestMDNS_AnnouncesTheRegisterOnLoopback(t *testing.T) {
	for _, tc := range []struct {
		protocol     Protocol
		serial, path string
	}{{AzSmart, "NMQ-mdns", "/"}, {Caspos, "NMQ-mdns-caspos", "/"}} {
		t.Run(string(tc.protocol), func(t *testing.T) {
			e := browse(t, func(c *Config) { c.Protocol, c.Serial = tc.protocol, tc.serial })
			for _, want := range []string{"protocol=" + string(tc.protocol), "serial=" + tc.serial, "path=" + tc.path} {
				if !slices.Contains(e.Text, want) {
					t.Errorf("no %s in %v", want, e.Text)
				}
			}
		})
	}
}

// browse starts a register that announces itself and returns what is found.
func browse(t *testing.T, change func(*Config)) (entry *zeroconf.ServiceEntry) {
	t.Helper()
	lo := loopback(t)
	s, _ := start(t, change, func(c *Config) { c.MDNS, c.Listen = true, "127.0.0.1:0" })
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	r, err := zeroconf.NewResolver(zeroconf.SelectIPTraffic(zeroconf.IPv4), zeroconf.SelectIfaces([]net.Interface{lo}))
	if err != nil {
		t.Fatalf("no multicast on loopback: %v", err)
	}
	found := make(chan *zeroconf.ServiceEntry, 16)
	if err := r.Browse(ctx, Service, "local.", found); err != nil {
		t.Fatal(err)
	}
	for e := range found { // the library closes it when ctx ends
		if !strings.HasSuffix(e.Instance, " "+s.Serial()) || entry != nil {
			continue // drained until the library is done
		}
		entry = e
		cancel()
	}
	if entry == nil {
		t.Fatal("not found")
	}
	if entry.Port != s.gate.Addr().(*net.TCPAddr).Port || len(entry.AddrIPv4) != 1 || !entry.AddrIPv4[0].Equal(net.IPv4(127, 0, 0, 1)) {
		t.Errorf("%+v", entry)
	}
	return entry
}

func loopback(t *testing.T) net.Interface {
	t.Helper()
	ifaces, err := owner(net.IPv4(127, 0, 0, 1))
	if err != nil || len(ifaces) != 1 {
		t.Fatalf("%v %v", ifaces, err)
	}
	return ifaces[0]
}

func TestMDNS_NeverAnnouncesOnAllInterfaces(t *testing.T) {
	for name, cfg := range map[string]Config{
		"all addresses":     {Listen: "0.0.0.0:0", MDNS: true},
		"unknown interface": {Listen: "127.0.0.1:0", MDNS: true, Interfaces: []string{"no-such0"}},
	} {
		s, err := Start(cfg)
		if err == nil {
			s.Close()
			t.Errorf("%s: started", name)
			continue
		}
		if !strings.HasPrefix(err.Error(), "announce by mdns: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := owner(net.IPv4(192, 0, 2, 1)); err == nil {
		t.Error("an interface for an address that nobody has")
	}
}

// TestMDNS_SaysGoodbye listens on the wire: browsing libraries hide goodbyes.
func TestMDNS_SaysGoodbye(t *testing.T) {
	lo := loopback(t)
	conn, err := net.ListenMulticastUDP("udp4", &lo, &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353})
	if err != nil {
		t.Fatalf("no multicast on loopback: %v", err)
	}
	defer conn.Close()
	s, _ := start(t, func(c *Config) { c.MDNS, c.Serial = true, "NMQ-bye" })
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 9000)
	here := false
	for {
		n, _, err := conn.ReadFromUDP(buf)
		if err != nil {
			t.Fatalf("no goodbye: %v", err)
		}
		var m dns.Msg
		if m.Unpack(buf[:n]) != nil || !m.Response {
			continue
		}
		for _, rr := range m.Answer {
			srv, ok := rr.(*dns.SRV)
			if !ok || !strings.Contains(srv.Hdr.Name, "NMQ-bye") {
				continue
			}
			if srv.Hdr.Ttl == 0 {
				return
			}
			if !here {
				here = true
				go s.Close()
			}
		}
	}
}
