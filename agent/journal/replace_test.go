package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ekassa/agent/receipt"
)

func TestBackup_IsOfOneMomentWhileTheAgentWrites(t *testing.T) {
	j := fresh(t)
	sale(t, j, "first")
	quit, done := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for ; ; n++ {
			select {
			case <-quit:
				done <- n
				return
			default:
			}
			if err := journey(j, fmt.Sprint("r", n), "kassa-1"); err != nil {
				t.Error(err)
			}
		}
	}()
	out := filepath.Join(t.TempDir(), "backup.db")
	err := Backup(j.dir, out)
	close(quit)
	if n := <-done; n == 0 || err != nil {
		t.Fatalf("%d written meanwhile, %v", n, err)
	}
	if entries, err := os.ReadDir(filepath.Dir(out)); err != nil || len(entries) != 1 {
		t.Errorf("left: %v, %v", entries, err)
	}
	if info, err := os.Stat(out); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := Backup(j.dir, out); err == nil || !strings.Contains(err.Error(), "choose another name") {
		t.Errorf("over another backup: %v", err)
	}
	if j.Health() != nil {
		t.Error(j.Health())
	}
}

func TestBackup_LeavesTheAgentItsRoom(t *testing.T) {
	disk := tmpfs(t, "2m")
	j := open(t, filepath.Join(disk, "data"))
	for n := range 250 {
		sale(t, j, fmt.Sprint("r", n))
	}
	defer stuffing(t, disk, 600<<10)()
	err := Backup(j.dir, filepath.Join(disk, "backup.db"))
	if err == nil || !strings.Contains(err.Error(), "use another disk") {
		t.Error(err)
	}
}

func TestRestore_HoldsWhatMayHaveBeenMadeSince(t *testing.T) {
	dir, before := zoo(t)
	out := filepath.Join(t.TempDir(), "backup.db")
	if err := Backup(dir, out); err != nil {
		t.Fatal(err)
	}
	j := open(t, dir)
	old := j.Epoch()
	if s, a, err := j.Unfinished("kassa-1"); err != nil {
		t.Fatal(err)
	} else {
		conclude(t, j, a, made("fiscal-"+s.ID))
	}
	conclude(t, j, begin(t, j, get(t, j, "r1", receipt.Waiting)), made("since the backup"))
	later := sale(t, j, "later")
	records := count(t, j, `SELECT max(seq) FROM record`)
	if _, err := Restore(dir, out, time.Now()); !errors.Is(err, ErrInUse) {
		t.Errorf("beside a running agent: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	replaced, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Restore(dir, out, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if r.Receipts != int64(len(before)) || r.Held != 2 {
		t.Errorf("%+v", r)
	}
	if kept, err := os.ReadFile(filepath.Join(r.Kept, fileName)); err != nil || string(kept) != string(replaced) {
		t.Errorf("the replaced journal was not kept as it was: %v", err)
	}
	j = open(t, dir)
	if j.Epoch() <= old || j.Unclean() || j.Salvaged() != "" {
		t.Errorf("epoch %d after %d, unclean %v, salvaged %q", j.Epoch(), old, j.Unclean(), j.Salvaged())
	}
	if n := count(t, j, `SELECT max(records_before) FROM epoch`); n != records {
		t.Errorf("records go on after %d, want %d", n, records)
	}
	// What was posted since is posted again, and not sent blindly.
	if s := accept1(t, j, "kassa-1", body("later", "sale", "")); s.State != receipt.Held || s.Key == later.Key {
		t.Errorf("it is %s with key %s", s.State, s.Key)
	}
	if _, a, err := j.Unfinished("kassa-1"); err != nil || a.Number != 1 { // asked about, as after any stop
		t.Errorf("%+v, %v", a, err)
	}
	if kept := aftermath(t, j, before); kept != len(before) {
		t.Errorf("%d kept", kept)
	}
}

func TestRestore_IntoANewFolder(t *testing.T) {
	dir, before := zoo(t)
	out := filepath.Join(t.TempDir(), "backup.db")
	if err := Backup(dir, out); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "data")
	r, err := Restore(to, out, time.Now())
	if err != nil || r.Kept != "" {
		t.Fatalf("%+v, %v", r, err)
	}
	if entries, _ := filepath.Glob(filepath.Join(to, "replaced*")); len(entries) > 0 {
		t.Errorf("left %v", entries)
	}
	aftermath(t, open(t, to), before)
}

func TestRestore_RefusesWhatIsNoWholeBackup(t *testing.T) {
	dir, _ := zoo(t)
	before := files(t, dir)
	from := filepath.Join(t.TempDir(), "backup.db")
	write(t, from, "hello")
	if _, err := Restore(dir, from, time.Now()); !errors.Is(err, errNotOurs) {
		t.Error(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	write(t, from, string(data[:len(data)/2]))
	if _, err := Restore(dir, from, time.Now()); err == nil || !strings.Contains(err.Error(), "use another one") {
		t.Error(err)
	}
	if after := files(t, dir); after != before {
		t.Error("the journal was touched")
	}
}

func TestRestore_LeavesTheFilesToTheAgentsUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("only root can give files away: run these tests as root")
	}
	dir, _ := zoo(t)
	out := filepath.Join(t.TempDir(), "backup.db")
	if err := Backup(dir, out); err != nil {
		t.Fatal(err)
	}
	const user = 4711
	if err := os.Chown(dir, user, user); err != nil {
		t.Fatal(err)
	}
	r, err := Restore(dir, out, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, fileName), r.Kept} {
		info, err := os.Stat(path)
		if err != nil || info.Sys().(*syscall.Stat_t).Uid != user {
			t.Errorf("%s is not the agent's: %v", path, err)
		}
	}
}

// A power cut may leave half a note. Its folder was made before it, so one that
// names no folder has moved nothing.
func TestReplace_ATornNoteMovesNothing(t *testing.T) {
	for _, note := range []string{"", "\n", "\x00\x00\n", "replaced-x", "replaced-", "replaced-y\n"} {
		dir, before := zoo(t)
		if err := os.Mkdir(filepath.Join(dir, "replaced-x"), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, noteName), note)
		write(t, filepath.Join(dir, nextName), "the new one")
		j := open(t, dir)
		for id, state := range before {
			get(t, j, id, state)
		}
		if _, err := os.Stat(filepath.Join(dir, nextName)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%q: the draft is left: %v", note, err)
		}
	}
}

// A crash at any step of a replacement is gone on from at the next start.
func TestReplace_GoesOnAfterACrash(t *testing.T) {
	dir, before := zoo(t)
	out := filepath.Join(t.TempDir(), "backup.db")
	if err := Backup(dir, out); err != nil {
		t.Fatal(err)
	}
	database, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	whole := filepath.Join(t.TempDir(), "data")
	if _, err := Restore(whole, out, time.Now()); err != nil {
		t.Fatal(err)
	}
	next, err := os.ReadFile(filepath.Join(whole, fileName))
	if err != nil {
		t.Fatal(err)
	}
	const folder = "replaced-x"
	for step := range 6 {
		t.Run(fmt.Sprint("step ", step), func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
				t.Fatal(err)
			}
			place := func(name, content string) { write(t, filepath.Join(dir, name), content) }
			moved := func(name string, after int) string {
				if step >= after {
					return filepath.Join(folder, name)
				}
				return name
			}
			if step >= 1 { // the note is there
				place(noteName, folder+"\n")
			}
			place(moved(fileName, 2), string(database))
			place(moved(fileName+"-wal", 3), "the old log")
			if step >= 4 {
				place(fileName, string(next))
			} else {
				place(nextName, string(next))
			}
			if step == 5 {
				if err := os.Remove(filepath.Join(dir, noteName)); err != nil {
					t.Fatal(err)
				}
			}
			if step == 0 { // nothing was begun: the old one is still the journal
				if err := os.Remove(filepath.Join(dir, fileName+"-wal")); err != nil {
					t.Fatal(err)
				}
				j := open(t, dir)
				get(t, j, "r1", receipt.Waiting)
				return
			}
			j := open(t, dir)
			aftermath(t, j, before)
			for name, want := range map[string]string{fileName: string(database), fileName + "-wal": "the old log"} {
				if kept, err := os.ReadFile(filepath.Join(dir, folder, name)); err != nil || string(kept) != want {
					t.Errorf("%s was not kept as it was: %v", name, err)
				}
			}
			for _, name := range []string{noteName, nextName} {
				if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("%s is left: %v", name, err)
				}
			}
		})
	}
}
