package durable

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/gofrs/flock"
)

// File is a small JSON file in the data folder that an agent reads while commands
// change it. The file is the truth: it is read again once it is another one. Its
// methods may be called from several goroutines, and from several processes.
type File[T any] struct {
	path  string
	parse func([]byte) (T, error)

	mu      sync.Mutex
	seen    os.FileInfo // of the file that content was read from
	content T
}

// NewFile gives a file that parse reads. It need not be there yet.
func NewFile[T any](path string, parse func([]byte) (T, error)) *File[T] {
	return &File[T]{path: path, parse: parse}
}

// Read gives what the file holds, the zero value where there is none. Many share
// it: nobody may change it.
func (f *File[T]) Read() (T, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.read()
}

// read reads the file again where it is another one than before. Writers always
// put a new file in its place, so its identity tells as well as its time and size do.
func (f *File[T]) read() (none T, _ error) {
	info, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		f.seen = nil
		return none, nil
	}
	if err != nil {
		return none, err
	}
	if f.seen != nil && os.SameFile(f.seen, info) && f.seen.ModTime().Equal(info.ModTime()) && f.seen.Size() == info.Size() {
		return f.content, nil
	}
	f.seen = nil // whatever goes wrong now, it is read again the next time
	data, err := os.ReadFile(f.path)
	if err != nil {
		return none, err
	}
	content, err := f.parse(data)
	if err != nil {
		return none, fmt.Errorf("read %s: %w", f.path, err)
	}
	f.seen, f.content = info, content
	return content, nil
}

// Change reads the file anew and puts what change gives, as JSON, in its place, in
// a data folder that may still have to be made. Whoever else changes it waits.
func (f *File[T]) Change(change func(T) (any, error)) (err error) {
	if err := os.Mkdir(filepath.Dir(f.path), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make the data folder: %w", err)
	}
	lock := flock.New(f.path+".lock", flock.SetPermissions(0o600))
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("lock %s: %w", f.path, err)
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()

	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = nil
	content, err := f.read()
	if err != nil {
		return err
	}
	f.seen = nil
	next, err := change(content)
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(next, "", "  ")
	if err != nil {
		return err
	}
	if err := Replace(f.path, append(data, '\n')); err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	return nil
}
