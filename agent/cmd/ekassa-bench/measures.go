package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"ekassa/scripts/figures"
)

// spread is how many tokens the tills of one measurement share, since each
// terminal may only ask so often.
const spread = 128

// yes measures how soon tills are told yes while the register is away, and how
// many are told yes at once.
func (b *bench) yes(ctx context.Context) (err error) {
	s, err := b.shop(ctx, plan{dir: filepath.Join(b.dir, "yes"), registers: 1, terminals: spread, away: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.ready(ctx, b); err != nil {
		return err
	}
	if err := b.latency(ctx, s); err != nil {
		return err
	}
	return b.crowd(ctx, s)
}

func (b *bench) latency(ctx context.Context, s *shop) (err error) {
	bare, err := newDisk(filepath.Join(s.dir, "bare.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.close()) }()
	t := newTill(b, s.addr, s.tokens...)
	defer t.close()
	before, err := usageOf(s.agent.PID())
	if err != nil {
		return err
	}
	var commits, yes, trips times
	posted := 0
	for round := range b.count(21, 4) {
		for n := range 100 {
			content := b.sale()
			inserted, err := bare.commit(content)
			if err != nil {
				return err
			}
			told, err := t.post(ctx, content, false)
			if err != nil {
				return err
			}
			posted++
			_, trip, err := t.get(ctx, "/healthz")
			if err != nil {
				return err
			}
			if round > 0 || n > 50 { // warm by then
				commits, yes, trips = append(commits, inserted), append(yes, told), append(trips, trip)
			}
		}
	}
	after, err := usageOf(s.agent.PID())
	if err != nil {
		return err
	}
	b.acceptKB = (after.disk - before.disk) / float64(posted) / 1000
	ratio := yes.ms(50) / commits.ms(50)
	b.table.Aim(figures.Row{
		Name: "yes to the till, p50", Figure: yes.ms(50), Bare: commits.ms(50), Unit: "ms",
		Note: fmt.Sprintf("%.2f times a bare WAL/FULL insert, page_size 4096", ratio),
	}, "2 times", ratio <= 2)
	b.table.Add(figures.Row{
		Name: "yes to the till, p99", Figure: yes.ms(99), Bare: commits.ms(99), Unit: "ms",
		Note: fmt.Sprintf("%.2f times", yes.ms(99)/commits.ms(99)),
	})
	b.table.Add(figures.Row{Name: "- of that a bare HTTP round trip, p50", Figure: trips.ms(50), Unit: "ms", Note: "GET /healthz"})
	return nil
}

// crowd has 1 to 64 tills post as fast as they are answered.
func (b *bench) crowd(ctx context.Context, s *shop) error {
	sizes := []int{1, 4, 16, 64}
	rates := map[int][]float64{}
	long := time.Second
	if b.quick {
		long /= 4
	}
	for range b.count(5, 1) {
		for _, size := range sizes {
			rate, err := b.post(ctx, s, size, long)
			if err != nil {
				return err
			}
			rates[size] = append(rates[size], rate)
		}
	}
	one := figures.Median(rates[1])
	for _, size := range sizes {
		r := figures.Row{Name: fmt.Sprintf("tills at once: %d", size), Figure: figures.Median(rates[size]), Unit: "yes/s"}
		times := r.Figure / one
		if size > 1 {
			r.Note = fmt.Sprintf("%.2f times one till", times)
		}
		if size == 16 {
			b.table.Aim(r, "4 times", times >= 4)
		} else {
			b.table.Add(r)
		}
	}
	return nil
}

func (b *bench) post(ctx context.Context, s *shop, size int, long time.Duration) (float64, error) {
	var done atomic.Int64
	begun := time.Now()
	err := s.together(size, func(n int) error {
		share := len(s.tokens) / size
		t := newTill(b, s.addr, s.tokens[n*share:(n+1)*share]...)
		defer t.close()
		for time.Since(begun) < long {
			if _, err := t.sell(ctx, false); err != nil {
				return err
			}
			done.Add(1)
		}
		return nil
	})
	return float64(done.Load()) / time.Since(begun).Seconds(), err
}

// tills is how many sell at once in a full house.
const tills = 16

// sales measures whole sales: time, bytes and work from yes to fiscal.
func (b *bench) sales(ctx context.Context) (err error) {
	s, err := b.shop(ctx, plan{dir: b.model(), registers: tills, spare: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.ready(ctx, b); err != nil {
		return err
	}
	if err := b.whole(ctx, s); err != nil {
		return err
	}
	one, err := b.cost(ctx, s, 1, b.count(500, 64))
	if err != nil {
		return err
	}
	many, err := b.cost(ctx, s, tills, b.count(800, 64))
	if err != nil {
		return err
	}
	bare, err := b.bareBytes()
	if err != nil {
		return err
	}
	b.table.Aim(figures.Row{
		Name: "written to disk per sale, one at a time", Figure: one.disk, Bare: bare, Unit: "KB",
		Note: fmt.Sprintf("write calls, sockets too, %.1f KB; bare is one plain insert", one.said),
	}, "24 KB", one.disk <= 24)
	if b.acceptKB > 0 {
		b.table.Add(figures.Row{
			Name: "- of that from the yes to fiscal", Figure: one.disk - b.acceptKB, Unit: "KB",
			Note: fmt.Sprintf("the yes itself writes %.1f KB", b.acceptKB),
		})
	}
	b.table.Add(figures.Row{Name: "written to disk per sale, 16 tills", Figure: many.disk, Unit: "KB", Note: fmt.Sprintf("write calls %.1f KB", many.said)})
	b.table.Add(figures.Row{Name: "processor per sale, one at a time", Figure: one.cpu, Unit: "ms", Note: fmt.Sprintf("16 tills: %.2f ms", many.cpu)})
	b.table.Add(figures.Row{Name: "goroutines, 16 tills and registers", Figure: many.goroutines, Unit: ""})
	return nil
}

// whole compares a sale through the agent with a bare one at another register
// of the same kind, so that the agent does not find documents of strangers.
func (b *bench) whole(ctx context.Context, s *shop) error {
	bare, err := newWire(ctx, s.spare)
	if err != nil {
		return err
	}
	defer bare.close()
	t := newTill(b, s.addr, s.tokens[0])
	defer t.close()
	var direct, through times
	for n := range b.count(400, 60) {
		content := b.sale()
		request, err := bare.prepare(content)
		if err != nil {
			return err
		}
		straight, err := bare.send(ctx, request)
		if err != nil {
			return err
		}
		whole, err := t.post(ctx, content, true)
		if err != nil {
			return err
		}
		if n >= 20 { // warm by then
			direct, through = append(direct, straight), append(through, whole)
		}
	}
	over := through.ms(50) - direct.ms(50)
	b.table.Aim(figures.Row{
		Name: "whole sale, p50", Figure: through.ms(50), Bare: direct.ms(50), Unit: "ms",
		Note: fmt.Sprintf("%.2f ms over a bare signed sale at such a register", over),
	}, "3 ms over", over <= 3)
	b.table.Add(figures.Row{
		Name: "whole sale, p99", Figure: through.ms(99), Bare: direct.ms(99), Unit: "ms",
		Note: fmt.Sprintf("%.2f ms over", through.ms(99)-direct.ms(99)),
	})
	return nil
}

// cost is what one sale costs.
type cost struct{ disk, said, cpu, goroutines float64 }

// cost sells n receipts at some tills at once; one till takes turns with all
// the registers.
func (b *bench) cost(ctx context.Context, s *shop, at, n int) (c cost, err error) {
	before, err := usageOf(s.agent.PID())
	if err != nil {
		return c, err
	}
	share := len(s.registers) / at
	err = s.together(at, func(i int) error {
		t := newTill(b, s.addr, s.tokens[i*share:(i+1)*share]...)
		defer t.close()
		for range n / at {
			if _, err := t.sell(ctx, true); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return c, err
	}
	after, err := usageOf(s.agent.PID())
	if err != nil {
		return c, err
	}
	each := float64(n / at * at)
	c = cost{
		disk: (after.disk - before.disk) / each / 1000, said: (after.said - before.said) / each / 1000,
		cpu: (after.cpu - before.cpu).Seconds() * 1000 / each,
	}
	probe := newTill(b, s.addr)
	defer probe.close()
	c.goroutines, err = probe.goroutines(ctx)
	return c, err
}

// bareBytes is what a plain insert writes to the disk, in KB.
func (b *bench) bareBytes() (float64, error) {
	d, err := newDisk(filepath.Join(b.dir, "bytes.db"))
	if err != nil {
		return 0, err
	}
	before, err := usageOf(os.Getpid())
	if err != nil {
		return 0, errors.Join(err, d.close())
	}
	n := b.count(500, 100)
	for range n {
		if _, err := d.commit(b.sale()); err != nil {
			return 0, errors.Join(err, d.close())
		}
	}
	if err := d.close(); err != nil { // with its checkpoint
		return 0, err
	}
	after, err := usageOf(os.Getpid())
	return (after.disk - before.disk) / float64(n) / 1000, err
}

// memory measures the agent with a year's receipts in its journal.
func (b *bench) memory(ctx context.Context) (err error) {
	n := b.count(100_000, 20_000)
	dir := filepath.Join(b.dir, "memory")
	if _, err := b.journal(ctx, n, dir, true); err != nil {
		return err
	}
	s, err := b.shop(ctx, plan{dir: dir, registers: tills})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.start(ctx); err != nil {
		return err
	}
	if err := listening(s.agent, s.addr); err != nil {
		return err
	}
	probe := newTill(b, s.addr, s.tokens[0])
	defer probe.close()
	note := func(when string) error {
		u, err := usageOf(s.agent.PID())
		b.table.Aim(figures.Row{
			Name: fmt.Sprintf("memory, %d receipts, %s", n, when), Figure: u.rss, Unit: "MB", Note: fmt.Sprintf("VmRSS; peak %.1f", u.peak),
		}, "30 MB", u.rss <= 30)
		return err
	}
	if _, _, err := probe.get(ctx, "/v1/status"); err != nil { // it is up
		return err
	}
	time.Sleep(time.Second) // and has looked at its registers
	if err := note("after start"); err != nil {
		return err
	}
	sales := b.count(1000, 64)
	if _, err := b.cost(ctx, s, tills, sales); err != nil {
		return err
	}
	if err := note(fmt.Sprintf("after %d sales", sales)); err != nil {
		return err
	}
	if _, _, err := probe.get(ctx, "/v1/receipts?limit=200"); err != nil {
		return err
	}
	return note("after a listing")
}

// starts measures how soon a restarted agent says yes.
func (b *bench) starts(ctx context.Context) (err error) {
	n := b.count(1_000_000, 20_000)
	dir := filepath.Join(b.dir, "starts")
	kept, err := b.journal(ctx, n, dir, false)
	if err != nil {
		return err
	}
	s, err := b.shop(ctx, plan{dir: dir, registers: 1, away: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	once := func(end func() error) (times, error) {
		begun := time.Now()
		if err := s.start(ctx); err != nil {
			return nil, err
		}
		if err := listening(s.agent, s.addr); err != nil {
			return nil, err
		}
		t := newTill(b, s.addr, s.tokens[0])
		defer t.close()
		if _, err := t.sell(ctx, false); err != nil {
			return nil, err
		}
		took := time.Since(begun)
		for range 20 { // leaves something in the log
			if _, err := t.sell(ctx, false); err != nil {
				return nil, err
			}
		}
		return times{took}, end()
	}
	stop := func() error { return s.agent.Stop() }
	kill := func() error { s.agent.Kill(); return nil }

	var clean, killed times
	for range b.count(5, 2) {
		took, err := once(stop)
		if err != nil {
			return err
		}
		clean = append(clean, took...)
	}
	if _, err := once(kill); err != nil {
		return err
	}
	for range 2 {
		took, err := once(kill)
		if err != nil {
			return err
		}
		killed = append(killed, took...)
	}
	if _, err := once(stop); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(dir, journalFile), kept); err != nil {
		return err
	}
	b.table.Aim(figures.Row{
		Name: fmt.Sprintf("start to first yes, %d receipts", n), Figure: clean.ms(50) / 1000, Unit: "s", Note: "after a clean stop",
	}, "0.3 s", clean.ms(50) <= 300)
	b.table.Add(figures.Row{
		Name: fmt.Sprintf("start to first yes, %d receipts", n), Figure: killed.ms(50) / 1000, Unit: "s", Note: "after kill -9",
	})
	return nil
}
