package durable_test

import (
	"os"
	"path/filepath"
	"testing"

	"ekassa/agent/durable"
)

func TestReplace_PutsTheNewInThePlaceOfTheOldAndLeavesNothingElse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, text := range []string{"old", "new"} {
		if err := durable.Replace(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != text {
			t.Errorf("%q, %v", got, err)
		}
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := durable.Replace(filepath.Join(dir, "nowhere", "file"), nil); err == nil {
		t.Error("a folder that is not there was written to")
	}
}

func TestReserve_TakesRealBlocks(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = 1 << 20
	if err := durable.Reserve(f, size); err != nil {
		t.Fatal(err)
	}
	if info, err := f.Stat(); err != nil || info.Size() != size {
		t.Errorf("%v, %v", info, err)
	}
	free, all, err := durable.Room(dir)
	if err != nil || free <= 0 || all < free {
		t.Errorf("%d of %d free, %v", free, all, err)
	}
}
