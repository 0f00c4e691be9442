package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register/simulator"
	"ekassa/agent/till"
	"ekassa/agent/till/tilltest"
)

// stream opens the stream of events after a record; "" is from now on. next
// gives the next event but comments.
func (s *shop) stream(after string) (next func() tilltest.Event) {
	s.Helper()
	c := s.till()
	request := c.Request(http.MethodGet, "/v1/events", "")
	if after != "" {
		request.Header.Set("Last-Event-ID", after)
	}
	response, err := http.DefaultClient.Do(request) //nolint:bodyclose // closed with the test
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { response.Body.Close() })
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
		s.Fatalf("%d %s", response.StatusCode, response.Header.Get("Content-Type"))
	}
	in := bufio.NewReader(response.Body)
	return func() tilltest.Event {
		s.Helper()
		stuck := time.AfterFunc(patience, func() { response.Body.Close() })
		defer stuck.Stop()
		for {
			e, err := tilltest.ReadEvent(in)
			if err != nil {
				s.Fatalf("the stream broke off: %v", err)
			}
			if e.Comment != "" {
				continue
			}
			if e.Name == "receipt" {
				c.CheckReceipt(e)
			}
			return e
		}
	}
}

func apiEvents(t *testing.T) {
	sim := register(t, simulator.Config{})
	s := newShop(t, at(sim.Addr()))
	stop := s.serve(fast)
	c := s.till()
	next := s.stream("")
	if e := next(); e.Name != "hello" || !strings.Contains(e.Data, `"reset":false`) {
		t.Fatalf("%+v", e)
	}
	c.Post("/v1/receipts", sale("a"), wait).Want(http.StatusCreated)
	seen := ""
	for r := (stored{}); r.State != receipt.Fiscal; {
		e := next()
		r, seen = storedFrom(t, e.Data), e.ID
		if r.ID != "a" {
			t.Errorf("heard of %s", r.ID)
		}
	}
	// While the till is away more happens, and the agent is started anew.
	c.Post("/v1/receipts", sale("b"), wait).Want(http.StatusCreated)
	stop()
	s.serve(fast)
	c.Post("/v1/cash/deposit", `{"id":"d","amount":"5.00"}`, wait).Want(http.StatusCreated)
	next = s.stream(seen)
	if e := next(); e.Name != "hello" || !strings.Contains(e.Data, `"reset":false`) {
		t.Fatalf("%+v", e)
	}
	epoch, _, _ := strings.Cut(seen, "-")
	order, was := "", 0
	for !strings.HasSuffix(order, "d ") {
		e := next()
		r, record := storedFrom(t, e.Data), 0
		if _, err := fmt.Sscanf(e.ID, epoch+"-%d", &record); err != nil || record <= was {
			t.Fatalf("record %q after %s-%d", e.ID, epoch, was)
		}
		was = record
		if r.State == receipt.Fiscal && !strings.HasSuffix(order, r.ID+" ") {
			order += r.ID + " "
		}
	}
	if order != "b d " {
		t.Errorf("heard of %s", order)
	}
	// A number that this journal has not reached yet is of another journal, as is
	// one of another epoch.
	for _, id := range []string{epoch + "-999999", "1-1"} {
		if e := s.stream(id)(); !strings.Contains(e.Data, `"reset":true`) {
			t.Errorf("%+v", e)
		}
	}
	c.Get("/v1/events", "Last-Event-ID: x").Want(http.StatusBadRequest)
}

func apiCash(t *testing.T) {
	s, sim := open(t)
	c := s.till()
	in := `{"id":"x","amount":"100.00","cashier":"Aysel M.","note":"change money"}`
	if a := c.Post("/v1/cash/deposit", in, wait).Want(http.StatusCreated); a.Header.Get("Location") != "/v1/cash/x" || a.Field("kind") != "deposit" {
		t.Errorf("%s %s", a.Header.Get("Location"), a.Body)
	}
	c.Post("/v1/cash/deposit", in).Want(http.StatusOK)
	c.Post("/v1/cash/deposit", `{"id":"x","amount":"99.00"}`).Want(http.StatusConflict)
	c.Post("/v1/cash/withdraw", in).Want(http.StatusConflict)
	c.Post("/v1/receipts", sale("x"), wait).Want(http.StatusCreated) // another id, though it looks the same
	c.Post("/v1/cash/withdraw", `{"id":"y","amount":"60.00"}`, wait).Want(http.StatusCreated)
	c.Post("/v1/cash/deposit", `{"id":"z","amount":"0"}`).Want(http.StatusUnprocessableEntity)
	if a := c.Get("/v1/cash/y").Want(http.StatusOK); a.Field("state") != "fiscal" || a.Field("total") != "60.00" {
		t.Errorf("%s", a.Body)
	}
	if a := c.Get("/v1/shift").Want(http.StatusOK); a.Field("cash") != "52.00" {
		t.Errorf("in the drawer: %s", a.Body)
	}
	// More than there is: refused, and sent again once there is enough.
	if a := c.Post("/v1/cash/withdraw", `{"id":"much","amount":"70.00"}`, wait).Want(http.StatusAccepted); a.Field("state") != "refused" {
		t.Fatalf("%s", a.Body)
	}
	c.Post("/v1/cash/deposit", `{"id":"more","amount":"20.00"}`, wait).Want(http.StatusCreated)
	if a := c.Post("/v1/cash/much/retry", `{"who":"Aysel M."}`, wait).Want(http.StatusOK); a.Field("state") != "fiscal" {
		t.Errorf("%s", a.Body)
	}
	if a := c.Post("/v1/cash/withdraw", `{"id":"never","amount":"70.00"}`, wait).Want(http.StatusAccepted); a.Field("state") != "refused" {
		t.Fatalf("%s", a.Body)
	}
	if a := c.Post("/v1/cash/never/withdraw", `{"who":"Aysel M."}`).Want(http.StatusOK); a.Field("state") != "withdrawn" {
		t.Errorf("%s", a.Body)
	}
	if len(s.receipts()) != 1 {
		t.Errorf("cash stands among the receipts: %+v", s.receipts())
	}

	// A register that finds none of its documents cannot tell of cash either.
	blind := register(t, simulator.Config{Edition: simulator.Classic, Quirks: []string{"status-by-id-only"}})
	b := newShop(t, at(blind.Addr()))
	b.serve(fast)
	c = b.till()
	c.Post("/v1/receipts", sale("first"), wait).Want(http.StatusCreated)
	blind.Arm(simulator.Fault{Name: simulator.DropAfter, Route: "/deposit", Times: 1})
	if a := c.Post("/v1/cash/deposit", in, wait).Want(http.StatusAccepted); a.Field("state") != "held" {
		t.Fatalf("%s", a.Body)
	}
	made := with(object{"verdict": "was_made", "who": "A", "why": "paper", "document": object{"fiscal_id": "22", "number": "2"}})
	if a := c.Post("/v1/cash/x/resolve", made).Want(http.StatusOK); a.Field("state") != "fiscal" {
		t.Errorf("%s", a.Body)
	}
	var kinds []simulator.Kind
	for _, d := range sim.Ledger() {
		kinds = append(kinds, d.Kind)
	}
	if got := fmt.Sprint(kinds); got != "[deposit sale withdraw deposit withdraw]" {
		t.Errorf("the ledger: %s", got)
	}
	if n := len(blind.Ledger()); n != 2 {
		t.Errorf("%d documents", n)
	}
}

func apiShift(t *testing.T) {
	sim := register(t, simulator.Config{})
	s := bareShop(t, at(sim.Addr()))
	s.settings["shift"] = object{"auto_open": false}
	s.write()
	s.token = s.newToken(terminal)
	s.serve(fast)
	c := s.till()
	if a := c.Get("/v1/shift").Want(http.StatusOK); a.Field("open") != "false" {
		t.Errorf("%s", a.Body)
	}
	c.Post("/v1/shift/close", "").Want(http.StatusConflict)
	// Nobody but a person opens it here.
	first := day()
	c.Post("/v1/receipts", sale("a")).Want(http.StatusAccepted)
	s.waitsFor("a", "shift_closed")
	if a := c.Get("/v1/status").Want(http.StatusOK); a.Field("message.code") != "shift_closed" {
		t.Errorf("%s", a.Body)
	}
	if a := c.Post("/v1/shift/open", `{"cashier":"Aysel M."}`).Want(http.StatusOK); a.Field("open") != "true" {
		t.Errorf("%s", a.Body)
	}
	if a := c.Post("/v1/shift/open", ""); a.Status != http.StatusConflict || a.Field("errors.0.code") != "shift_open" {
		t.Errorf("opened twice: %d %s", a.Status, a.Body)
	}
	c.Post("/v1/shift/open", `{"cashier":7}`).Want(http.StatusUnprocessableEntity)
	s.reaches("a", receipt.Fiscal)
	if a := c.Post("/v1/shift/x-report", "").Want(http.StatusOK); a.Field("sales.count") != "1" || a.Field("sales.cash") != "12.00" || a.Field("cash") != "12.00" {
		t.Errorf("%s", a.Body)
	}
	if a := c.Post("/v1/period-report", fmt.Sprintf(`{"from":%q,"to":%q}`, first, day())).Want(http.StatusOK); a.Field("sales.count") != "1" {
		t.Errorf("%s", a.Body)
	}
	// What the till was told yes of goes out before the shift is closed.
	for n := range 5 {
		c.Post("/v1/receipts", sale(fmt.Sprintf("b%d", n))).Want(http.StatusAccepted)
	}
	if a := c.Post("/v1/shift/close", `{"cashier":"Aysel M."}`).Want(http.StatusOK); a.Field("sales.count") != "6" || a.Field("sales.sum") != "72.00" {
		t.Errorf("%s", a.Body)
	}
	if z := sim.Shifts(); len(z) != 1 {
		t.Errorf("closed %d shifts", len(z))
	}
	if a := c.Post("/v1/shift/close", "").Want(http.StatusConflict); a.Field("errors.0.code") != "shift_closed" {
		t.Errorf("%s", a.Body)
	}
	// The register is away: 503, and when to ask again.
	if err := sim.Close(); err != nil {
		t.Fatal(err)
	}
	if a := c.Get("/v1/shift").Want(http.StatusServiceUnavailable); a.Header.Get("Retry-After") == "" {
		t.Error("not told when to ask again")
	}
	c.Post("/v1/shift/open", "").Want(http.StatusServiceUnavailable)
}

func apiStatus(t *testing.T) {
	s, sim := open(t)
	c := s.till()
	c.Post("/v1/receipts", sale("a"), wait).Want(http.StatusCreated)
	said := map[string]bool{}
	for _, language := range []string{"az", "ru", "en"} {
		c.Language = language
		a := c.Get("/v1/status").Want(http.StatusOK)
		if a.Field("message.code") != "ready" || a.Field("register.link") != "ready" || a.Field("register.identity.serial") != serial || a.Field("shift.open") != "true" {
			t.Errorf("%s", a.Body)
		}
		said[a.Field("message.text")] = true
	}
	if len(said) != 3 {
		t.Errorf("the sentences: %v", said)
	}
	if a := c.Get("/v1/registers").Want(http.StatusOK); a.Field("registers.0.id") != kassa || a.Field("registers.0.address") != sim.Addr() {
		t.Errorf("%s", a.Body)
	}
	if a := c.Post("/v1/registers/kassa-1/check", "").Want(http.StatusOK); a.Field("identity.edition") != "new" {
		t.Errorf("%s", a.Body)
	}
	c.Post("/v1/registers/kassa-9/check", "").Want(http.StatusNotFound)

	sim.Arm(simulator.Fault{Name: simulator.Refuse, Route: "/sale", Times: 1, Code: 3})
	c.Post("/v1/receipts", sale("b"), wait).Want(http.StatusAccepted)
	if a := c.Get("/v1/status").Want(http.StatusOK); a.Field("message.code") != "refused" || a.Field("queue.refused") != "1" {
		t.Errorf("%s", a.Body)
	}

	c.Token = "" // what is public
	for _, base := range []string{"", "/v1"} {
		c.Get(base + "/healthz").Want(http.StatusOK)
		c.Get(base + "/readyz").Want(http.StatusOK)
		if a := c.Get(base + "/openapi.yaml").Want(http.StatusOK); !bytes.Equal(a.Body, till.OpenAPI) {
			t.Error("the document is another one")
		}
		a := c.Get(base + "/metrics").Want(http.StatusOK)
		for _, line := range []string{
			`ekassa_register_ready{register="kassa-1"} 1`, `ekassa_receipts_refused{register="kassa-1"} 1`,
			`ekassa_receipts_waiting{register="kassa-1"} 0`, `ekassa_till_requests_total{route="/v1/receipts",status="201"} 1`,
			`ekassa_journal_epoch 1`, `go_goroutines`,
		} {
			if !strings.Contains(string(a.Body), line) {
				t.Errorf("the metrics have no %s", line)
			}
		}
		if strings.Contains(string(a.Body), merchant) {
			t.Error("the metrics tell the Merchant ID")
		}
	}
	c.Get("/").Want(http.StatusOK)
	// Through a proxy nobody is on this machine.
	c.Get("/metrics", "X-Forwarded-For: 10.0.0.7").Want(http.StatusForbidden)
}

func apiGuard(t *testing.T) {
	s, sim := open(t)
	c := s.till()
	c.Get("/v1/status").Want(http.StatusOK)
	second := s.newToken(terminal) // a running agent knows it at once
	for _, token := range []string{"", "wrong", s.token + "x"} {
		c.Token = token
		if a := c.Post("/v1/receipts", sale("a")).Want(http.StatusUnauthorized); !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("asked for no token: %v", a.Header)
		}
	}
	c.Token = second
	for host, status := range map[string]int{
		"evil.example": http.StatusForbidden, "localhost": http.StatusOK, "ekassa.local": http.StatusOK,
		"127.0.0.1:9": http.StatusOK, "[::1]:8787": http.StatusOK, "10.0.0.7": http.StatusOK,
	} {
		r := c.Request(http.MethodGet, "/v1/status", "")
		r.Host = host
		if a := c.Do(r); a.Status != status {
			t.Errorf("as %s: %d", host, a.Status)
		}
	}
	// A page of another site.
	if a := c.Post("/v1/receipts", sale("a"), "Origin: https://evil.example").Want(http.StatusForbidden); a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("another site's page may read it")
	}

	// A till in an endless loop: its burst is used up, and it is told when to come again.
	const loops = 8
	link := &http.Transport{MaxIdleConnsPerHost: loops}
	defer link.CloseIdleConnections()
	told := false
	for n := 0; n < 50 && !told; n++ {
		var asks sync.WaitGroup
		for range loops {
			asks.Go(func() {
				for range 300 / loops {
					r := c.Request(http.MethodGet, "/v1/receipts/x", "")
					if response, err := link.RoundTrip(r); err == nil {
						_, _ = io.Copy(io.Discard, response.Body) // only that it was asked counts
						response.Body.Close()
					}
				}
			})
		}
		asks.Go(func() {
			a, err := c.Try(c.Request(http.MethodGet, "/v1/status", ""))
			told = err == nil && a.Status == http.StatusTooManyRequests && a.Header.Get("Retry-After") != ""
		})
		asks.Wait()
	}
	if !told {
		t.Error("however often it asks, it is not told to wait")
	}
	// All tokens of the till are taken back, and the running agent obeys.
	if r := command(t, agentBinary, "token", "revoke", terminal, "--config", s.file).ok(t); r.out != "2 revoked\n" {
		t.Errorf("%q", r.out)
	}
	c.Post("/v1/receipts", sale("a")).Want(http.StatusUnauthorized)
	c.Get("/v1/events").Want(http.StatusUnauthorized)
	if n := len(sim.Ledger()); n != 0 {
		t.Errorf("%d documents", n)
	}
}
