package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"
)

// errDamaged: the file does not hold together.
var errDamaged = errors.New("the journal is damaged")

// damaged says whether the file is, and not only the way to it.
func damaged(err error) bool {
	var e sqlite3.Error
	return errors.Is(err, errDamaged) ||
		errors.As(err, &e) && (e.Code == sqlite3.ErrCorrupt || e.Code == sqlite3.ErrNotADB)
}

// The checks. Quick finds torn and foreign pages, in time to serve the next
// guest; full also reads every index and reference.
var (
	quickCheck = []string{"quick_check"}
	fullCheck  = []string{"integrity_check", "foreign_key_check"}
)

// check looks for damage. The PRAGMAs tell of it in rows, never as an error.
func check(q queryer, pragmas ...string) error {
	for _, pragma := range pragmas {
		rows, err := q.Query(`PRAGMA ` + pragma)
		if err != nil {
			return fmt.Errorf("check the journal (%s): %w", pragma, err)
		}
		var found sql.NullString
		for rows.Next() {
			columns, err := rows.Columns()
			if err != nil {
				return errors.Join(err, rows.Close())
			}
			values := make([]any, len(columns))
			for n := range values {
				values[n] = new(sql.NullString)
			}
			if err := rows.Scan(values...); err != nil {
				return errors.Join(fmt.Errorf("check the journal (%s): %w", pragma, err), rows.Close())
			}
			if found = *values[0].(*sql.NullString); len(columns) > 1 || found.String != "ok" {
				return errors.Join(fmt.Errorf("%w (%s: %s)", errDamaged, pragma, strings.ReplaceAll(found.String, "\n", " ")), rows.Close())
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return fmt.Errorf("check the journal (%s): %w", pragma, err)
		}
	}
	return nil
}

// checkFile reads a journal that nobody has open, and changes neither it nor
// its log: a connection that may only read does not play the log back into the
// database when it closes.
func checkFile(path string, pragmas ...string) error {
	db, err := connect(path, "ro", 1)
	if err != nil {
		return err
	}
	return errors.Join(check(db, pragmas...), db.Close())
}

const (
	// inspectEvery is how often the whole file is read (reliability.md B6).
	inspectEvery = 7 * 24 * time.Hour
	// quietFor makes an hour a quiet one: nobody has written for so long.
	quietFor = 10 * time.Minute
	// inspectAnyway: a shop that is never quiet is inspected all the same.
	inspectAnyway = 2 * inspectEvery
)

// Upkeep inspects the journal once a week in a quiet hour, until ctx ends.
// Damage ends the journal: see Done. Any other failure is told, and tried again.
func (j *Journal) Upkeep(ctx context.Context, failed func(error)) {
	tick := time.NewTicker(quietFor)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		due, err := j.inspectionDue()
		if due {
			err = j.Inspect(ctx)
		}
		if err != nil && ctx.Err() == nil {
			failed(err)
		}
	}
}

func (j *Journal) inspectionDue() (bool, error) {
	var last int64
	err := j.readTx(func(q queryer) error {
		return q.QueryRow(`SELECT coalesce(max(at), (SELECT max(began_at) FROM epoch)) FROM inspection`).Scan(&last)
	})
	if err != nil {
		return false, fmt.Errorf("read when the journal was last inspected: %w", err)
	}
	since := j.now().Sub(moment(last))
	return since >= inspectAnyway || since >= inspectEvery && j.writer.quiet(quietFor), nil
}

// Inspect reads the whole file, table by table so that no long reading keeps
// the log from being put away. Damage ends the journal: the next start salvages.
func (j *Journal) Inspect(ctx context.Context) error {
	var tables []string
	err := j.readTx(func(q queryer) (err error) {
		tables, err = column[string](q, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`)
		return err
	})
	for _, t := range tables {
		if err == nil {
			err = ctx.Err()
		}
		for _, pragma := range fullCheck {
			if err == nil {
				err = j.readTx(func(q queryer) error { return check(q, pragma+`('`+t+`')`) })
			}
		}
	}
	if err != nil {
		return fmt.Errorf("inspect the journal: %w", err)
	}
	return j.writer.do(func(t *tx) error {
		_, err := t.run(`INSERT OR IGNORE INTO inspection (at) VALUES (?)`, millis(t.now))
		return err
	})
}

// column gives a query's one column.
func column[T any](q queryer, query string, args ...any) (list []T, err error) {
	rows, err := q.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var v T
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}
