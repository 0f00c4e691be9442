package discovery

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// network is a LAN in memory: who sits where, who announces, and how often
// each was bothered.
type network struct {
	mu        sync.Mutex
	at        map[netip.AddrPort]Identity
	announced []Candidate
	browses   int
	sweeps    int
	asked     map[netip.AddrPort]int
	hang      bool // looks last until their context ends
}

const (
	windowTakes = 5 * time.Second
	sweepTakes  = 4 * time.Second
)

func at(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func register(serial string) Identity { return Identity{Serial: serial, Model: "A930", Signed: true} }

func (n *network) prove(ctx context.Context, addr netip.AddrPort) (Identity, error) {
	n.mu.Lock()
	n.asked[addr]++
	id, ok := n.at[addr]
	n.mu.Unlock()
	select {
	case <-ctx.Done():
		return Identity{}, ctx.Err()
	case <-time.After(20 * time.Millisecond):
	}
	switch {
	case !ok:
		return Identity{}, errors.New("connection refused")
	case id.Model == "mute":
		<-ctx.Done()
		return Identity{}, ctx.Err()
	case id.Model == "chromecast":
		return Identity{}, errors.New("not a register")
	}
	return id, nil
}

func (n *network) move(from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.at[at(to)] = n.at[at(from)]
	delete(n.at, at(from))
}

func (n *network) look(ctx context.Context, takes time.Duration) error {
	n.mu.Lock()
	hang := n.hang
	n.mu.Unlock()
	if hang {
		<-ctx.Done()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(takes):
		return nil
	}
}

// finder returns a Finder over the network, with mDNS and a sweep set.
func (n *network) finder(t *testing.T, change ...func(*Config)) *Finder {
	t.Helper()
	if n.asked == nil {
		n.asked = map[netip.AddrPort]int{}
	}
	cfg := Config{Interfaces: []string{"eth0"}, Sweep: []netip.Prefix{prefix("192.168.1.0/24")},
		Provers: map[string]Prover{AzSmart: n.prove, Omnitech: n.prove}}
	for _, c := range change {
		c(&cfg)
	}
	f, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	f.lookMDNS = func(ctx context.Context) ([]Candidate, error) {
		n.mu.Lock()
		n.browses++
		n.mu.Unlock()
		if err := n.look(ctx, windowTakes); err != nil {
			return nil, err
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		var cs []Candidate
		for _, c := range n.announced {
			c.Via, c.Seen = ViaMDNS, time.Now()
			cs = append(cs, c)
		}
		return cs, nil
	}
	f.lookPorts = func(ctx context.Context) ([]netip.AddrPort, error) {
		n.mu.Lock()
		n.sweeps++
		n.mu.Unlock()
		if err := n.look(ctx, sweepTakes); err != nil {
			return nil, err
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		var open []netip.AddrPort
		for a := range n.at {
			open = append(open, a)
		}
		return open, nil
	}
	return f
}

func (n *network) counts() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return fmt.Sprintf("%d browses, %d sweeps", n.browses, n.sweeps)
}

func (n *network) wantCounts(t *testing.T, browses, sweeps int) {
	t.Helper()
	if got, want := n.counts(), fmt.Sprintf("%d browses, %d sweeps", browses, sweeps); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func mustFind(t *testing.T, f *Finder, w Want, addr string, via Via) Found {
	t.Helper()
	found, err := f.Find(t.Context(), w)
	if err != nil {
		t.Fatalf("find: %v", err)
	}
	if found.Addr != at(addr) || found.Via != via || !found.Signed || found.Protocol != w.Protocol {
		t.Fatalf("found %+v, want %s via %s", found, addr, via)
	}
	if w.Serial != "" && found.Serial != w.Serial {
		t.Fatalf("found register %s, want %s", found.Serial, w.Serial)
	}
	return found
}

func wantNone(t *testing.T, f *Finder, w Want) *NotFound {
	t.Helper()
	found, err := f.Find(t.Context(), w)
	var nf *NotFound
	if !errors.As(err, &nf) || !errors.Is(err, ErrNotFound) {
		t.Fatalf("found %+v, %v, want a NotFound", found, err)
	}
	return nf
}
