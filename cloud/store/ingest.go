package store

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
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

// line is an agent's epoch.
type line struct {
	agent string
	epoch int64
}

func (l line) compare(m line) int {
	return cmp.Or(cmp.Compare(l.agent, m.agent), cmp.Compare(l.epoch, m.epoch))
}

// stream is how far a line is stored.
type stream struct {
	upTo, top int64
	ack       wire.Ack
	changed   bool
}

// entry is a record with what was read from its data.
type entry struct {
	wire.Record
	body any
	bad  string // why its data cannot be read
}

func (e entry) line() line { return line{e.Agent, e.Epoch} }

func compareEntries(a, b entry) int {
	return cmp.Or(a.line().compare(b.line()), cmp.Compare(a.Seq, b.Seq))
}

// same says whether two records of one number are one record.
func same(a, b wire.Record) bool {
	return a.V == b.V && a.Type == b.Type && a.Time.UnixMicro() == b.Time.UnixMicro() && bytes.Equal(a.Data, b.Data)
}

// standsIn says that a record was told in place of one that cannot be told. It
// is none of a clone's, whichever of the two came first.
func standsIn(r wire.Record) bool {
	if r.Type != wire.RecordAlert {
		return false
	}
	body, err := r.Body()
	a, ok := body.(*wire.Alert)
	return err == nil && ok && (a.Code == wire.AlertQuarantined || a.Code == wire.AlertRecordLost)
}

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

// readAll reads the records' data, on all cores, and sorts them by agent, epoch
// and number. Those that cannot be numbered are none.
func readAll(records []wire.Record) []entry {
	entries := make([]entry, 0, len(records))
	for _, r := range records {
		if wire.ValidAgent(r.Agent) && r.Epoch >= 1 && r.Seq >= 1 {
			r.Type = text(r.Type)
			entries = append(entries, entry{Record: r})
		}
	}
	const few = 64
	var wg sync.WaitGroup
	for part := range slices.Chunk(entries, max(few, 1+len(entries)/runtime.GOMAXPROCS(0))) {
		wg.Go(func() {
			for i := range part {
				part[i].read()
			}
		})
	}
	wg.Wait()
	slices.SortStableFunc(entries, compareEntries)
	return entries
}

func (e *entry) read() {
	body, err := e.Body()
	if err != nil {
		e.bad = err.Error()
		return
	}
	e.body, e.bad = body, faulty(body)
}

// faulty says why a body cannot be used, or nothing.
func faulty(body any) string {
	switch b := body.(type) {
	case *wire.Receipt:
		switch {
		case !validKey(b.ID) || !validKey(b.Terminal):
			return "a receipt without a proper id or terminal"
		case b.State == "" || b.Kind == "":
			return "a receipt without state or kind"
		}
		if _, ok := qepik(b.Total); !ok {
			return "a receipt whose total is no amount of money"
		}
	case *wire.Alert:
		if !validKey(b.Code) || len(b.Register) > maxKey {
			return "an alert without a proper code or register"
		}
	}
	return ""
}

func validKey(s string) bool { return s != "" && len(s) <= maxKey && text(s) == s }

// qepik reads decimal text with at most two decimals.
func qepik(s string) (int64, bool) {
	whole, part, point := strings.Cut(s, ".")
	if point && (len(part) < 1 || len(part) > 2) || len(whole) < 1 || len(whole) > 15 {
		return 0, false
	}
	digits := whole + (part + "00")[:2]
	if strings.ContainsFunc(strings.TrimPrefix(digits, "-"), func(c rune) bool { return c < '0' || c > '9' }) {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil
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

// newer is the value of each column where the row that comes is of a higher
// number than the one that is there.
func newer(table string, columns ...string) string {
	var sets []string
	for _, c := range columns {
		sets = append(sets, fmt.Sprintf("%s = CASE WHEN (excluded.epoch, excluded.seq) > (%s.epoch, %s.seq) THEN excluded.%s ELSE %s.%s END", c, table, table, c, table, c))
	}
	return strings.Join(sets, ", ")
}

// What a deleted record left behind goes with the state that it told of.
var receiptTail = `ON CONFLICT (agent, terminal, id) DO UPDATE SET
	content_epoch = coalesce(receipt.content_epoch, excluded.content_epoch), content_seq = coalesce(receipt.content_seq, excluded.content_seq), ` +
	newer("receipt", "changed_at", "received_at", "stored_at", "state", "kind", "total", "fiscal_at", "data", "epoch", "seq")

func (in *ingestion) receipts() error {
	type key struct{ agent, terminal, id string }
	last := map[key]int{} // position below
	var rows []entry
	var contentEpochs, contentSeqs []*int64
	for _, e := range in.fresh { // by number: the last one is the newest
		r, ok := e.body.(*wire.Receipt)
		if !ok || e.bad != "" {
			continue
		}
		k := key{e.Agent, r.Terminal, r.ID}
		n, ok := last[k]
		if !ok {
			n = len(rows)
			last[k] = n
			rows, contentEpochs, contentSeqs = append(rows, e), append(contentEpochs, nil), append(contentSeqs, nil)
		}
		rows[n] = e
		if contentSeqs[n] == nil && r.Content != nil {
			contentEpochs[n], contentSeqs[n] = &e.Epoch, &e.Seq
		}
	}
	if len(rows) == 0 {
		return nil
	}
	var agents, terminals, ids, states, kinds []string
	var epochs, seqs, changed, received, stored, totals []int64
	var fiscal []*int64
	for _, e := range rows {
		r := e.body.(*wire.Receipt)
		total, _ := qepik(r.Total) // faulty has looked
		var made *int64
		if r.Document != nil {
			m := micro(r.Document.At)
			made = &m
		}
		agents, terminals, ids = append(agents, e.Agent), append(terminals, r.Terminal), append(ids, r.ID)
		epochs, seqs = append(epochs, e.Epoch), append(seqs, e.Seq)
		changed, received, stored = append(changed, micro(e.Time)), append(received, micro(r.ReceivedAt)), append(stored, micro(in.now))
		states, kinds, totals = append(states, text(r.State)), append(kinds, text(r.Kind)), append(totals, total)
		fiscal = append(fiscal, made)
	}
	return in.tx.s.insert(in.tx, "receipt", []column{
		{"agent", agents}, {"terminal", terminals}, {"id", ids}, {"epoch", epochs}, {"seq", seqs},
		{"changed_at", changed}, {"received_at", received}, {"stored_at", stored}, {"state", states}, {"kind", kinds},
		{"total", totals}, {"fiscal_at", fiscal}, {"content_epoch", contentEpochs}, {"content_seq", contentSeqs},
	}, receiptTail)
}

func (in *ingestion) shifts() error {
	var agents []string
	var epochs, seqs, closed, stored []int64
	var data [][]byte
	for _, e := range in.fresh {
		r, ok := e.body.(*wire.ShiftReport)
		if !ok || e.bad != "" || e.Type != wire.RecordShiftClosed {
			continue
		}
		agents, epochs, seqs = append(agents, e.Agent), append(epochs, e.Epoch), append(seqs, e.Seq)
		closed, stored, data = append(closed, micro(r.ClosedAt)), append(stored, micro(in.now)), append(data, e.Data)
		if len(r.Differences) > 0 {
			in.alert(e.Record, r.Register, AlertDifference, fmt.Sprintf("shift %s: %d figures of the register differ from the journal", text(r.Shift), len(r.Differences)))
		}
	}
	if len(agents) == 0 {
		return nil
	}
	return in.tx.s.insert(in.tx, "shift_report", []column{
		{"agent", agents}, {"epoch", epochs}, {"seq", seqs}, {"closed_at", closed}, {"stored_at", stored}, {"data", data},
	}, "")
}

// health keeps each agent's newest, and the epoch that it tells of.
func (in *ingestion) health() error {
	epochs := map[string]int64{}
	told := map[string]entry{}
	for _, e := range in.fresh { // by number
		epochs[e.Agent] = e.Epoch
		switch b := e.body.(type) {
		case *wire.Health:
			if e.bad == "" {
				told[e.Agent] = e
			}
		case *wire.Alert:
			if e.bad == "" {
				in.alert(e.Record, b.Register, b.Code, b.Detail)
			}
		}
	}
	for _, agent := range slices.Sorted(maps.Keys(epochs)) {
		if e, ok := told[agent]; ok {
			err := in.tx.exec(`UPDATE agent SET health = ?2, health_at = ?3, health_epoch = ?4, health_seq = ?5
				WHERE id = ?1 AND (health_epoch < ?4 OR health_epoch = ?4 AND health_seq < ?5)`, agent, []byte(e.Data), micro(in.now), e.Epoch, e.Seq)
			if err != nil {
				return err
			}
		}
	}
	for l, st := range in.streams {
		if st.top == 0 { // the first of an epoch
			if err := in.tx.exec(`UPDATE agent SET epoch = ?2 WHERE id = ?1 AND epoch < ?2`, l.agent, l.epoch); err != nil {
				return err
			}
		}
	}
	return nil
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

// alertKey: of one, the first is raised.
type alertKey struct{ agent, register, code string }

func (in *ingestion) alert(r wire.Record, register, code, detail string) {
	k := alertKey{r.Agent, short(register), short(code)}
	if _, ok := in.alerts[k]; ok {
		return
	}
	raised := in.now
	if r.Time.Before(raised) && raised.Sub(r.Time) < 90*24*time.Hour { // a clock that is older is wrong
		raised = r.Time
	}
	in.alerts[k] = fleet.Alert{Agent: r.Agent, Venue: in.venues[r.Agent], Register: k.register, Code: k.code, Detail: text(detail), RaisedAt: raised}
}

// short bounds what is indexed.
func short(s string) string {
	if len(s) > maxKey {
		s = s[:maxKey]
	}
	return text(s)
}

// raise notes the alerts. What a record tells has happened again: a person who
// has acknowledged the last one is told once more.
func (in *ingestion) raise() error {
	keys := slices.SortedFunc(maps.Keys(in.alerts), func(a, b alertKey) int {
		return cmp.Or(cmp.Compare(a.agent, b.agent), cmp.Compare(a.register, b.register), cmp.Compare(a.code, b.code))
	})
	for _, k := range keys {
		err := in.tx.exec(`UPDATE alert SET ended_at = ?4 WHERE agent = ?1 AND register = ?2 AND code = ?3 AND ended_at IS NULL AND acknowledged_at IS NOT NULL`,
			k.agent, k.register, k.code, micro(in.now))
		if err != nil {
			return err
		}
		if _, err := in.tx.raise(in.alerts[k]); err != nil {
			return err
		}
	}
	return nil
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
