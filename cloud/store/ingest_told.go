package store

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ekassa/cloud/fleet"
	"ekassa/cloud/wire"
)

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
