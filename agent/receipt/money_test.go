package receipt_test

import (
	"fmt"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ekassa/agent/receipt"
)

func TestParseMoney_IsExact(t *testing.T) {
	for text, want := range map[string]receipt.Money{
		"0": 0, "12": 1200, "12.5": 1250, "12.50": 1250, "12.5000": 1250, "-0.05": -5, "0.01": 1, "007": 700, "-0": 0,
		"10000000": receipt.MaxMoney, "10000000.01": receipt.MaxMoney + 1, "10000000000000": 1e15,
		"0.29": 29, "1.15": 115, "4.35": 435, // those that binary floating point gets wrong
	} {
		if got, err := receipt.ParseMoney(text); err != nil || got != want {
			t.Errorf("ParseMoney(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
}

func TestParseMoney_RefusesWhatIsNoAmount(t *testing.T) {
	for _, text := range []string{
		"", "-", ".", "1.", ".5", "+1", "--1", "1e2", "1E2", "NaN", "Inf", "1,5", "1 000", " 1", "1 ", "1_0", "0x10", "١٢",
		"1.2.3", "1.-2", "0.001", "0.0001", "10000000000000.01", strings.Repeat("9", 5000), "1\x00",
	} {
		if got, err := receipt.ParseMoney(text); err == nil {
			t.Errorf("ParseMoney(%q) = %d, want an error", text, got)
		}
	}
}

func TestParse_KeepsItsLimits(t *testing.T) {
	if q, err := receipt.ParseQuantity("1000000"); err != nil || q != receipt.MaxQuantity {
		t.Errorf("the largest quantity: %v, %v", q, err)
	}
	if q, err := receipt.ParseQuantity("1000000.001"); err == nil {
		t.Errorf("more than the largest quantity: %v", q)
	}
	if q, err := receipt.ParseQuantity("0.0001"); err == nil {
		t.Errorf("four decimals: %v", q)
	}
	if p, err := receipt.ParsePercent("100"); err != nil || p != 100_00 {
		t.Errorf("all of it: %v, %v", p, err)
	}
	if p, err := receipt.ParsePercent("100.01"); err == nil {
		t.Errorf("more than all of it: %v", p)
	}
}

func TestDecimals_AreReadAsTheyWereWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := receipt.Money(rapid.Int64Range(-1e15, 1e15).Draw(t, "money"))
		q := receipt.Quantity(rapid.Int64Range(-int64(receipt.MaxQuantity), int64(receipt.MaxQuantity)).Draw(t, "quantity"))
		p := receipt.Percent(rapid.Int64Range(0, 100_00).Draw(t, "percent"))
		if got, err := receipt.ParseMoney(m.String()); err != nil || got != m {
			t.Fatalf("money %d is %q, read as %d, %v", m, m, got, err)
		}
		if got, err := receipt.ParseQuantity(q.String()); err != nil || got != q {
			t.Fatalf("quantity %d is %q, read as %d, %v", q, q, got, err)
		}
		if got, err := receipt.ParsePercent(p.String()); err != nil || got != p {
			t.Fatalf("percent %d is %q, read as %d, %v", p, p, got, err)
		}
		if whole, fraction, _ := strings.Cut(m.String(), "."); len(fraction) != 2 || whole == "" || whole == "-" {
			t.Fatalf("money %d is written %q, want two decimals", m, m)
		}
		if s := q.String(); strings.Contains(s, ".") && strings.HasSuffix(s, "0") {
			t.Fatalf("quantity %d is written %q, with a zero too many", q, s)
		}
	})
}

func TestGross_RoundsHalfUp(t *testing.T) {
	for _, c := range []struct {
		price    receipt.Money
		quantity receipt.Quantity
		want     receipt.Money
	}{
		{800, 1500, 1200}, {1, 499, 0}, {1, 500, 1}, {3, 1500, 5}, {5400, 631, 3407}, {0, 1000, 0}, {999, 1, 1}, {499, 1, 0},
		{receipt.MaxMoney, receipt.MaxQuantity, 1_000_000_000_000_000},
	} {
		if got := receipt.Gross(c.price, c.quantity); got != c.want {
			t.Errorf("%v × %v = %v, want %v", c.price, c.quantity, got, c.want)
		}
	}
}

func TestGross_IsTheNearestQepik(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		price := rapid.Int64Range(0, int64(receipt.MaxMoney)).Draw(t, "price")
		quantity := rapid.Int64Range(0, int64(receipt.MaxQuantity)).Draw(t, "quantity")
		exact := new(big.Int).Mul(big.NewInt(price), big.NewInt(quantity))
		want := exact.Add(exact, big.NewInt(500)).Div(exact, big.NewInt(1000))
		if got := receipt.Gross(receipt.Money(price), receipt.Quantity(quantity)); want.Cmp(big.NewInt(int64(got))) != 0 {
			t.Fatalf("%d × %d = %d, want %v", price, quantity, got, want)
		}
	})
}

func TestReceipt_SumsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawReceipt(t)
		var total receipt.Money
		for _, i := range r.Items {
			total += receipt.Gross(i.Price, i.Quantity) - i.Discount
		}
		if r.Total() != total {
			t.Fatalf("total %v, want the sum of the lines, %v", r.Total(), total)
		}
		var turnover, tax receipt.Money
		for _, s := range r.TaxSums() {
			turnover += s.Turnover
			tax += s.Amount
			if s.Amount < 0 || s.Amount > s.Turnover {
				t.Fatalf("tax %v in a turnover of %v", s.Amount, s.Turnover)
			}
		}
		if turnover != total || tax > total {
			t.Fatalf("the taxes' turnovers add up to %v, want %v", turnover, total)
		}
		p := r.Payments
		if change := r.Change(); change < 0 || change > p.Cash {
			t.Fatalf("change %v of %v in cash", change, p.Cash)
		}
		if in := p.NetCash(total) + p.Card + p.Bonus + p.Prepaid + p.Credit; in != total || p.NetCash(total) < 0 {
			t.Fatalf("%v stays of a bill of %v", in, total)
		}
	})
}

func TestTaxSums_GroupByTax(t *testing.T) {
	own := receipt.Tax{Name: "Rüsum", Rate: 4_00}
	r := receipt.Receipt{Kind: receipt.Sale, Items: []receipt.Item{
		line("118.00", "1", receipt.Tax{Type: receipt.VAT18}, ""),
		line("10.00", "2", receipt.Tax{Type: receipt.Exempt}, ""),
		line("0.03", "1", receipt.Tax{Type: receipt.VAT18}, ""),
		line("50.00", "1", receipt.Tax{Type: receipt.Margin18}, "38.20"),
		line("5.00", "1", receipt.Tax{Type: receipt.Margin18}, "9.00"), // sold below cost: no margin, no tax
		line("1.08", "1", receipt.Tax{Type: receipt.Simplified8}, ""),
		line("1.02", "1", receipt.Tax{Type: receipt.Simplified2}, ""),
		line("1.04", "1", own, ""),
		line("7.00", "1", receipt.Tax{Type: receipt.VAT0}, ""),
	}}
	want := "vat18 118.03 18.00; exempt 20.00 0.00; margin18 55.00 1.80; simplified8 1.08 0.09; simplified2 1.02 0.02; Rüsum 1.04 0.04; vat0 7.00 0.00"
	var got []string
	for _, s := range r.TaxSums() {
		got = append(got, fmt.Sprintf("%s%s %v %v", s.Tax.Type, s.Tax.Name, s.Turnover, s.Amount))
	}
	if s := strings.Join(got, "; "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
}

func line(price, quantity string, tax receipt.Tax, purchase string) receipt.Item {
	i := receipt.Item{Name: "x", Unit: receipt.Piece, Tax: tax}
	i.Price, _ = receipt.ParseMoney(price)
	i.Quantity, _ = receipt.ParseQuantity(quantity)
	i.PurchasePrice, _ = receipt.ParseMoney(purchase)
	return i
}
