package caspos

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

func TestSend_ReadsTheDocument(t *testing.T) {
	f := newFake(t)
	for _, said := range []string{
		made42,
		strings.Replace(made42, `"0"`, `0`, 1),
		strings.Replace(made42, "Success operation", "Successoperation", 1),
		strings.Replace(made42, `"code":"0"`, `"code":"1205"`, 1),
		strings.Replace(made42, `"code":"0"`, `"code":"1"`, 1),
		strings.Replace(made42, `"document_number":42`, `"documentNumber":"42.0"`, 1),
		"\xef\xbb\xbf" + made42,
	} {
		f.says(opSale, said)
		d := f.driver()
		if _, err := d.Baseline(context.Background(), receipt.Sale); err != nil {
			t.Fatal(err)
		}
		o := d.Send(context.Background(), prepare(t, d, job(receipt.Sale)))
		if o.Verdict != register.Made || o.Document == nil {
			t.Fatalf("%s: %+v", said, o)
		}
		want := receipt.Document{
			FiscalID: longID, ShortID: "4FXHkv2U6q8g", Number: "42", RegisterID: "231126A1A1000042", RegisterSerial: "CAS-1",
			Shift: "2026-11-23T04:00:00Z", URL: "https://monitoring.example/#/index?doc=4FXHkv2U6q8g", Printed: true, At: d.cfg.Now(), Untimed: true,
		}
		if *o.Document != want {
			t.Errorf("%s:\n got %+v\nwant %+v", said, *o.Document, want)
		}
	}
	f.status = http.StatusInternalServerError
	f.says(opSale, made42)
	d := f.driver()
	d.loggedIn = true
	if o := d.Send(context.Background(), prepare(t, d, job(receipt.Sale))); o.Verdict != register.Made {
		t.Errorf("HTTP 500 with a success: %+v", o)
	}
}

func TestSend_SaysWhatItKnows(t *testing.T) {
	code := func(c, text string) string { return `{"code":"` + c + `","message":"` + text + `","data":{}}` }
	for _, c := range []struct {
		name, said string
		verdict    register.Verdict
		cause      register.Cause
	}{
		{"success without a name", code("0", "Success operation"), register.Unknown, register.Other},
		{"a repeat without a name", code("1", "Təkrar satış"), register.Unknown, register.Other},
		{"an error with a document", strings.Replace(made42, `"code":"0"`, `"code":"607"`, 1), register.Unknown, register.BadData},
		{"shift closed", code("503", "document: invalid shift status"), register.Refused, register.ShiftClosed},
		{"shift too old", code("504", "document: invalid shift duration"), register.Refused, register.ShiftExpired},
		{"a bad total", code("607", ""), register.Refused, register.BadData},
		{"no parent", code("627", ""), register.Refused, register.NoParent},
		{"no session", code("401", ""), register.Refused, register.Credentials},
		{"integration mode off", `{"code":403,"message":"x"}`, register.Refused, register.Credentials},
		{"storage, and nothing is new", code("205", ""), register.Refused, register.Supplier},
		{"offline for too long, and nothing is new", code("604", ""), register.Refused, register.Supplier},
		{"the link to the token", code("1101", ""), register.Unknown, register.Other},
		{"busy", code("202", ""), register.Unknown, register.Busy},
		{"running", code("999", "İcra olunur"), register.Unknown, register.Busy},
		{"an unheard-of code", code("4711", ""), register.Unknown, register.Other},
		{"rolled back already, and nothing is new", code("639", ""), register.Refused, register.Other},
		{"no code", `{"message":"Success operation","data":{"document_id":"x"}}`, register.Unknown, register.Other},
		{"no JSON", "<html>", register.Unknown, register.Other},
		{"a list", "[]", register.Unknown, register.Other},
		{"two objects", made42 + made42, register.Unknown, register.Other},
		{"half", made42[:60], register.Unknown, register.Other},
		{"only nulls", `{"code":"0","data":{"document_id":"null","number":"null","document_number":0}}`, register.Unknown, register.Other},
	} {
		f := newFake(t)
		f.says(opSale, c.said)
		d := f.driver()
		o := d.Send(context.Background(), prepare(t, d, job(receipt.Sale)))
		if o.Verdict != c.verdict || o.Cause != c.cause || o.Err == nil || o.Document != nil {
			t.Errorf("%s: %s, %s, %v; want %s, %s", c.name, o.Verdict, o.Cause, o.Err, c.verdict, c.cause)
		}
		if n := len(f.of(opSale)); n != 1 {
			t.Errorf("%s: sent %d times", c.name, n)
		}
	}
	f := newFake(t)
	f.says(opSale, "") // an empty body
	f.status = http.StatusAccepted
	d := f.driver()
	d.loggedIn = true
	if o := d.Send(context.Background(), prepare(t, d, job(receipt.Sale))); o.Verdict != register.Unknown {
		t.Errorf("an empty body: %+v", o)
	}
}

func TestSend_WordsAreARefusalWhereNothingWasMade(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(f *fake)
		said    string
		verdict register.Verdict
		cause   register.Cause
	}{
		{"nothing new", func(*fake) {}, "Kassada nağd pul yoxdur", register.Refused, register.Other},
		{"no paper, nothing new", func(*fake) {}, "Printer xətası: kağız bitib", register.Refused, register.Paper},
		{"no paper, a document more", func(f *fake) { f.says(opInfo, info("42")); f.says(opTape, tape(row("42", "sale", "12"))) },
			"Printer xətası: kağız bitib", register.Unknown, register.Paper},
		{"one only at the second look", func(f *fake) { f.says(opInfo, info("41"), info("42")) }, "?", register.Unknown, register.Other},
		{"the tape alone has it", func(f *fake) { f.says(opTape, tape(row("42", "sale", "12"))) }, "?", register.Unknown, register.Other},
		{"it does not say", func(f *fake) { f.says(opInfo, info("null")) }, "?", register.Unknown, register.Other},
		{"another shift", func(f *fake) { f.says(opShift, laterShift) }, "?", register.Unknown, register.Other},
		{"it is gone", func(f *fake) { f.says(opShift, "") }, "?", register.Unknown, register.Other},
	} {
		f := newFake(t)
		f.says(opWithdraw, `{"code":"999","message":"`+c.said+`"}`)
		c.prepare(f)
		d := f.driver()
		if o := d.Send(context.Background(), prepare(t, d, job(receipt.Withdrawal))); o.Verdict != c.verdict || o.Cause != c.cause || o.Text != c.said {
			t.Errorf("%s: %s, %s, %q; want %s, %s", c.name, o.Verdict, o.Cause, o.Text, c.verdict, c.cause)
		}
		if n := len(f.of(opWithdraw)); n != 1 {
			t.Errorf("%s: sent %d times", c.name, n)
		}
	}
}

func TestSend_CashIDsThatAreMereCounts(t *testing.T) {
	f := newFake(t)
	f.says(opDeposit, `{"code":"0","data":{"document_id":"22","short_document_id":"22","document_number":"42","totalSum":0}}`)
	d := f.driver()
	o := d.Send(context.Background(), prepare(t, d, job(receipt.Deposit)))
	if o.Verdict != register.Made || o.Document.FiscalID != "" || o.Document.Number != "42" {
		t.Errorf("%+v, %+v", o, o.Document)
	}
}

func TestSend_NotSentAndCutLines(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddrPort(l.Addr().String())
	_ = l.Close()
	d := New(Config{Addr: addr})
	r := prepare(t, d, job(receipt.Sale))
	if o := d.Send(context.Background(), r); o.Verdict != register.NotSent || o.Cause != register.Unreachable || o.Err == nil {
		t.Errorf("nobody listens: %+v", o)
	}
	if o := d.Send(context.Background(), register.Request{Route: "openShift", Body: r.Body}); o.Verdict != register.NotSent {
		t.Errorf("no document: %+v", o)
	}
	f := newFake(t)
	f.says(opSale, "") // hangs up
	d = f.driver()
	if o := d.Send(context.Background(), prepare(t, d, job(receipt.Sale))); o.Verdict != register.Unknown || o.Cause != register.Unreachable {
		t.Errorf("cut: %+v", o)
	}
	if n := len(f.of(opSale)); n != 1 {
		t.Errorf("cut: sent %d times", n)
	}
}

func TestLogin(t *testing.T) {
	ctx := context.Background()
	said := func(code, text string) string { return `{"code":"` + code + `","message":"` + text + `"}` }
	t.Run("once at the start, and never out", func(t *testing.T) {
		f := newFake(t)
		d := f.driver()
		for range 3 {
			if _, err := d.Identify(ctx); err != nil {
				t.Fatal(err)
			}
		}
		in := f.of(opLogin)
		if len(in) != 1 || in[0].body["username"] != username || in[0].body["password"] != password || len(f.of("toLogout")) != 0 {
			t.Errorf("%+v", in)
		}
		if all := f.of(opInfo); all[0].body["username"] != username {
			t.Errorf("%+v", all[0])
		}
	})
	t.Run("again when the session has ended, once", func(t *testing.T) {
		f := newFake(t)
		f.says(opInfo, info("41"), said("401", "session"), info("41"))
		d := f.driver()
		for range 2 {
			if _, err := d.Identify(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if n, m := len(f.of(opLogin)), len(f.of(opInfo)); n != 2 || m != 3 {
			t.Errorf("%d logins, %d questions", n, m)
		}
		f.says(opInfo, said("403", "cashier?"))
		if _, err := d.Identify(ctx); cause(err) != register.Credentials {
			t.Error(err)
		}
		if n, m := len(f.of(opLogin)), len(f.of(opInfo)); n != 3 || m != 5 {
			t.Errorf("%d logins, %d questions", n, m)
		}
	})
	t.Run("a document is not sent twice for it", func(t *testing.T) {
		f := newFake(t)
		f.says(opSale, said("401", "session"))
		d := f.driver()
		if o := d.Send(ctx, prepare(t, d, job(receipt.Sale))); o.Verdict != register.Refused || o.Cause != register.Credentials || len(f.of(opSale)) != 1 {
			t.Errorf("%+v", o)
		}
		if _, err := d.Identify(ctx); err != nil || len(f.of(opLogin)) != 2 {
			t.Errorf("%v, %d logins", err, len(f.of(opLogin)))
		}
	})
	t.Run("a wrong PIN is never told twice", func(t *testing.T) {
		f := newFake(t)
		f.says(opLogin, said("404", "wrong PIN "+password))
		login := NewLogin(username, password)
		for range 4 { // the loop dials anew after each failure
			d := New(Config{Addr: f.addr(), Login: login})
			_, err := d.Identify(ctx)
			if cause(err) != register.Credentials || strings.Contains(err.Error(), password) {
				t.Error(err)
			}
			if o := d.Send(ctx, prepare(t, d, job(receipt.Sale))); o.Verdict != register.NotSent || o.Cause != register.Credentials {
				t.Errorf("%+v", o)
			}
		}
		if n := len(f.of(opLogin)); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
	t.Run("a device without logins", func(t *testing.T) {
		f := newFake(t)
		f.says(opLogin, said("999", "Naməlum əməliyyat"))
		if _, err := f.driver().Identify(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Run("no secret is told", func(t *testing.T) {
		l := NewLogin(username, password)
		c := Config{Login: l}
		for _, s := range []string{fmt.Sprint(l), fmt.Sprintf("%+v %#v", c, c), fmt.Sprintf("%v %+v %#v", New(c), New(c), New(c))} {
			if strings.Contains(s, password) || strings.Contains(s, username) {
				t.Error(s)
			}
		}
		if b := prepare(t, New(c), job(receipt.Sale)).Body; strings.Contains(string(b), password) {
			t.Errorf("%s", b)
		}
		f := newFake(t)
		f.says(opSale, `{"code":"607","message":"bad request of `+username+` with `+password+`"}`)
		d := f.driver()
		if o := d.Send(ctx, prepare(t, d, job(receipt.Sale))); strings.Contains(o.Text+o.Err.Error(), password) {
			t.Errorf("%+v", o)
		}
	})
}

func TestTransport_GivesUpInTime(t *testing.T) {
	hold := make(chan struct{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { <-hold; _ = c.Close() }()
		}
	}()
	t.Cleanup(func() { close(hold); _ = l.Close(); <-done })
	d := New(Config{Addr: netip.MustParseAddrPort(l.Addr().String()), Document: time.Second, Question: time.Second})
	if _, err := d.Shift(context.Background()); cause(err) != register.Unreachable {
		t.Error(err)
	}
	d.loggedIn = true
	if o := d.Send(context.Background(), prepare(t, d, job(receipt.Sale))); o.Verdict != register.Unknown || o.Cause != register.Unreachable {
		t.Errorf("%+v", o)
	}
}
