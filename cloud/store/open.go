package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"ekassa/cloud/fleet"
)

// store is the one implementation over both databases.
type store struct {
	dialect
	now   func() time.Time
	write *sql.DB
	read  *sql.DB // PostgreSQL: the same

	// alone keeps others that ask for it waiting, in whatever process, until the
	// transaction ends.
	alone  func(tx *tx) error
	lead   func(ctx context.Context) (held, error)
	backup func(ctx context.Context, file string) error
}

// Open opens the cloud's database and brings its schema up to date. database is
// "sqlite", for a file in dataDir, or a postgres:// URL. It refuses a database
// that is not told to keep what it has committed. now is the cloud's clock. No
// error says what a URL's password is.
func Open(ctx context.Context, database, dataDir string, now func() time.Time) (Store, error) {
	switch {
	case database == "sqlite":
		return openSQLite(ctx, dataDir, now)
	case strings.HasPrefix(database, "postgres://"), strings.HasPrefix(database, "postgresql://"):
		return openPostgres(ctx, database, now)
	}
	return nil, errors.New("open the cloud's database: it is neither sqlite nor a postgres:// URL; write database: sqlite, or postgres://user@host/db")
}

func (s *store) Close() error {
	if s.read == s.write {
		return s.write.Close()
	}
	return errors.Join(s.read.Close(), s.write.Close())
}

func (s *store) Ping(ctx context.Context) error {
	var one int
	return s.read.QueryRowContext(ctx, `SELECT 1`).Scan(&one)
}

// tx is a transaction that writes.
type tx struct {
	*sql.Tx
	conn *sql.Conn // the transaction's own
	s    *store
	// A statement is given this context. With SQLite a cancelled one would turn
	// the rest of the transaction into single commits (reliability.md A2), so
	// there it is never cancelled.
	ctx context.Context
}

// attempts at a transaction that others were in the way of.
const attempts = 10

// tx does everything in do or nothing of it. What do does outside the database
// may happen more than once.
func (s *store) tx(ctx context.Context, do func(tx *tx) error) error {
	for n := 1; ; n++ {
		err := s.once(ctx, do)
		if err == nil || !s.again(err) || n == attempts {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(rand.N(time.Duration(n) * 20 * time.Millisecond)):
		}
	}
}

func (s *store) once(ctx context.Context, do func(tx *tx) error) (err error) {
	conn, err := s.write.Conn(ctx) // waits for a free one, as long as ctx lasts
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.giveBack(conn, err)) }()
	if s.read != s.write {
		ctx = context.WithoutCancel(ctx)
	}
	t, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer t.Rollback() // does nothing once committed
	if err = do(&tx{t, conn, s, ctx}); err == nil {
		err = t.Commit()
	}
	if err != nil && ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		err = errors.Join(ctx.Err(), err) // why the transaction was gone
	}
	return err
}

// giveBack gives a connection back to the pool. After an error of SQLite it is
// dropped, since nobody knows what state that left it in; PostgreSQL's driver looks
// itself before its next use (pgx, stdlib.Conn.ResetSession). There nothing else may
// be asked of a connection here: its transaction may be rolled back at this very
// moment, as whoever asked has gone, and [sql.Conn.Raw] panics then (Go 1.26).
func (s *store) giveBack(conn *sql.Conn, failed error) error {
	if failed == nil || ours(failed) {
		return conn.Close()
	}
	if s.read != s.write {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // says the same back
	}
	_ = conn.Close() // what failed is told
	return nil
}

func ours(err error) bool {
	for _, e := range []error{fleet.ErrNotFound, fleet.ErrExists, fleet.ErrStale, fleet.ErrSpent} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (t *tx) exec(statement string, args ...any) error {
	_, err := t.ExecContext(t.ctx, t.s.words(statement), args...)
	return err
}

// change is exec that says how many rows it changed.
func (t *tx) change(statement string, args ...any) (int64, error) {
	r, err := t.ExecContext(t.ctx, t.s.words(statement), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// must is exec that fails with fleet.ErrNotFound where it changes nothing.
func (t *tx) must(statement string, args ...any) error {
	n, err := t.change(statement, args...)
	if err == nil && n == 0 {
		err = fleet.ErrNotFound
	}
	return err
}

func (t *tx) row(query string, args ...any) row {
	return row{t.QueryRowContext(t.ctx, t.s.words(query), args...)}
}

func (t *tx) rows(query string, args ...any) (*sql.Rows, error) {
	return t.QueryContext(t.ctx, t.s.words(query), args...)
}

func (s *store) row(ctx context.Context, query string, args ...any) row {
	return row{s.read.QueryRowContext(ctx, s.words(query), args...)}
}

func (s *store) rows(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return s.read.QueryContext(ctx, s.words(query), args...)
}

// row is one that may be missing: fleet.ErrNotFound.
type row struct{ scanner }

type scanner interface{ Scan(dest ...any) error }

func (r row) Scan(dest ...any) error {
	err := r.scanner.Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return fleet.ErrNotFound
	}
	return err
}

// all reads every row.
func all[T any](rows *sql.Rows, err error) func(read func(scanner) (T, error)) ([]T, error) {
	return func(read func(scanner) (T, error)) ([]T, error) {
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		list := []T{}
		for rows.Next() {
			one, err := read(rows)
			if err != nil {
				return nil, err
			}
			list = append(list, one)
		}
		return list, rows.Err()
	}
}

// where collects conditions.
type where struct {
	conditions []string
	args       []any
}

// and adds a condition in which each ? is arg.
func (w *where) and(condition string, arg any) {
	w.args = append(w.args, arg)
	w.conditions = append(w.conditions, strings.ReplaceAll(condition, "?", fmt.Sprintf("?%d", len(w.args))))
}

func (w *where) String() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conditions, " AND ")
}

func (f Filter) limit() int {
	if f.Limit <= 0 {
		return 100
	}
	return f.Limit
}

// micro is a moment as it is stored.
func micro(t time.Time) int64 { return t.UnixMicro() }

// stamp is a moment that may be missing.
func stamp(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	n := t.UnixMicro()
	return &n
}

// at reads a moment into t; a missing one is zero.
type at struct{ t *time.Time }

func (a at) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		*a.t = time.Time{}
	case int64:
		*a.t = time.UnixMicro(v).UTC()
	default:
		return fmt.Errorf("read a moment: found %T", value)
	}
	return nil
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// text is what both databases take as text: PostgreSQL has no NUL.
func text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
