package journal

import (
	"errors"
	"fmt"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// Retry sends a refused receipt again, after a person has mended what the
// register said no to. Error: receipt.ErrMove where it is not refused.
func (j *Journal) Retry(terminal, id, who string) (receipt.Stored, error) {
	return j.act(terminal, id, func(t *tx, s *receipt.Stored) error {
		if s.State != receipt.Refused {
			return fmt.Errorf("%w: it is %s", receipt.ErrMove, s.State)
		}
		return t.move(s, receipt.Waiting, by(who, ""))
	})
}

// Fiscalise sends a receipt that was kept here only. Error: receipt.ErrMove
// where it is not such a one.
func (j *Journal) Fiscalise(terminal, id, who string) (receipt.Stored, error) {
	return j.act(terminal, id, func(t *tx, s *receipt.Stored) error {
		if s.State != receipt.NonFiscal {
			return fmt.Errorf("%w: it is %s", receipt.ErrMove, s.State)
		}
		return t.move(s, receipt.Waiting, by(who, ""))
	})
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
		return t.move(s, receipt.Withdrawn, by(who, why))
	})
}

// Resolve writes down what a person says of a held receipt. Error:
// receipt.ErrMove where it is not held.
func (j *Journal) Resolve(terminal, id string, d receipt.Decision) (receipt.Stored, error) {
	return j.act(terminal, id, func(t *tx, s *receipt.Stored) error {
		if s.State != receipt.Held {
			return fmt.Errorf("%w: it is %s", receipt.ErrMove, s.State)
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
			if err := t.fromPaper(s, *d.Document); err != nil {
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
		return t.move(s, to, by(d.Who, d.Why))
	})
}

// fromPaper writes down a document as a person read it off the paper, which
// shows only the short form of its fiscal id.
func (t *tx) fromPaper(s *receipt.Stored, d receipt.Document) error {
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
	if d.Shift != "" { // it was among those that were not known to be ours; left there, it would hide one rung up by hand
		_, err := t.run(`UPDATE pairing SET foreign_documents = max(0, foreign_documents - 1)
			WHERE register = ? AND serial = ? AND foreign_shift = ?`, s.Register, d.RegisterSerial, d.Shift)
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
