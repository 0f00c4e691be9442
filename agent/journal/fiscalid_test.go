package journal

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"ekassa/agent/receipt"
)

func TestByFiscalID_FindsTheTerminalsOwn(t *testing.T) {
	j := fresh(t)
	want := to(t, j, "a-1", receipt.Fiscal)
	to(t, j, "a-2", receipt.Waiting)
	got, err := j.ByFiscalID(want.Terminal, want.Document.FiscalID)
	if err != nil || got.ID != "a-1" {
		t.Errorf("found %q, %v", got.ID, err)
	}
	for _, x := range [][2]string{{"till-9", want.Document.FiscalID}, {want.Terminal, "nobody"}, {want.Terminal, ""}} {
		if s, err := j.ByFiscalID(x[0], x[1]); !errors.Is(err, receipt.ErrNotFound) {
			t.Errorf("%q: found %q, %v", x, s.ID, err)
		}
	}
}

func TestByKey_FindsWhatThisJournalKnowsByIt(t *testing.T) {
	j := fresh(t)
	to(t, j, "a-1", receipt.Fiscal)
	want := to(t, j, "a-2", receipt.Waiting)
	key, err := strconv.ParseInt(want.Key, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := j.ByKey(key); err != nil || got.ID != "a-2" {
		t.Errorf("found %q, %v", got.ID, err)
	}
	for _, other := range []int64{key + 1, key + perTag, key - perTag, want.Seq, 0, -key} { // of another journal, or none
		if s, err := j.ByKey(other); !errors.Is(err, receipt.ErrNotFound) {
			t.Errorf("%d: found %q, %v", other, s.ID, err)
		}
	}
}

func TestByFiscalID_UsesItsIndex(t *testing.T) {
	j := fresh(t)
	rows, err := j.read.Query(`EXPLAIN QUERY PLAN `+columns+byFiscalID, "till-1", "x")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, step)
	}
	all := strings.Join(plan, "; ")
	for _, bad := range []string{"SCAN document;", "SCAN r;", "SCAN l;", "SCAN d;", "(terminal=?)"} {
		if strings.Contains(all+";", bad) {
			t.Errorf("%s: %s", bad, all)
		}
	}
	if !strings.Contains(all, "document_once (serial=? AND fiscal_id=?)") || !strings.Contains(all, "SEARCH document USING COVERING INDEX document_shift") {
		t.Errorf("does not use document_once: %s", all)
	}
}
