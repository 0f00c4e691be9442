package simulator

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

var fixedNow = time.Date(2026, 11, 23, 19, 5, 12, 0, baku)

func testClock() time.Time { return fixedNow }

func TestSale_IsFiscalAndGivesChange(t *testing.T) {
	s, c := open(t)
	out := c.ok("/sale", keyed("T1-1"))
	d := count(t, s, 1)[0]
	if out["code"] != 0.0 || out["docStatus"] != 1.0 || out["fiscalID"] != d.FiscalID || out["documentExtID"] != "T1-1" || out["fiscalNum"] != "1" {
		t.Errorf("answer: %v", out)
	}
	if n := len(d.FiscalID); n != 43 && n != 44 || d.ShortID != d.FiscalID[:12] {
		t.Errorf("fiscal id %q, short %q", d.FiscalID, d.ShortID)
	}
	if out["fiscalUrl"] != "https://monitoring.e-kassa.az/#/index?doc="+d.ShortID {
		t.Errorf("url: %v", out["fiscalUrl"])
	}
	if d.Change != 150 || d.Payments.Cash != 850 || d.VAT[0].Tax != 130 || s.State().Drawer != 850 {
		t.Errorf("document: %+v", d)
	}
	if d.ID == d.Number {
		t.Error("documentID and fiscalNum cannot be told apart")
	}
}

// TestSale_IsRefused goes through the rules of a document and the codes of section 9.
func TestSale_IsRefused(t *testing.T) {
	item := func(changes ...any) []object { return []object{with(line("7", 1000, 850), changes...)} }
	margin := vat("Ticarət əlavəsi 18%", 1800)
	for _, tc := range []struct {
		name         string
		doc          object
		code, oldest int // in N; in classic
	}{
		{"no items", with(bread(), "items", nil), 3, 3},
		{"empty items", with(bread(), "items", []object{}), 3, 3},
		{"items no array", with(bread(), "items", object{}), 3, 2},
		{"item no object", with(bread(), "items", []any{1}), 3, 2},
		{"no item id", with(bread(), "items", item("itemId", nil)), 3, 3},
		{"no item name", with(bread(), "items", item("itemName", "")), 3, 3},
		{"name too long", with(bread(), "items", item("itemName", strings.Repeat("ə", 256))), 3, 3},
		{"name a number", with(bread(), "items", item("itemName", 5)), 3, 2},
		{"quantity a string", with(bread(), "items", item("itemQty", "1000")), 3, 2},
		{"quantity a fraction", with(bread(), "items", item("itemQty", 1.5)), 3, 2},
		{"quantity 0", with(bread(), "items", item("itemQty", 0)), 3, 3},
		{"line amount negative", with(bread(), "items", item("itemAmount", -850)), 3, 3},
		{"line amount huge", with(bread(), "items", item("itemAmount", 9e17)), 3, 3},
		{"discount a string", with(bread(), "items", item("discount", "0")), 3, 2},
		{"no tax", with(bread(), "items", item("itemTaxes", nil)), 3, 3},
		{"two taxes", with(bread(), "items", item("itemTaxes", append(margin, margin...))), 3, 3},
		{"unknown percent", with(bread(), "items", item("itemTaxes", vat("ƏDV", 2000))), 12, 12},
		{"percent not scaled", with(bread(), "items", item("itemTaxes", vat("ƏDV 18%", 18))), 16, 16},
		{"percent a string", with(bread(), "items", item("itemTaxes", []object{{"taxName": "ƏDV", "taxPrc": "1800"}})), 3, 2},
		{"calcType unknown", with(bread(), "items", item("itemTaxes", []object{{"taxName": "ƏDV", "taxPrc": 1800, "calcType": 4}})), 3, 3},
		{"margin without its sums", with(bread(), "items", item("itemTaxes", margin)), 3, 3},
		{"margin sum for another tax", with(bread(), "items", item("itemMarginSum", 5)), 3, 3},
		{"too many lines", with(bread(), "items", make([]object, 202)), 3, 2},
		{"amount is not the sum", with(bread(), "amount", 851), 4, 4},
		{"amount a fraction", with(bread(), "amount", 850.5), 3, 2},
		{"amount null is absent", with(bread(), "amount", nil, "items", item("itemAmount", 0)), 3, 3},
		{"nothing paid", with(bread(), "payments", object{}), 8, 8},
		{"no payments", with(bread(), "payments", nil), 8, 8},
		{"too little paid", with(bread(), "payments", object{"cashAmount": 849}), 8, 8},
		{"change from a card", with(bread(), "payments", object{"cashlessAmount": 851}), 11, 11},
		{"payment a string", with(bread(), "payments", object{"cashAmount": "850"}), 3, 2},
		{"other payment", with(bread(), "payments", object{"otherAmount": 850}), 7, 7},
		{"credit without contract", with(bread(), "payments", object{"creditAmount": 850}), 3, 3},
		{"advance without its id", with(bread(), "payments", object{"prepaymentAmount": 850}), 20, 20},
		{"advance unknown", with(bread(), "payments", object{"prepaymentAmount": 850}, "prepayDocID", "x"), 9, 9},
		{"other currency", with(bread(), "currency", "USD"), 3, 3},
		{"bad time", with(bread(), "docTime", "01.03.2025"), 14, 3},
		{"reprint of nothing", with(bread(), "fiscalID", "x"), 9, 9},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, c := open(t)
			c.code("/sale", tc.doc, tc.code)
			count(t, s, 0)
			s, c = open(t, classic)
			c.code("/sale", tc.doc, tc.oldest)
			count(t, s, 0)
		})
	}
}

func TestSale_OldAndNewEditionsDifferInTypes(t *testing.T) {
	_, n := open(t)
	_, o := open(t, classic)
	n.code("/sale", with(bread(), "documentExtID", 5), 3)
	o.code("/sale", with(bread(), "documentExtID", "5"), 2)
	n.code("/sale", with(bread(), "amount", "850"), 3)
	o.ok("/sale", with(bread(), "amount", "850", "docNumber", "1"))
	n.ok("/sale", with(bread(), "docNumber", nil, "employeeName", nil, "currency", nil, "amount", nil))
	for _, name := range []string{"docNumber", "employeeName", "currency", "amount"} {
		o.code("/sale", with(bread(), name, nil), 3)
	}
	if out := o.ok("/sale", with(bread(), "documentExtID", 77, "docNumber", "2")); out["documentExtID"] != 77.0 || out["code"] != nil || out["printError"] != 0.0 {
		t.Errorf("classic answer: %v", out)
	}
	// An id is no sum of money: it may be as large as a JSON number is exact.
	o.ok("/sale", with(bread(), "documentExtID", int64(9007199254740991), "docNumber", "3"))
	o.ok("/check_status", object{"documentExtID": int64(9007199254740991)})
	o.code("/sale", with(bread(), "documentExtID", int64(1)<<60, "docNumber", "4"), 3)
}

func TestSale_NeedsAShiftThatIsNotTooOld(t *testing.T) {
	s, c := start(t)
	c.code("/sale", bread(), 6)
	c.ok("/open_shift", object{"employeeName": "Əli"})
	s.SetClock(24*time.Hour + time.Minute)
	c.code("/sale", bread(), 22)
	c.ok("/deposit", object{"amount": 100}) // the drawer must be reachable
	c.ok("/close_shift", object{})
	c.ok("/open_shift", object{})
	c.ok("/sale", bread())
}

func TestNew_SameKeyReturnsTheFirstDocument(t *testing.T) {
	s, c := open(t)
	first := c.ok("/sale", keyed("a"))
	again := c.ok("/sale", with(keyed("a"), "docTime", "2025-03-01 14:09:00", "employeeName", "Vəli"))
	if fmt.Sprint(first) != fmt.Sprint(again) {
		t.Errorf("first %v\nagain %v", first, again)
	}
	if _, err := s.CloseShift(0); err != nil {
		t.Fatal(err)
	}
	if late := c.ok("/sale", keyed("a")); late["fiscalID"] != first["fiscalID"] {
		t.Errorf("after Z: %v", late)
	}
	count(t, s, 1)
}

func TestNew_SameKeyWithOtherContentIsRefused(t *testing.T) {
	s, c := open(t)
	c.ok("/sale", keyed("a"))
	c.code("/sale", with(keyed("a"), "items", []object{line("8", 1000, 850)}), 3)
	c.code("/prepay", keyed("a"), 3)
	c.code("/deposit", object{"documentExtID": "a", "amount": 850}, 3)
	count(t, s, 1)

	s, c = open(t, quirk("key-reuse-returns-first"))
	first := c.ok("/sale", keyed("a"))
	if out := c.ok("/sale", with(keyed("a"), "items", []object{line("8", 1000, 850)})); out["fiscalID"] != first["fiscalID"] {
		t.Errorf("quirk: %v", out)
	}
	count(t, s, 1)
}

func TestNew_WithoutAKeyEverySendingIsANewDocument(t *testing.T) {
	s, c := open(t)
	c.ok("/sale", bread())
	c.ok("/sale", bread())
	count(t, s, 2)
}

func TestClassic_SameTimeNumberAndAmountIsPrintedAgain(t *testing.T) {
	s, c := open(t, classic)
	first := c.ok("/sale", bread())
	if again := c.ok("/sale", bread()); again["fiscalID"] != first["fiscalID"] || again["documentID"] != first["documentID"] {
		t.Errorf("again: %v", again)
	}
	if !strings.Contains(s.Paper(), "SURƏT") {
		t.Error("the reprint is not marked as a copy")
	}
	count(t, s, 1)
	c.ok("/sale", with(bread(), "docTime", "2025-03-01 14:05:10"))
	c.ok("/sale", with(bread(), "docNumber", "124"))
	count(t, s, 3)
	c.ok("/sale", with(bread(), "docTime", nil)) // no time, no check
	c.ok("/sale", with(bread(), "docTime", nil))
	count(t, s, 5)
}

func TestClassic_FiscalIDAsksForAReprint(t *testing.T) {
	s, c := open(t, classic)
	first := c.ok("/sale", bread())
	if out := c.ok("/sale", object{"fiscalID": first["fiscalID"]}); out["documentID"] != first["documentID"] {
		t.Errorf("%v", out)
	}
	count(t, s, 1)
}

func TestDuplicates_InTheOtherReadings(t *testing.T) {
	_, c := open(t, quirk("duplicate-code"))
	first := c.ok("/sale", keyed("a"))
	if out := c.code("/sale", keyed("a"), 17); out["fiscalID"] != first["fiscalID"] {
		t.Errorf("%v", out)
	}
	_, c = open(t, classic, quirk("duplicate-bare"))
	c.ok("/sale", bread())
	if out := c.ok("/sale", bread()); len(out) != 1 {
		t.Errorf("%v", out)
	}
	s, c := open(t, quirk("key-until-z"))
	c.ok("/sale", keyed("a"))
	if _, err := s.CloseShift(0); err != nil {
		t.Fatal(err)
	}
	c.code("/check_status", object{"documentExtID": "a"}, 9)
	c.ok("/open_shift", object{})
	c.ok("/sale", keyed("a"))
	count(t, s, 2)
	s, c = open(t, quirk("key-sale-refund-only"))
	c.ok("/prepay", keyed("a"))
	c.ok("/prepay", keyed("a"))
	count(t, s, 2)
}

func refundOf(sale object, items ...object) object {
	sum := 0
	for _, it := range items {
		sum += it["itemAmount"].(int)
	}
	return object{"docNumber": "9", "employeeName": "Əli", "currency": "AZN", "amount": sum, "parentDocID": sale["fiscalID"],
		"items": items, "payments": object{"cashAmount": sum}}
}

func TestRefund_IsBoundToWhatWasSold(t *testing.T) {
	for _, edition := range []Edition{Classic, New} {
		s, c := open(t, func(cfg *Config) { cfg.Edition = edition })
		sale := c.ok("/sale", with(bread(), "amount", 3000, "items", []object{line("1", 2000, 2000), line("2", 1000, 1000)},
			"payments", object{"cashlessAmount": 3000}))
		c.code("/refund", with(refundOf(sale, line("1", 1000, 1000)), "parentDocID", nil), 3)
		c.code("/refund", with(refundOf(sale, line("1", 1000, 1000)), "parentDocID", "unknown"), 9)
		c.code("/refund", with(refundOf(sale, line("1", 1000, 1000)), "parentDocID", sale["fiscalID"].(string)[:12]), 9)
		c.code("/refund", with(refundOf(sale, line("1", 1000, 1000)), "parentDocNum", "77"), 9)
		c.code("/refund", refundOf(sale, line("3", 1000, 1000)), 18)
		c.code("/refund", refundOf(sale, line("1", 3000, 1000)), 19)
		c.code("/refund", refundOf(sale, line("1", 1000, 2001)), 19)
		c.code("/refund", refundOf(sale, line("1", 1500, 1000), line("1", 1000, 500)), 19)
		c.code("/refund", with(refundOf(sale, line("1", 1000, 1000)), "payments", object{"cashAmount": 1200}), 11)
		c.ok("/refund", refundOf(sale, line("1", 1500, 1500)))
		c.code("/refund", refundOf(sale, line("1", 1000, 500)), 19)
		c.code("/rollback", object{"documentID": sale["fiscalID"], "employeeName": "Əli"}, 36)
		out := c.ok("/refund", with(refundOf(sale, line("1", 500, 500), line("2", 1000, 1000)), "parentDocNum", sale["fiscalNum"]))
		c.code("/refund", refundOf(sale, line("2", 1, 1)), 19)
		c.code("/refund", refundOf(out, line("2", 1, 1)), 9) // a refund cannot be refunded
		docs := count(t, s, 3)
		if docs[1].Parent != docs[0].FiscalID || s.State().Drawer != -3000 {
			t.Errorf("ledger: %+v, drawer %d", docs, s.State().Drawer)
		}
	}
}

func TestRollback_WholeAndOnceWithinItsShift(t *testing.T) {
	for _, edition := range []Edition{Classic, New} {
		s, c := open(t, func(cfg *Config) { cfg.Edition = edition })
		by := func(id any) object { return object{"documentID": id, "employeeName": "Əli"} }
		sale := c.ok("/sale", bread())
		c.code("/rollback", object{"employeeName": "Əli"}, 3)
		c.code("/rollback", by("unknown"), 9)
		c.code("/rollback", with(by(sale["fiscalID"]), "items", []object{line("7", 1000, 840)}), 4)
		out := c.ok("/rollback", by(fmt.Sprint(sale["documentID"])))
		c.code("/rollback", by(sale["fiscalID"]), 10)
		c.code("/rollback", by(out["documentID"]), 9)
		c.code("/refund", refundOf(sale, line("7", 1000, 850)), 9)
		if got := s.State().Drawer; got != 0 {
			t.Errorf("drawer %d", got)
		}
		old := c.ok("/sale", with(bread(), "docNumber", "2"))
		c.ok("/close_shift", object{})
		c.code("/rollback", by(old["fiscalID"]), 6)
		c.ok("/open_shift", object{})
		c.code("/rollback", by(old["fiscalID"]), 9)
		if edition == Classic && out["fiscalID"] != nil {
			t.Errorf("classic answers more than documented: %v", out)
		}
	}
	_, c := open(t, quirk("rollback-needs-items"))
	sale := c.ok("/sale", bread())
	c.code("/rollback", object{"documentID": sale["fiscalID"]}, 3)
	c.ok("/rollback", object{"documentID": sale["fiscalID"], "items": bread()["items"], "payments": object{"cashAmount": 850}})
}

func TestAdvance_IsSpentOnceAndPaidBackInPart(t *testing.T) {
	s, c := open(t, func(cfg *Config) { cfg.Quirks = []string{"prepay-lines"} })
	adv := c.ok("/prepay", with(bread(), "amount", 1000, "items", []object{line("7", 1000, 1000)}, "payments", object{"cashAmount": 1000}))
	pay := func(sum int) object {
		return with(bread(), "payments", object{"prepaymentAmount": sum, "cashAmount": 850 - sum}, "prepayDocID", adv["fiscalID"])
	}
	c.code("/sale", with(pay(600), "items", []object{line("9", 1000, 850)}), 21)
	sale := c.ok("/sale", pay(600))
	c.code("/sale", pay(401), 8)
	c.code("/rollback", object{"documentID": adv["fiscalID"]}, 36)
	c.code("/refund", refundOf(adv, line("7", 500, 401)), 19)
	c.ok("/rollback", object{"documentID": sale["fiscalID"]})
	c.ok("/refund", refundOf(adv, line("7", 500, 400)))
	c.code("/sale", pay(601), 8)
	c.ok("/sale", pay(600))
	d := count(t, s, 5)[4]
	if d.VAT[0].Turnover != 250 {
		t.Errorf("what the advance paid is taxed twice: %+v", d.VAT)
	}
	c.code("/prepay", with(bread(), "payments", object{"creditAmount": 850}, "creditContract", "K"), 7)
}

func TestCredit_IsRepaidUpToTheDebt(t *testing.T) {
	s, c := open(t)
	sale := c.ok("/sale", with(bread(), "payments", object{"creditAmount": 500, "cashAmount": 350}, "creditContract", "K-1"))
	repay := func(sum int, pay object) object {
		return object{"documentID": sale["documentID"], "amount": sum, "payments": pay, "currency": "AZN"}
	}
	c.code("/creditpay", repay(100, object{"cashAmount": 50, "cashlessAmount": 50}), 13)
	c.code("/creditpay", repay(501, object{"cashAmount": 501}), 3)
	c.code("/creditpay", repay(100, object{"cashAmount": 99}), 8)
	c.code("/creditpay", with(repay(1, object{"cashAmount": 1}), "documentID", 5), 9)
	first := c.ok("/creditpay", with(repay(300, object{"cashAmount": 400}), "documentExtID", "r1"))
	c.ok("/creditpay", with(repay(300, object{"cashAmount": 400}), "documentExtID", "r1"))
	c.code("/rollback", object{"documentID": sale["fiscalID"]}, 36)
	c.code("/creditpay", repay(201, object{"cashAmount": 201}), 3)
	c.ok("/rollback", object{"documentID": first["fiscalID"]})
	c.ok("/creditpay", repay(500, object{"cashlessAmount": 500}))
	c.code("/creditpay", repay(1, object{"cashAmount": 1}), 3)
	docs := count(t, s, 4)
	if docs[1].Change != 100 || docs[1].Parent != docs[0].FiscalID {
		t.Errorf("%+v", docs[1])
	}
	if x := c.ok("/x_report", object{}); x["creditpayRollbackSum"] != 300.0 || x["rollbackCount"] != 0.0 {
		t.Errorf("%v", x)
	}
}

func TestCorrection_AddsUp(t *testing.T) {
	s, c := open(t, classic)
	doc := object{"employeeName": "Əli", "date_start": "2025-03-01 10:00:00", "date_stop": "2025-03-01 12:00:00", "amount": 300,
		"cashAmount": 100, "cashlessAmount": 200, "bonusesAmount": 0, "vatAmounts": []object{{"vatPercent": 1800, "vatSum": 200}, {"vatPercent": 0, "vatSum": 100}}}
	out := c.ok("/correction", doc)
	if d := count(t, s, 1)[0]; out["fiscalID"] != d.FiscalID || d.VAT[0].Tax != 31 {
		t.Errorf("%v %+v", out, d)
	}
	c.code("/correction", with(doc, "cashAmount", 99), 4)
	c.code("/correction", with(doc, "vatAmounts", []object{{"vatPercent": 1800, "vatSum": 200}}), 4)
	c.code("/correction", with(doc, "vatAmounts", []object{{"vatPercent": 18, "vatSum": 300}}), 12)
	c.code("/correction", with(doc, "date_stop", "2025-03-01 09:00:00"), 3)
	c.code("/correction", with(doc, "date_start", nil), 3)
}

func TestNames_AreCheckedOnlyOnDemand(t *testing.T) {
	bad := func() object {
		return with(bread(), "items", []object{with(line("7", 1000, 850), "itemName", `Şorba "Dovğa" 🍲`)})
	}
	_, c := open(t)
	c.ok("/sale", bad())
	_, c = open(t, quirk("strict-names", "strict-tax-names"))
	c.code("/sale", bad(), 3)
	c.ok("/sale", bread())
	c.code("/sale", with(bread(), "items", []object{with(line("7", 1000, 850), "itemTaxes", vat("VAT", 1800))}), 16)
	_, c = open(t, quirk("ext-id-either"))
	c.ok("/sale", with(bread(), "documentExtID", 12))
	_, c = open(t, quirk("refund-without-parent"))
	c.ok("/refund", with(bread(), "payments", object{"cashAmount": 850}))
}

func TestMargin_IsTaxedOnTheMargin(t *testing.T) {
	meat := with(line("7", 1000, 850), "itemTaxes", vat("Ticarət əlavəsi 18%", 1800), "itemMarginPrice", 236, "itemMarginSum", 236)
	s, c := open(t)
	c.ok("/sale", with(bread(), "items", []object{meat}))
	if v := s.Ledger()[0].VAT[0]; v.Turnover != 236 || v.Tax != 36 {
		t.Errorf("%+v", v)
	}
	s, c = open(t, quirk("margin-is-purchase"))
	c.ok("/sale", with(bread(), "items", []object{meat}))
	if v := s.Ledger()[0].VAT[0]; v.Turnover != 614 {
		t.Errorf("%+v", v)
	}
}
