package update

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ekassa/agent/crash"
	"ekassa/agent/durable"
	"ekassa/cloud/wire"
)

// mostStarts a version has to prove itself. The power may go while it does.
const mostStarts = 3

// Choose is the launcher's: it says which program is to run, "" for the packaged
// one itself, whose the folder is. A version on trial is counted before it is
// begun, and left where it was begun often enough; one that is no longer what was
// signed is left at once. Its error means that something is wrong with the folder;
// the packaged program runs then.
func (f *Folder) Choose(now time.Time) (program, version string, err error) {
	s, err := f.Load()
	if err != nil || s.Current == "" {
		return "", "", err
	}
	for s.Current != "" {
		trying := s.Current
		number, err := wire.ParseVersion(trying)
		if err != nil {
			return "", "", err
		}
		path, wrong := "", error(nil)
		switch {
		case number.Compare(f.own.Version) <= 0:
			// A package was installed since, and overtakes.
		case s.Trial != nil && s.Trial.Starts >= mostStarts:
			wrong = fmt.Errorf("it was started %d times and did not prove itself", s.Trial.Starts)
		default:
			path, wrong = f.known(trying)
		}
		s, err = f.change(func(s *State) bool {
			switch {
			case s.Current != trying: // somebody else was here
				return false
			case path == "" && wrong == nil:
				f.overtaken(s, now)
			case wrong != nil:
				s.back(wire.ProgramReverted, wrong.Error(), now)
			case s.Trial == nil:
				return false
			default:
				s.Trial.Starts++
			}
			return true
		})
		if err != nil {
			return "", "", err
		}
		if path != "" && wrong == nil && s.Current == trying {
			crash.Point(crash.StartCounted)
			return path, trying, nil
		}
	}
	return "", "", nil
}

// overtaken: the packaged program is as new as the current version, or newer.
func (f *Folder) overtaken(s *State, now time.Time) {
	if s.Trial != nil {
		s.Last = &wire.ProgramReport{Version: s.Current, State: wire.ProgramFailed, Reason: "package " + f.own.Version.String() + " was installed before it had proven itself", At: now}
	}
	s.Current, s.Previous, s.Trial = "", "", nil
	if s.Staged != "" && numberOf(s.Staged).Compare(f.own.Version) <= 0 {
		s.Staged = ""
	}
}

// back has the version before run again.
func (s *State) back(state, reason string, now time.Time) {
	s.Last = &wire.ProgramReport{Version: s.Current, State: state, Reason: reason, At: now}
	s.Current, s.Previous, s.Trial = s.Previous, "", nil
}

// Unstartable has the version before run again, since the system did not start
// this one.
func (f *Folder) Unstartable(version string, why error, now time.Time) error {
	_, err := f.change(func(s *State) bool {
		if s.Current != version {
			return false
		}
		s.back(wire.ProgramFailed, why.Error(), now)
		return true
	})
	return err
}

// Switch has the staged version run from the next start on, on trial; worked are
// the registers that are at work now. false: there is none, or it is not what was
// signed any more, which is noted.
func (f *Folder) Switch(worked []string, now time.Time) (switched bool, err error) {
	seen, err := f.Load()
	if err != nil || seen.Staged == "" {
		return false, err
	}
	_, wrong := f.known(seen.Staged)
	_, err = f.change(func(s *State) bool {
		if s.Staged != seen.Staged {
			return false
		}
		if wrong != nil {
			s.Last = &wire.ProgramReport{Version: s.Staged, State: wire.ProgramFailed, Reason: wrong.Error(), At: now}
			s.Staged = ""
			return true
		}
		switched = true
		s.Previous, s.Current, s.Staged, s.Trial = s.Current, s.Staged, "", &Trial{Worked: worked}
		s.Last = &wire.ProgramReport{Version: s.Current, State: wire.ProgramTrial, At: now}
		return true
	})
	if err == nil && switched {
		crash.Point(crash.Switched)
	}
	return switched && err == nil, err
}

// Proven ends the trial of a version well.
func (f *Folder) Proven(version string, now time.Time) error {
	_, err := f.change(func(s *State) bool {
		if s.Current != version || s.Trial == nil {
			return false
		}
		s.Trial, s.Last = nil, &wire.ProgramReport{Version: version, State: wire.ProgramApplied, At: now}
		return true
	})
	return err
}

// Revert ends the trial of a version badly.
func (f *Folder) Revert(version, why string, now time.Time) error {
	_, err := f.change(func(s *State) bool {
		if s.Current != version || s.Trial == nil {
			return false
		}
		s.back(wire.ProgramReverted, why, now)
		return true
	})
	return err
}

// Back has the version before run again, as a person wants it, and forgets what is
// staged. Error: there is none.
func (f *Folder) Back(who string, now time.Time) (to string, err error) {
	none := true
	s, err := f.change(func(s *State) bool {
		if s.Current == "" && s.Staged == "" {
			return false
		}
		none = false
		if s.Staged != "" { // it has not run: that one is left alone
			s.Last = &wire.ProgramReport{Version: s.Staged, State: wire.ProgramReverted, Reason: who, At: now}
			s.Staged = ""
			return true
		}
		s.back(wire.ProgramReverted, who, now)
		return true
	})
	if err == nil && none {
		err = errors.New("there is nothing to go back from: the packaged program runs, and nothing is staged")
	}
	return s.Current, err
}

// Clean removes what nothing speaks of any more: older versions, and what an
// interrupted Stage has left. It is called when nobody stages.
func (f *Folder) Clean() error {
	err := f.locked(func() error {
		s, err := f.Load()
		if err != nil {
			return err
		}
		entries, err := os.ReadDir(f.dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			name := strings.TrimPrefix(e.Name(), ".")
			name, _, draft := strings.Cut(name, "-")
			if _, bad := wire.ParseVersion(name); !e.IsDir() || bad != nil {
				continue
			}
			if draft || name != s.Current && name != s.Previous && name != s.Staged {
				err = errors.Join(err, os.RemoveAll(filepath.Join(f.dir, e.Name())))
			}
		}
		return errors.Join(err, durable.SyncFolder(f.dir))
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
