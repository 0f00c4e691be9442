package release_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ekassa/cloud/release"
	"ekassa/cloud/wire"
)

// made is a release's folder, as scripts/release leaves it.
func made(t *testing.T, version, program string) string {
	t.Helper()
	dir := t.TempDir()
	sum := sha256.Sum256([]byte(program))
	now := time.Now().UTC().Truncate(time.Second)
	manifest, err := json.Marshal(wire.Release{
		V: wire.Version, Version: version, Over: "0.0.0", Journal: wire.ReleaseJournal{Schema: 8, ReadableFrom: 8}, Created: now, Expires: now.Add(time.Hour),
		Programs: []wire.Program{{Target: "linux-amd64", Name: "ekassa-agent-linux-amd64", Size: int64(len(program)), SHA256: hex.EncodeToString(sum[:])}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		wire.ReleaseFile: manifest, wire.SignaturesFile: []byte("[]"), "ekassa-agent-linux-amd64": []byte(program), "secret": []byte("x"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFolder_KeepsWhatIsWholeAndHandsItOut(t *testing.T) {
	data := t.TempDir()
	f := release.In(data)
	if list, err := f.List(); err != nil || len(list) != 0 {
		t.Fatal(list, err)
	}
	for _, v := range []string{"1.9.0", "1.10.0"} {
		if r, err := f.Add(made(t, v, "program "+v)); err != nil || r.Version != v {
			t.Fatal(r, err)
		}
	}
	if _, err := f.Add(made(t, "1.9.0", "another")); err == nil {
		t.Error("a version was replaced")
	}
	changed := made(t, "1.11.0", "program")
	if err := os.WriteFile(filepath.Join(changed, "ekassa-agent-linux-amd64"), []byte("PROGRAM"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Add(changed); err == nil {
		t.Error("a program that is not the manifest's was taken")
	}
	list, err := f.List()
	if err != nil || len(list) != 2 || list[0].Version != "1.10.0" {
		t.Fatal(list, err)
	}

	mux := http.NewServeMux()
	f.Register(mux)
	server := httptest.NewServer(mux)
	defer server.Close()
	get := func(path string) (int, string) {
		t.Helper()
		r, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(text)
	}
	if status, text := get("/api/v1/releases/1.9.0/ekassa-agent-linux-amd64"); status != http.StatusOK || text != "program 1.9.0" {
		t.Errorf("%d %s", status, text)
	}
	if err := os.WriteFile(filepath.Join(data, "cloud.db"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"/api/v1/releases/1.9.0/secret", "/api/v1/releases/1.12.0/release.json", "/api/v1/releases/1.9.0/..%2F..%2Fcloud.db", "/api/v1/releases/..%2F/cloud.db",
		"/api/v1/releases/%2e%2e/cloud.db", "/api/v1/releases/1.9.0/.", "/api/v1/releases/1.9.0/%2e%2e",
	} {
		if status, text := get(path); status == http.StatusOK {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
}
