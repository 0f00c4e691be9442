package journal

import (
	"bytes"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// Accept stores what a till closed and returns after the commit is on the
// disk. Where the terminal's id was here before with the same content, it gives
// the receipt's present state and isNew is false. Errors: receipt.ErrConflict,
// receipt.Faults about the parent, receipt.ErrStorage.
func (j *Journal) Accept(terminal, boundTo string, r receipt.Receipt, f receipt.Fingerprint) (s receipt.Stored, isNew bool, err error) {
	err = j.writer.do(func(t *tx) error {
		s, isNew, err = accept(t, terminal, boundTo, r, f, j.lost)
		return err
	})
	if err != nil {
		return receipt.Stored{}, false, err
	}
	return s, isNew, nil
}

func accept(t *tx, terminal, boundTo string, r receipt.Receipt, f receipt.Fingerprint, lost time.Time) (receipt.Stored, bool, error) {
	var seq int64
	var said, meant []byte
	err := t.QueryRow(knownQuery, terminal, r.ID).Scan(&seq, &said, &meant)
	switch {
	case err == nil:
		if !bytes.Equal(said, f.Said[:]) && !bytes.Equal(meant, f.Meant[:]) {
			return receipt.Stored{}, false, receipt.ErrConflict
		}
		s, err := load(t, bySeq, seq)
		return s, false, err
	case !errors.Is(err, sql.ErrNoRows):
		return receipt.Stored{}, false, err
	}
	if err := t.admit(); err != nil {
		return receipt.Stored{}, false, err
	}

	var parent sql.NullInt64
	if r.Parent != nil && r.Parent.ID != "" {
		p, err := load(t, byID, terminal, r.Parent.ID)
		if err == nil {
			err = mayTakeBack(&r, p)
		} else if errors.Is(err, receipt.ErrNotFound) {
			err = receipt.Faults{{Field: "parent.id", Code: receipt.CodeParent}}
		}
		if err != nil {
			return receipt.Stored{}, false, err
		}
		parent = sql.NullInt64{Int64: p.Seq, Valid: true}
	}
	content, err := json.Marshal(r)
	if err != nil {
		return receipt.Stored{}, false, fmt.Errorf("write receipt %s: %w", r.ID, err)
	}
	result, err := t.run(`INSERT INTO receipt (epoch, terminal, id, kind, received_at, said, meant, content) VALUES ((SELECT max(number) FROM epoch), ?, ?, ?, ?, ?, ?, ?)`,
		terminal, r.ID, r.Kind, millis(t.now), f.Said[:], f.Meant[:], string(content))
	if err != nil {
		return receipt.Stored{}, false, err
	}
	if seq, err = result.LastInsertId(); err != nil {
		return receipt.Stored{}, false, err
	}
	state, why := receipt.Waiting, ""
	if !r.Fiscal {
		state, why = receipt.NonFiscal, register.WhyNotFiscal
	}
	_, err = t.run(`INSERT INTO life (seq, register, parent, state, reason, changed_at) VALUES (?, ?, ?, ?, ?, ?)`,
		seq, sql.NullString{String: boundTo, Valid: boundTo != ""}, parent, state, why, millis(t.now))
	if err != nil {
		return receipt.Stored{}, false, err
	}
	// Read back, so that the first answer and every later one are alike.
	s, err := load(t, bySeq, seq)
	if err != nil {
		return receipt.Stored{}, false, err
	}
	if err := t.tell(s); err != nil {
		return receipt.Stored{}, false, err
	}
	if s.State == receipt.Waiting && r.Time.Before(lost) {
		// The journal that was lost may have had it, told yes and sent.
		err = t.move(&s, receipt.Held, receipt.Reason{Code: register.WhyJournalLost})
	}
	return s, true, err
}

// mayTakeBack says whether r may name p as its parent, and gives a cancel what
// it cancels.
func mayTakeBack(r *receipt.Receipt, p receipt.Stored) error {
	allowed := map[receipt.Kind][]receipt.Kind{
		receipt.Refund:        {receipt.Sale, receipt.Prepayment, receipt.CreditPayment},
		receipt.Cancel:        {receipt.Sale, receipt.Refund, receipt.Prepayment, receipt.CreditPayment, receipt.Correction},
		receipt.CreditPayment: {receipt.Sale},
		receipt.Sale:          {receipt.Prepayment},
	}
	switch {
	case !slices.Contains(allowed[r.Kind], p.Kind):
		return receipt.Faults{{Field: "parent.id", Code: receipt.CodeParentKind, Detail: string(p.Kind)}}
	case p.State == receipt.Withdrawn:
		return receipt.Faults{{Field: "parent.id", Code: receipt.CodeParentState, Detail: string(p.State)}}
	}
	if r.Kind == receipt.Cancel && len(r.Items) == 0 {
		r.Items, r.Payments = p.Items, p.Payments
		r.Payments.Cash = p.Payments.NetCash(p.Total()) // its change was never in the drawer
	}
	return nil
}

// Get gives a terminal's receipt as it is now, or receipt.ErrNotFound.
func (j *Journal) Get(terminal, id string) (s receipt.Stored, err error) {
	err = j.readTx(func(q queryer) error {
		s, err = load(q, byID, terminal, id)
		return err
	})
	return s, err
}

// List gives receipts, newest first.
func (j *Journal) List(f receipt.Filter) ([]receipt.Stored, error) {
	where, args := []string{`r.kind NOT IN ('deposit', 'withdrawal')`}, []any{}
	if f.Cash {
		where[0] = `r.kind IN ('deposit', 'withdrawal')`
	}
	if f.Terminal != "" {
		// The plus keeps SQLite from gathering and sorting all of the terminal's.
		where, args = append(where, `+r.terminal = ?`), append(args, f.Terminal)
	}
	if f.Before > 0 {
		where, args = append(where, `r.seq < ?`), append(args, f.Before)
	}
	if len(f.States) > 0 {
		marks := strings.Repeat(`, ?`, len(f.States))[2:]
		where = append(where, `l.state IN (`+marks+`)`)
		switch { // what is rare has an index
		case subset(f.States, receipt.Waiting, receipt.Sending, receipt.Checking):
			where = append(where, `r.seq IN (SELECT seq FROM life WHERE `+queued+`)`)
		case subset(f.States, receipt.Held, receipt.Refused):
			where = append(where, `r.seq IN (SELECT seq FROM life WHERE `+forPerson+`)`)
		}
		for _, s := range f.States {
			args = append(args, s)
		}
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 50
	}
	var list []receipt.Stored
	err := j.readTx(func(q queryer) (err error) {
		list, err = loadAll(q, `WHERE `+strings.Join(where, ` AND `)+` ORDER BY r.seq DESC LIMIT ?`, append(args, limit)...)
		return err
	})
	return list, err
}

func subset(of []receipt.State, all ...receipt.State) bool {
	return !slices.ContainsFunc(of, func(s receipt.State) bool { return !slices.Contains(all, s) })
}

// Queue counts what is not done yet for a register.
func (j *Journal) Queue(name string) (q register.Queue, err error) {
	err = j.readTx(func(tx queryer) error {
		var oldest sql.NullInt64
		err := tx.QueryRow(queueQuery, name).Scan(&q.Waiting, &q.Checking, &oldest)
		if err != nil {
			return fmt.Errorf("count the queue of %s: %w", name, err)
		}
		q.Oldest = moment(oldest.Int64)
		err = tx.QueryRow(personQuery, name).Scan(&q.Held, &q.Refused)
		if err != nil {
			return fmt.Errorf("count what a person must see of %s: %w", name, err)
		}
		return nil
	})
	return q, err
}

// Unsettled counts what is not final, of whatever terminal and register.
func (j *Journal) Unsettled() (n int, err error) {
	err = j.readTx(func(q queryer) error {
		return q.QueryRow(`SELECT count(*) FROM life WHERE ` + queued + ` OR ` + forPerson).Scan(&n)
	})
	if err != nil {
		return 0, fmt.Errorf("count what is not final: %w", err)
	}
	return n, nil
}

// Unbound counts what waits without a register.
func (j *Journal) Unbound(terminal string) (n int, err error) {
	err = j.readTx(func(q queryer) error {
		return q.QueryRow(unboundQuery, terminal).Scan(&n)
	})
	if err != nil {
		return 0, fmt.Errorf("count what waits of %s without a register: %w", terminal, err)
	}
	return n, nil
}

// SQLite takes a partial index only where the query repeats the index's own
// condition, word for word.
const (
	queued    = `state IN ('waiting', 'sending', 'checking')`
	forPerson = `state IN ('held', 'refused')`
)

const (
	knownQuery = `SELECT seq, said, meant FROM receipt WHERE terminal = ? AND id = ?`
	queueQuery = `SELECT count(*), coalesce(sum(state = 'checking'), 0),
		(SELECT received_at FROM receipt WHERE seq = (SELECT min(seq) FROM life WHERE register = ?1 AND ` + queued + `))
		FROM life WHERE register = ?1 AND ` + queued
	personQuery = `SELECT coalesce(sum(state = 'held'), 0), coalesce(sum(state = 'refused'), 0)
		FROM life WHERE register = ? AND ` + forPerson
	unboundQuery = `SELECT count(*) FROM life l CROSS JOIN receipt r USING (seq)
		WHERE l.register IS NULL AND l.state = 'waiting' AND l.` + queued + ` AND r.terminal = ?`
)

const columns = `SELECT r.seq, e.tag, r.terminal, r.received_at, r.content,
	coalesce(l.register, ''), l.state, l.attempts, l.reason, l.reason_detail, l.changed_at,
	d.seq, d.serial, d.fiscal_id, d.short_id, d.number, d.register_id, d.shift, d.url, d.printed, d.at,
	CASE WHEN l.state IN ('waiting', 'sending', 'checking') AND l.register IS NOT NULL THEN
	  (SELECT count(*) FROM life q WHERE q.register = l.register AND q.seq < r.seq
	     AND q.state IN ('waiting', 'sending', 'checking')) ELSE 0 END,
	CASE WHEN l.state = 'waiting' THEN (SELECT state FROM life p WHERE p.seq = l.parent) END
	FROM receipt r JOIN life l USING (seq) JOIN epoch e ON e.number = r.epoch LEFT JOIN document d USING (seq) `

// In a join, a bare ? on the right of = would have SQLite plan the statement
// anew each time that it is run (sqlite3VdbeReprepareOnBind), which takes longer
// than running it.
const (
	bySeq = `WHERE r.seq = (SELECT ?)`
	byID  = `WHERE r.terminal = (SELECT ?) AND r.id = (SELECT ?)`
)

func load(q queryer, where string, args ...any) (receipt.Stored, error) {
	list, err := loadAll(q, where, args...)
	switch {
	case err != nil:
		return receipt.Stored{}, err
	case len(list) == 0:
		return receipt.Stored{}, receipt.ErrNotFound
	}
	return list[0], nil
}

func loadAll(q queryer, where string, args ...any) ([]receipt.Stored, error) {
	rows, err := q.Query(columns+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read receipts: %w", err)
	}
	defer rows.Close()
	var list []receipt.Stored
	for rows.Next() {
		s, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("read a receipt: %w", err)
		}
		list = append(list, s)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read receipts: %w", err)
	}
	return list, nil
}

// perTag is how many receipts an epoch has keys for. A key is digits only and
// below 2^53, so that a register may read it as text, as an integer or even
// through floating point (azsmart.md 8.4), and the epoch's random tag keeps a
// new or restored journal from meeting its register's memory of an old one.
const perTag = 100_000_000

// newTag gives a tag of eight digits with which every key stays below 2^53.
func newTag() (int64, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(80_000_000))
	if err != nil {
		return 0, fmt.Errorf("make a tag for the epoch: %w", err)
	}
	return 10_000_000 + n.Int64(), nil
}

func scan(rows *sql.Rows) (s receipt.Stored, err error) {
	var received, changed int64
	var content []byte
	var document, printed, made sql.NullInt64
	var serial, fiscal, short, number, id, shift, url, parent sql.NullString
	var tag int64
	err = rows.Scan(&s.Seq, &tag, &s.Terminal, &received, &content,
		&s.Register, &s.State, &s.Attempts, &s.Reason.Code, &s.Reason.Detail, &changed,
		&document, &serial, &fiscal, &short, &number, &id, &shift, &url, &printed, &made, &s.Ahead, &parent)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(content, &s.Receipt); err != nil {
		return s, err
	}
	s.Key = strconv.FormatInt(tag*perTag+s.Seq, 10)
	s.ReceivedAt, s.ChangedAt = moment(received), moment(changed)
	if parent.Valid && parent.String != string(receipt.Fiscal) {
		s.Reason = receipt.Reason{Code: register.WhyParent, Detail: s.Parent.ID}
	}
	if document.Valid {
		s.Document = &receipt.Document{
			FiscalID: fiscal.String, ShortID: short.String, Number: number.String, RegisterID: id.String,
			RegisterSerial: serial.String, Shift: shift.String, URL: url.String, Printed: printed.Int64 == 1,
			At: moment(made.Int64),
		}
	}
	return s, nil
}

// tell writes the record of what became of a receipt, and remembers to wake
// the watchers after the commit.
func (t *tx) tell(s receipt.Stored) error {
	kind := register.RecordReceipt
	if s.Kind.IsCash() {
		kind = register.RecordCash
	}
	var printed any
	if s.Document != nil {
		printed = s.Document.Printed
	}
	_, err := t.run(`INSERT INTO record (at, type, receipt, state, reason, detail, register, attempts, printed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		millis(t.now), kind, s.Seq, s.State, s.Reason.Code, s.Reason.Detail, s.Register, s.Attempts, printed)
	t.touched = append(t.touched, touched{s.Terminal, s.ID, s.Register})
	return err
}

// move takes a receipt from one state to another, if it is still in the first.
func (t *tx) move(s *receipt.Stored, to receipt.State, why receipt.Reason) error {
	if !s.State.May(to) {
		return fmt.Errorf("%w: %s may not become %s", receipt.ErrMove, s.State, to)
	}
	result, err := t.run(`UPDATE life SET state = ?, attempts = ?, reason = ?, reason_detail = ?, changed_at = ?
		WHERE seq = ? AND state = ?`,
		to, s.Attempts, why.Code, why.Detail, millis(t.now), s.Seq, s.State)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, fmt.Errorf("%w: it is no longer %s", receipt.ErrMove, s.State))
	}
	s.State, s.Reason, s.ChangedAt = to, why, moment(millis(t.now))
	return t.tell(*s)
}

// explain gives another reason for a receipt's being where it is.
func (t *tx) explain(s *receipt.Stored, why receipt.Reason) error {
	if _, err := t.run(`UPDATE life SET reason = ?, reason_detail = ?, changed_at = ? WHERE seq = ?`, why.Code, why.Detail, millis(t.now), s.Seq); err != nil {
		return err
	}
	s.Reason, s.ChangedAt = why, moment(millis(t.now))
	return t.tell(*s)
}
