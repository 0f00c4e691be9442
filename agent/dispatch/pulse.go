package dispatch

import (
	"sync/atomic"
	"time"
)

// pulse tells whether a loop is at work, and since when. A loop that hangs and
// one that waits for a slow register look alike, but for how long it takes.
type pulse struct{ since atomic.Pointer[time.Time] }

func (p *pulse) work() {
	now := time.Now() // of the monotonic clock: a Pi's other one jumps
	p.since.Store(&now)
}

func (p *pulse) rest() { p.since.Store(nil) }

// Busy says for how long the loop has been at one piece of work; 0: it rests.
// Everything that it does is bounded, so that much more than the sum of these
// bounds means that it hangs.
func (l *Loop) Busy() time.Duration {
	if since := l.pulse.since.Load(); since != nil {
		return time.Since(*since)
	}
	return 0
}
