package receipt

import (
	"slices"
	"time"
)

// State of a receipt on its way from the till to the tax service.
type State string

// The states. What each promises to the till is contract.md 3.
const (
	Waiting   State = "waiting"    // in the journal, not sent
	Sending   State = "sending"    // on its way to the register
	Checking  State = "checking"   // sent, no clear answer: the register is being asked
	Fiscal    State = "fiscal"     // the register made a document
	Refused   State = "refused"    // the register said no and made nothing
	Held      State = "held"       // only a person can decide
	NonFiscal State = "non_fiscal" // kept here only
	Withdrawn State = "withdrawn"  // a person took it back
)

// States lists all of them, in the order of a receipt's life.
var States = []State{Waiting, Sending, Checking, Fiscal, Refused, Held, NonFiscal, Withdrawn}

// moves is the whole of what may happen to a receipt. The journal's schema
// holds the same table, and a test compares the two.
var moves = map[State][]State{
	Waiting:   {Sending, Held, Withdrawn},
	Sending:   {Fiscal, Refused, Checking, Waiting},
	Checking:  {Fiscal, Waiting, Held},
	Refused:   {Waiting, Withdrawn},
	Held:      {Waiting, Fiscal, Withdrawn},
	NonFiscal: {Waiting},
}

// May says whether a receipt in state s may go to state to.
func (s State) May(to State) bool {
	return slices.Contains(moves[s], to)
}

// Open says whether the register may be making a document of it right now.
// At most one receipt of a register is open.
func (s State) Open() bool { return s == Sending || s == Checking }

// Queued says whether the receipt will go on by itself.
func (s State) Queued() bool { return s == Waiting || s.Open() }

// Final says whether nothing will happen any more unless a person acts. It is
// what a waiting till waits for.
func (s State) Final() bool { return !s.Queued() }

// Document is what a register made of a receipt.
type Document struct {
	FiscalID       string    `json:"fiscal_id"`
	ShortID        string    `json:"short_id"` // printed on paper; the buyer types it in
	Number         string    `json:"number"`   // on the register's own count
	RegisterID     string    `json:"-"`        // the register's own name for it; needed to print it again
	RegisterSerial string    `json:"register_serial"`
	Shift          string    `json:"-"`
	URL            string    `json:"url,omitempty"` // where the buyer can check it
	Printed        bool      `json:"printed"`       // whether paper came out
	At             time.Time `json:"at"`
	Untimed        bool      `json:"-"` // the register told no time: At is by our clock; not kept
}

// ShortID is what is printed of a fiscal id: its first 12 characters (rules.md 2).
func ShortID(fiscalID string) string {
	if len(fiscalID) > 12 {
		return fiscalID[:12]
	}
	return fiscalID
}

// Reason says why a receipt is in its state, as a code that the staff texts
// have a sentence for, and the one detail that the sentence may name.
type Reason struct {
	Code   string `json:"code,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// Stored is a receipt as the journal knows it now.
type Stored struct {
	Receipt
	Seq        int64  // the order in which tills were told yes
	Key        string // what registers know it by; digits only
	Terminal   string
	Register   string // empty: no register is bound to the terminal yet
	State      State
	Reason     Reason
	Attempts   int // how often it was sent
	Ahead      int // how many go before it; filled in where a till asks
	ReceivedAt time.Time
	ChangedAt  time.Time
	Document   *Document // set when fiscal
}
