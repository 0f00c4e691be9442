package azsmart

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// Codes that are asked for by name (section 9).
const (
	codeAuth       = 1
	codeJSON       = 2
	codeParameter  = 3
	codeShift      = 6
	codeUnpaid     = 8
	codeNotFound   = 9
	codeDate       = 14
	codeNotPrinted = 15
	codeProcessing = 44
)

// causes is what would help against each code, whatever it proves.
var causes = map[int64]register.Cause{
	codeAuth: register.Credentials,
	codeJSON: register.BadData, codeParameter: register.BadData, codeDate: register.BadData,
	4: register.BadData, 7: register.BadData, 8: register.BadData, 10: register.BadData, 11: register.BadData,
	12: register.BadData, 13: register.BadData, 16: register.BadData, 18: register.BadData, 19: register.BadData,
	20: register.BadData, 21: register.BadData, 36: register.BadData,
	codeShift:      register.ShiftClosed,
	codeNotFound:   register.NoParent,
	codeNotPrinted: register.Paper,
	22:             register.ShiftExpired, // its text is cut: believed only once the shift has been asked for
	39:             register.Supplier, 40: register.Supplier,
	codeProcessing: register.Busy,
}

// onRoute is where a code means something else than elsewhere (section 9).
var onRoute = map[string]map[int64]register.Cause{
	routeOpenShift: {codeShift: register.ShiftOpen},
	routeWithdraw:  {codeNotFound: register.NoCash},
}

// refusals is the whitelist: codes that, answered on the route with the status
// "error", prove that nothing was made. Whatever is not in it is Unknown. The
// lists are those of the pages of each route; 14 is every route's (N-code).
// Code 9 on a sale is only a refusal where the sale names a prepayment.
var refusals = map[string][]int64{
	routeSale:       {1, 2, 3, 4, 6, 7, 8, 11, 12, 13, 14, 16, 18, 19, 20, 21},
	routeRefund:     {1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 16, 18, 19, 20, 21},
	routePrepay:     {1, 2, 3, 4, 6, 7, 8, 11, 12, 13, 14, 16, 18, 19, 20, 21},
	routeCreditPay:  {1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 16},
	routeRollback:   {1, 2, 3, 6, 9, 10, 14, 36},
	routeCorrection: {1, 2, 3, 4, 6, 7, 12, 14, 16},
	routeDeposit:    {1, 2, 3, 6, 14},
	routeWithdraw:   {1, 2, 3, 6, 9, 14},
	routeOpenShift:  {1, 2, 3, 6, 14},
	routeCloseShift: {1, 2, 3, 6, 14, 24, 26, 27},
	routeCheckCopy:  {1, 2, 3, 9},
}

func refuses(route string, code int64, sent facts) bool {
	if route == routeSale && code == codeNotFound {
		return sent.PrepayDocID != ""
	}
	for _, c := range refusals[route] {
		if c == code {
			return true
		}
	}
	return false
}

func causeOf(route string, code int64) register.Cause {
	if c, ok := onRoute[route][code]; ok {
		return c
	}
	if c, ok := causes[code]; ok {
		return c
	}
	return register.Other
}

// facts are what an answer is held against: the parts of a request that tell
// whose answer it is.
type facts struct {
	DocumentExtID loose    `json:"documentExtID"`
	DocumentID    loose    `json:"documentID"`
	DocTime       string   `json:"docTime"`
	DocNumber     string   `json:"docNumber"`
	Amount        int64    `json:"amount"`
	PrepayDocID   string   `json:"prepayDocID"`
	Payments      payments `json:"payments"`
}

// loose is an id that stands there as text or number.
type loose string

func (l *loose) UnmarshalJSON(b []byte) error {
	*l = loose(scalar(b))
	return nil
}

// factsOf reads a request of ours. What cannot be read leaves less to compare.
func factsOf(body []byte) (f facts) {
	_ = json.Unmarshal(body, &f)
	return f
}

// ours says whether an answer may be about our request: it must not carry
// another key or number than the request's.
func (f facts) ours(a answer) error {
	if got := a.ident("documentExtID"); got != "" && f.DocumentExtID != "" && digits(got) != digits(string(f.DocumentExtID)) {
		return fmt.Errorf("the answer is about documentExtID %s, not %s", clip(got), f.DocumentExtID)
	}
	if got := a.text("docNumber"); got != "" && f.DocNumber != "" && digits(got) != digits(f.DocNumber) {
		return fmt.Errorf("the answer is about docNumber %s, not %s", clip(got), f.DocNumber)
	}
	return nil
}

// digits makes the two ways of writing a number comparable.
func digits(s string) string {
	if strings.Trim(s, "0123456789") == "" {
		if t := strings.TrimLeft(s, "0"); t != "" {
			return t
		}
	}
	return s
}

// outcome judges the answer to a document: first by status, then by code.
func (d *Driver) outcome(route string, sent facts, a answer) register.Outcome {
	success, told := a.status()
	code, readable := a.code()
	o := register.Outcome{Verdict: register.Unknown, Code: a.codeText(), Text: a.message()}
	o.Cause = register.Other
	if readable && code != 0 {
		o.Cause = causeOf(route, code)
	}
	fiscalID := a.ident("fiscalID")
	switch {
	case !told || !readable:
		o.Err = fmt.Errorf("%w: no status or no code", register.ErrNotAnswer)
	case success:
		d.succeeded(&o, route, sent, a, code)
	case fiscalID != "" || a.text("docStatus") == "1":
		o.Err = fmt.Errorf("the answer is an error, yet it tells of a document, fiscal id %s", orNone(clip(fiscalID)))
	case code == codeUnpaid && a.has("docStatus", "documentID"):
		o.Cause = register.Busy // it lies open on the register and may be closed there by hand (2.4)
	case refuses(route, code, sent):
		o.Verdict = register.Refused
	case d.oneKindOnly(route, code, sent, a):
		o.Verdict, o.Cause = register.Refused, register.BadData
	}
	if o.Verdict != register.Made && o.Err == nil {
		o.Err = fmt.Errorf("register answers /%s with code %s", route, orNone(o.Code))
	}
	return o
}

// oneKindOnly is the other reading of code 15: a credit may only be paid off in
// one kind of payment. It is told from "not printed" where the edition knows no
// such code for printing, no printer's reason is given, and the request did
// have two kinds (section 9; D-R94).
func (d *Driver) oneKindOnly(route string, code int64, sent facts, a answer) bool {
	kinds := 0
	for _, p := range []int64{sent.Payments.CashAmount, sent.Payments.CashlessAmount, sent.Payments.BonusesAmount} {
		if p != 0 {
			kinds++
		}
	}
	return route == routeCreditPay && code == codeNotPrinted && kinds > 1 && !a.has("printError") && d.edition() == EditionClassic
}

// succeeded judges an answer with the status "success". It is Made only where
// the document is told to be closed and named.
func (d *Driver) succeeded(o *register.Outcome, route string, sent facts, a answer, code int64) {
	if code != 0 && code != codeNotPrinted {
		return // it contradicts itself, or the document is still being made
	}
	if state, ok := a.integer("docStatus"); a.text("docStatus") != "" && (!ok || state != 1) {
		o.Cause = register.Other
		if ok && state == 0 {
			o.Cause = register.Busy
		}
		o.Err = fmt.Errorf("the document is not closed: docStatus %s", clip(a.text("docStatus")))
		return
	}
	if err := sent.ours(a); err != nil {
		o.Err = err
		return
	}
	if code == codeNotPrinted && a.text("docStatus") != "1" {
		return // the document may be closed or not (8.3)
	}
	// A rollback is answered with a documentID only (5.3), and cash in and out
	// have fiscal ids that are mere counts (6.5).
	named := a.ident("fiscalID")
	if named == "" && (route == routeRollback || countedIDs(route)) {
		named = a.ident("documentID")
	}
	if named == "" {
		o.Err = errors.New("the answer is a success, yet it names no document")
		return
	}
	doc := d.made(route, sent, a)
	doc.Printed = doc.Printed && code != codeNotPrinted
	o.Verdict, o.Cause, o.Document = register.Made, register.CauseNone, &doc
}

// countedIDs says whether the route's fiscal ids may be counts that come again.
func countedIDs(route string) bool { return route == routeDeposit || route == routeWithdraw }

// made reads the document of a success.
func (d *Driver) made(route string, sent facts, a answer) receipt.Document {
	serial, shift, prefix := d.remembered()
	doc := receipt.Document{
		FiscalID: a.ident("fiscalID"), Number: a.ident("fiscalNum"), RegisterID: a.ident("documentID"),
		RegisterSerial: serial, Shift: shift, URL: a.text("fiscalUrl"), Printed: !a.unprinted(),
		At: a.time(d.cfg.Zone, "printTime", "docTime"),
	}
	if s := a.ident("shiftID"); s != "" {
		doc.Shift = s
	}
	if doc.At.IsZero() {
		doc.At, doc.Untimed = d.cfg.Now(), true
	}
	if route == routeRollback {
		// The answer's documentID may be the parent's, said back (5.3).
		if doc.RegisterID == string(sent.DocumentID) {
			doc.RegisterID = ""
		}
		if doc.FiscalID == string(sent.DocumentID) {
			doc.FiscalID = ""
		}
	}
	if countedIDs(route) && len(doc.FiscalID) < 12 && strings.Trim(doc.FiscalID, "0123456789") == "" {
		// "22" in the maker's example: for all we know it comes again.
		if doc.Number == "" {
			doc.Number = doc.FiscalID
		}
		doc.FiscalID = ""
	}
	doc.ShortID = receipt.ShortID(doc.FiscalID)
	if doc.URL == "" && prefix != "" && doc.ShortID != "" {
		doc.URL = prefix + doc.ShortID
	}
	return doc
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
