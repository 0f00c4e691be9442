package discovery

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/grandcat/zeroconf"
)

// The test binary is started again inside a network namespace with one of
// these roles. It reads one JSON value per line and answers each with one line.
const (
	roleEnv   = "EKASSA_DISCOVERY_ROLE"
	roleShop  = "shop"  // registers: it listens and announces
	roleAgent = "agent" // the Finder under test
)

// order tells a role what to do; the answer is a reply.
type order struct {
	Do string

	// shop: "listen" (Addr, Serial), "close" (Addr), "announce" (Name, Addr, Iface, TXT), "silence" (Name)
	Addr        netip.AddrPort
	Serial      string
	Name, Iface string
	TXT         []string

	// agent: "browse" (Iface, Window), "sweep" (Sweep), "config" (Iface, Window, Sweep),
	// "find" (Want, Fixed; where it was last found is remembered), "list"
	Window time.Duration
	Sweep  netip.Prefix
	Want   string // a serial
	Fixed  netip.AddrPort
}

type reply struct {
	Err        string
	Wrong      *WrongRegister
	NotFound   bool
	Candidates []Candidate
	Open       []netip.AddrPort
	Found      []Found
}

func play(role string) int {
	var act func(order) (reply, error)
	switch role {
	case roleShop:
		act = newShop().act
	case roleAgent:
		act = (&agent{}).act
	default:
		fmt.Fprintln(os.Stderr, "no such role:", role)
		return 2
	}
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var o order
		if err := in.Decode(&o); errors.Is(err, io.EOF) {
			return 0
		} else if err != nil {
			fmt.Fprintln(os.Stderr, "read order:", err)
			return 1
		}
		r, err := act(o)
		if err != nil {
			r.Err = err.Error()
			errors.As(err, &r.Wrong)
			r.NotFound = errors.Is(err, ErrNotFound)
		}
		if err := out.Encode(r); err != nil {
			return 1
		}
	}
}

// shop holds registers that speak the smallest protocol that can prove
// anything: asked "who", they answer their serial.
type shop struct {
	listeners map[netip.AddrPort]net.Listener
	servers   map[string]*zeroconf.Server
}

func newShop() *shop {
	return &shop{map[netip.AddrPort]net.Listener{}, map[string]*zeroconf.Server{}}
}

func (s *shop) act(o order) (reply, error) {
	switch o.Do {
	case "listen":
		l, err := net.Listen("tcp4", o.Addr.String())
		if err != nil {
			return reply{}, err
		}
		s.listeners[o.Addr] = l
		go serve(l, o.Serial)
	case "close":
		return reply{}, s.listeners[o.Addr].Close()
	case "announce":
		ifaces, err := interfaces([]string{o.Iface})
		if err != nil {
			return reply{}, err
		}
		s.servers[o.Name], err = zeroconf.RegisterProxy(o.Name, ServiceType, domain, int(o.Addr.Port()),
			strings.ReplaceAll(o.Name, " ", "-"), []string{o.Addr.Addr().String()}, o.TXT, ifaces)
		return reply{}, err
	case "silence":
		s.servers[o.Name].Shutdown()
	default:
		return reply{}, fmt.Errorf("a shop cannot %q", o.Do)
	}
	return reply{}, nil
}

func serve(l net.Listener, serial string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			if line, err := bufio.NewReader(c).ReadString('\n'); err == nil && line == "who\n" {
				fmt.Fprintln(c, serial)
			}
		}()
	}
}

// askWho is the Prover of the shop's registers.
func askWho(ctx context.Context, addr netip.AddrPort) (Identity, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp4", addr.String())
	if err != nil {
		return Identity{}, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if _, err := fmt.Fprintln(c, "who"); err != nil {
		return Identity{}, err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return Identity{}, fmt.Errorf("not a register: %w", err)
	}
	return Identity{Serial: strings.TrimSpace(line), Model: "fake", Signed: true}, nil
}

// agent is one process with one Finder, which stays the same while registers move.
type agent struct {
	finder *Finder
	last   map[string]netip.AddrPort
}

func (a *agent) act(o order) (reply, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	switch o.Do {
	case "browse":
		ifaces, err := interfaces([]string{o.Iface})
		if err != nil {
			return reply{}, err
		}
		cs, err := Browse(ctx, ifaces, o.Window)
		return reply{Candidates: cs}, err
	case "sweep":
		open, err := Sweep(ctx, []netip.Prefix{o.Sweep}, []uint16{8008}, Limits{})
		return reply{Open: open}, err
	case "config":
		cfg := Config{Window: o.Window, Ports: map[string]uint16{AzSmart: 8008}, Provers: map[string]Prover{AzSmart: askWho},
			BrowsePause: time.Millisecond, SweepPause: time.Millisecond}
		if o.Iface != "" {
			cfg.Interfaces = []string{o.Iface}
		}
		if o.Sweep.IsValid() {
			cfg.Sweep = []netip.Prefix{o.Sweep}
		}
		f, err := New(cfg)
		a.finder, a.last = f, map[string]netip.AddrPort{}
		return reply{}, err
	case "find":
		found, err := a.finder.Find(ctx, Want{Protocol: AzSmart, Serial: o.Want, Fixed: o.Fixed, Last: a.last[o.Want]})
		if err != nil {
			return reply{}, err
		}
		a.last[o.Want] = found.Addr
		return reply{Found: []Found{found}}, nil
	case "list":
		all, err := a.finder.List(ctx)
		return reply{Found: all}, err
	default:
		return reply{}, fmt.Errorf("an agent cannot %q", o.Do)
	}
}
