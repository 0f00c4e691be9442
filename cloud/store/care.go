package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"ekassa/cloud/wire"
)

// leadEvery is how often the leader looks whether it still leads, and the others
// whether they may.
const leadEvery = 2 * time.Second

// held is the right to lead.
type held interface {
	check(ctx context.Context) error // fails once it is lost
	release() error
}

func (s *store) Lead(ctx context.Context, do func(context.Context) error) error {
	for ctx.Err() == nil {
		h, err := s.lead(ctx)
		if err != nil { // the database is away: it comes back, or ctx ends
			pause(ctx, leadEvery)
			continue
		}
		err, lost := leading(ctx, h, do)
		if err != nil && !lost {
			return err
		}
		if !lost {
			return nil // do is done
		}
	}
	return nil
}

// leading runs do until it returns, ctx ends or the right is lost.
func leading(ctx context.Context, h held, do func(context.Context) error) (err error, lost bool) {
	leads, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- do(leads) }()
	for {
		select {
		case err := <-done:
			return errors.Join(err, h.release()), false
		case <-ctx.Done():
			return errors.Join(<-done, h.release()), false
		case <-time.After(leadEvery):
		}
		once, cancel := context.WithTimeout(ctx, leadEvery)
		err := h.check(once)
		cancel()
		if err != nil && ctx.Err() == nil {
			stop()
			<-done // nobody else starts here before it has stopped
			_ = h.release()
			return err, true
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// retainStep bounds one step, so that records are stored between two.
const retainStep = 500

func (s *store) Retain(ctx context.Context, p Policy, now time.Time) (map[string]int64, error) {
	deleted := map[string]int64{}
	for _, r := range []struct {
		name      string
		keep      time.Duration
		table     string
		condition string // ?1 is the moment before which it goes
	}{
		{"receipts", p.Receipts, "receipt", "stored_at < ?1 AND state IN ('fiscal', 'non_fiscal', 'withdrawn')"},
		{"reports", p.Reports, "shift_report", "stored_at < ?1"},
		{"acts", p.Acts, "act", "at < ?1"},
		{"alerts", p.Alerts, "alert", "coalesce(ended_at, acknowledged_at) < ?1"},
		{"commands", p.Commands, "command", "created_at < ?1 AND state <> 'pending'"},
	} {
		if r.keep <= 0 {
			continue
		}
		n, err := s.steps(ctx, func(tx *tx) (int64, error) {
			return tx.change(fmt.Sprintf(`DELETE FROM %[1]s WHERE number IN (SELECT number FROM %[1]s WHERE %[2]s LIMIT %[3]d)`, r.table, r.condition, retainStep), micro(now.Add(-r.keep)))
		})
		deleted[r.name] = n
		if err != nil {
			return deleted, fmt.Errorf("delete old %s: %w", r.name, err)
		}
	}
	if p.Records > 0 {
		n, err := s.retainRecords(ctx, micro(now.Add(-p.Records)))
		deleted["records"] = n
		if err != nil {
			return deleted, fmt.Errorf("delete old records: %w", err)
		}
	}
	n, err := s.steps(ctx, func(tx *tx) (int64, error) {
		return tx.change(fmt.Sprintf(`DELETE FROM session WHERE hash IN (SELECT hash FROM session WHERE expires_at < ?1 LIMIT %d)`, retainStep), micro(now))
	})
	deleted["sessions"] = n
	return deleted, about(err, "delete old sessions")
}

// steps repeats a step until it finds no more.
func (s *store) steps(ctx context.Context, step func(tx *tx) (int64, error)) (sum int64, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return sum, err
		}
		var n int64
		err := s.tx(ctx, func(tx *tx) (err error) {
			n, err = step(tx)
			return err
		})
		if err != nil {
			return sum, err
		}
		sum += n
		if n < retainStep {
			return sum, nil
		}
	}
}

// retainRecords deletes records that lie below their stream's up_to: what is
// missing is found from those above. It goes line by line, along the key.
func (s *store) retainRecords(ctx context.Context, before int64) (sum int64, err error) {
	lines, err := all[line](s.rows(ctx, `SELECT agent, epoch FROM stream ORDER BY agent, epoch`))(func(r scanner) (l line, err error) {
		return l, r.Scan(&l.agent, &l.epoch)
	})
	if err != nil {
		return 0, err
	}
	for _, l := range lines {
		n, err := s.steps(ctx, func(tx *tx) (int64, error) { return tx.deleteRecords(l, before) })
		sum += n
		if err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// deleteRecords deletes some of a line's oldest. What receipts need of them they
// take over.
func (t *tx) deleteRecords(l line, before int64) (int64, error) {
	if err := t.row(`SELECT id FROM agent WHERE id = ?1`+t.s.lock, l.agent).Scan(new(string)); err != nil {
		return 0, err
	}
	records, err := all[wire.Record](t.rows(fmt.Sprintf(`SELECT seq, type, data FROM record WHERE agent = ?1 AND epoch = ?2 AND received_at < ?3
		AND seq <= (SELECT up_to FROM stream WHERE agent = ?1 AND epoch = ?2) ORDER BY seq LIMIT %d`, retainStep), l.agent, l.epoch, before))(
		func(r scanner) (w wire.Record, err error) { return w, r.Scan(&w.Seq, &w.Type, (*[]byte)(&w.Data)) })
	if err != nil {
		return 0, err
	}
	for _, r := range records {
		body, err := r.Body()
		receipt, ok := body.(*wire.Receipt)
		if err != nil || !ok || faulty(body) != "" {
			continue // no receipt was made of it
		}
		err = t.exec(`UPDATE receipt SET data = CASE WHEN epoch = ?4 AND seq = ?5 THEN ?6 ELSE data END,
			content = CASE WHEN content_epoch = ?4 AND content_seq = ?5 THEN ?6 ELSE content END
			WHERE agent = ?1 AND terminal = ?2 AND id = ?3 AND (epoch = ?4 AND seq = ?5 OR content_epoch = ?4 AND content_seq = ?5)`,
			l.agent, receipt.Terminal, receipt.ID, l.epoch, r.Seq, []byte(r.Data))
		if err != nil {
			return 0, err
		}
	}
	if len(records) == 0 {
		return 0, nil
	}
	return t.change(`DELETE FROM record WHERE agent = ?1 AND epoch = ?2 AND received_at < ?3 AND seq <= ?4`, l.agent, l.epoch, before, records[len(records)-1].Seq)
}

func (s *store) Backup(ctx context.Context, file string) (err error) {
	defer func() { err = about(err, "write a backup to %s", file) }()
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, errors.New("it is there already; name a new file"))
	}
	// It gets its name when it is complete. Nobody else reads it.
	draft := file + ".part"
	f, err := os.OpenFile(draft, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	err = s.backup(ctx, draft)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(draft, file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(draft))
	}
	return syncFolder(filepath.Dir(file))
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (s *store) Value(ctx context.Context, key string) (value []byte, err error) {
	err = s.row(ctx, `SELECT value FROM value WHERE key = ?1`, key).Scan(&value)
	return value, about(err, "read value %s", key)
}

func (s *store) SetValue(ctx context.Context, key string, value []byte) (stays []byte, err error) {
	err = s.tx(ctx, func(tx *tx) error {
		if err := tx.exec(`INSERT INTO value (key, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING`, key, orEmpty(value)); err != nil {
			return err
		}
		return tx.row(`SELECT value FROM value WHERE key = ?1`, key).Scan(&stays)
	})
	return stays, about(err, "store value %s", key)
}
