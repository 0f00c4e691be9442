package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// Advisory locks of ours, in the database's own space of them.
const (
	lockMigrate int64 = 0x656b6173_01
	lockLead    int64 = 0x656b6173_02
)

// connections that one process holds open at most, beside the leader's.
const connections = 8

var postgresDialect = dialect{
	words: func(s string) string {
		return postgresWords.Replace(s)
	},
	lock:   " FOR NO KEY UPDATE",
	among:  func(column string) string { return column + " = ANY(?1)" },
	list:   func(values []string) any { return values },
	insert: insertPostgres,
	again: func(err error) bool {
		var e *pgconn.PgError
		return errors.As(err, &e) && (e.Code == "40001" || e.Code == "40P01") // serialization_failure, deadlock_detected
	},
}

var postgresWords = strings.NewReplacer(
	"?", "$", " NUMBER,", " BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,", " INTEGER", " BIGINT", " BLOB", " BYTEA", ") STRICT", ")")

func openPostgres(ctx context.Context, database string, now func() time.Time) (*store, error) {
	config, err := pgx.ParseConfig(database)
	if err != nil {
		return nil, errors.New("open the cloud's database: its URL cannot be read; write postgres://user@host/db")
	}
	config.ConnectTimeout = 10 * time.Second
	s := &store{dialect: postgresDialect, now: now}
	s.alone = func(tx *tx) error { return tx.exec(`SELECT pg_advisory_xact_lock(?1)`, lockMigrate) }
	s.lead = func(ctx context.Context) (held, error) { return holdAdvisory(ctx, config) }
	s.backup = func(ctx context.Context, file string) error { return dump(ctx, database, config, file) }
	s.write = stdlib.OpenDB(*config)
	s.write.SetMaxOpenConns(connections)
	s.write.SetMaxIdleConns(connections)
	s.write.SetConnMaxIdleTime(5 * time.Minute)
	s.read = s.write
	if err := verifyPostgres(ctx, s.write); err != nil {
		return nil, errors.Join(fmt.Errorf("open the cloud's database: %w", err), s.Close())
	}
	if err := s.migrate(ctx, "postgres"); err != nil {
		return nil, errors.Join(fmt.Errorf("open the cloud's database: %w", err), s.Close())
	}
	return s, nil
}

// verifyPostgres reads what the promises rest on.
func verifyPostgres(ctx context.Context, db *sql.DB) error {
	for _, p := range []struct{ name, bad, because string }{
		{"fsync", "off", "a power cut would destroy the database"},
		{"full_page_writes", "off", "a power cut would destroy the database"},
		{"synchronous_commit", "off", "what is acknowledged would not survive a power cut"},
	} {
		var got string
		if err := db.QueryRowContext(ctx, `SELECT current_setting($1)`, p.name).Scan(&got); err != nil {
			return err
		}
		if got == p.bad {
			return fmt.Errorf("its setting %s is %s: %s; set it to on", p.name, got, p.because)
		}
	}
	var encoding string
	if err := db.QueryRowContext(ctx, `SELECT current_setting('server_encoding')`).Scan(&encoding); err != nil {
		return err
	}
	if encoding != "UTF8" {
		return fmt.Errorf("its encoding is %s; make a database WITH ENCODING 'UTF8' TEMPLATE template0", encoding)
	}
	return nil
}

// insertPostgres sends each column as one array.
func insertPostgres(t *tx, into string, columns []column, tail string) error {
	var names, arrays []string
	var args []any
	for i, c := range columns {
		kind := "bigint"
		switch c.values.(type) {
		case []string:
			kind = "text"
		case [][]byte:
			kind = "bytea"
		}
		names = append(names, c.name)
		arrays = append(arrays, fmt.Sprintf("$%d::%s[]", i+1, kind))
		args = append(args, c.values)
	}
	_, err := t.ExecContext(t.ctx, "INSERT INTO "+into+" ("+strings.Join(names, ", ")+") SELECT * FROM unnest("+strings.Join(arrays, ", ")+") "+tail, args...)
	return err
}

// holdAdvisory waits for the lock on a connection of its own, and holds it as
// long as that connection lives.
func holdAdvisory(ctx context.Context, config *pgx.ConnConfig) (_ held, err error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	l := advisoryLock{conn}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.release())
		}
	}()
	// The server lets go of a leader that has vanished, not only of one that said
	// goodbye: by default that takes two hours.
	if _, err := conn.Exec(ctx, `SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3`); err != nil {
		return nil, err
	}
	for {
		var ok bool
		if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, lockLead).Scan(&ok); err != nil || ok {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(leadEvery):
		}
	}
}

type advisoryLock struct{ *pgx.Conn }

// check asks over the connection that holds the lock: while it lives, so does
// the lock.
func (l advisoryLock) check(ctx context.Context) error { return l.Ping(ctx) }

func (l advisoryLock) release() error {
	ctx, cancel := context.WithTimeout(context.Background(), leadEvery)
	defer cancel()
	return l.Close(ctx)
}

// dump runs pg_dump, which must be of the server's version or a later one.
func dump(ctx context.Context, database string, config *pgx.ConnConfig, file string) error {
	u, err := url.Parse(database)
	if err != nil {
		return errors.New("its URL cannot be read")
	}
	if u.User != nil { // other users of the machine see the command, not its environment
		u.User = url.User(u.User.Username())
	}
	q := u.Query()
	q.Del("password")
	u.RawQuery = q.Encode()
	cmd := exec.CommandContext(ctx, "pg_dump", "--format=custom", "--no-owner", "--file="+file, "--dbname="+u.String())
	cmd.Env = append(os.Environ(), "PGPASSWORD="+config.Password)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pg_dump: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
