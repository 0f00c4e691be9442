package receipt

import (
	"errors"
	"time"
)

// The errors of whoever keeps receipts.
var (
	// ErrNotFound: no such receipt of this terminal.
	ErrNotFound = errors.New("no such receipt")
	// ErrConflict: the id was here before, with other content.
	ErrConflict = errors.New("id was used before with other content")
	// ErrMove: the receipt's state does not allow it.
	ErrMove = errors.New("the receipt's state does not allow this")
	// ErrTaken: another receipt has this document already.
	ErrTaken = errors.New("another receipt has this document")
	// ErrStorage: nothing was stored, since the journal cannot be written or
	// space is short.
	ErrStorage = errors.New("the journal cannot take it")
)

// Decision is what a person says of a held receipt.
type Decision struct {
	Verdict  Verdict
	Who, Why string
	Document *Document // where Verdict is WasMade: what the paper says
}

// Verdict is a person's.
type Verdict string

// The verdicts.
const (
	Send    Verdict = "send"     // the register made nothing: send it
	WasMade Verdict = "was_made" // the register made it: here is its fiscal id
	Drop    Verdict = "withdraw" // it must not be sent
)

// Filter of a listing.
type Filter struct {
	Terminal string
	States   []State // none: all
	Cash     bool    // cash in and out instead of guests' receipts
	Before   int64   // Seq; 0: from the newest
	Limit    int
}

// Change is one receipt's change of state, as told to those who watch.
type Change struct {
	Record  int64 // number of the record in the journal: dense, rising
	Receipt Stored
	At      time.Time
}
