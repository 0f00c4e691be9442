package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// tree writes files and gives where they lie.
func tree(t *testing.T, files map[string]string) From {
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
	return From{Sys: filepath.Join(dir, "sys"), Proc: filepath.Join(dir, "proc"), Timesync: filepath.Join(dir, "timesync")}
}

// said lists what a state tells.
func said(s State) string {
	var words []string
	for i, v := 0, reflect.ValueOf(s); i < v.NumField(); i++ {
		if !v.Field(i).IsNil() {
			words = append(words, fmt.Sprintf("%s=%v", v.Type().Field(i).Name, v.Field(i).Elem()))
		}
	}
	return strings.Join(words, " ")
}

func TestLook_TellsWhatAPiTells(t *testing.T) {
	const (
		throttled = "sys/devices/platform/soc/soc:firmware/get_throttled"
		temp      = "sys/class/thermal/thermal_zone0/temp"
		card      = "sys/block/mmcblk0/device/"
		head      = "Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE\n face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22\n"
		swaps     = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
	)
	for _, c := range []struct {
		files map[string]string
		want  string
	}{
		{nil, ""},
		{map[string]string{temp: "48312\n", throttled: "0\n", "timesync/clock": ""}, "Temperature=48.312 UnderVoltage=false ClockSynced=false"},
		{map[string]string{throttled: "50005\n"}, "UnderVoltage=true"},
		{map[string]string{"sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled": "1\n"}, "UnderVoltage=true"},
		{map[string]string{throttled: "0x20000\n", "timesync/synchronized": ""}, "UnderVoltage=false ClockSynced=true"}, // capped once, never under
		{map[string]string{temp: "hot", throttled: "low"}, ""},
		{map[string]string{"sys/class/hwmon/hwmon0/name": "cpu_thermal\n", "sys/class/hwmon/hwmon1/name": "rpi_volt\n", "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1\n"}, "UnderVoltage=true"},
		{map[string]string{card + "life_time": "0x01 0x03\n", card + "pre_eol_info": "0x01\n"}, "CardUsed=30"},
		{map[string]string{card + "life_time": "0x02 0x02\n", card + "pre_eol_info": "0x03\n"}, "CardUsed=90"},
		{map[string]string{card + "life_time": "0x00 0x00\n", card + "pre_eol_info": "0x00\n"}, ""}, // not defined
		{map[string]string{"sys/fs/ext4/mmcblk0p2/errors_count": "3\n", "sys/fs/ext4/sda1/errors_count": "1\n", "sys/fs/ext4/features/lazy": ""}, "DiskErrors=4"},
		{map[string]string{
			"sys/block/mmcblk0/stat": "  1 2 3 4 5 6 1000 8 9 10 11\n", "sys/block/sda/stat": "1 2 3 4 5 6 24 8 9 10 11 12 13 14 15 16 17\n",
			"sys/block/loop0/stat": "1 2 3 4 5 6 7 8 9 10 11\n", "sys/block/zram0/stat": "1 2 3 4 5 6 7 8 9 10 11\n",
		}, "DiskWritten=524288"},
		{map[string]string{"proc/self/io": "rchar: 1\nwchar: 2\nwrite_bytes: 4096\ncancelled_write_bytes: 5\n"}, "Written=4096"},
		{map[string]string{"proc/swaps": swaps + "/dev/sda2 partition 1048560 0 100\n"}, ""}, // no card here
		{map[string]string{card + "type": "SD", "proc/swaps": swaps}, "Swap=0"},
		{map[string]string{card + "type": "SD", "proc/swaps": swaps + "/dev/zram0 partition 1048560 0 100\n/var/swap file 102396 0 -2\n"}, "Swap=104853504"},
		{map[string]string{"proc/self/net/wireless": head}, ""},
		{map[string]string{"proc/self/net/wireless": head + " wlan0: 0000   58.  -52.  -256        0      0      0      0    156        0\n wlan1: 0000   30.  -81.  -256  0 0 0 0 0 0\n"}, "WiFi=-81"},
		{map[string]string{"proc/self/net/wireless": head + " wlan0: 0000   0.  -256.  -256 0 0 0 0 0 0\n"}, ""}, // not connected
	} {
		if got := said(tree(t, c.files).Look()); got != c.want {
			t.Errorf("%v: %q, want %q", c.files, got, c.want)
		}
	}
}

func TestUptime_IsNotNothing(t *testing.T) {
	if Uptime() < time.Second {
		t.Error("the machine runs for no time at all")
	}
}
