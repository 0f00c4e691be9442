package slip

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rsc.io/qr"

	"ekassa/agent/receipt"
	"ekassa/agent/texts"
)

// Page is what a guest's phone sees at /r/TOKEN: one receipt, and nothing that
// leads to another. No script, nothing loaded from elsewhere, no sign-in.
type Page struct {
	Links Links
	ByKey func(key int64) (receipt.Stored, error)
	About func(receipt.Stored) Slip
	Log   *slog.Logger

	calls calls
}

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

var pagePolicy = func() string {
	sum := sha256.Sum256([]byte(pageCSS))
	return "default-src 'none'; img-src data:; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

// In seconds: how often the page looks again while something may come, and when it
// does so where it could not be shown.
const (
	refresh = 5
	again   = 10
)

// missing is a page without a receipt.
type missing struct{ state, said string }

var (
	nowhere = missing{"gone", "guest.nowhere"}
	later   = missing{"wait", "guest.later"}
)

// seen is what the template shows.
type seen struct {
	Lang      string
	Languages []string
	Style     template.CSS
	Refresh   int // 0: never
	Say       func(string) string

	Receipt *receipt.Stored // nil: the link leads nowhere, or nothing can be said of it now
	Slip    Slip
	Time    string
	State   string // good, wait or gone
	Said    string // the state in one sentence
	QR      template.URL
}

// ServeHTTP implements http.Handler for GET /r/{token}.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer") // the link is the guest's secret
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Cache-Control", "no-store")
	key, known := p.key(r)
	if !p.calls.take(caller(r, key, known), time.Now()) {
		p.again(w, r, http.StatusTooManyRequests)
		return
	}
	s, err := p.find(key, known)
	status := http.StatusOK
	switch {
	case errors.Is(err, receipt.ErrNotFound):
		status = http.StatusNotFound
	case err != nil:
		p.Log.Error("a guest's page cannot be shown", "error", err)
		p.again(w, r, http.StatusServiceUnavailable)
		return
	}
	p.write(w, r, status, s, nowhere)
}

// again says that nothing can be said now, and has the phone ask again: the guest
// is not the one to see to it.
func (p *Page) again(w http.ResponseWriter, r *http.Request, status int) {
	w.Header().Set("Retry-After", strconv.Itoa(again))
	w.Header().Set("Refresh", strconv.Itoa(again))
	p.write(w, r, status, nil, later)
}

func (p *Page) write(w http.ResponseWriter, r *http.Request, status int, s *receipt.Stored, otherwise missing) {
	data, err := p.render(r, s, otherwise)
	if err != nil {
		p.Log.Error("a guest's page cannot be shown", "error", err)
		http.Error(w, "500", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write(data)
}

// key reads the link; known is false for what is none of ours.
func (p *Page) key(r *http.Request) (key int64, known bool) {
	token, ok := strings.CutPrefix(r.URL.Path, "/r/")
	if !ok || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return 0, false
	}
	return p.Links.Key(token)
}

// find gives the receipt of the link; nil and receipt.ErrNotFound where it leads
// nowhere.
func (p *Page) find(key int64, known bool) (*receipt.Stored, error) {
	if !known {
		return nil, receipt.ErrNotFound
	}
	s, err := p.ByKey(key)
	if err != nil {
		return nil, err
	}
	if !forGuests(s.Kind) {
		return nil, receipt.ErrNotFound
	}
	return &s, nil
}

// render makes the page of a receipt, or the other one where there is none.
func (p *Page) render(r *http.Request, s *receipt.Stored, otherwise missing) ([]byte, error) {
	about := receipt.Stored{}
	if s != nil {
		about = *s
	}
	v := seen{Languages: texts.Languages, Style: template.CSS(pageCSS), Receipt: s, Slip: p.About(about), State: otherwise.state, Said: otherwise.said}
	v.Lang = texts.Match(r.Header.Get("Accept-Language"), v.Slip.Lang)
	if asked := r.URL.Query().Get("lang"); slices.Contains(texts.Languages, asked) {
		v.Lang = asked
	}
	v.Say = func(key string) string { return texts.Say(v.Lang, key, nil) }
	if s != nil {
		v.Slip.Of = *s
		v.Time = s.Time.In(v.Slip.Zone).Format("02.01.2006 15:04")
		switch {
		case s.State == receipt.Fiscal:
			v.State, v.Said = "good", "guest.fiscal"
		case s.State.Queued():
			v.State, v.Said, v.Refresh = "wait", "guest.waiting", refresh
		case s.State == receipt.Held, s.State == receipt.Refused:
			v.State, v.Said, v.Refresh = "wait", "guest.person", refresh
		case s.State == receipt.Withdrawn:
			v.State, v.Said = "gone", "guest.withdrawn"
		default:
			v.State, v.Said = "gone", "guest.non_fiscal"
		}
		if s.Document != nil && s.Document.URL != "" {
			code, err := qr.Encode(s.Document.URL, qr.M)
			if err != nil {
				return nil, err
			}
			v.QR = template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(code.PNG()))
		}
	}
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, v)
	return b.Bytes(), err
}

// Number is what the guest knows the receipt by.
func (v seen) Number() string { return v.Slip.number() }

// A link may be asked for this often, and in a burst this much: more than a page
// that refreshes itself, on the phones of a whole table.
const (
	callsPerSecond = 1
	callBurst      = 20
	callersMost    = 4096
)

// caller is whose bucket a call comes out of: the link's own, so that guests behind
// one proxy do not slow each other down; of what is no link of ours, the address's.
func caller(r *http.Request, key int64, known bool) string {
	if known {
		return "link " + strconv.FormatInt(key, 10)
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// calls keeps a bucket for each caller that asked lately.
type calls struct {
	mu  sync.Mutex
	all map[string]call
}

type call struct {
	used float64
	at   time.Time
}

func (c *calls) take(caller string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = map[string]call{}
	}
	b, known := c.all[caller]
	if !known && len(c.all) >= callersMost {
		for other, x := range c.all { // who has not asked for long begins anew anyway
			if now.Sub(x.at).Seconds()*callsPerSecond > x.used {
				delete(c.all, other)
			}
		}
		if len(c.all) >= callersMost {
			return false
		}
	}
	b.used = max(0, b.used-callsPerSecond*now.Sub(b.at).Seconds())
	b.at = now
	ok := b.used+1 <= callBurst
	if ok {
		b.used++
	}
	c.all[caller] = b
	return ok
}
