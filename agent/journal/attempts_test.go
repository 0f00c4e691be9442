package journal

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

func TestAttempt_IsReadAsItWasWritten(t *testing.T) {
	j := fresh(t)
	s := sale(t, j, "r1")
	want := register.Attempt{
		Seq: s.Seq, Number: 1, Register: "kassa-1", Address: "192.168.1.1:8008",
		Baseline: register.Baseline{
			Serial: "AZ-1", Shift: register.Shift{Open: true, ID: "7", OpenedAt: noon.UTC(), Cash: 123_456_789_012_34},
			Counted: true, Count: register.Count{Sale: 41, Refund: 2, Withdrawal: 1}, Last: "44",
		},
		Request: register.Request{Route: "sale", Key: s.Key, Body: []byte(strings.Repeat(`{"itemName":"Çay (çaynik)","x":`+"\x00\xff", 300))},
		At:      time.UnixMilli(noon.UnixMilli()),
	}
	if err := j.Begin(want); err != nil {
		t.Fatal(err)
	}
	j.Close()
	j = open(t, j.dir)
	stored, got, err := j.Unfinished("kassa-1")
	if err != nil || stored.ID != "r1" || stored.State != receipt.Sending || stored.Attempts != 1 {
		t.Fatalf("%+v, %v", stored, err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\ngot  %+v\nwant %+v", got, want)
	}
	if n := count(t, j, `SELECT length(request) FROM attempt`); n > len(want.Request.Body)/10 {
		t.Errorf("%d bytes are stored of %d", n, len(want.Request.Body))
	}
	_, _, err = j.Unfinished("kassa-2")
	wantErr(t, "another register", err, receipt.ErrNotFound)
}

func TestRequests_SurviveDeflating(t *testing.T) {
	for _, b := range [][]byte{{}, {0}, bytes.Repeat([]byte{0xff}, 1<<20), []byte("{}")} {
		got, err := inflate(deflate(b))
		if err != nil || !bytes.Equal(got, b) {
			t.Errorf("%d bytes came back as %d, %v", len(b), len(got), err)
		}
	}
	if _, err := inflate([]byte("junk")); err == nil {
		t.Error("junk is a request")
	}
}

func TestBegin_OnlyWhatWaitsInTurn(t *testing.T) {
	j := fresh(t)
	for _, state := range receipt.States {
		s := to(t, j, "r-"+string(state), state)
		if state == receipt.Waiting {
			continue
		}
		before := dump(t, j)
		wantErr(t, "begin of what is "+string(state), j.Begin(attempt(s)), receipt.ErrMove)
		if dump(t, j) != before {
			t.Errorf("%s: something was written", state)
		}
		if state.Open() { // the register is free again for the others
			conclude(t, j, loaded(t, j, s), made("f-"+s.ID))
		}
	}
	s := get(t, j, "r-waiting", receipt.Waiting)
	a := attempt(s)
	a.Register = "kassa-2"
	wantErr(t, "another register", j.Begin(a), receipt.ErrMove)
	a = attempt(s)
	a.Number = 2
	if err := j.Begin(a); err == nil {
		t.Error("the first attempt may be number 2")
	}
	a.Seq = 99
	wantErr(t, "nobody's", j.Begin(a), receipt.ErrNotFound)
	begin(t, j, s)
	next := sale(t, j, "next")
	if err := j.Begin(attempt(next)); err == nil {
		t.Error("a second one is on its way to the same register")
	}
	get(t, j, "next", receipt.Waiting)
}

// loaded is the open attempt of a receipt.
func loaded(t *testing.T, j *Journal, s receipt.Stored) register.Attempt {
	t.Helper()
	_, a, err := j.Unfinished(s.Register)
	if err != nil || a.Seq != s.Seq {
		t.Fatal(a.Seq, err)
	}
	return a
}

func TestConclude_KeepsWhatTheRegisterMade(t *testing.T) {
	j := fresh(t)
	s := sale(t, j, "r1")
	conclude(t, j, begin(t, j, s), made("8GGA73rE1H5EzSGU3vfQ"))
	j.Close()
	j = open(t, j.dir)
	got := get(t, j, "r1", receipt.Fiscal)
	want := *document("8GGA73rE1H5EzSGU3vfQ")
	want.At = time.UnixMilli(want.At.UnixMilli())
	if got.Document == nil || *got.Document != want || got.Attempts != 1 || got.Reason != (receipt.Reason{}) {
		t.Errorf("\ngot  %+v\nwant %+v", got.Document, want)
	}
	_, _, err := j.Unfinished("kassa-1")
	wantErr(t, "what is done", err, receipt.ErrNotFound)
}

func TestConclude_AnotherReceiptsDocumentLeavesNoTrace(t *testing.T) {
	j := fresh(t)
	to(t, j, "r1", receipt.Fiscal)
	a := begin(t, j, sale(t, j, "r2"))
	before := dump(t, j)
	wantErr(t, "the same fiscal id", j.Conclude(a, made("fiscal-of-r1")), receipt.ErrTaken)
	if dump(t, j) != before {
		t.Error("something was written")
	}
	// As dispatch goes on: it checks, finds the same, and leaves it to a person.
	conclude(t, j, a, register.Conclusion{State: receipt.Checking, Proof: register.ProofUnclear})
	before = dump(t, j)
	wantErr(t, "found by asking", j.Conclude(a, made("fiscal-of-r1")), receipt.ErrTaken)
	if dump(t, j) != before {
		t.Error("something was written")
	}
	conclude(t, j, a, register.Conclusion{State: receipt.Held, Proof: register.ProofUnclear})
	get(t, j, "r2", receipt.Held)
	// Documents without an id are no proof against each other.
	for n := range 2 {
		s := sale(t, j, fmt.Sprint("blank", n))
		conclude(t, j, begin(t, j, s), made(""))
	}
}

func TestConclude_AllOrNothing(t *testing.T) {
	j := fresh(t)
	a := begin(t, j, sale(t, j, "r1"))
	before := dump(t, j)
	for name, c := range map[string]register.Conclusion{
		"waiting without proof": {State: receipt.Waiting, Proof: register.ProofUnclear},
		"refused without proof": {State: receipt.Refused, Proof: register.ProofUnclear},
		"refused, yet made":     {State: receipt.Refused, Proof: register.ProofMade},
		"no such proof":         {State: receipt.Checking, Proof: "maybe"},
		"no such state":         {State: "lost", Proof: register.ProofNotSent},
		"not in one step":       {State: receipt.Held, Proof: register.ProofUnclear},
		"without a document":    {State: receipt.Fiscal, Proof: register.ProofMade},
	} {
		if err := j.Conclude(a, c); err == nil {
			t.Errorf("%s is taken", name)
		}
		if dump(t, j) != before {
			t.Errorf("%s: something was written", name)
		}
	}
	late := a
	late.Number = 2
	if err := j.Conclude(late, register.Conclusion{State: receipt.Waiting, Proof: register.ProofNotSent}); err == nil || dump(t, j) != before {
		t.Errorf("an attempt that never was: %v", err)
	}
	conclude(t, j, a, made("f1"))
	wantErr(t, "twice", j.Conclude(a, made("f1")), receipt.ErrMove)
}

func TestConclude_ProofLetsItGoAgain(t *testing.T) {
	j := fresh(t)
	for _, p := range []register.Proof{register.ProofNotSent, register.ProofRefused, register.ProofNotMade} {
		id := "r-" + string(p)
		s := sale(t, j, id)
		for n := 1; n <= 3; n++ {
			a := begin(t, j, s)
			if a.Number != n {
				t.Errorf("attempt %d, want %d", a.Number, n)
			}
			conclude(t, j, a, register.Conclusion{State: receipt.Checking, Proof: register.ProofUnclear, Text: "no answer"})
			if err := j.Observe(a, "asked: nothing"); err != nil {
				t.Fatal(err)
			}
			conclude(t, j, a, register.Conclusion{State: receipt.Waiting, Proof: p, Text: "asked: nothing twice"})
			s = get(t, j, id, receipt.Waiting)
			if s.Key != a.Request.Key {
				t.Error("the key changed")
			}
		}
		conclude(t, j, begin(t, j, s), made("f-"+id))
		if n := count(t, j, `SELECT count(*) FROM evidence WHERE seq = ?`, s.Seq); n != 9 {
			t.Errorf("%d pieces of evidence", n)
		}
	}
}

func TestResolve_EveryVerdict(t *testing.T) {
	j := fresh(t)
	says := receipt.Decision{Who: "Leyla", Why: "looked at the control tape"}
	untouched := func(id string) { // held before it was ever sent
		if err := j.Hold(sale(t, j, id).Seq, receipt.Reason{Code: register.WhyTooOld}); err != nil {
			t.Fatal(err)
		}
		get(t, j, id, receipt.Held)
	}
	if err := j.Pair("kassa-1", "AZ-1", "192.168.1.1:8008"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		verdict receipt.Verdict
		want    receipt.State
		proof   string
	}{{receipt.Send, receipt.Waiting, "person"}, {receipt.Drop, receipt.Withdrawn, "person"}, {receipt.WasMade, receipt.Fiscal, "made"}} {
		d := says
		d.Verdict = c.verdict
		for name, prepare := range map[string]func(id string){
			"sent-": func(id string) { to(t, j, id, receipt.Held) }, "unsent-": untouched,
		} {
			id := name + string(c.verdict)
			prepare(id)
			if d.Verdict == receipt.WasMade {
				d.Document = &receipt.Document{FiscalID: "paper-" + id}
			}
			s, err := j.Resolve("till-1", id, at(""), d)
			if err != nil || s.State != c.want || s.Reason.Code != register.WhyPerson || s.Reason.Detail != "Leyla: looked at the control tape" {
				t.Fatalf("%s: %+v, %v", id, s, err)
			}
			get(t, j, id, c.want)
			want := 0
			if name == "sent-" {
				want = 1
			}
			if n := count(t, j, `SELECT count(*) FROM evidence WHERE seq = ? AND proof = ? AND text LIKE '%Leyla: looked%'`, s.Seq, c.proof); n != want {
				t.Errorf("%s: %d pieces of evidence, want %d", id, n, want)
			}
			if c.want == receipt.Fiscal && (s.Document.RegisterSerial != "AZ-1" || s.Document.ShortID != receipt.ShortID("paper-"+id) || s.Document.At.IsZero()) {
				t.Errorf("%s: %+v", id, s.Document)
			}
			_, err = j.Resolve("till-1", id, at(""), d)
			wantErr(t, id+" twice", err, receipt.ErrMove)
		}
	}
	// What a person sends again, goes.
	s := get(t, j, "sent-send", receipt.Waiting)
	if a := begin(t, j, s); a.Number != 2 {
		t.Errorf("attempt %d", a.Number)
	}
}

func TestResolve_RefusesWhatCannotBe(t *testing.T) {
	j := fresh(t)
	if err := j.Pair("kassa-1", "AZ-1", ""); err != nil {
		t.Fatal(err)
	}
	s := sale(t, j, "r1")
	conclude(t, j, begin(t, j, s), made("8GGA73rE1H5EzSGU3vfQ"))
	to(t, j, "sent", receipt.Held)
	if err := j.Hold(sale(t, j, "unsent").Seq, receipt.Reason{}); err != nil {
		t.Fatal(err)
	}
	before := dump(t, j)
	for _, id := range []string{"sent", "unsent"} {
		for _, f := range []string{"8GGA73rE1H5EzSGU3vfQ", "8GGA73rE1H5E"} { // the second is what the paper shows
			_, err := j.Resolve("till-1", id, at(""), receipt.Decision{Verdict: receipt.WasMade, Who: "x", Document: &receipt.Document{FiscalID: f}})
			wantErr(t, id+" as "+f, err, receipt.ErrTaken)
		}
		if _, err := j.Resolve("till-1", id, at(""), receipt.Decision{Verdict: receipt.WasMade, Who: "x"}); err == nil {
			t.Error("made, without a document")
		}
		if s, err := j.Resolve("till-1", id, at(""), receipt.Decision{Verdict: "perhaps"}); err == nil || s.ID != "" {
			t.Error("no such verdict")
		}
	}
	_, err := j.Resolve("till-1", "r1", at(""), receipt.Decision{Verdict: receipt.Send})
	wantErr(t, "what is fiscal", err, receipt.ErrMove)
	_, err = j.Resolve("till-1", "nobody", at(""), receipt.Decision{Verdict: receipt.Send})
	wantErr(t, "nobody's", err, receipt.ErrNotFound)
	if dump(t, j) != before {
		t.Error("something was written")
	}
}

// A register that is dead for good must not keep its queue for ever: once it was
// asked long enough, a person may decide in its place.
func TestResolve_WhatARegisterNeverAnswers(t *testing.T) {
	for verdict, want := range map[receipt.Verdict]receipt.State{
		receipt.Send: receipt.Waiting, receipt.Drop: receipt.Withdrawn, receipt.WasMade: receipt.Fiscal,
	} {
		j := fresh(t)
		if err := j.Pair("kassa-1", "AZ-1", ""); err != nil {
			t.Fatal(err)
		}
		d := receipt.Decision{Verdict: verdict, Who: "Leyla", Why: "the register burnt"}
		if verdict == receipt.WasMade {
			d.Document = &receipt.Document{FiscalID: "paper"}
		}
		recent := attempt(accept1(t, j, "kassa-3", body("recent", "sale", "")))
		recent.At = time.Now()
		if err := j.Begin(recent); err != nil {
			t.Fatal(err)
		}
		unclear := register.Conclusion{State: receipt.Checking, Reason: receipt.Reason{Code: register.WhyAsking}, Proof: register.ProofUnclear}
		conclude(t, j, recent, unclear)
		_, err := j.Resolve("till-1", "recent", at("kassa-2"), d)
		wantErr(t, "at once", err, receipt.ErrMove)
		get(t, j, "recent", receipt.Checking)

		s := sale(t, j, "stuck")
		a := begin(t, j, s) // hours ago
		conclude(t, j, a, unclear)
		s, err = j.Resolve("till-1", "stuck", at("kassa-2"), d)
		if err != nil || s.State != want || verdict == receipt.Send && s.Register != "kassa-2" {
			t.Fatalf("%s: %+v, %v", verdict, s, err)
		}
		// Whoever still asked the register comes too late.
		err = j.Conclude(a, register.Conclusion{State: receipt.Waiting, Proof: register.ProofNotMade})
		wantErr(t, "the loop", err, receipt.ErrMove)
		err = j.Conclude(a, made("8GGA73rE1H5EzSGU3vfQ"))
		wantErr(t, "the loop", err, receipt.ErrMove)
		get(t, j, "stuck", want)
	}
}

func TestWithdraw_LeavesWhatTakesItBackToAPerson(t *testing.T) {
	j := fresh(t)
	parent := sale(t, j, "parent")
	if err := j.Hold(parent.Seq, receipt.Reason{Code: register.WhyTooOld}); err != nil {
		t.Fatal(err)
	}
	accept1(t, j, "kassa-1", body("back", "refund", `,"parent":{"id":"parent"}`))
	if _, err := j.Resolve("till-1", "parent", at(""), receipt.Decision{Verdict: receipt.Drop, Who: "Leyla", Why: "twice"}); err != nil {
		t.Fatal(err)
	}
	if s := get(t, j, "back", receipt.Held); s.Reason != (receipt.Reason{Code: register.WhyParentGone, Detail: "parent"}) {
		t.Errorf("%+v", s.Reason)
	}
}

func TestPeople_MayOnlyDoWhatTheStateAllows(t *testing.T) {
	j := fresh(t)
	calls := map[string]struct {
		do   func(id string) (receipt.Stored, error)
		from string
		to   receipt.State
	}{
		"retry":     {func(id string) (receipt.Stored, error) { return j.Retry("till-1", id, "", "Leyla") }, "refused", receipt.Waiting},
		"fiscalise": {func(id string) (receipt.Stored, error) { return j.Fiscalise("till-1", id, "", "Leyla") }, "non_fiscal", receipt.Waiting},
		"withdraw": {func(id string) (receipt.Stored, error) { return j.Withdraw("till-1", id, "Leyla", "why") },
			"waiting refused held", receipt.Withdrawn},
	}
	for name, c := range calls {
		for _, state := range receipt.States {
			id := name + "-" + string(state)
			before := to(t, j, id, state)
			s, err := c.do(id)
			if slices.Contains(strings.Fields(c.from), string(state)) {
				if err != nil || s.State != c.to || s.Reason.Code != register.WhyPerson {
					t.Errorf("%s: %+v, %v", id, s, err)
				}
			} else {
				wantErr(t, id, err, receipt.ErrMove)
				get(t, j, id, state)
			}
			if state.Open() {
				conclude(t, j, loaded(t, j, before), made("f-"+id))
			}
		}
		_, err := c.do("nobody")
		wantErr(t, name, err, receipt.ErrNotFound)
	}
}

func TestNext_InOrderPassingOverWhoseParentIsNotFiscal(t *testing.T) {
	j := fresh(t)
	_, _, err := j.Next("kassa-1")
	wantErr(t, "an empty queue", err, receipt.ErrNotFound)
	sale(t, j, "r1")
	child := accept1(t, j, "kassa-1", body("c1", "refund", `,"parent":{"id":"r1"}`))
	if child.Reason != (receipt.Reason{Code: register.WhyParent, Detail: "r1"}) || child.Ahead != 1 {
		t.Errorf("%+v", child)
	}
	r, f := decode(t, body("elsewhere", "sale", ""))
	if _, _, err := j.Accept("till-2", "kassa-2", r, f); err != nil {
		t.Fatal(err)
	}
	sale(t, j, "r2")
	next := func(want string) (receipt.Stored, *receipt.Stored) {
		t.Helper()
		s, parent, err := j.Next("kassa-1")
		if err != nil || s.ID != want {
			t.Fatalf("next is %s, %v, want %s", s.ID, err, want)
		}
		return s, parent
	}
	s, parent := next("r1")
	if parent != nil {
		t.Error("r1 has no parent")
	}
	conclude(t, j, begin(t, j, s), register.Conclusion{State: receipt.Refused, Proof: register.ProofRefused})
	next("r2") // c1 waits for r1, and holds nobody up
	if _, err := j.Retry("till-1", "r1", "", "Leyla"); err != nil {
		t.Fatal(err)
	}
	s, _ = next("r1") // it keeps its place
	conclude(t, j, begin(t, j, s), made("f1"))
	s, parent = next("c1")
	if parent == nil || parent.ID != "r1" || parent.Document == nil || parent.Document.FiscalID != "f1" || s.Reason.Code != "" {
		t.Errorf("%+v of %+v", s, parent)
	}
	conclude(t, j, begin(t, j, s), made("f2"))
	s, _ = next("r2")
	conclude(t, j, begin(t, j, s), made("f3"))
	_, _, err = j.Next("kassa-1")
	wantErr(t, "a queue that is done", err, receipt.ErrNotFound)
}

func TestUnprinted_NewestUntilItIsPrinted(t *testing.T) {
	j := fresh(t)
	_, err := j.Unprinted("kassa-1")
	wantErr(t, "nothing", err, receipt.ErrNotFound)
	for _, id := range []string{"r1", "r2", "r3"} {
		c := made("f-" + id)
		c.Document.Printed = id == "r3"
		conclude(t, j, begin(t, j, sale(t, j, id)), c)
	}
	for _, want := range []string{"r2", "r1"} {
		s, err := j.Unprinted("kassa-1")
		if err != nil || s.ID != want {
			t.Fatalf("%s, %v, want %s", s.ID, err, want)
		}
		records := count(t, j, `SELECT count(*) FROM record`)
		for range 2 { // the second time it is known
			if err := j.Printed(s.Seq); err != nil {
				t.Fatal(err)
			}
		}
		if n := count(t, j, `SELECT count(*) FROM record`); n != records+1 {
			t.Errorf("%d new records", n-records)
		}
		if s := get(t, j, want, receipt.Fiscal); !s.Document.Printed {
			t.Error("it is not printed")
		}
	}
	_, err = j.Unprinted("kassa-1")
	wantErr(t, "nothing more", err, receipt.ErrNotFound)
	wantErr(t, "nobody's", j.Printed(99), receipt.ErrNotFound)
}

func TestBind_MovesOnlyWhatWaits(t *testing.T) {
	j := fresh(t)
	states := map[string]receipt.State{}
	for _, s := range []receipt.State{"waiting", "fiscal", "refused", "held", "non_fiscal", "withdrawn", "checking"} {
		id := "r-" + string(s)
		states[id] = s
		to(t, j, id, s)
	}
	r, f := decode(t, body("unbound", "sale", ""))
	if _, _, err := j.Accept("till-1", "", r, f); err != nil {
		t.Fatal(err)
	}
	r, f = decode(t, body("other-till", "sale", ""))
	if _, _, err := j.Accept("till-2", "", r, f); err != nil {
		t.Fatal(err)
	}
	pulse, stop := j.WatchRegister("kassa-2")
	defer stop()
	if n, err := j.Bind("till-1", "kassa-2"); err != nil || n != 2 {
		t.Errorf("%d moved, %v", n, err)
	}
	<-pulse
	if n, err := j.Bind("till-1", "kassa-2"); err != nil || n != 0 {
		t.Errorf("%d moved again, %v", n, err)
	}
	for id, s := range states {
		want := "kassa-1"
		if s == receipt.Waiting {
			want = "kassa-2"
		}
		if got := get(t, j, id, s); got.Register != want {
			t.Errorf("%s has %s, want %s", id, got.Register, want)
		}
	}
	if s, _, err := j.Next("kassa-2"); err != nil || s.ID != "r-waiting" {
		t.Error(s.ID, err)
	}
	if n, err := j.Unbound("till-2"); n != 1 || err != nil {
		t.Error(n, err)
	}
}

func TestHoldWaiting_AllUpToANumberButWhatAPersonSent(t *testing.T) {
	j := fresh(t)
	to(t, j, "sent", receipt.Held)
	if _, err := j.Resolve("till-1", "sent", at(""), receipt.Decision{Verdict: receipt.Send, Who: "Leyla"}); err != nil {
		t.Fatal(err)
	}
	to(t, j, "on-its-way", receipt.Checking)
	var last receipt.Stored
	for n := range 3 {
		last = sale(t, j, fmt.Sprint("r", n))
	}
	if n, err := j.LastReceipt(); n != last.Seq || err != nil {
		t.Error(n, err)
	}
	sale(t, j, "later")
	if n, err := j.HoldWaiting("kassa-1", last.Seq, receipt.Reason{Code: register.WhyRangByHand}); n != 3 || err != nil {
		t.Error(n, err)
	}
	for id, want := range map[string]receipt.State{
		"sent": "waiting", "on-its-way": "checking", "r0": "held", "r1": "held", "r2": "held", "later": "waiting",
	} {
		get(t, j, id, want)
	}
}

func TestReports_PairingsAndForeignDocuments(t *testing.T) {
	j := fresh(t)
	if s, a, err := j.Pairing("kassa-1"); s != "" || a != "" || err != nil {
		t.Error(s, a, err)
	}
	for _, address := range []string{"192.168.1.1:8008", "192.168.1.2:8008"} {
		if err := j.Pair("kassa-1", "AZ-1", address); err != nil {
			t.Fatal(err)
		}
		if s, a, err := j.Pairing("kassa-1"); s != "AZ-1" || a != address || err != nil {
			t.Error(s, a, err)
		}
	}
	if err := j.SetForeign("kassa-1", "7", 3); err != nil {
		t.Fatal(err)
	}
	if shift, n, err := j.Foreign("kassa-1"); shift != "7" || n != 3 || err != nil {
		t.Error(shift, n, err)
	}
	if shift, n, err := j.Foreign("kassa-2"); shift != "" || n != 0 || err != nil {
		t.Error(shift, n, err)
	}
	to(t, j, "r1", receipt.Fiscal)
	if n, err := j.MadeIn("AZ-1", "7"); n != 1 || err != nil {
		t.Error(n, err)
	}
	if err := j.ShiftOpened("kassa-1", register.Seen{Serial: "AZ-1", Name: "7", OpenedAt: noon, OpenedBy: "Leyla"}); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"x", "z"} {
		for _, raw := range [][]byte{nil, []byte(`{"code":0}`)} {
			err := j.SaveReport(register.Reported{Register: "kassa-1", Kind: kind, By: "Leyla", At: noon,
				Report: register.Report{Shift: "7", Sales: register.Sum{Count: 1, Sum: 12_00}, Raw: raw}})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	before := dump(t, j)
	if err := j.SaveReport(register.Reported{Kind: "y"}); err == nil || dump(t, j) != before {
		t.Errorf("a report of no kind: %v", err)
	}
	if n, err := j.LastChange(); n != 8 || err != nil { // accepted, sending, fiscal; opened; four reports
		t.Error(n, err)
	}
	if n := count(t, j, `SELECT count(*) FROM record WHERE type IN ('shift_closed', 'x_report') AND report IS NOT NULL`); n != 4 {
		t.Errorf("%d records of reports", n)
	}
}

// A register that tells nonsense of its drawer must not stop the agent for ever.
func TestBaseline_MayHoldAnyAmount(t *testing.T) {
	for _, cash := range []receipt.Money{-1, 0, receipt.MaxMoney + 1, 1e15} {
		j, err := Open(filepath.Join(t.TempDir(), "data"), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		a := attempt(sale(t, j, "r1"))
		a.Baseline.Shift.Cash = cash
		if err := j.Begin(a); err != nil {
			t.Fatal(err)
		}
		if _, got, err := j.Unfinished("kassa-1"); err != nil || got.Baseline.Shift.Cash != cash {
			t.Errorf("%v is read as %v, %v", cash, got.Baseline.Shift.Cash, err)
		}
		if err := errors.Join(j.Close()); err != nil {
			t.Error(err)
		}
	}
}
