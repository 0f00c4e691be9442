package receipt_test

import (
	"testing"
	"time"

	"ekassa/agent/receipt"
)

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		example,
		`{"id":"a","kind":"cancel","time":"2026-11-23T19:05:12Z","parent":{"id":"b"}}`,
		`{"id":"a","kind":"correction","time":"2026-11-23T19:05:12Z","items":[{"name":"x","quantity":1,"price":0}],"payments":{},"period":{"from":"2026-11-23T19:05:12Z","to":"2026-11-24T19:05:12Z"}}`,
		`{"id":"a","kind":"refund","time":"9999-12-31T23:59:59-04:00","items":[{"name":"x","quantity":1000000,"price":10000000,"tax":"margin18","purchase_price":1}],"payments":{"card":1},"parent":{"fiscal_id":"x"}}`,
		`{"id":1,"id":2,"items":[[],null,{"quantity":1e9}],"payments":{"cash":-0}}`, `[]`, `"`, "\xff",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, d := range []receipt.Defaults{vat, {Tax: receipt.Tax{Name: "Rüsum", Rate: 400}}} {
			r, print, err := receipt.Decode(body, d)
			if err != nil {
				if _, ok := err.(receipt.Faults); !ok || r.ID != "" {
					t.Fatalf("%T %v beside %+v", err, err, r)
				}
				continue
			}
			keepsTheRules(t, r)
			// Said again with everything spelled out, it is the same.
			if r.Items == nil || d.Tax.Type == "" {
				continue
			}
			again := style{zone: time.UTC, spelled: true}.body(r, d)
			o, other, err := receipt.Decode(again, d)
			if err != nil || !print.Same(other) || inUTC(o) != inUTC(r) {
				t.Fatalf("%v\n%s\n%s", err, body, again)
			}
		}
	})
}

func FuzzDecodeCash(f *testing.F) {
	f.Add([]byte(`{"id":"c1","amount":"50.00","time":"2026-11-23T19:05:12+04:00","cashier":"Aysel","note":"x"}`))
	f.Add([]byte(`{"id":"c1","amount":1e5}`))
	now := time.Date(2026, 11, 23, 19, 0, 0, 0, baku)
	f.Fuzz(func(t *testing.T, body []byte) {
		r, print, err := receipt.DecodeCash(body, receipt.Deposit, now)
		if err != nil {
			if _, ok := err.(receipt.Faults); !ok || r.ID != "" {
				t.Fatalf("%T %v beside %+v", err, err, r)
			}
			return
		}
		if !receipt.ValidID(r.ID) || r.Amount <= 0 || r.Amount > receipt.MaxMoney || r.Total() != r.Amount || !r.Fiscal || r.Time.IsZero() && r.Time.Year() != 1 {
			t.Fatalf("%+v", r)
		}
		if _, again, err := receipt.DecodeCash(body, receipt.Deposit, now.Add(time.Hour)); err != nil || !print.Same(again) {
			t.Fatalf("a repeat is another order: %v", err)
		}
	})
}
