package cloud

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"

	"ekassa/cloud/authority"
	"ekassa/cloud/config"
	"ekassa/cloud/link"
	"ekassa/cloud/store"
)

const (
	maxConnections = 2000
	shutdownGrace  = 5 * time.Second
)

// serve answers until ctx ends, and then lets requests end.
func serve(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	base, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return base },
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelInfo),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(netutil.LimitListener(l, maxConnections)) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve people on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	err := server.Shutdown(grace)
	end()
	if err != nil {
		err = server.Close() // whoever has not ended by now
	}
	<-failed // http.ErrServerClosed
	return err
}

// secured speaks TLS with a certificate that is read anew when it has changed.
func secured(l net.Listener, files config.Pair) (net.Listener, error) {
	var mu sync.Mutex // guards what follows
	var pair *tls.Certificate
	var of time.Time
	load := func() (*tls.Certificate, error) {
		mu.Lock()
		defer mu.Unlock()
		info, err := os.Stat(files.Cert)
		if err == nil && pair != nil && info.ModTime().Equal(of) {
			return pair, nil
		}
		fresh, err2 := tls.LoadX509KeyPair(files.Cert, files.Key)
		if err = errors.Join(err, err2); err != nil {
			if pair != nil { // it is being replaced just now
				return pair, nil
			}
			return nil, fmt.Errorf("read tls.cert and tls.key: %w", err)
		}
		pair, of = &fresh, info.ModTime()
		return pair, nil
	}
	if _, err := load(); err != nil {
		return nil, err
	}
	return tls.NewListener(l, &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return load() },
	}), nil
}

// watched adds what machines look at.
func watched(mux *http.ServeMux, s store.Store, l *link.Link, p *place) {
	say := func(w http.ResponseWriter, status int, text string) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		fmt.Fprintln(w, text)
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
		defer cancel()
		connected, _ := l.State()
		switch {
		case s.Ping(ctx) != nil:
			say(w, http.StatusServiceUnavailable, "the database does not answer")
		case !connected:
			say(w, http.StatusServiceUnavailable, "there is no connection to the broker")
		default:
			say(w, http.StatusOK, "ok")
		}
	})
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	gauge := func(name, help string, value func() float64) {
		metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "ekassa_cloud_" + name, Help: help}, value))
	}
	count := func(name, help string, value func() int64) {
		metrics.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "ekassa_cloud_" + name, Help: help}, func() float64 { return float64(value()) }))
	}
	is := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	gauge("connected", "1 while there is a connection to the broker.", func() float64 { c, _ := l.State(); return is(c) })
	gauge("leads", "1 while this process leads.", func() float64 { _, leads := l.State(); return is(leads) })
	if p.agents != nil {
		gauge("agents_connected", "Agents that are connected to the broker within.", func() float64 { return float64(p.agents()) })
	}
	count("records_total", "Records that were stored, or were stored before.", l.Counts.Records.Load)
	count("batches_total", "Commits of records.", l.Counts.Batches.Load)
	count("records_refused_total", "Records that were not stored.", l.Counts.Refused.Load)
	count("messages_unread_total", "Messages that could not be read.", l.Counts.Unread.Load)
	count("settings_sent_total", "Settings that were sent, and sent again.", l.Counts.Settings.Load)
	count("commands_sent_total", "Commands that were sent, and sent again.", l.Counts.Commands.Load)
	handler := promhttp.HandlerFor(metrics, promhttp.HandlerOpts{})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		from, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !from.Addr().Unmap().IsLoopback() || r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "" {
			say(w, http.StatusForbidden, "metrics are for this machine")
			return
		}
		handler.ServeHTTP(w, r)
	})
}

func openAuthority(ctx context.Context, cfg config.Config) (*authority.Authority, func() error, error) {
	s, err := store.Open(ctx, cfg.Database, cfg.DataDir, time.Now)
	if err != nil {
		return nil, nil, err
	}
	own, err := authority.Open(ctx, s, time.Now, slog.Default())
	if err != nil {
		return nil, nil, errors.Join(err, s.Close())
	}
	return own, s.Close, nil
}
