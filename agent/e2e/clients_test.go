package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	client "ekassa/agent/clients"
	"ekassa/agent/register/simulator"
)

// unreliable is what may stand between a till and its agent. Of each receipt's calls
// the first reaches the agent and its answer is lost; the next are answered by
// others; the fifth and later go through. Calls without an id lose every answer. The
// first stream of events breaks off behind its second event, and the next is somebody
// else's.
type unreliable struct {
	mu    sync.Mutex
	calls map[string][]string // bodies by id, or by path
}

const another = `{"id":"c-9","terminal":"t","register":"","kind":"sale","total":"1.00","change":"0.00","state":"fiscal","ahead":0,"attempts":1,
	"received_at":"2026-11-23T19:05:12+04:00","time":"2026-11-23T19:05:12+04:00","sentence":"Fiscal."}`

const notYou = `{"type":"urn:ekassa:problem:token","title":"t","status":401,"detail":"d","errors":[{"field":"","code":"token","message":"d"}]}`

func newUnreliable(s *shop) (*unreliable, string) {
	s.Helper()
	l, err := net.Listen("tcp", newHost()+":8787")
	if err != nil {
		s.Fatal(err)
	}
	u := &unreliable{calls: map[string][]string{}}
	through := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: s.listen}) }}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			s.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if strings.HasPrefix(r.URL.Path, "/v1/cash/") {
			_, _ = io.WriteString(w, `{"id":"c-2","status":"all is well"}`) // a page that stands between
			return
		}
		if r.URL.Path == "/v1/events" {
			switch u.note(r.URL.Path, r.Header.Get("Last-Event-ID")) {
			case 1:
				w = &cutter{ResponseWriter: w, events: 2}
			case 2:
				http.Error(w, "<html>sign in to the guests' network</html>", http.StatusForbidden)
				return
			}
			through.ServeHTTP(w, r)
			return
		}
		if r.Method == http.MethodGet {
			through.ServeHTTP(w, r)
			return
		}
		key, _, keyed := strings.Cut(string(body), `,"kind":`)
		if !keyed {
			key = r.URL.Path
		}
		switch n := u.note(key, string(body)); {
		case n == 1 || key == r.URL.Path:
			through.ServeHTTP(discard{http.Header{}}, r)
			panic(http.ErrAbortHandler) // the connection ends without an answer
		case n == 2 && strings.Contains(key, "-doubt"):
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, notYou)
		case n == 2:
			http.Error(w, "<html>sign in to the guests' network</html>", http.StatusForbidden)
		case n == 3:
			w.Header().Set("Retry-After", "1")
			http.Error(w, "slowly", http.StatusTooManyRequests)
		case n == 4:
			_, _ = io.WriteString(w, another)
		default:
			through.ServeHTTP(w, r)
		}
	})}
	go func() { _ = server.Serve(l) }() // until it is closed
	s.Cleanup(func() { server.Close() })
	return u, "http://" + l.Addr().String()
}

func (u *unreliable) note(key, body string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls[key] = append(u.calls[key], body)
	return len(u.calls[key])
}

// cutter is a connection that breaks off behind so many events.
type cutter struct {
	http.ResponseWriter
	events int
}

func (c *cutter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *cutter) Write(b []byte) (int, error) {
	for at := 0; ; {
		n := bytes.Index(b[at:], []byte("\n\n"))
		if n < 0 {
			return c.ResponseWriter.Write(b)
		}
		if at, c.events = at+n+2, c.events-1; c.events == 0 {
			_, _ = c.ResponseWriter.Write(b[:at])
			_ = http.NewResponseController(c.ResponseWriter).Flush()
			panic(http.ErrAbortHandler)
		}
	}
}

// discard is an answer that nobody gets.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// The clients for makers of tills sell, each receipt once, whatever stands between,
// and tell no from not certain.
func TestClients(t *testing.T) {
	t.Parallel()
	for name, sell := range map[string]func(t *testing.T, agent, token string){"Go": sellInGo, "JavaScript": sellInJavaScript} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := register(t, simulator.Config{})
			s := newShop(t, at(sim.Addr()))
			s.settings["shift"] = object{"auto_open": true}
			s.write()
			s.serve(fast)
			between, agent := newUnreliable(s)
			sell(t, agent, s.token)

			referee(t, s.receipts(), sim.Ledger())
			if n := len(sim.Ledger()); n != 2 {
				t.Errorf("the ledger has %d documents, want 2", n)
			}
			between.mu.Lock()
			defer between.mu.Unlock()
			want := map[string]int{`{"id":"c-1"`: 6, `{"id":"c-doubt"`: 2, "/v1/shift/x-report": 1, "/v1/events": 4}
			for key, bodies := range between.calls {
				if len(bodies) != want[key] {
					t.Errorf("%s was called %d times, want %d", key, len(bodies), want[key])
				}
				for n, body := range bodies {
					if key == `{"id":"c-1"` && n < 5 && body != bodies[0] {
						t.Errorf("the repeat has other bytes: %s, and not %s", body, bodies[0])
					}
				}
				delete(want, key)
			}
			if len(want) > 0 {
				t.Errorf("never called: %v", want)
			}
		})
	}
}

func sellInGo(t *testing.T, agent, token string) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	till := &client.Till{Agent: agent, Token: token, Language: "en"}
	sale := client.NewReceipt{
		ID: "c-1", Kind: client.KindSale, Time: "2026-11-23T19:05:12+04:00",
		Items:    []client.NewItem{{Name: "Plov", Quantity: "1.5", Price: "8.00", Tax: "vat18"}},
		Payments: &client.Payments{Cash: "20.00"},
	}
	r, err := till.PostReceipt(ctx, sale, 30*time.Second)
	if err != nil || r.State != client.StateFiscal || r.Change != "8.00" || r.Document == nil || r.Document.FiscalID == "" {
		t.Fatalf("%+v, %v", r, err)
	}
	other := sale
	other.Payments = &client.Payments{Cash: "50.00"}
	var no *client.RejectedError
	if _, err := till.PostReceipt(ctx, other, 0); !errors.As(err, &no) || no.Code() != "conflict" || no.Status != 409 || no.Errors[0].Field != "id" {
		t.Errorf("the same id with other content: %v", err)
	}
	var uncertain *client.UncertainError
	other.ID = "c-doubt"
	if _, err := till.PostReceipt(ctx, other, 0); !errors.As(err, &uncertain) || errors.As(err, &no) || uncertain.Problem == nil {
		t.Errorf("no after an answer that was lost: %v", err)
	}
	if _, err := till.XReport(ctx, client.XReportBody{}); !errors.As(err, &uncertain) {
		t.Errorf("a lost report: %v", err)
	}
	if _, err := till.GetReceipt(ctx, "c-0"); !errors.As(err, &no) || no.Code() != "not_found" {
		t.Errorf("a receipt that is not there: %v", err)
	}
	if _, err := till.GetCash(ctx, "c-2"); !errors.As(err, &uncertain) {
		t.Errorf("an answer that is not the agent's: %v", err)
	}
	for r.ID != "c-doubt" || r.State != client.StateFiscal {
		if r, err = till.GetReceipt(ctx, "c-doubt"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(25 * time.Millisecond)
	}
	if s, err := till.GetStatus(ctx); err != nil || s.Register == nil || s.Shift == nil || !s.Shift.Open {
		t.Errorf("%+v, %v", s, err)
	}
	if list, err := till.ListReceipts(ctx, url.Values{"state": {"fiscal"}}); err != nil || len(list.Receipts) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	followInGo(t, ctx, till)
	if _, err := (&client.Till{Agent: "ekassa.local:8787"}).PostReceipt(ctx, sale, 0); err == nil || errors.As(err, &uncertain) {
		t.Errorf("an address without http: %v", err)
	}
}

// followInGo reads what has happened so far from a stream that breaks off: nothing is
// missed, nothing comes twice.
func followInGo(t *testing.T, ctx context.Context, till *client.Till) {
	t.Helper()
	var hellos int
	last, fiscal, enough := int64(-1), map[string]bool{}, errors.New("enough")
	err := till.GetEvents(ctx, "0", func(e client.GetEventsEvent) error {
		if e.Hello != nil {
			hellos++
			return nil
		}
		_, record, _ := strings.Cut(e.ID, "-") // behind the journal's epoch
		id, err := strconv.ParseInt(record, 10, 64)
		if err != nil || id <= last || e.Receipt.Terminal != terminal {
			t.Errorf("behind event %d: %+v, %v", last, e, err)
		}
		last = id
		if e.Receipt.State == client.StateFiscal {
			fiscal[e.Receipt.ID] = true
		}
		if len(fiscal) == 2 {
			return enough
		}
		return nil
	})
	if err != enough || hellos != 2 {
		t.Errorf("followed with %d beginnings, want 2: %v", hellos, err)
	}
	var no *client.RejectedError
	stranger := &client.Till{Agent: till.Agent, Token: "made up"}
	if err := stranger.GetEvents(ctx, "", func(client.GetEventsEvent) error { return enough }); !errors.As(err, &no) || no.Status != 401 {
		t.Errorf("a stranger follows: %v", err)
	}
	var uncertain *client.UncertainError
	nobody := &client.Till{Agent: "http://" + newHost() + ":8787", Persist: time.Millisecond}
	if err := nobody.GetEvents(ctx, "", func(client.GetEventsEvent) error { return enough }); !errors.As(err, &uncertain) {
		t.Errorf("nobody is there: %v", err)
	}
}

// inJavaScript is the same till.
const inJavaScript = `
import assert from 'node:assert/strict'
const {Till, RejectedError, UncertainError} = await import(process.env.CLIENT)
const till = new Till({agent: process.env.AGENT, token: process.env.TOKEN, language: 'en'})
const sale = {
  id: 'c-1', kind: 'sale', time: '2026-11-23T19:05:12+04:00',
  items: [{name: 'Plov', quantity: '1.5', price: '8.00', tax: 'vat18'}], payments: {cash: '20.00'},
}
let r = await till.postReceipt(sale, {wait: 30})
assert.equal(r.state, 'fiscal')
assert.equal(r.change, '8.00')
assert.ok(r.document.fiscal_id)
await assert.rejects(till.postReceipt({...sale, payments: {cash: '50.00'}}), e =>
  e instanceof RejectedError && e.code === 'conflict' && e.problem.status === 409 && e.problem.errors[0].field === 'id')
await assert.rejects(till.postReceipt({...sale, id: 'c-doubt'}), e => e instanceof UncertainError && e.problem.status === 401)
await assert.rejects(till.xReport(), UncertainError)
await assert.rejects(till.getReceipt('c-0'), e => e instanceof RejectedError && e.code === 'not_found')
await assert.rejects(till.getCash('c-2'), UncertainError)
do {
  r = await till.getReceipt('c-doubt')
  await new Promise(done => setTimeout(done, 25))
} while (r.state !== 'fiscal')
const status = await till.getStatus()
assert.ok(status.register && status.shift.open)
assert.equal((await till.listReceipts({state: 'fiscal'})).receipts.length, 2)
let hellos = 0, behind = -1
const fiscal = new Set()
for await (const {id, event, data} of till.getEvents({last: '0'})) {
  if (event === 'hello') { hellos++; continue }
  const record = Number(id.split('-')[1]) // behind the journal's epoch
  assert.ok(record > behind, id + ' comes behind ' + behind)
  behind = record
  if (data.state === 'fiscal') fiscal.add(data.id)
  if (fiscal.size === 2) break
}
assert.equal(hellos, 2)
const next = options => new Till({agent: process.env.AGENT, token: 'made up', ...options}).getEvents().next()
await assert.rejects(next(), e => e instanceof RejectedError && e.problem.status === 401)
await assert.rejects(next({agent: process.env.NOBODY, persist: 0.001}), UncertainError)
await assert.rejects(till.postReceipt(sale, {signal: AbortSignal.abort(new Error('closing time'))}), UncertainError)
assert.throws(() => new Till({agent: 'ekassa.local:8787', token: ''}), TypeError)
`

func sellInJavaScript(t *testing.T, agent, token string) {
	if err := node(t, inJavaScript, agent, token); err != nil {
		t.Error(err)
	}
}

// node runs a till in JavaScript.
func node(t *testing.T, script, agent, token string) error {
	file, err := filepath.Abs("../clients/ekassa.mjs")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "--input-type=module", "--eval", script)
	cmd.Env = append(os.Environ(), "CLIENT="+file, "AGENT="+agent, "TOKEN="+token, "NOBODY=http://"+newHost()+":8787")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// What a till shows besides: the register is away, its guest gets a slip, a stream tells
// of the document once it is there; then the details and the reports.
func TestClients_ShowWhatThereIs(t *testing.T) {
	t.Parallel()
	for name, show := range map[string]func(t *testing.T, agent, token string) error{
		"Go":         showInGo,
		"JavaScript": func(t *testing.T, agent, token string) error { return node(t, showInJavaScript, agent, token) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			paper := newPrinter(t, newHost()+":9100")
			config := simulator.Config{Listen: newHost() + ":8008"}
			s := slipShop(t, config.Listen, paper.Addr())
			s.settings["shift"] = object{"auto_open": true}
			s.write()
			calm := hungry
			calm.Slips.Waiting, calm.Slips.Checking = time.Hour, time.Hour // slips by hand only
			s.serve(calm)
			done := make(chan error, 1)
			go func() { done <- show(t, "http://"+s.listen, s.token) }()
			for len(paper.Papers()) == 0 {
				select {
				case err := <-done:
					t.Fatalf("it ended without a slip: %v", err)
				case <-time.After(25 * time.Millisecond):
				}
			}
			sim := register(t, config)
			if err := <-done; err != nil {
				t.Error(err)
			}
			if len(paper.Papers()) != 1 || len(sim.Ledger()) != 2 {
				t.Errorf("%d slips and %d documents, want 1 and 2", len(paper.Papers()), len(sim.Ledger()))
			}
		})
	}
}

func showInGo(t *testing.T, agent, token string) error {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	till := &client.Till{Agent: agent, Token: token, Language: "en"}
	sale := client.NewReceipt{
		ID: "c-1", Kind: client.KindSale, Time: time.Now().Format(time.RFC3339),
		Items:    []client.NewItem{{Name: "Plov", Quantity: "1.5", Price: "8.00", Tax: "vat18"}},
		Payments: &client.Payments{Cash: "20.00"},
	}
	var states []string
	enough := errors.New("enough")
	err := till.GetEvents(ctx, "", func(e client.GetEventsEvent) error {
		if e.Hello != nil {
			if _, err := till.PostReceipt(ctx, sale, 0); err != nil {
				return err
			}
			_, err := till.PrintReceiptSlip(ctx, "c-1", client.Person{Who: "Aysel"}, 0)
			return err
		}
		if e.Receipt == nil {
			return fmt.Errorf("an event without anything: %+v", e)
		}
		states = append(states, string(e.Receipt.State))
		if e.Receipt.State == client.StateFiscal {
			return enough
		}
		return nil
	})
	if err != enough || len(states) < 2 {
		return fmt.Errorf("followed %v: %w", states, err)
	}
	d, err := till.GetReceiptDetails(ctx, "c-1")
	if err != nil || len(d.Items) != 1 || d.Items[0].Name != "Plov" || d.Taxes[0].Turnover != "12.00" || len(d.Tries) == 0 || d.Tries[0].Serial != serial || d.Page == "" {
		return fmt.Errorf("details %+v: %w", d, err)
	}
	var no *client.RejectedError
	if _, err := till.PrintReceiptSlip(ctx, "c-1", client.Person{}, 0); !errors.As(err, &no) || no.Code() != "move" {
		return fmt.Errorf("a slip of what is fiscal: %w", err)
	}
	in := client.NewCash{ID: "in-1", Amount: "50.00", Time: sale.Time}
	if _, err := till.DepositCash(ctx, in, 30*time.Second); err != nil {
		return err
	}
	cash, err := till.GetCashDetails(ctx, "in-1")
	list, err2 := till.ListCash(ctx, nil)
	if err != nil || err2 != nil || cash.Receipt.Total != "50.00" || len(list.Receipts) != 1 {
		return fmt.Errorf("cash %+v, %+v: %w", cash, list, errors.Join(err, err2))
	}
	if _, err := till.XReport(ctx, client.XReportBody{}); err != nil {
		return err
	}
	reports, err := till.ListReports(ctx, url.Values{"kind": {"x"}})
	if err != nil || len(reports.Reports) != 1 || reports.Reports[0].Report.Sales.Sum != "12.00" {
		return fmt.Errorf("reports %+v: %w", reports, err)
	}
	today := time.Now().UTC()
	days, err := till.PeriodReport(ctx, client.PeriodReportBody{From: today.AddDate(0, 0, -1).Format(time.DateOnly), To: today.AddDate(0, 0, 1).Format(time.DateOnly)})
	if err != nil || days.Sales.Sum != "12.00" {
		return fmt.Errorf("the days' %+v: %w", days, err)
	}
	return nil
}

const showInJavaScript = `
import assert from 'node:assert/strict'
const {Till, RejectedError} = await import(process.env.CLIENT)
const till = new Till({agent: process.env.AGENT, token: process.env.TOKEN, language: 'en'})
const time = new Date().toISOString()
const sale = {id: 'c-1', kind: 'sale', time, items: [{name: 'Plov', quantity: '1.5', price: '8.00', tax: 'vat18'}], payments: {cash: '20.00'}}
const states = []
for await (const {event, data} of till.getEvents()) {
  if (event === 'hello') {
    await till.postReceipt(sale)
    await till.printReceiptSlip('c-1', {who: 'Aysel'})
    continue
  }
  states.push(data.state)
  if (data.state === 'fiscal') break
}
assert.ok(states.length > 1)
const d = await till.getReceiptDetails('c-1')
assert.equal(d.items[0].name, 'Plov')
assert.equal(d.taxes[0].turnover, '12.00')
assert.ok(d.tries[0].serial)
assert.ok(d.page)
await assert.rejects(till.printReceiptSlip('c-1'), e => e instanceof RejectedError && e.code === 'move')
await till.depositCash({id: 'in-1', amount: '50.00', time}, {wait: 30})
assert.equal((await till.getCashDetails('in-1')).receipt.total, '50.00')
assert.equal((await till.listCash()).receipts.length, 1)
await till.xReport()
const {reports} = await till.listReports({kind: 'x'})
assert.equal(reports.length, 1)
assert.equal(reports[0].report.sales.sum, '12.00')
const day = n => new Date(Date.now() + n * 86400000).toISOString().slice(0, 10)
assert.equal((await till.periodReport({from: day(-1), to: day(1)})).sales.sum, '12.00')
`
