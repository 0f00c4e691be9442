package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"time"

	"ekassa/cloud/fleet"
	"ekassa/cloud/wire"
)

// Alerts that the store raises itself.
const (
	// AlertCloned: a number came again with other content, as from a copied card.
	AlertCloned = "cloned_card"
	// AlertUnreadable: a record's data cannot be read; it is stored as it came.
	AlertUnreadable = "unreadable_record"
	// AlertDifference: a closed shift's figures differ from the agent's journal.
	AlertDifference = "shift_difference"
)

const (
	// maxMissing bounds an ack. What is missing beyond is asked for later.
	maxMissing = 32
	// maxKey bounds what is looked up by: PostgreSQL indexes no more than 2.7 KB.
	maxKey = 200
)

func (s *store) Ingest(ctx context.Context, records []wire.Record) ([]Stored, error) {
	entries := readAll(records)
	var stored []Stored
	err := s.tx(ctx, func(tx *tx) error {
		in := ingestion{tx: tx, now: s.now(), alerts: map[alertKey]fleet.Alert{}}
		var err error
		stored, err = in.run(entries)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("store %d records: %w", len(records), err)
	}
	return stored, nil
}

// ingestion is one batch in its transaction.
type ingestion struct {
	tx      *tx
	now     time.Time
	venues  map[string]string // by agent, of those that may tell something
	streams map[line]*stream
	fresh   []entry
	alerts  map[alertKey]fleet.Alert
}

func (in *ingestion) run(entries []entry) ([]Stored, error) {
	if err := in.hold(entries); err != nil {
		return nil, err
	}
	entries = slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { _, ok := in.venues[e.Agent]; return !ok })
	if err := in.known(entries); err != nil {
		return nil, fmt.Errorf("read what is stored: %w", err)
	}
	if err := in.sift(entries); err != nil {
		return nil, fmt.Errorf("compare with what is stored: %w", err)
	}
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"records", in.records}, {"receipts", in.receipts}, {"shift reports", in.shifts},
		{"how agents are", in.health}, {"how far it is stored", in.advance}, {"alerts", in.raise},
	} {
		if err := step.do(); err != nil {
			return nil, fmt.Errorf("write %s: %w", step.what, err)
		}
	}
	var stored []Stored
	for _, l := range slices.SortedFunc(maps.Keys(in.streams), line.compare) {
		st := in.streams[l]
		stored = append(stored, Stored{l.agent, st.ack})
	}
	return stored, nil
}

// hold takes the rows of the batch's agents, in order, so that two workers
// neither write about the same agent at once nor wait for each other.
func (in *ingestion) hold(entries []entry) error {
	var agents []string
	for _, e := range entries {
		agents = append(agents, e.Agent)
	}
	agents = slices.Compact(agents)
	in.venues = map[string]string{}
	rows, err := in.tx.rows(`SELECT id, venue FROM agent WHERE `+in.tx.s.among("id")+` AND revoked = 0 ORDER BY id`+in.tx.s.lock, in.tx.s.list(agents))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, venue string
		if err := rows.Scan(&id, &venue); err != nil {
			return err
		}
		in.venues[id] = venue
	}
	return rows.Err()
}

// known reads how far the batch's lines are stored.
func (in *ingestion) known(entries []entry) error {
	in.streams = map[line]*stream{}
	for _, e := range entries {
		in.streams[e.line()] = &stream{}
	}
	rows, err := in.tx.rows(`SELECT agent, epoch, up_to, top FROM stream WHERE `+in.tx.s.among("agent"), in.tx.s.list(slices.Sorted(maps.Keys(in.venues))))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var l line
		var st stream
		if err := rows.Scan(&l.agent, &l.epoch, &st.upTo, &st.top); err != nil {
			return err
		}
		if of := in.streams[l]; of != nil {
			*of = st
		}
	}
	return rows.Err()
}

// sift keeps the records that are not stored, and compares the others with
// what is. Above a line's top nothing is stored, so an agent that tells one
// thing after the other costs no look.
func (in *ingestion) sift(entries []entry) error {
	var again []entry
	for i, e := range entries {
		switch st := in.streams[e.line()]; {
		case i > 0 && compareEntries(entries[i-1], e) == 0:
			in.compare(entries[i-1].Record, e.Record)
		case e.Seq > st.top:
			in.fresh = append(in.fresh, e)
		default:
			again = append(again, e)
		}
	}
	for len(again) > 0 { // what lies close together is read together
		const close = 16
		n := 1
		for n < len(again) && again[n].line() == again[0].line() && again[n].Seq-again[n-1].Seq < close {
			n++
		}
		stored, err := in.read(again[0].line(), again[0].Seq, again[n-1].Seq)
		if err != nil {
			return err
		}
		for _, e := range again[:n] {
			switch old, ok := stored[e.Seq]; {
			case ok:
				in.compare(old, e.Record)
			case e.Seq > in.streams[e.line()].upTo:
				in.fresh = append(in.fresh, e)
			} // otherwise it was stored, and deleted since
		}
		again = again[n:]
	}
	slices.SortFunc(in.fresh, compareEntries)
	return nil
}

func (in *ingestion) read(l line, from, to int64) (map[int64]wire.Record, error) {
	rows, err := in.tx.rows(`SELECT seq, v, type, time, data FROM record WHERE agent = ?1 AND epoch = ?2 AND seq BETWEEN ?3 AND ?4`, l.agent, l.epoch, from, to)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	stored := map[int64]wire.Record{}
	for rows.Next() {
		var r wire.Record
		if err := rows.Scan(&r.Seq, &r.V, &r.Type, at{&r.Time}, (*[]byte)(&r.Data)); err != nil {
			return nil, err
		}
		stored[r.Seq] = r
	}
	return stored, rows.Err()
}

func (in *ingestion) compare(old, r wire.Record) {
	if !same(old, r) && !standsIn(old) && !standsIn(r) {
		in.alert(r, "", AlertCloned, fmt.Sprintf("record %d of epoch %d came again with other content: two cards are copies of each other, or a backup was put back", r.Seq, r.Epoch))
	}
}

func (in *ingestion) records() error {
	if len(in.fresh) == 0 {
		return nil
	}
	var agents, types []string
	var epochs, seqs, versions, times, received []int64
	var data [][]byte
	for _, e := range in.fresh {
		agents, epochs, seqs = append(agents, e.Agent), append(epochs, e.Epoch), append(seqs, e.Seq)
		versions, types, times = append(versions, int64(e.V)), append(types, e.Type), append(times, micro(e.Time))
		received, data = append(received, micro(in.now)), append(data, orEmpty(e.Data))
		if e.bad != "" {
			in.alert(e.Record, "", AlertUnreadable, fmt.Sprintf("record %d of epoch %d: %s", e.Seq, e.Epoch, e.bad))
		}
	}
	return in.tx.s.insert(in.tx, "record", []column{
		{"agent", agents}, {"epoch", epochs}, {"seq", seqs}, {"v", versions}, {"type", types}, {"time", times}, {"received_at", received}, {"data", data},
	}, "")
}

func orEmpty(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}

// advance says how far each line is stored now.
func (in *ingestion) advance() error {
	for _, e := range in.fresh { // by number
		st := in.streams[e.line()]
		st.changed = true
		if st.upTo == st.top && e.Seq == st.upTo+1 {
			st.upTo++
		}
		st.top = max(st.top, e.Seq)
	}
	var agents []string
	var epochs, upTo, tops []int64
	for _, l := range slices.SortedFunc(maps.Keys(in.streams), line.compare) {
		st := in.streams[l]
		st.ack = wire.Ack{Epoch: l.epoch, UpTo: st.upTo}
		if st.upTo < st.top {
			if err := islands(in.tx.rows(islandsQuery, l.agent, l.epoch, st.upTo))(&st.ack); err != nil {
				return err
			}
			st.upTo = st.ack.UpTo
		}
		if st.changed {
			agents, epochs, upTo, tops = append(agents, l.agent), append(epochs, l.epoch), append(upTo, st.upTo), append(tops, st.top)
		}
	}
	if len(agents) == 0 {
		return nil
	}
	return in.tx.s.insert(in.tx, "stream", []column{{"agent", agents}, {"epoch", epochs}, {"up_to", upTo}, {"top", tops}},
		"ON CONFLICT (agent, epoch) DO UPDATE SET up_to = excluded.up_to, top = excluded.top")
}

// islandsQuery gives the runs of numbers that are stored above one.
var islandsQuery = fmt.Sprintf(`SELECT min(seq), max(seq) FROM
	(SELECT seq, seq - row_number() OVER (ORDER BY seq) AS island FROM record WHERE agent = ?1 AND epoch = ?2 AND seq > ?3) AS numbers
	GROUP BY island ORDER BY 1 LIMIT %d`, maxMissing+1)

// islands completes an ack with what is stored above its UpTo.
func islands(rows *sql.Rows, err error) func(a *wire.Ack) error {
	return func(a *wire.Ack) error {
		if err != nil {
			return err
		}
		defer rows.Close()
		end := a.UpTo
		for rows.Next() {
			var from, to int64
			if err := rows.Scan(&from, &to); err != nil {
				return err
			}
			switch {
			case from == a.UpTo+1:
				a.UpTo = to
			case len(a.Missing) < maxMissing:
				a.Missing, a.Top = append(a.Missing, wire.Range{From: end + 1, To: from - 1}), to
			}
			end = to
		}
		return rows.Err()
	}
}

func (s *store) Acks(ctx context.Context, agent string) ([]wire.Ack, error) {
	type known struct {
		wire.Ack
		top int64
	}
	streams, err := all[known](s.rows(ctx, `SELECT epoch, up_to, top FROM stream WHERE agent = ?1 ORDER BY epoch`, agent))(func(r scanner) (k known, err error) {
		return k, r.Scan(&k.Epoch, &k.UpTo, &k.top)
	})
	if err != nil {
		return nil, fmt.Errorf("read how far %s is stored: %w", agent, err)
	}
	acks := []wire.Ack{}
	for _, k := range streams {
		if k.UpTo < k.top {
			if err := islands(s.rows(ctx, islandsQuery, agent, k.Epoch, k.UpTo))(&k.Ack); err != nil {
				return nil, fmt.Errorf("read how far %s is stored: %w", agent, err)
			}
		}
		acks = append(acks, k.Ack)
	}
	return acks, nil
}
