//go:build crashpoints

package main

import (
	"os"

	"ekassa/agent"
	"ekassa/agent/torture"
)

// patience is that of a test where EKASSA_HASTY is set: one whose registers
// answer within a blink, and that has not a minute and a half for each silence.
func patience() agent.Options {
	if os.Getenv("EKASSA_HASTY") == "" {
		return agent.Options{}
	}
	return torture.Hasty
}
