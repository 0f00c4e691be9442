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
// transaction with the new number.
func migrate(db *sql.DB, now time.Time) error {
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
		if err := apply(db, f, number, now); err != nil {
			return fmt.Errorf("bring the schema to version %d: %w", number, err)
		}
		have = number
	}
	if last := len(files); have > last {
		return fmt.Errorf("the journal has schema version %d and this program knows up to %d; use the newer program", have, last)
	}
	return nil
}

func apply(db *sql.DB, file string, number int, now time.Time) error {
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
		tag, err := newTag()
		if err != nil {
			return err
		}
		// Seconds, not 1: a journal that replaces a lost one knows nothing of it,
		// and its epoch must be the higher one all the same.
		number := max(1, now.Unix())
		if _, err := tx.Exec(`INSERT INTO epoch (number, began_at, cause, tag) VALUES (?, ?, 'new', ?)`, number, millis(now), tag); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(fmt.Sprintf(`PRAGMA user_version = %d`, number)); err != nil {
		return err
	}
	return tx.Commit()
}
