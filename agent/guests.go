package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"ekassa/agent/config"
	"ekassa/agent/dispatch"
	"ekassa/agent/receipt"
	"ekassa/agent/slip"
	"ekassa/agent/till"
	"ekassa/cloud/wire"
)

// guests is what they get while a register is away: slips, and the page that
// these lead to. Without a printer there is nothing of it.
type guests struct {
	slip     *config.Slip // nil: nothing
	desk     *dispatch.Desk
	settings func() wire.Settings
	counter  *slip.Counter
	page     *slip.Page
	listener net.Listener // slip.listen; nil: none
}

// openGuests takes the port of the guests' page, where it has one of its own.
func openGuests(cfg config.Config, receipts *receipts, desk *dispatch.Desk, o Options) (*guests, error) {
	g := &guests{slip: cfg.Slip, desk: desk}
	if g.slip == nil {
		return g, nil
	}
	links, err := slip.OpenLinks(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	if g.slip.Listen != "" {
		if g.listener, err = net.Listen("tcp", g.slip.Listen); err != nil {
			return nil, fmt.Errorf("listen for guests on %s: %w; stop the other program or choose another slip.listen", g.slip.Listen, errors.Unwrap(err))
		}
	}
	g.counter = slip.NewCounter(slip.Config{
		Printer: g.slip.Printer, Paper: g.slip.Paper, Links: links, Get: receipts.Get, About: g.about, Log: o.Log, Pace: o.Slips,
		Base: func() string { return phonesReach(cfg) },
	})
	g.page = &slip.Page{Links: links, ByKey: receipts.ByKey, About: g.about, Log: o.Log}
	receipts.isNew = g.counter.Offer
	return g, nil
}

// close gives the port back, where it is not given back already.
func (g *guests) close() {
	if g.listener != nil {
		_ = g.listener.Close()
	}
}

// join gives the till's API its part.
func (g *guests) join(api *till.Config, metrics prometheus.Registerer) {
	if g.slip == nil {
		return
	}
	api.Slips, api.Guest = slips{g.counter}, g.page
	if u, err := url.Parse(g.slip.Link); err == nil && u.Hostname() != "" {
		api.Hosts = append(api.Hosts, u.Hostname()) // the phone's way in
	}
	metrics.MustRegister(newSlipCollector(g.counter))
}

// run prints slips, and serves the page at its own port.
func (g *guests) run(ctx context.Context, parts *errgroup.Group, log *slog.Logger) {
	if g.slip == nil {
		return
	}
	parts.Go(func() error {
		g.counter.Run(ctx)
		return nil
	})
	if g.listener != nil {
		only := http.NewServeMux()
		only.Handle("GET /r/{token}", g.page)
		parts.Go(func() error { return till.Serve(ctx, g.listener, only, log) })
	}
}

// about says in which language and zone a slip is, and whose it is.
func (g *guests) about(s receipt.Stored) slip.Slip {
	now := g.settings()
	x := slip.Slip{Lang: now.Language, Shop: g.slip.Shop}
	var err error
	if x.Zone, err = now.Location(); err != nil { // settings in force were validated
		x.Zone = time.FixedZone("+04:00", 4*60*60)
	}
	if t, ok := now.Terminal(s.Terminal); ok {
		x.Till = t.Name
	}
	for _, r := range g.desk.Registers("") {
		if x.Shop == "" && r.ID == s.Register {
			x.Shop = r.Identity.Object
			if x.Shop == "" {
				x.Shop = r.Identity.Company
			}
		}
	}
	return x
}

// phonesReach is the address at which a guest's phone reaches the page; "" where
// there is none that is known.
func phonesReach(cfg config.Config) string {
	if cfg.Slip.Link != "" {
		return cfg.Slip.Link
	}
	listen := cfg.Slip.Listen
	if listen == "" {
		listen = cfg.Listen
	}
	addr, err := netip.ParseAddrPort(listen)
	switch {
	case err != nil || addr.Addr().IsLoopback() || addr.Port() == 0:
		return ""
	case !addr.Addr().IsUnspecified():
		return base(addr)
	}
	own, ok := ownAddr(cfg)
	if !ok {
		return ""
	}
	return base(netip.AddrPortFrom(own, addr.Port()))
}

// ownAddr is this machine's IPv4 address in the shop's network.
func ownAddr(cfg config.Config) (netip.Addr, bool) {
	for _, name := range interfaces(cfg) {
		i, err := net.InterfaceByName(name)
		if err != nil {
			continue
		}
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() {
				return p.Addr(), true
			}
		}
	}
	return netip.Addr{}, false
}

func base(addr netip.AddrPort) string {
	if addr.Port() == 80 {
		return "http://" + addr.Addr().String()
	}
	return "http://" + addr.String()
}

// slips is the counter as the till's API sees it.
type slips struct{ counter *slip.Counter }

// Print implements till.Slips.
func (s slips) Print(ctx context.Context, terminal, id string) (receipt.Stored, error) {
	r, err := s.counter.Print(ctx, terminal, id)
	var p *slip.PrinterError
	if errors.As(err, &p) {
		err = &till.PrinterFault{Problem: string(p.Problem), Err: err}
	}
	return r, err
}

// Allowed implements till.Slips.
func (s slips) Allowed() []receipt.State { return slip.Allowed }

// Problem implements till.Slips.
func (s slips) Problem() (string, time.Time) {
	now := s.counter.State()
	return string(now.Problem), now.Since
}

// Link implements till.Slips.
func (s slips) Link(r receipt.Stored) string { return s.counter.Link(r) }

// slipFindings is the doctor's part. It prints nothing.
func slipFindings(ctx context.Context, cfg config.Config, note func(check string, err error, found, do string)) {
	if cfg.Slip == nil {
		return
	}
	note("slip printer "+cfg.Slip.Printer, slip.Probe(ctx, cfg.Slip.Printer), "answers, prints guests' slips",
		"is it switched on, in this network, with paper, its cover closed? most listen on port 9100")
	link := phonesReach(cfg)
	var err error
	if link == "" {
		err = errors.New("no phone can reach it, so slips have no QR code")
	}
	note("guests' page", err, "slips lead to "+link+"/r/…",
		"write slip.listen, for example 0.0.0.0:8080, or slip.link with the address at which phones reach this machine")
}
