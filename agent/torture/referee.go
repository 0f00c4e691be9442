package torture

import (
	"fmt"
	"slices"
	"strings"

	"ekassa/agent/register/simulator"
)

// Case is everything that the referee looks at.
type Case struct {
	Shops   []Evidence
	Journal Journal
	Other   []string // what else went wrong: answers, programs that ended or broke
}

// Evidence is what there is of one till and its register.
type Evidence struct {
	Terminal, Serial string
	Model            Model
	Told             []Told            // in the till's order
	Unsure           []string          // ids that were posted and never told yes
	API              map[string]Stored // by id
	Ledger           []simulator.Document
	Strangers        []simulator.Document // made by another device that stood at the address
	Asked            map[string][]Asked
}

// Sort of violation.
type Sort string

// The sorts. Wrong is whatever contradicts and is none of the others.
const (
	Lost       Sort = "lost"
	Doubled    Sort = "doubled"
	OutOfOrder Sort = "out of order"
	Unsettled  Sort = "unsettled"
	Wrong      Sort = "wrong"
)

// Violation is one broken promise, with both sides.
type Violation struct {
	Sort Sort
	ID   string
	Text string
}

// Verdict is what the referee says.
type Verdict struct {
	Told, Fiscal, NonFiscal, Held, Refused, Withdrawn, Asked, Paperless int
	Violations                                                          []Violation
}

// Count gives the number of receipts with a violation of a sort.
func (v Verdict) Count(s Sort) int {
	ids := map[string]bool{}
	for n, x := range v.Violations {
		if x.Sort == s && x.ID == "" {
			ids[fmt.Sprint("#", n)] = true
		} else if x.Sort == s {
			ids[x.ID] = true
		}
	}
	return len(ids)
}

func (v *Verdict) say(s Sort, id, format string, args ...any) {
	v.Violations = append(v.Violations, Violation{s, id, fmt.Sprintf(format, args...)})
}

// made says what a document of each kind is called in the ledger.
var made = map[string]simulator.Kind{
	"sale": simulator.Sale, "refund": simulator.Refund, "cancel": simulator.Rollback, "prepayment": simulator.Prepay,
	"credit_payment": simulator.CreditPay, "correction": simulator.Correction, "deposit": simulator.Deposit, "withdrawal": simulator.Withdraw,
}

// Judge holds what tills were told against the agent's word, its journal and the
// registers' ledgers.
func Judge(c Case) (v Verdict) {
	for _, text := range c.Other {
		v.say(Wrong, "", "%s", text)
	}
	for _, e := range c.Shops {
		v.shop(e, c.Journal.Awaited)
	}
	v.journal(c)
	return v
}

// shop judges a till. awaited are the receipts whose answers others were held for.
func (v *Verdict) shop(e Evidence, awaited map[string]string) {
	docs := map[string][]simulator.Document{}
	for _, d := range e.Ledger {
		docs[TagOf(d)] = append(docs[TagOf(d)], d)
	}
	for _, d := range e.Strangers {
		v.say(Wrong, TagOf(d), "a document of %s was made on another register, %s: %s", TagOf(d), d.Serial, paper(d))
	}
	known := map[string]bool{}
	for _, id := range e.Unsure {
		known[id] = true
		if len(docs[id]) > 1 {
			v.say(Doubled, id, "%s: the till was never told yes, and the register has %s", id, papers(docs[id]))
		}
	}
	for _, t := range e.Told {
		known[t.ID] = true
		v.Told++
		v.receipt(e, t, docs)
	}
	for _, d := range e.Ledger {
		if !known[TagOf(d)] {
			v.say(Wrong, TagOf(d), "the register has a document that no till asked for: %s", paper(d))
		}
	}
	for id, s := range e.API {
		if !known[id] {
			v.say(Wrong, id, "the agent has a receipt that no till sent: %s, %s", id, s.State)
		}
	}
	v.order(e, v.decided(e, awaited))
}

// decided gives the receipts that a person's word has put where they are: about
// themselves, or about the one that they were held for. Nobody may be kept waiting
// for an answer that nobody was asked for.
func (v *Verdict) decided(e Evidence, awaited map[string]string) map[string]bool {
	decided := map[string]bool{}
	for id := range e.Asked {
		decided[id] = true
	}
	for _, t := range e.Told {
		others, held := awaited[t.ID]
		if !held {
			continue
		}
		decided[t.ID] = true
		made := false
		for other := range strings.SplitSeq(others, ", ") {
			if len(e.Asked[other]) == 0 {
				v.say(Wrong, t.ID, "%s: held for an answer about %s, of which no person was asked", t.ID, other)
			}
			for _, a := range e.Asked[other] {
				made = made || a.Verdict == "was_made"
			}
		}
		if e.API[t.ID].State == "fiscal" && len(e.Asked[t.ID]) == 0 && !made {
			v.say(Wrong, t.ID, "%s: held for an answer about %s, none of which was made, and sent without a word about itself", t.ID, others)
		}
	}
	return decided
}

// receipt judges one that a till was told yes for.
func (v *Verdict) receipt(e Evidence, t Told, docs map[string][]simulator.Document) {
	paper := docs[t.ID]
	s, there := e.API[t.ID]
	asked := e.Asked[t.ID]
	if len(asked) > 0 {
		v.Asked++
		cannotTell := !e.Model.tells(t.Kind) || asked[0].Attempts > 0 && shiftsAround(e, t, docs) > 1
		if asked[0].Code == "rung_up_by_hand" {
			cannotTell = e.Model.miscounts()
		}
		if !cannotTell {
			v.say(Unsettled, t.ID, "%s: a %s at %s, and a person was asked without need: %s: %s", t.ID, t.Kind, e.Model, asked[0].Code, asked[0].Text)
		}
	}
	if len(paper) > 1 {
		v.say(Doubled, t.ID, "%s: the agent says %s %s, the register has %s", t.ID, s.State, s.Document.FiscalID, papers(paper))
	}
	if !there {
		v.say(Lost, t.ID, "%s: the till was told %v, the agent does not know it, the register has %s", t.ID, t.Heard, papers(paper))
		return
	}
	v.heard(t, s)
	switch s.State {
	case "fiscal":
		v.Fiscal++
		if len(paper) == 0 {
			v.say(Lost, t.ID, "%s: the agent says fiscal, document %q of %s, and the register has none", t.ID, s.Document.FiscalID, s.Document.Serial)
			return
		}
		v.document(e, t, s, paper[0], docs)
		return
	case "non_fiscal":
		v.NonFiscal++
		if t.Fiscal {
			v.say(Wrong, t.ID, "%s: sent to be fiscal, and kept as non_fiscal", t.ID)
		}
	case "refused":
		v.Refused++
		if !mayRefuse(t, e, docs) {
			v.say(Wrong, t.ID, "%s: a %s, refused without cause: %s", t.ID, t.Kind, s.Reason.Text)
		}
	case "withdrawn":
		v.Withdrawn++
		v.say(Wrong, t.ID, "%s: nobody withdrew it", t.ID)
	case "held":
		v.Held++
		v.say(Unsettled, t.ID, "%s: held: %s; the register has %s", t.ID, s.Reason.Text, papers(paper))
		return
	default:
		v.say(Unsettled, t.ID, "%s: %s after %d attempts: %s; the register has %s", t.ID, s.State, s.Attempts, s.Reason.Text, papers(paper))
		return
	}
	if len(paper) > 0 {
		v.say(Lost, t.ID, "%s: the agent says %s, and the register has %s", t.ID, s.State, papers(paper))
	}
}

// shiftsAround counts the shifts into which the documents of a receipt and of its
// neighbours went. No page says that a register knows its keys for longer than
// their shift (protocol page, 8).
func shiftsAround(e Evidence, t Told, docs map[string][]simulator.Document) int {
	at := slices.IndexFunc(e.Told, func(x Told) bool { return x.ID == t.ID })
	shifts := map[int64]bool{}
	for _, x := range e.Told[max(0, at-5):min(len(e.Told), at+6)] {
		for _, d := range docs[x.ID] {
			shifts[d.Shift] = true
		}
	}
	return len(shifts)
}

// mayRefuse: a register takes a cancel only in the shift of the sale, and troubles
// close shifts.
func mayRefuse(t Told, e Evidence, docs map[string][]simulator.Document) bool {
	if t.Kind != "cancel" || len(docs[t.Parent]) == 0 || len(e.Ledger) == 0 {
		return false
	}
	return docs[t.Parent][0].Shift < e.Ledger[len(e.Ledger)-1].Shift
}

// heard holds what the till was told against what is true now. A yes with a
// document is for ever, and only one answer says that the receipt is new.
func (v *Verdict) heard(t Told, s Stored) {
	isNew := 0
	for _, h := range t.Heard {
		if h.Status != 200 {
			isNew++
		}
		if h.State == "fiscal" && (s.State != "fiscal" || h.FiscalID != s.Document.FiscalID) {
			v.say(Wrong, t.ID, "%s: the till was told fiscal, document %q; the agent says now %s, %q", t.ID, h.FiscalID, s.State, s.Document.FiscalID)
		}
	}
	if isNew > 1 {
		v.say(Wrong, t.ID, "%s: told %d times that it is new: %v", t.ID, isNew, t.Heard)
	}
}

// document compares a fiscal receipt with its document.
func (v *Verdict) document(e Evidence, t Told, s Stored, d simulator.Document, docs map[string][]simulator.Document) {
	nameless := e.Model.leavesUnnamed(t.Kind) && s.Document.FiscalID == ""
	if s.Document.FiscalID != d.FiscalID && !nameless {
		v.say(Wrong, t.ID, "%s: the agent says document %q, the register has %s", t.ID, s.Document.FiscalID, paper(d))
	}
	if s.Document.Serial != e.Serial || d.Serial != e.Serial {
		v.say(Wrong, t.ID, "%s: sold at %s, the agent says %s, the ledger %s", t.ID, e.Serial, s.Document.Serial, d.Serial)
	}
	if d.Kind != made[t.Kind] || d.Amount != t.Total {
		v.say(Wrong, t.ID, "%s: a %s over %d qəpik became %s", t.ID, t.Kind, t.Total, paper(d))
	}
	p := Payments{d.Payments.Cash, d.Payments.Cashless, d.Payments.Prepaid, d.Payments.Credit}
	if moved := t.Kind != "cancel" && t.Kind != "deposit" && t.Kind != "withdrawal"; moved && p != t.Paid {
		v.say(Wrong, t.ID, "%s: paid %+v, and the document says %+v", t.ID, t.Paid, p)
	}
	if t.Parent != "" {
		parent := docs[t.Parent]
		if len(parent) == 0 || d.Parent != parent[0].FiscalID && d.Advance != parent[0].FiscalID {
			v.say(Wrong, t.ID, "%s: goes back to %s, which has %s; its document goes back to %q %q", t.ID, t.Parent, papers(parent), d.Parent, d.Advance)
		}
	}
	if !d.Printed {
		v.Paperless++
	}
	if !t.Fiscal {
		v.say(Wrong, t.ID, "%s: was to be kept here only, and is fiscal", t.ID)
	}
}

// order: documents of a register stand in the order in which the till was told
// yes, but for receipts that a person decided, or that were refused.
func (v *Verdict) order(e Evidence, decided map[string]bool) {
	place := map[string]int{}
	for n, t := range e.Told {
		if !decided[t.ID] && !decided[t.Parent] && e.API[t.ID].State == "fiscal" {
			place[t.ID] = n + 1
		}
	}
	last, of := 0, ""
	seen := map[string]bool{}
	for _, d := range e.Ledger {
		n := place[TagOf(d)]
		if n == 0 || seen[TagOf(d)] { // doubled ones are shouted at elsewhere
			continue
		}
		seen[TagOf(d)] = true
		if n < last {
			v.say(OutOfOrder, TagOf(d), "%s: told yes as number %d, and its document %d comes after that of %s, number %d", TagOf(d), n, d.Number, of, last)
			continue
		}
		last, of = n, TagOf(d)
	}
}

func paper(d simulator.Document) string {
	return fmt.Sprintf("[%s %d over %d, shift %d, fiscal id %s, key %s, cashier %s]", d.Kind, d.Number, d.Amount, d.Shift, d.FiscalID, d.Client.Key, d.Client.Cashier)
}

func papers(list []simulator.Document) string {
	if len(list) == 0 {
		return "nothing"
	}
	var s []string
	for _, d := range list {
		s = append(s, paper(d))
	}
	return strings.Join(s, " and ")
}
