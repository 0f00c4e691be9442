//go:build crashpoints

package main

import (
	"os"
	"time"

	"ekassa/agent"
	"ekassa/agent/torture"
	"ekassa/agent/uplink"
)

// patience is that of a test where EKASSA_HASTY is set: one whose registers
// answer within a blink, and that has not a minute and a half for each silence.
//
// The cloud's word is noted at once, so that there is a moment to die at.
func patience() agent.Options {
	o := agent.Options{}
	if os.Getenv("EKASSA_HASTY") != "" {
		o = torture.Hasty
		o.Programs.Check, o.Programs.Steady, o.Programs.Trial = 20*time.Millisecond, 300*time.Millisecond, 5*time.Second
	}
	o.Cloud = uplink.DefaultPace
	o.Cloud.First, o.Cloud.Retry, o.Cloud.Ceil = 10*time.Millisecond, 50*time.Millisecond, 200*time.Millisecond
	o.Cloud.Look, o.Cloud.Note, o.Cloud.Breath = 20*time.Millisecond, 20*time.Millisecond, 10*time.Millisecond
	return o
}
