package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ekassa/cloud/fleet"
	"ekassa/cloud/wire"
)

func (s *store) PutSettings(ctx context.Context, rev int64, v fleet.Version) (fleet.Version, error) {
	err := s.tx(ctx, func(tx *tx) error {
		var newest, seen int64
		if err := tx.row(`SELECT desired, seen FROM agent WHERE id = ?1`+s.lock, v.Agent).Scan(&newest, &seen); err != nil {
			return err
		}
		if newest != rev {
			return fmt.Errorf("rev %d is there and not %d: %w", newest, rev, fleet.ErrStale)
		}
		// An agent takes higher revs only: after the loss of a database the count
		// goes on where the agents saw it last.
		v.Rev = max(newest, seen) + 1
		err := tx.exec(`INSERT INTO settings (agent, rev, settings, by_whom, at) VALUES (?1, ?2, ?3, ?4, ?5)`,
			v.Agent, v.Rev, []byte(v.Settings), text(v.By), micro(v.At))
		if err != nil {
			return err
		}
		return tx.exec(`UPDATE agent SET desired = ?2 WHERE id = ?1`, v.Agent, v.Rev)
	})
	return v, about(err, "store settings of %s", v.Agent)
}

func readVersion(r scanner) (v fleet.Version, err error) {
	return v, r.Scan(&v.Agent, &v.Rev, (*[]byte)(&v.Settings), &v.By, at{&v.At})
}

const versionQuery = `SELECT agent, rev, settings, by_whom, at FROM settings WHERE agent = ?1`

func (s *store) Version(ctx context.Context, agent string, rev int64) (v fleet.Version, err error) {
	if rev == 0 {
		v, err = readVersion(s.row(ctx, versionQuery+` ORDER BY rev DESC LIMIT 1`, agent))
	} else {
		v, err = readVersion(s.row(ctx, versionQuery+` AND rev = ?2`, agent, rev))
	}
	return v, about(err, "read settings of %s", agent)
}

func (s *store) Versions(ctx context.Context, agent string) ([]fleet.Version, error) {
	list, err := all[fleet.Version](s.rows(ctx, versionQuery+` ORDER BY rev DESC`, agent))(readVersion)
	return list, about(err, "read the settings of %s", agent)
}

func (s *store) Reported(ctx context.Context, agent string, r wire.Reported) error {
	err := s.tx(ctx, func(tx *tx) error { return tx.reported(agent, r) })
	return about(err, "note what %s reports of its settings", agent)
}

func (s *store) AddCommand(ctx context.Context, c fleet.Command) error {
	err := s.tx(ctx, func(tx *tx) error {
		if err := tx.row(`SELECT id FROM agent WHERE id = ?1`, c.Agent).Scan(new(string)); err != nil {
			return err
		}
		n, err := tx.change(`INSERT INTO command (agent, id, name, arguments, state, result, error, by_whom, created_at, expires_at, answered_at)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING`,
			c.Agent, c.ID, text(c.Name), []byte(c.Arguments), string(c.State), []byte(c.Result), text(c.Error), text(c.By),
			micro(c.CreatedAt), micro(c.ExpiresAt), stamp(c.AnsweredAt))
		if err == nil && n == 0 {
			err = fleet.ErrExists
		}
		return err
	})
	return about(err, "store a command for %s", c.Agent)
}

const commandQuery = `SELECT agent, id, name, arguments, state, result, error, by_whom, created_at, expires_at, answered_at FROM command`

func readCommand(r scanner) (c fleet.Command, err error) {
	return c, r.Scan(&c.Agent, &c.ID, &c.Name, (*[]byte)(&c.Arguments), &c.State, (*[]byte)(&c.Result), &c.Error, &c.By,
		at{&c.CreatedAt}, at{&c.ExpiresAt}, at{&c.AnsweredAt})
}

func (s *store) Command(ctx context.Context, agent, id string) (fleet.Command, error) {
	c, err := readCommand(s.row(ctx, commandQuery+` WHERE agent = ?1 AND id = ?2`, agent, id))
	return c, about(err, "read a command for %s", agent)
}

func (s *store) Commands(ctx context.Context, agent string, limit int) ([]fleet.Command, error) {
	list, err := all[fleet.Command](s.rows(ctx, fmt.Sprintf(`%s WHERE agent = ?1 ORDER BY number DESC LIMIT %d`, commandQuery, Filter{Limit: limit}.limit()), agent))(readCommand)
	return list, about(err, "read the commands for %s", agent)
}

func (s *store) Pending(ctx context.Context, agent string) ([]fleet.Command, error) {
	w := where{conditions: []string{"state = 'pending'"}}
	if agent != "" {
		w.and("agent = ?", agent)
	}
	list, err := all[fleet.Command](s.rows(ctx, commandQuery+w.String()+` ORDER BY number`, w.args...))(readCommand)
	return list, about(err, "read the pending commands")
}

func (s *store) Answer(ctx context.Context, agent string, r wire.Result, when time.Time) error {
	state := fleet.CommandFailed
	if r.OK {
		state = fleet.CommandDone
	}
	err := s.tx(ctx, func(tx *tx) error {
		n, err := tx.change(`UPDATE command SET state = ?3, result = ?4, error = ?5, answered_at = ?6 WHERE agent = ?1 AND id = ?2 AND state IN ('pending', 'expired')`, // done in time, and told late
			agent, r.ID, string(state), []byte(r.Result), text(r.Error), micro(when))
		if err != nil || n == 1 {
			return err
		}
		return tx.row(`SELECT id FROM command WHERE agent = ?1 AND id = ?2`, agent, r.ID).Scan(new(string))
	})
	return about(err, "note what %s answers", agent)
}

func (s *store) Expire(ctx context.Context, now time.Time) (int, error) {
	var n int64
	err := s.tx(ctx, func(tx *tx) (err error) {
		n, err = tx.change(`UPDATE command SET state = 'expired' WHERE state = 'pending' AND expires_at <= ?1`, micro(now))
		return err
	})
	return int(n), about(err, "end the commands whose time is up")
}

// raise notes an alert unless the same is open, and queues it for every webhook.
func (t *tx) raise(a fleet.Alert) (raised bool, err error) {
	err = t.row(`INSERT INTO alert (agent, venue, register, code, detail, raised_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
		ON CONFLICT (agent, register, code) WHERE ended_at IS NULL DO NOTHING RETURNING number`,
		a.Agent, a.Venue, a.Register, a.Code, a.Detail, micro(a.RaisedAt)).Scan(&a.ID)
	if errors.Is(err, fleet.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	body, err := json.Marshal(a)
	if err != nil {
		return false, err
	}
	return true, t.exec(`INSERT INTO delivery (webhook, body, next_at) SELECT number, ?1, ?2 FROM webhook`, body, micro(t.s.now()))
}

func (s *store) Raise(ctx context.Context, a fleet.Alert) (raised bool, err error) {
	a.Register, a.Code, a.Detail = short(a.Register), short(a.Code), text(a.Detail)
	if a.RaisedAt.IsZero() {
		a.RaisedAt = s.now()
	}
	err = s.tx(ctx, func(tx *tx) (err error) {
		if a.Venue == "" && a.Agent != "" {
			if err := tx.row(`SELECT venue FROM agent WHERE id = ?1`, a.Agent).Scan(&a.Venue); err != nil {
				return err
			}
		}
		raised, err = tx.raise(a)
		return err
	})
	return raised && err == nil, about(err, "raise alert %s of %s", a.Code, a.Agent)
}

func (s *store) End(ctx context.Context, agent, register, code string, when time.Time) error {
	err := s.tx(ctx, func(tx *tx) error {
		return tx.exec(`UPDATE alert SET ended_at = ?4 WHERE agent = ?1 AND register = ?2 AND code = ?3 AND ended_at IS NULL`,
			agent, short(register), short(code), micro(when))
	})
	return about(err, "end alert %s of %s", code, agent)
}

func (s *store) Acknowledge(ctx context.Context, id int64, by string, when time.Time) error {
	err := s.tx(ctx, func(tx *tx) error {
		var code string
		if err := tx.row(`SELECT code FROM alert WHERE number = ?1`, id).Scan(&code); err != nil {
			return err
		}
		// Nothing is seen to be over that is not watched: it is when a person has
		// looked, and is raised anew when it happens again.
		over := stamp(when)
		if fleet.Watched(code) {
			over = nil
		}
		// Acknowledged already: the first one stays.
		return tx.exec(`UPDATE alert SET acknowledged_at = ?2, acknowledged_by = ?3, ended_at = coalesce(ended_at, ?4) WHERE number = ?1 AND acknowledged_at IS NULL`,
			id, micro(when), text(by), over)
	})
	return about(err, "acknowledge alert %d", id)
}

func (s *store) Alerts(ctx context.Context, f Filter) ([]fleet.Alert, error) {
	var w where
	if f.Agent != "" {
		w.and("agent = ?", f.Agent)
	}
	if f.Venue != "" {
		w.and("venue = ?", f.Venue)
	}
	if f.Open {
		w.conditions = append(w.conditions, "ended_at IS NULL", "acknowledged_at IS NULL")
	}
	f.between(&w, "raised_at")
	if f.Before > 0 {
		w.and("number < ?", f.Before)
	}
	list, err := all[fleet.Alert](s.rows(ctx, fmt.Sprintf(`SELECT number, agent, venue, register, code, detail, raised_at, ended_at, acknowledged_at, acknowledged_by
		FROM alert%s ORDER BY number DESC LIMIT %d`, &w, f.limit()), w.args...))(func(r scanner) (a fleet.Alert, err error) {
		return a, r.Scan(&a.ID, &a.Agent, &a.Venue, &a.Register, &a.Code, &a.Detail, at{&a.RaisedAt}, at{&a.EndedAt}, at{&a.AcknowledgedAt}, &a.AcknowledgedBy)
	})
	return list, about(err, "read the alerts")
}
