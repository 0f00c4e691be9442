package frontdoor

import (
	"context"
	"sync"
	"time"
)

// A till may ask this often, and so much at once: far more than any restaurant
// needs, and less than a till in an endless loop would ask.
const (
	paceEvery = time.Second / 50
	paceBurst = 200
)

// pace makes a till in a loop wait. It is not told no, since the protocol has no
// word for "too often", and an error invites a till to ring up again.
type pace struct {
	mu  sync.Mutex
	due time.Time // when all that was let in would be done at that speed
}

// wait returns when the request is due; its error is ctx's.
func (p *pace) wait(ctx context.Context) error {
	p.mu.Lock()
	now := time.Now()
	if p.due.Before(now) {
		p.due = now
	}
	p.due = p.due.Add(paceEvery)
	early := p.due.Sub(now) - paceBurst*paceEvery
	p.mu.Unlock()
	if early <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(early)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
