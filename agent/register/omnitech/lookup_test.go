package omnitech

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

func row(ref string, check, status int, id string, number int) string {
	return fmt.Sprintf(`{"id":5,"date":"2026-11-23 18:58:00","check_type":%d,"operationStatus":%d,"int_ref":%q,"documentId":"","transaction_id":"x",
		"token_response":"{\"code\":0,\"data\":{\"document_id\":\"%s\",\"document_number\":%d,\"short_document_id\":\"%s\"}}"}`,
		check, status, ref, id, number, receipt.ShortID(id))
}

func TestLookup(t *testing.T) {
	ours := row("70001", 1, 1, madeID, 28)
	for _, c := range []struct {
		name string
		last string
		rows string
		want register.Finding
	}{
		{"unmoved", "27", ours, register.NotFound},
		{"found", "28", ours, register.DocumentMade},
		{"found among others", "40", row("70000", 1, 1, parentID, 28) + "," + ours, register.DocumentMade},
		{"found as a number", "28", strings.Replace(ours, `"70001"`, `70001`, 1), register.DocumentMade},
		{"somebody else's", "28", row("70000", 1, 1, madeID, 28), register.CannotTell},
		{"nothing", "28", "", register.CannotTell},
		{"a copy with our reference", "28", row("70001", 11, 1, madeID, 28), register.CannotTell},
		{"one that failed", "28", row("70001", 1, 0, madeID, 28), register.CannotTell},
		{"ours without an id", "28", row("70001", 1, 1, "", 28), register.CannotTell},
		{"ours twice", "29", ours + "," + row("70001", 1, 1, parentID, 29), register.CannotTell},
		{"the same row twice", "28", ours + "," + ours, register.DocumentMade},
		{"number went back", "26", ours, register.CannotTell},
		{"no number", `"x"`, ours, register.CannotTell},
		{"rows are no list", "28", `x`, register.CannotTell},
	} {
		f := newFake(t)
		f.says(opGetInfo, strings.Replace(info, `"last_doc_number":27`, `"last_doc_number":`+c.last, 1))
		f.says(opHistory, `{"message":"success","transactions":[`+c.rows+`]}`)
		d := f.driver()
		e := d.Lookup(t.Context(), prepared(t, d, job(sold(), nil)))
		if e.Found != c.want || (e.Found == register.DocumentMade) != (e.Document != nil) || (e.Found == register.CannotTell) != (e.Err != nil) {
			t.Errorf("%s: %+v", c.name, e)
		}
		if e.Document != nil && (e.Document.FiscalID != madeID || e.Document.Number != "28" || !e.Document.Printed || e.Document.At.Minute() != 58) {
			t.Errorf("%s: %+v", c.name, e.Document)
		}
		if c.name == "found" {
			if a := f.of(opHistory)[0]; a.body["date_start"] != "2026-11-23 18:55:00" || a.body["date_end"] != "2026-11-23 19:05:00" {
				t.Errorf("asked %s", a.raw)
			}
		}
	}
}

// Where each number since the attempt is another document's, none of them is ours,
// however much more history there is.
func TestLookup_EndsWhereEveryNumberIsAnothers(t *testing.T) {
	other := func(number int) string { return row("70000", 1, 1, parentID, number) }
	for _, c := range []struct {
		name, last, rows string
		asked            int
	}{
		{"all", "29", other(28) + "," + other(29), 1},
		{"by hand", "28", row("", 1, 1, parentID, 28), 1},
		{"one twice", "29", other(28) + "," + other(28), 2},
		{"one of before", "29", other(27) + "," + other(28), 2},
		{"one is not told", "29", other(29), 2},
		{"one that cannot be read", "28", row("70000", 1, 1, "", 28), 2},
		{"one that failed", "28", row("70000", 1, 0, parentID, 28), 2},
		{"a copy", "28", row("70000", 11, 1, parentID, 28), 2},
		{"two claim one number", "28", other(28) + "," + row("70002", 1, 1, madeID, 28), 2},
	} {
		f := newFake(t)
		f.says(opGetInfo, strings.Replace(info, `"last_doc_number":27`, `"last_doc_number":`+c.last, 1))
		f.says(opHistory, `{"message":"success","transactions":[`+c.rows+`]}`)
		d := f.driver()
		e := d.Lookup(t.Context(), prepared(t, d, job(sold(), nil)))
		if n := len(f.of(opHistory)); e.Found != register.CannotTell || !errors.Is(e.Err, errNotListed) || n != c.asked {
			t.Errorf("%s: asked %d times, %+v", c.name, n, e)
		}
	}
}

func TestLookup_TakenBackAlready(t *testing.T) {
	for rows, want := range map[string]register.Finding{
		row("70001", 100, 1, madeID, 26): register.DocumentMade, // by an attempt that came late
		"":                               register.CannotTell,   // by somebody else: not to be sent for ever
	} {
		f := newFake(t)
		f.says(opMoneyBack, `{"code":1312,"message":"document was already refunded"}`)
		f.says(opHistory, `{"message":"success","transactions":[`+rows+`]}`)
		d := f.driver()
		r := sold()
		r.Kind = receipt.Refund
		q := prepared(t, d, job(r, stored(sold())))
		if o := d.Send(t.Context(), q); o.Verdict != register.Unknown {
			t.Errorf("%+v", o)
		}
		// What a look of the attempt before has seen is of other numbers.
		d.looking = &seen{ref: q.Key, after: 26, last: 27, others: map[int64]string{27: parentID}}
		if e := d.Lookup(t.Context(), q); e.Found != want {
			t.Errorf("%+v, want %s", e, want)
		}
	}
}

// A further attempt stands on a number that was read after the one before was
// found not to be made; what came in between is found before anything is sent.
func TestSend_AFurtherAttemptLooksFirst(t *testing.T) {
	for _, c := range []struct {
		history string
		want    register.Verdict
		sales   int
	}{
		{`{"message":"success","transactions":[` + row("70001", 1, 1, madeID, 27) + `]}`, register.Made, 0},
		{`{"message":"success","transactions":[]}`, register.Made, 1},
		{`{"code":1300,"message":"?"}`, register.NotSent, 0},
		{`x`, register.NotSent, 0},
	} {
		f := newFake(t)
		f.says(opHistory, c.history)
		f.says(opSale, success)
		d := f.driver()
		j := job(sold(), nil)
		j.Again = true
		if o := d.Send(t.Context(), prepared(t, d, j)); o.Verdict != c.want || len(f.of(opSale)) != c.sales {
			t.Errorf("%s: %+v, %d sales", c.history, o, len(f.of(opSale)))
		}
	}
}

// A day of a busy restaurant is longer than an answer may be.
func TestHistory_OfABusyDayIsAskedForInParts(t *testing.T) {
	long := `{"message":"success","transactions":[],"x":"` + strings.Repeat("x", 9<<20) + `"}`
	f := newFake(t)
	f.says(opGetInfo, strings.Replace(info, `"last_doc_number":27`, `"last_doc_number":28`, 1))
	at := time.Date(2026, 11, 23, 18, 58, 0, 0, baku)
	f.does(opHistory, func(n int) string {
		a := f.of(opHistory)[n-1]
		read := func(name string) time.Time {
			x, err := time.ParseInLocation(wallTime, fmt.Sprint(a.body[name]), baku)
			if err != nil {
				t.Error(err)
			}
			return x
		}
		from, to := read("date_start"), read("date_end")
		switch {
		case to.Sub(from) > 3*time.Minute:
			return long
		case at.Before(from) || at.After(to):
			return `{"message":"success","transactions":[]}`
		}
		return `{"message":"success","transactions":[` + row("70001", 1, 1, madeID, 28) + `]}`
	})
	d := f.driver()
	e := d.Lookup(t.Context(), prepared(t, d, job(sold(), nil)))
	if e.Found != register.DocumentMade || e.Document.FiscalID != madeID {
		t.Errorf("%+v", e)
	}
	if n := len(f.of(opHistory)); n < 5 || n > 20 {
		t.Errorf("asked %d times", n)
	}

	f.says(opHistory, long) // whatever is asked
	if e := d.Lookup(t.Context(), prepared(t, d, job(sold(), nil))); e.Found != register.CannotTell {
		t.Errorf("%+v", e)
	}
}

// An attempt has too little time for a long history: the next goes on where it
// ended, until one sends. Where the number moved, it begins anew.
func TestHistory_IsGoneOnWithByTheNextAttempt(t *testing.T) {
	long := `{"message":"success","transactions":[],"x":"` + strings.Repeat("x", 9<<20) + `"}`
	f := newFake(t)
	f.says(opSale, success)
	d := f.driver()
	stop := func() {}
	read := map[string]int{} // how often, by part
	sofar := 0
	f.does(opHistory, func(n int) string {
		a := f.of(opHistory)[n-1]
		if read[a.raw]++; n-sofar == 5 {
			stop()
		}
		from, _ := time.ParseInLocation(wallTime, fmt.Sprint(a.body["date_start"]), baku)
		to, _ := time.ParseInLocation(wallTime, fmt.Sprint(a.body["date_end"]), baku)
		if to.Sub(from) > 6*time.Hour {
			return long
		}
		return `{"message":"success","transactions":[]}`
	})
	j := job(sold(), nil)
	j.Again, j.Baseline.Shift.OpenedAt = true, noon.Add(-time.Hour)
	attempt := func(last string) register.Outcome {
		j.Baseline.Last = last
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stop, sofar = cancel, len(f.of(opHistory))
		return d.Send(ctx, prepared(t, d, j))
	}
	attempts := 1
	for ; len(f.of(opSale)) == 0 && attempts < 20; attempts++ {
		attempt("27")
	}
	if attempts < 4 || attempts == 20 || len(f.of(opSale)) != 1 {
		t.Errorf("%d attempts, %d sales", attempts, len(f.of(opSale)))
	}
	for part, n := range read {
		if n > 2 { // once read, and once more where the attempt ended in it
			t.Errorf("read %d times: %s", n, part)
		}
	}
	if o := attempt("28"); o.Verdict != register.NotSent {
		t.Errorf("on another number: %+v", o)
	}
}

// A register that takes longer over a busy day than anybody listens is asked for
// less by the next attempt, and not for ever for the same.
func TestHistory_WhatIsNotAnsweredIsAskedForInParts(t *testing.T) {
	f := newFake(t)
	f.says(opSale, success)
	d := f.driver()
	var mu sync.Mutex // nothing orders a broken connection before what the test does next
	unanswered := map[string]int{}
	f.does(opHistory, func(n int) string {
		a := f.of(opHistory)[n-1]
		from, _ := time.ParseInLocation(wallTime, fmt.Sprint(a.body["date_start"]), baku)
		to, _ := time.ParseInLocation(wallTime, fmt.Sprint(a.body["date_end"]), baku)
		if to.Sub(from) > 6*time.Hour {
			mu.Lock()
			unanswered[a.raw]++
			mu.Unlock()
			panic(http.ErrAbortHandler)
		}
		return `{"message":"success","transactions":[]}`
	})
	j := job(sold(), nil)
	j.Again, j.Baseline.Shift.OpenedAt, j.Baseline.Last = true, noon.Add(-time.Hour), "27"
	attempts := 0
	for ; len(f.of(opSale)) == 0 && attempts < 40; attempts++ {
		d.Send(t.Context(), prepared(t, d, j))
	}
	if attempts < 4 || attempts == 40 || len(f.of(opSale)) != 1 {
		t.Errorf("%d attempts, %d sales", attempts, len(f.of(opSale)))
	}
	mu.Lock()
	for part, n := range unanswered {
		if n > 1 {
			t.Errorf("asked for %d times: %s", n, part)
		}
	}
	mu.Unlock()
}

// The same while a doubt is settled: each look goes on where the last one ended, and
// a look that came to its end believes nothing of it any more.
func TestLookup_GoesOnWhereTheLastOneEnded(t *testing.T) {
	f := newFake(t)
	f.says(opGetInfo, strings.Replace(info, `"last_doc_number":27`, `"last_doc_number":28`, 1))
	d := f.driver()
	var mu sync.Mutex // nothing orders a broken connection before what the test does next
	unanswered := map[string]int{}
	made := noon.Add(3 * time.Minute) // beyond the first five minutes' middle
	f.does(opHistory, func(n int) string {
		a := f.of(opHistory)[n-1]
		from, _ := time.ParseInLocation(wallTime, fmt.Sprint(a.body["date_start"]), baku)
		to, _ := time.ParseInLocation(wallTime, fmt.Sprint(a.body["date_end"]), baku)
		switch {
		case to.Sub(from) > 2*time.Minute:
			mu.Lock()
			unanswered[a.raw]++
			mu.Unlock()
			panic(http.ErrAbortHandler)
		case made.Before(from) || made.After(to):
			return `{"message":"success","transactions":[]}`
		}
		return `{"message":"success","transactions":[` + row("70001", 1, 1, madeID, 28) + `]}`
	})
	request := prepared(t, d, job(sold(), nil))
	looks := 0
	var e register.Evidence
	for ; e.Found != register.DocumentMade && looks < 60; looks++ {
		if e = d.Lookup(t.Context(), request); e.Found != register.DocumentMade && causeIs(e.Err) != register.Unreachable {
			t.Fatalf("look %d: %+v", looks, e)
		}
	}
	if looks < 3 || looks == 60 {
		t.Errorf("%d looks", looks)
	}
	mu.Lock()
	for part, n := range unanswered {
		if n > 1 {
			t.Errorf("asked for %d times: %s", n, part)
		}
	}
	mu.Unlock()
	asked := len(f.of(opHistory))
	if d.Lookup(t.Context(), request); len(f.of(opHistory)) == asked {
		t.Error("what was looked for to the end is not looked for anew")
	}
}

func TestHistory_LookedForNowhereIsNoProof(t *testing.T) {
	f := newFake(t)
	clock := noon
	d := f.driver(func(x *Config) { x.Now = func() time.Time { return clock } })
	f.says(opHistory, `{"message":"success","transactions":[]}`)
	f.says(opSale, success)
	j := job(sold(), nil) // its shift has no time
	j.Again = true
	q := prepared(t, d, j)
	clock = noon.AddDate(-1, 0, 0)
	if o := d.Send(t.Context(), q); o.Verdict != register.NotSent || len(f.of(opSale)) > 0 {
		t.Errorf("%+v, %d sales", o, len(f.of(opSale)))
	}
}

// A clock of ours that is wrong by years hides nothing: the history is also asked
// for by the register's own clock. So it is for an earlier attempt that was made
// hours ago, or in the shift before.
func TestHistory_IsAskedForByTheRegistersClock(t *testing.T) {
	opened := noon.Add(-20 * time.Hour)
	ours := row("70001", 1, 1, madeID, 28)
	for _, c := range []struct {
		name           string
		prepared, now  time.Time
		made           time.Time
		found, inAgain bool
	}{
		{"right", noon, noon, noon, true, true},
		{"prepared a year ahead", noon.AddDate(1, 0, 0), noon, noon, true, true},
		{"asked a year ahead", noon, noon.AddDate(1, 0, 0), noon, true, true},
		{"prepared in 1970", time.Unix(0, 0), noon, noon, true, true},
		{"in 1970", time.Unix(0, 0), time.Unix(60, 0), noon, true, true},
		{"made when the shift had just begun", noon, noon, opened.Add(time.Minute), true, true},
		{"made in the shift before", noon, noon, opened.Add(-20 * time.Hour), false, true},
	} {
		f := newFake(t)
		clock := c.prepared
		d := f.driver(func(x *Config) { x.Now = func() time.Time { return clock } })
		f.says(opGetInfo, strings.Replace(info, `"last_doc_number":27`, `"last_doc_number":28`, 1))
		f.does(opHistory, func(int) string {
			asked := f.of(opHistory)
			last := asked[len(asked)-1].body
			made := c.made.In(baku).Format(wallTime)
			if last["date_end"].(string) < last["date_start"].(string) {
				return `{"code":304,"message":"date_end is before date_start"}`
			}
			if made < last["date_start"].(string) || made > last["date_end"].(string) {
				return `{"message":"success","transactions":[]}`
			}
			return `{"message":"success","transactions":[` + ours + `]}`
		})
		j := job(sold(), nil)
		j.Baseline.Shift.OpenedAt = opened
		j.Again = true
		q := prepared(t, d, j)
		clock = c.now
		if e := d.Lookup(t.Context(), q); (e.Found == register.DocumentMade) != c.found {
			t.Errorf("%s: looked up: %+v", c.name, e)
		}
		f.says(opSale, success)
		d.Send(t.Context(), q)
		if sent := len(f.of(opSale)) > 0; sent == c.inAgain {
			t.Errorf("%s: a further attempt was sent: %t", c.name, sent)
		}
	}
}

func TestSend_TakesNoRequestOfAnother(t *testing.T) {
	f := newFake(t)
	d := f.driver()
	for _, q := range []register.Request{{Route: "x", Body: []byte(`{}`)}, {Route: "sale", Body: []byte(`{}`)}, {Route: "sale", Body: []byte(`x`)}, {}} {
		if o := d.Send(t.Context(), q); o.Verdict != register.NotSent {
			t.Errorf("%+v: %+v", q, o)
		}
		if e := d.Lookup(t.Context(), q); e.Found != register.CannotTell {
			t.Errorf("%+v: %+v", q, e)
		}
	}
	if len(f.asked) != 0 {
		t.Errorf("asked %+v", f.asked)
	}
}

func TestBaseline(t *testing.T) {
	const report = `{"code":0,"data":{"_z":"","document_id":"","currencies":[{"currency":"AZN","saleCount":3.0,"depositCount":2}]}}`
	for _, c := range []struct {
		kind      receipt.Kind
		x         string
		uncounted bool
		counted   bool
		cause     register.Cause
	}{
		{receipt.Sale, `x`, false, false, ""}, {receipt.Refund, `x`, false, false, ""}, {receipt.Correction, `x`, false, false, ""},
		{receipt.Deposit, report, false, true, ""}, {receipt.Deposit, `x`, true, false, ""},
		{receipt.Cancel, report, false, false, ""}, // it has no counter of it
		{receipt.Deposit, `{"code":503}`, false, true, ""}, {receipt.Deposit, `{"code":1210}`, false, false, ""},
		{receipt.Deposit, `{"code":1200}`, false, false, register.Paper}, {receipt.Deposit, `x`, false, false, register.Other},
		{receipt.Deposit, `{"code":1412}`, false, false, register.Busy},
	} {
		f := newFake(t)
		f.says(opXReport, c.x)
		b, err := f.driver(func(x *Config) { x.Uncounted = c.uncounted }).Baseline(t.Context(), c.kind)
		if c.cause != "" {
			if causeIs(err) != c.cause {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		if err != nil || b.Counted != c.counted || b.Last != "27" || b.Serial != "OM-1" || b.Shift.ID != "2026-11-23 08:00:00" {
			t.Errorf("%+v: %+v, %v", c, b, err)
		}
	}
	f := newFake(t)
	f.says(opGetInfo, strings.Replace(info, `"last_doc_number":27,`, ``, 1))
	if _, err := f.driver().Baseline(t.Context(), receipt.Sale); causeIs(err) != register.Other {
		t.Errorf("no number: %v", err)
	}
}
