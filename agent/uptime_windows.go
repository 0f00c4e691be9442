package agent

import (
	"time"

	"golang.org/x/sys/windows"
)

// uptime is how long the machine runs.
func uptime() time.Duration { return windows.DurationSinceBoot() }
