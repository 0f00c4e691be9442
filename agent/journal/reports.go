package journal

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// Pairing gives the serial that was first seen behind a configured register,
// and where it was last; "" where none was.
func (j *Journal) Pairing(name string) (serial, address string, err error) {
	err = j.readTx(func(q queryer) error {
		return q.QueryRow(`SELECT serial, address FROM pairing WHERE register = ?`, name).Scan(&serial, &address)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return "", "", nil
	}
	if err != nil {
		return "", "", fmt.Errorf("read the pairing of %s: %w", name, err)
	}
	return serial, address, nil
}

// Pair remembers which register stands behind a configured one, and where.
func (j *Journal) Pair(name, serial, address string) error {
	return j.writer.do(func(t *tx) error {
		_, err := t.run(`INSERT INTO pairing (register, serial, address, paired_at) VALUES (?, ?, ?, ?)
			ON CONFLICT (register) DO UPDATE SET serial = excluded.serial, address = excluded.address`,
			name, serial, address, millis(t.now))
		return err
	})
}

// Identify remembers what a paired register says of itself.
func (j *Journal) Identify(name string, i register.Identity) error {
	text, err := json.Marshal(i)
	if err != nil {
		return fmt.Errorf("write what %s is: %w", name, err)
	}
	err = j.writer.do(func(t *tx) error {
		_, err := t.run(`UPDATE pairing SET identity = ? WHERE register = ?`, string(text), name)
		return err
	})
	if err != nil {
		return fmt.Errorf("remember what %s is: %w", name, err)
	}
	return nil
}

// Identity is what a register last said of itself; zero where it never did.
func (j *Journal) Identity(name string) (i register.Identity, err error) {
	err = j.readTx(func(q queryer) error {
		i, err = identity(q, name)
		return err
	})
	return i, err
}

func identity(q queryer, name string) (i register.Identity, err error) {
	var text string
	err = q.QueryRow(`SELECT identity FROM pairing WHERE register = ?`, name).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) || err == nil && text == "" {
		return i, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), &i)
	}
	if err != nil {
		return i, fmt.Errorf("read what %s is: %w", name, err)
	}
	return i, nil
}

// The record comes first in the join: its order is the one that is wanted.
const changesQuery = `SELECT c.seq, c.at, c.receipt FROM record c CROSS JOIN receipt r ON r.seq = c.receipt
	WHERE c.seq > ? AND (? = '' OR r.terminal = ?) ORDER BY c.seq LIMIT ?`

// Changes gives what became of a terminal's receipts after a record, oldest
// first, each as it is now. Terminal "" is all of them.
func (j *Journal) Changes(terminal string, after int64, limit int) (changes []receipt.Change, err error) {
	err = j.readTx(func(q queryer) error {
		rows, err := q.Query(changesQuery, after, terminal, terminal, limit)
		if err != nil {
			return fmt.Errorf("read the records: %w", err)
		}
		type line struct{ record, at, seq int64 }
		var lines []line
		for rows.Next() {
			var l line
			if err := rows.Scan(&l.record, &l.at, &l.seq); err != nil {
				return errors.Join(err, rows.Close())
			}
			lines = append(lines, l)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return fmt.Errorf("read the records: %w", err)
		}
		for _, l := range lines {
			s, err := load(q, bySeq, l.seq)
			if err != nil {
				return err
			}
			changes = append(changes, receipt.Change{Record: l.record, Receipt: s, At: moment(l.at)})
		}
		return nil
	})
	return changes, err
}

// LastChange is the number of the newest record; 0 where there is none.
func (j *Journal) LastChange() (n int64, err error) {
	err = j.readTx(func(q queryer) error {
		return q.QueryRow(`SELECT coalesce(max(seq), 0) FROM record`).Scan(&n)
	})
	if err != nil {
		return 0, fmt.Errorf("read the last record: %w", err)
	}
	return n, nil
}

// LastDeed is the number of the newest record of something that was done: a
// receipt's change, cash, a shift, a report. 0 where there is none.
func (j *Journal) LastDeed() (n int64, err error) {
	err = j.readTx(func(q queryer) error {
		return q.QueryRow(`SELECT coalesce((SELECT seq FROM record WHERE type NOT IN ('health', 'alert') ORDER BY seq DESC LIMIT 1), 0)`).Scan(&n)
	})
	if err != nil {
		return 0, fmt.Errorf("read the last deed's record: %w", err)
	}
	return n, nil
}
