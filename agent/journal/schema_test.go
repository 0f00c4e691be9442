package journal

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/mattn/go-sqlite3"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

func TestSchema_MovesAsTheStatesMay(t *testing.T) {
	j := fresh(t)
	for _, was := range receipt.States {
		for _, now := range receipt.States {
			n := count(t, j, `SELECT count(*) FROM move WHERE was = ? AND now = ?`, was, now)
			if may := was.May(now); may != (n == 1) {
				t.Errorf("%s may become %s: the states say %v, the schema %v", was, now, may, n == 1)
			}
		}
	}
	n := count(t, j, `SELECT count(*) FROM move`)
	for _, was := range receipt.States {
		for _, now := range receipt.States {
			if was.May(now) {
				n--
			}
		}
	}
	if n != 0 {
		t.Error("the schema has moves of states that do not exist")
	}
}

func TestSchema_EveryTableIsStrict(t *testing.T) {
	j := fresh(t)
	rows, err := j.read.Query(`SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite%'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	tables := 0
	for rows.Next() {
		var name string
		var strict bool
		if err := rows.Scan(&name, &strict); err != nil {
			t.Fatal(err)
		}
		tables++
		if !strict {
			t.Errorf("table %s is not STRICT", name)
		}
	}
	if err := rows.Err(); err != nil || tables < 10 {
		t.Errorf("%d tables, %v", tables, err)
	}
}

// Whatever a program says, also one with a mistake in it: the file refuses.
func TestSchema_RefusesByRawSQL(t *testing.T) {
	j := fresh(t)
	ids := map[receipt.State]int64{}
	for _, s := range []receipt.State{"waiting", "fiscal", "refused", "held", "non_fiscal", "withdrawn", "checking"} {
		ids[s] = to(t, j, "r-"+string(s), s).Seq
	}
	s := accept1(t, j, "kassa-2", body("sending", "sale", ""))
	begin(t, j, s)
	ids[receipt.Sending] = s.Seq
	s = accept1(t, j, "kassa-3", body("again", "sale", ""))
	conclude(t, j, begin(t, j, s), register.Conclusion{State: receipt.Waiting, Proof: register.ProofNotSent})
	ids["again"] = s.Seq
	if err := j.SaveReport(register.Reported{Register: "kassa-1", Kind: "z"}); err != nil {
		t.Fatal(err)
	}
	ids["other"] = accept1(t, j, "kassa-4", body("other", "sale", "")).Seq

	const (
		attempts = `INSERT INTO attempt (seq, number, register, serial, address, baseline, route, key, request, at) VALUES `
		document = `INSERT INTO document (seq, serial, fiscal_id, short_id, number, register_id, shift, url, printed, at) VALUES `
		evidence = `INSERT INTO evidence (seq, number, n, proof, text, at) VALUES `
	)
	for name, c := range map[string]struct{ sql, want string }{
		"a first attempt that is the second": {attempts + `({other}, 2, 'kassa-4', 's', '', '{}', '', '', x'', 0)`, "numbered in turn"},
		"an attempt left out":                {attempts + `({again}, 3, 'kassa-3', 's', '', '{}', '', '', x'', 0)`, "numbered in turn"},
		"the same attempt again":             {attempts + `({again}, 1, 'kassa-3', 's', '', '{}', '', '', x'', 0)`, "numbered in turn"},
		"a second attempt without proof":     {attempts + `({checking}, 2, 'kassa-1', 's', '', '{}', '', '', x'', 0)`, "proof that the last made nothing"},
		"a second attempt on unclear proof":  {evidence + `({sending}, 1, 1, 'unclear', '', 0); ` + attempts + `({sending}, 2, 'kassa-2', 's', '', '{}', '', '', x'', 0)`, "proof that the last made nothing"},
		"a second attempt of what was made":  {evidence + `({sending}, 1, 1, 'made', '', 0); ` + attempts + `({sending}, 2, 'kassa-2', 's', '', '{}', '', '', x'', 0)`, "proof that the last made nothing"},
		"an attempt of what is fiscal":       {evidence + `({fiscal}, 1, 1, 'not_made', '', 0); ` + attempts + `({fiscal}, 2, 'kassa-1', 's', '', '{}', '', '', x'', 0)`, "never sent again"},
		"an attempt of what is refused":      {attempts + `({refused}, 2, 'kassa-1', 's', '', '{}', '', '', x'', 0)`, "only what waits"},
		"an attempt of what is kept here":    {attempts + `({non_fiscal}, 1, 'kassa-1', 's', '', '{}', '', '', x'', 0)`, "only what waits"},
		"an attempt of nobody's":             {attempts + `(99, 1, 'kassa-1', 's', '', '{}', '', '', x'', 0)`, "only what waits"},
		"sending without an attempt":         {`UPDATE life SET state = 'sending' WHERE seq = {other}`, "needs its own attempt"},
		"sending on a promise":               {`UPDATE life SET state = 'sending', attempts = 1 WHERE seq = {other}`, "needs its own attempt"},
		"sending on an old attempt":          {`UPDATE life SET state = 'sending' WHERE seq = {again}`, "needs its own attempt"},
		"sending on an old attempt, counted": {`UPDATE life SET state = 'sending', attempts = 2 WHERE seq = {again}`, "needs its own attempt"},
		"sending to another register":        {attempts + `({other}, 1, 'kassa-9', 's', '', '{}', '', '', x'', 0); UPDATE life SET state = 'sending', attempts = 1 WHERE seq = {other}`, "needs its own attempt"},
		"two on their way to one register":   {attempts + `({waiting}, 1, 'kassa-1', 's', '', '{}', '', '', x'', 0); UPDATE life SET state = 'sending', attempts = 1 WHERE seq = {waiting}`, "UNIQUE constraint failed: life.register"},
		"attempts counted back":              {`UPDATE life SET attempts = 0 WHERE seq = {checking}`, "counts as an attempt"},
		"attempts counted on":                {`UPDATE life SET attempts = 2 WHERE seq = {checking}`, "counts as an attempt"},
		"fiscal without a document":          {`UPDATE life SET state = 'fiscal' WHERE seq = {sending}`, "needs its document"},
		"fiscal out of nothing":              {`UPDATE life SET state = 'fiscal' WHERE seq = {waiting}`, "no such move"},
		"fiscal no more":                     {`UPDATE life SET state = 'waiting' WHERE seq = {fiscal}`, "no such move"},
		"withdrawn no more":                  {`UPDATE life SET state = 'waiting' WHERE seq = {withdrawn}`, "no such move"},
		"lost":                               {`UPDATE life SET state = 'lost' WHERE seq = {waiting}`, "no such move"},
		"checking left without proof":        {`UPDATE life SET state = 'waiting' WHERE seq = {checking}`, "need proof"},
		"sending left without proof":         {`UPDATE life SET state = 'waiting' WHERE seq = {sending}`, "need proof"},
		"sending refused without proof":      {`UPDATE life SET state = 'refused' WHERE seq = {sending}`, "need proof"},
		"held sent again without proof":      {`UPDATE life SET state = 'waiting' WHERE seq = {held}`, "need proof"},
		"held withdrawn without proof":       {`UPDATE life SET state = 'withdrawn' WHERE seq = {held}`, "need proof"},
		"a life that starts fiscal":          {`INSERT INTO life (seq, state, changed_at) VALUES (99, 'fiscal', 0)`, "starts waiting"},
		"a life that starts tried":           {`INSERT INTO life (seq, state, attempts, changed_at) VALUES (99, 'waiting', 1, 0)`, "starts waiting"},
		"a life of nobody's":                 {`INSERT INTO life (seq, state, changed_at) VALUES (99, 'waiting', 0)`, "FOREIGN KEY"},
		"a life that changes hands":          {`UPDATE life SET seq = 98 WHERE seq = {waiting}`, "never changes"},
		"another parent":                     {`UPDATE life SET parent = {fiscal} WHERE seq = {waiting}`, "never changes"},
		"another register under way":         {`UPDATE life SET register = 'kassa-9' WHERE seq = {sending}`, "may change its register"},
		"no register under way":              {`UPDATE life SET register = NULL WHERE seq = {checking}`, "may change its register"},
		"a fiscal id again":                  {document + `({sending}, 'AZ-1', 'fiscal-of-r-fiscal', '', '', '', '', '', 1, 0)`, "UNIQUE constraint failed: document.serial, document.fiscal_id"},
		"a second document":                  {document + `({fiscal}, 'AZ-1', 'another', '', '', '', '', '', 1, 0)`, "only what was sent"},
		"a document of what was not sent":    {document + `({waiting}, 'AZ-1', 'another', '', '', '', '', '', 1, 0)`, "only what was sent"},
		"a document of nobody's":             {document + `(99, 'AZ-1', 'another', '', '', '', '', '', 1, 0)`, "only what was sent"},
		"a document printed twice over":      {document + `({sending}, 'AZ-1', 'another', '', '', '', '', '', 2, 0)`, "CHECK"},
		"paper taken back":                   {`UPDATE document SET printed = 0`, "stays printed"},
		"evidence of no attempt":             {evidence + `({waiting}, 1, 1, 'not_sent', '', 0)`, "FOREIGN KEY"},
		"evidence of no kind":                {evidence + `({sending}, 1, 1, 'perhaps', '', 0)`, "CHECK"},
		"text for a number":                  {`UPDATE life SET changed_at = 'today' WHERE seq = {waiting}`, "cannot store TEXT"},
		"an id again":                        {`INSERT INTO receipt SELECT 99, epoch, terminal, id, kind, received_at, said, meant, content FROM receipt WHERE seq = {waiting}`, "UNIQUE"},
		"a receipt of no epoch":              {`INSERT INTO receipt SELECT 99, 7, terminal, 'new', kind, received_at, said, meant, content FROM receipt WHERE seq = {waiting}`, "FOREIGN KEY"},
		"a receipt replaced":                 {`INSERT OR REPLACE INTO receipt SELECT seq, epoch, terminal, id, kind, 0, said, meant, '{}' FROM receipt WHERE seq = {waiting}`, "never deleted"},
		"a receipt replaced by its id":       {`REPLACE INTO receipt SELECT 99, epoch, terminal, id, kind, 0, said, meant, '{}' FROM receipt WHERE seq = {waiting}`, "never deleted"},
		"a life replaced":                    {`REPLACE INTO life (seq, state, changed_at) VALUES ({checking}, 'waiting', 0)`, "never deleted"},
		"an attempt replaced":                {`REPLACE INTO attempt SELECT seq, number, register, serial, address, baseline, route, key, x'00', at FROM attempt WHERE seq = {sending}`, "in turn"},
		"evidence replaced":                  {`REPLACE INTO evidence SELECT seq, number, n, 'not_made', '', 0 FROM evidence WHERE seq = {checking}`, "never deleted"},
		"a receipt upserted":                 {`INSERT INTO receipt SELECT seq, epoch, terminal, id, kind, 0, said, meant, '{}' FROM receipt WHERE seq = {waiting} ON CONFLICT DO UPDATE SET content = '{}'`, "never changes"},
		"an epoch rewritten":                 {`UPDATE epoch SET tag = 1`, "never changes"},
		"an epoch deleted":                   {`DELETE FROM epoch`, "never deleted"},
		"a record rewritten":                 {`UPDATE record SET state = 'fiscal' WHERE seq = 1`, "never changes"},
		"a report rewritten":                 {`UPDATE report SET report = '{}'`, "never changes"},
		"a fiscal id rewritten":              {`UPDATE document SET fiscal_id = 'another'`, "never changes"},
		"a request rewritten":                {`UPDATE attempt SET request = x''`, "never changes"},
		"proof rewritten":                    {`UPDATE evidence SET proof = 'not_made'`, "never changes"},
		"a receipt rewritten":                {`UPDATE receipt SET content = '{}'`, "never changes"},
		"receipts deleted":                   {`DELETE FROM receipt`, "never deleted"},
		"lives deleted":                      {`DELETE FROM life`, "never deleted"},
		"attempts deleted":                   {`DELETE FROM attempt`, "never deleted"},
		"evidence deleted":                   {`DELETE FROM evidence`, "never deleted"},
		"documents deleted":                  {`DELETE FROM document`, "never deleted"},
	} {
		for state, seq := range ids {
			c.sql = strings.ReplaceAll(c.sql, "{"+string(state)+"}", fmt.Sprint(seq))
		}
		before := dump(t, j)
		err := j.writer.do(func(tx *tx) error {
			for _, statement := range strings.Split(c.sql, "; ") {
				if _, err := tx.run(statement); err != nil {
					return err
				}
			}
			return errors.New("it was taken")
		})
		var e sqlite3.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) || e.Code != sqlite3.ErrConstraint {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if dump(t, j) != before {
			t.Fatalf("%s: something was written", name)
		}
	}
}
