package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"ekassa/systemd"
)

func TestUnit_IsTheShippedOneWithThePlacesThatWereChosen(t *testing.T) {
	if got := unit(systemd.AgentProgram, systemd.AgentConfig); got != systemd.AgentUnit {
		t.Errorf("with the places that it has:\n%s", got)
	}
	got := unit("/opt/ekassa agent/50%", "/home/pi/agent.yaml")
	want := `ExecStart="/opt/ekassa agent/50%%" run --config /home/pi/agent.yaml` + "\n"
	if !strings.Contains(got, want) || strings.Contains(got, "{{") || strings.Count(got, "ExecStart=") != 1 {
		t.Errorf("not %s in\n%s", want, got)
	}
}

func TestServe_EndsWithItsWorkAndWithItsContext(t *testing.T) {
	failed := errors.New("the work failed")
	if err := serve(t.Context(), func(context.Context) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("work that failed: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	finished := false
	err := serve(ctx, func(ctx context.Context) error {
		<-ctx.Done()
		finished = true
		return nil
	})
	if err != nil || !finished {
		t.Errorf("stopped: %v, finished %v", err, finished)
	}
}
