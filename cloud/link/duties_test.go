package link

import (
	"context"
	"slices"
	"testing"

	"ekassa/cloud/fleet"
	"ekassa/cloud/store"
)

// listed is a store of alerts, newest first.
type listed struct {
	Store
	alerts []fleet.Alert
}

func (l *listed) Alerts(_ context.Context, f store.Filter) (page []fleet.Alert, _ error) {
	for _, a := range l.alerts {
		if (f.Before == 0 || a.ID < f.Before) && len(page) < f.Limit {
			page = append(page, a)
		}
	}
	return page, nil
}

// PostgreSQL numbers a row when it is inserted, and shows it when it is committed.
func TestLearn_AnAlertThatIsSeenAfterOneOfAHigherNumber(t *testing.T) {
	of := func(id int64, agent string) fleet.Alert {
		return fleet.Alert{ID: id, Agent: agent, Code: "agent_offline"}
	}
	s := &listed{}
	for id := int64(2500); id > 0; id-- {
		s.alerts = append(s.alerts, of(id, "old"))
	}
	d := duties{Link: &Link{Config: Config{Store: s}}, open: map[place]bool{}}
	learn := func() {
		if err := d.learn(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	learn()
	s.alerts = slices.Insert(s.alerts, 0, of(2502, "second"))
	learn()
	s.alerts = slices.Insert(s.alerts, 1, of(2501, "first"))
	learn()
	for _, agent := range []string{"old", "second", "first"} {
		if !d.open[place{agent: agent, code: "agent_offline"}] {
			t.Errorf("the alert of %s was not learned, and never ends", agent)
		}
	}
}
