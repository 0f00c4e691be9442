package azsmart

import (
	"context"
	"errors"
	"fmt"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// Lookup asks check_status what became of a request (5.4): by documentExtID, and
// in the classic edition by docTime, docNumber and amount besides. There a "not
// found" is weak, since no page says that it looks for these.
//
// Rollback, credit payment and correction have no key to ask for.
func (d *Driver) Lookup(ctx context.Context, r register.Request) register.Evidence {
	if !keyed(r.Route) {
		return cannotTell("nothing was asked", fmt.Errorf("/%s carries no key that the register could look for", r.Route))
	}
	sent := factsOf(r.Body)
	if sent.DocumentExtID == "" {
		return cannotTell("nothing was asked", errors.New("the request carries no documentExtID"))
	}
	// The key is asked for as it was sent, whatever the edition is now.
	question := struct {
		DocumentExtID id     `json:"documentExtID"`
		DocTime       string `json:"docTime,omitempty"`
		DocNumber     string `json:"docNumber,omitempty"`
		Amount        int64  `json:"amount,omitempty"`
	}{DocumentExtID: id{string(sent.DocumentExtID), sentAsNumber(r.Body)}}
	if d.edition() != EditionNew {
		question.DocTime, question.DocNumber, question.Amount = sent.DocTime, sent.DocNumber, sent.Amount
	}
	a, err := d.ask(ctx, routeCheckStatus, encode(question))
	asked := "check_status by documentExtID " + string(sent.DocumentExtID)
	if question.DocTime != "" {
		asked += " and docTime, docNumber, amount"
	}
	if a.fields == nil {
		return cannotTell(asked+": no answer", err)
	}
	e := d.found(r, sent, a, err)
	e.Text = asked + ": " + clip(string(a.whole))
	return e
}

// name asks for the fiscal id of a document whose answer told none, as that of a
// rollback does (5.3). The document is made: whatever goes wrong here, it stays
// as it is. What turns out to be the parent's is not taken.
func (d *Driver) name(ctx context.Context, doc *receipt.Document, parent string) {
	if doc.RegisterID == "" {
		return
	}
	a, err := d.ask(ctx, routeCheckStatus, encode(struct {
		DocumentID id `json:"documentID"`
	}{id{doc.RegisterID, false}}))
	fiscalID := a.ident("fiscalID")
	if err != nil || a.text("docStatus") != "1" || fiscalID == "" || fiscalID == parent || a.ident("documentID") != doc.RegisterID {
		return
	}
	_, _, prefix := d.remembered()
	doc.FiscalID, doc.ShortID = fiscalID, receipt.ShortID(fiscalID)
	if doc.Number == "" {
		doc.Number = a.ident("fiscalNum")
	}
	if doc.URL == "" && prefix != "" {
		doc.URL = prefix + doc.ShortID
	}
}

func cannotTell(text string, err error) register.Evidence {
	return register.Evidence{Found: register.CannotTell, Text: text, Err: err}
}

// found reads check_status's answer. "Not there" is code 9, docStatus -1, or an
// empty fiscal id in an answer that has the field (5.4); "at work" is code 44 or
// docStatus 0. An answer of two meanings proves nothing.
func (d *Driver) found(r register.Request, sent facts, a answer, fault error) register.Evidence {
	success, told := a.status()
	code, readable := a.code()
	if !told || !readable {
		return cannotTell("", fault)
	}
	named := a.ident("fiscalID")
	state := a.text("docStatus")
	if err := sent.matches(a); err != nil {
		return cannotTell("", err)
	}
	switch {
	case named != "" && (state == "1" || state == "" && success && code == 0) && (success && code == 0 || code == codeNotPrinted):
		doc := d.made(r.Route, sent, a)
		doc.Printed = doc.Printed && code != codeNotPrinted && d.paperWasThere(r.Key)
		return register.Evidence{Found: register.DocumentMade, Document: &doc}
	case code == codeProcessing, state == "0" && (success && code == 0 || code == codeNotPrinted):
		return register.Evidence{Found: register.InProgress}
	case named != "" || state == "1":
		return cannotTell("", fmt.Errorf("the answer contradicts itself: code %s, docStatus %s, fiscal id %s",
			orNone(a.codeText()), orNone(clip(state)), orNone(clip(named))))
	case code == codeNotFound && (!success || state != "0"),
		success && code == 0 && state == "-1",
		success && code == 0 && state == "" && a.has("fiscalID"):
		return register.Evidence{Found: register.NotFound}
	}
	if fault == nil {
		fault = fmt.Errorf("the answer says nothing of the document: docStatus %s", orNone(clip(state)))
	}
	return cannotTell("", fault)
}

// paperWasThere is false where the request's own answer was "not printed".
func (d *Driver) paperWasThere(key string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return key == "" || d.paperOut != key
}

// matches holds an answer against the request: what was found must not be
// another's. Amounts only ever speak against it.
func (f facts) matches(a answer) error {
	if err := f.ours(a); err != nil {
		return err
	}
	if n, ok := a.integer("amount"); ok && n != 0 && f.Amount != 0 && abs(n) != f.Amount {
		return fmt.Errorf("the document found is over %s, not %s", receipt.Money(n), receipt.Money(f.Amount))
	}
	var total int64
	for _, p := range a.objects("totalPayments") {
		total += abs(int64(p.money("amount")))
	}
	// What was paid is the amount, or with the change as handed over; kinds of
	// payment that move no money may be left out.
	p := f.Payments
	least := f.Amount - p.CreditAmount - p.BonusesAmount - p.PrepaymentAmount
	most := max(f.Amount, p.CashAmount+p.CashlessAmount+p.CreditAmount+p.BonusesAmount+p.PrepaymentAmount)
	if total != 0 && f.Amount != 0 && (total < least || total > most) {
		return fmt.Errorf("the document found was paid with %s, ours with %s", receipt.Money(total), receipt.Money(f.Amount))
	}
	return nil
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}

// sentAsNumber says whether the request's documentExtID is a number.
func sentAsNumber(body []byte) bool {
	a, err := object(body)
	if err != nil {
		return false
	}
	v, ok := a.raw("documentExtID")
	return ok && v[0] != '"'
}
