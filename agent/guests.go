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
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"ekassa/agent/config"
	"ekassa/agent/dispatch"
	"ekassa/agent/listen"
	"ekassa/agent/receipt"
	"ekassa/agent/slip"
	"ekassa/agent/texts"
	"ekassa/agent/till"
	"ekassa/cloud/wire"
)

// guests is what they get while a register is away: slips, and the page that
// these lead to. Without a printer there is nothing of it.
type guests struct {
	slip     *config.Slip // nil: nothing
	desk     *dispatch.Desk
	settings func() wire.Settings
	counters []*slip.Counter          // one for each printer
	of       map[string]*slip.Counter // by terminal; "": of all others
	page     *slip.Page
	listener net.Listener // slip.listen; nil: none
}

// openGuests takes the port of the guests' page, where it has one of its own.
func openGuests(cfg config.Config, receipts *receipts, desk *dispatch.Desk, o Options) (*guests, error) {
	g := &guests{slip: cfg.Slip, desk: desk, of: map[string]*slip.Counter{}}
	if g.slip == nil {
		return g, nil
	}
	links, err := slip.OpenLinks(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	if g.slip.Listen != "" {
		if g.listener, err = listen.TCP(g.slip.Listen); err != nil {
			return nil, fmt.Errorf("listen for guests on %s: %w; stop the other program or choose another slip.listen", g.slip.Listen, errors.Unwrap(err))
		}
	}
	at := map[string]*slip.Counter{}
	for _, p := range g.slip.All() {
		if at[p.Printer] == nil {
			at[p.Printer] = slip.NewCounter(slip.Config{
				Printer: p.Printer, Paper: p.Paper, Links: links, Get: receipts.Get, About: g.about, Log: o.Log, Pace: o.Slips,
				Base: func() string { return phonesReach(cfg) },
			})
			g.counters = append(g.counters, at[p.Printer])
		}
		g.of[p.Terminal] = at[p.Printer]
	}
	g.page = &slip.Page{Links: links, ByKey: receipts.ByKey, About: g.about, Log: o.Log}
	receipts.isNew = func(s receipt.Stored) {
		if c := g.counter(s.Terminal); c != nil {
			c.Offer(s)
		}
	}
	return g, nil
}

// counter is where the guests of a till get their slips; nil: nowhere.
func (g *guests) counter(terminal string) *slip.Counter {
	if own := g.of[terminal]; own != nil {
		return own
	}
	return g.of[""]
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
	metrics.MustRegister(newSlipCollector(g.counters))
}

// run prints slips, and serves the page at its own port.
func (g *guests) run(ctx context.Context, parts *errgroup.Group, log *slog.Logger) {
	if g.slip == nil {
		return
	}
	for _, c := range g.counters {
		parts.Go(func() error {
			c.Run(ctx)
			return nil
		})
	}
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

// slips is the counters as the till's API sees them.
type slips struct {
	counter func(terminal string) *slip.Counter // nil: it has none
}

// At implements till.Slips.
func (s slips) At(terminal string) bool { return s.counter(terminal) != nil }

// Print implements till.Slips.
func (s slips) Print(ctx context.Context, terminal, id string) (receipt.Stored, error) {
	r, err := s.counter(terminal).Print(ctx, terminal, id)
	var p *slip.PrinterError
	if errors.As(err, &p) {
		err = &till.PrinterFault{Problem: string(p.Problem), Err: err}
	}
	return r, err
}

// Allowed implements till.Slips.
func (s slips) Allowed() []receipt.State { return slip.Allowed }

// Problem implements till.Slips.
func (s slips) Problem(terminal string) (string, time.Time) {
	now := s.counter(terminal).State()
	return string(now.Problem), now.Since
}

// Link implements till.Slips.
func (s slips) Link(r receipt.Stored) string {
	if c := s.counter(r.Terminal); c != nil {
		return c.Link(r)
	}
	return ""
}

// slipFindings is the doctor's part. It prints nothing.
func slipFindings(ctx context.Context, cfg config.Config, l *findings) {
	if cfg.Slip == nil {
		return
	}
	tills := map[string][]string{} // those whose own it is
	var printers []string
	for _, p := range cfg.Slip.All() {
		if !slices.Contains(printers, p.Printer) {
			printers = append(printers, p.Printer)
		}
		if p.Terminal != "" {
			tills[p.Printer] = append(tills[p.Printer], p.Terminal)
		}
	}
	for _, addr := range printers {
		args := texts.Args{"printer": addr, "tills": strings.Join(tills[addr], ", ")}
		if err := slip.Probe(ctx, addr); err != nil {
			args["detail"] = err.Error()
			var p *slip.PrinterError
			if errors.As(err, &p) {
				args["detail"] = said(texts.Say(l.lang, "printer."+string(p.Problem), nil), err.Error())
			}
			l.warn(printerAway, args)
		} else {
			l.good(printerReady, args)
		}
	}
	if link := phonesReach(cfg); link == "" {
		l.warn(guestsNone, nil)
	} else {
		l.good(guestsPage, texts.Args{"link": link})
	}
}
