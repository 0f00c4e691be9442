package discovery

import (
	"context"
	"sync"
	"time"
)

// round is one way of looking at the network (an mDNS window, a sweep): shared
// by all who ask at the same time, and not repeated before a pause is over.
type round struct {
	mu    sync.Mutex
	busy  chan struct{} // closed when the look under way ends; nil when none is
	ended time.Time     // when the last one ended, whole or not
	cut   bool          // the last one was cut short by its caller's context
	err   error         // what the last one failed with
}

// run looks, unless a look ended less than pause ago: then, as when another
// caller's look is under way and can be waited for, it returns how that one
// went. A look that was cut short counts for the pause too, or callers with
// little time would sweep again and again; those who waited for it look at once.
func (r *round) run(ctx context.Context, pause time.Duration, look func(context.Context) error) error {
	r.mu.Lock()
	waited := false
	for r.busy != nil {
		busy := r.busy
		r.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-busy:
		}
		waited = true
		r.mu.Lock()
	}
	paused := !r.ended.IsZero() && time.Since(r.ended) < pause
	if (waited && !r.cut) || (!waited && paused) {
		defer r.mu.Unlock()
		return r.err
	}
	busy := make(chan struct{})
	r.busy = busy
	r.mu.Unlock()

	var err error
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.busy, r.ended, r.cut, r.err = nil, time.Now(), ctx.Err() != nil, err
		if r.cut {
			r.err = nil // it is the other caller's context that ended, not the next one's
		}
		close(busy)
	}()
	err = look(ctx)
	return err
}

// wait returns how long it is until run looks again by itself.
func (r *round) wait(pause time.Duration) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended.IsZero() {
		return 0
	}
	return max(0, pause-time.Since(r.ended))
}
