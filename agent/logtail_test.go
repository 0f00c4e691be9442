package agent

import (
	"log/slog"
	"strings"
	"testing"
)

func TestLogTail_KeepsTheEndWithinBounds(t *testing.T) {
	var file strings.Builder
	l := &logTail{}
	log := l.beside(slog.New(slog.NewTextHandler(&file, nil))).With("register", "kassa-1")
	for n := range 5000 {
		log.Info("sold", "number", n)
	}
	log.Debug("not told")
	log.Info(strings.Repeat("ü", maxTail))
	all := l.last(0)
	size := 0
	for _, line := range all {
		size += len(line)
	}
	if size > maxTail || len(all) < 500 || !strings.Contains(all[len(all)-2], "register=kassa-1 number=4999") {
		t.Errorf("%d bytes in %d lines, the last but one %s", size, len(all), all[len(all)-2])
	}
	if two := l.last(2); len(two) != 2 || two[0] != all[len(all)-2] {
		t.Errorf("%q", two)
	}
	if n := strings.Count(file.String(), "\n"); n != 5001 {
		t.Errorf("%d lines in the log itself", n)
	}
}
