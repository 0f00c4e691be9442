// Package machine says how the computer is that the agent runs on: what its card
// has to bear, its power, its air, its clock, its radio. It reads what Linux tells
// in files; a machine that does not tell is no worse for it.
package machine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// From is where Linux tells. Tests have folders of their own.
type From struct {
	Sys, Proc, Timesync string
}

// Here is this machine.
var Here = From{Sys: "/sys", Proc: "/proc", Timesync: "/run/systemd/timesync"}

// State is what was told; nil is what was not.
type State struct {
	Temperature  *float64 // of the processor, in degrees Celsius
	UnderVoltage *bool    // since the machine started
	ClockSynced  *bool    // systemd-timesyncd has set it by the network
	CardUsed     *int     // percent of its life that the card says are gone, rounded up to tens; SD cards seldom say
	DiskErrors   *int64   // that ext4 has found on the disks, ever
	DiskWritten  *int64   // bytes that went to all disks since the machine started
	Written      *int64   // bytes that this process caused to be written
	Swap         *int64   // bytes of swap on a disk, where there is a card to be worn; compressed memory wears nothing
	WiFi         *int     // signal in dBm, of the weakest radio that is connected; nil: by cable
}

// Look reads all of it.
func (f From) Look() State {
	return State{
		Temperature: f.temperature(), UnderVoltage: f.underVoltage(), ClockSynced: f.clockSynced(), CardUsed: f.cardUsed(),
		DiskErrors: f.diskErrors(), DiskWritten: f.diskWritten(), Written: f.written(), Swap: f.swap(), WiFi: f.wifi(),
	}
}

func (f From) temperature() *float64 {
	n, ok := number(filepath.Join(f.Sys, "class/thermal/thermal_zone0/temp"))
	if !ok {
		return nil
	}
	t := float64(n) / 1000
	return &t
}

// underVoltage says whether a Pi has had too little current since it started:
// bits 0 (now) and 16 (since the start) of the firmware's get_throttled, or the
// alarm of the rpi_volt driver.
func (f From) underVoltage() *bool {
	for _, file := range f.all(f.Sys, "devices/platform/soc*/soc*:firmware/get_throttled") { // a Pi 5 has the chip's address in the name
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		bits, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimSpace(string(text)), "0x"), 16, 64)
		if err != nil {
			return nil
		}
		low := bits&(1<<0|1<<16) != 0
		return &low
	}
	for _, name := range f.all(f.Sys, "class/hwmon/hwmon*/name") {
		if text, err := os.ReadFile(name); err != nil || strings.TrimSpace(string(text)) != "rpi_volt" {
			continue
		}
		if n, ok := number(filepath.Join(filepath.Dir(name), "in0_lcrit_alarm")); ok {
			low := n != 0
			return &low
		}
	}
	return nil
}

// clockSynced: the kernel could be asked, but our unit forbids the question.
func (f From) clockSynced() *bool {
	if _, err := os.Stat(f.Timesync); err != nil {
		return nil
	}
	_, err := os.Stat(filepath.Join(f.Timesync, "synchronized"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	is := err == nil
	return &is
}

// cardUsed takes the worst of a card's two figures (JEDEC eMMC 5.0: 0x01 is up to
// 10 %, 0x0b more than all of it), or what its reserve says: 0x02 is 80 %, 0x03 90 %.
func (f From) cardUsed() *int {
	worst := 0
	for _, file := range f.all(f.Sys, "block/mmcblk*/device/life_time") {
		text, _ := os.ReadFile(file) // a card that is taken out tells nothing
		for _, word := range strings.Fields(string(text)) {
			if n, err := strconv.ParseInt(word, 0, 64); err == nil && n >= 1 && n <= 11 {
				worst = max(worst, int(n)*10)
			}
		}
	}
	for _, file := range f.all(f.Sys, "block/mmcblk*/device/pre_eol_info") {
		text, _ := os.ReadFile(file)
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 0, 64); err == nil && n >= 1 && n <= 3 {
			worst = max(worst, []int{10, 80, 90}[n-1])
		}
	}
	if worst == 0 {
		return nil
	}
	return &worst
}

func (f From) diskErrors() *int64 {
	return sum(f.all(f.Sys, "fs/ext4/*/errors_count"), number)
}

// diskWritten adds up the disks, without what is not one: loops and memory.
func (f From) diskWritten() *int64 {
	return sum(f.all(f.Sys, "block/*/stat"), func(file string) (int64, bool) {
		name := filepath.Base(filepath.Dir(file))
		for _, not := range []string{"loop", "ram", "zram", "dm-", "md", "sr", "fd"} {
			if strings.HasPrefix(name, not) {
				return 0, false
			}
		}
		text, err := os.ReadFile(file)
		fields := strings.Fields(string(text))
		if err != nil || len(fields) < 7 {
			return 0, false
		}
		n, err := strconv.ParseInt(fields[6], 10, 64)
		return n * 512, err == nil // the kernel's sectors, whatever the disk's are
	})
}

func (f From) written() *int64 {
	text, err := os.ReadFile(filepath.Join(f.Proc, "self/io"))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "write_bytes: "); ok {
			if n, err := strconv.ParseInt(strings.TrimSpace(rest), 10, 64); err == nil {
				return &n
			}
		}
	}
	return nil
}

func (f From) swap() *int64 {
	text, err := os.ReadFile(filepath.Join(f.Proc, "swaps"))
	if err != nil || len(f.all(f.Sys, "block/mmcblk*")) == 0 {
		return nil
	}
	total := int64(0)
	for n, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		if n == 0 || len(fields) < 3 || strings.HasPrefix(fields[0], "/dev/zram") {
			continue
		}
		if kib, err := strconv.ParseInt(fields[2], 10, 64); err == nil {
			total += kib << 10
		}
	}
	return &total
}

func (f From) wifi() *int {
	text, err := os.ReadFile(filepath.Join(f.Proc, "self/net/wireless"))
	if err != nil {
		return nil
	}
	var weakest *int
	for _, line := range strings.Split(string(text), "\n") {
		_, rest, ok := strings.Cut(line, ":")
		fields := strings.Fields(rest) // status, link, level, noise, …
		if !ok || len(fields) < 3 {
			continue
		}
		level, err := strconv.ParseFloat(strings.TrimSuffix(fields[2], "."), 64)
		if dbm := int(level); err == nil && dbm < 0 && dbm > -256 && (weakest == nil || dbm < *weakest) {
			weakest = &dbm
		}
	}
	return weakest
}

// all gives the files of a pattern, which is a good one.
func (From) all(root, pattern string) []string {
	files, _ := filepath.Glob(filepath.Join(root, pattern))
	return files
}

func number(file string) (int64, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}

// sum of what could be read; nil where nothing could.
func sum(files []string, read func(string) (int64, bool)) *int64 {
	var total *int64
	for _, file := range files {
		if n, ok := read(file); ok {
			if total == nil {
				total = new(int64)
			}
			*total += n
		}
	}
	return total
}
