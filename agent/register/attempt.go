package register

import (
	"time"

	"ekassa/agent/receipt"
)

// Attempt is one try to have a receipt made into a document. It is committed
// before the first byte leaves and never changes afterwards; what is learned
// of it later is evidence beside it (reliability.md C6).
type Attempt struct {
	Seq      int64 // of the receipt
	Number   int   // 1 for the first try
	Register string
	Address  string
	Baseline Baseline
	Request  Request
	At       time.Time
}

// Proof says what is known of an attempt. A further attempt needs one that
// proves that this one made nothing; the journal's schema insists on it.
type Proof string

// The proofs. ProvesNothingMade tells which of them allow a further attempt.
const (
	ProofMade    Proof = "made"     // the document is there
	ProofNotSent Proof = "not_sent" // not a byte left us
	ProofRefused Proof = "refused"  // a code that proves that nothing was made
	ProofNotMade Proof = "not_made" // the register, asked later, showed that it made nothing
	ProofPerson  Proof = "person"   // a named person says that nothing was made
	ProofUnclear Proof = "unclear"  // no clear answer: proves nothing
)

// ProvesNothingMade says whether the receipt may be sent again.
func (p Proof) ProvesNothingMade() bool {
	return p == ProofNotSent || p == ProofRefused || p == ProofNotMade || p == ProofPerson
}

// Conclusion is what the dispatch loop makes of an attempt: where the receipt
// goes, and the proof for it.
type Conclusion struct {
	State    receipt.State
	Reason   receipt.Reason
	Proof    Proof
	Text     string            // what was asked and answered, for people
	Document *receipt.Document // where State is fiscal
	InDoubt  string            // a shift that has one document more of which only a person can tell whether it is ours
}

// Doubt is a receipt of which a person is asked whether its register made it,
// since neither the register nor its counts have told.
type Doubt struct {
	Seq           int64
	ID            string // as the till calls it
	Serial, Shift string // where its document would be
}

// Unexplained are documents of a register that are either those of receipts in
// doubt or were rung up by hand.
type Unexplained struct {
	Documents int
	Doubts    []Doubt // at least as many
}
