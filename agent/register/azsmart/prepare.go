package azsmart

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/register/tokentext"
)

var errNoParent = errors.New("the parent's fiscal id is not known")

// Prepare writes the request for a job. The bytes depend on nothing but the job,
// the settings and the edition that was told apart.
func (d *Driver) Prepare(job register.Job) (register.Request, error) {
	r := job.Receipt
	route, ok := routes[r.Kind]
	if !ok {
		return register.Request{}, fmt.Errorf("prepare %s: no such kind of document", r.Kind)
	}
	if job.Key == "" {
		return register.Request{}, fmt.Errorf("prepare %s: no key", route)
	}
	var v any
	var err error
	switch r.Kind {
	case receipt.Deposit, receipt.Withdrawal:
		v = cash{
			DocumentExtID: d.key(job), DocNumber: job.Key, EmployeeName: tokentext.Person(r.Cashier),
			Amount: int64(r.Amount), Currency: currency,
		}
	case receipt.Cancel:
		v, err = d.rollback(job)
	case receipt.CreditPayment:
		v, err = d.creditPay(job)
	case receipt.Correction:
		v, err = d.correction(r)
	default:
		v, err = d.document(job)
	}
	if err != nil {
		return register.Request{}, fmt.Errorf("prepare %s: %w", route, err)
	}
	return register.Request{Route: route, Key: job.Key, Body: encode(v)}, nil
}

// key is text in the new edition and an integer in the classic one (section 10).
// Before the edition is known it is text: digits in quotes are read by more
// parsers than the reverse (8.4).
func (d *Driver) key(job register.Job) id {
	return id{text: job.Key, number: d.edition() == EditionClassic}
}

func (d *Driver) document(job register.Job) (document, error) {
	r := job.Receipt
	v := document{
		DocumentExtID: d.key(job), DocTime: moment(r.Time, d.cfg.Zone), DocNumber: job.Key,
		EmployeeName: tokentext.Person(r.Cashier), Currency: currency,
		Items: lines(r.Items, ids(job)), Payments: paid(r.Payments),
	}
	for _, l := range v.Items {
		v.Amount += l.ItemAmount // the device compares it with this very sum (code 4)
	}
	if r.Payments.Credit > 0 {
		v.CreditContract = contract(r, nil)
	}
	fiscalID, number := parent(job)
	switch {
	case r.Kind == receipt.Refund:
		v.ParentDocID, v.ParentDocNum = fiscalID, number
	case r.Payments.Prepaid > 0:
		v.PrepayDocID, v.PrepayDocNum = fiscalID, number
	default:
		return v, nil
	}
	if fiscalID == "" {
		return v, errNoParent
	}
	return v, nil
}

// rollback repeats the lines and payments of the parent, for registers without
// the maker's own till program; these want the fiscal id as the document's id (5.3).
func (d *Driver) rollback(job register.Job) (v rollback, err error) {
	r := job.Receipt
	fiscalID, _ := parent(job)
	if fiscalID == "" {
		return v, errNoParent
	}
	if len(r.Items) == 0 && job.Parent != nil {
		r.Items, r.Payments = job.Parent.Items, job.Parent.Payments
	}
	v = rollback{DocumentID: fiscalID, EmployeeName: tokentext.Person(r.Cashier), Items: lines(r.Items, ids(job))}
	if len(r.Items) > 0 {
		v.Payments = paid(r.Payments)
	}
	return v, nil
}

// creditPay names the credit sale by the register's own number for it, which
// the maker asks for, and by the fiscal id where that number is not known (5.8).
func (d *Driver) creditPay(job register.Job) (v creditPay, err error) {
	r := job.Receipt
	sale, _ := parent(job)
	if job.Parent != nil && job.Parent.Document != nil && job.Parent.Document.RegisterID != "" {
		sale = job.Parent.Document.RegisterID
	}
	if sale == "" {
		return v, errNoParent
	}
	v = creditPay{
		DocumentID: id{text: sale, number: true}, EmployeeName: tokentext.Person(r.Cashier), Currency: currency,
		CreditContract: contract(r, job.Parent), Items: lines(r.Items, ids(job)), Payments: paid(r.Payments),
	}
	for _, l := range v.Items {
		v.Amount += l.ItemAmount
	}
	return v, nil
}

// correction gives the turnovers by rate; taxes of the same rate are one (5.10).
func (d *Driver) correction(r receipt.Receipt) (v correction, err error) {
	if r.Period == nil {
		return v, errors.New("no period is given")
	}
	v = correction{
		EmployeeName: tokentext.Person(r.Cashier),
		DateStart:    moment(r.Period.From, d.cfg.Zone), DateStop: moment(r.Period.To, d.cfg.Zone),
		Amount:     int64(r.Total()),
		CashAmount: int64(r.Payments.Cash), CashlessAmount: int64(r.Payments.Card), BonusesAmount: int64(r.Payments.Bonus),
		VATAmounts: []turnover{},
	}
	at := map[int64]int{}
	for _, s := range r.TaxSums() {
		rate := int64(s.Tax.Percent())
		n, seen := at[rate]
		if !seen {
			n, at[rate] = len(v.VATAmounts), len(v.VATAmounts)
			v.VATAmounts = append(v.VATAmounts, turnover{VATPercent: rate})
		}
		v.VATAmounts[n].VATSum += int64(s.Turnover)
	}
	return v, nil
}

// parent is the fiscal id and number of the receipt that this one goes back to.
func parent(job register.Job) (fiscalID, number string) {
	if job.Parent != nil && job.Parent.Document != nil {
		return job.Parent.Document.FiscalID, job.Parent.Document.Number
	}
	if p := job.Receipt.Parent; p != nil {
		return p.FiscalID, p.Number
	}
	return "", ""
}

// contract is a credit sale's number: what the till calls it, else the sale's id.
func contract(r receipt.Receipt, sale *receipt.Stored) string {
	switch {
	case r.Contract != "":
		return r.Contract
	case sale != nil && sale.Contract != "":
		return sale.Contract
	case sale != nil:
		return sale.ID
	}
	return r.ID
}

func paid(p receipt.Payments) *payments {
	return &payments{
		CashAmount: int64(p.Cash), CashlessAmount: int64(p.Card), CreditAmount: int64(p.Credit),
		BonusesAmount: int64(p.Bonus), PrepaymentAmount: int64(p.Prepaid),
	}
}

func lines(items []receipt.Item, ids []string) []line {
	var all []line
	for n, i := range items {
		l := line{
			ItemID: ids[n], ItemName: tokentext.ItemName(i.Name, ids[n], tokentext.NameLimit), ItemUnit: units[i.Unit],
			ItemQty: int64(i.Quantity), ItemAmount: int64(i.Total()), Discount: int64(i.Discount),
			ItemTaxes: []tax{taxOf(i.Tax)},
		}
		if i.Tax.Type == receipt.Margin18 {
			price, sum := int64(i.PurchasePrice), int64(receipt.Gross(i.PurchasePrice, i.Quantity))
			l.ItemMarginPrice, l.ItemMarginSum = &price, &sum
		}
		all = append(all, l)
	}
	return all
}

func taxOf(t receipt.Tax) tax {
	if known, ok := taxes[t.Type]; ok {
		return known
	}
	return tax{TaxName: tokentext.Clean(t.Name, tokentext.CashierLimit), TaxPrc: int64(t.Rate), CalcType: 1}
}

// ids gives each line of the job its article code. A line without one is called
// by its number; where it comes back to a parent, by the number that it had
// there, since the register looks for it among the parent's lines (codes 18, 19
// and 21).
func ids(job register.Job) []string {
	items := job.Receipt.Items
	switch {
	case job.Parent == nil:
		return own(items)
	case len(items) == 0:
		return own(job.Parent.Items)
	}
	return matched(items, job.Parent.Items)
}

// own calls a line without a code by its number. Equal lines are one article and
// share the number of the first, so that any of them can come back.
func own(items []receipt.Item) []string {
	ids, taken := make([]string, len(items)), map[string]bool{}
	for n, i := range items {
		ids[n] = tokentext.Code(i.Code)
		taken[ids[n]] = true
	}
	for n, i := range items {
		if ids[n] != "" {
			continue
		}
		if first := find(i, items[:n]); first >= 0 && same(i, items[first]) {
			ids[n] = ids[first]
			continue
		}
		ids[n] = strconv.Itoa(n + 1)
		if taken[ids[n]] {
			ids[n] = "line " + ids[n] // that number is another line's code
		}
	}
	return ids
}

// matched gives lines without a code the id of the parent's line of the same
// name, of the same price too if there is one. A line that was not sold gets an
// id that no sold line has: the register then refuses it, instead of taking back
// something else.
func matched(items, sold []receipt.Item) []string {
	ids, of := own(items), own(sold)
	for n, i := range items {
		if tokentext.Code(i.Code) != "" {
			continue
		}
		if at := find(i, sold); at >= 0 {
			ids[n] = of[at]
			continue
		}
		ids[n] = "line " + strconv.Itoa(len(sold)+n+1)
	}
	return ids
}

// find gives the first line without a code that is the same, else the first of
// the same name, else -1.
func find(i receipt.Item, among []receipt.Item) int {
	found := -1
	for n, x := range among {
		if tokentext.Code(x.Code) != "" || !named(i, x) {
			continue
		}
		if same(i, x) {
			return n
		}
		if found < 0 {
			found = n
		}
	}
	return found
}

func named(a, b receipt.Item) bool {
	return strings.EqualFold(strings.TrimSpace(a.Name), strings.TrimSpace(b.Name))
}

func same(a, b receipt.Item) bool {
	return named(a, b) && a.Price == b.Price && a.Tax == b.Tax && a.Unit == b.Unit
}
