package agent

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ekassa/agent/machine"
	"ekassa/cloud/wire"
)

// ailing is a Pi that tells everything, and is well in nothing.
func ailing(t *testing.T) machine.From {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"sys/class/thermal/thermal_zone0/temp":                "81000\n",
		"sys/devices/platform/soc/soc:firmware/get_throttled": "10000\n",
		"timesync/clock":                     "",
		"sys/block/mmcblk0/device/life_time": "0x09 0x01\n",
		"sys/fs/ext4/mmcblk0p2/errors_count": "2\n",
		"sys/block/mmcblk0/stat":             "1 2 3 4 5 6 100000000 8 9 10 11\n",
		"proc/self/io":                       "write_bytes: 4096\n",
		"proc/swaps":                         "Filename Type Size Used Priority\n/var/swap file 102396 0 -2\n",
		"proc/self/net/wireless":             "a\nb\n wlan0: 0000   30.  -85.  -256  0 0 0 0 0 0\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return machine.From{Sys: filepath.Join(dir, "sys"), Proc: filepath.Join(dir, "proc"), Timesync: filepath.Join(dir, "timesync")}
}

// What the alarms and the dashboard ask for of a machine is what a machine that
// tells everything has.
func TestCare_TellsWhatAlarmsAskFor(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(newCareCollector(ailing(t)))
	gathered, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]bool{}
	for _, f := range gathered {
		has[f.GetName()] = true
	}
	if len(has) != len(care) {
		t.Errorf("%d of %d figures are told: %v", len(has), len(care), has)
	}
	asked := map[string]bool{}
	for _, file := range []string{"../systemd/alerts.yaml", "../systemd/dashboard.json"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(`ekassa_machine_[a-z_]+`).FindAllString(string(text), -1) {
			if asked[name] = true; !has[name] {
				t.Errorf("%s asks for %s, which no machine has", file, name)
			}
		}
	}
	if len(asked) < 8 {
		t.Errorf("only %v is asked for", asked)
	}
	registry = prometheus.NewRegistry()
	registry.MustRegister(newCareCollector(machine.From{Sys: "/none", Proc: "/none", Timesync: "/none"}))
	if gathered, err := registry.Gather(); err != nil || len(gathered) > 0 {
		t.Errorf("a machine that tells nothing: %v, %v", gathered, err)
	}
}

// The doctor minds each trouble, with its cure, and has a tick for none.
func TestCare_TheDoctorNamesEachTroubleAndItsCure(t *testing.T) {
	var minded []string
	l := &findings{lang: "en"}
	machineFindings(ailing(t).Look(), 24*time.Hour, t.TempDir(), l)
	for _, f := range l.list {
		if !f.OK {
			minded = append(minded, f.Check)
		}
		if f.Found == "" || f.OK != (f.Do == "") || f.OK == f.Warning {
			t.Errorf("%+v", f)
		}
	}
	slices.Sort(minded)
	want := "card clock file system power supply swap temperature wi-fi written to the disk"
	if got := strings.Join(minded, " "); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	l = &findings{lang: "en"}
	if machineFindings(machine.State{}, time.Minute, "/none", l); len(l.list) > 0 {
		t.Errorf("of a machine that tells nothing: %+v", l.list)
	}
}

func TestCare_IsInTheHealthRecord(t *testing.T) {
	var h wire.Health
	s := ailing(t).Look()
	tellMachine(&h, s, 48*time.Hour)
	if *h.Temperature != 81 || !*h.UnderVoltage || *h.ClockSynced || *h.CardUsed != 90 || *h.DiskErrors != 2 || *h.WrittenDay != 25_600_000_000 || *h.Swap != 104_853_504 || *h.WiFi != -85 {
		t.Errorf("%+v", h)
	}
	if tellMachine(&h, s, time.Minute); h.WrittenDay != nil {
		t.Error("a minute after the start nobody knows what a day brings")
	}
}
