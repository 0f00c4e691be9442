package dispatch_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ekassa/agent/dispatch"
	"ekassa/agent/journal"
	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// shop is a loop at work on a register without trouble, in virtual time.
type shop struct {
	t      *testing.T
	d      *device
	j      *journal.Journal
	loop   *dispatch.Loop
	desk   *dispatch.Desk
	setup  dispatch.Setup
	cancel context.CancelFunc
	ended  chan struct{}
	sold   int
}

// inShop runs f in virtual time. change may alter the register and the settings
// before the loop starts.
func inShop(t *testing.T, change func(*device, *dispatch.Setup), f func(*shop)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		j, err := journal.Open(dir, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		s := &shop{t: t, j: j, d: &device{rng: rand.New(rand.NewPCG(1, 1)), class: register.Key, serial: "S1"}}
		s.setup = s.d.setup()
		if change != nil {
			change(s.d, &s.setup)
		}
		s.start()
		defer s.stop()
		f(s)
	})
}

func (s *shop) start() { s.listen(s.j) }

// listen starts the loop with something between it and the journal.
func (s *shop) listen(j dispatch.Journal) {
	ctx, cancel := context.WithCancel(s.t.Context())
	s.loop = dispatch.New(s.setup, j, dispatch.DefaultPace, time.Now, slog.New(slog.DiscardHandler))
	s.desk = dispatch.NewDesk(s.j, time.Now, slog.New(slog.DiscardHandler), s.loop)
	s.cancel, s.ended = cancel, make(chan struct{})
	go func(l *dispatch.Loop, ended chan struct{}) {
		defer close(ended)
		if err := l.Run(ctx); err != nil {
			s.t.Error(err)
		}
	}(s.loop, s.ended)
	synctest.Wait() // what is sold from here on comes in while it runs
}

func (s *shop) stop() { s.cancel(); <-s.ended }

// sell has a till told yes, and gives the receipt's id.
func (s *shop) sell() string {
	s.t.Helper()
	s.sold++
	r, f := sale(s.sold)
	if _, _, err := s.j.Accept("till-1", "kassa-1", r, f); err != nil {
		s.t.Fatal(err)
	}
	return r.ID
}

// is checks a receipt's state and reason once the loop has come to rest.
func (s *shop) is(id string, state receipt.State, reason string) {
	s.t.Helper()
	synctest.Wait()
	got, err := s.j.Get("till-1", id)
	if err != nil {
		s.t.Fatal(err)
	}
	if got.State != state || got.Reason.Code != reason {
		s.t.Errorf("%s is %s (%s), want %s (%s)", id, got.State, got.Reason, state, reason)
	}
}

func (s *shop) away(d time.Duration) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	s.d.deadTill = time.Now().Add(d)
}

func (s *shop) rungUpByHand() {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	s.d.make("")
}

func (s *shop) documents() int {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	return len(s.d.ledger)
}

func TestLoop_SellsAtOnceAndOpensTheShift(t *testing.T) {
	inShop(t, nil, func(s *shop) {
		s.is(s.sell(), receipt.Fiscal, "")
		s.is(s.sell(), receipt.Fiscal, "")
	})
}

func TestLoop_SendsWhatWaitedWhenNobodyRangUpByHand(t *testing.T) {
	inShop(t, nil, func(s *shop) {
		s.is(s.sell(), receipt.Fiscal, "")
		s.away(10 * time.Minute)
		id := s.sell()
		s.is(id, receipt.Waiting, "")
		time.Sleep(11 * time.Minute)
		s.is(id, receipt.Fiscal, "")
	})
}

func TestLoop_HoldsWhatWaitedWhenSomeoneRangUpByHand(t *testing.T) {
	inShop(t, nil, func(s *shop) {
		s.is(s.sell(), receipt.Fiscal, "")
		s.away(10 * time.Minute)
		first, second := s.sell(), s.sell()
		s.rungUpByHand()
		time.Sleep(11 * time.Minute)
		s.is(first, receipt.Held, register.WhyRangByHand)
		s.is(second, receipt.Held, register.WhyRangByHand)
		s.is(s.sell(), receipt.Fiscal, "") // later ones go on
		if _, err := s.j.Resolve("till-1", first, at(""), receipt.Decision{Verdict: receipt.Send, Who: "Aysel", Why: "the other one was mine"}); err != nil {
			t.Fatal(err)
		}
		s.is(first, receipt.Fiscal, "")
		if n := s.documents(); n != 4 {
			t.Errorf("the register has %d documents, want 4", n)
		}
	})
}

func TestLoop_HoldsWhatWaitedWhenSomeoneRangUpByHandWhileTheAgentWasOff(t *testing.T) {
	inShop(t, nil, func(s *shop) {
		s.is(s.sell(), receipt.Fiscal, "")
		s.away(time.Hour)
		id := s.sell()
		synctest.Wait()
		s.stop()
		s.rungUpByHand()
		s.away(0)
		s.start()
		s.is(id, receipt.Held, register.WhyRangByHand)
	})
}

func TestLoop_DoesNotAskForWhatWasRungUpWhileAllWasWell(t *testing.T) {
	inShop(t, nil, func(s *shop) {
		s.is(s.sell(), receipt.Fiscal, "")
		s.rungUpByHand()
		s.stop()
		s.start() // looks at the register, and finds one more
		s.is(s.sell(), receipt.Fiscal, "")
	})
}

func TestLoop_AsksFirstWhereTheSettingsSaySo(t *testing.T) {
	inShop(t, func(_ *device, setup *dispatch.Setup) { setup.Replay.Ask = true }, func(s *shop) {
		s.is(s.sell(), receipt.Fiscal, "")
		s.away(10 * time.Minute)
		id := s.sell()
		time.Sleep(11 * time.Minute)
		s.is(id, receipt.Held, register.WhyAskFirst)
	})
}

func TestLoop_HoldsWhatIsTooOldUntilAPersonSaysSend(t *testing.T) {
	inShop(t, func(_ *device, setup *dispatch.Setup) { setup.Replay.Within = 24 * time.Hour }, func(s *shop) {
		// Virtual time begins in the year 2000, when no clock was set yet.
		s.stop()
		time.Sleep(time.Until(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)))
		s.start()
		s.is(s.sell(), receipt.Fiscal, "")
		s.away(25 * time.Hour)
		id := s.sell()
		s.stop()
		s.start()
		time.Sleep(26 * time.Hour)
		s.is(id, receipt.Held, register.WhyTooOld)
		if _, err := s.j.Resolve("till-1", id, at(""), receipt.Decision{Verdict: receipt.Send, Who: "Aysel", Why: "nobody rang it up"}); err != nil {
			t.Fatal(err)
		}
		s.is(id, receipt.Fiscal, "")
	})
}

func TestLoop_SendsNothingToAnotherRegister(t *testing.T) {
	inShop(t, nil, func(s *shop) {
		s.is(s.sell(), receipt.Fiscal, "")
		s.d.mu.Lock()
		s.d.serial = "S2" // the one that was paired is gone from this address
		s.d.mu.Unlock()
		id := s.sell()
		time.Sleep(time.Hour)
		s.is(id, receipt.Waiting, "")
		if n := s.documents(); n != 1 {
			t.Errorf("the registers have %d documents, want 1", n)
		}
		if list := s.desk.Registers("till-1"); list[0].Link != register.LinkWrong {
			t.Errorf("the register's link is %s, want %s", list[0].Link, register.LinkWrong)
		}
	})
}

func TestLoop_PrintsTheCopyBeforeTheNextSale(t *testing.T) {
	inShop(t, nil, func(s *shop) {
		s.is(s.sell(), receipt.Fiscal, "")
		s.d.mu.Lock()
		s.d.noPaper = true
		s.d.mu.Unlock()
		first := s.sell()
		s.is(first, receipt.Fiscal, "")
		second := s.sell()
		time.Sleep(5 * time.Minute) // someone loads paper meanwhile
		s.is(second, receipt.Fiscal, "")
		got, err := s.j.Get("till-1", first)
		if err != nil || !got.Document.Printed {
			t.Errorf("the first is not printed (%v)", err)
		}
		if n := s.documents(); n != 3 {
			t.Errorf("the register has %d documents, want 3", n)
		}
	})
}

// A dead register is tried at the circuit's pace, however many receipts come.
func TestLoop_DoesNotTryADeadRegisterForEachReceipt(t *testing.T) {
	var dials atomic.Int64
	inShop(t, func(d *device, setup *dispatch.Setup) {
		setup.Find = func(context.Context, dispatch.Want) (addr netip.AddrPort, err error) {
			dials.Add(1)
			return addr, &register.Fault{Cause: register.Unreachable, Err: errLine}
		}
	}, func(s *shop) {
		for range 300 {
			s.sell()
			time.Sleep(time.Second)
		}
		if n := dials.Load(); n > 20 {
			t.Errorf("a register that is away was looked for %d times in five minutes", n)
		}
	})
}

func TestDesk_ClosesTheShiftOnlyWhenTheQueueIsEmpty(t *testing.T) {
	inShop(t, nil, func(s *shop) {
		s.is(s.sell(), receipt.Fiscal, "")
		s.away(5 * time.Second)
		id := s.sell()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(s.t.Context(), 3*time.Second)
		defer cancel()
		if _, err := s.desk.CloseShift(ctx, "till-1", "Aysel"); err == nil {
			t.Error("the shift was closed while a receipt waited")
		}
		time.Sleep(time.Minute)
		s.is(id, receipt.Fiscal, "")
		if r, err := s.desk.CloseShift(s.t.Context(), "till-1", "Aysel"); err != nil || r.Shift != "1" {
			t.Errorf("close: %v, shift %q", err, r.Shift)
		}
	})
}

// at is one register for all tills.
func at(name string) func(string) string { return func(string) string { return name } }
