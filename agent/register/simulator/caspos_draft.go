package simulator

import "strings"

// Lengths of section 7 and the shared token's rules.
const (
	casposMaxCashier = 64
	casposMaxCode    = 32
	casposMaxParent  = 64
	casposMaxRRN     = 16
	casposIDLength   = 43 // a shorter id is not a long one
)

// casposTax is a vatType (section 4.5).
type casposTax struct {
	name   string
	rate   int64
	margin bool
}

var casposTaxes = map[int64]casposTax{
	1: {name: "ƏDV 18%", rate: 1800},
	2: {name: "Ticarət əlavəsi 18%", rate: 1800, margin: true},
	3: {name: "ƏDV-dən azad", rate: NoVAT},
	5: {name: "ƏDV 0%"},
	6: {name: "SV 2%", rate: 200},
	7: {name: "SV 8%", rate: 800},
}

// casposOldTaxes is the numbering of an older firmware (section 4.5).
var casposOldTaxes = map[int64]casposTax{
	1: casposTaxes[1], 2: casposTaxes[2], 3: casposTaxes[3], 4: casposTaxes[6], 5: casposTaxes[7],
}

// casposUnits are the names of the quantityType (section 4.5).
var casposUnits = []string{"ədəd", "kq", "litr", "m", "m²", "m³"}

func (c *casposCall) tax(f *casposFields) casposTax {
	n := f.integer("vatType")
	taxes := casposTaxes
	if c.quirks.has(quirkCasposOldTaxes) {
		taxes = casposOldTaxes
	}
	t, known := taxes[n]
	switch {
	case n == -1:
		f.missing("vatType")
	case !known:
		f.blame(casposVATTypes, "%svatType is %d: no such type", f.path, n)
	case c.quirks.has(quirkCasposPayer) && (t.rate == 200 || t.rate == 800):
		f.blame(casposVATTypes, "%svatType is %d: this register belongs to a VAT payer", f.path, n)
	}
	return t
}

// draft starts a document with what all of them carry.
func (c *casposCall) draft(kind Kind) *Document {
	return &Document{Kind: kind, Client: Client{Key: c.uuid(), Cashier: c.cashier(c.data)}}
}

// uuid reads the idempotency key (section 8). Nothing says that it must look like a UUID.
func (c *casposCall) uuid() string {
	key := c.data.textUpTo("documentUUID", 64, casposTooLong)
	if key == "" {
		c.data.missing("documentUUID")
	}
	return key
}

func (c *casposCall) cashier(f *casposFields) string {
	name := f.textUpTo("cashierName", casposMaxCashier, casposCashier)
	if name == "" {
		f.missing("cashierName")
	}
	return name
}

// cashierAnywhere is for the operations whose samples put it at the root or in
// data (section 4).
func (c *casposCall) cashierAnywhere() string {
	if c.root.has("cashierName") {
		return c.cashier(c.root)
	}
	return c.cashier(c.data)
}

func (c *casposCall) currency(f *casposFields) {
	if s := f.text("currency"); s != "AZN" {
		f.blame(casposCurrency, "%scurrency is %q, not AZN", f.path, s)
	}
}

func (c *casposCall) payments() Payments {
	f := c.data
	return Payments{Cash: f.money("cashPayment"), Cashless: f.money("cardPayment"), Bonus: f.money("bonusPayment"),
		Credit: f.money("creditPayment"), Prepaid: f.money("depositPayment")}
}

// buyer reads the loyalty block, the note and the card slip (section 4.1).
func (c *casposCall) buyer(d *Document) {
	f := c.data
	d.Client.Footer = f.textUpTo("note", maxNote, casposTooLong)
	f.text("clientName")
	f.text("clientBonusCardNumber")
	for _, name := range []string{"clientTotalBonus", "clientEarnedBonus"} {
		f.money(name)
	}
	for _, name := range []string{"approvalCode", "approval_code", "transactionId", "transaction_id", "transactionNumber", "transaction_number"} {
		f.text(name)
	}
	d.Client.RRN = f.textUpTo("rrn", casposMaxRRN, casposRRNLength)
	if d.Client.RRN != "" && d.Payments.Cashless == 0 {
		f.blame(casposRRNAlone, "rrn is there without a card payment")
	}
}

// parentID reads the long id of another document.
func (c *casposCall) parentID(name, absent string) string {
	id := c.data.textUpTo(name, casposMaxParent, casposParentLength)
	switch {
	case id == "":
		c.data.blame(absent, "%s is missing", name)
	case len(id) < casposIDLength:
		c.data.blame(casposParentLength, "%s has %d characters: the long document id is wanted", name, len(id))
	}
	return id
}

func (c *casposCall) items() []Item {
	list := c.data.list("items")
	if len(list) == 0 {
		c.data.blame(casposNoItems, "there are no items")
	}
	if len(list) > maxItems {
		c.data.blame(casposManyItems, "%d items are more than the %d that a document may have", len(list), maxItems)
		return nil
	}
	out := make([]Item, 0, len(list))
	for _, f := range list {
		out = append(out, c.item(f))
	}
	return out
}

func (c *casposCall) item(f *casposFields) Item {
	it := Item{
		Name:     f.textUpTo("name", maxText, casposNameLength),
		ID:       f.textUpTo("code", casposMaxCode, casposCodeLength),
		Quantity: f.decimal("quantity", 3),
		UUID:     f.text("itemUuid"),
		Parent:   f.text("parentItemUuid"),
	}
	if it.Name == "" {
		f.blame(casposNameLength, "%sname is missing", f.path)
	}
	if it.ID == "" {
		f.blame(casposCodeLength, "%scode is missing", f.path)
	}
	switch {
	case it.Quantity == 0:
		f.blame(casposLineTotal, "%squantity is missing or 0", f.path)
	case it.Quantity > maxNumber/1000: // price × quantity must fit an int64
		f.blame(casposLineTotal, "%squantity is too large", f.path)
		it.Quantity = 0
	}
	if !c.quirks.has(quirkCasposAnyName) && strings.ContainsFunc(it.Name, func(r rune) bool { return !strings.ContainsRune(nameAlphabet, r) }) {
		f.blame(casposBadName, "%sname holds a character that is not allowed", f.path)
	}
	c.codeType(f, it.ID)
	switch n := f.integer("quantityType"); {
	case n >= int64(len(casposUnits)):
		f.blame(casposSchema, "%squantityType is %d, not 0 to 5", f.path, n)
	case n >= 0:
		it.Unit = casposUnits[n]
	}
	f.textUpTo("markingCode", maxNote, casposMarking)
	if _, isList := f.m["markingCodes"].([]any); f.has("markingCodes") && !isList {
		f.blame(casposSchema, "%smarkingCodes must be an array", f.path)
	}
	t := c.tax(f)
	it.TaxName, it.TaxRate, it.Margin = t.name, t.rate, t.margin
	c.lineTotal(f, &it)
	c.margin(f, &it)
	return it
}

// codeType: clients send 1 with any code, or nothing at all (section 4.5).
func (c *casposCall) codeType(f *casposFields, code string) {
	n, strict := f.integer("codeType"), c.quirks.has(quirkCasposCodeType)
	switch {
	case n > 3, strict && n == -1:
		f.blame(casposCodeType, "%scodeType must be 0 to 3", f.path)
	case strict && (n == 1 && len(code) != 8 || n == 2 && len(code) != 13):
		f.blame(casposCodeLength, "%scode has %d characters, which is no EAN of codeType %d", f.path, len(code), n)
	}
}

// lineTotal is price × quantity rounded half up, or the line's own sum when that
// is near enough: 0.01 × quantity + 0.01 (section 4.1; the shared token's rule).
// The discount is for the paper only, or taken off under a quirk: the page's
// sources contradict each other.
func (c *casposCall) lineTotal(f *casposFields, it *Item) {
	if !f.has("salePrice") {
		f.missing("salePrice")
	}
	price, discount := f.money("salePrice"), f.money("discountAmount")
	it.Amount = mulDiv(price, it.Quantity, 1000)
	if it.Amount > maxNumber {
		f.blame(casposLineTotal, "%ssalePrice × quantity is too large", f.path)
		return
	}
	if c.quirks.has(quirkCasposDiscount) {
		if discount > it.Amount {
			f.blame(casposLineTotal, "%sdiscountAmount is more than the line", f.path)
			return
		}
		it.Amount, it.Discount = it.Amount-discount, discount
	}
	if !f.has("sum") {
		return
	}
	sum := f.money("sum")
	if off := max(sum-it.Amount, it.Amount-sum); off*1000 > it.Quantity+1000 {
		f.blame(casposLineTotal, "%ssum is %s, but the line comes to %s", f.path, money(sum), money(it.Amount))
	}
	if !c.quirks.has(quirkCasposLineSum) {
		it.Amount = sum
	}
}

func (c *casposCall) margin(f *casposFields, it *Item) {
	purchase := f.money("purchasePrice")
	if !it.Margin {
		return
	}
	if !f.has("purchasePrice") || purchase > f.money("salePrice") {
		f.blame(casposMarginPrice, "%spurchasePrice is missing or above salePrice", f.path)
		return
	}
	it.MarginSum = max(0, it.Amount-mulDiv(purchase, it.Quantity, 1000))
}

func casposTotalOf(items []Item) int64 {
	var sum int64
	for _, it := range items {
		sum += it.Amount
	}
	return sum
}
