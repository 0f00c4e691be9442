package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// Running says whether an agent runs on the journal in dir. It changes nothing
// and makes no folder; an agent that starts in the very moment of the question
// may find the journal in use, and is started again.
func Running(dir string) (bool, error) {
	path := filepath.Join(dir, lockName)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	lock := flock.New(path)
	free, err := lock.TryRLock()
	if err != nil {
		return false, fmt.Errorf("look whether an agent runs on %s: %w", dir, bare(err))
	}
	if !free {
		return true, nil
	}
	return false, lock.Unlock()
}

// RoomIn tells of a journal that need not be open what Room tells of one that is.
// It changes nothing. Where there is no journal yet, the error wraps fs.ErrNotExist.
func RoomIn(dir string) (free int64, short bool, err error) {
	if _, err := os.Stat(filepath.Join(dir, fileName)); err != nil {
		return 0, false, fmt.Errorf("look for a journal in %s: %w", dir, bare(err))
	}
	s, err := newSpace(dir, Options{})
	if err != nil {
		return 0, false, err
	}
	r, err := s.room()
	return r.free, r.short, err
}
