package agent

import (
	"log/slog"
	"slices"

	"ekassa/agent/dispatch"
	"ekassa/agent/journal"
	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/cloud/wire"
)

// receipts is the journal as tills see it: what waits says why, which is the
// register's present state and nothing that is written to disk for each receipt.
type receipts struct {
	*journal.Journal
	desk *dispatch.Desk
	// isNew hears of what was not here before, once it is on the disk; it must not wait. nil: nobody.
	isNew func(receipt.Stored)
}

// bind gives what waits to the register that the settings name for its till.
func (r *receipts) bind(s wire.Settings, log *slog.Logger) error {
	for _, x := range s.Registers {
		if x.Terminal == "" || x.Mode != wire.ModeActive {
			continue
		}
		moved, err := r.Bind(x.Terminal, x.ID)
		if err != nil {
			return err
		}
		if moved > 0 {
			log.Info("waiting receipts go to another register now", "register", x.ID, "receipts", moved)
		}
	}
	names, err := r.Registers()
	if err != nil {
		return err
	}
	for _, name := range names {
		if !slices.ContainsFunc(s.Registers, func(x wire.Register) bool { return x.ID == name }) {
			log.Warn("receipts wait for a register that is not in the settings; put it back, or bind another to its till", "register", name)
		}
	}
	return nil
}

// Accept implements till.Journal.
func (r *receipts) Accept(terminal, name string, x receipt.Receipt, f receipt.Fingerprint) (receipt.Stored, bool, error) {
	s, isNew, err := r.Journal.Accept(terminal, name, x, f)
	if isNew && err == nil && r.isNew != nil {
		r.isNew(s)
	}
	return r.explain(s), isNew, err
}

// Get implements till.Journal.
func (r *receipts) Get(terminal, id string) (receipt.Stored, error) {
	s, err := r.Journal.Get(terminal, id)
	return r.explain(s), err
}

// List implements till.Journal.
func (r *receipts) List(f receipt.Filter) ([]receipt.Stored, error) {
	list, err := r.Journal.List(f)
	for n := range list {
		list[n] = r.explain(list[n])
	}
	return list, err
}

// Changes implements till.Journal.
func (r *receipts) Changes(terminal string, after int64, limit int) ([]receipt.Change, error) {
	list, err := r.Journal.Changes(terminal, after, limit)
	for n := range list {
		list[n].Receipt = r.explain(list[n].Receipt)
	}
	return list, err
}

// Retry implements till.Journal: what a person sends goes to the register that
// is the till's now.
func (r *receipts) Retry(terminal, id, who string) (receipt.Stored, error) {
	s, err := r.Journal.Retry(terminal, id, r.register(terminal), who)
	return r.explain(s), err
}

// Fiscalise implements till.Journal.
func (r *receipts) Fiscalise(terminal, id, who string) (receipt.Stored, error) {
	s, err := r.Journal.Fiscalise(terminal, id, r.register(terminal), who)
	return r.explain(s), err
}

// Resolve implements till.Journal.
func (r *receipts) Resolve(terminal, id string, d receipt.Decision) (receipt.Stored, error) {
	s, err := r.Journal.Resolve(terminal, id, r.register, d)
	return r.explain(s), err
}

func (r *receipts) register(terminal string) string {
	name, _ := r.desk.Active(terminal)
	return name
}

func (r *receipts) explain(s receipt.Stored) receipt.Stored {
	if s.State != receipt.Waiting || s.Reason.Code == register.WhyParent {
		return s
	}
	if s.Register == "" {
		s.Reason = receipt.Reason{Code: register.WhyNoRegister}
		return s
	}
	// What stands in the journal is why the last attempt came to nothing; the
	// register may have got over it.
	s.Reason = r.desk.Problem(s.Register)
	return s
}
