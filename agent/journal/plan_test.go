package journal

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ekassa/agent/receipt"
)

func TestQueries_UseTheirIndex(t *testing.T) {
	j := fresh(t)
	for name, c := range map[string]struct{ query, want string }{
		"Next":        {columns + nextQuery, "life_queue"},
		"Unfinished":  {columns + unfinishedQuery, "life_open"},
		"Unprinted":   {columns + unprintedQuery, "document_unprinted"},
		"Queue":       {queueQuery, "life_queue"},
		"held":        {personQuery, "life_person"},
		"Unbound":     {unboundQuery, "life_queue"},
		"Bind":        {bindQuery, "life_queue"},
		"HoldWaiting": {columns + waitingQuery, "life_queue"},
		"children":    {columns + childrenQuery, "life_queue"},
		"made":        {columns + madeQuery, "document_shift"},
		"during":      {columns + duringQuery, "INTEGER PRIMARY KEY"},
		"doubtful":    {doubtfulQuery, "INTEGER PRIMARY KEY"},
		"Reports":     {reportsQuery, "report_newest"},
		"Accept":      {knownQuery, "sqlite_autoindex_receipt_1"},
		"Get":         {columns + `WHERE r.terminal = ? AND r.id = ?`, "sqlite_autoindex_receipt_1"},
		"by number":   {columns + `WHERE r.seq = ?`, "INTEGER PRIMARY KEY"},
		"Changes":     {changesQuery, "INTEGER PRIMARY KEY"},
		"records":     {recordsQuery, "INTEGER PRIMARY KEY"},
		"attempt":     {attemptQuery, "PRIMARY KEY (seq=? AND number=?)"},
		"Acts":        {actsQuery, "act_newest"},
		"Tries":       {triesQuery, "PRIMARY KEY (seq=?)"},
	} {
		arguments := make([]any, strings.Count(c.query, "?"))
		if strings.Contains(c.query, "?1") {
			arguments = arguments[:1]
		}
		db := j.read
		rows, err := db.Query(`EXPLAIN QUERY PLAN `+c.query, arguments...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var plan []string
		for rows.Next() {
			var id, parent, unused int
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, step)
			for _, table := range []string{"receipt", "life", "document", "record", "attempt", "r", "l", "p", "d", "q", "c"} {
				// A partial index may be read from end to end: it is as long as the queue.
				if step == "SCAN "+table || strings.HasPrefix(step, "SCAN "+table+" ") &&
					!strings.Contains(step, "life_queue") && !strings.Contains(step, "document_unprinted") {
					t.Errorf("%s reads all of a table: %s", name, step)
				}
			}
			if strings.Contains(step, "TEMP B-TREE") {
				t.Errorf("%s sorts: %s", name, step)
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
		if all := strings.Join(plan, "; "); !strings.Contains(all, c.want) {
			t.Errorf("%s does not use %s: %s", name, c.want, all)
		}
	}
}

func TestQueries_StayFastInALongLife(t *testing.T) {
	const old = 100_000
	dir := filepath.Join(t.TempDir(), "data")
	j := open(t, dir)
	for n := range 5 {
		sale(t, j, fmt.Sprint("first", n))
	}
	to(t, j, "held", receipt.Held)
	// A year's receipts at once; only the triggers are in the way.
	err := j.writer.do(func(tx *tx) error {
		for _, s := range []string{
			`CREATE TEMP TABLE many AS WITH RECURSIVE n (i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 99 + ` + fmt.Sprint(old) + `) SELECT i FROM n`,
			`INSERT INTO receipt SELECT i, epoch, terminal, 'old' || i, kind, received_at, said, meant, content FROM receipt, many WHERE seq = 1`,
			`INSERT INTO life (seq, register, state, changed_at) SELECT i, 'kassa-1', 'non_fiscal', 0 FROM many`,
			`INSERT INTO record (at, type, receipt, state) SELECT 0, 'receipt', i, 'non_fiscal' FROM many`,
			`DROP TABLE many`,
		} {
			if _, err := tx.run(s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	for _, state := range []receipt.State{receipt.Fiscal, receipt.Held, receipt.Waiting} {
		to(t, j, "new-"+string(state), state)
	}
	for name, call := range map[string]func() error{
		"Next":       func() error { _, _, err := j.Next("kassa-1"); return err },
		"Unfinished": func() error { _, _, err := j.Unfinished("kassa-1"); return err },
		"Unprinted":  func() error { _, err := j.Unprinted("kassa-1"); return err },
		"Queue":      func() error { _, err := j.Queue("kassa-1"); return err },
		"Unbound":    func() error { _, err := j.Unbound("till-1"); return err },
		"Registers":  func() error { _, err := j.Registers(); return err },
		"Get":        func() error { _, err := j.Get("till-1", "held"); return err },
		"Bind":       func() error { _, err := j.Bind("till-1", "kassa-1"); return err },
		"List":       func() error { _, err := j.List(receipt.Filter{Terminal: "till-1"}); return err },
		"List held": func() error {
			list, err := j.List(receipt.Filter{Terminal: "till-1", States: []receipt.State{receipt.Held, receipt.Refused}})
			if len(list) != 2 {
				return fmt.Errorf("%d are held, %v", len(list), err)
			}
			return err
		},
		"List waiting": func() error {
			list, err := j.List(receipt.Filter{Terminal: "till-1", States: []receipt.State{receipt.Waiting}})
			if len(list) < 6 {
				return fmt.Errorf("%d wait, %v", len(list), err)
			}
			return err
		},
		"Changes":    func() error { _, err := j.Changes("till-1", 50_000, 10); return err },
		"LastChange": func() error { _, err := j.LastChange(); return err },
		"MadeIn":     func() error { _, err := j.MadeIn("AZ-1", "7"); return err },
		"Accept":     func() error { last++; sale(t, j, fmt.Sprint("more", last)); return nil },
	} {
		calls := 5
		if name == "Accept" || name == "Bind" {
			calls = 50 // they wait for the disk, which others may be busy with
		}
		best := time.Hour
		for range calls { // the best of some: another test may have the processor
			start := time.Now()
			if err := call(); err != nil && !errors.Is(err, receipt.ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
			best = min(best, time.Since(start))
		}
		t.Logf("%s: %v", name, best)
		// Gathering all of it takes far longer; the plans are judged above.
		if best > 100*time.Millisecond {
			t.Errorf("%s takes %v", name, best)
		}
	}
}
