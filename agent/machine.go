package agent

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Where Linux tells how the machine is. A machine that does not tell is no
// worse for it: nil.
const (
	sys      = "/sys"
	timesync = "/run/systemd/timesync"
)

// temperature of the processor, in degrees Celsius.
func temperature(sys string) *float64 {
	text, err := os.ReadFile(filepath.Join(sys, "class/thermal/thermal_zone0/temp"))
	if err != nil {
		return nil
	}
	thousandths, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return nil
	}
	t := float64(thousandths) / 1000
	return &t
}

// underVoltage says whether a Pi has had too little current since it started:
// bits 0 (now) and 16 (since the start) of the firmware's get_throttled, or the
// alarm of the rpi_volt driver.
func underVoltage(sys string) *bool {
	text, err := os.ReadFile(filepath.Join(sys, "devices/platform/soc/soc:firmware/get_throttled"))
	if err == nil {
		bits, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimSpace(string(text)), "0x"), 16, 64)
		if err != nil {
			return nil
		}
		low := bits&(1<<0|1<<16) != 0
		return &low
	}
	names, _ := filepath.Glob(filepath.Join(sys, "class/hwmon/hwmon*/name")) // the pattern is a good one
	for _, name := range names {
		if text, err := os.ReadFile(name); err != nil || strings.TrimSpace(string(text)) != "rpi_volt" {
			continue
		}
		if text, err := os.ReadFile(filepath.Join(filepath.Dir(name), "in0_lcrit_alarm")); err == nil {
			low := strings.TrimSpace(string(text)) != "0"
			return &low
		}
	}
	return nil
}

// clockSynced says whether systemd-timesyncd has set the clock. The kernel could
// be asked, but our unit forbids the question.
func clockSynced(timesync string) *bool {
	if _, err := os.Stat(timesync); err != nil {
		return nil
	}
	_, err := os.Stat(filepath.Join(timesync, "synchronized"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	is := err == nil
	return &is
}
