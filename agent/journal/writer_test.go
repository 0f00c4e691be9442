package journal

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// onConnection runs f on the connection that writes.
func onConnection(t *testing.T, j *Journal, f func(c *sqlite3.SQLiteConn)) {
	t.Helper()
	err := j.writer.do(func(tx *tx) error {
		return tx.w.conn.Raw(func(c any) error { f(c.(*sqlite3.SQLiteConn)); return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAccept_ManyShareOneCommit(t *testing.T) {
	const tills, each = 64, 50
	j := fresh(t)
	var commits atomic.Int64
	onConnection(t, j, func(c *sqlite3.SQLiteConn) {
		c.RegisterCommitHook(func() int { commits.Add(1); return 0 })
	})
	commits.Store(0)
	var all sync.WaitGroup
	for g := range tills {
		all.Go(func() {
			for n := range each {
				id := fmt.Sprintf("r-%d-%d", g, n)
				r, f := decode(t, body(id, "sale", ""))
				if _, isNew, err := j.Accept("till-1", "kassa-1", r, f); err != nil || !isNew {
					t.Errorf("%s: %v", id, err)
				}
				// Told yes: it is there for whoever asks, and on the disk.
				if n%10 != 0 {
					continue
				}
				if s, err := j.Get("till-1", id); err != nil || s.State != receipt.Waiting {
					t.Errorf("%s: %v", id, err)
				}
			}
		})
	}
	all.Wait()
	n := commits.Load()
	t.Logf("%d receipts in %d commits", tills*each, n)
	if n == 0 || n > tills*each/4 {
		t.Errorf("%d receipts took %d commits", tills*each, n)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, j.dir)
	if n := count(t, j, `SELECT count(*) FROM receipt`); n != tills*each {
		t.Errorf("%d are there", n)
	}
	if n, most := count(t, j, `SELECT count(*) FROM record`), count(t, j, `SELECT max(seq) FROM record`); n != tills*each || most != n {
		t.Errorf("%d records, up to %d", n, most)
	}
}

func TestAccept_SaysYesOnlyAfterTheCommit(t *testing.T) {
	j := fresh(t)
	commit, committing := make(chan struct{}), make(chan struct{}, 8)
	var armed atomic.Bool
	onConnection(t, j, func(c *sqlite3.SQLiteConn) {
		c.RegisterCommitHook(func() int {
			if armed.Load() {
				committing <- struct{}{}
				<-commit
			}
			return 0
		})
	})
	armed.Store(true)
	changed, stop := j.Watch("till-1", "r1")
	defer stop()
	r, f := decode(t, body("r1", "sale", ""))
	done := make(chan error, 1)
	go func() { _, _, err := j.Accept("till-1", "", r, f); done <- err }()
	<-committing
	select {
	case err := <-done:
		t.Fatalf("answered %v before the commit", err)
	case <-changed:
		t.Fatal("watchers were told before the commit")
	default:
	}
	if _, err := j.Get("till-1", "r1"); !errors.Is(err, receipt.ErrNotFound) {
		t.Errorf("it is seen before the commit: %v", err)
	}
	close(commit)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	<-changed
	get(t, j, "r1", receipt.Waiting)
}

func TestAccept_AFailedCommitIsNobodysYes(t *testing.T) {
	j := fresh(t)
	before := dump(t, j)
	var armed atomic.Int32
	onConnection(t, j, func(c *sqlite3.SQLiteConn) { c.RegisterCommitHook(func() int { return int(armed.Load()) }) })
	armed.Store(1)
	changed, stop := j.Watch("till-1", "")
	defer stop()
	r, f := decode(t, body("r1", "sale", ""))
	s, isNew, err := j.Accept("till-1", "kassa-1", r, f)
	if err == nil || isNew || s.ID != "" {
		t.Errorf("got %+v, %v, %v", s, isNew, err)
	}
	wantErr(t, "a commit that failed", err, receipt.ErrStorage)
	select {
	case <-changed:
		t.Error("watchers were told")
	default:
	}
	if dump(t, j) != before {
		t.Error("something stayed")
	}
	sale(t, j, "r1") // on a new connection, without the hook
}

// together runs jobs in one batch: they queue up behind a first one.
func together(j *Journal, jobs ...func(*tx) error) []error {
	errs := make([]error, len(jobs))
	block := make(chan struct{})
	var all sync.WaitGroup
	inside := make(chan struct{})
	all.Go(func() { _ = j.writer.do(func(*tx) error { close(inside); <-block; return nil }) })
	<-inside
	var queued sync.WaitGroup
	for n, f := range jobs {
		queued.Add(1)
		all.Go(func() { queued.Done(); errs[n] = j.writer.do(f) })
	}
	queued.Wait()
	close(block)
	all.Wait()
	return errs
}

func addPairing(name string) func(*tx) error {
	return func(t *tx) error {
		_, err := t.run(`INSERT INTO pairing (register, serial, address, paired_at) VALUES (?, '', '', 0)`, name)
		return err
	}
}

func TestWriter_ABadJobUndoesOnlyItself(t *testing.T) {
	j := fresh(t)
	bad := errors.New("bad")
	for round := range 20 {
		name := func(s string) string { return fmt.Sprint(s, round) }
		errs := together(j,
			addPairing(name("a")),
			func(t *tx) error { _ = addPairing(name("b"))(t); return bad },
			func(t *tx) error { // of SQLite's own, but of this statement alone
				_ = addPairing(name("c"))(t)
				return addPairing(name("c"))(t)
			},
			addPairing(name("d")),
		)
		if errs[0] != nil || errs[3] != nil || !errors.Is(errs[1], bad) || errs[2] == nil || errors.Is(errs[2], receipt.ErrStorage) {
			t.Fatal(errs)
		}
		if n := count(t, j, `SELECT count(*) FROM pairing`); n != 2*(round+1) {
			t.Fatalf("%d are there after round %d", n, round)
		}
	}
}

func TestWriter_AnErrorOfTheDiskIsEverybodys(t *testing.T) {
	j := fresh(t)
	for round := range 20 {
		errs := together(j,
			addPairing("a"),
			func(t *tx) error { return fmt.Errorf("write: %w", sqlite3.Error{Code: sqlite3.ErrFull}) },
			addPairing("b"),
		)
		if !errors.Is(errs[1], receipt.ErrStorage) {
			t.Fatal(errs)
		}
		// Whoever shared its batch was told no and is not there; the others are.
		want := 0
		for _, n := range []int{0, 2} {
			if errs[n] == nil {
				want++
			} else if !errors.Is(errs[n], receipt.ErrStorage) {
				t.Fatal(errs)
			}
		}
		if n := count(t, j, `SELECT count(*) FROM pairing`); n != want {
			t.Fatalf("round %d: %d are there, %d were told yes", round, n, want)
		}
		if err := j.writer.do(func(t *tx) error { _, err := t.run(`DELETE FROM pairing`); return err }); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWriter_GoesOnWhenItsConnectionIsLost(t *testing.T) {
	j := fresh(t)
	sale(t, j, "r1")
	j.writer.do(func(tx *tx) error { return tx.w.conn.Close() })
	r, f := decode(t, body("r2", "sale", ""))
	if _, _, err := j.Accept("till-1", "kassa-1", r, f); err != nil {
		wantErr(t, "on a lost connection", err, receipt.ErrStorage)
		sale(t, j, "r2")
	}
	// And when there is no new one to be had for a while.
	if err := j.writer.do(func(*tx) error { return sqlite3.Error{Code: sqlite3.ErrFull} }); err == nil {
		t.Fatal("no error")
	}
	taken, err := j.write.Conn(context.Background()) // the pool has one
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() { answered <- j.Hold(1, receipt.Reason{Code: "x"}) }()
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	j.write.Close()
	if err := j.writer.do(func(*tx) error { return sqlite3.Error{Code: sqlite3.ErrFull} }); err == nil {
		t.Fatal("no error")
	}
	for range 3 { // it must say so, and neither hang nor panic
		wantErr(t, "without any connection", j.Hold(1, receipt.Reason{}), receipt.ErrStorage)
	}
}

func TestWriter_StopsForGoodWhenTheDiskCannotBeTrusted(t *testing.T) {
	for _, code := range []sqlite3.ErrNo{sqlite3.ErrIoErr, sqlite3.ErrCorrupt, sqlite3.ErrNotADB, sqlite3.ErrReadonly, sqlite3.ErrCantOpen} {
		j, err := Open(filepath.Join(t.TempDir(), "data"), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		sale(t, j, "r1")
		// Many callers: in the batch, queued behind it, and later ones. All get an answer.
		const callers = 200
		var yes, no atomic.Int64
		var all sync.WaitGroup
		for n := range callers {
			all.Go(func() {
				var err error
				if n == callers/2 {
					err = j.writer.do(func(*tx) error { return sqlite3.Error{Code: code} })
				} else {
					r, f := decode(t, body(fmt.Sprint("x", n), "sale", ""))
					_, _, err = j.Accept("till-1", "kassa-1", r, f)
				}
				if err == nil {
					yes.Add(1)
				} else if errors.Is(err, receipt.ErrStorage) {
					no.Add(1)
				} else {
					t.Errorf("got %v, want ErrStorage", err)
				}
			})
		}
		all.Wait()
		<-j.Done()
		if j.Health() == nil || no.Load() == 0 {
			t.Errorf("%v: it says it is well", code)
		}
		if n := count(t, j, `SELECT count(*) FROM receipt`); n != int(yes.Load())+1 {
			t.Errorf("%d receipts are there, %d were told yes", n, yes.Load()+1)
		}
		wantErr(t, "later", j.Hold(1, receipt.Reason{}), receipt.ErrStorage)
		if err := j.Close(); err != nil {
			t.Error(err)
		}
		k := open(t, j.dir)
		if !k.Unclean() {
			t.Error("the next start does not check")
		}
	}
}

func TestJournal_AfterCloseEverythingFails(t *testing.T) {
	j := fresh(t)
	s := sale(t, j, "r1")
	a := attempt(s)
	r, f := decode(t, body("r2", "sale", ""))
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"Accept":       func() error { _, _, err := j.Accept("till-1", "kassa-1", r, f); return err },
		"Get":          func() error { _, err := j.Get("till-1", "r1"); return err },
		"List":         func() error { _, err := j.List(receipt.Filter{}); return err },
		"Queue":        func() error { _, err := j.Queue("kassa-1"); return err },
		"Unbound":      func() error { _, err := j.Unbound("till-1"); return err },
		"Next":         func() error { _, _, err := j.Next("kassa-1"); return err },
		"Unfinished":   func() error { _, _, err := j.Unfinished("kassa-1"); return err },
		"Unprinted":    func() error { _, err := j.Unprinted("kassa-1"); return err },
		"Registers":    func() error { _, err := j.Registers(); return err },
		"Begin":        func() error { return j.Begin(a) },
		"Conclude":     func() error { return j.Conclude(a, made("f")) },
		"Observe":      func() error { return j.Observe(a, "") },
		"Hold":         func() error { return j.Hold(1, receipt.Reason{}) },
		"Printed":      func() error { return j.Printed(1) },
		"Bind":         func() error { _, err := j.Bind("till-1", "kassa-2"); return err },
		"Retry":        func() error { _, err := j.Retry("till-1", "r1", "", "x"); return err },
		"Fiscalise":    func() error { _, err := j.Fiscalise("till-1", "r1", "", "x"); return err },
		"Withdraw":     func() error { _, err := j.Withdraw("till-1", "r1", "x", "y"); return err },
		"Resolve":      func() error { _, err := j.Resolve("till-1", "r1", at(""), receipt.Decision{}); return err },
		"SaveReport":   func() error { return j.SaveReport(register.Reported{Kind: "x"}) },
		"ShiftOpened":  func() error { return j.ShiftOpened("kassa-1", register.Seen{Name: "7"}) },
		"ShiftOpening": func() error { return j.ShiftOpening("kassa-1", "x") },
		"ShiftClosing": func() error { return j.ShiftClosing("kassa-1", "x") },
		"ShiftClosed":  func() error { _, err := j.ShiftClosed(register.Reported{Register: "kassa-1"}); return err },
		"Alert":        func() error { return j.Alert("kassa-1", "x", "") },
		"Pairing":      func() error { _, _, err := j.Pairing("kassa-1"); return err },
		"Pair":         func() error { return j.Pair("kassa-1", "AZ-1", "") },
		"Identify":     func() error { return j.Identify("kassa-1", register.Identity{}) },
		"Identity":     func() error { _, err := j.Identity("kassa-1"); return err },
		"Changes":      func() error { _, err := j.Changes("", 0, 10); return err },
		"LastChange":   func() error { _, err := j.LastChange(); return err },
	} {
		if err := call(); err == nil || errors.Is(err, receipt.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, stop := j.Watch("till-1", "")
	stop()
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

func TestClose_AnswersWhoeverIsWaiting(t *testing.T) {
	for range 20 {
		j := fresh(t)
		var yes atomic.Int64
		var all sync.WaitGroup
		start := make(chan struct{})
		for n := range 50 {
			r, f := decode(t, body(fmt.Sprint("r", n), "sale", ""))
			all.Go(func() {
				<-start
				if _, _, err := j.Accept("till-1", "kassa-1", r, f); err == nil {
					yes.Add(1)
				} else if !errors.Is(err, receipt.ErrStorage) {
					t.Error(err)
				}
			})
		}
		all.Go(func() { <-start; j.Close() })
		close(start)
		all.Wait()
		k := open(t, j.dir)
		if n := count(t, k, `SELECT count(*) FROM receipt`); n != int(yes.Load()) {
			t.Errorf("%d are there, %d were told yes", n, yes.Load())
		}
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
