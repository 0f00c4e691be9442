package receipt_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"pgregory.net/rapid"

	"ekassa/agent/receipt"
)

var vat = receipt.Defaults{Fiscal: true, Tax: receipt.Tax{Type: receipt.VAT18}}

var baku = time.FixedZone("", 4*60*60)

// drawReceipt draws any receipt that keeps the rules.
func drawReceipt(t *rapid.T) receipt.Receipt {
	text := rapid.StringN(0, 20, 80)
	r := receipt.Receipt{
		ID:      rapid.StringMatching(`[A-Za-z0-9._:-]{1,64}`).Draw(t, "id"),
		Kind:    rapid.SampledFrom([]receipt.Kind{"sale", "refund", "cancel", "prepayment", "credit_payment", "correction"}).Draw(t, "kind"),
		Time:    time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "time"), 0).In(baku),
		Cashier: text.Draw(t, "cashier"), Number: text.Draw(t, "number"), Note: text.Draw(t, "note"), Contract: text.Draw(t, "contract"),
		Fiscal: rapid.Bool().Draw(t, "fiscal"),
	}
	for range rapid.IntRange(1, 6).Draw(t, "lines") {
		r.Items = append(r.Items, drawItem(t))
	}
	left := r.Total()
	part := func(name string) receipt.Money {
		m := receipt.Money(rapid.Int64Range(0, int64(left)).Draw(t, name))
		left -= m
		return m
	}
	p := &r.Payments
	p.Card, p.Bonus = part("card"), part("bonus")
	if r.Kind == receipt.Sale || r.Kind == receipt.Refund || r.Kind == receipt.Cancel {
		p.Prepaid, p.Credit = part("prepaid"), part("credit")
	}
	p.Cash = left
	if r.Kind == receipt.Sale || r.Kind == receipt.Prepayment || r.Kind == receipt.CreditPayment {
		p.Cash += receipt.Money(rapid.SampledFrom([]int64{0, 1, 800, 5000}).Draw(t, "change"))
	}
	switch {
	case r.Kind == receipt.Correction:
		r.Period = &receipt.Period{From: r.Time.Add(-time.Hour), To: r.Time}
	case r.Kind == receipt.Refund, r.Kind == receipt.Cancel, r.Kind == receipt.CreditPayment, p.Prepaid > 0:
		if rapid.Bool().Draw(t, "parent is here") {
			r.Parent = &receipt.Parent{ID: "p-" + r.ID[:1]}
		} else {
			r.Parent = &receipt.Parent{FiscalID: "8GGA73rE1H5E", Number: "7"}
		}
	}
	return r
}

func drawItem(t *rapid.T) receipt.Item {
	i := receipt.Item{
		Name:     rapid.SampledFrom([]string{"Plov", "Çay (çaynik)", "Nərə balığı", "💧 su", `"x" \ / <b>`}).Draw(t, "name"),
		Code:     rapid.SampledFrom([]string{"", "1001"}).Draw(t, "code"),
		Unit:     rapid.SampledFrom([]receipt.Unit{"piece", "kg", "l", "m", "m2", "m3"}).Draw(t, "unit"),
		Quantity: receipt.Quantity(rapid.Int64Range(1, 5000).Draw(t, "quantity")),
		Price:    receipt.Money(rapid.Int64Range(0, 10000).Draw(t, "price")),
		Tax: receipt.Tax{Type: rapid.SampledFrom([]receipt.TaxType{
			"vat18", "vat0", "exempt", "margin18", "simplified2", "simplified8"}).Draw(t, "tax")},
	}
	if i.Tax.Type == receipt.Margin18 {
		i.PurchasePrice = receipt.Money(rapid.Int64Range(1, 10000).Draw(t, "purchase price"))
	}
	i.Discount = receipt.Money(rapid.Int64Range(0, int64(i.Total())).Draw(t, "discount"))
	return i
}

// field of a body under construction; the order is the test's to choose.
type field struct {
	name  string
	value any // string, json.RawMessage, []field or []any
}

func write(v any) string {
	switch v := v.(type) {
	case json.RawMessage:
		return string(v)
	case []field:
		var parts []string
		for _, f := range v {
			parts = append(parts, fmt.Sprintf("%s:%s", write(f.name), write(f.value)))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case []any:
		var parts []string
		for _, e := range v {
			parts = append(parts, write(e))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// style is one of the many ways to say the same.
type style struct {
	numbers  bool // JSON numbers instead of strings
	zeros    bool // trailing zeros
	spelled  bool // what may be left out is spelled out
	reversed bool
	zone     *time.Location
}

func drawStyle(t *rapid.T, name string) style {
	b := func(s string) bool { return rapid.Bool().Draw(t, name+" "+s) }
	return style{
		numbers: b("numbers"), zeros: b("zeros"), spelled: b("spelled"), reversed: b("reversed"),
		zone: rapid.SampledFrom([]*time.Location{baku, time.UTC, time.FixedZone("", -(3*60+30)*60)}).Draw(t, name+" zone"),
	}
}

func (s style) decimal(text string) any {
	if s.zeros {
		if !strings.Contains(text, ".") {
			text += "."
		}
		text += "000"
	}
	if s.numbers {
		return json.RawMessage(text)
	}
	return text
}

func (s style) time(t time.Time) string { return t.In(s.zone).Format(time.RFC3339Nano) }

func (s style) order(f []field) []field {
	var kept []field
	for _, x := range f {
		if x.value != nil {
			kept = append(kept, x)
		}
	}
	if s.reversed {
		for n, m := 0, len(kept)-1; n < m; n, m = n+1, m-1 {
			kept[n], kept[m] = kept[m], kept[n]
		}
	}
	return kept
}

// optional leaves out what is empty, or spells it out.
func (s style) optional(text string) any {
	if text == "" && !s.spelled {
		return nil
	}
	return text
}

func (s style) amount(m receipt.Money) any {
	if m == 0 && !s.spelled {
		return nil
	}
	return s.decimal(m.String())
}

// body writes a receipt as a till might, given the defaults.
func (s style) body(r receipt.Receipt, d receipt.Defaults) []byte {
	items := []any{}
	for _, i := range r.Items {
		var tax, unit any
		if i.Tax != d.Tax || s.spelled {
			tax = string(i.Tax.Type)
		}
		if i.Unit != receipt.Piece || s.spelled {
			unit = string(i.Unit)
		}
		items = append(items, s.order([]field{
			{"name", i.Name}, {"code", s.optional(i.Code)}, {"unit", unit}, {"quantity", s.decimal(i.Quantity.String())},
			{"price", s.decimal(i.Price.String())}, {"discount", s.amount(i.Discount)}, {"tax", tax},
			{"purchase_price", s.amount(i.PurchasePrice)},
		}))
	}
	p := r.Payments
	payments := s.order([]field{
		{"cash", s.amount(p.Cash)}, {"card", s.amount(p.Card)}, {"bonus", s.amount(p.Bonus)},
		{"prepaid", s.amount(p.Prepaid)}, {"credit", s.amount(p.Credit)},
	})
	var fiscal, parent, period any
	if r.Fiscal != d.Fiscal || s.spelled {
		fiscal = json.RawMessage(fmt.Sprint(r.Fiscal))
	}
	if r.Parent != nil {
		parent = s.order([]field{
			{"id", s.optional(r.Parent.ID)}, {"fiscal_id", s.optional(r.Parent.FiscalID)}, {"number", s.optional(r.Parent.Number)}})
	} else if s.spelled {
		parent = json.RawMessage("null")
	}
	if r.Period != nil {
		period = s.order([]field{{"from", s.time(r.Period.From)}, {"to", s.time(r.Period.To)}})
	}
	return []byte(write(s.order([]field{
		{"id", r.ID}, {"kind", string(r.Kind)}, {"time", s.time(r.Time)}, {"cashier", s.optional(r.Cashier)},
		{"number", s.optional(r.Number)}, {"items", items}, {"payments", payments}, {"parent", parent}, {"period", period},
		{"contract", s.optional(r.Contract)}, {"fiscal", fiscal}, {"note", s.optional(r.Note)},
	})))
}
