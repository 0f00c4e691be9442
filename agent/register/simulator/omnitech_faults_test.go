package simulator

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestOmnitech_Faults goes through what can be armed, on a sale.
func TestOmnitech_Faults(t *testing.T) {
	for _, tc := range []struct {
		fault  Fault
		status int // 0: no answer
		code   any // of the body, nil where it is none
		made   int
	}{
		{Fault{Name: DropBefore}, 0, nil, 0},
		{Fault{Name: DropAfter}, 0, nil, 1},
		{Fault{Name: Half}, 0, nil, 1},
		{Fault{Name: Slow, MS: 1}, 200, 0.0, 1},
		{Fault{Name: SlowAfter, MS: 1}, 200, 0.0, 1},
		{Fault{Name: HTTP500}, 500, 0.0, 1},
		{Fault{Name: HTTP500Empty}, 500, nil, 1},
		{Fault{Name: Garbage}, 200, nil, 1},
		{Fault{Name: BusyFault}, 200, 1412.0, 0},
		{Fault{Name: PaperOut}, 200, 1200.0, 1},
		{Fault{Name: Refuse, Code: 1511}, 200, 1511.0, 0},
		{Fault{Name: Refuse, Code: -2}, 200, -2.0, 0},
		{Fault{Name: ShiftExpired}, 200, 504.0, 0},
		{Fault{Name: OtherSerial}, 200, 401.0, 0},
		{Fault{Name: Processing, MS: 60_000}, 200, -2.0, 0},
		{Fault{Name: Reboot, MS: 1}, 0, nil, 0},
		{Fault{Name: RebootAfter, MS: 1}, 0, nil, 1},
		{Fault{Name: Unreachable, MS: 1}, 0, nil, 0},
		{Fault{Name: RefuseConnection, MS: 1}, 0, nil, 0},
	} {
		t.Run(tc.fault.Name, func(t *testing.T) {
			s, o := openOmnitech(t)
			tc.fault.Route, tc.fault.Times = "/sale", 1
			s.Arm(tc.fault)
			o.ok(14) // another operation is not meant
			status, body, err := o.try(o.envelope(1, "tokenData", tokenData("sale", teaSale())))
			if (err == nil) != (tc.status != 0) || err == nil && status != tc.status {
				t.Fatalf("HTTP %d %v", status, err)
			}
			var got object
			_ = json.Unmarshal(body, &got)
			if got["code"] != tc.code {
				t.Errorf("body %s", body)
			}
			count(t, s, tc.made)
		})
	}
}

// again sends a request until somebody listens.
func (o *omniTill) again(check int) object {
	o.t.Helper()
	for end := time.Now().Add(5 * time.Second); ; {
		status, body, err := o.try(o.envelope(check))
		if err == nil {
			return o.object("/v2", status, body)
		}
		if op := (*net.OpError)(nil); !errors.As(err, &op) && !strings.Contains(err.Error(), "EOF") || time.Now().After(end) {
			o.t.Fatal(err)
		}
	}
}

func TestOmnitech_RebootEndsTheSession(t *testing.T) {
	s, o := openOmnitech(t)
	s.Arm(Fault{Name: Reboot, MS: 1})
	if out := o.again(14); out["code"] != 401.0 {
		t.Errorf("%v", out)
	}
	loginOmnitech(t, o.till).ok(14)
}

// TestOmnitech_PaperOut: the document is made, and all that prints waits until it
// has been printed (sections 12 and 16).
func TestOmnitech_PaperOut(t *testing.T) {
	path, state := stateFile(t)
	s, o := openOmnitech(t, state)
	s.Arm(Fault{Name: PaperOut})
	out := o.document(1, 1200, "sale", teaSale())
	if out["long_id"] != nil || o.last() != 1 {
		t.Errorf("%v", out)
	}
	for _, check := range []int{12, 13, 16} {
		o.code(check, 1200)
	}
	o.document(1, 1200, "sale", teaSale())
	o.ok(14)
	if count(t, s, 1)[0].Printed {
		t.Error("printed")
	}
	s.Close()

	s, c := reopen(t, path, func(c *Config) { c.Protocol = Omnitech })
	o = loginOmnitech(t, c)
	o.document(1, 1200, "sale", teaSale()) // it still waits in the next life
	o.ok(16)
	if !count(t, s, 1)[0].Printed || !strings.Contains(s.Paper(), s.Ledger()[0].ShortID) {
		t.Error("not printed")
	}
	o.ok(16) // nothing left to print
	s.Arm(Fault{Name: PaperOut, Route: "/close_shift", Times: 1})
	o.code(13, 1200)
	if s.State().Shift.Open || len(s.Shifts()) != 1 {
		t.Error("the Z report was not made")
	}
	o.ok(15)
	o.document(1, 1200, "sale", teaSale())
	o.ok(16)
	if !strings.Contains(s.Paper(), "Z-HESABAT") {
		t.Error(s.Paper())
	}
	o.sold(teaSale())
}

func TestOmnitech_Processing(t *testing.T) {
	s, o := openOmnitech(t)
	s.Arm(Fault{Name: Processing, Route: "/sale", MS: 60_000, Times: 1})
	o.document(1, -2, "sale", teaSale(), "prev_doc_number", 0)
	o.document(1, 1412, "sale", teaSale(), "prev_doc_number", 0)
	o.code(13, 1412)
	if o.last() != 0 || s.State().Processing != 1 {
		t.Error("made already")
	}
	s.dev.mu.Lock()
	s.dev.waiting[0].due = time.Time{}
	s.dev.mu.Unlock()
	o.document(1, 505, "sale", teaSale(), "prev_doc_number", 0)
	count(t, s, 1)
}

func TestOmnitech_RestartBringsEverythingBack(t *testing.T) {
	path, state := stateFile(t)
	s, o := openOmnitech(t, state)
	sale := o.sold(teaSale())
	o.document(34, 0, "prepay", teaSale())
	o.ok(13)
	o.ok(15)
	o.document(100, 0, "money_back", back(sale, "1"))
	x, docs := o.ok(12)["data"].(object), s.Ledger()
	s.Close()
	if _, err := Start(Config{Listen: "127.0.0.1:0", State: path}); err == nil || !strings.Contains(err.Error(), `"omnitech"`) {
		t.Errorf("as another maker's register: %v", err)
	}
	s, c := reopen(t, path, func(c *Config) { c.Protocol = Omnitech })
	if was, is := asJSON(t, docs), asJSON(t, s.Ledger()); was != is {
		t.Errorf("before\n%s\nafter\n%s", was, is)
	}
	o.till = c
	o.code(14, 401) // the session was in memory
	o = loginOmnitech(t, c)
	if o.last() != 4 {
		t.Errorf("last_doc_number %d", o.last())
	}
	if is := o.ok(12)["data"].(object); asJSON(t, is["currencies"]) != asJSON(t, x["currencies"]) {
		t.Errorf("before\n%v\nafter\n%v", x, is)
	}
	o.document(100, 1312, "money_back", back(sale, "1"))
	count(t, s, 3)
}

func TestOmnitech_AFailedWriteMakesNothing(t *testing.T) {
	_, state := stateFile(t)
	s, o := openOmnitech(t, state)
	s.dev.mu.Lock()
	s.dev.book.broken = errors.New("no space left on device")
	s.dev.mu.Unlock()
	o.document(1, 1511, "sale", teaSale())
	count(t, s, 0)
}

func FuzzOmnitech(f *testing.F) {
	add := func(body object) {
		js, err := json.Marshal(body)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(js))
	}
	o := &omniTill{token: "T"}
	id := fiscalID("salt", "S", 1)
	add(o.envelope(40, "name", "u", "password", "p"))
	for check := range omniOperations {
		add(o.envelope(int(check), "fiscalId", id, "date_start", "2026-11-23 00:00:00", "date_end", "2026-11-24 00:00:00"))
	}
	parent := object{"long_id": id, "short_id": id[:12]}
	add(o.envelope(1, "tokenData", tokenData("sale", teaSale(), "prev_doc_number", 1)))
	add(o.envelope(34, "tokenData", tokenData("prepay", teaSale())))
	add(o.envelope(100, "tokenData", tokenData("money_back", back(parent, "1"))))
	add(o.envelope(32, "tokenData", tokenData("rollback", zero("parentDocument", id))))
	add(o.envelope(19, "tokenData", tokenData("correction", teaSale("firstOperationAtUtc", "2026-11-22T10:00:00Z", "lastOperationAtUtc", "2026-11-22T10:00:00Z"))))
	add(o.envelope(31, "tokenData", tokenData("creditpay", teaSale("parentDocument", id, "paymentNumber", 1, "residue", 0, "creditContract", "C"))))
	add(o.envelope(7, "tokenData", object{"parameters": object{"data": object{"cashSum": 5}}}))
	add(with(o.envelope(1, "tokenData", tokenData("sale", zero("creditSum", 8.5, "creditContract", "C"))), "receiptDetails", []object{{"t": 1, "k": "a", "v": "b"}}))
	f.Add(`{"requestData":{"access_token":"T","checkData":{"check_type":1},"tokenData":{"parameters":{"data":{"items":[null],"vatAmounts":[{}],"sum":1e9}}}}}`)
	f.Fuzz(func(t *testing.T, body string) {
		for _, names := range [][]string{nil, {quirkKeyOrder, quirkStrictFields, quirkHistoryFailures, quirkCopyDocument, quirkXDocument}} {
			q, err := newQuirks(omnitechQuirks, names)
			if err != nil {
				t.Fatal(err)
			}
			b, _, err := openBook("", string(Omnitech), "S", "", fixedNow)
			if err != nil {
				t.Fatal(err)
			}
			b.salt = "salt" // so that the seeds know the first document's id
			om := newOmnitech("u", "p", q)
			om.sessions["S"] = map[string]time.Time{"T": fixedNow}
			d := &device{book: b, quirks: q, clock: testClock, requests: map[string]int{}}
			if err := d.byHand(func(v *visit) error {
				if err := v.openShift(""); err != nil {
					return err
				}
				_, err := v.ringUp(850, "")
				return err
			}); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				r := request{method: http.MethodPost, path: omniPath, contentType: "application/json", body: []byte(body)}
				rep := om.answer(d.visit(om.route(r), plan{}), r)
				var got object
				if err := json.Unmarshal(rep.body, &got); err != nil || got["code"] == nil || got["message"] == nil {
					t.Fatalf("no answer: %s", rep.body)
				}
			}
			for _, doc := range d.ledger(0) {
				moves := doc.Kind != Copy && doc.Kind != Interim
				if doc.Payments.Total() != doc.Amount || moves && doc.Amount <= 0 || doc.Payments.Cash < 0 || doc.Change < 0 {
					t.Fatalf("a document that does not add up: %+v", doc)
				}
			}
		}
	})
}
