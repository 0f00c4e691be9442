package scripts_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ekassa/cloud/hosttest"
)

// TestReadme_ItsCommandsWork: what the commands print is looked at in few places.
func TestReadme_ItsCommandsWork(t *testing.T) {
	out := follow(t, "../README.md")
	for _, want := range []string{`"state":"fiscal"`, `"status":"ok"`, "kassa-1: ", "3 receipts: 3 told yes, 3 fiscal", `"online":true`, "enrolled as baku-01-a"} {
		if !strings.Contains(out, want) {
			t.Errorf("the README's commands did not print %s", want)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}

func TestGuide_ItsCommandsPrintWhatItSays(t *testing.T) {
	printsWhatItSays(t, "../agent/manual/GUIDE.md", 30)
}

func TestSimulator_ItsCommandsPrintWhatItSays(t *testing.T) {
	printsWhatItSays(t, "../agent/register/simulator/README.md", 35)
}

// printsWhatItSays runs a page's commands: each line of a block of text stands in what
// was printed, after the one before it; … stands for anything. least is how many lines
// there must be.
func printsWhatItSays(t *testing.T, page string, least int) {
	t.Helper()
	out := follow(t, page)
	rest, lines := out, 0
	for _, block := range blocks(t, page, "text") {
		for line := range strings.Lines(block.text) {
			line = strings.TrimSpace(line)
			at := regexp.MustCompile(strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*")).FindStringIndex(rest)
			if at == nil {
				t.Fatalf("the commands of %s did not print, here:\n%s\nbut:\n%.4000s", page, line, rest)
			}
			rest, lines = rest[at[1]:], lines+1
		}
	}
	if lines < least {
		t.Errorf("%s says of only %d lines that they are printed", page, lines)
	}
}

// TestReadme_ShowsWhatIsThere: its links lead to files, and what it quotes is what
// the demo printed.
func TestReadme_ShowsWhatIsThere(t *testing.T) {
	page, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	links := regexp.MustCompile(`\]\(([^)#]+)[^)]*\)|src="([^"]+)"`).FindAllStringSubmatch(string(page), -1)
	for _, link := range links {
		if to := link[1] + link[2]; !strings.Contains(to, "://") {
			if _, err := os.Stat(filepath.Join("..", to)); err != nil {
				t.Errorf("a link of the README: %v", err)
			}
		}
	}
	session, err := os.ReadFile("../agent/page/pictures/demo.txt")
	if err != nil {
		t.Fatal(err)
	}
	quotes := blocks(t, "../README.md", "text")
	for _, quote := range quotes {
		rest := string(session)
		for line := range strings.Lines(quote.text) {
			_, after, there := strings.Cut(rest, line)
			if !there {
				t.Fatalf("the demo did not print, here: %s", line)
			}
			rest = after
		}
	}
	if len(links) < 30 || len(quotes) == 0 {
		t.Errorf("%d links and %d quotes were looked at", len(links), len(quotes))
	}
}

type block struct{ lang, text string }

// blocks gives a page's blocks of code in these languages.
func blocks(t *testing.T, page string, langs ...string) (list []block) {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range regexp.MustCompile("(?s)```("+strings.Join(langs, "|")+")\n(.*?)```").FindAllStringSubmatch(string(data), -1) {
		list = append(list, block{b[1], b[2]})
	}
	return list
}

// follow runs a page's blocks of commands, top to bottom, in one shell and in a
// copy of the source, and gives what they print. Only the ports are others.
func follow(t *testing.T, page string) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range []string{"agent", "cloud", "systemd"} {
		if err := os.CopyFS(filepath.Join(folder, name), os.DirFS(filepath.Join("..", name))); err != nil && !errors.Is(err, fs.ErrExist) {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join("..", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var script strings.Builder
	script.WriteString("trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n")
	for _, b := range blocks(t, page, "sh", "yaml") {
		switch {
		case strings.HasPrefix(b.text, "scripts/"): // the two commands themselves
		case b.lang == "yaml":
			script.WriteString("cat > agent.yaml <<'END'\n" + b.text + "END\n")
		default:
			script.WriteString(b.text)
		}
	}
	text := strings.ReplaceAll(script.String(), "127.0.0.1:", hosttest.New()+":") // whose ports are nobody else's
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Minute)               // the first of the pages compiles SQLite
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", text)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false -trimpath") // each copy compiles to the same
	cmd.WaitDelay = time.Second
	var out output
	cmd.Stdout, cmd.Stderr = io.Writer(&out), &out
	if err := cmd.Run(); err != nil {
		t.Errorf("%s: %v\n%s\n%s", page, err, script.String(), out.String())
	}
	return out.String()
}
