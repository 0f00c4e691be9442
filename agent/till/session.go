package till

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/texts"
	"ekassa/cloud/wire"
)

// A token is a till. A session is a person, in a role, who acts for one till
// from the staff page: the same routes, and every act is written down with the
// person's name. What a body says of who does it counts for tills alone.

// manager is the role that may also decide and take back; package people has it.
const manager = "manager"

// cookieName names the session's cookie.
const cookieName = "ekassa"

// Sessions last this long, and are so many; the oldest make room.
const (
	sessionAge  = 12 * time.Hour
	sessionMost = 64
)

// session is a person at a till.
type session struct {
	id       string
	name     string
	role     string
	since    time.Time // of the person's PIN
	terminal string
	began    time.Time
}

// sessions are kept in memory: after a restart people sign in again.
type sessions struct {
	mu   sync.Mutex
	list []session // oldest first
}

func (s *sessions) begin(x session) string {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails: crypto/rand ends the program instead
	x.id = base64.RawURLEncoding.EncodeToString(secret[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, x)
	if n := len(s.list) - sessionMost; n > 0 {
		s.list = slices.Delete(s.list, 0, n)
	}
	return x.id
}

func (s *sessions) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = slices.DeleteFunc(s.list, func(x session) bool { return x.id == id })
}

func (s *sessions) find(id string) (session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := slices.IndexFunc(s.list, func(x session) bool { return x.id == id })
	if n < 0 {
		return session{}, false
	}
	return s.list[n], true
}

// session gives the one of the request's cookie, while the person still has that
// PIN and the till is still in the settings.
func (a *api) session(r *request) (session, bool) {
	c, err := r.Cookie(cookieName)
	if err != nil || a.People == nil {
		return session{}, false
	}
	s, ok := a.sessions.find(c.Value)
	if !ok {
		return session{}, false
	}
	role, since, known := a.People.Role(s.name)
	_, bound := r.settings.Terminal(s.terminal)
	if !known || !bound || !since.Equal(s.since) || time.Since(s.began) > sessionAge {
		a.sessions.end(s.id)
		return session{}, false
	}
	s.role = role
	return s, true
}

func cookie(value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
}

// sessionBody is what the page asks for first.
type sessionBody struct {
	Shown     bool            `json:"shown"` // module.show_on_terminal
	Language  string          `json:"language"`
	People    []string        `json:"people"`
	Terminals []wire.Terminal `json:"terminals"`
	Person    *whoBody        `json:"person"` // null: nobody is signed in
	Setup     bool            `json:"setup"`  // the agent is to be set up: the page leads through it
}

type whoBody struct {
	Name     string `json:"name"`
	Role     string `json:"role"`
	Terminal string `json:"terminal"`
}

func (a *api) getSession(w http.ResponseWriter, r *request) error {
	b := sessionBody{Shown: r.settings.Module.ShowOnTerminal, Language: r.settings.Language, People: []string{}, Terminals: []wire.Terminal{}}
	b.Setup = a.Setup != nil && a.Setup.Open(r.Request)
	if b.Shown && a.People != nil {
		b.People = append(b.People, a.People.Names()...)
		b.Terminals = append(b.Terminals, r.settings.Terminals...)
		if s, ok := a.session(r); ok {
			b.Person = &whoBody{Name: s.name, Role: s.role, Terminal: s.terminal}
		}
	}
	return reply(w, r, http.StatusOK, b)
}

type signInBody struct {
	Name     string `json:"name"`
	PIN      string `json:"pin"`
	Terminal string `json:"terminal"`
}

// signIn begins a session. Tries are counted where the PINs are kept.
func (a *api) signIn(w http.ResponseWriter, r *request) error {
	if !isJSON(r.Request) {
		return &problem{code: problemMediaType, field: "Content-Type"}
	}
	data, err := body(w, r)
	if err != nil {
		return err
	}
	var b signInBody
	if err := decode(data, &b); err != nil {
		return err
	}
	if !r.settings.Module.ShowOnTerminal || a.People == nil {
		return &problem{code: problemPageOff}
	}
	if _, ok := r.settings.Terminal(b.Terminal); !ok {
		return receipt.Faults{{Field: "terminal", Code: receipt.CodeNotAllowed}}
	}
	wrong := &problem{code: problemPIN, field: "pin"}
	role, since, ok := a.People.Role(b.Name)
	if !ok || len(b.PIN) > maxText {
		return wrong // a stranger's words are not written down
	}
	wait, right, err := a.People.SignIn(b.Name, b.PIN)
	switch {
	case err != nil:
		return err
	case wait > 0:
		return &problem{code: problemPINWait, field: "pin", retry: wait, args: texts.Args{"detail": minutes(wait)}}
	}
	n, err := a.Journal.Act(receipt.Act{Terminal: b.Terminal, Who: b.Name, Role: role, What: "sign_in"})
	if err != nil {
		return err
	}
	if !right {
		a.outcome(n, wrong)
		return wrong
	}
	a.outcome(n, nil)
	if c, err := r.Cookie(cookieName); err == nil {
		a.sessions.end(c.Value)
	}
	id := a.sessions.begin(session{name: b.Name, role: role, since: since, terminal: b.Terminal, began: time.Now()})
	http.SetCookie(w, cookie(id, int(sessionAge/time.Second)))
	return reply(w, r, http.StatusOK, sessionBody{
		Shown: true, Language: r.settings.Language, People: append([]string{}, a.People.Names()...), Terminals: r.settings.Terminals,
		Person: &whoBody{Name: b.Name, Role: role, Terminal: b.Terminal},
	})
}

// minutes rounds up; less than a minute is one.
func minutes(d time.Duration) string { return strconv.Itoa(int((d + time.Minute - 1) / time.Minute)) }

// signOut ends the session of the cookie; there need not be one.
func (a *api) signOut(w http.ResponseWriter, r *request) error {
	if !isJSON(r.Request) {
		return &problem{code: problemMediaType, field: "Content-Type"}
	}
	if c, err := r.Cookie(cookieName); err == nil {
		a.sessions.end(c.Value)
	}
	http.SetCookie(w, cookie("", -1))
	return reply(w, r, http.StatusOK, okBody{Status: "ok"})
}

// rights say who may use a route, besides a till.
type rights int

const (
	everybody rights = iota // every person who is signed in
	managers                // those alone
	nobody                  // tills alone
)

// enter lets a person in.
func (a *api) enter(r *request, may rights) error {
	s, ok := a.session(r)
	switch {
	case !ok:
		return &problem{code: problemToken, field: "Authorization"}
	case !r.settings.Module.ShowOnTerminal:
		return &problem{code: problemPageOff}
	case may == nobody || may == managers && s.role != manager:
		return &problem{code: problemRole}
	}
	r.terminal, r.person = s.terminal, s.name
	r.role = s.role
	return nil
}

// acted writes down what a person does, before it is done, and what came of it.
func (a *api) acted(w http.ResponseWriter, r *request, h handler) error {
	n, err := a.Journal.Act(receipt.Act{
		Terminal: r.terminal, Who: r.person, Role: r.role, What: actName(r.Pattern), Subject: clip(r.PathValue("id")),
	})
	if err != nil {
		return err
	}
	err = h(w, r)
	a.outcome(n, err)
	return err
}

// outcome notes what came of an act. That this fails changes nothing of what was
// done; the journal's health tells of it.
func (a *api) outcome(n int64, err error) {
	what := receipt.ActDone
	if err != nil {
		what = string(problemOf(err).code)
	}
	if err := a.Journal.ActDone(n, what); err != nil {
		a.Log.Error("what came of a person's act could not be written down", "act", n, "error", err)
	}
}

// actName names a route for the record: "POST /v1/receipts/{id}/retry" is
// receipts_id_retry. The texts have a sentence for each.
func actName(pattern string) string {
	_, path, _ := strings.Cut(pattern, " ")
	return strings.NewReplacer("/", "_", "-", "_", "{", "", "}", "").Replace(strings.TrimPrefix(path, "/v1/"))
}

// Acts lists what people are written down for, for the test of the texts.
func Acts() (names []string) {
	for _, r := range Routes() {
		if r.Method == http.MethodPost && strings.HasPrefix(r.Path, "/v1/") && !strings.HasPrefix(r.Path, "/v1/session") && r.Path != "/v1/receipts" {
			names = append(names, actName(r.Method+" "+r.Path))
		}
	}
	return append(names, "sign_in")
}

// by is who does it: a person is who signed in, whatever the body says.
func (r *request) by(said string) string {
	if r.person != "" {
		return r.person
	}
	return said
}

type actsBody struct {
	Acts []receipt.Act `json:"acts"`
}

// getActs lists what people did at the till, newest first.
func (a *api) getActs(w http.ResponseWriter, r *request) error {
	list, err := a.Journal.Acts(r.terminal, 0, maxLimit)
	if err != nil {
		return err
	}
	b := actsBody{Acts: []receipt.Act{}}
	for _, x := range list {
		x.At = r.local(x.At)
		b.Acts = append(b.Acts, x)
	}
	return reply(w, r, http.StatusOK, b)
}
