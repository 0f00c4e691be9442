package journal

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ekassa/agent/durable"
	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// A journal is replaced in steps that a crash may cut anywhere. The new one is
// made whole beside it; then a note names the folder into which the old one
// goes, and from there on the next start does what is left to do.
const (
	nextName = fileName + ".next" // the new one
	noteName = "journal.replacing"
)

// clocksDiffer: a till's clock may be ahead of ours by this much when it is said
// to have closed a receipt before a journal was lost.
const clocksDiffer = 2 * time.Minute

// replace puts the new journal in the place of the old one, which stands whole
// in the folder of that name afterwards.
func replace(dir, folder string) error {
	next := filepath.Join(dir, nextName)
	if err := syncFile(next); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
		return fmt.Errorf("make the folder for the old journal: %w", err)
	}
	if err := durable.GiveToOwner(dir, next, filepath.Join(dir, folder)); err != nil {
		return fmt.Errorf("give the new journal to the folder's owner: %w", err)
	}
	if err := syncFolder(filepath.Join(dir, folder)); err != nil {
		return err
	}
	if err := mark(filepath.Join(dir, noteName), folder); err != nil {
		return fmt.Errorf("note that the journal is being replaced: %w", err)
	}
	return finishReplacing(dir)
}

// finishReplacing does what is left to do of it. The new database has no log
// before the note is gone, so that one that is there is the old one's.
func finishReplacing(dir string) error {
	note := filepath.Join(dir, noteName)
	text, err := os.ReadFile(note)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read %s: %w", noteName, bare(err))
	}
	folder, whole := strings.CutSuffix(string(text), "\n")
	if info, err := os.Stat(filepath.Join(dir, folder)); !whole || folder == "" || err != nil || !info.IsDir() {
		// Nothing was moved yet, since the note is not there, or torn: a draft is
		// made anew.
		return errors.Join(absent(note), draftsAbsent(dir))
	}
	for _, name := range []string{fileName, fileName + "-wal", fileName + "-shm"} {
		from, to := filepath.Join(dir, name), filepath.Join(dir, folder, name)
		if _, err := os.Lstat(to); err == nil {
			continue // and what is there now is the new one
		}
		if err := os.Rename(from, to); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("move the old journal away: %w", err)
		}
	}
	if err := syncFolder(filepath.Join(dir, folder, fileName)); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(dir, nextName), filepath.Join(dir, fileName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("put the new journal in its place: %w", err)
	}
	if err := syncFolder(note); err != nil {
		return err
	}
	return errors.Join(absent(note), syncFolder(note))
}

func draftsAbsent(dir string) error {
	var err error
	for _, end := range []string{"", "-journal", ".new", ".new-journal"} {
		err = errors.Join(err, absent(filepath.Join(dir, nextName+end)))
	}
	return err
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close(), syncFolder(path))
}

// aside names a folder for a journal that is moved away.
func aside(why string, now time.Time) string {
	return why + "-" + now.UTC().Format("20060102T150405.000Z")
}

// openDraft opens a database that nobody else sees before it is complete and
// synced; a crash leaves nothing of it.
func openDraft(path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite3", "file:"+escape(path)+"?mode=rw&_journal_mode=DELETE&_synchronous=OFF&_foreign_keys=off&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(`PRAGMA temp_store = MEMORY`); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", filepath.Base(path), err), db.Close())
	}
	return db, nil
}

// past is what the new epoch must be above.
type past struct {
	epoch, records int64
	written        time.Time // when the old journal was last written to; zero: not known
}

// pastOf reads what it can of the journal that is being replaced.
func pastOf(dir string) (p past) {
	for _, name := range []string{fileName, fileName + "-wal"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.ModTime().After(p.written) {
			p.written = info.ModTime()
		}
	}
	db, err := connect(filepath.Join(dir, fileName), "ro", 1)
	if err != nil {
		return p
	}
	defer db.Close()
	// What cannot be read stays zero.
	_ = db.QueryRow(`SELECT max(number) FROM epoch`).Scan(&p.epoch)
	_ = db.QueryRow(`SELECT coalesce(max(seq), 0) FROM record`).Scan(&p.records)
	return p
}

// bound leaves out numbers that only damage can have made.
func (p past) bound() past {
	const far = 1 << 40
	if p.epoch > far || p.epoch < 0 {
		p.epoch = 0
	}
	if p.records > far || p.records < 0 {
		p.records = 0
	}
	return p
}

// beginEpoch makes a draft the journal of a new epoch: what waits may have been
// sent since, or told yes by the journal that is gone, so a person looks first.
// What was on its way is asked about as after any stop. Foreign documents are
// counted anew at the first look: among them are ours that are lost.
func beginEpoch(tx *sql.Tx, cause string, p past, now time.Time, detail string) (held int64, err error) {
	// Our clock may be behind after a power cut, the old journal's last moment
	// is not before what it told yes; but a clock that was wrong for a while must
	// not hold back everything for years.
	began := now
	if p.written.After(began) && p.written.Before(now.Add(24*time.Hour)) {
		began = p.written
	}
	if err := tx.QueryRow(`SELECT max(?, coalesce(max(number), 0)), max(?, (SELECT coalesce(max(seq), 0) FROM record)) FROM epoch`,
		p.epoch, p.records).Scan(&p.epoch, &p.records); err != nil {
		return 0, err
	}
	if err := insertEpoch(tx, p.epoch, began, cause); err != nil {
		return 0, err
	}
	run := func(query string, args ...any) {
		if err == nil {
			_, err = tx.Exec(query, args...)
		}
	}
	run(`UPDATE epoch SET records_before = ? WHERE number = (SELECT max(number) FROM epoch)`, p.records)
	// The numbers go on where the old journal's ended: what watches them here
	// misses nothing.
	run(`INSERT INTO record (seq, at, type, state, reason, detail) VALUES (?, ?, 'alert', 'journal', ?, ?)`,
		p.records+1, millis(now), cause, detail)
	run(`CREATE TEMP TABLE suspect AS SELECT seq, state IN ('waiting', 'sending', 'checking') AS new FROM life
		WHERE state IN ('waiting', 'held', 'refused')`)
	run(`UPDATE life SET state = iif(state = 'waiting', 'held', state), reason = ?, reason_detail = trim(reason || ' ' || reason_detail), changed_at = ?
		WHERE seq IN (SELECT seq FROM suspect)`, register.WhyJournalLost, millis(now))
	run(`INSERT INTO record (at, type, receipt, state, reason, detail, register, attempts)
		SELECT ?, iif(r.kind IN (?, ?), 'cash', 'receipt'), seq, l.state, l.reason, l.reason_detail, coalesce(l.register, ''), l.attempts
		FROM suspect JOIN life l USING (seq) JOIN receipt r USING (seq) ORDER BY seq`,
		millis(now), receipt.Deposit, receipt.Withdrawal)
	run(`UPDATE pairing SET foreign_shift = '', foreign_documents = 0, unexplained = 0`)
	run(`DELETE FROM doubt`)
	if err == nil {
		err = tx.QueryRow(`SELECT coalesce(sum(new), 0) FROM suspect`).Scan(&held)
	}
	run(`DROP TABLE suspect`)
	return held, err
}

// withoutTriggers changes a draft in ways that the schema forbids a journal in
// use, and puts its triggers back.
func withoutTriggers(db *sql.DB, f func(tx *sql.Tx) error) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing once committed
	names, err := column[string](tx, `SELECT name FROM sqlite_schema WHERE type = 'trigger' ORDER BY name`)
	if err != nil {
		return err
	}
	triggers, err := column[string](tx, `SELECT sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name`)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := tx.Exec(`DROP TRIGGER "` + name + `"`); err != nil {
			return err
		}
	}
	if err := f(tx); err != nil {
		return err
	}
	for _, trigger := range triggers {
		if _, err := tx.Exec(trigger); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// Backup writes a copy of the journal in dir to a new file, as of one moment,
// checked and synced. An agent may run on it meanwhile.
func Backup(dir, out string) error {
	err := backup(filepath.Join(dir, fileName), out)
	if err != nil {
		return fmt.Errorf("back the journal in %s up to %s: %w", dir, out, err)
	}
	return nil
}

func backup(path, out string) (err error) {
	if _, err := os.Lstat(out); !errors.Is(err, os.ErrNotExist) {
		return errors.Join(err, errors.New("it is there already; choose another name"))
	}
	if err := ours(path); errors.Is(err, os.ErrNotExist) {
		return errors.New("there is no journal in it yet; is data_dir in the configuration right, and did the agent ever run?")
	} else if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Dir(out)); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("there is no folder %s; make it, or name another", filepath.Dir(out))
	}
	if err := roomFor(path, filepath.Dir(out)); err != nil {
		return err
	}
	draft := out + ".part"
	f, err := os.OpenFile(draft, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // SQLite writes into an empty one
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, absent(draft))
		}
	}()
	if err := f.Close(); err != nil {
		return err
	}
	if err := vacuumInto(path, draft); err != nil {
		return err
	}
	if err := checkFile(draft, fullCheck...); err != nil {
		return fmt.Errorf("check the copy: %w", err)
	}
	if err := syncFile(draft); err != nil {
		return err
	}
	if err := os.Rename(draft, out); err != nil {
		return err
	}
	return syncFolder(out)
}

func vacuumInto(path, copied string) error {
	db, err := connect(path, "ro", 1)
	if err != nil {
		return err
	}
	_, err = db.Exec(`PRAGMA query_only = off`) // else not even another file is written to; mode=ro stays
	if err == nil {
		_, err = db.Exec(`VACUUM INTO ?`, copied)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("copy the journal: %w", err)
	}
	return nil
}

// roomFor refuses to fill the disk with a copy: an agent may need its room.
func roomFor(path, dir string) error {
	s, err := newSpace(dir, Options{})
	if err != nil {
		return err
	}
	n, err := free(dir)
	if err != nil {
		return err
	}
	var size int64
	for _, name := range []string{path, path + "-wal"} {
		if info, err := os.Stat(name); err == nil {
			size += info.Size()
		}
	}
	if n-size < s.low {
		return fmt.Errorf("the disk of %s has %d MB left, which is not enough for %d MB; use another disk", dir, n/mega, size/mega+1)
	}
	return nil
}

// Restored tells what Restore did.
type Restored struct {
	Kept     string // the folder that has the replaced journal, whole; "" where there was none
	Receipts int64  // in the restored journal
	Held     int64  // of these waited, and are held until a person has looked
}

// Restore puts a backup in the place of the journal in dir. Error: ErrInUse
// where an agent runs. The replaced journal is kept beside it.
func Restore(dir, from string, now time.Time) (r Restored, err error) {
	if r, err = restore(dir, from, now); err != nil {
		return r, fmt.Errorf("restore the journal in %s from %s: %w", dir, from, err)
	}
	return r, nil
}

func restore(dir, from string, now time.Time) (r Restored, err error) {
	lock, err := hold(dir)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	if err := finishReplacing(dir); err != nil {
		return r, err
	}
	if err := ours(from); err != nil {
		return r, fmt.Errorf("%w; name a file that ekassa-agent backup has written", err)
	}
	if err := checkFile(from, fullCheck...); err != nil {
		return r, fmt.Errorf("check the backup: %w; use another one", err)
	}
	if err := roomFor(from, dir); err != nil {
		return r, err
	}
	next := filepath.Join(dir, nextName)
	if err := vacuumInto(from, next); err != nil {
		return r, err
	}
	if err := os.Chmod(next, 0o600); err != nil {
		return r, err
	}
	db, err := openDraft(next)
	if err != nil {
		return r, err
	}
	old := pastOf(dir).bound()
	err = migrate(db, now, causeNew)
	if err == nil {
		err = withoutTriggers(db, func(tx *sql.Tx) error {
			if err := tx.QueryRow(`SELECT count(*) FROM receipt`).Scan(&r.Receipts); err != nil {
				return err
			}
			var err error
			r.Held, err = beginEpoch(tx, causeRestored, old, now, fmt.Sprintf("%d receipts", r.Receipts))
			return err
		})
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return r, err
	}
	folder := aside("replaced", now)
	if err := replace(dir, folder); err != nil {
		return r, err
	}
	if _, err := os.Stat(filepath.Join(dir, folder, fileName)); err == nil {
		r.Kept = filepath.Join(dir, folder)
	} else { // there was nothing to keep
		_ = os.Remove(filepath.Join(dir, folder))
	}
	return r, nil
}
