package journal

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

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

func TestJournal_RefusesOnAFullDiskAndGoesOnAfterIt(t *testing.T) {
	disk := tmpfs(t, "1m")
	j := open(t, filepath.Join(disk, "data"))
	ballast := filepath.Join(disk, "ballast")
	var accepted, refused []string
	for round := range 3 {
		open := sale(t, j, fmt.Sprint("open-", round))
		accepted = append(accepted, open.ID)
		a := begin(t, j, open)
		fill(t, ballast)
		for n := 0; n < 500 && len(refused) < 3*(round+1); n++ {
			id := fmt.Sprintf("r-%d-%d", round, n)
			// Of odd lengths, so that it fills up in the middle of all sorts of writes.
			r, f := decode(t, body(id, "sale", `,"note":"`+strings.Repeat("x", n%200)+`"`))
			switch _, _, err := j.Accept("till-1", "kassa-1", r, f); {
			case err == nil:
				accepted = append(accepted, id)
			case errors.Is(err, receipt.ErrStorage):
				refused = append(refused, id)
			default:
				t.Fatalf("%s: %v", id, err)
			}
		}
		if len(refused) != 3*(round+1) {
			t.Fatal("the disk never was full")
		}
		if err := j.Conclude(a, made("fiscal-"+open.ID)); err != nil && !errors.Is(err, receipt.ErrStorage) {
			t.Error(err)
		}
		if j.Health() != nil {
			t.Fatalf("a full disk ended the journal: %v", j.Health())
		}
		if _, err := j.Get("till-1", accepted[0]); err != nil { // reading goes on
			t.Error(err)
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		if s, a, err := j.Unfinished("kassa-1"); err == nil {
			conclude(t, j, a, made("fiscal-"+s.ID))
		}
	}
	check := func() {
		t.Helper()
		for _, id := range accepted {
			if _, err := j.Get("till-1", id); err != nil {
				t.Errorf("%s was accepted: %v", id, err)
			}
		}
		for _, id := range refused {
			if _, err := j.Get("till-1", id); !errors.Is(err, receipt.ErrNotFound) {
				t.Errorf("%s was refused, and: %v", id, err)
			}
		}
		if n, most := count(t, j, `SELECT count(*) FROM record`), count(t, j, `SELECT max(seq) FROM record`); n != most {
			t.Errorf("%d records, numbered up to %d", n, most)
		}
	}
	check()
	sale(t, j, refused[0])
	accepted, refused = append(accepted, refused[0]), refused[1:]
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, j.dir)
	check()
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
