package till

import (
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"ekassa/agent/texts"
)

// maxBody is the most bytes of a request's body.
const maxBody = 1 << 20

// Time limits of one connection. A wait may be longer than any of them: they
// are set anew before each read and write.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 15 * time.Second
	writeTimeout  = 30 * time.Second
)

// hostNames are the names that a Host header may hold, besides IP addresses.
func hostNames(more []string) map[string]bool {
	names := map[string]bool{"localhost": true, "ekassa.local": true}
	if own, err := os.Hostname(); err == nil && own != "" {
		own = strings.ToLower(own)
		names[own], names[strings.TrimSuffix(own, ".local")+".local"] = true, true
	}
	for _, h := range more {
		names[strings.ToLower(strings.TrimSuffix(h, "."))] = true
	}
	return names
}

// allowsHost says whether a Host header names us. A page that had its own name
// resolved to our address (DNS rebinding) is told apart by just that name.
func (a *api) allowsHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return a.hosts[host] || a.Named != nil && host != "" && host == a.Named()
}

// guard refuses what no route should have to look at.
func (a *api) guard(next http.Handler) http.Handler {
	var origin http.CrossOriginProtection
	origin.SetDenyHandler(a.public(func(http.ResponseWriter, *request) error {
		return &problem{code: problemOrigin}
	}))
	next = origin.Handler(next)
	refuse := func(code problemCode) http.Handler {
		return a.public(func(http.ResponseWriter, *request) error { return &problem{code: code} })
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		switch {
		case !a.allowsHost(r.Host):
			refuse(problemHost).ServeHTTP(w, r)
		case r.URL.Path != path.Clean(r.URL.Path): // the mux would answer with a redirect
			refuse(problemNoPath).ServeHTTP(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// public serves without a token.
func (a *api) public(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.serve(w, a.request(r), h) })
}

// local serves without a token, to this machine alone unless the settings open it.
func (a *api) local(h handler) http.Handler {
	return a.public(func(w http.ResponseWriter, r *request) error {
		if !a.MetricsOnLAN && !Local(r.Request) {
			return &problem{code: problemLocalOnly}
		}
		return h(w, r)
	})
}

// Local says whether a request came from this machine, and not through a proxy on
// it.
func Local(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && from.Addr().Unmap().IsLoopback() &&
		r.Header.Get("Forwarded") == "" && r.Header.Get("X-Forwarded-For") == ""
}

// till serves a till, or a person at one: who holds a token or a session, asks
// for no more than is good for all, and sends JSON. may says which people; what
// is left out is everybody who is signed in.
func (a *api) till(h handler, may ...rights) http.Handler {
	return a.public(func(w http.ResponseWriter, r *request) error {
		if err := a.admit(w, r, append(may, everybody)[0]); err != nil {
			return err
		}
		who := r.terminal
		if r.person != "" {
			who += " " + r.person // people have an allowance of their own
		}
		if wait := a.rates.take(who, time.Now()); wait > 0 {
			seconds := strconv.Itoa(int((wait + time.Second - 1) / time.Second))
			return &problem{code: problemRate, retry: wait, args: texts.Args{"detail": seconds}}
		}
		safe := r.Method == http.MethodGet || r.Method == http.MethodHead
		if !safe && (!isJSON(r.Request) || r.person != "" && r.Header.Get("Content-Type") == "") {
			return &problem{code: problemMediaType, field: "Content-Type"}
		}
		if !safe && r.person != "" {
			return a.acted(w, r, h)
		}
		return h(w, r)
	})
}

// admit finds out who asks. A token counts before a cookie.
func (a *api) admit(w http.ResponseWriter, r *request, may rights) error {
	header := r.Header.Get("Authorization")
	if _, err := r.Cookie(cookieName); err == nil && header == "" {
		return a.enter(r, may)
	}
	scheme, token, _ := strings.Cut(header, " ")
	terminal, ok := "", false
	if strings.EqualFold(scheme, "Bearer") {
		terminal, ok = a.Tokens.Terminal(strings.TrimSpace(token))
	}
	if !ok {
		challenge := `Bearer realm="ekassa"`
		if token != "" {
			challenge += `, error="invalid_token"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
		return &problem{code: problemToken, field: "Authorization"}
	}
	r.terminal = terminal
	return nil
}

// isJSON says whether the body is JSON in UTF-8 by its headers. No body at all
// will do: who sends one from a page of another site always names a type.
func isJSON(r *http.Request) bool {
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return false
	}
	value := r.Header.Get("Content-Type")
	if value == "" {
		return r.ContentLength == 0
	}
	mediaType, params, err := mime.ParseMediaType(value)
	charset, given := params["charset"]
	return err == nil && mediaType == "application/json" && (!given || strings.EqualFold(charset, "utf-8"))
}

func (a *api) request(r *http.Request) *request {
	s := a.Settings()
	return &request{
		Request: r, settings: s, zone: a.location(s),
		lang: texts.Match(r.Header.Get("Accept-Language"), s.Language),
	}
}

// serve calls a handler, and answers its error.
func (a *api) serve(w http.ResponseWriter, r *request, h handler) {
	err := h(w, r)
	noteTerminal(w, r.terminal)
	if err != nil {
		a.fail(w, r, err)
	}
}

// nowhere answers what has no route: 405 where another method has one.
func (a *api) nowhere(w http.ResponseWriter, r *request) error {
	var allow []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := a.mux.Handler(other); pattern != "/" && pattern != "" {
			allow = append(allow, method)
		}
	}
	if len(allow) == 0 {
		return &problem{code: problemNoPath}
	}
	w.Header().Set("Allow", strings.Join(allow, ", "))
	return &problem{code: problemMethod, args: texts.Args{"detail": strings.Join(allow, ", ")}}
}

// body reads the whole body.
func body(w http.ResponseWriter, r *request) ([]byte, error) {
	control := http.NewResponseController(w)
	// Not every ResponseWriter has a connection below it; then there is no
	// deadline to set, and none is needed.
	_ = control.SetReadDeadline(time.Now().Add(readTimeout))
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, &problem{code: problemTooLarge, args: texts.Args{"detail": strconv.Itoa(maxBody)}}
	case err != nil:
		return nil, &problem{code: problemUnreadable, err: err}
	}
	_ = control.SetReadDeadline(time.Time{})
	return data, nil
}
