package journal

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ekassa/agent/receipt"
)

// tmpfs mounts a small file system; a test that cannot have one fails.
func tmpfs(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Fatalf("mount a small tmpfs (this test needs root): %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir
}

// stuffing makes the disk full but for some bytes, and gives what undoes that.
func stuffing(t *testing.T, disk string, left int64) (empty func()) {
	t.Helper()
	path := filepath.Join(disk, "stuffing")
	fill(t, path)
	if info, err := os.Stat(path); err != nil || os.Truncate(path, max(0, info.Size()-left)) != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// try posts one, and says whether it was told yes.
func try(t *testing.T, j *Journal, id string) bool {
	t.Helper()
	// Of odd lengths, so that it fills up in the middle of all sorts of writes.
	r, f := decode(t, body(id, "sale", `,"note":"`+strings.Repeat("x", len(id)*37%200)+`"`))
	switch _, _, err := j.Accept("till-1", "kassa-1", r, f); {
	case err == nil:
		return true
	case !errors.Is(err, receipt.ErrStorage):
		t.Fatalf("%s: %v", id, err)
	}
	return false
}

func TestJournal_FinishesOnAFullDiskWhatItSaidYesTo(t *testing.T) {
	disk := tmpfs(t, "8m")
	dir := filepath.Join(disk, "data")
	j := open(t, dir)
	var accepted, refused []string
	finished := 0
	finish := func(what string) {
		t.Helper()
		for {
			s, a, err := j.Unfinished("kassa-1")
			if errors.Is(err, receipt.ErrNotFound) {
				if s, _, err = j.Next("kassa-1"); errors.Is(err, receipt.ErrNotFound) {
					return
				}
				if err == nil {
					a, err = attempt(s), j.Begin(attempt(s))
				}
			}
			if err == nil {
				err = j.Conclude(a, made(fmt.Sprint("fiscal-", s.Seq)))
			}
			if err != nil {
				t.Fatalf("%s: what was accepted is not finished: %v", what, err)
			}
			finished++
		}
	}
	short := func(want bool) {
		t.Helper()
		if n, is, err := j.Room(); err != nil || is != want || n < 0 {
			t.Errorf("%d bytes left, short %v, %v", n, is, err)
		}
	}
	// Each round the disk fills up at another moment, and all the more so.
	for round, left := range []int64{0, 300, 5000, 40_000, 100_000, 0} {
		what := fmt.Sprintf("round %d, %d bytes left", round, left)
		short(false)
		for n := range 30 {
			id := fmt.Sprintf("r-%d-%d", round, n)
			if !try(t, j, id) {
				t.Fatalf("%s: refused with room", what)
			}
			accepted = append(accepted, id)
		}
		begin(t, j, get(t, j, fmt.Sprintf("r-%d-0", round), receipt.Waiting)) // one is on its way
		empty := stuffing(t, disk, left)
		for n := range 5 {
			id := fmt.Sprintf("full-%d-%d", round, n)
			if try(t, j, id) {
				t.Errorf("%s: %s was told yes", what, id)
			}
			refused = append(refused, id)
		}
		short(true)
		if s, isNew, err := j.Accept(again(t, j, accepted[0])); err != nil || isNew || s.ID != accepted[0] {
			t.Errorf("%s: the same receipt again: %v, %v", what, isNew, err)
		}
		if round%2 == 1 { // a restart on the full disk
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			j = open(t, dir)
			short(true)
		}
		finish(what)
		if j.Health() != nil {
			t.Fatalf("%s: a full disk ended the journal: %v", what, j.Health())
		}
		empty()
	}
	id := refused[0]
	if !try(t, j, id) {
		t.Fatal("refused after there was room again")
	}
	accepted, refused = append(accepted, id), refused[1:]
	if !j.space.kept() {
		t.Error("the ballast was not taken back")
	}
	finish("at the end")
	if finished != len(accepted) {
		t.Errorf("%d accepted, %d finished", len(accepted), finished)
	}
	for range 2 {
		for _, id := range accepted {
			get(t, j, id, receipt.Fiscal)
		}
		for _, id := range refused {
			if _, err := j.Get("till-1", id); !errors.Is(err, receipt.ErrNotFound) {
				t.Errorf("%s was refused, and: %v", id, err)
			}
		}
		if n, most := count(t, j, `SELECT count(*) FROM record`), count(t, j, `SELECT max(seq) FROM record`); n != most {
			t.Errorf("%d records, numbered up to %d", n, most)
		}
		if err := check(j.read, fullCheck...); err != nil {
			t.Error(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		j = open(t, dir)
	}
}

// again gives what posts a receipt that is here already once more.
func again(t *testing.T, j *Journal, id string) (string, string, receipt.Receipt, receipt.Fingerprint) {
	t.Helper()
	r, f := decode(t, body(id, "sale", `,"note":"`+strings.Repeat("x", len(id)*37%200)+`"`))
	return "till-1", "kassa-1", r, f
}

// The low-water mark refuses long before SQLite meets the end of the disk.
// Without one, the ballast alone must do.
func TestJournal_TheBallastAloneFinishesWhatWasAccepted(t *testing.T) {
	disk := tmpfs(t, "4m")
	j, err := OpenWith(filepath.Join(disk, "data"), time.Now, Options{Ballast: 512 << 10, LowWater: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	var accepted []string
	defer stuffing(t, disk, 64<<10)()
	for n := 0; ; n++ {
		id := fmt.Sprint("r-", n)
		if !try(t, j, id) {
			break
		}
		if accepted = append(accepted, id); n > 5000 {
			t.Fatal("the disk never was full")
		}
	}
	for n, id := range accepted[:min(150, len(accepted))] {
		conclude(t, j, begin(t, j, get(t, j, id, receipt.Waiting)), made(fmt.Sprint("fiscal-", n)))
	}
	if err := j.Health(); err != nil {
		t.Error(err)
	}
	if j.space.kept() {
		t.Error("the ballast is still there")
	}
	if try(t, j, "next") {
		t.Error("a new one was taken without a ballast")
	}
}

func TestAccept_RefusesBeforeTheDatabaseIsTooLarge(t *testing.T) {
	j, err := OpenWith(filepath.Join(t.TempDir(), "data"), time.Now, Options{Ballast: 1 << 16, LowWater: 1 << 17, MaxSize: 1 << 19})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	n := 0
	for ; try(t, j, fmt.Sprint("r-", n)); n++ {
		if n > 5000 {
			t.Fatal("never refused")
		}
	}
	conclude(t, j, begin(t, j, get(t, j, "r-0", receipt.Waiting)), made("fiscal"))
}

func TestOpen_SaysThatTheDiskIsFull(t *testing.T) {
	disk := tmpfs(t, "1m")
	fill(t, filepath.Join(disk, "ballast"))
	if _, err := Open(filepath.Join(disk, "data"), nil); err == nil || !strings.Contains(err.Error(), "full") && !strings.Contains(err.Error(), "no space") {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(disk, "ballast")); err != nil {
		t.Fatal(err)
	}
	sale(t, open(t, filepath.Join(disk, "data")), "r1")
}

func TestOpen_WorksOnADiskWithoutASingleByte(t *testing.T) {
	disk := tmpfs(t, "4m")
	dir := filepath.Join(disk, "data")
	j := open(t, dir)
	a := begin(t, j, sale(t, j, "r1"))
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	defer stuffing(t, disk, 0)()
	j = open(t, dir)
	if _, short, err := j.Room(); !short || err != nil {
		t.Error(err)
	}
	conclude(t, j, a, made("fiscal"))
	if try(t, j, "r2") {
		t.Error("a new one was taken")
	}
}

// fill writes until nothing more fits, and then leaves a little.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 4096)
	for err == nil {
		_, err = f.Write(block)
	}
}
