package till

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ekassa/agent/texts"
)

// heartbeat is how often a quiet stream says that it is alive.
const heartbeat = 15 * time.Second

// batch is how many changes are read from the journal at once.
const batch = 100

type helloBody struct {
	Terminal string `json:"terminal"`
	Last     int64  `json:"last"`  // the newest record
	Reset    bool   `json:"reset"` // the till's Last-Event-ID is another journal's: read the receipts anew
}

// events streams every change of the terminal's receipts. What is sent comes
// out of the journal, so that a till that was away misses nothing.
func (a *api) events(w http.ResponseWriter, r *request) error {
	changed, stop := a.Journal.Watch(r.terminal, "") // before reading how far it is
	defer stop()
	last, err := a.Journal.LastChange()
	if err != nil {
		return err
	}
	epoch, after, err := lastEventID(r, a.Journal.Epoch(), last)
	if err != nil {
		return err
	}
	hello := helloBody{Terminal: r.terminal, Last: last, Reset: epoch != a.Journal.Epoch() || after > last}
	if hello.Reset {
		after = last
	}
	a.meters.streams.Inc()
	defer a.meters.streams.Dec()

	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Content-Language", r.lang)
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	s := stream{w: w, control: http.NewResponseController(w), epoch: a.Journal.Epoch()}
	err = s.event(after, "hello", hello)
	if err == nil {
		err = a.follow(r, &s, after, changed)
	}
	if err != nil && r.Context().Err() == nil {
		a.Log.Info("till's stream of events ended", "terminal", r.terminal, "error", err)
	}
	return nil // the answer has begun: an error can only end it
}

// follow sends what changed after a record, for as long as the till listens.
func (a *api) follow(r *request, s *stream, after int64, changed <-chan struct{}) error {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		for more := true; more && r.Context().Err() == nil; {
			list, err := a.Journal.Changes(r.terminal, after, batch)
			if err != nil {
				return fmt.Errorf("read changes: %w", err)
			}
			for _, c := range list {
				if err := s.event(c.Record, "receipt", r.receipt(c.Receipt)); err != nil {
					return err
				}
				after = c.Record
			}
			more = len(list) == batch
		}
		select {
		case <-r.Context().Done():
			return nil
		case _, open := <-changed:
			if !open {
				return nil
			}
		case <-beat.C:
			if err := s.write([]byte(": still here\n\n")); err != nil {
				return err
			}
		}
	}
}

// lastEventID is the record after which the till wants to go on, and the journal's
// epoch that it is of; the newest one where the till does not say. 0 is all. A number
// alone is of an agent before ids had an epoch, and of no journal that is known.
func lastEventID(r *request, epoch, last int64) (of, after int64, _ error) {
	const header = "Last-Event-ID"
	id := r.Header.Get(header)
	switch id {
	case "":
		return epoch, last, nil
	case "0":
		return epoch, 0, nil
	}
	was, record, whole := strings.Cut(id, "-")
	if !whole {
		was, record = "0", id
	}
	before, errBefore := strconv.ParseUint(was, 10, 63)
	number, err := strconv.ParseUint(record, 10, 63)
	if err != nil || errBefore != nil {
		return 0, 0, &problem{code: problemHeader, field: header, args: texts.Args{"field": header, "detail": "0, 1764413999012-12, …"}}
	}
	return int64(before), int64(number), nil
}

// stream writes server-sent events.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	epoch   int64 // the journal's: its records are counted anew in another
}

func (s *stream) event(record int64, name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "id: %d-%d\nevent: %s\ndata: %s\n\n", s.epoch, record, name, data)
	return s.write(b.Bytes())
}

func (s *stream) write(b []byte) error {
	extend(s.w)
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	return s.control.Flush()
}
