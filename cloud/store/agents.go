package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"ekassa/cloud/fleet"
	"ekassa/cloud/wire"
)

func (s *store) AddVenue(ctx context.Context, v fleet.Venue) error {
	err := s.tx(ctx, func(tx *tx) error {
		n, err := tx.change(`INSERT INTO venue (id, name, created_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING`, v.ID, text(v.Name), micro(v.CreatedAt))
		if err == nil && n == 0 {
			err = fleet.ErrExists
		}
		return err
	})
	return about(err, "add venue %s", v.ID)
}

// about says what was attempted.
func about(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}

func readVenue(r scanner) (v fleet.Venue, err error) {
	return v, r.Scan(&v.ID, &v.Name, at{&v.CreatedAt})
}

func (s *store) Venue(ctx context.Context, id string) (fleet.Venue, error) {
	v, err := readVenue(s.row(ctx, `SELECT id, name, created_at FROM venue WHERE id = ?1`, id))
	return v, about(err, "read venue %s", id)
}

func (s *store) Venues(ctx context.Context) ([]fleet.Venue, error) {
	list, err := all[fleet.Venue](s.rows(ctx, `SELECT id, name, created_at FROM venue ORDER BY id`))(readVenue)
	return list, about(err, "read the venues")
}

func (s *store) SwitchModule(ctx context.Context, venue, driver string, w fleet.Switch, by string) error {
	err := s.tx(ctx, func(tx *tx) error {
		// Held, so that two switch one after the other.
		if err := tx.row(`SELECT id FROM venue WHERE id = ?1`+s.lock, venue).Scan(new(string)); err != nil {
			return err
		}
		on := false // until it is switched on first
		err := tx.row(`SELECT on_off FROM switch WHERE venue = ?1 AND driver = ?2 ORDER BY number DESC LIMIT 1`, venue, text(driver)).Scan(&on)
		if err != nil && !errors.Is(err, fleet.ErrNotFound) {
			return err
		}
		if on == w.On {
			return nil
		}
		return tx.exec(`INSERT INTO switch (venue, driver, on_off, at, by_whom) VALUES (?1, ?2, ?3, ?4, ?5)`, venue, text(driver), flag(w.On), micro(w.At), text(by))
	})
	return about(err, "switch a module of venue %s", venue)
}

func (s *store) Modules(ctx context.Context, venue string) (map[string][]fleet.Switch, error) {
	rows, err := s.rows(ctx, `SELECT driver, at, on_off FROM switch WHERE venue = ?1 ORDER BY number`, venue)
	if err != nil {
		return nil, fmt.Errorf("read the modules of venue %s: %w", venue, err)
	}
	defer rows.Close()
	modules := map[string][]fleet.Switch{}
	for rows.Next() {
		var driver string
		var w fleet.Switch
		if err := rows.Scan(&driver, at{&w.At}, &w.On); err != nil {
			return nil, err
		}
		modules[driver] = append(modules[driver], w)
	}
	return modules, rows.Err()
}

const agentQuery = `SELECT id, venue, enrolled_at, revoked, online, session, since, version, desired, reported,
	agent.epoch, health, health_at, coalesce(stream.up_to, 0)
	FROM agent LEFT JOIN stream ON stream.agent = agent.id AND stream.epoch = agent.epoch`

func readAgent(r scanner) (a fleet.Agent, err error) {
	var reported, health []byte
	err = r.Scan(&a.ID, &a.Venue, at{&a.EnrolledAt}, &a.Revoked, &a.Online, &a.Session, at{&a.Since}, &a.Version, &a.Desired, &reported,
		&a.Epoch, &health, at{&a.HealthAt}, &a.UpTo)
	if err != nil {
		return a, err
	}
	if reported != nil {
		if err := json.Unmarshal(reported, &a.Reported); err != nil {
			return a, err
		}
	}
	if health != nil {
		a.Health = &wire.Health{}
		if err := json.Unmarshal(health, a.Health); err != nil {
			return a, err
		}
	}
	return a, nil
}

func (s *store) Agent(ctx context.Context, id string) (fleet.Agent, error) {
	a, err := readAgent(s.row(ctx, agentQuery+` WHERE id = ?1`, id))
	return a, about(err, "read agent %s", id)
}

func (s *store) Agents(ctx context.Context, f Filter) ([]fleet.Agent, error) {
	var w where
	if f.Agent != "" {
		w.and("id = ?", f.Agent)
	}
	if f.Venue != "" {
		w.and("venue = ?", f.Venue)
	}
	limit := ""
	if f.Limit > 0 { // a fleet is listed whole unless somebody says otherwise
		limit = fmt.Sprintf(" LIMIT %d", f.Limit)
	}
	list, err := all[fleet.Agent](s.rows(ctx, agentQuery+w.String()+` ORDER BY id`+limit, w.args...))(readAgent)
	return list, about(err, "read the agents")
}

func (s *store) Presence(ctx context.Context, agent string, p wire.Presence, when time.Time) error {
	err := s.tx(ctx, func(tx *tx) error { return tx.presence(agent, p, when) })
	return about(err, "note the presence of %s", agent)
}

func (t *tx) presence(agent string, p wire.Presence, when time.Time) error {
	if err := t.row(`SELECT id FROM agent WHERE id = ?1`+t.s.lock, agent).Scan(new(string)); err != nil {
		return err
	}
	// A new journal counts its sessions from 1 again.
	return t.exec(`UPDATE agent SET since = CASE WHEN online = ?2 AND since IS NOT NULL THEN since ELSE ?6 END,
		online = ?2, session = ?3, session_epoch = ?4, version = ?5, seen = CASE WHEN seen < ?7 THEN ?7 ELSE seen END
		WHERE id = ?1 AND (session_epoch < ?4 OR session_epoch = ?4 AND session <= ?3)`,
		agent, flag(p.Online), p.Session, p.Epoch, text(p.Version), micro(when), seen(p.Rev))
}

func (t *tx) reported(agent string, r wire.Reported) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return t.must(`UPDATE agent SET reported = ?2, seen = CASE WHEN seen < ?3 THEN ?3 ELSE seen END WHERE id = ?1`, agent, data, seen(max(r.Rev, r.Judged)))
}

func (s *store) Heard(ctx context.Context, said []Said, when time.Time) error {
	said = slices.Clone(said)
	slices.SortStableFunc(said, func(a, b Said) int { return cmp.Compare(a.Agent, b.Agent) }) // whoever writes about agents takes them in order
	err := s.tx(ctx, func(tx *tx) error {
		for _, x := range said {
			var err error
			switch {
			case x.Presence != nil:
				err = tx.presence(x.Agent, *x.Presence, when)
			case x.Reported != nil:
				err = tx.reported(x.Agent, *x.Reported)
			}
			if err != nil && !errors.Is(err, fleet.ErrNotFound) {
				return fmt.Errorf("of %s: %w", x.Agent, err)
			}
		}
		return nil
	})
	return about(err, "note what %d agents said", len(said))
}

// seen bounds a rev that an agent speaks of, so that the next one can be counted.
func seen(rev int64) int64 {
	if rev > math.MaxInt32 {
		return 0
	}
	return rev
}

func (s *store) AllOffline(ctx context.Context, when time.Time) error {
	err := s.tx(ctx, func(tx *tx) error {
		return tx.exec(`UPDATE agent SET online = 0, since = ?1 WHERE id IN (SELECT id FROM agent WHERE online = 1 ORDER BY id`+s.lock+`)`, micro(when))
	})
	return about(err, "note that the broker is lost")
}

func (s *store) AddEnrolment(ctx context.Context, e fleet.Enrolment) error {
	err := s.tx(ctx, func(tx *tx) error {
		if err := tx.row(`SELECT id FROM venue WHERE id = ?1`, e.Venue).Scan(new(string)); err != nil {
			return fmt.Errorf("venue %s: %w", e.Venue, err)
		}
		if err := tx.exec(`INSERT INTO agent (id, venue) VALUES (?1, ?2) ON CONFLICT DO NOTHING`, e.Agent, e.Venue); err != nil {
			return err
		}
		var venue string
		if err := tx.row(`SELECT venue FROM agent WHERE id = ?1`, e.Agent).Scan(&venue); err != nil {
			return err
		}
		if venue != e.Venue {
			return fmt.Errorf("it belongs to venue %s: %w", venue, fleet.ErrExists)
		}
		n, err := tx.change(`INSERT INTO enrolment (hash, venue, agent, by_whom, expires_at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING`,
			e.Hash, e.Venue, e.Agent, text(e.By), micro(e.ExpiresAt))
		if err == nil && n == 0 {
			err = fmt.Errorf("its code: %w", fleet.ErrExists)
		}
		return err
	})
	return about(err, "prepare the enrolment of %s", e.Agent)
}

func (s *store) Enrol(ctx context.Context, codeHash string, sign func(fleet.Enrolment) (fleet.Certificate, error), now time.Time) (fleet.Enrolment, error) {
	var e fleet.Enrolment
	err := s.tx(ctx, func(tx *tx) error {
		var spent time.Time
		e = fleet.Enrolment{Hash: codeHash}
		err := tx.row(`SELECT venue, agent, by_whom, expires_at, spent_at FROM enrolment WHERE hash = ?1`+s.lock, codeHash).
			Scan(&e.Venue, &e.Agent, &e.By, at{&e.ExpiresAt}, at{&spent})
		if err != nil {
			return err
		}
		if !spent.IsZero() || !now.Before(e.ExpiresAt) {
			return fleet.ErrSpent
		}
		c, err := sign(e)
		if err != nil {
			return err
		}
		if c.Agent != e.Agent {
			return fmt.Errorf("the code is for agent %s, and the certificate for %s", e.Agent, c.Agent)
		}
		// The row of the agent first: whoever renews or tells something waits.
		if err := tx.must(`UPDATE agent SET enrolled_at = ?2, revoked = 0, session = 0, session_epoch = 0 WHERE id = ?1`, e.Agent, micro(now)); err != nil {
			return err
		}
		if err := tx.exec(`UPDATE certificate SET revoked_at = ?2 WHERE agent = ?1 AND revoked_at IS NULL`, e.Agent, micro(now)); err != nil {
			return err
		}
		if err := tx.exec(`UPDATE enrolment SET spent_at = ?2 WHERE hash = ?1`, codeHash, micro(now)); err != nil {
			return err
		}
		return addCertificate(tx, c)
	})
	return e, about(err, "enrol an agent")
}

func addCertificate(tx *tx, c fleet.Certificate) error {
	return tx.exec(`INSERT INTO certificate (serial, agent, not_before, not_after, revoked_at) VALUES (?1, ?2, ?3, ?4, ?5)`,
		c.Serial, c.Agent, micro(c.NotBefore), micro(c.NotAfter), stamp(c.RevokedAt))
}

func (s *store) Renew(ctx context.Context, c fleet.Certificate) error {
	err := s.tx(ctx, func(tx *tx) error {
		err := tx.row(`SELECT id FROM agent WHERE id = ?1 AND revoked = 0 AND enrolled_at IS NOT NULL`+s.lock, c.Agent).Scan(new(string))
		if err != nil {
			return err
		}
		return addCertificate(tx, c)
	})
	return about(err, "renew the certificate of %s", c.Agent)
}

const certificateQuery = `SELECT serial, agent, not_before, not_after, revoked_at FROM certificate`

func readCertificate(r scanner) (c fleet.Certificate, err error) {
	return c, r.Scan(&c.Serial, &c.Agent, at{&c.NotBefore}, at{&c.NotAfter}, at{&c.RevokedAt})
}

func (s *store) Certificate(ctx context.Context, serial string) (fleet.Certificate, error) {
	c, err := readCertificate(s.row(ctx, certificateQuery+` WHERE serial = ?1`, serial))
	return c, about(err, "read a certificate")
}

func (s *store) Revoked(ctx context.Context, now time.Time) ([]fleet.Certificate, error) {
	list, err := all[fleet.Certificate](s.rows(ctx, certificateQuery+` WHERE revoked_at IS NOT NULL AND not_after > ?1 ORDER BY serial`, micro(now)))(readCertificate)
	return list, about(err, "read the certificates that were taken back")
}

func (s *store) Revoke(ctx context.Context, agent string, when time.Time) error {
	err := s.tx(ctx, func(tx *tx) error {
		if err := tx.must(`UPDATE agent SET revoked = 1 WHERE id = ?1`, agent); err != nil {
			return err
		}
		// Codes too: one that is still out would undo it.
		if err := tx.exec(`UPDATE enrolment SET spent_at = ?2 WHERE agent = ?1 AND spent_at IS NULL`, agent, micro(when)); err != nil {
			return err
		}
		return tx.exec(`UPDATE certificate SET revoked_at = ?2 WHERE agent = ?1 AND revoked_at IS NULL`, agent, micro(when))
	})
	return about(err, "revoke %s", agent)
}
