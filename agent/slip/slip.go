// Package slip is what a guest is given while the register is away: a slip of
// paper that says in big words that it is no fiscal receipt, with a QR code that
// leads to a page of the agent's, where the fiscal id stands once there is one.
//
// The [Counter] prints slips at a receipt printer in the shop's network (ESC/POS
// over TCP), as a picture: no code page of any printer has all of ə, ğ and ш,
// and a picture has every letter on each. A printer that is dead, slow or out of
// paper keeps no till waiting, no receipt from its register, and no other printer
// from printing.
//
// A slip is printed at most once for each receipt, unless a person asks for
// another. It is tried again only where nothing of it was sent.
package slip

import (
	"strings"
	"time"
	"unicode"

	"ekassa/agent/receipt"
	"ekassa/agent/texts"
)

// Slip is what is printed.
type Slip struct {
	Lang string
	Shop string // empty: not known
	Till string
	Zone *time.Location
	Of   receipt.Stored
	Link string // of the guest's page; empty: there is no way to it, and no QR code
}

// maxLines is the most lines of a receipt that are printed; a longer one says how
// many there are more.
const maxLines = 100

// maxName is the most letters that are printed of one name.
const maxName = 120

// number is what the guest and the cashier know the receipt by.
func (s Slip) number() string {
	if s.Of.Number != "" {
		return s.Of.Number
	}
	return s.Of.ID
}

func (s Slip) say(key string) string { return texts.Say(s.Lang, key, nil) }

// clean makes text of a till fit for one line of print. The face has no sign for
// the manat.
func clean(s string) string {
	s = strings.ReplaceAll(s, "₼", "AZN")
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if long := []rune(s); len(long) > maxName {
		s = string(long[:maxName]) + "…"
	}
	return s
}

// Wanted says whether a guest stands without paper because of the register: the
// receipt will be fiscal, and is not since the register is away, closed or out of
// paper. A receipt that merely stands in the queue needs none; nor does one about
// which a person decides, unless that person asks for it.
func Wanted(s receipt.Stored) bool {
	switch s.State {
	case receipt.Waiting:
		return s.Reason.Code != ""
	case receipt.Checking:
		return true
	}
	return false
}

// Allowed lists the states in which a person may have a slip printed: not fiscal,
// and may become so.
var Allowed = []receipt.State{receipt.Waiting, receipt.Sending, receipt.Checking, receipt.Refused, receipt.Held}

// forGuests says whether a guest takes paper of this kind along.
func forGuests(k receipt.Kind) bool {
	switch k {
	case receipt.Sale, receipt.Refund, receipt.Prepayment, receipt.CreditPayment:
		return true
	}
	return false
}
