package till_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/till"
	"ekassa/agent/till/tilltest"
	"ekassa/cloud/wire"
)

// journal keeps receipts in memory, by the rules of till.Journal.
type journal struct {
	mu       sync.Mutex
	list     []receipt.Stored
	prints   map[string]receipt.Fingerprint
	changes  []receipt.Change
	watchers map[chan struct{}]bool

	fail     error                     // of everything
	failGet  error                     // of Get alone
	faults   receipt.Faults            // of Accept
	queues   map[string]register.Queue //
	unbound  int                       //
	tries    []register.Try
	acts     []receipt.Act
	failActs error                                 // of Act
	after    func(s receipt.Stored) receipt.Stored // what becomes of a new receipt at once
}

func newJournal() *journal {
	return &journal{prints: map[string]receipt.Fingerprint{}, watchers: map[chan struct{}]bool{}, queues: map[string]register.Queue{}}
}

func (j *journal) Accept(terminal, name string, r receipt.Receipt, f receipt.Fingerprint) (receipt.Stored, bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fail != nil {
		return receipt.Stored{}, false, j.fail
	}
	if n := j.find(terminal, r.ID); n >= 0 {
		if !j.prints[terminal+" "+r.ID].Same(f) {
			return receipt.Stored{}, false, receipt.ErrConflict
		}
		return j.list[n], false, nil
	}
	if len(j.faults) > 0 {
		return receipt.Stored{}, false, j.faults
	}
	j.prints[terminal+" "+r.ID] = f
	s := receipt.Stored{Receipt: r, Seq: int64(len(j.list) + 1), Terminal: terminal, Register: name, State: receipt.Waiting, ReceivedAt: time.Now()}
	if !r.Fiscal {
		s.State, s.Reason.Code = receipt.NonFiscal, register.WhyNotFiscal
	}
	if name == "" {
		s.Reason.Code = register.WhyNoRegister
	}
	if j.after != nil {
		s = j.after(s)
	}
	j.list = append(j.list, s)
	j.tell(s)
	return s, true, nil
}

func (j *journal) find(terminal, id string) int {
	return slices.IndexFunc(j.list, func(s receipt.Stored) bool { return s.Terminal == terminal && s.ID == id })
}

func (j *journal) tell(s receipt.Stored) {
	j.changes = append(j.changes, receipt.Change{Record: int64(len(j.changes) + 1), Receipt: s, At: time.Now()})
	for w := range j.watchers {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

func (j *journal) Get(terminal, id string) (receipt.Stored, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := j.find(terminal, id)
	switch {
	case j.fail != nil:
		return receipt.Stored{}, j.fail
	case j.failGet != nil:
		return receipt.Stored{}, j.failGet
	case n < 0:
		return receipt.Stored{}, receipt.ErrNotFound
	}
	return j.list[n], nil
}

func (j *journal) List(f receipt.Filter) (found []receipt.Stored, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range slices.Backward(j.list) {
		if s.Terminal == f.Terminal && s.Kind.IsCash() == f.Cash && (f.Before == 0 || s.Seq < f.Before) &&
			(len(f.States) == 0 || slices.Contains(f.States, s.State)) && len(found) < f.Limit {
			found = append(found, s)
		}
	}
	return found, j.fail
}

// set changes a receipt as the dispatch loop would.
func (j *journal) set(terminal, id string, change func(*receipt.Stored)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := j.find(terminal, id)
	change(&j.list[n])
	j.tell(j.list[n])
}

func (j *journal) move(terminal, id string, to receipt.State, why receipt.Reason, from ...receipt.State) (receipt.Stored, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := j.find(terminal, id)
	switch {
	case j.fail != nil:
		return receipt.Stored{}, j.fail
	case n < 0:
		return receipt.Stored{}, receipt.ErrNotFound
	case !slices.Contains(from, j.list[n].State):
		return receipt.Stored{}, receipt.ErrMove
	}
	j.list[n].State, j.list[n].Reason = to, why
	j.tell(j.list[n])
	return j.list[n], nil
}

func by(who, why string) receipt.Reason {
	if who == "" {
		return receipt.Reason{}
	}
	return receipt.Reason{Code: register.WhyPerson, Detail: who + ": " + why}
}

func (j *journal) Retry(terminal, id, who string) (receipt.Stored, error) {
	return j.move(terminal, id, receipt.Waiting, by(who, ""), receipt.Refused)
}

func (j *journal) Withdraw(terminal, id, who, why string) (receipt.Stored, error) {
	return j.move(terminal, id, receipt.Withdrawn, by(who, why), receipt.Waiting, receipt.Refused, receipt.Held)
}

func (j *journal) Fiscalise(terminal, id, who string) (receipt.Stored, error) {
	return j.move(terminal, id, receipt.Waiting, by(who, ""), receipt.NonFiscal)
}

func (j *journal) Resolve(terminal, id string, d receipt.Decision) (receipt.Stored, error) {
	to := map[receipt.Verdict]receipt.State{receipt.Send: receipt.Waiting, receipt.WasMade: receipt.Fiscal, receipt.Drop: receipt.Withdrawn}[d.Verdict]
	if _, err := j.Get(terminal, id); err == nil && d.Document != nil && d.Document.FiscalID == "TAKEN" {
		return receipt.Stored{}, receipt.ErrTaken
	}
	s, err := j.move(terminal, id, to, by(d.Who, d.Why), receipt.Held)
	if err == nil && d.Document != nil {
		j.set(terminal, id, func(s *receipt.Stored) { s.Document = d.Document })
		return j.Get(terminal, id)
	}
	return s, err
}

func (j *journal) Watch(string, string) (<-chan struct{}, func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	w := make(chan struct{}, 1)
	j.watchers[w] = true
	return w, func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		delete(j.watchers, w)
	}
}

func (j *journal) Changes(terminal string, after int64, limit int) (found []receipt.Change, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range j.changes {
		if c.Record > after && c.Receipt.Terminal == terminal && len(found) < limit {
			found = append(found, c)
		}
	}
	return found, j.fail
}

func (j *journal) LastChange() (int64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return int64(len(j.changes)), j.fail
}

func (j *journal) Epoch() int64 { return 7 }

func (j *journal) Queue(name string) (register.Queue, error) { return j.queues[name], j.fail }
func (j *journal) Unbound(string) (int, error)               { return j.unbound, j.fail }
func (j *journal) Room() (int64, bool, error)                { return 1 << 30, false, j.fail }
func (j *journal) Health() error                             { return j.fail }

func (j *journal) Tries(terminal, id string) ([]register.Try, error) {
	_, err := j.Get(terminal, id)
	return j.tries, err
}

func (j *journal) Act(x receipt.Act) (int64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failActs != nil {
		return 0, j.failActs
	}
	x.N, x.At = int64(len(j.acts)+1), time.Now()
	j.acts = append(j.acts, x)
	return x.N, nil
}

func (j *journal) ActDone(n int64, outcome string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.acts[n-1].Outcome = outcome
	return nil
}

func (j *journal) Acts(terminal string, _ int64, _ int) (list []receipt.Act, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, x := range slices.Backward(j.acts) {
		if x.Terminal == terminal {
			list = append(list, x)
		}
	}
	return list, j.fail
}

func (j *journal) count() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.list)
}

// desk has one terminal's registers, and gives one error or none.
type desk struct {
	mu        sync.Mutex
	active    string
	registers []register.Status
	err       error
	shift     register.Shift
	report    register.Report
	who       string
	reprinted []string
	slow      time.Duration // what OpenShift and the rest take
}

func (d *desk) Active(terminal string) (string, bool) {
	return d.active, d.active != "" && terminal == "till-1"
}

func (d *desk) Registers(terminal string) (found []register.Status) {
	for _, s := range d.registers {
		if s.Terminal == terminal {
			found = append(found, s)
		}
	}
	return found
}

func (d *desk) Check(_ context.Context, terminal, name string) (register.Status, error) {
	for _, s := range d.Registers(terminal) {
		if s.ID == name {
			return s, d.err
		}
	}
	return register.Status{}, register.ErrUnknownRegister
}

func (d *desk) ask(ctx context.Context, who string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.who = who
	select {
	case <-time.After(d.slow):
		return d.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *desk) Shift(ctx context.Context, _ string) (register.Shift, error) {
	return d.shift, d.ask(ctx, "")
}

func (d *desk) OpenShift(ctx context.Context, _, who string) (register.Shift, error) {
	return d.shift, d.ask(ctx, who)
}

func (d *desk) CloseShift(ctx context.Context, _, who string) (register.Report, error) {
	return d.report, d.ask(ctx, who)
}

func (d *desk) CloseShiftNow(ctx context.Context, _, who, why string) (register.Report, error) {
	return d.report, d.ask(ctx, who+": "+why)
}

func (d *desk) Reports(_, kind string, limit int) ([]register.Reported, error) {
	list := []register.Reported{
		{Register: "kassa-1", Kind: kind, By: "Aysel M.", At: time.Now(), Report: d.report},
		{Register: "kassa-2", Kind: kind, At: time.Now(), Report: d.report},
	}
	return list[:min(limit, len(list))], d.err
}

func (d *desk) XReport(ctx context.Context, _ string) (register.Report, error) {
	return d.report, d.ask(ctx, "")
}

func (d *desk) Period(ctx context.Context, _ string, from, to time.Time) (register.Report, error) {
	d.who = from.Format(time.RFC3339) + " " + to.Format(time.RFC3339)
	return d.report, d.ask(ctx, d.who)
}

func (d *desk) Reprint(ctx context.Context, _, id string) error {
	err := d.ask(ctx, "")
	if err == nil {
		d.reprinted = append(d.reprinted, id)
	}
	return err
}

type tokens map[string]string

func (t tokens) Terminal(token string) (string, bool) {
	terminal, ok := t[token]
	return terminal, ok
}

// shop is an API with everything that it stands on.
type shop struct {
	*tilltest.Client
	handler  http.Handler
	journal  *journal
	desk     *desk
	settings *wire.Settings
}

func newShop(tb testing.TB, change ...func(*till.Config)) *shop {
	tb.Helper()
	settings := wire.DefaultSettings()
	settings.Language = "en"
	settings.Terminals = []wire.Terminal{{ID: "till-1"}, {ID: "till-2"}}
	s := &shop{journal: newJournal(), settings: &settings, desk: &desk{
		active: "kassa-1",
		registers: []register.Status{{
			ID: "kassa-1", Name: "Bar", Driver: "azsmart", Terminal: "till-1", Mode: "active", Link: register.LinkReady,
			Identity: register.Identity{Serial: "0123456789"}, Shift: register.Shift{Open: true, ID: "7", OpenedAt: time.Now().Add(-time.Hour), Age: time.Hour, Cash: 5000, Drawer: true},
			SeenAt: time.Now(),
		}},
		shift:  register.Shift{Open: true, ID: "7", OpenedAt: time.Now().Add(-time.Hour), Age: time.Hour, Cash: 12050, Drawer: true},
		report: register.Report{Shift: "7", Cash: new(receipt.Money(12050)), Sales: register.Sum{Count: 2, Sum: 2400, VAT: []register.VAT{{Rate: 1800, Amount: 366}}}},
	}}
	config := till.Config{
		Journal: s.journal, Desk: s.desk, Settings: func() wire.Settings { return *s.settings },
		Tokens: tokens{"ek_one": "till-1", "ek_two": "till-2", "ek_stray": "till-9"},
	}
	for _, f := range change {
		f(&config)
	}
	s.handler = till.New(config)
	s.Client = tilltest.Direct(tb, s.handler, "ek_one")
	return s
}

// as gives the same API to another till.
func (s *shop) as(token string) *tilltest.Client {
	c := *s.Client
	c.Token = token
	return &c
}

// plain asks without holding the answer against the document.
func (s *shop) plain(method, target string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost"+target, nil)
	r.Header.Set("Authorization", "Bearer "+s.Token)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

// sale is a receipt with the id.
func sale(id string) string {
	return `{"id":"` + id + `","kind":"sale","time":"2026-11-23T19:05:12+04:00","cashier":"Aysel M.","number":"123",
	 "items":[{"name":"Plov","code":"1001","unit":"piece","quantity":"1.5","price":"8.00","discount":"0.00","tax":"vat18"}],
	 "payments":{"cash":"20.00"},"note":"table 7"}`
}

func document() *receipt.Document {
	return &receipt.Document{
		FiscalID: "BqZ5C1vTk9pXn6qW", ShortID: "BqZ5C1vTk9pX", Number: "20", RegisterSerial: "0123456789",
		URL: "https://monitoring.e-kassa.gov.az/#/index?doc=BqZ5C1vTk9pX", Printed: true, At: time.Date(2026, 11, 23, 15, 5, 14, 0, time.UTC),
	}
}

func makeFiscal(s *receipt.Stored) {
	s.State, s.Reason, s.Document, s.Attempts = receipt.Fiscal, receipt.Reason{}, document(), 1
}
