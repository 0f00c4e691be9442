package receipt_test

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"
	"time"

	"ekassa/agent/receipt"
)

// day is what week-totals.json says of one.
type day struct {
	Sales     int           `json:"sales"`
	SaleSum   receipt.Money `json:"sale_sum"`
	Cash      receipt.Money `json:"cash"`
	Card      receipt.Money `json:"card"`
	Refunds   int           `json:"refunds"`
	RefundSum receipt.Money `json:"refund_sum"`
	Cancels   int           `json:"cancels"`
	CancelSum receipt.Money `json:"cancel_sum"`
	Change    receipt.Money `json:"change"`
}

// A sale after midnight belongs to the evening that it ends.
const dayBegins = 6 * time.Hour

func TestDecode_ReadsARestaurantsWeek(t *testing.T) {
	var want map[string]day
	text, err := os.ReadFile("../testdata/week-totals.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open("../testdata/week.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	got := map[string]day{}
	by := map[string]receipt.Receipt{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		r, _, err := receipt.Decode(lines.Bytes(), vat)
		if err != nil {
			t.Fatalf("%v\n%s", err, lines.Bytes())
		}
		if _, again := by[r.ID]; again {
			t.Fatalf("id %s is there twice", r.ID)
		}
		by[r.ID] = r
		date := r.Time.Add(-dayBegins).Format(time.DateOnly)
		d := got[date]
		switch r.Kind {
		case receipt.Sale:
			d.Sales++
			d.SaleSum += r.Total()
			d.Cash += r.Payments.NetCash(r.Total())
			d.Card += r.Payments.Card
			d.Change += r.Change()
		case receipt.Refund:
			d.Refunds++
			d.RefundSum += r.Total()
		case receipt.Cancel:
			d.Cancels++
			d.CancelSum += by[r.Parent.ID].Total()
		}
		got[date] = d
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(by) != 2376 || len(got) != len(want) {
		t.Errorf("%d receipts on %d days", len(by), len(got))
	}
	for date, w := range want {
		if got[date] != w {
			t.Errorf("%s:\ngot  %+v\nwant %+v", date, got[date], w)
		}
	}
}
