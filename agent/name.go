package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"

	"ekassa/agent/announce"
	"ekassa/agent/config"
	"ekassa/agent/discovery"
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

// nameFinding is the doctor's part. It asks nobody.
func nameFinding(cfg config.Config, note func(check string, err error, found, do string)) {
	addr, err := netip.ParseAddrPort(cfg.Listen)
	if err != nil || cfg.Name == "" || addr.Addr().IsLoopback() {
		return
	}
	if len(interfaces(cfg)) == 0 {
		err = errors.New("there is no interface into the shop's network to announce it on")
	}
	note("name "+cfg.Name+".local", err, fmt.Sprintf("http://%s.local:%d opens the page while the agent runs; with a number behind the name where another machine has it", cfg.Name, addr.Port()),
		"plug the cable in, or name it in discovery.interfaces; the page opens under the machine's address too")
}
