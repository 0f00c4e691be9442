package omnitech

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// OpenShift opens the shift (15). The page has no field for the cashier.
func (d *Driver) OpenShift(ctx context.Context, _ string) register.Outcome {
	_, o := d.do(ctx, "open_shift", ask(opOpenShift))
	if o.Cause == register.Paper {
		d.unblock(ctx)
	}
	return o
}

// unblock prints what ran out of paper half-way (16), before which the register
// prints nothing else (section 12, code 1200): an agent that was killed since may
// not know of it. It says whether that came out.
func (d *Driver) unblock(ctx context.Context) bool {
	_, o := d.do(ctx, "reprint", ask(opReprint))
	return o.Verdict == register.Made
}

// xReport reads the running shift's totals (12).
func (d *Driver) xReport(ctx context.Context) (answer, error) {
	a, err := d.ask(ctx, "x_report", ask(opXReport))
	var f *register.Fault
	if errors.As(err, &f) && f.Cause == register.Paper && d.unblock(ctx) {
		return d.ask(ctx, "x_report", ask(opXReport))
	}
	return a, err
}

// CloseShift closes the shift with the Z report (13).
func (d *Driver) CloseShift(ctx context.Context, _ string) (register.Report, register.Outcome) {
	_, shift, _ := d.remembered()
	a, o := d.do(ctx, "close_shift", ask(opCloseShift))
	if o.Cause == register.Paper {
		d.unblock(ctx) // the next order to close finds the way free
	}
	if o.Verdict != register.Made {
		return register.Report{}, o
	}
	return d.report(a, shift), o
}

// do has something done that makes no document of ours.
func (d *Driver) do(ctx context.Context, name string, r request) (answer, register.Outcome) {
	a, o := d.order(ctx, name, r)
	if o.Err != nil {
		return a, o
	}
	code, ok := a.code()
	o = register.Outcome{Verdict: register.Unknown, Cause: register.Other, Code: a.codeText(), Text: d.mask(a.message())}
	if !ok {
		o.Err = fmt.Errorf("%w: no code", register.ErrNotAnswer)
		return a, o
	}
	if code == 0 {
		return a, register.Outcome{Verdict: register.Made, Code: o.Code, Text: o.Text}
	}
	m := meaning(name, code, a)
	o.Cause, o.Err = m.cause, fmt.Errorf("register answers %s with code %d", name, code)
	if m.refuses {
		o.Verdict = register.Refused
	}
	return a, o
}

// Reprint prints a document that did not come out, or a copy. What ran out of
// paper half-way is printed by 16, which names no document: it is only asked for
// where this one is not on paper, and the register takes no other before it. A
// copy (11) may be a document of its own (section 4): its ids are nobody's.
func (d *Driver) Reprint(ctx context.Context, doc receipt.Document) register.Outcome {
	if !doc.Printed {
		if _, o := d.do(ctx, "reprint", ask(opReprint)); o.Verdict == register.Made {
			return printed(o, doc)
		} else if o.Verdict == register.NotSent || o.Cause == register.Paper || o.Cause == register.Busy ||
			o.Cause == register.Credentials || o.Cause == register.Unreachable {
			return o
		}
	}
	if doc.FiscalID == "" {
		return register.Outcome{Verdict: register.NotSent, Cause: register.BadData, Err: fmt.Errorf("print a copy: the document's long id is not known")}
	}
	r := ask(opCopy)
	r.FiscalID = doc.FiscalID
	_, o := d.do(ctx, "copy", r)
	if o.Verdict != register.Made {
		return o
	}
	return printed(o, doc)
}

func printed(o register.Outcome, doc receipt.Document) register.Outcome {
	doc.Printed = true
	o.Document = &doc
	return o
}

// XReport reads the totals of the present shift (12). There is none of a shift
// that is closed.
func (d *Driver) XReport(ctx context.Context, shift string) (register.Report, error) {
	now, err := d.Shift(ctx)
	if err != nil {
		return register.Report{}, err
	}
	if !now.Open {
		return register.Report{}, &register.Fault{Cause: register.ShiftClosed, Err: fmt.Errorf("read the X report: no shift is open")}
	}
	if shift != "" && shift != now.ID {
		return register.Report{}, &register.Fault{Cause: register.Other, Err: fmt.Errorf("read the X report of shift %s: the register has that of %s only", shift, now.ID)}
	}
	a, err := d.xReport(ctx)
	if err != nil {
		return register.Report{}, err
	}
	r := d.report(a, now.ID)
	if r.OpenedAt.IsZero() {
		r.OpenedAt = now.OpenedAt
	}
	return r, nil
}

// Period reads the statement of some days (18), first and last included.
func (d *Driver) Period(ctx context.Context, from, to time.Time) (register.Report, error) {
	f, t := from.In(d.cfg.Zone), to.In(d.cfg.Zone)
	a, err := d.ask(ctx, "statement", between(opStatement,
		time.Date(f.Year(), f.Month(), f.Day(), 0, 0, 0, 0, d.cfg.Zone),
		time.Date(t.Year(), t.Month(), t.Day(), 23, 59, 59, 0, d.cfg.Zone), d.cfg.Zone))
	if err != nil {
		return register.Report{}, err
	}
	return d.report(a, ""), nil
}
