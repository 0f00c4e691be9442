package journal

import (
	"errors"
	"fmt"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// Retry sends a refused receipt again, to the register named, after a person
// has mended what the register said no to. Error: receipt.ErrMove where it is
// not refused.
func (j *Journal) Retry(terminal, id, to, who string) (receipt.Stored, error) {
	return j.act(terminal, id, func(t *tx, s *receipt.Stored) error {
		if s.State != receipt.Refused {
			return fmt.Errorf("%w: it is %s", receipt.ErrMove, s.State)
		}
		return t.send(s, to, by(who, ""))
	})
}

// Fiscalise sends a receipt that was kept here only to the register named.
// Error: receipt.ErrMove where it is not such a one.
func (j *Journal) Fiscalise(terminal, id, to, who string) (receipt.Stored, error) {
	return j.act(terminal, id, func(t *tx, s *receipt.Stored) error {
		if s.State != receipt.NonFiscal {
			return fmt.Errorf("%w: it is %s", receipt.ErrMove, s.State)
		}
		return t.send(s, to, by(who, ""))
	})
}

// send has a receipt wait for a register, on a person's word. "" is the one that
// it had.
func (t *tx) send(s *receipt.Stored, to string, why receipt.Reason) error {
	var gone bool
	if err := t.QueryRow(`SELECT EXISTS (SELECT 1 FROM life l JOIN life p ON p.seq = l.parent WHERE l.seq = ? AND p.state = 'withdrawn')`, s.Seq).Scan(&gone); err != nil {
		return err
	}
	if gone && s.State == receipt.Held { // else it would wait for ever
		return t.explain(s, receipt.Reason{Code: register.WhyParentGone, Detail: s.Parent.ID})
	}
	if err := t.move(s, receipt.Waiting, why); err != nil || to == "" || to == s.Register {
		return err
	}
	if _, err := t.run(`UPDATE life SET register = ? WHERE seq = ?`, to, s.Seq); err != nil {
		return err
	}
	now, err := load(t, bySeq, s.Seq)
	*s = now
	t.touched = append(t.touched, touched{s.Terminal, s.ID, s.Register})
	return err
}

// Withdraw takes a receipt back that is not fiscal and not on its way. Error:
// receipt.ErrMove.
func (j *Journal) Withdraw(terminal, id, who, why string) (receipt.Stored, error) {
	return j.act(terminal, id, func(t *tx, s *receipt.Stored) error {
		if s.State == receipt.Held && s.Attempts > 0 {
			// Whether the register made it is not known; the person answers for it.
			if err := t.prove(s.Seq, s.Attempts, register.ProofPerson, fmt.Sprintf("withdrawn: %s: %s", who, why)); err != nil {
				return err
			}
		}
		was := *s
		if err := t.withdraw(s, by(who, why)); err != nil {
			return err
		}
		return t.answered(was, *s, func(string) string { return "" }) // "not made" releases nothing
	})
}

// withdraw takes a receipt back, and leaves what waits to take it back in turn
// to a person: it would wait for ever.
func (t *tx) withdraw(s *receipt.Stored, why receipt.Reason) error {
	if err := t.move(s, receipt.Withdrawn, why); err != nil {
		return err
	}
	children, err := loadAll(t, childrenQuery, s.Seq)
	if err != nil {
		return err
	}
	for _, c := range children {
		if err := t.move(&c, receipt.Held, receipt.Reason{Code: register.WhyParentGone, Detail: s.ID}); err != nil {
			return err
		}
	}
	return nil
}

const childrenQuery = `WHERE r.seq IN (SELECT seq FROM life WHERE ` + queued + ` AND state = 'waiting' AND parent = (SELECT ?)) ORDER BY r.seq`

// Resolve writes down what a person says of a held receipt, or of one about
// which its register has been asked in vain for register.PatientFor; where it is
// to be sent, at the register that at names for its till. Error: receipt.ErrMove
// where it is neither.
func (j *Journal) Resolve(terminal, id string, at func(terminal string) string, d receipt.Decision) (receipt.Stored, error) {
	return j.act(terminal, id, func(t *tx, s *receipt.Stored) error {
		was := *s
		if err := t.resolve(s, at(terminal), d); err != nil {
			return err
		}
		return t.answered(was, *s, at)
	})
}

func (t *tx) resolve(s *receipt.Stored, at string, d receipt.Decision) error {
	noted := s.State == receipt.Held // see fromPaper
	if err := t.askPerson(s); err != nil {
		return err
	}
	proof, to := register.ProofPerson, receipt.Waiting
	switch d.Verdict {
	case receipt.Drop:
		to = receipt.Withdrawn
	case receipt.WasMade:
		proof, to = register.ProofMade, receipt.Fiscal
		if d.Document == nil {
			return errNoDocument
		}
		if err := t.fromPaper(s, *d.Document, noted); err != nil {
			return err
		}
	case receipt.Send:
	default:
		return fmt.Errorf("no such verdict: %q", d.Verdict)
	}
	if s.Attempts > 0 {
		if err := t.prove(s.Seq, s.Attempts, proof, fmt.Sprintf("%s: %s: %s", d.Verdict, d.Who, d.Why)); err != nil {
			return err
		}
	}
	switch to {
	case receipt.Waiting:
		return t.send(s, at, by(d.Who, d.Why))
	case receipt.Withdrawn:
		return t.withdraw(s, by(d.Who, d.Why))
	}
	return t.move(s, to, by(d.Who, d.Why))
}

// askPerson makes sure that a receipt is a person's to decide. Whoever still asks
// the register about it finds that it has moved on.
func (t *tx) askPerson(s *receipt.Stored) error {
	switch s.State {
	case receipt.Held:
		return nil
	case receipt.Checking:
		a, err := loadAttempt(t, s.Seq, s.Attempts)
		if err != nil {
			return err
		}
		// A clock that was set back meanwhile tells no age; the person does.
		if asked := t.now.Sub(a.At); asked >= 0 && asked < register.PatientFor {
			return fmt.Errorf("%w: its register is being asked, for %s yet", receipt.ErrMove, (register.PatientFor - asked).Round(time.Second))
		}
		return t.move(s, receipt.Held, receipt.Reason{Code: register.WhyCannotTell, Detail: "its register gives no answer"})
	}
	return fmt.Errorf("%w: it is %s", receipt.ErrMove, s.State)
}

// fromPaper writes down a document as a person read it off the paper, which
// shows only the short form of its fiscal id. noted: it may be among those that
// were not known to be ours, see inDoubt.
func (t *tx) fromPaper(s *receipt.Stored, d receipt.Document, noted bool) error {
	if d.RegisterSerial == "" {
		// The register it was sent to; where it never was, the one that it is bound to.
		err := t.QueryRow(`SELECT coalesce(
			(SELECT serial FROM attempt WHERE seq = ? AND number = ?),
			(SELECT serial FROM pairing WHERE register = ?), '')`, s.Seq, s.Attempts, s.Register).Scan(&d.RegisterSerial)
		if err != nil {
			return err
		}
	}
	if d.Shift == "" && s.Attempts > 0 { // counted with ours when the shift's documents are
		err := t.QueryRow(`SELECT coalesce(json_extract(baseline, '$.shift.id'), '') FROM attempt WHERE seq = ? AND number = ?`,
			s.Seq, s.Attempts).Scan(&d.Shift)
		if err != nil {
			return err
		}
	}
	if d.Shift != "" && noted { // it was among those that were not known to be ours; left there, it would hide one rung up by hand
		_, err := t.run(`UPDATE pairing SET foreign_documents = max(0, foreign_documents - 1)
			WHERE register = ? AND serial = ? AND foreign_shift = ? AND NOT EXISTS (SELECT 1 FROM doubt WHERE seq = ? AND found = 0)`,
			s.Register, d.RegisterSerial, d.Shift, s.Seq)
		if err != nil {
			return err
		}
	}
	if d.At.IsZero() {
		d.At = t.now
	}
	if d.ShortID == "" {
		d.ShortID = receipt.ShortID(d.FiscalID)
	}
	var taken bool
	err := t.QueryRow(`SELECT EXISTS (SELECT 1 FROM document WHERE serial = ? AND short_id = ? AND short_id <> '')`,
		d.RegisterSerial, d.ShortID).Scan(&taken)
	if err != nil {
		return err
	}
	if taken {
		return fmt.Errorf("%w: %s of %s", receipt.ErrTaken, d.ShortID, d.RegisterSerial)
	}
	return t.document(s, d)
}

func (j *Journal) act(terminal, id string, do func(*tx, *receipt.Stored) error) (s receipt.Stored, err error) {
	err = j.writer.do(func(t *tx) error {
		if s, err = load(t, byID, terminal, id); err != nil {
			return err
		}
		return do(t, &s)
	})
	switch {
	case errors.Is(err, receipt.ErrNotFound):
		return receipt.Stored{}, err
	case err != nil:
		return receipt.Stored{}, fmt.Errorf("change receipt %s: %w", id, err)
	}
	return s, nil
}

// by says that a person decided, so that nothing but a person undoes it.
func by(who, why string) receipt.Reason {
	if why != "" {
		who += ": " + why
	}
	return receipt.Reason{Code: register.WhyPerson, Detail: who}
}
