package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "github.com/mattn/go-sqlite3" // measured without the store
	"golang.org/x/sync/errgroup"

	"ekassa/cloud/fleet"
	"ekassa/cloud/store"
	"ekassa/cloud/store/storetest"
	"ekassa/cloud/wire"
	"ekassa/scripts/figures"
)

const (
	slice     = 2 * time.Second // of measuring the agents, in turns with the others
	tellers   = 2000            // agents that tell records, at most
	batchSize = 500             // records in one commit, as the link makes them at most
	batchOf   = 100             // agents of a batch

	batchCount = 10 // of each loop, in one measurement
	loops      = 2  // that store records, as the link has
)

func (b *bench) sqlite(ctx context.Context) error {
	return b.records(ctx, "SQLite", func() (string, error) { return "sqlite", nil })
}

func (b *bench) postgres(ctx context.Context) (err error) {
	server, err := storetest.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	return b.records(ctx, "PostgreSQL", server.Database)
}

// records measures three things in turns: records from the agents to their
// acknowledgement, records through the cloud's store alone, and the same records
// in batches as large into one bare table.
func (b *bench) records(ctx context.Context, name string, database func() (string, error)) (err error) {
	var urls [3]string
	for n := range urls {
		if urls[n], err = database(); err != nil {
			return err
		}
	}
	c, err := b.chain(ctx, urls[0], min(tellers, b.agents))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	alone, err := newStore(ctx, urls[1], filepath.Join(c.dir, "alone"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, alone.s.Close()) }()
	bare, err := newTable(ctx, urls[2], filepath.Join(c.dir, "bare.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.db.Close()) }()
	if err := c.serve(ctx); err != nil {
		return err
	}
	c.live(ctx)
	if err := c.shown(ctx); err != nil {
		return err
	}
	var whole, through, plain, throughCPU, plainCPU, cloudCores, agentCores []float64
	for range b.rounds {
		for _, part := range []struct {
			to, cpu *[]float64
			insert  func(context.Context, []wire.Record) error
		}{{&plain, &plainCPU, bare.insert}, {&through, &throughCPU, alone.insert}} {
			rate, cpu, err := batches(ctx, part.insert)
			if err != nil {
				return err
			}
			*part.to, *part.cpu = append(*part.to, rate), append(*part.cpu, cpu)
		}
		t, err := c.tell(ctx)
		if err != nil {
			return err
		}
		whole, cloudCores, agentCores = append(whole, t.rate), append(cloudCores, t.cloud), append(agentCores, t.agents)
	}
	if err := c.kept(ctx); err != nil {
		return err
	}
	limit := figures.Median(plain)
	took := fmt.Sprintf("of this side's processor %.0f µs each, bare %.0f µs", figures.Median(throughCPU), figures.Median(plainCPU))
	for _, r := range []struct {
		what, note string
		rate       float64
	}{
		{"records through the store alone into " + name, fmt.Sprintf("%d loops, batches of %d of %d agents; %s", loops, batchSize, batchOf, took), figures.Median(through)},
		{"records from agents to acknowledgement, " + name, fmt.Sprintf("%d agents with TLS on the same machine; the cloud took %.1f cores, they %.1f", len(c.agents), figures.Median(cloudCores), figures.Median(agentCores)), figures.Median(whole)},
	} {
		ratio := r.rate / limit
		b.table.Aim(figures.Row{Name: r.what, Figure: r.rate, Bare: limit, Unit: "/s", Note: fmt.Sprintf("%.2f of bare; %s", ratio, r.note)}, "0.5 of bare", ratio >= 0.5)
	}
	return nil
}

// told is a slice of agents' telling.
type told struct{ rate, cloud, agents float64 } // records/s, cores

// tell lets all agents tell as fast as they are acknowledged.
func (c *chain) tell(ctx context.Context) (t told, err error) {
	c.telling.Store(true)
	for _, p := range c.agents {
		if poke := p.poke.Load(); poke != nil {
			(*poke)()
		}
	}
	pause := func(d time.Duration) {
		select {
		case <-ctx.Done():
		case <-time.After(d):
		}
	}
	pause(slice / 4) // until it runs evenly
	before, err := c.usage(ctx)
	if err != nil {
		return t, err
	}
	begun, from, agents := time.Now(), c.acked.Load(), ownCPU()
	pause(slice)
	seconds := time.Since(begun).Seconds()
	t.rate, t.agents = float64(c.acked.Load()-from)/seconds, (ownCPU()-agents).Seconds()/seconds
	after, err := c.usage(ctx)
	if err != nil {
		return t, err
	}
	t.cloud = (after.cpu - before.cpu) / seconds
	c.telling.Store(false)
	last, quiet := int64(-1), 0
	return t, c.until(ctx, "the last records to be acknowledged", func() (bool, error) {
		now := c.acked.Load()
		if quiet++; now != last {
			last, quiet = now, 0
		}
		return quiet > 10, nil
	})
}

// kept compares what was acknowledged with what the database has.
func (c *chain) kept(ctx context.Context) error {
	s, err := store.Open(ctx, c.database, filepath.Join(c.dir, "data"), time.Now)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, p := range c.agents {
		acks, err := s.Acks(ctx, p.id)
		if err != nil {
			return err
		}
		if told := p.acked.Load(); told > 0 && (len(acks) != 1 || acks[0].UpTo < told) {
			return fmt.Errorf("%s was acknowledged up to %d, and the database has %+v", p.id, told, acks)
		}
	}
	return nil
}

// batches inserts many, made before the time is taken, by as many loops as the
// cloud has. Each loop has agents of its own. rate is in records/s; cpu is what one
// took of this process's processor, in µs, which a busy machine changes less.
func batches(ctx context.Context, insert func(context.Context, []wire.Record) error) (rate, cpu float64, err error) {
	var lists [loops][][]wire.Record
	for loop := range lists {
		for range batchCount {
			lists[loop] = append(lists[loop], nextBatch(loop))
		}
	}
	begun, before := time.Now(), ownCPU()
	parts, ctx := errgroup.WithContext(ctx)
	for _, list := range lists {
		parts.Go(func() error {
			for _, batch := range list {
				if err := insert(ctx, batch); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err = parts.Wait()
	const n = loops * batchCount * batchSize
	return n / time.Since(begun).Seconds(), 1e6 * (ownCPU() - before).Seconds() / n, err
}

var batchSeq [loops]int64

// nextBatch is some records of each of some agents, in order.
func nextBatch(loop int) (list []wire.Record) {
	for range batchSize / batchOf {
		batchSeq[loop]++
		for n := range batchOf {
			list = append(list, record(fmt.Sprintf("agent-%d%04d", loop, n), batchSeq[loop]))
		}
	}
	return list
}

// through is the cloud's store without a broker.
type through struct{ s store.Store }

func newStore(ctx context.Context, url, dir string) (t through, err error) {
	if t.s, err = store.Open(ctx, url, dir, time.Now); err != nil {
		return t, err
	}
	if err := t.s.AddVenue(ctx, fleet.Venue{ID: venue, CreatedAt: time.Now()}); err != nil {
		return t, err
	}
	for n := range loops * batchOf {
		id := fmt.Sprintf("agent-%d%04d", n/batchOf, n%batchOf)
		e := fleet.Enrolment{Hash: id, Venue: venue, Agent: id, By: "bench", ExpiresAt: time.Now().Add(time.Hour)}
		if err := t.s.AddEnrolment(ctx, e); err != nil {
			return t, err
		}
	}
	return t, nil
}

func (t through) insert(ctx context.Context, batch []wire.Record) error {
	_, err := t.s.Ingest(ctx, batch)
	return err
}

// plain is one table with the same key, by the same drivers with the same
// promises, and nothing else.
type plain struct {
	db       *sql.DB
	postgres bool
}

func newTable(ctx context.Context, url, file string) (p plain, err error) {
	key, blob, strict := "INTEGER", "BLOB", "STRICT"
	if p.postgres = url != "sqlite"; p.postgres {
		config, err := pgx.ParseConfig(url)
		if err != nil {
			return p, err
		}
		p.db, key, blob, strict = stdlib.OpenDB(*config), "BIGINT", "BYTEA", ""
	} else {
		p.db, err = sql.Open("sqlite3", "file:"+file+"?_journal_mode=WAL&_synchronous=FULL&_txlock=immediate&_cache_size=-65536")
		if err != nil {
			return p, err
		}
		p.db.SetMaxOpenConns(1)
		if _, err := p.db.ExecContext(ctx, `PRAGMA wal_autocheckpoint = 8192`); err != nil {
			return p, err
		}
	}
	_, err = p.db.ExecContext(ctx, fmt.Sprintf(`CREATE TABLE record (agent TEXT NOT NULL, epoch %[1]s NOT NULL, seq %[1]s NOT NULL, v %[1]s NOT NULL,
		type TEXT NOT NULL, time %[1]s NOT NULL, received_at %[1]s NOT NULL, data %[2]s NOT NULL, PRIMARY KEY (agent, epoch, seq)) %[3]s`, key, blob, strict))
	return p, err
}

func (p plain) insert(ctx context.Context, batch []wire.Record) (err error) {
	now := time.Now().UnixMicro()
	tx, err := p.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback() // the first error is the one that counts
		}
	}()
	if p.postgres {
		var agents, types []string
		var epochs, seqs, versions, times, received []int64
		var data [][]byte
		for _, r := range batch {
			agents, types, data = append(agents, r.Agent), append(types, r.Type), append(data, r.Data)
			epochs, seqs, versions = append(epochs, r.Epoch), append(seqs, r.Seq), append(versions, int64(r.V))
			times, received = append(times, r.Time.UnixMicro()), append(received, now)
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO record SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[], $8::bytea[])`,
			agents, epochs, seqs, versions, types, times, received, data)
		if err != nil {
			return err
		}
		return tx.Commit()
	}
	statement, err := tx.PrepareContext(ctx, `INSERT INTO record VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)`)
	if err != nil {
		return err
	}
	defer statement.Close()
	for _, r := range batch {
		if _, err := statement.ExecContext(ctx, r.Agent, r.Epoch, r.Seq, int64(r.V), r.Type, r.Time.UnixMicro(), now, []byte(r.Data)); err != nil {
			return err
		}
	}
	return tx.Commit()
}
