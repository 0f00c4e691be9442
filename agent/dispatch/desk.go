package dispatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// ask is something that a person wants of a register; it is done between
// receipts, in the loop's goroutine.
type ask struct {
	ctx  context.Context
	idly bool // nobody stands there and waits: a register that is away is not looked for out of turn
	do   func(ctx context.Context) error
	done chan error
}

func (a *ask) answer(calls context.Context, l *Loop) {
	if a.ctx.Err() != nil { // whoever asked has gone
		a.done <- a.ctx.Err()
		return
	}
	if a.idly && l.reg == nil && l.fault != nil {
		a.done <- l.fault
		return
	}
	err := l.connect(calls, l.reg == nil)
	if err == nil {
		err = a.do(calls)
	}
	if err == nil {
		l.recovered()
	} else if unreachable(err) {
		l.fail(err)
	}
	a.done <- err
}

func unreachable(err error) bool {
	var f *register.Fault
	return errors.As(err, &f) && (f.Cause == register.Unreachable || f.Cause == register.Missing ||
		f.Cause == register.WrongRegister || f.Cause == register.Credentials)
}

// ask has something done between two receipts.
func (l *Loop) ask(ctx context.Context, do func(ctx context.Context) error) error {
	return l.askFor(&ask{ctx: ctx, do: do, done: make(chan error, 1)})
}

// askIdly is ask for what programs ask again and again.
func (l *Loop) askIdly(ctx context.Context, do func(ctx context.Context) error) error {
	return l.askFor(&ask{ctx: ctx, idly: true, do: do, done: make(chan error, 1)})
}

func (l *Loop) askFor(a *ask) error {
	ctx := a.ctx
	select {
	case l.asks <- a:
	case <-l.ended:
		return &register.Fault{Cause: register.Unreachable, Text: "the agent is stopping"}
	case <-ctx.Done():
		return &register.Fault{Cause: register.Busy, Err: ctx.Err()}
	}
	// Once taken it is done to its end, which the pace bounds; whoever asked
	// must not read its results before.
	return <-a.done
}

// Desk is where people and tills ask for things at their registers.
type Desk struct {
	journal Journal
	now     func() time.Time
	log     *slog.Logger
	mu      sync.Mutex
	loops   []*Loop
}

// NewDesk makes the desk of some loops, in the order of the settings.
func NewDesk(j Journal, now func() time.Time, log *slog.Logger, loops ...*Loop) *Desk {
	return &Desk{journal: j, now: now, log: log, loops: loops}
}

// Serve has the desk stand for other loops from now on.
func (d *Desk) Serve(loops ...*Loop) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.loops = loops
}

func (d *Desk) of(terminal string) (list []*Loop) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.loops {
		if l.settings().Terminal == terminal {
			list = append(list, l)
		}
	}
	return list
}

func (d *Desk) active(terminal string) (*Loop, error) {
	for _, l := range d.of(terminal) {
		if l.settings().Active {
			return l, nil
		}
	}
	return nil, register.ErrNoRegister
}

// Active names the register that takes the terminal's receipts.
func (d *Desk) Active(terminal string) (string, bool) {
	l, err := d.active(terminal)
	if err != nil {
		return "", false
	}
	return l.id, true
}

// Registers tells of all registers that are bound to the terminal; "" is all.
func (d *Desk) Registers(terminal string) []register.Status {
	loops := d.of(terminal)
	if terminal == "" {
		d.mu.Lock()
		loops = d.loops
		d.mu.Unlock()
	}
	list := []register.Status{}
	for _, l := range loops {
		s, err := l.Status()
		if err != nil {
			d.log.Error("count a register's queue", "register", s.ID, "error", err)
		}
		list = append(list, s)
	}
	return list
}

// Problem says why a register's receipts wait; empty where nothing is wrong.
func (d *Desk) Problem(name string) receipt.Reason {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.loops {
		if l.id == name {
			return l.problem()
		}
	}
	return receipt.Reason{}
}

// Check reaches the register anew and reads who it is and its shift: the Check
// button.
func (d *Desk) Check(ctx context.Context, terminal, name string) (register.Status, error) {
	for _, l := range d.of(terminal) {
		if l.id != name {
			continue
		}
		err := l.ask(ctx, func(ctx context.Context) error { return l.connect(ctx, true) })
		s, counting := l.Status()
		return s, errors.Join(err, counting)
	}
	return register.Status{}, register.ErrUnknownRegister
}

// Shift asks the terminal's register for its shift.
func (d *Desk) Shift(ctx context.Context, terminal string) (shift register.Shift, err error) {
	l, err := d.active(terminal)
	if err != nil {
		return shift, err
	}
	err = l.askIdly(ctx, func(ctx context.Context) error {
		err := l.look(ctx)
		shift = l.lastShift()
		return err
	})
	return shift, err
}

// OpenShift opens the shift. Error: a *register.Fault; ShiftOpen where it was
// open already.
func (d *Desk) OpenShift(ctx context.Context, terminal, who string) (shift register.Shift, err error) {
	l, err := d.active(terminal)
	if err != nil {
		return shift, err
	}
	err = l.ask(ctx, func(ctx context.Context) error {
		if err := l.look(ctx); err != nil {
			return err
		}
		if l.lastShift().Open {
			return &register.Fault{Cause: register.ShiftOpen}
		}
		if err := l.openShift(ctx, who, cmp.Or(who, byTill)); err != nil {
			return err
		}
		err := l.look(ctx)
		shift = l.lastShift()
		return err
	})
	return shift, err
}

// CloseShift waits until what can go into the shift has gone, closes it and
// gives the Z report, held against the journal.
func (d *Desk) CloseShift(ctx context.Context, terminal, who string) (register.Report, error) {
	l, err := d.active(terminal)
	if err != nil {
		return register.Report{}, err
	}
	return l.closed(ctx, l.drained, who, cmp.Or(who, byTill))
}

// CloseShiftNow closes it at once, since a person says why; what waits goes into
// the next one.
func (d *Desk) CloseShiftNow(ctx context.Context, terminal, who, why string) (register.Report, error) {
	l, err := d.active(terminal)
	if err != nil {
		return register.Report{}, err
	}
	return l.closed(ctx, l.ask, who, cmp.Or(who, byTill)+": "+why)
}

func (l *Loop) closed(ctx context.Context, when func(context.Context, func(context.Context) error) error, cashier, by string) (register.Report, error) {
	var r register.Reported
	err := when(ctx, func(ctx context.Context) (err error) {
		r, err = l.closeShift(ctx, cashier, by)
		return err
	})
	return r.Report, err
}

// Reports gives the newest X ("x") or Z ("z") reports of the terminal's
// registers, newest first.
func (d *Desk) Reports(terminal, kind string, limit int) (all []register.Reported, err error) {
	for _, l := range d.of(terminal) {
		list, err := d.journal.Reports(l.id, kind, limit)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	slices.SortStableFunc(all, func(a, b register.Reported) int { return b.At.Compare(a.At) })
	return all[:min(limit, len(all))], nil
}

// XReport reads the totals of the running shift, and keeps them.
func (d *Desk) XReport(ctx context.Context, terminal string) (report register.Report, err error) {
	l, err := d.active(terminal)
	if err != nil {
		return report, err
	}
	err = l.ask(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, l.pace.Document)
		defer cancel()
		if report, err = l.reg.XReport(ctx, ""); err != nil {
			return err
		}
		return l.broke(d.journal.SaveReport(register.Reported{Register: l.id, Kind: "x", At: d.now(), Report: report}))
	})
	return report, err
}

// Period reads the totals of some days, first and last included, as the active
// register has them. They are not kept: the register gives them again.
func (d *Desk) Period(ctx context.Context, terminal string, from, to time.Time) (report register.Report, err error) {
	l, err := d.active(terminal)
	if err != nil {
		return report, err
	}
	err = l.ask(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, l.pace.Document)
		defer cancel()
		report, err = l.reg.Period(ctx, from, to)
		return err
	})
	return report, err
}

// Reprint prints a copy of a fiscal receipt's document on the register that
// made it. Error: receipt.ErrMove where it is not fiscal.
func (d *Desk) Reprint(ctx context.Context, terminal, id string) error {
	s, err := d.journal.Get(terminal, id)
	if err != nil {
		return err
	}
	if s.Document == nil {
		return fmt.Errorf("%w: it is %s", receipt.ErrMove, s.State)
	}
	for _, l := range d.of(terminal) {
		if l.id != s.Register {
			continue
		}
		return l.ask(ctx, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, l.pace.Document)
			defer cancel()
			if o := l.reg.Reprint(ctx, *s.Document); o.Verdict != register.Made {
				return orFault(o, register.Other)
			}
			return l.broke(d.journal.Printed(s.Seq))
		})
	}
	return register.ErrUnknownRegister
}

func (l *Loop) lastShift() register.Shift {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.status.Shift
	s.Age = l.lived.now(l.now())
	return s
}

// left counts what still goes into the running shift, if it is given time. What
// waits for its parent or for the shift's own end is not among it.
func (l *Loop) left() (int, error) {
	_, _, err := l.journal.Unfinished(l.id)
	if errors.Is(err, receipt.ErrNotFound) {
		if !l.settings().Enabled || l.tooLong(l.lastShift()) {
			return 0, nil
		}
		_, _, err = l.journal.Next(l.id)
	}
	if errors.Is(err, receipt.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	q, err := l.journal.Queue(l.id)
	return max(1, q.Waiting), err
}

// drained has something done when nothing more can go into the running shift,
// so that no receipt slips into the next one.
func (l *Loop) drained(ctx context.Context, do func(context.Context) error) error {
	pulse, stop := l.journal.WatchRegister(l.id)
	defer stop()
	for ask := l.ask; ; ask = l.askIdly {
		left := 0
		err := ask(ctx, func(ctx context.Context) error {
			var err error
			if left, err = l.left(); err != nil || left > 0 {
				return l.broke(err)
			}
			return do(ctx)
		})
		if err != nil || left == 0 {
			return err
		}
		select {
		case <-pulse:
		case <-time.After(l.pace.Poll):
		case <-ctx.Done():
			return &register.Fault{Cause: register.Busy, Text: fmt.Sprintf("%d receipts are still on their way", left)}
		}
	}
}
