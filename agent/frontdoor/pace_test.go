package frontdoor

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestPace_ATillInALoopWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace
		began := time.Now()
		for _, x := range []struct {
			requests int
			take     time.Duration
		}{{200, 0}, {50, time.Second}, {25, 500 * time.Millisecond}} {
			for range x.requests {
				if err := p.wait(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if took := time.Since(began); took != x.take {
				t.Errorf("%d requests took %s, want %s", x.requests, took, x.take)
			}
			began = time.Now()
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.wait(gone); err == nil {
			t.Error("a till that has gone is served")
		}
		time.Sleep(time.Minute)
		began = time.Now()
		for range 200 {
			if err := p.wait(t.Context()); err != nil || time.Since(began) > 0 {
				t.Fatalf("after a rest: %v after %s", err, time.Since(began))
			}
		}
	})
}

// The door keeps to the pace before it looks at anything.
func TestPace_IsTheDoors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := AzSmart(Config{Shop: func() Shop { return Shop{} }, Log: nil}).(*door)
		d.pace.due = time.Now().Add(paceBurst*paceEvery + time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		w := httptest.NewRecorder()
		d.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "POST", "/sale", strings.NewReader("x")))
		if w.Body.Len() > 0 {
			t.Errorf("served: %s", w.Body)
		}
	})
}
