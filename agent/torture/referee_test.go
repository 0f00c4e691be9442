package torture

import (
	"fmt"
	"testing"

	"ekassa/agent/register/simulator"
)

// sound is a case in which every promise was kept: three sales, a refund of the
// first one, a receipt that is kept here only.
func sound() Case {
	e := Evidence{Terminal: "till-1", Serial: "K", Model: AzSmart, API: map[string]Stored{}, Asked: map[string][]Asked{}}
	c := Case{}
	add := func(id, kind, parent string, fiscal bool) {
		n := int64(len(e.Ledger) + 1)
		doc := simulator.Document{
			Serial: "K", Number: n, Kind: made[kind], FiscalID: "F-" + id, Shift: 1, Printed: true, Amount: 500,
			Client: simulator.Client{Cashier: "Aysel " + id}, Payments: simulator.Payments{Cash: 500},
		}
		if parent != "" {
			doc.Parent = "F-" + parent
		}
		s := Stored{ID: id, Kind: kind, State: "fiscal", Attempts: 1}
		s.Document.FiscalID, s.Document.Serial = doc.FiscalID, "K"
		row := Row{Seq: int64(len(c.Journal.Rows) + 1), Terminal: "till-1", ID: id, State: "fiscal", FiscalID: doc.FiscalID, Documents: 1, Recorded: "fiscal"}
		h := Heard{201, "fiscal", doc.FiscalID}
		if !fiscal {
			s.State, s.Document.FiscalID, s.Document.Serial = "non_fiscal", "", ""
			row.State, row.Recorded, row.FiscalID, row.Documents = "non_fiscal", "non_fiscal", "", 0
			h = Heard{202, "non_fiscal", ""}
		} else {
			e.Ledger = append(e.Ledger, doc)
		}
		e.API[id] = s
		e.Told = append(e.Told, Told{Order{ID: id, Kind: kind, Total: 500, Paid: Payments{Cash: 500}, Fiscal: fiscal, Parent: parent}, []Heard{h, {200, s.State, s.Document.FiscalID}}})
		c.Journal.Rows = append(c.Journal.Rows, row)
	}
	add("a", "sale", "", true)
	add("b", "sale", "", true)
	add("c", "sale", "", false)
	add("d", "refund", "a", true)
	add("e", "sale", "", true)
	c.Shops = []Evidence{e}
	return c
}

func TestReferee_IsSilentWhereEveryPromiseWasKept(t *testing.T) {
	if v := Judge(sound()); len(v.Violations) > 0 || v.Told != 5 || v.Fiscal != 4 || v.NonFiscal != 1 {
		t.Errorf("%+v", v)
	}
}

func TestReferee_Shouts(t *testing.T) {
	api := func(e *Evidence, id string, change func(*Stored)) {
		s := e.API[id]
		change(&s)
		e.API[id] = s
	}
	for _, x := range []struct {
		name  string
		want  Sort
		spoil func(c *Case, e *Evidence)
	}{
		{"a document twice", Doubled, func(_ *Case, e *Evidence) {
			again := e.Ledger[1]
			again.FiscalID, again.Number = "F-other", 9
			e.Ledger = append(e.Ledger, again)
		}},
		{"a document twice, of what the till was never told yes", Doubled, func(_ *Case, e *Evidence) {
			e.Unsure = []string{"f"}
			for range 2 {
				d := e.Ledger[0]
				d.Client.Cashier, d.FiscalID = "Aysel f", "F-f"
				e.Ledger = append(e.Ledger, d)
			}
		}},
		{"the register lost a document that the agent believes in", Lost, func(_ *Case, e *Evidence) { e.Ledger = e.Ledger[:3] }},
		{"the agent lost a receipt", Lost, func(_ *Case, e *Evidence) { delete(e.API, "b") }},
		{"the journal lost a receipt", Lost, func(c *Case, _ *Evidence) { c.Journal.Rows = c.Journal.Rows[1:] }},
		{"made, and the agent calls it refused", Lost, func(_ *Case, e *Evidence) { api(e, "b", func(s *Stored) { s.State = "refused" }) }},
		{"two documents change places", OutOfOrder, func(_ *Case, e *Evidence) { e.Ledger[0], e.Ledger[1] = e.Ledger[1], e.Ledger[0] }},
		{"the journal has another order", OutOfOrder, func(c *Case, _ *Evidence) {
			r := c.Journal.Rows
			r[0], r[1] = r[1], r[0]
		}},
		{"one still waits", Unsettled, func(_ *Case, e *Evidence) {
			api(e, "e", func(s *Stored) { s.State, s.Document.FiscalID = "waiting", "" })
			e.Ledger = e.Ledger[:3]
		}},
		{"one is held", Unsettled, func(_ *Case, e *Evidence) {
			api(e, "e", func(s *Stored) { s.State = "held" })
		}},
		{"a person was asked after a sale with a key", Unsettled, func(_ *Case, e *Evidence) { e.Asked["b"] = []Asked{{ID: "b", Kind: "sale"}} }},
		{"a person was asked after a sale with a key, in a shift that went on", Unsettled, func(_ *Case, e *Evidence) {
			e.Asked["b"] = []Asked{{ID: "b", Kind: "sale", Attempts: 1}}
		}},
		{"a person was asked about a sale by hand that nobody made", Unsettled, func(_ *Case, e *Evidence) {
			e.Asked["d"] = []Asked{{ID: "d", Kind: "refund", Code: "rung_up_by_hand"}}
			e.Ledger[3].Shift = 2
		}},
		{"refused without cause", Wrong, func(_ *Case, e *Evidence) {
			api(e, "e", func(s *Stored) { s.State, s.Document.FiscalID = "refused", "" })
			e.Ledger = e.Ledger[:3]
		}},
		{"a document that nobody asked for", Wrong, func(_ *Case, e *Evidence) {
			d := e.Ledger[0]
			d.Client.Cashier, d.FiscalID = "Aysel z", "F-z"
			e.Ledger = append(e.Ledger, d)
		}},
		{"another sum", Wrong, func(_ *Case, e *Evidence) { e.Ledger[1].Amount = 501 }},
		{"another kind", Wrong, func(_ *Case, e *Evidence) { e.Ledger[1].Kind = simulator.Refund }},
		{"paid in another way", Wrong, func(_ *Case, e *Evidence) { e.Ledger[1].Payments = simulator.Payments{Cashless: 500} }},
		{"the refund of another sale", Wrong, func(_ *Case, e *Evidence) { e.Ledger[2].Parent = "F-b" }},
		{"another receipt's fiscal id", Wrong, func(_ *Case, e *Evidence) { api(e, "b", func(s *Stored) { s.Document.FiscalID = "F-a" }) }},
		{"told one document, and now it is another", Wrong, func(_ *Case, e *Evidence) { e.Told[1].Heard[0].FiscalID = "F-x" }},
		{"told twice that it is new", Wrong, func(_ *Case, e *Evidence) { e.Told[1].Heard[1].Status = 202 }},
		{"made on a stranger", Wrong, func(_ *Case, e *Evidence) { e.Strangers = e.Ledger[:1] }},
		{"fiscal against the till's will", Wrong, func(_ *Case, e *Evidence) { e.Told[1].Fiscal = false }},
		{"not fiscal against the till's will", Wrong, func(_ *Case, e *Evidence) { e.Told[2].Fiscal = true }},
		{"a receipt from nowhere", Wrong, func(_ *Case, e *Evidence) { e.API["z"] = Stored{ID: "z", State: "fiscal"} }},
		{"the journal disagrees with the agent", Wrong, func(c *Case, _ *Evidence) { c.Journal.Rows[1].FiscalID = "F-x" }},
		{"the cloud will be told something else", Wrong, func(c *Case, _ *Evidence) { c.Journal.Rows[1].Recorded = "sending" }},
		{"a damaged file", Wrong, func(c *Case, _ *Evidence) { c.Journal.Damage = []string{"row 3 missing from index"} }},
		{"the agent panicked", Wrong, func(c *Case, _ *Evidence) { c.Other = []string{"panic: oh"} }},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := sound()
			x.spoil(&c, &c.Shops[0])
			if v := Judge(c); v.Count(x.want) == 0 || (Result{Verdict: v}).OK() {
				t.Errorf("the referee does not shout %q: %+v", x.want, v.Violations)
			}
		})
	}
}

func TestReferee_WhatAPersonDecidedMayComeLater(t *testing.T) {
	c := sound()
	e := &c.Shops[0]
	e.Told[0].Kind, e.Ledger[0].Kind = "cancel", simulator.Rollback
	e.Asked["a"] = []Asked{{ID: "a", Kind: "cancel"}}
	e.Ledger[0], e.Ledger[1] = e.Ledger[1], e.Ledger[0]
	if v := Judge(c); v.Asked != 1 || len(v.Violations) > 0 {
		t.Errorf("%+v", v)
	}
}

func TestReferee_WhatWaitedForAnAnswerMayComeLaterWhereItSaysSo(t *testing.T) {
	for verdict, fine := range map[string]bool{"was_made": true, "send": false, "": false} {
		c := sound()
		e := &c.Shops[0]
		e.Model = Classic
		e.Ledger[0], e.Ledger[1] = e.Ledger[1], e.Ledger[0]
		c.Journal.Awaited = map[string]string{"a": "b"}
		if verdict != "" {
			e.Asked["b"] = []Asked{{ID: "b", Kind: "sale", Attempts: 1, Verdict: verdict}}
		}
		if v := Judge(c); (len(v.Violations) == 0) != fine {
			t.Errorf("%q: %+v", verdict, v.Violations)
		}
	}
}

func TestReferee_AKeyNeedNotBeKnownInTheNextShift(t *testing.T) {
	c := sound()
	c.Shops[0].Asked["e"] = []Asked{{ID: "e", Kind: "sale", Attempts: 1}}
	c.Shops[0].Ledger[3].Shift = 2
	if v := Judge(c); len(v.Violations) > 0 {
		t.Errorf("%+v", v)
	}
}

func TestReferee_KnowsWhatEachModelCanTell(t *testing.T) {
	for _, x := range []struct {
		model      Model
		kind, code string
		nextShift  bool
		needless   int
	}{
		{AzSmart, "sale", "", false, 1},
		{AzSmart, "cancel", "", false, 0},
		{Classic, "sale", "", false, 0},
		{Classic, "sale", "rung_up_by_hand", false, 0},
		{Omnitech, "sale", "", false, 1},
		{Omnitech, "cancel", "", false, 0},
		{Omnitech, "cancel", "rung_up_by_hand", false, 1},
		{Caspos, "cancel", "", false, 1},
		{Caspos, "sale", "rung_up_by_hand", false, 1},
		{Caspos, "sale", "rung_up_by_hand", true, 1},
		{AzSmart, "sale", "rung_up_by_hand", true, 1},
	} {
		c := sound()
		e := &c.Shops[0]
		e.Model, e.Told[1].Kind, e.Ledger[1].Kind = x.model, x.kind, made[x.kind]
		e.Asked["b"] = []Asked{{ID: "b", Kind: x.kind, Code: x.code, Attempts: 1}}
		if x.nextShift {
			e.Ledger[3].Shift = 2 // within the same second
		}
		if v := Judge(c); v.Count(Unsettled) != x.needless {
			t.Errorf("%+v: %+v", x, v.Violations)
		}
	}
}

// Omnitech's cash and rollbacks carry no cashier.
func TestSign_KnowsByAmountAndParent(t *testing.T) {
	orders := []Order{
		{ID: "k1-1", Kind: "deposit", Path: "/v1/cash/deposit", Total: 10000}, {ID: "k1-2", Kind: "sale", Path: receipts, Total: 10001},
		{ID: "k1-3", Kind: "deposit", Path: "/v1/cash/deposit", Total: 10001}, {ID: "k1-4", Kind: "cancel", Path: receipts, Parent: "k1-2", Total: 10001},
	}
	ledger := []simulator.Document{
		{Kind: simulator.Deposit, Amount: 10000, FiscalID: "a"},
		{Kind: simulator.Sale, Amount: 10001, FiscalID: "b", Client: simulator.Client{Cashier: "Aysel k1-2"}},
		{Kind: simulator.Rollback, Amount: 10001, FiscalID: "c", Parent: "b"},
		{Kind: simulator.Deposit, Amount: 10001, FiscalID: "d"},
		{Kind: simulator.Deposit, Amount: 10002, FiscalID: "e"},
		{Kind: simulator.Rollback, Amount: 10001, FiscalID: "f", Parent: "unknown"},
	}
	for n, want := range []string{"k1-1", "k1-2", "k1-4", "k1-3", "", ""} {
		if got := TagOf(sign(ledger, orders)[n]); got != want {
			t.Errorf("document %d is %q's, want %q", n+1, got, want)
		}
	}
}

func TestVerdict_CountsReceiptsAndNotSentences(t *testing.T) {
	v := Verdict{}
	for n := range 4 {
		v.say(Lost, fmt.Sprint(n/2), "x")
	}
	if v.Count(Lost) != 2 || v.Count(Doubled) != 0 {
		t.Errorf("%+v", v)
	}
}
