package uplink

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ekassa/cloud/wire"
)

func TestRun_TellsEverythingOnceAndInOrder(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, b broker, addr string) {
		c, s := dialCloud(t, addr), newShop(t, addr)
		s.pace.Again, s.pace.Gap = time.Minute, time.Minute // a slow machine is no reason to tell again
		for n := range 150 {
			s.sell(fmt.Sprint("r", n), 1)
		}
		_, stop := s.connect()
		until(t, "the backlog is told", func() bool { return c.has(s.j.Epoch(), 151) }) // with how the agent is
		s.sell("live", 1)
		until(t, "what comes later is told", func() bool { return c.has(s.j.Epoch(), 152) && s.settled() })
		stop()
		until(t, "it says that it goes", func() bool {
			return c.with(func(c *cloud) bool {
				p := c.presences[len(c.presences)-1]
				return !p.Online && p.Session == c.presences[0].Session
			})
		})
		c.mu.Lock()
		defer c.mu.Unlock()
		for at, n := range c.told {
			if n != 1 {
				t.Errorf("record %d was told %d times", at.seq, n)
			}
		}
		if c.flying > quick.Window {
			t.Errorf("%d records without an acknowledgement, and the window is %d", c.flying, quick.Window)
		}
		first := c.presences[0]
		if !first.Online || first.Session == 0 || first.Version != "1.2.3" || first.Epoch != s.j.Epoch() {
			t.Errorf("%+v", first)
		}
		body, err := c.records[s.j.Epoch()][1].Body()
		if err != nil {
			t.Fatal(err)
		}
		r := body.(*wire.Receipt)
		if r.ID != "r0" || r.Total != "12.00" || r.State != "waiting" || r.Register != "kassa-1" || !json.Valid(r.Content) || len(r.Content) == 0 {
			t.Errorf("%+v", r)
		}
	})
}

// A register that is another than was told is told at once; and who is there says
// so again, for brokers that keep nothing.
func TestRun_WhatChangesIsToldSoonAndPresenceAgain(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, b broker, addr string) {
		c, s := dialCloud(t, addr), newShop(t, addr)
		_, stop := s.connect()
		defer stop()
		until(t, "how the agent is", func() bool { return c.has(s.j.Epoch(), 1) })
		s.mu.Lock()
		s.register = "ready"
		s.mu.Unlock()
		until(t, "that the register is reached", func() bool {
			return c.with(func(c *cloud) bool {
				for _, r := range c.records[s.j.Epoch()] {
					body, err := r.Body()
					if h, ok := body.(*wire.Health); err == nil && ok && h.Registers[0].Link == "ready" {
						return true
					}
				}
				return false
			})
		})
		stop()
		c.with(func(c *cloud) bool { c.presences = nil; return true })
		s.pace.Health = 20 * time.Millisecond
		_, stop = s.connect()
		defer stop()
		until(t, "presence is said again", func() bool {
			return c.with(func(c *cloud) bool {
				n := len(c.presences)
				return n >= 3 && c.presences[n-1].Online && c.presences[n-1].Session == c.presences[n-2].Session
			})
		})
	})
}

func TestRun_LostAcknowledgementsAreOnlyToldAgain(t *testing.T) {
	t.Parallel()
	addr := newAddr()
	b := &mochiBroker{}
	b.start(t, addr)
	defer b.kill(t)
	c, s := dialCloud(t, addr), newShop(t, addr)
	c.deaf = true
	for n := range 40 {
		s.sell(fmt.Sprint("r", n), 1)
	}
	_, stop := s.connect()
	until(t, "the window is told twice", func() bool {
		return c.with(func(c *cloud) bool { return c.told[place{s.j.Epoch(), 1}] > 1 && c.told[place{s.j.Epoch(), 20}] > 1 })
	})
	if c.with(func(c *cloud) bool { return c.told[place{s.j.Epoch(), 21}] > 0 }) {
		t.Error("more than the window is under way")
	}
	stop()
	if n, err := s.j.Unacknowledged(); n != 41 || err != nil {
		t.Errorf("%d are left, %v: the broker's word was taken for the cloud's", n, err)
	}
	c.with(func(c *cloud) bool { c.deaf = false; return true })
	s.connect()
	until(t, "all is acknowledged", func() bool { return c.has(s.j.Epoch(), 41) && s.settled() })
}

func TestRun_BrokerKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, b broker, addr string) {
		c, s := dialCloud(t, addr), newShop(t, addr)
		s.pace.Breath = 10 * time.Millisecond
		s.connect()
		n := 0
		for round := range 4 {
			for range 60 {
				s.sell(fmt.Sprint("r", n), 1)
				n++
			}
			until(t, "some are told", func() bool { return c.has(s.j.Epoch(), int64(60*round+5)) })
			b.kill(t)
			b.start(t, addr)
			c.dial(addr)
		}
		until(t, "all are told", func() bool { return s.last() >= 240 && c.has(s.j.Epoch(), s.last()) && s.settled() })
		c.mu.Lock()
		defer c.mu.Unlock()
		for seq, r := range c.records[s.j.Epoch()] {
			if body, _ := r.Body(); r.Type == wire.RecordAlert {
				t.Errorf("record %d was set apart for the broker's fault: %+v", seq, body)
			}
		}
		for n, p := range c.presences[1:] {
			if p.Session < c.presences[n].Session {
				t.Errorf("session %d after %d", p.Session, c.presences[n].Session)
			}
		}
	})
}

func TestRun_APoisonedRecordIsSetApart(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, b broker, addr string) {
		c, s := dialCloud(t, addr), newShop(t, addr)
		for n := range 30 {
			items := 1
			if n == 10 {
				items = 180
			}
			s.sell(fmt.Sprint("r", n), items)
		}
		s.connect()
		until(t, "the others are told", func() bool { return c.has(s.j.Epoch(), 31) && s.settled() })
		body, err := c.record(s.j.Epoch(), 11).Body()
		a, ok := body.(*wire.Alert)
		if err != nil || !ok || a.Code != wire.AlertQuarantined {
			t.Errorf("%+v, %v", body, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for seq, r := range c.records[s.j.Epoch()] {
			if r.Type == wire.RecordAlert && seq != 11 {
				t.Errorf("record %d was set apart too", seq)
			}
		}
	})
}

func TestRun_WhatTheCloudRefusesDoesNotStopTheRest(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name  string
		plain bool
		late  time.Duration
	}{
		{"which says what it has", false, 0},
		{"which says it later than a gap is waited for", false, 200 * time.Millisecond},
		{"which says only up to where", true, 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			c, s := newCloudAndShop(t)
			c.plain, c.late = x.plain, x.late
			c.refuse = func(r wire.Record) bool { return r.Seq == 3 && r.Type == wire.RecordReceipt }
			for n := range 50 {
				s.sell(fmt.Sprint("r", n), 1)
			}
			s.pace.Gap, s.pace.Again = 5*time.Millisecond, 500*time.Millisecond // longer than a broker's answer takes on a busy machine
			if !x.plain {
				s.pace.Again = time.Hour // nothing waits for its end
			}
			s.connect()
			// What comes later shows the cloud that one is missing.
			n := 50
			until(t, "an alert stands in for it", func() bool {
				s.sell(fmt.Sprint("r", n), 1)
				n++
				time.Sleep(20 * time.Millisecond) // a shop that sells on
				return c.has(s.j.Epoch(), 51)
			})
			until(t, "all is told", func() bool { return c.has(s.j.Epoch(), int64(n+1)) && s.settled() })
			if r := c.record(s.j.Epoch(), 3); r.Type != wire.RecordAlert {
				t.Errorf("%+v", r)
			}
		})
	}
}

// Where several processes are the cloud, one of them may sit on the copies of a record
// for a while: however often it is passed over, that alone does not set it apart.
func TestRun_WhatIsTakenLateIsNotSetApart(t *testing.T) {
	t.Parallel()
	c, s := newCloudAndShop(t)
	const copies = 2 * 3 // twice as many as would be enough
	c.refuse = func(r wire.Record) bool { return r.Seq == 3 && c.told[place{r.Epoch, 3}] <= copies }
	s.pace.Gap, s.pace.Again, s.pace.Apart = time.Millisecond, time.Hour, time.Hour
	n := 0
	for ; n < 5; n++ { // the third is one of them
		s.sell(fmt.Sprint("r", n), 1)
	}
	s.connect()
	until(t, "it is taken", func() bool {
		s.sell(fmt.Sprint("r", n), 1)
		n++
		time.Sleep(20 * time.Millisecond) // a shop that sells on
		return c.has(s.j.Epoch(), 4)
	})
	if r := c.record(s.j.Epoch(), 3); r.Type != wire.RecordReceipt {
		t.Errorf("%+v", r)
	}
}

// A cloud that was restored from a backup asks for what it has acknowledged.
func TestRun_TellsAgainWhatTheCloudHasLost(t *testing.T) {
	t.Parallel()
	addr := newAddr()
	b := &mochiBroker{}
	b.start(t, addr)
	defer b.kill(t)
	c, s := dialCloud(t, addr), newShop(t, addr)
	for n := range 100 {
		s.sell(fmt.Sprint("r", n), 1)
	}
	_, stop := s.connect()
	until(t, "all is told", func() bool { return c.has(s.j.Epoch(), 101) && s.settled() })
	stop()
	c.with(func(c *cloud) bool {
		for seq := int64(21); seq <= 101; seq++ {
			delete(c.records[s.j.Epoch()], seq)
			delete(c.bytes, place{s.j.Epoch(), seq})
		}
		return true
	})
	s.connect()
	s.sell("new", 1)
	until(t, "what was lost is there again", func() bool { return c.has(s.j.Epoch(), 103) })
}

func TestRun_SettingsAreTakenOnceAndReportedOnEachConnection(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, b broker, addr string) {
		c, s := dialCloud(t, addr), newShop(t, addr)
		c.send(wire.TopicDesired, wire.Desired{Rev: 3, Settings: []byte(`{}`)}) // before the agent is there
		_, stop := s.connect()
		reported := func(rev int64) func() bool {
			return func() bool {
				return c.with(func(c *cloud) bool { n := len(c.reported); return n > 0 && c.reported[n-1].Rev == rev })
			}
		}
		until(t, "they are applied", reported(3))
		c.send(wire.TopicDesired, wire.Desired{Rev: 2, Settings: []byte(`{}`)})
		c.send(wire.TopicDesired, wire.Desired{Rev: 4, Settings: []byte(`{}`)})
		until(t, "the newer are applied", reported(4))
		c.send(wire.TopicDesired, wire.Desired{Rev: 9}) // a cloud that has lost its database
		// They come back by themselves.
		s.mu.Lock()
		s.reported = wire.Reported{Rev: 3, Judged: 4, State: wire.StateReverted}
		s.mu.Unlock()
		until(t, "that is reported", reported(3))
		until(t, "presence tells the rev in force", func() bool {
			return c.with(func(c *cloud) bool { return c.presences[len(c.presences)-1].Rev == 3 })
		})
		stop()
		before := 0
		c.with(func(c *cloud) bool { before = len(c.reported); return true })
		s.connect()
		until(t, "it is reported on a new connection", func() bool { return c.with(func(c *cloud) bool { return len(c.reported) > before }) })
		s.mu.Lock()
		defer s.mu.Unlock()
		if !slices.Equal(s.applied, []int64{3, 4}) {
			t.Errorf("applied %v; reported %v", s.applied, revs(c.reported))
		}
	})
}

func TestRun_CommandsAreDoneAtMostOnce(t *testing.T) {
	t.Parallel()
	addr := newAddr()
	b := &mochiBroker{}
	b.start(t, addr)
	defer b.kill(t)
	c, s := dialCloud(t, addr), newShop(t, addr)
	_, stop := s.connect()
	until(t, "it is there", func() bool { return c.with(func(c *cloud) bool { return len(c.reported) > 0 }) })
	for n := range 3 {
		until(t, "an answer", func() bool {
			c.send(wire.TopicCommand, wire.Command{ID: "c1", Name: wire.CommandXReport, TTLSeconds: 60})
			return len(c.result("c1")) > n
		})
	}
	for _, r := range c.result("c1") {
		if !r.OK || string(r.Result) != `{"did":"x_report"}` {
			t.Errorf("%+v", r)
		}
	}
	for _, x := range []struct {
		c    wire.Command
		want string
	}{
		{wire.Command{ID: "c2", Name: wire.CommandReprint, TTLSeconds: 60}, "paper is out"},
		{wire.Command{ID: "c3", Name: "format_disk", TTLSeconds: 60}, "no command"},
		{wire.Command{ID: "c4", Name: wire.CommandCheck}, "expired"},
	} {
		c.send(wire.TopicCommand, x.c)
		until(t, "an answer to "+x.c.ID, func() bool { return len(c.result(x.c.ID)) > 0 })
		if r := c.result(x.c.ID)[0]; r.OK || !strings.Contains(r.Error, x.want) {
			t.Errorf("%+v", r)
		}
	}
	c.send(wire.TopicCommand, wire.Command{ID: "c5", Name: wire.CommandRestart, TTLSeconds: 60})
	until(t, "a restart", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.restarts == 1 })
	// Repeated after the agent is there again.
	stop()
	s.connect()
	before := len(c.result("c1"))
	until(t, "the answers again", func() bool {
		c.send(wire.TopicCommand, wire.Command{ID: "c1", Name: wire.CommandXReport, TTLSeconds: 60})
		c.send(wire.TopicCommand, wire.Command{ID: "c5", Name: wire.CommandRestart, TTLSeconds: 60})
		return len(c.result("c1")) > before && len(c.result("c5")) > 0
	})
	if s.times("c1") != 1 || s.times("c2") != 1 || s.times("c3") != 0 || s.times("c4") != 0 || s.restarts != 1 {
		t.Errorf("done: %v, %d restarts", s.done, s.restarts)
	}
}

// Killed between beginning and end, the agent does not know what became of it,
// and never does it again.
func TestRun_ACommandThatWasCutIsNotBegunAgain(t *testing.T) {
	t.Parallel()
	addr := newAddr()
	b := &mochiBroker{}
	b.start(t, addr)
	defer b.kill(t)
	c, s := dialCloud(t, addr), newShop(t, addr)
	dir := filepath.Join(t.TempDir(), "killed")
	j := openJournal(t, dir)
	if _, err := j.Arrived("c1", wire.CommandCloseShift); err != nil {
		t.Fatal(err)
	}
	if err := j.BeginCommand("c1"); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	s.j = openJournal(t, dir)
	s.connect()
	until(t, "it is there", func() bool { return c.with(func(c *cloud) bool { return len(c.reported) > 0 }) })
	c.send(wire.TopicCommand, wire.Command{ID: "c1", Name: wire.CommandCloseShift, TTLSeconds: 60})
	until(t, "an answer", func() bool { return len(c.result("c1")) > 0 })
	if r := c.result("c1")[0]; r.OK || !strings.Contains(r.Error, "not known") || s.times("c1") != 0 {
		t.Errorf("%+v, done %d times", r, s.times("c1"))
	}
}

func TestRun_ALateCommandStillRunsWhenTheConnectionIsLost(t *testing.T) {
	t.Parallel()
	addr := newAddr()
	b := &mochiBroker{}
	b.start(t, addr)
	defer func() { b.kill(t) }()
	c, s := dialCloud(t, addr), newShop(t, addr)
	s.block = make(chan struct{})
	s.connect()
	until(t, "it is there", func() bool { return c.with(func(c *cloud) bool { return len(c.reported) > 0 }) })
	c.send(wire.TopicCommand, wire.Command{ID: "c1", Name: wire.CommandCheck, TTLSeconds: 60})
	until(t, "it is begun", func() bool { return s.times("c1") == 1 })
	// Its presence is kept by a broker, whoever is there first.
	last := func(c *cloud) wire.Presence { return c.presences[len(c.presences)-1] }
	var before int64
	c.with(func(c *cloud) bool { before = last(c).Session; return true })
	b.kill(t)
	b.start(t, addr)
	c.dial(addr)
	until(t, "it is there again", func() bool {
		return c.with(func(c *cloud) bool { return last(c).Online && last(c).Session > before })
	})
	c.send(wire.TopicCommand, wire.Command{ID: "c1", Name: wire.CommandCheck, TTLSeconds: 60})
	close(s.block)
	until(t, "an answer", func() bool { return len(c.result("c1")) > 0 })
	if !c.result("c1")[0].OK || s.times("c1") != 1 {
		t.Errorf("%+v, done %d times", c.result("c1"), s.times("c1"))
	}
}

func TestRun_EndsAtOnceWithoutABroker(t *testing.T) {
	t.Parallel()
	s := newShop(t, newAddr())
	u, stop := s.connect()
	until(t, "a failure is known", func() bool { return u.State().Problem != "" })
	began := time.Now()
	stop()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("stopping took %s", took)
	}
}
