package simulator

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestXReport_EqualsTheLedger makes random documents over the wire and compares
// every sum of the X report with one worked out from the ledger on its own.
func TestXReport_EqualsTheLedger(t *testing.T) {
	s, c := start(t)
	device := 0
	rapid.Check(t, func(rt *rapid.T) {
		device++
		if err := s.SetSerial(fmt.Sprint("D", device)); err != nil {
			rt.Fatal(err)
		}
		c.ok("/open_shift", object{})
		var sales []object
		var sold [][]object
		for range rapid.IntRange(1, 12).Draw(rt, "documents") {
			switch rapid.SampledFrom([]string{"sale", "sale", "sale", "refund", "rollback", "deposit", "withdraw", "prepay"}).Draw(rt, "kind") {
			case "sale":
				doc, items := randomSale(rt)
				sales, sold = append(sales, c.ok("/sale", doc)), append(sold, items)
			case "prepay":
				doc, _ := randomSale(rt)
				c.ok("/prepay", doc)
			case "refund":
				if len(sales) > 0 {
					i := rapid.IntRange(0, len(sales)-1).Draw(rt, "which")
					it := sold[i][0]
					if qty := it["itemQty"].(int); qty > 1 {
						c.post("/refund", refundOf(sales[i], with(it, "itemQty", qty/2, "itemAmount", it["itemAmount"].(int)/2+1)))
					}
				}
			case "rollback":
				if len(sales) > 0 {
					c.post("/rollback", object{"documentID": rapid.SampledFrom(sales).Draw(rt, "which")["fiscalID"]})
				}
			case "deposit":
				c.ok("/deposit", object{"amount": rapid.IntRange(1, 5000).Draw(rt, "in")})
			case "withdraw":
				c.post("/withdraw", object{"amount": rapid.IntRange(1, 5000).Draw(rt, "out")})
			}
		}
		want := map[string]int64{}
		var cash int64
		names := map[Kind]string{Sale: "sale", Refund: "moneyBack", Rollback: "rollback", Prepay: "prepay", Deposit: "deposit", Withdraw: "withdraw"}
		for _, d := range s.Ledger() {
			if d.Serial != fmt.Sprint("D", device) {
				continue
			}
			g := names[d.Kind]
			want[g+"Count"]++
			want[g+"Sum"] += d.Amount
			want[g+"CashSum"] += d.Payments.Cash
			want[g+"CashlessSum"] += d.Payments.Cashless
			want[g+"BonusSum"] += d.Payments.Bonus
			for _, v := range d.VAT {
				want[fmt.Sprint(g, "VAT", v.Rate/100)] += v.Tax
			}
			if d.Kind == Sale || d.Kind == Prepay || d.Kind == Deposit {
				cash += d.Payments.Cash
			} else {
				cash -= d.Payments.Cash
			}
			if d.Payments.Total() != d.Amount {
				rt.Fatalf("payments of %d for an amount of %d", d.Payments.Total(), d.Amount)
			}
		}
		x := c.ok("/x_report", object{})
		if x["cash"] != float64(cash) {
			rt.Fatalf("drawer: report %v, ledger %d", x["cash"], cash)
		}
		for _, g := range names {
			for _, m := range []string{"Count", "Sum", "CashSum", "CashlessSum", "BonusSum"} {
				if (g == "deposit" || g == "withdraw") && m != "Count" && m != "Sum" {
					continue
				}
				if x[g+m] != float64(want[g+m]) {
					rt.Fatalf("%s: report %v, ledger %d", g+m, x[g+m], want[g+m])
				}
			}
			vats, _ := x[g+"VatAmounts"].([]any)
			for _, v := range vats {
				v := v.(object)
				if key := fmt.Sprint(g, "VAT", v["vatPercent"]); v["vatAmount"] != float64(want[key]) {
					rt.Fatalf("%s: report %v, ledger %d", key, v, want[key])
				}
			}
		}
	})
}

func randomSale(rt *rapid.T) (object, []object) {
	sum := 0
	var items []object
	for i := range rapid.IntRange(1, 4).Draw(rt, "lines") {
		it := line(fmt.Sprint(i), rapid.IntRange(1, 3000).Draw(rt, "qty"), rapid.IntRange(1, 20000).Draw(rt, "amount"))
		it["itemTaxes"] = rapid.SampledFrom([][]object{vat("ƏDV 18%", 1800), vat("SV-8%", 800), vat("SV-2%", 200), vat("ƏDV-dən azad", 0)}).Draw(rt, "tax")
		sum += it["itemAmount"].(int)
		items = append(items, it)
	}
	card := rapid.IntRange(0, sum).Draw(rt, "card")
	bonus := rapid.IntRange(0, sum-card).Draw(rt, "bonus")
	tip := rapid.IntRange(0, 500).Draw(rt, "over")
	return with(bread(), "amount", sum, "items", items,
		"payments", object{"cashlessAmount": card, "bonusesAmount": bonus, "cashAmount": sum - card - bonus + tip}), items
}
