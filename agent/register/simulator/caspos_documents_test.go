package simulator

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestCasposSale_IsFiscalAndGivesChange(t *testing.T) {
	s, c := openCaspos(t, func(cfg *Config) { cfg.Clock = testClock })
	out := c.done("sale", roll("u1"))
	d := count(t, s, 1)[0]
	if out["document_id"] != d.FiscalID || out["short_document_id"] != d.FiscalID[:12] || out["document_number"] != 1.0 ||
		out["shift_document_number"] != 1.0 || out["number"] != "231126A1A1000001" || out["totalSum"] != 8.5 || out["rrn"] != "null" {
		t.Errorf("answer: %v", out)
	}
	if d.Client.Key != "u1" || d.Change != 150 || d.Payments.Cash != 850 || d.VAT[0] != (VAT{Rate: 1800, Turnover: 850, Tax: 130}) || s.State().Drawer != 850 {
		t.Errorf("document: %+v", d)
	}
	for _, want := range []string{"Çörək 7", "Əli", "masa 7", d.ShortID, "1.50"} {
		if !strings.Contains(s.Paper(), want) {
			t.Errorf("no %q on the paper:\n%s", want, s.Paper())
		}
	}
}

// TestCasposSale_IsRefused goes through the rules of a sale and the codes of
// section 13.
func TestCasposSale_IsRefused(t *testing.T) {
	s, c := openCaspos(t)
	pay := func(changes ...any) object { return with(roll("u"), append([]any{"cashPayment", nil}, changes...)...) }
	many := make([]object, 202)
	for i := range many {
		many[i] = goods("7", 1, 1, 1)
	}
	for _, tc := range []struct {
		name string
		doc  object
		code string
	}{
		{"no data", nil, "304"},
		{"no uuid", with(roll(""), "documentUUID", nil), "304"},
		{"uuid a number", with(roll(""), "documentUUID", 5), "304"},
		{"no cashier", with(roll("u"), "cashierName", nil), "304"},
		{"cashier too long", with(roll("u"), "cashierName", strings.Repeat("ə", 65)), "608"},
		{"no currency", with(roll("u"), "currency", nil), "606"},
		{"other currency", with(roll("u"), "currency", "USD"), "606"},
		{"no items", with(roll("u"), "items", nil), "610"},
		{"empty items", with(roll("u"), "items", []object{}), "610"},
		{"items no array", with(roll("u"), "items", object{}), "304"},
		{"item no object", with(roll("u"), "items", []any{1}), "304"},
		{"too many items", with(roll("u"), "items", many), "620"},
		{"no name", with(roll("u"), "items", rollItem("name", "")), "635"},
		{"name too long", with(roll("u"), "items", rollItem("name", strings.Repeat("ə", 256))), "635"},
		{"quotes in a name", with(roll("u"), "items", rollItem("name", `Şorba "Dovğa"`)), "1206"},
		{"no code", with(roll("u"), "items", rollItem("code", nil)), "609"},
		{"code too long", with(roll("u"), "items", rollItem("code", strings.Repeat("1", 33))), "609"},
		{"codeType unknown", with(roll("u"), "items", rollItem("codeType", 4)), "612"},
		{"quantityType unknown", with(roll("u"), "items", rollItem("quantityType", 6)), "304"},
		{"no vatType", with(roll("u"), "items", rollItem("vatType", nil)), "304"},
		{"vatType 4", with(roll("u"), "items", rollItem("vatType", 4)), "616"},
		{"quantity 0", with(roll("u"), "items", rollItem("quantity", 0)), "614"},
		{"quantity too fine", with(roll("u"), "items", rollItem("quantity", 1.0005)), "1002"},
		{"price too fine", with(roll("u"), "items", rollItem("salePrice", 8.505)), "1002"},
		{"price a string", with(roll("u"), "items", rollItem("salePrice", "8.50")), "1002"},
		{"no price", with(roll("u"), "items", rollItem("salePrice", nil)), "304"},
		{"negative price", with(roll("u"), "items", rollItem("salePrice", -1)), "1003"},
		{"line sum off", with(roll("u"), "items", rollItem("sum", 8.53)), "614"},
		{"price × quantity huge", with(roll("u"), "items", rollItem("salePrice", 9e9, "quantity", 9e8)), "614"},
		{"margin without purchase price", with(roll("u"), "items", rollItem("vatType", 2)), "617"},
		{"margin below 0", with(roll("u"), "items", rollItem("vatType", 2, "purchasePrice", 8.51)), "617"},
		{"markingCodes no array", with(roll("u"), "items", rollItem("markingCodes", "x")), "304"},
		{"total 0", with(roll("u"), "items", rollItem("salePrice", 0), "cashPayment", 0), "607"},
		{"nothing paid", pay(), "607"},
		{"too little paid", pay("cashPayment", 8.49), "607"},
		{"change from a card", pay("cardPayment", 8.51), "629"},
		{"payment a string", pay("cashPayment", "8.50"), "1002"},
		{"credit without contract", pay("creditPayment", 8.50), "630"},
		{"credit without payer", pay("creditPayment", 8.50, "creditContract", "K"), "631"},
		{"advance without its id", pay("depositPayment", 8.50), "641"},
		{"advance by short id", pay("depositPayment", 8.50, "prepaymentDocumentId", "BX2RFjuzMF1v"), "615"},
		{"advance unknown", pay("depositPayment", 8.50, "prepaymentDocumentId", strings.Repeat("x", 43)), "628"},
		{"rrn without a card", with(roll("u"), "rrn", "123456789012"), "648"},
		{"rrn too long", pay("cardPayment", 8.50, "rrn", strings.Repeat("1", 17)), "646"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c.says("sale", tc.doc, tc.code)
			count(t, s, 0)
		})
	}
}

func TestCasposSale_EachTaxIsWorkedOut(t *testing.T) {
	s, c := openCaspos(t)
	items := []object{goods("1", 1, 1.40, 1), with(goods("2", 2, 5, 2), "purchasePrice", 4), goods("3", 1, 3, 3), goods("5", 1, 2, 5), goods("6", 1, 1, 6), goods("7", 1.5, 1, 7)}
	c.done("sale", with(roll("u"), "items", items, "cashPayment", 0, "cardPayment", 18.90, "rrn", "123456789012"))
	d := s.Ledger()[0]
	want := []VAT{{Rate: 1800, Turnover: 340, Tax: 52}, {Rate: NoVAT, Turnover: 300}, {Rate: 0, Turnover: 200}, {Rate: 200, Turnover: 100, Tax: 2}, {Rate: 800, Turnover: 150, Tax: 12}}
	if fmt.Sprint(d.VAT) != fmt.Sprint(want) || d.Amount != 1890 || d.Client.RRN != "123456789012" {
		t.Errorf("%+v", d)
	}
}

func TestCasposSale_RoundsAsTheTokenDoes(t *testing.T) {
	s, c := openCaspos(t)
	// 0.333 × 3.33 is 1.10889; the line may say 1.10 to 1.12.
	third := func(sum any) object {
		return with(roll(fmt.Sprint(sum)), "items", []object{with(goods("1", 0.333, 3.33, 1), "sum", sum)})
	}
	c.done("sale", third(nil))
	c.done("sale", third(1.10))
	c.done("sale", third(1.12))
	c.says("sale", third(1.13), "614")
	docs := count(t, s, 3)
	if docs[0].Amount != 111 || docs[1].Amount != 110 || docs[2].Amount != 112 {
		t.Errorf("%d %d %d", docs[0].Amount, docs[1].Amount, docs[2].Amount)
	}
}

func TestCasposUUID_ASeenOneReturnsTheEarlierResult(t *testing.T) {
	s, c := openCaspos(t)
	first := c.done("sale", roll("a"))
	out := c.answered("sale", roll("a"))
	if out["code"] != "1" || out["message"] != "Təkrar satış" || ids(out["data"].(object)) != ids(first) {
		t.Errorf("%v", out)
	}
	// Whatever it comes with: section 8 knows no look at the content.
	if again := c.says("deposit", object{"documentUUID": "a", "sum": 1, "cashierName": "Əli", "currency": "AZN"}, "1"); ids(again) != ids(first) {
		t.Errorf("%v", again)
	}
	c.done("closeShift", object{"documentUUID": "z", "cashierName": "Əli"})
	if again := c.says("sale", roll("a"), "1"); ids(again) != ids(first) {
		t.Errorf("after Z: %v", again)
	}
	count(t, s, 1)
}

func TestCasposUUID_InTheOtherReadings(t *testing.T) {
	s, c := openCaspos(t, quirk("repeat-without-ids", "uuids-forgotten-at-z"))
	c.done("sale", roll("a"))
	if again := c.says("sale", roll("a"), "1"); len(again) != 0 {
		t.Errorf("%v", again)
	}
	c.done("closeShift", object{"documentUUID": "z", "cashierName": "Əli"})
	c.says("closeShift", object{"documentUUID": "z", "cashierName": "Əli"}, "503")
	c.done("openShift", object{"sum": 0, "cashierName": "Əli"})
	c.done("sale", roll("a"))
	count(t, s, 2)
}

func TestCasposShift_DocumentsNeedOneThatIsNotTooOld(t *testing.T) {
	s, c := startCaspos(t)
	in := object{"documentUUID": "d", "sum": 5, "cashierName": "Əli", "currency": "AZN"}
	c.says("sale", roll("a"), "503")
	c.says("deposit", in, "503")
	c.done("openShift", object{"sum": 0, "cashierName": "Əli"})
	s.SetClock(24*time.Hour + time.Minute)
	if out := c.answered("sale", roll("a")); out["code"] != "504" || out["message"] != "document: invalid shift duration" {
		t.Errorf("%v", out)
	}
	c.says("deposit", in, "504")
	c.done("closeShift", object{"documentUUID": "z", "cashierName": "Əli"})
	c.done("openShift", object{"sum": 0, "cashierName": "Əli"})
	c.done("sale", roll("a"))
}

func TestCasposMoneyBack_IsBoundToWhatWasSold(t *testing.T) {
	s, c := openCaspos(t)
	sale := c.done("sale", with(roll("s"), "items", []object{goods("1", 2, 10, 1), goods("2", 1, 10, 1)}, "cashPayment", 0, "cardPayment", 30))
	one := goods("1", 1, 10, 1)
	back := func(uuid string, changes ...any) object { return with(backOf(uuid, sale, 10, one), changes...) }
	c.says("moneyBack", back("b", "parentDocumentId", nil), "641")
	c.says("moneyBack", back("b", "parentDocumentId", sale["short_document_id"]), "615")
	c.says("moneyBack", back("b", "parentDocumentId", strings.Repeat("x", 44)), "628")
	c.says("moneyBack", back("b", "moneyBackType", nil), "633")
	c.says("moneyBack", back("b", "moneyBackType", 1), "633")
	c.says("moneyBack", back("b", "moneyBackType", 6), "633")
	c.says("moneyBack", back("b", "isManual", nil), "304")
	c.says("moneyBack", back("b", "cashPayment", 9.99), "607")
	c.says("moneyBack", back("b", "cashPayment", 10.01), "607")
	c.says("moneyBack", back("b", "items", []object{goods("9", 1, 10, 1)}), "638")
	c.says("moneyBack", back("b", "items", []object{goods("1", 3, 10, 1)}, "cashPayment", 30), "638")
	first := c.done("moneyBack", back("b1"))
	if again := c.says("moneyBack", back("b1"), "1"); ids(again) != ids(first) {
		t.Errorf("%v", again)
	}
	c.done("moneyBack", back("b2"))
	c.says("moneyBack", back("b3"), "638")
	c.done("closeShift", object{"documentUUID": "z", "cashierName": "Əli"})
	c.done("openShift", object{"sum": 0, "cashierName": "Əli"})
	c.done("moneyBack", back("b4", "items", []object{goods("2", 1, 10, 1)}))
	docs := count(t, s, 4)
	if docs[1].Parent != docs[0].FiscalID || docs[3].VAT[0].Turnover != 1000 {
		t.Errorf("%+v", docs)
	}
}

func TestCasposMoneyBack_ManualLooksAtNothing(t *testing.T) {
	s, c := openCaspos(t)
	sale := c.done("sale", roll("s"))
	twice := with(backOf("m", sale, 17, goods("9", 2, 8.50, 1)), "isManual", true)
	c.done("moneyBack", twice)
	c.done("moneyBack", with(twice, "documentUUID", "m2", "parentDocumentId", strings.Repeat("y", 44)))
	if d := count(t, s, 3)[1]; !d.Manual || d.Parent != sale["document_id"] {
		t.Errorf("%+v", d)
	}
	_, c = openCaspos(t, quirk("refund-manual-limited"))
	sale = c.done("sale", roll("s"))
	c.says("moneyBack", with(backOf("m", sale, 17, goods("7", 2, 8.50, 1)), "isManual", true), "638")
	c.done("moneyBack", with(backOf("m", sale, 8.5, rollItem()[0]), "isManual", true))
	_, c = openCaspos(t, quirk("refund-manual-only"))
	sale = c.done("sale", roll("s"))
	c.says("moneyBack", backOf("m", sale, 8.5, rollItem()[0]), "628")
	c.done("moneyBack", with(backOf("m", sale, 8.5, rollItem()[0]), "isManual", true))
}

func TestCasposMoneyBack_InTheOtherReadings(t *testing.T) {
	_, c := openCaspos(t, quirk("refund-once", "refund-item-uuid"))
	sale := c.done("sale", with(roll("s"), "items", []object{with(goods("7", 2, 4.25, 1), "itemUuid", "line-1")}))
	back := backOf("b", sale, 4.25, goods("7", 1, 4.25, 1))
	c.says("moneyBack", back, "638")
	c.says("moneyBack", with(back, "items", []object{with(goods("7", 1, 4.25, 1), "parentItemUuid", "line-2")}), "638")
	linked := with(back, "items", []object{with(goods("7", 1, 4.25, 1), "itemUuid", "back-1", "parentItemUuid", "line-1")})
	c.done("moneyBack", linked)
	c.says("moneyBack", with(linked, "documentUUID", "b2"), "638")
}

func TestCasposRollBack_RepeatsTheWholeDocument(t *testing.T) {
	s, c := openCaspos(t)
	sale := c.done("sale", roll("s"))
	undo := func(changes ...any) object { return with(undoOf("r", sale), changes...) }
	r := c.atRoot()
	c.says("rollBack", undo(), "304") // cashierName belongs at the root
	c.at(object{"cashierName": "Əli"}).says("rollBack", undo(), "606")
	r.says("rollBack", undo("parentDocumentId", strings.Repeat("x", 43)), "627")
	r.says("rollBack", undo("sum", 8.49), "607")
	r.says("rollBack", undo("cashPayment", 10), "607")
	r.says("rollBack", undo("cashPayment", 0, "cardPayment", 8.5), "607")
	r.says("rollBack", undo("vatAmounts", nil), "613")
	r.says("rollBack", undo("vatAmounts", []object{{"vatType": 1, "vatSum": 1.30}}), "613")
	r.says("rollBack", undo("vatAmounts", []object{{"vatType": 1, "vatSum": 8.5}, {"vatType": 7, "vatSum": 1}}), "616")
	first := r.done("rollBack", undo())
	if again := r.says("rollBack", undo(), "1"); ids(again) != ids(first) {
		t.Errorf("%v", again)
	}
	r.says("rollBack", undo("documentUUID", "r2"), "639")
	c.says("moneyBack", backOf("b", sale, 8.5, rollItem()[0]), "639")
	in := c.done("deposit", object{"documentUUID": "d", "sum": 8.5, "cashierName": "Əli", "currency": "AZN"})
	r.says("rollBack", with(undoOf("r3", in), "vatAmounts", []object{{"vatType": 3, "vatSum": 0}}), "628")
	old := c.done("sale", roll("s2"))
	c.done("closeShift", object{"documentUUID": "z", "cashierName": "Əli"})
	c.done("openShift", object{"sum": 0, "cashierName": "Əli"})
	r.says("rollBack", undoOf("r4", old), "627")
	if d := count(t, s, 4)[1]; d.Kind != Rollback || d.VAT[0].Turnover != 850 {
		t.Errorf("%+v", d)
	}
}

func TestCasposCorrection_IsOfOneTypeAndCanBeRolledBack(t *testing.T) {
	s, c := openCaspos(t)
	r := c.at(object{"cashierName": "Əli"})
	doc := object{"documentUUID": "k", "firstOperationAtUtc": "2026-11-23T10:00:00Z", "lastOperationAtUtc": "2026-11-23T12:00:00Z", "currency": "AZN",
		"cashPayment": 10.50, "cardPayment": 20, "vatType": 3, "note": "jurnal"}
	c.says("correction", doc, "304") // cashierName belongs at the root
	r.says("correction", with(doc, "firstOperationAtUtc", "2026-11-23T14:00:00+04:00"), "642")
	r.says("correction", with(doc, "firstOperationAtUtc", "23.11.2026 14:00:00"), "642")
	r.says("correction", with(doc, "lastOperationAtUtc", "2026-11-23T09:59:59Z"), "642")
	r.says("correction", with(doc, "lastOperationAtUtc", nil), "304")
	r.says("correction", with(doc, "cashPayment", nil, "cardPayment", nil), "607")
	r.says("correction", with(doc, "vatType", 4), "616")
	out := r.done("correction", doc)
	if d := count(t, s, 1)[0]; out["document_id"] != d.FiscalID || out["totalSum"] != 30.5 || out["rrn"] != nil || d.VAT[0] != (VAT{Rate: NoVAT, Turnover: 3050}) {
		t.Errorf("%v %+v", out, d)
	}
	c.atRoot().done("rollBack", object{"documentUUID": "r", "parentDocumentId": out["document_id"], "sum": 30.5, "cashPayment": 10.5, "cardPayment": 20,
		"vatAmounts": []object{{"vatType": 3, "vatSum": 30.5}}})
}

func casposAdvance(uuid string, changes ...any) object {
	return with(object{"documentUUID": uuid, "sum": 10, "vatType": 1, "cashPayment": 20, "cashierName": "Əli", "currency": "AZN", "clientName": "Vəli"}, changes...)
}

func TestCasposAdvance_IsSpentOnItsOwnTaxAndPaidBackInPart(t *testing.T) {
	s, c := openCaspos(t)
	c.says("prepayment", casposAdvance("p", "sum", nil), "304")
	c.says("prepayment", casposAdvance("p", "vatType", 4), "616")
	c.says("prepayment", casposAdvance("p", "cashPayment", 0, "creditPayment", 10), "632")
	adv := c.done("prepayment", casposAdvance("p"))
	spend := func(uuid string, sum float64, vatType int) object {
		return with(roll(uuid), "items", []object{goods("7", 1, 8.50, vatType)}, "cashPayment", 8.5-sum, "depositPayment", sum, "prepaymentDocumentId", adv["document_id"])
	}
	c.says("sale", spend("s1", 6, 7), "616")
	c.done("sale", spend("s1", 6, 1))
	c.says("sale", spend("s2", 4.01, 1), "632")
	back := with(backOf("b", adv, 3), "moneyBackType", 6, "items", nil)
	c.says("moneyBack", with(back, "cashPayment", 4.01), "638")
	c.says("moneyBack", with(back, "moneyBackType", 0, "items", rollItem()), "633")
	c.done("moneyBack", back)
	c.says("sale", spend("s2", 1.01, 1), "632")
	c.done("sale", spend("s2", 1, 1))
	docs := count(t, s, 4)
	if docs[0].VAT[0].Turnover != 1000 || docs[1].VAT[0].Turnover != 250 || docs[2].VAT[0] != (VAT{Rate: 1800, Turnover: 300, Tax: 46}) {
		t.Errorf("%+v", docs)
	}
	_, c = openCaspos(t, quirk("prepayment-id-misspelt"))
	adv = c.done("prepayment", casposAdvance("p"))
	c.says("sale", spend("s", 6, 1), "641")
	c.done("sale", with(spend("s", 6, 1), "prepymentDocumentId", adv["document_id"]))
}

func TestCasposAdvance_MayNameGoodsOfOneType(t *testing.T) {
	s, c := openCaspos(t)
	c.says("prepaymentProducts", casposAdvance("p"), "610")
	c.says("prepaymentProducts", casposAdvance("p", "items", []object{goods("1", 1, 8, 1), goods("2", 1, 8, 7)}), "616")
	c.says("prepaymentProducts", casposAdvance("p", "items", []object{goods("1", 1, 9.99, 1)}), "607")
	c.done("prepaymentProducts", casposAdvance("p", "items", []object{goods("1", 1, 8, 1), goods("2", 1, 8, 1)}))
	if d := count(t, s, 1)[0]; d.Amount != 1000 || d.VAT[0].Turnover != 1000 || d.Change != 1000 {
		t.Errorf("%+v", d)
	}
}

func TestCasposCredit_IsRepaidUpToTheDebtAndGivenBack(t *testing.T) {
	s, c := openCaspos(t)
	sale := c.done("sale", with(roll("s"), "cashPayment", 3.5, "creditPayment", 5, "creditContract", "K-1", "creditPayer", "Vəli"))
	pay := func(uuid string, sum, residue float64, changes ...any) object {
		return with(object{"documentUUID": uuid, "parentDocumentId": sale["document_id"], "cashierName": "Əli", "currency": "AZN", "cashPayment": sum,
			"items": []object{with(goods("7", 1, sum, 1), "realPrice", 8.5)}, "paymentNumber": "1", "residue": residue,
			"creditContract": "K-1", "creditPayer": "Vəli"}, changes...)
	}
	c.says("credit", pay("c", 3, 1.99), "634")
	c.says("credit", pay("c", 3, 2, "paymentNumber", nil), "304")
	c.says("credit", pay("c", 3, 2, "cashPayment", 0, "creditPayment", 3), "632")
	c.says("credit", pay("c", 3, 2, "creditContract", ""), "630")
	c.says("credit", pay("c", 3, 2, "items", []object{goods("7", 1, 3, 1)}), "304")
	c.says("credit", pay("c", 5.01, 0), "632")
	c.says("credit", pay("c", 3, 2, "parentDocumentId", strings.Repeat("x", 43)), "628")
	first := c.done("credit", pay("c1", 3, 2, "cashPayment", 5))
	c.says("credit", pay("c1", 3, 2, "cashPayment", 5), "1")
	c.done("moneyBack", with(backOf("b", first, 1), "moneyBackType", 7, "items", nil))
	c.done("credit", pay("c2", 3, 0))
	c.says("credit", pay("c3", 0.01, 0), "632")
	docs := count(t, s, 4)
	if docs[1].Change != 200 || docs[1].VAT[0].Turnover != 300 || docs[2].VAT[0].Turnover != 100 {
		t.Errorf("%+v", docs)
	}
}

func TestCasposCash_MovesTheDrawer(t *testing.T) {
	s, c := openCaspos(t)
	cash := func(uuid string, sum float64) object {
		return object{"documentUUID": uuid, "sum": sum, "cashierName": "Əli", "currency": "AZN"}
	}
	out := c.done("deposit", cash("d", 50))
	if out["totalSum"] != 0.0 || out["document_number"] != 1.0 {
		t.Errorf("%v", out)
	}
	c.says("deposit", cash("d", 50), "1")
	c.says("deposit", with(cash("e", 50), "currency", nil), "606")
	c.says("deposit", cash("e", 0), "607")
	c.says("withDraw", cash("w", 50.01), "999")
	c.done("withDraw", cash("w", 20))
	if got := s.State().Drawer; got != 3000 {
		t.Errorf("drawer %d", got)
	}
	_, c = openCaspos(t, quirk("cash-id-strings"))
	if out := c.done("deposit", cash("d", 50)); out["document_number"] != "1" {
		t.Errorf("%v", out)
	}
}

func TestCasposSale_InTheOtherReadings(t *testing.T) {
	cheap := func(uuid string, cash float64) object {
		return with(roll(uuid), "items", rollItem("discountAmount", 0.5), "cashPayment", cash)
	}
	_, c := openCaspos(t)
	c.says("sale", cheap("u", 8), "607")
	s, c := openCaspos(t, quirk("discount-subtracted"))
	c.done("sale", cheap("u", 8))
	c.says("sale", with(roll("u2"), "items", rollItem("discountAmount", 8.51)), "614")
	if it := count(t, s, 1)[0].Items[0]; it.Amount != 800 || it.Discount != 50 {
		t.Errorf("%+v", it)
	}
	s, c = openCaspos(t, quirk("line-sum-ignored"))
	c.done("sale", with(roll("u"), "items", rollItem("sum", 8.49)))
	if d := count(t, s, 1)[0]; d.Amount != 850 {
		t.Errorf("%+v", d)
	}
	_, c = openCaspos(t, quirk("cash-net-with-card"))
	c.done("sale", roll("u"))
	c.says("sale", with(roll("v"), "cardPayment", 5), "607")
	c.done("sale", with(roll("v"), "cardPayment", 5, "cashPayment", 3.5))
	s, c = openCaspos(t, quirk("old-vat-types"))
	c.done("sale", with(roll("u"), "items", rollItem("vatType", 5)))
	c.says("sale", with(roll("v"), "items", rollItem("vatType", 7)), "616")
	if d := count(t, s, 1)[0]; d.VAT[0].Rate != 800 {
		t.Errorf("%+v", d)
	}
	_, c = openCaspos(t, quirk("vat-payer", "strict-code-type", "any-name"))
	c.says("sale", with(roll("u"), "items", rollItem("vatType", 7)), "616")
	c.says("sale", with(roll("u"), "items", rollItem("codeType", nil)), "612")
	c.says("sale", with(roll("u"), "items", rollItem("codeType", 1)), "609")
	c.done("sale", with(roll("u"), "items", rollItem("codeType", 2, "code", "4760000000017", "name", `"Dovğa" 🍲`)))
	_, c = openCaspos(t, quirk("number-strings"))
	c.done("sale", with(roll("u"), "items", rollItem("salePrice", "8.50", "quantity", "1.000"), "cashPayment", "8.50"))
	c.says("sale", with(roll("v"), "cashPayment", "8,50"), "1002")
	_, c = openCaspos(t, quirk("names-not-stored", "odd-success-text"))
	if out := c.answered("sale", roll("u")); out["code"] != "1205" || out["data"].(object)["document_id"] == nil {
		t.Errorf("%v", out)
	}
	if out := c.answered("getInfo", nil); out["code"] != "0" || out["message"] != "Successoperation" {
		t.Errorf("%v", out)
	}
}
