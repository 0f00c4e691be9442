package journal

import (
	"database/sql"
	"errors"
	"fmt"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// MadeIn counts the documents of ours in one shift of a register.
func (j *Journal) MadeIn(serial, shift string) (n int, err error) {
	err = j.readTx(func(q queryer) error {
		return q.QueryRow(`SELECT count(*) FROM document WHERE serial = ? AND shift = ?`, serial, shift).Scan(&n)
	})
	if err != nil {
		return 0, fmt.Errorf("count our documents in shift %s of %s: %w", shift, serial, err)
	}
	return n, nil
}

// Foreign gives how many documents of a shift were not ours when the register
// was last looked at; shift "" where it never was.
func (j *Journal) Foreign(name string) (shift string, n int, err error) {
	err = j.readTx(func(q queryer) error {
		return q.QueryRow(`SELECT foreign_shift, foreign_documents FROM pairing WHERE register = ?`, name).Scan(&shift, &n)
	})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", 0, fmt.Errorf("read what is foreign on %s: %w", name, err)
	}
	return shift, n, nil
}

// SetForeign remembers it. Whatever a person is being asked about is among it now,
// if it was made at all; and what an answer has released was not rung up by hand.
func (j *Journal) SetForeign(name, shift string, n int) error {
	return j.writer.do(func(t *tx) error { return t.setForeign(name, shift, n) })
}

func (t *tx) setForeign(name, shift string, n int) error {
	if _, err := t.run(`DELETE FROM doubt WHERE found = 0 AND seq IN (SELECT seq FROM life WHERE register = ?)`, name); err != nil {
		return err
	}
	if _, err := t.run(releasedQuery, name); err != nil {
		return err
	}
	_, err := t.run(`UPDATE pairing SET foreign_shift = ?, foreign_documents = ? WHERE register = ?`, shift, n, name)
	return err
}

// inDoubt adds one document to what is not known to be ours in a shift; nothing
// where the register was never looked at, since the first look takes all as it is.
func (t *tx) inDoubt(name, shift string) error {
	_, err := t.run(`UPDATE pairing SET foreign_documents = iif(foreign_shift = ?1, foreign_documents, 0) + 1, foreign_shift = ?1
		WHERE register = ?2 AND foreign_shift <> ''`, shift, name)
	return err
}

const (
	waitingQuery = `WHERE l.register = ? AND l.state = 'waiting' AND l.` + queued + ` AND l.reason <> 'by_person' AND l.seq <= ?
	ORDER BY l.seq LIMIT ?`
	forAnswerQuery = `WHERE l.register = ? AND l.state = 'held' AND l.` + forPerson + ` AND l.reason = '` + register.WhyAnswer + `'
	ORDER BY l.seq`
	releasedQuery = `UPDATE life INDEXED BY life_queue SET reason = '', reason_detail = ''
		WHERE register = ? AND state = 'waiting' AND ` + queued + ` AND reason = '` + register.WhyAnswer + `'`
)

// holdAtOnce is how many receipts share a commit when all that wait are held:
// a till that posts one meanwhile does not wait for thousands.
const holdAtOnce = 100

// HoldWaiting leaves everything that waits for a register, up to a receipt's
// number, to a person, the oldest first; and where something was rung up by hand,
// what is held until an answer is there as well. What a person has already decided
// goes on. Where it fails half way, the rest still waits: call it again.
func (j *Journal) HoldWaiting(name string, upTo int64, why receipt.Reason) (n int, err error) {
	if why.Code == register.WhyRangByHand {
		err := j.writer.do(func(t *tx) error {
			return t.heldForAnswer(name, func(s *receipt.Stored) error { return t.explain(s, why) })
		})
		if err != nil {
			return 0, fmt.Errorf("leave what is held for an answer at %s to a person: %w", name, err)
		}
	}
	for held := holdAtOnce; held == holdAtOnce; n += held {
		err := j.writer.do(func(t *tx) error {
			list, err := loadAll(t, waitingQuery, name, upTo, holdAtOnce)
			if err != nil {
				return err
			}
			held = len(list)
			for _, s := range list {
				if err := t.move(&s, receipt.Held, why); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return n, fmt.Errorf("leave what waits for %s to a person: %w", name, err)
		}
	}
	return n, nil
}

// LastReceipt is the number of the newest receipt; 0 where there is none.
func (j *Journal) LastReceipt() (n int64, err error) {
	err = j.readTx(func(q queryer) error {
		return q.QueryRow(`SELECT coalesce(max(seq), 0) FROM receipt`).Scan(&n)
	})
	if err != nil {
		return 0, fmt.Errorf("read the last receipt's number: %w", err)
	}
	return n, nil
}
