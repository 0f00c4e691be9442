package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// controlAPI is everything under /sim/: not part of any register's protocol, never
// signed, and described in README.md.
func (s *Simulator) controlAPI() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sim/state", func(w http.ResponseWriter, _ *http.Request) { tell(w, s.State()) })
	mux.HandleFunc("GET /sim/ledger", s.controlLedger)
	mux.HandleFunc("GET /sim/shifts", func(w http.ResponseWriter, _ *http.Request) { tell(w, s.Shifts()) })
	mux.HandleFunc("GET /sim/paper", func(w http.ResponseWriter, _ *http.Request) { paper(w, s.Paper(), true) })
	mux.HandleFunc("GET /sim/paper/{id}", func(w http.ResponseWriter, r *http.Request) {
		text, ok := s.dev.cheque(r.PathValue("id"))
		paper(w, text, ok)
	})
	mux.HandleFunc("POST /sim/faults", s.controlFaults)
	mux.HandleFunc("DELETE /sim/faults", func(w http.ResponseWriter, _ *http.Request) { s.Disarm(); tell(w, s.State()) })
	mux.HandleFunc("POST /sim/paper-in", func(w http.ResponseWriter, _ *http.Request) { s.LoadPaper(); tell(w, s.State()) })
	mux.HandleFunc("POST /sim/sale", s.controlSale)
	mux.HandleFunc("POST /sim/shift/open", s.controlOpen)
	mux.HandleFunc("POST /sim/shift/close", s.controlClose)
	mux.HandleFunc("POST /sim/clock", s.controlClock)
	mux.HandleFunc("POST /sim/serial", s.controlSerial)
	return mux
}

func (s *Simulator) controlLedger(w http.ResponseWriter, r *http.Request) {
	var shift int64
	if q := r.URL.Query().Get("shift"); q != "" {
		n, err := strconv.ParseInt(q, 10, 64)
		if err != nil || n < 1 {
			complain(w, http.StatusBadRequest, fmt.Errorf("list the ledger: shift is %q: give a number from 1", q))
			return
		}
		shift = n
	}
	tell(w, s.dev.ledger(shift))
}

func (s *Simulator) controlFaults(w http.ResponseWriter, r *http.Request) {
	var list []Fault
	if !hear(w, r, &list) {
		return
	}
	for _, f := range list {
		if err := f.Validate(); err != nil {
			complain(w, http.StatusBadRequest, err)
			return
		}
	}
	cut := s.arm(list)
	tell(w, s.State())
	cut() // this connection too
}

func (s *Simulator) controlSale(w http.ResponseWriter, r *http.Request) {
	in := struct {
		Amount int64  `json:"amount"`
		Name   string `json:"name"`
	}{Amount: 100}
	if !hear(w, r, &in) {
		return
	}
	d, err := s.RingUp(in.Amount, in.Name)
	done(w, d, err)
}

func (s *Simulator) controlOpen(w http.ResponseWriter, r *http.Request) {
	in := struct {
		Cashier string `json:"cashier"`
	}{Cashier: "Kassir"}
	if !hear(w, r, &in) {
		return
	}
	err := s.OpenShift(in.Cashier)
	done(w, s.State(), err)
}

func (s *Simulator) controlClose(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Printing int `json:"printing_ms"`
	}
	if !hear(w, r, &in) {
		return
	}
	z, err := s.CloseShift(time.Duration(in.Printing) * time.Millisecond)
	done(w, z, err)
}

func (s *Simulator) controlClock(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Offset string `json:"offset"`
	}
	if !hear(w, r, &in) {
		return
	}
	offset, err := time.ParseDuration(in.Offset)
	if err != nil {
		complain(w, http.StatusBadRequest, fmt.Errorf("set the clock: offset is %q: give a duration such as 25h or -90s", in.Offset))
		return
	}
	s.SetClock(offset)
	tell(w, s.State())
}

func (s *Simulator) controlSerial(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Serial string `json:"serial"`
	}
	if !hear(w, r, &in) {
		return
	}
	if in.Serial == "" {
		complain(w, http.StatusBadRequest, errors.New("put another device here: the serial is empty: give one"))
		return
	}
	err := s.SetSerial(in.Serial)
	done(w, s.State(), err)
}

// hear reads a JSON body; an empty one leaves the defaults.
func hear(w http.ResponseWriter, r *http.Request, into any) bool {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyLimit))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		complain(w, http.StatusBadRequest, fmt.Errorf("read the JSON body of %s: %w: see the README of the simulator", r.URL.Path, err))
		return false
	}
	return true
}

func tell(w http.ResponseWriter, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		complain(w, http.StatusInternalServerError, err)
		return
	}
	send(w, reply{status: http.StatusOK, body: append(body, '\n')})
}

// done answers something done by hand: what came of it, or 409 with the reason.
func done(w http.ResponseWriter, v any, err error) {
	if err != nil {
		complain(w, http.StatusConflict, err)
		return
	}
	tell(w, v)
}

func complain(w http.ResponseWriter, status int, err error) {
	said := map[string]string{"error": err.Error()}
	if no := (*Refusal)(nil); errors.As(err, &no) {
		said["reason"] = string(no.Reason)
	}
	body, _ := json.Marshal(said)
	send(w, reply{status: status, body: append(body, '\n')})
}

func paper(w http.ResponseWriter, text string, ok bool) {
	if !ok {
		complain(w, http.StatusNotFound, errors.New("show the paper: no document has this fiscal id: see /sim/ledger"))
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, text)
}
