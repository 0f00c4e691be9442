package journal

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// Copy is a file that Backup has written, opened to be read.
type Copy struct{ db *sql.DB }

// OpenCopy opens one. It is not checked again, nor ever changed.
func OpenCopy(path string) (*Copy, error) {
	db, err := connect(path, "ro", 1)
	if err != nil {
		return nil, fmt.Errorf("open the copy: %w", err)
	}
	return &Copy{db}, nil
}

// Close closes the file.
func (c *Copy) Close() error { return c.db.Close() }

// History is all that a journal knows of one receipt.
type History struct {
	Seq        int64             `json:"seq"`
	Terminal   string            `json:"terminal"`
	ReceivedAt time.Time         `json:"received_at"`
	Receipt    receipt.Receipt   `json:"receipt"` // as it was understood
	Register   string            `json:"register"`
	State      receipt.State     `json:"state"`
	Reason     receipt.Reason    `json:"reason,omitzero"`
	Document   *receipt.Document `json:"document,omitempty"`
	Moves      []Move            `json:"moves"`
	Attempts   []Tried           `json:"attempts"`
}

// Move is one change of a receipt's state.
type Move struct {
	At     time.Time     `json:"at"`
	State  receipt.State `json:"state"`
	Reason string        `json:"reason,omitempty"`
	Detail string        `json:"detail,omitempty"`
}

// Tried is an attempt with what was sent in it, which has no secret.
type Tried struct {
	register.Try
	Address string `json:"address"`
	Route   string `json:"route"`
	Key     string `json:"key"`
	Sent    string `json:"sent"` // before it was signed
}

// during is a time from which and up to which, in milliseconds; zero is open.
func during(from, to time.Time) (low, high int64) {
	low, high = 0, math.MaxInt64
	if !from.IsZero() {
		low = millis(from)
	}
	if !to.IsZero() {
		high = millis(to)
	}
	return low, high
}

// Receipts tells of each receipt that anything became of in the time, in the
// order in which tills were told yes. It ends with tell's first error.
func (c *Copy) Receipts(from, to time.Time, tell func(History) error) error {
	low, high := during(from, to)
	seqs, err := column[int64](c.db, `SELECT DISTINCT receipt FROM record WHERE receipt IS NOT NULL AND at >= ? AND at < ? ORDER BY receipt`, low, high)
	if err != nil {
		return fmt.Errorf("read which receipts: %w", err)
	}
	for _, seq := range seqs {
		h, err := c.history(seq)
		if err != nil {
			return fmt.Errorf("read receipt %d: %w", seq, err)
		}
		if err := tell(h); err != nil {
			return err
		}
	}
	return nil
}

func (c *Copy) history(seq int64) (h History, err error) {
	s, err := load(c.db, bySeq, seq)
	if err != nil {
		return h, err
	}
	h = History{Seq: seq, Terminal: s.Terminal, ReceivedAt: s.ReceivedAt, Receipt: s.Receipt, Register: s.Register, State: s.State, Reason: s.Reason,
		Document: s.Document, Moves: []Move{}, Attempts: []Tried{}}
	all, err := tries(c.db, seq)
	if err != nil {
		return h, err
	}
	for _, t := range all {
		a, err := loadAttempt(c.db, seq, t.Number)
		if err != nil {
			return h, err
		}
		h.Attempts = append(h.Attempts, Tried{Try: t, Address: a.Address, Route: a.Request.Route, Key: a.Request.Key, Sent: string(a.Request.Body)})
	}
	rows, err := c.db.Query(`SELECT at, state, reason, detail FROM record WHERE receipt = ? ORDER BY seq`, seq)
	if err != nil {
		return h, err
	}
	defer rows.Close()
	for rows.Next() {
		var m Move
		var at int64
		if err := rows.Scan(&at, &m.State, &m.Reason, &m.Detail); err != nil {
			return h, err
		}
		m.At = moment(at)
		h.Moves = append(h.Moves, m)
	}
	return h, rows.Err()
}

// Reports tells of the X and Z reports of the time, oldest first, with the
// register's own words in Raw.
func (c *Copy) Reports(from, to time.Time, tell func(register.Reported) error) error {
	low, high := during(from, to)
	rows, err := c.db.Query(`SELECT register, kind, by, at, report, raw FROM report WHERE at >= ? AND at < ? ORDER BY id`, low, high)
	if err != nil {
		return fmt.Errorf("read the reports: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var r register.Reported
		var at int64
		var report, raw []byte
		if err := rows.Scan(&r.Register, &r.Kind, &r.By, &at, &report, &raw); err != nil {
			return fmt.Errorf("read a report: %w", err)
		}
		if err := json.Unmarshal(report, &r.Report); err != nil {
			return fmt.Errorf("read a report of %s: %w", r.Register, err)
		}
		r.At, r.Report.Raw = moment(at), raw
		if err := tell(r); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Acts tells of what people did in the time, oldest first.
func (c *Copy) Acts(from, to time.Time, tell func(receipt.Act) error) error {
	low, high := during(from, to)
	rows, err := c.db.Query(`SELECT n, at, terminal, who, role, what, subject, outcome FROM act WHERE at >= ? AND at < ? ORDER BY n`, low, high)
	if err != nil {
		return fmt.Errorf("read what people did: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		a, err := scanAct(rows)
		if err != nil {
			return fmt.Errorf("read what a person did: %w", err)
		}
		if err := tell(a); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Versions are those of what stands behind a journal.
type Versions struct {
	Schema    int                          `json:"schema"`
	Epochs    []string                     `json:"epochs"`    // why each began
	Registers map[string]register.Identity `json:"registers"` // as each said of itself last
}

// Versions tells them.
func (c *Copy) Versions() (v Versions, err error) {
	if err := c.db.QueryRow(`PRAGMA user_version`).Scan(&v.Schema); err != nil {
		return v, fmt.Errorf("read the schema's version: %w", err)
	}
	if v.Epochs, err = column[string](c.db, `SELECT cause FROM epoch ORDER BY number`); err != nil {
		return v, fmt.Errorf("read the epochs: %w", err)
	}
	v.Registers = map[string]register.Identity{}
	names, err := column[string](c.db, `SELECT register FROM pairing ORDER BY register`)
	if err != nil {
		return v, fmt.Errorf("read the registers: %w", err)
	}
	for _, name := range names {
		if v.Registers[name], err = identity(c.db, name); err != nil {
			return v, err
		}
	}
	return v, nil
}
