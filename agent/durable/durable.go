// Package durable is about what must last: small files that survive a power
// cut, and the disk's room. It is the one place that knows the differences
// between systems.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// Replace puts a new file in the place of the old one, so that a power cut
// leaves one of them whole. It has mode 0600 and is the folder's owner's: a
// command that root runs must not take it away from the agent's own user.
func Replace(path string, data []byte) error {
	return put(path, data, func(f *os.File) error { return GiveToOwner(filepath.Dir(path), f.Name()) })
}

// Rewrite is Replace for a file that is there already: mode and owner stay.
func Rewrite(path string, data []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return put(path, data, func(f *os.File) error { return errors.Join(f.Chmod(info.Mode().Perm()), sameOwner(f, info)) })
}

func put(path string, data []byte, own func(*os.File) error) error {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if err == nil {
		err = own(tmp)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return SyncFolder(dir)
}
