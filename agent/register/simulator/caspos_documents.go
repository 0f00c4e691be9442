package simulator

import (
	"fmt"
	"slices"
	"time"
)

// once makes a document unless its UUID was seen (section 8): then the earlier
// result comes back under code 1, whatever the request says now. The rules that
// look at other documents come after that: a rollback that is sent again must not
// find its parent rolled back.
func (c *casposCall) once(d *Document, rules ...func() error) (answer, error) {
	if c.bad != nil {
		return nil, c.bad
	}
	if err := c.seen(d.Client.Key); err != nil {
		return nil, err
	}
	for _, rule := range rules {
		if err := rule(); err != nil {
			return nil, err
		}
	}
	if c.quirks.has(quirkCasposPaperNothing) && c.v.faults.paperOut(c.v.route) {
		c.v.faults.paperFails(c.v.route) // it was tried
		return nil, errCasposPaper
	}
	// Cash in and out is a document, too (section 9).
	if c.v.tok.tooOld(c.v.now(), c.v.plan.expired) {
		return nil, refuse(ShiftTooOld, "over 24 hours")
	}
	done, err := c.v.submit(d)
	if err != nil {
		return nil, err
	}
	if !done {
		return nil, errCasposRunning
	}
	if !d.Printed && !c.quirks.has(quirkCasposPaperSuccess) {
		return nil, errCasposPaper
	}
	return c.result(d), nil
}

var (
	errCasposPaper   = &casposProblem{code: casposOther, text: "Printer xətası: kağız bitib"}
	errCasposRunning = &casposProblem{code: casposOther, text: "İcra olunur"}
)

// seen returns what was made under a UUID as the error that the answer to a
// repeat is, and nil for a new one.
func (c *casposCall) seen(key string) error {
	if c.v.processing(func(d *Document) bool { return d.Client.Key == key }) != nil {
		return errCasposRunning
	}
	t := c.v.tok
	if d := t.byKey[key]; d != nil && c.remembered(d.Number, d.Shift) {
		return c.repeated(c.result(d))
	}
	for _, z := range t.closed {
		if key != "" && z.Key == key && c.remembered(z.Number, z.Shift) {
			r, err := t.report(z.Shift)
			if err != nil {
				return err
			}
			return c.repeated(c.zReport(r, z))
		}
	}
	return nil
}

// remembered says whether the device still knows the UUID of a document: how long
// it does is not stated (section 8).
func (c *casposCall) remembered(number, shift int64) bool {
	t := c.v.tok
	return !(c.quirks.has(quirkCasposForgetZ) && (!t.open || shift != t.shift) ||
		c.quirks.has(quirkCasposForgetRestart) && number <= c.app.since[t.serial])
}

func (c *casposCall) repeated(data answer) error {
	if c.quirks.has(quirkCasposRepeatBare) {
		data = nil
	}
	return &casposProblem{code: casposRepeated, text: "Təkrar satış", data: data}
}

// result is the document result of section 4.
func (c *casposCall) result(d *Document) answer {
	out := answer{"document_id": d.FiscalID, "short_document_id": d.ShortID, "document_number": d.Number,
		"shift_document_number": d.InShift, "number": casposBarcode(d), "totalSum": casposSum(d.Amount),
		"rrn": casposNull(d.Client.RRN), "approval_code": "null", "transaction_id": "null", "transaction_number": "null"}
	switch d.Kind {
	case Deposit, Withdraw:
		out["totalSum"] = casposSum(0)
		if c.quirks.has(quirkCasposCashIDs) {
			out["document_number"], out["shift_document_number"] = fmt.Sprint(d.Number), fmt.Sprint(d.InShift)
		}
	case Correction:
		for _, name := range []string{"rrn", "approval_code", "transaction_id", "transaction_number"} {
			delete(out, name)
		}
	}
	return out
}

// casposNull: absent bank values arrive as the string "null" (section 2).
func casposNull(s string) string {
	if s == "" {
		return "null"
	}
	return s
}

// casposBarcode is ddMMyy, a part of the device's, and the document number
// (section 8).
func casposBarcode(d *Document) string {
	return d.At.In(baku).Format("020106") + fmt.Sprintf("A1A1%06d", d.Number)
}

// sale is section 4.1.
func (c *casposCall) sale() (answer, error) {
	d := c.draft(Sale)
	c.currency(c.data)
	d.Items = c.items()
	d.Amount = casposTotalOf(d.Items)
	d.Payments = c.payments()
	c.buyer(d)
	if d.Payments.Credit > 0 {
		d.Client.Contract = c.credited()
	}
	if d.Payments.Prepaid > 0 {
		name := "prepaymentDocumentId"
		if c.quirks.has(quirkCasposMisspelt) {
			name = "prepymentDocumentId"
		}
		d.Advance = c.parentID(name, casposParents)
	}
	return c.once(d, func() error { return c.advance(d) }, func() error { return c.paid(d) })
}

// credited reads the contract and the payer of a sale on credit.
func (c *casposCall) credited() string {
	contract := c.data.textUpTo("creditContract", 64, casposContract)
	if contract == "" {
		c.data.blame(casposContract, "creditContract is missing")
	}
	if c.data.textUpTo("creditPayer", maxText, casposPayer) == "" {
		c.data.blame(casposPayer, "creditPayer is missing")
	}
	return contract
}

// advance: one is only spent on goods of its own VAT type (section 6).
func (c *casposCall) advance(d *Document) error {
	a := c.v.tok.byFiscal[d.Advance]
	if d.Advance == "" || a == nil || a.Kind != Prepay {
		return nil // the token says so
	}
	for _, it := range d.Items {
		if len(a.Items) > 0 && it.TaxName != a.Items[0].TaxName {
			return &casposProblem{code: casposVATTypes, text: "the advance was taken for another VAT type"}
		}
	}
	return nil
}

// paid settles the payments of a document that takes money in: cashPayment is
// what was handed over (section 4.1).
func (c *casposCall) paid(d *Document) error {
	if d.Amount == 0 {
		return &casposProblem{code: casposTotal, text: "the total is 0"}
	}
	if c.quirks.has(quirkCasposCashNet) && d.Payments.Cashless > 0 && d.Payments.Total() > d.Amount {
		return &casposProblem{code: casposTotal, text: "the payments are above the total"}
	}
	return d.settle(true)
}

// prepayment is an advance without goods: one line stands for it in the ledger.
func (c *casposCall) prepayment() (answer, error) {
	d := c.draft(Prepay)
	t := c.tax(c.data)
	d.Amount = c.needSum()
	d.Items = []Item{{ID: "0", Name: "Avans", Quantity: 1000, Amount: d.Amount, TaxName: t.name, TaxRate: t.rate}}
	return c.takeAdvance(d)
}

// prepaymentProducts is an advance that names goods, all of one VAT type. It may
// be less than they cost.
func (c *casposCall) prepaymentProducts() (answer, error) {
	d := c.draft(Prepay)
	d.Items = c.items()
	d.Amount = c.needSum()
	t := c.tax(c.data)
	for _, it := range d.Items {
		if it.TaxName != t.name {
			c.data.blame(casposVATTypes, "all items of an advance have its VAT type")
		}
	}
	total := casposTotalOf(d.Items)
	if d.Amount > total {
		c.data.blame(casposTotal, "the advance is %s, the goods only cost %s", money(d.Amount), money(total))
	}
	d.VAT = vatOf(d.Items, total-d.Amount)
	return c.takeAdvance(d)
}

func (c *casposCall) takeAdvance(d *Document) (answer, error) {
	c.currency(c.data)
	d.Payments = c.payments()
	if d.Payments.Credit > 0 || d.Payments.Prepaid > 0 {
		c.data.blame(casposPayment, "an advance is not paid by an advance or on credit")
	}
	c.buyer(d)
	return c.once(d, func() error { return c.paid(d) })
}

func (c *casposCall) needSum() int64 {
	sum := c.data.needMoney("sum")
	if sum == 0 {
		c.data.blame(casposTotal, "sum is 0")
	}
	return sum
}

// The money back types of section 4.2.
var casposReturns = map[int64]Kind{0: Sale, 6: Prepay, 7: CreditPay}

// moneyBack is section 4.2. isManual skips the device's own look at the original.
func (c *casposCall) moneyBack() (answer, error) {
	d := c.draft(Refund)
	c.currency(c.data)
	d.Parent = c.parentID("parentDocumentId", casposParents)
	d.Payments = c.payments()
	kind, known := casposReturns[c.data.integer("moneyBackType")]
	if !known {
		c.data.blame(casposMoneyBack, "moneyBackType is missing or not 0, 6 or 7")
	}
	if !c.data.has("isManual") {
		c.data.missing("isManual")
	}
	d.Manual = c.data.flag("isManual")
	if kind == Sale || c.data.has("items") {
		d.Items = c.items()
	}
	d.Amount = casposTotalOf(d.Items)
	if kind != Sale { // the lines repeat the original, the payments say how much goes back
		d.Amount = d.Payments.Total()
		d.VAT = vatOf(d.Items, max(0, casposTotalOf(d.Items)-d.Amount))
	}
	c.buyer(d)
	return c.once(d, func() error { return c.returned(d, kind) }, func() error {
		if d.Amount == 0 || d.Payments.Total() != d.Amount {
			return &casposProblem{code: casposTotal, text: fmt.Sprintf("payments of %s for a total of %s", money(d.Payments.Total()), money(d.Amount))}
		}
		return nil
	})
}

// returned checks what goes back against the original, as far as the device
// itself does: the token does the rest.
func (c *casposCall) returned(d *Document, kind Kind) error {
	t := c.v.tok
	if d.Manual {
		if !c.quirks.has(quirkCasposManualLimited) {
			return nil
		}
		d.Manual = false
	} else if c.quirks.has(quirkCasposManualOnly) {
		return &casposProblem{code: casposParent, text: "the original was not found"}
	}
	parent := t.byFiscal[d.Parent]
	switch {
	case parent == nil:
		return refuse(NotFound, "no document has this long id")
	case parent.Kind != kind:
		return &casposProblem{code: casposMoneyBack, text: fmt.Sprintf("the original is a %s: not what moneyBackType says", parent.Kind)}
	case t.undone(parent):
		return refuse(AlreadyUndone, "document %d was rolled back", parent.Number)
	case c.quirks.has(quirkCasposRefundOnce) && t.find(func(o *Document) bool { return o.Kind == Refund && o.Parent == d.Parent }) != nil:
		return refuse(TooMuch, "there was money back for document %d before", parent.Number)
	}
	if c.quirks.has(quirkCasposItemUUID) && kind == Sale {
		for i, it := range d.Items {
			if it.Parent == "" || !slices.ContainsFunc(parent.Items, func(sold Item) bool { return sold.UUID == it.Parent }) {
				return &casposProblem{code: casposRefundTotal, text: fmt.Sprintf("items[%d].parentItemUuid is no line of the original", i)}
			}
		}
	}
	switch kind {
	case Prepay:
		d.VAT = vatOf(parent.Items, casposTotalOf(parent.Items)-d.Amount)
	case CreditPay:
		if sale := t.byFiscal[parent.Parent]; sale != nil {
			d.VAT = vatOf(sale.Items, sale.Amount-d.Amount)
		}
	}
	if kind != Sale {
		d.Items = nil // what goes back is money, not goods
	}
	return nil
}

// rollBack is section 4.3. It repeats the sums of the original.
func (c *casposCall) rollBack() (answer, error) {
	d := &Document{Kind: Rollback, Client: Client{Key: c.uuid(), Cashier: c.cashier(c.root)}}
	c.currency(c.root)
	d.Parent = c.parentID("parentDocumentId", casposParents)
	d.Amount = c.needSum()
	d.Payments = c.payments()
	d.Client.Footer = c.data.textUpTo("note", maxNote, casposTooLong)
	list := c.data.list("vatAmounts")
	if len(list) == 0 {
		c.data.blame(casposVATTotals, "vatAmounts is missing")
	}
	want := map[int64]int64{}
	for _, f := range list {
		t := c.tax(f)
		want[t.rate] += f.needMoney("vatSum")
	}
	return c.once(d, func() error { return c.rollsBack(d, want) })
}

func (c *casposCall) rollsBack(d *Document, want map[int64]int64) error {
	parent := c.v.tok.byFiscal[d.Parent]
	switch {
	case parent == nil || parent.Shift != c.v.tok.shift:
		return &casposProblem{code: casposNoSale, text: "no such document in this shift"}
	case parent.Kind != Sale && parent.Kind != Correction:
		return &casposProblem{code: casposParent, text: fmt.Sprintf("a %s cannot be rolled back", parent.Kind)}
	case c.v.tok.undone(parent):
		return refuse(AlreadyUndone, "document %d was rolled back before", parent.Number)
	case parent.Amount != d.Amount || parent.Payments != d.Payments:
		return &casposProblem{code: casposTotal, text: "sum and payments are not those of the original"}
	}
	have := map[int64]int64{}
	for _, it := range parent.Items {
		have[it.TaxRate] += it.Amount
	}
	if parent.Kind == Correction {
		for _, v := range parent.VAT {
			have[v.Rate] += v.Turnover
		}
	}
	for rate, sum := range want {
		if _, there := have[rate]; !there {
			return &casposProblem{code: casposVATTypes, text: "vatAmounts names a type that the original does not have"}
		}
		have[rate] -= sum
	}
	for _, left := range have {
		if left != 0 {
			return &casposProblem{code: casposVATTotals, text: "vatAmounts is not the turnover of the original"}
		}
	}
	d.Items, d.VAT = parent.Items, parent.VAT
	return nil
}

// credit repays a sale on credit (section 4.4). The one line carries the amount.
func (c *casposCall) credit() (answer, error) {
	d := c.draft(CreditPay)
	c.currency(c.data)
	d.Parent = c.parentID("parentDocumentId", casposParents)
	d.Items = c.items()
	if len(d.Items) > 1 {
		c.data.blame(casposManyItems, "a repayment has one item")
	}
	for _, f := range c.data.list("items") {
		f.needMoney("realPrice")
	}
	d.Amount = casposTotalOf(d.Items)
	d.Payments = c.payments()
	if d.Payments.Credit > 0 || d.Payments.Prepaid > 0 {
		c.data.blame(casposPayment, "a repayment is not paid by an advance or on credit")
	}
	c.data.needText("paymentNumber")
	residue := c.data.needMoney("residue")
	d.Client.Contract = c.credited()
	c.buyer(d)
	return c.once(d, func() error { return c.paid(d) }, func() error {
		sale := c.v.tok.byFiscal[d.Parent]
		if sale == nil || sale.Kind != Sale || sale.Payments.Credit == 0 {
			return nil // the token says so
		}
		if left := c.v.tok.debt(sale) - d.Amount; left >= 0 && left != residue {
			return &casposProblem{code: casposResidue, text: fmt.Sprintf("residue is %s, but %s will be left", money(residue), money(left))}
		}
		return nil
	})
}

// correction enters takings from a time when the register was down, for one
// vatType (section 4).
func (c *casposCall) correction() (answer, error) {
	f := c.data
	d := &Document{Kind: Correction, Client: Client{Key: c.uuid(), Cashier: c.cashier(c.root)}}
	c.currency(f)
	from, to := f.instant("firstOperationAtUtc"), f.instant("lastOperationAtUtc")
	if to.Before(from) {
		f.blame(casposTime, "lastOperationAtUtc is before firstOperationAtUtc")
	}
	d.Client.Time = from.Format(time.RFC3339) + "/" + to.Format(time.RFC3339)
	d.Payments = Payments{Cash: f.money("cashPayment"), Cashless: f.money("cardPayment")}
	d.Amount = d.Payments.Total()
	if d.Amount == 0 {
		f.blame(casposTotal, "the payments are 0")
	}
	d.Client.Footer = f.textUpTo("note", maxNote, casposTooLong)
	t := c.tax(f)
	d.VAT = []VAT{{Rate: t.rate, Turnover: d.Amount, Tax: taxIn(d.Amount, t.rate)}}
	return c.once(d)
}

func (c *casposCall) deposit() (answer, error)  { return c.cash(Deposit) }
func (c *casposCall) withdraw() (answer, error) { return c.cash(Withdraw) }

func (c *casposCall) cash(kind Kind) (answer, error) {
	d := c.draft(kind)
	c.currency(c.data)
	d.Amount = c.needSum()
	d.Payments.Cash = d.Amount
	return c.once(d)
}
