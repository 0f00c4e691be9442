package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ekassa/agent/crash"
	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// doubt is what the register said of an unclear attempt so far. One look proves
// nothing: it may still be at work. Two equal ones with the register's settle
// time between them do.
type doubt struct {
	of      string // which attempt
	finding verdict
	since   time.Time
}

// verdict of one look at the register.
type verdict string

const (
	madeNothing verdict = "it made nothing"            // and what is still under way cannot become a second document
	countedNone verdict = "it has made nothing so far" // by its counters: what is still under way may yet become one
	cannotTell  verdict = "it cannot tell"
)

// settle asks what became of an attempt that has no clear answer, until it is
// proven either way, or is certain to stay a question that only a person can
// answer. Nothing else is sent to the register meanwhile.
func (l *Loop) settle(ctx context.Context, s receipt.Stored, a register.Attempt) (time.Duration, error) {
	if a.Baseline.Serial != l.identity.Serial {
		return 0, l.hold(a, fmt.Sprintf("it was sent to register %s, and %s stands there now", a.Baseline.Serial, l.identity.Serial))
	}
	asking, cancel := context.WithTimeout(ctx, l.pace.Question)
	defer cancel()
	e := l.reg.Lookup(asking, a.Request)
	crash.Point(crash.Asked)
	switch {
	case e.Found == register.DocumentMade:
		l.log.Info("settled: the register had made it", "receipt", s.ID, "attempt", a.Number)
		if e.Document != nil {
			// The register's word that paper was out outlives our restarts here.
			e.Document.Printed = e.Document.Printed && s.Reason.Code != register.WhyPaper
		}
		return l.made(s, a, e.Document, "asked: "+e.Text)
	case e.Found == register.InProgress:
		l.doubt = doubt{}
		l.show(register.LinkBlocked, receipt.Reason{Code: register.WhyBusy})
		return l.pace.Poll, nil
	case e.Found != register.NotFound && unanswered(e.Err):
		return l.fail(e.Err), nil
	}
	now, err := l.baseline(ctx, s.Kind)
	if err != nil {
		return l.fail(err), nil
	}
	found, text := l.compare(e, a.Baseline, now)
	text = fmt.Sprintf("asked: %s; %s: %s", e.Text, found, text)

	of := fmt.Sprint(a.Seq, "/", a.Number)
	pause := max(l.reg.Abilities().Settle, time.Millisecond)
	if l.doubt.of != of || l.doubt.finding != found {
		l.doubt = doubt{of: of, finding: found, since: l.now()}
		return pause, l.journal.Observe(a, text)
	}
	patience := pause
	switch {
	case found == countedNone: // no settle time of a query bounds a document that nothing guards
		patience = max(pause, l.pace.Document)
		pause = patience
	case errors.Is(e.Err, register.ErrNotAnswer): // perhaps the next one is an answer
		patience = max(pause, l.pace.Document)
	}
	if waited := l.now().Sub(l.doubt.since); waited >= 0 && waited < patience {
		return min(pause, patience-waited), nil
	}
	l.doubt = doubt{}
	if found == cannotTell {
		l.log.Warn("the register cannot tell: a person must decide", "receipt", s.ID, "text", text)
		c := cannotTellWhy(text)
		c.InDoubt = l.inDoubt(asking, s.Kind, a.Baseline, now)
		return 0, l.journal.Conclude(a, c)
	}
	l.log.Info("settled: the register made nothing, sending again", "receipt", s.ID, "attempt", a.Number)
	err = l.proven(a, register.Conclusion{State: receipt.Waiting, Proof: register.ProofNotMade, Text: text})
	if a.Number < 3 {
		return 0, err
	}
	// A register that swallows every request is not flooded with them.
	return l.fail(&register.Fault{Cause: register.Busy, Text: fmt.Sprintf("%d attempts came to nothing", a.Number)}), err
}

// inDoubt names the shift that has one document more than is known to be ours:
// the one that a person is now being asked about; "" for none. Were that not
// noted, the next look for what was rung up by hand would ask about everything
// that waits as well. Of a sale it is not, since it is sales that people ring up
// by hand; nor of anything whose own counter stood still.
func (l *Loop) inDoubt(ctx context.Context, kind receipt.Kind, then, now register.Baseline) string {
	if kind == receipt.Sale || !then.Counted || !then.Shift.Open {
		return ""
	}
	counted, count := now.Counted, now.Count
	if !sameShift(then.Shift, now.Shift) { // closed meanwhile: its report tells what it came to
		report, err := l.reg.XReport(ctx, then.Shift.ID)
		counted, count = err == nil && report.Shift == then.Shift.ID, report.Count()
	}
	if !counted || count.Of(kind) <= then.Count.Of(kind) {
		return ""
	}
	return then.Shift.ID
}

// unanswered says whether the question itself did not get through, so that it
// is worth asking again. Any other error is an answer that proves nothing.
func unanswered(err error) bool {
	var f *register.Fault
	return errors.As(err, &f) && (unreachable(err) || f.Cause == register.Busy)
}

// compare judges what the register says by what it can promise. The amount of
// money is never looked at: two coffees in a row cost the same.
func (l *Loop) compare(e register.Evidence, then, now register.Baseline) (verdict, string) {
	// What guarded the attempt when it was sent counts only while the register
	// still is such a one.
	class := now.Class
	if then.Class != "" && then.Class != now.Class {
		class = register.Neither
	}
	// Even a copy that is still under way cannot make a second document: the
	// next attempt carries the same key, or stands on the same number. A key is
	// only trusted to be remembered within its shift.
	if e.Found == register.NotFound && (class == register.Key && sameShift(then.Shift, now.Shift) || class == register.CompareAndSet) {
		return madeNothing, "it knows no document with our key"
	}
	switch {
	case !sameShift(then.Shift, now.Shift):
		return cannotTell, "its shift is another one"
	case !then.Counted || !now.Counted:
		return cannotTell, "it has no counter to compare"
	case then.Count == now.Count && then.Last == now.Last:
		return countedNone, "its counters have not moved"
	}
	return cannotTell, fmt.Sprintf("its counters moved from %+v to %+v", then.Count, now.Count)
}
