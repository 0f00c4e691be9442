package simulator

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"
)

// maxItems is the token's limit of lines.
const maxItems = 201

// The taxes as one public client names them (section 5.1).
const marginTaxName = "Ticarət əlavəsi 18%"

var taxNames = map[string]int64{"ƏDV 18%": 1800, marginTaxName: 1800, "ƏDV-dən azad": 0, "SV-2%": 200, "SV-8%": 800}

// draft reads the document that /sale, /refund and /prepay share (section 5.1).
// It is complete but for what the token gives it.
func (c *call) draft(kind Kind) *Document {
	f := c.f
	d := &Document{Kind: kind, Client: c.client()}
	if c.classic { // not marked optional there
		for _, name := range []string{"docNumber", "employeeName", "currency", "amount"} {
			if !f.has(name) {
				f.missing(name)
			}
		}
	}
	if cur := f.text("currency"); cur != "" && cur != "AZN" {
		f.blame(codeParameter, "parameter currency is %q, not AZN", cur)
	}
	c.ignored()
	d.Items = c.items()
	var sum int64
	for _, it := range d.Items {
		sum += it.Amount
	}
	d.Amount = sum
	if f.has("amount") {
		if d.Amount = c.amount("amount"); d.Amount != sum {
			f.blame(codeSum, "the amount is %d, but the lines add up to %d", d.Amount, sum)
		}
	}
	if d.Amount == 0 {
		f.blame(codeParameter, "the amount is 0")
	}
	d.Payments = c.payments(d)
	if kind != Prepay {
		d.Advance = f.text("prepayDocID")
	}
	if d.Payments.Prepaid > 0 && d.Advance == "" {
		f.blame(codeNoPrepay, "prepaymentAmount needs prepayDocID, the fiscal id of the advance")
	}
	if kind == Refund {
		c.parent(d)
	}
	if d.Payments.Credit > 0 && d.Client.Contract == "" && kind == Sale {
		f.blame(codeParameter, "creditAmount needs creditContract")
	}
	d.Client.Fingerprint = c.fingerprint(d)
	return d
}

// parent reads what a refund refers to. N does not mark it as required; a token
// has no refund without a parent, so it is, unless the quirk says otherwise.
func (c *call) parent(d *Document) {
	d.Parent = c.f.text("parentDocID")
	if d.Parent == "" && !c.quirks.has(quirkRefundNoParent) {
		c.f.missing("parentDocID")
	}
	num := c.f.text("parentDocNum")
	if p := c.v.tok.byFiscal[d.Parent]; p != nil && num != "" && num != fiscalNum(p) {
		c.f.blame(codeNotFound, "parentDocNum is %q, but that document has the number %s", num, fiscalNum(p))
	}
	if p := c.v.tok.byFiscal[d.Parent]; p != nil && p.Kind == CreditPay {
		c.f.blame(codeNotFound, "parentDocID names a repayment, which has no refund here")
	}
	for _, at := range []*fields{c.f, c.f.object("payments")} { // places: section 11, point 11
		if at != nil {
			at.text("checkNum")
			at.int("originAmount")
		}
	}
}

// client reads what the sender says about itself and its document.
func (c *call) client() Client {
	f := c.f
	cl := Client{
		Number:     f.text("docNumber"),
		Time:       c.time("docTime"),
		Cashier:    f.text("employeeName"),
		Till:       f.text("wsName"),
		Department: f.text("departmentName"),
		Footer:     f.note("printFooter"),
		Contract:   f.text("creditContract"),
		RRN:        f.text("rrn"),
		Key:        c.key(),
	}
	if first, last := f.text("employeeFirstName"), f.text("employeeLastName"); cl.Cashier == "" && !c.classic {
		cl.Cashier = strings.TrimSpace(first + " " + last)
	}
	f.text("departmentCode")
	return cl
}

// key reads documentExtID: an integer in the old editions, a string in N (section
// 10).
func (c *call) key() string {
	if c.quirks.has(quirkExtIDEither) {
		s := c.f.idText("documentExtID")
		if c.classic && strings.Trim(s, "0123456789") != "" {
			c.f.wrongType("documentExtID", "an integer or digits")
		}
		return s
	}
	if !c.classic {
		return c.f.text("documentExtID")
	}
	if !c.f.has("documentExtID") {
		return ""
	}
	n, isNumber := c.f.m["documentExtID"].(json.Number)
	if !isNumber {
		c.f.wrongType("documentExtID", "an integer")
		return ""
	}
	c.f.whole("documentExtID", n.String(), maxID)
	return n.String()
}

// amount is an integer in N; the old tables call it a string.
func (c *call) amount(name string) int64 {
	if c.classic {
		return c.f.intOrDigits(name)
	}
	return c.f.int(name)
}

// ignored checks the types of what is accepted and has no effect.
func (c *call) ignored() {
	f := c.f
	for _, name := range []string{"prepayDocNum", "clientPhone", "clientName"} {
		f.text(name)
	}
	f.int("tips")
	f.int("cashback")
	f.flag("skipReceiptPrint")
	f.idText("documentID") // not known at first; a sale is never looked up by it
	if len(f.list("extraPayments")) > 0 {
		f.blame(codePayment, "extraPayments: no other payment type is set up")
	}
}

func (c *call) items() []Item {
	list := c.f.list("items")
	if len(list) == 0 {
		c.f.missing("items")
	}
	if len(list) > maxItems {
		c.f.blame(codeParameter, "items: %d lines are more than the %d that a document may have", len(list), maxItems)
		return nil
	}
	out := make([]Item, 0, len(list))
	for _, f := range list {
		out = append(out, c.item(f))
	}
	return out
}

func (c *call) item(f *fields) Item {
	it := Item{
		ID:       f.needText("itemId"),
		Name:     f.needText("itemName"),
		Unit:     f.text("itemUnit"),
		Quantity: f.needInt("itemQty"),
		Amount:   f.needInt("itemAmount"),
		Discount: f.int("discount"),
	}
	if it.Quantity == 0 {
		f.blame(codeParameter, "parameter %sitemQty is 0", f.path)
	}
	if c.quirks.has(quirkStrictNames) && strings.ContainsFunc(it.Name, func(r rune) bool { return !strings.ContainsRune(nameAlphabet, r) }) {
		f.blame(codeParameter, "parameter %sitemName holds a character that the token does not know", f.path)
	}
	f.idText("itemCodeType")
	if _, number := f.m["itemQRCode"].(json.Number); !number { // an integer in the table, "" in the example
		f.note("itemQRCode")
	}
	f.idText("itemCode")
	f.idText("itemUnitCode")
	f.text("itemBarcode")
	f.int("itemAttr")
	f.number("discountPrc")
	f.note("textToPrint")
	f.note("extraData")
	c.tax(f, &it)
	return it
}

// nameAlphabet is what the token allows in names: letters of the languages in use,
// digits and some punctuation. Quotes, ? : ; brackets and emoji are not in it.
const nameAlphabet = " 0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" +
	"АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгдеёжзийклмнопрстуфхцчшщъыьэюя" +
	"ÇƏĞIİÖŞÜçəğıiöşüҒӘЈҜӨҮҺҸЎғәјҝөүһҹў!@#$%^&*()_-+=/,.<>`~"

// tax reads the one tax of a line. A line has exactly one: Azerbaijan knows no
// second (rules, section 5).
func (c *call) tax(f *fields, it *Item) {
	taxes := f.list("itemTaxes")
	if len(taxes) == 0 {
		f.missing("itemTaxes")
		return
	}
	if len(taxes) > 1 {
		f.blame(codeParameter, "parameter %sitemTaxes has %d entries: a line has one tax", f.path, len(taxes))
	}
	t := taxes[0]
	it.TaxName, it.TaxRate = t.needText("taxName"), t.needInt("taxPrc")
	t.text("taxCode")
	t.text("fullName")
	if t.has("calcType") {
		if n := t.int("calcType"); n < 1 || n > 3 {
			t.blame(codeParameter, "parameter %scalcType must be 1, 2 or 3", t.path)
		}
	}
	rate, known := taxNames[it.TaxName]
	switch r := it.TaxRate; {
	case r > 10000 || r > 0 && r < 100: // most likely not scaled by 100
		t.blame(codeTaxWrong, "parameter %staxPrc is %d: percent × 100 is wanted, as 1800", t.path, r)
	case r != 0 && r != 200 && r != 800 && r != 1800:
		t.blame(codeTaxUnknown, "parameter %staxPrc is %d: only 0, 200, 800 and 1800 are allowed", t.path, r)
	case c.quirks.has(quirkStrictTaxNames) && (!known || rate != r):
		t.blame(codeTaxWrong, "parameter %staxName %q does not belong to %d", t.path, it.TaxName, r)
	}
	c.margin(f, it)
}

// margin reads the trade margin. The tax is told by its name; the amounts belong
// to it and to no other (section 5.1).
func (c *call) margin(f *fields, it *Item) {
	it.Margin = strings.Contains(strings.ToLower(it.TaxName), "ticarət əlavəsi")
	price, sum := f.int("itemMarginPrice"), f.int("itemMarginSum")
	if !it.Margin {
		if price > 0 || sum > 0 {
			f.blame(codeParameter, "parameter %sitemMarginSum belongs to the margin tax only", f.path)
		}
		return
	}
	if !f.has("itemMarginPrice") {
		f.missing("itemMarginPrice")
	}
	if !f.has("itemMarginSum") {
		f.missing("itemMarginSum")
	}
	if it.TaxRate != 1800 {
		f.blame(codeTaxWrong, "parameter %sitemTaxes: the margin tax is 1800", f.path)
	}
	it.MarginSum = sum
	if c.quirks.has(quirkMarginPurchase) {
		it.MarginSum = max(0, it.Amount-sum)
	}
}

// payments reads and settles them. Types that a restaurant's register has no use
// for are refused as not supported (7).
func (c *call) payments(d *Document) Payments {
	f := c.f.object("payments")
	if f == nil {
		c.f.blame(codeNotPaid, "nothing was paid: payments is missing")
		return Payments{}
	}
	p := Payments{Cash: f.int("cashAmount"), Cashless: f.int("cashlessAmount"), Bonus: f.int("bonusesAmount"),
		Prepaid: f.int("prepaymentAmount"), Credit: f.int("creditAmount")}
	for _, name := range []string{"prepaymentCashlessAmount", "installmentAmount", "invoiceAmount", "otherAmount"} {
		if f.int(name) > 0 {
			f.blame(codePayment, "payment type %s is not supported", name)
		}
	}
	if rrn := f.text("rrn"); rrn != "" {
		d.Client.RRN = rrn
	}
	f.text("cardNumber")
	f.text("bankName")
	if d.Kind == Prepay && (p.Prepaid > 0 || p.Credit > 0) {
		f.blame(codePayment, "an advance cannot be paid by an advance or on credit")
	}
	return p
}

// fingerprint is the business content of a document, to tell a repeat under the
// same key from another document. Times, numbers and names of people are not
// content, and neither is the way the JSON is written.
func (c *call) fingerprint(d *Document) string {
	content, err := json.Marshal([]any{d.Kind, d.Amount, d.Payments, d.Items, d.Parent, d.Advance, d.Client.Contract})
	if err != nil {
		panic(err) // plain data
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:8])
}

// date reads yyyy-MM-dd; anything else is code 14.
func (c *call) date(name string) time.Time {
	s := c.f.needText(name)
	t, err := time.ParseInLocation("2006-01-02", s, baku)
	if err != nil {
		c.f.blame(codeDate, "parameter %s is %q, not yyyy-MM-dd", name, s)
	}
	return t
}
