package till

import (
	"sync"
	"time"
)

// A till may ask this often, and in a burst this much: far more than any
// restaurant needs, and less than a till in an endless loop would ask.
const (
	ratePerSecond = 50
	rateBurst     = 200
)

// rates keeps a bucket for each terminal that holds a token, so it never holds
// more than there are terminals.
type rates struct {
	mu      sync.Mutex
	buckets map[string]bucket
}

type bucket struct {
	used float64
	at   time.Time
}

// take counts a request, or says how long to wait before the next.
func (r *rates) take(terminal string, now time.Time) (wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.buckets == nil {
		r.buckets = map[string]bucket{}
	}
	b := r.buckets[terminal]
	b.used = max(0, b.used-ratePerSecond*now.Sub(b.at).Seconds())
	b.at = now
	if b.used+1 > rateBurst {
		r.buckets[terminal] = b
		return time.Duration((b.used + 1 - rateBurst) / ratePerSecond * float64(time.Second))
	}
	b.used++
	r.buckets[terminal] = b
	return 0
}
