package journal

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mattn/go-sqlite3"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// salvage takes what can be read of a damaged journal over into a new one,
// checks that, and moves the damaged one aside, whole. Nothing is written to it.
func (j *Journal) salvage(found error) error {
	j.space.release() // the copy is the more urgent
	if err := mark(j.path(runningName), suspected); err != nil {
		return fmt.Errorf("note that the journal is damaged: %w", err)
	}
	if err := draftsAbsent(j.dir); err != nil {
		return err
	}
	path, next, now := j.path(fileName), j.path(nextName), j.now()
	if err := create(next); err != nil {
		return fmt.Errorf("begin a new journal: %w", err)
	}
	db, err := openDraft(next)
	if err != nil {
		return err
	}
	from, err := connect(path, "ro", 1)
	if err != nil && !damaged(err) {
		return errors.Join(fmt.Errorf("read the damaged journal: %w", err), db.Close())
	}
	folder := aside("damaged", now)
	var kept, last, held int64
	if err = migrate(db, now, causeNew); err == nil {
		err = withoutTriggers(db, func(tx *sql.Tx) error {
			// The new epoch comes last, with what it knows of the old ones.
			if _, err := tx.Exec(`DELETE FROM epoch`); err != nil {
				return err
			}
			if from != nil {
				s := &salvager{from: from, to: tx, insert: map[string]*sql.Stmt{}}
				if err := s.all(); err != nil {
					return err
				}
			}
			if err := mend(tx, millis(now)); err != nil {
				return fmt.Errorf("mend what was salvaged: %w", err)
			}
			if err := tx.QueryRow(`SELECT count(*), coalesce(max(seq), 0) FROM receipt`).Scan(&kept, &last); err != nil {
				return err
			}
			detail := fmt.Sprintf("%d receipts salvaged, numbered up to %d; the damaged journal is in %s", kept, last, folder)
			var err error
			held, err = beginEpoch(tx, causeDamaged, pastOf(j.dir).bound(), now, detail)
			return err
		})
	}
	if err == nil {
		err = check(db, fullCheck...)
	}
	if from != nil {
		err = errors.Join(err, from.Close())
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("salvage the journal: %w; found before: %w", notDamage(err), found)
	}
	if err := replace(j.dir, folder); err != nil {
		return err
	}
	j.salvaged = fmt.Sprintf("%v: %d receipts salvaged, numbered up to %d, %d of them held; the damaged files are in %s",
		found, kept, last, held, filepath.Join(j.dir, folder))
	return nil
}

// notDamage keeps what went wrong while salvaging from being taken for another
// damaged journal.
func notDamage(err error) error { return errors.New(err.Error()) }

// salvager copies tables out of a damaged database.
type salvager struct {
	from   *sql.DB
	to     *sql.Tx
	insert map[string]*sql.Stmt
	last   int64 // the highest key that is known of the counted tables
}

// table is one to be copied.
type table struct {
	name, key string
	columns   []string
	many      bool // several rows may have the same key
}

// unknownRange is how far beyond the highest known key rows are looked for,
// where the damage hides the end of a table.
const unknownRange = 1 << 12

func (s *salvager) all() error {
	names, err := column[string](s.to, `SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'
		AND name NOT LIKE 'sqlite_%' AND name <> 'move' ORDER BY name <> 'epoch', name <> 'receipt', name`)
	if err != nil {
		return err
	}
	for _, name := range names {
		t, err := s.table(name)
		if damaged(err) || err == nil && len(t.columns) == 0 {
			continue // nothing of it can be read
		}
		if err == nil {
			err = s.copy(t)
		}
		if err != nil {
			return fmt.Errorf("copy what is readable of %s: %w", name, notDamage(err))
		}
	}
	return nil
}

// table looks up what both journals know of one.
func (s *salvager) table(name string) (t table, err error) {
	t.name, t.key = name, "rowid"
	if err := s.to.QueryRow(`SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?`, name).Scan(&t.many); err != nil {
		return t, err
	}
	columns, err := column[string](s.to, `SELECT name FROM pragma_table_info(?)`, name)
	if err != nil {
		return t, err
	}
	if t.many {
		if t.key, err = first(s.to, `SELECT name FROM pragma_table_info(?) WHERE pk = 1`, name); err != nil {
			return t, err
		}
	}
	there, err := column[string](s.from, `SELECT name FROM pragma_table_info(?)`, name)
	if err != nil {
		return t, err
	}
	for _, c := range columns {
		if slices.Contains(there, c) {
			t.columns = append(t.columns, c)
		}
	}
	if len(t.columns) == 0 {
		return t, nil
	}
	marks := strings.Repeat(", ?", len(t.columns))[2:]
	s.insert[name], err = s.to.Prepare(`INSERT OR IGNORE INTO ` + name + ` (` + strings.Join(t.columns, ", ") + `) VALUES (` + marks + `)`)
	return t, err
}

func first(q queryer, query string, args ...any) (s string, err error) {
	err = q.QueryRow(query, args...).Scan(&s)
	return s, err
}

// copy takes a table over. One whose keys are not counted is small, and read
// from both ends.
func (s *salvager) copy(t table) error {
	kind, err := first(s.to, `SELECT coalesce((SELECT type FROM pragma_table_info(?) WHERE name = ?), 'INTEGER')`, t.name, t.key)
	if err != nil {
		return err
	}
	counted := kind == "INTEGER" && t.name != "epoch" && t.name != "inspection" && t.name != "uplink"
	next, err := s.read(t, `ORDER BY `+t.key)
	if !damaged(err) {
		return err
	}
	if !counted {
		if _, err := s.read(t, `ORDER BY `+t.key+` DESC`); !damaged(err) {
			return err
		}
		return nil
	}
	s.last = max(s.last, next)
	var last sql.NullInt64
	err = s.from.QueryRow(`SELECT max(` + t.key + `) FROM ` + t.name + ` NOT INDEXED`).Scan(&last)
	if err != nil && !damaged(err) {
		return err
	}
	if err != nil || last.Int64 > 1<<40 { // the end is hidden, or damaged too
		last.Int64 = s.last + unknownRange
	}
	s.last = max(s.last, last.Int64)
	return s.span(t, next, last.Int64)
}

// span copies the rows from one key to another, and goes around what cannot be
// read by halving it.
func (s *salvager) span(t table, low, high int64) error {
	next, err := s.read(t, `WHERE `+t.key+` BETWEEN ? AND ? ORDER BY `+t.key, low, high)
	if !damaged(err) {
		return err
	}
	low = max(low, next)
	if low >= high {
		return nil // this is what cannot be read
	}
	middle := low + (high-low)/2
	if err := s.span(t, low, middle); err != nil {
		return err
	}
	return s.span(t, middle+1, high)
}

// read copies rows until one cannot be read, and gives the key to go on from.
func (s *salvager) read(t table, where string, args ...any) (next int64, err error) {
	rows, err := s.from.Query(`SELECT `+t.key+`, `+strings.Join(t.columns, ", ")+` FROM `+t.name+` NOT INDEXED `+where, args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	values := make([]any, 1+len(t.columns))
	into := make([]any, len(values))
	for n := range values {
		into[n] = &values[n]
	}
	ascending, before := !strings.HasSuffix(where, "DESC"), int64(0)
	for read := 0; rows.Next(); read++ {
		if err := rows.Scan(into...); err != nil {
			return next, err
		}
		if key, ok := values[0].(int64); ok {
			if read > 0 && (key < before) == ascending {
				return next, errDamaged // out of order: pages lead back
			}
			if before = key; ascending {
				if next = key + 1; t.many {
					next = key
				}
			}
		}
		row := values[1:]
		if !sound(t, row) {
			continue
		}
		_, err := s.insert[t.name].Exec(row...)
		var e sqlite3.Error
		if errors.As(err, &e) && (e.Code == sqlite3.ErrConstraint || e.Code == sqlite3.ErrMismatch) {
			continue // no row of ours was ever so
		}
		if err != nil {
			return next, notDamage(err)
		}
	}
	return next, rows.Err()
}

// sound says whether a row is one that the journal can read again. SQLite has
// no checksums: it may give damage for data.
func sound(t table, row []any) bool {
	value := func(column string) []byte {
		switch v := row[slices.Index(t.columns, column)].(type) {
		case []byte:
			return v
		case string:
			return []byte(v)
		}
		return nil
	}
	switch t.name {
	case "receipt":
		var r receipt.Receipt
		return json.Unmarshal(value("content"), &r) == nil && r.ID == string(value("id")) && string(r.Kind) == string(value("kind"))
	case "attempt":
		var b register.Baseline
		_, err := inflate(value("request"))
		return err == nil && json.Unmarshal(value("baseline"), &b) == nil
	case "report":
		var r register.Report
		return json.Unmarshal(value("report"), &r) == nil
	}
	return true
}

// mend makes whole what was salvaged: what refers to lost rows goes, and a
// receipt that lost rows itself is left to a person. The damaged file has all of
// it still.
func mend(tx *sql.Tx, now int64) error {
	// The tag of a lost epoch stands in the keys that its attempts were given.
	numbers, err := column[string](tx, `SELECT DISTINCT epoch FROM receipt WHERE epoch NOT IN (SELECT number FROM epoch)`)
	if err != nil {
		return err
	}
	for _, n := range numbers {
		tag, err := newTag()
		if err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT INTO epoch (number, began_at, cause, tag) SELECT ?1, 0, 'lost', coalesce((SELECT CAST(key AS INTEGER) / ?2
			FROM attempt JOIN receipt USING (seq) WHERE epoch = ?1 AND CAST(key AS INTEGER) % ?2 = seq AND CAST(key AS INTEGER) / ?2 BETWEEN 10000000 AND 89999999
			  AND CAST(key AS INTEGER) / ?2 NOT IN (SELECT tag FROM epoch) LIMIT 1), ?3)`, n, perTag, tag)
		if err != nil {
			return err
		}
	}
	const lost = `reason = 'journal_lost', reason_detail = trim(reason || ' ' || reason_detail)`
	for _, statement := range []string{
		`DELETE FROM life WHERE seq NOT IN (SELECT seq FROM receipt)`,
		`DELETE FROM attempt WHERE seq NOT IN (SELECT seq FROM receipt)`,
		`DELETE FROM document WHERE seq NOT IN (SELECT seq FROM receipt)`,
		// Attempts are numbered in turn: after a gap there is no next one.
		`DELETE FROM attempt WHERE number > (SELECT count(*) FROM attempt a WHERE a.seq = attempt.seq AND a.number <= attempt.number)`,
		`DELETE FROM evidence WHERE (seq, number) NOT IN (SELECT seq, number FROM attempt)`,
		// So are pieces of evidence; here only the order matters.
		`CREATE TEMP TABLE proofs AS SELECT seq, number, row_number() OVER (PARTITION BY seq, number ORDER BY n) AS n, proof, text, at FROM evidence
			WHERE (seq, number) IN (SELECT seq, number FROM evidence GROUP BY seq, number HAVING max(n) > count(*))`,
		`DELETE FROM evidence WHERE (seq, number) IN (SELECT seq, number FROM proofs)`,
		`INSERT INTO evidence (seq, number, n, proof, text, at) SELECT seq, number, n, proof, text, at FROM proofs`,
		`DROP TABLE proofs`,
		// A receipt that lost its life had the state that its last record told.
		`CREATE TEMP TABLE told AS SELECT r.seq, r.terminal, (SELECT c.state FROM record c WHERE c.receipt = r.seq ORDER BY c.seq DESC LIMIT 1) AS state
			FROM receipt r WHERE r.seq NOT IN (SELECT seq FROM life)`,
		`INSERT INTO life (seq, register, state, attempts, reason, changed_at)
			SELECT t.seq, coalesce((SELECT register FROM attempt a WHERE a.seq = t.seq ORDER BY number DESC LIMIT 1),
			    (SELECT l.register FROM life l JOIN receipt x USING (seq) WHERE x.terminal = t.terminal AND l.register IS NOT NULL ORDER BY l.seq DESC LIMIT 1)),
			  CASE WHEN t.seq IN (SELECT seq FROM document) THEN 'fiscal'
			    WHEN t.state IN ('withdrawn', 'non_fiscal') THEN t.state ELSE 'held' END,
			  (SELECT count(*) FROM attempt a WHERE a.seq = t.seq), 'journal_lost', ?1 FROM told t`,
		`DROP TABLE told`,
		// What has a document is fiscal; what was, and has lost it, a person looks up.
		`UPDATE life SET state = 'fiscal', reason = '', reason_detail = '' WHERE state <> 'fiscal' AND seq IN (SELECT seq FROM document)`,
		`UPDATE life SET state = 'held', ` + lost + ` WHERE state = 'fiscal' AND seq NOT IN (SELECT seq FROM document)`,
		// What was on its way, or refused, and has lost its attempt or the proof.
		`UPDATE life SET state = 'held', ` + lost + ` WHERE state IN ('sending', 'checking', 'refused', 'waiting')
			AND attempts <> (SELECT count(*) FROM attempt a WHERE a.seq = life.seq)`,
		`UPDATE life SET state = 'held', ` + lost + ` WHERE state = 'refused' AND NOT EXISTS
			(SELECT 1 FROM evidence e WHERE e.seq = life.seq AND e.number = life.attempts AND e.proof IN ('not_sent', 'refused', 'not_made', 'person'))`,
		`UPDATE life SET attempts = (SELECT count(*) FROM attempt a WHERE a.seq = life.seq) WHERE state IN ('held', 'non_fiscal', 'withdrawn')`,
	} {
		args := []any{}
		if strings.Contains(statement, "?1") {
			args = append(args, now)
		}
		if _, err := tx.Exec(statement, args...); err != nil {
			return fmt.Errorf("%.60s: %w", statement, err)
		}
	}
	return dropReferences(tx)
}

// dropReferences clears whatever else refers to a lost row; a row that cannot
// be without goes.
func dropReferences(tx *sql.Tx) error {
	type dangling struct {
		table string
		row   int64
		key   int
	}
	for {
		var list []dangling
		rows, err := tx.Query(`SELECT "table", rowid, fkid FROM pragma_foreign_key_check WHERE rowid IS NOT NULL`)
		if err != nil {
			return err
		}
		for rows.Next() {
			var d dangling
			if err := rows.Scan(&d.table, &d.row, &d.key); err != nil {
				return errors.Join(err, rows.Close())
			}
			list = append(list, d)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil || len(list) == 0 {
			return err
		}
		for _, d := range list {
			var column string
			var needed bool
			err := tx.QueryRow(`SELECT c.name, c."notnull" OR c.pk FROM pragma_foreign_key_list(?1) f
				JOIN pragma_table_info(?1) c ON c.name = f."from" WHERE f.id = ?2`, d.table, d.key).Scan(&column, &needed)
			if err != nil {
				return err
			}
			change := `UPDATE ` + d.table + ` SET ` + column + ` = NULL WHERE rowid = ?`
			if needed {
				change = `DELETE FROM ` + d.table + ` WHERE rowid = ?`
			}
			if _, err := tx.Exec(change, d.row); err != nil {
				return err
			}
		}
	}
}
