package till_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/texts"
	"ekassa/agent/till"
	"ekassa/agent/till/tilltest"
)

// staff are two people, whose PINs are their names' first letters.
type staff struct {
	since time.Time
	roles map[string]string
	wait  time.Duration
}

func (s *staff) Names() []string { return []string{"Aysel M.", "Rauf"} }

func (s *staff) Role(name string) (string, time.Time, bool) {
	role, ok := s.roles[name]
	return role, s.since, ok
}

func (s *staff) SignIn(name, pin string) (time.Duration, bool, error) {
	return s.wait, pin == name[:1], nil
}

// newStaff is a shop with a page; Rauf is the manager.
func newStaff(t testing.TB) (*shop, *staff) {
	t.Helper()
	people := &staff{since: time.Now(), roles: map[string]string{"Aysel M.": "cashier", "Rauf": "manager"}}
	s := newShop(t, func(c *till.Config) {
		c.People = people
		c.Page = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, "<!doctype html>")
		})
	})
	s.settings.Module.ShowOnTerminal = true
	return s, people
}

// signIn gives a client that sends the session's cookie and no token.
func (s *shop) signIn(t testing.TB, name string) *tilltest.Client {
	t.Helper()
	a := s.as("").Post("/v1/session", fmt.Sprintf(`{"name":%q,"pin":%q,"terminal":"till-1"}`, name, name[:1])).Want(http.StatusOK)
	if a.Field("person.name") != name || a.Field("person.terminal") != "till-1" {
		t.Errorf("signed in as %s", a.Body)
	}
	line := a.Header.Get("Set-Cookie")
	for _, part := range []string{"HttpOnly", "SameSite=Strict", "Path=/"} {
		if !strings.Contains(line, part) {
			t.Errorf("the cookie lacks %s: %s", part, line)
		}
	}
	pair, _, _ := strings.Cut(line, ";")
	c := s.as("")
	c.Cookie = pair
	return c
}

func TestAPersonWorksUnderTheirOwnName(t *testing.T) {
	s, _ := newStaff(t)
	aysel := s.signIn(t, "Aysel M.")
	if a := aysel.Get("/v1/session").Want(http.StatusOK); a.Field("person.role") != "cashier" {
		t.Errorf("%s", a.Body)
	}
	aysel.Get("/v1/status").Want(http.StatusOK)
	aysel.Post("/v1/shift/open", `{"cashier":"Somebody else"}`).Want(http.StatusOK)
	if s.desk.who != "Aysel M." {
		t.Errorf("the shift was opened by %q", s.desk.who)
	}
	aysel.Post("/v1/cash/deposit", `{"id":"c1","amount":"10.00","cashier":"Somebody else"}`).Want(http.StatusAccepted)
	if x, err := s.journal.Get("till-1", "cash/c1"); err != nil || x.Cashier != "Aysel M." {
		t.Errorf("cash by %q, %v", x.Cashier, err)
	}
	aysel.Post("/v1/receipts", sale("x")).Want(http.StatusForbidden)
	s.Post("/v1/receipts", sale("x")).Want(http.StatusAccepted)
	s.journal.set("till-1", "x", func(x *receipt.Stored) { x.State = receipt.Held })
	const decision = `{"verdict":"send","who":"Somebody else","why":"no paper came out"}`
	if a := aysel.Post("/v1/receipts/x/resolve", decision).Want(http.StatusForbidden); a.Field("errors.0.code") != "role" {
		t.Errorf("%s", a.Body)
	}
	rauf := s.signIn(t, "Rauf")
	if a := rauf.Post("/v1/receipts/x/resolve", decision).Want(http.StatusOK); !strings.Contains(a.Field("reason.text"), "Rauf") {
		t.Errorf("decided by %s", a.Body)
	}
	var acts []string
	for _, x := range s.journal.acts {
		acts = append(acts, strings.Join([]string{x.Who, x.Role, x.What, x.Subject, x.Outcome}, " "))
	}
	want := []string{
		"Aysel M. cashier sign_in  done", "Aysel M. cashier shift_open  done", "Aysel M. cashier cash_deposit  done",
		"Rauf manager sign_in  done", "Rauf manager receipts_id_resolve x done",
	}
	if strings.Join(acts, "\n") != strings.Join(want, "\n") {
		t.Errorf("written down:\n%s\nwant:\n%s", strings.Join(acts, "\n"), strings.Join(want, "\n"))
	}
	aysel.Get("/v1/acts").Want(http.StatusForbidden)
	if a := rauf.Get("/v1/acts").Want(http.StatusOK); a.Field("acts.0.who") != "Rauf" {
		t.Errorf("%s", a.Body)
	}
}

func TestNothingIsDoneThatCannotBeWrittenDown(t *testing.T) {
	s, _ := newStaff(t)
	aysel := s.signIn(t, "Aysel M.")
	s.journal.failActs = fmt.Errorf("no room: %w", receipt.ErrStorage)
	s.desk.who = "nobody"
	aysel.Post("/v1/cash/deposit", `{"id":"c1","amount":"10.00"}`).Want(http.StatusInsufficientStorage)
	if s.journal.count() != 0 {
		t.Error("it was done all the same")
	}
	aysel.Get("/v1/status").Want(http.StatusOK)
}

func TestAFailedActIsWrittenDownAsSuch(t *testing.T) {
	s, _ := newStaff(t)
	aysel := s.signIn(t, "Aysel M.")
	s.desk.err = &register.Fault{Cause: register.ShiftOpen}
	aysel.Post("/v1/shift/open", `{}`).Want(http.StatusConflict)
	if last := s.journal.acts[len(s.journal.acts)-1]; last.Outcome != "register_state" {
		t.Errorf("%+v", last)
	}
}

func TestASessionEnds(t *testing.T) {
	for name, end := range map[string]func(*shop, *staff, *tilltest.Client){
		"signed out":          func(_ *shop, _ *staff, c *tilltest.Client) { c.Post("/v1/session/end", `{}`).Want(http.StatusOK) },
		"the PIN is taken":    func(_ *shop, p *staff, _ *tilltest.Client) { delete(p.roles, "Rauf") },
		"the PIN is another":  func(_ *shop, p *staff, _ *tilltest.Client) { p.since = p.since.Add(time.Second) },
		"the till is no more": func(s *shop, _ *staff, _ *tilltest.Client) { s.settings.Terminals = s.settings.Terminals[1:] },
	} {
		t.Run(name, func(t *testing.T) {
			s, people := newStaff(t)
			rauf := s.signIn(t, "Rauf")
			end(s, people, rauf)
			rauf.Get("/v1/status").Want(http.StatusUnauthorized)
			if a := rauf.Get("/v1/session").Want(http.StatusOK); a.Field("person") != "" {
				t.Errorf("%s", a.Body)
			}
		})
	}
	t.Run("the role is less", func(t *testing.T) {
		s, people := newStaff(t)
		rauf := s.signIn(t, "Rauf")
		people.roles["Rauf"] = "cashier"
		rauf.Get("/v1/acts").Want(http.StatusForbidden)
	})
}

func TestSignInIsRefused(t *testing.T) {
	s, people := newStaff(t)
	for body, status := range map[string]int{
		`{"name":"Rauf","pin":"X","terminal":"till-1"}`:   http.StatusUnauthorized,
		`{"name":"Nobody","pin":"N","terminal":"till-1"}`: http.StatusUnauthorized,
		`{"name":"Rauf","pin":"R","terminal":"till-9"}`:   http.StatusUnprocessableEntity,
		`{"name":"Rauf"}`: http.StatusUnprocessableEntity,
		`[]`:              http.StatusUnprocessableEntity,
	} {
		if a := s.as("").Post("/v1/session", body).Want(status); a.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: a cookie was given", body)
		}
	}
	if n := len(s.journal.acts); n != 1 || s.journal.acts[0].Outcome != "pin" {
		t.Errorf("written down: %+v; want the one miss of a person that there is", s.journal.acts)
	}
	people.wait = 90 * time.Second
	if a := s.as("").Post("/v1/session", `{"name":"Rauf","pin":"R","terminal":"till-1"}`).Want(http.StatusTooManyRequests); a.Header.Get("Retry-After") != "90" || !strings.Contains(a.Field("detail"), "2") {
		t.Errorf("%v %s", a.Header, a.Body)
	}
}

// A page of another site can make a browser send what it likes, but not JSON,
// and not with our cookie.
func TestOtherSitesCannotUseASession(t *testing.T) {
	s, _ := newStaff(t)
	rauf := s.signIn(t, "Rauf")
	before := len(s.journal.acts)
	rauf.Post("/v1/shift/open", `{}`, "Content-Type: text/plain").Want(http.StatusUnsupportedMediaType)
	rauf.Post("/v1/shift/open", "").Want(http.StatusUnsupportedMediaType)
	rauf.Post("/v1/shift/open", `{}`, "Sec-Fetch-Site: cross-site").Want(http.StatusForbidden)
	s.as("").Post("/v1/session", `{"name":"Rauf","pin":"R","terminal":"till-1"}`, "Content-Type: text/plain").Want(http.StatusUnsupportedMediaType)
	s.as("").Post("/v1/session/end", "a=b", "Content-Type: application/x-www-form-urlencoded").Want(http.StatusUnsupportedMediaType)
	if len(s.journal.acts) != before {
		t.Errorf("done: %+v", s.journal.acts[before:])
	}
	if a := rauf.Get("/v1/status", "Authorization: Bearer nonsense").Want(http.StatusUnauthorized); a.Field("errors.0.code") != "token" {
		t.Errorf("%s", a.Body)
	}
}

func TestThePageFollowsTheSettings(t *testing.T) {
	s, _ := newStaff(t)
	rauf := s.signIn(t, "Rauf")
	s.settings.Module.ShowOnTerminal = false
	if a := s.as("").Get("/v1/session").Want(http.StatusOK); a.Field("shown") != "false" || a.Field("people.0") != "" {
		t.Errorf("%s", a.Body)
	}
	rauf.Get("/v1/status").Want(http.StatusForbidden)
	s.as("").Post("/v1/session", `{"name":"Rauf","pin":"R","terminal":"till-1"}`).Want(http.StatusForbidden)
	s.Get("/v1/status").Want(http.StatusOK) // the till's own screen
}

func TestBrowsersGetThePage(t *testing.T) {
	s, _ := newStaff(t)
	r := httptest.NewRequest(http.MethodGet, "http://localhost/", nil)
	r.Header.Set("Accept", "text/html,*/*")
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if w.Body.String() != "<!doctype html>" {
		t.Errorf("%s", w.Body)
	}
	r.Host = "evil.example"
	w = httptest.NewRecorder()
	if s.handler.ServeHTTP(w, r); w.Code != http.StatusForbidden {
		t.Errorf("a page that has its name resolved to us gets %d", w.Code)
	}
}

func TestEveryActHasASentence(t *testing.T) {
	acts := till.Acts()
	if len(acts) < 15 {
		t.Errorf("only %d acts: %v", len(acts), acts)
	}
	for _, what := range acts {
		if key := "act." + what; texts.Say("en", key, nil) == key {
			t.Errorf("no sentence %s", key)
		}
	}
}

func TestSearch(t *testing.T) {
	s := newShop(t)
	s.settings.Timezone = "Asia/Baku"
	for n := range 12 {
		s.Post("/v1/receipts", strings.Replace(sale(fmt.Sprintf("r-%d", n)), "table 7", fmt.Sprintf("Masa %d", n), 1)).Want(http.StatusAccepted)
	}
	s.journal.set("till-1", "r-3", func(x *receipt.Stored) { x.State, x.Document = receipt.Fiscal, document() })
	for _, c := range []struct {
		find string
		want int
	}{
		{"r-3", 1}, {"masa 11", 1}, {"MASA", 12}, {"aysel", 12}, {"123", 12}, {"12,00", 12}, {"12", 12}, {"12.0", 12}, {"13", 0},
		{"19:05", 12}, {"19:", 12}, {"23.11", 12}, {"23.11.2026 19:05 r-3", 1}, {"24.11", 0}, {"bqz5c1", 1}, {"bqz5", 1}, {"bqz", 0}, {"nothing", 0}, {"", 12},
	} {
		var b struct{ Receipts []any }
		s.Get("/v1/receipts?limit=200&find=" + strings.ReplaceAll(c.find, " ", "%20")).Want(http.StatusOK).JSON(&b)
		if len(b.Receipts) != c.want {
			t.Errorf("%q: %d found, want %d", c.find, len(b.Receipts), c.want)
		}
	}
	a := s.Get("/v1/receipts?find=masa&limit=5").Want(http.StatusOK)
	if a.Field("receipts.4.id") != "r-7" || a.Field("next") == "" {
		t.Errorf("%s", a.Body)
	}
	if a = s.Get("/v1/receipts?find=masa&limit=10&cursor=" + a.Field("next")).Want(http.StatusOK); a.Field("receipts.0.id") != "r-6" || a.Field("next") != "" {
		t.Errorf("%s", a.Body)
	}
	s.Get("/v1/receipts?find=" + strings.Repeat("a", 129)).Want(http.StatusUnprocessableEntity)
}

func TestDetailsShowBothSides(t *testing.T) {
	s := newShop(t)
	s.Post("/v1/receipts", sale("x")).Want(http.StatusAccepted)
	s.journal.tries = []register.Try{{Number: 1, At: time.Now(), Register: "kassa-1", Serial: "0123456789", Shift: "7", Last: "19",
		Learned: []register.Learned{{Proof: register.ProofUnclear, Text: "the answer was lost", At: time.Now()}}}, {Number: 2, At: time.Now(), Register: "kassa-1", Serial: "0123456789"}}
	a := s.Get("/v1/receipts/x/details").Want(http.StatusOK)
	for path, want := range map[string]string{
		"receipt.note": "table 7", "items.0.name": "Plov", "items.0.quantity": "1.5", "payments.cash": "20.00", "taxes.0.name": "vat18",
		"tries.0.last": "19", "tries.0.learned.0.proof": "unclear",
	} {
		if got := a.Field(path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	s.Get("/v1/receipts/y/details").Want(http.StatusNotFound)
	s.as("ek_two").Get("/v1/receipts/x/details").Want(http.StatusNotFound)
	s.Get("/v1/receipts/x/qr.svg").Want(http.StatusNotFound)
	s.journal.set("till-1", "x", func(x *receipt.Stored) { x.State, x.Document = receipt.Fiscal, document() })
	if a := s.Get("/v1/receipts/x/qr.svg").Want(http.StatusOK); !strings.HasPrefix(string(a.Body), "<svg ") || strings.Count(string(a.Body), "M") < 100 {
		t.Errorf("%.200s", a.Body)
	}
	s.Post("/v1/cash/deposit", `{"id":"c1","amount":"10.00"}`).Want(http.StatusAccepted)
	s.Get("/v1/cash/c1/details").Want(http.StatusOK)
	if a := s.Get("/v1/cash").Want(http.StatusOK); a.Field("receipts.0.id") != "c1" || a.Field("receipts.1.id") != "" {
		t.Errorf("%s", a.Body)
	}
	s.journal.fail = errors.Join(receipt.ErrStorage)
	s.Get("/v1/cash").Want(http.StatusInsufficientStorage)
}
