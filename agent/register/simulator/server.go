package simulator

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// bodyLimit is the largest request that is read. The page states none.
const bodyLimit = 1 << 20

// request is one protocol request, read whole.
type request struct {
	method      string
	path        string
	contentType string
	body        []byte
	tooLong     bool
}

// reply is what goes on the wire.
type reply struct {
	status int
	allow  string // the Allow header of a 405
	body   []byte
}

// dialect is a register's protocol over the fiscal core. To add another
// register, write its dialect and name it in makers. One request is handled at a
// time: route, busy, refused and edition run outside the device's lock and change
// nothing; answer and restarted run under it.
type dialect interface {
	// route is the operation that a request asks for, with a leading slash: what
	// faults and the counts of requests go by. It must take any request.
	route(r request) string
	// answer carries out one request.
	answer(v *visit, r request) reply
	// restarted says that the device lost its memory: sessions end.
	restarted()
	// busy is how this protocol says that nothing was done and to come back later.
	busy() reply
	// refused is this protocol's error with the given code.
	refused(code int) reply
	// edition names the variant that is spoken.
	edition() string
}

const answerType = "application/json; charset=utf-8"

// serve is the protocol side of the listener: one request at a time, like a real
// device, with whatever is armed to go wrong.
func (s *Simulator) serve(w http.ResponseWriter, hr *http.Request) {
	boots := s.gate.bootCount()
	r := request{method: hr.Method, path: hr.URL.Path, contentType: hr.Header.Get("Content-Type")}
	body, err := io.ReadAll(http.MaxBytesReader(w, hr.Body, bodyLimit))
	if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
		r.tooLong = true
	} else if err != nil {
		panic(http.ErrAbortHandler) // half a request is no request
	}
	r.body = body

	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-s.done:
		panic(http.ErrAbortHandler)
	}
	// A request that was queued when the device went down is forgotten.
	forgotten := func() bool { return s.stopped() || s.gate.bootCount() != boots }
	if forgotten() {
		panic(http.ErrAbortHandler)
	}

	route := s.dialect.route(r)
	s.dev.mu.Lock()
	p := s.dev.faults.next(route)
	s.dev.requests[route]++
	s.dev.mu.Unlock()

	switch f := p.wire; f.Name {
	case DropBefore:
		panic(http.ErrAbortHandler)
	case Reboot, Unreachable, RefuseConnection:
		s.goDown(f)()
		panic(http.ErrAbortHandler)
	case BusyFault:
		send(w, s.dialect.busy())
		return
	case Refuse:
		send(w, s.dialect.refused(f.Code))
		return
	case Slow:
		s.sleep(f.wait())
		if forgotten() {
			panic(http.ErrAbortHandler)
		}
	}

	s.dev.mu.Lock()
	v := s.dev.visit(route, p)
	out := s.dialect.answer(v, r)
	s.dev.mu.Unlock()
	if v.made {
		s.sleep(s.cfg.Delay)
	}

	switch f := p.wire; f.Name {
	case DropAfter:
		panic(http.ErrAbortHandler)
	case RebootAfter:
		s.goDown(f)()
		panic(http.ErrAbortHandler)
	case Half:
		half(w, out)
	case SlowAfter:
		s.sleep(f.wait())
	case HTTP500:
		out.status = http.StatusInternalServerError
	case HTTP500Empty:
		out = reply{status: http.StatusInternalServerError}
	case Garbage:
		out = reply{status: http.StatusOK, body: []byte("<html><body>\x00\xff kassa {\"status\":\"succ")}
	}
	send(w, out)
}

// goDown starts an outage. What a rebooting device had accepted and not made is
// lost with its memory; what it made is in its ledger.
func (s *Simulator) goDown(f Fault) (cut func()) {
	if f.Name == Reboot || f.Name == RebootAfter {
		s.dev.mu.Lock()
		s.dev.waiting = nil
		s.dialect.restarted()
		s.dev.mu.Unlock()
	}
	s.log.Info("outage", "fault", f.Name, "for", f.outage())
	return s.gate.outage(f)
}

func send(w http.ResponseWriter, r reply) {
	if r.allow != "" {
		w.Header().Set("Allow", r.allow)
	}
	if len(r.body) > 0 {
		w.Header().Set("Content-Type", answerType)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(r.body)))
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body) // a client that has gone changes nothing
	_ = http.NewResponseController(w).Flush()
}

// half sends the head, half the body, and hangs up.
func half(w http.ResponseWriter, r reply) {
	w.Header().Set("Content-Type", answerType)
	w.Header().Set("Content-Length", strconv.Itoa(len(r.body)))
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body[:len(r.body)/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// sleep waits, or returns at once when the simulator is closed.
func (s *Simulator) sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.done:
	}
}

func (s *Simulator) stopped() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// ServeHTTP splits the listener: /sim/ is the control API, all else the protocol.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		panic(http.ErrAbortHandler)
	}
	defer s.handlers.Done()
	if strings.HasPrefix(r.URL.Path, "/sim/") {
		s.control.ServeHTTP(w, r)
		return
	}
	s.serve(w, r)
}

// enter counts a handler in, unless the simulator is closing.
func (s *Simulator) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped() {
		return false
	}
	s.handlers.Add(1)
	return true
}
