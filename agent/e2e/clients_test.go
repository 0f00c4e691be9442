package e2e

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	client "ekassa/agent/clients"
	"ekassa/agent/register/simulator"
)

// unreliable is what may stand between a till and its agent. Of each receipt's calls
// the first reaches the agent and its answer is lost; the next are answered by
// others; the fifth and later go through. Calls without an id lose every answer.
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
			want := map[string]int{`{"id":"c-1"`: 6, `{"id":"c-doubt"`: 2, "/v1/shift/x-report": 1}
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
	if _, err := (&client.Till{Agent: "ekassa.local:8787"}).PostReceipt(ctx, sale, 0); err == nil || errors.As(err, &uncertain) {
		t.Errorf("an address without http: %v", err)
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
await assert.rejects(till.postReceipt(sale, {signal: AbortSignal.abort(new Error('closing time'))}), UncertainError)
assert.throws(() => new Till({agent: 'ekassa.local:8787', token: ''}), TypeError)
`

func sellInJavaScript(t *testing.T, agent, token string) {
	file, err := filepath.Abs("../clients/ekassa.mjs")
	if err != nil {
		t.Fatal(err)
	}
	node := exec.Command("node", "--input-type=module", "--eval", inJavaScript)
	node.Env = append(os.Environ(), "CLIENT="+file, "AGENT="+agent, "TOKEN="+token)
	runCmd(t, node).ok(t)
}
