package simulator

import (
	"slices"
	"time"
)

// Report is what an X or Z report says about one shift, or a periodic report
// about a range of days.
type Report struct {
	Shift       int64 // 0 in a periodic report
	OpenedAt    time.Time
	ClosedAt    time.Time // zero while open
	Drawer      int64     // cash at the end
	FirstNumber int64     // first and last document, 0 when there is none
	LastNumber  int64
	Unsent      int64 // documents not yet at the tax service: a simulator has nobody to send to
	Orders      int
	Groups      map[Group]Totals
}

// Group is a heading of a report (the AzSmart page, section 6.4).
type Group string

const (
	GroupSale              Group = "sale"
	GroupMoneyBack         Group = "moneyBack"
	GroupRollback          Group = "rollback"
	GroupPrepay            Group = "prepay"
	GroupCreditPay         Group = "creditpay"
	GroupCreditPayRollback Group = "creditpayRollback"
	GroupCorrection        Group = "corr"
	GroupDeposit           Group = "deposit"
	GroupWithdraw          Group = "withdraw"
)

var groups = []Group{GroupSale, GroupMoneyBack, GroupRollback, GroupPrepay, GroupCreditPay,
	GroupCreditPayRollback, GroupCorrection, GroupDeposit, GroupWithdraw}

// Totals are the sums of one group. A sale counts whole even when it was refunded
// or rolled back later: those have groups of their own. Cash is net of change.
type Totals struct {
	Count    int64
	Sum      int64
	Payments Payments
	VAT      []VAT // by rate, rising
}

func (t *token) groupOf(d *Document) Group {
	switch d.Kind {
	case Refund:
		return GroupMoneyBack
	case Rollback:
		if p := t.byFiscal[d.Parent]; p != nil && p.Kind == CreditPay {
			return GroupCreditPayRollback
		}
		return GroupRollback
	case Prepay:
		return GroupPrepay
	case CreditPay:
		return GroupCreditPay
	case Correction:
		return GroupCorrection
	case Deposit:
		return GroupDeposit
	case Withdraw:
		return GroupWithdraw
	}
	return GroupSale
}

// sum builds a report of the documents for which in says yes.
func (t *token) sum(in func(*Document) bool) Report {
	r := Report{Groups: map[Group]Totals{}}
	for _, g := range groups {
		r.Groups[g] = Totals{}
	}
	for _, d := range t.docs {
		if !in(d) {
			continue
		}
		if d.Kind == Copy || d.Kind == Interim {
			continue
		}
		if r.FirstNumber == 0 {
			r.FirstNumber = d.Number
		}
		r.LastNumber = d.Number
		g := t.groupOf(d)
		sum := r.Groups[g]
		sum.add(d)
		r.Groups[g] = sum
	}
	return r
}

func (s *Totals) add(d *Document) {
	s.Count++
	s.Sum += d.Amount
	s.Payments.Cash += d.Payments.Cash
	s.Payments.Cashless += d.Payments.Cashless
	s.Payments.Bonus += d.Payments.Bonus
	s.Payments.Prepaid += d.Payments.Prepaid
	s.Payments.Credit += d.Payments.Credit
	for _, v := range d.VAT {
		i, ok := slices.BinarySearchFunc(s.VAT, v.Rate, func(have VAT, rate int64) int { return int(have.Rate - rate) })
		if !ok {
			s.VAT = slices.Insert(s.VAT, i, VAT{Rate: v.Rate})
		}
		s.VAT[i].Turnover += v.Turnover
		s.VAT[i].Tax += v.Tax
	}
}

// report is the report of one shift; 0 means the open one.
func (t *token) report(shift int64) (Report, error) {
	if shift == 0 {
		if !t.open {
			return Report{}, refuse(ShiftUnknown, "no shift is open")
		}
		shift = t.shift
	}
	if shift < 1 || shift > t.shift {
		return Report{}, refuse(ShiftUnknown, "there is no shift %d", shift)
	}
	r := t.sum(func(d *Document) bool { return d.Shift == shift })
	r.Shift, r.OpenedAt, r.Drawer, r.Orders = shift, t.openedAt, t.drawer, len(t.orders)
	for _, z := range t.closed {
		if z.Shift == shift {
			r.OpenedAt, r.ClosedAt, r.Drawer, r.Orders = z.OpenedAt, z.ClosedAt, z.Drawer, 0
		}
	}
	return r, nil
}

// period is the report of whole days, both included.
func (t *token) period(from, to time.Time) Report {
	end := to.AddDate(0, 0, 1)
	r := t.sum(func(d *Document) bool { return !d.At.Before(from) && d.At.Before(end) })
	r.OpenedAt, r.ClosedAt, r.Drawer = from, end, t.drawer
	return r
}
