package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Config says where and how a Finder looks. A zero duration or limit takes the
// value in brackets.
type Config struct {
	Interfaces []string          // for mDNS, by name; none means no mDNS, never all
	Sweep      []netip.Prefix    // subnets to sweep, see CheckPrefix; none means no sweep
	Ports      map[string]uint16 // protocol to its port (DefaultPorts)
	Provers    map[string]Prover // protocol to its prover
	Avoid      []netip.AddrPort  // our own front doors; 0.0.0.0 stands for every address of this host

	Window       time.Duration // of mDNS listening (5 s)
	BrowsePause  time.Duration // between mDNS windows (30 s); also before one who was refused is asked again, doubling up to SweepPause
	SweepPause   time.Duration // between sweeps (5 min); for a person BrowsePause
	TTL          time.Duration // a candidate not seen for so long is forgotten (10 min)
	ProveTimeout time.Duration // for one candidate's answer (3 s)
	Limits       Limits        // of the sweep
}

// Want describes the register that is looked for.
type Want struct {
	Register string         // its id in the settings; keeps apart what is remembered of several
	Protocol string         // one of the known protocols
	Serial   string         // empty: not paired yet, any single one will do
	Fixed    netip.AddrPort // the address from the settings; when valid, the only one that is tried
	Last     netip.AddrPort // where it was last seen, tried first
	Except   []Known        // other registers of ours: neither asked nor returned
	Prove    Prover         // with this register's own secret; nil means Config.Provers
	ByHand   bool           // a person asks and waits: the pauses are cut short
}

// Known is a register of ours that is in its place and at work.
type Known struct {
	Addr   netip.AddrPort // where it is talked to at present; zero when it is not
	Serial string
}

// Finder finds registers. It is safe for concurrent use; it has no goroutines
// of its own and needs no closing.
type Finder struct {
	cfg           Config
	browse, sweep round

	// The network, replaced in tests.
	lookMDNS  func(context.Context) ([]Candidate, error)
	lookPorts func(context.Context) ([]netip.AddrPort, error)
	own       func() (map[netip.Addr]bool, error)

	mu      sync.Mutex
	seen    map[place]Candidate
	refused map[verdict]refusal
}

// place is where a candidate is and what it may be.
type place struct {
	addr     netip.AddrPort
	protocol string
}

// verdict names a candidate as judged for one wanted register.
type verdict struct {
	register, serial string
	place            place
}

// refusal is why a candidate was not the wanted register. Only refusals are
// remembered: who is returned has proved itself in that very call.
type refusal struct {
	err   error
	at    time.Time
	pause time.Duration // until it is asked again
}

// New checks the configuration and returns a Finder. It touches nothing on the network.
func New(cfg Config) (*Finder, error) {
	if err := checkPrefixes(cfg.Sweep); err != nil {
		return nil, err
	}
	if cfg.Ports == nil {
		cfg.Ports = DefaultPorts()
	}
	for protocol, port := range cfg.Ports {
		if !isProtocol(protocol) || port == 0 {
			return nil, fmt.Errorf("discovery: port %d for protocol %q: not a protocol that is known, or no port", port, protocol)
		}
	}
	cfg.Window = cmp.Or(cfg.Window, 5*time.Second)
	cfg.BrowsePause = cmp.Or(cfg.BrowsePause, 30*time.Second)
	cfg.SweepPause = cmp.Or(cfg.SweepPause, 5*time.Minute)
	cfg.TTL = cmp.Or(cfg.TTL, 10*time.Minute)
	cfg.ProveTimeout = cmp.Or(cfg.ProveTimeout, 3*time.Second)

	f := &Finder{cfg: cfg, own: ownAddrs, seen: map[place]Candidate{}, refused: map[verdict]refusal{}}
	f.lookMDNS = func(ctx context.Context) ([]Candidate, error) {
		var ifaces []net.Interface
		ifaces, err := interfaces(cfg.Interfaces)
		if err != nil {
			return nil, fmt.Errorf("browse mdns: %w", err)
		}
		return Browse(ctx, ifaces, cfg.Window)
	}
	f.lookPorts = func(ctx context.Context) ([]netip.AddrPort, error) {
		return Sweep(ctx, cfg.Sweep, slices.Collect(maps.Values(cfg.Ports)), cfg.Limits)
	}
	return f, nil
}

// browsed runs an mDNS window, or shares one, and keeps what it brought.
func (f *Finder) browsed(ctx context.Context, byHand bool) error {
	if len(f.cfg.Interfaces) == 0 {
		return nil
	}
	pause := f.cfg.BrowsePause
	if byHand {
		pause = 0
	}
	return f.browse.run(ctx, pause, func(ctx context.Context) error {
		cs, err := f.lookMDNS(ctx)
		for _, c := range cs {
			f.keep(c)
		}
		f.trim()
		return err
	})
}

// swept runs a sweep, or shares one, and keeps what answered.
func (f *Finder) swept(ctx context.Context, byHand bool) error {
	if len(f.cfg.Sweep) == 0 {
		return nil
	}
	pause := f.cfg.SweepPause
	if byHand {
		pause = f.cfg.BrowsePause
	}
	return f.sweep.run(ctx, pause, func(ctx context.Context) error {
		open, err := f.lookPorts(ctx)
		for _, addr := range open {
			f.keep(Candidate{Addr: addr, Via: ViaSweep, Seen: time.Now()})
		}
		return err
	})
}

// spread makes a candidate into one for each protocol it may speak: the
// announced one, else those whose port it has.
func (f *Finder) spread(c Candidate) []Candidate {
	if isProtocol(c.Protocol) {
		return []Candidate{c}
	}
	var cs []Candidate
	for protocol, port := range f.cfg.Ports {
		if port == c.Addr.Port() {
			c.Protocol = protocol
			cs = append(cs, c)
		}
	}
	return cs
}

// keep remembers what a look brought.
func (f *Finder) keep(found Candidate) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.spread(found) {
		p := place{c.Addr, c.Protocol}
		// An open port says less than an announcement; it only shows that someone is still there.
		if old, ok := f.seen[p]; ok && c.Via == ViaSweep && f.fresh(old) {
			old.Seen = c.Seen
			c = old
		}
		f.seen[p] = c
	}
}

// trim forgets the announcements not heard for longest, when there are more
// than a shop can have: they come from strangers, and each costs a question.
func (f *Finder) trim() {
	f.mu.Lock()
	defer f.mu.Unlock()
	var announced []Candidate
	for _, c := range f.seen {
		if c.Via == ViaMDNS {
			announced = append(announced, c)
		}
	}
	if len(announced) <= maxCandidates {
		return
	}
	slices.SortFunc(announced, func(a, b Candidate) int { return cmp.Or(b.Seen.Compare(a.Seen), byAddr(a, b)) })
	for _, c := range announced[maxCandidates:] {
		delete(f.seen, place{c.Addr, c.Protocol})
	}
}

func (f *Finder) fresh(c Candidate) bool { return time.Since(c.Seen) < f.cfg.TTL }

// candidates returns who has been seen lately and speaks the protocol (any,
// when it is empty), sorted, and forgets the others.
func (f *Finder) candidates(protocol string) []Candidate {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.seen, func(_ place, c Candidate) bool { return !f.fresh(c) })
	var cs []Candidate
	for _, c := range f.seen {
		if protocol == "" || c.Protocol == protocol {
			cs = append(cs, c)
		}
	}
	return unique(cs)
}

// remembered returns why the candidate was refused, while it is too soon to ask it again.
func (f *Finder) remembered(v verdict) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r, ok := f.refused[v]; ok && time.Since(r.at) < r.pause {
		return r.err
	}
	return nil
}

// remember keeps a refusal. Who is refused again and again is asked less and
// less: the LAN is full of things that hold port 8008 open and are no register.
func (f *Finder) remember(v verdict, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.refused, func(_ verdict, r refusal) bool { return time.Since(r.at) > r.pause+f.cfg.TTL })
	pause := f.cfg.BrowsePause
	if old, ok := f.refused[v]; ok {
		pause = min(2*old.pause, f.cfg.SweepPause)
	}
	f.refused[v] = refusal{err: err, at: time.Now(), pause: pause}
}

// avoided returns a test for addresses that are never asked: our own front doors.
func (f *Finder) avoided() (func(netip.AddrPort) bool, error) {
	if len(f.cfg.Avoid) == 0 {
		return func(netip.AddrPort) bool { return false }, nil
	}
	own, err := f.own()
	if err != nil {
		return nil, fmt.Errorf("read this host's addresses: %w", err)
	}
	return func(a netip.AddrPort) bool {
		for _, door := range f.cfg.Avoid {
			host := a.Addr()
			hit := door.Addr() == host || door.Addr().IsUnspecified() && (own[host] || host.IsLoopback())
			if hit && door.Port() == a.Port() {
				return true
			}
		}
		return false
	}, nil
}

var errNoProver = errors.New("no prover for this protocol")

func (f *Finder) prover(w Want) (Prover, error) {
	if w.Prove != nil {
		return w.Prove, nil
	}
	if p := f.cfg.Provers[w.Protocol]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("find register %s: %w (%q)", w.Register, errNoProver, w.Protocol)
}
