package omnitech

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// body is what goes out, but for the access token.
func body(t testing.TB, d *Driver, j register.Job) string {
	t.Helper()
	o, err := orderOf(prepared(t, d, j))
	if err != nil {
		t.Fatal(err)
	}
	return string(encode(o.Request))
}

func items(taxes ...receipt.TaxType) (all []receipt.Item) {
	for n, tax := range taxes {
		all = append(all, receipt.Item{
			Name: "Şah «plov»", Unit: receipt.Kilogram, Quantity: 1500, Price: receipt.Money(8_00 + n), Tax: receipt.Tax{Type: tax},
		})
	}
	return all
}

func TestPrepare_Sale(t *testing.T) {
	d := New(Config{Zone: baku, Now: func() time.Time { return noon }})
	r := sold(items(receipt.VAT18, receipt.Exempt)...)
	r.Items[0].Discount = 50
	r.Payments = receipt.Payments{Cash: 20_00, Card: 5_00}
	got := body(t, d, job(r, nil))
	want := `{"requestData":{"int_ref":"70001","tokenData":{"parameters":{"doc_type":"sale","prev_doc_number":27,"data":{"cashier":"Aysel","currency":"AZN",` +
		`"items":[{"itemName":"Şah ` + "`plov`" + `","itemCodeType":0,"itemCode":"1","itemQuantityType":1,"itemQuantity":1.5,"itemPrice":7.67,"itemSum":11.50,"itemVatPercent":18,"discount":0.50},` +
		`{"itemName":"Şah ` + "`plov`" + `","itemCodeType":0,"itemCode":"2","itemQuantityType":1,"itemQuantity":1.5,"itemPrice":8.01,"itemSum":12.02}],` +
		`"sum":23.52,"cashSum":18.52,"cashlessSum":5.00,"prepaymentSum":0.00,"creditSum":0.00,"bonusSum":0.00,"incomingSum":20.00,` +
		`"vatAmounts":[{"vatSum":11.50,"vatPercent":18},{"vatSum":12.02}]}},"operationId":"createDocument","version":1},"checkData":{"check_type":1}}}`
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestPrepare_EveryKind(t *testing.T) {
	d := New(Config{Zone: baku, Now: func() time.Time { return noon }})
	sale, credit, prepay, payment := stored(sold()), sold(), sold(), sold()
	credit.Payments = receipt.Payments{Credit: 2_00}
	credit.Contract = "M-1"
	prepay.Kind, payment.Kind = receipt.Prepayment, receipt.CreditPayment
	with := func(kind receipt.Kind, change ...func(*receipt.Receipt)) receipt.Receipt {
		r := sold()
		r.Kind = kind
		for _, c := range change {
			c(&r)
		}
		return r
	}
	bare := func(r *receipt.Receipt) { r.Items, r.Payments = nil, receipt.Payments{} }
	half := func(r *receipt.Receipt) { r.Items[0].Price, r.Payments.Cash = 1_00, 1_00 }
	for _, c := range []struct {
		name   string
		r      receipt.Receipt
		parent *receipt.Stored
		has    []string // "" before "!": what must not be there
	}{
		{"deposit", receipt.Receipt{Kind: receipt.Deposit, Amount: 5_00}, nil, []string{
			`{"requestData":{"int_ref":"70001","tokenData":{"parameters":{"data":{"cashSum":5.00}},"operationId":"createDocument","version":1},"checkData":{"check_type":7}}}`}},
		{"withdrawal", receipt.Receipt{Kind: receipt.Withdrawal, Amount: 5_00}, nil, []string{`"check_type":8`, `"cashSum":5.00`}},
		{"refund", with(receipt.Refund), sale, []string{`"check_type":100`, `"doc_type":"money_back"`, `"parentDocument":"` + parentID + `"`,
			`"refund_document_number":"20"`, `"refund_short_document_id":"BX2RFjuzMF1v"`, `!moneyBackType`, `"prev_doc_number":27`}},
		{"refund of a prepayment", with(receipt.Refund, half), stored(prepay), []string{`"moneyBackType":6`, `"itemSum":2.00`, `"sum":1.00`, `"vatSum":1.00`}},
		{"refund of a payment", with(receipt.Refund, half), stored(payment), []string{`"moneyBackType":7`, `"itemCodeType":5`}},
		{"cancel", with(receipt.Cancel, bare), sale, []string{`{"requestData":{"int_ref":"70001","fiscalId":"` + parentID + `","checkData":{"check_type":10}}}`}},
		{"cancel of a prepayment", with(receipt.Cancel, bare), stored(prepay), []string{`"check_type":10`, `!tokenData`}},
		{"cancel of a credit sale", with(receipt.Cancel, bare), stored(credit), []string{`"check_type":32`, `"doc_type":"rollback"`, `"sum":0.00`, `"creditSum":2.00`, `"vatSum":0.00`, `!incomingSum`}},
		{"cancel of a payment", with(receipt.Cancel, bare), stored(payment), []string{`"check_type":32`, `"sum":2.00`, `"itemCodeType":5`}},
		{"credit sale", credit, nil, []string{`"creditContract":"M-1"`, `"sum":0.00`, `"creditSum":2.00`, `"incomingSum":0.00`, `"vatAmounts":[{"vatSum":0.00,"vatPercent":18}]`}},
		{"prepaid sale", with(receipt.Sale, func(r *receipt.Receipt) { r.Payments = receipt.Payments{Prepaid: 2_00} }), stored(prepay), []string{
			`"parents":["` + parentID + `"]`, `"prepaymentSum":2.00`, `"sum":0.00`}},
		{"prepayment", with(receipt.Prepayment), nil, []string{`"check_type":34`, `"doc_type":"prepay"`, `"sum":2.00`}},
		{"credit payment", with(receipt.CreditPayment, half, func(r *receipt.Receipt) { r.Payments.Cash = 5_00 }), stored(credit), []string{
			`"check_type":31`, `"paymentNumber":1`, `"residue":1.00`, `"creditContract":"M-1"`, `"itemPrice":2.00`, `"itemCodeType":5`, `"sum":1.00`, `"incomingSum":5.00`, `"vatSum":1.00`}},
		{"correction", with(receipt.Correction, func(r *receipt.Receipt) { r.Period = &receipt.Period{From: noon.Add(-time.Hour), To: noon} }), nil, []string{
			`"check_type":19`, `"firstOperationAtUtc":"2026-11-23T14:00:00Z"`, `"lastOperationAtUtc":"2026-11-23T15:00:00Z"`, `!items`, `!incomingSum`}},
		{"simplified", sold(items(receipt.Simplified8, receipt.Simplified2, receipt.VAT0, receipt.Simplified8)...), nil, []string{
			`"vatAmounts":[{"vatSum":24.05,"vatPercent":8},{"vatSum":12.02,"vatPercent":2},{"vatSum":12.03,"vatPercent":0}]`}},
		{"margin", sold(receipt.Item{Name: "x", Quantity: 2000, Price: 4_00, PurchasePrice: 3_50, Tax: receipt.Tax{Type: receipt.Margin18}}), nil, []string{
			`"itemMarginPrice":0.50,"itemMarginSum":1.00`, `"vatAmounts":[{"vatSum":1.00,"vatPercent":18},{"vatSum":7.00}]`}},
	} {
		got := body(t, d, job(c.r, c.parent))
		for _, h := range c.has {
			want, not := strings.CutPrefix(h, "!")
			if strings.Contains(got, want) == not {
				t.Errorf("%s: %s is there: %v\n%s", c.name, want, not, got)
			}
		}
	}
}

func TestPrepare_RefusesWhatTheRegisterNeverMakes(t *testing.T) {
	d := New(Config{})
	two := sold(items(receipt.VAT18, receipt.VAT18)...)
	two.Payments = receipt.Payments{Credit: two.Total()}
	refund := sold()
	refund.Kind = receipt.Refund
	into := refund
	into.Payments = receipt.Payments{Prepaid: 2_00}
	cancel := receipt.Receipt{Kind: receipt.Cancel}
	payment := sold()
	payment.Kind = receipt.CreditPayment
	noNumber := stored(sold())
	noNumber.Document.Number = ""
	short := stored(sold())
	short.Document.FiscalID = parentID[:12]
	debt := sold()
	debt.Payments = receipt.Payments{Credit: 1_00, Cash: 1_00}
	for name, j := range map[string]register.Job{
		"a credit sale of two lines": job(two, nil), "a refund without a parent": job(refund, nil), "of a parent without a number": job(refund, noNumber),
		"of a short id": job(refund, short), "into a prepayment": job(into, stored(sold())), "a cancel of a refund": job(cancel, stored(refund)),
		"a payment of more than is owed": job(payment, stored(debt)), "of a sale that is not here": job(payment, nil), "an unknown kind": job(receipt.Receipt{Kind: "x"}, nil),
		"no key": {Receipt: sold(), Baseline: register.Baseline{Last: "1"}}, "no number": {Key: "1", Receipt: sold()}, "no lines": job(receipt.Receipt{Kind: receipt.Sale}, nil),
		"no period": job(receipt.Receipt{Kind: receipt.Correction}, nil),
	} {
		if r, err := d.Prepare(j); err == nil || r.Body != nil {
			t.Errorf("%s: %s, %v", name, r.Body, err)
		}
	}
}

// Whatever the basket: the turnovers add up to the sum, each rate of a line is
// there, and each line is within the token's tolerance (section 7).
func TestPrepare_SumsAreExact(t *testing.T) {
	d := New(Config{Now: func() time.Time { return noon }})
	taxes := []receipt.TaxType{receipt.VAT18, receipt.VAT0, receipt.Exempt, receipt.Simplified2, receipt.Simplified8, receipt.Margin18}
	rapid.Check(t, func(rt *rapid.T) {
		var all []receipt.Item
		for range rapid.IntRange(1, 6).Draw(rt, "lines") {
			i := receipt.Item{
				Name: "x", Quantity: receipt.Quantity(rapid.Int64Range(1, 20_000).Draw(rt, "q")), Price: receipt.Money(rapid.Int64Range(0, 50_000).Draw(rt, "p")),
				Tax: receipt.Tax{Type: rapid.SampledFrom(taxes).Draw(rt, "t")}, PurchasePrice: receipt.Money(rapid.Int64Range(0, 50_000).Draw(rt, "pp")),
			}
			i.Discount = receipt.Money(rapid.Int64Range(0, int64(i.Gross())).Draw(rt, "d"))
			all = append(all, i)
		}
		r := sold(all...)
		total := r.Total()
		prepaid := receipt.Money(rapid.Int64Range(0, int64(total)).Draw(rt, "prepaid"))
		r.Payments = receipt.Payments{Prepaid: prepaid, Cash: total - prepaid}
		v, err := d.sold(r)
		if err != nil {
			rt.Fatal(err)
		}
		var sum receipt.Money
		for _, a := range v.VATAmounts {
			if a.Sum < 0 {
				rt.Errorf("below 0: %+v", a)
			}
			sum += receipt.Money(a.Sum)
		}
		if sum != total-prepaid || receipt.Money(v.Sum) != sum || v.Sum != v.CashSum+v.CashlessSum+v.BonusSum {
			rt.Errorf("turnovers %s, sum %s, total %s, prepaid %s", sum, receipt.Money(v.Sum), total, prepaid)
		}
		near := func(what string, sum, price money, q quantity) {
			if diff := int64(sum)*1000 - int64(price)*int64(q); max(diff, -diff) > int64(q)+1000 {
				rt.Errorf("%s: %d is not %d × %d", what, sum, price, q)
			}
		}
		for _, i := range v.Items {
			near("line", i.Sum, i.Price, i.Quantity)
			if i.MarginSum != nil {
				near("margin", *i.MarginSum, *i.MarginPrice, i.Quantity)
				if *i.MarginSum > i.Sum || *i.MarginPrice > i.Price {
					rt.Errorf("margin %d of %d, %d of %d", *i.MarginSum, i.Sum, *i.MarginPrice, i.Price)
				}
			}
		}
		if !json.Valid(encode(v)) {
			rt.Errorf("%s", encode(v))
		}
	})
}
