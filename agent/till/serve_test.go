package till_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pb33f/libopenapi"

	"ekassa/agent/receipt"
	"ekassa/agent/till"
	"ekassa/agent/till/tilltest"
)

func TestTheDocumentIsValid(t *testing.T) {
	if err := tilltest.ValidDocument(); err != nil {
		t.Error(err)
	}
}

func TestTheDocumentHasEveryRouteAndNoOther(t *testing.T) {
	d, err := libopenapi.NewDocument(till.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	model, err := d.BuildV3Model()
	if err != nil {
		t.Fatal(err)
	}
	var documented, served []string
	for path, item := range model.Model.Paths.PathItems.FromOldest() {
		for method := range item.GetOperations().FromOldest() {
			documented = append(documented, strings.ToUpper(method)+" "+path)
		}
	}
	for _, r := range till.Routes() {
		served = append(served, r.Method+" "+strings.TrimSuffix(r.Path, "{$}"))
	}
	slices.Sort(documented)
	slices.Sort(served)
	if !slices.Equal(documented, served) {
		t.Errorf("documented:\n %s\nserved:\n %s", strings.Join(documented, "\n "), strings.Join(served, "\n "))
	}
}

func TestTheDocumentIsServed(t *testing.T) {
	s := newShop(t)
	for _, path := range []string{"/openapi.yaml", "/v1/openapi.yaml"} {
		if a := s.as("").Get(path).Want(http.StatusOK); !strings.HasPrefix(string(a.Body), "openapi: 3.1") {
			t.Errorf("%s: %.40s", path, a.Body)
		}
	}
	if a := s.as("").Get("/").Want(http.StatusOK); a.Field("openapi") != "/openapi.yaml" {
		t.Errorf("pointer: %s", a.Body)
	}
}

// listen opens a stream of events in a goroutine of its own and gives a reader
// of it; the stream ends with the test.
func (s *shop) listen(t *testing.T, headers ...string) *bufio.Reader {
	t.Helper()
	r, w := io.Pipe()
	ctx, stop := context.WithCancel(t.Context())
	request := s.Request(http.MethodGet, "/v1/events", "", headers...).WithContext(ctx)
	request.Host, request.RemoteAddr, request.Body = "localhost", "127.0.0.1:5000", http.NoBody
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.handler.ServeHTTP(&pipeWriter{PipeWriter: w, header: http.Header{}}, request)
		_ = w.Close()
	}()
	t.Cleanup(func() {
		stop()
		_ = r.CloseWithError(io.EOF)
		<-done
	})
	return bufio.NewReader(r)
}

type pipeWriter struct {
	*io.PipeWriter
	header http.Header
}

func (w *pipeWriter) Header() http.Header { return w.header }
func (w *pipeWriter) WriteHeader(int)     {}
func (w *pipeWriter) Flush()              {}

func next(t *testing.T, r *bufio.Reader) tilltest.Event {
	t.Helper()
	e, err := tilltest.ReadEvent(r)
	if err != nil {
		t.Fatalf("read event: %v", err)
	}
	return e
}

func TestEventsTellEveryChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		s.Post("/v1/receipts", sale("a-0")).Want(http.StatusAccepted)
		r := s.listen(t)
		if e := next(t, r); e.Name != "hello" || e.ID != "7-1" || e.Data != `{"terminal":"till-1","last":1,"reset":false}` {
			t.Errorf("first event: %+v", e)
		}
		s.Post("/v1/receipts", sale("a-1")).Want(http.StatusAccepted)
		s.as("ek_two").Post("/v1/receipts", sale("b-1")).Want(http.StatusAccepted)
		s.journal.set("till-1", "a-1", makeFiscal)
		for _, want := range []string{`7-2 "state":"waiting"`, `7-4 "state":"fiscal"`} {
			id, state, _ := strings.Cut(want, " ")
			e := next(t, r)
			s.CheckReceipt(e)
			if e.Name != "receipt" || e.ID != id || !strings.Contains(e.Data, state) || !strings.Contains(e.Data, `"id":"a-1"`) {
				t.Errorf("event %+v, want %s", e, want)
			}
		}
		began := time.Now()
		if e := next(t, r); e.Comment == "" || time.Since(began) != 15*time.Second {
			t.Errorf("after %v: %+v, want a heartbeat after 15 s", time.Since(began), e)
		}
	})
}

func TestEventsGoOnWhereTheTillLeftOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		for n := range 250 { // more than one batch
			s.journal.after = func(x receipt.Stored) receipt.Stored { x.Receipt.ID = fmt.Sprintf("a-%d", n); return x }
			if _, _, err := s.journal.Accept("till-1", "", receipt.Receipt{ID: "x" + fmt.Sprint(n), Kind: receipt.Sale, Fiscal: true}, receipt.Fingerprint{}); err != nil {
				t.Fatal(err)
			}
		}
		r := s.listen(t, "Last-Event-ID: 7-3")
		if e := next(t, r); e.Name != "hello" || e.ID != "7-3" {
			t.Errorf("first event: %+v", e)
		}
		for n := 4; n <= 250; n++ {
			if e := next(t, r); e.ID != fmt.Sprintf("7-%d", n) {
				t.Fatalf("event %s, want %d", e.ID, n)
			}
		}
		all := s.listen(t, "Last-Event-ID: 0")
		if hello, first := next(t, all), next(t, all); hello.ID != "7-0" || !strings.Contains(hello.Data, `"reset":false`) || first.ID != "7-1" {
			t.Errorf("from the beginning: %+v, %+v", hello, first)
		}
		for _, id := range []string{"6-3", "6-250", "8-3", "7-251", "3"} {
			other := s.listen(t, "Last-Event-ID: "+id)
			if e := next(t, other); e.ID != "7-250" || !strings.Contains(e.Data, `"reset":true`) {
				t.Errorf("of another journal: %+v", e)
			}
		}
	})
}

func TestEventsRefuseAnIDThatIsNone(t *testing.T) {
	s := newShop(t)
	for _, id := range []string{"x", "-1", "1.5", "7-", "7--1", "-7-1", "+7-1", "7-3-1", "99999999999999999999", "7-99999999999999999999"} {
		if a := s.Get("/v1/events", "Last-Event-ID: "+id).Want(http.StatusBadRequest); a.Field("errors.0.field") != "Last-Event-ID" {
			t.Errorf("%s: %s", id, a.Body)
		}
	}
}

// serve runs the API on a port of its own and gives its address, and a way to
// stop it that gives Serve's error.
func (s *shop) serve(t *testing.T) (base string, stop func() error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- till.Serve(ctx, l, s.handler, slog.New(slog.DiscardHandler)) }()
	stopped := false
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return "http://" + l.Addr().String(), stop
}

func TestServeEndsWaitsAndStreamsAtOnce(t *testing.T) {
	s := newShop(t)
	base, stop := s.serve(t)
	c := tilltest.New(t, base, "ek_one")
	c.Doer = &http.Transport{}

	stream, err := c.Doer.RoundTrip(c.Request(http.MethodGet, "/v1/events", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Body.Close() }()
	events := bufio.NewReader(stream.Body)
	if e := next(t, events); e.Name != "hello" || stream.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("first event: %+v", e)
	}
	answers := make(chan *tilltest.Answer, 1)
	go func() {
		a, err := c.Try(c.Request(http.MethodPost, "/v1/receipts", sale("a-1"), "Prefer: wait=60"))
		if err != nil {
			t.Errorf("the waiting till heard nothing: %v", err)
		}
		answers <- a
	}()
	if e := next(t, events); e.Name != "receipt" {
		t.Fatalf("second event: %+v", e)
	}
	began := time.Now()
	if err := stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if a := <-answers; a == nil || a.Status != http.StatusAccepted {
		t.Errorf("the waiting till heard %+v, want 202", a)
	}
	if _, err := tilltest.ReadEvent(events); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v", err)
	}
}

func TestServeSaysWhenItCannot(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := till.Serve(t.Context(), l, newShop(t).handler, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("no error of a closed listener")
	}
}
