package discovery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Limits say how polite a sweep is. A zero field takes the value in brackets.
type Limits struct {
	Parallel  int           // connects under way at the same time (16)
	Timeout   time.Duration // for one connect (400 ms)
	PerSecond int           // connects started in a second (200)
}

func (l Limits) orDefault() Limits {
	if l.Parallel <= 0 {
		l.Parallel = 16
	}
	if l.Timeout <= 0 {
		l.Timeout = 400 * time.Millisecond
	}
	if l.PerSecond <= 0 {
		l.PerSecond = 200
	}
	return l
}

// Bounds of a sweep: more is a scan of someone's network, not a look for a register.
const (
	minPrefixBits = 22
	maxPrefixes   = 8
)

// CheckPrefix says whether p may be swept: an IPv4 subnet, private or
// loopback, and no larger than a /22.
func CheckPrefix(p netip.Prefix) error {
	switch {
	case !p.IsValid() || !p.Addr().Is4():
		return fmt.Errorf("sweep %s: only IPv4 subnets can be swept", p)
	case p.Bits() < minPrefixBits:
		return fmt.Errorf("sweep %s: too large, at most a /%d", p, minPrefixBits)
	case !p.Addr().IsPrivate() && !p.Addr().IsLoopback():
		return fmt.Errorf("sweep %s: not a private network", p)
	}
	return nil
}

func checkPrefixes(ps []netip.Prefix) error {
	if len(ps) > maxPrefixes {
		return fmt.Errorf("sweep: %d subnets given, at most %d", len(ps), maxPrefixes)
	}
	var errs []error
	for _, p := range ps {
		errs = append(errs, CheckPrefix(p))
	}
	return errors.Join(errs...)
}

// Sweep connects to every host of the subnets on every port, sends nothing,
// and returns the addresses that accepted, sorted. It leaves out network and
// broadcast addresses and, except on loopback, this host's own. Subnets that
// [CheckPrefix] refuses are an error before anything is sent. When ctx ends it
// returns what it has and ctx's error. A connect that this host itself refuses
// to make (no route, no rights) is an error as well, beside what was found.
func Sweep(ctx context.Context, prefixes []netip.Prefix, ports []uint16, limits Limits) ([]netip.AddrPort, error) {
	if err := checkPrefixes(prefixes); err != nil {
		return nil, err
	}
	own, err := ownAddrs()
	if err != nil {
		return nil, fmt.Errorf("sweep: read this host's addresses: %w", err)
	}
	return sweep(ctx, targets(prefixes, ports, own), limits.orDefault(), connect)
}

// sweep is Sweep without the network: dial stands for one connect.
func sweep(ctx context.Context, todo []netip.AddrPort, l Limits, dial func(context.Context, netip.AddrPort) error) ([]netip.AddrPort, error) {
	var (
		mu    sync.Mutex
		open  []netip.AddrPort
		local error // the first failure that is our own host's
		wg    sync.WaitGroup
	)
	slots := make(chan struct{}, l.Parallel)
	pace := time.NewTicker(time.Second / time.Duration(l.PerSecond))
	defer pace.Stop()

	ask := func(addr netip.AddrPort) {
		defer func() { <-slots }()
		dialCtx, cancel := context.WithTimeout(ctx, l.Timeout)
		defer cancel()
		err := dial(dialCtx, addr)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			open = append(open, addr)
		case local == nil && ours(err):
			local = fmt.Errorf("sweep: %w", err)
		}
	}

loop:
	for _, addr := range todo {
		select {
		case <-ctx.Done():
			break loop
		case <-pace.C:
		}
		select {
		case <-ctx.Done():
			break loop
		case slots <- struct{}{}:
		}
		wg.Go(func() { ask(addr) })
	}
	wg.Wait()
	slices.SortFunc(open, netip.AddrPort.Compare)
	return open, errors.Join(ctx.Err(), local)
}

// targets lists whom to connect to: port by port, so that the connects to one
// host are far apart.
func targets(prefixes []netip.Prefix, ports []uint16, own map[netip.Addr]bool) []netip.AddrPort {
	var hosts []netip.Addr
	for _, p := range prefixes {
		hosts = append(hosts, hostsOf(p)...)
	}
	slices.SortFunc(hosts, netip.Addr.Compare)
	hosts = slices.Compact(hosts) // subnets may overlap
	hosts = slices.DeleteFunc(hosts, func(a netip.Addr) bool { return own[a] && !a.IsLoopback() })

	ports = slices.Clone(ports)
	slices.Sort(ports)
	var todo []netip.AddrPort
	for _, port := range slices.Compact(ports) {
		for _, h := range hosts {
			todo = append(todo, netip.AddrPortFrom(h, port))
		}
	}
	return todo
}

// hostsOf lists a subnet's hosts, without network and broadcast address where
// it has them (a /31 and a /32 have none).
func hostsOf(p netip.Prefix) []netip.Addr {
	p = p.Masked()
	var hosts []netip.Addr
	for a := p.Addr(); a.IsValid() && p.Contains(a); a = a.Next() {
		hosts = append(hosts, a)
	}
	if p.Bits() < 31 {
		hosts = hosts[1 : len(hosts)-1]
	}
	return hosts
}

func connect(ctx context.Context, addr netip.AddrPort) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp4", addr.String())
	if err != nil {
		return err
	}
	return c.Close()
}

// ours reports whether a connect failed on this host, not at the other end.
// EHOSTUNREACH is missing on purpose: it also means that nobody has the address.
func ours(err error) bool {
	for _, e := range []error{syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EACCES, syscall.EPERM, syscall.EMFILE, syscall.ENFILE} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// ownAddrs returns the IPv4 addresses of this host.
func ownAddrs() (map[netip.Addr]bool, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	own := make(map[netip.Addr]bool)
	for _, a := range addrs {
		if p, ok := ipv4Prefix(a); ok {
			own[p.Addr()] = true
		}
	}
	return own, nil
}

func ipv4Prefix(a net.Addr) (netip.Prefix, bool) {
	n, ok := a.(*net.IPNet)
	if !ok {
		return netip.Prefix{}, false
	}
	ip, ok := netip.AddrFromSlice(n.IP)
	if !ok || !ip.Unmap().Is4() {
		return netip.Prefix{}, false
	}
	ones, bits := n.Mask.Size()
	if bits == 128 {
		ones -= 96
	}
	return netip.PrefixFrom(ip.Unmap(), ones), true
}

// LAN names the interfaces that look like the shop's network (up, multicast,
// a private IPv4 address; not loopback, not point to point) and their
// subnets, each cut to the /24 around our address where it is larger than a
// sweep may be. It serves commands that were given neither.
func LAN() (ifaces []string, prefixes []netip.Prefix, err error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, nil, fmt.Errorf("list interfaces: %w", err)
	}
	const want, not = net.FlagUp | net.FlagMulticast, net.FlagLoopback | net.FlagPointToPoint
	for _, i := range all {
		if i.Flags&want != want || i.Flags&not != 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			return nil, nil, fmt.Errorf("read addresses of %s: %w", i.Name, err)
		}
		var private bool
		for _, a := range addrs {
			p, ok := ipv4Prefix(a)
			if !ok || !p.Addr().IsPrivate() {
				continue
			}
			private = true
			if p.Bits() < minPrefixBits {
				p = netip.PrefixFrom(p.Addr(), 24)
			}
			prefixes = append(prefixes, p.Masked())
		}
		if private {
			ifaces = append(ifaces, i.Name)
		}
	}
	slices.SortFunc(prefixes, netip.Prefix.Compare)
	return ifaces, slices.Compact(prefixes), nil
}
