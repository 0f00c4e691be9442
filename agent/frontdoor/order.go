package frontdoor

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"ekassa/agent/crash"
	"ekassa/agent/receipt"
)

// order is what a till wants a document of.
type order struct {
	receipt receipt.Receipt
	base    string // of the journal's id; see tried
	print   receipt.Fingerprint
	echo    any    // documentExtID as the till wrote it
	parent  string // the field in which the till names the receipt's parent
}

// The journal's ids begin with what names the operation.
const (
	namedByKey    = "ext"      // documentExtID
	namedByTriple = "doc"      // docTime, docNumber and amount
	namedByParent = "rollback" // the document that it cancels
	namedByNobody = "own"
)

var plain = regexp.MustCompile(`^[A-Za-z0-9._-]{1,48}$`)

// named gives an id of the till's own name, or of its hash where a journal's id
// could not hold that. No two names have the same id.
func named(by, name string) string {
	if plain.MatchString(name) {
		return by + ":" + name
	}
	sum := sha256.Sum256([]byte(name))
	return by + ":h:" + hex.EncodeToString(sum[:20])
}

// tried is the id of the operation's n-th try. A try that was answered with
// error is over, and its repeat is a new one.
func tried(base string, n int) string {
	if n == 1 {
		return base
	}
	return base + ":" + strconv.Itoa(n)
}

// triple is the older edition's rule (section 8.1). Without docNumber the rest
// is a second and an amount, which two guests may share.
func triple(kind receipt.Kind, docTime, docNumber string, amount receipt.Money) (string, bool) {
	if docTime == "" || docNumber == "" {
		return "", false
	}
	return named(namedByTriple, fmt.Sprintf("%s %q %q %d", kind, docTime, docNumber, amount)), true
}

func (c *call) sale() (answer, error)      { return c.goods(receipt.Sale) }
func (c *call) refund() (answer, error)    { return c.goods(receipt.Refund) }
func (c *call) prepay() (answer, error)    { return c.goods(receipt.Prepayment) }
func (c *call) creditPay() (answer, error) { return c.goods(receipt.CreditPayment) }

// goods takes sale, refund, prepay and creditpay (5.1, 5.2, 5.7, 5.8).
func (c *call) goods(kind receipt.Kind) (answer, error) {
	f := c.f
	if id := f.id("fiscalID"); id != "" { // a copy is wanted, and no new document
		s, err := c.must(c.find(id))
		if err == nil && s.Kind != kind {
			err = refuse(codeParameter, "fiscalID names another kind of document; it is for a copy")
		}
		if err != nil {
			return nil, err
		}
		return c.print(s)
	}
	r := c.header(kind)
	r.Items = c.items()
	if len(r.Items) == 0 {
		f.missing("items")
	}
	r.Payments = c.payments()
	r.Contract = f.text("creditContract", 256)
	switch f.text("currency", 16) {
	case "", "AZN", "azn", "944": // the last is its number in ISO 4217
	default:
		f.blame(codeParameter, "currency must be AZN")
	}
	for _, name := range []string{"tips", "cashback"} {
		if f.money(name) != 0 {
			f.blame(codePayment, "%s cannot be passed on", name)
		}
	}
	if len(f.objects("extraPayments")) > 0 {
		f.blame(codePayment, "extraPayments cannot be passed on")
	}
	c.sums(r)
	parent, parentField := "", ""
	switch {
	case kind == receipt.Refund:
		parentField = "parentDocID"
		parent = c.parent(&r, parentField, "parentDocNum", codeParameter)
	case kind == receipt.CreditPayment:
		parentField = "documentID"
		parent = c.parent(&r, parentField, "", codeParameter)
	case r.Payments.Prepaid > 0:
		parentField = "prepayDocID"
		parent = c.parent(&r, parentField, "prepayDocNum", codeNoPrepay)
	}
	if err := f.fault(); err != nil {
		return nil, err
	}
	if id := f.id("documentID"); id != "" && kind != receipt.CreditPayment {
		return c.same(r, id)
	}
	o := order{receipt: r, print: fingerprint(r, parent), echo: f.m["documentExtID"], parent: parentField}
	if key := f.id("documentExtID"); key != "" {
		o.base = named(namedByKey, key)
	} else if id, ok := triple(kind, f.text("docTime", 64), f.text("docNumber", 256), r.Total()); ok {
		o.base = id
	} else {
		o.base = named(namedByNobody, rand.Text())
	}
	if err := f.fault(); err != nil { // of the ids
		return nil, err
	}
	return c.take(o)
}

// same answers a document that names one that is here already, which must be
// this one.
func (c *call) same(r receipt.Receipt, id string) (answer, error) {
	s, err := c.must(c.find(id))
	if err != nil {
		return nil, err
	}
	if s.Kind != r.Kind || s.Total() != r.Total() {
		return nil, refuse(codeParameter, "documentID names another document")
	}
	return c.document(s), nil
}

// rollback cancels a whole document (5.3). One document is cancelled once, so
// that its name is the operation's, too.
func (c *call) rollback() (answer, error) {
	f := c.f
	r := c.header(receipt.Cancel)
	parent := c.parent(&r, "documentID", "", codeParameter)
	if r.Parent != nil && r.Parent.ID == "" && (len(f.objects("items")) > 0 || f.object("payments") != nil) {
		// The journal does not know the lines; of its own documents it does.
		r.Items, r.Payments = c.items(), c.payments()
		c.sums(r)
	}
	if err := f.fault(); err != nil {
		return nil, err
	}
	o := order{receipt: r, print: fingerprint(receipt.Receipt{Kind: r.Kind}, parent), echo: f.m["documentExtID"], parent: "documentID"}
	if key := f.id("documentExtID"); key != "" {
		o.base = named(namedByKey, key)
	} else if r.Parent.ID != "" {
		o.base = named(namedByParent, "of "+r.Parent.ID)
	} else {
		o.base = named(namedByParent, parent)
	}
	return c.take(o)
}

func (c *call) deposit() (answer, error)  { return c.cash(receipt.Deposit) }
func (c *call) withdraw() (answer, error) { return c.cash(receipt.Withdrawal) }

// cash takes deposit and withdraw (6.5).
func (c *call) cash(kind receipt.Kind) (answer, error) {
	f := c.f
	r := c.header(kind)
	if r.Amount = f.money("amount"); r.Amount == 0 {
		f.blame(codeParameter, "amount must be more than 0")
	}
	o := order{receipt: r, print: fingerprint(r, ""), echo: f.m["documentExtID"], base: receipt.CashPrefix + named(namedByNobody, rand.Text())}
	if key := f.id("documentExtID"); key != "" {
		o.base = receipt.CashPrefix + named(namedByKey, key)
	}
	if err := f.fault(); err != nil {
		return nil, err
	}
	return c.take(o)
}

// header reads what all documents have. A till that speaks to a register wants
// a fiscal document, whatever auto_send says of those that do not say.
func (c *call) header(kind receipt.Kind) receipt.Receipt {
	f := c.f
	who := f.text("employeeName", 256)
	if who == "" {
		who = strings.TrimSpace(f.text("employeeFirstName", 120) + " " + f.text("employeeLastName", 120))
	}
	r := receipt.Receipt{
		Kind: kind, Time: c.time(crash.Now()), Cashier: who, Number: f.text("docNumber", 256), Fiscal: true,
	}
	if p := f.object("payments"); p != nil {
		if rrn := p.text("rrn", 64); rrn != "" {
			r.Note = "rrn " + rrn
		}
	}
	return r
}

// parent finds the document that the field names: one of the journal, or one of
// the register's that is not in it. It gives what the till called it.
func (c *call) parent(r *receipt.Receipt, name, number string, otherwise int) string {
	id := c.f.id(name)
	if id == "" {
		c.f.blame(otherwise, "%s is missing", name)
		return ""
	}
	s, err := c.find(id)
	switch {
	case err == nil:
		r.Parent = &receipt.Parent{ID: s.ID}
		return id
	case !errors.Is(err, receipt.ErrNotFound):
		c.f.blame(codeInternal, "%s", c.say("problem.internal.detail"))
		return ""
	case documentNumber.MatchString(id) || len(id) > 64:
		// The numbers that the register gave before are not ours to know; ours
		// would be in the journal.
		c.f.blame(codeNotFound, "%s: no such document; name it by its fiscalID", name)
		return ""
	}
	r.Parent = &receipt.Parent{FiscalID: id}
	if number != "" {
		r.Parent.Number = c.f.text(number, 64)
	}
	return id
}

// documentNumber is a documentID; fiscal ids are longer or hold letters.
var documentNumber = regexp.MustCompile(`^[0-9]{1,10}$`)

// items reads the lines (5.1).
func (c *call) items() (items []receipt.Item) {
	list := c.f.objects("items")
	if len(list) > receipt.MaxItems {
		c.f.blame(codeParameter, "items has more than %d elements", receipt.MaxItems)
		return nil
	}
	for _, f := range list {
		items = append(items, item(f, c.shop.Tax))
	}
	return items
}

// item reads one line. The page has no price: it is what makes quantity and sum
// fit, and where none does, the sum stands beside it.
func item(f *fields, otherwise receipt.Tax) receipt.Item {
	i := receipt.Item{
		Name: f.text("itemName", maxText), Code: f.text("itemId", 256), Unit: unit(f.text("itemUnit", 64)),
		Quantity: receipt.Quantity(f.whole("itemQty", int64(receipt.MaxQuantity))),
		Discount: f.money("discount"),
	}
	for _, name := range []string{"itemId", "itemName", "itemAmount"} {
		if f.text(name, maxText) == "" {
			f.missing(name)
		}
	}
	if i.Quantity == 0 {
		f.blame(codeParameter, "%sitemQty must be more than 0", f.path)
	}
	for _, name := range []string{"itemQRCode", "itemAttr"} { // the receipt would lose them
		if f.id(name) != "" {
			f.blame(codeParameter, "%s%s cannot be passed on", f.path, name)
		}
	}
	gross := f.money("itemAmount") + i.Discount
	if *f.bad != nil || i.Quantity == 0 {
		return i
	}
	price := (int64(gross)*2000 + int64(i.Quantity)) / (2 * int64(i.Quantity)) // rounded half up
	if gross > receipt.MaxMoney || price > int64(receipt.MaxMoney) {
		f.blame(codeParameter, "%sitemAmount is too large", f.path)
		return i
	}
	i.Price = receipt.Money(price)
	if receipt.Gross(i.Price, i.Quantity) != gross {
		i.Sum = gross
	}
	i.Tax = tax(f, otherwise)
	if i.Tax.Type == receipt.Margin18 {
		i.PurchasePrice = purchase(f, i.Quantity)
	}
	return i
}

// purchase reads what the goods were bought for, which the margin's tax needs.
func purchase(f *fields, q receipt.Quantity) receipt.Money {
	if !f.has("itemMarginPrice") {
		f.missing("itemMarginPrice")
	}
	price := f.money("itemMarginPrice")
	if f.has("itemMarginSum") && *f.bad == nil {
		// The register is sent price × quantity, rounded half up; another way of
		// rounding may differ by a qəpik.
		if d := receipt.Gross(price, q) - f.money("itemMarginSum"); d < -1 || d > 1 {
			f.blame(codeSum, "%sitemMarginSum is not itemMarginPrice × itemQty", f.path)
		}
	}
	return price
}

// units are names that tills write for them; the page has no table (section 12).
var units = map[string]receipt.Unit{
	"kq": receipt.Kilogram, "kg": receipt.Kilogram, "кг": receipt.Kilogram,
	"l": receipt.Litre, "lt": receipt.Litre, "litr": receipt.Litre, "л": receipt.Litre,
	"m": receipt.Metre, "metr": receipt.Metre, "м": receipt.Metre,
	"m2": receipt.SquareMetre, "m²": receipt.SquareMetre, "м2": receipt.SquareMetre,
	"m3": receipt.CubicMetre, "m³": receipt.CubicMetre, "м3": receipt.CubicMetre,
}

func unit(name string) receipt.Unit {
	if u, ok := units[strings.ToLower(name)]; ok {
		return u
	}
	return receipt.Piece
}

// tax reads a line's tax by its rate; the name only tells apart those of one
// rate, and is kept with rates that are none of ours (5.1). One client writes 18
// for 18 %: no rate is below 1 %.
func tax(f *fields, otherwise receipt.Tax) receipt.Tax {
	list := f.objects("itemTaxes")
	if len(list) == 0 {
		return otherwise
	}
	if len(list) > 1 {
		f.blame(codeTax, "%sitemTaxes has more than one", f.path)
		return receipt.Tax{}
	}
	t := list[0]
	name := t.text("taxName", 64)
	if calc := t.id("calcType"); calc != "" && calc != "1" && calc != "3" {
		t.blame(codeTax, "%scalcType cannot be passed on", t.path)
	}
	if !t.has("taxPrc") {
		if name == "" {
			return otherwise
		}
		t.blame(codeTax, "%staxPrc is missing", t.path)
	}
	margin := f.id("itemMarginPrice") != "" || f.id("itemMarginSum") != ""
	got := rated(t, "taxPrc", name, margin)
	if got.Type == "" && name == "" {
		t.blame(codeTax, "%staxName is missing", t.path)
	}
	return got
}

// rated gives the tax of the rate in that field, which the name tells apart from
// others of the same rate.
func rated(f *fields, field, name string, margin bool) receipt.Tax {
	rate, lower := f.whole(field, 100_00), strings.ToLower(name)
	if rate > 0 && rate < 100 {
		rate *= 100
	}
	switch rate {
	case 18_00:
		if margin || strings.Contains(lower, "ticarət əlavəsi") || strings.Contains(lower, "margin") {
			return receipt.Tax{Type: receipt.Margin18}
		}
		return receipt.Tax{Type: receipt.VAT18}
	case 2_00:
		return receipt.Tax{Type: receipt.Simplified2}
	case 8_00:
		return receipt.Tax{Type: receipt.Simplified8}
	case 0:
		for _, word := range []string{"azad", "exempt", "освоб", "без"} {
			if strings.Contains(lower, word) {
				return receipt.Tax{Type: receipt.Exempt}
			}
		}
		if strings.Contains(lower, "0") {
			return receipt.Tax{Type: receipt.VAT0}
		}
	}
	return receipt.Tax{Name: name, Rate: receipt.Percent(rate)}
}

// payments reads how it was paid. An amount that has no place in a receipt is
// refused, and never dropped.
func (c *call) payments() (p receipt.Payments) {
	f := c.f.object("payments")
	if f == nil {
		c.f.missing("payments")
		return p
	}
	p = receipt.Payments{
		Cash: f.money("cashAmount"), Card: f.money("cashlessAmount"), Credit: f.money("creditAmount"),
		Bonus: f.money("bonusesAmount"), Prepaid: f.money("prepaymentAmount"),
	}
	for name := range f.m {
		switch name {
		case "cashAmount", "cashlessAmount", "creditAmount", "bonusesAmount", "prepaymentAmount":
		case "originAmount": // of the sale that a refund takes back
		default:
			if strings.HasSuffix(name, "Amount") && f.id(name) != "" {
				f.blame(codePayment, "%s%.60s cannot be passed on", f.path, name)
			}
		}
	}
	return p
}

// sums holds the request's own arithmetic, as a register does.
func (c *call) sums(r receipt.Receipt) {
	f, total, p := c.f, r.Total(), r.Payments
	if *f.bad != nil {
		return
	}
	cashless := p.Card + p.Bonus + p.Prepaid + p.Credit
	parts := "the items" // as the till calls them
	if r.Kind == receipt.Correction {
		parts = "vatAmounts"
	}
	refunds := r.Kind == receipt.Refund || r.Kind == receipt.Cancel
	switch change := p.Change(total); {
	case total > receipt.MaxMoney:
		f.blame(codeParameter, "amount is too large")
	case f.has("amount") && f.money("amount") != total:
		f.blame(codeSum, "amount is not the sum of %s", parts)
	case (p.Prepaid > 0 || p.Credit > 0) && r.Kind != receipt.Sale && !refunds:
		f.blame(codePayment, "it cannot be paid by prepayment or credit")
	case cashless > total:
		f.blame(codeChange, "only cash gives change")
	case change < 0:
		f.blame(codeUnpaid, "%s AZN are not paid", -change)
	case change > 0 && refunds:
		f.blame(codeSum, "more is paid back than the items come to")
	case r.Kind == receipt.CreditPayment && p.Cash > 0 && cashless > 0:
		f.blame(codeOnePayment, "a credit is paid in one way only")
	}
}

// fingerprint covers what is sold, taken back and paid. A till that repeats a
// request may well write another time, cashier or number.
func fingerprint(r receipt.Receipt, parent string) receipt.Fingerprint {
	h := sha256.New()
	p := r.Payments
	fmt.Fprintf(h, "azsmart %s %q %d %d %d %d %d %d\n", r.Kind, parent, r.Amount, p.Cash, p.Card, p.Bonus, p.Prepaid, p.Credit)
	for _, i := range r.Items {
		fmt.Fprintf(h, "%q %d %d %d %d %q %q %d\n", i.Code, i.Quantity, i.Total(), i.Discount, i.PurchasePrice, i.Tax.Type, i.Tax.Name, i.Tax.Rate)
	}
	sum := [sha256.Size]byte(h.Sum(nil))
	return receipt.Fingerprint{Said: sum, Meant: sum}
}
