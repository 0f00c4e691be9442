package machine

import (
	"time"

	"golang.org/x/sys/unix"
)

// Uptime is how long the machine runs.
func Uptime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
