package e2e

import (
	"crypto/ed25519"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"ekassa/agent/crash"
	"ekassa/agent/journal"
	"ekassa/agent/receipt"
	"ekassa/agent/register/simulator"
	"ekassa/agent/update"
	"ekassa/cloud/wire"
)

// Who signs the releases of these tests, and a stranger.
var (
	currentKey = ed25519.NewKeyFromSeed([]byte("the key that signs releases now."))
	nextKey    = ed25519.NewKeyFromSeed([]byte("the key that will sign them next"))
	foreignKey = ed25519.NewKeyFromSeed([]byte("a key that nobody ever has heard"))
)

// program builds the agent as one version, once for a run of the tests: one that
// trusts the two keys, is hasty, and has points to die at.
func program(t testing.TB, version string) string {
	t.Helper()
	programs.Lock()
	defer programs.Unlock()
	path := filepath.Join(filepath.Dir(agentBinary), "versions", version, "linux-"+runtime.GOARCH, "ekassa-agent")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	keys := update.Keys{currentKey.Public().(ed25519.PublicKey), nextKey.Public().(ed25519.PublicKey)}
	out, err := exec.Command("go", "build", "-tags", "crashpoints", "-ldflags", "-X main.version="+version+" -X main.updateKeys="+keys.String(),
		"-o", path, "ekassa/agent/cmd/ekassa-agent").CombinedOutput()
	if err != nil {
		t.Fatalf("build version %s: %v\n%s", version, err, out)
	}
	return path
}

var programs sync.Mutex

// broken is a program that is no agent, as scripts/build would have left it.
func broken(t testing.TB, version, run string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), version, "linux-"+runtime.GOARCH, "ekassa-agent")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	text := "#!/bin/sh\n[ \"$1\" = --version ] && echo ekassa-agent version " + version + " && exit\necho version " + version + " begins >&2\n" + run + "\n"
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// release signs one that has this program.
func release(t testing.TB, program, over string, keys ...ed25519.PrivateKey) string {
	t.Helper()
	built := filepath.Dir(filepath.Dir(program))
	out := filepath.Join(t.TempDir(), "release")
	newest, readable := journal.Schema()
	_, err := update.Make(built, out, update.Plan{
		Version: filepath.Base(built), Over: over, Created: time.Now(), Lasts: time.Hour, Journal: wire.ReleaseJournal{Schema: newest, ReadableFrom: readable},
	}, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// packaged is a shop whose installed package is version 1.0.0.
func packaged(t testing.TB, registers ...object) *shop {
	t.Helper()
	s := newShop(t, registers...)
	s.config["update"] = object{"quiet": "1s"}
	s.write()
	return s
}

// begin starts the installed package.
func (s *shop) begin(version string, more ...string) *process {
	s.Helper()
	p := startCmd(s, hasty(exec.Command(program(s, version), "run", "--config", s.file), more...))
	return p
}

func hasty(cmd *exec.Cmd, more ...string) *exec.Cmd {
	cmd.Env = append(append(os.Environ(), "EKASSA_HASTY=1"), more...)
	return cmd
}

// take has the installed package take a release over.
func (s *shop) take(release string, more ...string) result {
	s.Helper()
	return runCmd(s, hasty(exec.Command(program(s, "1.0.0"), "update", release, "--config", s.file), more...))
}

// versions is what ekassa-agent update says.
func (s *shop) versions() (v struct {
	Current, Staged string
	Trial           bool
	Last            wire.ProgramReport
}) {
	s.Helper()
	r := command(s, program(s, "1.0.0"), "update", "--json", "--config", s.file).ok(s)
	if err := json.Unmarshal([]byte(r.out), &v); err != nil {
		s.Fatal(err)
	}
	return v
}

func (s *shop) settles(version, state string) {
	s.Helper()
	eventually(s, "version "+version+" is "+state, func() bool {
		v := s.versions()
		return v.Last.Version == version && v.Last.State == state
	})
}

func (s *shop) metrics() string {
	s.Helper()
	r, err := http.Get("http://" + s.listen + "/metrics")
	if err != nil {
		s.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		s.Fatal(err)
	}
	return string(text)
}

// runs waits until a version serves tills.
func (p *process) runs(version string) {
	p.t.Helper()
	p.says(&p.err, `msg=ready listen=.* version=(`+strings.ReplaceAll(version, ".", `\.`)+`)\s`)
}

func TestUpdate_BeginsWhenItIsQuietAndGoesBack(t *testing.T) {
	t.Parallel()
	host := newHost() + ":8008"
	s := packaged(t, at(host))
	p := s.begin("1.0.0")
	p.runs("1.0.0")
	till := s.till()
	till.Post("/v1/receipts", sale("waits")) // its register is not there yet
	if r := s.take(release(t, program(t, "1.1.0"), "1.0.0", nextKey)).ok(t); !strings.Contains(r.out, "version 1.1.0 is verified and kept") {
		t.Errorf("%s", r.out)
	}
	// While a receipt is under way nothing happens, however long it is quiet.
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if v := s.versions(); v.Staged != "1.1.0" || v.Current != "1.0.0" {
			t.Fatalf("with a receipt on its way: %+v", v)
		}
	}
	sim := register(t, simulator.Config{Listen: host, Edition: simulator.New})
	eventually(t, "waits is fiscal", func() bool {
		a, err := till.Try(till.Request(http.MethodGet, "/v1/receipts/waits", ""))
		return err == nil && a.Status == http.StatusOK && a.Field("state") == string(receipt.Fiscal) // it may be changing its program
	})
	p.runs("1.1.0")
	s.settles("1.1.0", wire.ProgramApplied)
	if p.ended() {
		t.Fatal("it is another process")
	}
	till.Post("/v1/receipts", sale("after"), wait)
	s.reaches("after", receipt.Fiscal)
	if text := s.metrics(); !strings.Contains(text, `ekassa_build_info{version="1.1.0"} 1`) || !strings.Contains(text, "ekassa_update_failed 0") {
		t.Errorf("%s", text)
	}

	// Killed and begun anew the package's own program gives way to it again.
	p.kill()
	p = s.begin("1.0.0")
	p.runs("1.1.0")
	// A person has it go back.
	runCmd(t, hasty(exec.Command(program(t, "1.0.0"), "update", "--back", "--config", s.file))).ok(t)
	p.runs("1.0.0")
	s.settles("1.1.0", wire.ProgramReverted)
	till.Post("/v1/receipts", sale("back"), wait)
	s.reaches("back", receipt.Fiscal)
	referee(t, s.receipts(), sim.Ledger())
	if code, _ := p.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	// A package that is newer overtakes every update.
	s.take(release(t, program(t, "1.1.0"), "1.0.0", currentKey)).ok(t)
	p = s.begin("1.0.0")
	p.runs("1.1.0")
	s.settles("1.1.0", wire.ProgramApplied)
	p.stop()
	p = s.begin("1.2.0")
	p.runs("1.2.0")
	p.stop()
}

func TestUpdate_OneThatFailsIsTakenBackByItself(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]string{
		"exits at once":    "exit 3",
		"never gets ready": "exec sleep 1000",
		"is killed":        "kill -9 $$",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := register(t, simulator.Config{Edition: simulator.New})
			s := packaged(t, at(sim.Addr()))
			p := s.begin("1.0.0")
			p.runs("1.0.0")
			s.till().Post("/v1/receipts", sale("before"), wait)
			s.take(release(t, broken(t, "1.3.0", run), "1.0.0", currentKey)).ok(t)
			starts := 0
			for seen := p.says(&p.err, `(version 1\.3\.0 begins)`); seen != "msg=ready"; starts++ { // as a service manager would
				if strings.Contains(run, "sleep") {
					p.kill() // its watchdog starves
				}
				<-p.done
				p = s.begin("1.0.0")
				seen = p.says(&p.err, `(version 1\.3\.0 begins|msg=ready)`)
			}
			p.runs("1.0.0")
			if starts != 3 {
				t.Errorf("it was begun %d times", starts)
			}
			s.settles("1.3.0", wire.ProgramReverted)
			s.till().Post("/v1/receipts", sale("after"), wait)
			s.reaches("after", receipt.Fiscal)
			referee(t, s.receipts(), sim.Ledger())
			if text := s.metrics(); !strings.Contains(text, "ekassa_update_failed 1") {
				t.Errorf("%s", text)
			}
		})
	}
}

// It runs, and does not reach the register that the one before has reached.
func TestUpdate_OneThatLosesARegisterIsTakenBackByItself(t *testing.T) {
	t.Parallel()
	kassa := newDevice(t, simulator.New)
	s := packaged(t, at(kassa.listen))
	p := s.begin("1.0.0", "EKASSA_CRASH="+crash.Switched)
	p.runs("1.0.0")
	s.till().Post("/v1/receipts", sale("before"), wait)
	s.take(release(t, program(t, "1.1.0"), "1.0.0", currentKey)).ok(t)
	<-p.done
	kassa.process.kill()
	p = s.begin("1.0.0")
	p.runs("1.1.0")
	p.says(&p.err, `(does not prove itself: the one before begins)`)
	p.runs("1.0.0")
	if v := s.versions(); v.Current != "1.0.0" || v.Last.State != wire.ProgramReverted || !strings.Contains(v.Last.Reason, "register kassa-1 was at work before and is not reached") {
		t.Errorf("%+v", v)
	}
	kassa.run()
	s.till().Post("/v1/receipts", sale("after"), wait)
	s.reaches("after", receipt.Fiscal)
	referee(t, s.receipts(), kassa.ledger())
}

func TestUpdate_RefusesWhatMustNotRun(t *testing.T) {
	t.Parallel()
	s := packaged(t)
	good := program(t, "1.1.0")
	change := func(dir, file string, do func([]byte) []byte) string {
		path := filepath.Join(dir, file)
		data, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, do(data), 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
		return dir
	}
	name := "ekassa-agent-linux-" + runtime.GOARCH
	// Whatever is refused leaves the folder as it was; the data folder is made first.
	s.begin("1.0.0").runs("1.0.0")
	for _, x := range []struct{ what, release, says string }{
		{"a foreign signature", release(t, good, "1.0.0", foreignKey), "no key that this program trusts has signed it"},
		{"a changed manifest", change(release(t, good, "1.0.0", currentKey), wire.ReleaseFile, func(b []byte) []byte { return append(b, ' ') }), "no key that this program trusts"},
		{"a changed program", change(release(t, good, "1.0.0", currentKey), name, func(b []byte) []byte { b[len(b)/2] ^= 1; return b }), "is not the program that was signed"},
		{"a longer program", change(release(t, good, "1.0.0", currentKey), name, func(b []byte) []byte { return append(b, 0) }), "is not the program that was signed"},
		{"another's program", change(release(t, good, "1.0.0", currentKey), name, func([]byte) []byte { return []byte("x") }), "is not the program that was signed"},
		{"the version that runs", release(t, program(t, "1.0.0"), "0.9.0", currentKey), "version 1.0.0 runs, which is not below it"},
		{"too large a step", release(t, good, "1.0.1", currentKey), "it may follow version 1.0.1 at the lowest"},
		{"nothing", t.TempDir(), "release.json"},
		{"one that lies", release(t, renamed(t, good, "1.4.0"), "1.0.0", currentKey), "says that it is another version"},
	} {
		if r := s.take(x.release); r.code == 0 || !strings.Contains(r.err, x.says) || strings.Count(r.err, "\n") != 1 {
			t.Errorf("%s: exit code %d, %s%s", x.what, r.code, r.out, r.err)
		}
	}
	if v := s.versions(); v.Staged != "" || v.Current != "1.0.0" {
		t.Errorf("%+v", v)
	}
	left, err := os.ReadDir(filepath.Join(s.dir, "update"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		if e.IsDir() {
			t.Errorf("%s was left", e.Name())
		}
	}
	// What was trusted once is the floor, although it was not kept then.
	if r := s.take(release(t, broken(t, "1.3.5", ""), "1.0.0", currentKey)); r.code == 0 || !strings.Contains(r.err, "version 1.4.0 was trusted here before") {
		t.Errorf("exit code %d, %s%s", r.code, r.out, r.err)
	}
	// Nor does a build without keys take anything.
	if r := command(t, agentBinary, "update", release(t, good, "1.0.0", currentKey), "--config", s.file); r.code == 0 || !strings.Contains(r.err, "this build trusts no update keys") {
		t.Errorf("exit code %d, %s%s", r.code, r.out, r.err)
	}
}

// renamed has a program lie where scripts/build would have put another version.
func renamed(t testing.TB, program, version string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), version, "linux-"+runtime.GOARCH, "ekassa-agent")
	data, err := os.ReadFile(program)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o755)
	}
	if err == nil {
		err = os.WriteFile(path, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUpdate_SurvivesADeathAtEachStep(t *testing.T) {
	t.Parallel()
	for n, point := range crash.UpdatePoints {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			sim := register(t, simulator.Config{Edition: simulator.New})
			s := packaged(t, at(sim.Addr()))
			p := s.begin("1.0.0")
			p.runs("1.0.0")
			s.till().Post("/v1/receipts", sale("before"), wait)
			release := release(t, program(t, "1.1.0"), "1.0.0", currentKey)
			if n < 4 { // the command dies
				if r := s.take(release, "EKASSA_CRASH="+point); r.code == 0 {
					t.Fatalf("it did not die: %s", r.out)
				}
				if v := s.versions(); v.Current == "1.0.0" && v.Staged == "" {
					s.take(release).ok(t)
				}
			} else { // the agent does, or its launcher
				p.stop()
				s.take(release).ok(t)
				p = s.begin("1.0.0", "EKASSA_CRASH="+point)
				<-p.done
				p = s.begin("1.0.0")
			}
			p.runs("1.1.0")
			s.settles("1.1.0", wire.ProgramApplied)
			s.till().Post("/v1/receipts", sale("after"), wait)
			s.reaches("after", receipt.Fiscal)
			referee(t, s.receipts(), sim.Ledger())
			p.stop()
			p = s.begin("1.0.0")
			p.runs("1.1.0")
			eventually(t, "what is not needed is gone", func() bool {
				left, err := filepath.Glob(filepath.Join(s.dir, "update", ".*-*"))
				return err == nil && len(left) == 0
			})
		})
	}
}

// The whole way: an operator uploads a release, orders it of one agent, and rolls a
// bad one out to a group, which stops there.
func TestUpdate_OnTheCloudsOrder(t *testing.T) {
	t.Parallel()
	sim := register(t, simulator.Config{Edition: simulator.New})
	s := packaged(t, at(sim.Addr()))
	cloud := newCloud(t)
	cloud.enroll(s, "baku-01-a")
	p := s.begin("1.0.0")
	p.runs("1.0.0")
	upload := func(dir string) { command(t, cloudBinary, "release", "add", dir, "--config", cloud.file).ok(t) }
	upload(release(t, program(t, "1.1.0"), "1.0.0", currentKey))
	upload(release(t, broken(t, "1.3.0", "exit 1"), "1.0.0", currentKey))
	upload(release(t, broken(t, "1.4.0", "exit 1"), "1.0.0", foreignKey))
	var agent struct {
		Version string
		Program wire.ProgramReport
	}
	becomes := func(version, of, state string) {
		t.Helper()
		eventually(t, "the cloud hears that "+of+" is "+state, func() bool {
			cloud.ask("GET", "/agents/baku-01-a", "", &agent)
			return agent.Version == version && agent.Program.Version == of && agent.Program.State == state
		})
	}
	order := func(version string) (answer struct{ State, Error string }) {
		t.Helper()
		var o struct{ ID string }
		cloud.ask("POST", "/agents/baku-01-a/commands", `{"name":"update","arguments":{"version":"`+version+`"}}`, &o)
		eventually(t, "the order is answered", func() bool {
			cloud.ask("GET", "/agents/baku-01-a/commands/"+o.ID, "", &answer)
			return answer.State != "pending"
		})
		return answer
	}
	if a := order("1.4.0"); a.State != "failed" || !strings.Contains(a.Error, "no key that this program trusts has signed it") {
		t.Errorf("%+v", a)
	}
	if a := order("1.1.0"); a.State != "done" {
		t.Fatalf("%+v", a)
	}
	p.runs("1.1.0")
	becomes("1.1.0", "1.1.0", wire.ProgramApplied)

	var rollout struct{ ID, State, Reason string }
	cloud.ask("POST", "/rollouts", `{"venue":"baku-01","release":"1.3.0","at_once":1,"max_failed":0}`, &rollout)
	for starts := 0; starts < 3; starts++ { // the service manager's part
		<-p.done
		p = s.begin("1.0.0")
	}
	p.runs("1.1.0")
	becomes("1.1.0", "1.3.0", wire.ProgramReverted)
	eventually(t, "the rollout rests", func() bool {
		cloud.ask("GET", "/rollouts/"+rollout.ID, "", &rollout)
		return rollout.State == "paused"
	})
	eventually(t, "an alert is raised", func() bool {
		var alerts struct {
			Items []struct{ Code, Detail string }
		}
		cloud.ask("GET", "/alerts", "", &alerts)
		for _, a := range alerts.Items {
			if a.Code == "update_failed" && strings.Contains(a.Detail, "version 1.3.0 reverted: it was started 3 times") {
				return true
			}
		}
		return false
	})
	s.till().Post("/v1/receipts", sale("after"), wait)
	s.reaches("after", receipt.Fiscal)
	referee(t, s.receipts(), sim.Ledger())
}
