package azsmart

import (
	"context"
	"strings"
	"testing"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

func TestLookup_AsksForWhatTheRequestCarries(t *testing.T) {
	for _, c := range []struct {
		prepared, now string
		want          string
	}{
		{EditionNew, EditionNew, `{"documentExtID":"1234567800000001"}`},
		{EditionClassic, EditionClassic, `{"documentExtID":1234567800000001,"docTime":"2026-11-23 19:05:12","docNumber":"1234567800000001","amount":1200}`},
		{EditionClassic, EditionNew, `{"documentExtID":1234567800000001}`},
		{EditionNew, "", `{"documentExtID":"1234567800000001","docTime":"2026-11-23 19:05:12","docNumber":"1234567800000001","amount":1200}`},
	} {
		f := newFake(t)
		f.says(routeCheckStatus, `{"status":"error","code":9}`)
		d := f.driver()
		r := requests(t, d.set(c.prepared))["sale"]
		d.set(c.now)
		if e := d.Lookup(context.Background(), r); e.Found != register.NotFound {
			t.Errorf("found %+v", e)
		}
		if got := f.of(routeCheckStatus); len(got) != 1 || got[0].json != c.want {
			t.Errorf("prepared %q, asked as %q: %+v, want %s", c.prepared, c.now, got, c.want)
		}
	}
}

func TestLookup_Readings(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       register.Finding
	}{
		{"made", `{"status":"success","code":0,"documentExtID":"` + testKey + `","docStatus":1,"documentID":41,"fiscalID":"F1","fiscalNum":"20","totalPayments":[{"code":"C","amount":1200}]}`, register.DocumentMade},
		{"made, with types", `{"status":"success","docStatus":1,"fiscalID":"F1","totalPayments":[{"type":"C","amount":"1200"}]}`, register.DocumentMade},
		{"made, as handed over", `{"status":"success","docStatus":"1","fiscalID":"F1","totalPayments":[{"amount":2000,"change":800}]}`, register.DocumentMade},
		{"made, no state", `{"status":"success","fiscalID":"F1"}`, register.DocumentMade},
		{"made, not printed", `{"status":"error","code":15,"docStatus":1,"fiscalID":"F1"}`, register.DocumentMade},
		{"not there: code 9", `{"status":"error","code":9}`, register.NotFound},
		{"not there: code 9 as text, empty fields", `{"status":"error","code":"9","fiscalID":"","docStatus":0}`, register.NotFound},
		{"not there: docStatus -1", `{"authID":"","cardNum":"","cashAmount":0,"cashlessAmount":0,"docStatus":-1,"fiscalID":"","items":[],"otherAmount":0,"status":"success","transactionID":""}`, register.NotFound},
		{"not there: docStatus -1 as text", `{"status":"success","docStatus":"-1"}`, register.NotFound},
		{"not there: empty fiscal id", `{"status":"success","code":0,"fiscalID":""}`, register.NotFound},
		{"at work: 44", `{"status":"error","code":44}`, register.InProgress},
		{"at work: 44 in a success", `{"status":"success","code":44}`, register.InProgress},
		{"at work: docStatus 0", `{"status":"success","docStatus":0,"fiscalID":""}`, register.InProgress},
		{"at work: not printed and open", `{"status":"error","code":15,"docStatus":0}`, register.InProgress},
		{"another's key", `{"status":"success","docStatus":1,"documentExtID":"77","fiscalID":"F1"}`, register.CannotTell},
		{"another's number", `{"status":"success","docStatus":1,"docNumber":"77","fiscalID":"F1"}`, register.CannotTell},
		{"another amount", `{"status":"success","docStatus":1,"fiscalID":"F1","amount":1300}`, register.CannotTell},
		{"other payments", `{"status":"success","docStatus":1,"fiscalID":"F1","totalPayments":[{"code":"C","amount":300}]}`, register.CannotTell},
		{"more payments", `{"status":"success","docStatus":1,"fiscalID":"F1","totalPayments":[{"code":"C","amount":3000}]}`, register.CannotTell},
		{"a key said back with code 9", `{"status":"error","code":9,"documentExtID":"77"}`, register.CannotTell},
		{"code 9 with a fiscal id", `{"status":"error","code":9,"fiscalID":"F1"}`, register.CannotTell},
		{"docStatus -1 with a fiscal id", `{"status":"success","docStatus":-1,"fiscalID":"F1"}`, register.CannotTell},
		{"closed without a fiscal id", `{"status":"success","docStatus":1,"fiscalID":""}`, register.CannotTell},
		{"says nothing", `{"status":"success","code":0}`, register.CannotTell},
		{"not printed, no state", `{"status":"error","code":15}`, register.CannotTell},
		{"wrong Merchant ID", `{"status":"error","code":1}`, register.CannotTell},
		{"wants another parameter", `{"status":"error","code":3,"message":"documentID"}`, register.CannotTell},
		{"internal error", `{"status":"error","code":5}`, register.CannotTell},
		{"no status", `{"code":9}`, register.CannotTell},
		{"no JSON", `<html>`, register.CannotTell},
		{"cut", `{"status":"success","docSta`, register.CannotTell},
	} {
		f := newFake(t)
		f.says(routeCheckStatus, c.body)
		d := f.driver().set(EditionNew)
		e := d.Lookup(context.Background(), requests(t, d)["sale"])
		if e.Found != c.want || e.Text == "" || (e.Found == register.CannotTell) != (e.Err != nil) || (e.Found == register.DocumentMade) != (e.Document != nil) {
			t.Errorf("%s: %s (%v) %q, want %s", c.name, e.Found, e.Err, e.Text, c.want)
		}
		if e.Document != nil && (e.Document.FiscalID != "F1" || e.Document.Printed == strings.Contains(c.name, "not printed")) {
			t.Errorf("%s: %+v", c.name, e.Document)
		}
	}
}

func TestLookup_RemembersThatPaperWasOut(t *testing.T) {
	f := newFake(t)
	f.says(routeSale, `{"status":"error","code":15,"printError":7}`)
	f.says(routeCheckStatus, `{"status":"success","docStatus":1,"documentID":41,"fiscalID":"F1"}`)
	d := f.driver()
	r := requests(t, d)["sale"]
	if o := d.Send(context.Background(), r); o.Verdict != register.Unknown || o.Cause != register.Paper {
		t.Fatalf("code 15: %+v", o)
	}
	if e := d.Lookup(context.Background(), r); e.Found != register.DocumentMade || e.Document.Printed || e.Document.RegisterID != "41" {
		t.Errorf("found %+v", e)
	}
	other := r
	other.Key = "2"
	if e := d.Lookup(context.Background(), other); e.Found != register.DocumentMade || !e.Document.Printed {
		t.Errorf("found %+v", e)
	}
}

func TestLookup_RoutesWithoutAKey(t *testing.T) {
	f := newFake(t)
	d := f.driver().set(EditionNew)
	for _, route := range []string{"rollback", "creditpay", "correction"} {
		if e := d.Lookup(context.Background(), requests(t, d)[route]); e.Found != register.CannotTell || e.Err == nil {
			t.Errorf("%s: %+v", route, e)
		}
	}
	if e := d.Lookup(context.Background(), register.Request{Route: "sale", Body: []byte(`{}`)}); e.Found != register.CannotTell {
		t.Errorf("no key: %+v", e)
	}
	if len(f.asked) != 0 {
		t.Errorf("asked %+v", f.asked)
	}
}

func TestLookup_OfCash(t *testing.T) {
	f := newFake(t)
	f.says(routeCheckStatus, `{"status":"success","docStatus":1,"documentID":43,"fiscalID":"22"}`)
	d := f.driver().set(EditionNew)
	r, err := d.Prepare(cashJob(receipt.Deposit))
	if err != nil {
		t.Fatal(err)
	}
	if e := d.Lookup(context.Background(), r); e.Found != register.DocumentMade || e.Document.Number != "22" || e.Document.FiscalID != "" {
		t.Errorf("found %+v", e)
	}
}

// A rollback's answer names no fiscal id; the register is asked for it, and
// nothing that comes of that can take the document back.
func TestSend_AsksForTheFiscalIDOfARollback(t *testing.T) {
	for _, c := range []struct{ name, status, fiscalID string }{
		{"told", `{"status":"success","docStatus":1,"documentID":44,"fiscalID":"R1"}`, "R1"},
		{"the parent's, said back", `{"status":"success","docStatus":1,"documentID":44,"fiscalID":"PARENT"}`, ""},
		{"another document's", `{"status":"success","docStatus":1,"documentID":45,"fiscalID":"R1"}`, ""},
		{"not found", `{"status":"error","code":9}`, ""},
		{"nonsense", `hello`, ""},
	} {
		f := newFake(t)
		d := f.driver()
		r := requests(t, d)[routeRollback]
		parent := string(factsOf(r.Body).DocumentID)
		f.says(routeRollback, `{"status":"success","documentID":44}`)
		f.says(routeCheckStatus, strings.ReplaceAll(c.status, "PARENT", parent))
		o := d.Send(context.Background(), r)
		if o.Verdict != register.Made || o.Document.FiscalID != c.fiscalID || o.Document.RegisterID != "44" {
			t.Errorf("%s: %s %+v, want fiscal id %q", c.name, o.Verdict, o.Document, c.fiscalID)
		}
	}
}
