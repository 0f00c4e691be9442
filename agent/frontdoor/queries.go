package frontdoor

import (
	"context"
	"errors"
	"strconv"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/texts"
)

// checkStatus tells the truth about a document: 1 where it is fiscal, 0 where it
// is not yet, and that there is none where none will be (5.4).
func (c *call) checkStatus() (answer, error) {
	f := c.f
	key, id := f.id("documentExtID"), f.id("documentID")
	docTime, docNumber, amount := f.text("docTime", 64), f.text("docNumber", 256), f.money("amount")
	if err := f.fault(); err != nil {
		return nil, err
	}
	var bases []string
	switch {
	case key != "":
		base := named(namedByKey, key)
		bases = []string{base, receipt.CashPrefix + base}
	case id != "":
		return c.statusOf(id)
	default:
		for _, kind := range []receipt.Kind{receipt.Sale, receipt.Refund, receipt.Prepayment, receipt.CreditPayment} {
			if base, ok := triple(kind, docTime, docNumber, amount); ok {
				bases = append(bases, base)
			}
		}
		if bases == nil {
			return nil, refuse(codeParameter, "documentExtID or documentID is missing")
		}
	}
	for _, base := range bases {
		s, err := c.latest(base)
		if !errors.Is(err, receipt.ErrNotFound) {
			return c.tell(s, err)
		}
	}
	return c.unknown()
}

// statusOf is for a documentID or fiscal id.
func (c *call) statusOf(id string) (answer, error) {
	return c.tell(c.find(id))
}

func (c *call) tell(s receipt.Stored, err error) (answer, error) {
	switch {
	case errors.Is(err, receipt.ErrNotFound) || err == nil && s.State == receipt.Withdrawn:
		return c.unknown()
	case err != nil:
		return nil, c.storage(err)
	}
	out := c.document(s)
	if key := c.f.m["documentExtID"]; key != nil {
		out["documentExtID"] = key
	}
	return out, nil
}

// checkCopy prints a copy (5.5).
func (c *call) checkCopy() (answer, error) {
	id := c.f.id("documentID")
	if id == "" {
		c.f.missing("documentID")
	}
	if err := c.f.fault(); err != nil {
		return nil, err
	}
	s, err := c.must(c.find(id))
	if err != nil {
		return nil, err
	}
	return c.print(s)
}

// must refuses where there is no such document, or none will be.
func (c *call) must(s receipt.Stored, err error) (receipt.Stored, error) {
	switch {
	case errors.Is(err, receipt.ErrNotFound):
		return s, refuse(codeNotFound, "no such document")
	case err != nil:
		return s, c.storage(err)
	case s.State == receipt.Withdrawn:
		return s, c.withdrawn(s)
	}
	return s, nil
}

// lastDocument prints the last one again, or the one that its fields name (5.6).
func (c *call) lastDocument() (answer, error) {
	f := c.f
	key, docTime, docNumber, amount := f.id("documentExtID"), f.text("docTime", 64), f.text("docNumber", 256), f.money("amount")
	if err := f.fault(); err != nil {
		return nil, err
	}
	if key != "" || docTime != "" && docNumber != "" {
		base, ok := triple(receipt.Sale, docTime, docNumber, amount)
		if key != "" || !ok {
			base = named(namedByKey, key)
		}
		s, err := c.must(c.latest(base))
		if err != nil {
			return nil, err
		}
		return c.print(s)
	}
	list, err := c.Journal.List(receipt.Filter{Terminal: c.Terminal, States: []receipt.State{receipt.Fiscal}, Limit: 1})
	if err != nil {
		return nil, c.storage(err)
	}
	if len(list) == 0 {
		return nil, refuse(codeNotFound, "there is no document yet")
	}
	return c.print(list[0])
}

func (c *call) print(s receipt.Stored) (answer, error) {
	if s.State != receipt.Fiscal {
		return nil, refuse(codeNotFiscal, "%s", texts.State(c.shop.Language, s.State))
	}
	ctx, cancel := c.patient()
	defer cancel()
	err := c.Desk.Reprint(ctx, c.Terminal, s.ID)
	var f *register.Fault
	if errors.As(err, &f) && f.Cause == register.Paper {
		return nil, refuse(codePrinter, "%s", texts.Cause(c.shop.Language, f.Cause, ""))
	}
	if err != nil {
		return nil, c.faulty(err)
	}
	out := c.document(s)
	out["printError"] = 0
	lines := []answer{}
	for _, i := range s.Items {
		lines = append(lines, answer{
			"itemId": i.Code, "itemName": i.Name, "itemQty": int64(i.Quantity), "itemPrice": int64(i.Price),
			"itemAmount": int64(i.Gross()), "itemFinalAmount": int64(i.Total()), "discount": int64(i.Discount),
		})
	}
	out["items"] = lines
	return out, nil
}

// patient is the context of what changes something on a register: it goes on when
// the till hangs up meanwhile, since the register does too.
func (c *call) patient() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(c.ctx), deskWait)
}

// faulty makes a refusal of what a register could not do: in its own code where
// it gave one. That it takes the agent's signature for wrong is not the till's.
func (c *call) faulty(err error) error {
	if errors.Is(err, register.ErrNoRegister) || errors.Is(err, register.ErrUnknownRegister) {
		return refuse(codeInternal, "%s", c.say("problem.no_register.detail"))
	}
	var f *register.Fault
	if !errors.As(err, &f) {
		return err
	}
	code := map[register.Cause]int{
		register.ShiftClosed: codeShift, register.ShiftOpen: codeShift, register.ShiftExpired: codeShiftOld,
		register.Paper: codePrinter, register.NoParent: codeNotFound, register.NoCash: codeNotFound,
	}[f.Cause]
	if n, err := strconv.Atoi(f.Code); err == nil && n > codeSigned && f.Cause != register.Credentials {
		code = n
	}
	if code == 0 {
		code = codeInternal
	}
	return refuse(code, "%s", texts.Cause(c.shop.Language, f.Cause, f.Text))
}
