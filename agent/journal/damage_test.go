package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// unclean leaves the mark of a run that did not end well.
func unclean(t *testing.T, dir, says string) { write(t, filepath.Join(dir, runningName), says) }

// zoo makes a journal with receipts in every state, and closes it.
func zoo(t *testing.T) (dir string, states map[string]receipt.State) {
	t.Helper()
	j := fresh(t)
	states = map[string]receipt.State{}
	for n, s := range []receipt.State{
		receipt.Fiscal, receipt.Waiting, receipt.Refused, receipt.Held, receipt.NonFiscal, receipt.Withdrawn,
		receipt.Fiscal, receipt.Waiting, receipt.Fiscal, receipt.Checking,
	} {
		id := fmt.Sprintf("r%d", n)
		to(t, j, id, s)
		states[id] = s
	}
	if err := j.Pair("kassa-1", "AZ-1", "192.168.1.1:8008"); err != nil {
		t.Fatal(err)
	}
	if err := j.SetForeign("kassa-1", "7", 3); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return j.dir, states
}

// aftermath checks what must hold of a journal that took over another one's.
func aftermath(t *testing.T, j *Journal, before map[string]receipt.State) (kept int) {
	t.Helper()
	for id, was := range before {
		s, err := j.Get("till-1", id)
		if errors.Is(err, receipt.ErrNotFound) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		kept++
		want := was
		if was == receipt.Waiting {
			want = receipt.Held
		}
		if s.State != want && s.State != receipt.Held || s.State == receipt.Fiscal && s.Document == nil {
			t.Errorf("%s was %s and is %s", id, was, s.State)
		}
		if (s.State == receipt.Held || s.State == receipt.Refused) && s.Reason.Code != register.WhyJournalLost {
			t.Errorf("%s is %s: %+v", id, s.State, s.Reason)
		}
	}
	if s, _, err := j.Next("kassa-1"); !errors.Is(err, receipt.ErrNotFound) {
		t.Errorf("%s would be sent", s.ID)
	}
	if shift, n, err := j.Foreign("kassa-1"); shift != "" || n != 0 || err != nil {
		t.Errorf("%d foreign documents in shift %q: the next look must be the first", n, shift)
	}
	if err := check(j.read, fullCheck...); err != nil {
		t.Error(err)
	}
	if n := count(t, j, `SELECT count(*) FROM record, epoch e WHERE e.number = (SELECT max(number) FROM epoch)
		AND seq > records_before AND type = 'alert'`); n != 1 {
		t.Errorf("%d alerts", n)
	}
	if n := count(t, j, `SELECT max(seq) - (SELECT max(records_before) FROM epoch) - count(*) FROM record
		WHERE seq > (SELECT max(records_before) FROM epoch)`); n != 0 {
		t.Errorf("the new epoch's records have %d gaps", n)
	}
	triggers := count(t, j, `SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'`)
	if want := count(t, fresh(t), `SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'`); triggers != want {
		t.Errorf("%d triggers, want %d", triggers, want)
	}
	// Whatever it has, a person can go on with, and so can the loop.
	for id := range before {
		s, err := j.Get("till-1", id)
		if err != nil || s.State != receipt.Held {
			continue
		}
		if s, err = j.Resolve("till-1", id, at(""), receipt.Decision{Verdict: receipt.Send, Who: "Leyla", Why: "no paper"}); err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		if open, a, err := j.Unfinished("kassa-1"); err == nil {
			conclude(t, j, a, made("fiscal-of-"+open.ID))
		}
		if s.Register == "kassa-1" {
			conclude(t, j, begin(t, j, s), made("fiscal-of-"+id+"-at-last"))
		}
	}
	return kept
}

func TestOpen_SalvagesADamagedJournal(t *testing.T) {
	dir, before := zoo(t)
	path := filepath.Join(dir, fileName)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pages, tried, salvaged, kept := len(good)/pageSize, 0, 0, 0
	for page := 0; page < pages; page += 1 + page%5 { // of every kind some
		tried++
		bad := bytes.Clone(good)
		for n := page * pageSize; n < page*pageSize+200; n++ {
			bad[n] ^= 0xff
		}
		here := filepath.Join(t.TempDir(), "data")
		if err := os.Mkdir(here, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(here, fileName), string(bad))
		unclean(t, here, suspected)
		j, err := Open(here, time.Now)
		if err != nil {
			t.Errorf("page %d: %v", page+1, err)
			continue
		}
		if j.Salvaged() == "" { // a page that only holds the rest of a long text has nothing to check
			j.Close()
			continue
		}
		salvaged++
		kept += aftermath(t, j, before)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		folders, err := filepath.Glob(filepath.Join(here, "damaged-*"))
		if err != nil || len(folders) != 1 {
			t.Fatalf("page %d: folders %v, %v", page+1, folders, err)
		}
		if now, err := os.ReadFile(filepath.Join(folders[0], fileName)); err != nil || !bytes.Equal(now, bad) {
			t.Errorf("page %d: the damaged journal was not kept as it was: %v", page+1, err)
		}
		if j = open(t, here); j.Salvaged() != "" {
			t.Errorf("page %d: salvaged again: %s", page+1, j.Salvaged())
		}
		j.Close()
	}
	t.Logf("%d pages, %d salvages, %.1f of %d receipts kept", tried, salvaged, float64(kept)/float64(salvaged), len(before))
	if salvaged < tried/2 || kept < salvaged*len(before)/4 { // half of so small a file is its schema
		t.Errorf("of %d pages %d were noticed, and %d receipts kept", tried, salvaged, kept)
	}
}

// In a large journal one bad page costs the rows on it and nothing else.
func TestSalvage_LosesOnlyWhatIsOnTheBadPage(t *testing.T) {
	j := fresh(t)
	const all = 400
	for n := range all {
		s := sale(t, j, fmt.Sprint("r", n))
		if n%2 == 0 {
			conclude(t, j, begin(t, j, s), made(fmt.Sprint("fiscal-", n)))
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(j.dir, fileName)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(data, []byte(`"id":"r200"`))
	at -= at % pageSize
	for n := at; n < at+100; n++ {
		data[n] ^= 0xff
	}
	write(t, path, string(data))
	unclean(t, j.dir, suspected)
	j = open(t, j.dir)
	kept, fiscal := count(t, j, `SELECT count(*) FROM receipt`), count(t, j, `SELECT count(*) FROM document`)
	t.Logf("kept %d of %d, %d of %d fiscal: %s", kept, all, fiscal, all/2, j.Salvaged())
	if j.Salvaged() == "" || kept < all-20 || fiscal < all/2-20 {
		t.Errorf("kept %d of %d, %d of %d fiscal", kept, all, fiscal, all/2)
	}
	if n := count(t, j, `SELECT count(*) FROM life WHERE state = 'waiting'`); n != 0 {
		t.Errorf("%d would be sent blindly", n)
	}
}

// The log of a killed agent is part of the journal: it is read for the salvage,
// and moved away with it, byte for byte.
func TestSalvage_MovesTheLogAlong(t *testing.T) {
	j := fresh(t)
	sale(t, j, "r1")
	if _, err := j.read.Exec(`SELECT 1`); err != nil {
		t.Fatal(err)
	}
	// As a killed process leaves it, while this one goes on.
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var log, database []byte
	for _, end := range []string{"", "-wal"} {
		data, err := os.ReadFile(filepath.Join(j.dir, fileName+end))
		if err != nil {
			t.Fatal(err)
		}
		if end == "" {
			database = data
		} else {
			log = data
		}
		write(t, filepath.Join(dir, fileName+end), string(data))
	}
	if len(log) == 0 {
		t.Fatal("there is no log")
	}
	unclean(t, dir, "1")
	k := open(t, dir) // whole
	get(t, k, "r1", receipt.Waiting)
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	os.RemoveAll(dir)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	// The database alone is broken beyond reading.
	for n := range 100 {
		database[n] = 0
	}
	write(t, filepath.Join(dir, fileName), string(database))
	write(t, filepath.Join(dir, fileName+"-wal"), string(log))
	unclean(t, dir, "1")
	k = open(t, dir)
	folders, _ := filepath.Glob(filepath.Join(dir, "damaged-*"))
	if len(folders) != 1 {
		t.Fatalf("folders %v", folders)
	}
	for end, want := range map[string][]byte{"": database, "-wal": log} {
		if now, err := os.ReadFile(filepath.Join(folders[0], fileName+end)); err != nil || !bytes.Equal(now, want) {
			t.Errorf("journal.db%s was not kept as it was: %v", end, err)
		}
	}
	if n := count(t, k, `SELECT count(*) FROM epoch WHERE cause = 'corrupt'`); n != 1 {
		t.Errorf("%d new epochs", n)
	}
}

func TestOpen_AfterALossHoldsWhatTillsMayHavePostedBefore(t *testing.T) {
	for cause, lose := range map[string]func(t *testing.T, dir string){
		causeDamaged: func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, fileName), strings.Repeat("x", 4096))
			unclean(t, dir, "1")
		},
		causeLost: func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, fileName)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(cause, func(t *testing.T) {
			dir, _ := zoo(t)
			lose(t, dir)
			j := open(t, dir)
			post := func(id string, at time.Time) receipt.Stored {
				t.Helper()
				r, f := decode(t, strings.Replace(body(id, "sale", ""), "2026-11-23T19:05:12+04:00", at.Format(time.RFC3339), 1))
				s, isNew, err := j.Accept("till-1", "kassa-1", r, f)
				if err != nil || !isNew {
					t.Fatal(err)
				}
				return s
			}
			if s := post("r1", time.Now().Add(-time.Hour)); s.State != receipt.Held || s.Reason.Code != register.WhyJournalLost {
				t.Errorf("it is %s: %+v", s.State, s.Reason)
			}
			if s := post("r2", time.Now().Add(clocksDiffer/2)); s.State != receipt.Held {
				t.Errorf("of a till whose clock is ahead: %s", s.State)
			}
			if s := post("r3", time.Now().Add(2*clocksDiffer)); s.State != receipt.Waiting {
				t.Errorf("a new one: %s, %+v", s.State, s.Reason)
			}
			var was string
			if err := j.read.QueryRow(`SELECT cause FROM epoch ORDER BY number DESC`).Scan(&was); err != nil || was != cause {
				t.Errorf("cause %q, %v", was, err)
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			j = open(t, dir) // and still so after a restart
			if s := post("r4", time.Now().Add(-time.Hour)); s.State != receipt.Held {
				t.Errorf("after a restart it is %s", s.State)
			}
		})
	}
}

func TestOpen_TakesADanglingReferenceForDamageOnlyOnSuspicion(t *testing.T) {
	dir, before := zoo(t)
	alter(t, dir, `PRAGMA foreign_keys = off; DROP TRIGGER receipt_stays; DELETE FROM receipt WHERE id = 'r0'`)
	unclean(t, dir, "1")
	j := open(t, dir) // quick_check does not look at references
	if j.Salvaged() != "" {
		t.Error(j.Salvaged())
	}
	if err := j.Inspect(context.Background()); !damaged(err) || !strings.Contains(err.Error(), "foreign_key_check") {
		t.Errorf("inspection: %v", err)
	}
	<-j.Done()
	if err := j.Health(); !damaged(err) {
		t.Error(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, dir)
	if j.Salvaged() == "" {
		t.Fatal("the suspicion is forgotten")
	}
	if kept := aftermath(t, j, before); kept != len(before)-1 {
		t.Errorf("%d receipts kept", kept)
	}
}

func TestInspect_IsDueWeeklyAndInAQuietHour(t *testing.T) {
	now := noon
	j, err := Open(filepath.Join(t.TempDir(), "data"), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	due := func(want bool) {
		t.Helper()
		if is, err := j.inspectionDue(); is != want || err != nil {
			t.Errorf("%v after the first day: due %v, %v", now.Sub(noon), is, err)
		}
	}
	sale(t, j, "r1")
	due(false)
	now = noon.Add(inspectEvery + time.Hour)
	due(false) // somebody has only just written
	j.writer.began = j.writer.began.Add(-time.Hour)
	j.writer.wrote.Store(0)
	due(true)
	if err := j.Inspect(t.Context()); err != nil {
		t.Fatal(err)
	}
	due(false)
	sale(t, j, "r2")
	now = now.Add(inspectAnyway)
	due(true)
}

// A reader that meets the damage ends the journal as a writer would, and leaves
// the file alone.
func TestJournal_EndsWhenItCannotBeRead(t *testing.T) {
	for _, code := range []sqlite3.ErrNo{sqlite3.ErrIoErr, sqlite3.ErrCorrupt, sqlite3.ErrNotADB} {
		j := fresh(t)
		sale(t, j, "r1")
		err := j.readTx(func(queryer) error { return fmt.Errorf("read: %w", sqlite3.Error{Code: code}) })
		wantErr(t, "the reader", err, receipt.ErrStorage)
		<-j.Done()
		r, f := decode(t, body("r2", "sale", ""))
		_, _, err = j.Accept("till-1", "kassa-1", r, f)
		wantErr(t, "the next till", err, receipt.ErrStorage)
		log := filepath.Join(j.dir, fileName+"-wal")
		before, err := os.ReadFile(log)
		if err != nil || len(before) == 0 {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if after, err := os.ReadFile(log); err != nil || !bytes.Equal(after, before) {
			t.Errorf("the log was played back into a file that is not trusted: %v", err)
		}
		j = open(t, j.dir)
		if !j.Unclean() || j.Salvaged() != "" {
			t.Errorf("unclean %v, salvaged %q", j.Unclean(), j.Salvaged())
		}
		get(t, j, "r1", receipt.Waiting)
	}
	j := fresh(t)
	if err := j.readTx(func(queryer) error { return sqlite3.Error{Code: sqlite3.ErrBusy} }); err == nil || j.Health() != nil {
		t.Errorf("busy is no damage: %v, %v", err, j.Health())
	}
}
