package durable

import (
	"errors"
	"os"
	"syscall"
)

// GiveToOwner gives files that root has made to whom their folder belongs.
// Anybody else's files stay what they are.
func GiveToOwner(dir string, paths ...string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	for _, p := range paths {
		err = errors.Join(err, os.Chown(p, int(owner.Uid), int(owner.Gid)))
	}
	return err
}

// sameOwner gives a file to whom another belongs, where we may.
func sameOwner(f *os.File, like os.FileInfo) error {
	owner, ok := like.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return f.Chown(int(owner.Uid), int(owner.Gid))
}

// SyncFolder makes what was created, renamed and removed in a folder last.
func SyncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Room gives the bytes that we may still write on the disk of a folder, and how
// many the disk has in all.
func Room(dir string) (free, all int64, err error) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return 0, 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return int64(disk.Bavail) * int64(disk.Bsize), int64(disk.Blocks) * int64(disk.Bsize), nil
}

// Reserve gives an empty file size bytes of real blocks.
func Reserve(f *os.File, size int64) error {
	err := syscall.Fallocate(int(f.Fd()), 0, 0, size)
	if errors.Is(err, syscall.EOPNOTSUPP) {
		_, err = f.Write(make([]byte, size))
	}
	return err
}

// Full says whether an error means that there is no room.
func Full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
