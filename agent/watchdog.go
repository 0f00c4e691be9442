package agent

import (
	"context"
	"log/slog"
	"time"

	"ekassa/agent/journal"
)

// Watchdog is fed by Run for as long as the journal's writer and every
// register's loop live: whoever set it restarts the program when it hungers.
type Watchdog struct {
	Every time.Duration // 0: never
	Feed  func()
}

// hangs is longer than a loop may be at one thing: it looks for a register,
// asks it, has it make a document and asks what became of that.
const hangs = 10 * time.Minute

// watch feeds until ctx ends. It hangs with the writer, as it should.
func (w Watchdog) watch(ctx context.Context, j *journal.Journal, s *shop, log *slog.Logger) {
	if w.Every == 0 {
		return
	}
	tick := time.NewTicker(w.Every)
	defer tick.Stop()
	for {
		if err := j.Alive(); err != nil {
			log.Error("the watchdog is no longer fed: the journal does not write", "error", err)
		} else if stuck := s.stuck(hangs); len(stuck) > 0 {
			log.Error("the watchdog is no longer fed: a loop hangs", "registers", stuck)
		} else {
			w.Feed()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// stuck names the registers whose loop has been at one thing for longer than
// limit.
func (s *shop) stuck(limit time.Duration) (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, l := range s.loops {
		if l.Busy() > limit {
			list = append(list, id)
		}
	}
	return list
}
