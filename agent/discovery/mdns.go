package discovery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/grandcat/zeroconf"
)

// ServiceType is the DNS-SD type under which registers announce themselves, in
// the domain "local". TXT: protocol=azsmart|omnitech|caspos, serial=….
const ServiceType = "_ekassa._tcp"

const domain = "local."

// Browse asks on the given interfaces, over IPv4, who announces [ServiceType],
// listens for the window, and returns a candidate for each announced address,
// sorted. It returns early, with what it has and ctx's error, when ctx ends.
// No interfaces is an error: the library would then take all there are, and
// questions may go only where they were allowed.
//
// Interfaces are joined when Browse starts, so look them up for each window;
// one that cannot be joined is passed over unless it is the only one. An address may
// lie outside of their subnets: it is a candidate like any other.
func Browse(ctx context.Context, ifaces []net.Interface, window time.Duration) (found []Candidate, err error) {
	if len(ifaces) == 0 {
		return nil, errors.New("browse mdns: no interface given")
	}
	// The library panics in places. This catches what happens on our side of it;
	// its own goroutines are kept from their one known panic (closing the entries
	// twice) because each window has its own resolver and we never close.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("browse mdns: zeroconf panicked: %v", p)
		}
	}()

	resolver, err := zeroconf.NewResolver(
		zeroconf.SelectIPTraffic(zeroconf.IPv4),
		zeroconf.SelectIfaces(ifaces))
	if err != nil {
		return nil, fmt.Errorf("browse mdns: join the group: %w", err)
	}

	windowCtx, cancel := context.WithTimeout(ctx, window)
	defer cancel()
	entries := make(chan *zeroconf.ServiceEntry, 16)
	drained := make(chan []Candidate, 1)
	go func() { drained <- drain(entries, anyLoopback(ifaces)) }()

	// Even when Browse fails the library closes entries, once windowCtx has ended.
	browseErr := resolver.Browse(windowCtx, ServiceType, domain, entries)
	if browseErr != nil {
		cancel()
	}
	found = unique(<-drained)
	if browseErr != nil {
		return nil, fmt.Errorf("browse mdns: %w", browseErr)
	}
	return found, ctx.Err()
}

// drain reads until the library closes the channel; it must never stop
// reading before, because the library then waits for ever.
func drain(entries <-chan *zeroconf.ServiceEntry, loopback bool) []Candidate {
	var found []Candidate
	for e := range entries {
		if len(found) < maxCandidates {
			found = append(found, fromEntry(e, loopback, time.Now())...)
		}
	}
	return found[:min(len(found), maxCandidates)]
}

// fromEntry makes a candidate for each address of an entry that is really of
// our service type.
func fromEntry(e *zeroconf.ServiceEntry, loopback bool, now time.Time) []Candidate {
	if e == nil || e.Service != ServiceType || foreign(e.Instance) || e.Port < 1 || e.Port > 65535 {
		return nil
	}
	protocol, serial := fromTXT(e.Text)
	var cs []Candidate
	for _, ip := range e.AddrIPv4 {
		addr, _ := netip.AddrFromSlice(ip)
		ap := netip.AddrPortFrom(addr.Unmap(), uint16(e.Port))
		if plausible(ap, loopback) {
			cs = append(cs, Candidate{Addr: ap, Protocol: protocol, Serial: serial,
				Name: clean(unescape(e.Instance)), Via: ViaMDNS, Seen: now})
		}
	}
	return cs
}

func anyLoopback(ifaces []net.Interface) bool {
	for _, i := range ifaces {
		if i.Flags&net.FlagLoopback != 0 {
			return true
		}
	}
	return false
}

// interfaces looks names up now; those that are missing at the moment are
// passed over (Wi-Fi may come later) unless none is left.
func interfaces(names []string) ([]net.Interface, error) {
	var ifaces []net.Interface
	var missing []error
	for _, n := range names {
		i, err := net.InterfaceByName(n)
		switch {
		case err != nil:
			missing = append(missing, fmt.Errorf("look up interface %s: %w", n, err))
		case i.Flags&net.FlagUp == 0:
			missing = append(missing, fmt.Errorf("interface %s is down", n))
		default:
			ifaces = append(ifaces, *i)
		}
	}
	if len(ifaces) == 0 {
		return nil, errors.Join(missing...)
	}
	return ifaces, nil
}
