package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"ekassa/cloud/fleet"
	"ekassa/cloud/store"
	"ekassa/cloud/wire"
)

// hints are agents for whom there may be something to send. Each is there once.
type hints struct {
	mu   sync.Mutex // guards of
	of   map[string]struct{}
	some chan struct{}
}

func (h *hints) add(agent string) {
	h.mu.Lock()
	h.of[agent] = struct{}{}
	h.mu.Unlock()
	h.all()
}

func (h *hints) all() {
	select {
	case h.some <- struct{}{}:
	default:
	}
}

func (h *hints) take() map[string]struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	of := h.of
	h.of = map[string]struct{}{}
	return of
}

// send sends what is hinted at.
func (l *Link) send(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.hints.some:
		}
		for agent := range l.hints.take() {
			err := l.sendTo(ctx, agent)
			if ctx.Err() != nil {
				return nil
			}
			if err != nil && !errors.Is(err, fleet.ErrNotFound) && l.heard.first("send", l.Now()) {
				l.Log.Warn("settings or commands were not sent, and are later", "agent", agent, "error", err)
			}
		}
	}
}

func (l *Link) sendTo(ctx context.Context, agent string) error {
	a, err := l.Store.Agent(ctx, agent)
	if err != nil {
		return err
	}
	if a.Revoked || a.EnrolledAt.IsZero() {
		return nil
	}
	if err := l.push(ctx, a); err != nil {
		return err
	}
	pending, err := l.Store.Pending(ctx, agent)
	if err != nil {
		return err
	}
	for _, c := range pending {
		if err := l.command(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// push sends the newest settings where the agent has not judged them. It never
// sends what is no settings, nor an older rev than the agent has spoken of:
// where the database knows less than the agent, a person must look
// (settings_unknown).
func (l *Link) push(ctx context.Context, a fleet.Agent) error {
	if a.Desired == 0 || a.Reported.Judged >= a.Desired {
		return nil
	}
	v, err := l.Store.Version(ctx, a.ID, 0)
	if err != nil {
		return err
	}
	if v.Rev <= a.Reported.Judged {
		return nil
	}
	if err := whole(v.Settings); err != nil {
		l.complain(ctx, a.ID, alertBroken, fmt.Sprintf("settings %d of the database are not sent: %v", v.Rev, err))
		return nil
	}
	data, err := message(wire.Desired{Rev: v.Rev, Settings: v.Settings})
	if err != nil {
		l.complain(ctx, a.ID, alertBroken, fmt.Sprintf("settings %d of the database are not sent: %v", v.Rev, err))
		return nil
	}
	l.Counts.Settings.Add(1)
	return l.publish(a.ID, wire.TopicDesired, 1, true, data)
}

// whole says whether stored settings are some. Nothing at all would be read as
// the defaults: a shop without a register.
func whole(settings []byte) error {
	var keys map[string]json.RawMessage
	if json.Unmarshal(settings, &keys) != nil || len(keys) == 0 {
		return errors.New("there is nothing in them")
	}
	_, err := wire.ParseSettings(settings)
	return err
}

// message writes one that a broker takes. A larger one would cost the connection,
// and with it everybody's.
func message(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err == nil && len(data) > wire.MaxMessage {
		err = fmt.Errorf("the message has %d bytes, and at most %d are sent", len(data), wire.MaxMessage)
	}
	return data, err
}

func (l *Link) command(ctx context.Context, c fleet.Command) error {
	left := c.ExpiresAt.Sub(l.Now())
	if left <= 0 {
		return nil
	}
	data, err := message(wire.Command{ID: c.ID, Name: c.Name, Arguments: c.Arguments, TTLSeconds: int((left + time.Second - 1) / time.Second)})
	if err != nil { // it can never be sent: no reason to wait for its end
		l.Log.Warn("a command cannot be sent", "agent", c.Agent, "command", c.ID, "error", err)
		return l.Store.Answer(ctx, c.Agent, wire.Result{ID: c.ID, Error: "not sent: " + err.Error()}, l.Now())
	}
	l.Counts.Commands.Add(1)
	return l.publish(c.Agent, wire.TopicCommand, 1, false, data)
}

// duties are what one process does for all: it repeats, ends what is too old,
// and watches.
func (l *Link) duties(ctx context.Context) {
	d := duties{Link: l, open: map[place]bool{}, sent: map[string]time.Time{}}
	watched := time.Time{}
	for {
		if err := d.commands(ctx); err != nil && ctx.Err() == nil && l.heard.first("commands", l.Now()) {
			l.Log.Warn("commands cannot be repeated, and are later", "error", err)
		}
		if now := l.Now(); now.Sub(watched) >= l.Pace.Watch || now.Before(watched) {
			watched = now
			if err := d.watch(ctx); err != nil && ctx.Err() == nil && l.heard.first("watch", l.Now()) {
				l.Log.Warn("the agents cannot be looked at, and are later", "error", err)
			}
		}
		pause(ctx, l.Pace.Tick)
		if ctx.Err() != nil {
			return
		}
	}
}

type place struct{ agent, register, code string }

type duties struct {
	*Link
	open   map[place]bool       // alerts that are not over
	newest int64                // of all alerts
	sent   map[string]time.Time // when a command, or an agent's settings, were sent last
}

// learn reads the alerts that were raised since the last time, by whomever, and
// end by what is seen; the first time all. There are few pages: what is over is
// deleted after its time. It goes back a page further than the last time, since
// PostgreSQL numbers a row before it commits: a lower number may come to be seen after a
// higher.
func (d *duties) learn(ctx context.Context) error {
	const page = 1000
	newest := d.newest
	for before := int64(0); ; {
		list, err := d.Store.Alerts(ctx, store.Filter{Before: before, Limit: page})
		if err != nil {
			return err
		}
		for _, a := range list {
			if a.EndedAt.IsZero() && fleet.Watched(a.Code) {
				d.open[place{a.Agent, a.Register, a.Code}] = true
			}
			newest, before = max(newest, a.ID), a.ID
		}
		if len(list) < page || before <= d.newest-page {
			d.newest = newest
			return nil
		}
	}
}

// due says whether something may be sent again, and notes that it is.
func (d *duties) due(key string, now time.Time) bool {
	if at, ok := d.sent[key]; ok && now.Sub(at) < d.Pace.Again && !now.Before(at) {
		return false
	}
	d.sent[key] = now
	return true
}

func (d *duties) commands(ctx context.Context) error {
	now := d.Now()
	if _, err := d.Store.Expire(ctx, now); err != nil {
		return err
	}
	pending, err := d.Store.Pending(ctx, "")
	if err != nil {
		return err
	}
	for _, c := range pending {
		if d.due(c.Agent+" "+c.ID, now) {
			if err := d.command(ctx, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// watch looks at every agent: settings that wait are sent again, alerts are
// raised and ended.
func (d *duties) watch(ctx context.Context) error {
	now := d.Now()
	for key, at := range d.sent {
		if now.Sub(at) > time.Hour {
			delete(d.sent, key)
		}
	}
	d.mu.Lock()
	lost := d.lost
	d.mu.Unlock()
	if !lost.IsZero() && now.Sub(lost) > d.Pace.Grace {
		if err := d.Store.AllOffline(ctx, now); err != nil {
			return err
		}
	}
	agents, err := d.Store.Agents(ctx, store.Filter{})
	if err != nil {
		return err
	}
	for _, a := range agents {
		if ctx.Err() != nil {
			return nil
		}
		if a.Revoked {
			if up, _ := d.State(); up && a.Online {
				d.drop(ctx, a.ID)
			}
			continue
		}
		if a.Online && a.Reported.Judged < a.Desired && d.due(a.ID, now) {
			if err := d.push(ctx, a); err != nil && !errors.Is(err, errNotConnected) && !errors.Is(err, fleet.ErrNotFound) {
				return err
			}
		}
	}
	if err := d.learn(ctx); err != nil {
		return err
	}
	return d.alerts(ctx, agents, now)
}

func (d *duties) alerts(ctx context.Context, agents []fleet.Agent, now time.Time) error {
	seen := map[place]bool{} // what is open still, or not clear
	for _, a := range agents {
		for _, f := range fleet.Watch(a, now) {
			p := place{a.ID, f.Register, f.Code}
			switch f.Verdict {
			case fleet.Holds:
				seen[p] = true
				if d.open[p] {
					continue
				}
				if _, err := d.Store.Raise(ctx, fleet.Alert{Agent: a.ID, Venue: a.Venue, Register: f.Register, Code: f.Code, Detail: f.Detail, RaisedAt: now}); err != nil {
					return err
				}
				d.open[p] = true
			case fleet.Unclear:
				seen[p] = true
			}
		}
		if a.Health == nil && !a.Revoked { // of its registers nothing is known
			for p := range d.open {
				if p.agent == a.ID && p.register != "" {
					seen[p] = true
				}
			}
		}
	}
	for p := range d.open {
		if seen[p] {
			continue
		}
		if err := d.Store.End(ctx, p.agent, p.register, p.code, now); err != nil {
			return err
		}
		delete(d.open, p)
	}
	return nil
}
