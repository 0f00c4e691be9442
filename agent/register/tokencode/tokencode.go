// Package tokencode has the error codes of the fiscal token and its driver
// library as data: every e-kassa of the token's makers passes them on
// (protocols/omnitech.md and caspos.md, section 13).
//
// A maker's own app may use some of the numbers with another meaning. That is
// its driver's business, which asks here only for what its own list lacks.
package tokencode

import (
	"slices"

	"ekassa/agent/register"
)

// Class is what a code means for a client.
type Class string

// The classes, in the page's words.
const (
	OK       Class = "OK"       // done; or, to a question, a harmless "nothing there"
	Replay   Class = "REPLAY"   // the work was already done earlier
	Auth     Class = "AUTH"     // log in again, then send the same document once more
	Shift    Class = "SHIFT"    // mend the shift, then send the same document once more
	Wait     Class = "WAIT"     // it passes; first ask whether it happened
	Check    Class = "CHECK"    // the outcome is not known: ask
	Operator Class = "OPERATOR" // a person on site must act
	Service  Class = "SERVICE"  // only the maker or the operator of the tokens can mend it
	Payload  Class = "PAYLOAD"  // never repeat it unchanged
)

// Codes that are asked for by name.
const (
	Success        = 0
	NoDocument     = 231 // no document exists yet
	WrongRole      = 403
	WrongPIN       = 404 // never tried again: three misses lock the token
	PINLocked      = 405
	PUKLocked      = 407
	ShiftStatus    = 503
	ShiftDuration  = 504
	NumberMoved    = 505 // prev_doc_number is not the token's last number
	OfflineTooLong = 604
	RolledBack     = 639  // the parent is rolled back already
	NamesNotStored = 1205 // the document was created and is fiscal; only the item names were not stored
)

// Code is one code or a run of codes that mean the same.
type Code struct {
	From, To int64 // both included
	Class    Class
	Cause    register.Cause
	// Refuses: answered to a document, the code proves that nothing was made.
	// It never stands beside a class that may follow a written document.
	Refuses bool
	Says    string
}

// Verdict is what the code proves of a document that it was the answer to. It
// is never Made: a success has to name its document.
func (c Code) Verdict() register.Verdict {
	if c.Refuses {
		return register.Refused
	}
	return register.Unknown
}

// Of gives what a code means. A number that the page does not list is CHECK.
func Of(code int64) Code {
	n, found := slices.BinarySearchFunc(codes, code, func(c Code, code int64) int {
		switch {
		case c.To < code:
			return -1
		case c.From > code:
			return 1
		}
		return 0
	})
	if !found {
		return Code{From: code, To: code, Class: Check, Cause: register.Other, Says: "not in the list of codes"}
	}
	return codes[n]
}

// Codes are all that the page lists, in ascending order.
func Codes() []Code { return slices.Clone(codes) }
