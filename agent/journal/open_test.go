package journal

import (
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"

	"ekassa/agent/receipt"
)

func TestOpen_KeepsWhatThePromisesRestOn(t *testing.T) {
	j := fresh(t)
	pragma := func(q queryer, name string) (s string) {
		t.Helper()
		if err := q.QueryRow(`PRAGMA ` + name).Scan(&s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	want := map[string]string{
		"synchronous": "2", "journal_mode": "wal", "foreign_keys": "1", "recursive_triggers": "1", "busy_timeout": "5000",
		"page_size": "512", "max_page_count": "33554432", "wal_autocheckpoint": "8000", "journal_size_limit": "8388608",
	}
	look := func(when string) {
		t.Helper()
		if err := j.writer.do(func(tx *tx) error {
			for name, w := range want {
				if got := pragma(tx, name); got != w {
					t.Errorf("%s: PRAGMA %s is %s, want %s", when, name, got, w)
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	look("at the start")
	if err := j.writer.do(func(*tx) error { return sqlite3.Error{Code: sqlite3.ErrFull} }); !errors.Is(err, receipt.ErrStorage) {
		t.Fatal(err)
	}
	look("on the connection after an error")
	sale(t, j, "r1") // takes the ballast back
	if got := pragma(j.read, "query_only"); got != "1" {
		t.Error("readers may write")
	}
	for _, name := range []string{fileName, fileName + "-wal", lockName, runningName, ballastName} {
		if info, err := os.Stat(filepath.Join(j.dir, name)); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v, want it closed to others", name, info.Mode(), err)
		}
	}
}

func TestOpen_TakesAnyPath(t *testing.T) {
	for _, name := range []string{"a b", "ə", "what?", "50%", "%41", "#1", "a&b=c", "a;b", "a'b\"c", "a+b", "a\nb"} {
		dir := filepath.Join(t.TempDir(), name)
		j := open(t, dir)
		sale(t, j, "r1")
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, fileName)); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		get(t, open(t, dir), "r1", receipt.Waiting)
	}
}

func TestOpen_TakesARelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	sale(t, open(t, "data"), "r1")
	if _, err := os.Stat(filepath.Join("data", fileName)); err != nil {
		t.Error(err)
	}
}

func TestOpen_ASecondTouchesNothing(t *testing.T) {
	j := fresh(t)
	sale(t, j, "r1")
	before := files(t, j.dir)
	_, err := Open(j.dir, time.Now)
	wantErr(t, "second open", err, ErrInUse)
	if after := files(t, j.dir); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	sale(t, j, "r2")
	if running, err := Running(j.dir); err != nil || !running {
		t.Errorf("running: %v, %v", running, err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if running, err := Running(j.dir); err != nil || running {
		t.Errorf("running after the close: %v, %v", running, err)
	}
	if j := open(t, j.dir); j.Unclean() {
		t.Error("a clean stop counts as an unclean one")
	}
}

func TestRunning_MakesNoFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if running, err := Running(dir); err != nil || running {
		t.Errorf("%v, %v", running, err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestOpen_LeavesForeignFilesAlone(t *testing.T) {
	foreign := func(t *testing.T, path string) {
		db, err := sql.Open("sqlite3", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(`CREATE TABLE theirs (x)`); err != nil {
			t.Fatal(err)
		}
		db.Close()
	}
	for name, c := range map[string]struct {
		make func(t *testing.T, path string)
		want string
	}{
		"another program's database": {foreign, "not a journal of this program"},
		"text":                       {func(t *testing.T, path string) { write(t, path, strings.Repeat("hello ", 500)) }, "not a journal of this program"},
		"nothing":                    {func(t *testing.T, path string) { write(t, path, "") }, "not a journal of this program"},
		"a log without its database": {func(t *testing.T, path string) { write(t, path+"-wal", "frames") }, "its database is not"},
		"a folder": {func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "is a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c.make(t, filepath.Join(dir, fileName))
			before := files(t, dir)
			_, err := Open(dir, time.Now)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %q on one line", err, c.want)
			}
			if after := strings.Replace(files(t, dir), lockName+" \"\"\n", "", 1); after != before {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
		})
	}
}

func TestOpen_GoesOnAfterACrashWhileCreating(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, fileName+".new"), "half a database")
	write(t, filepath.Join(dir, fileName+".new-journal"), "and its journal")
	sale(t, open(t, dir), "r1")
}

func TestOpen_RefusesANewerSchema(t *testing.T) {
	j := fresh(t)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	alter(t, j.dir, `PRAGMA user_version = 99`)
	_, err := Open(j.dir, time.Now)
	if err == nil || !strings.Contains(err.Error(), "version 99") || !strings.Contains(err.Error(), "newer program") {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(j.dir, runningName)); err == nil {
		t.Error("it counts as running")
	}
}

func TestOpen_CompletesAnOlderSchema(t *testing.T) {
	dir := t.TempDir() // version 0: it was created and nothing more
	if err := create(filepath.Join(dir, fileName)); err != nil {
		t.Fatal(err)
	}
	j := open(t, dir)
	sale(t, j, "r1")
	if n := count(t, j, `PRAGMA user_version`); n != newest(t) {
		t.Errorf("version %d", n)
	}
}

func newest(t *testing.T) int {
	t.Helper()
	files, err := fs.Glob(schema, "schema/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

func TestOpen_ABrokenMigrationLeavesNothing(t *testing.T) {
	j := fresh(t)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := connect(filepath.Join(j.dir, fileName), "rwc", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var before, after string
	look := func(to *string) {
		t.Helper()
		if err := db.QueryRow(`SELECT (SELECT user_version FROM pragma_user_version) || group_concat(sql) FROM sqlite_schema`).Scan(to); err != nil {
			t.Fatal(err)
		}
	}
	look(&before)
	files, err := numbered(schema)
	if err != nil {
		t.Fatal(err)
	}
	again := files[0]
	again.number = 99
	if err := apply(db, again, noon, causeNew); err == nil {
		t.Error("the first schema went over itself")
	}
	if look(&after); after != before {
		t.Errorf("before: %s\nafter: %s", before, after)
	}
}

func TestOpen_SaysThatTheFolderIsReadOnly(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, dir string){
		"new": func(*testing.T, string) {},
		"used": func(t *testing.T, dir string) {
			if err := open(t, filepath.Join(dir, "data")).Close(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tmpfs(t, "1m")
			prepare(t, dir)
			if out, err := exec.Command("mount", "-o", "remount,ro", dir).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			_, err := Open(filepath.Join(dir, "data"), time.Now)
			if err == nil || !strings.Contains(err.Error(), "read-only file system") {
				t.Error(err)
			}
		})
	}
}

func TestEpoch_RisesWithANewJournal(t *testing.T) {
	at := noon
	var epochs []int64
	for range 2 {
		j, err := Open(filepath.Join(t.TempDir(), "data"), func() time.Time { return at })
		if err != nil {
			t.Fatal(err)
		}
		epochs = append(epochs, j.Epoch())
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Hour)
		if j, err = Open(j.dir, func() time.Time { return at }); err != nil {
			t.Fatal(err)
		}
		if j.Epoch() != epochs[len(epochs)-1] {
			t.Error("the epoch rose without a new journal")
		}
		j.Close()
	}
	if epochs[1] <= epochs[0] || epochs[0] < 1 {
		t.Errorf("epochs %v", epochs)
	}
}

func TestClose_LeavesOneFileAndMayBeRepeated(t *testing.T) {
	j := fresh(t)
	sale(t, j, "r1")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := j.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	entries, err := os.ReadDir(j.dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != ballastName+" "+lockName+" "+fileName {
		t.Errorf("left: %s", got)
	}
}

func files(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, e := range entries {
		content := "folder"
		if !e.IsDir() && e.Name() != fileName+"-shm" { // shared memory: readers sign in there
			b, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			content = string(b)
		}
		all.WriteString(e.Name() + " " + quoted(content) + "\n")
	}
	return all.String()
}

func quoted(s string) string {
	if s == "" {
		return `""`
	}
	return strings.ToValidUTF8(s, "?")
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// alter changes a closed journal behind its back.
func alter(t *testing.T, dir, statements string) {
	t.Helper()
	db, err := sql.Open("sqlite3", filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(statements); err != nil {
		t.Fatal(err)
	}
}

func TestOpen_RefusesToRunWithoutItsPromises(t *testing.T) {
	path := filepath.Join(t.TempDir(), fileName)
	if err := create(path); err != nil {
		t.Fatal(err)
	}
	for options, want := range map[string]string{
		"_journal_mode=WAL&_synchronous=NORMAL&_foreign_keys=on":  "PRAGMA synchronous is 1 and not 2",
		"_journal_mode=WAL&_synchronous=FULL&_foreign_keys=off":   "PRAGMA foreign_keys is 0 and not 1",
		"_journal_mode=DELETE&_synchronous=FULL&_foreign_keys=on": "PRAGMA journal_mode is delete and not wal",
	} {
		db, err := sql.Open("sqlite3", "file:"+escape(path)+"?"+options)
		if err != nil {
			t.Fatal(err)
		}
		if err := (&Journal{write: db}).verify(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOlder(t *testing.T) {
	for _, c := range []struct {
		version string
		want    bool
	}{{"3.51.2", true}, {"3.51.3", false}, {"3.54.1", false}, {"3.9.99", true}, {"4.0", false}, {"3.51", true}, {"2.99.99", true}} {
		if got := older(c.version, "3.51.3"); got != c.want {
			t.Errorf("%s is too old: %v, want %v", c.version, got, c.want)
		}
	}
}
