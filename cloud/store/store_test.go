package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"ekassa/cloud/fleet"
	"ekassa/cloud/store"
	"ekassa/cloud/store/storetest"
	"ekassa/cloud/wire"
)

var began = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

func clock() time.Time { return began }

// database opens stores on one empty database.
type database struct {
	name string
	make func(tb testing.TB) (open func() store.Store)
}

// databases are both kinds.
func databases(tb testing.TB) []database {
	cluster := storetest.MustPostgres(tb)
	opener := func(tb testing.TB, url, dir string) func() store.Store {
		return func() store.Store {
			tb.Helper()
			s, err := store.Open(context.Background(), url, dir, clock)
			if err != nil {
				tb.Fatal(err)
			}
			tb.Cleanup(func() { _ = s.Close() })
			return s
		}
	}
	return []database{
		{"sqlite", func(tb testing.TB) func() store.Store { return opener(tb, "sqlite", tb.TempDir()) }},
		{"postgres", func(tb testing.TB) func() store.Store { return opener(tb, cluster.Database(), tb.TempDir()) }},
	}
}

// must fails on errors, and gives what came with none.
func must[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

func ok(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func is(tb testing.TB, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Fatalf("found error %v, and it should be %v", err, want)
	}
}

// enrolled adds agents that have a certificate each.
func enrolled(tb testing.TB, s store.Store, agents ...string) {
	tb.Helper()
	ctx := context.Background()
	if err := s.AddVenue(ctx, fleet.Venue{ID: "v1", Name: "Nar", CreatedAt: began}); err != nil {
		is(tb, err, fleet.ErrExists)
	}
	for _, a := range agents {
		enrol(tb, s, "v1", a)
	}
}

func enrol(tb testing.TB, s store.Store, venue, agent string) fleet.Certificate {
	tb.Helper()
	ctx := context.Background()
	code := fleet.HashToken(fleet.NewToken("code"))
	ok(tb, s.AddEnrolment(ctx, fleet.Enrolment{Hash: code, Venue: venue, Agent: agent, By: "ayla", ExpiresAt: began.Add(time.Hour)}))
	c := fleet.Certificate{Serial: fleet.HashToken(fleet.NewToken("")), Agent: agent, NotBefore: began, NotAfter: began.AddDate(1, 0, 0)}
	_, err := s.Enrol(ctx, code, func(fleet.Enrolment) (fleet.Certificate, error) { return c, nil }, began)
	ok(tb, err)
	return c
}

func record(agent string, epoch, seq int64, kind string, data any) wire.Record {
	b, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	return wire.Record{V: 1, Agent: agent, Epoch: epoch, Seq: seq, Type: kind, Time: began.Add(time.Duration(seq) * time.Second), Data: b}
}

func receipt(agent string, epoch, seq int64, id, state string, content bool) wire.Record {
	r := wire.Receipt{Terminal: "till-1", ID: id, Register: "kassa-1", Kind: "sale", Total: "12.00", State: state, ReceivedAt: began}
	if content {
		r.Content = json.RawMessage(fmt.Sprintf(`{"id":%q,"items":[{"name":"Plov"}]}`, id))
	}
	if state == "fiscal" {
		r.Document = &wire.Document{FiscalID: "F" + id, Serial: "S1", At: began}
	}
	return record(agent, epoch, seq, wire.RecordReceipt, r)
}

func TestIngest(t *testing.T) {
	for _, d := range databases(t) {
		t.Run(d.name, func(t *testing.T) {
			s := d.make(t)()
			ctx := context.Background()
			enrolled(t, s, "a1", "a2")
			batch := []wire.Record{
				receipt("a1", 1, 1, "r1", "waiting", true), receipt("a1", 1, 3, "r1", "fiscal", false), receipt("a1", 1, 2, "r1", "sending", false),
				receipt("a2", 1, 5, "r1", "waiting", true), receipt("a3", 1, 1, "r1", "waiting", true),
			}
			for range 2 { // the second time nothing is new
				stored := must(s.Ingest(ctx, batch))(t)
				if got, want := fmt.Sprint(stored), "[{a1 {1 3 []}} {a2 {1 0 [{1 4}]}}]"; got != want {
					t.Fatalf("stored %s, and it should be %s", got, want)
				}
			}
			rs := must(s.Receipts(ctx, "a1", store.Filter{}))(t)
			if len(rs) != 1 || rs[0].State != "fiscal" || rs[0].Document.FiscalID != "Fr1" || string(rs[0].Content) != `{"id":"r1","items":[{"name":"Plov"}]}` {
				t.Fatalf("found %+v", rs)
			}
			if alerts := must(s.Alerts(ctx, store.Filter{}))(t); len(alerts) != 0 {
				t.Fatalf("found alerts %+v", alerts)
			}
			days := must(s.Totals(ctx, store.Filter{Agent: "a1"}, time.UTC))(t)
			if fmt.Sprint(days) != "[{2026-11-24 1 1200 0 0}]" {
				t.Fatalf("found %v", days)
			}
		})
	}
}
