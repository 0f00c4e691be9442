package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"ekassa/agent/durable"
	"ekassa/agent/receipt"
)

const (
	// ballastName is a file of no use but its blocks: given back to a full disk,
	// they let what was accepted be finished (reliability.md B5).
	ballastName = "agent.ballast"

	mega           = 1 << 20
	defaultBallast = 16 * mega
	// Below the low-water mark new receipts are refused: a twentieth of the disk,
	// but not less nor more than these.
	leastLowWater = 64 * mega
	mostLowWater  = 256 * mega
	// defaultMaxSize bounds the database. A million receipts are some 2 GB.
	defaultMaxSize = 16 << 30
)

// room is what the disk under the journal has left.
type room struct {
	free  int64 // bytes that the agent's user may still write
	short bool  // new receipts are refused
}

// space watches over the disk's room, and keeps the ballast.
type space struct {
	dir               string
	ballast, low, max int64

	mu sync.Mutex // one changes the ballast at a time
}

// newSpace takes what the options leave open from the disk's size: on a small
// one, no more than a sixteenth is ballast, nor a quarter kept free.
func newSpace(dir string, o Options) (*space, error) {
	s := &space{dir: dir, ballast: o.Ballast, low: o.LowWater, max: o.MaxSize}
	_, size, err := diskOf(dir)
	if err != nil {
		return nil, err
	}
	if s.ballast == 0 {
		s.ballast = min(defaultBallast, size/16)
	}
	if s.low == 0 {
		s.low = min(max(leastLowWater, size/20), mostLowWater, size/4)
	}
	if s.max == 0 {
		s.max = defaultMaxSize
	}
	return s, nil
}

func diskOf(dir string) (free, all int64, err error) {
	if free, all, err = durable.Room(dir); err != nil {
		return 0, 0, fmt.Errorf("read how much room the disk of %s has: %w", dir, bare(err))
	}
	return free, all, nil
}

func free(dir string) (int64, error) {
	n, _, err := diskOf(dir)
	return n, err
}

func (s *space) path() string { return filepath.Join(s.dir, ballastName) }

// kept says whether the ballast is there, whole.
func (s *space) kept() bool {
	info, err := os.Stat(s.path())
	return err == nil && info.Size() >= s.ballast
}

// room looks and changes nothing.
func (s *space) room() (room, error) {
	n, err := free(s.dir)
	if err != nil {
		return room{}, err
	}
	info, err := os.Stat(filepath.Join(s.dir, fileName))
	if err != nil {
		return room{}, fmt.Errorf("read the journal's size: %w", bare(err))
	}
	need := s.low
	if !s.kept() {
		need += s.ballast
	}
	return room{free: n, short: n < need || info.Size() > s.max-s.low}, nil
}

// admit refuses what is new where the disk is short: receipt.ErrStorage. It takes the ballast back first, where there is room
// again; without one, nothing new is taken.
func (s *space) admit() error {
	r, err := s.room()
	if err == nil && !r.short {
		err = s.refill()
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", receipt.ErrStorage, err)
	case r.short:
		return fmt.Errorf("%w: the disk has %d KB left, and %d KB of it and a ballast of %d KB are for what was accepted; make room on it",
			receipt.ErrStorage, r.free/1024, s.low/1024, s.ballast/1024)
	}
	return nil
}

// admit refuses what is new where it may not be finished: receipt.ErrStorage.
func (t *tx) admit() error {
	var pages int64
	if err := t.QueryRow(`PRAGMA page_count`).Scan(&pages); err != nil {
		return err
	}
	if s := t.w.space; pages*pageSize > s.max-s.low {
		return fmt.Errorf("%w: it has %d MB and may have %d MB", receipt.ErrStorage, pages*pageSize/mega, s.max/mega)
	}
	return t.w.space.admit()
}

// refill makes the ballast of real blocks, where it is not there.
func (s *space) refill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept() {
		return nil
	}
	f, err := os.OpenFile(s.path(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("make the ballast: %w", bare(err))
	}
	err = durable.Reserve(f, s.ballast)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("make the ballast: %w", bare(err)), absent(s.path()))
	}
	return syncFolder(s.path())
}

// refillFirst makes the ballast where there is room for it.
func (s *space) refillFirst() error {
	r, err := s.room()
	if err == nil && !r.short {
		err = s.refill()
	}
	if durable.Full(err) {
		return nil // somebody was faster; nothing new is accepted
	}
	return err
}

// release gives the ballast's blocks back, and says whether there were any.
func (s *space) release() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return os.Remove(s.path()) == nil
}

// prepare makes room for the start itself, which has to write a little even
// before anything is finished.
func (s *space) prepare() error {
	n, err := free(s.dir)
	if err == nil && n < s.ballast {
		s.release()
	}
	return err
}

// Room tells how many bytes the disk under the journal has left, and whether
// that is too short to accept anything new.
func (j *Journal) Room() (free int64, short bool, err error) {
	r, err := j.space.room()
	return r.free, r.short, err
}
