package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/mattn/go-sqlite3" // the other door is agent/journal
)

const (
	sqliteFile = "cloud.db"
	leadFile   = "cloud.leads"
)

var sqliteDialect = dialect{
	words:  func(s string) string { return strings.ReplaceAll(s, " NUMBER,", " INTEGER PRIMARY KEY AUTOINCREMENT,") },
	among:  func(column string) string { return column + " IN (SELECT value FROM json_each(?1))" },
	insert: insertSQLite,
	list: func(values []string) any {
		b, _ := json.Marshal(values) // strings always can
		return string(b)
	},
	again: func(err error) bool {
		var e sqlite3.Error
		return errors.As(err, &e) && (e.Code == sqlite3.ErrBusy || e.Code == sqlite3.ErrLocked)
	},
}

func openSQLite(ctx context.Context, dir string, now func() time.Time) (*store, error) {
	s := &store{dialect: sqliteDialect, now: now, alone: func(*tx) error { return nil }} // one writer
	path := filepath.Join(dir, sqliteFile)
	s.lead = func(ctx context.Context) (held, error) { return holdFile(ctx, filepath.Join(dir, leadFile)) }
	s.backup = func(ctx context.Context, file string) error { return vacuumInto(ctx, path, file) }
	if err := s.connectSQLite(ctx, dir, path); err != nil {
		return nil, fmt.Errorf("open the cloud's database %s: %w", path, err)
	}
	return s, nil
}

func (s *store) connectSQLite(ctx context.Context, dir, path string) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// Settings are in it: nobody else reads it. SQLite gives its other files the same rights.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if s.write, err = connect(ctx, path, "rwc", 1); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.write.Close())
		}
	}()
	if err := verifySQLite(ctx, s.write); err != nil {
		return err
	}
	if s.read, err = connect(ctx, path, "rw", 4); err != nil {
		return err
	}
	if err := s.migrate(ctx, "sqlite"); err != nil {
		return errors.Join(err, s.read.Close())
	}
	return nil
}

// connect opens a pool. All options stand in the connection string: a PRAGMA
// sent later would reach one connection of the pool only.
func connect(ctx context.Context, path, mode string, most int) (*sql.DB, error) {
	options := url.Values{}
	options.Set("mode", mode)
	options.Set("_busy_timeout", "10000") // ekassa-cloud user add writes beside ekassa-cloud serve
	options.Set("_foreign_keys", "on")
	options.Set("_synchronous", "FULL")
	options.Set("_cache_size", "-65536") // KiB for each connection
	options.Set("_stmt_cache_size", "64")
	switch mode {
	case "rwc":
		options.Set("_txlock", "immediate")
		options.Set("_journal_mode", "WAL")
	case "rw": // for reading, beside a writer
		options.Set("_query_only", "on")
	}
	db := sql.OpenDB(connector{"file:" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath() + "?" + options.Encode()})
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// connector opens connections with what the connection string has no word for.
type connector struct{ name string }

func (c connector) Driver() driver.Driver {
	return &sqlite3.SQLiteDriver{ConnectHook: func(conn *sqlite3.SQLiteConn) error {
		// Pages that every batch changes go into the database once in 32 MB of log, not
		// with each batch; what the log keeps on disk is bounded.
		_, err := conn.Exec(`PRAGMA wal_autocheckpoint = 8192; PRAGMA journal_size_limit = 67108864`, nil)
		return err
	}}
}

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.Driver().Open(c.name) }

// verifySQLite reads back what the promises rest on.
func verifySQLite(ctx context.Context, db *sql.DB) error {
	for _, p := range []struct{ name, want string }{{"synchronous", "2"}, {"journal_mode", "wal"}, {"foreign_keys", "1"}} {
		var got string
		if err := db.QueryRowContext(ctx, `PRAGMA `+p.name).Scan(&got); err != nil {
			return fmt.Errorf("read PRAGMA %s: %w", p.name, err)
		}
		if got != p.want {
			return fmt.Errorf("PRAGMA %s is %s and not %s: what is acknowledged would not survive a power cut", p.name, got, p.want)
		}
	}
	return nil
}

// insertSQLite runs one prepared statement for each row: there is no journey to
// the database that would have to be saved. It speaks to the driver itself, since
// database/sql would look at each of a batch's values again.
func insertSQLite(t *tx, into string, columns []column, tail string) error {
	var names, marks []string
	for i, c := range columns {
		names = append(names, c.name)
		marks = append(marks, fmt.Sprintf("?%d", i+1))
	}
	text := "INSERT INTO " + into + " (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(marks, ", ") + ") " + tail
	return t.conn.Raw(func(conn any) (err error) {
		prepared, err := conn.(*sqlite3.SQLiteConn).PrepareContext(t.ctx, text)
		if err != nil {
			return err
		}
		statement := prepared.(*sqlite3.SQLiteStmt)
		defer func() { err = errors.Join(err, statement.Close()) }()
		args := make([]driver.NamedValue, len(columns))
		for i := range args {
			args[i].Ordinal = i + 1
		}
		for n := range length(columns) {
			for i, c := range columns {
				args[i].Value = c.at(n)
			}
			if _, err := statement.ExecContext(t.ctx, args); err != nil {
				return err
			}
		}
		return nil
	})
}

// at is a value as the driver takes it.
func (c column) at(n int) driver.Value {
	switch v := c.values.(type) {
	case []string:
		return v[n]
	case []int64:
		return v[n]
	case []*int64:
		if v[n] != nil {
			return *v[n]
		}
	case [][]byte:
		if v[n] != nil {
			return v[n]
		}
	}
	return nil
}

func length(columns []column) int {
	switch v := columns[0].values.(type) {
	case []string:
		return len(v)
	case []int64:
		return len(v)
	}
	panic("store: the first column is neither text nor a number")
}

// vacuumInto writes a copy of the database at path. It reads one moment on a
// connection of its own, so writing goes on meanwhile.
func vacuumInto(ctx context.Context, path, file string) error {
	db, err := connect(ctx, path, "ro", 1)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, `VACUUM INTO ?1`, file)
	return errors.Join(err, db.Close())
}

// holdFile waits until no other process leads on this data_dir.
func holdFile(ctx context.Context, path string) (held, error) {
	lock := flock.New(path, flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, time.Second); err != nil {
		return nil, err
	}
	return fileLock{lock}, nil
}

// fileLock cannot be lost while the process lives.
type fileLock struct{ *flock.Flock }

func (fileLock) check(context.Context) error { return nil }
func (l fileLock) release() error            { return l.Close() }
