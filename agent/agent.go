// Package agent is the one page on which the program on the Pi is wired: a
// receipt from a till goes into the journal, dispatch brings it to the register
// that discovery found, and the till hears what became of it. DESIGN.md says
// what it promises and why.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"ekassa/agent/config"
	"ekassa/agent/crash"
	"ekassa/agent/credential"
	"ekassa/agent/discovery"
	"ekassa/agent/dispatch"
	"ekassa/agent/journal"
	"ekassa/agent/machine"
	"ekassa/agent/manual"
	"ekassa/agent/page"
	"ekassa/agent/people"
	"ekassa/agent/register"
	"ekassa/agent/setup"
	"ekassa/agent/slip"
	"ekassa/agent/till"
	"ekassa/agent/token"
	"ekassa/agent/uplink"
	"ekassa/cloud/wire"
)

// Options are what a caller of Run may choose beyond the configuration. The
// zero value is what runs in a restaurant.
type Options struct {
	Version string
	Log     *slog.Logger
	Pace    dispatch.Pace     // zero: dispatch.DefaultPace
	Settle  time.Duration     // how long registers are given before silence counts; 0: the drivers' own
	Look    Look              // how long discovery listens and rests; zero: discovery's own times
	Ready   func(addr string) // called when tills are served

	// Sockets are those that whoever started the program has opened for it. They are
	// served as far as Listen is in reach, and stay open.
	Sockets []*os.File

	Slips slip.Pace   // zero: slip.DefaultPace
	Cloud uplink.Pace // zero: uplink.DefaultPace

	Watchdog Watchdog // fed while the program lives
	Programs Programs // how another version takes this one's place

	Reload <-chan wire.Settings // those of agent.yaml, whenever a person has changed them; nil: never
	Grace  time.Duration        // how long pushed settings have to prove themselves; 0: two minutes

	// Train is how the page of the first start shows a receipt's life without a
	// register; nil: not at all.
	Train func(context.Context, setup.Plan) ([]setup.Made, error)

	own     wire.Settings // of agent.yaml, as they were at the start
	started func(*shop)   // called once settings can be pushed; nil: not
}

// Look is how patient discovery is.
type Look struct {
	Window time.Duration // of listening to announcements
	Pause  time.Duration // between two of these
}

// Run serves until ctx ends, and then finishes what is on its way. ErrRestart
// means that it should be run again, and ErrUpdate that another version of the
// program should be. Any other error means that the agent cannot do its work; nothing was touched where it comes
// from the configuration, an occupied port or a journal in use.
func Run(ctx context.Context, cfg config.Config, o Options) error {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Pace == (dispatch.Pace{}) {
		o.Pace = dispatch.DefaultPace
	}
	if o.Grace == 0 {
		o.Grace = grace
	}
	logs := &logTail{}
	if cfg.Cloud != nil {
		o.Log = logs.beside(o.Log)
	}
	for _, w := range cfg.Warnings {
		o.Log.Warn(w.String())
	}
	o.own = cfg.Settings
	listener, others, err := openTills(cfg.Listen, o.Sockets, o.Log)
	if err != nil {
		return err
	}
	defer closeAll(append(others, listener))
	doors, err := openDoors(cfg.FrontDoors)
	if err != nil {
		return err
	}
	defer closeDoors(doors)
	j, err := journal.Open(cfg.DataDir, crash.Now)
	if err != nil {
		return err
	}
	defer j.Close()
	if found := j.Salvaged(); found != "" {
		o.Log.Error("the journal was damaged: what waited is held until a person has looked at the register's papers", "found", found)
	}
	if n, short, err := j.Room(); err != nil || short {
		o.Log.Warn("the disk is short of space: no new receipts are accepted, accepted ones are finished", "free_bytes", n, "error", err)
	}
	finder, err := finder(cfg, o.Look)
	if err != nil {
		return err
	}
	desk := dispatch.NewDesk(j, crash.Now, o.Log)
	receipts := &receipts{Journal: j, desk: desk}
	guests, err := openGuests(cfg, receipts, desk, o)
	if err != nil {
		return err
	}
	defer guests.close()
	parts, ctx := errgroup.WithContext(ctx)
	shop := &shop{
		path: filepath.Join(cfg.DataDir, settingsFile), finder: finder, journal: j, desk: desk, tills: receipts, o: o,
		spawn: func(l *dispatch.Loop) { parts.Go(func() error { return l.Run(ctx) }) },
		loops: map[string]*dispatch.Loop{},
	}
	if err := shop.start(); err != nil {
		return err
	}
	first, err := firstStarting(cfg, shop, listener, o)
	if err != nil {
		return fmt.Errorf("open the page of the first start: %w", err)
	}
	versions := newPrograms(o.Programs, cfg, shop, j, o.Log)
	metrics := prometheus.NewRegistry()
	guests.settings = shop.Settings
	metrics.MustRegister(newCollector(desk, j), versionMetrics(o.Version, versions), newCareCollector(machine.Here), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	api := till.Config{
		Journal: receipts, Desk: desk, Tokens: token.Open(cfg.DataDir),
		Settings: shop.Settings, People: staff{people.Open(cfg.DataDir)}, Page: page.Handler(), Manual: manual.Handler(till.OpenAPI),
		Hosts: cfg.Hosts, MetricsOnLAN: cfg.MetricsOnLAN, Metrics: metrics, Log: o.Log,
	}
	guests.join(&api, metrics)
	at := listener.Addr()
	if len(others) > 0 {
		at = others[0].Addr() // systemd's: port 80, where browsers look by themselves
	}
	if name := announcer(cfg, at, o.Log); name != nil {
		api.Named = name.Name
		parts.Go(func() error {
			name.Run(ctx)
			return nil
		})
	}
	if first != nil {
		api.Setup = first
		parts.Go(func() error { return first.run(ctx) })
	}
	tills := till.New(api)

	for _, l := range append(others, listener) {
		parts.Go(func() error { return till.Serve(ctx, l, tills, o.Log) })
	}
	guests.run(ctx, parts, o.Log)
	for _, d := range doors {
		h := d.handler(receipts, desk, shop.Settings, o.Log)
		parts.Go(func() error { return till.Serve(ctx, d, h, o.Log) })
	}
	parts.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case own := <-o.Reload:
				if err := shop.reload(own); err != nil {
					o.Log.Warn("settings refused: the present ones stay", "error", err)
				} else {
					o.Log.Info("settings applied", "from", "agent.yaml")
				}
			}
		}
	})
	parts.Go(func() error {
		o.Watchdog.watch(ctx, j, shop, o.Log)
		return nil
	})
	parts.Go(func() error {
		j.Upkeep(ctx, func(err error) { o.Log.Warn("the journal's weekly inspection failed and is tried again", "error", err) })
		return nil
	})
	parts.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-j.Done():
			return fmt.Errorf("the journal can no longer be trusted: %w", j.Health())
		}
	})
	if cfg.Cloud != nil {
		office := &office{shop: shop, desk: desk, journal: j, own: credential.In(cfg.DataDir), logs: logs, versions: versions}
		parts.Go(func() error { return office.run(ctx, *cfg.Cloud, o, metrics) })
	}
	parts.Go(func() error { return versions.run(ctx) })
	for _, l := range others {
		o.Log.Info("served as well", "listen", l.Addr().String())
	}
	o.Log.Info("ready", "listen", listener.Addr().String(), "registers", len(shop.Settings().Registers), "unclean", j.Unclean(), "version", o.Version)
	if o.started != nil {
		o.started(shop)
	}
	if o.Ready != nil {
		o.Ready(listener.Addr().String())
	}
	return parts.Wait()
}

// finder looks for registers where the configuration allows it. Without a list
// of interfaces it takes those of the shop's network by name, never all.
func finder(cfg config.Config, look Look) (*discovery.Finder, error) {
	interfaces, sweep := cfg.Discovery.Interfaces, cfg.Discovery.Sweep
	if len(interfaces) == 0 {
		var err error
		if interfaces, _, err = discovery.LAN(); err != nil {
			return nil, fmt.Errorf("list the network interfaces: %w", err)
		}
	}
	var doors []netip.AddrPort
	for _, d := range cfg.FrontDoors {
		addr, err := netip.ParseAddrPort(d.Listen)
		if err != nil {
			return nil, fmt.Errorf("read front_doors listen %q: %w", d.Listen, err)
		}
		doors = append(doors, addr)
	}
	f, err := discovery.New(discovery.Config{
		Interfaces: interfaces, Sweep: sweep, Avoid: doors, Window: look.Window, BrowsePause: look.Pause,
	})
	if err != nil {
		return nil, fmt.Errorf("set up discovery: %w", err)
	}
	return f, nil
}

// guard is the settings' word on old shifts.
func guard(s wire.Shift, zone *time.Location) dispatch.Guard {
	g := dispatch.Guard{
		At: s.AutoClose == wire.AutoCloseAt, BeforeLimit: s.AutoClose == wire.AutoCloseBeforeLimit,
		Hour: s.CloseAt.Hour, Min: s.CloseAt.Minute, Zone: zone,
	}
	for _, w := range s.WarnAfter {
		g.Warn = append(g.Warn, time.Duration(w))
	}
	return g
}

// whyNotFound gives discovery's errors the words that people are shown. A
// register whose address is set is not missing: it does not answer there.
func whyNotFound(err error, fixed bool) error {
	var wrong *discovery.WrongRegister
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong) && wrong.Want != "":
		return &register.Fault{Cause: register.WrongRegister, Text: wrong.Got, Err: err}
	case errors.Is(err, discovery.ErrNotSigned):
		return &register.Fault{Cause: register.Credentials, Err: err}
	case errors.Is(err, discovery.ErrNotFound) && !fixed:
		return &register.Fault{Cause: register.Missing, Err: err}
	}
	return &register.Fault{Cause: register.Unreachable, Err: err}
}
