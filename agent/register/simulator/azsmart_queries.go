package simulator

import (
	"fmt"
	"strings"
)

// checkStatus asks what became of a document (section 5.4). N finds it by
// documentExtID or documentID; the old editions also by the triple, which their
// example suggests.
func (c *call) checkStatus() (answer, error) {
	f := c.f
	key, id := "", f.idText("documentID")
	if !c.quirks.has(quirkStatusByID) {
		key = c.key()
	}
	number, at, amount := f.text("docNumber"), f.text("docTime"), int64(0)
	if f.has("amount") {
		amount = c.amount("amount")
	}
	triple := c.classic && at != "" && !c.quirks.has(quirkStatusByID)
	if key == "" && id == "" && !triple {
		f.blame(codeParameter, "parameter documentExtID or documentID is missing")
	}
	if f.failed() {
		return nil, *f.bad
	}
	same := func(d *Document) bool {
		switch {
		case key != "":
			// N matches cash documents on type, amount and id (8.2).
			return d.Client.Key == key && (amount == 0 || d.Amount == amount)
		case id != "":
			return fmt.Sprint(d.ID) == id || d.FiscalID != "" && d.FiscalID == id
		}
		return !d.ByHand && d.Client.Time == at && d.Client.Number == number && d.Amount == amount
	}
	if d := c.v.processing(same); d != nil {
		return c.inProgress(d)
	}
	d := c.v.tok.find(same)
	if d != nil && key != "" && !c.classic && c.v.byKey(key) == nil {
		d = nil // the key is forgotten
	}
	if d == nil {
		return c.notFound()
	}
	out := c.identity(d)
	out["docStatus"], out["printTime"] = 1, d.At.Format(wallTime)
	out["totalPayments"] = totalPayments(d, "code")
	return out, nil
}

// notFound is a success with docStatus -1 in the old editions and code 9 in N.
func (c *call) notFound() (answer, error) {
	if !c.classic {
		return nil, &problem{code: codeNotFound, text: "no such document"}
	}
	return answer{"authID": "", "cardNum": "", "cashAmount": 0, "cashlessAmount": 0, "docStatus": -1, "fiscalID": "",
		"items": []answer{}, "otherAmount": 0, "transactionID": ""}, nil
}

// checkCopy prints a copy (section 5.5).
func (c *call) checkCopy() (answer, error) {
	f := c.f
	anyID := c.classic && !c.quirks.has(quirkCopyNumber) || c.quirks.has(quirkCopyAny)
	var d *Document
	if anyID {
		id := f.idText("documentID")
		if id == "" {
			f.missing("documentID")
		}
		d = c.lookup(id)
	} else {
		d = c.v.tok.byID[f.needInt("documentID")]
	}
	if f.failed() {
		return nil, *f.bad
	}
	return c.copyOf(d)
}

// copyOf prints a copy of a document and describes it.
func (c *call) copyOf(d *Document) (answer, error) {
	if d == nil {
		return nil, &problem{code: codeNotFound, text: "no such document"}
	}
	printed, err := c.v.reprint(d)
	if err != nil {
		return nil, err
	}
	out := c.identity(d)
	out["docStatus"], out["printTime"], out["currency_name"] = 1, d.At.Format(wallTime), "AZN"
	out["totalPayments"] = totalPayments(d, "code")
	items := []answer{}
	for _, it := range d.Items {
		price := int64(0)
		if it.Quantity > 0 {
			price = mulDiv(it.Amount+it.Discount, 1000, it.Quantity)
		}
		items = append(items, answer{"itemId": it.ID, "itemCodeType": 0, "itemName": it.Name, "itemAttr": 0, "itemUnit": it.Unit,
			"itemQty": it.Quantity, "itemPrice": price, "itemFinalPrice": mulDiv(it.Amount, 1000, max(1, it.Quantity)),
			"itemAmount": it.Amount + it.Discount, "itemFinalAmount": it.Amount, "discount": it.Discount, "discountPrc": 0})
	}
	out["items"] = items
	return c.paperwork(out, d, printed)
}

// lastDocument prints the last receipt again; with the fields of page 2.17.3 it
// takes the one that they name (section 5.6).
func (c *call) lastDocument() (answer, error) {
	number, at := c.f.text("docNumber"), c.f.text("docTime")
	key := c.key()
	amount := c.amount("amount")
	if c.f.failed() {
		return nil, *c.f.bad
	}
	return c.copyOf(c.v.tok.find(func(d *Document) bool {
		switch {
		case key != "":
			return d.Client.Key == key
		case at != "":
			return d.Client.Time == at && d.Client.Number == number && d.Amount == amount
		}
		return true
	}))
}

// controlTape prints the list of the shift's documents; the page gives no details
// (5.11).
func (c *call) controlTape() (answer, error) {
	var s sheet
	s.head(c.v.owner)
	s.centre("NƏZARƏT LENTİ")
	for _, d := range c.v.tok.docs {
		if d.Shift == c.v.tok.shift {
			s.pair(fmt.Sprintf("%d %s %s", d.Number, strings.ToLower(titles[d.Kind]), d.ShortID), money(d.Amount))
		}
	}
	return c.printed(answer{}, c.v.print(s.String()))
}

// order sends a bill to the register without fiscalising it; it blocks the Z
// report until it is deleted or moved on (section 5.9).
func (c *call) order() (answer, error) {
	items := c.items()
	number := c.f.text("docNumber")
	key := c.key()
	if c.f.failed() {
		return nil, *c.f.bad
	}
	var sum int64
	for _, it := range items {
		sum += it.Amount
	}
	o, err := c.v.order(number, sum)
	if err != nil {
		return nil, err
	}
	out := answer{"documentID": o.ID, "docStatus": 0}
	c.echoKey(out, &Document{Client: Client{Key: key}})
	return out, nil
}

// preorder prints a bill that is not fiscal and says so (rules, section 6).
func (c *call) preorder() (answer, error) {
	items := c.items()
	if c.f.failed() {
		return nil, *c.f.bad
	}
	var s sheet
	var sum int64
	s.centre("İLKİN HESAB — FİSKAL ÇEK DEYİL")
	for _, it := range items {
		s.pair(it.Name+" "+quantity(it.Quantity), money(it.Amount))
		sum += it.Amount
	}
	s.pair("CƏMİ", money(sum)+" AZN")
	return c.printed(answer{"docStatus": 0}, c.v.print(s.String()))
}

// printed adds what became of the print of something that is no document. Under
// code 15 the whole answer is there (8.3: keep it).
func (c *call) printed(out answer, printed bool) (answer, error) {
	if printed {
		out["printError"] = 0
		return out, nil
	}
	out["printError"] = 1
	if c.classic {
		return out, nil
	}
	return nil, &problem{code: codeNotPrinted, text: "nothing was printed", with: out}
}
