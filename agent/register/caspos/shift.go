package caspos

import (
	"context"
	"errors"
	"fmt"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/register/tokencode"
	"ekassa/agent/register/tokentext"
)

// opening is the data of openShift. The cashier's name stands at the root and in
// data, since the sources have it here and there (section 4).
type opening struct {
	Sum     azn    `json:"sum"` // the float; what is in the drawer is the till's business
	Cashier string `json:"cashierName"`
}

// OpenShift opens the shift. Its only guard is that an open one is not opened
// again: "Növbə artıq açıqdır" under code 999, or code 503 (section 9).
func (d *Driver) OpenShift(ctx context.Context, cashier string) register.Outcome {
	if err := d.login(ctx); err != nil {
		return notSent(err)
	}
	name := tokentext.Person(cashier)
	a, o := d.order(ctx, request{Operation: opOpen, Data: opening{Cashier: name}, Cashier: name})
	if o.Err != nil {
		return o
	}
	return done(opOpen, a)
}

type closing struct {
	UUID    string `json:"documentUUID"`
	Cashier string `json:"cashierName"`
}

// closeUUID is the key of a shift's Z report: a shift has one.
func closeUUID(serial, shift string) string {
	return uuidOf("register", serial, "shift", shift, "close")
}

// CloseShift closes the shift with the Z report. Its documentUUID is made of the
// register's serial and the shift's name, so closing the same one twice is a
// repeat for the register.
func (d *Driver) CloseShift(ctx context.Context, cashier string) (register.Report, register.Outcome) {
	identity, _, err := d.info(ctx)
	if err != nil {
		return register.Report{}, notSent(err)
	}
	shift, err := d.Shift(ctx)
	if err != nil {
		return register.Report{}, notSent(err)
	}
	if !shift.Open {
		return register.Report{}, register.Outcome{Verdict: register.Refused, Cause: register.ShiftClosed, Err: errors.New("close shift: none is open")}
	}
	report, o := d.close(ctx, identity.Serial, shift, cashier)
	if o.Verdict == register.Unknown {
		d.mu.Lock()
		d.closing = shift.ID
		d.mu.Unlock()
	}
	return report, o
}

func (d *Driver) close(ctx context.Context, serial string, shift register.Shift, cashier string) (register.Report, register.Outcome) {
	a, o := d.order(ctx, request{Operation: opClose, Data: closing{UUID: closeUUID(serial, shift.ID), Cashier: tokentext.Person(cashier)}})
	if o.Err != nil {
		return register.Report{}, o
	}
	if a.code == codeRepeated && a.data.list("currencies") != nil {
		a.code = tokencode.Success
	}
	if o = done(opClose, a); o.Verdict != register.Made {
		return register.Report{}, o
	}
	return d.report(a, shift), o
}

// done judges the answer to what makes no document of a receipt.
func done(operation string, a answer) register.Outcome {
	o := register.Outcome{Verdict: register.Unknown, Code: a.verbal, Text: a.message}
	if a.code == tokencode.Success || a.code == tokencode.NamesNotStored {
		o.Verdict = register.Made
		return o
	}
	o.Cause = causeOf(operation, a)
	if refuses(a) || o.Cause == register.ShiftOpen {
		o.Verdict = register.Refused
	}
	o.Err = fmt.Errorf("register answers %s with code %s", operation, a.verbal)
	return o
}

// Reprint prints a copy. The register only prints its very last document again
// (section 4); any other is refused without asking for it.
func (d *Driver) Reprint(ctx context.Context, doc receipt.Document) register.Outcome {
	_, last, err := d.info(ctx)
	if err != nil {
		return notSent(err)
	}
	if doc.Number == "" || last != doc.Number {
		return register.Outcome{
			Verdict: register.Refused, Cause: register.BadData,
			Err: fmt.Errorf("print a copy of document %s: this register prints only its last one again, and that is %s", orNone(doc.Number), orNone(last)),
		}
	}
	// Not sent without paper. How the printer's question is answered then is not
	// certain (section 14), so anything but plain words about paper is passed over.
	var f *register.Fault
	if _, err := d.ask(ctx, request{Operation: opPrinter}); errors.As(err, &f) && (f.Cause == register.Paper || f.Cause == register.Unreachable) {
		return notSent(err)
	}
	a, o := d.order(ctx, request{Operation: opReprint})
	if o.Err != nil {
		return o
	}
	if o = done(opReprint, a); o.Verdict == register.Made {
		doc.Printed = true
		o.Document = &doc
	}
	return o
}
