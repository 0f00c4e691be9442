package control

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"ekassa/cloud/fleet"
	"ekassa/cloud/wire"
)

type shelf []string

func (s shelf) List() (list []wire.Release, err error) {
	for _, v := range s {
		list = append(list, wire.Release{Version: v})
	}
	return list, nil
}

// at is the hour of what agents tell, by their own clocks.
func at(hour int) time.Time { return time.Date(2026, 11, 29, hour, 0, 0, 0, time.UTC) }

// tells has an agent report a version, and run one.
func (c *Control) tells(t *testing.T, agent, state string, hour int) {
	t.Helper()
	r := wire.Reported{Program: &wire.ProgramReport{Version: "1.1.0", State: state, Reason: "because", At: at(hour)}}
	if err := c.store.Reported(t.Context(), agent, r); err != nil {
		t.Fatal(err)
	}
}

// answers has an agent answer the order that it was given last.
func (c *Control) answers(t *testing.T, agent, failed string) {
	t.Helper()
	list, err := c.store.Commands(t.Context(), agent, 1)
	if err != nil || len(list) != 1 || list[0].Name != wire.CommandUpdate || string(list[0].Arguments) != `{"version":"1.1.0"}` {
		t.Fatalf("%+v, %v", list, err)
	}
	if err := c.store.Answer(t.Context(), agent, wire.Result{ID: list[0].ID, OK: failed == "", Error: failed}, time.Now()); err != nil {
		t.Fatal(err)
	}
}

func TestRelease_GoesToTheNextWhenThoseBeforeHaveProvenIt(t *testing.T) {
	c, ids := fleetOf(t, 5)
	c.Releases = shelf{"1.1.0"}
	var refused *Invalid
	if _, err := c.StartRelease(t.Context(), admin, ids, "1.2.0", 2, 0); !errors.As(err, &refused) {
		t.Errorf("a version that is not here: %v", err)
	}
	if _, err := c.StartRelease(t.Context(), Person{Name: "x", Role: fleet.Viewer}, ids, "1.1.0", 2, 0); !errors.Is(err, ErrForbidden) {
		t.Errorf("a viewer: %v", err)
	}
	if err := c.store.Presence(t.Context(), "a1", wire.Presence{Online: true, Session: 1, Version: "1.1.0", Epoch: 1}, time.Now()); err != nil {
		t.Fatal(err)
	}
	c.tells(t, "a2", wire.ProgramReverted, 8) // of an earlier try with the same version
	r, err := c.StartRelease(t.Context(), admin, ids, "1.1.0", 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	step := func(want string) {
		t.Helper()
		if got := c.states(t, r.ID); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
	step("running: pending skipped pending waiting waiting")
	c.answers(t, "a0", "")
	c.answers(t, "a2", "")
	step("running: pending skipped pending waiting waiting") // fetched, not begun
	c.tells(t, "a0", wire.ProgramTrial, 9)
	step("running: pending skipped pending waiting waiting")
	c.tells(t, "a0", wire.ProgramApplied, 10)
	c.tells(t, "a2", wire.ProgramStaged, 9)
	step("running: applied skipped pending pending waiting")
	c.tells(t, "a2", wire.ProgramReverted, 10)
	step("running: applied skipped reverted pending pending")
	c.answers(t, "a3", "the disk is full")
	step("paused: applied skipped reverted refused pending")

	// Too many have failed: it rests until a person has it go on.
	c.answers(t, "a4", "")
	c.tells(t, "a4", wire.ProgramApplied, 11)
	step("paused: applied skipped reverted refused pending")
	if _, err := c.SteerRollout(t.Context(), admin, r.ID, fleet.RolloutRunning); err != nil {
		t.Fatal(err)
	}
	step("done: applied skipped reverted refused applied")
}

func TestRelease_IsOrderedAgainWhereAnAgentWasAwayAllTheTime(t *testing.T) {
	c, ids := fleetOf(t, 1)
	c.Releases = shelf{"1.1.0"}
	r, err := c.StartRelease(t.Context(), admin, ids, "1.1.0", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.states(t, r.ID); got != "running: pending" {
		t.Fatal(got)
	}
	if n, err := c.store.Expire(t.Context(), time.Now().Add(25*time.Hour)); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if got := c.states(t, r.ID); got != "running: pending" {
		t.Fatal(got)
	}
	if list, err := c.store.Pending(t.Context(), "a0"); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestCommand_OrdersOnlyVersionsThatAreHere(t *testing.T) {
	c, _ := fleetOf(t, 1)
	for _, arguments := range []string{``, `{}`, `{"version":1}`, `{"version":"1.1.0"}`} {
		var refused *Invalid
		if _, err := c.Command(t.Context(), admin, "a0", wire.CommandUpdate, json.RawMessage(arguments), 0); !errors.As(err, &refused) {
			t.Errorf("%q: %v", arguments, err)
		}
	}
	c.Releases = shelf{"1.1.0"}
	if _, err := c.Command(t.Context(), admin, "a0", wire.CommandUpdate, json.RawMessage(`{"version":"1.1.0"}`), 0); err != nil {
		t.Error(err)
	}
}
