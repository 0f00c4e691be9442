package systemd_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"
)

// The page for a new user, as it stands, in a system that boots: from nothing to a
// fiscal receipt, through a pulled plug, an update and the way back to the removal.
// Then the journal that is left has every receipt, and the register made each once.
func TestPage_LeadsFromNothingThroughAPulledPlugToTheRemoval(t *testing.T) {
	root := system(t)
	old, new := packages(t)
	boxes(t, filepath.Join(root, "root", "page"))
	for _, name := range []string{"common.sh", "page.sh", "page-first.sh", "page-second.sh"} {
		put(t, root, name, filepath.Join("testdata", name))
	}
	output(t, "go", "build", "-trimpath", "-tags", "netgo osusergo", "-o", filepath.Join(root, "root", "serve"), "./testdata/serve") // static
	output(t, "install", "-m", "644", "testdata/serve.service", filepath.Join(root, "etc/systemd/system/serve.service"))
	for name, text := range map[string]string{
		"etc/hosts":               "127.0.0.1 localhost packages.example.com\n",
		"etc/apt/sources.list":    "", // no network leads to Debian from here
		"usr/local/bin/sudo":      "#!/bin/sh\nexec \"$@\"\n",
		"etc/apt/apt.conf.d/90no": "Acquire::Languages \"none\";\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	key := filepath.Join(t.TempDir(), "key")
	publish := func(from string) {
		t.Helper()
		output(t, "../scripts/repository", "--url", "https://packages.example.com/ekassa", "--from", from, "--key", key, "--out", filepath.Join(root, "srv/ekassa"))
	}
	publish(old)
	tamper(t, filepath.Join(root, "srv"))

	first := boot(t, root, "page-first.sh")
	first.until(t, "ok selling")
	time.Sleep(500 * time.Millisecond) // the moment is to be any
	first.cut(t)
	publish(new)
	boot(t, root, "page-second.sh").until(t, "ALL DONE")

	made := map[string]int{}
	var ledger []struct {
		FiscalID string `json:"fiscal_id"`
	}
	text, err := os.ReadFile(filepath.Join(root, "root/ledger.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &ledger); err != nil {
		t.Fatal(err)
	}
	for _, d := range ledger {
		made[d.FiscalID]++
	}
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(root, "var/lib/ekassa-agent/journal.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT r.id, l.state, coalesce(d.fiscal_id, '') FROM receipt r JOIN life l USING (seq) LEFT JOIN document d USING (seq)`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var id, state, fiscal string
		if err := rows.Scan(&id, &state, &fiscal); err != nil {
			t.Fatal(err)
		}
		if n++; state != "fiscal" || made[fiscal] != 1 {
			t.Errorf("%s is %s, and the register has %d documents of it", id, state, made[fiscal])
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if n != 1000 || len(ledger) != n { // the page's --limit
		t.Errorf("%d receipts in the journal, %d documents at the register", n, len(ledger))
	}
}

// boxes writes each of the page's grey boxes into a file that is named by its
// heading and its place under that: set-up-1, set-up-2, …
func boxes(t *testing.T, dir string) {
	t.Helper()
	page, err := os.ReadFile("PI.md")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	notWord := regexp.MustCompile(`[^a-z]+`)
	for section := range strings.SplitSeq(string(page), "\n## ") {
		heading, rest, _ := strings.Cut(section, "\n")
		name := strings.Trim(notWord.ReplaceAllString(strings.ToLower(heading), "-"), "-")
		for n, box := range regexp.MustCompile("(?ms)^```(sh|text)\n(.*?)^```$").FindAllStringSubmatch(rest, -1) {
			text := box[2]
			if box[1] == "text" { // what is typed stands on the left
				var typed []string
				for line := range strings.Lines(text) {
					typed = append(typed, strings.TrimPrefix(strings.Fields(line)[0], "Enter"))
				}
				text = strings.Join(typed, "\n") + "\n"
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d", name, n+1)), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// tamper makes copies of a repository in each of which something was changed
// behind the signature's back.
func tamper(t *testing.T, srv string) {
	t.Helper()
	change := func(copy, was, is string, patterns ...string) {
		t.Helper()
		dir := filepath.Join(srv, copy)
		output(t, "cp", "-a", filepath.Join(srv, "ekassa"), dir)
		var files []string
		for _, pattern := range patterns {
			list, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil || len(list) == 0 {
				t.Fatalf("no %s: %v", pattern, err)
			}
			files = append(files, list...)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			changed := bytes.Replace(data, []byte(was), []byte(is), 1)
			if was == "" { // a bit in the middle
				changed = slices.Clone(data)
				changed[len(changed)/2] ^= 1
			}
			if bytes.Equal(changed, data) {
				t.Fatalf("%s has no %q", f, was)
			}
			if err := os.WriteFile(f, changed, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	change("bad-package", "", "", "pool/main/ekassa-agent/*.deb")
	change("bad-index", "", "", "dists/stable/main/binary-amd64/Packages*", "dists/stable/main/binary-amd64/by-hash/SHA256/*")
	change("bad-signature", "Suite: stable", "Suite: stabel", "dists/stable/InRelease")
}
