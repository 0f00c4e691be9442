package caspos

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/register/tokentext"
)

// ours is the name space of our keys (RFC 9562, 5.5).
var ours = uuid.MustParse("5c3ab0f0-6a0e-5b1f-9c1d-7f0e5a2d4e61")

// uuidOf makes the documentUUID of a key: the same on every attempt, after every
// restart (section 8).
func uuidOf(parts ...string) string {
	return uuid.NewSHA1(ours, []byte(strings.Join(parts, "/"))).String()
}

func lineUUID(key string, n int) string { return uuidOf("receipt", key, "line", strconv.Itoa(n+1)) }

// Prepare writes the request for a job. What is sent depends on the receipt and
// its parent alone; the baseline is only kept beside it.
func (d *Driver) Prepare(job register.Job) (register.Request, error) {
	r := job.Receipt
	operation, ok := operations[r.Kind]
	if !ok {
		return register.Request{}, fmt.Errorf("prepare %s: no such kind of document", r.Kind)
	}
	if job.Key == "" {
		return register.Request{}, fmt.Errorf("prepare %s: no key", operation)
	}
	if r.Kind == receipt.Cancel && len(r.Items) == 0 && job.Parent != nil {
		r.Items, r.Payments = job.Parent.Items, job.Parent.Payments
		job.Receipt = r
	}
	p := prepared{
		Operation: operation,
		Before: before{
			Serial: job.Baseline.Serial, Shift: job.Baseline.Shift.ID, Last: job.Baseline.Last, Sum: r.Total(),
		},
	}
	data, err := d.data(job, &p)
	if err != nil {
		return register.Request{}, fmt.Errorf("prepare %s: %w", operation, err)
	}
	p.Data = encode(data)
	return register.Request{Route: operation, Key: job.Key, Body: encode(p)}, nil
}

func (d *Driver) data(job register.Job, p *prepared) (any, error) {
	r, id, cashier := job.Receipt, uuidOf("receipt", job.Key), tokentext.Person(job.Receipt.Cashier)
	switch r.Kind {
	case receipt.Deposit, receipt.Withdrawal:
		return cash{UUID: id, Sum: azn(r.Amount), Cashier: cashier, Currency: currency}, nil
	case receipt.Correction:
		p.Cashier = cashier
		return correctionOf(r, id)
	case receipt.Cancel:
		p.Cashier, p.Currency = cashier, currency
		return rollbackOf(job, id)
	}
	v := sale{
		UUID: id, payments: kept(r), Cashier: cashier, Note: note(r), Currency: currency,
	}
	var err error
	if v.Items, err = items(job); err != nil {
		return nil, err
	}
	switch r.Kind {
	case receipt.Sale:
		v.Cash = azn(r.Payments.Cash) // as handed over: the register works out the change (section 4.1)
		if r.Payments.Credit > 0 {
			v.CreditContract, v.CreditPayer = contract(r, nil), payer
		}
		if r.Payments.Prepaid > 0 {
			v.Prepayment, err = parent(job)
		}
	case receipt.Prepayment:
		sum := azn(r.Total())
		v.Sum = &sum
		v.VATType, err = oneTax(r)
	case receipt.Refund:
		v.Parent, err = parent(job)
		kind, manual := moneyBackType(job), madeElsewhere(job)
		v.MoneyBackType, v.Manual = &kind, &manual
	case receipt.CreditPayment:
		if v.Parent, err = parent(job); err == nil {
			err = v.repay(job)
		}
	}
	return v, err
}

// payer stands for the guest of a credit sale: tills do not tell the name, and
// the register wants one (section 4.1; codes 630 and 631).
const payer = "Müştəri"

// contract is a credit sale's number: what the till calls it, else the sale's id.
func contract(r receipt.Receipt, sale *receipt.Stored) string {
	s := r.ID
	switch {
	case r.Contract != "":
		s = r.Contract
	case sale != nil && sale.Contract != "":
		s = sale.Contract
	case sale != nil:
		s = sale.ID
	}
	return tokentext.Cut(s, tokentext.CashierLimit)
}

// kept are the payments without the change: it is only of a sale that the page
// says that the register works it out.
func kept(r receipt.Receipt) payments {
	p := r.Payments
	return payments{Cash: azn(p.NetCash(r.Total())), Card: azn(p.Card), Bonus: azn(p.Bonus), Credit: azn(p.Credit), Deposit: azn(p.Prepaid)}
}

func note(r receipt.Receipt) string { return tokentext.Clean(r.Note, tokentext.NameLimit) }

// parent is the long id of the receipt that this one goes back to (section 8).
func parent(job register.Job) (string, error) {
	id := ""
	if job.Parent != nil && job.Parent.Document != nil {
		id = job.Parent.Document.FiscalID
	} else if p := job.Receipt.Parent; p != nil {
		id = p.FiscalID
	}
	switch {
	case id == "":
		return "", errors.New("the parent's fiscal id is not known")
	case len(id) <= shortID:
		return "", fmt.Errorf("the register wants the parent's long document id, and %s is the short one", id)
	}
	return id, nil
}

// moneyBackType is 0 for a sale, 6 for an advance, 7 for a credit payment
// (section 4.2). A parent that is not in our journal is taken for a sale.
func moneyBackType(job register.Job) int {
	if job.Parent == nil {
		return 0
	}
	return map[receipt.Kind]int{receipt.Prepayment: 6, receipt.CreditPayment: 7}[job.Parent.Kind]
}

// madeElsewhere says whether another register made the parent, so that this one
// cannot find it. Otherwise it has to look for the original itself (section 4.2).
func madeElsewhere(job register.Job) bool {
	return job.Parent != nil && job.Parent.Document != nil &&
		job.Parent.Document.RegisterSerial != "" && job.Baseline.Serial != "" &&
		job.Parent.Document.RegisterSerial != job.Baseline.Serial
}

// repay makes the one line of a credit payment (section 4.4).
func (v *sale) repay(job register.Job) error {
	r := job.Receipt
	tax, err := oneTax(r)
	if err != nil {
		return err
	}
	total, original, residue := azn(r.Total()), azn(r.Total()), azn(0)
	if job.Parent != nil {
		original = azn(job.Parent.Total())
		residue = azn(max(0, job.Parent.Payments.Credit-job.Repaid.Sum-r.Total()))
	}
	line := v.Items[0]
	line.Quantity, line.SalePrice, line.Sum, line.RealPrice, line.VATType = 1000, total, total, &original, tax
	v.Items = []item{line}
	v.PaymentNumber, v.Residue = strconv.Itoa(job.Repaid.Count+1), &residue
	v.CreditContract, v.CreditPayer = contract(r, job.Parent), payer
	return nil
}

func rollbackOf(job register.Job, id string) (v rollback, err error) {
	r := job.Receipt
	v = rollback{UUID: id, Sum: azn(r.Total()), payments: kept(r), Note: note(r)}
	if v.Parent, err = parent(job); err != nil {
		return v, err
	}
	if len(r.Items) == 0 {
		return v, errors.New("the register wants the parent's turnover by tax, and its lines are not known")
	}
	at := map[int]int{}
	for _, s := range r.TaxSums() {
		tax, err := vatType(s.Tax)
		if err != nil {
			return v, err
		}
		n, seen := at[tax]
		if !seen {
			n, at[tax] = len(v.VAT), len(v.VAT)
			v.VAT = append(v.VAT, turnover{VATType: tax})
		}
		v.VAT[n].VATSum += azn(s.Turnover)
	}
	return v, nil
}

func correctionOf(r receipt.Receipt, id string) (v correction, err error) {
	if r.Period == nil {
		return v, errors.New("no period is given")
	}
	if r.Payments.Bonus > 0 || r.Payments.Credit > 0 || r.Payments.Prepaid > 0 {
		return v, errors.New("the register takes a correction in cash and by card only")
	}
	tax, err := oneTax(r)
	v = correction{
		UUID: id, Currency: currency, VATType: tax, Note: note(r),
		First: r.Period.From.UTC().Format(time.RFC3339), Last: r.Period.To.UTC().Format(time.RFC3339),
		Cash: azn(r.Payments.NetCash(r.Total())), Card: azn(r.Payments.Card),
	}
	return v, err
}

// oneTax is the vatType of documents that may only have one (section 4).
func oneTax(r receipt.Receipt) (int, error) {
	tax := 0
	for _, i := range r.Items {
		t, err := vatType(i.Tax)
		switch {
		case err != nil:
			return 0, err
		case tax != 0 && t != tax:
			return 0, fmt.Errorf("the register takes one tax in a %s; make one for each tax", r.Kind)
		}
		tax = t
	}
	if tax == 0 {
		return 0, errors.New("it has no lines")
	}
	return tax, nil
}

// vatTypes is the table of section 4.5. It has no 4.
var vatTypes = map[receipt.TaxType]int{
	receipt.VAT18: 1, receipt.Margin18: 2, receipt.Exempt: 3, receipt.VAT0: 5, receipt.Simplified2: 6, receipt.Simplified8: 7,
}

// vatType is the register's number for a tax. Of one that the settings only name,
// the rate says which it is; at 0 % it does not.
func vatType(t receipt.Tax) (int, error) {
	if n, ok := vatTypes[t.Type]; ok {
		return n, nil
	}
	switch {
	case t.Type == "" && t.Rate == 18_00:
		return 1, nil
	case t.Type == "" && t.Rate == 2_00:
		return 6, nil
	case t.Type == "" && t.Rate == 8_00:
		return 7, nil
	}
	return 0, fmt.Errorf("the register has no tax %q at %s %%; set the tax by its type", t.Name, t.Rate)
}

// quantityTypes is in section 4.5.
var quantityTypes = map[receipt.Unit]int{
	receipt.Piece: 0, receipt.Kilogram: 1, receipt.Litre: 2, receipt.Metre: 3, receipt.SquareMetre: 4, receipt.CubicMetre: 5,
}

// items writes the lines. The price is net of the discount, the line's sum stands
// beside it and discountAmount is 0, since the maker's own samples contradict
// each other on what it does (section 4.1).
func items(job register.Job) ([]item, error) {
	r := job.Receipt
	if len(r.Items) == 0 {
		return nil, errors.New("it has no lines")
	}
	var all []item
	for n, i := range r.Items {
		tax, err := vatType(i.Tax)
		if err != nil {
			return nil, err
		}
		code := codeOf(i, n)
		sold := -1
		if r.Kind == receipt.Refund && job.Parent != nil {
			if sold = find(i, job.Parent.Items); sold >= 0 {
				code = codeOf(job.Parent.Items[sold], sold)
			}
		}
		price := i.Price
		if i.Discount != 0 && i.Quantity > 0 {
			price = receipt.Money((2000*int64(i.Total()) + int64(i.Quantity)) / (2 * int64(i.Quantity)))
		}
		line := item{
			Name: tokentext.ItemName(i.Name, code, tokentext.NameLimit), Code: code, Quantity: amount(i.Quantity),
			SalePrice: azn(price), PurchasePrice: azn(i.PurchasePrice), Sum: azn(i.Total()),
			CodeType: codeType(code), QuantityType: quantityTypes[i.Unit], VATType: tax, UUID: lineUUID(job.Key, n),
		}
		if sold >= 0 {
			line.ParentUUID = lineUUID(job.Parent.Key, sold)
		}
		all = append(all, line)
	}
	return all, nil
}

// codeOf is a line's article code; one without is called by its number.
func codeOf(i receipt.Item, n int) string {
	if code := tokentext.Code(i.Code); code != "" {
		return code
	}
	return strconv.Itoa(n + 1)
}

// find gives the line that was sold: the same article at the same price, else the
// same article, else -1.
func find(i receipt.Item, sold []receipt.Item) int {
	found := -1
	for n, x := range sold {
		if tokentext.Code(i.Code) != tokentext.Code(x.Code) || i.Tax != x.Tax || i.Unit != x.Unit ||
			!strings.EqualFold(strings.TrimSpace(i.Name), strings.TrimSpace(x.Name)) {
			continue
		}
		if i.Price == x.Price {
			return n
		}
		if found < 0 {
			found = n
		}
	}
	return found
}

// codeType is 1 for EAN-8, 2 for EAN-13, 0 for any other text (section 4.5).
func codeType(code string) int {
	if strings.Trim(code, "0123456789") != "" || len(code) != 8 && len(code) != 13 {
		return 0
	}
	sum := 0
	for n := range len(code) {
		weight := 1
		if (len(code)-n)%2 == 0 {
			weight = 3
		}
		sum += weight * int(code[n]-'0')
	}
	switch {
	case sum%10 != 0:
		return 0
	case len(code) == 8:
		return 1
	}
	return 2
}
