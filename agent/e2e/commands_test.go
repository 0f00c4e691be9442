package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register/simulator"
	"ekassa/agent/texts"
)

func TestCommands_EachHasHelpWithAnExample(t *testing.T) {
	t.Parallel()
	for _, program := range []string{agentBinary, simBinary} {
		var try func(args ...string)
		try = func(args ...string) {
			r := command(t, program, append(args, "--help")...).ok(t)
			_, examples, _ := strings.Cut(r.out, "Examples:\n")
			if name := filepath.Base(program); len(args) > 0 && !strings.Contains(examples, name+" ") {
				t.Errorf("%s %v --help has no example:\n%s", name, args, r.out)
			}
			_, list, _ := strings.Cut(r.out, "Available Commands:\n")
			list, _, _ = strings.Cut(list, "\n\n")
			for _, line := range strings.Split(list, "\n") {
				if name, _, _ := strings.Cut(strings.TrimSpace(line), " "); name != "" && name != "help" {
					try(append(args[:len(args):len(args)], name)...)
				}
			}
		}
		try()
	}
}

// What is written wrongly on a command line is one line with where help is.
func TestCommands_AMistakeIsOneLineWithTheCure(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{}, {"bogus"}, {"token"}, {"token", "bogus"}, {"pin"}, {"run"}, {"run", "--bogus"}, {"token", "add"}, {"check", "a", "b", "--config", "x"},
		{"discover", "--timeout", "soon"}, {"export", "--config", "x"}, {"enroll", "--config", "x"},
	} {
		oneLine(t, command(t, agentBinary, args...), "read the command line: ", "see ekassa-agent", "--help")
	}
	for program, all := range map[string][][]string{simBinary: {{}, {"bogus"}, {"azsmart", "--bogus"}}, cloudBinary: {{}, {"bogus"}, {"user"}, {"user", "bogus"}, {"serve"}}} {
		for _, args := range all {
			r := command(t, program, args...)
			if name := filepath.Base(program); r.code != 1 || r.out != "" || strings.Count(r.err, "\n") != 1 || !strings.HasPrefix(r.err, name+": read the command line: ") || !strings.Contains(r.err, "see "+name) {
				t.Errorf("%s %v: %d, %q %q", name, args, r.code, r.out, r.err)
			}
		}
	}
}

// snapshot is a folder as it is: every name, mode and byte.
func snapshot(t testing.TB, folder string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %s ", path, info.Mode())
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%q", data)
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// oneLine fails the test unless the command failed with one lower-case line
// that has all the words.
func oneLine(t testing.TB, r result, words ...string) {
	t.Helper()
	if r.code != 1 || r.out != "" || strings.Count(r.err, "\n") != 1 || !regexp.MustCompile(`^ekassa-agent: [a-z]`).MatchString(r.err) {
		t.Errorf("exit code %d, want 1 and one line on stderr\nstdout %q\nstderr %q", r.code, r.out, r.err)
	}
	for _, w := range words {
		if !strings.Contains(r.err, w) {
			t.Errorf("it does not name %s: %s", w, r.err)
		}
	}
}

// Whatever goes wrong, a stranger is told what to do.
func TestCommands_TheirErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	s := bareShop(t)
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	nowhere := filepath.Join(t.TempDir(), "none", "x")
	other := &http.Server{Handler: http.NotFoundHandler()} // a server that is no cloud
	l, err := net.Listen("tcp", newHost()+":8788")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = other.Serve(l) }() // until it is closed
	t.Cleanup(func() { other.Close() })
	for what, x := range map[string]struct {
		args  string
		words string
	}{
		"no cloud there":       {"enroll --code A --cloud http://" + newHost() + ":1", "is the address right, and does this machine reach it?"},
		"no cloud but another": {"enroll --code A --cloud http://" + l.Addr().String(), "is that the cloud's address?"},
		"no https":             {"enroll --code A --cloud http://192.0.2.1", "write https://"},
		"no authority":         {"enroll --code A --cloud https://127.0.0.1 --ca " + nowhere, "give --ca the file"},
		"nothing to export":    {"export --out " + t.TempDir() + "/x.zip", "did the agent ever run?"},
		"export nowhere":       {"export --out " + nowhere + ".zip", "make it, or name another"},
		"export no such log":   {"export --out x.zip --log " + nowhere, "name the log's file"},
		"nothing to back up":   {"backup --out " + t.TempDir() + "/x.db", "did the agent ever run?"},
		"restore from nothing": {"restore --from " + nowhere, "name a file that ekassa-agent backup has written"},
		"restore from another": {"restore --from " + s.file, "name a file that ekassa-agent backup has written"},
		"nothing to reset":     {"reset --out " + t.TempDir() + "/x.zip", "is data_dir in the configuration right?"},
		"update from nowhere":  {"update " + nowhere, "name the folder, or the .tar file"},
		"nobody answers":       {"setup", "run it again in a terminal"},
	} {
		r := command(t, agentBinary, append(strings.Fields(x.args), "--config", s.file)...)
		if r.code != 1 || strings.Count(r.err, "\n") != 1 || !strings.Contains(r.err, x.words) {
			t.Errorf("%s: exit code %d\n%s", what, r.code, r.err)
		}
	}
	cmd := exec.Command(agentBinary, "backup", "--out", "/tmp/none.db", "--config", s.file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	oneLine(t, runCmd(t, cmd), "permission denied", "run it as root (sudo)")
	if left, err := os.ReadDir(s.dir); err == nil && len(left) > 1 { // the lock of restore
		t.Errorf("left behind: %v", left)
	}
}

func TestRun_WhatKeepsItFromStartingIsOneLineAndTouchesNothing(t *testing.T) {
	for name, x := range map[string]struct {
		spoil func(t *testing.T, s *shop)
		words func(s *shop) []string
	}{
		"an unknown key": {
			func(_ *testing.T, s *shop) { s.config["lisen"] = "127.0.0.1:1"; s.write() },
			func(s *shop) []string { return []string{"lisen", s.file} },
		},
		"several faults in the settings": {
			func(_ *testing.T, s *shop) {
				s.settings["timezone"] = "Asia/Bacu"
				s.settings["tax"] = object{"type": "vat18", "name": "ƏDV", "rate": "18.00"}
				s.settings["registers"] = []any{object{"id": kassa, "driver": "azsmart", "address": "192.168.1.1", "terminal": terminal}}
				s.write()
			},
			func(*shop) []string { return []string{"Asia/Bacu", "tax", "address", "merchant_id"} },
		},
		"broken YAML": {
			func(t *testing.T, s *shop) { put(t, s.file, "data_dir: [\nlisten: }") },
			func(s *shop) []string { return []string{s.file, "line "} },
		},
		"no such file": {
			func(t *testing.T, s *shop) {
				if err := os.Remove(s.file); err != nil {
					t.Fatal(err)
				}
			},
			func(s *shop) []string { return []string{s.file, "--config"} },
		},
		"the port is occupied": {
			func(t *testing.T, s *shop) {
				l, err := net.Listen("tcp", s.listen)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { l.Close() })
			},
			func(s *shop) []string { return []string{s.listen, "in use"} },
		},
		"the folder's parent is a file": {
			func(t *testing.T, s *shop) {
				put(t, filepath.Dir(s.dir)+"/x", "")
				s.config["data_dir"] = filepath.Dir(s.dir) + "/x/data"
				s.write()
			},
			func(s *shop) []string { return []string{filepath.Dir(s.dir) + "/x/data"} },
		},
		"a stranger's database": {
			func(t *testing.T, s *shop) {
				if err := os.Mkdir(s.dir, 0o700); err != nil {
					t.Fatal(err)
				}
				put(t, s.dir+"/journal.db", "not a database")
				put(t, s.dir+"/agent.lock", "")
			},
			func(s *shop) []string { return []string{s.dir, "journal.db"} },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := bareShop(t, at("127.0.0.1:1"))
			x.spoil(t, s)
			before := snapshot(t, filepath.Dir(s.dir))
			oneLine(t, command(t, agentBinary, "run", "--config", s.file), x.words(s)...)
			if after := snapshot(t, filepath.Dir(s.dir)); after != before {
				t.Errorf("the folder was\n%s\nand is\n%s", before, after)
			}
		})
	}
}

func put(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A folder that the agent's user may not write: the agent runs as nobody.
func TestRun_AFolderThatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Fatal("being somebody else needs root: run these tests as root")
	}
	s := bareShop(t, at("127.0.0.1:1"))
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for path := s.file; path != os.TempDir() && path != "/"; path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	before := snapshot(t, filepath.Dir(s.dir))
	cmd := exec.Command(agentBinary, "run", "--config", s.file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	r := runCmd(t, cmd)
	_, r.err, _ = strings.Cut(r.err, "chmod o-rwx on it\"\n") // a warning of the file's mode
	oneLine(t, r, s.dir, "permission denied")
	if after := snapshot(t, filepath.Dir(s.dir)); after != before {
		t.Errorf("the folder was\n%s\nand is\n%s", before, after)
	}
}

func TestRun_ASecondAgentLeavesTheFirstOneAlone(t *testing.T) {
	t.Parallel()
	sim := register(t, simulator.Config{})
	s := newShop(t, at(sim.Addr()))
	first := s.run()
	s.till().Post("/v1/receipts", sale("a"), wait).Want(http.StatusCreated)
	before := snapshot(t, s.dir)
	s.config["listen"] = newHost() + ":8787"
	s.write()
	oneLine(t, command(t, agentBinary, "run", "--config", s.file), s.dir, "another agent")
	if after := snapshot(t, s.dir); after != before {
		t.Error("the journal's folder was touched")
	}
	s.till().Post("/v1/receipts", sale("b"), wait).Want(http.StatusCreated)
	if code, _ := first.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	referee(t, s.receipts2(t), sim.Ledger())
}

// receipts2 reads the journal with another agent, after the first one ended.
func (s *shop) receipts2(t *testing.T) []stored {
	t.Helper()
	s.listen = s.config["listen"].(string)
	p := s.run()
	defer func() {
		if code, _ := p.stop(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}()
	return s.receipts()
}

func TestRun_EndsWithinSecondsOnSIGTERM(t *testing.T) {
	t.Parallel()
	// The register takes its time to print: a receipt is on its way.
	sim := register(t, simulator.Config{Delay: 2 * time.Second})
	s := newShop(t, at(sim.Addr()))
	p := s.run()
	next := s.stream("")
	next() // hello
	waiting := make(chan int, 1)
	go func() {
		a, err := s.till().Try(s.till().Request(http.MethodPost, "/v1/receipts", sale("a"), "Prefer: wait=60"))
		if err != nil {
			t.Error(err)
			waiting <- 0
			return
		}
		waiting <- a.Status
	}()
	for sending := false; !sending; {
		sending = storedFrom(t, next().Data).State == receipt.Sending
	}
	code, took := p.stop()
	if code != 0 || took > 8*time.Second {
		t.Errorf("exit code %d after %s", code, took)
	}
	if status := <-waiting; status != http.StatusAccepted {
		t.Errorf("the till that waited was told %d", status)
	}
	// What was on its way came to its end, and was written down: no doubt is left.
	p = s.run()
	if r := s.reaches("a", receipt.Fiscal); r.Attempts != 1 {
		t.Errorf("%+v", r)
	}
	if text := p.err.String(); strings.Contains(text, "on its way when the agent stopped") || !strings.Contains(text, "unclean=false") {
		t.Errorf("the stop was not clean:\n%s", text)
	}
	referee(t, s.receipts(), sim.Ledger())
}

func TestToken_AddListRevoke(t *testing.T) {
	t.Parallel()
	s := bareShop(t)
	r := command(t, agentBinary, "token", "add", terminal, "--config", s.file).ok(t)
	if r.err != "" || !regexp.MustCompile(`^\S{20,}\n$`).MatchString(r.out) {
		t.Errorf("stdout %q, stderr %q", r.out, r.err)
	}
	token := strings.TrimSpace(r.out)
	if r := command(t, agentBinary, "token", "list", "--config", s.file).ok(t); !strings.Contains(r.out, terminal+" ") || strings.Contains(r.out, token) {
		t.Errorf("%q", r.out)
	}
	if strings.Contains(snapshot(t, s.dir), token) {
		t.Error("the token itself is on the disk")
	}
	oneLine(t, command(t, agentBinary, "token", "add", "till 1", "--config", s.file), "till 1")
	oneLine(t, command(t, agentBinary, "token", "revoke", "till-9", "--config", s.file), "till-9")
	command(t, agentBinary, "token", "revoke", terminal, "--config", s.file).ok(t)
	if r := command(t, agentBinary, "token", "list", "--config", s.file).ok(t); strings.Contains(r.out, terminal+" ") {
		t.Errorf("%q", r.out)
	}
	oneLine(t, command(t, agentBinary, "token", "add", terminal), "config")
}

func TestCheckAndDoctor_TellWhatIsAndWhatToDo(t *testing.T) {
	t.Parallel()
	sim := register(t, simulator.Config{})
	s := bareShop(t, at(sim.Addr()))
	s.settings["terminals"] = []any{object{"id": terminal}}
	s.write()
	s.token = s.newToken(terminal)
	r := command(t, agentBinary, "check", "--config", s.file).ok(t)
	if !strings.HasPrefix(r.out, "✓ kassa-1: ") || !strings.Contains(r.out, serial+" at "+sim.Addr()) || !strings.Contains(r.out, "shift closed") {
		t.Errorf("%s", r.out)
	}
	var checked []struct {
		Register string `json:"register"`
		OK       bool   `json:"ok"`
		Identity struct {
			Serial string `json:"serial"`
		} `json:"identity"`
		Shift *struct{ Open bool } `json:"shift"`
		Error string               `json:"error"`
	}
	parse := func(r result, v any) {
		t.Helper()
		if err := json.Unmarshal([]byte(r.out), v); err != nil {
			t.Fatalf("%v: %s%s", err, r.out, r.err)
		}
	}
	parse(command(t, agentBinary, "check", kassa, "--config", s.file, "--json").ok(t), &checked)
	if len(checked) != 1 || !checked[0].OK || checked[0].Identity.Serial != serial || checked[0].Shift == nil || checked[0].Shift.Open {
		t.Errorf("%+v", checked)
	}
	oneLine(t, command(t, agentBinary, "check", "kassa-9", "--config", s.file), "kassa-9")

	s.person("Leyla", "manager")
	before := snapshot(t, filepath.Dir(s.dir))
	r = command(t, agentBinary, "doctor", "--lang", "en", "--config", s.file).ok(t)
	if strings.Contains(r.out, "✗") || !strings.Contains(r.out, "✓ staff page: ") || !strings.Contains(r.out, "✓ till till-1: ") || !strings.Contains(r.out, "✓ register kassa-1: ") {
		t.Errorf("%s", r.out)
	}
	// In the language of the settings, or the one that is asked for: the same findings.
	codes := func(lang string) (codes []string) {
		var all []struct{ Code, Found, Check, Do string }
		parse(command(t, agentBinary, "doctor", "--config", s.file, "--json", "--lang", lang).ok(t), &all)
		for _, f := range all {
			codes = append(codes, f.Code)
			if strings.Contains(f.Check+f.Found+f.Do, "doctor.") {
				t.Errorf("%s: no words for %+v", lang, f)
			}
		}
		return codes
	}
	english := codes("en")
	for _, lang := range []string{"az", "ru"} {
		if got := codes(lang); !slices.Equal(got, english) || !slices.Contains(got, "register.closed") {
			t.Errorf("%s: %q, in English %q", lang, got, english)
		}
	}
	for lang, r := range map[string]result{
		"az": command(t, agentBinary, "doctor", "--config", s.file).ok(t), "ru": command(t, agentBinary, "doctor", "--lang", "ru", "--config", s.file).ok(t),
	} {
		if want := "✓ " + texts.Say(lang, "doctor.staff", nil) + ": "; !strings.Contains(r.out, want) {
			t.Errorf("no %q in\n%s", want, r.out)
		}
	}
	oneLine(t, command(t, agentBinary, "doctor", "--lang", "fr", "--config", s.file), "az, ru, en")
	if after := snapshot(t, filepath.Dir(s.dir)); after != before {
		t.Error("the doctor changed something")
	}

	// What tills can sell without is said, and is no failure.
	s.config["slip"] = object{"printer": newHost() + ":9100"}
	s.write()
	for path, mode := range map[string]os.FileMode{s.file: 0o644, s.dir: 0o755} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	r = command(t, agentBinary, "doctor", "--lang", "en", "--config", s.file).ok(t)
	for _, line := range []string{"! configuration: ", "! folder " + s.dir, "! slip printer ", "! guests' page: "} {
		if !strings.Contains(r.out, line) {
			t.Errorf("no line %q in\n%s", line, r.out)
		}
	}

	// Beside an agent that runs, with a shift that is nearly over.
	sim.SetClock(-23*time.Hour - 30*time.Minute)
	if err := sim.OpenShift("Aysel M."); err != nil {
		t.Fatal(err)
	}
	sim.SetClock(0)
	s.run()
	r = command(t, agentBinary, "doctor", "--lang", "en", "--config", s.file)
	for _, line := range []string{"✓ agent: takes receipts on " + s.listen, "✓ journal: an agent is running", "✗ register kassa-1: its shift is open since", "do: close the shift"} {
		if !strings.Contains(r.out, line) {
			t.Errorf("no line %q in\n%s", line, r.out)
		}
	}
}

func TestCheckAndDoctor_FailWithTheCure(t *testing.T) {
	t.Parallel()
	dead := newHost() + ":8008"
	s := bareShop(t, at(dead))
	r := command(t, agentBinary, "check", "--config", s.file)
	if r.code != 1 || !strings.HasPrefix(r.out, "✗ kassa-1: ") || !strings.Contains(r.out, dead) {
		t.Errorf("%d %s%s", r.code, r.out, r.err)
	}
	// The folder is open to all, the port another program's, an interface not there.
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("tcp", s.listen)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	somewhere := at("")
	somewhere["id"], somewhere["terminal"] = "kassa-2", "till-2"
	s.settings["registers"] = []any{at(dead), somewhere}
	s.config["discovery"] = object{"interfaces": []string{"nothere0"}}
	s.write()
	var findings []struct {
		Check string `json:"check"`
		OK    bool   `json:"ok"`
		Do    string `json:"do"`
	}
	r = command(t, agentBinary, "doctor", "--config", s.file, "--json")
	if err := json.Unmarshal([]byte(r.out), &findings); err != nil || r.code != 1 {
		t.Fatalf("%d %v %s", r.code, err, r.out)
	}
	missing := map[string]bool{"till till-1": true, "register kassa-1": true, "staff page": true, "folder " + s.dir: true, "address " + s.listen: true, "network nothere0": true, "register kassa-2": true}
	for _, f := range findings {
		if !f.OK {
			delete(missing, f.Check)
			if f.Do == "" && !strings.HasPrefix(f.Check, "till") {
				t.Errorf("%s is wrong, and what to do is not said", f.Check)
			}
		}
	}
	if len(missing) > 0 {
		t.Errorf("not found wrong: %v in %s", missing, r.out)
	}

	// Another Merchant ID than the register's.
	sim := register(t, simulator.Config{})
	wrong := at(sim.Addr())
	wrong["merchant_id"] = strings.Repeat("f", 32)
	s = bareShop(t, wrong)
	r = command(t, agentBinary, "check", "--config", s.file)
	if r.code != 1 || strings.Contains(r.out+r.err, strings.Repeat("f", 32)) {
		t.Errorf("%d %s%s", r.code, r.out, r.err)
	}
	if len(sim.Ledger()) != 0 {
		t.Error("checking made a document")
	}
}
