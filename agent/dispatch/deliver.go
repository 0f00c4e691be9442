package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ekassa/agent/crash"
	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// deliver sends one waiting receipt: baseline, request, shift, attempt, send,
// conclusion, in this order.
func (l *Loop) deliver(ctx context.Context, s receipt.Stored, parent *receipt.Stored) (time.Duration, error) {
	if s.Reason.Code == register.WhyAnswer { // it was held for hours, perhaps, and rung up by hand meanwhile
		l.absent, l.lost = true, time.Time{}
		return 0, nil
	}
	if l.tooOld(s) {
		return 0, l.leave(s, receipt.Reason{Code: register.WhyTooOld})
	}
	baseline, err := l.baseline(ctx, s.Kind)
	if err != nil {
		return l.fail(err), nil
	}
	// Everything that can be wrong with the receipt itself is found before a
	// shift is opened for it or anything sent: after a document is made nothing
	// may fail.
	job := register.Job{
		Key: s.Key, Terminal: s.Terminal, Receipt: s.Receipt, Parent: parent, Baseline: baseline, Again: s.Attempts > 0,
	}
	if s.Kind == receipt.CreditPayment && parent != nil {
		if job.Repaid, err = l.journal.Repaid(parent.Seq); err != nil {
			return 0, err
		}
	}
	request, err := l.prepare(job)
	if err != nil {
		l.log.Warn("register cannot make this receipt: a person must decide", "receipt", s.ID, "error", err)
		return 0, l.leave(s, receipt.Reason{Code: register.WhyCannotMake, Detail: err.Error()})
	}
	if l.tooLong(baseline.Shift) || baseline.Shift.Open && l.age() >= register.MaxShift && l.guards() {
		if l.due() {
			return l.autoClose(ctx), nil
		}
		return l.fail(&register.Fault{Cause: register.ShiftExpired}), nil
	}
	if !baseline.Shift.Open {
		return l.open(ctx, s.Cashier), nil
	}
	crash.Point(crash.Baseline)
	a := register.Attempt{
		Seq: s.Seq, Number: s.Attempts + 1, Register: l.id, Address: l.addr.String(),
		Baseline: baseline, Request: request, At: l.now(),
	}
	if err := l.journal.Begin(a); errors.Is(err, receipt.ErrMove) {
		return 0, nil // a person took it back, or another register has it, in this very moment
	} else if err != nil {
		return 0, err
	}
	crash.Point(crash.AttemptCommitted)
	sending, cancel := context.WithTimeout(ctx, l.pace.Document)
	defer cancel()
	began := l.now()
	o := l.reg.Send(sending, request)
	l.clock(o, began)
	crash.Point(crash.AnswerRead)
	return l.judge(s, a, o)
}

// leave leaves a waiting receipt to a person, unless one took it back in this
// very moment.
func (l *Loop) leave(s receipt.Stored, why receipt.Reason) error {
	if err := l.journal.Hold(s.Seq, why); !errors.Is(err, receipt.ErrMove) {
		return err
	}
	return nil
}

func (l *Loop) prepare(job register.Job) (register.Request, error) {
	if kind := job.Receipt.Kind; !l.reg.Abilities().Can(kind) {
		return register.Request{}, fmt.Errorf("it makes no %s documents", kind)
	}
	return l.reg.Prepare(job)
}

// baseline reads what an unclear outcome will be judged by, and makes sure
// once more that this is the register it should be: an address can change
// hands between two receipts.
func (l *Loop) baseline(ctx context.Context, kind receipt.Kind) (register.Baseline, error) {
	ctx, cancel := context.WithTimeout(ctx, l.pace.Question)
	defer cancel()
	b, err := l.reg.Baseline(ctx, kind)
	if err != nil {
		return b, err
	}
	if b.Serial != l.identity.Serial {
		return b, &register.Fault{Cause: register.WrongRegister, Text: b.Serial}
	}
	b.Shift.ID = b.Shift.Name() // so that all that is kept of it has a name
	if err := l.sawShift(ctx, b.Shift); err != nil {
		return b, err
	}
	b.Class = l.reg.Abilities().Kinds[kind]
	return b, nil
}

// open opens a shift where the settings say so. The receipt is looked at again
// in the next turn, with a new baseline.
func (l *Loop) open(ctx context.Context, cashier string) time.Duration {
	if !l.settings().AutoOpen {
		return l.fail(&register.Fault{Cause: register.ShiftClosed})
	}
	if err := l.openShift(ctx, cashier, "auto"); err != nil {
		return l.fail(err)
	}
	// A register that says yes and stays closed must not be asked in circles.
	if err := l.look(ctx); err != nil {
		return l.fail(err)
	}
	if status, _ := l.Status(); !status.Shift.Open {
		return l.fail(&register.Fault{Cause: register.ShiftClosed})
	}
	return 0
}

// judge draws the conclusion from what came back.
func (l *Loop) judge(s receipt.Stored, a register.Attempt, o register.Outcome) (time.Duration, error) {
	switch o.Verdict {
	case register.Made:
		return l.made(s, a, o.Document, said(o))
	case register.NotSent:
		rest := l.fail(orFault(o, register.Unreachable))
		return rest, l.proven(a, register.Conclusion{
			State: receipt.Waiting, Reason: l.problem(), Proof: register.ProofNotSent, Text: said(o),
		})
	case register.Refused:
		return l.refused(s, a, o)
	}
	// Anything else, also a verdict that no driver should give.
	l.log.Warn("no clear answer: asking the register", "receipt", s.ID, "attempt", a.Number, "answer", said(o))
	if o.Cause == register.ShiftExpired {
		l.expired = a.Baseline.Shift
	}
	why := receipt.Reason{Code: register.WhyAsking}
	if o.Cause == register.Paper { // so that a document that is found is known not to be on paper
		why.Code = register.WhyPaper
	}
	l.doubt = doubt{}
	return 0, l.journal.Conclude(a, register.Conclusion{
		State: receipt.Checking, Reason: why, Proof: register.ProofUnclear, Text: said(o),
	})
}

// made writes down a document. Nothing after this may turn it into a failure.
func (l *Loop) made(s receipt.Stored, a register.Attempt, made *receipt.Document, text string) (time.Duration, error) {
	d := receipt.Document{}
	if made != nil {
		d = *made
	}
	d.RegisterSerial, d.Shift = a.Baseline.Serial, a.Baseline.Shift.ID
	if d.ShortID == "" {
		d.ShortID = receipt.ShortID(d.FiscalID)
	}
	if d.URL == "" && l.identity.QRPrefix != "" && d.ShortID != "" {
		d.URL = l.identity.QRPrefix + d.ShortID
	}
	if d.At.IsZero() {
		d.At = l.now()
	}
	err := l.journal.Conclude(a, register.Conclusion{State: receipt.Fiscal, Proof: register.ProofMade, Text: text, Document: &d})
	if errors.Is(err, receipt.ErrTaken) {
		return l.contradiction(s, a, err)
	}
	if errors.Is(err, receipt.ErrMove) {
		l.log.Error("the register made it, while a person decided: look at both", "receipt", s.ID, "document", d.FiscalID)
		return 0, l.leave(s, receipt.Reason{Code: register.WhyCannotTell, Detail: "the register made document " + d.FiscalID + " of it"})
	}
	if err == nil {
		crash.Point(crash.ResultCommitted)
		l.recovered()
		l.watch.sent = l.now()
		l.expired = register.Shift{}
	}
	return 0, err
}

// contradiction leaves a receipt to a person whose document is already another
// receipt's.
func (l *Loop) contradiction(s receipt.Stored, a register.Attempt, cause error) (time.Duration, error) {
	l.log.Error("the register answers with another receipt's document: a person must decide", "receipt", s.ID, "error", cause)
	if s.State != receipt.Checking {
		err := l.journal.Conclude(a, register.Conclusion{
			State: receipt.Checking, Reason: receipt.Reason{Code: register.WhyAsking}, Proof: register.ProofUnclear, Text: cause.Error(),
		})
		if err != nil {
			return 0, err
		}
	}
	return 0, l.hold(a, cause.Error())
}

func (l *Loop) hold(a register.Attempt, text string) error {
	return l.journal.Conclude(a, cannotTellWhy(text))
}

// cannotTellWhy leaves an attempt to a person.
func cannotTellWhy(text string) register.Conclusion {
	return register.Conclusion{
		State: receipt.Held, Reason: receipt.Reason{Code: register.WhyCannotTell, Detail: text}, Proof: register.ProofUnclear, Text: text,
	}
}

// refused: the register certainly made nothing. Either the receipt is at fault,
// which a person mends, or the register is, and the receipt waits.
func (l *Loop) refused(s receipt.Stored, a register.Attempt, o register.Outcome) (time.Duration, error) {
	c := register.Conclusion{State: receipt.Waiting, Proof: register.ProofRefused, Text: said(o)}
	switch o.Cause {
	case register.BadData, register.NoParent, register.NoCash, register.Other, register.CauseNone:
		c.State = receipt.Refused
		c.Reason = receipt.Reason{Code: register.WhyRefused, Detail: said(o)}
		l.log.Warn("register refused a receipt: a person must mend it", "receipt", s.ID, "answer", said(o))
		return 0, l.proven(a, c)
	case register.ShiftExpired:
		l.expired = a.Baseline.Shift
	}
	// The next turn opens a closed shift; whatever the cause, not at once again.
	rest := l.fail(orFault(o, o.Cause))
	c.Reason = l.problem()
	return rest, l.proven(a, c)
}

// proven writes down the proof that an attempt made nothing.
func (l *Loop) proven(a register.Attempt, c register.Conclusion) error {
	err := l.journal.Conclude(a, c)
	if err == nil {
		crash.Point(crash.Proven)
	}
	return err
}

// paper prints the last document again where paper ran out, before anything
// else is sent: a sale without paper is a sale twice for the cashier.
func (l *Loop) paper(ctx context.Context) (time.Duration, error) {
	s, err := l.journal.Unprinted(l.id)
	if errors.Is(err, receipt.ErrNotFound) || err == nil && s.Seq == l.spoiled {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	printing, cancel := context.WithTimeout(ctx, l.pace.Document)
	defer cancel()
	o := l.reg.Reprint(printing, *s.Document)
	switch {
	case o.Verdict == register.Made:
		l.recovered()
		return 0, l.journal.Printed(s.Seq)
	case o.Cause != register.Paper && o.Cause != register.Busy && !unreachable(orFault(o, register.Other)):
		// It never will, or says nothing of it; the document is fiscal all the
		// same, and others wait.
		l.log.Warn("register does not print a copy", "receipt", s.ID, "answer", said(o))
		l.spoiled = s.Seq
		return 0, nil
	}
	return l.fail(orFault(o, register.Paper)), nil
}

func (l *Loop) problem() receipt.Reason {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status.Problem
}

// tooLong says whether the register has refused a document for this shift's age.
func (l *Loop) tooLong(s register.Shift) bool {
	return l.expired != (register.Shift{}) && sameShift(s, l.expired)
}

func sameShift(a, b register.Shift) bool {
	return a.Open == b.Open && a.ID == b.ID && a.OpenedAt.Equal(b.OpenedAt)
}

// orFault makes an error of an outcome that is not Made.
func orFault(o register.Outcome, cause register.Cause) *register.Fault {
	if o.Cause != register.CauseNone {
		cause = o.Cause
	}
	return &register.Fault{Cause: cause, Code: o.Code, Text: o.Text, Err: o.Err}
}

// said is an outcome in one line, for people.
func said(o register.Outcome) string {
	s := string(o.Verdict)
	if s == "" {
		s = string(register.Unknown)
	}
	if o.Code != "" {
		s += " " + o.Code
	}
	if o.Text != "" {
		s += ": " + o.Text
	}
	if o.Err != nil {
		s += ": " + o.Err.Error()
	}
	return s
}
