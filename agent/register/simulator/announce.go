package simulator

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/grandcat/zeroconf"
)

// Service is the DNS-SD type under which registers of this project announce
// themselves. The makers announce nothing (the AzSmart page, section 2.5).
const Service = "_ekassa._tcp"

// announcer keeps the register in multicast DNS. It always names its interfaces:
// with none named the library would announce on all of them.
type announcer struct {
	protocol Protocol
	port     int
	ips      []string
	ifaces   []net.Interface

	mu     sync.Mutex
	server *zeroconf.Server
	closed bool
}

func newAnnouncer(protocol Protocol, addr *net.TCPAddr, names []string, serial string) (*announcer, error) {
	a := &announcer{protocol: protocol, port: addr.Port}
	var err error
	if len(names) == 0 {
		a.ifaces, err = owner(addr.IP)
	} else {
		a.ifaces, err = named(names)
	}
	if err != nil {
		return nil, err
	}
	if addr.IP.IsUnspecified() {
		a.ips = addressesOf(a.ifaces)
	} else if ip := addr.IP.To4(); ip != nil {
		a.ips = []string{ip.String()}
	}
	if len(a.ips) == 0 {
		return nil, fmt.Errorf("announce by mdns: %s has no ipv4 address: listen on one, or leave --mdns out", addr.IP)
	}
	return a, a.rename(serial)
}

// rename announces the register under its serial, after a goodbye for the last one.
func (a *announcer) rename(serial string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil
	}
	a.goodbye()
	text := []string{"protocol=" + string(a.protocol), "serial=" + serial, "path=" + makers[a.protocol].path}
	host := string(a.protocol) + "-" + strings.Map(hostChar, strings.ToLower(serial))
	var err error
	a.server, err = zeroconf.RegisterProxy(makers[a.protocol].title+" "+serial, Service, "local.", a.port, host, a.ips, text, a.ifaces)
	if err != nil {
		a.server = nil
		return fmt.Errorf("announce by mdns: %w: name another interface, or leave --mdns out", err)
	}
	return nil
}

// close sends the goodbye, for good.
func (a *announcer) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.goodbye()
	a.closed = true
}

func (a *announcer) goodbye() {
	if a.server != nil {
		a.server.Shutdown()
		a.server = nil
	}
}

func hostChar(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
		return r
	}
	return '-'
}

func named(names []string) ([]net.Interface, error) {
	var out []net.Interface
	for _, n := range names {
		i, err := net.InterfaceByName(n)
		if err != nil {
			return nil, fmt.Errorf("announce by mdns: interface %q: no such interface: see ip link", n)
		}
		out = append(out, *i)
	}
	return out, nil
}

// owner finds the interface that has the address.
func owner(ip net.IP) ([]net.Interface, error) {
	if ip.IsUnspecified() {
		return nil, errors.New("announce by mdns: the listen address is that of all interfaces: name one with --interface")
	}
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("announce by mdns: list the interfaces: %w", err)
	}
	for _, i := range all {
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			n, ok := a.(*net.IPNet)
			if !ok {
				continue
			}
			if n.IP.Equal(ip) || ip.IsLoopback() && i.Flags&net.FlagLoopback != 0 {
				return []net.Interface{i}, nil
			}
		}
	}
	return nil, fmt.Errorf("announce by mdns: no interface has the address %s: name one with --interface", ip)
}

func addressesOf(ifaces []net.Interface) []string {
	var out []string
	for _, i := range ifaces {
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil {
				out = append(out, n.IP.String())
			}
		}
	}
	return out
}
