package omnitech

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ekassa/agent/register"
)

func causeIs(err error) register.Cause {
	var f *register.Fault
	if !errors.As(err, &f) {
		return "no fault"
	}
	return f.Cause
}

func TestLogin_OnceForAllDriversOfARegister(t *testing.T) {
	f := newFake(t)
	login := NewLogin("api", "s3cret")
	for range 3 {
		d := f.driver(func(c *Config) { c.Login = login })
		if i, err := d.Identify(t.Context()); err != nil || i.Serial != "OM-1" || i.Edition != Edition || i.NotAfter.Year() != 2027 {
			t.Fatalf("%+v, %v", i, err)
		}
	}
	if n := len(f.of(opLogin)); n != 1 {
		t.Errorf("%d logins", n)
	}
	for _, a := range f.of(opGetInfo) {
		if a.raw != `{"requestData":{"access_token":"`+token1+`","checkData":{"check_type":41}}}` {
			t.Errorf("asked %s", a.raw)
		}
	}
}

const turnedAway = `{"code":401,"message":"invalid API key"}`

func TestSend_LogsInAgainOnceAndSendsOnceMore(t *testing.T) {
	f := newFake(t)
	f.does(opLogin, func(n int) string { return fmt.Sprintf(`{"access_token":"t%d","code":1}`, n) })
	f.does(opSale, func(n int) string {
		if n == 1 {
			return turnedAway
		}
		return success
	})
	d := f.driver()
	o := d.Send(t.Context(), prepared(t, d, job(sold(), nil)))
	if o.Verdict != register.Made || o.Document.FiscalID != madeID || o.Document.Number != "28" {
		t.Errorf("%+v", o)
	}
	sent := f.of(opSale)
	if len(sent) != 2 || sent[0].body["access_token"] != "t1" || sent[1].body["access_token"] != "t2" ||
		strings.Replace(sent[0].raw, `"t1"`, `"t2"`, 1) != sent[1].raw || len(f.of(opLogin)) != 2 {
		t.Errorf("sent %+v, %d logins", sent, len(f.of(opLogin)))
	}

	f.says(opSale, turnedAway) // for ever
	if o := d.Send(t.Context(), prepared(t, d, job(sold(), nil))); o.Verdict != register.Refused || o.Cause != register.Credentials {
		t.Errorf("%+v", o)
	}
	if n := len(f.of(opSale)); n != 4 {
		t.Errorf("%d sales sent", n)
	}
}

func TestSend_NothingButASessionIsSentTwice(t *testing.T) {
	for _, answer := range []string{
		`{"code":401,"message":"invalid API key","long_id":"` + madeID + `"}`, `{"code":-11}`, `{"code":503}`, `{"code":505}`, `{"code":1412}`, `{"code":-2}`, `x`, ``, `{}`, `{"code":1,"message":"login success"}`,
	} {
		f := newFake(t)
		f.says(opSale, answer)
		d := f.driver()
		o := d.Send(t.Context(), prepared(t, d, job(sold(), nil)))
		if o.Verdict == register.Made || len(f.of(opSale)) != 1 {
			t.Errorf("%s: %+v, sent %d times", answer, o, len(f.of(opSale)))
		}
	}
}

func TestLogin_AWrongPINIsNeverTriedAgain(t *testing.T) {
	for _, code := range []int{404, 405, 406, 407} {
		f := newFake(t)
		f.says(opLogin, fmt.Sprintf(`{"code":%d,"message":"wrong PIN for s3cret"}`, code))
		now := noon
		login := NewLogin("api", "s3cret")
		for range 5 {
			d := f.driver(func(c *Config) { c.Login, c.Now = login, func() time.Time { return now } })
			_, err := d.Identify(t.Context())
			if causeIs(err) != register.Credentials || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%d: %v", code, err)
			}
			o := d.Send(t.Context(), prepared(t, d, job(sold(), nil)))
			if o.Verdict != register.NotSent || o.Cause != register.Credentials {
				t.Errorf("%d: %+v", code, o)
			}
			now = now.Add(24 * time.Hour)
		}
		if n := len(f.of(opLogin)); n != 1 {
			t.Errorf("%d: %d logins", code, n)
		}
		if n := len(f.of(opSale)); n != 0 {
			t.Errorf("%d: %d sales left without a session", code, n)
		}
	}
}

func TestLogin_ARefusedOneRests(t *testing.T) {
	f := newFake(t)
	f.says(opLogin, `{"code":401,"message":"no such account"}`)
	now := noon
	d := f.driver(func(c *Config) { c.Now = func() time.Time { return now } })
	for range 3 {
		if _, err := d.Shift(t.Context()); causeIs(err) != register.Credentials {
			t.Error(err)
		}
	}
	if n := len(f.of(opLogin)); n != 1 {
		t.Errorf("%d logins within a minute", n)
	}
	now = now.Add(loginPause)
	f.says(opLogin, `{"access_token":"t","code":1}`)
	if _, err := d.Shift(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestLogin_WhatIsNoLogin(t *testing.T) {
	for answer, cause := range map[string]register.Cause{
		`{"code":1,"message":"login success"}`: register.Credentials, `{"code":0}`: register.Other, `{}`: register.Other, `x`: register.Other,
		`{"code":1412}`: register.Busy, `{"code":131}`: register.Busy, `{"access_token":"","code":1}`: register.Credentials,
	} {
		f := newFake(t)
		f.says(opLogin, answer)
		if _, err := f.driver().Shift(t.Context()); causeIs(err) != cause {
			t.Errorf("%s: %v, want %s", answer, err, cause)
		}
	}
	f := newFake(t)
	if _, err := f.driver(func(c *Config) { c.Login = nil }).Shift(t.Context()); causeIs(err) != register.Credentials || len(f.asked) != 0 {
		t.Errorf("no account: %v, asked %+v", err, f.asked)
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	f := newFake(t)
	login := NewLogin("api", "s3cret")
	d := f.driver(func(c *Config) { c.Login = login })
	f.says(opSale, `{"code":607,"message":"bad s3cret `+token1+`"}`)
	r := prepared(t, d, job(sold(), nil))
	o := d.Send(context.Background(), r)
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s", d, d, d, d), fmt.Sprintf("%v %+v %#v", login, login, login), fmt.Sprintf("%+v", o), string(r.Body)} {
		if strings.Contains(text, "s3cret") || strings.Contains(text, token1) {
			t.Errorf("shows a secret: %s", text)
		}
	}
	if o.Text != "bad *** ***" {
		t.Errorf("text %q", o.Text)
	}
}

func TestSend_AWrongPINEndsEverything(t *testing.T) {
	f := newFake(t)
	f.says(opSale, `{"code":404,"message":"wrong PIN"}`)
	login := NewLogin("api", "s3cret")
	d := f.driver(func(c *Config) { c.Login = login })
	q := prepared(t, d, job(sold(), nil))
	if o := d.Send(t.Context(), q); o.Verdict != register.Unknown || o.Cause != register.Credentials {
		t.Errorf("%+v", o)
	}
	asked := len(f.asked)
	for range 3 { // as the engine asks, and with a new driver, tries again
		if e := d.Lookup(t.Context(), q); e.Found != register.CannotTell || causeIs(e.Err) != register.Credentials {
			t.Errorf("%+v", e)
		}
		d = f.driver(func(c *Config) { c.Login = login })
		if o := d.Send(t.Context(), q); o.Verdict != register.NotSent || o.Cause != register.Credentials || o.Code != "404" {
			t.Errorf("%+v", o)
		}
	}
	if len(f.asked) != asked {
		t.Errorf("asked %d times more", len(f.asked)-asked)
	}
}

func TestLookup_AHistoryThatIsTooLongIsForAPerson(t *testing.T) {
	f := newFake(t)
	f.says(opGetInfo, strings.Replace(info, `"last_doc_number":27`, `"last_doc_number":28`, 1))
	f.says(opHistory, `{"transactions":[]`+strings.Repeat(" ", longest)+`}`)
	d := f.driver()
	if e := d.Lookup(t.Context(), prepared(t, d, job(sold(), nil))); e.Found != register.CannotTell || causeIs(e.Err) != register.Other {
		t.Errorf("%+v", e)
	}
}
