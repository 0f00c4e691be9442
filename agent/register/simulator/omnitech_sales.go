package simulator

import (
	"strconv"
	"time"
)

// sale is check type 1: also on credit, also paid by an advance (section 4.1).
func (c *omniCall) sale() (answer, error) {
	parameters, data := c.parameters("sale")
	if data == nil {
		return nil, c.bad()
	}
	p := c.draft(Sale, data)
	p.checkPaid(data)
	p.checkItems(data, p.Amount, 1)
	p.checkChange(data)
	p.checkVAT(data, p.Payments.Prepaid+p.Payments.Credit == 0)
	p.contract(data, p.Payments.Credit > 0 && !c.quirks.has(quirkNoContract))
	if p.Payments.Credit > 0 && len(p.Items) > 1 {
		data.blame(omniTooManyItems, "a credit sale may hold one item only")
	}
	parents, _ := data.get("parents", p.Payments.Prepaid > 0).([]any)
	switch {
	case p.Payments.Prepaid == 0 && len(parents) > 0:
		data.blame(omniNotAllowed, "parents are there, but prepaymentSum is 0")
	case p.Payments.Prepaid > 0 && len(parents) != 1:
		data.blame(omniParents, "%d parents: a sale paid by an advance has one", len(parents))
	case p.Payments.Prepaid > 0:
		p.Advance, _ = parents[0].(string)
		if n := len(p.Advance); n < 40 || n > 64 {
			data.blame(omniParentLength, "the parent has %d characters: a long id has 43 or 44", n)
		}
	}
	return c.submit(parameters, p.Document)
}

// prepay is check type 34 (section 4.2): the sum may be less than the items.
func (c *omniCall) prepay() (answer, error) {
	parameters, data := c.parameters("prepay")
	if data == nil {
		return nil, c.bad()
	}
	p := c.draft(Prepay, data)
	p.noOther(data)
	p.checkPaid(data)
	if p.sum > p.itemsTotal()+1 {
		data.blame(omniItemsTotal, "sum is %s, more than the items of %s", money(p.sum), money(p.itemsTotal()))
	}
	p.checkChange(data)
	p.checkVAT(data, false)
	return c.submit(parameters, p.Document)
}

// moneyBack is check type 100 (section 4.3).
func (c *omniCall) moneyBack() (answer, error) {
	parameters, data := c.parameters("money_back")
	if data == nil {
		return nil, c.bad()
	}
	p := c.draft(Refund, data)
	p.incoming = 0 // nothing is handed over
	p.Parent = data.parentID("parentDocument")
	number := data.text("refund_document_number", true)
	short := data.text("refund_short_document_id", true)
	for _, name := range []string{"firstOperationAtUtc", "lastOperationAtUtc", "creditContract"} {
		data.text(name, false)
	}
	what := data.whole("moneyBackType", false)
	of, known := moneyBackTypes[what]
	if !known {
		data.blame(omniBackType, "moneyBackType is %d: 6 and 7 are allowed, or none", what)
	}
	if p.sum != p.Amount {
		data.blame(omniDocTotal, "sum is %s, but all payments make %s", money(p.sum), money(p.Amount))
	}
	if of == Sale {
		p.checkItems(data, p.sum, max(1, int64(len(p.Items))))
	} else if p.sum > p.itemsTotal() {
		data.blame(omniItemsTotal, "sum is %s, more than the items of %s", money(p.sum), money(p.itemsTotal()))
	}
	if p.Payments.Prepaid > 0 || p.Payments.Credit > 0 && of != Sale {
		data.blame(omniNotAllowed, "prepaymentSum must be 0, and creditSum is for sales: give the money back")
	}
	p.checkVAT(data, false)
	if err := c.bad(); err != nil {
		return nil, err
	}
	if err := c.back(p, of, number, short); err != nil {
		return nil, err
	}
	if of != Sale {
		p.Items = nil // they repeat the parent's: not what is given back
	}
	return c.submit(parameters, p.Document)
}

// back checks a money back against its parent, as far as the token's own rules
// (checkRefund) do not.
func (c *omniCall) back(p *omniPaper, of Kind, number, short string) error {
	t := c.v.tok
	parent := t.byFiscal[p.Parent]
	switch {
	case parent == nil:
		return &omniProblem{code: omniParent, text: "parent document is not found"}
	case t.undone(parent):
		return &omniProblem{code: omniUndone, text: omniTexts[omniUndone]}
	case parent.Kind != Sale && parent.Kind != Prepay && parent.Kind != CreditPay:
		return &omniProblem{code: omniParent, text: "parent document cannot be refunded"}
	case parent.Kind != of:
		return &omniProblem{code: omniBackType, text: "moneyBackType does not fit the parent document, a " + string(parent.Kind)}
	case number != strconv.FormatInt(parent.Number, 10):
		return &omniProblem{code: omniParent, text: "refund_document_number is not that of the parent document"}
	case short != parent.ShortID:
		return &omniProblem{code: omniParent, text: "refund_short_document_id is not that of the parent document"}
	}
	var before int64
	for _, d := range t.docs {
		if d.Kind == Refund && d.Parent == parent.FiscalID {
			before += d.Amount
		}
	}
	switch {
	case before >= parent.Amount:
		return &omniProblem{code: omniDone, text: "document was already refunded"}
	case p.Amount > parent.Amount-before+1:
		return &omniProblem{code: omniBackTotal, text: "more is given back than is left of the parent document"}
	case of == Sale && p.Payments.Credit > t.debt(parent):
		return &omniProblem{code: omniNotAllowed, text: "creditSum is above the debt"}
	}
	return nil
}

// creditPay is check type 31 (section 4.5). The item carries the original price, so
// it is not held against sum.
func (c *omniCall) creditPay() (answer, error) {
	parameters, data := c.parameters("creditpay")
	if data == nil {
		return nil, c.bad()
	}
	p := c.draft(CreditPay, data)
	p.noOther(data)
	p.checkPaid(data)
	p.checkChange(data)
	p.Parent = data.parentID("parentDocument")
	p.contract(data, true)
	data.money("changeSum", false)
	if data.whole("paymentNumber", true) < 1 {
		data.blame(omniSchema, "%spaymentNumber must be 1 or more", data.path)
	}
	residue := data.money("residue", true)
	if len(p.Items) > 1 {
		data.blame(omniTooManyItems, "a credit payment has one item only")
	}
	p.checkVAT(data, false)
	if err := c.bad(); err != nil {
		return nil, err
	}
	t := c.v.tok
	switch sale := t.byFiscal[p.Parent]; {
	case sale == nil || sale.Kind != Sale || sale.Payments.Credit == 0:
		return nil, &omniProblem{code: omniParent, text: "parent document is no credit sale"}
	case t.undone(sale):
		return nil, &omniProblem{code: omniUndone, text: omniTexts[omniUndone]}
	case p.Amount > t.debt(sale):
		return nil, &omniProblem{code: omniNotAllowed, text: "sum is above the debt of " + money(t.debt(sale))}
	case residue != t.debt(sale)-p.Amount:
		return nil, &omniProblem{code: omniResidue, text: "residue is not " + money(t.debt(sale)-p.Amount)}
	}
	return c.submit(parameters, p.Document)
}

// correction is check type 19 (section 4.6): takings of a time without register.
func (c *omniCall) correction() (answer, error) {
	parameters, data := c.parameters("correction")
	if data == nil {
		return nil, c.bad()
	}
	p := c.draft(Correction, data)
	p.noOther(data)
	p.checkPaid(data)
	p.incoming = 0
	first, last := data.stamp("firstOperationAtUtc"), data.stamp("lastOperationAtUtc")
	if last.Before(first) || last.After(c.v.now().Add(time.Minute)) {
		data.blame(omniTime, "the operations must be from first to last, and over")
	}
	var total int64
	for _, v := range p.vat {
		total += v.Turnover
	}
	p.checkVATSum(data, total)
	return c.submit(parameters, p.Document)
}
