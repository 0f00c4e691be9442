package simulator

import (
	"fmt"
	"strconv"
)

func (c *call) sale() (answer, error)   { return c.document(Sale) }
func (c *call) refund() (answer, error) { return c.document(Refund) }
func (c *call) prepay() (answer, error) { return c.document(Prepay) }

// document does /sale, /refund and /prepay (sections 5.1, 5.2, 5.7).
func (c *call) document(kind Kind) (answer, error) {
	if id := c.f.text("fiscalID"); id != "" { // asks for a reprint; honoured in both editions: it makes nothing
		d := c.v.tok.byFiscal[id]
		if d == nil {
			return nil, &problem{code: codeNotFound, text: "no document with this fiscalID"}
		}
		return c.again(d, true)
	}
	d := c.draft(kind)
	if c.f.failed() {
		return nil, *c.f.bad
	}
	return c.once(d, kind != Refund)
}

// once makes a document unless it is there already.
func (c *call) once(d *Document, takesMoney bool) (answer, error) {
	if out, err := c.seen(d); out != nil || err != nil {
		return out, err
	}
	if err := d.settle(takesMoney); err != nil {
		return nil, err
	}
	return c.submit(d)
}

// submit hands a document to the token and answers for it.
func (c *call) submit(d *Document) (answer, error) {
	if c.quirks.has(quirkStatusZeroFirst) {
		c.v.plan.pending = true
	}
	done, err := c.v.submit(d)
	if err != nil {
		return nil, err
	}
	if !done {
		return c.inProgress(d)
	}
	return c.made(d)
}

// seen applies the retry rules of section 8: the key in N, the triple docTime +
// docNumber + amount in the old editions. It returns nothing for a new document.
func (c *call) seen(d *Document) (answer, error) {
	var same func(*Document) bool
	switch {
	case c.classic && d.Client.Time != "":
		same = func(o *Document) bool {
			return !o.ByHand && o.Kind == d.Kind && o.Client.Time == d.Client.Time && o.Client.Number == d.Client.Number && o.Amount == d.Amount
		}
	case !c.classic && d.Client.Key != "" && c.keyed(d.Kind):
		same = func(o *Document) bool { return o.Client.Key == d.Client.Key }
	default:
		return nil, nil
	}
	if o := c.v.processing(same); o != nil {
		return c.inProgress(o)
	}
	o := c.v.tok.find(same)
	if !c.classic {
		o = c.v.byKey(d.Client.Key)
	}
	if o == nil {
		return nil, nil
	}
	if !c.classic && o.Client.Fingerprint != d.Client.Fingerprint && !c.quirks.has(quirkKeyReuseFirst) {
		// Making it would break "once", returning the first would call this one
		// fiscal: only a refusal loses nothing.
		return nil, &problem{code: codeParameter, text: "documentExtID belongs to another document: " + strconv.FormatInt(o.ID, 10)}
	}
	return c.again(o, c.classic)
}

// keyed says for which documents documentExtID is a key. The page names sale,
// refund and the cash documents (8.2); for the others it is the natural reading.
func (c *call) keyed(k Kind) bool {
	switch k {
	case Sale, Refund, Deposit, Withdraw:
		return true
	}
	return !c.quirks.has(quirkKeySaleRefund)
}

// again answers for a document that was made before. The old editions print it
// again; N prints only what never came out.
func (c *call) again(d *Document, reprint bool) (answer, error) {
	printed := d.Printed
	if reprint || !d.Printed {
		var err error
		if printed, err = c.v.reprint(d); err != nil {
			return nil, err
		}
	}
	out, err := c.result(d, printed)
	if err != nil {
		return nil, err
	}
	switch {
	case c.quirks.has(quirkDuplicateCode):
		return nil, &problem{code: codeDuplicate, text: "this document was made before", with: out}
	case c.quirks.has(quirkDuplicateBare):
		return answer{}, nil
	}
	return out, nil
}

func (c *call) made(d *Document) (answer, error) { return c.result(d, d.Printed) }

// result is the answer for a document, in the words of its route.
func (c *call) result(d *Document, printed bool) (answer, error) {
	var out answer
	switch d.Kind {
	case Rollback:
		out = c.rollbackAnswer(d)
	case Correction:
		out = c.correctionAnswer(d)
	case Deposit, Withdraw:
		out = c.cashAnswer(d)
	default:
		out = c.saleAnswer(d)
	}
	return c.paperwork(out, d, printed)
}

// paperwork adds what became of the print: printError in the old editions, code 15
// in N, where the ids of a fiscal document must be asked for (section 8.3).
func (c *call) paperwork(out answer, d *Document, printed bool) (answer, error) {
	code := 0
	if !printed {
		code = 1 // no table of printError was found
	}
	if printed || c.classic {
		out["printError"] = code
		return out, nil
	}
	kept := answer{"documentID": d.ID, "printError": code}
	if d.Client.Key != "" {
		kept["documentExtID"] = d.Client.Key
	}
	return nil, &problem{code: codeNotPrinted, text: "the document was not printed", with: kept}
}

// inProgress is the answer while a document is not made yet (section 2.4): code 44
// in N, docStatus 0 in the old editions and under the quirk.
func (c *call) inProgress(d *Document) (answer, error) {
	out := answer{"documentID": d.ID, "docStatus": 0}
	c.echoKey(out, d)
	if c.classic || c.quirks.has(quirkStatusZeroFirst) {
		out["fiscalID"], out["fiscalNum"] = "", ""
		return out, nil
	}
	return nil, &problem{code: codeProcessing, text: "the document is still being processed", with: out}
}

func (c *call) echoKey(out answer, d *Document) {
	switch {
	case d.Client.Key == "":
	case c.classic:
		n, _ := strconv.ParseInt(d.Client.Key, 10, 64)
		out["documentExtID"] = n
	default:
		out["documentExtID"] = d.Client.Key
	}
}

// fiscalNum is the receipt's number as the page gives it, a string.
func fiscalNum(d *Document) string { return strconv.FormatInt(d.Number, 10) }

func (c *call) saleAnswer(d *Document) answer {
	out := c.identity(d)
	out["docStatus"] = 1
	out["docTime"] = d.Client.Time
	if d.Client.Time == "" {
		out["docTime"] = d.At.Format(wallTime)
	}
	out["printTime"] = d.At.Format(wallTime)
	out["rrn"], out["auth"], out["cardNum"], out["checkNum"] = d.Client.RRN, "", "", ""
	out["totalPayments"] = totalPayments(d, "type")
	out["shiftOrdersCnt"] = d.InShift
	if !c.classic {
		out["currency_name"] = "AZN"
	}
	return out
}

// identity is the ids of a document.
func (c *call) identity(d *Document) answer {
	out := answer{"documentID": d.ID, "fiscalID": d.FiscalID, "fiscalNum": fiscalNum(d)}
	if !c.classic {
		out["fiscalUrl"] = c.v.owner.url(d)
	}
	c.echoKey(out, d)
	return out
}

// totalPayments names the way to pay by "type" in documents and by "code" in
// queries (section 11, point 8). The page knows C and V; B, P and K are ours.
func totalPayments(d *Document, name string) []answer {
	out := []answer{}
	for _, w := range []struct {
		code string
		sum  int64
	}{{"C", d.Payments.Cash}, {"V", d.Payments.Cashless}, {"B", d.Payments.Bonus}, {"P", d.Payments.Prepaid}, {"K", d.Payments.Credit}} {
		if w.sum == 0 {
			continue
		}
		line := answer{name: w.code, "amount": w.sum}
		if w.code == "C" && d.Change > 0 {
			line["change"] = d.Change
		}
		if w.code == "V" && d.Client.RRN != "" {
			line["rrn"] = d.Client.RRN
		}
		out = append(out, line)
	}
	return out
}

// lookup finds a document by documentID as an integer, as digits, or as a fiscal id.
func (c *call) lookup(id string) *Document {
	if n, err := strconv.ParseInt(id, 10, 64); err == nil {
		return c.v.tok.byID[n]
	}
	return c.v.tok.byFiscal[id]
}

// rollback cancels a whole document of the open shift (section 5.3).
func (c *call) rollback() (answer, error) {
	f := c.f
	d := &Document{Kind: Rollback, Client: c.client()}
	id := f.idText("documentID")
	if id == "" {
		f.missing("documentID")
	}
	if c.classic && !f.has("employeeName") {
		f.missing("employeeName")
	}
	p := f.object("payments")
	if c.quirks.has(quirkRollbackItems) && (p == nil || len(f.list("items")) == 0) {
		f.blame(codeParameter, "items and payments of the document must be repeated")
	}
	if f.failed() {
		return nil, *f.bad
	}
	parent := c.lookup(id)
	if parent == nil {
		d.Parent = id
	} else {
		d.Parent, d.Amount, d.Payments, d.Items, d.VAT = parent.FiscalID, parent.Amount, parent.Payments, parent.Items, parent.VAT
		c.repeated(parent)
	}
	if f.failed() {
		return nil, *f.bad
	}
	d.Client.Fingerprint = c.fingerprint(d)
	if out, err := c.seenByKey(d); out != nil || err != nil {
		return out, err
	}
	return c.submit(d)
}

// seenByKey is seen for the routes whose requests have no docTime and docNumber: only
// the key of N counts.
func (c *call) seenByKey(d *Document) (answer, error) {
	if c.classic {
		return nil, nil
	}
	return c.seen(d)
}

// repeated checks items that a rollback repeats against the document itself.
func (c *call) repeated(parent *Document) {
	if !c.f.has("items") {
		return
	}
	var sum int64
	for _, f := range c.f.list("items") {
		sum += f.needInt("itemAmount")
	}
	if sum != parent.Amount {
		c.f.blame(codeSum, "the repeated lines add up to %d, but the document is over %d", sum, parent.Amount)
	}
}

// rollbackAnswer is short in the old editions: the client never learns the fiscal
// id of the rollback from it. N's page was not found; there it is a full one.
func (c *call) rollbackAnswer(d *Document) answer {
	if c.classic {
		return answer{"documentID": d.ID}
	}
	out := c.identity(d)
	out["docStatus"], out["printTime"] = 1, d.At.Format(wallTime)
	return out
}

// creditPay repays a credit sale, in one payment type (section 5.8).
func (c *call) creditPay() (answer, error) {
	f := c.f
	d := &Document{Kind: CreditPay, Client: c.client()}
	id := f.idText("documentID")
	if id == "" {
		f.missing("documentID")
	}
	d.Amount = c.amount("amount")
	if d.Amount == 0 {
		f.missing("amount")
	}
	f.list("items")
	if p := f.object("payments"); p == nil {
		f.blame(codeNotPaid, "nothing was paid: payments is missing")
	} else {
		d.Payments = Payments{Cash: p.int("cashAmount"), Cashless: p.int("cashlessAmount"), Bonus: p.int("bonusesAmount")}
		kinds := 0
		for _, sum := range []int64{d.Payments.Cash, d.Payments.Cashless, d.Payments.Bonus} {
			if sum > 0 {
				kinds++
			}
		}
		if kinds > 1 {
			f.blame(codeOneKind, "a repayment has one payment type, not %d", kinds)
		}
	}
	if sale := c.lookup(id); sale != nil {
		d.Parent = sale.FiscalID
	} else {
		d.Parent = id
	}
	if f.failed() {
		return nil, *f.bad
	}
	d.Client.Fingerprint = c.fingerprint(d)
	if out, err := c.seenByKey(d); out != nil || err != nil {
		return out, err
	}
	if err := d.settle(true); err != nil {
		return nil, err
	}
	return c.submit(d)
}

// correction enters takings from a time when the register was out of order
// (section 5.10; only edition I has the page).
func (c *call) correction() (answer, error) {
	f := c.f
	d := &Document{Kind: Correction, Client: c.client()}
	for _, name := range []string{"date_start", "date_stop"} {
		f.needText(name)
		c.time(name)
	}
	if f.text("date_stop") < f.text("date_start") {
		f.blame(codeParameter, "date_stop is before date_start")
	}
	d.Amount = c.amount("amount")
	if d.Amount == 0 {
		f.missing("amount")
	}
	d.Payments = Payments{Cash: f.int("cashAmount"), Cashless: f.int("cashlessAmount"), Bonus: f.int("bonusesAmount")}
	if d.Payments.Total() != d.Amount {
		f.blame(codeSum, "the payments add up to %d, not to the amount of %d", d.Payments.Total(), d.Amount)
	}
	list := f.list("vatAmounts")
	if len(list) == 0 {
		f.missing("vatAmounts")
	}
	var sum int64
	for _, v := range list {
		rate, turnover := v.needInt("vatPercent"), v.needInt("vatSum")
		if rate != 0 && rate != 200 && rate != 800 && rate != 1800 {
			v.blame(codeTaxUnknown, "parameter %svatPercent is %d: only 0, 200, 800 and 1800 are allowed", v.path, rate)
		}
		d.VAT = append(d.VAT, VAT{Rate: rate, Turnover: turnover, Tax: taxIn(turnover, rate)})
		sum += turnover
	}
	if sum != d.Amount {
		f.blame(codeSum, "vatAmounts add up to %d, not to the amount of %d", sum, d.Amount)
	}
	if f.failed() {
		return nil, *f.bad
	}
	d.Client.Fingerprint = c.fingerprint(d) + fmt.Sprint(f.m["date_start"], f.m["date_stop"])
	if out, err := c.seenByKey(d); out != nil || err != nil {
		return out, err
	}
	return c.submit(d)
}

func (c *call) correctionAnswer(d *Document) answer {
	if c.classic {
		return answer{"documentID": d.ID, "fiscalID": d.FiscalID}
	}
	return c.identity(d)
}
