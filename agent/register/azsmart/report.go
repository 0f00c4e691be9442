package azsmart

import (
	"errors"
	"strconv"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// groups are the prefixes under which a report has each kind's sums (6.4).
const (
	groupSale       = "sale"
	groupRefund     = "moneyBack"
	groupCancel     = "rollback"
	groupPrepayment = "prepay"
	groupCredit     = "creditpay"
	groupCorrection = "corr"
	groupDeposit    = "deposit"
	groupWithdrawal = "withdraw"
)

// report reads an X or Z report as far as its names are known. Groups are
// written flat ("saleSum") or as objects ("sale": {"sum": …}); both are read.
func (d *Driver) report(a answer) register.Report {
	return register.Report{
		Shift:    clip(a.ident("shiftID", "fiscalShiftID")),
		Number:   clip(a.ident("fiscalShiftNum", "reportNumber", "fiscalShiftID", "fiscalID")),
		OpenedAt: a.time(d.cfg.Zone, "shiftOpenAt"),
		Cash:     a.drawer("cash", "cashRest"),
		Sales:    sum(a, groupSale),
		Refunds:  sum(a, groupRefund),
		Cancels:  sum(a, groupCancel),
		Prepaid:  sum(a, groupPrepayment),
		Credit:   sum(a, groupCredit),
		Correct:  sum(a, groupCorrection),
		In:       sum(a, groupDeposit),
		Out:      sum(a, groupWithdrawal),
		Raw:      a.whole,
	}
}

func sum(a answer, group string) register.Sum {
	money := func(members ...string) receipt.Money {
		v, names := member(a, group, members...)
		return v.money(names...)
	}
	s := register.Sum{
		Sum: money("Sum"), Cash: money("CashSum"), Card: money("CashlessSum"), Credit: money("CreditSum"),
		Bonus: money("BonusSum", "BonusesSum"), Prepaid: money("PrepaymentSum"),
	}
	if n, ok := count(a, group); ok {
		s.Count = n
	}
	if group == groupDeposit || group == groupWithdrawal {
		s.Cash = s.Sum
	}
	v, names := member(a, group, "VatAmounts")
	for _, o := range v.objects(names...) {
		rate, ok := percent(o.text("vatPercent"))
		if !ok {
			continue
		}
		s.VAT = append(s.VAT, register.VAT{Rate: rate, Amount: o.money("vatAmount")})
	}
	return s
}

// member says where a group's member is, and by which names.
func member(a answer, group string, members ...string) (answer, []string) {
	var names []string
	for _, m := range members {
		names = append(names, group+m)
	}
	if v, ok := a.raw(group); ok {
		if inner, err := object(v); err == nil {
			return inner, append(names, members...)
		}
	}
	return a, names
}

func count(a answer, group string) (int, bool) {
	v, names := member(a, group, "Count")
	n, ok := v.integer(names...)
	if !ok || n < 0 || n > 1<<31-1 {
		return 0, false
	}
	return int(n), true
}

// percent reads a rate, whose scale is not stated (section 3): up to 100 it is
// in percent, above in hundredths. No rate of Azerbaijan is below 2 %.
func percent(s string) (receipt.Percent, bool) {
	if n, ok := integer(s); ok && n > 100 && n <= 100_00 {
		return receipt.Percent(n), true
	}
	p, err := receipt.ParsePercent(s)
	return p, err == nil && p >= 0
}

// counts reads the counters for a baseline. They are no counters for the kind
// where the report does not have that kind's own: a missing one would look like
// one that never moves.
func counts(a answer, kind receipt.Kind) (c register.Count, counted bool) {
	for _, g := range []struct {
		kind  receipt.Kind
		group string
		to    *int
	}{
		{receipt.Sale, groupSale, &c.Sale},
		{receipt.Refund, groupRefund, &c.Refund},
		{receipt.Cancel, groupCancel, &c.Cancel},
		{receipt.Prepayment, groupPrepayment, &c.Prepayment},
		{receipt.CreditPayment, groupCredit, &c.CreditPayment},
		{receipt.Correction, groupCorrection, &c.Correction},
		{receipt.Deposit, groupDeposit, &c.Deposit},
		{receipt.Withdrawal, groupWithdrawal, &c.Withdrawal},
	} {
		n, ok := count(a, g.group)
		*g.to = n
		counted = counted || ok && g.kind == kind
	}
	return c, counted
}

// refused says whether a question was refused with one of the codes.
func refused(err error, codes ...int64) bool {
	var f *register.Fault
	if !errors.As(err, &f) {
		return false
	}
	for _, c := range codes {
		if f.Code == strconv.FormatInt(c, 10) {
			return true
		}
	}
	return false
}
