package journal

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// OpenShift gives the shift that was last seen open on a register;
// receipt.ErrNotFound where there is none.
func (j *Journal) OpenShift(name string) (s register.Seen, err error) {
	err = j.readTx(func(q queryer) error {
		s, _, err = openShift(q, name)
		return err
	})
	return s, err
}

// openShift gives it with its row.
func openShift(q queryer, name string) (s register.Seen, id int64, err error) {
	var opened int64
	err = q.QueryRow(`SELECT id, serial, name, opened_at, opened_by, closing_by FROM shift WHERE register = ? AND closed_at IS NULL`, name).
		Scan(&id, &s.Serial, &s.Name, &opened, &s.OpenedBy, &s.ClosingBy)
	if errors.Is(err, sql.ErrNoRows) {
		return s, 0, receipt.ErrNotFound
	}
	if err != nil {
		return s, 0, fmt.Errorf("read the open shift of %s: %w", name, err)
	}
	s.OpenedAt = moment(opened)
	return s, id, nil
}

// ShiftOpened notes that a shift is open on a register, with its record for the
// cloud, and ends the order to open one. The one before is closed first, with ShiftClosed.
func (j *Journal) ShiftOpened(name string, s register.Seen) error {
	err := j.writer.do(func(t *tx) error {
		_, err := t.run(`INSERT INTO shift (register, serial, name, opened_at, opened_by, records)
			VALUES (?, ?, ?, ?, ?, (SELECT coalesce(max(seq), 0) FROM record))`,
			name, s.Serial, s.Name, millis(s.OpenedAt), s.OpenedBy)
		if err = errors.Join(err, t.opened(name)); err != nil {
			return err
		}
		return t.record(register.RecordShiftOpened, name, s.Name, s.OpenedBy)
	})
	if err != nil {
		return fmt.Errorf("note the open shift of %s: %w", name, err)
	}
	return nil
}

// ShiftOpening notes who orders that a shift be opened, before the register is
// asked; "" takes the order back.
func (j *Journal) ShiftOpening(name, who string) error {
	err := j.writer.do(func(t *tx) error {
		if who == "" {
			return t.opened(name)
		}
		_, err := t.run(`INSERT INTO opening (register, by) VALUES (?, ?) ON CONFLICT (register) DO UPDATE SET by = excluded.by`, name, who)
		return err
	})
	if err != nil {
		return fmt.Errorf("note who opens the shift of %s: %w", name, err)
	}
	return nil
}

// opened ends an order to open.
func (t *tx) opened(name string) error {
	_, err := t.run(`DELETE FROM opening WHERE register = ?`, name)
	return err
}

// Opening gives who has ordered that a shift be opened, where it is not known
// what came of it; "" otherwise.
func (j *Journal) Opening(name string) (who string, err error) {
	err = j.readTx(func(q queryer) error {
		err := q.QueryRow(`SELECT by FROM opening WHERE register = ?`, name).Scan(&who)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read who opens the shift of %s: %w", name, err)
	}
	return who, nil
}

// ShiftClosing notes who orders the close of the open shift, before the register
// is asked; "" takes the order back.
func (j *Journal) ShiftClosing(name, who string) error {
	err := j.writer.do(func(t *tx) error {
		_, err := t.run(`UPDATE shift SET closing_by = ? WHERE register = ? AND closed_at IS NULL`, who, name)
		return err
	})
	if err != nil {
		return fmt.Errorf("note who closes the shift of %s: %w", name, err)
	}
	return nil
}

// ShiftClosed closes the open shift with its Z report, holds the report against
// the journal, and keeps it all, with the record for the cloud. Error:
// receipt.ErrNotFound where no shift is open.
func (j *Journal) ShiftClosed(r register.Reported) (register.Reported, error) {
	err := j.writer.do(func(t *tx) error {
		s, id, err := openShift(t, r.Register)
		if err != nil {
			return err
		}
		b, err := balance(t, r, s, id)
		if err != nil {
			return err
		}
		r.Kind, r.Report.Balance = "z", &b
		report, err := t.report(r)
		if err != nil {
			return err
		}
		_, err = t.run(`UPDATE shift SET closed_at = ?, closed_by = ?, report = ? WHERE id = ?`, millis(r.At), r.By, report, id)
		return err
	})
	if err != nil {
		return r, fmt.Errorf("close the shift of %s: %w", r.Register, err)
	}
	return r, nil
}

// balance holds a report against the journal.
func balance(q queryer, r register.Reported, s register.Seen, id int64) (b register.Balance, err error) {
	made, err := loadAll(q, madeQuery, s.Serial, s.Name)
	if err != nil {
		return b, err
	}
	touched, err := loadAll(q, duringQuery, id, r.Register)
	if err != nil {
		return b, err
	}
	rows, err := q.Query(doubtfulQuery, id, r.Register)
	if err != nil {
		return b, fmt.Errorf("read what was doubtful: %w", err)
	}
	defer rows.Close()
	var doubtful []string
	for rows.Next() {
		var x string
		if err := rows.Scan(&x); err != nil {
			return b, err
		}
		doubtful = append(doubtful, x)
	}
	b = register.Weigh(r.Report, made, touched, doubtful)
	b.Journal.Shift, b.Journal.OpenedAt = s.Name, s.OpenedAt
	b.Tills.Shift, b.Tills.OpenedAt = s.Name, s.OpenedAt
	return b, rows.Err()
}

const (
	madeQuery     = `WHERE d.serial = (SELECT ?) AND d.shift = (SELECT ?)`
	recordsOf     = `SELECT c.receipt FROM record c WHERE c.seq > (SELECT records FROM shift WHERE id = ?) AND c.receipt IS NOT NULL`
	duringQuery   = `WHERE r.seq IN (` + recordsOf + `) AND l.register = (SELECT ?) ORDER BY r.seq`
	doubtfulQuery = `SELECT r.id FROM receipt r CROSS JOIN life l USING (seq)
		WHERE r.seq IN (` + recordsOf + ` AND c.state IN ('checking', 'held')) AND l.register = ? AND l.attempts > 0 ORDER BY r.seq`
)

// Reports gives the newest X ("x") or Z ("z") reports of a register, newest
// first.
func (j *Journal) Reports(name, kind string, limit int) (list []register.Reported, err error) {
	err = j.readTx(func(q queryer) error {
		rows, err := q.Query(reportsQuery, name, kind, limit)
		if err != nil {
			return fmt.Errorf("read the reports of %s: %w", name, err)
		}
		defer rows.Close()
		for rows.Next() {
			r := register.Reported{Register: name, Kind: kind}
			var at int64
			var report, raw []byte
			if err := rows.Scan(&r.By, &at, &report, &raw); err != nil {
				return err
			}
			if err := json.Unmarshal(report, &r.Report); err != nil {
				return fmt.Errorf("read a report of %s: %w", name, err)
			}
			r.At, r.Report.Raw = moment(at), raw
			list = append(list, r)
		}
		return rows.Err()
	})
	return list, err
}

const reportsQuery = `SELECT by, at, report, raw FROM report INDEXED BY report_newest WHERE register = ? AND kind = ? ORDER BY id DESC LIMIT ?`

// Alert tells the cloud of something that a person should know.
func (j *Journal) Alert(name, code, detail string) error {
	err := j.writer.do(func(t *tx) error {
		return t.record(register.RecordAlert, name, code, detail)
	})
	if err != nil {
		return fmt.Errorf("note the alert %s of %s: %w", code, name, err)
	}
	return nil
}

// report writes one, with its record for the cloud.
func (t *tx) report(r register.Reported) (id int64, err error) {
	report, err := json.Marshal(r.Report)
	if err != nil {
		return 0, fmt.Errorf("write the report: %w", err)
	}
	raw := r.Report.Raw
	if raw == nil {
		raw = []byte{}
	}
	result, err := t.run(`INSERT INTO report (register, kind, shift, by, at, report, raw) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		r.Register, r.Kind, r.Report.Shift, r.By, millis(r.At), string(report), raw)
	if err != nil {
		return 0, err
	}
	if id, err = result.LastInsertId(); err != nil {
		return 0, err
	}
	record := map[string]string{"x": register.RecordXReport, "z": register.RecordShiftClosed}[r.Kind]
	t.touched = append(t.touched, touched{})
	_, err = t.run(`INSERT INTO record (at, type, report) VALUES (?, ?, ?)`, millis(t.now), record, id)
	return id, err
}

// SaveReport keeps an X report, with its record for the cloud.
func (j *Journal) SaveReport(r register.Reported) error {
	err := j.writer.do(func(t *tx) error {
		_, err := t.report(r)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep the %s report of %s: %w", r.Kind, r.Register, err)
	}
	return nil
}
