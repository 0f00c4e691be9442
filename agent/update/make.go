package update

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ekassa/cloud/wire"
)

// Plan is what a release is to say beside its programs.
type Plan struct {
	Version, Over string
	Journal       wire.ReleaseJournal
	Created       time.Time
	Lasts         time.Duration // until nobody installs it any more
}

// Make writes a release into a new folder: the programs that scripts/build has put
// into from, a folder for each target, their manifest, and its signatures.
func Make(from, out string, p Plan, keys ...ed25519.PrivateKey) (r wire.Release, err error) {
	r = wire.Release{
		V: wire.Version, Version: p.Version, Over: p.Over, Journal: p.Journal,
		Created: p.Created.UTC().Truncate(time.Second), Expires: p.Created.UTC().Add(p.Lasts).Truncate(time.Second),
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return r, err
	}
	if err := os.Mkdir(out, 0o755); err != nil {
		return r, err
	}
	for _, e := range entries { // sorted
		if !e.IsDir() || strings.HasPrefix(e.Name(), "windows-") { // updates are installed by hand there
			continue
		}
		one := wire.Program{Target: e.Name(), Name: "ekassa-agent-" + e.Name()}
		if one.Size, one.SHA256, err = copied(filepath.Join(from, e.Name(), programFile), filepath.Join(out, one.Name)); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return r, err
		}
		r.Programs = append(r.Programs, one)
	}
	slices.SortFunc(r.Programs, func(a, b wire.Program) int { return strings.Compare(a.Target, b.Target) })
	manifest, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return r, err
	}
	if _, err := wire.ParseRelease(manifest); err != nil {
		return r, fmt.Errorf("agents would not take this: %w", err)
	}
	signatures, err := Sign(manifest, keys...)
	if err != nil {
		return r, err
	}
	return r, errors.Join(os.WriteFile(filepath.Join(out, wire.ReleaseFile), manifest, 0o644), os.WriteFile(filepath.Join(out, wire.SignaturesFile), signatures, 0o644))
}

func copied(from, to string) (size int64, sum string, err error) {
	in, err := os.Open(from)
	if err != nil {
		return 0, "", err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return 0, "", err
	}
	hash := sha256.New()
	size, err = io.Copy(io.MultiWriter(out, hash), in)
	return size, hex.EncodeToString(hash.Sum(nil)), errors.Join(err, out.Close())
}
