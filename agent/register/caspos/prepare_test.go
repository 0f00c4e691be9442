package caspos

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// dataOf is what the request would send as data.
func dataOf(t *testing.T, r register.Request) string {
	t.Helper()
	p, err := read(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(p.Data)
}

func TestPrepare_WritesWhatThePageWants(t *testing.T) {
	d := New(Config{})
	id := uuidOf("receipt", "4503599627370501")
	line := `{"name":"Plov","code":"1001","quantity":1.500,"salePrice":8.00,"purchasePrice":0.00,"codeType":0,"quantityType":0,"vatType":1,` +
		`"discountAmount":0.00,"sum":12.00,"itemUuid":"` + lineUUID("4503599627370501", 0) + `"}`
	paid := `"cashPayment":12.00,"cardPayment":0.00,"bonusPayment":0.00,"creditPayment":0.00,"depositPayment":0.00`
	foot := `"cashierName":"Aysel M.","note":"masa 7","currency":"AZN"}`
	for kind, want := range map[receipt.Kind]string{
		receipt.Sale:       `{"documentUUID":"` + id + `",` + paid + `,"items":[` + line + `],` + foot,
		receipt.Prepayment: `{"documentUUID":"` + id + `",` + paid + `,"sum":12.00,"vatType":1,"items":[` + line + `],` + foot,
		receipt.Refund: `{"documentUUID":"` + id + `",` + paid + `,"parentDocumentId":"` + longID + `","moneyBackType":0,"isManual":false,"items":[` +
			strings.TrimSuffix(line, "}") + `,"parentItemUuid":"` + lineUUID("4503599627370400", 0) + `"}],` + foot,
		receipt.Cancel: `{"documentUUID":"` + id + `","parentDocumentId":"` + longID + `","sum":12.00,` + paid +
			`,"vatAmounts":[{"vatType":1,"vatSum":12.00}],"note":"masa 7"}`,
		receipt.CreditPayment: `{"documentUUID":"` + id + `",` + paid + `,"parentDocumentId":"` + longID +
			`","paymentNumber":"1","residue":0.00,"creditContract":"till1-000123","creditPayer":"Müştəri","items":[{"name":"Plov","code":"1001",` +
			`"quantity":1.000,"salePrice":12.00,"realPrice":12.00,"purchasePrice":0.00,"codeType":0,"quantityType":0,"vatType":1,` +
			`"discountAmount":0.00,"sum":12.00,"itemUuid":"` + lineUUID("4503599627370501", 0) + `"}],` + foot,
		receipt.Correction: `{"documentUUID":"` + id + `","firstOperationAtUtc":"2026-11-22T16:00:00Z","lastOperationAtUtc":"2026-11-22T19:30:00Z",` +
			`"currency":"AZN","cashPayment":12.00,"cardPayment":0.00,"vatType":1,"note":"masa 7"}`,
		receipt.Deposit:    `{"documentUUID":"` + id + `","sum":12.00,"cashierName":"Aysel M.","currency":"AZN"}`,
		receipt.Withdrawal: `{"documentUUID":"` + id + `","sum":12.00,"cashierName":"Aysel M.","currency":"AZN"}`,
	} {
		r := prepare(t, d, job(kind))
		if got := dataOf(t, r); got != want {
			t.Errorf("%s:\n got %s\nwant %s", kind, got, want)
		}
		if r.Route != operations[kind] || r.Key != "4503599627370501" || !json.Valid(r.Body) {
			t.Errorf("%s: route %s, key %s, body %s", kind, r.Route, r.Key, r.Body)
		}
	}
	// The cashier stands at the root of these two (sections 4 and 4.3).
	for kind, currency := range map[receipt.Kind]string{receipt.Cancel: "AZN", receipt.Correction: ""} {
		if p, err := read(prepare(t, d, job(kind))); err != nil || p.Cashier != "Aysel M." || p.Currency != currency {
			t.Errorf("%s: %v, cashier %q, currency %q at the root", kind, err, p.Cashier, p.Currency)
		}
	}
}

func TestPrepare_TheKeyIsTheSameOnEveryAttempt(t *testing.T) {
	first := job(receipt.Sale)
	later := first
	later.Baseline.Last, later.Baseline.Shift.ID = "77", "2026-11-24T04:00:00Z"
	other := first
	other.Key = "4503599627370502"
	d := New(Config{})
	one, again, two := prepare(t, d, first), prepare(t, New(Config{Zone: time.UTC}), later), prepare(t, d, other)
	if dataOf(t, one) != dataOf(t, again) {
		t.Errorf("another attempt sends something else:\n%s\n%s", dataOf(t, one), dataOf(t, again))
	}
	if !bytes.Equal(one.Body, prepare(t, d, first).Body) {
		t.Error("the same job gives other bytes")
	}
	if dataOf(t, one) == dataOf(t, two) {
		t.Error("another receipt has the same key")
	}
	if _, err := uuid.Parse(uuidOf("receipt", first.Key)); err != nil {
		t.Error(err)
	}
}

func TestPrepare_MoneyAndLines(t *testing.T) {
	d := New(Config{})
	change := func(kind receipt.Kind, f func(j *register.Job)) string {
		j := job(kind)
		f(&j)
		return dataOf(t, prepare(t, d, j))
	}
	for _, c := range []struct {
		name, got string
		want      []string
	}{
		{"change is the register's to work out", change(receipt.Sale, func(j *register.Job) { j.Receipt.Payments.Cash = 10000 }),
			[]string{`"cashPayment":100.00`}},
		{"cash and card", change(receipt.Sale, func(j *register.Job) { j.Receipt.Payments = receipt.Payments{Cash: 1000, Card: 700} }),
			[]string{`"cashPayment":10.00,"cardPayment":7.00`}},
		{"a cancel has no change", change(receipt.Cancel, func(j *register.Job) {
			j.Parent.Payments.Cash = 5000
			j.Receipt.Items, j.Receipt.Payments = nil, receipt.Payments{}
		}), []string{`"sum":12.00,"cashPayment":12.00`, `"vatSum":12.00`}},
		{"a discount is a lower price and the sum", change(receipt.Sale, func(j *register.Job) { j.Receipt.Items[0].Discount = 100 }),
			[]string{`"salePrice":7.33`, `"sum":11.00`, `"discountAmount":0.00`}},
		{"margin", change(receipt.Sale, func(j *register.Job) {
			j.Receipt.Items[0].Tax, j.Receipt.Items[0].PurchasePrice = receipt.Tax{Type: receipt.Margin18}, 500
		}), []string{`"vatType":2`, `"purchasePrice":5.00`}},
		{"credit", change(receipt.Sale, func(j *register.Job) {
			j.Receipt.Payments, j.Receipt.Contract = receipt.Payments{Credit: 1200}, "M-7"
		}), []string{`"creditPayment":12.00`, `"creditContract":"M-7"`, `"creditPayer":"Müştəri"`}},
		{"out of an advance", change(receipt.Sale, func(j *register.Job) {
			j.Receipt.Payments, j.Receipt.Parent = receipt.Payments{Prepaid: 1200}, &receipt.Parent{FiscalID: longID}
		}), []string{`"depositPayment":12.00,"prepaymentDocumentId":"` + longID + `"`}},
		{"an advance goes back", change(receipt.Refund, func(j *register.Job) { j.Parent.Kind = receipt.Prepayment }),
			[]string{`"moneyBackType":6,"isManual":false`}},
		{"a credit payment goes back", change(receipt.Refund, func(j *register.Job) { j.Parent.Kind = receipt.CreditPayment }),
			[]string{`"moneyBackType":7`}},
		{"made by another register", change(receipt.Refund, func(j *register.Job) { j.Parent.Document.RegisterSerial = "CAS-0" }),
			[]string{`"isManual":true`}},
		{"weighed, and an EAN", change(receipt.Sale, func(j *register.Job) {
			i := &j.Receipt.Items[0]
			i.Unit, i.Quantity, i.Code = receipt.Kilogram, 1125, "4006381333931"
		}), []string{`"quantity":1.125`, `"quantityType":1`, `"codeType":2`, `"sum":9.00`}},
		{"no code, a wild name", change(receipt.Sale, func(j *register.Job) { j.Receipt.Items[0].Code, j.Receipt.Items[0].Name = "", "«Çay» 🍵" }),
			[]string{"\"name\":\"`Çay`\",\"code\":\"1\""}},
		{"part of a debt", change(receipt.CreditPayment, func(j *register.Job) {
			j.Receipt.Items[0].Quantity, j.Receipt.Payments.Cash = 500, 400
		}), []string{`"salePrice":4.00,"realPrice":12.00`, `"paymentNumber":"1","residue":8.00`, `"quantity":1.000`}},
		{"the rest of a debt", change(receipt.CreditPayment, func(j *register.Job) {
			j.Receipt.Items[0].Quantity, j.Receipt.Payments.Cash, j.Repaid = 500, 400, register.Repaid{Count: 2, Sum: 800}
		}), []string{`"paymentNumber":"3","residue":0.00`}},
		{"a named tax", change(receipt.Sale, func(j *register.Job) { j.Receipt.Items[0].Tax = receipt.Tax{Name: "SV", Rate: 800} }),
			[]string{`"vatType":7`}},
	} {
		for _, want := range c.want {
			if !strings.Contains(c.got, want) {
				t.Errorf("%s: no %s in %s", c.name, want, c.got)
			}
		}
	}
}

func TestPrepare_EachTaxAndUnit(t *testing.T) {
	for tax, want := range map[receipt.TaxType]int{
		receipt.VAT18: 1, receipt.Margin18: 2, receipt.Exempt: 3, receipt.VAT0: 5, receipt.Simplified2: 6, receipt.Simplified8: 7,
	} {
		if got, err := vatType(receipt.Tax{Type: tax}); err != nil || got != want {
			t.Errorf("%s: %d (%v), want %d", tax, got, err, want)
		}
	}
	for code, want := range map[string]int{"96385074": 1, "96385075": 0, "4006381333931": 2, "4006381333930": 0, "12345": 0, "Plov": 0} {
		if got := codeType(code); got != want {
			t.Errorf("code %s: type %d, want %d", code, got, want)
		}
	}
}

func TestPrepare_RefusesWhatTheRegisterCannotMake(t *testing.T) {
	d := New(Config{})
	second := receipt.Item{Name: "Su", Unit: receipt.Piece, Quantity: 1000, Price: 100, Tax: receipt.Tax{Type: receipt.Exempt}}
	for name, j := range map[string]func() register.Job{
		"no key":            func() register.Job { j := job(receipt.Sale); j.Key = ""; return j },
		"no such kind":      func() register.Job { return job("barter") },
		"no parent":         func() register.Job { j := job(receipt.Refund); j.Parent = nil; return j },
		"only the short id": func() register.Job { j := job(receipt.Refund); j.Parent.Document.FiscalID = "4FXHkv2U6q8g"; return j },
		"two taxes, advance": func() register.Job {
			j := job(receipt.Prepayment)
			j.Receipt.Items = append(j.Receipt.Items, second)
			return j
		},
		"two taxes, correction": func() register.Job {
			j := job(receipt.Correction)
			j.Receipt.Items = append(j.Receipt.Items, second)
			return j
		},
		"a correction by bonus": func() register.Job {
			j := job(receipt.Correction)
			j.Receipt.Payments = receipt.Payments{Bonus: 1200}
			return j
		},
		"a tax it does not have": func() register.Job {
			j := job(receipt.Sale)
			j.Receipt.Items[0].Tax = receipt.Tax{Name: "?", Rate: 1000}
			return j
		},
		"a cancel of what is not known": func() register.Job {
			j := job(receipt.Cancel)
			j.Parent, j.Receipt.Items, j.Receipt.Parent = nil, nil, &receipt.Parent{FiscalID: longID}
			return j
		},
	} {
		if r, err := d.Prepare(j()); err == nil {
			t.Errorf("%s: %s", name, r.Body)
		}
	}
}
