package dispatch_test

import (
	"testing"
	"time"

	"ekassa/agent/dispatch"
	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// loses has the next sale's answer be lost: so many documents are made of it, and by
// hand, then the shift is closed on the register, which is away for ten minutes.
func (s *shop) loses(makes, byHand int, nextShift string) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	s.d.lost = func(key string) {
		for range makes {
			s.d.make(key)
		}
		for range byHand {
			s.d.make("")
		}
		s.d.shifts++
		s.d.shift.ID = nextShift
		s.d.deadTill = time.Now().Add(10 * time.Minute)
	}
}

// doubtful gives a sale that a person is asked about, and one that waited behind it.
func (s *shop) doubtful(makes, byHand int) (doubt, waited string) {
	s.t.Helper()
	s.is(s.sell(), receipt.Fiscal, "")
	s.loses(makes, byHand, "second")
	doubt = s.sell()
	time.Sleep(time.Minute)
	waited = s.sell()
	time.Sleep(11 * time.Minute)
	s.is(doubt, receipt.Held, register.WhyCannotTell)
	return doubt, waited
}

func (s *shop) answer(id string, v receipt.Verdict, paper int) {
	s.t.Helper()
	d := receipt.Decision{Verdict: v, Who: "Aysel", Why: "looked at the paper"}
	if v == receipt.WasMade {
		s.d.mu.Lock()
		d.Document = &receipt.Document{FiscalID: s.d.ledger[paper].id}
		s.d.mu.Unlock()
	}
	if _, err := s.j.Resolve("till-1", id, at("kassa-1"), d); err != nil {
		s.t.Fatal(err)
	}
	time.Sleep(time.Minute)
}

func forgets(d *device, _ *dispatch.Setup) { d.forgets = true }

func asksFirst(d *device, s *dispatch.Setup) { d.forgets, s.Replay.Ask = true, true }

func TestLoop_ASecondDoubtCountsForWhatIsHeldAlready(t *testing.T) {
	inShop(t, forgets, func(s *shop) {
		a, w := s.doubtful(1, 0)
		s.is(w, receipt.Held, register.WhyAnswer)
		s.loses(0, 1, "third") // b is not made; w is rung up by hand
		b := s.sell()
		time.Sleep(12 * time.Minute)
		s.is(b, receipt.Held, register.WhyCannotTell)
		s.answer(a, receipt.WasMade, 1)
		s.is(w, receipt.Held, register.WhyAnswer)
		s.answer(b, receipt.Drop, 0)
		s.is(w, receipt.Held, register.WhyRangByHand)
	})
}

func TestLoop_WhatWasRungUpByHandWhileItWasHeldIsNotSent(t *testing.T) {
	inShop(t, forgets, func(s *shop) {
		a, w := s.doubtful(1, 0)
		time.Sleep(2 * time.Hour)
		s.rungUpByHand() // w, whose guest wants paper
		time.Sleep(time.Hour)
		s.answer(a, receipt.WasMade, 1)
		s.is(w, receipt.Held, register.WhyRangByHand)
	})
}

func TestLoop_APaperOfTheNextShiftExplainsNothing(t *testing.T) {
	inShop(t, forgets, func(s *shop) {
		a, w := s.doubtful(0, 1) // w is what was rung up by hand
		s.rungUpByHand()         // and a, for the guest who asks for paper
		s.answer(a, receipt.WasMade, 2)
		s.is(w, receipt.Held, register.WhyRangByHand)
	})
}

func TestLoop_AnAnswerReleasesNothingWhereTheSettingsAsk(t *testing.T) {
	inShop(t, asksFirst, func(s *shop) {
		a, w := s.doubtful(1, 0)
		s.is(w, receipt.Held, register.WhyRangByHand)
		s.answer(a, receipt.WasMade, 1)
		s.is(w, receipt.Held, register.WhyRangByHand)
	})
}

func TestLoop_ALaterQuestionDoesNotHideWhatWasRungUpByHand(t *testing.T) {
	inShop(t, forgets, func(s *shop) {
		a, w := s.doubtful(0, 1)
		s.is(w, receipt.Held, register.WhyAnswer)
		s.stop()
		s.setup.Replay.Ask = true
		s.start()
		time.Sleep(time.Minute)
		s.answer(a, receipt.Drop, 0)
		s.is(w, receipt.Held, register.WhyRangByHand)
	})
}

// A document that no look has found yet is not among those that are known not to
// be ours, so that an answer about it takes nothing from them.
func TestLoop_AnAnswerBeforeALookLowersNoCount(t *testing.T) {
	inShop(t, func(d *device, _ *dispatch.Setup) { d.class = register.Neither }, func(s *shop) {
		s.is(s.sell(), receipt.Fiscal, "")
		s.away(10 * time.Minute)
		s.rungUpByHand()
		time.Sleep(11 * time.Minute)
		s.is(s.sell(), receipt.Fiscal, "") // one by hand is known
		time.Sleep(time.Minute)
		s.d.mu.Lock()
		s.d.lost = func(key string) { s.d.make(key); s.d.ledger[len(s.d.ledger)-1].key = "hidden" }
		s.d.mu.Unlock()
		a := s.sell()
		time.Sleep(3 * time.Minute)
		s.is(a, receipt.Held, register.WhyCannotTell)
		s.answer(a, receipt.WasMade, s.documents()-1)
		s.away(10 * time.Minute)
		w := s.sell()
		time.Sleep(11 * time.Minute)
		s.is(w, receipt.Fiscal, "")
	})
}

// Somebody opens the shift on the page before the register was looked at after an
// absence: what was rung up in the one before is counted all the same.
func TestLoop_OpeningAShiftHidesNothingOfTheOneBefore(t *testing.T) {
	inShop(t, nil, func(s *shop) {
		s.is(s.sell(), receipt.Fiscal, "")
		s.away(10 * time.Minute)
		w := s.sell()
		time.Sleep(time.Minute)
		s.byHand(func(d *device) {
			d.make("")
			d.shift.Open = false
			d.deadTill = time.Time{}
		})
		if _, err := s.desk.OpenShift(s.t.Context(), "till-1", "Aysel"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Minute)
		s.is(w, receipt.Held, register.WhyRangByHand)
	})
}
