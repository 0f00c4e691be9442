package caspos

import (
	"context"
	"errors"
	"strings"
	"testing"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

func cause(err error) register.Cause {
	var f *register.Fault
	if errors.As(err, &f) {
		return f.Cause
	}
	return register.CauseNone
}

func TestLookup(t *testing.T) {
	repeat := strings.Replace(made42, `"code":"0"`, `"code":"1"`, 1)
	const bare = `{"code":"1","message":"Təkrar satış","data":{}}`
	one := tape(row("42", "sale", "12.0"))
	for _, c := range []struct {
		name  string
		set   func(f *fake)
		found register.Finding
		sent  int
		cause register.Cause
	}{
		{"nothing new", func(*fake) {}, register.NotFound, 0, ""},
		{"one new: asked by the key, which was seen", func(f *fake) {
			f.says(opInfo, info("42"))
			f.says(opTape, tape(row("42", "sale", "12.0")))
			f.says(opSale, repeat)
		}, register.DocumentMade, 1, ""},
		{"rung up by hand meanwhile: made now, once", func(f *fake) {
			f.says(opInfo, info("42"))
			f.says(opTape, tape(row("42", "sale", "12.0")))
			f.says(opSale, made42)
		}, register.DocumentMade, 1, ""},
		{"a repeat without ids, the only new one on the tape", func(f *fake) {
			f.says(opInfo, info("42"))
			f.says(opTape, tape(row("42", "sale", "11.9999995")))
			f.says(opSale, bare)
		}, register.DocumentMade, 1, ""},
		{"a repeat without ids, two new ones", func(f *fake) {
			f.says(opInfo, info("43"))
			f.says(opTape, tape(row("42", "sale", "12.0"), row("43", "sale", "3")))
			f.says(opSale, bare)
		}, register.CannotTell, 1, ""},
		{"a repeat without ids, another sum", func(f *fake) {
			f.says(opInfo, info("42"))
			f.says(opTape, tape(row("42", "sale", "12.01")))
			f.says(opSale, bare)
		}, register.CannotTell, 1, ""},
		{"a repeat without ids, another kind", func(f *fake) {
			f.says(opInfo, info("42"))
			f.says(opTape, tape(row("42", "money_back", "12.0")))
			f.says(opSale, bare)
		}, register.CannotTell, 1, ""},
		{"a number that is not on the tape: of another shift", func(f *fake) {
			f.says(opInfo, info("43"))
			f.says(opTape, tape(row("43", "sale", "12.0")))
		}, register.CannotTell, 0, ""},
		{"a shift of the same second, and a Z before it", func(f *fake) {
			f.says(opInfo, info("43"))
			f.says(opTape, `{"code":"0","data":{"documents_quantity":0,"documents":[]}}`)
		}, register.CannotTell, 0, ""},
		{"a number that has gone back", func(f *fake) { f.says(opInfo, info("3")) }, register.CannotTell, 0, ""},
		{"a tape that says a number twice", func(f *fake) {
			f.says(opInfo, info("43"))
			f.says(opTape, tape(row("43", "sale", "12.0"), row("43", "sale", "12.0")))
		}, register.CannotTell, 0, ""},
		{"a repeat without ids, no tape", func(f *fake) {
			f.says(opInfo, info("42"))
			f.says(opTape, `{"code":"999","message":"?"}`)
			f.says(opSale, bare)
		}, register.CannotTell, 1, ""},
		{"a repeat without ids, a tape that is not whole", func(f *fake) {
			f.says(opInfo, info("42"))
			f.says(opTape, strings.Replace(tape(row("42", "sale", "12.0")), `quantity":3`, `quantity":4`, 1))
			f.says(opSale, bare)
		}, register.CannotTell, 1, ""},
		{"the number says nothing, the tape does", func(f *fake) {
			f.says(opTape, tape(row("42", "sale", "12.0")))
			f.says(opSale, repeat)
		}, register.DocumentMade, 1, ""},
		{"no number at all", func(f *fake) {
			f.says(opInfo, info("null"))
			f.says(opSale, repeat)
		}, register.DocumentMade, 1, ""},
		{"no tape, and the number has not moved", func(f *fake) { f.says(opTape, `{"code":"0","data":{}}`) }, register.NotFound, 0, ""},
		{"still at it", func(f *fake) {
			f.says(opInfo, info("42"))
			f.says(opTape, one)
			f.says(opSale, `{"code":"999","message":"İcra olunur"}`)
		}, register.InProgress, 1, ""},
		{"the answer is lost again", func(f *fake) { f.says(opInfo, info("42")); f.says(opTape, one); f.says(opSale, "") }, register.CannotTell, 1, register.Unreachable},
		{"busy", func(f *fake) { f.says(opInfo, info("42")); f.says(opTape, one); f.says(opSale, `{"code":"202"}`) }, register.CannotTell, 1, register.Busy},
		{"no paper", func(f *fake) { f.says(opInfo, info("42")); f.says(opTape, one); f.says(opSale, printerOut) }, register.CannotTell, 1, register.Busy},
		{"refused now, which proves nothing of then", func(f *fake) { f.says(opInfo, info("42")); f.says(opTape, one); f.says(opSale, `{"code":"503"}`) },
			register.CannotTell, 1, register.ShiftClosed},
		{"another shift: the key is not believed", func(f *fake) { f.says(opShift, laterShift) }, register.CannotTell, 0, register.CauseNone},
		{"no shift", func(f *fake) { f.says(opShift, closedShift) }, register.CannotTell, 0, register.CauseNone},
		{"another register", func(f *fake) { f.says(opInfo, strings.Replace(info("41"), "CAS-1", "CAS-2", 1)) }, register.CannotTell, 0, register.WrongRegister},
		{"nobody there", func(f *fake) { f.says(opShift, "") }, register.CannotTell, 0, register.Unreachable},
		{"nobody there for the tape", func(f *fake) { f.says(opTape, "") }, register.CannotTell, 0, register.Unreachable},
	} {
		f := newFake(t)
		c.set(f)
		d := f.driver()
		r := prepare(t, d, job(receipt.Sale))
		e := d.Lookup(context.Background(), r)
		if e.Found != c.found || cause(e.Err) != c.cause || (e.Found == register.CannotTell) != (e.Err != nil) || (e.Document != nil) != (e.Found == register.DocumentMade) {
			t.Errorf("%s: %s, %v (%s); want %s, %s", c.name, e.Found, e.Err, e.Text, c.found, c.cause)
		}
		if e.Document != nil && (e.Document.FiscalID != longID || e.Document.Number != "42") {
			t.Errorf("%s: %+v", c.name, e.Document)
		}
		sent := f.of(opSale)
		if len(sent) != c.sent {
			t.Errorf("%s: sent %d times", c.name, len(sent))
		}
		for _, s := range sent {
			if s.data["documentUUID"] != uuidOf("receipt", "4503599627370501") {
				t.Errorf("%s: sent under %v", c.name, s.data["documentUUID"])
			}
		}
	}
}

func TestLookup_EveryKindOnTheTape(t *testing.T) {
	for kind, word := range map[receipt.Kind]string{
		receipt.Sale: "sale", receipt.Refund: "money_back", receipt.Deposit: "deposit", receipt.Withdrawal: "withdraw",
		receipt.Cancel: "rollback", receipt.Correction: "correction", receipt.Prepayment: "prepayment", receipt.CreditPayment: "credit",
	} {
		f := newFake(t)
		f.says(opInfo, info("42"))
		f.says(opTape, tape(row("42", word, "12.0")))
		f.says(operations[kind], `{"code":1,"message":"Təkrar satış","data":null}`)
		d := f.driver()
		if e := d.Lookup(context.Background(), prepare(t, d, job(kind))); e.Found != register.DocumentMade {
			t.Errorf("%s: %+v", kind, e)
		}
	}
}

func TestLookup_ARepeatOfNothingNewIsForAPerson(t *testing.T) {
	// A late first copy took the number before the second attempt's baseline was
	// read. NotFound would have it sent again for ever.
	f := newFake(t)
	f.says(opSale, `{"code":"1","message":"Təkrar satış"}`)
	d := f.driver()
	r := prepare(t, d, job(receipt.Sale))
	if o := d.Send(context.Background(), r); o.Verdict != register.Unknown {
		t.Fatalf("%+v", o)
	}
	if e := d.Lookup(context.Background(), r); e.Found != register.CannotTell || !strings.Contains(e.Err.Error(), "control tape") {
		t.Errorf("%+v", e)
	}
}

func TestLookup_WhatRunsIsAskedForByItsKey(t *testing.T) {
	f := newFake(t)
	const at = `{"code":"999","message":"İcra olunur"}`
	f.says(opSale, at, at, strings.Replace(made42, `"code":"0"`, `"code":"1"`, 1))
	d := f.driver()
	r := prepare(t, d, job(receipt.Sale))
	if o := d.Send(context.Background(), r); o.Verdict != register.Unknown || o.Cause != register.Busy {
		t.Fatalf("%+v", o)
	}
	if e := d.Lookup(context.Background(), r); e.Found != register.InProgress {
		t.Errorf("%+v", e)
	}
	if e := d.Lookup(context.Background(), r); e.Found != register.DocumentMade {
		t.Errorf("%+v", e)
	}
}

func TestLookup_PaperThatWasOutStaysOut(t *testing.T) {
	f := newFake(t)
	f.says(opSale, printerOut, strings.Replace(made42, `"code":"0"`, `"code":"1"`, 1))
	f.says(opInfo, info("42"))
	f.says(opTape, tape(row("42", "sale", "12")))
	d := f.driver()
	r := prepare(t, d, job(receipt.Sale))
	if o := d.Send(context.Background(), r); o.Verdict != register.Unknown || o.Cause != register.Paper {
		t.Fatalf("%+v", o)
	}
	if e := d.Lookup(context.Background(), r); e.Found != register.DocumentMade || e.Document.Printed {
		t.Errorf("%+v %+v", e, e.Document)
	}
}
