package durable

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// GiveToOwner does nothing: a folder's own rights are inherited.
func GiveToOwner(string, ...string) error { return nil }

// sameOwner does nothing: the folder's access list holds for what is in it.
func sameOwner(*os.File, os.FileInfo) error { return nil }

// SyncFolder does nothing: NTFS keeps its folders by its own log.
func SyncFolder(string) error { return nil }

// Room gives the bytes that we may still write on the disk of a folder, and how
// many the disk has in all.
func Room(dir string) (free, all int64, err error) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, 0, &os.PathError{Op: "room", Path: dir, Err: err}
	}
	var available, total uint64
	if err := windows.GetDiskFreeSpaceEx(path, &available, &total, nil); err != nil {
		return 0, 0, &os.PathError{Op: "room", Path: dir, Err: err}
	}
	return int64(available), int64(total), nil
}

// Reserve gives an empty file size bytes of real blocks.
func Reserve(f *os.File, size int64) error {
	_, err := f.Write(make([]byte, size))
	return err
}

// Full says whether an error means that there is no room.
func Full(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}
