// Package journal keeps the agent's receipts in one SQLite file, and is the
// only door to it.
//
// What it promises: whoever gets an answer from Accept finds the receipt here
// after any crash or power cut, since the answer comes after a commit that was
// synced to the disk (WAL, synchronous FULL). What happened is only ever added
// to; the schema refuses a second attempt without proof that the first made
// nothing. See schema/.
//
// Writes go through one goroutine that puts whatever is waiting into one
// transaction (writer.go); reads have connections of their own and see only
// what is committed. No write transaction takes a context: a cancelled one
// would turn the rest of it into single commits (reliability.md A2).
package journal

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	_ "github.com/mattn/go-sqlite3" // this package is its only door

	"ekassa/agent/durable"
	"ekassa/agent/receipt"
)

const (
	fileName = "journal.db"
	lockName = "agent.lock"
	// runningName stands in the folder while an agent runs, so that the next
	// start knows whether the last stop was a clean one.
	runningName = "agent.running"

	// applicationID marks a file as ours: "ekas".
	applicationID = 0x656b6173
	// pageSize is SQLite's smallest, since a receipt's journey is many small
	// commits and each writes whole pages.
	pageSize = 512
	// walCheckpoint is the pages in the write-ahead log, some 4 MB, after which
	// they go into the database; by then many have been written over.
	walCheckpoint = 8000
	// walLimit bounds the write-ahead log that stays on disk.
	walLimit = 8 << 20
)

// ErrInUse: another agent runs on this journal.
var ErrInUse = errors.New("another agent is running on it")

// errNotOurs: the file is not a journal of this program.
var errNotOurs = errors.New("not a journal of this program")

// Options of a journal. What is zero is worked out from the disk's size.
type Options struct {
	Ballast  int64 // bytes given back to a full disk, so that what was accepted is finished
	LowWater int64 // bytes free, beside the ballast; below them nothing new is accepted
	MaxSize  int64 // bytes that the database may have; nothing new is accepted a low-water mark before
}

// Journal is an open journal. Its methods may be called from any goroutine.
type Journal struct {
	dir      string
	now      func() time.Time
	lock     *flock.Flock
	space    *space
	write    *sql.DB // one connection
	read     *sql.DB
	writer   *writer
	watches  watches
	epoch    int64
	lost     time.Time // what a till closed before this, an earlier journal may have had; zero: there was none
	salvaged string    // what became of the journal that was damaged at this start
	unclean  bool
	close    sync.Once
}

// Open opens or creates the journal in dir, brings its schema up to date, and
// checks that the file keeps its promises. The folder's parent must exist. A
// damaged journal is moved aside whole, and what can be read of it is taken
// over into a new epoch: see Salvaged. On a full disk it opens all the same,
// takes nothing new and finishes what was accepted.
func Open(dir string, now func() time.Time) (*Journal, error) { return OpenWith(dir, now, Options{}) }

// OpenWith is Open with other bounds.
func OpenWith(dir string, now func() time.Time, o Options) (*Journal, error) {
	j := &Journal{dir: dir, now: now}
	if err := j.open(o); err != nil {
		return nil, errors.Join(fmt.Errorf("open journal in %s: %w", dir, err), j.release())
	}
	return j, nil
}

func (j *Journal) open(o Options) (err error) {
	if j.lock, err = hold(j.dir); err != nil {
		return err
	}
	if j.space, err = newSpace(j.dir, o); err != nil {
		return err
	}
	if err := j.space.prepare(); err != nil {
		return err
	}
	if err := finishReplacing(j.dir); err != nil {
		return fmt.Errorf("finish what was begun with the journal: %w", err)
	}
	if err = j.start(); damaged(err) {
		if err = errors.Join(j.disconnect(), j.salvage(err)); err == nil {
			err = j.start()
		}
	}
	if err != nil {
		return err
	}
	if err := mark(j.path(runningName), strconv.Itoa(os.Getpid())); err != nil {
		return fmt.Errorf("mark the journal as in use: %w", err)
	}
	if err := j.space.refillFirst(); err != nil {
		return err
	}
	j.writer, err = startWriter(j.write, j.now, j.watches.publish, j.space)
	return err
}

func (j *Journal) path(name string) string { return filepath.Join(j.dir, name) }

// hold makes the folder, where there is none, and keeps others out of it.
func hold(dir string) (*flock.Flock, error) {
	switch err := os.Mkdir(dir, 0o700); {
	case err == nil:
		if err := syncFolder(dir); err != nil {
			return nil, fmt.Errorf("make the folder: %w", err)
		}
	case !errors.Is(err, os.ErrExist):
		return nil, fmt.Errorf("make the folder: %w", bare(err))
	}
	lock := flock.New(filepath.Join(dir, lockName), flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
	held, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the folder: %w; make it writable for the agent's user", bare(err))
	}
	if !held {
		return nil, fmt.Errorf("%w; stop that one first, or give this one a data_dir of its own", ErrInUse)
	}
	return lock, nil
}

// start opens the database, and looks for damage where the last stop was not a
// clean one, before anything is written to it.
func (j *Journal) start() error {
	path, cause := j.path(fileName), causeNew
	suspect, err := os.ReadFile(j.path(runningName))
	switch {
	case err == nil:
		j.unclean = true
	case !errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("read how the last run ended: %w", bare(err))
	}
	used := j.unclean || j.space.kept() // an agent has worked in this folder
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if err := create(path); err != nil {
			return fmt.Errorf("create %s: %w", fileName, err)
		}
		if used {
			cause = causeLost
		}
	} else if err := ours(path); errors.Is(err, errNotOurs) && used {
		return fmt.Errorf("%w (%w)", errDamaged, err)
	} else if err != nil {
		return fmt.Errorf("%w; move it away", err)
	} else if j.unclean {
		checks := quickCheck
		if strings.HasPrefix(string(suspect), suspected) {
			checks = fullCheck
		}
		if err := checkFile(path, checks...); err != nil {
			return err
		}
	}
	if j.write, err = connect(path, "rwc", 1); err != nil {
		return err
	}
	if err := j.verify(); err != nil {
		return err
	}
	if err := migrate(j.write, j.now(), cause); err != nil {
		return err
	}
	if j.read, err = connect(path, "ro", 4); err != nil {
		return err
	}
	var began int64
	if err := j.read.QueryRow(`SELECT number, cause, began_at FROM epoch ORDER BY number DESC LIMIT 1`).Scan(&j.epoch, &cause, &began); err != nil {
		return fmt.Errorf("read the epoch: %w", err)
	}
	if cause != causeNew {
		j.lost = moment(began).Add(clocksDiffer)
	}
	return nil
}

// create makes an empty database with our page size, which cannot be changed
// once it is in WAL mode. It gets its name when it is complete: a crash in here
// leaves nothing that the next start would stumble over.
func create(path string) error {
	if _, err := os.Stat(path + "-wal"); err == nil {
		// SQLite would play it back into the new one.
		return fmt.Errorf("%s-wal is here and its database is not; put them together again, or move it away", fileName)
	}
	draft := path + ".new"
	if err := errors.Join(absent(draft), absent(draft+"-journal")); err != nil {
		return err
	}
	db, err := sql.Open("sqlite3", "file:"+escape(draft)+"?mode=rwc&_journal_mode=DELETE&_synchronous=EXTRA")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	_, err = db.Exec(fmt.Sprintf(`PRAGMA page_size = %d; PRAGMA application_id = %d`, pageSize, applicationID))
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	if err := os.Chmod(draft, 0o600); err != nil {
		return err
	}
	if err := os.Rename(draft, path); err != nil {
		return err
	}
	return syncFolder(path)
}

func absent(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// ours says whether the file is a journal, before SQLite touches it: opening
// another program's database would already change it.
func ours(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open %s: %w", filepath.Base(path), bare(err))
	}
	defer f.Close()
	var header [100]byte // https://www.sqlite.org/fileformat.html#the_database_header
	if _, err := io.ReadFull(f, header[:]); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("read %s: %w", filepath.Base(path), bare(err))
	}
	if !bytes.HasPrefix(header[:], []byte("SQLite format 3\x00")) || binary.BigEndian.Uint32(header[68:]) != applicationID {
		return fmt.Errorf("%s is %w", filepath.Base(path), errNotOurs)
	}
	return nil
}

// connect opens a pool. All options stand in the connection string: a PRAGMA
// sent later would reach one connection of the pool only.
func connect(path, mode string, most int) (*sql.DB, error) {
	options := url.Values{}
	options.Set("mode", mode)
	options.Set("_busy_timeout", "5000")
	options.Set("_foreign_keys", "on")
	options.Set("_synchronous", synchronous)
	options.Set("_cache_size", "-1024")      // KiB for each connection
	options.Set("_recursive_triggers", "on") // so that REPLACE cannot delete past the schema's triggers
	options.Set("_stmt_cache_size", "32")    // statements for each connection
	if mode == "ro" {
		options.Set("_query_only", "on")
	} else {
		options.Set("_txlock", "immediate")
		options.Set("_journal_mode", "WAL")
	}
	db, err := sql.Open("sqlite3", "file:"+escape(path)+"?"+options.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	if err := db.Ping(); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", filepath.Base(path), err), db.Close())
	}
	return db, nil
}

// escape makes a path safe inside a file: URI.
func escape(path string) string { return (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath() }

// verify reads back what the promises rest on.
func (j *Journal) verify() error {
	for _, p := range []struct{ name, want string }{
		{"synchronous", synchronousReads}, {"journal_mode", "wal"}, {"foreign_keys", "1"},
	} {
		var got string
		if err := j.write.QueryRow(`PRAGMA ` + p.name).Scan(&got); err != nil {
			return fmt.Errorf("read PRAGMA %s: %w", p.name, err)
		}
		if got != p.want {
			return fmt.Errorf("PRAGMA %s is %s and not %s: this journal would not survive a power cut", p.name, got, p.want)
		}
	}
	var version string
	if err := j.write.QueryRow(`SELECT sqlite_version()`).Scan(&version); err != nil {
		return fmt.Errorf("read SQLite's version: %w", err)
	}
	// Older ones may corrupt a WAL database (https://www.sqlite.org/wal.html#walresetbug).
	if older(version, "3.51.3") {
		return fmt.Errorf("SQLite %s is too old to be safe, at least 3.51.3 is needed", version)
	}
	return nil
}

func older(version, than string) bool {
	a, b := strings.Split(version, "."), strings.Split(than, ".")
	for n := range b {
		x, y := 0, 0
		if n < len(a) {
			x, _ = strconv.Atoi(a[n])
		}
		y, _ = strconv.Atoi(b[n])
		if x != y {
			return x < y
		}
	}
	return false
}

// Epoch of this journal: it rises with a new or restored one.
func (j *Journal) Epoch() int64 { return j.epoch }

// Salvaged tells, in words for the log, what became of a journal that was
// damaged at this start; "" where it was not.
func (j *Journal) Salvaged() string { return j.salvaged }

// Unclean says whether the last run ended without closing.
func (j *Journal) Unclean() bool { return j.unclean }

// Done is closed when the journal can no longer be trusted to write: the
// process must end, and the next start checks. Health then gives the cause.
func (j *Journal) Done() <-chan struct{} { return j.writer.failed }

// Health is nil while the journal takes writes.
func (j *Journal) Health() error { return j.writer.health() }

// Alive returns once the writer has taken part in a commit that changes nothing;
// an error means that it cannot. A card may stall for seconds.
func (j *Journal) Alive() error { return j.writer.do(func(*tx) error { return nil }) }

// Close finishes what was begun and closes the file.
func (j *Journal) Close() error {
	var err error
	j.close.Do(func() {
		switch failed := j.writer.stop(); {
		case failed == nil:
			// Leaves no log behind; where it cannot, the next start replays it.
			_, _ = j.write.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`)
			err = os.Remove(j.path(runningName))
		case damaged(failed):
			err = mark(j.path(runningName), suspected)
		}
		err = errors.Join(err, j.release())
	})
	return err
}

func (j *Journal) release() error {
	err := j.disconnect()
	if j.lock != nil {
		err = errors.Join(err, j.lock.Unlock())
	}
	return err
}

// disconnect closes the database. The last connection to go plays the log back
// into it, which one that may only read does not do: of a file that cannot be
// trusted nothing is changed any more.
func (j *Journal) disconnect() error {
	pools := []*sql.DB{j.read, j.write}
	if j.writer == nil || j.writer.health() != nil {
		slices.Reverse(pools)
	}
	var err error
	for _, p := range pools {
		if p != nil {
			err = errors.Join(err, p.Close())
		}
	}
	return err
}

// suspected is what the mark of a run says that has met damage.
const suspected = "damaged"

// mark leaves a file that says that an agent is running, on the disk for sure.
func mark(path, text string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return bare(err)
	}
	_, err = fmt.Fprintln(f, text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return syncFolder(path)
}

// syncFolder makes what was created, renamed or removed beside a file last.
func syncFolder(path string) error { return bare(durable.SyncFolder(filepath.Dir(path))) }

// bare drops the path that the caller's message has already.
func bare(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// readTx runs a query inside one snapshot. A file that cannot be read is no
// better for the next write: the journal ends, and the next start looks.
func (j *Journal) readTx(f func(q queryer) error) error {
	tx, err := j.read.BeginTx(context.Background(), nil)
	if err != nil {
		err = fmt.Errorf("read the journal: %w", err)
	} else {
		defer tx.Rollback() // nothing to lose: it only read
		err = f(tx)
	}
	if unreadable(err) {
		err = fmt.Errorf("%w: %w", receipt.ErrStorage, err)
		j.writer.fail(err)
	}
	return err
}

// queryer is what both kinds of transaction can do.
type queryer interface {
	Query(query string, args ...any) (*sql.Rows, error)
	QueryRow(query string, args ...any) *sql.Row
}

func millis(t time.Time) int64 { return t.UnixMilli() }

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
