package till_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/till"
	"ekassa/cloud/wire"
)

func TestOnlyOurOwnNamesAreAnswered(t *testing.T) {
	s := newShop(t, func(c *till.Config) { c.Hosts = []string{"Till.Example."} })
	for host, status := range map[string]int{
		"localhost": 200, "localhost:8787": 200, "127.0.0.1:8787": 200, "192.168.1.7": 200, "[::1]:8787": 200, "[fe80::1%25eth0]": 200,
		"ekassa.local": 200, "EKASSA.local.:8787": 200, "till.example": 200,
		"evil.example": 403, "localhost.evil.example": 403, "127.0.0.1.evil.example": 403, "": 403, "evil.example:8787": 403, "1.2.3": 403,
	} {
		for _, token := range []string{"ek_one", ""} { // the name comes first: no token is looked at
			c := s.as(token)
			r := c.Request(http.MethodGet, "/openapi.yaml", "")
			r.Host = host
			if host == "" {
				r.URL.Host = ""
			}
			if a := c.Do(r); a.Status != status || status == 403 && !strings.HasSuffix(a.Field("type"), ":host") {
				t.Errorf("%q: status %d, want %d", host, a.Status, status)
			}
		}
	}
}

func TestWithoutATokenNothingIsSaid(t *testing.T) {
	s := newShop(t)
	for _, header := range []string{"", "Bearer", "Bearer ", "Bearer ek_wrong", "Basic ek_one", "ek_one"} {
		c := s.as("")
		a := c.Post("/v1/receipts", sale("a-1"), "Authorization: "+header).Want(http.StatusUnauthorized)
		if !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%q: WWW-Authenticate %q", header, a.Header.Get("WWW-Authenticate"))
		}
	}
	for _, r := range till.Routes() {
		if !strings.HasPrefix(r.Path, "/v1/") || open(r.Path) {
			continue
		}
		c := s.as("")
		c.Do(c.Request(r.Method, strings.Replace(r.Path, "{id}", "a-1", 1), "")).Want(http.StatusUnauthorized)
	}
	s.as("").Get("/v1/status", "Authorization: bearer  ek_one").Want(http.StatusOK)
	if s.journal.count() != 0 {
		t.Error("something was stored")
	}
}

// open says whether a path needs no token.
func open(path string) bool {
	path = strings.TrimPrefix(path, "/v1")
	return path == "/openapi.yaml" || path == "/healthz" || path == "/readyz" || path == "/metrics" || path == "/" ||
		path == "/session" || path == "/session/end" // for people who are not signed in yet
}

func TestUnsafeMethodsTakeJSONAndNoOtherSite(t *testing.T) {
	s := newShop(t)
	for _, c := range []struct {
		header string
		status int
	}{
		{"Content-Type: application/json", 202},
		{"Content-Type: application/json; charset=UTF-8", 200},
		{"Content-Type: application/json; charset=latin1", 415},
		{"Content-Type: text/plain", 415},
		{"Content-Type: application/x-www-form-urlencoded", 415},
		{"Content-Type:", 415},
		{"Content-Type: application/json, text/plain", 415},
		{"Content-Encoding: gzip", 415},
		{"Origin: https://evil.example", 403},
		{"Sec-Fetch-Site: cross-site", 403},
		{"Origin: http://localhost", 200},
	} {
		s.Post("/v1/receipts", sale("a-1"), c.header).Want(c.status)
	}
	a := s.Get("/v1/status", "Origin: https://evil.example").Want(http.StatusOK)
	for name := range a.Header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("CORS header %s", name)
		}
	}
	s.Post("/v1/receipts", "", "Content-Type: application/json").Want(http.StatusUnprocessableEntity)
	if s.journal.count() != 1 {
		t.Errorf("%d receipts in the journal", s.journal.count())
	}
}

func TestWhatIsTooLargeIsRefused(t *testing.T) {
	s := newShop(t)
	s.Post("/v1/receipts", strings.Repeat(" ", 1<<20)+sale("a-1")).Want(http.StatusRequestEntityTooLarge)
	s.Post("/v1/shift/open", strings.Repeat(" ", 1<<20+1)).Want(http.StatusRequestEntityTooLarge)
	body := sale("a-1")
	s.Post("/v1/receipts", strings.Repeat(" ", 1<<20-len(body))+body).Want(http.StatusAccepted)
}

func TestATillInALoopIsSlowedDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		for n := range 200 {
			if status := s.plain(http.MethodGet, "/v1/shift").Code; status != http.StatusOK {
				t.Fatalf("request %d: status %d", n, status)
			}
		}
		a := s.Post("/v1/receipts", sale("a-1")).Want(http.StatusTooManyRequests)
		if a.Header.Get("Retry-After") != "1" || s.journal.count() != 0 {
			t.Errorf("Retry-After %q, %d stored", a.Header.Get("Retry-After"), s.journal.count())
		}
		s.as("ek_two").Post("/v1/receipts", sale("a-1")).Want(http.StatusAccepted)
		time.Sleep(time.Second)
		for range 50 {
			s.plain(http.MethodGet, "/v1/shift")
		}
		s.Post("/v1/receipts", sale("a-1")).Want(http.StatusTooManyRequests)
		time.Sleep(20 * time.Millisecond)
		s.Post("/v1/receipts", sale("a-1")).Want(http.StatusAccepted)
	})
}

func TestWhatIsNotThereIsAProblemToo(t *testing.T) {
	s := newShop(t)
	for _, path := range []string{"/v1", "/v2/receipts", "/v1/receipts/", "/v1//receipts", "/v1/receipts/../status", "/v1/receipts/a-1/print", "/favicon.ico"} {
		s.Get(path).Want(http.StatusNotFound)
	}
	for path, allow := range map[string]string{
		"/v1/receipts": "GET, HEAD, POST", "/v1/receipts/a-1": "GET, HEAD", "/v1/shift/open": "POST", "/v1/cash/deposit": "GET, HEAD, POST", "/healthz": "GET, HEAD",
	} {
		for _, method := range []string{http.MethodDelete, http.MethodPut, http.MethodOptions} {
			if a := s.Do(s.Request(method, path, "")).Want(http.StatusMethodNotAllowed); a.Header.Get("Allow") != allow {
				t.Errorf("%s %s: Allow %q, want %q", method, path, a.Header.Get("Allow"), allow)
			}
		}
	}
	if w := s.plain(http.MethodHead, "/v1/status"); w.Code != http.StatusOK {
		t.Errorf("HEAD: status %d", w.Code)
	}
}

func TestWatchersAreAnsweredOnThisMachineOnly(t *testing.T) {
	local, lan := newShop(t), newShop(t, func(c *till.Config) { c.MetricsOnLAN = true })
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/v1/healthz", "/v1/readyz", "/v1/metrics"} {
		for _, c := range []struct {
			shop           *shop
			remote, header string
			status         int
		}{
			{local, "127.0.0.1:5000", "", 200},
			{local, "[::1]:5000", "", 200},
			{local, "192.168.1.5:5000", "", 403},
			{local, "127.0.0.1:5000", "X-Forwarded-For: 192.168.1.5", 403},
			{local, "127.0.0.1:5000", "Forwarded: for=192.168.1.5", 403},
			{lan, "192.168.1.5:5000", "", 200},
		} {
			client := c.shop.as("")
			r := client.Request(http.MethodGet, path, "")
			if name, value, ok := strings.Cut(c.header, ": "); ok {
				r.Header.Set(name, value)
			}
			r.RemoteAddr = c.remote
			if a := client.Do(r); a.Status != c.status {
				t.Errorf("%s from %s %s: status %d, want %d", path, c.remote, c.header, a.Status, c.status)
			}
		}
	}
	local.journal.fail = receipt.ErrStorage
	local.Get("/healthz").Want(http.StatusOK)
	local.Get("/readyz").Want(http.StatusServiceUnavailable)
}

func TestRequestsAreCountedByRoute(t *testing.T) {
	s := newShop(t)
	s.Get("/v1/receipts/a-1").Want(http.StatusNotFound)
	s.Get("/v1/receipts/a-2").Want(http.StatusNotFound)
	s.Get("/nowhere").Want(http.StatusNotFound)
	metrics := string(s.Get("/metrics").Want(http.StatusOK).Body)
	for _, want := range []string{
		`ekassa_till_requests_total{route="/v1/receipts/{id}",status="404"} 2`, `ekassa_till_requests_total{route="other",status="404"} 1`,
		`ekassa_till_request_seconds_count{route="/v1/receipts/{id}"} 2`, "ekassa_till_event_streams 0",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestTheLogHoldsRefusalsButNoSecretAndNoContent(t *testing.T) {
	var log bytes.Buffer
	s := newShop(t, func(c *till.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	s.Post("/v1/receipts", sale("a-1")).Want(http.StatusAccepted)
	if log.Len() != 0 {
		t.Errorf("a success was logged: %s", &log)
	}
	s.Post("/v1/receipts", strings.Replace(sale("a-1"), "Plov", "Dolma", 1)).Want(http.StatusConflict)
	s.as("ek_secret").Get("/v1/status").Want(http.StatusUnauthorized)
	s.Get("/v1/receipts?state=secret").Want(http.StatusUnprocessableEntity)
	if lines := strings.Count(log.String(), "\n"); lines != 3 {
		t.Errorf("%d lines, want 3:\n%s", lines, &log)
	}
	if !strings.Contains(log.String(), "terminal=till-1 problem=conflict") {
		t.Errorf("the log does not say who and what:\n%s", &log)
	}
	for _, secret := range []string{"ek_one", "ek_secret", "Dolma", "Aysel", "state=secret"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, &log)
		}
	}
}

func TestAPanicIsAnsweredAndLogged(t *testing.T) {
	var log bytes.Buffer
	calls := 0
	s := newShop(t, func(c *till.Config) {
		c.Log = slog.New(slog.NewTextHandler(&log, nil))
		inner := c.Settings
		c.Settings = func() wire.Settings {
			if calls++; calls == 1 {
				panic("broken")
			}
			return inner()
		}
	})
	s.Get("/v1/status").Want(http.StatusInternalServerError)
	if !strings.Contains(log.String(), "broken") {
		t.Errorf("the log does not tell: %s", &log)
	}
}

func TestPeopleReadTheirOwnLanguage(t *testing.T) {
	s := newShop(t)
	for accept, want := range map[string][2]string{
		"":                        {"en", "Not found"}, // the settings' language
		"az":                      {"az", "Tapılmadı"},
		"ru-RU,ru;q=0.9,en;q=0.5": {"ru", "Не найдено"},
		"de":                      {"en", "Not found"},
	} {
		a := s.Get("/v1/receipts/none", "Accept-Language: "+accept).Want(http.StatusNotFound)
		if a.Header.Get("Content-Language") != want[0] || a.Field("title") != want[1] {
			t.Errorf("%q: %s, %q", accept, a.Header.Get("Content-Language"), a.Field("title"))
		}
	}
	s.settings.Language = "ru"
	if a := s.Get("/v1/receipts/none"); a.Header.Get("Content-Language") != "ru" {
		t.Errorf("the settings' language is not followed: %s", a.Body)
	}
}

func TestASlowBodyIsGivenUp(t *testing.T) {
	s := newShop(t)
	r := httptest.NewRequest(http.MethodPost, "http://localhost/v1/receipts", brokenBody{})
	r.Header.Set("Authorization", "Bearer ek_one")
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "unreadable") {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, http.ErrHandlerTimeout }
