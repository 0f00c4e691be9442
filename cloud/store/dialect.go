package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// dialect is in what the two databases differ. Statements are written in
// SQLite's words, with ?1, ?2, … for what is given, and no question mark
// anywhere else.
type dialect struct {
	words func(statement string) string
	// lock ends a SELECT whose rows are about to be changed: nobody else changes
	// them before the commit. SQLite has one writer anyway.
	lock string
	// among is a condition that a column's text is in the list given as ?1.
	among func(column string) string
	list  func(values []string) any
	// insert adds many rows. Each column is a slice of one length; tail is the
	// statement after the values.
	insert func(tx *tx, into string, columns []column, tail string) error
	// again says that a transaction failed only because others were at it.
	again func(error) bool
}

// column of rows that are inserted together.
type column struct {
	name   string
	values any // []string, []int64, []*int64 or [][]byte
}

//go:embed schema/*.sql
var schema embed.FS

// migrate runs the numbered files that the database has not seen, each in one
// transaction with its number. Of a number, NNN_name.sql is run first and then
// the dialect's own NNN_name.dialect.sql, where there is one.
func (s *store) migrate(ctx context.Context, dialect string) error {
	err := s.tx(ctx, func(tx *tx) error {
		return tx.exec(`CREATE TABLE IF NOT EXISTS migration (number INTEGER NOT NULL PRIMARY KEY, at INTEGER NOT NULL)`)
	})
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	files, err := fs.Glob(schema, "schema/*.sql")
	if err != nil {
		return err
	}
	byNumber := map[int][]string{}
	last := 0
	slices.SortStableFunc(files, func(a, b string) int { return strings.Count(a, ".") - strings.Count(b, ".") }) // the shared first
	for _, f := range files {
		number, err := strconv.Atoi(strings.SplitN(strings.TrimPrefix(f, "schema/"), "_", 2)[0])
		if err != nil {
			return fmt.Errorf("read the number of %s: %w", f, err)
		}
		if parts := strings.Split(f, "."); len(parts) == 3 && parts[1] != dialect {
			continue
		}
		byNumber[number] = append(byNumber[number], f)
		last = max(last, number)
	}
	for number := 1; number <= last; number++ {
		if err := s.apply(ctx, number, last, byNumber[number]); err != nil {
			return fmt.Errorf("bring the schema to version %d: %w", number, err)
		}
	}
	return nil
}

func (s *store) apply(ctx context.Context, number, last int, files []string) error {
	return s.tx(ctx, func(tx *tx) error {
		if err := s.alone(tx); err != nil {
			return err
		}
		var have int
		if err := tx.row(`SELECT coalesce(max(number), 0) FROM migration`).Scan(&have); err != nil {
			return err
		}
		if have > last {
			return fmt.Errorf("the database has schema version %d and this program knows up to %d; use the newer program", have, last)
		}
		if have >= number {
			return nil
		}
		for _, f := range files {
			statements, err := schema.ReadFile(f)
			if err != nil {
				return err
			}
			for statement := range strings.SplitSeq(withoutComments(string(statements)), ";\n") {
				if strings.TrimSpace(statement) == "" {
					continue
				}
				if err := tx.exec(statement); err != nil {
					return err
				}
			}
		}
		return tx.exec(`INSERT INTO migration (number, at) VALUES (?1, ?2)`, number, micro(s.now()))
	})
}

func withoutComments(statements string) string {
	var b strings.Builder
	for line := range strings.Lines(statements) {
		code, _, comment := strings.Cut(line, "--")
		b.WriteString(code)
		if comment {
			b.WriteByte('\n')
		}
	}
	return b.String()
}
