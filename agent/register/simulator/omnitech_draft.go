package simulator

import (
	"encoding/json"
	"strings"
)

// omniPercents are the rates of section 4.1, as percent × 100.
var omniPercents = map[int64]bool{1800: true, 800: true, 200: true, 0: true}

// omniCreditPay is the check_type whose item carries another price (section 4.5).
const omniCreditPay = 31

// omniPaper is what a document says about itself on the wire: sum is beside its
// prepayment and credit, incoming is the cash handed over.
type omniPaper struct {
	*Document
	sum      int64
	incoming int64
	vat      []VAT // as sent
}

// parameters opens tokenData of a document and checks what names it. The cash
// documents are shown without doc_type (section 4), so they need none.
func (c *omniCall) parameters(docType string) (parameters, data *omniFields) {
	token := c.req.object("tokenData", true)
	if token == nil {
		return nil, nil
	}
	if op := token.text("operationId", docType != ""); op != "createDocument" && (op != "" || docType != "") {
		token.blame(omniOperationID, "%soperationId is %q, not createDocument", token.path, op)
	}
	if v := token.whole("version", docType != ""); v != 1 && (v != 0 || docType != "") {
		token.blame(omniVersion, "%sversion is %d, not 1", token.path, v)
	}
	parameters = token.object("parameters", true)
	if parameters == nil {
		return nil, nil
	}
	if docType != "" {
		if got := parameters.text("doc_type", true); got != docType {
			parameters.blame(omniDocType, "%sdoc_type is %q, but check_type %d makes a %s", parameters.path, got, c.check, docType)
		}
	}
	parameters.whole("prev_doc_number", false)
	return parameters, parameters.object("data", true)
}

// intRef reads our reference, which the page writes as a string and some clients
// as a number.
func (c *omniCall) intRef() string {
	if n, ok := c.req.m["int_ref"].(json.Number); ok {
		c.req.asked["int_ref"] = true
		return n.String()
	}
	return c.req.text("int_ref", false)
}

// draft reads what the documents with items and sums share (section 4.1).
func (c *omniCall) draft(kind Kind, data *omniFields) *omniPaper {
	p := &omniPaper{Document: &Document{Kind: kind, Client: Client{Key: c.ref, Footer: c.details()}}}
	p.Client.Cashier = data.limited("cashier", 64, omniCashier)
	if cur := data.text("currency", true); cur != "AZN" {
		data.blame(omniCurrency, "%scurrency is %q, not AZN", data.path, cur)
	}
	p.sum = data.money("sum", true)
	p.Payments = Payments{
		Cash:     data.money("cashSum", true),
		Cashless: data.money("cashlessSum", true),
		Bonus:    data.money("bonusSum", true),
		Prepaid:  data.money("prepaymentSum", true),
		Credit:   data.money("creditSum", true),
	}
	p.Amount = p.Payments.Total()
	if p.Amount == 0 {
		data.blame(omniDocTotal, "the document is about nothing: all its sums are 0")
	}
	p.incoming = data.money("incomingSum", false)
	p.vat = c.vatAmounts(data)
	if kind != Correction {
		p.Items = c.items(data)
	}
	p.VAT = p.vat
	return p
}

// vatAmounts reads the turnovers by rate (section 6). A line without a percent is
// no object of VAT.
func (c *omniCall) vatAmounts(data *omniFields) []VAT {
	out := []VAT{}
	list := data.list("vatAmounts", true)
	if len(list) == 0 || len(list) > len(omniPercents)+1 {
		data.blame(omniVATPercent, "%svatAmounts has %d lines: one a rate is wanted", data.path, len(list))
		return out
	}
	for _, f := range list {
		v := VAT{Rate: c.percent(f, "vatPercent"), Turnover: f.money("vatSum", true)}
		v.Tax = taxIn(v.Turnover, v.Rate)
		for _, other := range out {
			if other.Rate == v.Rate {
				f.blame(omniVATPercent, "%svatPercent is there twice", f.path)
			}
		}
		out = append(out, v)
	}
	return out
}

func (c *omniCall) percent(f *omniFields, name string) int64 {
	if !f.has(name) {
		f.asked[name] = true
		return NoVAT
	}
	rate := f.decimal(name, 2, true)
	if !omniPercents[rate] {
		f.blame(omniVATPercent, "%s%s: only 18, 8, 2 and 0 are allowed", f.path, name)
	}
	if c.quirks.has(quirkVATFenced) && (rate == 200 || rate == 800) {
		f.blame(omniRegistration, "VAT %s does not match the registration of the seller", percent(rate))
	}
	return rate
}

func (c *omniCall) items(data *omniFields) []Item {
	list := data.list("items", false)
	switch {
	case len(list) == 0:
		data.blame(omniNoItems, "%sitems is empty", data.path)
	case len(list) > maxItems:
		data.blame(omniTooManyItems, "%sitems: %d are more than the %d that a document may have", data.path, len(list), maxItems)
		return nil
	}
	out := make([]Item, 0, len(list))
	for _, f := range list {
		out = append(out, c.item(f))
	}
	return out
}

var omniUnits = []string{"ədəd", "kq", "litr", "m", "m²", "m³"}

func (c *omniCall) item(f *omniFields) Item {
	it := Item{
		Name:     f.text("itemName", true),
		ID:       f.limited("itemCode", 32, omniItemCode),
		Quantity: f.decimal("itemQuantity", 3, true),
		Amount:   f.money("itemSum", true),
		TaxRate:  c.percent(f, "itemVatPercent"),
	}
	if len(it.Name) < 1 || len(it.Name) > maxText {
		f.blame(omniName, "%sitemName has %d bytes: 1 to %d are allowed", f.path, len(it.Name), maxText)
	}
	for _, r := range it.Name {
		if !strings.ContainsRune(nameAlphabet, r) && (r != '"' || !c.quirks.has(quirkQuotes)) {
			f.blame(omniCharacter, "%sitemName holds %q, which the token does not know", f.path, r)
		}
	}
	if kind := f.whole("itemCodeType", true); kind > 5 || c.check == omniCreditPay && kind != 5 {
		f.blame(omniCodeType, "%sitemCodeType must be 0 to 5, and 5 in a credit payment", f.path)
	}
	if u := f.whole("itemQuantityType", false); u < int64(len(omniUnits)) {
		it.Unit = omniUnits[u]
	} else {
		f.blame(omniSchema, "%sitemQuantityType must be 0 to 5", f.path)
	}
	if it.Quantity == 0 {
		f.blame(omniSchema, "%sitemQuantity is 0", f.path)
	}
	if it.TaxRate == NoVAT && c.quirks.has(quirkPercentNeeded) {
		f.blame(omniVATPercent, "%sitemVatPercent is missing", f.path)
	}
	f.money("discount", false) // informational only
	price := f.money("itemPrice", true)
	if c.check != omniCreditPay && !omniNear(it.Amount, price, it.Quantity) {
		f.blame(omniLineTotal, "%sitemSum is %s, but %s × %s", f.path, money(it.Amount), money(price), quantity(it.Quantity))
	}
	c.margin(f, &it, price)
	it.TaxName = taxLabel(it.TaxRate)
	if it.Margin {
		it.TaxName = marginTaxName
	}
	return it
}

// omniNear is the rounding of a line (section 7): |sum − price × quantity| ≤ 0.01 ×
// quantity + 0.01, worked out in thousandths of a qəpik.
func omniNear(sum, price, qty int64) bool {
	if price > 0 && qty > maxNumber*1000/price {
		return false // beyond any sum that is allowed
	}
	d := sum*1000 - price*qty
	return max(d, -d) <= qty+1000
}

// margin reads the trade margin (section 6): the margin is taxed, the rest is not.
func (c *omniCall) margin(f *omniFields, it *Item, price int64) {
	it.Margin = f.has("itemMarginPrice") || f.has("itemMarginSum")
	each, sum := f.money("itemMarginPrice", it.Margin), f.money("itemMarginSum", it.Margin)
	switch {
	case !it.Margin:
	case each > price:
		f.blame(omniMarginPrice, "%sitemMarginPrice is above the price", f.path)
	case sum > it.Amount:
		f.blame(omniMarginSum, "%sitemMarginSum is above itemSum", f.path)
	case !omniNear(sum, each, it.Quantity):
		f.blame(omniMarginRatio, "%sitemMarginSum is %s, but %s × %s", f.path, money(sum), money(each), quantity(it.Quantity))
	}
	it.MarginSum = sum
}

// details reads the extra printed lines (section 4.7).
func (c *omniCall) details() string {
	list := c.body.list("receiptDetails", false)
	if len(list) > 4 {
		c.body.blame(omniTooLong, "receiptDetails has %d entries: at most 4 are allowed", len(list))
	}
	var lines []string
	barcodes := 0
	for _, f := range list {
		t, key, value := f.whole("t", true), f.text("k", false), f.text("v", true)
		if t > 3 {
			f.blame(omniSchema, "%st must be 0 to 3", f.path)
		}
		if t == 2 {
			barcodes++
		}
		if (t == 0 || t == 3) && key != "" {
			f.blame(omniSchema, "%sk must be empty for t %d", f.path, t)
		}
		if len([]rune(value)) > 36 || len([]rune(key)) > 36 {
			f.blame(omniTooLong, "%sv has more than 36 characters", f.path)
		}
		if key != "" {
			value = key + ": " + value
		}
		lines = append(lines, value)
	}
	if barcodes > 1 {
		c.body.blame(omniSchema, "receiptDetails has %d barcodes: one is allowed", barcodes)
	}
	return strings.Join(lines, "\n")
}

func (p *omniPaper) itemsTotal() int64 {
	var n int64
	for _, it := range p.Items {
		n += it.Amount
	}
	return n
}

// turnovers are the sums of the items by rate, as vatAmounts must have them.
func (p *omniPaper) turnovers() map[int64]int64 {
	out := map[int64]int64{}
	for _, it := range p.Items {
		if it.Margin {
			out[it.TaxRate] += it.MarginSum
			out[NoVAT] += it.Amount - it.MarginSum
		} else {
			out[it.TaxRate] += it.Amount
		}
	}
	return out
}

// checkVAT is sections 6 and 7: each rate of the items appears and no other, and
// the sums make up sum. Exact says that nothing was paid beside sum, so each rate
// must have its own sum; else how it shrinks is not described, so it may only not
// be more than the items have.
func (p *omniPaper) checkVAT(f *omniFields, exact bool) {
	want := p.turnovers()
	var total int64
	for _, v := range p.vat {
		total += v.Turnover
		due, ok := want[v.Rate]
		switch drift := v.Turnover - due; {
		case !ok:
			f.blame(omniVATPercent, "vatAmounts: no item has the rate %s", taxLabel(v.Rate))
		case drift > 1 || exact && drift < -1:
			f.blame(omniVATTotal, "vatAmounts: %s has %s, but its items have %s", taxLabel(v.Rate), money(v.Turnover), money(due))
		}
		delete(want, v.Rate)
	}
	for rate, due := range want {
		if due > 0 {
			f.blame(omniVATPercent, "vatAmounts: the rate %s of the items is not there", taxLabel(rate))
		}
	}
	p.checkVATSum(f, total)
}

func (p *omniPaper) checkVATSum(f *omniFields, total int64) {
	if d := p.sum - total; max(d, -d) > 1 {
		f.blame(omniVATTotal, "vatAmounts make %s, but sum is %s", money(total), money(p.sum))
	}
}

// checkPaid is the balance of everything but money back: sum is what is paid now.
func (p *omniPaper) checkPaid(f *omniFields) {
	if now := p.Payments.Cash + p.Payments.Cashless + p.Payments.Bonus; p.sum != now {
		f.blame(omniDocTotal, "sum is %s, but cash, cashless and bonus make %s", money(p.sum), money(now))
	}
}

// checkChange is incomingSum: what was handed over for the cash part, 0 when there
// is none (sections 4.1 and 10).
func (p *omniPaper) checkChange(f *omniFields) {
	cash := p.Payments.Cash
	switch {
	case cash == 0 && p.incoming > 0:
		f.blame(omniChange, "incomingSum is %s, but nothing is paid in cash", money(p.incoming))
	case cash > 0 && p.incoming < cash:
		f.blame(omniChange, "incomingSum is %s, less than the cashSum of %s", money(p.incoming), money(cash))
	case cash > 0:
		p.Change = p.incoming - cash
	}
}

// checkItems says whether the lines make up due within drift.
func (p *omniPaper) checkItems(f *omniFields, due, drift int64) {
	if d := p.itemsTotal() - due; max(d, -d) > drift {
		f.blame(omniItemsTotal, "the items make %s, but the sums %s", money(p.itemsTotal()), money(due))
	}
}

// noOther refuses prepayment and credit where they have no place.
func (p *omniPaper) noOther(f *omniFields) {
	if p.Payments.Prepaid > 0 || p.Payments.Credit > 0 {
		f.blame(omniNotAllowed, "prepaymentSum and creditSum have no place here")
	}
}

func (p *omniPaper) contract(f *omniFields, needed bool) {
	p.Client.Contract = f.text("creditContract", false)
	if n := len([]rune(p.Client.Contract)); n > 64 || n == 0 && needed {
		f.blame(omniContract, "%screditContract has %d characters: 1 to 64 are allowed", f.path, n)
	}
}

// moneyBackTypes are the kinds of parent by moneyBackType (section 4.3).
var moneyBackTypes = map[int64]Kind{0: Sale, 6: Prepay, 7: CreditPay}
