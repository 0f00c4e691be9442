package update

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ekassa/cloud/wire"
)

var (
	current = ed25519.NewKeyFromSeed([]byte("the key that signs releases now."))
	next    = ed25519.NewKeyFromSeed([]byte("the key that will sign them next"))
	foreign = ed25519.NewKeyFromSeed([]byte("a key that nobody ever has heard"))
	noon    = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
)

func public(keys ...ed25519.PrivateKey) (list Keys) {
	for _, k := range keys {
		list = append(list, k.Public().(ed25519.PublicKey))
	}
	return list
}

func sure() (time.Time, bool)   { return noon, true }
func unsure() (time.Time, bool) { return noon.AddDate(5, 0, 0), false }

// packaged is version 1.0.0, with schema 8.
func packaged(t *testing.T) *Folder {
	t.Helper()
	return In(t.TempDir(), Own{Version: wire.Number{1}, Target: "linux-test", Schema: 8, Keys: public(current, next)})
}

// made signs a release of a program that is a shell script.
func made(t *testing.T, version string, change func(*Plan), keys ...ed25519.PrivateKey) Source {
	t.Helper()
	built, out := filepath.Join(t.TempDir(), version), filepath.Join(t.TempDir(), "out")
	dir := filepath.Join(built, "linux-test")
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, programFile), []byte("#!/bin/sh\necho ekassa-agent version "+version+"\n"), 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	p := Plan{Version: version, Over: "1.0.0", Created: noon.Add(-time.Hour), Lasts: 24 * time.Hour, Journal: wire.ReleaseJournal{Schema: 9, ReadableFrom: 8}}
	if change != nil {
		change(&p)
	}
	if _, err := Make(built, out, p, keys...); err != nil {
		t.Fatal(err)
	}
	from, err := From(out)
	if err != nil {
		t.Fatal(err)
	}
	return from
}

func (f *Folder) mustStage(t *testing.T, version string, keys ...ed25519.PrivateKey) {
	t.Helper()
	if got, err := f.Stage(t.Context(), made(t, version, nil, keys...), f.own.Version, sure); err != nil || got != version {
		t.Fatal(got, err)
	}
}

func (f *Folder) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// chosen is what the launcher starts.
func (f *Folder) chosen(t *testing.T) string {
	t.Helper()
	path, version, err := f.Choose(noon)
	f.must(t, err)
	if path != "" {
		if out, err := exec.Command(path, "--version").Output(); err != nil || !strings.HasSuffix(string(out), " "+version+"\n") {
			t.Fatalf("%s: %s, %v", version, out, err)
		}
	}
	return version
}

func (f *Folder) last(t *testing.T) string {
	t.Helper()
	s, err := f.Load()
	f.must(t, err)
	return fmt.Sprintf("%s %s %s", s.Last.Version, s.Last.State, s.Last.Reason)
}

func TestStage_RefusesByDateOnlyWhereTheClockCanBeBelieved(t *testing.T) {
	old := func(p *Plan) { p.Created = noon.Add(-48 * time.Hour) }
	f := packaged(t)
	if _, err := f.Stage(t.Context(), made(t, "1.1.0", old, current), f.own.Version, sure); err == nil || !strings.Contains(err.Error(), "it has expired at 2026-11-28") {
		t.Errorf("%v", err)
	}
	if _, err := f.Stage(t.Context(), made(t, "1.1.0", old, current), f.own.Version, unsure); err != nil {
		t.Error(err)
	}
	// But never the version.
	if _, err := f.Stage(t.Context(), made(t, "1.0.5", old, current), f.own.Version, unsure); err == nil || !strings.Contains(err.Error(), "version 1.1.0 was trusted here before") {
		t.Errorf("%v", err)
	}
}

func TestStage_RefusesAJournalThatTheVersionBeforeCouldNotRead(t *testing.T) {
	f := packaged(t)
	breaks := func(p *Plan) { p.Journal = wire.ReleaseJournal{Schema: 9, ReadableFrom: 9} }
	if _, err := f.Stage(t.Context(), made(t, "1.2.0", breaks, current), f.own.Version, sure); err == nil || !strings.Contains(err.Error(), "could not go on with its journal") {
		t.Errorf("%v", err)
	}
	// A step between: 1.2.1 knows schema 9, and then what needs 9 may come.
	f.mustStage(t, "1.2.1", current)
	if ok, err := f.Switch(nil, noon); err != nil || !ok || f.chosen(t) != "1.2.1" {
		t.Fatal(ok, err)
	}
	f.must(t, f.Proven("1.2.1", noon))
	if _, err := f.Stage(t.Context(), made(t, "1.2.2", breaks, current), wire.Number{1, 2, 1}, sure); err != nil {
		t.Error(err)
	}
}

func TestFloor_IsThatOfTheKeysThatAreStillTrusted(t *testing.T) {
	f := packaged(t)
	f.mustStage(t, "9.0.0", current) // a thief's, who wants no version after it
	if _, err := f.Stage(t.Context(), made(t, "1.1.0", nil, next), f.own.Version, sure); err == nil {
		t.Error("below the floor")
	}
	// The package that drops the stolen key drops what it has vouched for.
	f.own.Keys = public(next, foreign)
	if _, err := f.Stage(t.Context(), made(t, "1.1.0", nil, next), f.own.Version, sure); err != nil {
		t.Error(err)
	}
	f.own.Keys = public(next)
	if _, err := f.Stage(t.Context(), made(t, "1.0.9", nil, next), f.own.Version, sure); err == nil {
		t.Error("below the floor of the key that is left")
	}
}

func TestStage_TakesNoMoreThanWhatWasSigned(t *testing.T) {
	f := packaged(t)
	good := made(t, "1.1.0", nil, current)
	for what, change := range map[string]func(name string, r io.ReadCloser) io.ReadCloser{
		"an endless program": func(name string, r io.ReadCloser) io.ReadCloser {
			if strings.HasPrefix(name, "ekassa-agent") {
				return io.NopCloser(endless{})
			}
			return r
		},
		"an endless manifest": func(name string, r io.ReadCloser) io.ReadCloser {
			if name == wire.ReleaseFile {
				return io.NopCloser(endless{})
			}
			return r
		},
		"endless signatures": func(name string, r io.ReadCloser) io.ReadCloser {
			if name == wire.SignaturesFile {
				return io.NopCloser(endless{})
			}
			return r
		},
		"a program that breaks off": func(name string, r io.ReadCloser) io.ReadCloser {
			if strings.HasPrefix(name, "ekassa-agent") {
				return io.NopCloser(io.LimitReader(r, 5))
			}
			return r
		},
	} {
		from := func(ctx context.Context, name string) (io.ReadCloser, error) {
			r, err := good(ctx, name)
			if err != nil {
				return nil, err
			}
			return change(name, r), nil
		}
		if _, err := f.Stage(t.Context(), from, f.own.Version, sure); err == nil {
			t.Errorf("%s was taken", what)
		}
		if left, err := filepath.Glob(filepath.Join(f.dir, ".*")); err != nil || len(left) > 0 {
			t.Errorf("%s left %v, %v", what, left, err)
		}
	}
	// Programs of one release beside the manifest of another, each well signed.
	other := made(t, "1.2.0", nil, current)
	mixed := func(ctx context.Context, name string) (io.ReadCloser, error) {
		if strings.HasPrefix(name, "ekassa-agent") {
			return other(ctx, name)
		}
		return good(ctx, name)
	}
	if _, err := f.Stage(t.Context(), mixed, f.own.Version, sure); err == nil || !strings.Contains(err.Error(), "is not the program that was signed") {
		t.Errorf("%v", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestStage_TakesATarAndACloud(t *testing.T) {
	built := made(t, "1.1.0", nil, current)
	dir := t.TempDir()
	for _, name := range []string{wire.ReleaseFile, wire.SignaturesFile, "ekassa-agent-linux-test"} {
		r, err := built(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err = errors.Join(err, r.Close(), os.WriteFile(filepath.Join(dir, name), data, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "release.tar")
	if out, err := exec.Command("tar", "-C", dir, "-cf", file, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	from, err := From(file)
	if err != nil {
		t.Fatal(err)
	}
	f := packaged(t)
	if v, err := f.Stage(t.Context(), from, f.own.Version, sure); err != nil || v != "1.1.0" {
		t.Error(v, err)
	}
	f = packaged(t)
	if v, err := f.Stage(t.Context(), At(shelf(dir), "1.1.0"), f.own.Version, sure); err != nil || v != "1.1.0" {
		t.Error(v, err)
	}
	if _, err := f.Stage(t.Context(), At(shelf(t.TempDir()), "1.1.0"), f.own.Version, sure); err == nil {
		t.Error("a version that the cloud does not have was taken")
	}
}

// shelf is a cloud that serves a folder.
type shelf string

func (s shelf) Get(_ context.Context, path string) (*http.Response, error) {
	f, err := os.Open(filepath.Join(string(s), filepath.Base(path)))
	return &http.Response{Body: f}, err
}

func TestChoose_CountsStartsAndGoesBackStepByStep(t *testing.T) {
	f := packaged(t)
	if got := f.chosen(t); got != "" {
		t.Errorf("an empty folder: %s", got)
	}
	f.mustStage(t, "1.1.0", current)
	if got := f.chosen(t); got != "" {
		t.Errorf("what only waits is started: %s", got)
	}
	switched := func(worked ...string) {
		t.Helper()
		if ok, err := f.Switch(worked, noon); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
	switched()
	for range 2 {
		if got := f.chosen(t); got != "1.1.0" {
			t.Fatal(got)
		}
	}
	f.must(t, f.Proven("1.1.0", noon))
	for range 5 { // a proven one is not counted
		if got := f.chosen(t); got != "1.1.0" {
			t.Fatal(got)
		}
	}
	f.own.Version = wire.Number{1, 1, 0}
	f.mustStage(t, "1.2.0", current)
	f.own.Version = wire.Number{1, 0, 0}
	switched("kassa-1")
	f.must(t, f.Clean())
	for range mostStarts {
		if got := f.chosen(t); got != "1.2.0" {
			t.Fatal(got)
		}
	}
	if got := f.chosen(t); got != "1.1.0" || !strings.HasPrefix(f.last(t), "1.2.0 reverted it was started 3 times") {
		t.Errorf("%s, %s", got, f.last(t))
	}
	// The card has spoilt that one too: the package is left.
	path := filepath.Join(f.version("1.1.0"), programFile)
	data, err := os.ReadFile(path)
	f.must(t, err)
	data[3] ^= 1
	f.must(t, os.WriteFile(path, data, 0o755))
	if got := f.chosen(t); got != "" || !strings.Contains(f.last(t), "1.1.0 reverted ekassa-agent-linux-test is not the program that was signed") {
		t.Errorf("%s, %s", got, f.last(t))
	}
	f.must(t, f.Clean())
	if left, err := filepath.Glob(filepath.Join(f.dir, "1.*")); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestChoose_LeavesWhatIsNotSignedByAKeyOfThePackage(t *testing.T) {
	f := packaged(t)
	f.mustStage(t, "1.1.0", current)
	if ok, err := f.Switch(nil, noon); err != nil || !ok {
		t.Fatal(ok, err)
	}
	f.own.Keys = public(next)
	if got := f.chosen(t); got != "" || !strings.Contains(f.last(t), "no key that this program trusts") {
		t.Errorf("%s, %s", got, f.last(t))
	}
}

func TestChoose_ANewerPackageOvertakes(t *testing.T) {
	f := packaged(t)
	f.mustStage(t, "1.1.0", current)
	if ok, err := f.Switch(nil, noon); err != nil || !ok {
		t.Fatal(ok, err)
	}
	f.mustStage(t, "1.1.5", current)
	f.own.Version = wire.Number{1, 2}
	if got := f.chosen(t); got != "" || !strings.Contains(f.last(t), "1.1.0 failed package 1.2.0 was installed") {
		t.Errorf("%s, %s", got, f.last(t))
	}
	if s, err := f.Load(); err != nil || s.Staged != "" || s.Current != "" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestSwitch_LooksAgainAtWhatHasWaited(t *testing.T) {
	f := packaged(t)
	f.mustStage(t, "1.1.0", current)
	f.must(t, os.Remove(filepath.Join(f.version("1.1.0"), programFile)))
	if ok, err := f.Switch(nil, noon); err != nil || ok {
		t.Error(ok, err)
	}
	if !strings.HasPrefix(f.last(t), "1.1.0 failed") {
		t.Error(f.last(t))
	}
}

func TestState_ThatCannotBeReadRunsThePackage(t *testing.T) {
	f := packaged(t)
	f.mustStage(t, "1.1.0", current)
	for _, text := range []string{"", "{", `{"current":"../../bin/sh"}`} {
		f.must(t, os.WriteFile(filepath.Join(f.dir, stateFile), []byte(text), 0o600))
		if path, _, err := f.Choose(noon); err == nil || path != "" {
			t.Errorf("%q: %s, %v", text, path, err)
		}
	}
	f.mustStage(t, "1.1.0", current) // and the next update mends it
	if s, err := f.Load(); err != nil || s.Staged != "1.1.0" {
		t.Errorf("%+v, %v", s, err)
	}
	// Without its memory of what it trusted it takes nothing.
	f.must(t, os.WriteFile(filepath.Join(f.dir, floorFile), []byte("{"), 0o600))
	if _, err := f.Stage(t.Context(), made(t, "1.2.0", nil, current), f.own.Version, sure); err == nil {
		t.Error("without its floor it took a version")
	}
}

func TestBack_TakesTheLastStepBack(t *testing.T) {
	f := packaged(t)
	if _, err := f.Back("leyla", noon); err == nil {
		t.Error("the package went back")
	}
	f.mustStage(t, "1.1.0", current)
	if to, err := f.Back("leyla", noon); err != nil || to != "" || f.last(t) != "1.1.0 reverted leyla" {
		t.Error(to, err, f.last(t))
	}
	f.mustStage(t, "1.1.0", current)
	if ok, err := f.Switch(nil, noon); err != nil || !ok || f.chosen(t) != "1.1.0" {
		t.Fatal(ok, err)
	}
	if to, err := f.Back("leyla", noon); err != nil || to != "" || f.chosen(t) != "" {
		t.Error(to, err)
	}
}

func TestParseKeys_ReadsWhatABuildHas(t *testing.T) {
	two := public(current, next)
	if got, err := ParseKeys(two.String()); err != nil || got.String() != two.String() {
		t.Error(got, err)
	}
	if got, err := ParseKeys(""); err != nil || got != nil {
		t.Error(got, err)
	}
	for _, bad := range []string{"x", two.String() + ",", "AAAA"} {
		if got, err := ParseKeys(bad); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

func FuzzVerify(f *testing.F) {
	manifest := []byte(`{"v":1}`)
	good, err := Sign(manifest, current, foreign)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(manifest, good)
	f.Add([]byte(`{"v":2}`), good)
	f.Add(manifest, []byte(`[{"key":"","signature":null}]`))
	f.Fuzz(func(t *testing.T, data, signatures []byte) {
		by, err := public(current, next).Verify(data, signatures)
		if err != nil {
			return
		}
		var list []Signature
		if json.Unmarshal(signatures, &list) != nil || len(by) == 0 || string(data) != string(manifest) {
			t.Fatalf("%q is believed of %q", signatures, data)
		}
	})
}
