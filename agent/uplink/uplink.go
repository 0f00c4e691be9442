// Package uplink is the agent's connection to the cloud, over MQTT.
//
// What it promises: every record of the journal reaches the cloud's database,
// for only the cloud's own acknowledgement ends its being told; and whatever
// becomes of cloud, broker and network, receipts are not held up by them.
// Settings and commands come down the same way.
//
// paho.mqtt.golang is used as far as it can be relied on (reliability.md A1): a
// fresh client for each connection, thrown away when that is lost; no session
// of the broker's, no reconnecting, no store of its own. The journal is the only
// queue, and nobody's word but the cloud's counts.
package uplink

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"ekassa/agent/register"
	"ekassa/cloud/wire"
)

// Journal is what the uplink needs of one.
type Journal interface {
	Epoch() int64
	Session() (int64, error)
	Untold() ([]register.Told, error)
	Records(epoch, after int64, limit int) ([]register.Record, error)
	WatchRecords() (changed <-chan struct{}, stop func())
	Acked(epoch, upTo int64) error
	SetApart(epoch, seq int64, why string) error
	TellHealth(data []byte) (told bool, err error)
	Arrived(id, name string) (register.Order, error)
	BeginCommand(id string) error
	Answered(id string, answer []byte) error
}

// Config of an uplink. Only Log and Pace may be left zero.
type Config struct {
	Agent   string // its id
	Broker  string // mqtt://host:port or mqtts://host:port
	Version string // of the program

	// TLS gives the agent's certificate and the authorities that it trusts, anew
	// for each connection to an mqtts broker.
	TLS func() (*tls.Config, error)
	// Apply takes settings as they were pushed, and Reported says what became of
	// the last ones; see agent/settings.go.
	Apply    func(rev int64, settings []byte) wire.Reported
	Reported func() wire.Reported
	// Health says how the agent is.
	Health func() wire.Health
	// Do does a command and gives its result, to be written as JSON.
	Do func(ctx context.Context, c wire.Command) (any, error)
	// Restart ends the program, to be started anew.
	Restart func()

	Journal Journal
	Pace    Pace
	Log     *slog.Logger
}

// Pace is how patient the uplink is. The zero value is DefaultPace.
type Pace struct {
	First  time.Duration // at most so long, at random, before the first connection
	Retry  time.Duration // at most so long, at random, after the first failure; doubled with each
	Ceil   time.Duration // that Retry never rises above
	Steady time.Duration // a connection that held so long was a good one
	Answer time.Duration // that the broker has for answering anything
	Alive  time.Duration // between two signs of life on the connection

	Window int           // records told and not acknowledged, at most
	Again  time.Duration // after which an unacknowledged record is told again
	Gap    time.Duration // after which one that the cloud is known to have passed over is told again
	Apart  time.Duration // at least, from the first time that the cloud passed a record over until it is set apart
	Breath time.Duration // between two pieces of a backlog
	Note   time.Duration // at most so long until an acknowledgement is on the disk
	Look   time.Duration // between two looks at what became of settings
	Health time.Duration // between two records of how the agent is
	Change time.Duration // between two looks whether a register or a shift is another than was told
}

// DefaultPace suits a shop's network and a fleet that comes back at once.
var DefaultPace = Pace{
	First: time.Second, Retry: time.Second, Ceil: 5 * time.Minute, Steady: time.Minute, Answer: 10 * time.Second, Alive: 30 * time.Second,
	Window: 20, Again: time.Minute, Gap: 5 * time.Second, Apart: 10 * time.Minute, Breath: 100 * time.Millisecond, Note: 5 * time.Second,
	Look: time.Second, Health: 5 * time.Minute, Change: 10 * time.Second,
}

// Uplink is one agent's connection to the cloud.
type Uplink struct {
	Config
	orders orders

	doubts doubts // of records, over connections

	mu    sync.Mutex // guards state
	state State
}

// State is how the connection is, for people.
type State struct {
	Connected bool
	Since     time.Time // of either
	Problem   string    // why it is not connected
}

// New makes an uplink. Run runs it.
func New(c Config) *Uplink {
	if c.Pace == (Pace{}) {
		c.Pace = DefaultPace
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	u := &Uplink{Config: c, state: State{Since: time.Now()}}
	u.orders = orders{u: u, results: make(chan []byte, maxOrders), running: map[string]struct{}{}}
	return u
}

// State gives it.
func (u *Uplink) State() State {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.state
}

func (u *Uplink) set(s State) {
	u.mu.Lock()
	defer u.mu.Unlock()
	s.Since = time.Now()
	u.state = s
}

// Run keeps the connection until ctx ends, and then says that it goes. It waits
// for commands that are being done.
func (u *Uplink) Run(ctx context.Context) error {
	defer u.orders.wait()
	pause := u.Pace.First
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(rand.N(pause + 1)):
		}
		began := time.Now()
		connected, err := u.connection(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if connected && time.Since(began) >= u.Pace.Steady {
			failures = 0
		}
		// The first is told, and then ever fewer: a night without a network is one
		// thing to know.
		if failures++; failures&(failures-1) == 0 {
			u.Log.Warn("no connection to the cloud: receipts go on, and are told later", "broker", u.Broker, "failures", failures, "error", err)
		}
		u.set(State{Problem: err.Error()})
		pause = min(u.Pace.Ceil, u.Pace.Retry<<min(failures-1, 20))
	}
}

// connection is one of them, from beginning to end.
func (u *Uplink) connection(ctx context.Context) (connected bool, err error) {
	session, err := u.Journal.Session()
	if err != nil {
		return false, err
	}
	rev := u.Reported().Rev
	presence := wire.Presence{
		Online: true, Session: session, Since: time.Now().UTC(), Version: u.Version, Rev: rev, Epoch: u.Journal.Epoch(),
	}
	gone := presence
	gone.Online, gone.Since = false, time.Time{}
	l, err := u.dial(ctx, gone)
	if err != nil {
		return false, err
	}
	defer l.close()
	if err := l.subscribe(ctx, u.Agent, wire.TopicDesired, wire.TopicAck, wire.TopicCommand); err != nil {
		return false, err
	}
	s := &talk{Uplink: u, link: l, presence: presence}
	if err := s.say(ctx, wire.TopicPresence, presence); err != nil {
		return false, err
	}
	if err := s.report(ctx); err != nil {
		return false, err
	}
	u.Log.Info("connected to the cloud", "broker", u.Broker, "session", session)
	u.set(State{Connected: true})
	err = s.run(ctx)
	if ctx.Err() != nil { // our own leaving stops the will
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(2*time.Second, u.Pace.Answer))
		defer cancel()
		for len(s.orders.results) > 0 {
			s.link.publish(wire.Topic(u.Agent, wire.TopicResult), false, <-s.orders.results)
		}
		if err := s.say(last, wire.TopicPresence, gone); err != nil {
			u.Log.Info("the cloud was not told that the agent stops", "error", err)
		}
	}
	return true, err
}

// talk is what goes on while one connection holds.
type talk struct {
	*Uplink
	link     *link
	presence wire.Presence
	reported wire.Reported
	told     string // how the registers were, in the last record of health
}

func (s *talk) run(ctx context.Context) (err error) {
	changed, stop := s.Journal.WatchRecords()
	defer stop()
	t, err := newTeller(s.Uplink, s.link)
	if err != nil {
		return err
	}
	hungUp := false
	defer func() { err = errors.Join(err, t.end(hungUp)) }()
	look := time.NewTicker(s.Pace.Look)
	defer look.Stop()
	health := time.NewTicker(s.Pace.Health)
	defer health.Stop()
	change := time.NewTicker(s.Pace.Change)
	defer change.Stop()
	fill := time.NewTimer(0)
	defer fill.Stop()
	if err := s.health(s.Health()); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-s.link.lost:
			hungUp = true
			return fmt.Errorf("lost the connection to the broker: %w", err)
		case m := <-s.link.in:
			if err := s.take(ctx, t, m); err != nil {
				return err
			}
		case answer := <-s.orders.results:
			s.link.publish(wire.Topic(s.Agent, wire.TopicResult), false, answer) // repeated when the command is
		case <-look.C:
			if err := s.look(ctx, t); err != nil {
				return err
			}
		case <-health.C:
			// Brokers exist that keep nothing: who is there is said again.
			if err := errors.Join(s.health(s.Health()), s.say(ctx, wire.TopicPresence, s.presence)); err != nil {
				return err
			}
		case <-change.C:
			if h := s.Health(); outline(h) != s.told {
				if err := s.health(h); err != nil {
					return err
				}
			}
		case <-changed:
			if err := t.refresh(); err != nil {
				return err
			}
		case <-fill.C:
		}
		wait, err := t.fill(time.Now())
		if err != nil {
			return err
		}
		fill.Reset(wait)
	}
}

// take does what a message asks. What cannot be read is passed over: nobody but
// the cloud may write here, and it may be newer than we are.
func (s *talk) take(ctx context.Context, t *teller, m message) (err error) {
	if len(m.payload) > maxIncoming {
		s.Log.Warn("a message from the cloud is too long", "topic", m.topic, "bytes", len(m.payload))
		return nil
	}
	switch m.topic {
	case wire.Topic(s.Agent, wire.TopicAck):
		var a wire.Ack
		if err = json.Unmarshal(m.payload, &a); err == nil {
			return t.acked(a, time.Now())
		}
	case wire.Topic(s.Agent, wire.TopicDesired):
		var d wire.Desired
		if err = json.Unmarshal(m.payload, &d); err == nil && !bytes.HasPrefix(d.Settings, []byte("{")) {
			err = errors.New("there are no settings in it") // nothing is never an order
		}
		if err == nil {
			if d.Rev > s.Reported().Judged {
				s.Apply(d.Rev, d.Settings)
			}
			return s.report(ctx)
		}
	case wire.Topic(s.Agent, wire.TopicCommand):
		var c wire.Command
		if err = json.Unmarshal(m.payload, &c); err == nil {
			s.orders.take(ctx, c)
			return nil
		}
	}
	if err != nil {
		s.Log.Warn("a message from the cloud cannot be read", "topic", m.topic, "bytes", len(m.payload), "error", err)
	}
	return nil
}

// look tells of settings that came back by themselves, and puts acknowledgements
// on the disk.
func (s *talk) look(ctx context.Context, t *teller) error {
	if err := t.note(time.Now()); err != nil {
		return err
	}
	r := s.Reported()
	if r.Rev == s.reported.Rev && r.Judged == s.reported.Judged && r.State == s.reported.State && same(r.Program, s.reported.Program) {
		return nil
	}
	return s.report(ctx)
}

// same says whether two reports of a version say the same.
func same(a, b *wire.ProgramReport) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Version == b.Version && a.State == b.State && a.Reason == b.Reason && a.At.Equal(b.At)
}

// report says what became of the last settings, and which are in force.
func (s *talk) report(ctx context.Context) error {
	s.reported = s.Reported()
	if err := s.say(ctx, wire.TopicReported, s.reported); err != nil || s.presence.Rev == s.reported.Rev {
		return err
	}
	s.presence.Rev = s.reported.Rev
	return s.say(ctx, wire.TopicPresence, s.presence)
}

func (s *talk) health(h wire.Health) error {
	data, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("write how the agent is: %w", err)
	}
	told, err := s.Journal.TellHealth(data)
	if told {
		s.told = outline(h)
	}
	return err
}

// outline is what people want to see at once, and what seldom changes.
func outline(h wire.Health) string {
	var b strings.Builder
	for _, r := range h.Registers {
		fmt.Fprintf(&b, "%q %s %s %q %t %t\n", r.ID, r.Mode, r.Link, r.Serial, r.ShiftOpen, r.Held > 0)
	}
	return b.String()
}

// say publishes and waits until the broker has it.
func (s *talk) say(ctx context.Context, last string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %s: %w", last, err)
	}
	return s.link.wait(ctx, "tell "+last, s.link.publish(wire.Topic(s.Agent, last), last == wire.TopicPresence, data))
}
