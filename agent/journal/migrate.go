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

// migrate runs the numbered files that the journal has not seen, each in one
// transaction with the new number. cause is that of the epoch which a new
// journal begins.
func migrate(db *sql.DB, now time.Time, cause string) error {
	var have int
	if err := db.QueryRow(`PRAGMA user_version`).Scan(&have); err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	files, err := fs.Glob(schema, "schema/*.sql")
	if err != nil {
		return err
	}
	for _, f := range files { // Glob sorts
		number, err := strconv.Atoi(strings.SplitN(strings.TrimPrefix(f, "schema/"), "_", 2)[0])
		if err != nil {
			return fmt.Errorf("read the number of %s: %w", f, err)
		}
		if number <= have {
			continue
		}
		if err := apply(db, f, number, now, cause); err != nil {
			return fmt.Errorf("bring the schema to version %d: %w", number, err)
		}
		have = number
	}
	if last := len(files); have > last {
		return fmt.Errorf("the journal has schema version %d and this program knows up to %d; use the newer program", have, last)
	}
	return nil
}

func apply(db *sql.DB, file string, number int, now time.Time, cause string) error {
	statements, err := schema.ReadFile(file)
	if err != nil {
		return err
	}
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing once committed
	if _, err := tx.Exec(string(statements)); err != nil {
		return err
	}
	if number == 1 {
		if err := insertEpoch(tx, 0, now, cause); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(fmt.Sprintf(`PRAGMA user_version = %d`, number)); err != nil {
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
