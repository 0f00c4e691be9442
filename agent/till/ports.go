package till

import (
	"context"
	"net/http"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// Journal keeps the receipts. Cash in and out goes through it too, with ids
// that start with receipt.CashPrefix and so never are a receipt's.
//
// Any method may fail with receipt.ErrStorage; those of one receipt with
// receipt.ErrNotFound.
type Journal interface {
	// Accept stores the receipt and returns only after the commit is on disk;
	// register may be "". isNew is false where the same receipt was here before:
	// its present state is given. Errors: receipt.ErrConflict, receipt.Faults
	// (those that need the journal), receipt.ErrStorage.
	Accept(terminal, register string, r receipt.Receipt, f receipt.Fingerprint) (s receipt.Stored, isNew bool, err error)
	Get(terminal, id string) (receipt.Stored, error)
	// List gives receipts newest first.
	List(f receipt.Filter) ([]receipt.Stored, error)

	// Retry, Withdraw, Fiscalise and Resolve are a person's; receipt.ErrMove
	// where the state does not allow it.
	Retry(terminal, id, who string) (receipt.Stored, error)
	Withdraw(terminal, id, who, why string) (receipt.Stored, error)
	Fiscalise(terminal, id, who string) (receipt.Stored, error)
	// Resolve may also fail with receipt.ErrTaken.
	Resolve(terminal, id string, d receipt.Decision) (receipt.Stored, error)

	// Watch gives a pulse after changes, several in one; id "" is everything of
	// the terminal. stop ends it.
	Watch(terminal, id string) (changed <-chan struct{}, stop func())
	// Changes gives what changed after a record, oldest first.
	Changes(terminal string, after int64, limit int) ([]receipt.Change, error)
	LastChange() (int64, error)
	// Epoch is another one where the records are counted anew, or were restored.
	Epoch() int64

	// Tries gives what was tried with a receipt, oldest first.
	Tries(terminal, id string) ([]register.Try, error)
	// Act writes down what a person is about to do, ActDone what came of it; Acts
	// gives a terminal's, newest first.
	Act(receipt.Act) (n int64, err error)
	ActDone(n int64, outcome string) error
	Acts(terminal string, before int64, limit int) ([]receipt.Act, error)

	// Queue counts what is not done of a register's; Unbound what waits of a
	// terminal's without a register.
	Queue(register string) (register.Queue, error)
	Unbound(terminal string) (int, error)
	Health() error
	// Room is what the journal's disk has left, in bytes; while it is short, new
	// receipts are refused.
	Room() (free int64, short bool, err error)
}

// Desk is what a terminal may ask of its registers. Errors are a
// *register.Fault, register.ErrNoRegister or register.ErrUnknownRegister.
type Desk interface {
	// Active is the id of the register that the terminal's receipts go to.
	Active(terminal string) (register string, ok bool)
	// Registers are all that are bound to the terminal. It asks none of them.
	Registers(terminal string) []register.Status
	// Check asks one of the terminal's registers who it is and how it is.
	Check(ctx context.Context, terminal, register string) (register.Status, error)
	// The rest is about the active register.
	Shift(ctx context.Context, terminal string) (register.Shift, error)
	OpenShift(ctx context.Context, terminal, who string) (register.Shift, error)
	CloseShift(ctx context.Context, terminal, who string) (register.Report, error)
	// CloseShiftNow does not wait for the queue, since a person says why.
	CloseShiftNow(ctx context.Context, terminal, who, why string) (register.Report, error)
	XReport(ctx context.Context, terminal string) (register.Report, error)
	// Period reads the totals of some days, first and last included.
	Period(ctx context.Context, terminal string, from, to time.Time) (register.Report, error)
	// Reports are those that are kept of all its registers, "x" or "z", newest first.
	Reports(terminal, kind string, limit int) ([]register.Reported, error)
	// Reprint prints a copy of a fiscal receipt's document.
	Reprint(ctx context.Context, terminal, id string) error
}

// Tokens says whose a bearer token is.
type Tokens interface {
	Terminal(token string) (terminal string, ok bool)
}

// People are those who may work on the staff page.
type People interface {
	Names() []string
	// Role gives a person's, and since when the PIN is this one.
	Role(name string) (role string, since time.Time, ok bool)
	// SignIn says whether the PIN is right; where there were too many misses it does
	// not look, and gives the time to wait.
	SignIn(name, pin string) (wait time.Duration, ok bool, err error)
}

// Setup is the page of the first start, in a browser that is told to show it while
// Open says so.
type Setup interface {
	http.Handler
	Open(*http.Request) bool
}
