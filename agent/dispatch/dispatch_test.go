package dispatch_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ekassa/agent/dispatch"
	"ekassa/agent/journal"
	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// seeds is how many runs of each kind a test makes; by hand, thousands:
// go test ./agent/dispatch -run Seeds -seeds 5000
var seeds = flag.Int("seeds", 12, "seeded runs of the dispatch loop for each class of register")

var errCrash = errors.New("the process dies here")

// dying is a journal whose process dies now and then, before or after a commit.
type dying struct {
	*journal.Journal
	rng  *rand.Rand
	odds float64
}

func (j *dying) around(commit func() error) error {
	if j.rng.Float64() < j.odds {
		return errCrash
	}
	if err := commit(); err != nil {
		return err
	}
	if j.rng.Float64() < j.odds {
		return errCrash
	}
	return nil
}

func (j *dying) Begin(a register.Attempt) error {
	return j.around(func() error { return j.Journal.Begin(a) })
}

func (j *dying) Conclude(a register.Attempt, c register.Conclusion) error {
	return j.around(func() error { return j.Journal.Conclude(a, c) })
}

func (j *dying) Printed(seq int64) error {
	return j.around(func() error { return j.Journal.Printed(seq) })
}

func sale(n int) (receipt.Receipt, receipt.Fingerprint) {
	r, f, err := receipt.Decode(fmt.Appendf(nil, `{"id":"r-%04d","kind":"sale","time":"2026-11-23T19:05:12+04:00",
		"items":[{"name":"Çay","quantity":"1","price":"2.00","tax":"vat18"}],"payments":{"cash":"2.00"}}`, n),
		receipt.Defaults{Fiscal: true})
	if err != nil {
		panic(err)
	}
	return r, f
}

// TestSeeds_EachReceiptOnceUnderTroubleAndCrashes runs the loop in virtual time
// against a register that fails at random, in a process that dies at random,
// until all is settled; the register's ledger is the judge.
func TestSeeds_EachReceiptOnceUnderTroubleAndCrashes(t *testing.T) {
	for _, kind := range []struct {
		name  string
		class register.Class
		hand  bool
	}{
		{"key", register.Key, false},
		{"key, rung up by hand", register.Key, true},
		{"compare and set", register.CompareAndSet, false},
		{"compare and set, rung up by hand", register.CompareAndSet, true},
		{"neither", register.Neither, false},
		{"neither, rung up by hand", register.Neither, true},
	} {
		t.Run(kind.name, func(t *testing.T) {
			for seed := range *seeds {
				if !t.Run(fmt.Sprint(seed), func(t *testing.T) { run(t, uint64(seed), kind.class, kind.hand) }) {
					return
				}
			}
		})
	}
}

func run(t *testing.T, seed uint64, class register.Class, hand bool) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(seed, 1))
		d := &device{rng: rand.New(rand.NewPCG(seed, 2)), class: class, trouble: 0.3, serial: "S1", hand: hand}
		j, err := journal.Open(dir, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		unreliable := &dying{Journal: j, rng: rand.New(rand.NewPCG(seed, 3)), odds: 0.05}

		ctx, cancel := context.WithCancel(t.Context())
		log := slog.New(slog.NewTextHandler(io.Discard, nil))
		if testing.Verbose() {
			log = slog.New(slog.NewTextHandler(os.Stdout, nil))
		}
		ended := make(chan struct{})
		go func() { // the service manager
			defer close(ended)
			for ctx.Err() == nil {
				l := dispatch.New(d.setup(), unreliable, dispatch.DefaultPace, time.Now, log)
				if err := l.Run(ctx); err != nil && !errors.Is(err, errCrash) {
					t.Errorf("seed %d: %v", seed, err)
					return
				}
				time.Sleep(2 * time.Second)
			}
		}()

		stop := func() { cancel(); <-ended }
		defer stop()

		const receipts = 25
		for n := range receipts {
			r, f := sale(n)
			if _, _, err := j.Accept("till-1", "kassa-1", r, f); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(rng.IntN(5000)) * time.Millisecond)
		}
		for deadline := time.Now().Add(12 * time.Hour); ; time.Sleep(time.Second) {
			q, err := j.Queue("kassa-1")
			if err != nil {
				t.Fatal(err)
			}
			if q.Waiting == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("seed %d: %d receipts are not settled after twelve hours", seed, q.Waiting)
			}
		}
		stop()
		judge(t, seed, j, d, receipts, hand)
	})
}

// judge compares what the journal says with what the register has.
func judge(t *testing.T, seed uint64, j *journal.Journal, d *device, receipts int, hand bool) {
	t.Helper()
	made := map[string]int{}
	var order []string
	for _, e := range d.ledger {
		if e.key != "" {
			made[e.key]++
			order = append(order, e.id)
		}
	}
	place := map[string]int{}
	for n, id := range order {
		place[id] = n
	}
	list, err := j.List(receipt.Filter{Limit: receipts + 1})
	if err != nil || len(list) != receipts {
		t.Fatalf("seed %d: %d receipts in the journal, want %d (%v)", seed, len(list), receipts, err)
	}
	held, last := 0, len(order)
	for _, s := range list { // newest first
		n := made[s.Key]
		switch s.State {
		case receipt.Fiscal:
			if n != 1 {
				t.Errorf("seed %d: %s is fiscal and the register made %d documents of it", seed, s.ID, n)
			}
			if at := place[s.Document.FiscalID]; at >= last {
				t.Errorf("seed %d: %s went out of order", seed, s.ID)
			} else {
				last = at
			}
		case receipt.Held:
			held++
			if d.class != register.Neither && !hand && !strings.Contains(s.Reason.Detail, "its shift is another one") {
				t.Errorf("seed %d: %s is held although the register can tell by its key", seed, s.ID)
			}
			if n > 1 {
				t.Errorf("seed %d: %s is held and the register made %d documents of it", seed, s.ID, n)
			}
		default:
			t.Errorf("seed %d: %s ended as %s (%s)", seed, s.ID, s.State, s.Reason)
		}
	}
	if !hand && held == 0 && len(order) != receipts {
		t.Errorf("seed %d: the register made %d documents, want %d", seed, len(order), receipts)
	}
}
