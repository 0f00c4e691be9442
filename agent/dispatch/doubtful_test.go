package dispatch_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"ekassa/agent/dispatch"
	"ekassa/agent/journal"
	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// swallower makes documents of cash in, and loses the first answer; it has no
// memory of them but a counter.
type swallower struct {
	*device
	lost   bool
	closes bool // someone closes the shift when the answer is lost
}

func (w *swallower) Abilities() register.Abilities {
	return register.Abilities{Settle: settleTime, Kinds: map[receipt.Kind]register.Class{receipt.Sale: register.Key, receipt.Deposit: register.Neither}}
}

func (w *swallower) cash() (n int) {
	for _, e := range w.ledger {
		if len(e.key) > 0 && e.key[0] == 'c' {
			n++
		}
	}
	return n
}

func (w *swallower) Baseline(ctx context.Context, k receipt.Kind) (register.Baseline, error) {
	b, err := w.device.Baseline(ctx, k)
	w.mu.Lock()
	defer w.mu.Unlock()
	b.Counted, b.Count.Deposit, b.Count.Sale = true, w.cash(), len(w.ledger)-w.cash()
	return b, err
}

func (w *swallower) Prepare(job register.Job) (register.Request, error) {
	if job.Receipt.Kind == receipt.Deposit {
		job.Key = "c" + job.Key
	}
	return w.device.Prepare(job)
}

func (w *swallower) Send(ctx context.Context, r register.Request) register.Outcome {
	o := w.device.Send(ctx, r)
	if r.Key[0] == 'c' && o.Verdict == register.Made && !w.lost {
		w.lost = true
		w.mu.Lock()
		w.shift.Open = !w.closes
		w.mu.Unlock()
		return register.Outcome{Verdict: register.Unknown, Err: errLine}
	}
	return o
}

func (w *swallower) XReport(_ context.Context, shift string) (r register.Report, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.Shift = shift; shift == "" {
		r.Shift = w.shift.ID
	}
	for _, e := range w.ledger {
		switch {
		case e.shift != r.Shift:
		case len(e.key) > 0 && e.key[0] == 'c':
			r.In.Count++
		default:
			r.Sales.Count++
		}
	}
	return r, w.dead()
}

func (w *swallower) Lookup(ctx context.Context, r register.Request) register.Evidence {
	if r.Key[0] == 'c' {
		return register.Evidence{Found: register.CannotTell, Text: "no key"}
	}
	return w.device.Lookup(ctx, r)
}

// A document that a person is being asked about is not one that staff rang up
// by hand: what waits is not asked about as well. A further one is.
func TestLoop_ADocumentInDoubtIsNotAlsoOneRungUpByHand(t *testing.T) {
	for _, x := range []struct{ answered, byHand, closed bool }{
		{false, false, false}, {false, true, false}, {true, false, false}, {true, true, false},
		{false, false, true}, {false, true, true}, {true, false, true}, {true, true, true},
	} {
		byHand := x.byHand
		t.Run(fmt.Sprintf("%+v", x), func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				j, err := journal.Open(dir, time.Now)
				if err != nil {
					t.Fatal(err)
				}
				defer j.Close()
				w := &swallower{device: &device{rng: rand.New(rand.NewPCG(1, 1)), class: register.Key, serial: "S1"}, closes: x.closed}
				setup := w.setup()
				setup.Dial = func(netip.AddrPort) register.Register { return w }
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					if err := dispatch.New(setup, j, dispatch.DefaultPace, time.Now, slog.New(slog.DiscardHandler)).Run(ctx); err != nil {
						t.Error(err)
					}
				}()
				defer func() { stop(); <-ended }()
				accept := func(r receipt.Receipt, f receipt.Fingerprint) {
					if _, _, err := j.Accept("till-1", "kassa-1", r, f); err != nil {
						t.Fatal(err)
					}
				}
				state := func(id string, want receipt.State) {
					t.Helper()
					s, err := j.Get("till-1", id)
					if err != nil || s.State != want {
						t.Errorf("%s is %s (%s), want %s: %v", id, s.State, s.Reason, want, err)
					}
				}
				accept(sale(1))
				time.Sleep(time.Minute)
				cash, f, err := receipt.DecodeCash([]byte(`{"id":"c-1","amount":"5.00"}`), receipt.Deposit, time.Now())
				if err != nil {
					t.Fatal(err)
				}
				accept(cash, f)
				time.Sleep(time.Minute)
				state("c-1", receipt.Held)
				if x.answered {
					w.mu.Lock()
					paper := receipt.Document{FiscalID: w.ledger[len(w.ledger)-1].id}
					w.mu.Unlock()
					if _, err := j.Resolve("till-1", "c-1", at(""), receipt.Decision{Verdict: receipt.WasMade, Who: "Aysel", Why: "it is on paper", Document: &paper}); err != nil {
						t.Fatal(err)
					}
				}

				w.mu.Lock()
				w.deadTill = time.Now().Add(10 * time.Minute)
				w.mu.Unlock()
				accept(sale(2))
				time.Sleep(time.Minute)
				if byHand {
					w.mu.Lock()
					w.make("")
					w.mu.Unlock()
				}
				time.Sleep(15 * time.Minute)
				if byHand {
					state("r-0002", receipt.Held)
				} else {
					state("r-0002", receipt.Fiscal)
				}
			})
		})
	}
}

// Where the only document that is not ours may be the one that a person is asked
// about, that is the one question: its answer tells whether what waited was rung up
// by hand.
func TestLoop_OneAnswerDecidesAboutAllThatWaited(t *testing.T) {
	made := func(d *device) receipt.Decision {
		return receipt.Decision{Verdict: receipt.WasMade, Who: "Aysel", Why: "it is on paper", Document: &receipt.Document{FiscalID: d.ledger[1].id}}
	}
	send := func(*device) receipt.Decision {
		return receipt.Decision{Verdict: receipt.Send, Who: "Aysel", Why: "that one was another guest's"}
	}
	for name, x := range map[string]struct {
		makes, byHand int                            // documents of the doubtful sale, and others, before the shift is closed by hand
		held          string                         // why what waited is held; "": it is not
		answer        func(*device) receipt.Decision // about the doubtful one
		then          string                         // why it is held after that
		documents     int                            // of the register in the end
	}{
		"it was made":                      {1, 0, register.WhyAnswer, made, "", 5},
		"it was not, someone rang it up":   {0, 1, register.WhyAnswer, send, register.WhyRangByHand, 4},
		"it was made, and another by hand": {1, 1, register.WhyRangByHand, made, register.WhyRangByHand, 4},
		"neither":                          {0, 0, "", send, "", 5},
	} {
		t.Run(name, func(t *testing.T) {
			inShop(t, func(d *device, _ *dispatch.Setup) { d.forgets = true }, func(s *shop) {
				s.is(s.sell(), receipt.Fiscal, "")
				s.d.lost = func(key string) {
					for range x.makes {
						s.d.make(key)
					}
					for range x.byHand {
						s.d.make("")
					}
					s.d.shifts++
					s.d.shift.ID = "by hand"
					s.d.deadTill = time.Now().Add(10 * time.Minute)
				}
				doubtful := s.sell()
				time.Sleep(time.Minute)
				waited := []string{s.sell(), s.sell()}
				are := func(why string) {
					s.t.Helper()
					for _, id := range waited {
						if why == "" {
							s.is(id, receipt.Fiscal, "")
						} else {
							s.is(id, receipt.Held, why)
						}
					}
				}
				time.Sleep(11 * time.Minute)
				s.is(doubtful, receipt.Held, register.WhyCannotTell)
				are(x.held)
				s.stop()
				s.start() // nothing of it is only in memory
				s.is(s.sell(), receipt.Fiscal, "")
				are(x.held)
				s.d.mu.Lock()
				answer := x.answer(s.d)
				s.d.mu.Unlock()
				if _, err := s.j.Resolve("till-1", doubtful, at("kassa-1"), answer); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				s.is(doubtful, receipt.Fiscal, got(s, doubtful))
				are(x.then)
				if n := s.documents(); n != x.documents {
					t.Errorf("the register has %d documents, want %d", n, x.documents)
				}
				s.away(10 * time.Minute) // and it is not counted once more
				id := s.sell()
				time.Sleep(11 * time.Minute)
				s.is(id, receipt.Fiscal, "")
			})
		})
	}
}

// got is a receipt's reason, where it does not matter.
func got(s *shop, id string) string {
	r, err := s.j.Get("till-1", id)
	if err != nil {
		s.t.Fatal(err)
	}
	return r.Reason.Code
}
