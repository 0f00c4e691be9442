package agent

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tree writes files and gives their folder.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestMachine_TellsWhatAPiTells(t *testing.T) {
	show := func(v any) string {
		switch v := v.(type) {
		case *float64:
			if v != nil {
				return fmt.Sprint(*v)
			}
		case *bool:
			if v != nil {
				return fmt.Sprint(*v)
			}
		}
		return "-"
	}
	const throttled, temp = "devices/platform/soc/soc:firmware/get_throttled", "class/thermal/thermal_zone0/temp"
	for _, c := range []struct {
		files             map[string]string
		degrees, low, set string
	}{
		{nil, "-", "-", "false"},
		{map[string]string{temp: "48312\n", throttled: "0\n"}, "48.312", "false", "false"},
		{map[string]string{throttled: "50005\n"}, "-", "true", "false"},
		{map[string]string{throttled: "0x20000\n", "synchronized": ""}, "-", "false", "true"}, // capped once, never under
		{map[string]string{temp: "hot", throttled: "low"}, "-", "-", "false"},
		{map[string]string{"class/hwmon/hwmon0/name": "cpu_thermal\n", "class/hwmon/hwmon1/name": "rpi_volt\n", "class/hwmon/hwmon1/in0_lcrit_alarm": "1\n"}, "-", "true", "false"},
	} {
		dir := tree(t, c.files)
		if got := show(temperature(dir)); got != c.degrees {
			t.Errorf("%v: %s degrees, want %s", c.files, got, c.degrees)
		}
		if got := show(underVoltage(dir)); got != c.low {
			t.Errorf("%v: under-voltage %s, want %s", c.files, got, c.low)
		}
		if got := show(clockSynced(dir)); got != c.set {
			t.Errorf("%v: clock set %s, want %s", c.files, got, c.set)
		}
	}
	if clockSynced(filepath.Join(t.TempDir(), "none")) != nil {
		t.Error("without timesyncd nobody knows")
	}
	if uptime() < time.Second {
		t.Error("the machine runs for no time at all")
	}
}

func TestLogTail_KeepsTheEndWithinBounds(t *testing.T) {
	var file strings.Builder
	l := &logTail{}
	log := l.beside(slog.New(slog.NewTextHandler(&file, nil))).With("register", "kassa-1")
	for n := range 5000 {
		log.Info("sold", "number", n)
	}
	log.Debug("not told")
	log.Info(strings.Repeat("ü", maxTail))
	all := l.last(0)
	size := 0
	for _, line := range all {
		size += len(line)
	}
	if size > maxTail || len(all) < 500 || !strings.Contains(all[len(all)-2], "register=kassa-1 number=4999") {
		t.Errorf("%d bytes in %d lines, the last but one %s", size, len(all), all[len(all)-2])
	}
	if two := l.last(2); len(two) != 2 || two[0] != all[len(all)-2] {
		t.Errorf("%q", two)
	}
	if n := strings.Count(file.String(), "\n"); n != 5001 {
		t.Errorf("%d lines in the log itself", n)
	}
}
