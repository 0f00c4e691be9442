package azsmart

import (
	"context"
	"fmt"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/register/tokentext"
)

// employee is the whole request of routes that only want a cashier.
type employee struct {
	EmployeeName string `json:"employeeName"`
}

// OpenShift opens the shift (6.2). Code 6 means here that it was open.
func (d *Driver) OpenShift(ctx context.Context, cashier string) register.Outcome {
	a, o := d.order(ctx, routeOpenShift, encode(employee{tokentext.Person(cashier)}))
	if o.Err != nil {
		return o
	}
	return d.done(routeOpenShift, a)
}

// CloseShift closes the shift with the Z report (6.3). Open orders on the
// register are left alone: the register then refuses with 24.
func (d *Driver) CloseShift(ctx context.Context, cashier string) (register.Report, register.Outcome) {
	a, o := d.order(ctx, routeCloseShift, encode(struct {
		EmployeeName        string `json:"employeeName"`
		OpenOrdersOperation string `json:"openOrdersOperation"`
	}{tokentext.Person(cashier), "check"}))
	if o.Err != nil {
		return register.Report{}, o
	}
	o = d.done(routeCloseShift, a)
	if o.Verdict != register.Made {
		return register.Report{}, o
	}
	return d.report(a), o
}

// done judges the answer to what makes no document that is known by an id.
func (d *Driver) done(route string, a answer) register.Outcome {
	success, told := a.status()
	code, ok := a.code()
	o := register.Outcome{Verdict: register.Unknown, Cause: register.Other, Code: a.codeText(), Text: a.message()}
	if ok && code != 0 {
		o.Cause = causeOf(route, code)
	}
	switch {
	case told && success && ok && code == 0:
		return register.Outcome{Verdict: register.Made, Code: o.Code, Text: o.Text}
	case told && !success && ok && refuses(route, code, facts{}):
		o.Verdict = register.Refused
	}
	o.Err = fmt.Errorf("register answers /%s with status %q and code %s", route, clip(a.text("status")), orNone(o.Code))
	return o
}

// Reprint prints a copy (5.5): by the register's own number first, which the
// newer edition wants, then by the fiscal id, where the first was refused.
func (d *Driver) Reprint(ctx context.Context, doc receipt.Document) register.Outcome {
	o := register.Outcome{
		Verdict: register.NotSent, Cause: register.BadData,
		Err: fmt.Errorf("print a copy: neither the register's number nor the fiscal id is known"),
	}
	for _, by := range []id{{doc.RegisterID, true}, {doc.FiscalID, false}} {
		if by.IsZero() {
			continue
		}
		a, sent := d.order(ctx, routeCheckCopy, encode(struct {
			DocumentID id `json:"documentID"`
		}{by}))
		if o = sent; o.Err != nil {
			return o
		}
		if o = d.copied(a, doc); o.Verdict != register.Refused || o.Cause == register.Credentials {
			return o
		}
	}
	return o
}

func (d *Driver) copied(a answer, doc receipt.Document) register.Outcome {
	o := d.done(routeCheckCopy, a)
	got := a.ident("fiscalID")
	switch {
	case o.Verdict == register.Made && got != "" && doc.FiscalID != "" && got != doc.FiscalID:
		o.Verdict, o.Cause = register.Unknown, register.Other
		o.Err = fmt.Errorf("the register printed document %s instead of %s", clip(got), doc.FiscalID)
	case o.Verdict == register.Made && a.unprinted():
		o.Verdict, o.Cause = register.Unknown, register.Paper
		o.Err = fmt.Errorf("the copy was not printed: printError %s", clip(a.text("printError")))
	case o.Verdict == register.Made:
		doc.Printed = true
		o.Document = &doc
	}
	return o
}

// XReport reads the totals of a shift (6.4).
func (d *Driver) XReport(ctx context.Context, shift string) (register.Report, error) {
	a, err := d.ask(ctx, routeXReport, xReport(shift))
	if err != nil {
		return register.Report{}, err
	}
	return d.report(a), nil
}

// xReport is the request; the empty department is what a public client sends.
func xReport(shift string) []byte {
	return encode(struct {
		ShiftID        id     `json:"shiftID,omitzero"`
		DepartmentName string `json:"departmentName"`
	}{ShiftID: id{shift, true}})
}

// Period reads the totals of some days (6.6): by days first, and where the
// register does not take these, by the names and times of the other client.
func (d *Driver) Period(ctx context.Context, from, to time.Time) (register.Report, error) {
	first, last := from.In(d.cfg.Zone).Format(dateLayout), to.In(d.cfg.Zone).Format(dateLayout)
	a, err := d.ask(ctx, routeDates, encode(struct {
		EmployeeName string `json:"employeeName"`
		DateFrom     string `json:"dateFrom"`
		DateFor      string `json:"dateFor"`
	}{tokentext.Person(""), first, last}))
	if refused(err, codeJSON, codeParameter, codeDate) {
		a, err = d.ask(ctx, routeDates, encode(struct {
			EmployeeName string `json:"employeeName"`
			DateStart    string `json:"date_start"`
			DateStop     string `json:"date_stop"`
		}{tokentext.Person(""), first + " 00:00:00", last + " 23:59:59"}))
	}
	if err != nil {
		return register.Report{}, err
	}
	return d.report(a), nil
}
