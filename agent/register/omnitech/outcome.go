package omnitech

import (
	"fmt"
	"strings"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/register/tokencode"
)

// Codes of the app that are asked for by name (section 12).
const (
	codeSession = 401
	codeReplay  = 1312
	codeQueued  = 1412
)

// means is what a code says of the order that it was the answer to.
type means struct {
	cause   register.Cause
	refuses bool // it proves that nothing was made
}

// wrapper has the app's own codes (section 12). Some numbers are the token's as
// well; where the message decides, it does so in overlaps.
var wrapper = map[int64]means{
	99:          {register.Credentials, false},
	codeSession: {register.Credentials, true},
	1300:        {register.BadData, true},
	codeQueued:  {register.Busy, false},
	1511:        {register.Supplier, false}, // the document may be there, and the app's database lack it
	1512:        {register.BadData, true},
	-1:          {register.Other, false}, -10: {register.Other, false}, -2: {register.Other, false},
	-3: {register.Other, false}, -12: {register.Other, false}, -13: {register.Other, false},
	-4: {register.Busy, false},
	-5: {register.BadData, false}, -6: {register.BadData, false}, -7: {register.BadData, false},
	-8: {register.BadData, false}, -9: {register.BadData, false},
	-11: {register.Credentials, true},
}

// meaning says what a code means, the app's list before the token's, and the
// message where the number has two meanings. What the words do not decide is
// taken for the meaning that proves less.
func meaning(name string, code int64, a answer) means {
	says := strings.ToLower(a.text("message"))
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(says, w) {
				return true
			}
		}
		return false
	}
	switch code {
	case 1200: // the app: the document before is still to be printed; the token: unknown operation
		if has("operation", "unknown") && !has("print") {
			return means{register.BadData, true}
		}
		return means{register.Paper, false}
	case 1210: // printer, shift status or report; the token: documents are to be delivered first
		if has("print", "paper") {
			return means{register.Paper, false}
		}
		return means{register.Other, false}
	case 1250: // parsing, the shift, or VAT that does not fit the seller
		switch {
		case has("duration"):
			return means{register.ShiftExpired, true}
		case has("shift"):
			return onShift(name)
		}
		return means{register.BadData, true}
	case 1301, 1302: // the app: JSON; the token: attestation of the software
		if has("json", "parse", "syntax", "request") {
			return means{register.BadData, true}
		}
		return means{register.Supplier, false}
	case codeReplay:
		if has("vat", "ədv", "edv", "ндс") {
			return means{register.BadData, true}
		}
		return means{register.Other, false}
	case codeQueued:
		if has("print", "paper") {
			return means{register.Paper, false}
		}
	case tokencode.ShiftStatus:
		return onShift(name)
	}
	if m, ok := wrapper[code]; ok {
		return m
	}
	c := tokencode.Of(code)
	return means{c.Cause, c.Refuses}
}

// onShift: the wrong state of the shift is "open" only to who opens it.
func onShift(name string) means {
	if name == "open_shift" {
		return means{register.ShiftOpen, true}
	}
	return means{register.ShiftClosed, true}
}

// isReplay says whether the register claims that the work was done before.
func isReplay(code int64, a answer) bool {
	return code == tokencode.RolledBack || code == codeReplay && meaning("", code, a).cause == register.Other
}

// outcome judges the answer to a document: by its code first, and Made only where
// it names a document that can be ours.
func (d *Driver) outcome(route string, sent order, a answer) register.Outcome {
	code, ok := a.code()
	o := register.Outcome{Verdict: register.Unknown, Cause: register.Other, Code: a.codeText(), Text: d.mask(a.message())}
	ids := idsOf(a)
	switch {
	case !ok:
		o.Err = fmt.Errorf("%w: no code", register.ErrNotAnswer)
	case code == tokencode.Success, code == tokencode.NamesNotStored:
		if err := ids.ours(sent); err != nil {
			o.Err = fmt.Errorf("the answer is a success, yet %w", err)
			return o
		}
		doc := d.document(ids, a)
		return register.Outcome{Verdict: register.Made, Document: &doc, Code: o.Code, Text: o.Text}
	default:
		m := meaning(route, code, a)
		o.Cause = m.cause
		o.Err = fmt.Errorf("register answers %s with code %d", route, code)
		if ids != (made{}) {
			o.Err = fmt.Errorf("the answer is code %d, yet it tells of document %s", code, clip(first(ids.longID, ids.shortID, ids.number)))
			return o
		}
		if m.refuses {
			o.Verdict = register.Refused
		}
	}
	return o
}

// ours holds ids against a request: the document must be whole, newer than the
// number that was read before, and not the one that it goes back to.
func (m made) ours(sent order) error {
	if err := m.whole(); err != nil {
		return err
	}
	if n, ok := number(m.number); ok {
		if after, ok := number(sent.After); ok && n <= after {
			return fmt.Errorf("its number %d is not after %d", n, after)
		}
	}
	if m.longID == sent.parent() {
		return fmt.Errorf("it names the parent, %s", m.longID)
	}
	return nil
}

// document makes one of what the register says of it.
func (d *Driver) document(ids made, a answer) receipt.Document {
	serial, shift, prefix := d.remembered()
	doc := receipt.Document{
		FiscalID: ids.longID, ShortID: receipt.ShortID(ids.longID), Number: ids.number, RegisterID: ids.longID,
		RegisterSerial: serial, Shift: shift, Printed: true, At: a.time(d.cfg.Zone, "date"),
	}
	if doc.At.IsZero() {
		doc.At, doc.Untimed = d.cfg.Now(), true
	}
	if prefix != "" {
		doc.URL = prefix + doc.ShortID
	}
	return doc
}
