// Package cloud is the one page on which the fleet's program is wired: agents
// tell what they do through the broker, the link puts it into the store, and
// people look at it and change settings through control, by API and console.
// DESIGN.md says what it promises and why.
package cloud

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"ekassa/cloud/api"
	"ekassa/cloud/authority"
	"ekassa/cloud/broker"
	"ekassa/cloud/config"
	"ekassa/cloud/console"
	"ekassa/cloud/control"
	"ekassa/cloud/fleet"
	"ekassa/cloud/link"
	"ekassa/cloud/release"
	"ekassa/cloud/store"
	"ekassa/cloud/wire"
)

// Options are what a caller of Run may choose beyond the configuration. The
// zero value is what runs for an operator.
type Options struct {
	Version string
	Log     *slog.Logger
	Pace    link.Pace              // zero: link.DefaultPace
	Ready   func(web, mqtt string) // called when people and agents are served, with where; mqtt is empty with a broker of its own
}

// Run serves until ctx ends, and then finishes what is on its way. Any error
// means that the cloud cannot do its work.
func Run(ctx context.Context, cfg config.Config, o Options) (err error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	for _, w := range cfg.Warnings {
		o.Log.Warn(w)
	}
	listener, err := listen(cfg)
	if err != nil {
		return err
	}
	defer listener.Close()
	s, err := store.Open(ctx, cfg.Database, cfg.DataDir, time.Now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	own, err := authority.Open(ctx, s, time.Now, o.Log)
	if err != nil {
		return err
	}
	meeting, err := meet(cfg, own, o.Log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, meeting.close()) }()
	l := link.New(link.Config{
		Store: s, Dial: meeting.dial, Shared: cfg.Broker.Shared, Within: cfg.Broker.Embedded != "", Drop: meeting.drop,
		Now: time.Now, Pace: o.Pace, Log: o.Log,
	})
	desk := control.New(s, l, time.Now)
	releases := release.In(cfg.DataDir)
	desk.Releases = releases
	door := &authority.Door{Authority: own, Broker: meeting.public, Enrolled: func(_ context.Context, agent string) { l.Revoked(agent) }}

	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return l.Run(ctx) })
	parts.Go(func() error { return lead(ctx, s, leading(cfg, s, own, l, desk, o.Log), o.Log) })
	mux := http.NewServeMux()
	door.Register(mux)
	releases.Register(mux)
	mux.Handle("/api/v1/", api.New(api.Config{Control: desk, Secure: cfg.TLS.Cert != "", Log: o.Log}))
	mux.Handle("/", console.New(console.Config{Control: desk, Secure: cfg.TLS.Cert != "", Log: o.Log}))
	watched(mux, s, l, meeting)
	parts.Go(func() error { return serve(ctx, listener, mux, o.Log) })
	o.Log.Info("ready", "listen", listener.Addr().String(), "broker", meeting.public, "version", o.Version)
	if o.Ready != nil {
		o.Ready(listener.Addr().String(), meeting.addr)
	}
	return parts.Wait()
}

// lead does what only one process may do, whenever this is the one.
func lead(ctx context.Context, s store.Store, do func(context.Context) error, log *slog.Logger) error {
	for ctx.Err() == nil {
		err := s.Lead(ctx, func(ctx context.Context) error {
			log.Info("this process leads")
			defer log.Info("this process leads no more")
			return do(ctx)
		})
		if err != nil && ctx.Err() == nil {
			log.Error("leading has failed and is begun anew", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Second):
			}
		}
	}
	return nil
}

// leading is all of that.
func leading(cfg config.Config, s store.Store, own *authority.Authority, l *link.Link, desk *control.Control, log *slog.Logger) func(context.Context) error {
	return func(ctx context.Context) error {
		report := func(err error) { log.Warn("what is done for all has failed and is tried again", "error", err) }
		parts, ctx := errgroup.WithContext(ctx)
		for _, do := range []func(){
			func() { l.Lead(ctx) },
			func() { desk.Roll(ctx, time.Second, report) },
			func() { desk.Deliver(ctx, 2*time.Second, false, report) },
			func() {
				every(ctx, 24*time.Hour, report, func() error {
					deleted, err := s.Retain(ctx, cfg.Keep, time.Now())
					if err == nil {
						log.Info("what is older than it must be kept was deleted", "deleted", deleted)
					}
					return err
				})
			},
			func() {
				list := revocations{own: own, path: cfg.DataDir}
				every(ctx, time.Minute, report, func() error { return list.write(ctx) })
			},
		} {
			parts.Go(func() error { do(); return nil })
		}
		return parts.Wait()
	}
}

// every does something at once, and then again and again until ctx ends.
func every(ctx context.Context, d time.Duration, report func(error), do func() error) {
	for {
		if err := do(); err != nil && ctx.Err() == nil {
			report(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(d):
		}
	}
}

// place is where agents and cloud meet.
type place struct {
	public string // what agents are told
	addr   string // of a broker within
	dial   link.Dial
	drop   func(ctx context.Context, agent string) error
	close  func() error
	agents func() int // that are connected; nil: the broker alone knows
}

func meet(cfg config.Config, own *authority.Authority, log *slog.Logger) (*place, error) {
	if cfg.Broker.Embedded == "" {
		return outside(cfg.Broker, own)
	}
	c := broker.Config{Listen: cfg.Broker.Embedded, Gate: own, Log: log}
	public := cfg.Broker.Public
	if !cfg.Broker.Plain {
		host, err := hostOf(public)
		if err != nil {
			return nil, err
		}
		c.TLS = own.Listen(host)
	}
	b, err := broker.Open(c)
	if err != nil {
		return nil, err
	}
	return &place{
		public: public, addr: b.Addr(), close: b.Close, agents: b.Connected,
		dial: func(_ context.Context, filters []string, deliver func(string, []byte)) (link.Conn, error) {
			return b.Attach(filters, deliver)
		},
		drop: func(_ context.Context, agent string) error { b.Drop(agent); return nil },
	}, nil
}

// AddUser adds a user from the machine itself, as whoever may read the
// configuration: the first one cannot be added otherwise.
func AddUser(ctx context.Context, cfg config.Config, name string, role fleet.Role) (password, token string, err error) {
	err = with(ctx, cfg, func(s store.Store) error {
		desk := control.New(s, nobody{}, time.Now)
		password, token, err = desk.AddUser(ctx, control.Person{Name: "ekassa-cloud user add", Role: fleet.Admin}, name, role)
		return err
	})
	return password, token, err
}

// nobody is to be told of what a command changes.
type nobody struct{}

func (nobody) Changed(string) {}
func (nobody) Revoked(string) {}

// AddRelease takes a signed version of the agent's program over, to be ordered.
func AddRelease(cfg config.Config, from string) (wire.Release, error) {
	return release.In(cfg.DataDir).Add(from)
}

// Backup writes a copy of the database, as of one moment, to a new file.
func Backup(ctx context.Context, cfg config.Config, file string) error {
	return with(ctx, cfg, func(s store.Store) error { return s.Backup(ctx, file) })
}

func with(ctx context.Context, cfg config.Config, do func(store.Store) error) error {
	s, err := store.Open(ctx, cfg.Database, cfg.DataDir, time.Now)
	if err != nil {
		return err
	}
	return errors.Join(do(s), s.Close())
}

func listen(cfg config.Config) (net.Listener, error) {
	l, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for people on %s: %w; stop the other program or choose another listen", cfg.Listen, errors.Unwrap(err))
	}
	if cfg.TLS.Cert == "" {
		return l, nil
	}
	secure, err := secured(l, cfg.TLS)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return secure, nil
}
