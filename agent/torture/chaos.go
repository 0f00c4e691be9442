package torture

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// ChaosOptions are what a run of chaos is made of.
type ChaosOptions struct {
	Programs
	Seed   uint64
	Size   Size
	Models []Model       // of the registers; tills take turns
	Most   time.Duration // selling ends then at the latest; 0: when all is sold
	Settle time.Duration // patience after the last trouble
	Dir    string        // data and logs
	Week   [][]byte      // receipts to sell
	Say    func(string)  // progress
}

// chaos is a run.
type chaos struct {
	ChaosOptions
	shop          *shop
	told          atomic.Int64
	kills, faults atomic.Int64

	mu     sync.Mutex
	failed []string
}

// Chaos sells the plan of a seed while everything goes wrong that the plan has,
// and judges what came of it. Its error is one of the test itself.
func Chaos(ctx context.Context, o ChaosOptions) (Result, error) {
	began := time.Now()
	plan, err := MakePlan(o.Seed, o.Size, o.Week)
	if err != nil {
		return Result{}, err
	}
	c := &chaos{ChaosOptions: o}
	if c.shop, err = newShop(o.Programs, o.Dir, o.Dir+"/logs", o.Models, plan.Tills); err != nil {
		return Result{}, err
	}
	defer c.shop.kill()
	if err := c.shop.open(); err != nil {
		return Result{}, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var background sync.WaitGroup
	defer func() { stop(); background.Wait() }()
	background.Go(func() { c.shop.guard(ctx) })
	people := []*staff{}
	for n, t := range c.shop.tills {
		t.onYes = func() { c.told.Add(1) }
		s := newStaff(t, c.shop.kassas[n])
		people = append(people, s)
		background.Go(func() { s.work(ctx) })
	}

	if err := c.sell(ctx, plan.Events); err != nil {
		return Result{}, err
	}
	o.Say(fmt.Sprintf("sold after %s; no more trouble: everything is to settle", time.Since(began).Round(time.Second)))
	if err := errors.Join(c.shop.heal(ctx), c.shop.settle(ctx, o.Settle)); err != nil {
		return Result{}, err
	}
	stop() // before evidence is taken nobody may touch anything
	background.Wait()
	found, err := c.shop.evidence(context.WithoutCancel(ctx), people)
	if err != nil {
		return Result{}, err
	}
	found.Other = append(found.Other, c.failed...)
	r := Result{Verdict: Judge(found), Kills: int(c.kills.Load()), Faults: int(c.faults.Load()), Took: time.Since(began)}
	r.figures(found)
	return r, nil
}

// sell has tills sell and troubles happen, and returns when both are over.
func (c *chaos) sell(ctx context.Context, events []Event) error {
	selling, closed := context.WithCancel(ctx)
	defer closed()
	if c.Most > 0 {
		time.AfterFunc(c.Most, closed)
	}
	var tills, troubles sync.WaitGroup
	for _, t := range c.shop.tills {
		tills.Go(func() { t.sell(selling) })
	}
	sold := make(chan struct{})
	go func() { tills.Wait(); close(sold) }()
	said := time.Now()
	for _, e := range events {
		for int(c.told.Load()) < e.At && !over(sold) {
			time.Sleep(2 * time.Millisecond)
			if time.Since(said) > 30*time.Second {
				said = time.Now()
				c.Say(fmt.Sprintf("told %d of %d, kills %d, faults %d", c.told.Load(), c.Size.Receipts, c.kills.Load(), c.faults.Load()))
			}
		}
		if over(sold) {
			break
		}
		troubles.Go(func() {
			time.Sleep(e.After)
			if err := c.happen(ctx, e); err != nil && ctx.Err() == nil {
				c.mu.Lock()
				c.failed = append(c.failed, fmt.Sprintf("%s: %v", e.Trouble, err))
				c.mu.Unlock()
			}
		})
	}
	<-sold
	troubles.Wait()
	return ctx.Err()
}

func over(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// happen does one trouble.
func (c *chaos) happen(ctx context.Context, e Event) error {
	k := c.shop.kassas[e.Register]
	if e.IsKill() {
		c.kills.Add(1)
	} else {
		c.faults.Add(1)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	switch e.Trouble {
	case KillAgent:
		return c.shop.restartAgent()
	case KillRegister:
		return k.restart()
	case KillBoth:
		var both sync.WaitGroup
		var first, second error
		both.Go(func() { first = c.shop.restartAgent() })
		both.Go(func() { second = k.restart() })
		both.Wait()
		return errors.Join(first, second)
	case Swap:
		return k.swap(e.For)
	case CloseShift:
		return k.closeShift(ctx)
	}
	if err := k.control(ctx, http.MethodPost, "/sim/faults", []any{e.Fault}, nil); err != nil {
		return err
	}
	if e.Fault.Name != "paper-out" {
		return nil
	}
	time.Sleep(e.For)
	return k.control(ctx, http.MethodPost, "/sim/paper-in", nil, nil)
}
