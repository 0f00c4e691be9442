package till

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// meters are what /metrics tells of the API itself.
type meters struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	streams  prometheus.Gauge
}

func newMeters(r *prometheus.Registry) meters {
	m := meters{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ekassa_till_requests_total", Help: "Requests of tills, by route and status.",
		}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ekassa_till_request_seconds", Help: "How long a till's request took, with the time that it asked to wait.",
			Buckets: []float64{.005, .02, .1, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"route"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ekassa_till_event_streams", Help: "Open streams of events.",
		}),
	}
	r.MustRegister(m.requests, m.seconds, m.streams)
	return m
}

// recorder remembers what was answered, for the log and the metrics.
type recorder struct {
	http.ResponseWriter
	status   int
	terminal string
	problem  *problem
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func note(w http.ResponseWriter, p *problem) {
	if r, ok := w.(*recorder); ok {
		r.problem = p
	}
}

func noteTerminal(w http.ResponseWriter, terminal string) {
	if r, ok := w.(*recorder); ok {
		r.terminal = terminal
	}
}

// outermost counts every request, logs those that were refused or failed, and
// answers a panic like any other failure.
func (a *api) outermost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec, began := &recorder{ResponseWriter: w}, time.Now()
		extend(rec)
		defer func() {
			if v := recover(); v != nil {
				a.panicked(rec, r, v)
			}
			_, route, _ := strings.Cut(r.Pattern, " ")
			if route == "" {
				route = "other"
			}
			a.meters.requests.WithLabelValues(route, strconv.Itoa(rec.status)).Inc()
			a.meters.seconds.WithLabelValues(route).Observe(time.Since(began).Seconds())
			a.log(rec, r, route)
		}()
		next.ServeHTTP(rec, r)
	})
}

func (a *api) panicked(w *recorder, r *http.Request, v any) {
	if v == http.ErrAbortHandler {
		panic(v)
	}
	a.Log.Error("till request panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	if w.status == 0 {
		a.fail(w, a.request(r), fmt.Errorf("panic: %v", v))
	}
}

// log writes a line for what was not done. It holds nothing of the request's
// content, and no header.
func (a *api) log(w *recorder, r *http.Request, route string) {
	if w.status < 400 {
		return
	}
	level := slog.LevelInfo
	if w.status >= 500 {
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{
		slog.String("method", method(r)), slog.String("route", route), slog.Int("status", w.status),
		slog.String("remote", r.RemoteAddr),
	}
	if w.terminal != "" {
		attrs = append(attrs, slog.String("terminal", w.terminal))
	}
	if w.problem != nil {
		attrs = append(attrs, slog.String("problem", string(w.problem.code)))
		if w.problem.err != nil {
			attrs = append(attrs, slog.String("error", w.problem.err.Error()))
		}
	}
	a.Log.LogAttrs(r.Context(), level, "till request refused", attrs...)
}

// method keeps a stranger's word out of the log.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "other"
}

// extend gives the next write its time. Not every ResponseWriter has a
// connection below it; then there is no deadline, and none is needed.
func extend(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
}

// reply answers with JSON.
func reply(w http.ResponseWriter, r *request, status int, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Language", r.lang)
	send(w, status, data)
	return nil
}

// send writes an answer. Where that fails the till is gone; it will ask again.
func send(w http.ResponseWriter, status int, data []byte) {
	extend(w)
	w.Header().Set("Content-Length", strconv.Itoa(len(data)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n'))
}
