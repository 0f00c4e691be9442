package simulator

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestCasposShift_OpensOnceAndClosesOnce(t *testing.T) {
	now := fixedNow
	s, c := startCaspos(t, func(cfg *Config) { cfg.Clock = func() time.Time { return now } })
	if out := c.done("getShiftStatus", nil); out["shift_open"] != false || out["shift_open_time"] != "" {
		t.Errorf("%v", out)
	}
	end := object{"documentUUID": "z1", "cashierName": "Əli"}
	c.says("closeShift", end, "503")
	c.says("getXReport", object{"cashierName": "Əli"}, "503")
	c.says("getControlTape", nil, "503")
	c.says("openShift", object{"cashierName": "Əli"}, "304")
	c.says("openShift", object{"sum": 0}, "304")
	c.at(object{"cashierName": "Əli"}).done("openShift", object{"sum": 100})
	if out := c.answered("openShift", object{"sum": 0, "cashierName": "Əli"}); out["code"] != "999" || out["message"] != "Növbə artıq açıqdır" {
		t.Errorf("%v", out)
	}
	if out := c.done("getShiftStatus", nil); out["shift_open"] != true || out["shift_open_time"] != "23.11.2026 19:05:12" {
		t.Errorf("%v", out)
	}
	c.done("sale", roll("a"))
	now = now.Add(time.Hour)
	c.says("closeShift", object{"cashierName": "Əli"}, "304")
	z := c.done("closeShift", end)
	money := z["currencies"].([]any)[0].(object)
	if z["document_id"] != s.Shifts()[0].FiscalID || z["reportNumber"] != "1" || z["firstDocNumber"] != 1.0 || z["lastDocNumber"] != 1.0 ||
		z["createdAtUtc"] != "23.11.2026 20:05:12" || z["shiftOpenAtUtc"] != "23.11.2026 19:05:12" || money["saleSum"] != 8.5 || money["currency"] != "AZN" {
		t.Errorf("%v", z)
	}
	// The answer was lost: the same UUID brings the same report, a new one finds no shift.
	if again := c.says("closeShift", end, "1"); !reflect.DeepEqual(again, z) {
		t.Errorf("%v\n%v", z, again)
	}
	c.says("closeShift", with(end, "documentUUID", "z2"), "503")
	if out := c.done("getInfo", nil); out["last_doc_number"] != 2.0 {
		t.Errorf("the Z report is a document: %v", out)
	}
}

func TestCasposGetInfo_NamesTheToken(t *testing.T) {
	s, c := startCaspos(t, func(cfg *Config) { cfg.Clock = testClock })
	_, raw, err := c.send("getInfo", nil)
	if err != nil || !strings.Contains(string(raw), `"last_doc_number":0.0`) {
		t.Errorf("%v %s", err, raw)
	}
	out := c.done("getInfo", nil)
	if out["cashbox_factory_number"] != Caspos.DefaultSerial() || out["cashregister_model"] != "SUNMI V1S" || out["last_online_time"] != "23.11.2026 19:05:12" ||
		out["qr_code_url"] != "https://monitoring.e-kassa.gov.az/#/index?doc=" || out["state"] != "ACTIVE" {
		t.Errorf("%v", out)
	}
	if err := s.SetSerial("OTHER"); err != nil {
		t.Fatal(err)
	}
	if out := c.done("getInfo", nil); out["cashbox_factory_number"] != "OTHER" {
		t.Errorf("%v", out)
	}
	_, c = openCaspos(t, quirk("stray-blanks", "camel-shift-status", "time-without-blank"), func(cfg *Config) { cfg.Clock = testClock })
	if out := c.done("getInfo", nil); out["cashbox_factory_number"] != " "+Caspos.DefaultSerial()+" " {
		t.Errorf("%v", out)
	}
	if out := c.done("getShiftStatus", nil); out["shiftOpen"] != true || out["shiftOpenTime"] != "23.11.202619:05:12" {
		t.Errorf("%v", out)
	}
}

func TestCasposControlTape_ListsTheShift(t *testing.T) {
	s, c := openCaspos(t, func(cfg *Config) { cfg.Clock = testClock })
	c.done("sale", roll("old"))
	c.done("closeShift", object{"documentUUID": "z", "cashierName": "Əli"})
	c.done("openShift", object{"sum": 0, "cashierName": "Əli"})
	sale := c.done("sale", roll("a"))
	c.done("moneyBack", backOf("b", sale, 8.5, rollItem()[0]))
	c.done("deposit", object{"documentUUID": "d", "sum": 5, "cashierName": "Əli", "currency": "AZN"})
	if _, err := s.RingUp(250, "Çay"); err != nil {
		t.Fatal(err)
	}
	tape := c.done("getControlTape", nil)
	rows := tape["documents"].([]any)
	if tape["shift_number"] != 2.0 || tape["documents_quantity"] != 4.0 || len(rows) != 4 {
		t.Fatalf("%v", tape)
	}
	row := rows[0].(object)
	if row["document_id"] != sale["document_id"] || row["short_document_id"] != sale["short_document_id"] || row["number"] != 3.0 || row["type"] != "sale" ||
		row["total_sum"] != 8.5 || row["total_vat"] != 1.3 || row["item_count"] != 1.0 || row["createdAtUtc"] != "23.11.2026 19:05:12" || row["delivered"] != true {
		t.Errorf("%v", row)
	}
	if rows[1].(object)["type"] != "money_back" || rows[2].(object)["type"] != "deposit" || rows[3].(object)["total_sum"] != 2.5 {
		t.Errorf("%v", rows)
	}
	_, c = openCaspos(t, quirk("utc-times"), func(cfg *Config) { cfg.Clock = testClock })
	c.done("sale", roll("a"))
	if row := c.done("getControlTape", nil)["documents"].([]any)[0].(object); row["createdAtUtc"] != "23.11.2026 15:05:12" {
		t.Errorf("%v", row)
	}
}

func TestCasposPeriodic_HasNamesOfItsOwn(t *testing.T) {
	_, c := openCaspos(t, func(cfg *Config) { cfg.Clock = testClock })
	sale := c.done("sale", with(roll("a"), "items", []object{goods("1", 1, 8.5, 1), goods("2", 1, 1.5, 3)}))
	c.done("moneyBack", with(backOf("b", sale, 100, with(goods("1", 1, 100, 1))), "isManual", true))
	day := func(from, to string) object { return object{"startDate": from, "endDate": to} }
	out := c.done("getPeriodicZReport", day("23.11.2026 00:00:00", "23.11.2026 19:05:12"))
	for k, want := range map[string]any{"saleTotal": 10.0, "saleCount": 1.0, "saleCashTotal": 10.0, "saleVatTotal": 1.3, "saleVatFreeTotal": 1.5,
		"saleReturnTotal": 100.0, "cancellationCount": 0.0, "periodSum": -90.0, "periodVatSum": -13.95, "periodVatFreeSum": 1.5,
		"cashInTotal": 0.0, "cashOutCount": 0.0, "startDate": "23.11.2026 00:00:00", "endDate": "23.11.2026 19:05:12", "date": "23.11.2026 19:05:12"} {
		if out[k] != want {
			t.Errorf("%s is %v, want %v", k, out[k], want)
		}
	}
	if out := c.done("getPeriodicZReport", day("23.11.2026 00:00:00", "23.11.2026 19:05:11")); out["saleCount"] != 0.0 {
		t.Errorf("%v", out)
	}
	c.says("getPeriodicZReport", day("23.11.2026", "23.11.2026 19:05:12"), "642")
	c.says("getPeriodicZReport", day("24.11.2026 00:00:00", "23.11.2026 00:00:00"), "642")
	c.says("getPeriodicZReport", object{"beginDate": "23.11.2026 00:00:00", "endDate": "23.11.2026 19:05:12"}, "304")
}

func TestCasposPrintLast_MakesNothing(t *testing.T) {
	s, c := openCaspos(t)
	c.says("printLastCheque", nil, "231")
	c.done("sale", roll("a"))
	c.done("printLastCheque", nil)
	if !strings.Contains(s.Paper(), "SURƏT") {
		t.Errorf("%s", s.Paper())
	}
	count(t, s, 1)
	c.done("openCashbox", nil)
	s, c = openCaspos(t, quirk("copy-is-document"))
	sale := c.done("sale", roll("a"))
	c.done("printLastCheque", nil)
	c.done("printLastCheque", nil)
	if docs := count(t, s, 3); docs[2].Kind != Copy || docs[2].Parent != sale["document_id"] {
		t.Errorf("%+v", docs)
	}
	if out := c.done("getInfo", nil); out["last_doc_number"] != 3.0 {
		t.Errorf("%v", out)
	}
	if x := c.done("getXReport", object{"cashierName": "Əli"}); x["currencies"].([]any)[0].(object)["saleCount"] != 1.0 {
		t.Errorf("%v", x)
	}
}

func TestCasposReports_RoundBackFromSinglePrecision(t *testing.T) {
	c := &casposCall{caspos: &caspos{quirks: quirks{quirkCasposFloat: true}}}
	if got := c.sum(60); got != "0.5999999" {
		t.Errorf("%s", got)
	}
	odd := 0
	rapid.Check(t, func(rt *rapid.T) {
		q := rapid.Int64Range(-1_600_000, 1_600_000).Draw(rt, "qəpik")
		f, err := strconv.ParseFloat(string(c.sum(q)), 64)
		if err != nil || int64(math.Round(f*100)) != q {
			rt.Fatalf("%d became %s: %v", q, c.sum(q), err)
		}
		if f != float64(q)/100 {
			odd++
		}
	})
	if odd == 0 {
		t.Error("no sum is off")
	}
	_, till := openCaspos(t, quirk("single-precision"))
	till.done("sale", with(roll("a"), "items", rollItem("salePrice", 0.6), "cashPayment", 0.6))
	x := till.done("getXReport", object{"cashierName": "Əli"})
	if got := x["currencies"].([]any)[0].(object)["saleSum"]; got != 0.5999999 {
		t.Errorf("%v", got)
	}
}

func TestCasposReports_MayLeaveOutCreditAndAdvances(t *testing.T) {
	for _, tc := range []struct {
		quirk []string
		want  float64
	}{{nil, 8.5}, {[]string{"totals-net"}, 3.5}} {
		_, c := openCaspos(t, quirk(tc.quirk...))
		c.done("sale", with(roll("s"), "cashPayment", 3.5, "creditPayment", 5, "creditContract", "K-1", "creditPayer", "Vəli"))
		x := c.done("getXReport", object{"cashierName": "Əli"})
		if m := x["currencies"].([]any)[0].(object); m["saleSum"] != tc.want || m["saleCreditSum"] != 5.0 || m["periodSum"] != 3.5 {
			t.Errorf("%v: %v", tc.quirk, m)
		}
	}
}

// TestCasposXReport_EqualsTheLedger makes random documents over the wire and
// compares the X report with sums worked out from the ledger on its own.
func TestCasposXReport_EqualsTheLedger(t *testing.T) {
	s, c := startCaspos(t)
	device, n := 0, 0
	azn := func(q int64) float64 { return float64(q) / 100 }
	rapid.Check(t, func(rt *rapid.T) {
		device++
		serial := fmt.Sprint("D", device)
		if err := s.SetSerial(serial); err != nil {
			rt.Fatal(err)
		}
		c.done("openShift", object{"sum": 0, "cashierName": "Əli"})
		var sales []object
		for range rapid.IntRange(1, 10).Draw(rt, "documents") {
			n++
			id := fmt.Sprint("u", n)
			price := rapid.Int64Range(1, 20000).Draw(rt, "price")
			vatType := rapid.SampledFrom([]int{1, 3, 5, 6, 7}).Draw(rt, "tax")
			card := rapid.Int64Range(0, price).Draw(rt, "card")
			tip := rapid.Int64Range(0, 500).Draw(rt, "over")
			switch rapid.SampledFrom([]string{"sale", "sale", "sale", "moneyBack", "rollBack", "deposit", "withDraw", "prepayment"}).Draw(rt, "kind") {
			case "sale":
				doc := with(roll(id), "items", []object{goods("1", 1, azn(price), vatType)}, "cardPayment", azn(card), "cashPayment", azn(price-card+tip))
				sales = append(sales, with(c.done("sale", doc), "items", doc["items"], "price", price, "card", card, "tax", vatType))
			case "prepayment":
				c.done("prepayment", casposAdvance(id, "sum", azn(price), "vatType", vatType, "cardPayment", azn(card), "cashPayment", azn(price-card+tip)))
			case "moneyBack":
				if len(sales) > 0 {
					sale := rapid.SampledFrom(sales).Draw(rt, "which")
					c.answered("moneyBack", with(backOf(id, sale, azn(sale["price"].(int64))), "items", sale["items"]))
				}
			case "rollBack":
				if len(sales) > 0 {
					sale := rapid.SampledFrom(sales).Draw(rt, "which")
					p, k := sale["price"].(int64), sale["card"].(int64)
					c.atRoot().answered("rollBack", with(undoOf(id, sale), "sum", azn(p), "cashPayment", azn(p-k), "cardPayment", azn(k),
						"vatAmounts", []object{{"vatType": sale["tax"], "vatSum": azn(p)}}))
				}
			case "deposit", "withDraw":
				op := rapid.SampledFrom([]string{"deposit", "withDraw"}).Draw(rt, "way")
				c.answered(op, object{"documentUUID": id, "sum": azn(price), "cashierName": "Əli", "currency": "AZN"})
			}
		}
		want := map[string]int64{}
		names := map[Kind]string{Sale: "sale", Refund: "moneyBack", Rollback: "rollback", Prepay: "prepay", Deposit: "deposit", Withdraw: "withdraw"}
		sign := map[Kind]int64{Sale: 1, Prepay: 1, Refund: -1, Rollback: -1}
		for _, d := range s.Ledger() {
			if d.Serial != serial {
				continue
			}
			if d.Payments.Total() != d.Amount {
				rt.Fatalf("payments of %d for an amount of %d", d.Payments.Total(), d.Amount)
			}
			g := names[d.Kind]
			want[g+"Count"]++
			want[g+"Sum"] += d.Amount
			if sign[d.Kind] != 0 {
				want[g+"CashSum"] += d.Payments.Cash
				want[g+"CashlessSum"] += d.Payments.Cashless
			}
			want["periodSum"] += sign[d.Kind] * d.Amount
			for _, v := range d.VAT {
				want["periodVatSum"] += sign[d.Kind] * v.Tax
				if v.Rate == NoVAT {
					want["periodVatFreeSum"] += sign[d.Kind] * v.Turnover
				}
				if v.Rate == 0 {
					want["periodVatZeroSum"] += sign[d.Kind] * v.Turnover
				}
			}
		}
		x := c.done("getXReport", object{"cashierName": "Əli"})["currencies"].([]any)[0].(object)
		for k, q := range want {
			got, scale := x[k].(float64), 100.0
			if strings.HasSuffix(k, "Count") {
				scale = 1
			}
			if int64(math.Round(got*scale)) != q {
				rt.Fatalf("%s: report %v, ledger %d", k, got, q)
			}
		}
	})
}
