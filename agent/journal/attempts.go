package journal

import (
	"bytes"
	"compress/flate"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/mattn/go-sqlite3"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// Next gives the oldest receipt of a register that may be sent now, with its
// parent where that is here; receipt.ErrNotFound where there is none. A receipt
// whose parent is not fiscal yet is passed over.
func (j *Journal) Next(name string) (s receipt.Stored, parent *receipt.Stored, err error) {
	err = j.readTx(func(q queryer) error {
		s, err = load(q, nextQuery, name)
		if err != nil {
			return err
		}
		p, err := load(q, `WHERE r.seq = (SELECT parent FROM life WHERE seq = ?)`, s.Seq)
		switch {
		case err == nil:
			parent = &p
		case !errors.Is(err, receipt.ErrNotFound):
			return err
		}
		return nil
	})
	return s, parent, err
}

const (
	nextQuery = `WHERE r.seq = (SELECT l.seq FROM life l LEFT JOIN life p ON p.seq = l.parent
		WHERE l.register = (SELECT ?) AND l.state = 'waiting' AND l.` + queued + ` AND (l.parent IS NULL OR p.state = 'fiscal')
		ORDER BY l.seq LIMIT 1)`
	unfinishedQuery = `WHERE l.register = (SELECT ?) AND l.state IN ('sending', 'checking')`
	unprintedQuery  = `WHERE r.seq = (SELECT d.seq FROM document d CROSS JOIN life l USING (seq)
		WHERE d.printed = 0 AND l.register = (SELECT ?) ORDER BY d.seq DESC LIMIT 1)`
)

// Unfinished gives the one receipt of a register that was sent and has no
// answer, with its attempt; receipt.ErrNotFound where there is none.
func (j *Journal) Unfinished(name string) (s receipt.Stored, a register.Attempt, err error) {
	err = j.readTx(func(q queryer) error {
		s, err = load(q, unfinishedQuery, name)
		if err != nil {
			return err
		}
		a, err = loadAttempt(q, s.Seq, s.Attempts)
		return err
	})
	return s, a, err
}

// Unprinted gives the newest receipt of a register whose document did not come
// out on paper; receipt.ErrNotFound where there is none.
func (j *Journal) Unprinted(name string) (s receipt.Stored, err error) {
	err = j.readTx(func(q queryer) error {
		s, err = load(q, unprintedQuery, name)
		return err
	})
	return s, err
}

// Registers names every register that has something to do.
func (j *Journal) Registers() (names []string, err error) {
	err = j.readTx(func(q queryer) error {
		rows, err := q.Query(`SELECT DISTINCT register FROM life
			WHERE ` + queued + ` AND register IS NOT NULL`)
		if err != nil {
			return fmt.Errorf("list the registers with a queue: %w", err)
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			names = append(names, name)
		}
		return rows.Err()
	})
	return names, err
}

// Begin commits an attempt and takes its receipt to sending. Only after that
// may a byte leave.
func (j *Journal) Begin(a register.Attempt) error {
	baseline, err := json.Marshal(a.Baseline)
	if err != nil {
		return fmt.Errorf("write the baseline: %w", err)
	}
	request := deflate(a.Request.Body)
	err = j.writer.do(func(t *tx) error {
		s, err := load(t, bySeq, a.Seq)
		if err != nil {
			return err
		}
		if s.Register != a.Register {
			return fmt.Errorf("%w: it now belongs to register %q", receipt.ErrMove, s.Register)
		}
		if s.State != receipt.Waiting {
			return fmt.Errorf("%w: it is %s", receipt.ErrMove, s.State)
		}
		_, err = t.run(`INSERT INTO attempt (seq, number, register, serial, address, baseline, route, key, request, at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			a.Seq, a.Number, a.Register, a.Baseline.Serial, a.Address, string(baseline),
			a.Request.Route, a.Request.Key, request, millis(a.At))
		if err != nil {
			return err
		}
		s.Attempts = a.Number
		return t.move(&s, receipt.Sending, receipt.Reason{})
	})
	if err != nil {
		return fmt.Errorf("begin attempt %d of receipt %d: %w", a.Number, a.Seq, err)
	}
	return nil
}

// Conclude writes what became of an attempt: the proof, the document where one
// was made, and the receipt's new state, all or nothing. Error: receipt.ErrTaken
// where another receipt has this document already.
func (j *Journal) Conclude(a register.Attempt, c register.Conclusion) error {
	err := j.writer.do(func(t *tx) error {
		s, err := load(t, bySeq, a.Seq)
		if err != nil {
			return err
		}
		if s.Attempts != a.Number || s.State != receipt.Sending && s.State != receipt.Checking {
			return fmt.Errorf("%w: it is %s, after %d attempts", receipt.ErrMove, s.State, s.Attempts)
		}
		if !s.State.May(c.State) {
			return fmt.Errorf("%w: %s may not become %s", receipt.ErrMove, s.State, c.State)
		}
		// The document row is the proof of what was made at the first try.
		if c.Proof != register.ProofMade || s.State != receipt.Sending {
			if err := t.prove(a.Seq, a.Number, c.Proof, c.Text); err != nil {
				return err
			}
		}
		if c.State == receipt.Fiscal {
			if c.Document == nil {
				return errNoDocument
			}
			if err := t.document(&s, *c.Document); err != nil {
				return err
			}
		}
		switch {
		case c.InDoubt != "":
			err = t.inDoubt(a.Register, c.InDoubt)
		case c.State == receipt.Held:
			_, err = t.run(`INSERT OR REPLACE INTO doubt (seq) VALUES (?)`, a.Seq)
		}
		if err != nil {
			return err
		}
		return t.move(&s, c.State, c.Reason)
	})
	if err != nil {
		return fmt.Errorf("conclude attempt %d of receipt %d: %w", a.Number, a.Seq, err)
	}
	return nil
}

var errNoDocument = errors.New("it cannot be fiscal without a document")

// Observe adds to what is known of an open attempt without deciding anything.
func (j *Journal) Observe(a register.Attempt, text string) error {
	err := j.writer.do(func(t *tx) error { return t.prove(a.Seq, a.Number, register.ProofUnclear, text) })
	if err != nil {
		return fmt.Errorf("note on attempt %d of receipt %d: %w", a.Number, a.Seq, err)
	}
	return nil
}

// Hold leaves a waiting receipt to a person. Error: receipt.ErrMove.
func (j *Journal) Hold(seq int64, why receipt.Reason) error {
	return j.writer.do(func(t *tx) error {
		s, err := load(t, bySeq, seq)
		if err != nil {
			return err
		}
		return t.move(&s, receipt.Held, why)
	})
}

// Printed notes that paper of a fiscal receipt has come out after all.
func (j *Journal) Printed(seq int64) error {
	return j.writer.do(func(t *tx) error {
		result, err := t.run(`UPDATE document SET printed = 1 WHERE seq = ? AND printed = 0`, seq)
		if err != nil {
			return err
		}
		s, err := load(t, bySeq, seq)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return err // it is known already
		}
		return t.tell(s)
	})
}

// Bind gives what waits of a terminal to a register: what was never bound, and
// what waits for another one. What is on its way stays with the register that
// has it.
func (j *Journal) Bind(terminal, name string) (moved int64, err error) {
	err = j.writer.do(func(t *tx) error {
		result, err := t.run(bindQuery, name, name, terminal)
		if err != nil {
			return err
		}
		if moved, err = result.RowsAffected(); moved > 0 {
			t.touched = append(t.touched, touched{terminal: terminal, register: name})
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("bind the waiting receipts of %s to %s: %w", terminal, name, err)
	}
	return moved, nil
}

const bindQuery = `UPDATE life INDEXED BY life_queue SET register = ?
	WHERE state = 'waiting' AND ` + queued + ` AND register IS NOT ?
	AND (SELECT terminal FROM receipt r WHERE r.seq = life.seq) = ?`

func (t *tx) prove(seq int64, number int, proof register.Proof, text string) error {
	_, err := t.run(`INSERT INTO evidence (seq, number, n, proof, text, at)
		SELECT ?, ?, 1 + count(*), ?, ?, ? FROM evidence WHERE seq = ? AND number = ?`,
		seq, number, proof, text, millis(t.now), seq, number)
	return err
}

func (t *tx) document(s *receipt.Stored, d receipt.Document) error {
	_, err := t.run(`INSERT INTO document (seq, serial, fiscal_id, short_id, number, register_id, shift, url, printed, at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		s.Seq, d.RegisterSerial, d.FiscalID, d.ShortID, d.Number, d.RegisterID, d.Shift, d.URL, d.Printed, millis(d.At))
	var e sqlite3.Error
	if errors.As(err, &e) && e.ExtendedCode == sqlite3.ErrConstraintUnique {
		return fmt.Errorf("%w: %s of %s", receipt.ErrTaken, d.FiscalID, d.RegisterSerial)
	}
	s.Document = &d
	return err
}

const attemptQuery = `SELECT register, address, baseline, route, key, request, at FROM attempt WHERE seq = ? AND number = ?`

func loadAttempt(q queryer, seq int64, number int) (a register.Attempt, err error) {
	var baseline, request []byte
	var at int64
	err = q.QueryRow(attemptQuery, seq, number).
		Scan(&a.Register, &a.Address, &baseline, &a.Request.Route, &a.Request.Key, &request, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return a, fmt.Errorf("read attempt %d of receipt %d: %w", number, seq, receipt.ErrNotFound)
	}
	if err != nil {
		return a, fmt.Errorf("read attempt %d of receipt %d: %w", number, seq, err)
	}
	if err := json.Unmarshal(baseline, &a.Baseline); err != nil {
		return a, fmt.Errorf("read the baseline of receipt %d: %w", seq, err)
	}
	if a.Request.Body, err = inflate(request); err != nil {
		return a, fmt.Errorf("read the request of receipt %d: %w", seq, err)
	}
	a.Seq, a.Number, a.At = seq, number, moment(at)
	return a, nil
}

// Requests are deflated: they are the largest thing that an attempt writes to
// the SD card, and JSON shrinks to a third.
var deflaters = sync.Pool{New: func() any {
	w, err := flate.NewWriter(io.Discard, flate.BestSpeed)
	if err != nil { // only a bad level fails
		panic(err)
	}
	return w
}}

func deflate(b []byte) []byte {
	var out bytes.Buffer
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(&out)
	_, _ = w.Write(b) // a bytes.Buffer takes everything
	_ = w.Close()
	return out.Bytes()
}

func inflate(b []byte) ([]byte, error) { return io.ReadAll(flate.NewReader(bytes.NewReader(b))) }
