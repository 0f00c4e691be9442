package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// ask is something that a person wants of a register; it is done between
// receipts, in the loop's goroutine.
type ask struct {
	ctx  context.Context
	do   func(ctx context.Context) error
	done chan error
}

func (a *ask) answer(calls context.Context, l *Loop) {
	if a.ctx.Err() != nil { // whoever asked has gone
		a.done <- a.ctx.Err()
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
	a := &ask{ctx: ctx, do: do, done: make(chan error, 1)}
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
	err = l.ask(ctx, func(ctx context.Context) error {
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
		if err := l.openShift(ctx, who, who); err != nil {
			return err
		}
		err := l.look(ctx)
		shift = l.lastShift()
		return err
	})
	return shift, err
}

// CloseShift waits until what can go into the shift has gone, closes it and
// gives the Z report.
func (d *Desk) CloseShift(ctx context.Context, terminal, who string) (report register.Report, err error) {
	l, err := d.active(terminal)
	if err != nil {
		return report, err
	}
	err = l.drained(ctx, func(ctx context.Context) error {
		report, err = l.closeShift(ctx, who)
		return err
	})
	return report, err
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
		return d.journal.SaveReport(register.Reported{Register: l.id, Kind: "x", At: d.now(), Report: report})
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
			return d.journal.Printed(s.Seq)
		})
	}
	return register.ErrUnknownRegister
}

func (l *Loop) lastShift() register.Shift {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status.Shift
}

// openShift opens the shift and writes down by whose order. An answer that was
// lost is settled by looking.
func (l *Loop) openShift(ctx context.Context, cashier, who string) error {
	ctx, cancel := context.WithTimeout(ctx, l.pace.Document)
	defer cancel()
	o := l.reg.OpenShift(ctx, cashier)
	if o.Verdict == register.Unknown || o.Verdict == "" {
		if err := l.look(ctx); err != nil {
			return err
		}
		if l.lastShift().Open {
			o.Verdict = register.Made
		}
	}
	if o.Verdict != register.Made && o.Cause != register.ShiftOpen {
		return orFault(o, register.Other)
	}
	if err := l.look(ctx); err != nil { // the register gives the new shift its id
		return errors.Join(err, l.journal.ShiftOpened(l.id, "", who))
	}
	id := l.lastShift().ID
	l.log.Info("shift opened", "by", who, "shift", id)
	if o.Verdict == register.Made && id != "" { // nobody has rung up anything in it yet
		if err := l.journal.SetForeign(l.id, id, 0); err != nil {
			return err
		}
	}
	return l.journal.ShiftOpened(l.id, id, who)
}

// closeShift closes the shift. An answer that was lost is settled by looking:
// where the shift is closed, its report is read again.
func (l *Loop) closeShift(ctx context.Context, who string) (register.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, l.pace.Document)
	defer cancel()
	if err := l.look(ctx); err != nil {
		return register.Report{}, err
	}
	before := l.lastShift()
	if !before.Open {
		return register.Report{}, &register.Fault{Cause: register.ShiftClosed}
	}
	report, o := l.reg.CloseShift(ctx, who)
	if o.Verdict == register.Unknown || o.Verdict == "" {
		if err := l.look(ctx); err != nil {
			return register.Report{}, err
		}
		if now := l.lastShift(); now.Open && sameShift(now, before) {
			return register.Report{}, orFault(o, register.Other)
		}
		var err error
		if report, err = l.reg.XReport(ctx, before.ID); err != nil {
			return register.Report{}, fmt.Errorf("the shift is closed, its report could not be read: %w", err)
		}
		o.Verdict = register.Made
	}
	if o.Verdict != register.Made {
		return register.Report{}, orFault(o, register.Other)
	}
	if report.OpenedAt.IsZero() {
		report.OpenedAt = before.OpenedAt
	}
	l.expired = register.Shift{} // the next one may look the same, where the register names none
	l.log.Info("shift closed", "by", who, "shift", report.Shift)
	err := l.journal.SaveReport(register.Reported{Register: l.id, Kind: "z", By: who, At: l.now(), Report: report})
	if err == nil {
		err = l.look(ctx)
	}
	return report, err
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
	for {
		left := 0
		err := l.ask(ctx, func(ctx context.Context) error {
			var err error
			if left, err = l.left(); err != nil || left > 0 {
				return err
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
