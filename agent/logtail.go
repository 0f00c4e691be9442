package agent

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
)

// maxTail is how many bytes of log are kept for the cloud to ask for: they fit
// into one message.
const maxTail = 60 << 10

// logTail keeps the end of the log. There are no secrets in a log of ours.
type logTail struct {
	mu    sync.Mutex
	lines []string
	bytes int
}

// Write takes one record, as slog's handlers write them.
func (l *logTail) Write(b []byte) (int, error) {
	line := string(bytes.TrimRight(b, "\n"))
	if len(line) > maxTail/10 {
		line = strings.ToValidUTF8(line[:maxTail/10], "") + "…"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	for l.bytes += len(line); l.bytes > maxTail; l.lines = l.lines[1:] {
		l.bytes -= len(l.lines[0])
	}
	return len(b), nil
}

// last gives the newest lines, oldest first; 0: all there are.
func (l *logTail) last(n int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n <= 0 || n > len(l.lines) {
		n = len(l.lines)
	}
	return append([]string{}, l.lines[len(l.lines)-n:]...)
}

// beside gives a log that is written to both.
func (l *logTail) beside(log *slog.Logger) *slog.Logger {
	return slog.New(both{log.Handler(), slog.NewTextHandler(l, nil)})
}

// both hands each record to two handlers.
type both [2]slog.Handler

func (b both) Enabled(ctx context.Context, level slog.Level) bool {
	return b[0].Enabled(ctx, level) || b[1].Enabled(ctx, level)
}

func (b both) Handle(ctx context.Context, r slog.Record) (err error) {
	for _, h := range b {
		if h.Enabled(ctx, r.Level) {
			if e := h.Handle(ctx, r.Clone()); e != nil {
				err = e
			}
		}
	}
	return err
}

func (b both) WithAttrs(attrs []slog.Attr) slog.Handler {
	return both{b[0].WithAttrs(attrs), b[1].WithAttrs(attrs)}
}

func (b both) WithGroup(name string) slog.Handler {
	return both{b[0].WithGroup(name), b[1].WithGroup(name)}
}
