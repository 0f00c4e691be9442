package link_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"ekassa/cloud/fleet"
	"ekassa/cloud/link"
	"ekassa/cloud/store"
	"ekassa/cloud/wire"
)

var online = wire.Presence{Online: true, Session: 1, Version: "1.2.3", Epoch: 1}

func TestRecords_AreStoredOnceInAnyOrderAndAcknowledgedThen(t *testing.T) {
	everywhere(t, func(t *testing.T, c *cloud) {
		a, b := c.enrol("a"), c.enrol("b")
		c.run(c.store, true, nil)
		a.mustConnect(online)
		b.mustConnect(online)
		const n = 300
		for _, i := range mathrand.Perm(2 * n) { // each twice
			a.say(wire.TopicReport, a.record(1, int64(i%n)+1))
			if i < 20 {
				b.say(wire.TopicReport, b.record(1, int64(i)+1))
			}
		}
		c.until("all are acknowledged", func() bool { return a.acked(1) == n && b.acked(1) == 20 })
		list, err := c.store.Receipts(t.Context(), "a", store.Filter{Limit: 10 * n})
		if err != nil || len(list) != n {
			t.Errorf("%d receipts, %v", len(list), err)
		}
		// A gap is asked for.
		a.say(wire.TopicReport, a.record(2, 1))
		a.say(wire.TopicReport, a.record(2, 4))
		c.until("the gap is known", func() bool {
			return a.with(func() bool {
				last := a.acks[len(a.acks)-1]
				return last.Epoch == 2 && last.UpTo == 1 && len(last.Missing) == 1 && last.Missing[0] == wire.Range{From: 2, To: 3}
			})
		})
		// In nobody else's name, unreadable, of a newer version: passed over, and alerted.
		stranger := b.record(1, 99)
		a.say(wire.TopicReport, stranger)
		c.until("what cannot be read is alerted", func() bool { return c.open("unreadable_message") })
		newer := a.record(1, n+1)
		newer.V = wire.Version + 1
		a.say(wire.TopicReport, newer)
		c.until("what is newer is alerted", func() bool { return c.open("newer_agent") })
		a.say(wire.TopicReport, a.record(1, n+2))
		c.until("and is not taken for stored", func() bool {
			return a.with(func() bool {
				last := a.acks[len(a.acks)-1]
				return last.Epoch == 1 && last.UpTo == n && len(last.Missing) == 1
			})
		})
		if acks, err := c.store.Acks(t.Context(), "b"); err != nil || acks[0].UpTo != 20 || len(acks[0].Missing) > 0 {
			t.Errorf("b has %v, %v", acks, err)
		}
	})
}

// trouble is a store that fails now and then.
type trouble struct {
	store.Store
	away   atomic.Bool
	poison atomic.Int64 // the number of a record that it does not take
	asked  atomic.Int64
}

var errTrouble = errors.New("trouble")

func (s *trouble) Ingest(ctx context.Context, records []wire.Record) ([]store.Stored, error) {
	s.asked.Add(1)
	if s.away.Load() {
		return nil, errTrouble
	}
	for _, r := range records {
		if r.Seq == s.poison.Load() {
			return nil, errTrouble
		}
	}
	return s.Store.Ingest(ctx, records)
}

func (s *trouble) Ping(ctx context.Context) error {
	if s.away.Load() {
		return errTrouble
	}
	return s.Store.Ping(ctx)
}

func TestRecords_WaitForADatabaseThatIsAway(t *testing.T) {
	everywhere(t, func(t *testing.T, c *cloud) {
		s := &trouble{Store: c.store}
		s.away.Store(true)
		a := c.enrol("a")
		c.run(s, true, nil)
		a.mustConnect(online)
		for seq := int64(1); seq <= 20; seq++ {
			a.say(wire.TopicReport, a.record(1, seq))
		}
		c.until("it was tried several times", func() bool { return s.asked.Load() > 5 })
		if n := a.acked(1); n != 0 {
			t.Fatalf("acknowledged up to %d, and nothing is stored", n)
		}
		s.away.Store(false)
		c.until("all are stored", func() bool { return a.acked(1) == 20 })
	})
}

func TestRecords_OneThatCannotBeStoredStopsNoOther(t *testing.T) {
	c := newCloud(t)
	within(c)
	s := &trouble{Store: c.store}
	s.poison.Store(7)
	a := c.enrol("a")
	c.run(s, true, nil)
	a.mustConnect(online)
	for seq := int64(1); seq <= 20; seq++ {
		a.say(wire.TopicReport, a.record(1, seq))
	}
	c.until("all but one are stored", func() bool {
		return a.with(func() bool {
			if len(a.acks) == 0 {
				return false
			}
			last := a.acks[len(a.acks)-1]
			return last.UpTo == 6 && len(last.Missing) == 1 && last.Missing[0] == wire.Range{From: 7, To: 7}
		}) && c.open("record_not_stored")
	})
	s.poison.Store(0)
	a.say(wire.TopicReport, a.record(1, 7)) // as the agent does in time
	c.until("all are", func() bool { return a.acked(1) == 20 })
}

func (c *cloud) put(id string, rev int64) fleet.Version {
	c.Helper()
	data, err := json.Marshal(wire.DefaultSettings())
	c.must(err)
	v, err := c.store.PutSettings(c.Context(), rev, fleet.Version{Agent: id, Settings: data, By: "leyla", At: c.now()})
	c.must(err)
	return v
}

func TestSettings_AreSentUntilTheyAreJudged(t *testing.T) {
	everywhere(t, func(t *testing.T, c *cloud) {
		a := c.enrol("a")
		c.put("a", 0)
		l, _ := c.run(c.store, true, nil)
		a.mustConnect(online)
		a.say(wire.TopicReported, wire.Reported{})
		c.until("they are repeated", func() bool { return a.with(func() bool { return len(a.desired) >= 3 }) })
		first := a.desiredFirst()
		if _, err := wire.ParseSettings(first.Settings); err != nil || first.Rev != 1 {
			t.Errorf("%+v, %v", first, err)
		}
		a.say(wire.TopicReported, wire.Reported{Rev: 1, Judged: 1, State: wire.StateApplied})
		c.until("applied", func() bool { return c.agent("a").State() == wire.StateApplied })

		c.put("a", 1)
		l.Changed("a")
		c.until("the next ones", func() bool { return a.with(func() bool { return a.desired[len(a.desired)-1].Rev == 2 }) })
		a.say(wire.TopicReported, wire.Reported{Rev: 1, Judged: 2, State: wire.StateRefused, Reason: "registers[0].address: is taken"})
		c.until("refused, and alerted", func() bool { return c.agent("a").State() == wire.StateRefused && c.open("settings_refused") })
		c.put("a", 2)
		l.Changed("a")
		a.say(wire.TopicReported, wire.Reported{Rev: 1, Judged: 3, State: wire.StateReverted, Reason: "kassa-1 was no longer reached"})
		c.until("reverted, and the other alert is over", func() bool { return c.open("settings_reverted") && !c.open("settings_refused") })

		// A new card: it has no settings, and takes the newest.
		a.client.Disconnect(0)
		a.with(func() bool { a.desired = nil; return true })
		a.mustConnect(wire.Presence{Online: true, Session: 1, Epoch: 2})
		a.say(wire.TopicReported, wire.Reported{})
		c.until("all over again", func() bool {
			return a.with(func() bool { return len(a.desired) > 0 && a.desired[len(a.desired)-1].Rev == 3 })
		})
	})
}

func TestSettings_ALostDatabasePushesNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, c *cloud) {
		a := c.enrol("a")
		l, _ := c.run(c.store, true, nil)
		a.mustConnect(online)
		a.say(wire.TopicReported, wire.Reported{Rev: 7, Judged: 7, State: wire.StateApplied})
		c.until("it is alerted", func() bool { return c.open("settings_unknown") })
		l.Changed("a")
		a.say(wire.TopicReport, a.record(1, 1))
		c.until("what came after", func() bool { return a.acked(1) == 1 })
		if a.with(func() bool { return len(a.desired) > 0 }) {
			t.Fatalf("pushed %+v", a.desiredFirst())
		}
		// A person saves settings: they are above whatever the agent has.
		if v := c.put("a", 0); v.Rev != 8 {
			t.Fatalf("rev %d", v.Rev)
		}
		l.Changed("a")
		c.until("these are pushed", func() bool { return a.with(func() bool { return len(a.desired) > 0 && a.desired[0].Rev == 8 }) })
		c.until("the alert is over", func() bool { return !c.open("settings_unknown") })
	})
}

// empty is a store whose settings were lost.
type empty struct{ store.Store }

func (s empty) Version(ctx context.Context, agent string, rev int64) (fleet.Version, error) {
	v, err := s.Store.Version(ctx, agent, rev)
	v.Settings = []byte(`{}`)
	if agent == "b" {
		v.Settings = nil
	}
	return v, err
}

func TestSettings_EmptyOnesAreNeverPushed(t *testing.T) {
	c := newCloud(t)
	within(c)
	a, b := c.enrol("a"), c.enrol("b")
	c.put("a", 0)
	c.put("b", 0)
	c.run(empty{c.store}, true, nil)
	for _, x := range []*agent{a, b} {
		x.mustConnect(online)
		x.say(wire.TopicReported, wire.Reported{})
		c.until("it is alerted", func() bool {
			list, err := c.store.Alerts(t.Context(), store.Filter{Agent: x.id})
			c.must(err)
			for _, f := range list {
				if f.Code == "settings_broken" {
					return true
				}
			}
			return false
		})
		if x.with(func() bool { return len(x.desired) > 0 }) {
			t.Errorf("pushed %s", x.desiredFirst().Settings)
		}
	}
}

func TestCommands_AreRepeatedUntilAnsweredOrExpired(t *testing.T) {
	everywhere(t, func(t *testing.T, c *cloud) {
		a := c.enrol("a")
		l, _ := c.run(c.store, true, nil)
		a.mustConnect(online)
		give := func(id string, lasts time.Duration) {
			c.must(c.store.AddCommand(t.Context(), fleet.Command{ID: id, Agent: "a", Name: wire.CommandXReport, State: fleet.CommandPending, Arguments: []byte(`{"register":"k"}`), CreatedAt: c.now(), ExpiresAt: c.now().Add(lasts)}))
			l.Changed("a")
		}
		count := func(id string) (n int) {
			a.with(func() bool {
				for _, x := range a.commands {
					if x.ID == id && x.Name == wire.CommandXReport && x.TTLSeconds > 0 && x.TTLSeconds <= 60 && string(x.Arguments) == `{"register":"k"}` {
						n++
					}
				}
				return true
			})
			return n
		}
		state := func(id string) fleet.CommandState {
			x, err := c.store.Command(t.Context(), "a", id)
			c.must(err)
			return x.State
		}
		give("c1", time.Minute)
		c.until("it is repeated", func() bool { return count("c1") >= 3 })
		a.say(wire.TopicResult, wire.Result{ID: "c1", OK: true, Result: []byte(`{"shift":"12"}`)})
		c.until("it is done", func() bool { return state("c1") == fleet.CommandDone })
		give("c2", time.Minute)
		c.until("the next one", func() bool { return count("c2") >= 1 })
		c.advance(2 * time.Minute)
		c.until("it has expired", func() bool { return state("c2") == fleet.CommandExpired })
		// One that cannot be sent keeps no other from it.
		c.must(c.store.AddCommand(t.Context(), fleet.Command{ID: "broken", Agent: "a", Name: wire.CommandCheck, State: fleet.CommandPending, Arguments: []byte(`{"regis`), CreatedAt: c.now(), ExpiresAt: c.now().Add(time.Minute)}))
		c.must(c.store.AddCommand(t.Context(), fleet.Command{ID: "huge", Agent: "a", Name: wire.CommandCheck, State: fleet.CommandPending, Arguments: []byte(`"` + string(make90k()) + string(make90k()) + `"`), CreatedAt: c.now(), ExpiresAt: c.now().Add(time.Minute)}))
		give("c3", time.Minute)
		c.until("they have failed", func() bool { return state("broken") == fleet.CommandFailed && state("huge") == fleet.CommandFailed })
		c.until("the third", func() bool { return count("c3") >= 5 })
		n1, n2 := count("c1"), count("c2")
		c.until("the third once more", func() bool { return count("c3") >= 10 })
		if count("c1") != n1 || count("c2") != n2 {
			t.Error("what is over is still repeated")
		}
		a.say(wire.TopicResult, wire.Result{ID: "c3", Error: "no such register"})
		c.until("it has failed", func() bool { return state("c3") == fleet.CommandFailed })
		a.say(wire.TopicResult, wire.Result{ID: "c2", OK: true}) // done in time, and told late
		c.until("the second was done", func() bool { return state("c2") == fleet.CommandDone })
	})
}

func TestPresence_AndItsAlert(t *testing.T) {
	everywhere(t, func(t *testing.T, c *cloud) {
		a := c.enrol("a")
		_, stop := c.run(c.store, true, nil)
		p := online
		p.Session = 5
		a.mustConnect(p)
		c.until("it is there", func() bool { x := c.agent("a"); return x.Online && x.Version == "1.2.3" && x.Session == 5 })
		late := p
		late.Session, late.Online = 4, false
		a.say(wire.TopicPresence, late) // a will of the session before
		a.say(wire.TopicPresence, p)
		a.say(wire.TopicReport, a.record(1, 1))
		c.until("what came after", func() bool { return a.acked(1) == 1 })
		if !c.agent("a").Online {
			t.Error("a late will counts")
		}
		c.advance(time.Hour) // and says nothing any more
		c.until("the alert", func() bool { return c.open("agent_offline") })
		health := a.record(1, 2)
		health.Type, health.Data = wire.RecordHealth, []byte(`{"registers":[{"id":"k","mode":"active","link":"ready","shift_open":true,"shift_age_seconds":80000}]}`)
		a.say(wire.TopicReport, health)
		c.until("it is heard again, and its shift is old", func() bool { return !c.open("agent_offline") && c.open("shift_old") })
		p.Online = false
		a.say(wire.TopicPresence, p)
		c.until("it is gone", func() bool { return !c.agent("a").Online })
		p.Online = true
		a.say(wire.TopicPresence, p)
		c.until("it is back", func() bool { return c.agent("a").Online })

		// The cloud is away, and begins anew: what the broker kept says who is there,
		// or else the agent, which says so again every few minutes.
		stop()
		c.must(c.store.AllOffline(t.Context(), c.now()))
		c.run(c.store, true, nil)
		if !c.keeps {
			a.say(wire.TopicPresence, p)
		}
		c.until("it is known to be there", func() bool { return c.agent("a").Online })
		// Who leads now ends the alerts that another raised.
		health.Seq, health.Data = 3, []byte(`{"registers":[]}`)
		a.say(wire.TopicReport, health)
		c.until("the shift of a register that is no more", func() bool { return !c.open("shift_old") })
	})
}

func TestAgent_TakenBackIsNotHeard(t *testing.T) {
	everywhere(t, func(t *testing.T, c *cloud) {
		a, b := c.enrol("a"), c.enrol("b")
		l, _ := c.run(c.store, true, nil)
		a.mustConnect(online)
		b.mustConnect(online)
		a.say(wire.TopicReport, a.record(1, 1))
		c.until("it is heard", func() bool { return a.acked(1) == 1 })
		c.must(c.store.Revoke(t.Context(), "a", c.now()))
		c.put("a", 0)
		_ = a.try(wire.TopicReport, false, a.record(1, 2)) // the connection may still hold, or be ended by a look
		b.say(wire.TopicReport, b.record(1, 1))
		c.until("somebody else is", func() bool { return b.acked(1) == 1 })
		l.Revoked("a")
		l.Changed("a")
		if c.in {
			select {
			case <-a.lost:
			case <-time.After(10 * time.Second):
				t.Error("its connection holds")
			}
		}
		b.say(wire.TopicReport, b.record(1, 2))
		c.until("and still is", func() bool { return b.acked(1) == 2 })
		acks, err := c.store.Acks(t.Context(), "a")
		if err != nil || a.acked(1) != 1 || acks[0].UpTo != 1 || a.with(func() bool { return len(a.desired) > 0 }) {
			t.Errorf("acknowledged %d, stored %v, %v; pushed %v", a.acked(1), acks, err, a.desired)
		}
	})
}

func TestLink_ComesBackAfterTheBroker(t *testing.T) {
	c := newCloud(t)
	mosquitto(c)
	a := c.enrol("a")
	l, _ := c.run(c.store, true, nil)
	for round := int64(1); round <= 3; round++ {
		p := online
		p.Session = round
		c.until("the agent is back", func() bool { return a.connect(p) == nil })
		c.until("the cloud is back", func() bool { up, _ := l.State(); return up })
		c.until("what is told is acknowledged", func() bool {
			a.say(wire.TopicReport, a.record(1, round))
			time.Sleep(5 * time.Millisecond) // it tells again, as agents do
			return a.acked(1) == round
		})
		c.mosquitto.Kill()
		<-a.lost
		c.until("the cloud knows", func() bool { up, _ := l.State(); return !up })
		c.mosquitto.Start()
	}
}

func TestLinks_ShareTheWork(t *testing.T) {
	c := newCloud(t)
	mosquitto(c)
	shared := func(cfg *link.Config) { cfg.Shared = true }
	first, stop := c.run(c.store, true, shared)
	second, _ := c.run(c.store, false, shared)
	a := c.enrol("a")
	a.mustConnect(online)
	tell := func(from, to int64) {
		for seq := from; seq <= to; seq++ {
			a.say(wire.TopicReport, a.record(1, seq))
		}
	}
	tell(1, 100)
	c.until("all are acknowledged", func() bool { return a.acked(1) == 100 })
	c.until("both have counted", func() bool { return first.Counts.Records.Load()+second.Counts.Records.Load() >= 100 }) // after the ack
	if one, two := first.Counts.Records.Load(), second.Counts.Records.Load(); one == 0 || two == 0 || one+two != 100 {
		t.Errorf("one took %d records and the other %d", one, two)
	}
	// What a person gives to the process that does not lead gets there as well.
	c.must(c.store.AddCommand(t.Context(), fleet.Command{ID: "c1", Agent: "a", Name: wire.CommandCheck, State: fleet.CommandPending, CreatedAt: c.now(), ExpiresAt: c.now().Add(time.Minute)}))
	second.Changed("a")
	c.until("the command arrives", func() bool { return a.with(func() bool { return len(a.commands) > 0 }) })
	a.say(wire.TopicResult, wire.Result{ID: "c1", OK: true})
	// One ends in the middle of it: the other takes everything.
	go stop()
	tell(101, 200)
	c.until("the other alone", func() bool { up, _ := first.State(); return !up })
	c.until("all are acknowledged", func() bool {
		acks, err := c.store.Acks(t.Context(), "a")
		c.must(err)
		for _, m := range acks[0].Missing {
			tell(m.From, m.To)
		}
		if acks[0].UpTo < 200 && len(acks[0].Missing) == 0 {
			tell(200, 200)
		}
		return a.acked(1) == 200
	})
	list, err := c.store.Receipts(t.Context(), "a", store.Filter{Limit: 1000})
	if err != nil || len(list) != 200 {
		t.Errorf("%d receipts, %v", len(list), err)
	}
}

func TestLinks_WithoutSharedSubscriptionsOneTakesAll(t *testing.T) {
	c := newCloud(t)
	mosquitto(c)
	first, _ := c.run(c.store, true, nil)
	second, _ := c.run(c.store, false, nil)
	a := c.enrol("a")
	a.mustConnect(online)
	for seq := int64(1); seq <= 50; seq++ {
		a.say(wire.TopicReport, a.record(1, seq))
	}
	c.until("all are acknowledged", func() bool { return a.acked(1) == 50 })
	if one, two := first.Counts.Records.Load(), second.Counts.Records.Load(); one != 50 || two != 0 {
		t.Errorf("the one that leads took %d records and the other %d", one, two)
	}
	// The other takes over when it leads.
	ctx, cancel := context.WithCancel(t.Context())
	led := make(chan struct{})
	go func() { second.Lead(ctx); close(led) }()
	c.until("it hears", func() bool {
		a.say(wire.TopicReport, a.record(1, 51))
		return second.Counts.Records.Load() > 0
	})
	cancel()
	<-led
}

func TestLink_HoldsLittle(t *testing.T) {
	// A database that stands still, and agents that go on telling: the link takes a
	// bounded part, and then nothing more.
	c := newCloud(t)
	within(c)
	s := &trouble{Store: c.store}
	s.away.Store(true)
	l, _ := c.run(s, true, func(cfg *link.Config) { cfg.Pace.Room = time.Hour })
	var told atomic.Int64
	for n := range 4 {
		a := c.enrol(fmt.Sprintf("a%d", n))
		a.mustConnect(online)
		r := a.record(1, 1)
		r.Data = []byte(`{"terminal":"t","id":"r","kind":"sale","total":"1.00","state":"fiscal","note":"` + string(make90k()) + `"}`)
		go func() {
			for r.Seq = 1; ; r.Seq++ {
				if a.try(wire.TopicReport, false, r) != nil {
					return
				}
				told.Add(1)
			}
		}()
	}
	c.until("it takes what there is room for", func() bool { return told.Load() >= 1<<20/100_000 })
	before := told.Load()
	c.until("and then nothing", func() bool {
		time.Sleep(300 * time.Millisecond)
		now := told.Load()
		still := now == before
		before = now
		return still
	})
	if before > 3<<20/90_000 {
		t.Errorf("%d records of 90 kB were taken", before)
	}
	if l.Counts.Records.Load() != 0 {
		t.Error("something was stored")
	}
	s.away.Store(false)
	c.until("all go on", func() bool { return told.Load() > before+20 })
}

func make90k() []byte {
	b := make([]byte, 90_000)
	for i := range b {
		b[i] = 'x'
	}
	return b
}
