package update

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"ekassa/agent/crash"
	"ekassa/agent/durable"
	"ekassa/cloud/wire"
)

// Source is where a release comes from: it opens one of its files.
type Source func(ctx context.Context, name string) (io.ReadCloser, error)

// Clock tells the time, and whether it can be believed: a Pi without a network
// begins in the past, and then nothing is refused by its date.
type Clock func() (now time.Time, trusted bool)

// spare is what the disk must have left beside a new program, in bytes: receipts
// come first.
const spare = 64 << 20

// Stage takes a release over from a source: it is verified, its program for this
// machine is on the disk and starts. running is the version that runs, which it
// has to be above. The running program changes over when it is quiet. It gives
// the version. Its error says why nothing was taken; what is there stays.
func (f *Folder) Stage(ctx context.Context, from Source, running wire.Number, clock Clock) (version string, err error) {
	var manifest, signatures []byte
	r, by, err := readSigned(f.own.Keys, func(name string, most int64) ([]byte, error) {
		data, err := fetch(ctx, from, name, most)
		if name == wire.ReleaseFile {
			manifest = data
		} else {
			signatures = data
		}
		return data, err
	})
	if err != nil {
		return "", fmt.Errorf("update: %w", err)
	}
	if version, err = r.Version, f.stage(ctx, from, r, by, manifest, signatures, running, clock); err != nil {
		return "", fmt.Errorf("update to %s: %w", r.Version, err)
	}
	return version, nil
}

func (f *Folder) stage(ctx context.Context, from Source, r wire.Release, by []string, manifest, signatures []byte, running wire.Number, clock Clock) error {
	p, err := f.fits(r, running, clock)
	if err != nil {
		return err
	}
	if err := f.make(); err != nil {
		return err
	}
	// From here on nothing lower is ever taken, also where this one comes to
	// nothing.
	if err := f.raise(numberOf(r.Version), by); err != nil {
		return err
	}
	crash.Point(crash.FloorRaised)
	if free, _, err := durable.Room(f.dir); err != nil || free < p.Size+spare {
		return errors.Join(err, fmt.Errorf("the disk has %d MB free and %d are needed", free>>20, (p.Size+spare)>>20))
	}
	draft, err := os.MkdirTemp(f.dir, "."+r.Version+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(draft)
	if err := f.fill(ctx, from, draft, p, manifest, signatures); err != nil {
		return err
	}
	crash.Point(crash.ProgramKept)
	if err := starts(ctx, filepath.Join(draft, programFile), r.Version); err != nil {
		return err
	}
	var wrong error
	_, err = f.change(func(s *State) bool {
		if s.Current == r.Version { // somebody was faster
			wrong = errors.New("it is at work already")
			return false
		}
		place := f.version(r.Version)
		if wrong = errors.Join(os.RemoveAll(place), os.Rename(draft, place), durable.SyncFolder(f.dir)); wrong != nil {
			return false
		}
		crash.Point(crash.VersionNamed)
		s.Staged, s.Last = r.Version, &wire.ProgramReport{Version: r.Version, State: wire.ProgramStaged, At: now(clock)}
		return true
	})
	if err = errors.Join(err, wrong); err == nil {
		crash.Point(crash.VersionStaged)
	}
	return err
}

// fits says which program of a release may follow the version that runs, or why
// none may.
func (f *Folder) fits(r wire.Release, running wire.Number, clock Clock) (p wire.Program, err error) {
	version, over := numberOf(r.Version), numberOf(r.Over)
	floor, _, err := f.floor()
	if err != nil {
		return p, err
	}
	schema, err := f.schemaOf(running)
	if err != nil {
		return p, err
	}
	time, trusted := clock()
	p, built := r.Program(f.own.Target)
	switch {
	case version.Compare(running) <= 0:
		return p, fmt.Errorf("version %s runs, which is not below it; to go back, use ekassa-agent update --back or an older package", running)
	case version.Compare(floor) < 0:
		return p, fmt.Errorf("version %s was trusted here before, and nothing below that is taken any more", floor)
	case running.Compare(over) < 0:
		return p, fmt.Errorf("it may follow version %s at the lowest, and %s runs; install one between first", over, running)
	case r.Journal.ReadableFrom > schema:
		return p, fmt.Errorf("version %s could not go on with its journal if it had to come back (schema %d, and it knows %d); install one between first",
			running, r.Journal.ReadableFrom, schema)
	case trusted && !time.Before(r.Expires):
		return p, fmt.Errorf("it has expired at %s; fetch a newer one", r.Expires.Format("2006-01-02"))
	case !built:
		return p, fmt.Errorf("it has no program for %s", f.own.Target)
	}
	return p, nil
}

// schemaOf says which schema of the journal the version that runs knows.
func (f *Folder) schemaOf(running wire.Number) (int, error) {
	if running == f.own.Version {
		return f.own.Schema, nil
	}
	r, _, err := f.manifest(running.String())
	if err != nil {
		return 0, fmt.Errorf("read which journal version %s knows: %w", running, err)
	}
	return r.Journal.Schema, nil
}

// fill puts a version's files into a folder, and has them reach the disk.
func (f *Folder) fill(ctx context.Context, from Source, dir string, p wire.Program, manifest, signatures []byte) error {
	source, err := from(ctx, p.Name)
	if err != nil {
		return err
	}
	defer source.Close()
	path := filepath.Join(dir, programFile)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o700)
	if err != nil {
		return err
	}
	err = same(file, source, p)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return errors.Join(
		durable.Replace(filepath.Join(dir, wire.ReleaseFile), manifest),
		durable.Replace(filepath.Join(dir, wire.SignaturesFile), signatures),
		durable.GiveToOwner(f.dir, dir, path, filepath.Join(dir, wire.ReleaseFile), filepath.Join(dir, wire.SignaturesFile)),
		durable.SyncFolder(dir))
}

// same copies a program, and fails where it is not the one that was signed. to may
// be nil.
func same(to io.Writer, from io.Reader, p wire.Program) error {
	sum := sha256.New()
	all := io.Writer(sum)
	if to != nil {
		all = io.MultiWriter(sum, to)
	}
	n, err := io.Copy(all, io.LimitReader(from, p.Size+1))
	switch {
	case err != nil:
		return fmt.Errorf("read %s: %w", p.Name, err)
	case n != p.Size || hex.EncodeToString(sum.Sum(nil)) != p.SHA256:
		return fmt.Errorf("%s is not the program that was signed", p.Name)
	}
	return nil
}

// patience for a program to say its version: a Pi Zero with a bad card.
const patience = time.Minute

// starts has a program say its version: a disk may forbid it to run, and a file may
// be for another machine.
func starts(ctx context.Context, path, version string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return fmt.Errorf("its program does not start here: %w", err)
	}
	if words := strings.Fields(string(out)); len(words) == 0 || words[len(words)-1] != version {
		return errors.New("its program says that it is another version")
	}
	return nil
}

// readSigned reads a manifest that is signed. Its signature is looked at before
// anything else in it.
func readSigned(keys Keys, read func(name string, most int64) ([]byte, error)) (r wire.Release, by []string, err error) {
	manifest, err := read(wire.ReleaseFile, wire.MaxRelease)
	if err != nil {
		return r, nil, err
	}
	signatures, err := read(wire.SignaturesFile, wire.MaxSignatures)
	if err != nil {
		return r, nil, err
	}
	if by, err = keys.Verify(manifest, signatures); err != nil {
		return r, nil, fmt.Errorf("the release is not taken: %w", err)
	}
	r, err = wire.ParseRelease(manifest)
	return r, by, err
}

func numberOf(version string) wire.Number {
	n, _ := wire.ParseVersion(version) // it was parsed before
	return n
}

func now(clock Clock) time.Time {
	t, _ := clock()
	return t
}
