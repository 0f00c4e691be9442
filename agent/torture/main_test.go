package torture

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"testing"
	"time"
)

// bin is where the programs under test are, built once for a run of the tests.
var bin string

func TestMain(m *testing.M) {
	var err error
	if bin, err = os.MkdirTemp("", "ekassa-torture"); err == nil {
		err = build(bin)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(bin)
	os.Exit(code)
}

// build makes the programs as the tests were made: with the race detector, if
// these have it.
func build(folder string) error {
	args := []string{"build"}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "-race" && s.Value == "true" {
				args = append(args, "-race")
			}
		}
	}
	run := func(more ...string) error {
		out, err := exec.Command("go", append(args, more...)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("build the programs: %w: %s", err, out)
		}
		return nil
	}
	return errors.Join(
		run("-o", folder+"/", "ekassa/agent/cmd/ekassa-sim", "ekassa/agent/cmd/ekassa-torture"),
		run("-o", filepath.Join(folder, "ekassa-torture-unsafe"), "-tags", "unsafejournal", "ekassa/agent/cmd/ekassa-torture"))
}

func programs(agent string) Programs {
	return Programs{Agent: []string{filepath.Join(bin, agent), "agent"}, Sim: filepath.Join(bin, "ekassa-sim")}
}

// A short run of what scripts/chaos does for hours.
func TestChaos(t *testing.T) {
	for _, models := range [][]Model{{AzSmart, Classic}, {Omnitech, Caspos}} {
		t.Run(models[0].Driver, func(t *testing.T) {
			r, err := Chaos(t.Context(), ChaosOptions{
				Programs: programs("ekassa-torture"), Seed: 11, Size: Size{Receipts: 400, Tills: 4, Kills: 10, Faults: 24},
				Models: models, Most: 40 * time.Second, Settle: 90 * time.Second, Dir: t.TempDir(), Week: week(t), Say: func(s string) { t.Log(s) },
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Log(r.Line())
			if !r.OK() {
				r.Print(t.Output())
				t.Error("a promise was broken")
			}
		})
	}
}

// A short run of what scripts/powercut does, with the control that shows that it
// bites. Needs root and loop devices, and fails without.
func TestPowercut(t *testing.T) {
	for _, x := range []struct {
		name, agent string
		control     bool
		cuts        int
	}{
		{"nothing is lost", "ekassa-torture", false, 5},
		{"the control loses", "ekassa-torture-unsafe", true, 5},
	} {
		t.Run(x.name, func(t *testing.T) {
			r, err := Powercut(t.Context(), PowercutOptions{
				Programs: programs(x.agent), Seed: 3, Cuts: x.cuts, Tills: 2, FS: "ext4", Models: []Model{AzSmart}, Control: x.control,
				Dir: t.TempDir(), Week: week(t), Say: func(s string) { t.Log(s) },
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Log(r.Line())
			if !r.OK() {
				r.Print(t.Output())
				t.Error("not as it should be")
			}
		})
	}
}
