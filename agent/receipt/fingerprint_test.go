package receipt_test

import (
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ekassa/agent/receipt"
)

func TestFingerprint_SameMeaningWithOtherBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawReceipt(t)
		one, two := drawStyle(t, "one").body(r, vat), drawStyle(t, "two").body(r, vat)
		a, f, err := receipt.Decode(one, vat)
		if err != nil {
			t.Fatalf("%v\n%s", err, one)
		}
		b, g, err := receipt.Decode(two, vat)
		if err != nil {
			t.Fatalf("%v\n%s", err, two)
		}
		if !f.Same(g) || !g.Same(f) {
			t.Fatalf("not the same:\n%s\n%s", one, two)
		}
		if x, y := inUTC(a), inUTC(b); x != y || x != inUTC(r) {
			t.Fatalf("read differently:\n%s\n%s\n%s", x, y, inUTC(r))
		}
	})
}

func TestFingerprint_OtherMeaning(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawReceipt(t)
		style := drawStyle(t, "style")
		_, f, err := receipt.Decode(style.body(r, vat), vat)
		if err != nil {
			t.Fatal(err)
		}
		o := r
		o.Items = append([]receipt.Item(nil), r.Items...)
		last := &o.Items[len(o.Items)-1]
		switch rapid.IntRange(0, 9).Draw(t, "what") {
		case 0:
			o.Note += "x"
		case 1:
			o.Time = o.Time.Add(time.Second)
		case 2:
			o.Fiscal = !o.Fiscal
		case 3:
			last.Name += "x"
		case 4:
			last.Code += "x"
		case 5:
			if last.Tax.Type == receipt.VAT18 {
				last.Tax.Type = receipt.Exempt
			} else {
				last.Tax.Type, last.PurchasePrice = receipt.VAT18, 0
			}
		case 6:
			last.Price += 100 // enough for one qəpik, whatever the quantity
			more := o.Total() - r.Total()
			o.Payments.Cash += more
		case 7:
			o.Number += "x"
		case 8:
			if last.Unit = receipt.Kilogram; r.Items[len(r.Items)-1].Unit == receipt.Kilogram {
				last.Unit = receipt.Piece
			}
		case 9:
			o.ID = "x" + o.ID[:len(o.ID)-1]
			if o.ID == r.ID {
				o.ID = "y" + o.ID[1:]
			}
		}
		body := drawStyle(t, "other style").body(o, vat)
		_, g, err := receipt.Decode(body, vat)
		if err != nil {
			t.Fatalf("%v\n%s", err, body)
		}
		if f.Same(g) {
			t.Fatalf("the same:\n%s\n%s", style.body(r, vat), body)
		}
	})
}

func TestFingerprint_ASettingThatChangedDoesNotMakeARepeatAnother(t *testing.T) {
	body := []byte(`{"id":"a","kind":"sale","time":"2026-11-23T19:05:12+04:00","items":[{"name":"x","quantity":1,"price":1}],"payments":{"cash":1}}`)
	a, f, _ := receipt.Decode(body, vat)
	b, g, err := receipt.Decode(body, receipt.Defaults{Tax: receipt.Tax{Name: "Rüsum", Rate: 4_00}})
	if err != nil || a.Items[0].Tax == b.Items[0].Tax || a.Fiscal == b.Fiscal {
		t.Fatalf("the defaults were not filled in: %+v, %+v, %v", a, b, err)
	}
	if !f.Same(g) {
		t.Error("the repeat counts as another receipt")
	}
	// Somebody who says another tax than was meant says something else.
	other := []byte(`{"id":"a","kind":"sale","time":"2026-11-23T19:05:12+04:00","items":[{"name":"x","quantity":1,"price":1,"tax":"exempt"}],"payments":{"cash":1}}`)
	if _, h, err := receipt.Decode(other, vat); err != nil || h.Same(f) || h.Same(g) {
		t.Errorf("another tax counts as a repeat (%v)", err)
	}
}

// A till may repeat a receipt after the agent was updated, so what is in
// journals must stay what the fingerprint gives.
func TestFingerprint_StaysWhatJournalsHold(t *testing.T) {
	_, f, err := receipt.Decode([]byte(example), vat)
	if err != nil {
		t.Fatal(err)
	}
	const want = "499453873bf10471ebcc2fefeee1cd315f43cd44cfba34d1d06d8e6ad60bdaa5"
	if got := hex.EncodeToString(f.Said[:]); got != want || f.Said != f.Meant {
		t.Errorf("got %s, want %s", got, want)
	}
}

// inUTC is a receipt in one line, to compare by.
func inUTC(r receipt.Receipt) string {
	r.Time = r.Time.UTC()
	if r.Period != nil {
		r.Period = &receipt.Period{From: r.Period.From.UTC(), To: r.Period.To.UTC()}
	}
	b, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return string(b)
}
