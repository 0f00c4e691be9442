package link

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"ekassa/cloud/fleet"
	"ekassa/cloud/store"
	"ekassa/cloud/wire"
)

// book is a store that takes what it is given.
type book struct {
	Store
	said   []store.Said
	alerts []fleet.Alert
}

func (b *book) Heard(_ context.Context, said []store.Said, _ time.Time) error {
	b.said = append(b.said, said...)
	return nil
}

func (b *book) Answer(context.Context, string, wire.Result, time.Time) error { return nil }

func (b *book) Raise(_ context.Context, a fleet.Alert) (bool, error) {
	b.alerts = append(b.alerts, a)
	return true, nil
}

// FuzzTake: whatever an agent says is dealt with in its own name, or is passed
// over.
func FuzzTake(f *testing.F) {
	for _, s := range [][2]string{
		{"ekassa/v1/a/presence", `{"online":true,"session":1}`}, {"ekassa/v1/a/reported", `{"rev":1,"judged":1,"state":"applied"}`},
		{"ekassa/v1/a/result", `{"id":"c1","ok":true,"result":{}}`}, {"ekassa/v1/a/presence", `null`}, {"ekassa/v1/+/report", `[]`},
		{"ekassa/v1/a/report", `{"v":1,"agent":"a","epoch":1,"seq":1,"type":"receipt","time":"2026-11-24T10:00:00Z","data":{}}`},
		{"ekassa/v1/a/report", `{"v":1,"agent":"b","epoch":1,"seq":1,"type":"receipt","time":"2026-11-24T10:00:00Z","data":{}}`},
	} {
		f.Add(s[0], []byte(s[1]))
	}
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		b := &book{}
		l := New(Config{Store: b, Log: slog.New(slog.DiscardHandler)})
		if err := l.take(t.Context(), topic, payload); err != nil {
			t.Fatal(err)
		}
		agent, _, ok := wire.ParseTopic(topic)
		taken := 0
		for _, events := range l.events {
			select {
			case e := <-events:
				taken++
				l.heed(t.Context(), l.sort(t.Context(), nil, e))
			default:
			}
		}
		for _, records := range l.records {
			select {
			case r := <-records:
				taken++
				if r.Agent != agent || r.Epoch < 1 || r.Seq < 1 {
					t.Errorf("%s told %+v", agent, r.Record)
				}
			default:
			}
		}
		for _, x := range b.said {
			if x.Agent != agent || (x.Presence == nil) == (x.Reported == nil) {
				t.Errorf("%s said %+v", agent, x)
			}
		}
		for _, a := range b.alerts {
			if a.Agent != agent {
				t.Errorf("%s is alerted of %s", a.Agent, agent)
			}
		}
		if !ok && taken+len(b.alerts) > 0 {
			t.Errorf("topic %q was taken", topic)
		}
	})
}
