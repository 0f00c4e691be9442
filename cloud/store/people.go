package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ekassa/cloud/fleet"
)

func (s *store) PutUser(ctx context.Context, u fleet.User) error {
	err := s.tx(ctx, func(tx *tx) error {
		err := tx.exec(`INSERT INTO person (name, role, password_hash, disabled, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
			ON CONFLICT (name) DO UPDATE SET role = excluded.role, password_hash = excluded.password_hash, disabled = excluded.disabled`,
			u.Name, string(u.Role), u.PasswordHash, flag(u.Disabled), micro(u.CreatedAt))
		if err != nil || !u.Disabled {
			return err
		}
		return tx.exec(`DELETE FROM session WHERE person = ?1`, u.Name)
	})
	return about(err, "store user %s", u.Name)
}

const userColumns = `person.name, person.role, person.password_hash, person.disabled, person.created_at`

func readUser(r scanner) (u fleet.User, err error) {
	return u, r.Scan(&u.Name, &u.Role, &u.PasswordHash, &u.Disabled, at{&u.CreatedAt})
}

func (s *store) User(ctx context.Context, name string) (fleet.User, error) {
	u, err := readUser(s.row(ctx, `SELECT `+userColumns+` FROM person WHERE name = ?1`, text(name)))
	return u, about(err, "read a user")
}

func (s *store) Users(ctx context.Context) ([]fleet.User, error) {
	list, err := all[fleet.User](s.rows(ctx, `SELECT `+userColumns+` FROM person ORDER BY name`))(readUser)
	return list, about(err, "read the users")
}

func (s *store) AddSession(ctx context.Context, n fleet.Session) error {
	err := s.tx(ctx, func(tx *tx) error {
		// Locked, so that no session is added while the user is disabled.
		if err := tx.row(`SELECT name FROM person WHERE name = ?1 AND disabled = 0`+s.lock, n.User).Scan(new(string)); err != nil {
			return err
		}
		return tx.exec(`INSERT INTO session (hash, person, kind, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)`,
			n.Hash, n.User, n.Kind, micro(n.CreatedAt), micro(n.ExpiresAt))
	})
	return about(err, "open a session of %s", n.User)
}

func (s *store) Session(ctx context.Context, hash string, now time.Time) (n fleet.Session, u fleet.User, err error) {
	err = s.row(ctx, `SELECT hash, person, kind, session.created_at, expires_at, `+userColumns+` FROM session JOIN person ON person.name = session.person WHERE hash = ?1`, hash).
		Scan(&n.Hash, &n.User, &n.Kind, at{&n.CreatedAt}, at{&n.ExpiresAt}, &u.Name, &u.Role, &u.PasswordHash, &u.Disabled, at{&u.CreatedAt})
	if err == nil && (u.Disabled || !now.Before(n.ExpiresAt)) {
		err = fleet.ErrSpent
	}
	if err != nil {
		return fleet.Session{}, fleet.User{}, fmt.Errorf("read a session: %w", err)
	}
	return n, u, nil
}

func (s *store) EndSession(ctx context.Context, hash string) error {
	err := s.tx(ctx, func(tx *tx) error { return tx.exec(`DELETE FROM session WHERE hash = ?1`, hash) })
	return about(err, "end a session")
}

func (s *store) Note(ctx context.Context, a fleet.Act) error {
	err := s.tx(ctx, func(tx *tx) error {
		return tx.exec(`INSERT INTO act (at, person, action, object, detail) VALUES (?1, ?2, ?3, ?4, ?5)`,
			micro(a.At), text(a.User), text(a.Action), text(a.Object), text(a.Detail))
	})
	return about(err, "note who did what")
}

func (s *store) Acts(ctx context.Context, f Filter) ([]fleet.Act, error) {
	var w where
	if f.Agent != "" {
		w.and("object = ?", f.Agent)
	}
	f.between(&w, "at")
	if f.Before > 0 {
		w.and("number < ?", f.Before)
	}
	list, err := all[fleet.Act](s.rows(ctx, fmt.Sprintf(`SELECT number, at, person, action, object, detail FROM act%s ORDER BY number DESC LIMIT %d`, &w, f.limit()), w.args...))(
		func(r scanner) (a fleet.Act, err error) {
			return a, r.Scan(&a.ID, at{&a.At}, &a.User, &a.Action, &a.Object, &a.Detail)
		})
	return list, about(err, "read who did what")
}

func (s *store) AddRollout(ctx context.Context, r fleet.Rollout) error {
	data, err := json.Marshal(r)
	if err == nil {
		err = s.tx(ctx, func(tx *tx) error {
			n, err := tx.change(`INSERT INTO rollout (id, data) VALUES (?1, ?2) ON CONFLICT DO NOTHING`, r.ID, data)
			if err == nil && n == 0 {
				err = fleet.ErrExists
			}
			return err
		})
	}
	return about(err, "store rollout %s", r.ID)
}

func (s *store) SaveRollout(ctx context.Context, r fleet.Rollout) error {
	data, err := json.Marshal(r)
	if err == nil {
		err = s.tx(ctx, func(tx *tx) error { return tx.must(`UPDATE rollout SET data = ?2 WHERE id = ?1`, r.ID, data) })
	}
	return about(err, "store rollout %s", r.ID)
}

func readRollout(row scanner) (r fleet.Rollout, err error) {
	var data []byte
	if err := row.Scan(&data); err != nil {
		return r, err
	}
	return r, json.Unmarshal(data, &r)
}

func (s *store) Rollout(ctx context.Context, id string) (fleet.Rollout, error) {
	r, err := readRollout(s.row(ctx, `SELECT data FROM rollout WHERE id = ?1`, id))
	return r, about(err, "read rollout %s", id)
}

func (s *store) Rollouts(ctx context.Context) ([]fleet.Rollout, error) {
	list, err := all[fleet.Rollout](s.rows(ctx, `SELECT data FROM rollout ORDER BY number DESC`))(readRollout)
	return list, about(err, "read the rollouts")
}

func (s *store) AddWebhook(ctx context.Context, w fleet.Webhook) (id int64, err error) {
	err = s.tx(ctx, func(tx *tx) error {
		if err := s.alone(tx); err != nil { // two at once would both find none
			return err
		}
		switch err := tx.row(`SELECT number FROM webhook WHERE url = ?1 LIMIT 1`, text(w.URL)).Scan(&id); {
		case err == nil:
			return fleet.ErrExists
		case !errors.Is(err, fleet.ErrNotFound):
			return err
		}
		return tx.row(`INSERT INTO webhook (url, secret, created_at) VALUES (?1, ?2, ?3) RETURNING number`, text(w.URL), w.Secret, micro(w.CreatedAt)).Scan(&id)
	})
	return id, about(err, "store a webhook")
}

func (s *store) Webhooks(ctx context.Context) ([]fleet.Webhook, error) {
	list, err := all[fleet.Webhook](s.rows(ctx, `SELECT number, url, secret, created_at FROM webhook ORDER BY number`))(func(r scanner) (w fleet.Webhook, err error) {
		return w, r.Scan(&w.ID, &w.URL, &w.Secret, at{&w.CreatedAt})
	})
	return list, about(err, "read the webhooks")
}

func (s *store) DeleteWebhook(ctx context.Context, id int64) error {
	err := s.tx(ctx, func(tx *tx) error { return tx.must(`DELETE FROM webhook WHERE number = ?1`, id) })
	return about(err, "delete webhook %d", id)
}

func (s *store) Due(ctx context.Context, now time.Time, limit int) ([]fleet.Delivery, error) {
	list, err := all[fleet.Delivery](s.rows(ctx, fmt.Sprintf(`SELECT number, webhook, body, attempts, next_at, error FROM delivery WHERE next_at <= ?1 ORDER BY next_at, number LIMIT %d`,
		Filter{Limit: limit}.limit()), micro(now)))(func(r scanner) (d fleet.Delivery, err error) {
		return d, r.Scan(&d.ID, &d.Webhook, (*[]byte)(&d.Body), &d.Attempts, at{&d.NextAt}, &d.Error)
	})
	return list, about(err, "read what is due to the webhooks")
}

func (s *store) Delivered(ctx context.Context, id int64) error {
	err := s.tx(ctx, func(tx *tx) error { return tx.exec(`DELETE FROM delivery WHERE number = ?1`, id) })
	return about(err, "note delivery %d", id)
}

func (s *store) Failed(ctx context.Context, id int64, why string, next time.Time) error {
	err := s.tx(ctx, func(tx *tx) error {
		return tx.exec(`UPDATE delivery SET attempts = attempts + 1, error = ?2, next_at = ?3 WHERE number = ?1`, id, text(why), micro(next))
	})
	return about(err, "put delivery %d off", id)
}
