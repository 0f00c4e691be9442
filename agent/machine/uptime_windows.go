package machine

import (
	"time"

	"golang.org/x/sys/windows"
)

// Uptime is how long the machine runs.
func Uptime() time.Duration { return windows.DurationSinceBoot() }
