package store_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"ekassa/cloud/store"
	"ekassa/cloud/store/storetest"
	"ekassa/cloud/wire"
)

const (
	benchAgents = 200
	benchBatch  = 1000
)

// load gives batches of records as a fleet sends them: of each agent in order,
// a receipt with its content and then what became of it.
type load struct{ seq int64 }

func (l *load) batch() (list []wire.Record) {
	for len(list) < benchBatch {
		l.seq++
		for a := range benchAgents {
			agent := fmt.Sprintf("agent-%04d", a)
			n := (l.seq + 1) / 2
			r := wire.Receipt{Terminal: "till-1", ID: fmt.Sprintf("till1-%06d", n), Register: "kassa-1", Kind: "sale", Total: "24.50", State: "waiting", ReceivedAt: began}
			if l.seq%2 == 1 {
				r.Content = json.RawMessage(`{"id":"till1-000123","kind":"sale","time":"2026-11-23T19:05:12+04:00","cashier":"Aysel M.","number":"123","items":[{"name":"Plov","code":"1001","unit":"piece","quantity":"1.5","price":"8.00","discount":"0.00","tax":"vat18"},{"name":"Ayran","code":"1002","unit":"piece","quantity":"2","price":"2.00","discount":"0.00","tax":"vat18"}],"payments":{"cash":"20.00","card":"4.50"}}`)
			} else {
				r.State, r.Attempts = "fiscal", 1
				r.Document = &wire.Document{FiscalID: fmt.Sprintf("FiscalDocument%08d", n), ShortID: "Short1234567", Number: fmt.Sprint(n), Serial: "AZ0123456789", Shift: "1", URL: "https://monitoring.example/#/index?doc=Short1234567", Printed: true, At: began}
			}
			list = append(list, record(agent, 1, l.seq, wire.RecordReceipt, r))
		}
	}
	return list
}

func perRecord(b *testing.B) {
	b.ReportMetric(float64(b.N*benchBatch)/b.Elapsed().Seconds(), "records/s")
}

func benchStores(b *testing.B, do func(b *testing.B, kind, url, dir string)) {
	cluster := storetest.MustPostgres(b)
	b.Run("sqlite", func(b *testing.B) { do(b, "sqlite", "sqlite", b.TempDir()) })
	b.Run("postgres", func(b *testing.B) { do(b, "postgres", cluster.Database(), b.TempDir()) })
}

// BenchmarkIngest stores batches of 1000 records of 200 agents, with everything
// that follows from them. Compare with BenchmarkBare.
func BenchmarkIngest(b *testing.B) {
	benchStores(b, func(b *testing.B, kind, url, dir string) {
		s := must(store.Open(b.Context(), url, dir, clock))(b)
		defer s.Close()
		var agents []string
		for a := range benchAgents {
			agents = append(agents, fmt.Sprintf("agent-%04d", a))
		}
		enrolled(b, s, agents...)
		var l load
		for b.Loop() {
			b.StopTimer()
			batch := l.batch()
			b.StartTimer()
			must(s.Ingest(b.Context(), batch))(b)
		}
		perRecord(b)
	})
}

// BenchmarkBare inserts the same records in the same batches into one table with
// the same key, by the same drivers with the same promises, and does nothing else.
func BenchmarkBare(b *testing.B) {
	benchStores(b, func(b *testing.B, kind, url, dir string) {
		var db *sql.DB
		key, blob, strict := "INTEGER", "BLOB", "STRICT"
		if kind == "postgres" {
			config, err := pgx.ParseConfig(url)
			ok(b, err)
			db, key, blob, strict = stdlib.OpenDB(*config), "BIGINT", "BYTEA", ""
		} else {
			db = must(sql.Open("sqlite3", "file:"+filepath.Join(dir, "bare.db")+"?_journal_mode=WAL&_synchronous=FULL&_txlock=immediate&_cache_size=-65536"))(b)
			db.SetMaxOpenConns(1)
			must(db.ExecContext(b.Context(), `PRAGMA wal_autocheckpoint = 8192`))(b)
		}
		defer db.Close()
		ctx := context.Background()
		must(db.ExecContext(ctx, fmt.Sprintf(`CREATE TABLE record (agent TEXT NOT NULL, epoch %[1]s NOT NULL, seq %[1]s NOT NULL, v %[1]s NOT NULL,
			type TEXT NOT NULL, time %[1]s NOT NULL, received_at %[1]s NOT NULL, data %[2]s NOT NULL, PRIMARY KEY (agent, epoch, seq)) %[3]s`, key, blob, strict)))(b)
		var l load
		for b.Loop() {
			b.StopTimer()
			batch := l.batch()
			b.StartTimer()
			bare(b, db, kind, batch)
		}
		perRecord(b)
	})
}

func bare(b *testing.B, db *sql.DB, kind string, batch []wire.Record) {
	now := time.Now().UnixMicro()
	tx := must(db.Begin())(b)
	defer tx.Rollback()
	if kind == "postgres" {
		var agents, types []string
		var epochs, seqs, versions, times, received []int64
		var data [][]byte
		for _, r := range batch {
			agents, types, data = append(agents, r.Agent), append(types, r.Type), append(data, r.Data)
			epochs, seqs, versions = append(epochs, r.Epoch), append(seqs, r.Seq), append(versions, int64(r.V))
			times, received = append(times, r.Time.UnixMicro()), append(received, now)
		}
		must(tx.Exec(`INSERT INTO record SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[], $8::bytea[])`,
			agents, epochs, seqs, versions, types, times, received, data))(b)
	} else {
		statement := must(tx.Prepare(`INSERT INTO record VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)`))(b)
		defer statement.Close()
		for _, r := range batch {
			must(statement.Exec(r.Agent, r.Epoch, r.Seq, int64(r.V), r.Type, r.Time.UnixMicro(), now, []byte(r.Data)))(b)
		}
	}
	ok(b, tx.Commit())
}
