package dispatch_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"ekassa/agent/dispatch"
	"ekassa/agent/journal"
	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// listener is a device whose driver notes what it is told of each attempt.
type listener struct {
	*device
	again []bool
}

func (w *listener) Prepare(job register.Job) (register.Request, error) {
	w.again = append(w.again, job.Again)
	return w.device.Prepare(job)
}

// A driver whose documents stand on a number has to look for an earlier attempt
// that came late, and so must know that there was one.
func TestLoop_TellsTheDriverOfAFurtherAttempt(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		j, err := journal.Open(dir, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		w := &listener{device: &device{rng: rand.New(rand.NewPCG(1, 1)), class: register.CompareAndSet, serial: "S1"}}
		w.shift.Open, w.shift.ID = true, "1"
		w.lost = func(string) {} // nothing is made of the first one
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
		for n := range 2 {
			r, f := sale(n)
			if _, _, err := j.Accept("till-1", "kassa-1", r, f); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if s, err := j.Get("till-1", r.ID); err != nil || s.State != receipt.Fiscal {
				t.Errorf("%s is %s: %v", r.ID, s.State, err)
			}
		}
		stop()
		<-ended
		if want := []bool{false, true, false}; !slices.Equal(w.again, want) {
			t.Errorf("told %v, want %v", w.again, want)
		}
	})
}
