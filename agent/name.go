package agent

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"ekassa/agent/announce"
	"ekassa/agent/config"
	"ekassa/agent/discovery"
	"ekassa/agent/setup"
	"ekassa/agent/texts"
)

// announcer gives the page its name in the shop's network; nil where nobody there
// could follow it, or none is wanted.
func announcer(cfg config.Config, at net.Addr, log *slog.Logger) *announce.Announcer {
	addr, err := netip.ParseAddrPort(at.String())
	if err != nil || cfg.Name == "" || addr.Addr().IsLoopback() {
		return nil
	}
	c := announce.Config{Name: cfg.Name, Service: "E-kassa", Port: addr.Port(), Interfaces: func() []string { return interfaces(cfg) }, Log: log}
	if own := addr.Addr().Unmap(); !own.IsUnspecified() {
		c.Addr = own
	}
	return announce.New(c)
}

// interfaces are those of the shop's network: as they are written, or as they look.
func interfaces(cfg config.Config) []string {
	if len(cfg.Discovery.Interfaces) > 0 {
		return cfg.Discovery.Interfaces
	}
	names, _, _ := discovery.LAN() // where it cannot be read there is none
	return names
}

// Page is where a browser finds the page of the agent that runs here, without a port
// where it is served at port 80, and under the name that the network gave it. taken:
// another program is at port 80.
func Page(ctx context.Context, cfg config.Config) (page string, taken bool) {
	addr, err := netip.ParseAddrPort(cfg.Listen)
	if err != nil {
		return "http://" + cfg.Listen, false
	}
	host := addr.Addr().String()
	switch own, err := os.Hostname(); {
	case addr.Addr().IsLoopback():
	case cfg.Name != "":
		host = cfg.Name + ".local"
	case addr.Addr().IsUnspecified() && err == nil:
		host = own + ".local"
	}
	port := strconv.Itoa(int(addr.Port()))
	here, taken := whoIsAt(ctx, cfg.Listen, "80")
	if here.agent() {
		port = "80"
	} else {
		here, _ = whoIsAt(ctx, cfg.Listen, port)
	}
	if here.agent() && strings.HasSuffix(here.Host, ".local") { // another agent of this network may have the first name
		host = here.Host
	}
	return "http://" + strings.TrimSuffix(net.JoinHostPort(host, port), ":80"), taken
}

// who is what an agent says of itself to a program that opens its page.
type who struct{ Name, Host string }

func (w who) agent() bool { return w.Name == "ekassa-agent" }

// whoIsAt asks a port of the address that tills call: does an agent answer there, or
// has another program taken it?
func whoIsAt(ctx context.Context, listen, port string) (w who, taken bool) {
	base, err := url.Parse(setup.Base(listen))
	if err != nil {
		return w, false
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	base.Host = net.JoinHostPort(base.Hostname(), port)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base.String()+"/", nil)
	if err != nil {
		return w, false
	}
	// No proxy, and no redirect: what answers at this very address is the question.
	answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return w, false
	}
	if err != nil {
		return w, true
	}
	defer answer.Body.Close()
	if json.NewDecoder(io.LimitReader(answer.Body, 4096)).Decode(&w) != nil {
		return who{}, true
	}
	return w, !w.agent()
}

// nameFinding is the doctor's part. It asks nobody but this machine.
func nameFinding(ctx context.Context, cfg config.Config, l *findings) {
	addr, err := netip.ParseAddrPort(cfg.Listen)
	if err != nil || cfg.Name == "" || addr.Addr().IsLoopback() {
		return
	}
	page, taken := Page(ctx, cfg)
	args := texts.Args{"name": cfg.Name, "page": page}
	if len(interfaces(cfg)) == 0 {
		l.warn(nameNowhere, args)
	} else {
		l.good(nameAnnounced, args)
	}
	if taken {
		l.warn(port80Taken, args)
	}
}
