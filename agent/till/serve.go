package till

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// Limits of the server as a whole. A shop has a handful of tills.
const (
	maxConnections = 256
	maxHeader      = 16 << 10
	idleTimeout    = 2 * time.Minute
	shutdownGrace  = 10 * time.Second
)

// Serve answers on the listener until the context ends; it closes the listener.
// Waits and streams then end at once, everything else may finish. nil is a
// clean end; anything else is a failure.
func Serve(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	base, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelInfo),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(netutil.LimitListener(l, maxConnections)) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve the tills on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	end()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	err := server.Shutdown(grace)
	if err != nil {
		err = errors.Join(fmt.Errorf("end the tills' requests: %w", err), server.Close())
	}
	<-failed // http.ErrServerClosed
	return err
}
