package authority

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"ekassa/cloud/fleet"
	"ekassa/cloud/wire"
)

// Door lets agents in over HTTP.
type Door struct {
	Authority *Authority
	Broker    string // what agents are told to connect to
	// Enrolled is called when an agent has a certificate by a code: whoever is
	// connected under its name has one that is good no more.
	Enrolled func(ctx context.Context, agent string)

	limit limit
}

// Register adds POST /api/v1/enroll and /api/v1/renew.
func (d *Door) Register(mux *http.ServeMux) {
	mux.HandleFunc("POST /api/v1/enroll", d.enroll)
	mux.HandleFunc("POST /api/v1/renew", d.renew)
}

func (d *Door) enroll(w http.ResponseWriter, r *http.Request) {
	var e wire.Enrolment
	if !d.read(w, r, &e) {
		return
	}
	agent, certificate, err := d.Authority.Enrol(r.Context(), e.Code, e.Request)
	if err != nil {
		d.refuse(w, r, err)
		return
	}
	d.limit.forgive(r)
	d.Authority.log.Info("an agent was enrolled", "agent", agent)
	if d.Enrolled != nil {
		d.Enrolled(context.WithoutCancel(r.Context()), agent)
	}
	d.answer(w, agent, certificate)
}

func (d *Door) renew(w http.ResponseWriter, r *http.Request) {
	var e wire.Renewal
	if !d.read(w, r, &e) {
		return
	}
	certificate, err := d.Authority.Renew(r.Context(), e)
	if err != nil {
		d.refuse(w, r, err)
		return
	}
	d.limit.forgive(r)
	d.Authority.log.Info("an agent's certificate was renewed", "agent", e.Agent)
	d.answer(w, e.Agent, certificate)
}

func (d *Door) answer(w http.ResponseWriter, agent string, certificate []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	// Nobody is left to tell if this fails.
	_ = json.NewEncoder(w).Encode(wire.Enrolled{
		Agent: agent, Broker: d.Broker, Certificate: string(certificate), Authority: string(d.Authority.PEM()),
	})
}

// read takes a request's body, unless its sender has guessed too often.
func (d *Door) read(w http.ResponseWriter, r *http.Request, v any) bool {
	if wait := d.limit.take(r, d.Authority.now()); wait > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(int(wait/time.Second)+1))
		problem(w, http.StatusTooManyRequests, "too_many", "too many attempts; wait, and try again with the right code")
		return false
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 32<<10)).Decode(v); err != nil {
		problem(w, http.StatusBadRequest, "syntax", "the body cannot be read as JSON of at most 32 KiB")
		return false
	}
	return true
}

// refuse words why there is no certificate.
func (d *Door) refuse(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, fleet.ErrNotFound) && r.URL.Path == "/api/v1/enroll":
		problem(w, http.StatusForbidden, "code", "there is no such code; have it read out again, or make another one")
	case errors.Is(err, fleet.ErrSpent):
		problem(w, http.StatusForbidden, "code_spent", "the code was used or has expired; make another one")
	case errors.Is(err, fleet.ErrNotFound):
		problem(w, http.StatusForbidden, "revoked", "the agent was taken back; enroll it with a new code")
	case errors.Is(err, ErrRefused):
		problem(w, http.StatusUnprocessableEntity, "refused", err.Error())
	default:
		d.Authority.log.Error("an agent was not given a certificate", "error", err)
		problem(w, http.StatusServiceUnavailable, "store", "the cloud's database does not answer; try again")
	}
}

// problem answers as RFC 9457 has it.
func problem(w http.ResponseWriter, status int, code, detail string) {
	type fault struct {
		Field   string `json:"field"`
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": detail, "errors": []fault{{Code: code, Message: detail}},
	})
}

// The most attempts without success in one window: of one address, and of all
// together. A code has 60 random bits, so the second bounds the memory, and is no
// way to keep others out.
const (
	window    = 15 * time.Minute
	mostOfOne = 20
	mostOfAll = 100_000
)

// limit counts attempts that had no success.
type limit struct {
	mu      sync.Mutex // guards the rest
	began   time.Time
	all     int
	senders map[netip.Prefix]int
}

// take counts an attempt, and says how long to wait where there were too many.
func (l *limit) take(r *http.Request, now time.Time) (wait time.Duration) {
	from := sender(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.senders == nil || now.Sub(l.began) >= window || now.Before(l.began) {
		l.began, l.all, l.senders = now, 0, map[netip.Prefix]int{}
	}
	if l.senders[from] >= mostOfOne || l.all >= mostOfAll {
		return window - now.Sub(l.began)
	}
	l.senders[from]++
	l.all++
	return 0
}

func (l *limit) forgive(r *http.Request) {
	from := sender(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch l.senders[from] {
	case 0: // another window has begun
		return
	case 1:
		delete(l.senders, from)
	default:
		l.senders[from]--
	}
	l.all--
}

// sender is an address, or an IPv6 network, of which one household has many.
func sender(r *http.Request) netip.Prefix {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	ip = ip.Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // the bits fit
	return p
}
