package announce

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"
)

// session is a name on the interfaces of one moment.
type session struct {
	a     *Announcer
	conn  *conn
	links []link
	heard <-chan packet
	r     records
	said  map[string]time.Time // when a question was last answered to all, by link and record
}

// The pace of RFC 6762: three probes (8.1), two announcements (8.3), and the rest of
// who loses (8.2).
const (
	probes     = 3
	probePause = 250 * time.Millisecond
	lostPause  = time.Second
	namesMost  = 50
)

// run finds a name that is free, and answers for it until ctx or the network ends.
func (s *session) run(ctx context.Context) error {
	s.said = map[string]time.Time{}
	for n := 1; n <= namesMost; {
		s.r = newRecords(numbered(s.a.c.Name, n), numberedService(s.a.c.Service, n), s.a.c.Port)
		switch verdict, err := s.probe(ctx); {
		case err != nil:
			return err
		case verdict == taken:
			n++
			continue
		case verdict == contested: // both begin at once: the other one has the better claim, and asks first
			if err := s.listen(ctx, lostPause, nil); err != nil {
				return err
			}
			continue
		}
		s.a.settle(s.r.host[:len(s.r.host)-1])
		s.a.c.Log.Info("the page has a name in the network", "name", s.a.Name(), "port", s.a.c.Port)
		lost, err := s.keep(ctx)
		if !lost {
			return err
		}
		s.a.settle("") // somebody else answers to it: ask again who has it
	}
	return errors.New("announce: every name up to " + numbered(s.a.c.Name, namesMost) + " is taken")
}

type verdict int

const (
	free verdict = iota
	taken
	contested
)

// probe asks three times who has the name.
func (s *session) probe(ctx context.Context) (v verdict, err error) {
	if err := s.listen(ctx, time.Duration(rand.Int64N(int64(probePause))), nil); err != nil {
		return free, err
	}
	for range probes {
		for _, l := range s.links {
			s.send(s.r.probe(l), l, nil)
		}
		err := s.listen(ctx, probePause, func(m *dns.Msg, l link) bool {
			switch {
			case m.Response && s.r.claims(append(m.Answer, m.Extra...), s.links):
				v = taken
			case !m.Response && s.r.beats(m.Ns, l, s.links):
				v = max(v, contested)
			}
			return v == taken
		})
		if err != nil || v != free {
			return v, err
		}
	}
	return free, nil
}

// keep answers questions; lost says that somebody else claims the name.
func (s *session) keep(ctx context.Context) (lost bool, err error) {
	for n := range 2 {
		if n > 0 {
			err = s.answer(ctx, time.Second, &lost)
		}
		if lost || err != nil {
			return lost, err
		}
		for _, l := range s.links {
			s.send(s.r.announcement(l, hostTTL), l, nil)
		}
	}
	for {
		if err := s.answer(ctx, look, &lost); lost || err != nil {
			return lost, err
		}
		if !slices.EqualFunc(s.links, s.a.links(), sameLink) {
			return false, errChanged
		}
	}
}

func sameLink(a, b link) bool {
	return a.iface.Index == b.iface.Index && slices.Equal(a.addrs, b.addrs)
}

// answer answers for so long.
func (s *session) answer(ctx context.Context, d time.Duration, lost *bool) error {
	return s.listenFrom(ctx, d, func(m *dns.Msg, l link, from *net.UDPAddr) bool {
		if m.Response {
			*lost = s.r.claims(append(m.Answer, m.Extra...), s.links)
			return *lost
		}
		legacy := from.Port != group.Port // a simple resolver, which wants its answer for itself
		reply := s.r.reply(m, l, legacy)
		if reply == nil {
			return false
		}
		if legacy {
			s.send(reply, l, from)
			return false
		}
		key := l.iface.Name + " " + reply.Answer[0].Header().Name + " " + dns.TypeToString[reply.Answer[0].Header().Rrtype]
		if len(m.Ns) == 0 && time.Since(s.said[key]) < time.Second { // all have just heard it (6)
			return false
		}
		s.said[key] = time.Now()
		s.send(reply, l, nil)
		return false
	})
}

func (s *session) listen(ctx context.Context, d time.Duration, each func(*dns.Msg, link) bool) error {
	return s.listenFrom(ctx, d, func(m *dns.Msg, l link, _ *net.UDPAddr) bool { return each != nil && each(m, l) })
}

// listenFrom hands over what is heard for so long, until each says that this was all.
func (s *session) listenFrom(ctx context.Context, d time.Duration, each func(*dns.Msg, link, *net.UDPAddr) bool) error {
	end := time.NewTimer(d)
	defer end.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end.C:
			return nil
		case p := <-s.heard:
			n := slices.IndexFunc(s.links, func(l link) bool { return l.iface.Index == p.iface })
			m, err := parse(p.data)
			if n >= 0 && err == nil && each(m, s.links[n], p.from) {
				return nil
			}
		}
	}
}

// parse reads a packet, and refuses what multicast DNS has not.
func parse(data []byte) (*dns.Msg, error) {
	m := new(dns.Msg)
	if err := m.Unpack(data); err != nil {
		return nil, err
	}
	if m.Opcode != dns.OpcodeQuery || m.Rcode != dns.RcodeSuccess || len(m.Question) > 64 {
		return nil, errors.New("no message of multicast dns")
	}
	return m, nil
}

// send writes to all on the link, or to one. What cannot be sent is lost like any
// packet: who needs it asks again.
func (s *session) send(m *dns.Msg, l link, to *net.UDPAddr) {
	data, err := m.Pack()
	if err != nil {
		s.a.c.Log.Error("a message of multicast dns cannot be written", "error", err)
		return
	}
	if to == nil {
		to = group
	}
	_, _ = s.conn.pc.WriteTo(data, &ipv4.ControlMessage{IfIndex: l.iface.Index, Src: net.IP(l.addrs[0].AsSlice())}, to)
}

// goodbye takes back what was announced.
func (s *session) goodbye() {
	if s.a.Name() == "" {
		return
	}
	for _, l := range s.links {
		s.send(s.r.announcement(l, 0), l, nil)
	}
}

// addrOf gives the address of a record; ok is false where it is none of IPv4.
func addrOf(rr dns.RR) (netip.Addr, bool) {
	a, ok := rr.(*dns.A)
	if !ok {
		return netip.Addr{}, false
	}
	addr, ok := netip.AddrFromSlice(a.A)
	return addr.Unmap(), ok
}
