package dispatch

import (
	"context"
	"net/netip"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// Journal is what a loop needs of the journal; package journal says what each
// method promises.
type Journal interface {
	Next(register string) (s receipt.Stored, parent *receipt.Stored, err error)
	Unfinished(register string) (receipt.Stored, register.Attempt, error)
	Unprinted(register string) (receipt.Stored, error)
	Begin(register.Attempt) error
	Conclude(register.Attempt, register.Conclusion) error
	Observe(a register.Attempt, text string) error
	Hold(seq int64, why receipt.Reason) error
	Printed(seq int64) error
	Pairing(register string) (serial, address string, err error)
	Pair(register, serial, address string) error
	Identify(register string, i register.Identity) error
	Identity(register string) (register.Identity, error)
	SaveReport(register.Reported) error
	OpenShift(register string) (register.Seen, error)
	ShiftOpened(register string, s register.Seen) error
	ShiftOpening(register, who string) error
	Opening(register string) (who string, err error)
	ShiftClosing(register, who string) error
	ShiftClosed(register.Reported) (register.Reported, error)
	Reports(register, kind string, limit int) ([]register.Reported, error)
	Alert(register, code, detail string) error
	WatchRegister(register string) (changed <-chan struct{}, stop func())
	Queue(register string) (register.Queue, error)
	Get(terminal, id string) (receipt.Stored, error)
	MadeIn(serial, shift string) (int, error)
	Repaid(sale int64) (register.Repaid, error)
	Foreign(register string) (shift string, documents int, err error)
	SetForeign(register, shift string, documents int) error
	HoldWaiting(register string, upTo int64, why receipt.Reason) (int, error)
	Doubts(register string) ([]register.Doubt, error)
	Await(register string, upTo int64, u register.Unexplained, shift string, documents int) (int, error)
	LastReceipt() (int64, error)
}

// Want is the register that is looked for.
type Want struct {
	Serial string         // empty: the first that is found
	Last   netip.AddrPort // where it was last; invalid: never seen
	Urgent bool           // a person is waiting
}

// Setup is what the settings say of one register.
type Setup struct {
	ID, Name, Driver, Terminal string

	Serial   string // pinned; empty: the first one seen is remembered
	Active   bool   // otherwise it only finishes what was sent
	Enabled  bool   // the module is on
	AutoOpen bool   // opens a shift by itself
	Guard    Guard  // over the shift's age
	Replay   Replay

	// Find gives the address of the register, proven by its own protocol. Its
	// error may be a *register.Fault, which then says why.
	Find func(ctx context.Context, w Want) (netip.AddrPort, error)
	Dial register.Dialer
}

// Pace is how patient a loop is.
type Pace struct {
	First, Most time.Duration // pause after a failure: the first, doubling to the most
	Poll        time.Duration // between questions after a document in the making
	Probe       time.Duration // between looks at an idle register
	ByHand      time.Duration // nobody rings up by hand in a shorter absence
	Question    time.Duration // a question may take this long
	Document    time.Duration // a document may take this long
	Grace       time.Duration // what is on its way may take this long when we stop
}

// DefaultPace fits a register that prints.
var DefaultPace = Pace{
	First: time.Second, Most: 30 * time.Second, Poll: time.Second, Probe: time.Minute, ByHand: 30 * time.Second,
	Question: 15 * time.Second, Document: 90 * time.Second, Grace: 20 * time.Second,
}
