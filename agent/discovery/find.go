package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// proveParallel bounds the candidates of one search that are asked at the same
// time; each is asked once.
const proveParallel = 4

// Find returns the wanted register where it is now, proved during this call.
// It takes at most one mDNS window, one sweep, and a few answers.
//
// With a serial, the first candidate that proves it is returned. Without one,
// all means are used, and the only register that accepts our signature is
// returned. The error is a *WrongRegister or matches ErrNotSigned when the
// fixed address leads to another register or to one that refuses us, an
// *Ambiguous when a person must choose, a *NotFound (matching ErrNotFound)
// when nothing helped, and ctx's when that ended first.
func (f *Finder) Find(ctx context.Context, w Want) (Found, error) {
	prove, err := f.prover(w)
	if err != nil {
		return Found{}, err
	}
	avoid, err := f.avoided()
	if err != nil {
		return Found{}, fmt.Errorf("find register %s: %w", w.Register, err)
	}
	s := &search{f: f, want: w, prove: prove, avoid: avoid, asked: map[place]bool{}}
	if w.Fixed.IsValid() {
		return s.fixed(ctx)
	}
	found, err := s.anywhere(ctx)
	if err != nil && ctx.Err() != nil {
		return Found{}, fmt.Errorf("find %s register %s: %w", w.Protocol, w.Serial, ctx.Err())
	}
	return found, err
}

// search is one call of Find.
type search struct {
	f     *Finder
	want  Want
	prove Prover
	avoid func(netip.AddrPort) bool

	asked    map[place]bool // each place is asked once in a search
	attempts []Attempt
	accepted []Found // with no serial wanted: those that accept our signature
	failures []error
}

// fixed tries the configured address only: a person wrote it, so anything
// else found elsewhere would be a guess against their word.
func (s *search) fixed(ctx context.Context) (Found, error) {
	c := Candidate{Addr: s.want.Fixed, Protocol: s.want.Protocol, Via: ViaFixed}
	if s.avoid(c.Addr) {
		return Found{}, fmt.Errorf("find register %s: its address %s is our own front door", s.want.Register, c.Addr)
	}
	found, err := s.ask(ctx, c)
	var wrong *WrongRegister
	switch {
	case err == nil:
		return found, nil
	case ctx.Err() != nil:
		return Found{}, fmt.Errorf("ask register at %s: %w", c.Addr, ctx.Err())
	case errors.As(err, &wrong), errors.Is(err, ErrNotSigned):
		return Found{}, fmt.Errorf("ask register at its fixed address %s: %w", c.Addr, err)
	default:
		return Found{}, &NotFound{Protocol: s.want.Protocol, Serial: s.want.Serial,
			Attempts: []Attempt{{Addr: c.Addr, Via: ViaFixed, Err: err}}}
	}
}

// anywhere goes through the sources until the register is found.
func (s *search) anywhere(ctx context.Context) (Found, error) {
	looks := []func() error{
		func() error { return nil }, // the last known address, before any look
		func() error { return s.f.browsed(ctx, s.want.ByHand) },
		func() error { return s.f.swept(ctx, s.want.ByHand) },
	}
	for i, look := range looks {
		if err := look(); err != nil {
			s.failures = append(s.failures, err)
		}
		cs := s.f.candidates(s.want.Protocol)
		if i == 0 {
			cs = nil
			if s.want.Last.IsValid() {
				cs = []Candidate{{Addr: s.want.Last, Protocol: s.want.Protocol, Via: ViaKnown}}
			}
		}
		if found, ok := s.askAll(ctx, cs); ok {
			return found, nil
		}
		if ctx.Err() != nil {
			return Found{}, ctx.Err()
		}
	}
	return s.conclude()
}

// conclude decides when nobody with the wanted serial was found.
func (s *search) conclude() (Found, error) {
	one := bySerial(s.accepted)
	switch {
	case len(one) == 1:
		one[0].Also = nil
		return one[0], nil
	case len(one) > 1:
		return Found{}, &Ambiguous{Protocol: s.want.Protocol, Found: one}
	}
	slices.SortFunc(s.attempts, func(a, b Attempt) int { return a.Addr.Compare(b.Addr) })
	e := &NotFound{Protocol: s.want.Protocol, Serial: s.want.Serial, Interfaces: s.f.cfg.Interfaces,
		Prefixes: s.f.cfg.Sweep, Attempts: s.attempts, Failures: s.failures}
	if len(e.Interfaces) > 0 {
		e.RetryAfter = s.f.browse.wait(s.f.cfg.BrowsePause)
	} else if len(e.Prefixes) > 0 {
		e.RetryAfter = s.f.sweep.wait(s.f.cfg.SweepPause)
	}
	return Found{}, e
}

// askAll asks the candidates that were not asked yet, those first that
// announce the wanted serial, and stops at the one that proves it.
func (s *search) askAll(ctx context.Context, cs []Candidate) (Found, bool) {
	cs = s.worthAsking(cs)
	ctx, stop := context.WithCancel(ctx)
	defer stop()

	var (
		mu    sync.Mutex
		match Found
		wg    sync.WaitGroup
	)
	slots := make(chan struct{}, proveParallel)
	for _, c := range cs {
		slots <- struct{}{} // each holder gives up with ctx, so no need to watch it here
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			found, err := s.ask(ctx, c)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil && ctx.Err() != nil: // stopped, not judged
			case err != nil:
				s.attempts = append(s.attempts, Attempt{Addr: c.Addr, Via: c.Via, Err: err})
				s.f.remember(s.verdict(c), err)
			case s.want.Serial == "":
				s.accepted = append(s.accepted, found)
			case !match.Addr.IsValid():
				match = found
				stop()
			}
		})
	}
	wg.Wait()
	return match, match.Addr.IsValid()
}

// worthAsking leaves out who was asked in this search, who failed a short while
// ago, our own front doors, and our other registers at work. The last known
// address is asked whatever it said before: a register that restarts is soon
// back where it was.
func (s *search) worthAsking(cs []Candidate) []Candidate {
	var worth []Candidate
	for _, c := range cs {
		p := place{c.Addr, c.Protocol}
		other := slices.ContainsFunc(s.want.Except, func(k Known) bool { return k.Addr == c.Addr })
		if s.asked[p] || other || s.avoid(c.Addr) {
			continue
		}
		s.asked[p] = true
		if err := s.f.remembered(s.verdict(c)); err != nil && !s.want.ByHand && c.Via != ViaKnown {
			s.attempts = append(s.attempts, Attempt{Addr: c.Addr, Via: c.Via, Err: err})
			continue
		}
		worth = append(worth, c)
	}
	hinted := func(c Candidate) int {
		if c.Serial != "" && c.Serial == s.want.Serial {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(worth, func(a, b Candidate) int { return cmp.Compare(hinted(a), hinted(b)) })
	return worth
}

// ask proves one candidate and checks that it is the wanted register.
func (s *search) ask(ctx context.Context, c Candidate) (Found, error) {
	found, err := s.f.identify(ctx, s.prove, c)
	switch {
	case err != nil:
		return Found{}, err
	case !found.Signed:
		return Found{}, ErrNotSigned
	case s.want.Serial != "" && found.Serial != s.want.Serial:
		return Found{}, &WrongRegister{Addr: c.Addr, Want: s.want.Serial, Got: found.Serial}
	case found.Serial != "" && slices.ContainsFunc(s.want.Except, func(k Known) bool { return k.Serial == found.Serial }):
		return Found{}, fmt.Errorf("register %s is another one of ours", found.Serial)
	case found.Serial == "" && c.Via != ViaFixed:
		// A person may vouch for an address that they wrote; a search may not.
		return Found{}, errors.New("the register does not tell its serial")
	}
	return found, nil
}

func (s *search) verdict(c Candidate) verdict {
	return verdict{s.want.Register, s.want.Serial, place{c.Addr, c.Protocol}}
}

// identify asks a candidate who it is, in the time that one answer may take.
func (f *Finder) identify(ctx context.Context, prove Prover, c Candidate) (Found, error) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.ProveTimeout)
	defer cancel()
	id, err := prove(ctx, c.Addr)
	if err != nil {
		return Found{}, err
	}
	found := Found{Addr: c.Addr, Protocol: c.Protocol, Model: strings.TrimSpace(id.Model), Signed: id.Signed, Via: c.Via, Name: c.Name}
	if id.Signed {
		found.Serial = strings.TrimSpace(id.Serial)
	}
	return found, nil
}

// List returns every register that can be found now by all means, and at the
// given further places (Addr, and Protocol if it is known), for a person who waits: proved as
// far as each lets itself be proved, one line for each serial, sorted by
// protocol, serial and address. Those that refuse our signature are listed by
// address, with Signed false. An error comes beside what was found: looks that
// failed as a whole, or ctx's.
func (f *Finder) List(ctx context.Context, also ...Candidate) ([]Found, error) {
	avoid, err := f.avoided()
	if err != nil {
		return nil, fmt.Errorf("list registers: %w", err)
	}
	var places []Candidate
	for _, c := range also {
		c.Via = ViaFixed
		places = append(places, f.spread(c)...)
	}
	var (
		wg                  sync.WaitGroup
		browseErr, sweepErr error
	)
	wg.Go(func() { browseErr = f.browsed(ctx, true) })
	wg.Go(func() { sweepErr = f.swept(ctx, true) })
	wg.Wait()

	var (
		mu    sync.Mutex
		found []Found
	)
	slots := make(chan struct{}, proveParallel)
	for _, c := range unique(append(places, f.candidates("")...)) {
		prove := f.cfg.Provers[c.Protocol]
		if prove == nil || avoid(c.Addr) {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if r, err := f.identify(ctx, prove, c); err == nil { // else: no register
				mu.Lock()
				defer mu.Unlock()
				found = append(found, r)
			}
		})
	}
	wg.Wait()
	return bySerial(found), errors.Join(browseErr, sweepErr, ctx.Err())
}

// bySerial joins what was found of one register at several addresses: the
// lowest address comes first, the others are in Also. Without a proved serial
// each address is its own line.
func bySerial(found []Found) []Found {
	found = slices.Clone(found)
	slices.SortFunc(found, func(a, b Found) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Serial, b.Serial), a.Addr.Compare(b.Addr))
	})
	var lines []Found
	for _, r := range found {
		if n := len(lines) - 1; n >= 0 && r.Serial != "" && lines[n].Serial == r.Serial && lines[n].Protocol == r.Protocol {
			if lines[n].Addr != r.Addr {
				lines[n].Also = append(lines[n].Also, r.Addr)
			}
			if lines[n].Name == "" {
				lines[n].Name = r.Name
			}
			continue
		}
		lines = append(lines, r)
	}
	return lines
}
