package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// Guard says what becomes of a shift as it grows old.
type Guard struct {
	Warn        []time.Duration // ages at which people are warned, ascending
	BeforeLimit bool            // closed by itself before its 24 hours are over
	At          bool            // closed by itself at a time of day
	Hour, Min   int             // that time
	Zone        *time.Location  // of the shop; nil: UTC
}

// Who opens and closes a shift, where no name is given.
const (
	byItself = "auto"
	byTill   = "till"
)

// How the guard goes about closing before the limit: in the last hour once
// nothing has been sold for a while, and in the last quarter at any free moment.
const (
	quiet    = 5 * time.Minute
	early    = register.MaxShift - time.Hour
	late     = register.MaxShift - 15*time.Minute
	tryAgain = 5 * time.Minute // after a close that came to nothing
	unread   = 10              // looks after which a report that cannot be read is given up
)

// watch is what the loop knows of the shift that is open. Only Run's goroutine
// touches it, except for what age needs.
type watch struct {
	shift   *register.Seen // nil: none is open
	opening string         // who has ordered the one that is about to open; "": nobody
	told    time.Duration  // the age of which people were told last
	misses  int            // how often the report of a closed shift could not be read
	sent    time.Time      // when the last document was made
	rest    time.Time      // until then the guard does not try to close
	skewed  bool           // people were told of the register's clock
}

// remember takes up what was known of the register when the agent stopped: who
// it is, its shift, and the order to open one that had no answer.
func (l *Loop) remember() error {
	var err error
	if l.known, err = l.journal.Identity(l.id); err != nil {
		return err
	}
	l.mu.Lock()
	l.status.Identity = l.known
	l.mu.Unlock()
	if l.watch.opening, err = l.journal.Opening(l.id); err != nil {
		return err
	}
	s, err := l.journal.OpenShift(l.id)
	if errors.Is(err, receipt.ErrNotFound) {
		return nil
	}
	if err == nil {
		l.watch.shift = &s
		l.ageFrom(s.OpenedAt)
		l.mu.Lock()
		l.status.Shift = register.Shift{Open: true, ID: s.Name, OpenedAt: s.OpenedAt}
		l.mu.Unlock()
	}
	return err
}

// sawShift holds the register's shift against the one that was last seen, and
// writes down what happened meanwhile, by our order or on the register itself.
func (l *Loop) sawShift(ctx context.Context, now register.Shift) error {
	now.ID = now.Name()
	l.mu.Lock()
	l.status.Shift, l.status.SeenAt = now, l.now()
	l.mu.Unlock()
	if was := l.watch.shift; was != nil && (!now.Open || now.ID != "" && now.ID != was.Name || l.identity.Serial != was.Serial) {
		report, err := l.reportOf(ctx, *was)
		if err != nil {
			l.log.Warn("the report of a closed shift cannot be read yet", "shift", was.Name, "error", err)
			return nil // it is looked for again, and stops nothing meanwhile
		}
		if _, err := l.shiftClosed(report, was.ClosingBy); err != nil {
			return err
		}
	}
	if now.Open && l.watch.shift == nil {
		if err := l.shiftOpened(now); err != nil {
			return err
		}
	}
	if !now.Open { // an order to open came to nothing
		if err := l.opening(""); err != nil {
			return err
		}
	}
	return l.warn()
}

// reportOf reads the report of a shift that has ended. After some tries it is
// given up, and the report says why it has no figures.
func (l *Loop) reportOf(ctx context.Context, s register.Seen) (register.Report, error) {
	missing := register.Report{Shift: s.Name, OpenedAt: s.OpenedAt}
	if l.identity.Serial != s.Serial {
		missing.Missing = fmt.Sprintf("register %s stands there now, not %s", l.identity.Serial, s.Serial)
		return missing, nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.pace.Question)
	defer cancel()
	report, err := l.reg.XReport(ctx, s.Name)
	if err == nil && report.Shift != "" && report.Shift != s.Name {
		err = &register.Fault{Cause: register.Other, Text: "it gave the report of shift " + report.Shift}
	}
	if err == nil {
		return report, nil
	}
	if l.watch.misses++; l.watch.misses < unread {
		return report, err
	}
	missing.Missing = err.Error()
	return missing, nil
}

func (l *Loop) shiftOpened(s register.Shift) error {
	seen := register.Seen{Serial: l.identity.Serial, Name: s.ID, OpenedAt: s.OpenedAt, OpenedBy: l.watch.opening}
	// The register's clock may be wrong; ours was there when we opened it.
	if now := l.now(); seen.OpenedBy != "" || seen.OpenedAt.IsZero() || seen.OpenedAt.After(now) {
		seen.OpenedAt = now
	}
	if err := l.journal.ShiftOpened(l.id, seen); err != nil {
		return l.broke(err)
	}
	if seen.OpenedBy == "" {
		l.log.Info("a shift is open that was not opened here", "shift", seen.Name)
	} else {
		l.log.Info("shift opened", "by", seen.OpenedBy, "shift", seen.Name)
	}
	l.watch.shift, l.watch.opening, l.watch.told = &seen, "", 0
	l.ageFrom(seen.OpenedAt)
	return nil
}

// shiftClosed keeps the report of the shift that was open, held against the
// journal. by "": it was closed on the register itself.
func (l *Loop) shiftClosed(report register.Report, by string) (register.Reported, error) {
	if report.Shift == "" {
		report.Shift = l.watch.shift.Name
	}
	if report.OpenedAt.IsZero() {
		report.OpenedAt = l.watch.shift.OpenedAt
	}
	r, err := l.journal.ShiftClosed(register.Reported{Register: l.id, By: by, At: l.now(), Report: report})
	if err != nil {
		return r, l.broke(err)
	}
	log := l.log.With("shift", report.Shift, "by", by)
	switch {
	case report.Missing != "":
		log.Warn("shift closed, and its report could not be read", "error", report.Missing)
	case len(r.Report.Balance.Differences) > 0:
		log.Warn("shift closed, and its report differs from the journal", "differences", r.Report.Balance.Differences, "doubtful", r.Report.Balance.Doubtful)
	case by == "":
		log.Info("the shift was closed on the register itself")
	default:
		log.Info("shift closed")
	}
	l.watch = watch{sent: l.watch.sent, skewed: l.watch.skewed}
	l.expired = register.Shift{} // the next one may look the same, where the register names none
	l.ageFrom(time.Time{})
	return r, nil
}

// openShift opens the shift, in the name of a cashier and by somebody's order,
// which is written down before the register hears it. An answer that was lost
// is settled by looking, also after our death.
func (l *Loop) openShift(ctx context.Context, cashier, who string) error {
	ctx, cancel := context.WithTimeout(ctx, l.pace.Document)
	defer cancel()
	if err := l.opening(who); err != nil {
		return err
	}
	began := l.now()
	o := l.reg.OpenShift(ctx, cashier)
	if o.Verdict == register.Refused || o.Verdict == register.NotSent { // an open one is somebody else's
		if err := l.opening(""); err != nil {
			return err
		}
	}
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
		return err
	}
	if o.Verdict != register.Made {
		return nil
	}
	l.tells(l.lastShift().OpenedAt, began)
	if id := l.lastShift().ID; id != "" && !l.absent { // nobody has rung up anything in it yet
		return l.broke(l.journal.SetForeign(l.id, id, 0))
	}
	return nil
}

// opening notes who has ordered a shift to be opened; "": nobody.
func (l *Loop) opening(who string) error {
	if l.watch.opening == who {
		return nil
	}
	if err := l.journal.ShiftOpening(l.id, who); err != nil {
		return l.broke(err)
	}
	l.watch.opening = who
	return nil
}

// closeShift closes the shift and keeps its report. The order is written down
// before the register hears it, so that whatever dies then, the shift is found
// closed, by whom, and its report is read again.
func (l *Loop) closeShift(ctx context.Context, cashier, who string) (r register.Reported, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.pace.Document)
	defer cancel()
	if err := l.look(ctx); err != nil {
		return r, err
	}
	shift := l.watch.shift
	if !l.lastShift().Open || shift == nil {
		return r, &register.Fault{Cause: register.ShiftClosed}
	}
	if err := l.journal.ShiftClosing(l.id, who); err != nil {
		return r, l.broke(err)
	}
	shift.ClosingBy = who
	report, o := l.reg.CloseShift(ctx, cashier)
	switch o.Verdict {
	case register.Made:
		if r, err = l.shiftClosed(report, who); err != nil {
			return r, err
		}
		return r, l.look(ctx)
	case register.Refused, register.NotSent:
		shift.ClosingBy = ""
		return r, errors.Join(orFault(o, register.Other), l.broke(l.journal.ShiftClosing(l.id, "")))
	}
	if err := l.look(ctx); err != nil {
		return r, err
	}
	if l.watch.shift == shift && l.lastShift().Open {
		return r, orFault(o, register.Other) // it may close yet, and is then found closed by this order
	}
	if l.watch.shift == shift {
		return r, &register.Fault{Cause: register.Busy, Text: "the shift is closed, its report could not be read yet"}
	}
	list, err := l.journal.Reports(l.id, "z", 1)
	if err != nil || len(list) == 0 {
		return r, l.broke(errors.Join(err, errors.New("the report of the closed shift is not in the journal")))
	}
	return list[0], nil
}

// guards says whether the settings have shifts closed by themselves.
func (l *Loop) guards() bool {
	g := l.settings().Guard
	return g.At || g.BeforeLimit
}

// due says whether the guard closes the shift now. Its queue is empty, or can
// no longer go into it.
func (l *Loop) due() bool {
	s, now := l.watch.shift, l.now()
	if s == nil || !l.guards() || now.Before(l.watch.rest) || !l.lastShift().Open {
		return false
	}
	age := l.age()
	if age >= register.MaxShift || l.tooLong(l.lastShift()) {
		return true
	}
	g := l.settings().Guard
	if age >= late || g.BeforeLimit && age >= early && now.Sub(l.watch.sent) >= quiet {
		return true
	}
	if !g.At || now.Year() < clockSet {
		return false
	}
	if g.Zone != nil {
		now = now.In(g.Zone)
	}
	last := time.Date(now.Year(), now.Month(), now.Day(), g.Hour, g.Min, 0, 0, now.Location())
	if last.After(now) {
		last = last.AddDate(0, 0, -1)
	}
	return s.OpenedAt.Before(last) && now.Sub(last) < register.MaxShift
}

// autoClose closes the shift by itself. Where that comes to nothing, sales go on.
func (l *Loop) autoClose(ctx context.Context) time.Duration {
	l.log.Info("closing the shift", "age", l.age().Round(time.Minute))
	_, err := l.closeShift(ctx, byItself, byItself)
	if err == nil {
		l.recovered()
		return 0
	}
	l.watch.rest = l.now().Add(tryAgain)
	if unreachable(err) || l.tooLong(l.lastShift()) {
		return l.fail(err)
	}
	l.log.Warn("the shift could not be closed: trying again later", "error", err)
	return 0
}

// warn tells people that the shift is old: once for each age that the settings
// name, and once its 24 hours are over.
func (l *Loop) warn() error {
	age, reached := l.age(), time.Duration(0)
	for _, w := range l.settings().Guard.Warn {
		if age >= w {
			reached = w
		}
	}
	if age >= register.MaxShift {
		reached = register.MaxShift
	}
	if l.watch.shift == nil || reached <= l.watch.told {
		return nil
	}
	l.watch.told = reached
	code := register.AlertShiftOld
	if reached >= register.MaxShift {
		code = register.AlertShiftExpired
	}
	l.log.Warn("the shift is old: close it", "age", age.Round(time.Minute))
	return l.broke(l.journal.Alert(l.id, code, age.Round(time.Minute).String()))
}

// clock compares the register's clock with ours, by a document that it has just
// made and told the time of.
func (l *Loop) clock(o register.Outcome, began time.Time) {
	if o.Verdict == register.Made && o.Document != nil && !o.Document.Untimed {
		l.tells(o.Document.At, began)
	}
}

// tells holds the time that the register gave something that was begun here
// against ours, and tells people once where the two differ.
func (l *Loop) tells(theirs, began time.Time) {
	now := l.now()
	if theirs.IsZero() || now.Sub(began) > 10*time.Second || now.Year() < clockSet {
		return
	}
	c := register.Clock{Ahead: theirs.Sub(began.Add(now.Sub(began) / 2)).Round(time.Second), At: now}
	l.mu.Lock()
	l.status.Clock = c
	l.mu.Unlock()
	if c.Off() && !l.watch.skewed {
		l.log.Warn("the register's clock differs from ours", "ahead", c.Ahead)
		_ = l.broke(l.journal.Alert(l.id, register.AlertClock, c.Ahead.String()))
	}
	l.watch.skewed = c.Off()
}

// lived is how old the shift is, without trust in either clock.
type lived struct {
	opened time.Time // by the wall clock; zero: no shift is open
	since  time.Time // when that was first known in this run
	age    time.Duration
}

func (l *Loop) ageFrom(opened time.Time) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lived = lived{opened: opened, since: now, age: plausible(now.Round(0).Sub(opened))}
	if opened.IsZero() {
		l.lived = lived{}
	}
}

// age of the open shift: what has passed in this run counts in any case, and
// what the wall clock says where it can be true. It may have been set right
// only after we started.
func (l *Loop) age() time.Duration {
	return l.lastShift().Age
}

func (v lived) now(now time.Time) time.Duration {
	if v.opened.IsZero() {
		return 0
	}
	return max(v.age+now.Sub(v.since), plausible(now.Round(0).Sub(v.opened)))
}

// plausible takes no age from a clock that jumped: a shift of a month is none.
func plausible(age time.Duration) time.Duration {
	if age < 0 || age > 31*24*time.Hour {
		return 0
	}
	return age
}
