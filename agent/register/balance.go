package register

import (
	"fmt"
	"slices"

	"ekassa/agent/receipt"
)

// Balance holds a shift's Z report against the journal, and against what the
// tills sent.
type Balance struct {
	Journal Report `json:"journal"` // the same figures, from the documents in the journal
	// Tills are the figures of all that tills sent to be made in the shift: the
	// journal's and what Open names. Nil in balances of before it was there.
	Tills *Report `json:"tills,omitempty"`
	// Differences are the figures in which register and journal do not agree.
	Differences []Difference `json:"differences,omitempty"`
	// Doubtful are the receipts of the shift that had no clear answer or were
	// decided by a person.
	Doubtful []string `json:"doubtful,omitempty"`
	// Open are the receipts that tills sent during the shift to be made, and that
	// are not fiscal.
	Open []string `json:"open,omitempty"`
}

// Difference is one figure of a Z report that is another in the journal.
type Difference struct {
	Figure   string `json:"figure"` // such as "sales.count" or "refunds.cash"
	Journal  string `json:"journal"`
	Register string `json:"register"`
	// Receipts are those of which one, or all, would explain it; none: something
	// that the journal does not know, such as what was rung up by hand.
	Receipts []string `json:"receipts,omitempty"`
}

// Weigh holds the report z of a shift against the journal. made are the
// documents of the shift, touched the receipts that anything became of while it
// was open, and doubtful those of them that had no clear answer. A report
// without figures differs in nothing.
func Weigh(z Report, made, touched []receipt.Stored, doubtful []string) Balance {
	b := Balance{Doubtful: doubtful, Journal: Report{Shift: z.Shift, OpenedAt: z.OpenedAt}}
	var atOnce Report
	for _, x := range made {
		b.Journal.add(x.Receipt, false)
		atOnce.add(x.Receipt, true)
	}
	tills := b.Journal
	for _, group := range tills.groups() {
		group.VAT = slices.Clone(group.VAT)
	}
	for _, x := range touched {
		if x.State != receipt.Fiscal && x.State != receipt.Withdrawn && x.State != receipt.NonFiscal {
			b.Open = append(b.Open, x.ID)
			tills.add(x.Receipt, false)
		}
	}
	b.Tills = &tills
	if z.Missing != "" {
		return b
	}
	b.Differences = compare(b.Journal, atOnce, z)
	for n, group := range groupNames {
		var of []*Difference
		for i := range b.Differences {
			if figure := b.Differences[i].Figure; len(figure) > len(group) && figure[:len(group)+1] == group+"." {
				of = append(of, &b.Differences[i])
			}
		}
		if len(of) == 0 {
			continue
		}
		names := explain(*z.groups()[n], *b.Journal.groups()[n], n, made, touched, doubtful)
		for _, d := range of {
			d.Receipts = names
		}
	}
	return b
}

// explain names the receipts that would make the difference between two groups:
// each that does it alone, else those that do it together, else what was
// doubtful.
func explain(theirs, ours Sum, group int, made, touched []receipt.Stored, doubtful []string) (names []string) {
	type figures struct {
		count           int
		sum, cash, card receipt.Money
	}
	of := func(s Sum) figures { return figures{s.Count, s.Sum, s.Cash, s.Card} }
	want, extra, inReport := of(theirs), of(ours), map[int64]bool{}
	want.count, want.sum, want.cash, want.card = want.count-extra.count, want.sum-extra.sum, want.cash-extra.cash, want.card-extra.card
	missing := want.count < 0 || want.count == 0 && want.sum < 0 // from the register
	if missing {
		want = figures{-want.count, -want.sum, -want.cash, -want.card}
	}
	for _, x := range made {
		inReport[x.Seq] = true
	}
	candidates := touched
	if missing {
		candidates = made
	}
	var all figures
	var together, suspects []string
	for _, x := range candidates {
		var r Report
		r.add(x.Receipt, false)
		f := of(*r.groups()[group])
		if f.count == 0 || inReport[x.Seq] != missing || !missing && x.Attempts == 0 {
			continue
		}
		together = append(together, x.ID)
		all.count, all.sum, all.cash, all.card = all.count+f.count, all.sum+f.sum, all.cash+f.cash, all.card+f.card
		if f == want {
			names = append(names, x.ID)
		}
		if slices.Contains(doubtful, x.ID) {
			suspects = append(suspects, x.ID)
		}
	}
	// One that was in doubt is likelier than one that was answered at once.
	sure := slices.DeleteFunc(slices.Clone(names), func(id string) bool { return !slices.Contains(doubtful, id) })
	switch {
	case len(sure) > 0:
		return sure
	case len(names) > 0:
		return names
	case all == want:
		return together
	}
	return suspects
}

// groupNames are what the groups of a report are called in it.
var groupNames = [...]string{"sales", "refunds", "cancels", "prepayments", "credit_payments", "corrections", "deposits", "withdrawals"}

// groups are those of a report, as groupNames names them.
func (r *Report) groups() [len(groupNames)]*Sum {
	return [...]*Sum{&r.Sales, &r.Refunds, &r.Cancels, &r.Prepaid, &r.Credit, &r.Correct, &r.In, &r.Out}
}

// compare gives the figures in which a register's report z and the journal's own
// do not agree. VAT is rounded by each document here and by some registers over
// the whole shift, so it may differ by a qəpik for each document; a rate that
// the register does not list is not compared. What was paid by an advance or left
// on credit is taxed with that other document, as Omnitech's and Caspos' pages
// have it; a register that taxes it at once agrees as well.
func compare(journal, atOnce, z Report) (list []Difference) {
	differ := func(figure string, ours, theirs any) {
		list = append(list, Difference{Figure: figure, Journal: fmt.Sprint(ours), Register: fmt.Sprint(theirs)})
	}
	theirs, whole := z.groups(), atOnce.groups()
	for n, ours := range journal.groups() {
		name, theirs := groupNames[n], theirs[n]
		if ours.Count != theirs.Count {
			differ(name+".count", ours.Count, theirs.Count)
		}
		if ours.Sum != theirs.Sum {
			differ(name+".sum", ours.Sum, theirs.Sum)
		}
		if name == "deposits" || name == "withdrawals" { // cash in and out is all cash
			continue
		}
		if ours.Cash != theirs.Cash {
			differ(name+".cash", ours.Cash, theirs.Cash)
		}
		if ours.Card != theirs.Card {
			differ(name+".card", ours.Card, theirs.Card)
		}
		for _, v := range theirs.VAT {
			off := func(amount receipt.Money) bool {
				return amount-v.Amount > receipt.Money(ours.Count) || v.Amount-amount > receipt.Money(ours.Count)
			}
			if off(ours.tax(v.Rate)) && off(whole[n].tax(v.Rate)) {
				differ(fmt.Sprintf("%s.vat %s", name, v.Rate), ours.tax(v.Rate), v.Amount)
			}
		}
	}
	return list
}

func (s *Sum) tax(p receipt.Percent) receipt.Money {
	for _, v := range s.VAT {
		if v.Rate == p {
			return v.Amount
		}
	}
	return 0
}

// add counts a document's receipt in, as the registers do: each kind in its own
// group, only the cash that stays in the drawer, and the tax of what is paid now
// or, atOnce, of everything.
func (r *Report) add(x receipt.Receipt, atOnce bool) {
	s := map[receipt.Kind]*Sum{
		receipt.Sale: &r.Sales, receipt.Refund: &r.Refunds, receipt.Cancel: &r.Cancels, receipt.Prepayment: &r.Prepaid,
		receipt.CreditPayment: &r.Credit, receipt.Correction: &r.Correct, receipt.Deposit: &r.In, receipt.Withdrawal: &r.Out,
	}[x.Kind]
	if s == nil {
		return
	}
	total, p := x.Total(), x.Payments
	s.Count++
	s.Sum += total
	if x.Kind.IsCash() {
		s.Cash += total
		return
	}
	s.Cash += p.NetCash(total)
	s.Card += p.Card
	s.Bonus += p.Bonus
	s.Prepaid += p.Prepaid
	s.Credit += p.Credit
	for _, t := range x.TaxSums() {
		at := slices.IndexFunc(s.VAT, func(v VAT) bool { return v.Rate == t.Tax.Percent() })
		if at < 0 {
			at, s.VAT = len(s.VAT), append(s.VAT, VAT{Rate: t.Tax.Percent()})
		}
		paid := total - p.Prepaid - p.Credit
		if atOnce {
			paid = total
		}
		s.VAT[at].Amount += receipt.Share(t.Amount, paid, total)
	}
}
