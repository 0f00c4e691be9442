package update

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"ekassa/agent/durable"
	"ekassa/cloud/wire"
)

// FolderName is below the data folder.
const FolderName = "update"

const (
	stateFile   = "state.json"
	floorFile   = "floor.json"
	lockFile    = "lock"
	programFile = "ekassa-agent"
)

// Own is what a program knows of itself.
type Own struct {
	Version wire.Number
	Target  string // such as linux-arm64
	Schema  int    // the newest of the journal that it knows
	Keys    Keys
}

// Folder is where versions lie.
type Folder struct {
	dir string
	own Own
}

// In gives the one below a data folder. It need not be there.
func In(dataDir string, own Own) *Folder {
	return &Folder{dir: filepath.Join(dataDir, FolderName), own: own}
}

// State says which version runs. The zero value: the packaged program.
type State struct {
	Current  string `json:"current,omitempty"`  // "": the packaged program
	Previous string `json:"previous,omitempty"` // what comes back; "": the packaged program
	Staged   string `json:"staged,omitempty"`   // what waits for a quiet moment; "": nothing
	Trial    *Trial `json:"trial,omitempty"`    // of Current, until it is proven
	// Last is what happened last; nil: nothing ever did.
	Last *wire.ProgramReport `json:"last,omitempty"`
}

// Trial is how far a version is with proving itself.
type Trial struct {
	Starts int      `json:"starts"` // begun so far
	Worked []string `json:"worked"` // registers that were at work under the version before
}

// Load reads the state.
func (f *Folder) Load() (s State, err error) {
	data, err := os.ReadFile(filepath.Join(f.dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	for _, v := range []string{s.Current, s.Previous, s.Staged} {
		if err == nil && v != "" {
			_, err = wire.ParseVersion(v) // it becomes a path
		}
	}
	if err != nil {
		return State{}, fmt.Errorf("read which version runs: %w; the packaged one does", err)
	}
	return s, nil
}

// change reads, changes and writes the state, alone. Where do says no, nothing is
// written. A state that cannot be read is as none: the packaged program runs.
func (f *Folder) change(do func(*State) bool) (s State, err error) {
	if err := f.make(); err != nil {
		return s, err
	}
	err = f.locked(func() error {
		if s, _ = f.Load(); !do(&s) {
			return nil
		}
		data, err := json.MarshalIndent(s, "", "  ")
		if err == nil {
			err = durable.Replace(filepath.Join(f.dir, stateFile), append(data, '\n'))
		}
		if err != nil {
			return fmt.Errorf("write which version runs: %w", err)
		}
		return nil
	})
	return s, err
}

// make makes the folder, and gives it to whom the data folder belongs.
func (f *Folder) make() error {
	parent := filepath.Dir(f.dir)
	if err := os.Mkdir(f.dir, 0o700); errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("make the folder for updates: %w", err)
	}
	if err := errors.Join(durable.GiveToOwner(parent, f.dir), durable.SyncFolder(parent)); err != nil {
		return fmt.Errorf("make the folder for updates: %w", err)
	}
	return nil
}

func (f *Folder) locked(do func() error) error {
	path := filepath.Join(f.dir, lockFile)
	lock := flock.New(path)
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("lock the folder for updates: %w", err)
	}
	defer lock.Unlock()
	if err := durable.GiveToOwner(f.dir, path); err != nil {
		return err
	}
	return do()
}

// floor is the highest version that was trusted under a key which is trusted
// still. What a key that was taken out has vouched for binds nobody: whoever stole
// one could otherwise set the floor above everything that will ever be made.
func (f *Folder) floor() (highest wire.Number, of map[string]string, err error) {
	of = map[string]string{}
	data, err := os.ReadFile(filepath.Join(f.dir, floorFile))
	if errors.Is(err, fs.ErrNotExist) {
		return highest, of, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &of)
	}
	if err != nil {
		return highest, nil, fmt.Errorf("read the highest version that was trusted: %w", err)
	}
	for _, k := range f.own.Keys {
		if text, ok := of[KeyID(k)]; ok {
			v, err := wire.ParseVersion(text)
			if err != nil {
				return highest, nil, fmt.Errorf("read the highest version that was trusted: %w", err)
			}
			if v.Compare(highest) > 0 {
				highest = v
			}
		}
	}
	return highest, of, nil
}

// raise remembers that a version was trusted; it never goes back.
func (f *Folder) raise(v wire.Number, by []string) error {
	return f.locked(func() error {
		_, of, err := f.floor()
		if err != nil {
			return err
		}
		changed := false
		for _, key := range by {
			if was, err := wire.ParseVersion(of[key]); err != nil || v.Compare(was) > 0 {
				of[key], changed = v.String(), true
			}
		}
		if !changed {
			return nil
		}
		data, err := json.MarshalIndent(of, "", "  ")
		if err == nil {
			err = durable.Replace(filepath.Join(f.dir, floorFile), append(data, '\n'))
		}
		if err != nil {
			return fmt.Errorf("remember the highest version that was trusted: %w", err)
		}
		return nil
	})
}

func (f *Folder) version(v string) string { return filepath.Join(f.dir, v) }

// manifest reads that of a version that lies in the folder, if it is signed.
func (f *Folder) manifest(version string) (r wire.Release, dir string, err error) {
	dir = f.version(version)
	r, _, err = readSigned(f.own.Keys, func(name string, most int64) ([]byte, error) {
		return readFile(filepath.Join(dir, name), most)
	})
	return r, dir, err
}

// known reads a version that lies in the folder and checks all of it again: who
// signed it, and that the program is what was signed. It gives the program's path.
func (f *Folder) known(version string) (string, error) {
	r, dir, err := f.manifest(version)
	if err != nil {
		return "", err
	}
	p, ok := r.Program(f.own.Target)
	if !ok || r.Version != version {
		return "", fmt.Errorf("version %s for %s is what is signed there", r.Version, r.Programs[0].Target)
	}
	path := filepath.Join(dir, programFile)
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	return path, same(nil, file, p)
}
