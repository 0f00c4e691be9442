package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"ekassa/cloud/fleet"
	"ekassa/cloud/store"
	"ekassa/cloud/wire"
)

// event is a message that is no record.
type event struct {
	agent, last string
	payload     []byte
}

var errNoRoom = errors.New("the database does not keep up; what was not taken is told again")

// Alerts about what agents say.
const (
	alertUnreadable = "unreadable_message"
	alertNewer      = "newer_agent"
	alertNotStored  = "record_not_stored"
	alertBroken     = "settings_broken"
)

// take puts a message where it is dealt with, and waits for room there.
func (l *Link) take(ctx context.Context, topic string, payload []byte) error {
	agent, last, ok := wire.ParseTopic(topic)
	if !ok || len(payload) == 0 { // an empty one clears what a broker keeps
		return nil
	}
	if len(payload) > wire.MaxMessage {
		l.complain(ctx, agent, alertUnreadable, fmt.Sprintf("%s: %d bytes", last, len(payload)))
		return nil
	}
	patient, cancel := context.WithTimeout(ctx, l.Pace.Room)
	defer cancel()
	full := func() error {
		if ctx.Err() != nil { // the connection is given up already
			return nil
		}
		return errNoRoom
	}
	if last != wire.TopicReport {
		select {
		case l.events[maphash.String(seed, agent)%workers] <- event{agent, last, payload}:
			return nil
		case <-patient.Done():
			return full()
		}
	}
	r, err := wire.ParseRecord(payload)
	switch {
	case errors.Is(err, wire.ErrNewer):
		l.complain(ctx, agent, alertNewer, "it tells records of a newer version, which it keeps until this program is updated")
		return nil
	case err == nil && r.Agent != agent:
		err = fmt.Errorf("it tells a record of agent %s", r.Agent)
	}
	if err != nil {
		l.Counts.Unread.Add(1)
		l.complain(ctx, agent, alertUnreadable, err.Error())
		return nil
	}
	size := int64(len(payload)) + 200
	if l.memory.Acquire(patient, size) != nil {
		return full()
	}
	select {
	case l.records[maphash.String(seed, agent)%loops] <- told{r, size}:
		return nil
	case <-patient.Done():
		l.memory.Release(size)
		return full()
	}
}

var seed = maphash.MakeSeed()

// complaints are what was said lately, so that an agent that repeats a bad
// message does not fill log and database.
type complaints struct {
	mu sync.Mutex
	of map[string]time.Time
}

const silence = 10 * time.Minute

func (c *complaints) first(key string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.of[key]; ok && now.Sub(at) < silence && !now.Before(at) {
		return false
	}
	if len(c.of) >= 10_000 {
		clear(c.of)
	}
	c.of[key] = now
	return true
}

// complain logs and raises an alert, now and then.
func (l *Link) complain(ctx context.Context, agent, code, detail string) {
	if !l.heard.first(agent+" "+code, l.Now()) {
		return
	}
	l.Log.Warn("an agent's message is passed over", "agent", agent, "code", code, "detail", detail)
	_, err := l.Store.Raise(ctx, fleet.Alert{Agent: agent, Code: code, Detail: detail, RaisedAt: l.Now()})
	if err != nil && !errors.Is(err, fleet.ErrNotFound) {
		l.Log.Error("an alert cannot be raised", "agent", agent, "code", code, "error", err)
	}
}

// ingest stores records, as many in one commit as have come meanwhile, and
// acknowledges what is stored. Each agent's go through one loop, in order.
func (l *Link) ingest(ctx context.Context, records <-chan told) error {
	batch := make([]wire.Record, 0, l.Pace.Batch)
	for {
		batch = batch[:0]
		size := int64(0)
		add := func(r told) { batch, size = append(batch, r.Record), size+r.size }
		select {
		case <-ctx.Done():
			return nil
		case r := <-records:
			add(r)
		}
		linger := time.NewTimer(l.Pace.Linger)
	more:
		for len(batch) < l.Pace.Batch {
			select {
			case r := <-records:
				add(r)
			case <-linger.C:
				break more
			}
		}
		linger.Stop()
		l.store(ctx, batch)
		clear(batch) // what was stored is not held on to
		l.memory.Release(size)
	}
}

// store puts a batch into the database. Where the database is away it waits, and
// so, in the end, do the agents. Where one record cannot be stored the others
// are: it is told again and again, and alerted.
func (l *Link) store(ctx context.Context, batch []wire.Record) {
	for wait := l.Pace.Retry; ctx.Err() == nil; wait = min(2*wait, l.Pace.Ceil) {
		stored, err := l.Store.Ingest(ctx, batch)
		if err == nil {
			l.Counts.Records.Add(int64(len(batch)))
			l.Counts.Batches.Add(1)
			told := map[string]bool{}
			for _, s := range stored {
				told[s.Agent] = true
				l.acknowledge(s.Agent, s.Ack)
			}
			for _, r := range batch {
				if !told[r.Agent] {
					l.Counts.Refused.Add(1)
					if l.heard.first(r.Agent+" refused", l.Now()) {
						l.Log.Warn("records are not stored: the agent is unknown here, or was taken back", "agent", r.Agent)
					}
				}
			}
			return
		}
		if ctx.Err() != nil {
			return
		}
		away := l.Store.Ping(ctx)
		if away == nil && len(batch) > 1 {
			l.store(ctx, batch[:len(batch)/2])
			l.store(ctx, batch[len(batch)/2:])
			return
		}
		if away == nil {
			l.Counts.Refused.Add(1)
			r := batch[0]
			l.complain(ctx, r.Agent, alertNotStored, fmt.Sprintf("record %d of epoch %d, %s: the database does not take it", r.Seq, r.Epoch, r.Type))
			l.Log.Error("a record cannot be stored and is not acknowledged", "agent", r.Agent, "epoch", r.Epoch, "seq", r.Seq, "error", err)
			pause(ctx, l.Pace.Retry) // a database that takes nothing would be asked without end
			return
		}
		if l.heard.first("database", l.Now()) {
			l.Log.Error("records cannot be stored: agents keep them", "error", err)
		}
		pause(ctx, wait)
	}
}

func (l *Link) acknowledge(agent string, a wire.Ack) {
	data, err := json.Marshal(a)
	if err == nil {
		err = l.publish(agent, wire.TopicAck, 0, false, data) // cumulative: the next one says it too
	}
	if err != nil && !errors.Is(err, errNotConnected) {
		l.Log.Info("an acknowledgement was not sent; the agent tells again", "agent", agent, "error", err)
	}
}

// together is how many events are noted in one commit, at most.
const together = 200

// work deals with events; each agent's go to one worker, in order. What has come
// during one commit is the next.
func (l *Link) work(ctx context.Context, events <-chan event) error {
	var said []store.Said
	for {
		said = said[:0]
		select {
		case <-ctx.Done():
			return nil
		case e := <-events:
			said = l.sort(ctx, said, e)
		}
	more:
		for len(said) < together {
			select {
			case e := <-events:
				said = l.sort(ctx, said, e)
			default:
				break more
			}
		}
		l.heed(ctx, said)
		clear(said)
	}
}

// sort reads an event. A result is noted at once; what an agent says of itself is
// added to the others.
func (l *Link) sort(ctx context.Context, said []store.Said, e event) []store.Said {
	read := func(v any) bool {
		err := json.Unmarshal(e.payload, v)
		if err != nil {
			l.Counts.Unread.Add(1)
			l.complain(ctx, e.agent, alertUnreadable, e.last+": "+err.Error())
		}
		return err == nil
	}
	switch e.last {
	case wire.TopicPresence:
		if p := new(wire.Presence); read(p) {
			said = append(said, store.Said{Agent: e.agent, Presence: p})
		}
	case wire.TopicReported:
		if r := new(wire.Reported); read(r) {
			said = append(said, store.Said{Agent: e.agent, Reported: r})
		}
	case wire.TopicResult:
		if r := new(wire.Result); read(r) {
			l.persist(ctx, e.agent, func() error { return l.Store.Answer(ctx, e.agent, *r, l.Now()) })
		}
	}
	return said
}

// heed notes what agents say of themselves, and looks whether they should hear
// something.
func (l *Link) heed(ctx context.Context, said []store.Said) {
	if len(said) == 0 {
		return
	}
	err := l.Store.Heard(ctx, said, l.Now())
	for i, x := range said {
		if err != nil { // one by one, so that none keeps the others from it
			l.persist(ctx, x.Agent, func() error { return l.Store.Heard(ctx, said[i:i+1], l.Now()) })
		}
		if x.Reported != nil || x.Presence.Online {
			l.hints.add(x.Agent)
		}
	}
}

// persist does something until it is done, the database says no, or ctx ends.
func (l *Link) persist(ctx context.Context, agent string, do func() error) {
	for wait := l.Pace.Retry; ; wait = min(2*wait, l.Pace.Ceil) {
		err := do()
		switch {
		case err == nil || ctx.Err() != nil:
			return
		case errors.Is(err, fleet.ErrNotFound):
			if l.heard.first(agent+" unknown", l.Now()) {
				l.Log.Warn("an agent speaks of what is not known here", "agent", agent, "error", err)
			}
			return
		case l.Store.Ping(ctx) == nil:
			l.Log.Error("what an agent said was not noted", "agent", agent, "error", err)
			return
		}
		pause(ctx, wait)
	}
}
