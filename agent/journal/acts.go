package journal

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// Act writes down what a person is about to do, and gives its number.
func (j *Journal) Act(a receipt.Act) (n int64, err error) {
	err = j.writer.do(func(t *tx) error {
		result, err := t.run(`INSERT INTO act (at, terminal, who, role, what, subject) VALUES (?, ?, ?, ?, ?, ?)`,
			millis(t.now), a.Terminal, a.Who, a.Role, a.What, a.Subject)
		if err != nil {
			return err
		}
		n, err = result.LastInsertId()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("write down what %s does: %w", a.Who, err)
	}
	return n, nil
}

// ActDone writes down what came of it.
func (j *Journal) ActDone(n int64, outcome string) error {
	err := j.writer.do(func(t *tx) error {
		_, err := t.run(`UPDATE act SET outcome = ? WHERE n = ?`, outcome, n)
		return err
	})
	if err != nil {
		return fmt.Errorf("write down what came of act %d: %w", n, err)
	}
	return nil
}

const actsQuery = `SELECT n, at, terminal, who, role, what, subject, outcome FROM act
	WHERE terminal = ? AND (? = 0 OR n < ?) ORDER BY n DESC LIMIT ?`

// Acts gives what people did at a terminal, newest first, before the one of that
// number; 0 is from the newest.
func (j *Journal) Acts(terminal string, before int64, limit int) (list []receipt.Act, err error) {
	err = j.readTx(func(q queryer) error {
		rows, err := q.Query(actsQuery, terminal, before, before, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			a, err := scanAct(rows)
			if err != nil {
				return err
			}
			list = append(list, a)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("read what people did: %w", err)
	}
	return list, nil
}

func scanAct(rows *sql.Rows) (a receipt.Act, err error) {
	var at int64
	err = rows.Scan(&a.N, &at, &a.Terminal, &a.Who, &a.Role, &a.What, &a.Subject, &a.Outcome)
	a.At = moment(at)
	return a, err
}

const triesQuery = `SELECT a.number, a.at, a.register, a.serial, a.baseline, coalesce(e.proof, ''), coalesce(e.text, ''), coalesce(e.at, 0)
	FROM attempt a LEFT JOIN evidence e ON e.seq = a.seq AND e.number = a.number
	WHERE a.seq = (SELECT ?) ORDER BY a.number, e.n`

// Tries gives what was tried with a terminal's receipt, oldest first, and what
// was learned of each try. Error: receipt.ErrNotFound.
func (j *Journal) Tries(terminal, id string) (list []register.Try, err error) {
	err = j.readTx(func(q queryer) error {
		s, err := load(q, byID, terminal, id)
		if err != nil {
			return err
		}
		list, err = tries(q, s.Seq)
		return err
	})
	if err != nil && !errors.Is(err, receipt.ErrNotFound) {
		return nil, fmt.Errorf("read what was tried with %s: %w", id, err)
	}
	return list, err
}

func tries(q queryer, seq int64) (list []register.Try, err error) {
	rows, err := q.Query(triesQuery, seq)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var t register.Try
		var f register.Learned
		var baseline []byte
		var at, found int64
		if err := rows.Scan(&t.Number, &at, &t.Register, &t.Serial, &baseline, &f.Proof, &f.Text, &found); err != nil {
			return nil, err
		}
		if n := len(list); n == 0 || list[n-1].Number != t.Number {
			var b register.Baseline
			if err := json.Unmarshal(baseline, &b); err != nil {
				return nil, fmt.Errorf("read the baseline: %w", err)
			}
			t.At, t.Shift, t.Last = moment(at), b.Shift.ID, b.Last
			list = append(list, t)
		}
		if f.Proof != "" {
			f.At = moment(found)
			last := &list[len(list)-1]
			last.Learned = append(last.Learned, f)
		}
	}
	return list, rows.Err()
}
