package journal

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// firstReadable is the first file that has to say which programs can go on with it:
// there were no updates that could be taken back before it.
const firstReadable = 9

func TestSchema_SaysWhichProgramsCanGoOnWithIt(t *testing.T) {
	files, err := numbered(schema)
	if err != nil {
		t.Fatal(err)
	}
	for n, f := range files {
		if f.number != n+1 {
			t.Errorf("file %d has the number %d", n+1, f.number)
		}
		if f.number >= firstReadable && !strings.HasPrefix(f.sql, "-- readable from ") {
			t.Errorf("file %d does not say from which schema on it is readable", f.number)
		}
		// What older programs are said to go on with may only add.
		for _, bad := range []string{"DROP ", "RENAME ", "DELETE ", "UPDATE "} {
			if f.readableFrom < f.number && strings.Contains(strings.ToUpper(f.sql), bad) {
				t.Errorf("file %d is said to be readable from %d on, and has %s", f.number, f.readableFrom, bad)
			}
		}
	}
	if newest, from := Schema(); newest != len(files) || from < 1 || from > newest {
		t.Errorf("%d, %d", newest, from)
	}
	for text, want := range map[string]string{
		"-- readable from x\n": "readable", "-- readable from 3\n": "readable",
	} {
		if _, err := numbered(fstest.MapFS{"schema/002_x.sql": {Data: []byte(text)}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	list, err := numbered(fstest.MapFS{
		"schema/001_a.sql": {Data: []byte("SELECT 1;")}, "schema/002_b.sql": {Data: []byte("-- the first\nSELECT 1;")},
		"schema/003_c.sql": {Data: []byte("-- readable from 1\nSELECT 1;")},
	})
	if err != nil || list[2].readableFrom != 2 {
		t.Errorf("%+v, %v: what is readable does not undo what is not", list, err)
	}
}

// The next program adds to every table, turns out badly, and this one goes on with
// what it has left.
func TestOpen_GoesOnWithAJournalThatTheNextProgramHasAddedTo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	j := open(t, dir)
	sale(t, j, "before")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	known, err := numbered(schema)
	if err != nil {
		t.Fatal(err)
	}
	next := known[len(known)-1].number + 1
	tables := names(t, dir)
	var sql strings.Builder
	fmt.Fprintf(&sql, "-- readable from %d\nCREATE TABLE later (n INTEGER PRIMARY KEY) STRICT;\n", next-1)
	for _, name := range tables {
		fmt.Fprintf(&sql, "ALTER TABLE %s ADD COLUMN later TEXT NOT NULL DEFAULT '';\n", name)
	}
	migrateAs(t, dir, append(known, step{number: next, readableFrom: next - 1, sql: sql.String()}))

	j = open(t, dir)
	to(t, j, "after", "fiscal")
	get(t, j, "before", "waiting")
	if got := count(t, j, `SELECT user_version FROM pragma_user_version`); got != next {
		t.Errorf("the schema is %d now and was %d", got, next)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	// And once more, as a machine that starts twice.
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOpen_RefusesAJournalThatOnlyNewerProgramsRead(t *testing.T) {
	known, err := numbered(schema)
	if err != nil {
		t.Fatal(err)
	}
	last := known[len(known)-1].number
	for what, more := range map[string][]step{
		"without a word":      {{number: last + 1, readableFrom: last + 1, sql: "CREATE TABLE later (n INTEGER)"}},
		"for the next":        {{number: last + 1, readableFrom: last, sql: "SELECT 1"}, {number: last + 2, readableFrom: last + 1, sql: "SELECT 1"}},
		"two behind, no word": {{number: last + 1, readableFrom: last, sql: "SELECT 1"}, {number: last + 2, readableFrom: last + 2, sql: "SELECT 1"}},
	} {
		t.Run(what, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			if err := open(t, dir).Close(); err != nil {
				t.Fatal(err)
			}
			migrateAs(t, dir, append(known, more...))
			j, err := Open(dir, time.Now)
			if err == nil {
				j.Close()
			}
			if err == nil || !strings.Contains(err.Error(), "use the newer program") {
				t.Errorf("%v", err)
			}
		})
	}
}

// migrateAs brings the journal to the schema of another program.
func migrateAs(t *testing.T, dir string, files []step) {
	t.Helper()
	db, err := connect(filepath.Join(dir, fileName), "rwc", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := migrateTo(db, files, noon, causeNew); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	db, err := connect(filepath.Join(dir, fileName), "ro", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	list, err := column[string](db, `SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'`)
	if err != nil || len(list) < 5 {
		t.Fatal(list, err)
	}
	return list
}
