package register

import (
	"fmt"
	"slices"
	"time"

	"ekassa/agent/receipt"
)

// MaxShift is how long a shift may be open (rules.md 4): after that a register
// refuses every document until the Z report.
const MaxShift = 24 * time.Hour

// Name is what the shift is known by: the register's id for it or, where that
// gives none, when it was opened. "" where it tells neither.
func (s Shift) Name() string {
	if s.ID == "" && !s.OpenedAt.IsZero() {
		return s.OpenedAt.UTC().Format(time.RFC3339)
	}
	return s.ID
}

// Seen is a shift as the agent has seen it.
type Seen struct {
	Serial    string
	Name      string // Shift.Name
	OpenedAt  time.Time
	OpenedBy  string // a person, "auto", or "" where it was opened on the register itself
	ClosingBy string // who ordered the close that has no answer yet
}

// Reported is a report as the journal keeps it.
type Reported struct {
	Register string    `json:"register"`
	Kind     string    `json:"kind"`         // "x" or "z"
	By       string    `json:"by,omitempty"` // who asked for it; "" on the register itself
	At       time.Time `json:"at"`
	Report   Report    `json:"report"`
}

// Balance holds a shift's Z report against the journal.
type Balance struct {
	Journal Report `json:"journal"` // the same figures, from the documents in the journal
	// Differences are the figures in which the two do not agree.
	Differences []Difference `json:"differences,omitempty"`
	// Doubtful are the receipts of the shift that had no clear answer or were
	// decided by a person: where a difference can come from.
	Doubtful []string `json:"doubtful,omitempty"`
	// Open are the receipts that tills sent during the shift and that are not
	// fiscal.
	Open []string `json:"open,omitempty"`
}

// Difference is one figure of a Z report that is another in the journal.
type Difference struct {
	Figure   string `json:"figure"` // such as "sales.count" or "refunds.cash"
	Journal  string `json:"journal"`
	Register string `json:"register"`
}

// Compare gives the figures in which a register's report z and the journal's own
// do not agree. VAT is rounded by each document here and by some registers over
// the whole shift, so it may differ by a qəpik for each document; a rate that
// the register does not list is not compared.
func Compare(journal, z Report) (list []Difference) {
	differ := func(figure string, ours, theirs any) {
		list = append(list, Difference{Figure: figure, Journal: fmt.Sprint(ours), Register: fmt.Sprint(theirs)})
	}
	groups := func(r Report) []Sum {
		return []Sum{r.Sales, r.Refunds, r.Cancels, r.Prepaid, r.Credit, r.Correct, r.In, r.Out}
	}
	theirs := groups(z)
	for n, ours := range groups(journal) {
		name := [...]string{"sales", "refunds", "cancels", "prepayments", "credit_payments", "corrections", "deposits", "withdrawals"}[n]
		if ours.Count != theirs[n].Count {
			differ(name+".count", ours.Count, theirs[n].Count)
		}
		if ours.Sum != theirs[n].Sum {
			differ(name+".sum", ours.Sum, theirs[n].Sum)
		}
		if n >= 6 { // cash in and out is all cash
			continue
		}
		if ours.Cash != theirs[n].Cash {
			differ(name+".cash", ours.Cash, theirs[n].Cash)
		}
		if ours.Card != theirs[n].Card {
			differ(name+".card", ours.Card, theirs[n].Card)
		}
		for _, v := range theirs[n].VAT {
			amount := receipt.Money(0)
			if at := slices.IndexFunc(ours.VAT, func(o VAT) bool { return o.Rate == v.Rate }); at >= 0 {
				amount = ours.VAT[at].Amount
			}
			if off := amount - v.Amount; off > receipt.Money(ours.Count) || -off > receipt.Money(ours.Count) {
				differ(fmt.Sprintf("%s.vat %s", name, v.Rate), amount, v.Amount)
			}
		}
	}
	return list
}

// Add counts a document's receipt in, as the registers do: each kind in its own
// group, and only the cash that stays in the drawer.
func (r *Report) Add(x receipt.Receipt) {
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
		s.VAT[at].Amount += t.Amount
	}
}
