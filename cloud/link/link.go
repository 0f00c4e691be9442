// Package link is the cloud's connection to its agents, over MQTT.
//
// What it promises: a record is acknowledged only after the database has it, and
// every record that an agent tells until it is acknowledged gets there, once.
// Settings are sent until the agent has judged them, commands until they are
// answered or their time is up. Settings that the cloud does not have are never
// sent: neither none, nor fewer than the agent was told before.
//
// Nothing rests on the broker's memory, nor on its word that a message was
// delivered: whatever is lost on the way is repeated by whoever wants it heard.
package link

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"ekassa/cloud/fleet"
	"ekassa/cloud/store"
	"ekassa/cloud/wire"
)

// Store is what the link needs of one.
type Store interface {
	Ingest(ctx context.Context, records []wire.Record) ([]store.Stored, error)
	Agent(ctx context.Context, id string) (fleet.Agent, error)
	Agents(ctx context.Context, f store.Filter) ([]fleet.Agent, error)
	Heard(ctx context.Context, said []store.Said, at time.Time) error
	AllOffline(ctx context.Context, at time.Time) error
	Version(ctx context.Context, agent string, rev int64) (fleet.Version, error)
	Pending(ctx context.Context, agent string) ([]fleet.Command, error)
	Answer(ctx context.Context, agent string, r wire.Result, at time.Time) error
	Expire(ctx context.Context, now time.Time) (int, error)
	Raise(ctx context.Context, a fleet.Alert) (bool, error)
	End(ctx context.Context, agent, register, code string, at time.Time) error
	Alerts(ctx context.Context, f store.Filter) ([]fleet.Alert, error)
	Ping(ctx context.Context) error
}

// Conn is one connection to a broker. It is never used again once lost.
type Conn interface {
	// Publish hands a message over. Nil is no proof that anybody has it.
	Publish(topic string, qos byte, retained bool, payload []byte) error
	// Lost tells once why the connection is lost.
	Lost() <-chan error
	Close() error
}

// Dial connects and subscribes. deliver may be called by many goroutines, from
// before Dial returns; where it blocks, the broker should wait.
type Dial func(ctx context.Context, filters []string, deliver func(topic string, payload []byte)) (Conn, error)

// Config of a link. Only Drop, Now, Pace and Log may be left zero.
type Config struct {
	Store Store
	Dial  Dial
	// Shared: the broker has shared subscriptions, so that every process takes
	// records. Otherwise the one that leads takes them alone.
	Shared bool
	// Within: the broker is in this process, so that nobody is connected when it
	// begins.
	Within bool
	// Drop ends the connection of an agent that was taken back.
	Drop func(ctx context.Context, agent string) error
	Now  func() time.Time
	Pace Pace
	Log  *slog.Logger
}

// Pace is how patient the link is. The zero value is DefaultPace.
type Pace struct {
	Retry  time.Duration // at most so long, at random, after the first failure; doubled with each
	Ceil   time.Duration // that Retry never rises above
	Steady time.Duration // a connection that held so long was a good one
	Room   time.Duration // that a message waits for room before the connection is given up

	Memory int64         // bytes of records that wait, at most
	Batch  int           // records in one commit, at most
	Linger time.Duration // for more records, once there is one

	Tick  time.Duration // between two looks for commands
	Again time.Duration // after which a command, or settings, are sent once more
	Watch time.Duration // between two looks at all agents
	Grace time.Duration // without a broker after which nobody is known to be there
}

// DefaultPace is for use.
var DefaultPace = Pace{
	Retry: 500 * time.Millisecond, Ceil: 30 * time.Second, Steady: time.Minute, Room: 10 * time.Second,
	Memory: 16 << 20, Batch: 500, Linger: 5 * time.Millisecond,
	Tick: time.Second, Again: 10 * time.Second, Watch: 30 * time.Second, Grace: 2 * time.Minute,
}

// What may wait in memory.
const (
	room    = 1024 // records for each loop that stores them, and other messages for each worker
	workers = 4
	// loops store records: while the batch of one is committed the other's is read.
	loops = 2
)

// told is a record that waits, and what it takes.
type told struct {
	wire.Record
	size int64
}

// Link is the cloud's.
type Link struct {
	Config
	// Counts since the start.
	Counts struct{ Records, Batches, Unread, Refused, Settings, Commands atomic.Int64 }

	records [loops]chan told
	memory  *semaphore.Weighted
	events  [workers]chan event
	hints   hints
	heard   complaints

	mu    sync.Mutex // guards the rest
	conn  Conn       // nil: not connected
	lost  time.Time  // since when; zero while connected
	leads bool
	role  chan struct{} // closed when leads changes
}

// New makes a link. Run runs it.
func New(c Config) *Link {
	if c.Pace == (Pace{}) {
		c.Pace = DefaultPace
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	l := &Link{Config: c, memory: semaphore.NewWeighted(c.Pace.Memory), lost: c.Now(), role: make(chan struct{})}
	for i := range l.events {
		l.events[i] = make(chan event, room)
	}
	for i := range l.records {
		l.records[i] = make(chan told, room)
	}
	l.hints.of, l.hints.some = map[string]struct{}{}, make(chan struct{}, 1)
	l.heard.of = map[string]time.Time{}
	return l
}

// State says whether the link is connected, and whether it leads.
func (l *Link) State() (connected, leads bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn != nil, l.leads
}

// Changed says that an agent's settings or commands have changed in the store.
// It is a hint: without it they are sent somewhat later.
func (l *Link) Changed(agent string) { l.hints.add(agent) }

// Revoked says that an agent was taken back in the store. Its connection is
// ended, by this call or, where that fails, by a later look.
func (l *Link) Revoked(agent string) {
	ctx, cancel := context.WithTimeout(context.Background(), l.Pace.Room)
	defer cancel()
	l.drop(ctx, agent)
}

func (l *Link) drop(ctx context.Context, agent string) {
	if l.Drop == nil {
		return
	}
	if err := l.Drop(ctx, agent); err != nil && l.heard.first(agent+" drop", l.Now()) {
		l.Log.Warn("the connection of an agent that was taken back cannot be ended and is tried again", "agent", agent, "error", err)
	}
}

// Run keeps the connection, and takes and sends, until ctx ends.
func (l *Link) Run(ctx context.Context) error {
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return l.keep(ctx) })
	for i := range l.records {
		parts.Go(func() error { return l.ingest(ctx, l.records[i]) })
	}
	for i := range l.events {
		parts.Go(func() error { return l.work(ctx, l.events[i]) })
	}
	parts.Go(func() error { return l.send(ctx) })
	return parts.Wait()
}

// Lead does what one process does for all, until ctx ends. It is called beside
// Run while this process is the one that leads.
func (l *Link) Lead(ctx context.Context) {
	l.setLeads(true)
	defer l.setLeads(false)
	l.duties(ctx)
}

func (l *Link) setLeads(leads bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leads = leads
	close(l.role)
	l.role = make(chan struct{})
}

// filters are what this process hears in its role. Presence is the leader's
// alone: it is kept by the broker for whoever subscribes, which shared
// subscriptions do not get, and only one hears it in order.
func (l *Link) filters(leads bool) []string {
	prefix := ""
	var list []string
	if l.Shared {
		prefix = "$share/ekassa/"
	}
	if l.Shared || leads {
		for _, last := range []string{wire.TopicReport, wire.TopicReported, wire.TopicResult} {
			list = append(list, prefix+wire.Topic("+", last))
		}
	}
	if leads {
		list = append(list, wire.Topic("+", wire.TopicPresence))
	}
	return list
}

// keep holds one connection after the other.
func (l *Link) keep(ctx context.Context) error {
	failures := 0
	wait := time.Duration(0)
	for {
		pause(ctx, rand.N(wait+1))
		if ctx.Err() != nil {
			return nil
		}
		began := time.Now()
		err := l.connection(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil: // another role
			wait, failures = 0, 0
			continue
		case time.Since(began) >= l.Pace.Steady:
			failures = 0
		}
		if failures++; failures&(failures-1) == 0 {
			l.Log.Warn("no connection to the broker: agents keep what they tell", "failures", failures, "error", err)
		}
		wait = min(l.Pace.Ceil, l.Pace.Retry<<min(failures-1, 20))
	}
}

// connection is one of them. Nil: the role has changed.
func (l *Link) connection(ctx context.Context) error {
	l.mu.Lock()
	leads, role, lost := l.leads, l.role, l.lost
	l.mu.Unlock()
	if leads && !lost.IsZero() && (l.Within || l.Now().Sub(lost) > l.Pace.Grace) {
		// Whoever is there is told by what the broker keeps, or tells itself.
		if err := l.Store.AllOffline(ctx, l.Now()); err != nil {
			return err
		}
	}
	alive, end := context.WithCancelCause(ctx)
	defer end(nil)
	conn, err := l.Dial(ctx, l.filters(leads), func(topic string, payload []byte) {
		if err := l.take(alive, topic, payload); err != nil {
			end(err)
		}
	})
	if err != nil {
		return err
	}
	l.set(conn)
	l.Log.Info("connected to the broker", "leads", leads)
	defer func() {
		end(nil) // nothing waits for room any more
		l.set(nil)
		if err := conn.Close(); err != nil {
			l.Log.Info("the connection to the broker was not closed in good order", "error", err)
		}
	}()
	l.hints.all()
	select {
	case <-ctx.Done():
		return nil
	case <-role:
		return nil
	case <-alive.Done():
		return context.Cause(alive)
	case err := <-conn.Lost():
		return fmt.Errorf("lost the connection to the broker: %w", err)
	}
}

func (l *Link) set(c Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = c
	if c != nil {
		l.lost = time.Time{}
	} else {
		l.lost = l.Now()
	}
}

var errNotConnected = errors.New("there is no connection to the broker")

func (l *Link) publish(agent, last string, qos byte, retained bool, payload []byte) error {
	l.mu.Lock()
	conn := l.conn
	l.mu.Unlock()
	if conn == nil {
		return errNotConnected
	}
	return conn.Publish(wire.Topic(agent, last), qos, retained, payload)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
