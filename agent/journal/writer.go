package journal

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mattn/go-sqlite3"

	"ekassa/agent/receipt"
)

// maxBatch bounds how many jobs share one commit.
const maxBatch = 64

// job is one caller's write. It runs inside a transaction with others; done
// gets nil only after that transaction is on the disk.
type job struct {
	do      func(*tx) error
	done    chan error
	touched []touched
}

// tx is what a job may do: statements, and telling the watchers afterwards.
type tx struct {
	w       *writer
	now     time.Time
	touched []touched
}

// run executes a statement, prepared once per connection.
func (t *tx) run(query string, args ...any) (sql.Result, error) {
	s, err := t.w.prepared(query)
	if err != nil {
		return nil, err
	}
	return s.Exec(args...)
}

// Query implements queryer.
func (t *tx) Query(query string, args ...any) (*sql.Rows, error) {
	s, err := t.w.prepared(query)
	if err != nil {
		return nil, err
	}
	return s.Query(args...)
}

// QueryRow implements queryer.
func (t *tx) QueryRow(query string, args ...any) *sql.Row {
	s, err := t.w.prepared(query)
	if err != nil { // the statement cannot be run either, and says so
		return t.w.conn.QueryRowContext(context.Background(), query, args...)
	}
	return s.QueryRow(args...)
}

// writer is the one goroutine that writes. While a commit is being synced, the
// next callers gather; they then share one commit. A caller alone waits for
// nobody.
type writer struct {
	db      *sql.DB
	now     func() time.Time
	publish func([]touched)
	space   *space
	jobs    chan *job
	quit    chan struct{}
	ended   chan struct{}
	failed  chan struct{}

	conn       *sql.Conn            // the one connection that writes; nil after an error
	statements map[string]*sql.Stmt // prepared on it

	wrote atomic.Int64 // when anybody last did, in nanoseconds of a clock of its own
	began time.Time    // when that clock was zero

	mu  sync.Mutex
	err error // why it can write no more
}

func startWriter(db *sql.DB, now func() time.Time, publish func([]touched), s *space) (*writer, error) {
	w := &writer{
		db: db, now: now, publish: publish, space: s, began: time.Now(),
		jobs: make(chan *job), quit: make(chan struct{}), ended: make(chan struct{}), failed: make(chan struct{}),
	}
	if err := w.connect(); err != nil {
		return nil, err
	}
	go w.loop()
	return w, nil
}

// do runs f in a transaction and returns after its commit is on the disk. An
// error of f undoes f alone.
func (w *writer) do(f func(*tx) error) error {
	j := &job{do: f, done: make(chan error, 1)}
	select {
	case w.jobs <- j:
		return <-j.done
	case <-w.quit:
		return fmt.Errorf("%w: it is closed", receipt.ErrStorage)
	case <-w.failed:
		return w.health()
	}
}

func (w *writer) stop() error {
	close(w.quit)
	<-w.ended
	return w.health()
}

func (w *writer) health() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

func (w *writer) loop() {
	defer close(w.ended)
	defer w.disconnect()
	for {
		select {
		case <-w.quit:
			return
		case <-w.failed:
			return
		case first := <-w.jobs:
			w.commit(w.gather(first))
		}
	}
}

// fail ends the writing for good.
func (w *writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
		close(w.failed)
	}
}

// quiet says whether nobody has written for so long.
func (w *writer) quiet(d time.Duration) bool {
	return time.Since(w.began)-time.Duration(w.wrote.Load()) >= d
}

// gather takes whoever is waiting already, and waits for nobody.
func (w *writer) gather(first *job) []*job {
	batch := []*job{first}
	for len(batch) < maxBatch {
		select {
		case j := <-w.jobs:
			batch = append(batch, j)
		default:
			return batch
		}
	}
	return batch
}

// commit runs a batch in one transaction. Whatever goes wrong with the
// transaction itself is every job's error: none of them is told yes.
func (w *writer) commit(batch []*job) {
	failed := make([]error, len(batch))
	err := w.health()
	if err == nil {
		err = w.transact(batch, failed)
	}
	if full(err) && w.space.release() {
		// What is new among the jobs is refused this time, for want of a ballast.
		w.makeRoom()
		clear(failed)
		err = w.transact(batch, failed)
	}
	w.wrote.Store(int64(time.Since(w.began)))
	if err != nil {
		err = fmt.Errorf("%w: %w", receipt.ErrStorage, err)
		if fatal(err) {
			w.fail(err)
		}
	}
	var all []touched
	for n, j := range batch {
		if failed[n] == nil && err == nil {
			all = append(all, j.touched...)
		}
	}
	if len(all) > 0 {
		w.publish(all)
	}
	for n, j := range batch {
		if failed[n] == nil {
			failed[n] = err
		}
		j.done <- failed[n]
	}
}

// makeRoom puts the log away, whose file then is as short as it can be. Where
// that fails, what was written is in the log as before.
func (w *writer) makeRoom() {
	if w.connect() != nil {
		return
	}
	if _, err := w.conn.ExecContext(context.Background(), `PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		w.disconnect()
	}
}

func (w *writer) transact(batch []*job, failed []error) (err error) {
	if err := w.connect(); err != nil {
		return err
	}
	t := &tx{w: w, now: w.now()}
	if _, err := t.run(`BEGIN IMMEDIATE`); err != nil {
		w.disconnect()
		return fmt.Errorf("begin: %w", err)
	}
	committed := false
	defer func() {
		if !committed {
			w.undo(err)
		}
	}()
	wrote := false
	for n, j := range batch {
		// Alone in its transaction, a failed job is undone by the rollback.
		alone := len(batch) == 1
		if !alone {
			if _, err := t.run(`SAVEPOINT job`); err != nil {
				return fmt.Errorf("open a savepoint: %w", err)
			}
		}
		t.touched = nil
		if failed[n] = j.do(t); failed[n] != nil && storage(failed[n]) {
			err := failed[n]
			failed[n] = nil // gets the batch's error, like all the others
			return err
		}
		switch {
		case failed[n] == nil:
			j.touched, wrote = t.touched, true
		case !alone:
			if _, err := t.run(`ROLLBACK TO job`); err != nil {
				return fmt.Errorf("undo one of several: %w", err)
			}
		}
		if !alone {
			if _, err := t.run(`RELEASE job`); err != nil {
				return fmt.Errorf("close a savepoint: %w", err)
			}
		}
	}
	if !wrote {
		return nil
	}
	if _, err := t.run(`COMMIT`); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	committed = true
	return nil
}

// undo rolls back. After an error of SQLite's own nobody knows what the
// connection is still in the middle of, so it is not used again; closing it
// undoes whatever is left.
func (w *writer) undo(cause error) {
	_, err := w.conn.ExecContext(context.Background(), `ROLLBACK`)
	if cause != nil || err != nil {
		w.disconnect()
	}
}

// connect makes the connection, where there is none.
func (w *writer) connect() error {
	if w.conn != nil {
		return nil
	}
	conn, err := w.db.Conn(context.Background())
	if err != nil {
		return fmt.Errorf("connect to write: %w", err)
	}
	// The options that the connection string cannot hold.
	bounds := fmt.Sprintf(`PRAGMA journal_size_limit = %d; PRAGMA wal_autocheckpoint = %d; PRAGMA max_page_count = %d`,
		walLimit, walCheckpoint, w.space.max/pageSize)
	if _, err := conn.ExecContext(context.Background(), bounds); err != nil {
		return errors.Join(fmt.Errorf("bound the journal: %w", err), conn.Close())
	}
	w.conn, w.statements = conn, map[string]*sql.Stmt{}
	return nil
}

// disconnect closes the connection for good instead of giving it back.
func (w *writer) disconnect() {
	if w.conn == nil {
		return
	}
	for _, s := range w.statements {
		s.Close()
	}
	_ = w.conn.Raw(func(any) error { return driver.ErrBadConn })
	w.conn.Close()
	w.conn, w.statements = nil, nil
}

// storage says whether SQLite may have undone the whole transaction by itself
// (https://www.sqlite.org/lang_transaction.html), so that nobody in it may be
// told yes.
func storage(err error) bool {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Code != sqlite3.ErrConstraint
}

// fatal says whether the file or the disk can no longer be trusted: a failed
// sync must not be tried again (reliability.md B2). A full disk is not fatal.
func fatal(err error) bool {
	var e sqlite3.Error
	if full(err) || !errors.As(err, &e) {
		return false
	}
	return unreadable(err) || e.Code == sqlite3.ErrReadonly || e.Code == sqlite3.ErrCantOpen
}

// unreadable says whether the file or the disk failed in reading.
func unreadable(err error) bool {
	var e sqlite3.Error
	return damaged(err) || errors.As(err, &e) && e.Code == sqlite3.ErrIoErr
}

// full says whether there is no room on the disk; the log's index cannot grow
// then either, and says so in its own way.
func full(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && (e.Code == sqlite3.ErrFull || e.ExtendedCode == sqlite3.ErrIoErrSHMSize)
}

// prepared gives the statement for the query, made once per connection.
func (w *writer) prepared(query string) (*sql.Stmt, error) {
	if s, ok := w.statements[query]; ok {
		return s, nil
	}
	s, err := w.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	w.statements[query] = s
	return s, nil
}
