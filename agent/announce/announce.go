// Package announce makes the agent known in the shop's network by multicast DNS
// (RFC 6762, RFC 6763): a name, ekassa.local, so that a browser there opens the
// page, and a web service of that name, so that those who browse for such find it.
//
// The library that discovery uses answers no question for a host's name, only
// for a service's, and claims a name without asking who has it. So the answers are
// given here; the packets are read and written by miekg/dns.
//
// A name that another machine has is left to it: the next are ekassa-2, ekassa-3
// and so on. Only interfaces that are named are used, over IPv4.
package announce

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/net/ipv4"
)

// Config of an announcer; all of it is required but Addr.
type Config struct {
	Name       string          // of the host, without .local: letters, digits and '-'
	Service    string          // what people read who browse for web pages
	Port       uint16          // of the page
	Interfaces func() []string // their names, asked for anew whenever the network is looked at
	Addr       netip.Addr      // announces this one alone; zero: those of each interface
	Log        *slog.Logger
}

// Announcer keeps a name.
type Announcer struct {
	c    Config
	name atomic.Pointer[string]
}

// New makes one; Run makes it speak.
func New(c Config) *Announcer {
	a := &Announcer{c: c}
	none := ""
	a.name.Store(&none)
	return a
}

// Name is the name that is announced now, such as ekassa.local; "" while there is
// none.
func (a *Announcer) Name() string { return *a.name.Load() }

func (a *Announcer) settle(name string) { a.name.Store(&name) }

// look is how often interfaces and addresses are compared with those that are
// announced: a cable is plugged in, a lease ends.
const look = 15 * time.Second

// Run announces until ctx ends, and then takes the name back. It never fails: an
// agent without a name works, and what keeps it from one is logged once.
func (a *Announcer) Run(ctx context.Context) {
	said := ""
	for ctx.Err() == nil {
		err := a.session(ctx)
		a.settle("")
		if err != nil && err.Error() != said && ctx.Err() == nil {
			said = err.Error()
			a.c.Log.Warn("the page has no name in the network: use the address", "error", err)
		}
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(look):
			}
		}
	}
}

// errChanged: the network is another one by now.
var errChanged = errors.New("the network changed")

// session announces on the interfaces that there are now, until they change.
func (a *Announcer) session(ctx context.Context) error {
	links := a.links()
	if len(links) == 0 {
		return errors.New("announce: none of the interfaces is up with an IPv4 address")
	}
	c, err := join(links)
	if err != nil {
		return err
	}
	heard, stopped := make(chan packet, 16), make(chan struct{})
	go func() {
		defer close(stopped)
		c.read(heard)
	}()
	s := &session{a: a, conn: c, links: links, heard: heard}
	err = s.run(ctx)
	s.goodbye()
	c.pc.Close()
	for done := false; !done; { // the reader may be about to hand something over
		select {
		case <-heard:
		case <-stopped:
			done = true
		}
	}
	if errors.Is(err, errChanged) || ctx.Err() != nil {
		return nil
	}
	return err
}

// link is one interface with what is announced on it.
type link struct {
	iface net.Interface
	addrs []netip.Addr
}

func (a *Announcer) links() (links []link) {
	for _, name := range a.c.Interfaces() {
		i, err := net.InterfaceByName(name)
		if err != nil || i.Flags&net.FlagUp == 0 || i.Flags&net.FlagMulticast == 0 && i.Flags&net.FlagLoopback == 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		l := link{iface: *i}
		for _, x := range addrs {
			p, err := netip.ParsePrefix(x.String())
			if err == nil && p.Addr().Is4() && (!a.c.Addr.IsValid() || a.c.Addr == p.Addr()) {
				l.addrs = append(l.addrs, p.Addr())
			}
		}
		if len(l.addrs) > 0 {
			links = append(links, l)
		}
	}
	return links
}

var group = &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353}

// conn is the socket of all links.
type conn struct{ pc *ipv4.PacketConn }

func join(links []link) (*conn, error) {
	// A multicast address shares the port with others on this machine, such as avahi.
	u, err := net.ListenUDP("udp4", group)
	if err != nil {
		return nil, fmt.Errorf("announce: %w", err)
	}
	pc := ipv4.NewPacketConn(u)
	err = errors.Join(pc.SetControlMessage(ipv4.FlagInterface, true), pc.SetMulticastTTL(255), pc.SetTTL(255), pc.SetMulticastLoopback(true))
	for _, l := range links {
		err = errors.Join(err, pc.JoinGroup(&l.iface, group))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("announce: join the group: %w", err), pc.Close())
	}
	return &conn{pc}, nil
}

// packet is one that was heard.
type packet struct {
	data  []byte
	from  *net.UDPAddr
	iface int
}

// read hands packets over until the socket is closed.
func (c *conn) read(heard chan<- packet) {
	buf := make([]byte, 9000)
	for {
		n, control, from, err := c.pc.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		addr, ok := from.(*net.UDPAddr)
		if err != nil || !ok || control == nil {
			continue
		}
		heard <- packet{append([]byte(nil), buf[:n]...), addr, control.IfIndex}
	}
}

// numbered is the n-th name that is tried: ekassa, ekassa-2, ekassa-3.
func numbered(name string, n int) string {
	if n < 2 {
		return name
	}
	return name + "-" + strconv.Itoa(n)
}
