package simulator

import (
	"strings"
	"testing"
)

func TestShift_OpensOnceAndClosesOnce(t *testing.T) {
	_, c := start(t)
	if out := c.ok("/check_shift", "{}"); out["isShiftOpen"] != "false" || out["shiftStatus"] != 2.0 || out["shiftOpenAt"] != "" {
		t.Errorf("%v", out)
	}
	c.code("/close_shift", object{}, 6)
	c.code("/x_report", object{}, 6)
	if out := c.ok("/open_shift", object{"employeeName": "Əli"}); out["shiftID"] != 1.0 || out["fiscalID"] != 1.0 {
		t.Errorf("%v", out)
	}
	c.code("/open_shift", object{}, 6)
	out := c.ok("/check_shift", object{"employeeName": nil})
	if at, _ := out["shiftOpenAt"].(string); out["isShiftOpen"] != "true" || out["shiftStatus"] != 1.0 || len(at) != len(wallTime) {
		t.Errorf("%v", out)
	}
	z := c.ok("/close_shift", object{"employeeName": "Əli", "openOrdersOperation": "check"})
	if z["shiftID"] != 1.0 || z["fiscalShiftNum"] != "1" || z["saleCount"] != 0.0 || z["currency_name"] != "AZN" {
		t.Errorf("%v", z)
	}
	if out := c.ok("/x_report", object{"shiftID": 1}); out["shiftID"] != 1.0 {
		t.Errorf("%v", out)
	}
	c.code("/x_report", object{"shiftID": 2}, 6)
}

func TestShift_InTheOtherReadings(t *testing.T) {
	_, c := start(t, classic)
	if out := c.ok("/check_shift", "{}"); len(out) != 3 || out["isShiftOpen"] != "false" {
		t.Errorf("classic says more than documented: %v", out)
	}
	_, c = start(t, quirk("string-shift-id", "bool-shift-open", "without-code", "pin-required"))
	c.code("/open_shift", object{}, 3)
	if out := c.ok("/open_shift", object{"pincode": "1111"}); out["shiftID"] != "1" || out["code"] != nil {
		t.Errorf("%v", out)
	}
	if out := c.ok("/check_shift", "{}"); out["isShiftOpen"] != true || out["shiftID"] != "1" {
		t.Errorf("%v", out)
	}
	_, c = open(t, classic, quirk("with-code", "z-needs-sales", "z-needs-empty-drawer"))
	c.code("/close_shift", object{}, 26)
	if out := c.ok("/sale", bread()); out["code"] != 0.0 {
		t.Errorf("%v", out)
	}
	c.code("/close_shift", object{}, 27)
	c.ok("/withdraw", object{"amount": 850})
	c.ok("/close_shift", object{})
}

func TestOrders_BlockTheZReport(t *testing.T) {
	_, c := open(t)
	order := object{"items": []object{line("7", 1000, 850)}, "docNumber": "5"}
	if out := c.ok("/order", order); out["docStatus"] != 0.0 || out["documentID"] != 1001.0 {
		t.Errorf("%v", out)
	}
	c.code("/close_shift", object{"openOrdersOperation": "whatever"}, 24)
	c.ok("/close_shift", object{"openOrdersOperation": "renew"})
	c.ok("/open_shift", object{})
	c.code("/close_shift", object{}, 24)
	c.ok("/close_shift", object{"openOrdersOperation": "delete"})
	c.ok("/open_shift", object{})
	c.ok("/close_shift", object{})
	s, c := open(t, classic)
	c.ok("/preorder", order)
	if !strings.Contains(s.Paper(), "FİSKAL ÇEK DEYİL") {
		t.Errorf("a bill that looks fiscal:\n%s", s.Paper())
	}
	c.ok("/control_tape", object{})
	count(t, s, 0)
}

func TestCash_MovesTheDrawer(t *testing.T) {
	_, c := open(t, classic)
	c.ok("/deposit", object{"documentExtID": 7, "employeeName": "Əli", "amount": 7800})
	out := c.ok("/deposit", object{"documentExtID": 8, "employeeName": "Əli", "amount": 93500})
	if out["cash"] != 101300.0 || out["cashIn"] != 101300.0 || out["cashOut"] != 0.0 || out["fiscalID"] != "2" || out["documentExtID"] != 8.0 {
		t.Errorf("%v", out)
	}
	c.code("/withdraw", object{"amount": 101301}, 9)
	c.code("/withdraw", object{"amount": 0}, 3)
	c.code("/withdraw", object{}, 3)
	if out := c.ok("/withdraw", object{"amount": 100000}); out["cash"] != 1300.0 || out["cashOut"] != 100000.0 {
		t.Errorf("%v", out)
	}

	s, c := open(t)
	in := object{"documentExtID": "d1", "amount": 500, "employeeName": "Əli"}
	first := c.ok("/deposit", in)
	if again := c.ok("/deposit", in); again["fiscalID"] != first["fiscalID"] || again["fiscalUrl"] == nil {
		t.Errorf("%v", again)
	}
	if out := c.ok("/check_status", object{"documentExtID": "d1", "amount": 500}); out["fiscalID"] != first["fiscalID"] {
		t.Errorf("%v", out)
	}
	c.code("/check_status", object{"documentExtID": "d1", "amount": 501}, 9)
	count(t, s, 1)
}

func TestCheckStatus_FindsADocument(t *testing.T) {
	_, c := open(t)
	sale := c.ok("/sale", keyed("a"))
	for _, q := range []object{{"documentExtID": "a"}, {"documentID": sale["documentID"]}} {
		out := c.ok("/check_status", q)
		pay := out["totalPayments"].([]any)[0].(object)
		if out["fiscalID"] != sale["fiscalID"] || out["docStatus"] != 1.0 || pay["code"] != "C" {
			t.Errorf("%v: %v", q, out)
		}
	}
	c.code("/check_status", object{"documentExtID": "b"}, 9)
	c.code("/check_status", object{}, 3)

	_, c = open(t, classic)
	sale = c.ok("/sale", with(bread(), "documentExtID", 5))
	for _, q := range []object{{"documentExtID": 5}, {"documentID": "1001"}, {"documentID": sale["fiscalID"]}, bread()} {
		if out := c.ok("/check_status", q); out["fiscalID"] != sale["fiscalID"] {
			t.Errorf("%v: %v", q, out)
		}
	}
	if out := c.ok("/check_status", object{"documentID": "1002"}); out["docStatus"] != -1.0 || out["fiscalID"] != "" || out["code"] != nil {
		t.Errorf("%v", out)
	}
	_, c = open(t, classic, quirk("status-by-id-only"))
	c.ok("/sale", with(bread(), "documentExtID", 5))
	c.code("/check_status", with(bread(), "documentExtID", 5), 3)
	c.ok("/check_status", object{"documentID": 1001})
}

func TestCheckCopy_TakesTheIdsOfItsEdition(t *testing.T) {
	s, c := open(t)
	sale := c.ok("/sale", bread())
	out := c.ok("/check_copy", object{"documentID": sale["documentID"]})
	if it := out["items"].([]any)[0].(object); it["itemId"] != "7" || it["itemPrice"] != 850.0 || out["fiscalID"] != sale["fiscalID"] {
		t.Errorf("%v", out)
	}
	if !strings.Contains(s.Paper(), "SURƏT") {
		t.Error("not marked as a copy")
	}
	c.code("/check_copy", object{"documentID": sale["fiscalID"]}, 3)
	c.code("/check_copy", object{"documentID": 5}, 9)
	c.code("/check_copy", object{}, 3)
	_, c = open(t, classic)
	sale = c.ok("/sale", bread())
	c.ok("/check_copy", object{"documentID": sale["fiscalID"]})
	if out := c.ok("/last_document", object{"employeeName": "Əli"}); out["fiscalID"] != sale["fiscalID"] {
		t.Errorf("%v", out)
	}
	_, c = open(t, classic, quirk("copy-number-only"))
	sale = c.ok("/sale", bread())
	c.code("/check_copy", object{"documentID": sale["fiscalID"]}, 2)
	c.ok("/check_copy", object{"documentID": sale["documentID"]})
	_, c = open(t, quirk("copy-any-id"))
	sale = c.ok("/sale", bread())
	c.ok("/check_copy", object{"documentID": sale["fiscalID"]})
}

func TestDatesReport_WantsPlainDates(t *testing.T) {
	_, c := open(t, func(cfg *Config) { cfg.Clock = testClock })
	c.ok("/sale", bread())
	day := func(from, to any) object { return object{"employeeName": "Əli", "dateFrom": from, "dateFor": to} }
	if out := c.ok("/dates_report", day("2026-11-23", "2026-11-23")); out["saleSum"] != 850.0 || out["shiftID"] != nil {
		t.Errorf("%v", out)
	}
	if out := c.ok("/dates_report", day("2026-11-01", "2026-11-22")); out["saleCount"] != 0.0 {
		t.Errorf("%v", out)
	}
	c.code("/dates_report", day("23.11.2026", "2026-11-23"), 14)
	c.code("/dates_report", day("2026-11-23 10:00:00", "2026-11-23"), 14)
	c.code("/dates_report", day("2026-11-23", "2026-11-22"), 14)
	c.code("/dates_report", day("2026-11-23", nil), 3)
	_, c = start(t, quirk("dates-start-stop"))
	c.code("/dates_report", day("2026-11-23", "2026-11-23"), 3)
	c.ok("/dates_report", object{"date_start": "2026-11-23", "date_stop": "2026-11-23"})
}

func TestGetInfo_NamesTheToken(t *testing.T) {
	s, c := start(t, func(cfg *Config) { cfg.Serial = "NMQ-77" })
	out := c.ok("/get_info", object{"employeeName": nil})
	if out["serial_num"] != "NMQ-77" || out["cashbox_factory_number"] != "NMQ-77" || out["state"] != "ACTIVE" || out["qr_code_url"] == "" {
		t.Errorf("%v", out)
	}
	if err := s.SetSerial("NMQ-78"); err != nil {
		t.Fatal(err)
	}
	if out := c.ok("/get_info", object{}); out["serial_num"] != "NMQ-78" {
		t.Errorf("%v", out)
	}
}

func TestSerial_AnotherDeviceKnowsNothing(t *testing.T) {
	s, c := open(t)
	sale := c.ok("/sale", keyed("a"))
	if err := s.SetSerial("OTHER"); err != nil {
		t.Fatal(err)
	}
	c.code("/sale", keyed("b"), 6)
	c.code("/check_status", object{"documentExtID": "a"}, 9)
	c.ok("/open_shift", object{})
	other := c.ok("/sale", keyed("a"))
	if other["fiscalID"] == sale["fiscalID"] || other["fiscalNum"] != "1" {
		t.Errorf("%v", other)
	}
	if err := s.SetSerial(AzSmart.DefaultSerial()); err != nil {
		t.Fatal(err)
	}
	if out := c.ok("/check_status", object{"documentExtID": "a"}); out["fiscalID"] != sale["fiscalID"] {
		t.Errorf("%v", out)
	}
	if docs := count(t, s, 2); docs[1].Serial != "OTHER" {
		t.Errorf("%+v", docs)
	}
}

func TestReports_InTheOtherReadings(t *testing.T) {
	_, c := open(t)
	c.ok("/sale", bread())
	x := c.ok("/x_report", object{"departmentName": ""})
	v := x["saleVatAmounts"].([]any)[0].(object)
	if x["saleBonusSum"] != 0.0 || x["saleBonusesSum"] != nil || v["vatPercent"] != 18.0 || v["vatAmount"] != 130.0 {
		t.Errorf("%v", x)
	}
	_, c = open(t, quirk("bonuses-sum", "vat-percent-x100", "vat-turnover"))
	c.ok("/sale", bread())
	x = c.ok("/x_report", object{})
	v = x["saleVatAmounts"].([]any)[0].(object)
	if x["saleBonusSum"] != nil || x["saleBonusesSum"] != 0.0 || v["vatPercent"] != 1800.0 || v["vatAmount"] != 850.0 {
		t.Errorf("%v", x)
	}
}
