package simulator

import (
	"errors"
)

// submit makes a document that has been read whole, and answers for it. Nothing
// is done unless all of the request is right.
func (c *omniCall) submit(parameters *omniFields, d *Document) (answer, error) {
	if err := c.finish(); err != nil {
		return nil, err
	}
	if err := c.guard(parameters); err != nil {
		return nil, err
	}
	done, err := c.v.submit(d)
	if err != nil {
		return nil, c.refusal(d, err)
	}
	if !done { // it is made later, and nobody says so
		return nil, &omniProblem{code: omniTimeout, text: omniTexts[omniTimeout]}
	}
	return c.made(d)
}

// guard compares prev_doc_number, where one was sent, with the token's last number
// (section 8), and applies the 24 hours to every document (section 9): the core
// lets the cash documents through.
func (c *omniCall) guard(parameters *omniFields) error {
	if !c.v.tok.open {
		return &omniProblem{code: omniShift, text: omniTexts[omniShift]}
	}
	if c.v.tok.tooOld(c.v.now(), c.v.plan.expired) {
		return &omniProblem{code: omniShiftOld, text: omniTexts[omniShiftOld]}
	}
	if err := c.v.idle(); err != nil {
		return err // queued behind another: what the last number is, is not known yet
	}
	some := c.check == 1 || c.check == 100 || c.check == 19
	if parameters == nil || !parameters.has("prev_doc_number") || c.quirks.has(quirkPrevIgnored) || c.quirks.has(quirkPrevSome) && !some {
		return nil
	}
	if parameters.whole("prev_doc_number", true) != c.lastNumber() {
		return &omniProblem{code: omniPrev, text: omniTexts[omniPrev]}
	}
	return nil
}

// lastNumber is last_doc_number. By default everything with a number counts, the Z
// report as well.
func (c *omniCall) lastNumber() int64 {
	t := c.v.tok
	if !c.quirks.has(quirkZNotLast) {
		return t.lastNumber
	}
	if len(t.docs) == 0 {
		return 0
	}
	return t.docs[len(t.docs)-1].Number
}

// refusal puts the token's reason in the words of this operation.
func (c *omniCall) refusal(d *Document, err error) error {
	no := (*Refusal)(nil)
	if !errors.As(err, &no) {
		return err
	}
	switch {
	case no.Reason == ShiftClosed:
		return &omniProblem{code: omniShift, text: omniTexts[omniShift]}
	case no.Reason == ShiftTooOld:
		return &omniProblem{code: omniShiftOld, text: omniTexts[omniShiftOld]}
	case no.Reason == NotFound && d.Kind == Rollback:
		return &omniProblem{code: omniNotThere, text: no.Text}
	case no.Reason == AlreadyUndone && c.quirks.has(quirkDuplicate639):
		return &omniProblem{code: omniUndone, text: omniTexts[omniUndone]}
	case no.Reason == AlreadyUndone:
		return &omniProblem{code: omniDone, text: "document was already rolled back"}
	case no.Reason == PartlyRefunded:
		return &omniProblem{code: omniDone, text: "document was already refunded: " + no.Text}
	}
	return err
}

// made answers for a document that is in the ledger.
func (c *omniCall) made(d *Document) (answer, error) {
	if c.quirks.has(quirkDatabaseFails) {
		return nil, &omniProblem{code: omniDatabase, text: omniTexts[omniDatabase]}
	}
	if !d.Printed && !c.quirks.has(quirkPaperIDs) {
		return nil, &omniProblem{code: omniUnprinted, text: omniTexts[omniUnprinted]}
	}
	out := omniResult(d)
	if c.quirks.has(quirkNamesNotStored) {
		return nil, &omniProblem{code: omniNamesUnstored, text: "document is created, item names are not stored", with: out}
	}
	return out, nil
}

// omniResult is the document result of section 4, flat.
func omniResult(d *Document) answer {
	return answer{"document_number": d.Number, "shift_document_number": d.InShift, "long_id": d.FiscalID, "short_id": d.ShortID}
}

// rollback is check type 10: a plain sale or an advance, by its long id alone
// (section 4.4).
func (c *omniCall) rollback() (answer, error) {
	id := c.req.parentID("fiscalId")
	if c.req.has("tokenData") {
		c.req.blame(omniSchema, "tokenData has no place in a rollback by fiscalId")
	}
	d := &Document{Kind: Rollback, Parent: id, Client: Client{Key: c.ref, Footer: c.details()}}
	if err := c.bad(); err != nil {
		return nil, err
	}
	if p := c.v.tok.byFiscal[id]; p != nil {
		if p.Kind != Prepay && (p.Kind != Sale || p.Payments.Credit+p.Payments.Prepaid > 0) {
			return nil, &omniProblem{code: omniParent, text: "this document is rolled back with check_type 32, or not at all"}
		}
		d.repeat(p)
	}
	return c.submit(nil, d)
}

// rollbackWhole is check type 32: a credit payment, a credit sale, or a sale paid
// by an advance, with everything repeated (section 4.4).
func (c *omniCall) rollbackWhole() (answer, error) {
	parameters, data := c.parameters("rollback")
	if data == nil {
		return nil, c.bad()
	}
	p := c.draft(Rollback, data)
	p.Parent = data.parentID("parentDocument")
	p.contract(data, false)
	p.checkPaid(data)
	p.checkVAT(data, false)
	if err := c.bad(); err != nil {
		return nil, err
	}
	if parent := c.v.tok.byFiscal[p.Parent]; parent != nil {
		if parent.Kind != CreditPay && (parent.Kind != Sale || parent.Payments.Credit+parent.Payments.Prepaid == 0) {
			return nil, &omniProblem{code: omniParent, text: "this document is rolled back with check_type 10, or not at all"}
		}
		if p.Payments != parent.Payments {
			return nil, &omniProblem{code: omniBackTotal, text: "the sums are not those of the parent document"}
		}
		p.repeat(parent)
	}
	return c.submit(parameters, p.Document)
}

// repeat takes what is cancelled from its parent.
func (d *Document) repeat(parent *Document) {
	d.Amount, d.Payments, d.Items, d.VAT = parent.Amount, parent.Payments, parent.Items, parent.VAT
}

func (c *omniCall) deposit() (answer, error)  { return c.cash(Deposit) }
func (c *omniCall) withdraw() (answer, error) { return c.cash(Withdraw) }

// cash is check types 7 and 8: cashSum alone.
func (c *omniCall) cash(kind Kind) (answer, error) {
	parameters, data := c.parameters("")
	if data == nil {
		return nil, c.bad()
	}
	d := &Document{Kind: kind, Amount: data.money("cashSum", true), Client: Client{Key: c.ref}, VAT: []VAT{}}
	d.Payments.Cash = d.Amount
	if d.Amount == 0 {
		data.blame(omniDocTotal, "%scashSum is 0", data.path)
	}
	return c.submit(parameters, d)
}

// copy is check type 11. The example gives new ids; whether the token made them is
// open, so by default the ids are those of the original.
func (c *omniCall) copy() (answer, error) {
	id := c.req.parentID("fiscalId")
	if err := c.finish(); err != nil {
		return nil, err
	}
	d := c.v.tok.byFiscal[id]
	if d == nil {
		return nil, &omniProblem{code: omniParent, text: "document is not found"}
	}
	if c.quirks.has(quirkCopyDocument) {
		return c.submit(nil, &Document{Kind: Copy, Parent: id, VAT: []VAT{}, Client: Client{Key: c.ref}})
	}
	printed, err := c.v.reprint(d)
	if err != nil {
		return nil, err
	}
	if !printed {
		return nil, &omniProblem{code: omniUnprinted, text: omniTexts[omniUnprinted]}
	}
	return omniResult(d), nil
}

// unprinted says whether something is still to be printed.
func (c *omniCall) unprinted() bool {
	return c.report[c.v.tok.serial] != "" || len(c.unprintedDocuments()) > 0
}

// unprintedDocuments are those that never came out, the oldest first.
func (c *omniCall) unprintedDocuments() []*Document {
	var out []*Document
	for _, d := range c.v.tok.docs {
		if !d.Printed {
			out = append(out, d)
		}
	}
	return out
}

// reprint is check type 16: what did not come out is printed, the oldest first.
// With nothing to print it does nothing.
func (c *omniCall) reprint() (answer, error) {
	if err := c.finish(); err != nil {
		return nil, err
	}
	for _, d := range c.unprintedDocuments() {
		printed, err := c.v.reprint(d)
		if err != nil {
			return nil, err
		}
		if !printed {
			return nil, &omniProblem{code: omniUnprinted, text: omniTexts[omniUnprinted]}
		}
	}
	if text := c.report[c.v.tok.serial]; text != "" {
		if !c.v.print(text) {
			return nil, &omniProblem{code: omniUnprinted, text: omniTexts[omniUnprinted]}
		}
		delete(c.report, c.v.tok.serial)
	}
	return answer{}, nil
}
