package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ekassa/agent/journal"
)

const journalFile = "journal.db"

// model is the folder with the journal of this run's sales, from which big
// ones are multiplied.
func (b *bench) model() string { return filepath.Join(b.dir, "sales") }

// journal makes a journal with n fiscal receipts in dir. It is made once for
// each schema and kept in the cache, at the path that is given back. copied is
// for those who would change much of it; otherwise it is the kept one itself,
// and whoever has closed it well may put it back.
func (b *bench) journal(ctx context.Context, n int, dir string, copied bool) (kept string, err error) {
	begun := time.Now()
	draft := filepath.Join(b.dir, "draft")
	defer func() { err = errors.Join(err, os.RemoveAll(draft)) }()
	j, err := journal.Open(draft, time.Now)
	if err != nil {
		return "", err
	}
	if err := j.Close(); err != nil {
		return "", err
	}
	empty := filepath.Join(draft, journalFile)
	db, err := sql.Open("sqlite3", "file:"+empty+"?_journal_mode=DELETE&_synchronous=OFF&_cache_size=-400000")
	if err != nil {
		return "", err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	key, err := layout(db)
	if err != nil {
		return "", err
	}
	kept = filepath.Join(b.cache, fmt.Sprintf("journal-%d-%s.db", n, key))
	if _, err := os.Stat(kept); errors.Is(err, os.ErrNotExist) {
		if err := b.fill(ctx, db, n); err != nil {
			return "", fmt.Errorf("make a journal of %d receipts: %w", n, err)
		}
		if err := b.keep(empty, kept, n); err != nil {
			return "", err
		}
		b.say(fmt.Sprintf("ekassa-bench: made a journal of %d receipts in %.0f s; it is kept in %s", n, time.Since(begun).Seconds(), b.cache))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	if !copied {
		return kept, os.Rename(kept, filepath.Join(dir, journalFile))
	}
	return kept, copyFile(kept, filepath.Join(dir, journalFile))
}

// layout tells journals apart that are not laid out in the same way.
func layout(db *sql.DB) (string, error) {
	var text string
	err := db.QueryRow(`SELECT (SELECT page_size FROM pragma_page_size) || group_concat(sql, x'0a' ORDER BY name)
		FROM sqlite_master WHERE sql IS NOT NULL`).Scan(&text)
	sum := sha256.Sum256([]byte(text + kit + strings.Join(copies, "")))
	return hex.EncodeToString(sum[:6]), err
}

// keep moves a new journal into the cache, in the place of outdated ones.
func (b *bench) keep(path, kept string, n int) error {
	old, err := filepath.Glob(filepath.Join(b.cache, fmt.Sprintf("journal-%d-*.db", n)))
	if err != nil {
		return err
	}
	for _, o := range old {
		if err := os.Remove(o); err != nil {
			return err
		}
	}
	return os.Rename(path, kept)
}

// fill multiplies the model's receipts, with all that stands behind each, into
// a new journal. Triggers are off meanwhile, since they want each receipt to
// take its whole way; everything is as it would be after it.
func (b *bench) fill(ctx context.Context, db *sql.DB, n int) error {
	triggers, err := setAside(db)
	if err != nil {
		return err
	}
	if err := multiply(ctx, db, filepath.Join(b.model(), journalFile), n); err != nil {
		return err
	}
	for _, create := range triggers {
		if _, err := db.Exec(create); err != nil {
			return err
		}
	}
	if _, err := db.Exec(`PRAGMA journal_mode = WAL`); err != nil {
		return err
	}
	return db.Close()
}

// setAside drops the triggers and gives what makes them again.
func setAside(db *sql.DB) (create []string, err error) {
	rows, err := db.Query(`SELECT name, sql FROM sqlite_master WHERE type = 'trigger'`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			return nil, err
		}
		names, create = append(names, name), append(create, text)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, err := db.Exec(`DROP TRIGGER ` + name); err != nil {
			return nil, err
		}
	}
	return create, nil
}

// kit is the model's fiscal receipts, numbered.
const kit = `CREATE TEMP TABLE kit AS
	SELECT row_number() OVER (ORDER BY r.seq) - 1 AS n, r.terminal, r.id, r.kind, r.said, r.meant, r.content,
	  l.register, a.serial, a.address, a.baseline, a.route, a.key, a.request,
	  d.fiscal_id, d.short_id, d.number, d.register_id, d.shift, d.url, d.printed, d.at
	FROM model.receipt r JOIN model.life l USING (seq) JOIN model.attempt a USING (seq) JOIN model.document d USING (seq)
	WHERE l.state = 'fiscal' AND a.number = 1`

// copies writes receipts ?1 to ?2; ?3 is the size of the kit, ?4 the time of
// the first one.
var copies = []string{
	`INSERT INTO receipt (seq, epoch, terminal, id, kind, received_at, said, meant, content)
	 SELECT x, (SELECT max(number) FROM epoch), terminal, printf('till-%08d', x), kind, ?4 + x, said, meant,
	   replace(content, '"id":"' || id || '"', '"id":"' || printf('till-%08d', x) || '"')
	 FROM s JOIN kit ON kit.n = x % ?3`,
	`INSERT INTO attempt (seq, number, register, serial, address, baseline, route, key, request, at)
	 SELECT x, 1, register, serial, address, baseline, route, key, request, ?4 + x FROM s JOIN kit ON kit.n = x % ?3`,
	`INSERT INTO document (seq, serial, fiscal_id, short_id, number, register_id, shift, url, printed, at)
	 SELECT x, serial, substr(hex(randomblob(22)), 1, length(fiscal_id)), short_id, number, register_id, shift, url, printed, ?4 + x
	 FROM s JOIN kit ON kit.n = x % ?3`,
	`INSERT INTO life (seq, register, state, attempts, changed_at)
	 SELECT x, register, 'fiscal', 1, ?4 + x FROM s JOIN kit ON kit.n = x % ?3`,
	`INSERT INTO record (seq, at, type, receipt, state)
	 SELECT 3 * x - 3 + m.column1, ?4 + x, 'receipt', x, m.column2
	 FROM s JOIN (VALUES (1, 'waiting'), (2, 'sending'), (3, 'fiscal')) m WHERE ?3 > 0`,
}

func multiply(ctx context.Context, db *sql.DB, model string, n int) error {
	if _, err := db.Exec(`ATTACH ? AS model`, "file:"+model+"?mode=ro"); err != nil {
		return err
	}
	if _, err := db.Exec(kit); err != nil {
		return err
	}
	if _, err := db.Exec(`CREATE UNIQUE INDEX temp.kit_n ON kit (n)`); err != nil {
		return err
	}
	var size int
	if err := db.QueryRow(`SELECT count(*) FROM kit`).Scan(&size); err != nil {
		return err
	}
	if size == 0 {
		return errors.New("the model has no fiscal receipts")
	}
	const step = 20_000
	for from := 1; from <= n && ctx.Err() == nil; from += step {
		tx, err := db.Begin()
		if err != nil {
			return err
		}
		for _, insert := range copies {
			_, err := tx.Exec(`WITH RECURSIVE s (x) AS (SELECT ?1 UNION ALL SELECT x + 1 FROM s WHERE x < ?2) `+insert,
				from, min(n, from+step-1), size, time.Now().AddDate(0, 0, -300).UnixMilli())
			if err != nil {
				return errors.Join(err, tx.Rollback())
			}
		}
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}
