// Package console is the fleet's web console: pages for people over package
// control, made on the server, in Azerbaijani, Russian and English. What a person
// may do is decided there; here it is only shown or left out.
//
// A page is read with GET and changed with POST, which answers with the page
// anew: with what is wrong, field by field, or by way of a redirect.
package console

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"ekassa/cloud/api"
	"ekassa/cloud/control"
	"ekassa/cloud/fleet"
	"ekassa/cloud/wire"
)

//go:embed pages/*.html texts/*.json style.css
var files embed.FS

// Languages are those of the console; the first is the default.
var Languages = []string{"az", "ru", "en"}

const languageCookie = "ekassa_language"

// policy lets a page load what is ours and nothing else; there are no scripts.
const policy = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// maxForm is the most bytes of a form: the settings of a hundred registers need half.
const maxForm = 256 << 10

// Config is all that the console stands on.
type Config struct {
	Control *control.Control
	Secure  bool // served over TLS: cookies are for that alone
	Log     *slog.Logger
}

type console struct {
	Config
	texts map[string]map[string]string
	pages map[string]*template.Template
}

// view is what a page is made of.
type view struct {
	Path   string
	Here   string // where a change of the language leads back to
	Lang   string
	Made   time.Time       // nothing on the page is older
	Again  int             // the seconds after which the page is loaded anew by itself; 0: never
	Person *control.Person // nil: nobody is signed in
	Form   map[string][]string
	Faults []wire.Fault // of what was just tried
	Error  string       // the same, as a whole: a key of the texts
	Given  *once        // what an act made that is shown this once
	Data   any
	texts  map[string]string
}

// request is one with whose it is.
type request struct {
	*http.Request
	view   view
	secret string
}

// page reads what a page shows; act changes something, and gives where to go on.
type (
	page func(r *request) (name string, data any, err error)
	act  func(r *request) (to string, err error)
)

// New gives the handler of the console.
func New(c Config) http.Handler {
	x := &console{Config: c, texts: map[string]map[string]string{}, pages: map[string]*template.Template{}}
	for _, lang := range Languages {
		x.texts[lang] = read[map[string]string](lang)
	}
	names, err := fs.Glob(files, "pages/*.html")
	must(err)
	for _, name := range names {
		if name != "pages/frame.html" {
			t, err := template.New("frame.html").Funcs(functions).ParseFS(files, "pages/frame.html", name)
			must(err)
			x.pages[strings.TrimSuffix(strings.TrimPrefix(name, "pages/"), ".html")] = t
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /style.css", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, files, "style.css")
	})
	mux.HandleFunc("POST /language", x.speak)
	mux.Handle("GET /sign-in", x.serve(func(*request) (string, any, error) { return "sign-in", nil, nil }, nil, true))
	mux.HandleFunc("POST /sign-in", x.signIn)
	mux.HandleFunc("POST /sign-out", x.signOut)
	x.routes(mux)
	mux.Handle("/", x.serve(func(*request) (string, any, error) { return "", nil, fleet.ErrNotFound }, nil, false))
	return http.NewCrossOriginProtection().Handler(mux)
}

// read reads a file of texts, and must: they are part of the program.
func read[T any](lang string) (v T) {
	data, err := files.ReadFile("texts/" + lang + ".json")
	must(err)
	must(json.Unmarshal(data, &v))
	return v
}

func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("console: %v", err))
	}
}

// serve shows a page. Where do is given it is done first, and the page is shown
// only if that failed, with why.
func (x *console) serve(show page, do act, public bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		req.Body = http.MaxBytesReader(w, req.Body, maxForm)
		r := x.begin(req)
		if !public {
			if err := x.identify(r); errors.Is(err, fleet.ErrNotFound) || errors.Is(err, fleet.ErrSpent) {
				http.Redirect(w, req, "/sign-in", http.StatusSeeOther)
				return
			} else if err != nil {
				x.fail(w, r, err)
				return
			}
		}
		status := http.StatusOK
		if do != nil {
			err := req.ParseForm()
			var large *http.MaxBytesError
			if err != nil && !errors.As(err, &large) { // no browser sends such a form
				http.Error(w, "the form cannot be read; open the page again", http.StatusBadRequest)
				return
			}
			var to string
			if err == nil {
				to, err = do(r)
			}
			if err == nil && to != "" {
				http.Redirect(w, req, to, http.StatusSeeOther)
				return
			}
			if err != nil {
				if status = r.explain(err); status >= 500 {
					x.fail(w, r, err)
					return
				}
				r.view.Form = req.PostForm
			}
		}
		name, data, err := show(r)
		if err != nil {
			x.fail(w, r, err)
			return
		}
		r.view.Data = data
		x.write(w, r, status, name)
	})
}

// explain says in the view what is wrong, and gives the status.
func (r *request) explain(err error) int {
	var bad *control.Invalid
	var settings *wire.SettingsError
	var large *http.MaxBytesError
	status, key := http.StatusInternalServerError, "internal"
	switch {
	case errors.As(err, &bad):
		r.view.Faults, status, key = bad.Faults, http.StatusUnprocessableEntity, "invalid"
	case errors.As(err, &settings):
		r.view.Faults, status, key = settings.Faults, http.StatusUnprocessableEntity, "invalid"
	case errors.As(err, &large):
		status, key = http.StatusRequestEntityTooLarge, "too_large"
	case errors.Is(err, control.ErrForbidden):
		status, key = http.StatusForbidden, "role"
	case errors.Is(err, control.ErrPassword):
		status, key = http.StatusUnauthorized, "password"
	case errors.Is(err, control.ErrTooMany):
		status, key = http.StatusTooManyRequests, "too_many"
	case errors.Is(err, fleet.ErrNotFound):
		status, key = http.StatusNotFound, "not_found"
	case errors.Is(err, fleet.ErrExists):
		status, key = http.StatusConflict, "exists"
	case errors.Is(err, fleet.ErrStale):
		status, key = http.StatusPreconditionFailed, "stale"
	}
	r.view.Error = "error." + key
	return status
}

// fail shows nothing but what is wrong.
func (x *console) fail(w http.ResponseWriter, r *request, err error) {
	status := r.explain(err)
	if status >= 500 && r.Context().Err() == nil {
		x.Log.Error("a page of the console failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	x.write(w, r, status, "error")
}

func (x *console) write(w http.ResponseWriter, r *request, status int, name string) {
	var b bytes.Buffer // a page is whole or not at all
	if err := x.pages[name].Execute(&b, &r.view); err != nil {
		x.Log.Error("a page of the console cannot be made", "page", name, "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

func (x *console) begin(req *http.Request) *request {
	lang := Languages[0]
	if c, err := req.Cookie(languageCookie); err == nil && x.texts[c.Value] != nil {
		lang = c.Value
	}
	return &request{Request: req, view: view{Path: req.URL.Path, Here: req.URL.RequestURI(), Lang: lang, Made: time.Now(), texts: x.texts[lang]}}
}

// identify reads the session that API and console share.
func (x *console) identify(r *request) error {
	c, err := r.Cookie(api.Cookie)
	if err != nil {
		return fleet.ErrNotFound
	}
	person, kind, err := x.Control.Who(r.Context(), c.Value)
	if err == nil && kind != control.KindSession {
		err = fleet.ErrNotFound
	}
	if err != nil {
		return err
	}
	r.view.Person, r.secret = &person, c.Value
	return nil
}

func (x *console) signIn(w http.ResponseWriter, req *http.Request) {
	show := func(*request) (string, any, error) { return "sign-in", nil, nil }
	x.serve(show, func(r *request) (string, error) {
		secret, s, err := x.Control.Login(r.Context(), r.PostFormValue("name"), r.PostFormValue("password"), api.From(req))
		if err != nil {
			return "", err
		}
		api.SetCookie(w, secret, s.ExpiresAt, x.Secure)
		return "/", nil
	}, true).ServeHTTP(w, req)
}

func (x *console) signOut(w http.ResponseWriter, req *http.Request) {
	if c, err := req.Cookie(api.Cookie); err == nil {
		if err := x.Control.Logout(req.Context(), c.Value); err != nil && !errors.Is(err, fleet.ErrNotFound) {
			x.fail(w, x.begin(req), err)
			return
		}
	}
	api.SetCookie(w, "", time.Time{}, x.Secure)
	http.Redirect(w, req, "/sign-in", http.StatusSeeOther)
}

// speak keeps the language, and goes back to the page.
func (x *console) speak(w http.ResponseWriter, req *http.Request) {
	req.Body = http.MaxBytesReader(w, req.Body, maxForm)
	if lang := req.PostFormValue("language"); x.texts[lang] != nil {
		http.SetCookie(w, &http.Cookie{
			Name: languageCookie, Value: lang, Path: "/", MaxAge: 365 * 24 * 60 * 60, HttpOnly: true, Secure: x.Secure, SameSite: http.SameSiteLaxMode,
		})
	}
	to := req.PostFormValue("to")
	if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n") {
		to = "/"
	}
	http.Redirect(w, req, to, http.StatusSeeOther)
}
