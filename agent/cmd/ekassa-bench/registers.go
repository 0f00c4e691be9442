package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"ekassa/agent/journal"
	"ekassa/agent/receipt"
	"ekassa/scripts/figures"
)

// printing is how long the simulated registers take for a document: far less than
// any that prints, so that what the agent adds weighs more than in a shop.
const printing = 50 * time.Millisecond

// drain measures how fast receipts go out that waited while the register was
// away: beside a bare client that sends to such a register in the same time, and
// as fast as can be.
func (b *bench) drain(ctx context.Context) error {
	n := b.count(10_000, 400)
	for _, slow := range []bool{true, false} {
		if err := b.drainOnce(ctx, n, slow); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) drainOnce(ctx context.Context, n int, slow bool) (err error) {
	p := plan{dir: filepath.Join(b.dir, fmt.Sprintf("drain-%t", slow)), registers: 1, spare: true}
	if slow {
		p.print = printing
	}
	if err := b.waiting(p.dir, n); err != nil {
		return err
	}
	s, err := b.shop(ctx, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	bare, err := newWire(ctx, s.spare)
	if err != nil {
		return err
	}
	defer bare.close()
	if err := s.start(ctx); err != nil {
		return err
	}
	if err := listening(s.agent, s.addr); err != nil {
		return err
	}
	probe := newTill(b, s.addr, s.tokens[0])
	defer probe.close()
	left := func() (int, error) {
		data, _, err := probe.get(ctx, "/v1/status")
		if err != nil {
			return 0, err
		}
		var status struct {
			Queue struct{ Waiting, Checking, Held, Refused int } `json:"queue"`
		}
		if err := json.Unmarshal(data, &status); err != nil {
			return 0, err
		}
		if q := status.Queue; q.Held+q.Refused > 0 {
			return 0, fmt.Errorf("%d receipts are held and %d refused", q.Held, q.Refused)
		}
		return status.Queue.Waiting + status.Queue.Checking, nil
	}
	// It is under way before anything is counted.
	first := n
	for first == n {
		if first, err = left(); err != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	before, err := usageOf(s.agent.PID())
	if err != nil {
		return err
	}
	begun, sent, rest := time.Now(), 0, 0
	if slow {
		for long := time.Duration(b.count(60, 5)) * time.Second; time.Since(begun) < long; sent++ {
			r, err := bare.prepare(b.sale())
			if err != nil {
				return err
			}
			if _, err := bare.send(ctx, r); err != nil {
				return err
			}
		}
		if rest, err = left(); err != nil {
			return err
		}
	} else {
		for rest = first; rest > 0; time.Sleep(50 * time.Millisecond) {
			if rest, err = left(); err != nil {
				return err
			}
		}
	}
	took := time.Since(begun).Seconds()
	after, err := usageOf(s.agent.PID())
	if err != nil {
		return err
	}
	rate := float64(first-rest) / took
	cpu := (after.cpu - before.cpu).Seconds() * 1000 / float64(first-rest)
	if !slow {
		b.table.Add(figures.Row{
			Name: fmt.Sprintf("drain, %d waiting, a register that takes no time", n), Figure: rate, Unit: "sales/s",
			Note: fmt.Sprintf("all of them in %.0f s; processor %.2f ms for each", took, cpu),
		})
		return nil
	}
	bareRate := float64(sent) / took
	b.table.Aim(figures.Row{
		Name: fmt.Sprintf("drain, %d waiting, %s a print", n, printing), Figure: rate, Bare: bareRate, Unit: "sales/s",
		Note: fmt.Sprintf("%.0f %% of a bare client's, both at once; processor %.2f ms for each", 100*rate/bareRate, cpu),
	}, "90 %", rate >= 0.9*bareRate)
	return nil
}

// waiting makes a journal in which n sales of till-1 wait.
func (b *bench) waiting(dir string, n int) (err error) {
	j, err := journal.Open(dir, time.Now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	s := &shop{}
	const share = 64 // that share commits
	return s.together(share, func(i int) error {
		for at := i; at < n; at += share {
			r, print, err := receipt.Decode(b.sale(), receipt.Defaults{Fiscal: true, Tax: receipt.Tax{Type: receipt.VAT18}})
			if err != nil {
				return err
			}
			if _, _, err := j.Accept("till-1", "kassa-1", r, print); err != nil {
				return err
			}
		}
		return nil
	})
}

// many is how many registers one agent is to have.
const many = 20

// registers measures twenty tills with a register each, in turns with and without
// one of the registers.
func (b *bench) registers(ctx context.Context) (err error) {
	s, err := b.shop(ctx, plan{dir: filepath.Join(b.dir, "registers"), registers: many, print: printing})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.ready(ctx, b); err != nil {
		return err
	}
	dying := s.sims[many-1].Cmd.Process
	defer func() { err = errors.Join(err, dying.Signal(syscall.SIGCONT)) }() // it could not be stopped
	var all, without []float64
	before, err := usageOf(s.agent.PID())
	if err != nil {
		return err
	}
	sales := 0.0
	for range b.count(6, 1) {
		for _, dead := range []bool{false, true} {
			signal := syscall.SIGCONT
			if dead {
				signal = syscall.SIGSTOP
			}
			if err := dying.Signal(signal); err != nil {
				return err
			}
			rate, err := b.sellAt(ctx, s, dead)
			if err != nil {
				return err
			}
			sales += rate.sales
			if dead {
				without = append(without, rate.others)
			} else {
				all = append(all, rate.others)
			}
		}
	}
	after, err := usageOf(s.agent.PID())
	if err != nil {
		return err
	}
	alone, err := b.alone(ctx, s)
	if err != nil {
		return err
	}
	b.table.Add(figures.Row{
		Name: "twenty registers at once", Figure: figures.Median(all) * many / (many - 1), Bare: alone * many, Unit: "sales/s",
		Note: fmt.Sprintf("beside twenty times one alone; processor %.2f ms for each", (after.cpu-before.cpu).Seconds()*1000/sales),
	})
	loss := 1 - figures.Median(without)/figures.Median(all)
	b.table.Aim(figures.Row{
		Name: "nineteen of them, the twentieth dead", Figure: figures.Median(without), Bare: figures.Median(all), Unit: "sales/s",
		Note: fmt.Sprintf("%.1f %% less than while it lived, in turns", 100*loss),
	}, "5 % less", loss < 0.05)
	return nil
}

type rates struct{ others, sales float64 }

// sellAt has every till sell for some seconds, and counts what the first nineteen
// sold. At a dead register the till is told yes and does not wait.
func (b *bench) sellAt(ctx context.Context, s *shop, dead bool) (rates, error) {
	var others, last atomic.Int64
	long := time.Duration(b.count(5, 2)) * time.Second
	begun := time.Now()
	err := s.together(many, func(n int) error {
		t := newTill(b, s.addr, s.tokens[n])
		defer t.close()
		for time.Since(begun) < long {
			wait := !(dead && n == many-1)
			if !wait {
				time.Sleep(printing)
			}
			_, err := t.sell(ctx, wait)
			var late *unfinished
			switch {
			case errors.As(err, &late) && n == many-1: // it lives again, and what waited goes first
			case err != nil:
				return err
			case n == many-1:
				last.Add(1)
			default:
				others.Add(1)
			}
		}
		return nil
	})
	took := time.Since(begun).Seconds()
	return rates{float64(others.Load()) / took, float64(others.Load() + last.Load())}, err
}

// alone is the rate of one till while the others rest.
func (b *bench) alone(ctx context.Context, s *shop) (float64, error) {
	t := newTill(b, s.addr, s.tokens[0])
	defer t.close()
	begun, n := time.Now(), 0
	for time.Since(begun) < time.Duration(b.count(5, 2))*time.Second {
		if _, err := t.sell(ctx, true); err != nil {
			return 0, err
		}
		n++
	}
	return float64(n) / time.Since(begun).Seconds(), nil
}
