package main

import (
	"slices"
	"time"
)

// times are durations that were measured.
type times []time.Duration

// ms is a percentile in milliseconds.
func (t times) ms(percent int) float64 {
	if len(t) == 0 {
		return 0
	}
	s := slices.Clone(t)
	slices.Sort(s)
	return s[min(len(s)-1, len(s)*percent/100)].Seconds() * 1000
}
