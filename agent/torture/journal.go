package torture

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	_ "github.com/mattn/go-sqlite3" // reads the file as anybody could, not as the journal does
)

// Row is a receipt as it stands in the journal's file.
type Row struct {
	Seq                                 int64
	Terminal, ID, State, FiscalID, Kind string
	Documents, Attempts                 int
	Took                                time.Duration // from the yes to the last change
	Recorded                            string        // the state that the cloud will be told last
}

// Journal is what stands in the journal's file.
type Journal struct {
	Rows   []Row    // by seq
	Damage []string // what integrity_check, foreign_key_check and counting found

	History map[string][]string // by id: what was learned of each attempt, for people
	Awaited map[string]string   // by id: the receipts whose answers it was held for
}

// readJournal reads the file without changing it; no agent may be running.
func readJournal(path string) (j Journal, err error) {
	db, err := sql.Open("sqlite3", "file:"+path+"?mode=ro&_query_only=on")
	if err != nil {
		return j, err
	}
	defer db.Close()
	for _, pragma := range []string{"integrity_check", "foreign_key_check"} {
		found, err := texts(db, "PRAGMA "+pragma)
		if err != nil {
			return j, fmt.Errorf("read the journal: %s: %w", pragma, err)
		}
		if pragma == "foreign_key_check" || !slices.Equal(found, []string{"ok"}) {
			j.Damage = append(j.Damage, found...)
		}
	}
	gaps, err := texts(db, `SELECT 'records '||min(seq)||'…'||max(seq)||', '||count(*)||' of them' FROM record HAVING min(seq) <> 1 OR max(seq) <> count(*)`)
	if err != nil {
		return j, fmt.Errorf("read the journal: %w", err)
	}
	j.Damage = append(j.Damage, gaps...)
	if j.History, err = histories(db); err != nil {
		return j, fmt.Errorf("read the journal: %w", err)
	}
	if j.Awaited, err = awaited(db); err != nil {
		return j, fmt.Errorf("read the journal: %w", err)
	}
	rows, err := db.Query(`
		SELECT r.seq, r.terminal, r.id, r.kind, l.state, l.changed_at - r.received_at, l.attempts,
		  (SELECT count(*) FROM document d WHERE d.seq = r.seq),
		  coalesce((SELECT fiscal_id FROM document d WHERE d.seq = r.seq), ''),
		  coalesce(c.state, '')
		FROM receipt r LEFT JOIN life l USING (seq)
		LEFT JOIN (SELECT receipt, state, max(seq) FROM record WHERE type IN ('receipt', 'cash') GROUP BY receipt) c ON c.receipt = r.seq
		ORDER BY r.seq`)
	if err != nil {
		return j, fmt.Errorf("read the journal: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var r Row
		var ms int64
		if err := rows.Scan(&r.Seq, &r.Terminal, &r.ID, &r.Kind, &r.State, &ms, &r.Attempts, &r.Documents, &r.FiscalID, &r.Recorded); err != nil {
			return j, fmt.Errorf("read the journal: %w", err)
		}
		r.ID = strings.TrimPrefix(r.ID, "cash/")
		r.Took = time.Duration(ms) * time.Millisecond
		j.Rows = append(j.Rows, r)
	}
	return j, rows.Err()
}

func histories(db *sql.DB) (map[string][]string, error) {
	rows, err := db.Query(`SELECT r.id, 'attempt '||e.number||', '||strftime('%H:%M:%f', e.at / 1000.0, 'unixepoch')||', '||e.proof||': '||e.text
		FROM evidence e JOIN receipt r USING (seq) ORDER BY e.seq, e.number, e.n`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[string][]string{}
	for rows.Next() {
		var id, text string
		if err := rows.Scan(&id, &text); err != nil {
			return nil, err
		}
		id = strings.TrimPrefix(id, "cash/")
		all[id] = append(all[id], text)
	}
	return all, rows.Err()
}

func awaited(db *sql.DB) (map[string]string, error) {
	rows, err := db.Query(`SELECT r.id, b.detail FROM record b JOIN receipt r ON r.seq = b.receipt WHERE b.state = 'held' AND b.reason = 'waits_for_answer'`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[string]string{}
	for rows.Next() {
		var id, others string
		if err := rows.Scan(&id, &others); err != nil {
			return nil, err
		}
		all[strings.TrimPrefix(id, "cash/")] = others
	}
	return all, rows.Err()
}

func texts(db *sql.DB, query string) (list []string, err error) {
	rows, err := db.Query(query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		values := make([]any, len(columns))
		for n := range values {
			values[n] = new(sql.NullString)
		}
		if err := rows.Scan(values...); err != nil {
			return nil, err
		}
		var words []string
		for _, v := range values {
			words = append(words, v.(*sql.NullString).String)
		}
		list = append(list, strings.Join(words, " "))
	}
	return list, errors.Join(rows.Err(), rows.Close())
}

// journal judges the file: whole, in the tills' order, and of the agent's opinion.
func (v *Verdict) journal(c Case) {
	for _, damage := range c.Journal.Damage {
		v.say(Wrong, "", "the journal's file: %s", damage)
	}
	rows, order := map[string]Row{}, map[string][]string{}
	for _, r := range c.Journal.Rows {
		rows[r.Terminal+" "+r.ID] = r
		order[r.Terminal] = append(order[r.Terminal], r.ID)
		if (r.State == "fiscal") != (r.Documents == 1) {
			v.say(Wrong, r.ID, "%s: the journal says %s and has %d documents", r.ID, r.State, r.Documents)
		}
		if r.Recorded != r.State {
			v.say(Wrong, r.ID, "%s: the journal says %s, and the cloud will be told %q last", r.ID, r.State, r.Recorded)
		}
	}
	for _, e := range c.Shops {
		var told []string
		for _, t := range e.Told {
			r, ok := rows[e.Terminal+" "+t.ID]
			if !ok {
				v.say(Lost, t.ID, "%s: the till was told %v, and it is not in the journal's file", t.ID, t.Heard)
				continue
			}
			told = append(told, t.ID)
			if s, ok := e.API[t.ID]; ok && (s.State != r.State || s.Document.FiscalID != r.FiscalID) {
				v.say(Wrong, t.ID, "%s: the agent says %s %q, its journal %s %q", t.ID, s.State, s.Document.FiscalID, r.State, r.FiscalID)
			}
		}
		var stands []string
		for _, id := range order[e.Terminal] {
			if slices.Contains(e.Unsure, id) {
				continue
			}
			stands = append(stands, id)
		}
		for n := range min(len(told), len(stands)) {
			if told[n] != stands[n] {
				v.say(OutOfOrder, told[n], "%s was told yes as number %d of %s, and the journal has %s there", told[n], n+1, e.Terminal, stands[n])
				break
			}
		}
	}
}
