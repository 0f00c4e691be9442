// Package release keeps the versions of the agent's program that an operator has
// uploaded, and hands them out. It trusts nothing and vouches for nothing: whether
// a release is what its makers have signed is each agent's to find out. So it is
// handed to whoever asks.
package release

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ekassa/cloud/wire"
)

// FolderName is below the cloud's data folder.
const FolderName = "releases"

// Folder has a folder for each version. Where several processes serve a fleet, each
// needs the same.
type Folder string

// In gives the one below a data folder. It need not be there.
func In(dataDir string) Folder { return Folder(filepath.Join(dataDir, FolderName)) }

// Add takes a release over from a folder, as scripts/release has made it. It fails
// where a program is not the one that the manifest names, or where another release
// has that version.
func (f Folder) Add(from string) (r wire.Release, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("add the release %s: %w", from, err)
		}
	}()
	manifest, err := small(filepath.Join(from, wire.ReleaseFile), wire.MaxRelease)
	if err != nil {
		return r, err
	}
	if r, err = wire.ParseRelease(manifest); err != nil {
		return r, err
	}
	signatures, err := small(filepath.Join(from, wire.SignaturesFile), wire.MaxSignatures)
	if err != nil {
		return r, err
	}
	if !json.Valid(signatures) {
		return r, fmt.Errorf("%s cannot be read; sign it anew", wire.SignaturesFile)
	}
	if err := os.MkdirAll(string(f), 0o755); err != nil {
		return r, err
	}
	if _, err := os.Stat(f.version(r.Version)); !errors.Is(err, fs.ErrNotExist) {
		return r, errors.Join(err, fmt.Errorf("version %s is there already, and is never replaced; raise the version", r.Version))
	}
	draft, err := os.MkdirTemp(string(f), ".adding-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(draft)
	for _, p := range r.Programs {
		if err := take(filepath.Join(from, p.Name), filepath.Join(draft, p.Name), p); err != nil {
			return r, err
		}
	}
	err = errors.Join(
		os.WriteFile(filepath.Join(draft, wire.ReleaseFile), manifest, 0o644),
		os.WriteFile(filepath.Join(draft, wire.SignaturesFile), signatures, 0o644),
		os.Chmod(draft, 0o755),
		os.Rename(draft, f.version(r.Version)))
	return r, err
}

func (f Folder) version(v string) string { return filepath.Join(string(f), v) }

// take copies a program, and fails where it is not the one of the manifest.
func take(from, to string, p wire.Program) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, sum), io.LimitReader(in, p.Size+1))
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	if n != p.Size || hex.EncodeToString(sum.Sum(nil)) != p.SHA256 {
		return fmt.Errorf("%s is not the program that the release names", p.Name)
	}
	return nil
}

func small(path string, most int64) ([]byte, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("%s has more than %d bytes", path, most)
	}
	return data, err
}

// List gives the releases that are there, the highest version first.
func (f Folder) List() (list []wire.Release, err error) {
	entries, err := os.ReadDir(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the releases: %w", err)
	}
	for _, e := range entries {
		if _, err := wire.ParseVersion(e.Name()); err != nil || !e.IsDir() {
			continue
		}
		manifest, err := small(filepath.Join(f.version(e.Name()), wire.ReleaseFile), wire.MaxRelease)
		if err != nil {
			return nil, fmt.Errorf("list the releases: %w", err)
		}
		r, err := wire.ParseRelease(manifest)
		if err != nil {
			return nil, fmt.Errorf("list the releases: %s: %w", e.Name(), err)
		}
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b wire.Release) int {
		return wire.StampedVersion(b.Version).Compare(wire.StampedVersion(a.Version))
	})
	return list, nil
}

// Register adds GET /api/v1/releases/{version}/{file}.
func (f Folder) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/v1/releases/{version}/{file}", f.file)
}

// slow is how long an agent may take for a program, over a bad line.
const slow = time.Hour

func (f Folder) file(w http.ResponseWriter, r *http.Request) {
	version, name := r.PathValue("version"), r.PathValue("file")
	_, err := wire.ParseVersion(version)
	if err != nil || strings.HasPrefix(name, ".") || name != filepath.Base(name) || strings.ContainsAny(name, `/\`) {
		missing(w)
		return
	}
	in, err := os.Open(filepath.Join(f.version(version), name))
	if err != nil {
		missing(w)
		return
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil || !info.Mode().IsRegular() {
		missing(w)
		return
	}
	// A server that bounds its answers would cut this one. Where it does not know
	// how, it has no bound.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(slow))
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, "", info.ModTime(), in)
}

func missing(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusNotFound)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"type": "about:blank", "title": http.StatusText(http.StatusNotFound), "status": http.StatusNotFound, "detail": "there is no such file of a release",
	})
}
