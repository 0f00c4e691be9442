package journal

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// Doubts gives the receipts of a register that a person is asked about, and whose
// documents are not yet among what is not known to be ours.
func (j *Journal) Doubts(name string) (list []register.Doubt, err error) {
	err = j.readTx(func(q queryer) error {
		rows, err := q.Query(doubtsQuery, name)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var d register.Doubt
			if err := rows.Scan(&d.Seq, &d.ID, &d.Serial, &d.Shift); err != nil {
				return err
			}
			d.ID = strings.TrimPrefix(d.ID, receipt.CashPrefix)
			list = append(list, d)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("list what is in doubt at %s: %w", name, err)
	}
	return list, nil
}

const doubtsQuery = `SELECT d.seq, r.id, a.serial, coalesce(json_extract(a.baseline, '$.shift.id'), '')
	FROM doubt d JOIN life l USING (seq) JOIN receipt r USING (seq) JOIN attempt a ON a.seq = d.seq AND a.number = l.attempts
	WHERE l.register = ? AND l.state = 'held' AND d.found = 0 ORDER BY d.seq`

// Await holds everything that waits for a register, up to a receipt's number, until
// a person has answered about what is in doubt, and remembers what is not known to
// be ours as SetForeign does. It is one commit, however much waits: cut in two, the
// answer could come between. Error: receipt.ErrMove where one of the doubts has been
// answered; nothing is done then.
func (j *Journal) Await(name string, upTo int64, u register.Unexplained, shift string, documents int) (n int, err error) {
	err = j.writer.do(func(t *tx) error {
		list, err := loadAll(t, waitingQuery, name, upTo, -1)
		if err != nil {
			return err
		}
		already, err := loadAll(t, forAnswerQuery, name)
		if err != nil {
			return err
		}
		holds := len(list)+len(already) > 0
		var ids []string
		for _, d := range u.Doubts {
			ids = append(ids, d.ID)
			result, err := t.run(`UPDATE doubt SET found = ? WHERE seq = ? AND found = 0`, holds, d.Seq)
			if err != nil {
				return err
			}
			if n, err := result.RowsAffected(); err != nil || n != 1 {
				return errors.Join(err, fmt.Errorf("%w: %s has been answered", receipt.ErrMove, d.ID))
			}
		}
		why := receipt.Reason{Code: register.WhyAnswer, Detail: strings.Join(ids, ", ")}
		for _, s := range list {
			if err := t.move(&s, receipt.Held, why); err != nil {
				return err
			}
		}
		for _, s := range already { // what is in doubt now may be what somebody rang up of these
			more := receipt.Reason{Code: why.Code, Detail: s.Reason.Detail + ", " + why.Detail}
			if err := t.explain(&s, more); err != nil {
				return err
			}
		}
		if n = len(list); holds {
			if _, err := t.run(`UPDATE pairing SET unexplained = unexplained + ? WHERE register = ?`, u.Documents, name); err != nil {
				return err
			}
		}
		return t.setForeign(name, shift, documents)
	})
	if err != nil {
		return 0, fmt.Errorf("hold what waits for %s until a question is answered: %w", name, err)
	}
	return n, nil
}

// answered draws what follows for others from a person's answer about a receipt in
// doubt. Once each document that was found is known to be a receipt's, what waited
// goes on, but looked at once more, since it may have been held for hours; where
// answers are all there and one is still nobody's, it was rung up by hand. at gives
// the register that takes a till's receipts now.
func (t *tx) answered(was, now receipt.Stored, at func(terminal string) string) error {
	if was.State != receipt.Held || now.State == receipt.Held {
		return nil
	}
	var found bool
	err := t.QueryRow(`DELETE FROM doubt WHERE seq = ? RETURNING found`, now.Seq).Scan(&found)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !found {
		return nil
	}
	if err != nil {
		return err
	}
	if now.State == receipt.Fiscal {
		if _, err := t.run(`UPDATE pairing SET unexplained = max(0, unexplained - 1) WHERE register = ?`, was.Register); err != nil {
			return err
		}
	}
	var left, asked int
	if err := t.QueryRow(`SELECT coalesce(sum(unexplained), 0), (`+askedQuery+`) FROM pairing WHERE register = ?1`, was.Register).Scan(&left, &asked); err != nil {
		return err
	}
	if left > 0 && asked > 0 {
		return nil
	}
	err = t.heldForAnswer(was.Register, func(s *receipt.Stored) error {
		switch {
		case left > 0:
			return t.explain(s, receipt.Reason{Code: register.WhyRangByHand, Detail: fmt.Sprint(left)})
		case at(s.Terminal) != s.Register: // which alone tells whether it was rung up there meanwhile
			return t.explain(s, receipt.Reason{Code: register.WhyAskFirst})
		}
		return t.send(s, "", receipt.Reason{Code: register.WhyAnswer})
	})
	if err == nil {
		_, err = t.run(`UPDATE pairing SET unexplained = 0 WHERE register = ?`, was.Register)
	}
	if err == nil {
		_, err = t.run(`DELETE FROM doubt WHERE found = 1 AND seq IN (SELECT seq FROM life WHERE register = ?)`, was.Register)
	}
	return err
}

const askedQuery = `SELECT count(*) FROM doubt d JOIN life l USING (seq) WHERE d.found = 1 AND l.register = ?1 AND l.state = 'held'`

// heldForAnswer does something with all of a register that is held for an answer.
func (t *tx) heldForAnswer(name string, do func(*receipt.Stored) error) error {
	list, err := loadAll(t, forAnswerQuery, name)
	if err != nil {
		return err
	}
	for _, s := range list {
		if err := do(&s); err != nil {
			return err
		}
	}
	return nil
}
