package omnitech

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/register/tokentext"
)

var (
	errNoParent = errors.New("the parent's long fiscal id and document number are not known; the register asks for both (section 8)")
	errManyLine = errors.New("a credit sale may have one line only on this register, and so its payments (section 4.5)")
)

// mostItems of a document (section 7).
const mostItems = 201

// codeTypes (section 4.1).
const (
	codeText          = 0
	codeCreditPayment = 5
)

// moneyBackTypes (section 4.3); a sale's is left out.
const (
	backOfPrepayment    = 6
	backOfCreditPayment = 7
)

var quantityTypes = map[receipt.Unit]int{
	receipt.Piece: 0, receipt.Kilogram: 1, receipt.Litre: 2, receipt.Metre: 3, receipt.SquareMetre: 4, receipt.CubicMetre: 5,
}

// Prepare writes the request for a job: all of it but the access token.
func (d *Driver) Prepare(job register.Job) (register.Request, error) {
	route, ok := routes[job.Receipt.Kind]
	if !ok {
		return register.Request{}, fmt.Errorf("prepare %s: no such kind of document", job.Receipt.Kind)
	}
	r, err := d.request(job)
	if err != nil {
		return register.Request{}, fmt.Errorf("prepare %s: %w", route, err)
	}
	r.IntRef = job.Key
	o := order{
		After: job.Baseline.Last, Again: job.Again, Prepared: d.cfg.Now().UTC().Format(time.RFC3339), Request: envelope{r},
	}
	if opened := job.Baseline.Shift.OpenedAt; !opened.IsZero() {
		o.Opened = opened.UTC().Format(time.RFC3339)
	}
	return register.Request{Route: route, Key: job.Key, Body: encode(o)}, nil
}

func (d *Driver) request(job register.Job) (request, error) {
	if job.Key == "" {
		return request{}, errors.New("no key")
	}
	if _, ok := number(job.Baseline.Last); !ok {
		return request{}, fmt.Errorf("the register's last document number is not known: %q", job.Baseline.Last)
	}
	r := job.Receipt
	switch r.Kind {
	case receipt.Deposit:
		return drawer(opDeposit, r.Amount), nil
	case receipt.Withdrawal:
		return drawer(opWithdraw, r.Amount), nil
	case receipt.Correction:
		v, err := d.correction(r)
		return full(opCorrection, "correction", job, v), err
	case receipt.Cancel:
		return d.cancel(job)
	case receipt.CreditPayment:
		v, err := d.creditPay(job)
		return full(opCreditPay, "creditpay", job, v), err
	case receipt.Refund:
		v, err := d.moneyBack(job)
		return full(opMoneyBack, "money_back", job, v), err
	case receipt.Prepayment:
		v, err := d.sold(r)
		return full(opPrepay, "prepay", job, v), err
	}
	v, err := d.sale(job)
	return full(opSale, "sale", job, v), err
}

// full is a request with a document. It stands on the number that was read
// before, on other routes than the promised ones as well: where it is looked at,
// it guards; the page has it for all (sections 2 and 16).
func full(op int, docType string, job register.Job, data any) request {
	r := ask(op)
	r.Token = &token{
		Parameters:  parameters{DocType: docType, Prev: json.Number(job.Baseline.Last), Data: encode(data)},
		OperationID: "createDocument", Version: 1,
	}
	return r
}

// drawer is cash in or out: no doc_type, and cashSum alone (sections 4 and 15).
func drawer(op int, amount receipt.Money) request {
	r := ask(op)
	r.Token = &token{Parameters: parameters{Data: encode(cash{money(amount)})}, OperationID: "createDocument", Version: 1}
	return r
}

// sold is what sales, prepayments and rollbacks have in common (section 4.1).
// Prepayment and credit stand outside sum and VAT; cash is what stays in the
// drawer, and incomingSum what was handed over.
func (d *Driver) sold(r receipt.Receipt) (document, error) {
	if len(r.Items) == 0 || len(r.Items) > mostItems {
		return document{}, fmt.Errorf("it has %d lines; the register takes 1 to %d (section 7)", len(r.Items), mostItems)
	}
	total, p := r.Total(), r.Payments
	change := p.Change(total)
	if change < 0 || change > p.Cash {
		return document{}, fmt.Errorf("payments do not fit the total of %s", total)
	}
	rest := total - p.Prepaid - p.Credit
	v := document{
		Cashier: tokentext.Person(r.Cashier), Currency: currency,
		Sum: money(rest), CashSum: money(p.Cash - change), CashlessSum: money(p.Card), BonusSum: money(p.Bonus),
		PrepaymentSum: money(p.Prepaid), CreditSum: money(p.Credit), IncomingSum: new(money),
	}
	if v.CashSum > 0 {
		*v.IncomingSum = money(p.Cash)
	}
	v.Items = lines(r.Items)
	v.VATAmounts = turnovers(r.Items, rest)
	return v, nil
}

func (d *Driver) sale(job register.Job) (document, error) {
	r := job.Receipt
	v, err := d.sold(r)
	if err != nil {
		return v, err
	}
	if r.Payments.Credit > 0 {
		if len(r.Items) != 1 {
			return v, errManyLine
		}
		v.CreditContract = contract(r, nil)
	}
	if r.Payments.Prepaid > 0 {
		id, _, err := parent(job)
		if err != nil {
			return v, err
		}
		v.Parents = []string{id}
	}
	return v, nil
}

// moneyBack gives back (section 4.3). Of a prepayment or a credit payment the
// items are the parent's, and only the sums are those of what is given back.
func (d *Driver) moneyBack(job register.Job) (v document, err error) {
	r := job.Receipt
	if r.Payments.Prepaid > 0 {
		return v, errors.New("money back into a prepayment is not taken: give it as cash, cashless or bonus (section 4.3)")
	}
	id, number, err := parent(job)
	if err != nil {
		return v, err
	}
	credit, total := r.Payments.Credit, r.Total()
	if v, err = d.sold(r); err != nil {
		return v, err
	}
	items := r.Items
	if of := job.Parent; of != nil {
		switch of.Kind {
		case receipt.Prepayment:
			v.MoneyBackType, items = backOfPrepayment, of.Items
		case receipt.CreditPayment:
			v.MoneyBackType, items = backOfCreditPayment, of.Items
		}
	}
	v.Items = lines(items)
	if v.MoneyBackType == backOfCreditPayment {
		for n := range v.Items {
			v.Items[n].CodeType = codeCreditPayment
		}
	}
	v.ParentDocument, v.RefundNumber, v.RefundShortID = id, number, receipt.ShortID(id)
	v.Sum, v.CreditSum = money(total), money(credit) // here sum has the credit in it
	v.VATAmounts = turnovers(items, total)
	return v, nil
}

// cancel takes the whole parent back (section 4.4): a plain sale or a prepayment
// by its id, what touches credit or a prepayment with the whole body.
func (d *Driver) cancel(job register.Job) (request, error) {
	id, _, err := parent(job)
	if id == "" {
		return request{}, err
	}
	r := job.Receipt
	kind := receipt.Sale
	if job.Parent != nil {
		kind = job.Parent.Kind
		if len(r.Items) == 0 {
			r.Items, r.Payments = job.Parent.Items, job.Parent.Payments
		}
	}
	switch {
	case kind != receipt.Sale && kind != receipt.Prepayment && kind != receipt.CreditPayment:
		return request{}, fmt.Errorf("the register takes no %s back (section 4)", kind)
	case kind != receipt.CreditPayment && r.Payments.Credit == 0 && r.Payments.Prepaid == 0:
		q := ask(opRollback)
		q.FiscalID = id
		return q, nil
	}
	var v document
	if kind == receipt.CreditPayment {
		v, err = d.paid(r, nil)
	} else {
		v, err = d.sold(r)
	}
	if err != nil {
		return request{}, err
	}
	v.ParentDocument, v.IncomingSum = id, nil
	return full(opUndoWhole, "rollback", job, v), nil
}

// creditPay pays a part of a credit sale off (section 4.5).
func (d *Driver) creditPay(job register.Job) (v document, err error) {
	r := job.Receipt
	id, _, err := parent(job)
	if id == "" {
		return v, err
	}
	if job.Parent == nil {
		return v, errors.New("the credit sale is not in the journal, so that what is left of the debt is not known (section 4.5)")
	}
	residue := job.Parent.Payments.Credit - job.Repaid.Sum - r.Total()
	if residue < 0 {
		return v, fmt.Errorf("it pays %s more than is left of the debt", -residue)
	}
	if v, err = d.paid(r, job.Parent.Items); err != nil {
		return v, err
	}
	left := money(residue)
	v.ParentDocument, v.CreditContract = id, contract(r, job.Parent)
	v.PaymentNumber, v.Residue = job.Repaid.Count+1, &left
	return v, nil
}

// paid is the document of a payment: one line, with the price that was agreed on
// with the sale, and the sums of the payment. original is the sale's line.
func (d *Driver) paid(r receipt.Receipt, original []receipt.Item) (v document, err error) {
	if v, err = d.sold(r); err != nil {
		return v, err
	}
	items := original
	if len(items) == 0 {
		items = r.Items
	}
	if len(items) != 1 {
		return v, errManyLine
	}
	v.Items = lines(items)
	v.Items[0].CodeType = codeCreditPayment
	v.VATAmounts = turnovers(items, r.Total())
	return v, nil
}

// correction gives the turnovers by rate (section 4.6).
func (d *Driver) correction(r receipt.Receipt) (v correction, err error) {
	if r.Period == nil {
		return v, errors.New("no period is given")
	}
	total := r.Total()
	p := r.Payments
	return correction{
		Cashier: tokentext.Person(r.Cashier), Currency: currency,
		First: r.Period.From.UTC().Format(utcTime), Last: r.Period.To.UTC().Format(utcTime),
		Sum: money(total), CashSum: money(p.NetCash(total)), CashlessSum: money(p.Card), BonusSum: money(p.Bonus),
		VATAmounts: turnovers(r.Items, total),
	}, nil
}

// parent is the long id and the number of the document that the job goes back to.
// A long id is at least 40 characters; what is printed is only its beginning. The
// id stands without a number as well, for those that need none.
func parent(job register.Job) (id, number string, err error) {
	if job.Parent != nil && job.Parent.Document != nil {
		id, number = job.Parent.Document.FiscalID, job.Parent.Document.Number
	} else if p := job.Receipt.Parent; p != nil {
		id, number = p.FiscalID, p.Number
	}
	switch {
	case len(id) <= 12:
		return "", "", errNoParent
	case number == "" && job.Receipt.Kind == receipt.Refund:
		return id, "", errNoParent
	}
	return id, number, nil
}

// contract is a credit sale's number: what the till calls it, else the sale's id.
func contract(r receipt.Receipt, sale *receipt.Stored) string {
	switch {
	case r.Contract != "":
		return tokentext.Clean(r.Contract, tokentext.CashierLimit)
	case sale != nil && sale.Contract != "":
		return tokentext.Clean(sale.Contract, tokentext.CashierLimit)
	case sale != nil:
		return sale.ID
	}
	return r.ID
}

func lines(items []receipt.Item) []item {
	all := make([]item, 0, len(items))
	for n, i := range items {
		code := tokentext.Code(i.Code)
		if code == "" {
			code = strconv.Itoa(n + 1) // one is required
		}
		l := item{
			Name: tokentext.ItemName(i.Name, code, tokentext.NameLimit), CodeType: codeText, Code: code,
			QuantityType: quantityTypes[i.Unit], Quantity: quantity(i.Quantity),
			Price: money(unitPrice(i)), Sum: money(i.Total()), VATPercent: percentOf(i.Tax), Discount: money(i.Discount),
		}
		if i.Tax.Type == receipt.Margin18 {
			m := margin(i)
			// A rounded-up line over a small quantity may have a margin above its
			// price, which the register refuses (section 7).
			sum, price := money(m), min(money(perUnit(m, i.Quantity)), l.Price)
			l.MarginPrice, l.MarginSum = &price, &sum
		}
		all = append(all, l)
	}
	return all
}

// unitPrice is the final price of one, the discount taken off (section 4.1).
// Rounded half up, it is within the line's tolerance (section 7).
func unitPrice(i receipt.Item) receipt.Money {
	if i.Discount == 0 && i.Sum == 0 {
		return i.Price
	}
	return perUnit(i.Total(), i.Quantity)
}

func perUnit(m receipt.Money, q receipt.Quantity) receipt.Money {
	if q <= 0 {
		return m
	}
	return share(m, 1000, receipt.Money(q))
}

// share is m × part ÷ whole, rounded half up; nothing in it is below 0.
func share(m, part, whole receipt.Money) receipt.Money {
	n := new(big.Int).Mul(big.NewInt(int64(m)), big.NewInt(2*int64(part)))
	n.Add(n, big.NewInt(int64(whole)))
	return receipt.Money(n.Div(n, big.NewInt(2*int64(whole))).Int64())
}

// percentOf is the rate of a line; what is exempt is no object of VAT and has
// none (section 6).
func percentOf(t receipt.Tax) *percent {
	if t.Type == receipt.Exempt {
		return nil
	}
	p := percent(t.Percent())
	return &p
}

// margin is the seller's own part of a line: the tax is on nothing else.
func margin(i receipt.Item) receipt.Money {
	return min(max(0, i.Total()-receipt.Gross(i.PurchasePrice, i.Quantity)), i.Total())
}

// turnovers groups lines by rate, in the order of first appearance, and shares
// sum among them (section 6): where a part was prepaid or is owed, in proportion,
// to the last qəpik. A margin counts at 18 %, and the rest of its line without a
// rate.
func turnovers(items []receipt.Item, sum receipt.Money) []turnover {
	all := []turnover{}
	add := func(p *percent, m receipt.Money) {
		for n := range all {
			if a := all[n].Percent; a == nil && p == nil || a != nil && p != nil && *a == *p {
				all[n].Sum += money(m)
				return
			}
		}
		all = append(all, turnover{money(m), p})
	}
	var total receipt.Money
	for _, i := range items {
		total += i.Total()
		if i.Tax.Type != receipt.Margin18 {
			add(percentOf(i.Tax), i.Total())
			continue
		}
		own := margin(i)
		add(percentOf(i.Tax), own)
		if rest := i.Total() - own; rest > 0 {
			add(nil, rest)
		}
	}
	if sum == total || total == 0 {
		return all
	}
	var before, given receipt.Money
	for n := range all {
		before += receipt.Money(all[n].Sum)
		upTo := share(sum, before, total)
		all[n].Sum = money(upTo - given)
		given = upTo
	}
	return all
}
