package journal

import (
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

//go:embed schema/*.sql
var schema embed.FS

// The rule for whoever adds a file: its first line is "-- readable from N", and says
// which programs can go on with a journal that has the file, those that know schema
// N or more. An update that turns out badly is taken back, and the program before
// finds the journal as the newer one has left it. What adds columns with defaults,
// tables or indexes is readable from the number before; what moves or removes
// something is readable from its own number on, and comes a release after the
// programs have stopped needing what it removes. Without the line nobody older can.

// Schema gives the number of the newest file, and from which number on programs can
// go on with a journal that has it.
func Schema() (newest, readableFrom int) {
	files, err := numbered(schema)
	if err != nil {
		panic(err) // they are built in, and tested
	}
	last := files[len(files)-1]
	return last.number, last.readableFrom
}

// step is one file of the schema.
type step struct {
	number, readableFrom int
	sql                  string
}

// numbered reads the files in order.
func numbered(from fs.FS) (list []step, err error) {
	files, err := fs.Glob(from, "schema/*.sql")
	if err != nil {
		return nil, err
	}
	for _, name := range files { // Glob sorts
		text, err := fs.ReadFile(from, name)
		if err != nil {
			return nil, err
		}
		s := step{sql: string(text)}
		if s.number, err = strconv.Atoi(strings.SplitN(strings.TrimPrefix(name, "schema/"), "_", 2)[0]); err != nil {
			return nil, fmt.Errorf("read the number of %s: %w", name, err)
		}
		s.readableFrom = s.number
		line, _, _ := strings.Cut(s.sql, "\n")
		if n, told := strings.CutPrefix(line, "-- readable from "); told {
			if s.readableFrom, err = strconv.Atoi(n); err != nil || s.readableFrom > s.number {
				return nil, fmt.Errorf("read from where on %s is readable: %q", name, line)
			}
		}
		// A step that older programs can go on with does not undo one before it
		// that they cannot.
		if len(list) > 0 && list[len(list)-1].readableFrom > s.readableFrom {
			s.readableFrom = list[len(list)-1].readableFrom
		}
		list = append(list, s)
	}
	return list, nil
}

// migrate runs the numbered files that the journal has not seen, each in one
// transaction with the new number. cause is that of the epoch which a new
// journal begins. A journal of a newer program is taken as it is, where it says that
// this one can go on with it.
func migrate(db *sql.DB, now time.Time, cause string) error {
	files, err := numbered(schema)
	if err != nil {
		return err
	}
	return migrateTo(db, files, now, cause)
}

func migrateTo(db *sql.DB, files []step, now time.Time, cause string) error {
	var have int
	if err := db.QueryRow(`PRAGMA user_version`).Scan(&have); err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	for _, f := range files {
		if f.number <= have {
			continue
		}
		if err := apply(db, f, now, cause); err != nil {
			return fmt.Errorf("bring the schema to version %d: %w", f.number, err)
		}
		have = f.number
	}
	last := files[len(files)-1].number
	if have <= last {
		return nil
	}
	from, err := readableFrom(db)
	if err != nil {
		return fmt.Errorf("read which programs the journal is for: %w", err)
	}
	if from == 0 || from > last {
		return fmt.Errorf("the journal has schema version %d and this program knows up to %d; use the newer program", have, last)
	}
	return nil
}

// readableFrom reads which programs can go on with a journal; 0: it does not say.
func readableFrom(db *sql.DB) (n int, err error) {
	var there bool
	if err := db.QueryRow(`SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'readable')`).Scan(&there); err != nil || !there {
		return 0, err
	}
	return n, db.QueryRow(`SELECT coalesce(max(from_schema), 0) FROM readable`).Scan(&n)
}

func apply(db *sql.DB, s step, now time.Time, cause string) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing once committed
	if _, err := tx.Exec(s.sql); err != nil {
		return err
	}
	if s.number == 1 {
		if err := insertEpoch(tx, 0, now, cause); err != nil {
			return err
		}
	}
	if s.readableFrom < s.number { // older programs do not look for the table, and refuse by the number
		if _, err := tx.Exec(`CREATE TABLE IF NOT EXISTS readable (from_schema INTEGER NOT NULL) STRICT; DELETE FROM readable`); err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO readable (from_schema) VALUES (?)`, s.readableFrom); err != nil {
			return err
		}
	} else if _, err := tx.Exec(`DROP TABLE IF EXISTS readable`); err != nil {
		return err
	}
	if _, err := tx.Exec(fmt.Sprintf(`PRAGMA user_version = %d`, s.number)); err != nil {
		return err
	}
	return tx.Commit()
}

// Why an epoch began.
const (
	causeNew      = "new"
	causeLost     = "lost"     // an agent has worked in the folder, and its journal is gone
	causeDamaged  = "corrupt"  // what could be read of the last one is here
	causeRestored = "restored" // from a backup
)

// insertEpoch begins an epoch whose number is above the last one's.
func insertEpoch(tx *sql.Tx, last int64, began time.Time, cause string) error {
	tag, err := newTag()
	if err != nil {
		return err
	}
	// Seconds, not 1: a journal that replaces a lost one knows nothing of it,
	// and its epoch must be the higher one all the same.
	number := max(1, last+1, began.Unix())
	_, err = tx.Exec(`INSERT INTO epoch (number, began_at, cause, tag) VALUES (?, ?, ?, ?)`, number, millis(began), cause, tag)
	return err
}
