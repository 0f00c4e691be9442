package replay

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Evening sells the receipts in their order, parallel at a time, and gives what
// became of each, in the same order. each, where given, hears of every one as it
// is told; never of two at once. A receipt waits for its parent, where that
// stands before it. When ctx ends what was not sent is not, and says so.
func (t *Till) Evening(ctx context.Context, list []Receipt, parallel int, each func(Result)) []Result {
	results := make([]Result, len(list))
	told := make(map[string]chan struct{}, len(list))
	for _, x := range list {
		told[x.ID] = make(chan struct{})
	}
	next := make(chan int)
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range max(parallel, 1) {
		workers.Go(func() {
			for i := range next {
				r := t.Sell(ctx, list[i])
				results[i] = r
				close(told[list[i].ID])
				if each != nil {
					mu.Lock()
					each(r)
					mu.Unlock()
				}
			}
		})
	}
	sent := make(map[string]bool, len(list))
	for i, x := range list {
		if sent[x.Parent] {
			<-told[x.Parent]
		}
		if ctx.Err() != nil || sent[x.ID] {
			results[i] = Result{Receipt: x, Err: ctx.Err()}
			if ctx.Err() == nil {
				results[i].Err = fmt.Errorf("this id stands in the file twice")
			}
			continue
		}
		sent[x.ID] = true
		next <- i
	}
	close(next)
	workers.Wait()
	return results
}

// Settle asks for those that were on their way until none is, or the time is
// up. The agent goes on either way; this is only to see how it ends.
func (t *Till) Settle(ctx context.Context, results []Result, within time.Duration) {
	const pause = 200 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for i := range results {
		r := &results[i]
		for r.Err == nil && r.Answer.State.Unsettled() {
			a, err := t.Read(ctx, r.Receipt.ID)
			if err == nil {
				r.Answer = a
			}
			if (err != nil || a.State.Unsettled()) && !sleep(ctx, pause) {
				return // those behind it in the queue are no further
			}
		}
	}
}

// Summary counts what became of an evening.
type Summary struct {
	Receipts                       int
	Told                           int // yes
	Fiscal, Waiting, Refused, Held int
	Other                          int // kept without a document, or withdrawn
	Repeats                        int
	Fastest, Median, Slowest       time.Duration // answers, of those told yes
}

// Sum counts.
func Sum(results []Result) Summary {
	s := Summary{Receipts: len(results)}
	var took []time.Duration
	for _, r := range results {
		s.Repeats += r.Repeats
		if r.Err != nil {
			continue
		}
		s.Told++
		took = append(took, r.Took)
		switch state := r.Answer.State; {
		case state == Fiscal:
			s.Fiscal++
		case state.Unsettled():
			s.Waiting++
		case state == Refused:
			s.Refused++
		case state == Held:
			s.Held++
		default:
			s.Other++
		}
	}
	if len(took) > 0 {
		slices.Sort(took)
		s.Fastest, s.Median, s.Slowest = took[0], took[len(took)/2], took[len(took)-1]
	}
	return s
}

// Clean says whether every receipt was told yes and none needs a person.
func (s Summary) Clean() bool { return s.Told == s.Receipts && s.Refused == 0 && s.Held == 0 }

func (s Summary) String() string {
	text := fmt.Sprintf("%d receipts: %d told yes, %d fiscal, %d waiting, %d refused, %d held",
		s.Receipts, s.Told, s.Fiscal, s.Waiting, s.Refused, s.Held)
	if s.Other > 0 {
		text += fmt.Sprintf(", %d kept without a document", s.Other)
	}
	if s.Told > 0 {
		text += fmt.Sprintf("; answers %s fastest, %s median, %s slowest", short(s.Fastest), short(s.Median), short(s.Slowest))
	}
	if s.Repeats > 0 {
		text += fmt.Sprintf("; sent again %d times", s.Repeats)
	}
	return text
}

func short(d time.Duration) time.Duration {
	if d > time.Second {
		return d.Round(10 * time.Millisecond)
	}
	return d.Round(100 * time.Microsecond)
}
