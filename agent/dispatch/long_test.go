package dispatch_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"ekassa/agent/dispatch"
	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// inYear begins in virtual time when clocks are set.
func (s *shop) inYear(year int) {
	s.stop()
	time.Sleep(time.Until(time.Date(year, 11, 23, 0, 0, 0, 0, time.UTC)))
	s.start()
}

// An agent runs for months: that makes no receipt old.
func TestLoop_SellsAfterDaysOfRunning(t *testing.T) {
	inShop(t, func(_ *device, setup *dispatch.Setup) { setup.Replay.Within = 24 * time.Hour }, func(s *shop) {
		s.inYear(2026)
		for range 5 {
			s.is(s.sell(), receipt.Fiscal, "")
			time.Sleep(11 * time.Hour)
		}
	})
}

// What waits for a shift's end must not keep people from ending it.
func TestDesk_ClosesAShiftThatIsTooOldThoughReceiptsWait(t *testing.T) {
	inShop(t, nil, func(s *shop) {
		s.is(s.sell(), receipt.Fiscal, "")
		s.d.expire(true)
		id := s.sell()
		time.Sleep(time.Minute)
		s.is(id, receipt.Waiting, register.WhyShiftExpired)
		if _, err := s.desk.CloseShift(s.t.Context(), "till-1", "Aysel"); err != nil {
			t.Fatalf("close: %v", err)
		}
		s.d.expire(false)
		time.Sleep(time.Minute)
		s.is(id, receipt.Fiscal, "")
		if n := s.documents(); n != 2 {
			t.Errorf("the register has %d documents, want 2", n)
		}
	})
}

// A refund whose sale was withdrawn waits until a person takes it back as well.
func TestDesk_ClosesTheShiftThoughARefundWaitsForItsSale(t *testing.T) {
	inShop(t, nil, func(s *shop) {
		s.is(s.sell(), receipt.Fiscal, "")
		r, f := sale(100)
		r.Fiscal = false
		if _, _, err := s.j.Accept("till-1", "kassa-1", r, f); err != nil {
			t.Fatal(err)
		}
		back, f := sale(101)
		back.Kind, back.Parent = receipt.Refund, &receipt.Parent{ID: r.ID}
		if _, _, err := s.j.Accept("till-1", "kassa-1", back, f); err != nil {
			t.Fatal(err)
		}
		s.is(back.ID, receipt.Waiting, register.WhyParent)
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
		defer cancel()
		if _, err := s.desk.CloseShift(ctx, "till-1", "Aysel"); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

// A register may forget keys with the shift: that it does not know ours in
// another one proves nothing.
func TestLoop_AsksAPersonWhereTheShiftWasClosedUnderAnUnclearSale(t *testing.T) {
	inShop(t, func(d *device, _ *dispatch.Setup) { d.forgets = true }, func(s *shop) {
		s.is(s.sell(), receipt.Fiscal, "")
		s.d.lost = func(key string) {
			s.d.make(key)
			s.d.shifts++ // someone closes the shift on the register, and opens one
			s.d.shift.ID = "by hand"
		}
		id := s.sell()
		time.Sleep(time.Hour)
		s.is(id, receipt.Held, register.WhyCannotTell)
		if n := s.documents(); n != 2 {
			t.Errorf("the register has %d documents, want 2", n)
		}
	})
}

// What is no answer tells nothing about the document, but of the way to it: the
// register is asked for longer before a person is, and not for ever.
func TestLoop_AsksAgainWhereTheAnswerWasNone(t *testing.T) {
	for mumbles, want := range map[int]receipt.State{20: receipt.Fiscal, 1000: receipt.Held} {
		inShop(t, nil, func(s *shop) {
			s.is(s.sell(), receipt.Fiscal, "")
			s.d.mu.Lock()
			s.d.mumbles = mumbles
			s.d.lost = func(key string) { s.d.make(key) }
			s.d.mu.Unlock()
			id := s.sell()
			time.Sleep(register.PatientFor)
			if r, err := s.j.Get("till-1", id); err != nil || r.State != want {
				t.Errorf("%d questions in vain: %s, %v, want %s", mumbles, r.State, err, want)
			}
		})
	}
}

// Counters that stand still prove nothing for as long as a document may take.
func TestLoop_WaitsForASlowDocumentThatOnlyCountersTell(t *testing.T) {
	inShop(t, func(d *device, _ *dispatch.Setup) { d.class = register.Neither }, func(s *shop) {
		s.is(s.sell(), receipt.Fiscal, "")
		s.d.lost = func(key string) {
			s.d.late = append(s.d.late, late{at: time.Now().Add(45 * time.Second), key: key})
		}
		s.sell()
		time.Sleep(time.Hour)
		if n := s.documents(); n != 2 {
			t.Errorf("the register has %d documents, want 2", n)
		}
	})
}

// A whole shift may come and go on the register in our absence.
func TestLoop_HoldsWhatWaitedWhenAWholeShiftWasRungUpByHand(t *testing.T) {
	for _, hand := range []bool{true, false} {
		inShop(t, nil, func(s *shop) {
			s.is(s.sell(), receipt.Fiscal, "")
			if _, err := s.desk.CloseShift(s.t.Context(), "till-1", "Aysel"); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time nothing is new
				s.away(10 * time.Minute)
				time.Sleep(2 * time.Minute)
				id := s.sell()
				if hand {
					s.byHand(func(d *device) {
						d.shifts++
						d.shift.ID = strconv.Itoa(d.shifts)
						d.make("")
					})
				}
				time.Sleep(time.Hour)
				if hand {
					s.is(id, receipt.Held, register.WhyRangByHand)
				} else {
					s.is(id, receipt.Fiscal, "")
				}
				hand = false
			}
		})
	}
}

func TestLoop_HoldsWhatWaitedWhenSomeoneRangUpByHandAndClosedTheShift(t *testing.T) {
	inShop(t, nil, func(s *shop) {
		s.is(s.sell(), receipt.Fiscal, "")
		s.away(10 * time.Minute)
		id := s.sell()
		s.rungUpByHand()
		s.d.mu.Lock()
		s.d.shifts++
		s.d.shift.ID = "by hand"
		s.d.mu.Unlock()
		time.Sleep(11 * time.Minute)
		s.is(id, receipt.Held, register.WhyRangByHand)
	})
}

// A copy is worth less than the guests who wait.
func TestLoop_SellsThoughTheRegisterPrintsNoCopies(t *testing.T) {
	inShop(t, nil, func(s *shop) {
		s.is(s.sell(), receipt.Fiscal, "")
		s.d.mu.Lock()
		s.d.noPaper, s.d.noCopies = true, true
		s.d.mu.Unlock()
		s.sell()
		time.Sleep(time.Minute)
		s.is(s.sell(), receipt.Fiscal, "")
	})
}
