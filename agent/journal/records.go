package journal

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// span of an epoch: its record n is the row before + n, up to last.
type span struct {
	number, before, last int64
}

// Epochs that mend made up for receipts whose own was lost are none of the
// cloud's: their records are told as those of the epoch before.
const spansQuery = `SELECT number, records_before, coalesce(
	lead(records_before) OVER (ORDER BY number), (SELECT coalesce(max(seq), 0) FROM record))
	FROM epoch WHERE began_at > 0 OR number = (SELECT min(number) FROM epoch) ORDER BY number`

func spans(q queryer) (list []span, err error) {
	rows, err := q.Query(spansQuery)
	if err != nil {
		return nil, fmt.Errorf("read the epochs: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var s span
		if err := rows.Scan(&s.number, &s.before, &s.last); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, rows.Err()
}

// spanOf gives one epoch's; receipt.ErrNotFound where it is not in this journal.
func spanOf(q queryer, epoch int64) (span, error) {
	list, err := spans(q)
	if err != nil {
		return span{}, err
	}
	for _, s := range list {
		if s.number == epoch {
			return s, nil
		}
	}
	return span{}, fmt.Errorf("epoch %d: %w", epoch, receipt.ErrNotFound)
}

const recordsQuery = `SELECT c.seq, c.at, c.type, c.state, c.reason, c.detail, c.register, c.attempts, c.printed, a.at, a.why,
	r.seq, r.terminal, r.received_at, r.content, l.register, l.attempts,
	d.seq, d.serial, d.fiscal_id, d.short_id, d.number, d.shift, d.url, d.printed, d.at,
	p.register, p.kind, p.by, p.at, p.report, p.raw, s.opened_at, h.data
	FROM record c LEFT JOIN apart a ON a.seq = c.seq
	LEFT JOIN receipt r ON r.seq = c.receipt LEFT JOIN life l ON l.seq = c.receipt
	LEFT JOIN document d ON d.seq = c.receipt LEFT JOIN report p ON p.id = c.report
	LEFT JOIN shift s ON s.records = c.seq - 1 AND c.type = 'shift_opened' LEFT JOIN health h ON h.seq = c.seq
	WHERE c.seq > ? AND c.seq <= ? ORDER BY c.seq LIMIT ?`

// Records gives an epoch's records after a number, in order. What was lost from
// a damaged journal is not among them. Error: receipt.ErrNotFound where the
// epoch is not in this journal.
func (j *Journal) Records(epoch, after int64, limit int) (list []register.Record, err error) {
	err = j.readTx(func(q queryer) error {
		s, err := spanOf(q, epoch)
		if err != nil {
			return err
		}
		rows, err := q.Query(recordsQuery, s.before+after, s.last, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			r, err := scanRecord(rows)
			if err != nil {
				return err
			}
			r.Epoch, r.Seq = epoch, r.Seq-s.before
			list = append(list, r)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("read the records for the cloud: %w", err)
	}
	return list, nil
}

func scanRecord(rows *sql.Rows) (c register.Record, err error) {
	var at int64
	var state, reason, detail string
	var name, why, terminal, bound, serial, fiscal, short, number, shift, url, about, kind, by sql.NullString
	var attempts, printed, apart, seq, received, sent, document, paper, made, reported, opened sql.NullInt64
	var content, report, raw, health []byte
	err = rows.Scan(&c.Seq, &at, &c.Type, &state, &reason, &detail, &name, &attempts, &printed, &apart, &why,
		&seq, &terminal, &received, &content, &bound, &sent,
		&document, &serial, &fiscal, &short, &number, &shift, &url, &paper, &made,
		&about, &kind, &by, &reported, &report, &raw, &opened, &health)
	if err != nil {
		return c, err
	}
	c.At = moment(at)
	if why.Valid {
		c.At, c.Apart = moment(apart.Int64), why.String
		return c, nil
	}
	switch c.Type {
	case register.RecordReceipt, register.RecordCash:
		if !seq.Valid || !sent.Valid {
			c.Apart = "its receipt was lost with a damaged journal"
			return c, nil
		}
		s := &receipt.Stored{
			Seq: seq.Int64, Terminal: terminal.String, Register: either(name, bound), State: receipt.State(state),
			Reason: receipt.Reason{Code: reason, Detail: detail}, Attempts: int(sent.Int64), ReceivedAt: moment(received.Int64), ChangedAt: moment(at),
		}
		if attempts.Valid {
			s.Attempts = int(attempts.Int64)
		}
		if err := json.Unmarshal(content, &s.Receipt); err != nil {
			c.Apart = "its receipt cannot be read: " + err.Error()
			return c, nil
		}
		// The first, and what a new epoch begins with.
		if at == received.Int64 && (s.State == receipt.Waiting || s.State == receipt.NonFiscal) || reason == register.WhyJournalLost {
			c.Content = content
		}
		if s.State == receipt.Fiscal && document.Valid {
			if printed.Valid {
				paper = printed
			}
			s.Document = &receipt.Document{
				FiscalID: fiscal.String, ShortID: short.String, Number: number.String, RegisterSerial: serial.String,
				Shift: shift.String, URL: url.String, Printed: paper.Int64 == 1, At: moment(made.Int64),
			}
		}
		c.Receipt = s
	case register.RecordShiftClosed, register.RecordXReport:
		if !about.Valid {
			c.Apart = "its report was lost with a damaged journal"
			return c, nil
		}
		c.Report = &register.Reported{Register: about.String, Kind: kind.String, By: by.String, At: moment(reported.Int64)}
		if err := json.Unmarshal(report, &c.Report.Report); err != nil {
			c.Apart = "its report cannot be read: " + err.Error()
			return c, nil
		}
		c.Report.Report.Raw = raw
	case register.RecordHealth:
		if c.Content = health; health == nil { // the cloud had it, and has lost it since
			c.Content = []byte(`{}`)
		}
	default:
		c.About, c.Code, c.Detail = state, reason, detail
		if opened.Valid {
			c.OpenedAt = moment(opened.Int64)
		}
	}
	return c, nil
}

func either(a, b sql.NullString) string {
	if a.Valid {
		return a.String
	}
	return b.String
}

// Untold gives the epochs of which the cloud has not acknowledged everything,
// oldest first, and always the present one, which is the last.
func (j *Journal) Untold() (list []register.Told, err error) {
	err = j.readTx(func(q queryer) error {
		all, err := spans(q)
		if err != nil {
			return err
		}
		for _, s := range all {
			t := register.Told{Epoch: s.number}
			// After a backup was put back, the rows end before the epoch does.
			err := q.QueryRow(`SELECT coalesce((SELECT max(seq) FROM record WHERE seq > ?1 AND seq <= ?2) - ?1, 0),
				coalesce((SELECT acked FROM uplink WHERE epoch = ?3), 0)`, s.before, s.last, s.number).Scan(&t.Last, &t.Acked)
			if err != nil {
				return err
			}
			if t.Acked < t.Last || s.number == j.epoch {
				list = append(list, t)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what the cloud was told: %w", err)
	}
	return list, nil
}

// Unacknowledged counts the records that the cloud has not acknowledged.
func (j *Journal) Unacknowledged() (n int64, err error) {
	list, err := j.Untold()
	for _, t := range list {
		n += t.Last - t.Acked
	}
	return n, err
}

// TellHealth adds the record of how the agent is, where the last one has reached the
// cloud: while it has not, there is no use for another, and none is told.
func (j *Journal) TellHealth(data []byte) (told bool, err error) {
	err = j.writer.do(func(t *tx) error {
		var pending bool
		if err := t.QueryRow(`SELECT EXISTS (SELECT 1 FROM health)`).Scan(&pending); err != nil || pending {
			told = false
			return err
		}
		if err := t.record(register.RecordHealth, "", "", ""); err != nil {
			return err
		}
		told = true
		_, err := t.run(`INSERT INTO health (seq, data) SELECT max(seq), ? FROM record`, data)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("note how the agent is: %w", err)
	}
	return told, nil
}

// errAhead: a ghost of this journal has told the cloud more than this one has.
var errAhead = errors.New("the cloud has records of this journal that it never wrote: an older copy was put back without ekassa-agent restore, or its card was cloned")

// Acked notes that the cloud has an epoch's records up to a number. It never
// goes back. Of what happened nothing is deleted by it: the cloud may lose its
// database and ask again. What is lost of an acknowledgement is only told again.
// Error: the number is above what the present epoch has; nothing is noted.
func (j *Journal) Acked(epoch, upTo int64) error {
	err := j.writer.do(func(t *tx) error {
		s, err := spanOf(t, epoch)
		if err != nil {
			return err
		}
		if epoch == j.epoch && upTo > s.last-s.before {
			return fmt.Errorf("up to %d of %d: %w", upTo, s.last-s.before, errAhead)
		}
		_, err = t.run(`INSERT INTO uplink (epoch, acked) VALUES (?, ?)
			ON CONFLICT (epoch) DO UPDATE SET acked = excluded.acked WHERE excluded.acked > acked`, epoch, upTo)
		if err != nil {
			return err
		}
		_, err = t.run(`DELETE FROM health WHERE seq > ? AND seq <= ?`, s.before, s.before+min(upTo, s.last-s.before))
		return err
	})
	if err != nil {
		return fmt.Errorf("note what the cloud has acknowledged: %w", err)
	}
	return nil
}

// Session gives the number of a new connection to the cloud: above every one
// before it, also of a journal that is gone, as far as clocks were right.
func (j *Journal) Session() (n int64, err error) {
	err = j.writer.do(func(t *tx) error {
		if err := t.QueryRow(`SELECT max(?, 1 + coalesce(max(session), 0)) FROM uplink`, t.now.Unix()).Scan(&n); err != nil {
			return err
		}
		_, err := t.run(`INSERT INTO uplink (epoch, session) VALUES (?, ?)
			ON CONFLICT (epoch) DO UPDATE SET session = excluded.session`, j.epoch, n)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("number the connection to the cloud: %w", err)
	}
	return n, nil
}

// SetApart takes a record out of what is told; it stays in the journal, and an
// alert is told under its number. A second time changes nothing.
func (j *Journal) SetApart(epoch, seq int64, why string) error {
	err := j.writer.do(func(t *tx) error {
		s, err := spanOf(t, epoch)
		if err != nil {
			return err
		}
		_, err = t.run(`INSERT INTO apart (seq, at, why) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, s.before+seq, millis(t.now), why)
		return err
	})
	if err != nil {
		return fmt.Errorf("set record %d apart: %w", seq, err)
	}
	return nil
}

// keptCommands is how many commands are remembered. The cloud repeats one for
// as long as it lives only, which is not for so many others.
const keptCommands = 1000

// Arrived notes a command of the cloud's, and gives what is known of it: a
// repeated one keeps when it came first.
func (j *Journal) Arrived(id, name string) (o register.Order, err error) {
	err = j.writer.do(func(t *tx) error {
		_, err := t.run(`INSERT INTO command (id, name, arrived_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, id, name, millis(t.now))
		if err != nil {
			return err
		}
		var at int64
		o = register.Order{ID: id}
		if err := t.QueryRow(`SELECT name, arrived_at, begun, answer FROM command WHERE id = ?`, id).Scan(&o.Name, &at, &o.Begun, &o.Answer); err != nil {
			return err
		}
		o.ArrivedAt = moment(at)
		_, err = t.run(`DELETE FROM command WHERE n <= (SELECT max(n) FROM command) - ?`, keptCommands)
		return err
	})
	if err != nil {
		return register.Order{}, fmt.Errorf("note command %s: %w", id, err)
	}
	return o, nil
}

// errBegun: a command is begun once.
var errBegun = errors.New("it was begun before")

// BeginCommand notes that a command is being done. Error: it was begun before.
func (j *Journal) BeginCommand(id string) error {
	err := j.writer.do(func(t *tx) error {
		result, err := t.run(`UPDATE command SET begun = 1 WHERE id = ? AND begun = 0 AND answer IS NULL`, id)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n != 1 {
			return errors.Join(err, errBegun)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("begin command %s: %w", id, err)
	}
	return nil
}

// Answered keeps a command's answer, for when it comes again. A second answer
// changes nothing.
func (j *Journal) Answered(id string, answer []byte) error {
	err := j.writer.do(func(t *tx) error {
		_, err := t.run(`UPDATE command SET answer = ? WHERE id = ? AND answer IS NULL`, answer, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep the answer to command %s: %w", id, err)
	}
	return nil
}

// WatchRecords gives a pulse after each commit that may have brought records.
// stop ends it.
func (j *Journal) WatchRecords() (changed <-chan struct{}, stop func()) {
	return j.watches.add(&watch{all: true})
}

// record adds one that is not about a receipt.
func (t *tx) record(kind, about, code, detail string) error {
	t.touched = append(t.touched, touched{})
	_, err := t.run(`INSERT INTO record (at, type, state, reason, detail) VALUES (?, ?, ?, ?, ?)`, millis(t.now), kind, about, code, detail)
	return err
}
