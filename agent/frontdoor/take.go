package frontdoor

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"ekassa/agent/crash"
	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/texts"
)

// maxTries of one operation: a till that is told no a hundred times does not
// listen.
const maxTries = 100

// take stores an order, waits for its document, and answers.
func (c *call) take(o order) (answer, error) {
	s, err := c.store(o)
	if err != nil {
		return nil, err
	}
	s = c.await(s)
	if no, why := c.rejection(s); no != nil {
		// The till is told no and may ring it up anew, so that this one must not
		// be sent by anybody later. Where somebody was faster, that counts.
		if _, err := c.Journal.Withdraw(c.Terminal, s.ID, doorkeeper, why); err == nil {
			return nil, no
		}
		if s, err = c.Journal.Get(c.Terminal, s.ID); err != nil {
			return nil, c.storage(err)
		}
	}
	if s.State == receipt.Withdrawn {
		return nil, c.withdrawn(s)
	}
	out := c.document(s)
	if o.echo != nil {
		out["documentExtID"] = o.echo
	}
	return out, nil
}

// store puts the order into the journal, or finds it there.
func (c *call) store(o order) (receipt.Stored, error) {
	for n := 1; n <= maxTries; n++ {
		o.receipt.ID = tried(o.base, n)
		s, err := c.Journal.Get(c.Terminal, o.receipt.ID)
		switch {
		case err == nil && rejected(s):
			continue
		case errors.Is(err, receipt.ErrNotFound) && !c.shop.Enabled:
			return s, refuse(codeInternal, "%s", c.say("problem.module_off.detail"))
		case err != nil && !errors.Is(err, receipt.ErrNotFound):
			return s, c.storage(err)
		}
		name, ok := c.Desk.Active(c.Terminal)
		if !ok {
			name = "" // it waits for one
		}
		crash.Point(crash.Received)
		s, _, err = c.Journal.Accept(c.Terminal, name, o.receipt, o.print)
		var faults receipt.Faults
		switch {
		case errors.Is(err, receipt.ErrConflict):
			return s, refuse(codeParameter, "%s", c.say("problem.conflict.detail"))
		case errors.As(err, &faults):
			// All that the journal finds wrong is the receipt that this one names.
			return s, refuse(codeNotFound, "%s: %s", o.parent, texts.Fault(c.shop.Language, faults[0]))
		case err != nil:
			return s, c.storage(err)
		}
		crash.Point(crash.Committed)
		return s, nil
	}
	return receipt.Stored{}, refuse(codeParameter, "refused too often; give it another documentExtID")
}

// storage is what the till hears where the journal fails. Nothing was stored.
func (c *call) storage(err error) error {
	c.Log.Warn("front door could not use the journal", "terminal", c.Terminal, "error", err)
	return refuse(codeInternal, "%s", c.say("problem.storage.detail"))
}

// doorkeeper is who withdraws what the till was told no of.
const doorkeeper = "AzSmart front door"

// rejection is the answer no, where the till is to be told it, and what the
// journal keeps of it: the register refused, never can make it, or wants its
// shift opened first, which is the till's to do.
func (c *call) rejection(s receipt.Stored) (no *refusal, why string) {
	code, detail := 0, s.Reason.Detail
	switch {
	case s.State == receipt.Refused:
		code = refusedWith(detail)
	case s.State == receipt.Held && s.Attempts == 0 && s.Reason.Code == register.WhyCannotMake:
		code = codeParameter
	case s.State == receipt.Waiting && s.Reason.Code == register.WhyShiftClosed:
		code = codeShift
	default:
		return nil, ""
	}
	return refuse(code, "%s", texts.Reason(c.shop.Language, s.Reason)), fmt.Sprintf("%d: %s", code, detail)
}

// rejected says whether the till was told no, and not a person took it back.
func rejected(s receipt.Stored) bool {
	return s.State == receipt.Withdrawn && strings.HasPrefix(s.Reason.Detail, doorkeeper+": ")
}

var codeInDetail = regexp.MustCompile(`^refused ([0-9]{1,6})\b`)

// refusedWith is the register's own code in what the journal keeps of its no.
func refusedWith(detail string) int {
	if m := codeInDetail.FindStringSubmatch(detail); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil && n > codeSigned {
			return n
		}
	}
	return codeParameter // never repeat unchanged
}

// withdrawn is the error of what will never be made.
func (c *call) withdrawn(s receipt.Stored) error {
	code := codeNotFiscal
	if rejected(s) { // this moment, to another request of the same operation
		code = codeInternal // "send it again"
	}
	return refuse(code, "%s", texts.Reason(c.shop.Language, s.Reason))
}

// await gives the receipt as soon as it is final, or as it is when the time is
// up, the register is away, the till has gone, or we are stopping. It is in the
// journal already, so that nothing that goes wrong here is the till's concern.
func (c *call) await(s receipt.Stored) receipt.Stored {
	if s.State.Final() {
		return s
	}
	changed, stop := c.Journal.Watch(c.Terminal, s.ID)
	defer stop()
	timeout := time.NewTimer(documentWait)
	defer timeout.Stop()
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for began, up := time.Now(), false; ; {
		now, err := c.Journal.Get(c.Terminal, s.ID)
		if err != nil {
			c.Log.Warn("front door's wait could not read the journal", "terminal", c.Terminal, "error", err)
		} else {
			s = now
		}
		if up || s.State.Final() || c.away(s.Register) || c.shut(s) || blocked(s) && time.Since(began) > blockedWait {
			return s
		}
		select {
		case _, open := <-changed:
			if !open {
				changed = nil
			}
		case <-look.C:
		case <-timeout.C:
			up = true
		case <-c.ctx.Done():
			up = true
		}
	}
}

// shut says whether a receipt waits for its shift to be opened, and the register
// still says that it is closed: it may have been opened there meanwhile.
func (c *call) shut(s receipt.Stored) bool {
	if s.State != receipt.Waiting || s.Reason.Code != register.WhyShiftClosed {
		return false
	}
	ctx, cancel := context.WithTimeout(c.ctx, questionWait)
	defer cancel()
	now, err := c.Desk.Check(ctx, c.Terminal, s.Register)
	return err == nil && !now.Shift.Open
}

// blocked says whether a receipt waits for a person.
func blocked(s receipt.Stored) bool {
	switch s.Reason.Code {
	case register.WhyShiftExpired, register.WhyCredentials, register.WhySupplier:
		return s.State == receipt.Waiting
	}
	return false
}

// gone is how long a register must not have answered for tills to stop waiting
// for it.
const gone = 10 * time.Second

// away says whether a register is known to be out of reach, and not just since
// a moment ago.
func (c *call) away(name string) bool {
	if name == "" {
		return true
	}
	for _, x := range c.Desk.Registers(c.Terminal) {
		if x.ID == name {
			return down(x.Link) && time.Since(x.SeenAt) > gone
		}
	}
	return false
}

func down(l register.Link) bool {
	return l == register.LinkDown || l == register.LinkMissing || l == register.LinkWrong
}

// status is the active register's.
func (c *call) status() register.Status {
	name, ok := c.Desk.Active(c.Terminal)
	if ok {
		for _, x := range c.Desk.Registers(c.Terminal) {
			if x.ID == name {
				return x
			}
		}
	}
	return register.Status{}
}

func (c *call) say(key string) string { return texts.Say(c.shop.Language, key, nil) }
