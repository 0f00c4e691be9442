package frontdoor

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"ekassa/agent/receipt"
)

// reading makes a call of a request's JSON.
func reading(t testing.TB, text string) *call {
	t.Helper()
	m, err := object([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	shop := Shop{Tax: receipt.Tax{Type: receipt.VAT18}, Zone: time.UTC, Language: "en"}
	return &call{door: &door{}, shop: shop, f: &fields{m: m, bad: new(*refusal)}}
}

func line(more string) string {
	return `{"itemId":"7","itemName":"Çörək","itemQty":1000,"itemAmount":850` + more + `}`
}

func TestItem_ComesToTheVerySum(t *testing.T) {
	for _, c := range []struct {
		quantity, amount, discount int64
		price, sum                 receipt.Money
	}{
		{1000, 850, 0, 850, 0},
		{1250, 425, 0, 340, 0},
		{2000, 1700, 300, 1000, 0},
		{3000, 1000, 0, 333, 1000}, // no price of whole qəpik gives it
		{3000, 1000, 2, 334, 0},
		{631, 3407, 0, 5399, 0}, // 0.631 kg at 53.99 or 54.00, who knows; the sum is what counts
		{1, 1, 0, 1000, 0},
		{1000, 0, 0, 0, 0},
		{2000, 0, 500, 250, 0},
		{7000, 1, 0, 0, 1},
	} {
		text := fmt.Sprintf(`{"itemId":"7","itemName":"x","itemQty":%d,"itemAmount":"%d","discount":%d}`, c.quantity, c.amount, c.discount)
		call := reading(t, `{"items":[`+text+`]}`)
		items := call.items()
		if err := call.f.fault(); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		i := items[0]
		if int64(i.Total()) != c.amount || int64(i.Quantity) != c.quantity || int64(i.Discount) != c.discount || i.Price != c.price || i.Sum != c.sum {
			t.Errorf("%s: became %+v, in all %s", text, i, i.Total())
		}
		kept, err := json.Marshal(i)
		if err != nil {
			t.Fatal(err)
		}
		var back receipt.Item
		if err := json.Unmarshal(kept, &back); err != nil || back != i {
			t.Errorf("%s: the journal gives back %+v, %v", text, back, err)
		}
	}
}

func TestItem_Tax(t *testing.T) {
	vat, margin := receipt.Tax{Type: receipt.VAT18}, receipt.Tax{Type: receipt.Margin18}
	for text, want := range map[string]receipt.Tax{
		``:                  vat, // the settings'
		`,"itemTaxes":[]`:   vat,
		`,"itemTaxes":[{}]`: vat,
		`,"itemTaxes":[{"taxName":"ƏDV 18%","taxPrc":1800,"calcType":1}]`:                              vat,
		`,"itemTaxes":[{"taxName":"НДС","taxPrc":"1800"}]`:                                             vat,
		`,"itemTaxes":[{"taxName":"ƏDV","taxPrc":18}]`:                                                 vat,
		`,"itemMarginPrice":500,"itemMarginSum":500,"itemTaxes":[{"taxName":"Tİcarət","taxPrc":1800}]`: margin,
		`,"itemMarginPrice":500,"itemTaxes":[{"taxName":"Ticarət əlavəsi 18%","taxPrc":1800}]`:         margin,
		`,"itemTaxes":[{"taxName":"ƏDV-dən azad","taxPrc":0}]`:                                         {Type: receipt.Exempt},
		`,"itemTaxes":[{"taxName":"ƏDV 0%","taxPrc":0}]`:                                               {Type: receipt.VAT0},
		`,"itemTaxes":[{"taxName":"SV-2%","taxPrc":200,"calcType":3}]`:                                 {Type: receipt.Simplified2},
		`,"itemTaxes":[{"taxName":"SV-8%","taxPrc":800,"calcType":1}]`:                                 {Type: receipt.Simplified8},
		`,"itemTaxes":[{"taxName":"Yol vergisi","taxPrc":550}]`:                                        {Name: "Yol vergisi", Rate: 5_50},
	} {
		c := reading(t, `{"items":[`+line(text)+`]}`)
		items := c.items()
		if err := c.f.fault(); err != nil {
			t.Errorf("%s: %v", text, err)
		} else if items[0].Tax != want {
			t.Errorf("%s: became %+v", text, items[0].Tax)
		}
	}
	for text, code := range map[string]int{
		`,"itemTaxes":[{"taxName":"a","taxPrc":1800},{"taxName":"b","taxPrc":200}]`:              codeTax,
		`,"itemTaxes":[{"taxName":"a","taxPrc":1800,"calcType":2}]`:                              codeTax,
		`,"itemTaxes":[{"taxPrc":550}]`:                                                          codeTax,
		`,"itemTaxes":[{"taxName":"ƏDV","taxPrc":""}]`:                                           codeTax,
		`,"itemTaxes":[{"taxName":"Ticarət əlavəsi 18%","taxPrc":1800}]`:                         codeParameter, // of what price?
		`,"itemMarginPrice":500,"itemMarginSum":502,"itemTaxes":[{"taxName":"x","taxPrc":1800}]`: codeSum,
		`,"itemTaxes":{}`:            codeParameter,
		`,"itemQRCode":"0104"`:       codeParameter,
		`,"itemAttr":1`:              codeParameter,
		`,"discount":-1`:             codeParameter,
		`,"discount":1.5`:            codeParameter,
		`,"discount":1e3`:            codeParameter,
		`,"discount":true`:           codeParameter,
		`,"discount":99999999999999`: codeParameter,
	} {
		c := reading(t, `{"items":[`+line(text)+`]}`)
		c.items()
		if no, ok := c.f.fault().(*refusal); !ok || no.code != code {
			t.Errorf("%s: %v, want code %d", text, no, code)
		}
	}
}

// What is wrong with a correction is told by the names that the till wrote.
func TestCorrection_FaultsNameTheTillsOwnFields(t *testing.T) {
	const period = `{"date_start":"2026-11-22 18:00:00","date_stop":"2026-11-22 23:30:00",`
	for text, want := range map[string]string{
		`{"date_start":"yesterday"}`: "date_start is no date: write it as 2026-11-24 18:30:00",
		`{"date_start":"2026-11-22 18:00:00","date_stop":"2026-11-21 18:00:00"}`: "date_stop is before date_start",
		period + `"amount":5}`:                         "vatAmounts is missing",
		period + `"vatAmounts":[{"vatSum":5}]}`:        "vatAmounts[0].vatPercent is missing",
		period + `"vatAmounts":[{"vatPercent":1800}]}`: "vatAmounts[0].vatSum is missing",
		period + `"vatAmounts":[{"vatPercent":1800,"vatSum":5},{"vatPercent":"18%","vatSum":5}]}`:               "vatAmounts[1].vatPercent is no whole number",
		period + `"vatAmounts":[{"vatPercent":20000,"vatSum":5}]}`:                                              "vatAmounts[0].vatPercent is too large",
		period + `"vatAmounts":[{"vatPercent":-1,"vatSum":5}]}`:                                                 "vatAmounts[0].vatPercent is negative",
		period + `"vatAmounts":[{"vatPercent":[1800],"vatSum":5}]}`:                                             "vatAmounts[0].vatPercent is no text",
		period + `"vatAmounts":[{"vatPercent":1800,"vatSum":"5.5"}]}`:                                           "vatAmounts[0].vatSum is no whole number",
		period + `"vatAmounts":[5]}`:                                                                            "vatAmounts[0] is no object",
		period + `"vatAmounts":[{"vatPercent":1800,"vatSum":5}]}`:                                               "amount is missing",
		period + `"vatAmounts":[{"vatPercent":1800,"vatSum":5}],"amount":6,"cashAmount":5}`:                     "amount is not the sum of vatAmounts",
		period + `"vatAmounts":[{"vatPercent":1800,"vatSum":5}],"amount":5,"cashAmount":6}`:                     "the payments come to more than amount",
		period + `"vatAmounts":[{"vatPercent":1800,"vatSum":5}],"amount":5,"cashAmount":"x"}`:                   "cashAmount is no whole number",
		period + `"vatAmounts":[{"vatPercent":1800,"vatSum":5}],"amount":5,"cashlessAmount":-1,"cashAmount":5}`: "cashlessAmount is negative",
	} {
		_, err := reading(t, text).correction()
		no, ok := err.(*refusal)
		if !ok || no.text != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestNamed_NoTwoOperationsHaveOneID(t *testing.T) {
	long := strings.Repeat("a", 60)
	names := []string{"1", "T1-000123", "a b", "a%20b", "ə", long, long + "a", "h:1", "of 1", "1:2", "{4f-1}", " 1"}
	seen := map[string]string{}
	for _, by := range []string{namedByKey, namedByTriple, namedByParent, namedByNobody} {
		for _, name := range names {
			for _, n := range []int{1, 2, maxTries} {
				id := tried(named(by, name), n)
				if !receipt.ValidID(id) {
					t.Errorf("%q is no id that the staff could name", id)
				}
				what := fmt.Sprint(by, name, n)
				if seen[id] != "" {
					t.Errorf("%s and %s are both %s", what, seen[id], id)
				}
				seen[id] = what
			}
		}
	}
}

// Whatever a till sends, what is taken comes to what it said to the qəpik.
func FuzzGoods(f *testing.F) {
	f.Add(`{"amount":850,"items":[` + line(`,"discount":100,"itemTaxes":[{"taxName":"ƏDV 18%","taxPrc":1800}]`) + `],"payments":{"cashAmount":1000}}`)
	f.Add(`{"amount":"1000","items":[{"itemId":1,"itemName":"x","itemQty":3000,"itemAmount":1000.0}],"payments":{"cashlessAmount":"1000"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := object([]byte(text)); err != nil {
			return
		}
		c := reading(t, text)
		r := c.header(receipt.Sale)
		r.Items, r.Payments = c.items(), c.payments()
		c.sums(r)
		if c.f.fault() != nil {
			return
		}
		var sum receipt.Money
		for n, o := range c.f.objects("items") {
			i := r.Items[n]
			if i.Total() != o.money("itemAmount") || i.Discount < 0 || i.Price < 0 || i.Quantity <= 0 || i.Total() < 0 {
				t.Fatalf("line %d became %+v", n, i)
			}
			sum += i.Total()
		}
		if r.Total() != sum || c.f.has("amount") && c.f.money("amount") != sum || r.Change() < 0 || r.Change() > r.Payments.Cash {
			t.Fatalf("%s became %+v", text, r)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Fatal(err)
		}
		fingerprint(r, "")
	})
}
