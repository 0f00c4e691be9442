package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ekassa/cloud/fleet"
	"ekassa/cloud/store"
	"ekassa/cloud/wire"
)

type deaf struct{}

func (deaf) Changed(string) {}
func (deaf) Revoked(string) {}

var admin = Person{Name: "leyla", Role: fleet.Admin}

// fleetOf has n enrolled agents, a0, a1, …, of one venue.
func fleetOf(t *testing.T, n int) (*Control, []string) {
	t.Helper()
	s, err := store.Open(t.Context(), "sqlite", t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	c := New(s, deaf{}, time.Now)
	if _, err := c.AddVenue(t.Context(), admin, "baku-01", "Şirvanşah"); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for i := range n {
		id := fmt.Sprintf("a%d", i)
		code, _, err := c.Enrol(t.Context(), admin, "baku-01", id)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Enrol(t.Context(), fleet.HashCode(code), func(e fleet.Enrolment) (fleet.Certificate, error) {
			return fleet.Certificate{Serial: "0" + id, Agent: e.Agent, NotAfter: time.Now().Add(time.Hour)}, nil
		}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return c, ids
}

// says has an agent tell what became of its newest settings.
func (c *Control) says(t *testing.T, agent, state string) {
	t.Helper()
	a, err := c.store.Agent(t.Context(), agent)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.store.Reported(t.Context(), agent, wire.Reported{Rev: a.Desired, Judged: a.Desired, State: state, Reason: "because"}); err != nil {
		t.Fatal(err)
	}
}

// states gives the rollout's after a step: "running: applied pending waiting".
func (c *Control) states(t *testing.T, id string) string {
	t.Helper()
	if err := c.rollOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := c.store.Rollout(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	text := string(r.State) + ":"
	for _, a := range r.Agents {
		text += " " + a.State
	}
	return text
}

func TestRollout_GoesOnAsFarAsItSucceeds(t *testing.T) {
	c, ids := fleetOf(t, 5)
	// One has these settings already; one changes under a person's hand.
	if _, err := c.PutSettings(t.Context(), admin, "a1", 0, []byte(`{"language":"ru","registers":[],"terminals":[]}`)); err != nil {
		t.Fatal(err)
	}
	r, err := c.StartRollout(t.Context(), admin, ids, json.RawMessage(`{"language":"ru"}`), 2, 1)
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
	step("running: pending skipped pending waiting waiting") // nobody has answered
	c.says(t, "a0", wire.StateApplied)
	step("running: applied skipped pending pending waiting")
	c.says(t, "a2", wire.StateRefused)
	step("running: applied skipped refused pending pending")
	c.says(t, "a3", wire.StateReverted)
	step("paused: applied skipped refused reverted pending")
	c.says(t, "a4", wire.StateApplied)
	step("paused: applied skipped refused reverted pending") // it rests
	if _, err := c.SteerRollout(t.Context(), admin, r.ID, fleet.RolloutRunning); err != nil {
		t.Fatal(err)
	}
	step("done: applied skipped refused reverted applied")
	for _, id := range ids {
		v, err := c.Settings(t.Context(), id, 0)
		if err != nil || v.Settings.Language != "ru" {
			t.Errorf("%s: %s, %v", id, v.Settings.Language, err)
		}
	}
	if _, err := c.SteerRollout(t.Context(), admin, r.ID, fleet.RolloutStopped); err == nil {
		t.Error("what is done was stopped")
	}
}

func TestRollout_ThatAPersonPausedSendsNothingMore(t *testing.T) {
	c, ids := fleetOf(t, 3)
	r, err := c.StartRollout(t.Context(), admin, ids, json.RawMessage(`{"language":"ru"}`), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.states(t, r.ID); got != "running: pending waiting waiting" {
		t.Fatal(got)
	}
	if _, err := c.SteerRollout(t.Context(), admin, r.ID, fleet.RolloutPaused); err != nil {
		t.Fatal(err)
	}
	c.says(t, "a0", wire.StateApplied)
	if got := c.states(t, r.ID); got != "paused: pending waiting waiting" {
		t.Fatal(got)
	}
}

// A settings change by a person while the rollout's is on its way is that
// person's: it counts as skipped.
func TestRollout_GivesWayToAPerson(t *testing.T) {
	c, ids := fleetOf(t, 1)
	r, err := c.StartRollout(t.Context(), admin, ids, json.RawMessage(`{"language":"ru"}`), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	c.states(t, r.ID)
	if _, err := c.PutSettings(t.Context(), admin, "a0", 1, []byte(`{"language":"en","registers":[],"terminals":[]}`)); err != nil {
		t.Fatal(err)
	}
	if got := c.states(t, r.ID); got != "done: skipped" {
		t.Error(got)
	}
}

func TestMerge_AsRFC7396(t *testing.T) {
	for _, c := range [][3]string{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`{"e":null}`, `{"a":1}`, `{"a":1,"e":null}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	} {
		var whole, patch any
		if err := errors.Join(json.Unmarshal([]byte(c[0]), &whole), json.Unmarshal([]byte(c[1]), &patch)); err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(merge(whole, patch))
		if err != nil || string(got) != c[2] {
			t.Errorf("%s with %s is %s, want %s", c[0], c[1], got, c[2])
		}
	}
}

// A webhook reaches nothing inside, by whatever name.
func TestWebhooks_ReachNothingInside(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was reached") }))
	defer server.Close()
	client := outward(false)
	for _, address := range []string{server.URL, strings.Replace(server.URL, "127.0.0.1", "localhost", 1), "http://169.254.169.254/", "http://10.0.0.1/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://100.64.0.1/"} {
		answer, err := client.Get(address)
		if err == nil {
			answer.Body.Close()
			t.Errorf("%s was reached", address)
		} else if !strings.Contains(err.Error(), "no public address") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestAgain_GrowsToAnHour(t *testing.T) {
	total := time.Duration(0)
	for n := range attemptsMost {
		if again(n) > time.Hour || n > 0 && again(n) < again(n-1) {
			t.Errorf("after %d attempts %v", n, again(n))
		}
		total += again(n)
	}
	if total < 40*time.Hour || total > 60*time.Hour {
		t.Errorf("given up after %v", total)
	}
}
