package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The files of a release beside the programs that it names, and the most bytes
// that each may have.
const (
	ReleaseFile    = "release.json" // a Release
	SignaturesFile = "release.sig"  // who has signed its bytes; see package update
	MaxRelease     = 64 << 10
	MaxSignatures  = 4 << 10
	MaxProgram     = 128 << 20
)

// Release is one version of the agent's program, for every machine that it is
// built for. Its bytes are what is signed; what they name by hash is signed by
// that.
type Release struct {
	V       int            `json:"v"`       // Version
	Version string         `json:"version"` // see ParseVersion
	Over    string         `json:"over"`    // the lowest version that it may follow
	Journal ReleaseJournal `json:"journal"`
	Created time.Time      `json:"created"`
	Expires time.Time      `json:"expires"` // from then on nobody installs it any more
	// Programs are sorted by target.
	Programs []Program `json:"programs"`
}

// ReleaseJournal says which programs can go on with a journal that this version
// has worked on.
type ReleaseJournal struct {
	Schema       int `json:"schema"`        // the number of its newest schema file
	ReadableFrom int `json:"readable_from"` // the lowest number whose programs can go on with it
}

// Program is one file of a release.
type Program struct {
	Target string `json:"target"` // such as linux-arm64, as scripts/build names it
	Name   string `json:"name"`   // of the file
	Size   int64  `json:"size"`   // in bytes
	SHA256 string `json:"sha256"` // in small hexadecimal digits
}

var (
	targetForm  = regexp.MustCompile(`^[a-z0-9]{1,16}-[a-z0-9]{1,16}$`)
	programForm = regexp.MustCompile(`^ekassa-agent[a-z0-9.-]{0,50}$`)
)

// ParseRelease reads and checks the bytes of a Release. It is strict: what it
// does not know it does not install.
func ParseRelease(data []byte) (r Release, err error) {
	if len(data) > MaxRelease {
		return r, fmt.Errorf("read the release: it has more than %d bytes", MaxRelease)
	}
	var v struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return r, fmt.Errorf("read the release: %w", err)
	}
	if v.V != Version {
		return r, fmt.Errorf("read the release: it is of form %d, and this program knows %d", v.V, Version)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, fmt.Errorf("read the release: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return r, errors.New("read the release: something follows it")
	}
	if err := r.check(); err != nil {
		return Release{}, fmt.Errorf("read the release: %w", err)
	}
	return r, nil
}

func (r Release) check() error {
	version, err := ParseVersion(r.Version)
	if err != nil {
		return err
	}
	over, err := ParseVersion(r.Over)
	switch {
	case err != nil:
		return fmt.Errorf("over: %w", err)
	case over.Compare(version) >= 0:
		return fmt.Errorf("version %s may follow %s only, which is not below it", r.Version, r.Over)
	case r.Journal.Schema < 1 || r.Journal.ReadableFrom < 1 || r.Journal.ReadableFrom > r.Journal.Schema:
		return fmt.Errorf("a journal of schema %d cannot be readable from %d on", r.Journal.Schema, r.Journal.ReadableFrom)
	case r.Created.IsZero() || !r.Created.Before(r.Expires):
		return errors.New("it expires before it is made")
	case len(r.Programs) == 0 || len(r.Programs) > 20:
		return fmt.Errorf("it has %d programs", len(r.Programs))
	case !slices.IsSortedFunc(r.Programs, func(a, b Program) int { return strings.Compare(a.Target, b.Target) }):
		return errors.New("its programs are not sorted by target")
	}
	names := map[string]bool{}
	for n, p := range r.Programs {
		sum, err := hex.DecodeString(p.SHA256)
		switch {
		case !targetForm.MatchString(p.Target) || n > 0 && r.Programs[n-1].Target == p.Target:
			return fmt.Errorf("target %q is none, or there twice", p.Target)
		case !programForm.MatchString(p.Name) || names[p.Name]:
			return fmt.Errorf("file name %q is none, or there twice", p.Name)
		case p.Size < 1 || p.Size > MaxProgram:
			return fmt.Errorf("%s has %d bytes; at most %d are taken", p.Name, p.Size, MaxProgram)
		case err != nil || len(sum) != 32 || p.SHA256 != strings.ToLower(p.SHA256):
			return fmt.Errorf("%s has no SHA-256 sum", p.Name)
		}
		names[p.Name] = true
	}
	return nil
}

// Program gives the one for a target.
func (r Release) Program(target string) (Program, bool) {
	for _, p := range r.Programs {
		if p.Target == target {
			return p, true
		}
	}
	return Program{}, false
}

// Number is a release's version, comparable.
type Number [3]int

var (
	versionForm = regexp.MustCompile(`^(0|[1-9][0-9]{0,4})\.(0|[1-9][0-9]{0,4})\.(0|[1-9][0-9]{0,4})$`)
	stampForm   = regexp.MustCompile(`^v?([0-9]{1,5})\.([0-9]{1,5})\.([0-9]{1,5})`)
)

// ParseVersion reads the version of a release: three numbers, such as 1.12.0.
func ParseVersion(s string) (Number, error) {
	m := versionForm.FindStringSubmatch(s)
	if m == nil {
		return Number{}, fmt.Errorf("%q is not a version such as 1.12.0", s)
	}
	return numbers(m), nil
}

// StampedVersion reads what a build has stamped, which may be more than a
// release's version, or less: 1.12.0.5.gabc is 1.12.0, and "development" 0.0.0.
func StampedVersion(s string) Number {
	m := stampForm.FindStringSubmatch(s)
	if m == nil {
		return Number{}
	}
	return numbers(m)
}

func numbers(m []string) (n Number) {
	for i := range n {
		n[i], _ = strconv.Atoi(m[i+1]) // the form has digits only
	}
	return n
}

// Compare is below, at or above 0 as n is below, at or above o.
func (n Number) Compare(o Number) int { return slices.Compare(n[:], o[:]) }

func (n Number) String() string { return fmt.Sprintf("%d.%d.%d", n[0], n[1], n[2]) }
