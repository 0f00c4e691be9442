package agent

import (
	"time"

	"golang.org/x/sys/unix"
)

// uptime is how long the machine runs; our unit hides /proc/uptime.
func uptime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
