// Package api is the fleet's API under /api/v1, as openapi.yaml tells it: a thin
// door to package control. Errors are problem documents (RFC 9457) that name the
// field.
package api

import (
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ekassa/cloud/control"
	"ekassa/cloud/fleet"
	"ekassa/cloud/wire"
)

// OpenAPI is the document that describes the API, in YAML.
//
//go:embed openapi.yaml
var OpenAPI []byte

// Cookie is the name of the console's session.
const Cookie = "ekassa_session"

// maxBody of a request in bytes. The settings of a hundred registers need half.
const maxBody = 256 << 10

// Config is all that the API stands on.
type Config struct {
	Control *control.Control
	Secure  bool // served over TLS: cookies are for that alone
	Log     *slog.Logger
}

type api struct {
	Config
	mux *http.ServeMux
}

// request is an HTTP request with whose it is.
type request struct {
	*http.Request
	person control.Person
	secret string // of the session or token
}

type handler func(w http.ResponseWriter, r *request) error

// Route is one path and method that the API answers.
type Route struct{ Method, Path string }

type route struct {
	Route
	do     handler
	public bool // without a token or session
}

// New gives the handler of everything below /api/v1.
func New(c Config) http.Handler {
	a := &api{Config: c, mux: http.NewServeMux()}
	for _, r := range a.routes() {
		a.mux.Handle(r.Method+" /api/v1"+r.Path, a.serve(r))
	}
	a.mux.Handle("/api/v1/", a.serve(route{public: true, do: func(_ http.ResponseWriter, r *request) error {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
			other := r.Clone(r.Context())
			other.Method = method
			if _, pattern := a.mux.Handler(other); pattern != "/api/v1/" {
				return &problem{status: http.StatusMethodNotAllowed, code: "method", detail: "this path does not take " + r.Method}
			}
		}
		return &problem{status: http.StatusNotFound, code: "no_path", detail: "there is no such path"}
	}}))
	return a.mux
}

// Routes lists what the API answers, for the test that holds the OpenAPI
// document against it.
func Routes() (list []Route) {
	for _, r := range (&api{}).routes() {
		list = append(list, r.Route)
	}
	return list
}

func (a *api) routes() []route {
	return []route{
		{Route{"GET", "/openapi.yaml"}, a.openapi, true},
		{Route{"GET", "/settings-schema.json"}, a.schema, true},
		{Route{"POST", "/session"}, a.login, true},
		{Route{"GET", "/session"}, a.whoAmI, false},
		{Route{"DELETE", "/session"}, a.logout, false},
		{Route{"PUT", "/password"}, a.newPassword, false},

		{Route{"GET", "/venues"}, a.venues, false},
		{Route{"POST", "/venues"}, a.addVenue, false},
		{Route{"GET", "/venues/{id}/modules"}, a.modules, false},
		{Route{"GET", "/venues/{id}/modules/{driver}"}, a.module, false},
		{Route{"PUT", "/venues/{id}/modules/{driver}"}, a.switchModule, false},
		{Route{"GET", "/venues/{id}/bill"}, a.bill, false},

		{Route{"POST", "/enrolments"}, a.enrol, false},
		{Route{"GET", "/agents"}, a.agents, false},
		{Route{"GET", "/agents/{id}"}, a.agent, false},
		{Route{"POST", "/agents/{id}/revoke"}, a.revoke, false},
		{Route{"GET", "/agents/{id}/settings"}, a.settings, false},
		{Route{"PUT", "/agents/{id}/settings"}, a.putSettings, false},
		{Route{"GET", "/agents/{id}/settings/versions"}, a.versions, false},
		{Route{"GET", "/agents/{id}/settings/diff"}, a.diff, false},
		{Route{"GET", "/agents/{id}/commands"}, a.commands, false},
		{Route{"POST", "/agents/{id}/commands"}, a.addCommand, false},
		{Route{"GET", "/agents/{id}/commands/{cid}"}, a.command, false},
		{Route{"GET", "/agents/{id}/receipts"}, a.receipts, false},
		{Route{"GET", "/shift-reports"}, a.shiftReports, false},
		{Route{"GET", "/totals"}, a.totals, false},

		{Route{"GET", "/alerts"}, a.alerts, false},
		{Route{"POST", "/alerts/{id}/acknowledge"}, a.acknowledge, false},
		{Route{"GET", "/webhooks"}, a.webhooks, false},
		{Route{"POST", "/webhooks"}, a.addWebhook, false},
		{Route{"DELETE", "/webhooks/{id}"}, a.deleteWebhook, false},

		{Route{"GET", "/releases"}, a.releases, false},
		{Route{"GET", "/rollouts"}, a.rollouts, false},
		{Route{"POST", "/rollouts"}, a.startRollout, false},
		{Route{"GET", "/rollouts/{id}"}, a.rollout, false},
		{Route{"PUT", "/rollouts/{id}/state"}, a.steerRollout, false},

		{Route{"GET", "/users"}, a.users, false},
		{Route{"POST", "/users"}, a.addUser, false},
		{Route{"PUT", "/users/{name}"}, a.changeUser, false},
		{Route{"POST", "/users/{name}/tokens"}, a.addToken, false},
		{Route{"GET", "/acts"}, a.acts, false},
	}
}

// serve finds out who asks, and answers errors as problems.
func (a *api) serve(x route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		r := &request{Request: req}
		err := guard(req)
		if err == nil && !x.public {
			err = a.identify(r)
		}
		if err == nil {
			req.Body = http.MaxBytesReader(w, req.Body, maxBody)
			err = x.do(w, r)
		}
		if err != nil {
			a.fail(w, r, err)
		}
	})
}

// guard keeps other sites' pages from doing anything in a person's name: what
// changes something is JSON, which a form cannot send, and comes from this site.
func guard(r *http.Request) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return &problem{status: http.StatusForbidden, code: "origin", detail: "the request comes from another site"}
	}
	if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+r.Host && origin != "https://"+r.Host {
		return &problem{status: http.StatusForbidden, code: "origin", detail: "the request comes from another site"}
	}
	if r.ContentLength != 0 {
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
			return &problem{status: http.StatusUnsupportedMediaType, code: "media_type", detail: "the body must be application/json"}
		}
	}
	return nil
}

// identify reads the bearer token, or the console's session.
func (a *api) identify(r *request) error {
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	want := control.KindToken
	if !bearer {
		c, err := r.Cookie(Cookie)
		if err != nil {
			return &problem{status: http.StatusUnauthorized, code: "token", detail: "send Authorization: Bearer TOKEN, or log in"}
		}
		token, want = c.Value, control.KindSession
	}
	person, kind, err := a.Control.Who(r.Context(), strings.TrimSpace(token))
	switch {
	case errors.Is(err, fleet.ErrNotFound), errors.Is(err, fleet.ErrSpent), err == nil && !bearer && kind != want:
		return &problem{status: http.StatusUnauthorized, code: "token", detail: "the token or session is unknown, has ended, or its user is switched off"}
	case err != nil:
		return err
	}
	r.person, r.secret = person, token
	return nil
}

// From is the address that asks.
func From(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// problem is what is wrong with a request.
type problem struct {
	status int
	code   string
	detail string
	faults []wire.Fault
}

func (p *problem) Error() string { return p.code + ": " + p.detail }

// problemOf says what is told of an error.
func problemOf(err error) *problem {
	var p *problem
	var bad *control.Invalid
	var settings *wire.SettingsError
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &bad):
		return &problem{http.StatusUnprocessableEntity, "invalid", "some fields are wrong; nothing was changed", bad.Faults}
	case errors.As(err, &settings):
		return &problem{http.StatusUnprocessableEntity, "invalid", "the settings are wrong; nothing was changed", settings.Faults}
	case errors.As(err, &large):
		return &problem{http.StatusRequestEntityTooLarge, "too_large", "the body is larger than 256 KB", nil}
	case errors.Is(err, control.ErrForbidden):
		return &problem{http.StatusForbidden, "role", err.Error(), nil}
	case errors.Is(err, control.ErrPassword):
		return &problem{http.StatusUnauthorized, "password", "name or password is wrong", nil}
	case errors.Is(err, control.ErrTooMany):
		return &problem{http.StatusTooManyRequests, "too_many", "too many attempts; try again in a quarter of an hour", nil}
	case errors.Is(err, fleet.ErrNotFound):
		return &problem{http.StatusNotFound, "not_found", "there is no such thing", nil}
	case errors.Is(err, fleet.ErrExists):
		return &problem{http.StatusConflict, "exists", "that exists already", nil}
	case errors.Is(err, fleet.ErrStale):
		return &problem{http.StatusPreconditionFailed, "stale", "it was changed meanwhile; read it again", nil}
	}
	return &problem{http.StatusInternalServerError, "internal", "that failed here; try again", nil}
}

// fail answers with a problem document; what is our fault goes into the log.
func (a *api) fail(w http.ResponseWriter, r *request, err error) {
	p := problemOf(err)
	if p.status >= 500 && r.Context().Err() == nil {
		a.Log.Error("a request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	body := struct {
		Type   string       `json:"type"`
		Title  string       `json:"title"`
		Status int          `json:"status"`
		Detail string       `json:"detail"`
		Errors []wire.Fault `json:"errors"`
	}{"urn:ekassa:problem:" + p.code, http.StatusText(p.status), p.status, p.detail, p.faults}
	if len(body.Errors) == 0 {
		body.Errors = []wire.Fault{{Code: p.code, Message: p.detail}}
	}
	if p.status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "900")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.status)
	_ = json.NewEncoder(w).Encode(body)
}

// reply answers with JSON.
func reply(w http.ResponseWriter, status int, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n'))
	return nil
}

// read reads a JSON object and takes no field that is not there.
func read(r *request, into any) error {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return unreadable(err)
	}
	return decode(data, into)
}

func unreadable(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return err
	}
	return &problem{status: http.StatusBadRequest, code: "unreadable", detail: "the body did not arrive whole"}
}

func decode(data []byte, into any) error {
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil && d.More() {
		err = errors.New("more than one object")
	}
	if err == nil {
		return nil
	}
	var wrong *json.UnmarshalTypeError
	fault := wire.Fault{Code: wire.CodeSyntax, Message: "must be one JSON object"}
	switch name, isUnknown := unknownField(err); {
	case errors.As(err, &wrong) && wrong.Field != "":
		fault = wire.Fault{Field: wrong.Field, Code: wire.CodeType, Message: "must be " + plain(wrong.Type.Kind().String())}
	case isUnknown:
		fault = wire.Fault{Field: name, Code: wire.CodeUnknown, Message: "is no field of this request"}
	}
	return &control.Invalid{Faults: []wire.Fault{fault}}
}

// unknownField reads the one error of encoding/json that has no type.
func unknownField(err error) (string, bool) {
	_, quoted, found := strings.Cut(err.Error(), "unknown field ")
	name, bad := strconv.Unquote(quoted)
	return name, found && bad == nil
}

func plain(kind string) string {
	switch {
	case strings.HasPrefix(kind, "int"):
		return "a whole number"
	case kind == "bool":
		return "true or false"
	case kind == "slice":
		return "a list"
	case kind == "string":
		return "text"
	}
	return "an object"
}

func (a *api) openapi(w http.ResponseWriter, _ *request) error {
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(OpenAPI)
	return nil
}

func (a *api) schema(w http.ResponseWriter, _ *request) error {
	w.Header().Set("Content-Type", "application/schema+json")
	_, _ = w.Write(wire.SettingsSchema())
	return nil
}

// query reads parameters, and collects what is wrong with them.
type query struct {
	r      *request
	faults []wire.Fault
}

func (q *query) bad(name, message string) {
	q.faults = append(q.faults, wire.Fault{Field: name, Code: wire.CodeValue, Message: message})
}

func (q *query) number(name string, least, most, usual int64) int64 {
	text := q.r.URL.Query().Get(name)
	if text == "" {
		return usual
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > most {
		q.bad(name, "must be a whole number from "+strconv.FormatInt(least, 10)+" to "+strconv.FormatInt(most, 10))
	}
	return n
}

// moment reads a time, or a day of Azerbaijan's zone.
func (q *query) moment(name string) (t time.Time) {
	text := q.r.URL.Query().Get(name)
	if text == "" {
		return t
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		if t, err = time.ParseInLocation(time.DateOnly, text, control.Zone); err != nil {
			q.bad(name, "must be a time such as 2026-11-24T19:05:12+04:00, or a day such as 2026-11-24")
		}
	}
	return t
}

func (q *query) err() error {
	if len(q.faults) == 0 {
		return nil
	}
	return &control.Invalid{Faults: q.faults}
}
