package omnitech

import (
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// groups are the prefixes under which a report has each kind's sums (section 9).
const (
	groupSale       = "sale"
	groupRefund     = "moneyBack"
	groupCancel     = "rollback"
	groupPrepayment = "prepay"
	groupCredit     = "creditpay"
	groupCorrection = "correction"
	groupDeposit    = "deposit"
	groupWithdrawal = "withdraw"
)

// report reads a report's data. What is in the drawer is not told.
func (d *Driver) report(whole answer, shift string) register.Report {
	a := whole.inner("data")
	c := ofCurrency(a)
	missing := ""
	if c.fields == nil {
		missing = "the register's answer has no sums in " + currency
	}
	return register.Report{
		Missing:  missing,
		Shift:    shift,
		Number:   clip(a.text("reportNumber", "document_id")),
		OpenedAt: a.time(time.UTC, "shiftOpenAtUtc"), // by its name, where no Z stands behind
		Sales:    sum(c, groupSale),
		Refunds:  sum(c, groupRefund),
		Cancels:  sum(c, groupCancel),
		Prepaid:  sum(c, groupPrepayment),
		Credit:   sum(c, groupCredit),
		Correct:  sum(c, groupCorrection),
		In:       sum(c, groupDeposit),
		Out:      sum(c, groupWithdrawal),
		Raw:      whole.whole,
	}
}

// ofCurrency gives the sums in AZN, the only currency there is.
func ofCurrency(a answer) answer {
	all, _ := a.list("currencies")
	for _, c := range all {
		if c.text("currency") == currency || len(all) == 1 && c.text("currency") == "" {
			return c
		}
	}
	return answer{}
}

func sum(a answer, group string) register.Sum {
	s := register.Sum{
		Sum: a.money(group + "Sum"), Cash: a.money(group + "CashSum"), Card: a.money(group + "CashlessSum"),
		Credit: a.money(group + "CreditSum"), Bonus: a.money(group + "BonusSum"), Prepaid: a.money(group + "PrepaymentSum"),
	}
	if n, ok := count(a, group); ok {
		s.Count = n
	}
	if group == groupDeposit || group == groupWithdrawal {
		s.Cash = s.Sum
	}
	amounts, _ := a.list(group + "VatAmounts")
	for _, v := range amounts {
		rate, err := receipt.ParsePercent(v.text("vatPercent"))
		if n, ok := v.integer("vatPercent"); ok && n >= 0 && n <= 100 {
			rate, err = receipt.Percent(n*100), nil
		}
		if err != nil || rate < 0 {
			continue // what is no object of VAT has no rate (section 6)
		}
		s.VAT = append(s.VAT, register.VAT{Rate: rate, Amount: rate.TaxIn(v.money("vatSum"))}) // vatSum is the turnover (section 6)
	}
	return s.Whole()
}

func count(a answer, group string) (int, bool) {
	n, ok := a.integer(group + "Count") // saleCount is written as a float
	if !ok || n < 0 || n > 1<<31-1 {
		return 0, false
	}
	return int(n), true
}

// counts reads the counters for a baseline. They are none for the kind where the
// report does not have that kind's own: a missing one would look like one that
// never moves.
func counts(whole answer, kind receipt.Kind) (c register.Count, counted bool) {
	a := ofCurrency(whole.inner("data"))
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
