package api_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"

	"ekassa/cloud/api"
	"ekassa/cloud/authority"
	"ekassa/cloud/control"
	"ekassa/cloud/fleet"
	"ekassa/cloud/store"
	"ekassa/cloud/wire"
)

// cloud is an API over a store of its own.
type cloud struct {
	t       *testing.T
	store   store.Store
	control *control.Control
	server  *httptest.Server
	hints   *hints
}

// hints notes what the link was told.
type hints struct {
	mu   sync.Mutex
	list []string
}

func (h *hints) add(s string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = append(h.list, s)
}
func (h *hints) Changed(agent string) { h.add("changed " + agent) }
func (h *hints) Revoked(agent string) { h.add("revoked " + agent) }

// owner makes the first users, as ekassa-cloud user add does.
var owner = control.Person{Name: "owner", Role: fleet.Admin}

func open(t *testing.T) *cloud {
	t.Helper()
	s, err := store.Open(t.Context(), "sqlite", t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	c := &cloud{t: t, store: s, hints: &hints{}}
	c.control = control.New(s, c.hints, time.Now)
	c.server = httptest.NewServer(api.New(api.Config{Control: c.control, Log: slog.New(slog.DiscardHandler)}))
	t.Cleanup(func() {
		c.server.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// as gives a client with a user's token.
func (c *cloud) as(role fleet.Role) *client {
	c.t.Helper()
	_, token, err := c.control.AddUser(c.t.Context(), owner, fmt.Sprintf("%s-%d", role, time.Now().UnixNano()), role)
	if err != nil {
		c.t.Fatal(err)
	}
	return &client{cloud: c, token: token}
}

type client struct {
	*cloud
	token string
}

type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

var document = sync.OnceValues(func() (validator.Validator, error) {
	d, err := libopenapi.NewDocument(api.OpenAPI)
	if err != nil {
		return nil, err
	}
	v, errs := validator.NewValidator(d, config.WithFormatAssertions())
	if len(errs) > 0 {
		return nil, errs[0]
	}
	return v, nil
})

var (
	validating sync.Mutex // the validator races with itself
	exercised  = map[string]bool{}
)

// do asks, and holds the answer against the document.
func (c *client) do(method, path, body string, headers ...string) *answer {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.server.URL+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer w.Body.Close()
	data, err := io.ReadAll(w.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	c.judge(r, w, data)
	return &answer{c.t, w.StatusCode, w.Header, data}
}

func (c *client) judge(r *http.Request, w *http.Response, body []byte) {
	c.t.Helper()
	v, err := document()
	if err != nil {
		c.t.Fatal(err)
	}
	if bytes.Contains(body, []byte("no_path")) || w.StatusCode == http.StatusMethodNotAllowed {
		return // not in the document, by nature
	}
	w.Body = io.NopCloser(bytes.NewReader(body))
	validating.Lock()
	defer validating.Unlock()
	if ok, errs := v.ValidateHttpResponse(r, w); !ok {
		for _, e := range errs {
			c.t.Errorf("%s %s: %d: %s: %s", r.Method, r.URL.Path, w.StatusCode, e.Message, e.Reason)
			for _, s := range e.SchemaValidationErrors {
				c.t.Errorf("  %s: %s", s.KeywordLocation, s.Reason)
			}
		}
		c.t.Logf("%s", body)
	}
	if m, errs := v.GetResponseBodyValidator(), error(nil); m == nil || errs != nil {
		c.t.Error("no validator of bodies")
	}
	_, pattern := routes.Handler(r)
	exercised[fmt.Sprintf("%s %d", pattern, w.StatusCode)] = true
}

// routes finds the pattern of a request again.
var routes = func() *http.ServeMux {
	m := http.NewServeMux()
	for _, r := range api.Routes() {
		m.Handle(r.Method+" /api/v1"+r.Path, http.NotFoundHandler())
	}
	return m
}()

func (a *answer) want(status int) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// field gives one value of the body as text: "items.0.id".
func (a *answer) field(path string) string {
	a.t.Helper()
	var v any
	if err := json.Unmarshal(a.body, &v); err != nil {
		a.t.Fatalf("no JSON: %s", a.body)
	}
	for step := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[step]
		case []any:
			var n int
			if _, err := fmt.Sscan(step, &n); err != nil || n >= len(x) {
				return ""
			}
			v = x[n]
		default:
			return ""
		}
	}
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

func (a *answer) has(path, want string) *answer {
	a.t.Helper()
	if got := a.field(path); got != want {
		a.t.Errorf("%s is %q, want %q: %s", path, got, want, a.body)
	}
	return a
}

// enrolled has a venue with an agent that has its certificate.
func (c *cloud) enrolled(venue, agent string) {
	c.t.Helper()
	ctx := c.t.Context()
	if _, err := c.control.Venue(ctx, venue); err != nil {
		if _, err := c.control.AddVenue(ctx, owner, venue, "Restoran "+venue); err != nil {
			c.t.Fatal(err)
		}
	}
	code, _, err := c.control.Enrol(ctx, owner, venue, agent)
	if err != nil {
		c.t.Fatal(err)
	}
	_, err = c.store.Enrol(ctx, fleet.HashCode(code), func(e fleet.Enrolment) (fleet.Certificate, error) {
		return fleet.Certificate{Serial: "01" + agent, Agent: e.Agent, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}, nil
	}, time.Now())
	if err != nil {
		c.t.Fatal(err)
	}
}

// tell has an agent tell something.
func (c *cloud) tell(agent string, seq int64, kind string, data any) {
	c.t.Helper()
	raw, err := json.Marshal(data)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.store.Ingest(c.t.Context(), []wire.Record{{V: wire.Version, Agent: agent, Epoch: 1, Seq: seq, Type: kind, Time: time.Now(), Data: raw}}); err != nil {
		c.t.Fatal(err)
	}
}

const settings = `{"module":{"enabled":true,"show_on_terminal":true,"auto_send":true},"tax":{"type":"vat18"},
 "registers":[{"id":"kassa-1","name":"Bar","driver":"azsmart","address":"192.168.1.1:8008","merchant_id":"9662a13f5b4f46dbb1751bbbf86ed402","serial":"","terminal":"till-1","mode":"active"}],
 "terminals":[{"id":"till-1","name":"Till 1"}],"timezone":"Asia/Baku","language":"az"}`

func TestSettings_AreJudgedVersionedAndMasked(t *testing.T) {
	c := open(t)
	c.enrolled("baku-01", "baku-01-a")
	op := c.as(fleet.Operator)
	const path = "/agents/baku-01-a/settings"

	if a := op.do("GET", path, "").want(200); a.header.Get("ETag") != `"0"` {
		t.Errorf("ETag %s", a.header.Get("ETag"))
	}
	op.do("PUT", path, settings).want(428)
	op.do("PUT", path, settings, `If-Match: "0"`).want(422).has("errors.0.field", "registers[0].driver").has("errors.0.code", "conflict")
	admin := c.as(fleet.Admin)
	admin.do("PUT", "/venues/baku-01/modules/azsmart", `{"enabled":true}`).want(200).has("monthly_fee", "10.00").has("enabled", "true")
	first := op.do("PUT", path, settings, `If-Match: "0"`).want(200)
	if first.header.Get("ETag") != `"1"` || bytes.Contains(first.body, []byte("9662a")) {
		t.Errorf("%s %s", first.header.Get("ETag"), first.body)
	}
	first.has("registers.0.merchant_id", "***")
	// What is sent back as it was shown changes nothing, and keeps the secret.
	if a := op.do("PUT", path, string(first.body), `If-Match: "1"`).want(200); a.header.Get("ETag") != `"1"` {
		t.Errorf("a version was made of nothing: %s", a.header.Get("ETag"))
	}
	second := strings.Replace(string(first.body), `"language":"az"`, `"language":"ru"`, 1)
	op.do("PUT", path, second, `If-Match: "0"`).want(412)
	op.do("PUT", path, second, `If-Match: "1"`).want(200).has("language", "ru")
	v, err := c.store.Version(t.Context(), "baku-01-a", 0)
	if err != nil || v.Rev != 2 || !bytes.Contains(v.Settings, []byte("9662a13f5b4f46dbb1751bbbf86ed402")) || bytes.Contains(v.Settings, []byte("***")) {
		t.Errorf("stored: %d, %v", v.Rev, err)
	}
	op.do("GET", path+"?rev=1", "").want(200).has("language", "az")
	op.do("GET", path+"?rev=9", "").want(404)
	op.do("GET", path+"?rev=x", "").want(422)
	op.do("GET", path+"/versions", "").want(200).has("items.0.rev", "2").has("items.1.rev", "1")
	op.do("GET", path+"/diff?from=1&to=2", "").want(200).has("items.0.field", "language").has("items.0.before", "az").has("items.0.after", "ru")
	op.do("GET", path+"/diff?from=1", "").want(422)
	op.do("PUT", path, `{"tax":{"type":"vat19"}}`, `If-Match: "2"`).want(422).has("errors.0.field", "tax.type")
	op.do("PUT", path, `not json`, `If-Match: "2"`).want(422)
	op.do("GET", "/agents/nobody/settings", "").want(404)
	op.do("GET", "/agents/baku-01-a", "").want(200).has("settings.state", "pending").has("settings.desired", "2")
	if err := c.store.Reported(t.Context(), "baku-01-a", wire.Reported{Rev: 1, Judged: 2, State: wire.StateRefused, Reason: "no", Faults: []wire.Fault{{Field: "tax", Code: "value", Message: "x"}}}); err != nil {
		t.Fatal(err)
	}
	op.do("GET", "/agents/baku-01-a", "").want(200).has("settings.state", "refused").has("settings.reason", "no").has("settings.faults.0.field", "tax")
	admin.do("PUT", "/venues/baku-01/modules/azsmart", `{"enabled":false}`).want(422).has("errors.0.field", "enabled")
	if got := strings.Join(c.hints.list, ","); got != "changed baku-01-a,changed baku-01-a" {
		t.Errorf("the link was told %s", got)
	}
}

func TestVenuesModulesAndTheirBill(t *testing.T) {
	c := open(t)
	admin := c.as(fleet.Admin)
	admin.do("POST", "/venues", `{"id":"baku-01","name":"Şirvanşah"}`).want(201).has("name", "Şirvanşah")
	admin.do("POST", "/venues", `{"id":"baku-01","name":"Another"}`).want(409)
	admin.do("POST", "/venues", `{"id":"Baku 01","name":"x"}`).want(422).has("errors.0.field", "id")
	admin.do("POST", "/venues", `{"id":"x","nmae":"x"}`).want(422).has("errors.0.field", "nmae")
	admin.do("POST", "/venues", `{"id":7,"name":"x"}`).want(422).has("errors.0.field", "id")
	admin.do("GET", "/venues", "").want(200).has("items.0.id", "baku-01")
	admin.do("GET", "/venues/baku-01/modules", "").want(200).has("items.2.enabled", "false")
	admin.do("GET", "/venues/baku-01/modules/azsmart", "").want(200).has("enabled", "false")
	admin.do("GET", "/venues/baku-01/modules/other", "").want(404)
	admin.do("PUT", "/venues/baku-01/modules/azsmart", `{}`).want(422).has("errors.0.field", "enabled")
	admin.do("PUT", "/venues/baku-01/modules/other", `{"enabled":true}`).want(404)
	admin.do("PUT", "/venues/baku-01/modules/caspos", `{"enabled":true}`).want(200)
	month := time.Now().In(control.Zone).Format("2006-01")
	bill := admin.do("GET", "/venues/baku-01/bill?month="+month, "").want(200).has("lines.0.module", "caspos").has("currency", "AZN")
	now := time.Now().In(control.Zone)
	of := time.Date(now.Year(), now.Month()+1, 0, 0, 0, 0, 0, control.Zone).Day()
	days := of - now.Day() + 1
	q := (1000*2*int64(days) + int64(of)) / (2 * int64(of))
	bill.has("total", fmt.Sprintf("%d.%02d", q/100, q%100))
	admin.do("GET", "/venues/baku-01/bill?month=2020-01", "").want(200).has("total", "0.00")
	admin.do("GET", "/venues/baku-01/bill?month=now", "").want(422).has("errors.0.field", "month")
	admin.do("GET", "/venues/nowhere/bill?month="+month, "").want(404)
	admin.do("GET", "/venues/nowhere/modules", "").want(404)
}

func TestAgents_CommandsReceiptsAndReports(t *testing.T) {
	c := open(t)
	c.enrolled("baku-01", "a1")
	admin := c.as(fleet.Admin)
	admin.do("POST", "/enrolments", `{"venue":"baku-01","agent":"a2"}`).want(201)
	admin.do("POST", "/enrolments", `{"venue":"nowhere","agent":"a2"}`).want(422).has("errors.0.field", "venue")
	admin.do("POST", "/enrolments", `{"venue":"baku-01","agent":"a/2"}`).want(422).has("errors.0.field", "agent")

	at := time.Date(2026, 11, 23, 19, 5, 12, 0, control.Zone)
	c.tell("a1", 1, wire.RecordReceipt, wire.Receipt{Terminal: "till-1", ID: "r1", Register: "kassa-1", Kind: "sale", Total: "12.00", State: "fiscal",
		Attempts: 1, ReceivedAt: at, Document: &wire.Document{FiscalID: "F1", Serial: "S", Printed: true, At: at}})
	c.tell("a1", 2, wire.RecordReceipt, wire.Receipt{Terminal: "till-1", ID: "r2", Kind: "sale", Total: "3.00", State: "waiting", ReceivedAt: at.Add(time.Second)})
	figures := json.RawMessage(`{"shift":"7","sales":{"count":1,"sum":"12.00","cash":"12.00","card":"0.00","vat":[{"rate":"18.00","amount":"1.83"}]},"refunds":{"count":0,"sum":"0.00","cash":"0.00","card":"0.00"}}`)
	c.tell("a1", 3, wire.RecordShiftClosed, wire.ShiftReport{Register: "kassa-1", Shift: "7", OpenedAt: at, ClosedAt: at.Add(time.Hour), By: "=SUM(A1)", Report: figures,
		Journal: figures, Differences: []wire.Difference{{Figure: "sales.sum", Journal: "12.00", Register: "13.00"}}})
	c.tell("a1", 4, wire.RecordHealth, wire.Health{Registers: []wire.RegisterHealth{{ID: "kassa-1", Driver: "azsmart", Link: "ready"}}, Waiting: 1, OldestSeconds: 30})

	admin.do("GET", "/agents", "").want(200).has("items.0.id", "a1").has("items.0.queue.waiting", "1").has("items.0.registers.0.id", "kassa-1")
	admin.do("GET", "/agents?venue=nowhere", "").want(200).has("items.0", "")
	admin.do("GET", "/agents/a1", "").want(200).has("health.waiting", "1").has("settings.state", "")
	admin.do("GET", "/agents/a9", "").want(404)

	admin.do("GET", "/agents/a1/receipts", "").want(200).has("items.0.id", "r2").has("items.1.document.fiscal_id", "F1")
	admin.do("GET", "/agents/a1/receipts?state=fiscal", "").want(200).has("items.0.id", "r1").has("items.1", "")
	p := admin.do("GET", "/agents/a1/receipts?limit=1", "").want(200).has("items.0.id", "r2")
	admin.do("GET", "/agents/a1/receipts?limit=1&before="+p.field("next"), "").want(200).has("items.0.id", "r1")
	admin.do("GET", "/agents/a1/receipts?from=2026-11-24", "").want(200).has("items.0", "")
	admin.do("GET", "/agents/a1/receipts?from=yesterday", "").want(422).has("errors.0.field", "from")
	admin.do("GET", "/agents/a9/receipts", "").want(404)

	admin.do("GET", "/shift-reports?agent=a1", "").want(200).has("items.0.shift", "7").has("items.0.sales.sum", "12.00").has("items.0.vat.0.amount", "1.83").
		has("items.0.difference.0.register", "13.00").has("items.0.register_report.shift", "7")
	admin.do("GET", "/shift-reports?limit=0", "").want(422)
	table := admin.do("GET", "/shift-reports", "", "Accept: text/csv").want(200)
	if text := string(table.body); !strings.HasPrefix(text, "\ufeffagent,") || !strings.Contains(text, "a1,kassa-1,7,2026-11-23 19:05:12,2026-11-23 20:05:12,'=SUM(A1),1,12.00") {
		t.Errorf("%s", text)
	}
	admin.do("GET", "/totals?agent=a1", "").want(200).has("items.0.day", "2026-11-23").has("items.0.sales.sum", "12.00")
	admin.do("GET", "/totals?to=x", "").want(422)

	x := admin.do("POST", "/agents/a1/commands", `{"name":"x_report","arguments":{"register":"kassa-1"},"ttl_seconds":60}`).want(201).has("state", "pending")
	admin.do("POST", "/agents/a1/commands", `{"name":"explode"}`).want(422).has("errors.0.field", "name")
	admin.do("POST", "/agents/a1/commands", `{"name":"check","ttl_seconds":86401}`).want(422).has("errors.0.field", "ttl_seconds")
	admin.do("POST", "/agents/a1/commands", `{"name":"check","arguments":[]}`).want(422).has("errors.0.field", "arguments")
	admin.do("POST", "/agents/a9/commands", `{"name":"check"}`).want(404)
	if err := c.store.Answer(t.Context(), "a1", wire.Result{ID: x.field("id"), OK: true, Result: json.RawMessage(`{"sales":1}`)}, time.Now()); err != nil {
		t.Fatal(err)
	}
	admin.do("GET", "/agents/a1/commands/"+x.field("id"), "").want(200).has("state", "done").has("result.sales", "1")
	admin.do("GET", "/agents/a1/commands", "").want(200).has("items.0.id", x.field("id"))
	admin.do("GET", "/agents/a1/commands/none", "").want(404)
	admin.do("GET", "/agents/a9/commands", "").want(404)
	admin.do("GET", "/agents/a9/settings/versions", "").want(404)
	admin.do("GET", "/agents/a9/settings/diff?to=1", "").want(404)

	admin.do("POST", "/agents/a1/revoke", "").want(200).has("revoked", "true")
	admin.do("POST", "/agents/a9/revoke", "").want(404)
	if !slices.Contains(c.hints.list, "revoked a1") {
		t.Errorf("the link was told %v", c.hints.list)
	}
}

func TestAlertsAndWebhooks(t *testing.T) {
	c := open(t)
	c.enrolled("baku-01", "a1")
	admin := c.as(fleet.Admin)
	type delivery struct {
		body      []byte
		signature string
	}
	got := make(chan delivery, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- delivery{body, r.Header.Get(control.SignatureHeader)}
	}))
	defer hook.Close()
	admin.do("POST", "/webhooks", `{"url":"ftp://x"}`).want(422).has("errors.0.field", "url")
	h := admin.do("POST", "/webhooks", `{"url":"`+hook.URL+`"}`).want(201)
	admin.do("POST", "/webhooks", `{"url":"`+hook.URL+`"}`).want(409)
	if h.field("secret") == "" {
		t.Errorf("%s", h.body)
	}
	if a := admin.do("GET", "/webhooks", "").want(200); a.field("items.0.secret") != "" || a.field("items.0.url") != hook.URL {
		t.Errorf("%s", a.body)
	}
	if _, err := c.store.Raise(t.Context(), fleet.Alert{Agent: "a1", Venue: "baku-01", Code: "agent_offline", RaisedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.control.Deliver(ctx, time.Millisecond, true, func(err error) { t.Error(err) })
	}()
	d := <-got
	stop()
	<-ended
	sum := hmac.New(sha256.New, []byte(h.field("secret")))
	sum.Write(d.body)
	if d.signature != "sha256="+hex.EncodeToString(sum.Sum(nil)) || !bytes.Contains(d.body, []byte("agent_offline")) {
		t.Errorf("%s %s", d.signature, d.body)
	}
	a := admin.do("GET", "/alerts?open=true", "").want(200).has("items.0.code", "agent_offline")
	admin.do("GET", "/alerts?open=perhaps", "").want(422)
	admin.do("POST", "/alerts/"+a.field("items.0.id")+"/acknowledge", "").want(204)
	admin.do("POST", "/alerts/999/acknowledge", "").want(404)
	admin.do("POST", "/alerts/x/acknowledge", "").want(404)
	admin.do("GET", "/alerts?open=true", "").want(200).has("items.0", "")
	if by := admin.do("GET", "/alerts", "").want(200).field("items.0.acknowledged_by"); !strings.HasPrefix(by, "admin-") {
		t.Errorf("acknowledged by %q", by)
	}
	admin.do("DELETE", "/webhooks/"+h.field("id"), "").want(204)
	admin.do("DELETE", "/webhooks/x", "").want(404)
}

func TestUsers_MayWhatTheirRoleSays(t *testing.T) {
	c := open(t)
	c.enrolled("baku-01", "a1")
	if _, err := c.store.Raise(t.Context(), fleet.Alert{Agent: "a1", Venue: "baku-01", Code: "x", RaisedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	viewer, operator, admin := c.as(fleet.Viewer), c.as(fleet.Operator), c.as(fleet.Admin)
	nobody := &client{cloud: c}
	for _, x := range []struct {
		method, path, body string
		need               fleet.Role
	}{
		{"GET", "/venues", "", fleet.Viewer}, {"GET", "/agents", "", fleet.Viewer}, {"GET", "/agents/a1/settings", "", fleet.Viewer},
		{"GET", "/alerts", "", fleet.Viewer}, {"GET", "/shift-reports", "", fleet.Viewer}, {"GET", "/rollouts", "", fleet.Viewer},
		{"POST", "/venues", `{"id":"v","name":"v"}`, fleet.Operator},
		{"POST", "/enrolments", `{"venue":"baku-01","agent":"a2"}`, fleet.Operator},
		{"PUT", "/agents/a1/settings", settings, fleet.Operator},
		{"POST", "/agents/a1/commands", `{"name":"check"}`, fleet.Operator},
		{"POST", "/alerts/1/acknowledge", "", fleet.Operator},
		{"POST", "/rollouts", `{"agents":["a1"],"change":{"language":"ru"},"at_once":1,"max_failed":0}`, fleet.Operator},
		{"PUT", "/rollouts/x/state", `{"state":"paused"}`, fleet.Operator},
		{"PUT", "/venues/baku-01/modules/azsmart", `{"enabled":true}`, fleet.Admin},
		{"GET", "/users", "", fleet.Admin}, {"POST", "/users", `{"name":"n","role":"viewer"}`, fleet.Admin},
		{"PUT", "/users/n", `{"role":"viewer"}`, fleet.Admin}, {"POST", "/users/n/tokens", "", fleet.Admin},
		{"GET", "/webhooks", "", fleet.Admin}, {"POST", "/webhooks", `{"url":"https://x.example"}`, fleet.Admin}, {"DELETE", "/webhooks/1", "", fleet.Admin},
		{"GET", "/acts", "", fleet.Admin}, {"POST", "/agents/a1/revoke", "", fleet.Admin},
	} {
		nobody.do(x.method, x.path, x.body, `If-Match: "0"`).want(401)
		for role, c := range map[fleet.Role]*client{fleet.Viewer: viewer, fleet.Operator: operator} {
			if !role.May(x.need) {
				c.do(x.method, x.path, x.body, `If-Match: "0"`).want(403)
			}
		}
		if a := admin.do(x.method, x.path, x.body, `If-Match: "0"`); a.status == 401 || a.status == 403 {
			t.Errorf("an admin may not %s %s: %d", x.method, x.path, a.status)
		}
	}
	acts := admin.do("GET", "/acts", "").want(200)
	for _, action := range []string{"venue.add", "enrolment.add", "command.add", "alert.acknowledge", "rollout.start", "module.switch", "user.add", "webhook.add", "agent.revoke"} {
		if !bytes.Contains(acts.body, []byte(action)) {
			t.Errorf("no %s in the audit log", action)
		}
	}
	admin.do("GET", "/acts?limit=x", "").want(422)
	(&client{c, "ek_wrong"}).do("GET", "/venues", "").want(401)
}

func TestSessions(t *testing.T) {
	c := open(t)
	ctx := t.Context()
	password, _, err := c.control.AddUser(ctx, owner, "leyla", fleet.Admin)
	if err != nil {
		t.Fatal(err)
	}
	nobody := &client{cloud: c}
	login := func(name, password string) *answer {
		return nobody.do("POST", "/session", fmt.Sprintf(`{"name":%q,"password":%q}`, name, password))
	}
	in := login("leyla", password).want(200).has("role", "admin")
	cookie := in.header.Get("Set-Cookie")
	for _, part := range []string{"HttpOnly", "SameSite=Strict", "ekassa_session=ek_"} {
		if !strings.Contains(cookie, part) {
			t.Errorf("no %s in %s", part, cookie)
		}
	}
	with := "Cookie: " + strings.SplitN(cookie, ";", 2)[0]
	nobody.do("GET", "/session", "", with).want(200).has("name", "leyla")
	nobody.do("POST", "/venues", `{"id":"v","name":"v"}`, with, "Origin: https://evil.example").want(403)
	nobody.do("POST", "/venues", `{"id":"v","name":"v"}`, with, "Sec-Fetch-Site: cross-site").want(403)
	nobody.do("POST", "/venues", `id=v`, with, "Content-Type: application/x-www-form-urlencoded").want(415)
	nobody.do("POST", "/venues", `{"id":"v","name":"v"}`, with, "Sec-Fetch-Site: same-origin").want(201)
	nobody.do("PUT", "/password", `{"old":"wrong","new":"a long new password"}`, with).want(401)
	nobody.do("PUT", "/password", fmt.Sprintf(`{"old":%q,"new":"short"}`, password), with).want(422).has("errors.0.field", "password")
	nobody.do("PUT", "/password", fmt.Sprintf(`{"old":%q,"new":"yeni uzun parol ğüş"}`, password), with).want(204)
	login("leyla", password).want(401)
	login("leyla", "yeni uzun parol ğüş").want(200)
	nobody.do("DELETE", "/session", "", with).want(204)
	nobody.do("GET", "/session", "", with).want(401)

	// The last admin stays one; whoever is switched off is out at once.
	admin := c.as(fleet.Admin)
	_, token, err := c.control.AddUser(ctx, owner, "rashad", fleet.Viewer)
	if err != nil {
		t.Fatal(err)
	}
	rashad := &client{c, token}
	rashad.do("GET", "/venues", "").want(200)
	admin.do("PUT", "/users/rashad", `{"role":"viewer","disabled":true}`).want(200).has("disabled", "true")
	rashad.do("GET", "/venues", "").want(401)
	admin.do("PUT", "/users/rashad", `{"role":"king"}`).want(422)
	admin.do("PUT", "/users/nobody", `{"role":"viewer"}`).want(404)
	admin.do("POST", "/users", `{"name":"rashad","role":"viewer"}`).want(409)
	admin.do("POST", "/users", `{"name":"r a","role":"viewer"}`).want(422)
	admin.do("POST", "/users/leyla/tokens", "").want(201)
	admin.do("POST", "/users/nobody/tokens", "").want(404)
	admin.do("GET", "/users", "").want(200)

	// Nobody guesses on.
	last := 0
	for range 11 {
		last = login("leyla", "guess").status
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("the eleventh guess was answered with %d", last)
	}
}

func TestRollouts(t *testing.T) {
	c := open(t)
	admin := c.as(fleet.Admin)
	for n := range 3 {
		c.enrolled("baku-01", fmt.Sprintf("a%d", n))
	}
	x := admin.do("POST", "/rollouts", `{"venue":"baku-01","change":{"language":"ru"},"at_once":1,"max_failed":0}`).want(201).has("state", "running").has("agents.2.state", "waiting")
	path := "/rollouts/" + x.field("id")
	admin.do("GET", path, "").want(200)
	admin.do("GET", "/rollouts", "").want(200).has("items.0.id", x.field("id"))
	admin.do("GET", "/rollouts/none", "").want(404)
	admin.do("PUT", path+"/state", `{"state":"paused"}`).want(200).has("state", "paused")
	admin.do("PUT", path+"/state", `{"state":"done"}`).want(422).has("errors.0.field", "state")
	admin.do("PUT", path+"/state", `{"state":"stopped"}`).want(200)
	admin.do("PUT", "/rollouts/none/state", `{"state":"stopped"}`).want(404)
	for body, field := range map[string]string{
		`{"agents":["a0"],"change":{"registers":[]},"at_once":1,"max_failed":0}`:                    "change.registers",
		`{"agents":["a0"],"change":{"language":"xx"},"at_once":1,"max_failed":0}`:                   "change",
		`{"agents":["a0","a0"],"change":{"language":"ru"},"at_once":1,"max_failed":0}`:              "agents[1]",
		`{"agents":["zz"],"change":{"language":"ru"},"at_once":1,"max_failed":0}`:                   "agents[0]",
		`{"agents":["a0"],"change":{"language":"ru"},"at_once":0,"max_failed":0}`:                   "at_once",
		`{"agents":["a0"],"change":{"language":"ru"},"at_once":1,"max_failed":2}`:                   "max_failed",
		`{"agents":[],"change":{"language":"ru"},"at_once":1,"max_failed":0}`:                       "agents",
		`{"agents":["a0"],"venue":"baku-01","change":{"language":"ru"},"at_once":1,"max_failed":0}`: "venue",
	} {
		admin.do("POST", "/rollouts", body).want(422).has("errors.0.field", field)
	}
}

func TestOthers(t *testing.T) {
	c := open(t)
	nobody := &client{cloud: c}
	nobody.do("GET", "/openapi.yaml", "").want(200)
	nobody.do("GET", "/settings-schema.json", "").want(200).has("$schema", "https://json-schema.org/draft/2020-12/schema")
	nobody.do("GET", "/nowhere", "").want(404)
	nobody.do("DELETE", "/venues", "").want(405)
	nobody.do("POST", "/session", `{"name":"`+strings.Repeat("x", 300_000)+`"}`).want(413)
}

// The document is valid, and has what the server answers, route by route.
func TestDocument_HasEveryRoute(t *testing.T) {
	v, err := document()
	if err != nil {
		t.Fatal(err)
	}
	if ok, errs := v.ValidateDocument(); !ok {
		for _, e := range errs {
			t.Errorf("%s: %s", e.Message, e.Reason)
		}
	}
	d, err := libopenapi.NewDocument(api.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	m, err := d.BuildV3Model()
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for path, item := range m.Model.Paths.PathItems.FromOldest() {
		for method := range item.GetOperations().FromOldest() {
			documented = append(documented, strings.ToUpper(method)+" "+path)
		}
	}
	// The authority's door, see TestTheAgentsDoorIsAsDocumented, and that of package release.
	served := []string{"POST /enroll", "POST /renew", "GET /releases/{version}/{file}"}
	for _, r := range api.Routes() {
		served = append(served, r.Method+" "+r.Path)
	}
	slices.Sort(documented)
	slices.Sort(served)
	if !slices.Equal(documented, served) {
		t.Errorf("documented %v\nserved %v", documented, served)
	}
}

// Agents come in by a door of the authority's, which the same document describes.
func TestTheAgentsDoorIsAsDocumented(t *testing.T) {
	c := open(t)
	own, err := authority.Open(t.Context(), c.store, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	(&authority.Door{Authority: own, Broker: "mqtts://mqtt.example.com:8883"}).Register(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	if _, err := c.control.AddVenue(t.Context(), owner, "v", "V"); err != nil {
		t.Fatal(err)
	}
	code, _, err := c.control.Enrol(t.Context(), owner, "v", "a-1")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "a-1"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	request := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	v, err := document()
	if err != nil {
		t.Fatal(err)
	}
	ask := func(path string, body any, want int) {
		t.Helper()
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/api/v1"+path, bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		w, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Body.Close()
		if w.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, w.StatusCode, want)
		}
		r.Body = io.NopCloser(bytes.NewReader(raw))
		validating.Lock()
		defer validating.Unlock()
		if ok, faults := v.ValidateHttpRequestResponse(r, w); !ok {
			for _, f := range faults {
				t.Errorf("%s %d: %s: %s", path, w.StatusCode, f.Message, f.Reason)
			}
		}
	}
	ask("/enroll", wire.Enrolment{Code: "0000-0000-0000", Request: request}, http.StatusForbidden)
	ask("/enroll", wire.Enrolment{Code: code, Request: "no request"}, http.StatusUnprocessableEntity)
	ask("/enroll", wire.Enrolment{Code: code, Request: request}, http.StatusOK)
	ask("/enroll", wire.Enrolment{Code: code, Request: request}, http.StatusForbidden)
	ask("/renew", wire.Renewal{Agent: "a-1", Certificate: "none", Request: request, Signature: []byte("x")}, http.StatusUnprocessableEntity)
}

// FuzzBodies holds that no body is a fault of ours, whatever it holds.
func FuzzBodies(f *testing.F) {
	for _, body := range []string{"", "{}", "[]", `{"id":"x","name":"y"}`, `{"enabled":true}`, `{"name":"check","arguments":{}}`, settings, `{"change":{"language":"ru"},"agents":["a1"],"at_once":1}`, "{\"id\":\"\xff\"}"} {
		for n := range 6 {
			f.Add(byte(n), []byte(body))
		}
	}
	s, err := store.Open(f.Context(), "sqlite", f.TempDir(), time.Now)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.Close() })
	desk := control.New(s, &hints{}, time.Now)
	h := api.New(api.Config{Control: desk, Log: slog.New(slog.DiscardHandler)})
	_, token, err := desk.AddUser(f.Context(), owner, "fuzz", fleet.Admin)
	if err != nil {
		f.Fatal(err)
	}
	targets := []string{"POST /venues", "POST /enrolments", "POST /agents/a1/commands", "PUT /agents/a1/settings", "POST /rollouts", "PUT /venues/v/modules/azsmart"}
	f.Fuzz(func(t *testing.T, which byte, body []byte) {
		method, path, _ := strings.Cut(targets[int(which)%len(targets)], " ")
		r := httptest.NewRequest(method, "/api/v1"+path, bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("If-Match", `"0"`)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%s %s with %q: %d %s", method, path, body, w.Code, w.Body)
		}
	})
}
