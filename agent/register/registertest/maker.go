// Package registertest is the one suite that every driver passes, against the
// register in software of its maker. README.md of agent/register says how to add
// a maker.
//
// Driver and simulator are written from the same page by different hands: what
// they agree on has been read twice.
package registertest

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/register/simulator"
	"ekassa/cloud/hosttest"
)

// Maker is one row of the table: a driver, and the register that it is tried on.
type Maker struct {
	Name string
	Sim  simulator.Config // without Listen and Clock

	// Dial makes a driver; wrong is with credentials that the register does not
	// take. Every call is a new agent: nothing is remembered from the last one.
	Dial func(addr netip.AddrPort, wrong bool) register.Register

	// Routes are what the simulator calls the document of each kind. A kind that
	// is not in it is not made by this maker.
	Routes map[receipt.Kind]string
	// Classes are what the page promises; a kind that is not in it: Neither.
	Classes map[receipt.Kind]register.Class
	// Bad is a code that refuses a document for its data.
	Bad int
	// NoCopies: the maker's page has no reprint of any document but the last.
	NoCopies bool
	// KeepsPayments: it takes no payment of a debt back.
	KeepsPayments bool
}

func (m Maker) class(k receipt.Kind) register.Class {
	if c, ok := m.Classes[k]; ok {
		return c
	}
	return register.Neither
}

// shop is a register and a driver for one test.
type shop struct {
	testing.TB
	maker Maker
	sim   *simulator.Simulator
	reg   register.Register
	keys  int64

	repaid register.Repaid // of the credit sale that is paid off now
}

// patience is how long a test waits for a register that starts again.
const patience = 5 * time.Second

func (m Maker) start(t *testing.T) *shop {
	t.Helper()
	cfg := m.Sim
	cfg.Listen = hosttest.New() + ":8008"
	sim, err := simulator.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &shop{TB: t, maker: m, sim: sim, keys: 7_000_000_000}
	s.reg = s.dial(false)
	if _, err := s.reg.Identify(t.Context()); err != nil {
		t.Fatalf("identify: %v", err)
	}
	return s
}

// open is start with an open shift and some cash.
func (m Maker) open(t *testing.T) *shop {
	t.Helper()
	s := m.start(t)
	if o := s.reg.OpenShift(t.Context(), "Əli"); o.Verdict != register.Made {
		t.Fatalf("open the shift: %+v", o)
	}
	return s
}

func (s *shop) dial(wrong bool) register.Register {
	s.Helper()
	addr, err := netip.ParseAddrPort(s.sim.Addr())
	if err != nil {
		s.Fatal(err)
	}
	return s.maker.Dial(addr, wrong)
}

// prepare does what the engine does before the first byte: baseline and request.
func (s *shop) prepare(r receipt.Receipt, parent *receipt.Stored) (register.Request, register.Baseline) {
	s.Helper()
	s.keys++
	return s.prepareAs(decimal(s.keys), r, parent, false)
}

func (s *shop) prepareAs(key string, r receipt.Receipt, parent *receipt.Stored, again bool) (register.Request, register.Baseline) {
	s.Helper()
	b, err := s.reg.Baseline(s.Context(), r.Kind)
	if err != nil {
		s.Fatalf("baseline of %s: %v", r.Kind, err)
	}
	if b.Serial != s.sim.Serial() {
		s.Fatalf("baseline of %s, and %s stands there", b.Serial, s.sim.Serial())
	}
	q, err := s.reg.Prepare(register.Job{Key: key, Terminal: "till-1", Receipt: r, Parent: parent, Baseline: b, Again: again, Repaid: s.repaid})
	if err != nil {
		s.Fatalf("prepare %s: %v", r.Kind, err)
	}
	return q, b
}

// make has a receipt made, and gives it as the journal would have it.
func (s *shop) make(r receipt.Receipt, parent *receipt.Stored) *receipt.Stored {
	s.Helper()
	q, _ := s.prepare(r, parent)
	o := s.reg.Send(s.Context(), q)
	if o.Verdict != register.Made || o.Document == nil {
		s.Fatalf("send %s: %+v", r.Kind, o)
	}
	return &receipt.Stored{Receipt: r, Key: q.Key, Terminal: "till-1", State: receipt.Fiscal, Document: o.Document}
}

// reach waits until the register answers again.
func (s *shop) reach() {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	for {
		_, err := s.reg.Identify(ctx)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			s.Fatalf("the register stays away: %v", err)
		}
		select { // a moment between two questions, not a wait for anything
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}
