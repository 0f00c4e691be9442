package dispatch

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// Replay says what becomes of receipts that waited while the register was away.
type Replay struct {
	Ask    bool          // a person says which to send; otherwise they go by themselves
	Within time.Duration // while they are younger than this
}

// backlog decides, once after each absence, what becomes of what waited. While
// the register could not be reached, staff may have rung up by hand on its own
// screen; sending the same sales again would make them fiscal twice, so then
// nothing is replayed and a person says which to send. Its error is a register's
// or, where journal is true, the journal's.
func (l *Loop) backlog(ctx context.Context) (journal bool, err error) {
	if !l.absent {
		return false, nil
	}
	last, err := l.journal.LastReceipt()
	if err != nil {
		return true, err
	}
	if l.now().Sub(l.lost) < l.pace.ByHand { // too short for anyone to ring up anything
		if l.everSeen {
			l.absent = false
			return false, nil
		}
		last = l.first // what came in since we started has not waited
	}
	foreign, told, err := l.foreign(ctx)
	if err != nil {
		return false, err
	}
	shift, known, err := l.journal.Foreign(l.id)
	if err != nil {
		return true, err
	}
	more := extra{}
	if foreign.shift == shift {
		more[shift] = foreign.documents - known
	} else {
		more[foreign.shift] = foreign.documents
		if shift != "" && !strings.HasPrefix(shift, noShift) { // what was rung up before that one was closed
			before, err := l.counted(ctx, shift, shift)
			if err != nil {
				return false, err
			}
			if before.told {
				more[shift] = before.foreign - known
			}
		}
	}
	newest, err := l.between(ctx, shift, foreign.shift, more)
	if err != nil {
		return false, err
	}
	if strings.HasPrefix(foreign.shift, noShift) && newest > 0 {
		foreign.shift = noShift + strconv.Itoa(newest)
	}
	byHand := more.all()
	switch {
	case told && shift != "" && byHand > 0: // "": this is the first look
		doubts, err := l.mayExplain(more)
		if err != nil {
			return true, err
		}
		if len(doubts) > 0 && !l.settings().Replay.Ask { // where the settings ask, each is asked about
			return l.await(ctx, last, register.Unexplained{Documents: byHand, Doubts: doubts}, foreign)
		}
		if err := l.holdWaiting(last, receipt.Reason{Code: register.WhyRangByHand, Detail: fmt.Sprint(byHand)}); err != nil {
			return true, err
		}
	case l.settings().Replay.Ask:
		if err := l.holdWaiting(last, receipt.Reason{Code: register.WhyAskFirst}); err != nil {
			return true, err
		}
	}
	if !told { // what is known stays
		foreign = others{shift: shift, documents: known}
	}
	if err := l.journal.SetForeign(l.id, foreign.shift, foreign.documents); err != nil {
		return true, err
	}
	l.looked()
	return false, nil
}

func (l *Loop) looked() { l.absent, l.everSeen = false, true }

// extra is how many documents shifts have beyond those that were known before.
type extra map[string]int

func (e extra) all() (n int) {
	for _, more := range e {
		n += max(0, more)
	}
	return n
}

// mayExplain gives the receipts that a person is asked about and that may be all the
// further documents there are; none where some were rung up by hand for certain.
func (l *Loop) mayExplain(more extra) (list []register.Doubt, err error) {
	all, err := l.journal.Doubts(l.id)
	if err != nil {
		return nil, err
	}
	for shift, n := range more {
		before := len(list)
		for _, d := range all {
			if n > 0 && d.Shift == shift && d.Serial == l.identity.Serial {
				list = append(list, d)
			}
		}
		if len(list)-before < n {
			return nil, nil
		}
	}
	return list, nil
}

// await has what waited wait for a person's answer about what is in doubt: either
// the register's further documents are those, and nobody rang up anything, or what
// waited may be among what somebody did. That is one question, not one for each.
func (l *Loop) await(ctx context.Context, last int64, u register.Unexplained, foreign others) (journal bool, err error) {
	n, err := l.journal.Await(l.id, last, u, foreign.shift, foreign.documents)
	if errors.Is(err, receipt.ErrMove) { // it was answered in this very moment
		return l.backlog(ctx)
	}
	if err != nil {
		return true, err
	}
	if n > 0 {
		l.log.Warn("receipts that waited are held until a person has answered about what is in doubt", "receipts", n, "in doubt", len(u.Doubts))
	}
	l.looked()
	return false, nil
}

func (l *Loop) holdWaiting(upTo int64, why receipt.Reason) error {
	n, err := l.journal.HoldWaiting(l.id, upTo, why)
	if n > 0 {
		l.log.Warn("receipts that waited are held: a person must say which to send", "receipts", n, "reason", why.Code)
	}
	return err
}

// noShift is remembered where no shift was open, with the number of the last one
// where shifts are numbered; it is no register's name for one.
const noShift = "-"

// between counts what was rung up in shifts that came and went in our absence,
// where the register numbers its shifts: between the one known from before and
// the one that is open now, if any. last is the newest that there was.
func (l *Loop) between(ctx context.Context, known, open string, more extra) (last int, err error) {
	last, err = strconv.Atoi(strings.TrimPrefix(known, noShift))
	if err != nil {
		return 0, nil
	}
	for range mostBetween {
		name := strconv.Itoa(last + 1)
		if name == open {
			break
		}
		c, err := l.counted(ctx, name, name)
		if err != nil {
			return 0, err
		}
		if !c.named || c.all == 0 { // there was none yet
			break
		}
		more[name], last = c.foreign, last+1
	}
	return last, nil
}

// mostBetween bounds how many shifts are asked for; a week of absence has fewer.
const mostBetween = 20

// others is what a shift has that is not ours.
type others struct {
	shift     string
	documents int
}

// foreign counts by the X report, which the register may print: once after an
// absence, never for each sale. told is false where the register gives no
// shift to count in.
func (l *Loop) foreign(ctx context.Context) (o others, told bool, err error) {
	shift := l.lastShift()
	switch {
	case !shift.Open:
		return others{shift: noShift}, true, nil
	case shift.ID == "":
		return o, false, nil
	}
	c, err := l.counted(ctx, shift.ID, "")
	return others{shift: shift.ID, documents: c.foreign}, c.told, err
}

// counted is what a shift's report has.
type counted struct {
	told    bool // there is such a report
	named   bool // and it says that it is of this shift
	all     int  // documents
	foreign int  // of which are not ours
}

// counted asks for a shift's report; by is how it is asked for, "" for the
// running one.
func (l *Loop) counted(ctx context.Context, shift, by string) (c counted, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.pace.Question)
	defer cancel()
	report, err := l.reg.XReport(ctx, by)
	var f *register.Fault
	switch {
	case errors.As(err, &f) && f.Cause != register.Unreachable && f.Cause != register.Busy:
		return c, nil // it has no such report for us: nothing to compare
	case err != nil:
		return c, err
	case by != "" && report.Shift != "" && report.Shift != by:
		return c, nil // it tells of another shift
	}
	ours, err := l.journal.MadeIn(l.identity.Serial, shift)
	if err != nil {
		return c, l.broke(err)
	}
	c.told, c.named = true, report.Shift == shift
	for _, s := range []register.Sum{
		report.Sales, report.Refunds, report.Cancels, report.Prepaid, report.Credit, report.Correct, report.In, report.Out,
	} {
		c.all += s.Count
	}
	c.foreign = max(0, c.all-ours)
	return c, nil
}

// tooOld says whether a receipt has waited longer than the settings allow. What
// came in since we started is never older than that, whatever the wall clock
// has done meanwhile; and a clock that is not set tells no age.
func (l *Loop) tooOld(s receipt.Stored) bool {
	within := l.settings().Replay.Within
	if within <= 0 || s.Reason.Code == register.WhyPerson || s.ReceivedAt.Year() < clockSet {
		return false
	}
	now := l.now()
	if s.Seq > l.first && now.Sub(l.began) <= within { // monotonic
		return false
	}
	return now.Round(0).Sub(s.ReceivedAt) > within
}

// clockSet is the first year that a clock can tell if it was ever set.
const clockSet = 2026
