package receipt

import (
	"math"
	"math/big"
	"time"
)

// Kind says what the till closed.
type Kind string

// The kinds that a till may send.
const (
	Sale          Kind = "sale"
	Refund        Kind = "refund"         // goods come back; names its parent
	Cancel        Kind = "cancel"         // the whole parent, in its own shift
	Prepayment    Kind = "prepayment"     // money now, goods later
	CreditPayment Kind = "credit_payment" // a debt from a credit sale is paid
	Correction    Kind = "correction"     // takings of a time when the register was down
)

// Deposit and Withdrawal are cash into and out of the drawer. They travel the
// same way to the register as receipts do, so that they are as safe to repeat.
const (
	Deposit    Kind = "deposit"
	Withdrawal Kind = "withdrawal"
)

// IsCash says whether the kind moves drawer cash and is no receipt of a guest.
func (k Kind) IsCash() bool { return k == Deposit || k == Withdrawal }

// CashPrefix stands before the ids of cash in and out in the journal; no receipt's
// id may hold a slash.
const CashPrefix = "cash/"

// Unit of an item's quantity.
type Unit string

// The units that the registers know.
const (
	Piece       Unit = "piece"
	Kilogram    Unit = "kg"
	Litre       Unit = "l"
	Metre       Unit = "m"
	SquareMetre Unit = "m2"
	CubicMetre  Unit = "m3"
)

// TaxType is one of the taxes that a receipt's line may bear (rules.md 5).
type TaxType string

// The taxes. Simplified taxes are those of sellers who are not registered for
// VAT; they are not VAT rates.
const (
	VAT18       TaxType = "vat18"       // VAT at 18 %
	VAT0        TaxType = "vat0"        // VAT at 0 %
	Exempt      TaxType = "exempt"      // exempt from VAT, or the seller stands outside it
	Margin18    TaxType = "margin18"    // VAT at 18 % on the trade margin only
	Simplified2 TaxType = "simplified2" // simplified tax, 2 %
	Simplified8 TaxType = "simplified8" // simplified tax of public catering, 8 %
)

// Tax of a line: one of the types, or a name and a rate that the settings give.
type Tax struct {
	Type TaxType `json:"type,omitempty"`
	Name string  `json:"name,omitempty"` // printed; only where Type is empty
	Rate Percent `json:"rate,omitempty"` // only where Type is empty
}

// The rates of the simplified tax, on the turnover.
const (
	simplified2 Percent = 2_00
	simplified8 Percent = 8_00
)

// Percent is the rate that the tax is charged at.
func (t Tax) Percent() Percent {
	switch t.Type {
	case VAT18, Margin18:
		return 18_00
	case Simplified2:
		return simplified2
	case Simplified8:
		return simplified8
	case VAT0, Exempt:
		return 0
	}
	return t.Rate
}

// Item is one line.
type Item struct {
	Name          string   `json:"name"`
	Code          string   `json:"code,omitempty"` // the till's article code
	Unit          Unit     `json:"unit"`
	Quantity      Quantity `json:"quantity"`
	Price         Money    `json:"price"`    // for one unit, before the discount, tax included
	Discount      Money    `json:"discount"` // taken off the line
	Tax           Tax      `json:"tax"`
	PurchasePrice Money    `json:"purchase_price,omitempty"` // for one unit; margin18 only
	// Sum stands where a till told what the line comes to and no price (a front
	// door's), and price × quantity, rounded, is something else. 0: it is that.
	Sum Money `json:"sum,omitempty"`
}

// Gross is what the line comes to before its discount.
func (i Item) Gross() Money {
	if i.Sum != 0 {
		return i.Sum
	}
	return Gross(i.Price, i.Quantity)
}

// Total is what the guest owes for the line.
func (i Item) Total() Money { return i.Gross() - i.Discount }

// Payments says how a receipt was paid. Cash is what was handed over; the rest
// is exact.
type Payments struct {
	Cash    Money `json:"cash"`
	Card    Money `json:"card"`
	Bonus   Money `json:"bonus"`
	Prepaid Money `json:"prepaid"` // from an earlier prepayment, the parent
	Credit  Money `json:"credit"`  // owed by the guest
}

// cashless is the sum of everything that gives no change.
func (p Payments) cashless() Money { return p.Card + p.Bonus + p.Prepaid + p.Credit }

// Change is what the guest gets back from a receipt of this total: only cash
// gives change.
func (p Payments) Change(total Money) Money { return p.Cash + p.cashless() - total }

// NetCash is the cash that stays in the drawer.
func (p Payments) NetCash(total Money) Money { return p.Cash - p.Change(total) }

// Parent names the receipt that this one takes back, pays off or draws on:
// either one in our journal, by ID, or one that is not, by what its paper says.
type Parent struct {
	ID       string `json:"id,omitempty"`
	FiscalID string `json:"fiscal_id,omitempty"`
	Number   string `json:"number,omitempty"`
}

// Period is the time that a correction covers.
type Period struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Receipt is what a till closed, checked and with its defaults filled in. It
// never changes once it is in the journal.
type Receipt struct {
	ID       string    `json:"id"` // the till's own, unique per terminal for ever
	Kind     Kind      `json:"kind"`
	Time     time.Time `json:"time"` // by the till's clock
	Cashier  string    `json:"cashier,omitempty"`
	Number   string    `json:"number,omitempty"` // the till's own bill number
	Items    []Item    `json:"items,omitempty"`
	Payments Payments  `json:"payments"`
	Parent   *Parent   `json:"parent,omitempty"`
	Period   *Period   `json:"period,omitempty"`   // corrections only
	Contract string    `json:"contract,omitempty"` // of a credit sale and its payments
	Amount   Money     `json:"amount,omitempty"`   // cash in and out only
	Fiscal   bool      `json:"fiscal"`             // false: kept here, not sent
	Note     string    `json:"note,omitempty"`
}

// Total is the sum of the lines; of cash in and out, the amount. A cancel
// without lines of its own has none until its parent's are put in.
func (r Receipt) Total() Money {
	if r.Kind.IsCash() {
		return r.Amount
	}
	var sum Money
	for _, i := range r.Items {
		sum += i.Total()
	}
	return sum
}

// Change is what the guest gets back.
func (r Receipt) Change() Money {
	if r.Kind != Sale && r.Kind != Prepayment && r.Kind != CreditPayment {
		return 0
	}
	return r.Payments.Change(r.Total())
}

// TaxSum is the turnover of a receipt at one rate, and the tax in it.
type TaxSum struct {
	Tax      Tax   `json:"tax"`
	Turnover Money `json:"turnover"`
	Amount   Money `json:"amount"` // Percent.TaxIn of it; of trade margin, of the margin alone
}

// TaxSums groups the lines by tax, in the order of first appearance. The
// turnovers add up to the total.
func (r Receipt) TaxSums() []TaxSum {
	var sums []TaxSum
	for _, i := range r.Items {
		base := i.Total()
		if i.Tax.Type == Margin18 {
			base = max(0, base-Gross(i.PurchasePrice, i.Quantity))
		}
		at := -1
		for n := range sums {
			if sums[n].Tax == i.Tax {
				at = n
			}
		}
		if at < 0 {
			at = len(sums)
			sums = append(sums, TaxSum{Tax: i.Tax})
		}
		sums[at].Turnover += i.Total()
		sums[at].Amount += base // made into the tax below
	}
	for n := range sums {
		sums[n].Amount = sums[n].Tax.Percent().TaxIn(sums[n].Amount)
	}
	return sums
}

// Share is what falls to a part of a whole, rounded half up; nothing of no whole.
func Share(m, part, whole Money) Money {
	if whole <= 0 {
		return 0
	}
	n := new(big.Int).Mul(big.NewInt(2*int64(m)), big.NewInt(int64(part)))
	n.Add(n, big.NewInt(int64(whole)))
	return Money(n.Div(n, big.NewInt(2*int64(whole))).Int64())
}

// TaxIn is the tax in a gross turnover, rounded half up to the qəpik. VAT is
// within the price (18/118 of it); 2 % and 8 %, which are no rates of VAT, are
// the simplified tax, a share of the turnover. What no shift can turn over has none.
func (p Percent) TaxIn(gross Money) Money {
	if gross < 0 {
		return -p.TaxIn(-gross)
	}
	n, whole := int64(p), 100_00+int64(p)
	if p == simplified2 || p == simplified8 {
		whole = 100_00
	}
	if n < 0 || n > 100_00 || int64(gross) > math.MaxInt64/4/100_00 {
		return 0
	}
	return Money((2*int64(gross)*n + whole) / (2 * whole))
}
