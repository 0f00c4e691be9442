// Package register says what the agent asks of any fiscal cash register, and
// what one may answer. The drivers below it speak one maker's protocol each.
//
// The rule behind it: a register's answer is an outcome, not an error. Whatever
// is not certainly "made", "refused" or "not sent" is Unknown, and what is
// unknown is asked about, never sent again on the chance.
package register

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"ekassa/agent/receipt"
)

// Verdict says what became of a document that was sent.
type Verdict string

// The verdicts. The zero value is none of them and counts as Unknown.
const (
	Made    Verdict = "made"     // the register made the document
	Refused Verdict = "refused"  // it said no, with a code that proves it made nothing
	NotSent Verdict = "not_sent" // not a byte left us
	Unknown Verdict = "unknown"  // anything else
)

// Cause says what would help, where something is refused or unknown.
type Cause string

// The causes, and who acts.
const (
	CauseNone     Cause = ""
	Unreachable   Cause = "unreachable"    // nobody answers at the address: wait
	Missing       Cause = "missing"        // no address is set and none was found: wait, look
	Busy          Cause = "busy"           // the register is at work: wait
	ShiftClosed   Cause = "shift_closed"   // open the shift, then send again
	ShiftExpired  Cause = "shift_expired"  // over 24 h: close with Z, open, send again
	ShiftOpen     Cause = "shift_open"     // it is open already
	Paper         Cause = "paper"          // load paper; the document may be made
	BadData       Cause = "bad_data"       // never repeat unchanged: a person mends it
	NoParent      Cause = "no_parent"      // the register knows no such parent
	NoCash        Cause = "no_cash"        // less cash in the drawer than is asked for
	Credentials   Cause = "credentials"    // wrong Merchant ID or login: the installer
	WrongRegister Cause = "wrong_register" // another register at the address: the installer
	Supplier      Cause = "supplier"       // only the maker can help
	Other         Cause = "other"          // a person reads the register's words
)

// Class is what a register offers for asking after a lost answer
// (reliability.md C5). The engine, not the driver, chooses the recovery by it.
type Class string

// The classes.
const (
	Key           Class = "key"             // our key finds the document; the same key never makes a second
	CompareAndSet Class = "compare_and_set" // a document is only made on top of the number we name
	Neither       Class = "neither"         // it can be asked, and its counters read; nothing guards a resend
)

// Abilities is what a driver says of the register in front of it.
type Abilities struct {
	// Kinds that it can make documents of, and what it offers for each after a
	// lost answer: a maker may promise more for a sale than for a prepayment.
	Kinds map[receipt.Kind]Class
	// Settle is longer than the longest time for which the register may still
	// be at work on a request whose answer was lost.
	Settle time.Duration
	// Names is the most characters of an item's name that it prints.
	Names int
}

// Can says whether the register makes documents of the kind.
func (a Abilities) Can(k receipt.Kind) bool {
	_, ok := a.Kinds[k]
	return ok
}

// Outcome of something that the register was asked to do.
type Outcome struct {
	Verdict  Verdict
	Cause    Cause
	Document *receipt.Document // where Made
	Code     string            // the register's own code, verbatim
	Text     string            // the register's own words, verbatim
	Err      error             // what happened on the way, where Verdict is not Made
}

// Identity is who the register is.
type Identity struct {
	Serial     string    `json:"serial"`
	Model      string    `json:"model,omitempty"`
	Edition    string    `json:"edition,omitempty"` // of the protocol, as told apart at run time
	Version    string    `json:"version,omitempty"`
	Company    string    `json:"company,omitempty"`
	TaxNumber  string    `json:"tax_number,omitempty"` // VÖEN
	Object     string    `json:"object,omitempty"`     // the outlet
	State      string    `json:"state,omitempty"`      // "ACTIVE" is ready
	QRPrefix   string    `json:"qr_prefix,omitempty"`  // before a fiscal id, in the buyer's link
	LastOnline time.Time `json:"last_online,omitzero"` // with the tax service
	NotAfter   time.Time `json:"not_after,omitzero"`   // the token's certificate ends
}

// Shift is the register's own view of its shift.
type Shift struct {
	Open     bool          `json:"open"`
	ID       string        `json:"id,omitempty"`
	OpenedAt time.Time     `json:"opened_at,omitzero"` // zero: the register does not tell
	Cash     receipt.Money `json:"cash"`               // in the drawer, where Drawer
	Drawer   bool          `json:"-"`                  // the register has told what is in it
	// Age is how long it has been open, whatever clocks do. The engine sets it.
	Age time.Duration `json:"-"`
}

// Baseline is what the register said of itself before a document was sent. It
// is stored before the first byte leaves, and what an unclear outcome is judged
// against.
type Baseline struct {
	Serial  string `json:"serial"`
	Shift   Shift  `json:"shift"`
	Counted bool   `json:"counted"` // whether Count means anything
	Count   Count  `json:"count,omitzero"`
	Last    string `json:"last,omitempty"` // number of its last document, where it tells
	// Class is what guarded the document when it was sent. The engine sets it;
	// another firmware may stand there by the time the answer is missed.
	Class Class `json:"class,omitempty"`
}

// Count is how many documents of each kind the register has made in its shift.
type Count struct {
	Sale, Refund, Cancel, Prepayment, CreditPayment, Correction, Deposit, Withdrawal int
}

// Of gives the count of one kind.
func (c Count) Of(k receipt.Kind) int {
	return map[receipt.Kind]int{
		receipt.Sale: c.Sale, receipt.Refund: c.Refund, receipt.Cancel: c.Cancel, receipt.Prepayment: c.Prepayment,
		receipt.CreditPayment: c.CreditPayment, receipt.Correction: c.Correction, receipt.Deposit: c.Deposit, receipt.Withdrawal: c.Withdrawal,
	}[k]
}

// Job is one receipt on its way to a register: all that a driver needs to write
// the request, which is written once, stored, and sent unchanged.
type Job struct {
	Key      string // our own key for it: the same on every attempt
	Terminal string
	Receipt  receipt.Receipt
	Parent   *receipt.Stored // where the parent is in our journal
	Baseline Baseline        // what the register has just said of itself
	Again    bool            // it was sent before, and was found not to be made
	Repaid   Repaid          // of a credit payment: what is no longer owed of its parent
}

// Repaid is what is no longer owed of a credit sale.
type Repaid struct {
	Count int           // of the payments
	Sum   receipt.Money // theirs, and what of the debt was taken back
}

// Request is what a driver will send: bytes and key stay the same for as long
// as the attempt is open.
type Request struct {
	Route string `json:"route"`
	Key   string `json:"key"`
	Body  []byte `json:"body"` // before signing: no secret in it
}

// Evidence is what the register says when it is asked after a lost answer.
type Evidence struct {
	Found    Finding
	Document *receipt.Document // where Found is DocumentMade
	Text     string            // what was asked and what came back, for people
	Err      error             // why it could not be asked, where Found is CannotTell
}

// Finding is what a look-up found.
type Finding string

// The findings.
const (
	DocumentMade Finding = "made"        // ours, by our key
	NotFound     Finding = "not_found"   // it knows no such document
	InProgress   Finding = "in_progress" // it is still at work on it
	CannotTell   Finding = "cannot_tell" // it could not be asked, or its answer proves nothing
)

// Report is an X or Z report, structured and as the register gave it.
type Report struct {
	Shift    string         `json:"shift"`
	Number   string         `json:"number,omitempty"` // the register's own report number or fiscal id
	OpenedAt time.Time      `json:"opened_at,omitzero"`
	Cash     *receipt.Money `json:"cash,omitempty"` // in the drawer; nil: the register does not tell
	Sales    Sum            `json:"sales"`
	Refunds  Sum            `json:"refunds"`
	Cancels  Sum            `json:"cancels"`
	Prepaid  Sum            `json:"prepayments"`
	Credit   Sum            `json:"credit_payments"`
	Correct  Sum            `json:"corrections"`
	In       Sum            `json:"deposits"`
	Out      Sum            `json:"withdrawals"`
	Missing  string         `json:"missing,omitempty"` // why the register's figures are not here
	Balance  *Balance       `json:"balance,omitempty"` // a Z report's, held against the journal
	Raw      []byte         `json:"-"`                 // the register's answer, verbatim
}

// Count is how many documents of each kind the report has.
func (r Report) Count() Count {
	return Count{
		Sale: r.Sales.Count, Refund: r.Refunds.Count, Cancel: r.Cancels.Count, Prepayment: r.Prepaid.Count,
		CreditPayment: r.Credit.Count, Correction: r.Correct.Count, Deposit: r.In.Count, Withdrawal: r.Out.Count,
	}
}

// Sum is one group of a report.
type Sum struct {
	Count   int           `json:"count"`
	Sum     receipt.Money `json:"sum"`
	Cash    receipt.Money `json:"cash"`
	Card    receipt.Money `json:"card"`
	Credit  receipt.Money `json:"credit"`
	Bonus   receipt.Money `json:"bonus"`
	Prepaid receipt.Money `json:"prepaid"`
	VAT     []VAT         `json:"vat,omitempty"`
}

// Whole counts credit and advances into a sum that leaves them out, as
// Omnitech's does (omnitech.md 9): everywhere here a sum is what was sold.
func (s Sum) Whole() Sum {
	if s.Sum == s.Cash+s.Card+s.Bonus {
		s.Sum += s.Credit + s.Prepaid
	}
	return s
}

// VAT is a report's tax at one rate.
type VAT struct {
	Rate   receipt.Percent `json:"rate"`
	Amount receipt.Money   `json:"amount"`
}

// Register is one e-kassa at one address. Calls come one at a time from the
// dispatch loop that owns it. No method sends anything twice by itself.
//
// Methods that only ask give a *Fault as their error, so that the loop sees
// the cause. All obey the context's deadline.
type Register interface {
	// Abilities may be called at any time; it is certain only after Identify.
	Abilities() Abilities
	// Identify asks who the register is.
	Identify(ctx context.Context) (Identity, error)
	// Shift asks whether a shift is open.
	Shift(ctx context.Context) (Shift, error)
	// Baseline reads everything that an unclear outcome of a document of this
	// kind could later be judged by. It changes nothing. Where the kind has no
	// key that Lookup could ask for, the counters must be in it.
	Baseline(ctx context.Context, kind receipt.Kind) (Baseline, error)

	// Prepare writes the request for a job, and asks nothing. An error means
	// that this register can never make it, and says why.
	Prepare(job Job) (Request, error)
	// Send sends a prepared request, once.
	Send(ctx context.Context, r Request) Outcome
	// Lookup asks what became of a request. Where the maker has no question by our
	// key, and a repeat under it is harmless, it may ask with the request itself;
	// what that makes is then found.
	Lookup(ctx context.Context, r Request) Evidence

	// OpenShift opens the shift. ShiftOpen as the cause: it was open.
	OpenShift(ctx context.Context, cashier string) Outcome
	// CloseShift closes it. The report is there where Made; ShiftClosed as the
	// cause: it was closed.
	CloseShift(ctx context.Context, cashier string) (Report, Outcome)
	// XReport reads the totals of a shift, "" for the present one.
	XReport(ctx context.Context, shift string) (Report, error)
	// Reprint prints a copy of a document.
	Reprint(ctx context.Context, d receipt.Document) Outcome
	// Period reads the totals of some days, first and last included.
	Period(ctx context.Context, from, to time.Time) (Report, error)
}

// The errors of asking for a register that is not there.
var (
	// ErrNoRegister: no active register is bound to the terminal.
	ErrNoRegister = errors.New("no active register is bound to the terminal")
	// ErrUnknownRegister: the terminal has no register of this id.
	ErrUnknownRegister = errors.New("the terminal has no such register")
	// ErrNotAnswer: what came back is none of the register's answers.
	ErrNotAnswer = errors.New("no answer of this protocol")
)

// Fault is a register's refusal to answer a question, or the failure to ask it.
type Fault struct {
	Cause Cause
	Code  string // the register's own code, verbatim
	Text  string // the register's own words, verbatim
	Err   error  // what happened on the way
}

func (f *Fault) Error() string {
	s := string(f.Cause)
	if f.Code != "" {
		s += ": code " + f.Code
	}
	if f.Text != "" {
		s += ": " + f.Text
	}
	if f.Err != nil {
		s += ": " + f.Err.Error()
	}
	return s
}

func (f *Fault) Unwrap() error { return f.Err }

// Dialer makes a Register of an address. It sends nothing.
type Dialer func(addr netip.AddrPort) Register
