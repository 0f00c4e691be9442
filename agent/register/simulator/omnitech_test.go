package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestOmnitech_SaleIsFiscalAndGivesChange(t *testing.T) {
	s, o := openOmnitech(t)
	out := o.sold(teaSale())
	d := count(t, s, 1)[0]
	if out["message"] != "Successful operation" || out["document_number"] != 1.0 || out["shift_document_number"] != 1.0 ||
		out["long_id"] != d.FiscalID || out["short_id"] != d.FiscalID[:12] {
		t.Errorf("answer: %v", out)
	}
	if d.Change != 150 || d.Payments.Cash != 850 || d.VAT[0] != (VAT{1800, 850, 130}) || d.Client.Key != "r" || d.Client.Cashier != "Əli" {
		t.Errorf("document: %+v", d)
	}
	if n := s.State().Requests["/sale"]; n != 1 {
		t.Errorf("requests: %v", s.State().Requests)
	}
	if !strings.Contains(s.Paper(), "OMNITECH SIMULATOR") {
		t.Errorf("paper: %s", s.Paper())
	}
}

// TestOmnitech_SaleIsRefused goes through sections 6, 7 and the codes of 13.
func TestOmnitech_SaleIsRefused(t *testing.T) {
	item := func(changes ...any) object { return teaSale("items", []object{tea(changes...)}) }
	many := make([]object, 202)
	for i := range many {
		many[i] = tea()
	}
	margin := func(price, sum any) object {
		return teaSale("items", []object{tea("itemMarginPrice", price, "itemMarginSum", sum)},
			"vatAmounts", []object{{"vatSum": 2.0, "vatPercent": 18}, {"vatSum": 6.5}})
	}
	for _, tc := range []struct {
		name string
		data object
		code int
	}{
		{"no cashier", teaSale("cashier", nil), 304},
		{"cashier empty", teaSale("cashier", ""), 608},
		{"cashier too long", teaSale("cashier", strings.Repeat("ə", 65)), 608},
		{"other currency", teaSale("currency", "USD"), 606},
		{"no items", teaSale("items", []object{}), 610},
		{"items missing", teaSale("items", nil), 610},
		{"items no array", teaSale("items", object{}), 304},
		{"202 items", teaSale("items", many), 620},
		{"name empty", item("itemName", ""), 635},
		{"name too long", item("itemName", strings.Repeat("ə", 128)), 635},
		{"quote in a name", item("itemName", `"Çay"`), 1206},
		{"emoji in a name", item("itemName", "Çay ☕"), 1206},
		{"newline in a name", item("itemName", "Çay\n"), 1206},
		{"code too long", item("itemCode", strings.Repeat("1", 33)), 609},
		{"code a number", item("itemCode", 7), 304},
		{"code type", item("itemCodeType", 6), 612},
		{"quantity type", item("itemQuantityType", 6), 304},
		{"quantity 0", item("itemQuantity", 0), 304},
		{"quantity with 4 decimals", item("itemQuantity", 2.0001), 304},
		{"price a string", item("itemPrice", "4.25"), 304},
		{"price with 3 decimals", item("itemPrice", 4.251), 304},
		{"price negative", item("itemPrice", -4.25), 304},
		{"price with an exponent", item("itemPrice", json.Number("4e0")), 304},
		{"price beyond all", item("itemPrice", json.Number("99999999999999999999")), 304},
		{"line total", item("itemPrice", 4.23), 614},
		{"items total", teaSale("sum", 8.52, "cashSum", 8.52), 611},
		{"sum is not what is paid", teaSale("sum", 8.49), 607},
		{"payments missing", teaSale("bonusSum", nil), 304},
		{"nothing at all", teaSale("sum", 0, "cashSum", 0, "items", []object{tea("itemPrice", 0, "itemSum", 0)}), 607},
		{"less handed over than cash", teaSale("incomingSum", 8.49), 629},
		{"nothing handed over", teaSale("incomingSum", nil), 629},
		{"handed over without cash", teaSale("cashSum", 0, "cashlessSum", 8.5), 629},
		{"no vat", teaSale("vatAmounts", []object{}), 616},
		{"vat rate unknown", item("itemVatPercent", 20), 616},
		{"vat rate of no item", teaSale("vatAmounts", []object{{"vatSum": 8.5, "vatPercent": 8}}), 616},
		{"vat rate twice", teaSale("vatAmounts", []object{{"vatSum": 4, "vatPercent": 18}, {"vatSum": 4.5, "vatPercent": 18}}), 616},
		{"vat rate missing", teaSale("items", []object{tea(), tea("itemVatPercent", 8)}, "sum", 17, "cashSum", 17, "incomingSum", 17,
			"vatAmounts", []object{{"vatSum": 8.5, "vatPercent": 18}}), 616},
		{"vat is the tax", teaSale("vatAmounts", []object{{"vatSum": 1.30, "vatPercent": 18}}), 613},
		{"vat too much", teaSale("vatAmounts", []object{{"vatSum": 8.52, "vatPercent": 18}}), 613},
		{"absent percent is not 0", item("itemVatPercent", nil), 616},
		{"margin above the price", margin(4.26, 8.5), 617},
		{"margin above the sum", margin(4.25, 8.51), 618},
		{"margin of another quantity", margin(1, 3), 619},
		{"margin half there", margin(1, nil), 304},
		{"credit without contract", teaSale("sum", 0, "cashSum", 0, "incomingSum", 0, "creditSum", 8.5, "vatAmounts", []object{{"vatSum": 0, "vatPercent": 18}}), 630},
		{"credit of two items", teaSale("items", []object{tea(), tea()}, "creditContract", "C", "creditSum", 8.5), 620},
		{"prepaid without parents", teaSale("sum", 0, "cashSum", 0, "incomingSum", 0, "prepaymentSum", 8.5, "vatAmounts", []object{{"vatSum": 0, "vatPercent": 18}}), 304},
		{"two parents", teaSale("sum", 0, "cashSum", 0, "incomingSum", 0, "prepaymentSum", 8.5, "parents", []string{"a", "b"}, "vatAmounts", []object{{"vatSum": 0, "vatPercent": 18}}), 641},
		{"short parent", teaSale("sum", 0, "cashSum", 0, "incomingSum", 0, "prepaymentSum", 8.5, "parents", []string{"BX2RFjuzMF1v"}, "vatAmounts", []object{{"vatSum": 0, "vatPercent": 18}}), 615},
		{"unknown parent", teaSale("sum", 0, "cashSum", 0, "incomingSum", 0, "prepaymentSum", 8.5, "parents", []string{strings.Repeat("B", 44)}, "vatAmounts", []object{{"vatSum": 0, "vatPercent": 18}}), 628},
		{"parents without prepayment", teaSale("parents", []string{strings.Repeat("B", 44)}), 632},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, o := openOmnitech(t)
			o.document(1, tc.code, "sale", tc.data)
			count(t, s, 0)
			if n := o.last(); n != 0 {
				t.Errorf("last_doc_number %d", n)
			}
		})
	}
}

func TestOmnitech_SalesWithinTheTolerance(t *testing.T) {
	s, o := openOmnitech(t)
	o.sold(teaSale("items", []object{tea("itemQuantity", 3.333, "itemPrice", 2.55, "itemSum", 8.50)}))
	o.sold(teaSale("sum", 8.51, "cashSum", 8.51)) // a drift of a qəpik
	o.sold(teaSale("items", []object{tea("itemMarginPrice", 1.0, "itemMarginSum", 2.0)},
		"vatAmounts", []object{{"vatSum": 2.0, "vatPercent": 18.0}, {"vatSum": 6.5}}))
	o.sold(teaSale("items", []object{tea("itemVatPercent", nil, "itemMarginPrice", nil)}, "vatAmounts", []object{{"vatSum": 8.5}}))
	o.sold(teaSale("cashSum", 3, "cashlessSum", 5, "bonusSum", 0.5, "incomingSum", 5))
	docs := count(t, s, 5)
	if docs[1].Amount != 851 || docs[2].VAT[0].Tax != taxIn(200, 1800) || docs[3].VAT[0] != (VAT{NoVAT, 850, 0}) || docs[4].Change != 200 {
		t.Errorf("%+v", docs)
	}
}

func TestOmnitech_EnvelopeIsChecked(t *testing.T) {
	s, o := openOmnitech(t)
	doc := tokenData("sale", teaSale())
	for name, tc := range map[string]struct {
		body any
		code int
	}{
		"not json":            {"{", 1302},
		"an array":            {"[]", 1301},
		"null":                {"null", 1301},
		"not utf-8":           {"{\"a\":\"\xff\"}", 916},
		"two objects":         {"{}{}", 1302},
		"empty":               {object{}, 1301},
		"no check data":       {object{"requestData": object{}}, 304},
		"check_type a string": {object{"requestData": object{"checkData": object{"check_type": "1"}}}, 304},
		"unknown check_type":  {o.envelope(99), 1300},
		"no token":            {o.envelope(1, "access_token", nil, "tokenData", doc), 401},
		"another token":       {o.envelope(41, "access_token", "AAAA=="), 401},
		"no tokenData":        {o.envelope(1), 304},
		"other operation":     {o.envelope(1, "tokenData", with(doc, "operationId", "x")), 1201},
		"other version":       {o.envelope(1, "tokenData", with(doc, "version", 2)), 1202},
		"other doc_type":      {o.envelope(100, "tokenData", doc), 501},
		"rollback with data":  {o.envelope(10, "fiscalId", strings.Repeat("B", 44), "tokenData", doc), 304},
		"rollback short id":   {o.envelope(10, "fiscalId", "BX2RFjuzMF1v"), 615},
		"rollback unknown":    {o.envelope(10, "fiscalId", strings.Repeat("B", 44)), 627},
		"copy unknown":        {o.envelope(11, "fiscalId", strings.Repeat("B", 44)), 628},
		"history dates":       {o.envelope(17, "date_start", "2026-11-23", "date_end", "2026-11-24 00:00:00"), 1204},
		"history backwards":   {o.envelope(17, "date_start", "2026-11-24 00:00:00", "date_end", "2026-11-23 00:00:00"), 1204},
		"five details":        {with(o.envelope(1, "tokenData", doc), "receiptDetails", make([]struct{ V string }, 5)), 313},
		"two barcodes":        {with(o.envelope(1, "tokenData", doc), "receiptDetails", []object{{"t": 2, "k": "", "v": "1"}, {"t": 2, "k": "", "v": "2"}}), 304},
		"long detail":         {with(o.envelope(1, "tokenData", doc), "receiptDetails", []object{{"t": 0, "k": "", "v": strings.Repeat("x", 37)}}), 313},
		"deposit of 0":        {o.envelope(7, "tokenData", object{"parameters": object{"data": object{"cashSum": 0.0}}}), 607},
		"deposit by sum":      {o.envelope(7, "tokenData", object{"parameters": object{"data": object{"sum": 5.0}}}), 304},
	} {
		t.Run(name, func(t *testing.T) { o.till.t = t; o.answered(tc.body, tc.code) })
	}
	o.till.t = t
	count(t, s, 0)
	for _, tc := range []struct {
		method, path, contentType string
		status                    int
	}{
		{"POST", "/", "application/json", 404}, {"POST", "/v2/", "application/json", 404}, {"GET", "/v2", "application/json", 405},
		{"POST", "/v2", "text/plain", 415}, {"POST", "/v2", "application/json; charset=windows-1251", 415},
	} {
		status, got, err := o.send(tc.method, tc.path, tc.contentType, "{}")
		if err != nil || status != tc.status || !strings.Contains(string(got), `"code":`) {
			t.Errorf("%+v: HTTP %d %v %s", tc, status, err, got)
		}
	}
	if status, _, _ := o.try(strings.Repeat(" ", bodyLimit+1)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("too long: HTTP %d", status)
	}
	// Unknown fields and any order of keys are let through, the token in the middle as well.
	o.answered(`{"x":1,"requestData":{"checkData":{"check_type":14,"y":2},"z":[],"access_token":"`+o.token+`"}}`, 0)
}

func TestOmnitech_Login(t *testing.T) {
	s, o := startOmnitech(t)
	o.code(40, 401, "name", "nobody", "password", DefaultPassword)
	o.code(40, 304, "name", DefaultUser)
	first := o.token
	second := loginOmnitech(t, o.till)
	if second.token == first || !strings.HasSuffix(first, "==") {
		t.Errorf("tokens %q %q", first, second.token)
	}
	o.ok(14) // the first one lives on
	s.SetClock(22 * time.Hour)
	o.ok(14)
	s.SetClock(23 * time.Hour)
	o.code(14, 401)
	o.token = ""
	o.ok(28) // the drawer needs none
	o.code(14, 401)
	o = loginOmnitech(t, o.till)
	s.Arm(Fault{Name: OtherSerial, Serial: "B", Times: 1})
	o.code(14, 401) // another device does not know the session
	o.ok(14)
	for range omniTries {
		o.code(40, 404, "name", DefaultUser, "password", "wrong")
	}
	o.code(40, 405, "name", DefaultUser, "password", DefaultPassword)
}

func TestOmnitech_LoginIsConfigured(t *testing.T) {
	_, c := start(t, func(c *Config) { c.Protocol, c.User, c.Password = Omnitech, "api", "secret" })
	o := &omniTill{till: c}
	o.code(40, 401, "name", DefaultUser, "password", "secret")
	o.code(40, 1, "name", "api", "password", "secret")
	for _, cfg := range []Config{{Protocol: Omnitech, Edition: New}, {Protocol: Omnitech, MerchantID: "m"}, {Protocol: AzSmart, User: "u"},
		{Protocol: "nobody"}, {Protocol: Omnitech, Quirks: []string{"strict-form"}}} {
		cfg.Listen = "127.0.0.1:0"
		if s, err := Start(cfg); err == nil {
			s.Close()
			t.Errorf("accepted: %+v", cfg)
		}
	}
}

func TestOmnitech_PrevDocNumberIsCompareAndSet(t *testing.T) {
	s, o := openOmnitech(t)
	o.document(1, 505, "sale", teaSale(), "prev_doc_number", 5)
	o.document(1, 0, "sale", teaSale(), "prev_doc_number", 0)
	o.document(1, 505, "sale", teaSale(), "prev_doc_number", 0) // a blind resend
	if o.last() != 1 {
		t.Error("last_doc_number")
	}
	if _, err := s.RingUp(100, ""); err != nil {
		t.Fatal(err)
	}
	o.document(1, 505, "sale", teaSale(), "prev_doc_number", 1) // rung up by hand meanwhile
	o.document(34, 505, "prepay", teaSale(), "prev_doc_number", 1)
	o.code(7, 505, "tokenData", object{"parameters": object{"prev_doc_number": 1, "data": object{"cashSum": 1.0}}})
	o.document(1, 0, "sale", teaSale(), "prev_doc_number", 2)
	count(t, s, 3)
}

func TestOmnitech_NumbersGoOverTheTokensLife(t *testing.T) {
	s, o := openOmnitech(t)
	o.sold(teaSale())
	sale := o.sold(teaSale())
	o.ok(11, "fiscalId", sale["long_id"])
	o.ok(12)
	if o.last() != 2 {
		t.Errorf("a copy and an X report raise nothing: %d", o.last())
	}
	z := o.ok(13)["data"].(object)
	if z["document_id"] == "" || z["firstDocNumber"] != 1.0 || z["lastDocNumber"] != 2.0 || z["reportNumber"] != 1.0 {
		t.Errorf("Z: %v", z)
	}
	o.ok(15)
	out := o.sold(teaSale())
	if out["document_number"] != 4.0 || out["shift_document_number"] != 1.0 || o.last() != 4 {
		t.Errorf("after the Z report: %v", out)
	}
	if got := o.ok(37); got["long_id"] != out["long_id"] {
		t.Errorf("last document: %v", got)
	}
	count(t, s, 3)
}

func TestOmnitech_Shift(t *testing.T) {
	s, o := startOmnitech(t, func(c *Config) { c.Clock = testClock })
	if out := o.ok(14); out["shiftStatus"] != false || out["shift_open_time"] != "" || out["serial"] != Omnitech.DefaultSerial() {
		t.Errorf("closed: %v", out)
	}
	o.document(1, 503, "sale", teaSale())
	o.code(12, 503)
	o.code(13, 503)
	o.code(37, 231)
	o.ok(15)
	if out := o.code(15, 503); out["message"] != "document: invalid shift status" {
		t.Errorf("open twice: %v", out)
	}
	if out := o.ok(14); out["shiftStatus"] != true || out["shift_open_time"] != "2026-11-23 19:05:12" {
		t.Errorf("open: %v", out)
	}
	s.SetClock(24*time.Hour + time.Minute)
	o = loginOmnitech(t, o.till)
	if out := o.document(1, 504, "sale", teaSale()); out["message"] != "document: invalid shift duration" {
		t.Errorf("too old: %v", out)
	}
	o.code(7, 504, "tokenData", object{"parameters": object{"data": object{"cashSum": 1.0}}})
	o.ok(13)
	o.ok(15)
	o.sold(teaSale())
	info := o.ok(41)["data"].(object)
	if info["cashbox_factory_number"] != s.Serial() || info["state"] != "ACTIVE" || info["not_after"] != "2028-11-24T15:06:12Z" {
		t.Errorf("info: %v", info)
	}
}

func TestOmnitech_MoneyBack(t *testing.T) {
	s, o := openOmnitech(t)
	sale := o.sold(teaSale())
	half := []any{"items", []object{tea("itemQuantity", 1.0, "itemSum", 4.25)}, "sum", 4.25, "cashSum", 4.25, "vatAmounts", []object{{"vatSum": 4.25, "vatPercent": 18.0}}}
	for name, tc := range map[string]struct {
		data object
		code int
	}{
		"short parent":        {back(sale, "1", "parentDocument", sale["short_id"]), 615},
		"unknown parent":      {back(sale, "1", "parentDocument", strings.Repeat("B", 44)), 628},
		"other number":        {back(sale, "2"), 628},
		"number as a number":  {back(sale, "1", "refund_document_number", 1), 304},
		"other short id":      {back(sale, "1", "refund_short_document_id", "BX2RFjuzMF1v"), 628},
		"type of an advance":  {back(sale, "1", "moneyBackType", 6), 633},
		"unknown type":        {back(sale, "1", "moneyBackType", 5), 633},
		"prepayment":          {back(sale, "1", "prepaymentSum", 8.5, "cashSum", 0), 632},
		"above the debt":      {back(sale, "1", "creditSum", 8.5, "cashSum", 0), 632},
		"balance":             {back(sale, "1", "cashSum", 8.0), 607},
		"items":               {back(sale, "1", "sum", 8.0, "cashSum", 8.0, "vatAmounts", []object{{"vatSum": 8.0, "vatPercent": 18.0}}), 611},
		"not sold":            {back(sale, "1", "items", []object{tea("itemCode", "8")}), 638},
		"more than was sold":  {back(sale, "1", "items", []object{tea("itemQuantity", 3, "itemPrice", 2.83)}), 638},
		"more than the money": {back(sale, "1", "items", []object{tea("itemPrice", 5, "itemSum", 10)}, "sum", 10, "cashSum", 10, "vatAmounts", []object{{"vatSum": 10, "vatPercent": 18}}), 638},
	} {
		t.Run(name, func(t *testing.T) { o.till.t = t; o.document(100, tc.code, "money_back", tc.data) })
	}
	o.till.t = t
	o.document(100, 0, "money_back", back(sale, "1", half...))
	o.document(100, 638, "money_back", back(sale, "1"))
	o.code(10, 1312, "fiscalId", sale["long_id"]) // refunded in part
	o.document(100, 0, "money_back", back(sale, "1", half...))
	if out := o.document(100, 1312, "money_back", back(sale, "1", half...)); !strings.Contains(out["message"].(string), "already refunded") {
		t.Errorf("again: %v", out)
	}
	count(t, s, 3)
	if s.State().Drawer != 0 {
		t.Errorf("drawer %d", s.State().Drawer)
	}
}

func TestOmnitech_Rollback(t *testing.T) {
	s, o := openOmnitech(t)
	sale := o.sold(teaSale())
	o.document(32, 628, "rollback", with(teaSale(), "parentDocument", sale["long_id"]))
	o.ok(10, "fiscalId", sale["long_id"])
	o.code(10, 1312, "fiscalId", sale["long_id"])
	o.document(100, 639, "money_back", back(sale, "1"))
	old := o.sold(teaSale())
	o.ok(13)
	o.ok(15)
	o.code(10, 627, "fiscalId", old["long_id"]) // of a closed shift
	count(t, s, 3)
}

// zero are the sums of a document that is paid otherwise.
func zero(changes ...any) object {
	return with(teaSale("sum", 0, "cashSum", 0, "incomingSum", 0, "vatAmounts", []object{{"vatSum": 0, "vatPercent": 18}}), changes...)
}

func TestOmnitech_Advance(t *testing.T) {
	s, o := openOmnitech(t)
	five := []any{"sum", 5, "cashSum", 5, "incomingSum", 5, "vatAmounts", []object{{"vatSum": 5, "vatPercent": 18}}}
	o.document(34, 632, "prepay", teaSale("prepaymentSum", 1))
	o.document(34, 611, "prepay", teaSale("sum", 8.52, "cashSum", 8.52))
	advance := o.document(34, 0, "prepay", teaSale(five...))
	sale := teaSale("sum", 5.5, "cashSum", 5.5, "prepaymentSum", 3, "parents", []any{advance["long_id"]}, "vatAmounts", []object{{"vatSum": 5.5, "vatPercent": 18}})
	sold := o.sold(sale)
	o.document(1, 632, "sale", sale) // 2 are left
	o.code(10, 628, "fiscalId", sold["long_id"])
	whole := with(sale, "parentDocument", sold["long_id"])
	o.document(32, 638, "rollback", with(whole, "prepaymentSum", 2))
	o.document(32, 0, "rollback", whole)
	o.document(32, 1312, "rollback", whole)
	o.document(100, 633, "money_back", back(advance, "1"))
	rest := back(advance, "1", append(five, "moneyBackType", 6)...)
	o.document(100, 0, "money_back", rest)
	o.document(100, 1312, "money_back", rest)
	docs := count(t, s, 4)
	if docs[1].Amount != 850 || docs[1].Payments.Prepaid != 300 || s.State().Drawer != 0 {
		t.Errorf("%+v, drawer %d", docs, s.State().Drawer)
	}
}

func TestOmnitech_Credit(t *testing.T) {
	s, o := openOmnitech(t)
	sale := o.sold(zero("creditSum", 8.5, "creditContract", "C-1"))
	pay := func(sum, residue float64, changes ...any) object {
		return with(teaSale("items", []object{tea("itemCodeType", 5, "itemSum", 8.5)}, "sum", sum, "cashSum", sum, "incomingSum", 10, "creditContract", "C-1",
			"parentDocument", sale["long_id"], "paymentNumber", 1, "residue", residue, "vatAmounts", []object{{"vatSum": sum, "vatPercent": 18}}), changes...)
	}
	o.document(31, 634, "creditpay", pay(3, 5))
	o.document(31, 632, "creditpay", pay(8.51, 0))
	o.document(31, 612, "creditpay", pay(3, 5.5, "items", []object{tea()}))
	o.document(31, 630, "creditpay", pay(3, 5.5, "creditContract", nil))
	o.document(31, 304, "creditpay", pay(3, 5.5, "paymentNumber", 0))
	first := o.document(31, 0, "creditpay", pay(3, 5.5))
	o.document(32, 1312, "rollback", zero("creditSum", 8.5, "parentDocument", sale["long_id"])) // a payment hangs on it
	second := o.document(31, 0, "creditpay", pay(5.5, 0))
	o.document(32, 0, "rollback", with(pay(5.5, 0), "parentDocument", second["long_id"]))
	refund := back(first, "2", "sum", 3, "cashSum", 3, "vatAmounts", []object{{"vatSum": 3, "vatPercent": 18}}, "moneyBackType", 7)
	o.document(100, 0, "money_back", refund)
	o.document(100, 1312, "money_back", refund)
	o.document(31, 0, "creditpay", pay(8.5, 0)) // all is owed again
	o.document(31, 628, "creditpay", pay(1, 0, "parentDocument", first["long_id"]))
	if s.State().Drawer != 850 {
		t.Errorf("drawer %d", s.State().Drawer)
	}
}

func TestOmnitech_CorrectionAndCash(t *testing.T) {
	s, o := openOmnitech(t, func(c *Config) { c.Clock = testClock })
	data := teaSale("items", nil, "incomingSum", nil, "firstOperationAtUtc", "2026-11-22T10:00:00Z", "lastOperationAtUtc", "2026-11-22T12:00:00Z")
	o.document(19, 642, "correction", with(data, "lastOperationAtUtc", "2026-11-22 12:00:00"))
	o.document(19, 642, "correction", with(data, "lastOperationAtUtc", "2026-11-24T12:00:00Z"))
	o.document(19, 642, "correction", with(data, "firstOperationAtUtc", "2026-11-22T13:00:00Z"))
	o.document(19, 613, "correction", with(data, "vatAmounts", []object{{"vatSum": 8, "vatPercent": 18}}))
	o.document(19, 632, "correction", with(data, "creditSum", 1))
	o.document(19, 0, "correction", data)
	cash := func(sum float64) object {
		return object{"parameters": object{"data": object{"cashSum": sum}}, "operationId": "createDocument", "version": 1}
	}
	o.ok(7, "tokenData", cash(20))
	o.code(8, 1512, "tokenData", cash(28.51))
	o.ok(8, "tokenData", cash(28.5))
	count(t, s, 3)
	if s.State().Drawer != 0 {
		t.Errorf("drawer %d", s.State().Drawer)
	}
}

func TestOmnitech_Reports(t *testing.T) {
	_, o := openOmnitech(t, func(c *Config) { c.Clock = testClock })
	o.sold(teaSale())
	o.sold(zero("creditSum", 8.5, "creditContract", "C-1"))
	o.sold(teaSale("items", []object{tea("itemVatPercent", nil)}, "vatAmounts", []object{{"vatSum": 8.5}}))
	sale := o.sold(teaSale("cashSum", 0, "cashlessSum", 8.5, "incomingSum", 0))
	o.ok(10, "fiscalId", sale["long_id"])
	_, raw, err := o.try(o.envelope(12))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"saleCount":4.0`, `"saleSum":25.50`, `"saleCreditSum":8.50`, `"saleCashSum":17.00`, `"saleCashlessSum":8.50`,
		`"saleVatAmounts":[{"vatSum":8.50},{"vatPercent":18,"vatSum":17.00}]`, `"rollbackCount":1`, `"rollbackCashlessSum":8.50`,
		`"_z":`, `"document_id":""`, `"createdAtUtc":"2026-11-23T15:05:12Z"`, `"shiftOpenAtUtc":"2026-11-23T15:05:12Z"`, `"docCountToSend":0`, `"depositCount":0`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("no %s in %s", want, raw)
		}
	}
	if strings.Contains(string(raw), "prepayPrepaymentSum") {
		t.Errorf("prepayPrepaymentSum is there: %s", raw)
	}
	z := o.ok(13)["data"].(object)
	now := []any{"date_start", "2026-11-23 00:00:00", "date_end", "2026-11-23 19:05:12"}
	st := o.ok(18, now...)
	if fmt.Sprint(st["data"].(object)["currencies"]) != fmt.Sprint(z["currencies"]) || st["message"] != "success" {
		t.Errorf("statement %v\nZ %v", st, z)
	}
	if st := o.ok(18, "date_start", "2026-11-22 00:00:00", "date_end", "2026-11-23 19:05:11"); st["data"].(object)["currencies"].([]any)[0].(object)["saleCount"] != 0.0 {
		t.Errorf("statement of the time before: %v", st)
	}
}

func TestOmnitech_History(t *testing.T) {
	s, o := openOmnitech(t, func(c *Config) { c.Clock = testClock })
	period := []any{"date_start", "2026-11-23 19:00:00", "date_end", "2026-11-23 19:05:12"}
	sale := o.code(1, 0, "int_ref", "T1-1", "tokenData", tokenData("sale", teaSale()))
	o.code(10, 0, "int_ref", 123456, "fiscalId", sale["long_id"])
	o.code(1, 0, "int_ref", "T1-1", "tokenData", tokenData("sale", teaSale())) // a label, never a key
	o.document(1, 610, "sale", teaSale("items", nil))
	out := o.ok(17, period...)
	rows := out["transactions"].([]any)
	if len(rows) != 3 || out["message"] != "success" {
		t.Fatalf("%v", out)
	}
	row := rows[0].(object)
	if row["int_ref"] != "T1-1" || row["documentId"] != "" || row["transaction_id"] != sale["short_id"] || row["operationStatus"] != 1.0 ||
		row["check_type"] != 1.0 || row["summary_money"] != 8.5 || row["date"] != "2026-11-23 19:05:12" {
		t.Errorf("%v", row)
	}
	if r := rows[1].(object); r["check_type"] != 10.0 || r["int_ref"] != "123456" {
		t.Errorf("%v", r)
	}
	var response struct {
		Data struct {
			ID     string `json:"document_id"`
			Number int64  `json:"document_number"`
			Short  string `json:"short_document_id"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(row["token_response"].(string)), &response); err != nil || response.Data.ID != sale["long_id"] ||
		response.Data.Number != 1 || response.Data.Short != sale["short_id"] {
		t.Errorf("%v %+v", err, response)
	}
	for _, name := range []string{"token_request", "products_list"} {
		if !json.Valid([]byte(row[name].(string))) {
			t.Errorf("%s: %v", name, row[name])
		}
	}
	if got := o.ok(17, "date_start", "2026-11-23 19:05:13", "date_end", "2026-11-23 20:00:00")["transactions"].([]any); len(got) != 0 {
		t.Errorf("later: %v", got)
	}
	count(t, s, 3)
}

func TestOmnitech_Quirks(t *testing.T) {
	rows := func(o *omniTill) []any {
		o.t.Helper()
		now := time.Now().In(baku)
		return o.ok(17, "date_start", now.Add(-time.Hour).Format(wallTime), "date_end", now.Add(time.Hour).Format(wallTime))["transactions"].([]any)
	}
	noPercent := func() object {
		return teaSale("items", []object{tea("itemVatPercent", nil)}, "vatAmounts", []object{{"vatSum": 8.5}})
	}
	tests := map[string]func(*testing.T, *Simulator, *omniTill){
		"login-kills-token": func(t *testing.T, _ *Simulator, o *omniTill) {
			next := loginOmnitech(t, o.till)
			o.code(14, 401)
			next.ok(14)
		},
		"short-session": func(t *testing.T, s *Simulator, o *omniTill) {
			s.SetClock(2 * time.Minute)
			o.code(14, 401)
		},
		"prev-ignored": func(t *testing.T, _ *Simulator, o *omniTill) {
			o.document(1, 0, "sale", teaSale(), "prev_doc_number", 9)
		},
		"prev-ignored-elsewhere": func(t *testing.T, _ *Simulator, o *omniTill) {
			o.document(34, 0, "prepay", teaSale(), "prev_doc_number", 9)
			o.document(1, 505, "sale", teaSale(), "prev_doc_number", 9)
		},
		"copy-is-document": func(t *testing.T, s *Simulator, o *omniTill) {
			sale := o.sold(teaSale())
			out := o.ok(11, "fiscalId", sale["long_id"])
			if out["document_number"] != 2.0 || out["long_id"] == sale["long_id"] || o.last() != 2 {
				t.Errorf("%v", out)
			}
			if cur := o.ok(12)["data"].(object)["currencies"].([]any)[0].(object); cur["saleCount"] != 1.0 {
				t.Errorf("a copy is counted as a sale: %v", cur)
			}
		},
		"x-is-document": func(t *testing.T, _ *Simulator, o *omniTill) {
			o.ok(12)
			if o.last() != 1 {
				t.Error(o.last())
			}
		},
		"z-not-last": func(t *testing.T, _ *Simulator, o *omniTill) {
			o.sold(teaSale())
			o.ok(13)
			o.ok(15)
			if o.last() != 1 {
				t.Error(o.last())
			}
			o.document(1, 0, "sale", teaSale(), "prev_doc_number", 1)
		},
		"no-last-document": func(t *testing.T, _ *Simulator, o *omniTill) { o.code(37, 1300) },
		"history-sales-only": func(t *testing.T, _ *Simulator, o *omniTill) {
			o.ok(10, "fiscalId", o.sold(teaSale())["long_id"])
			if got := rows(o); len(got) != 1 {
				t.Error(got)
			}
		},
		"history-without-int-ref": func(t *testing.T, _ *Simulator, o *omniTill) {
			o.sold(teaSale())
			if _, there := rows(o)[0].(object)["int_ref"]; there {
				t.Error("int_ref is there")
			}
		},
		"history-with-document-id": func(t *testing.T, _ *Simulator, o *omniTill) {
			if id := o.sold(teaSale())["long_id"]; rows(o)[0].(object)["documentId"] != id {
				t.Error(id)
			}
		},
		"history-lists-failures": func(t *testing.T, _ *Simulator, o *omniTill) {
			o.document(1, 610, "sale", teaSale("items", nil))
			if got := rows(o); len(got) != 1 || got[0].(object)["operationStatus"] != 0.0 || got[0].(object)["int_ref"] != "r" {
				t.Error(got)
			}
		},
		"paper-out-with-ids": func(t *testing.T, s *Simulator, o *omniTill) {
			s.Arm(Fault{Name: PaperOut, Times: 1})
			o.sold(teaSale())
			o.document(1, 1200, "sale", teaSale())
		},
		"names-not-stored": func(t *testing.T, s *Simulator, o *omniTill) {
			if out := o.document(1, 1205, "sale", teaSale()); out["long_id"] != count(t, s, 1)[0].FiscalID {
				t.Error(out)
			}
		},
		"database-fails": func(t *testing.T, s *Simulator, o *omniTill) {
			o.document(1, 1511, "sale", teaSale())
			if count(t, s, 1); len(rows(o)) != 0 || o.last() != 1 {
				t.Error("the history has it, or the token does not")
			}
		},
		"vat-fenced": func(t *testing.T, _ *Simulator, o *omniTill) {
			o.document(1, 1250, "sale", teaSale("items", []object{tea("itemVatPercent", 8)}, "vatAmounts", []object{{"vatSum": 8.5, "vatPercent": 8}}))
		},
		"percent-needed": func(t *testing.T, _ *Simulator, o *omniTill) { o.document(1, 616, "sale", noPercent()) },
		"credit-without-contract": func(t *testing.T, _ *Simulator, o *omniTill) {
			o.sold(zero("creditSum", 8.5))
		},
		"quotes-pass": func(t *testing.T, _ *Simulator, o *omniTill) {
			o.sold(teaSale("items", []object{tea("itemName", `"Çay"`)}))
		},
		"stamps-without-z": func(t *testing.T, _ *Simulator, o *omniTill) {
			if at := o.ok(12)["data"].(object)["createdAtUtc"].(string); strings.HasSuffix(at, "Z") {
				t.Error(at)
			}
		},
		"shift-time-utc": func(t *testing.T, s *Simulator, o *omniTill) {
			if at := o.ok(14)["shift_open_time"]; at != s.State().Shift.OpenedAt.UTC().Format(wallTime) {
				t.Error(at)
			}
		},
		"key-order": func(t *testing.T, _ *Simulator, o *omniTill) {
			o.answered(`{"requestData":{"checkData":{"check_type":14},"access_token":"`+o.token+`"}}`, 304)
			o.answered(`{"requestData":{"access_token":"`+o.token+`","x":{"y":[1,{"z":null}]},"checkData":{"check_type":14}},"receiptDetails":[]}`, 0)
		},
		"strict-fields": func(t *testing.T, _ *Simulator, o *omniTill) {
			o.sold(teaSale())
			o.code(14, 304, "x", 1)
			o.document(1, 304, "sale", teaSale("items", []object{tea("x", 1)}))
			credit := o.sold(zero("creditSum", 8.5, "creditContract", "C"))
			o.document(31, 0, "creditpay", teaSale("items", []object{tea("itemCodeType", 5)}, "creditContract", "C", "parentDocument", credit["long_id"], "paymentNumber", 1, "residue", 0))
		},
		"http-400": func(t *testing.T, _ *Simulator, o *omniTill) {
			if status, got, err := o.try(o.envelope(99)); status != 400 || !bytes.Contains(got, []byte("1300")) {
				t.Error(status, string(got), err)
			}
		},
		"prepay-lines": func(t *testing.T, _ *Simulator, o *omniTill) {
			advance := o.document(34, 0, "prepay", teaSale())
			o.document(1, 628, "sale", zero("prepaymentSum", 8.5, "parents", []any{advance["long_id"]}, "items", []object{tea("itemCode", "8")}))
		},
		"duplicate-639": func(t *testing.T, _ *Simulator, o *omniTill) {
			sale := o.sold(teaSale())
			o.ok(10, "fiscalId", sale["long_id"])
			o.code(10, 639, "fiscalId", sale["long_id"])
		},
	}
	for name := range Omnitech.Quirks() {
		try, ok := tests[name]
		if !ok {
			t.Errorf("quirk %s has no test", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			s, o := openOmnitech(t, quirk(name))
			try(t, s, o)
		})
	}
}
