package till

import (
	"context"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/texts"
)

// Slips is the receipt printers at which guests get a slip while the register is
// away, and the page that the slip leads to.
type Slips interface {
	// At says whether the terminal has a printer. Without one it must not be asked for
	// Print or Problem.
	At(terminal string) bool
	// Print prints one because a person asks for it, and gives the receipt. Errors:
	// receipt.ErrNotFound, receipt.ErrMove, a *PrinterFault.
	Print(ctx context.Context, terminal, id string) (receipt.Stored, error)
	// Allowed are the states in which that is possible.
	Allowed() []receipt.State
	// Problem is that of the terminal's printer at the last try, and since when; "" is
	// none.
	Problem(terminal string) (problem string, since time.Time)
	// Link is the address of the guest's page of a receipt; "" where a phone has no
	// way to it.
	Link(receipt.Stored) string
}

// PrinterFault is what was the matter with the printer: the last part of the key
// of its sentence.
type PrinterFault struct {
	Problem string
	Err     error
}

func (e *PrinterFault) Error() string { return e.Err.Error() }

func (e *PrinterFault) Unwrap() error { return e.Err }

// slipBody tells of the printer.
type slipBody struct {
	Ready   bool        `json:"ready"`
	Problem *reasonBody `json:"problem,omitempty"`
	Since   time.Time   `json:"since,omitzero"`
}

// slip is null where the terminal has no printer.
func (a *api) slip(r *request) *slipBody {
	if a.Slips == nil || !a.Slips.At(r.terminal) {
		return nil
	}
	problem, since := a.Slips.Problem(r.terminal)
	if problem == "" {
		return &slipBody{Ready: true}
	}
	return &slipBody{Problem: &reasonBody{Code: problem, Text: texts.Say(r.lang, "printer."+problem, nil)}, Since: r.local(since)}
}

// slipTime is how long a person waits for a printer.
const slipTime = 40 * time.Second

// printSlip prints a slip; the receipt itself does not change.
func (a *api) printSlip(r *request, id string, data []byte) (s receipt.Stored, allowed []receipt.State, err error) {
	if _, err = person(r, data); err != nil {
		return s, nil, err
	}
	if a.Slips == nil || !a.Slips.At(r.terminal) {
		return s, nil, &problem{code: problemNoPrinter}
	}
	ctx, cancel := context.WithTimeout(r.Context(), slipTime)
	defer cancel()
	s, err = a.Slips.Print(ctx, r.terminal, id)
	return s, a.Slips.Allowed(), err
}

func printerProblem(f *PrinterFault) *problem {
	return &problem{code: problemPrinter, printer: f.Problem, retry: retryRegister, err: f}
}
