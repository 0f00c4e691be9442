package caspos

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/register/tokencode"
)

// The codes of the register's own app (section 12), and the one for a session.
const (
	codeRepeated = 1   // this documentUUID was here before
	codeText     = 999 // anything else; the message says what
	codeSession  = 401
)

// causeOf says what would help against an answer, whatever it proves.
func causeOf(operation string, a answer) register.Cause {
	switch {
	case a.code == codeText:
		return causeOfText(a.message)
	case a.code == codeRepeated:
		return register.Other
	case a.code == tokencode.ShiftStatus && operation == opOpen:
		return register.ShiftOpen // section 13: then it is open already
	case a.code == tokencode.WrongRole:
		return register.Credentials // section 1: integration mode is off, or no cashier signed in
	}
	c := tokencode.Of(a.code)
	if c.Class == tokencode.Operator && c.Cause == register.Other {
		return register.Supplier // the register, not the receipt: everything waits until somebody has read the code
	}
	return c.Cause
}

// causeOfText reads the words behind code 999 (sections 9, 10 and 12). The table
// grows from the field; words that are not in it are for people.
func causeOfText(message string) register.Cause {
	words := strings.ToLower(strings.ReplaceAll(message, "İ", "i"))
	for _, w := range []struct {
		has   string
		cause register.Cause
	}{
		{"artıq açıqdır", register.ShiftOpen}, // "Növbə artıq açıqdır": the shift is open already
		{"icra olunur", register.Busy},        // it is running
		{"printer", register.Paper}, {"kağız", register.Paper}, {"paper", register.Paper}, {"бумаг", register.Paper}, {"принтер", register.Paper},
	} {
		if strings.Contains(words, w.has) {
			return w.cause
		}
	}
	return register.Other
}

// refuses says whether the answer proves that nothing was made: the shared
// table's codes, and the two with which the app turns away whoever is not logged
// in, or everybody (sections 1 and 3).
func refuses(a answer) bool {
	return a.code != codeText && a.code != codeRepeated &&
		(noSession(a) || tokencode.Of(a.code).Verdict() == register.Refused)
}

// Send sends a prepared request, once.
func (d *Driver) Send(ctx context.Context, r register.Request) register.Outcome {
	p, err := read(r)
	if err != nil {
		return register.Outcome{Verdict: register.NotSent, Cause: register.Other, Err: err}
	}
	if err := d.login(ctx); err != nil {
		return notSent(err)
	}
	o, a := d.send(ctx, p, r.Key)
	if o.Verdict == register.Unknown && a.whole != nil && lasts(a) {
		o = d.confirm(ctx, p, o)
	}
	return o
}

// notSent is the outcome where a question before the request failed.
func notSent(err error) register.Outcome {
	o := register.Outcome{Verdict: register.NotSent, Cause: register.Other, Err: err}
	var f *register.Fault
	if errors.As(err, &f) {
		o.Cause, o.Code, o.Text = f.Cause, f.Code, f.Text
	}
	return o
}

// read reads a request of ours.
func read(r register.Request) (p prepared, err error) {
	if err := json.Unmarshal(r.Body, &p); err != nil {
		return p, fmt.Errorf("send %s: the stored request cannot be read: %w", r.Route, err)
	}
	for _, operation := range operations {
		if operation == r.Route && operation == p.Operation {
			return p, nil
		}
	}
	return p, fmt.Errorf("send: no document operation %q", r.Route)
}

// send sends a document, once, and judges the answer.
func (d *Driver) send(ctx context.Context, p prepared, key string) (register.Outcome, answer) {
	a, o := d.order(ctx, request{Operation: p.Operation, Data: p.Data, Cashier: p.Cashier, Currency: p.Currency})
	if o.Err != nil {
		return o, a
	}
	o = d.outcome(p.Operation, a)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case o.Verdict == register.Unknown && o.Cause == register.Paper:
		d.paperOut = key
	case o.Verdict == register.Unknown && (a.code == codeRepeated || running(o, a)):
		d.known = key
	}
	if o.Verdict == register.Made && d.paperOut == key {
		o.Document.Printed = false
	}
	return o, a
}

// running says whether the register is still at work on the document (section 10).
func running(o register.Outcome, a answer) bool {
	return a.code == codeText && o.Cause == register.Busy
}

// order sends what changes something, once. With an error in the outcome there is
// no answer, and the outcome is complete.
func (d *Driver) order(ctx context.Context, r request) (answer, register.Outcome) {
	a, got, err := d.post(ctx, r, d.cfg.Document)
	switch {
	case err == nil:
		if noSession(a) {
			d.forget()
		}
		return a, register.Outcome{}
	case !got.Left && got.Err != nil:
		return answer{}, register.Outcome{Verdict: register.NotSent, Cause: register.Unreachable, Err: err}
	case got.Err != nil:
		return answer{}, register.Outcome{Verdict: register.Unknown, Cause: register.Unreachable, Err: err}
	}
	return answer{}, register.Outcome{Verdict: register.Unknown, Cause: register.Other, Err: err}
}

// outcome judges the answer to a document. It is Made only where a success, or a
// repeat, names its document.
func (d *Driver) outcome(operation string, a answer) register.Outcome {
	o := register.Outcome{Verdict: register.Unknown, Code: a.verbal, Text: a.message}
	success := a.code == tokencode.Success || a.code == tokencode.NamesNotStored || a.code == codeRepeated
	switch {
	case success && a.named():
		doc := d.document(operation, a.data)
		o.Verdict, o.Document = register.Made, &doc
		return o
	case success:
		o.Cause = register.Other
		o.Err = errors.New("the register says that it made the document, and does not name it")
		return o
	}
	o.Cause = causeOf(operation, a)
	switch {
	case a.named():
		o.Err = fmt.Errorf("the answer is an error, yet it names a document: code %s", a.verbal)
		return o
	case refuses(a):
		o.Verdict = register.Refused
	}
	o.Err = fmt.Errorf("register answers %s with code %s", operation, a.verbal)
	return o
}

// lasts says whether an answer is an error that will not pass by itself, and
// that is on no list of refusals. What passes is the engine's to try again.
func lasts(a answer) bool {
	if a.named() || a.code == codeRepeated {
		return false
	}
	switch tokencode.Of(a.code).Class {
	case tokencode.Payload, tokencode.Operator, tokencode.Service, tokencode.Replay:
		return true
	}
	return a.code == codeText && causeOfText(a.message) != register.Busy
}

// confirm looks again after an answer that may mean anything. The register is not
// at work on the document any more; if two looks, a settle time apart, show that it
// has made nothing since the baseline, the answer was a refusal. That keeps what it
// will never make from being sent for ever.
func (d *Driver) confirm(ctx context.Context, p prepared, o register.Outcome) register.Outcome {
	nothing := func() bool {
		n, err := d.since(ctx, p.Before)
		return err == nil && n.nothing
	}
	if !nothing() {
		return o
	}
	settled := time.NewTimer(d.cfg.Settle)
	defer settled.Stop()
	select {
	case <-settled.C:
	case <-ctx.Done():
		return o
	}
	if nothing() {
		o.Verdict = register.Refused
	}
	return o
}

// document reads a document result (section 4).
func (d *Driver) document(operation string, data object) receipt.Document {
	d.mu.Lock()
	serial, shift, prefix := d.serial, d.open.ID, d.qrPrefix
	d.mu.Unlock()
	doc := receipt.Document{
		FiscalID: data.ident("document_id"), ShortID: data.ident("short_document_id"),
		Number: data.ident("document_number", "shift_document_number"), RegisterID: data.ident("number"),
		RegisterSerial: serial, Shift: shift, Printed: true, At: data.time(d.cfg.Zone, "createdAtUtc"),
	}
	if doc.FiscalID == "" {
		doc.FiscalID = doc.ShortID
	}
	if doc.Number == "" {
		doc.Number = doc.RegisterID
	}
	if (operation == opDeposit || operation == opWithdraw) && len(doc.FiscalID) < shortID {
		// A mere count, for all we know, that comes again (section 4): no id, but a number.
		doc.Number = cmp.Or(doc.Number, doc.FiscalID)
		doc.FiscalID, doc.ShortID = "", ""
	}
	if doc.ShortID == "" {
		doc.ShortID = receipt.ShortID(doc.FiscalID)
	}
	if prefix != "" && doc.ShortID != "" {
		doc.URL = prefix + doc.ShortID
	}
	if doc.At.IsZero() {
		doc.At, doc.Untimed = d.cfg.Now().Truncate(time.Second), true
	}
	return doc
}

// shortID is how long the id on paper is (section 8); the long one has 43 or 44
// characters.
const shortID = 12
