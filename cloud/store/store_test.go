package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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

// suite is what both databases do alike.
var suite = map[string]func(t *testing.T, open func() store.Store){
	"ingest":              testIngest,
	"ingest in any order": testAnyOrder,
	"clones":              testClones,
	"bad data":            testBadData,
	"missing is bounded":  testMissingIsBounded,
	"shift reports":       testShiftReports,
	"health":              testHealth,
	"what records raise":  testRecordAlerts,
	"venues and modules":  testVenues,
	"enrolment":           testEnrolment,
	"presence":            testPresence,
	"settings":            testSettings,
	"commands":            testCommands,
	"alerts and webhooks": testAlerts,
	"what agents say":     testHeard,
	"people":              testPeople,
	"rollouts and values": testRollouts,
	"one leads":           testLead,
	"retention":           testRetain,
	"backup":              testBackup,
}

func TestStore(t *testing.T) {
	t.Parallel()
	for _, d := range databases(t) {
		for name, test := range suite {
			t.Run(d.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				test(t, d.make(t))
			})
		}
	}
}

// words puts values beside each other.
func words(values ...any) string { return strings.TrimSuffix(fmt.Sprintln(values...), "\n") }

func found(tb testing.TB, got any, want string) {
	tb.Helper()
	if g := fmt.Sprint(got); g != want {
		tb.Fatalf("found %s\nand it should be %s", g, want)
	}
}

func testIngest(t *testing.T, open func() store.Store) {
	s := open()
	ctx := t.Context()
	enrolled(t, s, "a1", "a2", "gone")
	ok(t, s.Revoke(ctx, "gone", began))
	batch := []wire.Record{
		receipt("a1", 1, 1, "r1", "waiting", true), receipt("a1", 1, 3, "r1", "fiscal", false), receipt("a1", 1, 2, "r1", "sending", false),
		receipt("a2", 1, 5, "r1", "waiting", true), receipt("unknown", 1, 1, "r1", "waiting", true), receipt("gone", 1, 1, "r1", "waiting", true),
		{V: 1, Agent: "a1", Epoch: 0, Seq: 1, Type: "receipt", Data: []byte("{}")},
	}
	for range 2 { // the second time nothing is new
		found(t, must(s.Ingest(ctx, batch))(t), "[{a1 {1 3 [] 0}} {a2 {1 0 [{1 4}] 5}}]")
	}
	found(t, must(s.Acks(ctx, "a2"))(t), "[{1 0 [{1 4}] 5}]")
	found(t, must(s.Acks(ctx, "gone"))(t), "[]")
	found(t, must(s.Ingest(ctx, nil))(t), "[]")
	rs := must(s.Receipts(ctx, "a1", store.Filter{}))(t)
	if len(rs) != 1 || rs[0].State != "fiscal" || rs[0].Document.FiscalID != "Fr1" || string(rs[0].Content) != `{"id":"r1","items":[{"name":"Plov"}]}` {
		t.Fatalf("found %+v", rs)
	}
	// A restored journal: a higher epoch is newer, whatever its numbers.
	must(s.Ingest(ctx, []wire.Record{receipt("a1", 2, 1, "r1", "held", false)}))(t)
	must(s.Ingest(ctx, []wire.Record{receipt("a1", 1, 4, "r1", "fiscal", false)}))(t)
	found(t, must(s.Receipts(ctx, "a1", store.Filter{}))(t)[0].State, "held")
	found(t, must(s.Agent(ctx, "a1"))(t).Epoch, "2")
	found(t, must(s.Acks(ctx, "a1"))(t), "[{1 4 [] 0} {2 1 [] 0}]")

	for n := range int64(5) {
		r := receipt("a2", 1, 10+n, fmt.Sprint("p", n), "fiscal", true)
		must(s.Ingest(ctx, []wire.Record{r}))(t)
	}
	var ids []string
	for f := (store.Filter{Limit: 2, State: "fiscal"}); ; {
		page := must(s.Receipts(ctx, "a2", f))(t)
		if len(page) == 0 {
			break
		}
		for _, r := range page {
			ids = append(ids, r.ID)
		}
		f.Before = page[len(page)-1].Number
	}
	found(t, ids, "[p4 p3 p2 p1 p0]")
	found(t, len(must(s.Receipts(ctx, "a2", store.Filter{From: began.Add(time.Second)}))(t)), "0")
	found(t, must(s.Totals(ctx, store.Filter{Venue: "v1"}, time.FixedZone("", 20*3600)))(t), "[{2026-11-25 5 6000 0 0}]")
	found(t, must(s.Totals(ctx, store.Filter{Venue: "other"}, time.UTC))(t), "[]")
	found(t, must(s.Alerts(ctx, store.Filter{}))(t), "[]")
}

func testClones(t *testing.T, open func() store.Store) {
	s := open()
	ctx := t.Context()
	enrolled(t, s, "a1", "a2")
	one, other := receipt("a1", 1, 1, "r1", "waiting", true), receipt("a1", 1, 1, "r2", "waiting", true)
	must(s.Ingest(ctx, []wire.Record{one}))(t)
	found(t, must(s.Ingest(ctx, []wire.Record{other}))(t), "[{a1 {1 1 [] 0}}]")
	alerts := must(s.Alerts(ctx, store.Filter{Agent: "a1", Open: true}))(t)
	if len(alerts) != 1 || alerts[0].Code != store.AlertCloned {
		t.Fatalf("found %+v", alerts)
	}
	found(t, len(must(s.Receipts(ctx, "a1", store.Filter{}))(t)), "1") // the first stays
	// In one batch as well; but what stands in for a record is none of a clone's.
	lost := record("a2", 1, 2, wire.RecordAlert, wire.Alert{Code: wire.AlertQuarantined, Detail: "too long"})
	must(s.Ingest(ctx, []wire.Record{receipt("a2", 1, 2, "r1", "waiting", true), lost, lost}))(t)
	found(t, must(s.Alerts(ctx, store.Filter{Agent: "a2"}))(t), "[]")
	must(s.Ingest(ctx, []wire.Record{receipt("a2", 1, 9, "r1", "held", true), receipt("a2", 1, 9, "r1", "fiscal", true)}))(t)
	found(t, must(s.Alerts(ctx, store.Filter{Agent: "a2"}))(t)[0].Code, store.AlertCloned)
}

func testBadData(t *testing.T, open func() store.Store) {
	s := open()
	ctx := t.Context()
	enrolled(t, s, "a1")
	long := strings.Repeat("x", 90_000)
	bad := []wire.Record{
		record("a1", 1, 1, wire.RecordReceipt, []int{1}),
		record("a1", 1, 2, wire.RecordReceipt, wire.Receipt{Terminal: "t\x00", ID: "i", Kind: "sale", State: "fiscal", Total: "1.00"}),
		record("a1", 1, 3, wire.RecordReceipt, wire.Receipt{Terminal: "t", ID: long, Kind: "sale", State: "fiscal", Total: "1.00"}),
		record("a1", 1, 4, wire.RecordReceipt, wire.Receipt{Terminal: "t", ID: "i", Kind: "sale", State: "fiscal", Total: "1e9"}),
		record("a1", 1, 5, wire.RecordReceipt, wire.Receipt{Terminal: "t", ID: "i", Kind: "k\x00", State: "s\x00", Total: "1.5", Detail: "\x00"}),
		record("a1", 1, 6, wire.RecordAlert, wire.Alert{Code: long}),
		record("a1", 1, 7, wire.RecordAlert, wire.Alert{Code: "c\x00"}),
		record("a1", 1, 8, "from_the\x00future", map[string]string{"a": "\x00"}),
		{V: 1, Agent: "a1", Epoch: 1, Seq: 9, Type: "health", Data: []byte("\x00\xff not JSON")},
		{V: 1, Agent: "a1", Epoch: 1, Seq: 10, Type: "health\xff", Data: nil},
		record("a1", 1, 11, wire.RecordShiftClosed, wire.ShiftReport{Register: long, Shift: "\x00", Differences: []wire.Difference{{Figure: "x"}}}),
		record("a1", 1, 12, wire.RecordAlert, wire.Alert{Code: "fine", Register: "r\x00", Detail: "d\x00"}),
		record("a1", 1, 13, wire.RecordHealth, wire.Health{Waiting: 3}),
	}
	good := receipt("a1", 1, 14, "r1", "fiscal", true)
	for range 2 {
		found(t, must(s.Ingest(ctx, append(bad, good)))(t), "[{a1 {1 14 [] 0}}]")
	}
	var codes []string
	for _, a := range must(s.Alerts(ctx, store.Filter{Open: true}))(t) {
		codes = append(codes, a.Code)
	}
	slices.Sort(codes)
	found(t, codes, "[fine shift_difference unreadable_record]")
	found(t, len(must(s.Receipts(ctx, "a1", store.Filter{}))(t)), "2") // the last, and the one with strange words
	found(t, must(s.Agent(ctx, "a1"))(t).Health.Waiting, "3")
}

func testMissingIsBounded(t *testing.T, open func() store.Store) {
	s := open()
	ctx := t.Context()
	enrolled(t, s, "a1")
	var odd, even []wire.Record
	for n := int64(1); n < 200; n += 2 {
		odd, even = append(odd, record("a1", 7, n, "x", struct{}{})), append(even, record("a1", 7, n+1, "x", struct{}{}))
	}
	ack := must(s.Ingest(ctx, even))(t)[0]
	if len(ack.Missing) != 32 || ack.UpTo != 0 || ack.Missing[31] != (wire.Range{From: 63, To: 63}) || ack.Top != 64 {
		t.Fatalf("found %+v", ack)
	}
	found(t, must(s.Ingest(ctx, odd[:50]))(t)[0].UpTo, "100")
	found(t, must(s.Ingest(ctx, odd[50:]))(t), "[{a1 {7 200 [] 0}}]")
}

func testShiftReports(t *testing.T, open func() store.Store) {
	s := open()
	ctx := t.Context()
	enrolled(t, s, "a1", "a2")
	ok(t, s.AddVenue(ctx, fleet.Venue{ID: "v2"}))
	enrol(t, s, "v2", "b1")
	for n, agent := range []string{"a1", "a2", "b1"} {
		z := wire.ShiftReport{Register: "kassa-1", Shift: fmt.Sprint(n), ClosedAt: began.Add(-time.Duration(n) * time.Hour), Raw: []byte{0, 1}}
		if n == 1 {
			z.Differences = []wire.Difference{{Figure: "sales.sum", Journal: "1.00", Register: "2.00"}}
		}
		must(s.Ingest(ctx, []wire.Record{record(agent, 1, 1, wire.RecordShiftClosed, z), record(agent, 1, 2, wire.RecordXReport, z)}))(t)
	}
	shifts := func(f store.Filter) (list []string) {
		for _, r := range must(s.ShiftReports(ctx, f))(t) {
			list = append(list, r.Agent+r.Shift)
		}
		return list
	}
	found(t, shifts(store.Filter{}), "[a10 a21 b12]")
	found(t, shifts(store.Filter{Venue: "v1"}), "[a10 a21]")
	found(t, shifts(store.Filter{Agent: "b1"}), "[b12]")
	found(t, shifts(store.Filter{From: began.Add(-time.Hour), To: began}), "[a21]")
	found(t, shifts(store.Filter{Before: must(s.ShiftReports(ctx, store.Filter{Limit: 1}))(t)[0].Number}), "[a21 b12]")
	alerts := must(s.Alerts(ctx, store.Filter{}))(t)
	if len(alerts) != 1 || alerts[0].Agent != "a2" || alerts[0].Code != store.AlertDifference || alerts[0].Register != "kassa-1" {
		t.Fatalf("found %+v", alerts)
	}
}

func testHealth(t *testing.T, open func() store.Store) {
	s := open()
	ctx := t.Context()
	enrolled(t, s, "a1")
	for _, seq := range []int64{1, 3, 2} {
		must(s.Ingest(ctx, []wire.Record{record("a1", 1, seq, wire.RecordHealth, wire.Health{Waiting: int(seq)})}))(t)
	}
	a := must(s.Agent(ctx, "a1"))(t)
	found(t, words(a.Health.Waiting, a.HealthAt.Equal(began), a.Epoch, a.UpTo), "3 true 1 3")
}

func testRecordAlerts(t *testing.T, open func() store.Store) {
	s := open()
	ctx := t.Context()
	enrolled(t, s, "a1")
	var seq int64
	tell := func() int {
		seq++
		r := record("a1", 1, seq, wire.RecordAlert, wire.Alert{Register: "kassa-1", Code: "shift_old"})
		r.Time = began.AddDate(-20, 0, 0) // an agent without a clock
		must(s.Ingest(ctx, []wire.Record{r}))(t)
		return len(must(s.Alerts(ctx, store.Filter{}))(t))
	}
	found(t, tell(), "1")
	found(t, tell(), "1") // open already
	a := must(s.Alerts(ctx, store.Filter{}))(t)[0]
	found(t, words(a.Venue, a.RaisedAt.Equal(began)), "v1 true")
	ok(t, s.Acknowledge(ctx, a.ID, "ayla", began))
	found(t, tell(), "2") // it happened again
	ok(t, s.End(ctx, "a1", "kassa-1", "shift_old", began))
	found(t, tell(), "3")
}

func testVenues(t *testing.T, open func() store.Store) {
	s := open()
	ctx := t.Context()
	ok(t, s.AddVenue(ctx, fleet.Venue{ID: "v1", Name: "Nar", CreatedAt: began}))
	is(t, s.AddVenue(ctx, fleet.Venue{ID: "v1", Name: "Other", CreatedAt: began}), fleet.ErrExists)
	_, err := s.Venue(ctx, "v2")
	is(t, err, fleet.ErrNotFound)
	if v := must(s.Venue(ctx, "v1"))(t); v.Name != "Nar" || v.CreatedAt != began {
		t.Fatalf("found %+v", v)
	}
	found(t, len(must(s.Venues(ctx))(t)), "1")
	is(t, s.SwitchModule(ctx, "v2", "azsmart", fleet.Switch{At: began, On: true}, "ayla"), fleet.ErrNotFound)
	for n, on := range []bool{false, true, true, false, false, true} {
		ok(t, s.SwitchModule(ctx, "v1", "azsmart", fleet.Switch{At: began.Add(time.Duration(n)), On: on}, "ayla"))
	}
	found(t, len(must(s.Modules(ctx, "v1"))(t)["azsmart"]), "3")
	found(t, must(s.Modules(ctx, "v1"))(t)["azsmart"][1].On, "false")
}

func testEnrolment(t *testing.T, open func() store.Store) {
	s := open()
	ctx := t.Context()
	is(t, s.AddEnrolment(ctx, fleet.Enrolment{Hash: "h", Venue: "v1", Agent: "a1", ExpiresAt: began}), fleet.ErrNotFound)
	enrolled(t, s, "a1")
	ok(t, s.AddVenue(ctx, fleet.Venue{ID: "v2"}))
	is(t, s.AddEnrolment(ctx, fleet.Enrolment{Hash: "h", Venue: "v2", Agent: "a1", ExpiresAt: began}), fleet.ErrExists)

	ok(t, s.AddEnrolment(ctx, fleet.Enrolment{Hash: "h", Venue: "v1", Agent: "a2", By: "ayla", ExpiresAt: began.Add(time.Hour)}))
	c := fleet.Certificate{Serial: "01", Agent: "a2", NotBefore: began, NotAfter: began.AddDate(1, 0, 0)}
	sign := func(fleet.Enrolment) (fleet.Certificate, error) { return c, nil }
	full := errors.New("the pen is dry")
	_, err := s.Enrol(ctx, "h", func(fleet.Enrolment) (fleet.Certificate, error) { return c, full }, began)
	is(t, err, full)
	_, err = s.Enrol(ctx, "other", sign, began)
	is(t, err, fleet.ErrNotFound)
	_, err = s.Enrol(ctx, "h", sign, began.Add(time.Hour))
	is(t, err, fleet.ErrSpent)
	// Of many at once one gets it.
	var wg sync.WaitGroup
	var got atomic.Int64
	for range 8 {
		wg.Go(func() {
			if _, err := s.Enrol(ctx, "h", sign, began); err == nil {
				got.Add(1)
			} else if !errors.Is(err, fleet.ErrSpent) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	found(t, got.Load(), "1")
	if a := must(s.Agent(ctx, "a2"))(t); a.EnrolledAt != began || a.Venue != "v1" {
		t.Fatalf("found %+v", a)
	}
	ok(t, s.Renew(ctx, fleet.Certificate{Serial: "02", Agent: "a2", NotBefore: began, NotAfter: began}))
	found(t, must(s.Certificate(ctx, "01"))(t).RevokedAt.IsZero(), "true")
	enrol(t, s, "v1", "a2") // a new card
	found(t, must(s.Certificate(ctx, "01"))(t).RevokedAt.Equal(began), "true")
	found(t, must(s.Certificate(ctx, "02"))(t).RevokedAt.Equal(began), "true")

	ok(t, s.AddEnrolment(ctx, fleet.Enrolment{Hash: "h2", Venue: "v1", Agent: "a2", ExpiresAt: began.Add(time.Hour)}))
	ok(t, s.Revoke(ctx, "a2", began))
	found(t, must(s.Agent(ctx, "a2"))(t).Revoked, "true")
	is(t, s.Renew(ctx, fleet.Certificate{Serial: "03", Agent: "a2"}), fleet.ErrNotFound)
	_, err = s.Enrol(ctx, "h2", sign, began) // a code that was out
	is(t, err, fleet.ErrSpent)
	is(t, s.Revoke(ctx, "nobody", began), fleet.ErrNotFound)
	found(t, len(must(s.Revoked(ctx, began.Add(-time.Hour)))(t)) > 1, "true")
	for _, c := range must(s.Revoked(ctx, began.Add(-time.Hour)))(t) {
		found(t, c.Agent == "a2" && c.RevokedAt.Equal(began), "true")
	}
	found(t, len(must(s.Revoked(ctx, began.AddDate(100, 0, 0)))(t)), "0") // ended by themselves
	_, err = s.Certificate(ctx, "99")
	is(t, err, fleet.ErrNotFound)
	enrol(t, s, "v1", "a2")
	found(t, must(s.Agent(ctx, "a2"))(t).Revoked, "false")
	found(t, len(must(s.Agents(ctx, store.Filter{Venue: "v1"}))(t)), "2")
}

func testPresence(t *testing.T, open func() store.Store) {
	s := open()
	ctx := t.Context()
	enrolled(t, s, "a1")
	is(t, s.Presence(ctx, "nobody", wire.Presence{}, began), fleet.ErrNotFound)
	for n, step := range []struct {
		p      wire.Presence
		online bool
		since  int // the step that it is so since
	}{
		{wire.Presence{Epoch: 1, Session: 5, Online: true, Version: "1.0"}, true, 0},
		{wire.Presence{Epoch: 1, Session: 5, Online: true, Version: "1.0"}, true, 0},  // repeated
		{wire.Presence{Epoch: 1, Session: 6, Online: true, Version: "1.1"}, true, 0},  // connected again
		{wire.Presence{Epoch: 1, Session: 5, Online: false, Version: "1.0"}, true, 0}, // a late will
		{wire.Presence{Epoch: 1, Session: 6, Online: false, Version: "1.1"}, false, 4},
		{wire.Presence{Epoch: 2, Session: 1, Online: true, Version: "2.0"}, true, 5}, // a new journal
		{wire.Presence{Epoch: 1, Session: 9, Online: false}, true, 5},
	} {
		ok(t, s.Presence(ctx, "a1", step.p, began.Add(time.Duration(n)*time.Minute)))
		a := must(s.Agent(ctx, "a1"))(t)
		if since := began.Add(time.Duration(step.since) * time.Minute); a.Online != step.online || a.Since != since {
			t.Fatalf("after step %d: %+v", n, a)
		}
	}
	found(t, must(s.Agent(ctx, "a1"))(t).Version, "2.0")
	ok(t, s.AllOffline(ctx, began.Add(time.Hour)))
	a := must(s.Agent(ctx, "a1"))(t)
	found(t, words(a.Online, a.Since.Equal(began.Add(time.Hour))), "false true")
}

func testSettings(t *testing.T, open func() store.Store) {
	s := open()
	ctx := t.Context()
	enrolled(t, s, "a1")
	_, err := s.Version(ctx, "a1", 0)
	is(t, err, fleet.ErrNotFound)
	put := func(rev int64) (fleet.Version, error) {
		return s.PutSettings(ctx, rev, fleet.Version{Agent: "a1", Settings: json.RawMessage(`{"secret":"\u0000"}`), By: "ayla", At: began})
	}
	found(t, must(put(0))(t).Rev, "1")
	_, err = put(0)
	is(t, err, fleet.ErrStale)
	_, err = s.PutSettings(ctx, 0, fleet.Version{Agent: "nobody"})
	is(t, err, fleet.ErrNotFound)
	// Of many at once one is next.
	var wg sync.WaitGroup
	var got atomic.Int64
	for range 8 {
		wg.Go(func() {
			if _, err := put(1); err == nil {
				got.Add(1)
			} else if !errors.Is(err, fleet.ErrStale) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	found(t, got.Load(), "1")
	v := must(s.Version(ctx, "a1", 1))(t)
	found(t, words(v.Rev, string(v.Settings), v.By, v.At.Equal(began)), `1 {"secret":"\u0000"} ayla true`)
	found(t, must(s.Version(ctx, "a1", 0))(t).Rev, "2")
	found(t, len(must(s.Versions(ctx, "a1"))(t)), "2")
	found(t, must(s.Agent(ctx, "a1"))(t).State(), "pending")
	ok(t, s.Reported(ctx, "a1", wire.Reported{Rev: 1, Judged: 2, State: wire.StateRefused, Reason: "\x00", Faults: []wire.Fault{{Field: "tax"}}}))
	a := must(s.Agent(ctx, "a1"))(t)
	found(t, a.State()+" "+a.Reported.Faults[0].Field, "refused tax")
	is(t, s.Reported(ctx, "nobody", wire.Reported{}), fleet.ErrNotFound)
	// The agent has seen higher ones, of a database that was lost.
	ok(t, s.Presence(ctx, "a1", wire.Presence{Rev: 40, Session: 1, Online: true}, began))
	found(t, must(put(2))(t).Rev, "41")
	ok(t, s.Presence(ctx, "a1", wire.Presence{Rev: math.MaxInt64, Session: 2, Online: true}, began))
	found(t, must(put(41))(t).Rev, "42")
}

func testCommands(t *testing.T, open func() store.Store) {
	s := open()
	ctx := t.Context()
	enrolled(t, s, "a1", "a2")
	c := fleet.Command{ID: "c1", Agent: "a1", Name: "x_report", Arguments: json.RawMessage(`{"register":"kassa-1"}`), State: fleet.CommandPending, By: "ayla", CreatedAt: began, ExpiresAt: began.Add(time.Minute)}
	ok(t, s.AddCommand(ctx, c))
	is(t, s.AddCommand(ctx, c), fleet.ErrExists)
	is(t, s.AddCommand(ctx, fleet.Command{ID: "c", Agent: "nobody", State: fleet.CommandPending}), fleet.ErrNotFound)
	second := c
	second.ID, second.ExpiresAt = "c2", began.Add(2*time.Minute)
	ok(t, s.AddCommand(ctx, second))
	if got := must(s.Command(ctx, "a1", "c1"))(t); !reflect.DeepEqual(got, c) {
		t.Fatalf("found %+v", got)
	}
	_, err := s.Command(ctx, "a2", "c1")
	is(t, err, fleet.ErrNotFound)
	found(t, words(len(must(s.Pending(ctx, ""))(t)), len(must(s.Pending(ctx, "a1"))(t)), len(must(s.Pending(ctx, "a2"))(t))), "2 2 0")
	is(t, s.Answer(ctx, "a2", wire.Result{ID: "c1", OK: true}, began), fleet.ErrNotFound)
	ok(t, s.Answer(ctx, "a1", wire.Result{ID: "c1", OK: true, Result: json.RawMessage(`{"a":1}`)}, began))
	ok(t, s.Answer(ctx, "a1", wire.Result{ID: "c1", Error: "too late"}, began.Add(time.Second)))
	got := must(s.Command(ctx, "a1", "c1"))(t)
	found(t, words(got.State, string(got.Result), got.Error, got.AnsweredAt.Equal(began)), `done {"a":1}  true`)
	found(t, must(s.Expire(ctx, began.Add(time.Minute)))(t), "0")
	found(t, must(s.Expire(ctx, began.Add(2*time.Minute)))(t), "1")
	found(t, must(s.Command(ctx, "a1", "c2"))(t).State, "expired")
	ok(t, s.Answer(ctx, "a1", wire.Result{ID: "c2", OK: true}, began.Add(time.Hour)))
	found(t, must(s.Command(ctx, "a1", "c2"))(t).State, "done") // it was, and late
	found(t, must(s.Commands(ctx, "a1", 1))(t)[0].ID, "c2")
}

func testHeard(t *testing.T, open func() store.Store) {
	s := open()
	ctx := t.Context()
	enrolled(t, s, "a1", "a2")
	ok(t, s.Heard(ctx, []store.Said{
		{Agent: "nobody", Presence: &wire.Presence{Online: true}},
		{Agent: "a2", Presence: &wire.Presence{Online: true, Session: 2, Epoch: 1, Version: "v"}},
		{Agent: "a1", Reported: &wire.Reported{Rev: 3, Judged: 3, State: wire.StateApplied}},
		{Agent: "a2", Presence: &wire.Presence{Session: 2, Epoch: 1}},
		{Agent: "a2", Presence: &wire.Presence{Online: true, Session: 3, Epoch: 1, Version: "w"}},
		{Agent: "a2", Presence: &wire.Presence{Session: 2, Epoch: 1}}, // a late will
		{Agent: "nobody", Reported: &wire.Reported{}},
	}, began))
	a := must(s.Agent(ctx, "a2"))(t)
	found(t, words(a.Online, a.Session, a.Version, a.Since.Equal(began)), "true 3 w true")
	found(t, words(must(s.Agent(ctx, "a1"))(t).Reported.Rev), "3")
	ok(t, s.Heard(ctx, nil, began))
}

func testAlerts(t *testing.T, open func() store.Store) {
	s := open()
	ctx := t.Context()
	enrolled(t, s, "a1")
	first := must(s.AddWebhook(ctx, fleet.Webhook{URL: "https://a.example", Secret: "s1", CreatedAt: began}))(t)
	must(s.AddWebhook(ctx, fleet.Webhook{URL: "https://b.example", Secret: "s2", CreatedAt: began}))(t)
	_, err := s.AddWebhook(ctx, fleet.Webhook{URL: "https://a.example", Secret: "s3", CreatedAt: began})
	is(t, err, fleet.ErrExists)
	found(t, words(len(must(s.Webhooks(ctx))(t)), must(s.Webhooks(ctx))(t)[0].Secret), "2 s1")
	a := fleet.Alert{Agent: "a1", Register: "kassa-1", Code: "register_away", Detail: "d", RaisedAt: began}
	found(t, must(s.Raise(ctx, a))(t), "true")
	found(t, must(s.Raise(ctx, a))(t), "false")
	due := must(s.Due(ctx, began, 10))(t)
	if len(due) != 2 || due[0].Webhook != first || !strings.Contains(string(due[0].Body), `"venue":"v1"`) {
		t.Fatalf("found %+v", due)
	}
	ok(t, s.Failed(ctx, due[0].ID, "no route", began.Add(time.Minute)))
	ok(t, s.Delivered(ctx, due[1].ID))
	found(t, len(must(s.Due(ctx, began, 10))(t)), "0")
	due = must(s.Due(ctx, began.Add(time.Minute), 10))(t)
	found(t, words(len(due), due[0].Attempts, due[0].Error), "1 1 no route")
	ok(t, s.DeleteWebhook(ctx, first))
	is(t, s.DeleteWebhook(ctx, first), fleet.ErrNotFound)
	found(t, len(must(s.Due(ctx, began.Add(time.Minute), 10))(t)), "0")

	id := must(s.Alerts(ctx, store.Filter{Open: true, Venue: "v1"}))(t)[0].ID
	ok(t, s.Acknowledge(ctx, id, "ayla", began.Add(time.Minute)))
	ok(t, s.Acknowledge(ctx, id, "murad", began.Add(time.Hour))) // the first stays
	is(t, s.Acknowledge(ctx, id+1, "ayla", began), fleet.ErrNotFound)
	found(t, len(must(s.Alerts(ctx, store.Filter{Open: true}))(t)), "0")
	found(t, must(s.Raise(ctx, a))(t), "false") // it is still so
	ok(t, s.End(ctx, "a1", "kassa-1", "register_away", began.Add(time.Hour)))
	got := must(s.Alerts(ctx, store.Filter{Agent: "a1"}))(t)[0]
	found(t, words(got.AcknowledgedBy, got.EndedAt.Equal(began.Add(time.Hour))), "ayla true")
	found(t, must(s.Raise(ctx, a))(t), "true")
	found(t, must(s.Raise(ctx, fleet.Alert{Code: "cloud_disk"}))(t), "true") // about no agent

	// Nobody sees the end of what is not watched: it is over once a person has looked.
	clone := fleet.Alert{Agent: "a1", Code: store.AlertCloned, RaisedAt: began}
	found(t, must(s.Raise(ctx, clone))(t), "true")
	ok(t, s.Acknowledge(ctx, must(s.Alerts(ctx, store.Filter{Agent: "a1"}))(t)[0].ID, "ayla", began.Add(time.Minute)))
	found(t, must(s.Alerts(ctx, store.Filter{Agent: "a1"}))(t)[0].EndedAt.Equal(began.Add(time.Minute)), "true")
	found(t, must(s.Raise(ctx, clone))(t), "true")
}

func testPeople(t *testing.T, open func() store.Store) {
	s := open()
	ctx := t.Context()
	u := fleet.User{Name: "ayla", Role: fleet.Operator, PasswordHash: "h", CreatedAt: began}
	ok(t, s.PutUser(ctx, u))
	_, err := s.User(ctx, "nobody\x00")
	is(t, err, fleet.ErrNotFound)
	is(t, s.AddSession(ctx, fleet.Session{Hash: "s", User: "nobody"}), fleet.ErrNotFound)
	n := fleet.Session{Hash: "s", User: "ayla", Kind: "session", CreatedAt: began, ExpiresAt: began.Add(time.Hour)}
	ok(t, s.AddSession(ctx, n))
	gotN, gotU, err := s.Session(ctx, "s", began)
	ok(t, err)
	if gotN != n || gotU != u {
		t.Fatalf("found %+v %+v", gotN, gotU)
	}
	_, _, err = s.Session(ctx, "s", began.Add(time.Hour))
	is(t, err, fleet.ErrSpent)
	_, _, err = s.Session(ctx, "other", began)
	is(t, err, fleet.ErrNotFound)
	u.Role = fleet.Admin
	ok(t, s.PutUser(ctx, u))
	_, gotU, err = s.Session(ctx, "s", began)
	ok(t, err)
	found(t, gotU.Role, "admin")
	u.Disabled = true
	ok(t, s.PutUser(ctx, u))
	_, _, err = s.Session(ctx, "s", began)
	is(t, err, fleet.ErrNotFound)
	is(t, s.AddSession(ctx, n), fleet.ErrNotFound)
	u.Disabled = false
	ok(t, s.PutUser(ctx, u))
	ok(t, s.AddSession(ctx, n))
	ok(t, s.EndSession(ctx, "s"))
	_, _, err = s.Session(ctx, "s", began)
	is(t, err, fleet.ErrNotFound)
	found(t, len(must(s.Users(ctx))(t)), "1")

	for n := range 3 {
		ok(t, s.Note(ctx, fleet.Act{At: began, User: "ayla", Action: "settings.put", Object: fmt.Sprint("a", n), Detail: "\x00"}))
	}
	acts := must(s.Acts(ctx, store.Filter{Limit: 2}))(t)
	found(t, acts[0].Object+acts[1].Object, "a2a1")
	found(t, must(s.Acts(ctx, store.Filter{Before: acts[1].ID}))(t)[0].Object, "a0")
	found(t, len(must(s.Acts(ctx, store.Filter{Agent: "a1"}))(t)), "1")
}

func testRollouts(t *testing.T, open func() store.Store) {
	s := open()
	ctx := t.Context()
	r := fleet.Rollout{ID: "r1", Change: json.RawMessage(`{"a":null}`), AtOnce: 2, State: fleet.RolloutRunning, By: "ayla", CreatedAt: began, Agents: []fleet.RolloutAgent{{Agent: "a1", State: "waiting"}}}
	ok(t, s.AddRollout(ctx, r))
	is(t, s.AddRollout(ctx, r), fleet.ErrExists)
	r.State, r.Agents[0].Rev = fleet.RolloutPaused, 3
	ok(t, s.SaveRollout(ctx, r))
	if got := must(s.Rollout(ctx, "r1"))(t); !reflect.DeepEqual(got, r) {
		t.Fatalf("found %+v", got)
	}
	is(t, s.SaveRollout(ctx, fleet.Rollout{ID: "r2"}), fleet.ErrNotFound)
	_, err := s.Rollout(ctx, "r2")
	is(t, err, fleet.ErrNotFound)
	found(t, len(must(s.Rollouts(ctx))(t)), "1")

	_, err = s.Value(ctx, "key")
	is(t, err, fleet.ErrNotFound)
	found(t, must(s.SetValue(ctx, "key", []byte("a\x00")))(t), "[97 0]")
	found(t, must(s.SetValue(ctx, "key", []byte("b")))(t), "[97 0]")
	found(t, must(s.Value(ctx, "key"))(t), "[97 0]")
	ok(t, s.Ping(ctx))
}

func testLead(t *testing.T, open func() store.Store) {
	ctx, stop := context.WithCancel(t.Context())
	one, other := open(), open()
	started, end := make(chan string, 2), make(chan struct{})
	var wg sync.WaitGroup
	var leads atomic.Int64
	do := func(name string) func(context.Context) error {
		return func(ctx context.Context) error {
			if leads.Add(1) != 1 {
				t.Error("two lead at once")
			}
			defer leads.Add(-1)
			started <- name
			select {
			case <-ctx.Done():
			case <-end:
			}
			return nil
		}
	}
	lead := func(s store.Store, name string) {
		if err := s.Lead(ctx, do(name)); err != nil {
			t.Error(err)
			stop()
		}
	}
	next := func() string {
		select {
		case name := <-started:
			return name
		case <-ctx.Done():
			return "nobody"
		}
	}
	wg.Go(func() { lead(one, "one") })
	found(t, next(), "one")
	wg.Go(func() { lead(other, "other") })
	select {
	case end <- struct{}{}:
	case <-ctx.Done():
	}
	found(t, next(), "other")
	stop()
	wg.Wait()
	failed := errors.New("failed")
	is(t, one.Lead(t.Context(), func(context.Context) error { return failed }), failed)
}

func testRetain(t *testing.T, open func() store.Store) {
	s := open()
	ctx := t.Context()
	enrolled(t, s, "a1")
	var batch []wire.Record
	const n = 1200
	for seq := int64(1); seq <= n; seq++ {
		state := "fiscal"
		if seq == 7 {
			state = "held"
		}
		batch = append(batch, receipt("a1", 1, seq, fmt.Sprint("r", seq), state, seq == 7))
	}
	batch = append(batch, record("a1", 1, n+5, wire.RecordShiftClosed, wire.ShiftReport{ClosedAt: began}))
	must(s.Ingest(ctx, batch))(t)
	for _, a := range []fleet.Alert{{Agent: "a1", Code: "over"}, {Agent: "a1", Code: "open"}} {
		must(s.Raise(ctx, a))(t)
	}
	ok(t, s.End(ctx, "a1", "", "over", began))
	ok(t, s.Note(ctx, fleet.Act{At: began}))
	ok(t, s.AddCommand(ctx, fleet.Command{Agent: "a1", ID: "c", State: fleet.CommandPending, CreatedAt: began, ExpiresAt: began}))
	ok(t, s.PutUser(ctx, fleet.User{Name: "ayla"}))
	ok(t, s.AddSession(ctx, fleet.Session{Hash: "s", User: "ayla", ExpiresAt: began}))

	found(t, must(s.Retain(ctx, store.Policy{}, began.AddDate(9, 0, 0)))(t), "map[sessions:1]") // for ever
	day := 24 * time.Hour
	all := store.Policy{Records: day, Receipts: day, Reports: day, Acts: day, Alerts: day, Commands: day}
	found(t, must(s.Retain(ctx, all, began.Add(day)))(t), "map[acts:0 alerts:0 commands:0 receipts:0 records:0 reports:0 sessions:0]")
	found(t, must(s.Retain(ctx, all, began.Add(day+time.Second)))(t), "map[acts:1 alerts:1 commands:0 receipts:1199 records:1200 reports:1 sessions:0]")
	held := must(s.Receipts(ctx, "a1", store.Filter{}))(t)[0] // its record is gone, and it is whole
	found(t, words(held.ID, held.State, string(held.Content)), `r7 held {"id":"r7","items":[{"name":"Plov"}]}`)
	// What comes again of what was deleted is not stored again; the gap is known.
	found(t, must(s.Ingest(ctx, batch))(t), "[{a1 {1 1200 [{1201 1204}] 1205}}]")
	found(t, len(must(s.Receipts(ctx, "a1", store.Filter{}))(t)), "1")
	found(t, must(s.Alerts(ctx, store.Filter{}))(t)[0].Code, "open")
	// The next state comes from its own record.
	must(s.Ingest(ctx, []wire.Record{receipt("a1", 1, n+1, "r7", "fiscal", false)}))(t)
	r := must(s.Receipts(ctx, "a1", store.Filter{}))(t)[0]
	found(t, words(r.State, r.Document.FiscalID, string(r.Content) == string(held.Content)), "fiscal Fr7 true")
}
