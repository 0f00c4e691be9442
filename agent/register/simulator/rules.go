package simulator

import (
	"fmt"
	"time"
)

// Reason is why a token refuses. Each protocol maps reasons to its own codes, so
// that the core knows none of them.
type Reason string

const (
	ShiftClosed    Reason = "shift_closed"
	ShiftOpen      Reason = "shift_open"     // opening an open one
	ShiftTooOld    Reason = "shift_too_old"  // over 24 h: Z first
	ShiftUnknown   Reason = "shift_unknown"  // a report of a shift that never was
	ShiftEmpty     Reason = "shift_empty"    // nothing sold (only where that blocks the Z)
	DrawerNotEmpty Reason = "drawer_full"    // cash left (only where that blocks the Z)
	OrdersOpen     Reason = "orders_open"    // unclosed invoices block the Z
	SumMismatch    Reason = "sum_mismatch"   // amount is not the sum of the lines
	NotPaid        Reason = "not_paid"       // payments do not cover the amount
	ChangeNotCash  Reason = "change_no_cash" // more was paid than due, and not in cash
	NotFound       Reason = "not_found"      // parent, advance or credit sale unknown
	NotInSale      Reason = "not_in_sale"    // line returned that was not sold
	TooMuch        Reason = "too_much"       // more returned than was sold
	AlreadyUndone  Reason = "already_undone" // rolled back before
	PartlyRefunded Reason = "part_refunded"  // something hangs on it: cannot be cancelled whole
	AdvanceSpent   Reason = "advance_spent"  // the advance does not hold that much any more
	NotInAdvance   Reason = "not_in_advance" // line that the advance was not taken for
	AboveDebt      Reason = "above_debt"     // repayment above what is owed
	DrawerShort    Reason = "drawer_short"   // not so much cash in the drawer
	Busy           Reason = "busy"           // another document is in the works
	Broken         Reason = "broken"         // the ledger could not be written
)

// Refusal is a token's no: nothing was made.
type Refusal struct {
	Reason Reason
	Text   string
}

func (r *Refusal) Error() string { return r.Text }

func refuse(reason Reason, format string, args ...any) error {
	return &Refusal{Reason: reason, Text: fmt.Sprintf(format, args...)}
}

// shiftLimit is how long a shift may last (rules, section 4).
const shiftLimit = 24 * time.Hour

// settle checks how an amount was paid and takes the change off the cash. Only
// cash gives change, and only where the document takes money in.
func (d *Document) settle(takesMoney bool) error {
	p := &d.Payments
	other := p.Total() - p.Cash
	switch {
	case p.Total() < d.Amount:
		return refuse(NotPaid, "payments of %d do not cover the amount of %d", p.Total(), d.Amount)
	case other > d.Amount:
		return refuse(ChangeNotCash, "%d was paid without cash for an amount of %d: only cash gives change", other, d.Amount)
	case p.Total() > d.Amount && !takesMoney:
		return refuse(ChangeNotCash, "payments of %d are above the amount of %d: a document that pays out gives no change", p.Total(), d.Amount)
	}
	d.Change = p.Total() - d.Amount
	p.Cash -= d.Change
	return nil
}

// tooOld says whether the open shift has lasted longer than a shift may.
func (t *token) tooOld(now time.Time, expired bool) bool {
	return t.open && (expired || now.Sub(t.openedAt) > shiftLimit)
}

// check says whether the token would make this document now. It changes nothing.
func (t *token) check(d *Document, now time.Time, expired bool, q quirks) error {
	if !t.open {
		return refuse(ShiftClosed, "no shift is open")
	}
	// Cash in and out is let through in a shift that is too old: their tables know
	// no such code, and a drawer that must be empty before the Z could not be emptied.
	if d.Kind != Deposit && d.Kind != Withdraw && t.tooOld(now, expired) {
		return refuse(ShiftTooOld, "shift %d is open since %s, over 24 hours: close it first", t.shift, t.openedAt.Format(wallTime))
	}
	switch d.Kind {
	case Sale:
		return t.checkAdvance(d, q)
	case Refund:
		return t.checkRefund(d)
	case Rollback:
		return t.checkRollback(d)
	case CreditPay:
		return t.checkRepayment(d)
	case Withdraw:
		if d.Amount > t.drawer {
			return refuse(DrawerShort, "the drawer holds %d, less than %d", t.drawer, d.Amount)
		}
	}
	return nil
}

func (t *token) checkAdvance(d *Document, q quirks) error {
	if d.Payments.Prepaid == 0 {
		return nil
	}
	advance := t.byFiscal[d.Advance]
	if advance == nil || advance.Kind != Prepay || t.undone(advance) {
		return refuse(NotFound, "no advance with the fiscal id %q", d.Advance)
	}
	if left := t.advanceLeft(advance); d.Payments.Prepaid > left {
		return refuse(AdvanceSpent, "the advance still holds %d, less than %d", left, d.Payments.Prepaid)
	}
	if q.has(quirkPrepayLines) {
		for _, it := range d.Items {
			if !hasItem(advance.Items, it.ID) {
				return refuse(NotInAdvance, "item %q is not in the receipt of the advance", it.ID)
			}
		}
	}
	return nil
}

func hasItem(items []Item, id string) bool {
	for _, it := range items {
		if it.ID == id {
			return true
		}
	}
	return false
}

// advanceLeft is what an advance still holds: not spent by sales that stand, not
// paid back.
func (t *token) advanceLeft(advance *Document) int64 {
	left := advance.Amount
	for _, d := range t.docs {
		if d.Kind == Sale && d.Advance == advance.FiscalID && !t.undone(d) {
			left -= d.Payments.Prepaid
		}
		if d.Kind == Refund && d.Parent == advance.FiscalID {
			left -= d.Amount
		}
	}
	return left
}

// itemKey says which lines are the same goods: article and tax.
type itemKey struct {
	id   string
	rate int64
}

func (t *token) checkRefund(d *Document) error {
	if d.Parent == "" || d.Manual {
		return nil // only where the protocol let it through
	}
	parent := t.byFiscal[d.Parent]
	if parent == nil || (parent.Kind != Sale && parent.Kind != Prepay && parent.Kind != CreditPay) || t.undone(parent) {
		return refuse(NotFound, "no sale with the fiscal id %q", d.Parent)
	}
	if parent.Kind == CreditPay {
		if left := t.repaid(parent); d.Amount > left {
			return refuse(TooMuch, "of the repayment %d are not given back yet, less than %d", left, d.Amount)
		}
		return nil
	}
	type left struct{ quantity, amount int64 }
	rest := map[itemKey]*left{}
	for _, it := range parent.Items {
		k := itemKey{it.ID, it.TaxRate}
		if rest[k] == nil {
			rest[k] = &left{}
		}
		rest[k].quantity += it.Quantity
		rest[k].amount += it.Amount
	}
	take := func(items []Item) error {
		for _, it := range items {
			l := rest[itemKey{it.ID, it.TaxRate}]
			if l == nil {
				return refuse(NotInSale, "item %q at tax %d is not in the sale", it.ID, it.TaxRate)
			}
			l.quantity -= it.Quantity
			l.amount -= it.Amount
			if l.quantity < 0 || l.amount < 0 {
				return refuse(TooMuch, "item %q: more is returned than was sold and not yet returned", it.ID)
			}
		}
		return nil
	}
	for _, earlier := range t.docs {
		if earlier.Kind == Refund && earlier.Parent == parent.FiscalID {
			if err := take(earlier.Items); err != nil {
				return err
			}
		}
	}
	if err := take(d.Items); err != nil {
		return err
	}
	if parent.Kind == Prepay && d.Amount > t.advanceLeft(parent) {
		return refuse(TooMuch, "the advance still holds %d, less than %d", t.advanceLeft(parent), d.Amount)
	}
	return nil
}

func (t *token) checkRollback(d *Document) error {
	parent := t.byFiscal[d.Parent]
	if parent == nil {
		return refuse(NotFound, "no document with the fiscal id %q", d.Parent)
	}
	switch parent.Kind {
	case Sale, Prepay, CreditPay, Correction:
	default:
		return refuse(NotFound, "document %d is a %s, which cannot be rolled back", parent.Number, parent.Kind)
	}
	if parent.Shift != t.shift {
		return refuse(NotFound, "document %d is not of the open shift: refund it", parent.Number)
	}
	if t.undone(parent) {
		return refuse(AlreadyUndone, "document %d was rolled back before", parent.Number)
	}
	for _, other := range t.docs {
		hangs := other.Parent == parent.FiscalID && (other.Kind == Refund || other.Kind == CreditPay)
		spends := parent.Kind == Prepay && other.Advance == parent.FiscalID
		if (hangs || spends) && !t.undone(other) {
			return refuse(PartlyRefunded, "document %d cannot be rolled back whole: %s %d hangs on it", parent.Number, other.Kind, other.Number)
		}
	}
	return nil
}

// repaid is what is left of a repayment after what was given back of it.
func (t *token) repaid(pay *Document) int64 {
	left := pay.Amount
	for _, d := range t.docs {
		if d.Kind == Refund && d.Parent == pay.FiscalID {
			left -= d.Amount
		}
	}
	return left
}

// debt is what is still owed on a credit sale.
func (t *token) debt(sale *Document) int64 {
	owed := sale.Payments.Credit
	for _, d := range t.docs {
		if d.Parent != sale.FiscalID || t.undone(d) {
			continue
		}
		switch d.Kind {
		case CreditPay:
			owed -= t.repaid(d)
		case Refund:
			owed -= d.Payments.Credit
		}
	}
	return owed
}

func (t *token) checkRepayment(d *Document) error {
	sale := t.byFiscal[d.Parent]
	if sale == nil || sale.Kind != Sale || sale.Payments.Credit == 0 || t.undone(sale) {
		return refuse(NotFound, "no credit sale with the fiscal id %q", d.Parent)
	}
	if owed := t.debt(sale); d.Amount > owed {
		return refuse(AboveDebt, "%d is still owed, less than %d", owed, d.Amount)
	}
	return nil
}
