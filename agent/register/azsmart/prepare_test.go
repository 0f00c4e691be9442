package azsmart

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/register/tokentext"
)

const testKey = "1234567800000001"

func saleJob() register.Job {
	return register.Job{Key: testKey, Terminal: "till-1", Receipt: receipt.Receipt{
		ID: "till1-000123", Kind: receipt.Sale, Time: time.Date(2026, 11, 23, 15, 5, 12, 0, time.UTC), Cashier: "Aysel M.", Number: "123",
		Items: []receipt.Item{{
			Name: "Plov", Code: "1001", Unit: receipt.Piece, Quantity: 1500, Price: 800, Tax: receipt.Tax{Type: receipt.VAT18},
		}},
		Payments: receipt.Payments{Cash: 2000}, Fiscal: true,
	}}
}

func parentOf(kind receipt.Kind) *receipt.Stored {
	p := saleJob().Receipt
	p.ID, p.Kind = "till1-000100", kind
	return &receipt.Stored{Receipt: p, State: receipt.Fiscal, Document: &receipt.Document{
		FiscalID: "ParentFiscal01", Number: "20", RegisterID: "41", RegisterSerial: "AZ-1",
	}}
}

func refundJob() register.Job {
	j := saleJob()
	j.Receipt.Kind, j.Receipt.Payments, j.Parent = receipt.Refund, receipt.Payments{Cash: 1200}, parentOf(receipt.Sale)
	j.Receipt.Parent = &receipt.Parent{ID: "till1-000100"}
	return j
}

func cancelJob() register.Job {
	j := refundJob()
	j.Receipt.Kind, j.Receipt.Items, j.Receipt.Payments = receipt.Cancel, nil, receipt.Payments{}
	return j
}

func creditJob() register.Job {
	j := refundJob()
	j.Receipt.Kind = receipt.CreditPayment
	return j
}

func correctionJob() register.Job {
	j := saleJob()
	j.Receipt.Kind = receipt.Correction
	j.Receipt.Payments = receipt.Payments{Card: 1200}
	j.Receipt.Period = &receipt.Period{From: time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC), To: time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC)}
	return j
}

func cashJob(kind receipt.Kind) register.Job {
	return register.Job{Key: testKey, Receipt: receipt.Receipt{
		ID: "cash-1", Kind: kind, Time: time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC), Cashier: "Əli", Amount: 101300, Fiscal: true,
	}}
}

func jobs() []register.Job {
	prepay := saleJob()
	prepay.Receipt.Kind = receipt.Prepayment
	return []register.Job{
		saleJob(), refundJob(), cancelJob(), prepay, creditJob(), correctionJob(), cashJob(receipt.Deposit), cashJob(receipt.Withdrawal),
	}
}

const (
	plovLine    = `{"itemId":"1001","itemName":"Plov","itemQty":1500,"itemAmount":1200,"discount":0,"itemTaxes":[{"taxName":"ƏDV 18%","taxPrc":1800,"calcType":1}]}`
	plovPayment = `"payments":{"cashAmount":2000,"cashlessAmount":0}`
)

func TestPrepare_EveryKind(t *testing.T) {
	for _, c := range []struct {
		job         register.Job
		edition     string
		route, body string
	}{
		{saleJob(), EditionNew, "sale", `{"documentExtID":"1234567800000001","docTime":"2026-11-23 19:05:12","docNumber":"1234567800000001","employeeName":"Aysel M.","amount":1200,"currency":"AZN","items":[` + plovLine + `],` + plovPayment + `}`},
		{saleJob(), EditionClassic, "sale", `{"documentExtID":1234567800000001,"docTime":"2026-11-23 19:05:12","docNumber":"1234567800000001","employeeName":"Aysel M.","amount":1200,"currency":"AZN","items":[` + plovLine + `],` + plovPayment + `}`},
		{refundJob(), EditionNew, "refund", `{"documentExtID":"1234567800000001","docTime":"2026-11-23 19:05:12","docNumber":"1234567800000001","employeeName":"Aysel M.","amount":1200,"currency":"AZN","parentDocID":"ParentFiscal01","parentDocNum":"20","items":[` + plovLine + `],"payments":{"cashAmount":1200,"cashlessAmount":0}}`},
		{cancelJob(), EditionNew, "rollback", `{"documentID":"ParentFiscal01","employeeName":"Aysel M.","items":[` + plovLine + `],` + plovPayment + `}`},
		{creditJob(), EditionClassic, "creditpay", `{"documentID":41,"employeeName":"Aysel M.","amount":1200,"currency":"AZN","creditContract":"till1-000100","items":[` + plovLine + `],"payments":{"cashAmount":1200,"cashlessAmount":0}}`},
		{correctionJob(), EditionClassic, "correction", `{"employeeName":"Aysel M.","date_start":"2026-11-22 10:00:00","date_stop":"2026-11-22 22:00:00","amount":1200,"cashAmount":0,"cashlessAmount":1200,"bonusesAmount":0,"vatAmounts":[{"vatPercent":1800,"vatSum":1200}]}`},
		{cashJob(receipt.Deposit), EditionNew, "deposit", `{"documentExtID":"1234567800000001","docNumber":"1234567800000001","employeeName":"Əli","amount":101300,"currency":"AZN"}`},
		{cashJob(receipt.Withdrawal), EditionClassic, "withdraw", `{"documentExtID":1234567800000001,"docNumber":"1234567800000001","employeeName":"Əli","amount":101300,"currency":"AZN"}`},
	} {
		d := New(Config{Zone: baku, MerchantID: merchant}).set(c.edition)
		r, err := d.Prepare(c.job)
		if err != nil {
			t.Errorf("%s: %v", c.route, err)
			continue
		}
		if r.Route != c.route || r.Key != testKey || string(r.Body) != c.body {
			t.Errorf("%s:\n got %s\nwant %s", r.Route, r.Body, c.body)
		}
		if again, _ := d.Prepare(c.job); !bytes.Equal(again.Body, r.Body) {
			t.Errorf("%s is prepared differently the second time", c.route)
		}
	}
}

func TestPrepare_Payments(t *testing.T) {
	j := saleJob()
	j.Receipt.Payments = receipt.Payments{Card: 200, Bonus: 100, Credit: 300, Prepaid: 600}
	j.Parent = parentOf(receipt.Prepayment)
	r, err := New(Config{}).Prepare(j)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"prepayDocID":"ParentFiscal01","prepayDocNum":"20","creditContract":"till1-000123"`,
		`"payments":{"cashAmount":0,"cashlessAmount":200,"creditAmount":300,"bonusesAmount":100,"prepaymentAmount":600}`,
	} {
		if !strings.Contains(string(r.Body), want) {
			t.Errorf("no %s in %s", want, r.Body)
		}
	}
	j.Receipt.Contract = "K-7"
	if r, _ = New(Config{}).Prepare(j); !strings.Contains(string(r.Body), `"creditContract":"K-7"`) {
		t.Errorf("no contract in %s", r.Body)
	}
}

func TestPrepare_Taxes(t *testing.T) {
	for _, c := range []struct {
		tax  receipt.Tax
		want string
	}{
		{receipt.Tax{Type: receipt.VAT18}, `{"taxName":"ƏDV 18%","taxPrc":1800,"calcType":1}`},
		{receipt.Tax{Type: receipt.VAT0}, `{"taxName":"ƏDV 0%","taxPrc":0,"calcType":1}`},
		{receipt.Tax{Type: receipt.Exempt}, `{"taxName":"ƏDV-dən azad","taxPrc":0,"calcType":1}`},
		{receipt.Tax{Type: receipt.Simplified2}, `{"taxName":"SV-2%","taxPrc":200,"calcType":3}`},
		{receipt.Tax{Type: receipt.Simplified8}, `{"taxName":"SV-8%","taxPrc":800,"calcType":3}`},
		{receipt.Tax{Type: receipt.Margin18}, `"itemMarginPrice":500,"itemMarginSum":750,"itemTaxes":[{"taxName":"Ticarət əlavəsi 18%","taxPrc":1800,"calcType":1}]`},
		{receipt.Tax{Name: "ƏDV", Rate: 1850}, `{"taxName":"ƏDV","taxPrc":1850,"calcType":1}`},
	} {
		j := saleJob()
		j.Receipt.Items[0].Tax = c.tax
		if c.tax.Type == receipt.Margin18 {
			j.Receipt.Items[0].PurchasePrice = 500
		}
		r, err := New(Config{}).Prepare(j)
		if err != nil || !strings.Contains(string(r.Body), c.want) {
			t.Errorf("%+v: %v\n%s", c.tax, err, r.Body)
		}
		if c.tax.Type != receipt.Margin18 && strings.Contains(string(r.Body), "Margin") {
			t.Errorf("%+v has a margin: %s", c.tax, r.Body)
		}
	}
}

func TestPrepare_CorrectionAddsUpByRate(t *testing.T) {
	j := correctionJob()
	j.Receipt.Items = nil
	for _, tax := range []receipt.TaxType{receipt.VAT18, receipt.Exempt, receipt.Margin18, receipt.VAT0, receipt.Simplified8} {
		j.Receipt.Items = append(j.Receipt.Items, receipt.Item{Name: "x", Quantity: 1000, Price: 100, Tax: receipt.Tax{Type: tax}})
	}
	r, err := New(Config{}).Prepare(j)
	want := `"vatAmounts":[{"vatPercent":1800,"vatSum":200},{"vatPercent":0,"vatSum":200},{"vatPercent":800,"vatSum":100}]`
	if err != nil || !strings.Contains(string(r.Body), want) {
		t.Errorf("%v\n%s", err, r.Body)
	}
}

func TestPrepare_WhatCanNeverBeMade(t *testing.T) {
	none := func(j register.Job) register.Job {
		j.Parent = parentOf(receipt.Sale)
		j.Parent.Document = nil
		return j
	}
	prepaid := saleJob()
	prepaid.Receipt.Payments = receipt.Payments{Prepaid: 1200}
	noPeriod := correctionJob()
	noPeriod.Receipt.Period = nil
	noKey := saleJob()
	noKey.Key = ""
	for name, j := range map[string]register.Job{
		"refund": none(refundJob()), "cancel": none(cancelJob()), "credit payment": none(creditJob()), "prepaid sale": prepaid,
		"correction": noPeriod, "no key": noKey, "no kind": {Key: "1"},
	} {
		if _, err := New(Config{}).Prepare(j); err == nil {
			t.Errorf("%s is prepared", name)
		}
	}
}

func TestPrepare_ParentThatTheTillNames(t *testing.T) {
	j := refundJob()
	j.Parent, j.Receipt.Parent = nil, &receipt.Parent{FiscalID: "Paper01", Number: "8"}
	if r, err := New(Config{}).Prepare(j); err != nil || !strings.Contains(string(r.Body), `"parentDocID":"Paper01","parentDocNum":"8"`) {
		t.Errorf("refund: %v %s", err, r.Body)
	}
	j.Receipt.Kind = receipt.CreditPayment
	if r, err := New(Config{}).Prepare(j); err != nil || !strings.Contains(string(r.Body), `"documentID":"Paper01"`) {
		t.Errorf("credit payment: %v %s", err, r.Body)
	}
	j.Receipt.Kind, j.Receipt.Items, j.Receipt.Payments = receipt.Cancel, nil, receipt.Payments{}
	if r, err := New(Config{}).Prepare(j); err != nil || string(r.Body) != `{"documentID":"Paper01","employeeName":"Aysel M."}` {
		t.Errorf("cancel: %v %s", err, r.Body)
	}
}

func TestIDs(t *testing.T) {
	item := func(name, code string, price receipt.Money) receipt.Item {
		return receipt.Item{Name: name, Code: code, Price: price, Quantity: 1000}
	}
	sold := []receipt.Item{item("Plov", "", 800), item("Çay", "", 200), item("Su", "9", 100), item("Çay", "", 200), item("Çay", "", 300)}
	for _, c := range []struct {
		name  string
		items []receipt.Item
		sold  []receipt.Item
		want  string
	}{
		{"a sale", sold, nil, "1,2,9,2,5"},
		{"a line number that is a code", []receipt.Item{item("A", "2", 1), item("B", "", 1)}, nil, "2,line 2"},
		{"a return", []receipt.Item{item("Çay", "", 200), item("Su", "9", 100), item("Çay", "", 300), item(" plov ", "", 700)}, sold, "2,9,5,1"},
		{"a return of what was not sold", []receipt.Item{item("Kabab", "", 800)}, sold, "line 6"},
		{"a cancel without lines", nil, sold, "1,2,9,2,5"},
	} {
		j := register.Job{Receipt: receipt.Receipt{Items: c.items}}
		if c.sold != nil {
			j.Parent = &receipt.Stored{Receipt: receipt.Receipt{Items: c.sold}}
		}
		if got := strings.Join(ids(j), ","); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if got := tokentext.Code(" \x00" + strings.Repeat("Ş", 40)); got != strings.Repeat("Ş", tokentext.CodeLimit) {
		t.Errorf("code %q", got)
	}
}

func TestPrepare_ItemAmountsAddUp(t *testing.T) {
	types := []receipt.TaxType{receipt.VAT18, receipt.VAT0, receipt.Exempt, receipt.Margin18, receipt.Simplified2, receipt.Simplified8, ""}
	rapid.Check(t, func(t *rapid.T) {
		j := saleJob()
		j.Receipt.Kind = rapid.SampledFrom([]receipt.Kind{receipt.Sale, receipt.Prepayment, receipt.Refund, receipt.CreditPayment, receipt.Correction}).Draw(t, "kind")
		if j.Receipt.Kind != receipt.Sale && j.Receipt.Kind != receipt.Prepayment {
			j.Receipt.Parent = &receipt.Parent{FiscalID: "P"}
		}
		j.Receipt.Period = &receipt.Period{}
		j.Receipt.Items = nil
		for range rapid.IntRange(1, 30).Draw(t, "lines") {
			i := receipt.Item{
				Name: rapid.String().Draw(t, "name"), Code: rapid.String().Draw(t, "code"),
				Quantity: receipt.Quantity(rapid.Int64Range(1, 100_000).Draw(t, "quantity")),
				Price:    receipt.Money(rapid.Int64Range(0, 1_000_000).Draw(t, "price")),
				Tax:      receipt.Tax{Type: rapid.SampledFrom(types).Draw(t, "tax")},
			}
			i.Discount = receipt.Money(rapid.Int64Range(0, int64(receipt.Gross(i.Price, i.Quantity))).Draw(t, "discount"))
			j.Receipt.Items = append(j.Receipt.Items, i)
		}
		r, err := New(Config{}).Prepare(j)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Amount int64
			Items  []struct {
				ItemID, ItemName string
				ItemAmount       int64
			}
			VATAmounts []turnover
		}
		if err := json.Unmarshal(r.Body, &got); err != nil {
			t.Fatal(err)
		}
		var sum int64
		for _, i := range got.Items {
			sum += i.ItemAmount
			if i.ItemID == "" || i.ItemName == "" {
				t.Errorf("a line without id or name: %+v", i)
			}
		}
		for _, v := range got.VATAmounts {
			sum += v.VATSum
		}
		if got.Amount != sum || got.Amount != int64(j.Receipt.Total()) {
			t.Errorf("amount %d, lines %d, total %d", got.Amount, sum, j.Receipt.Total())
		}
	})
}
