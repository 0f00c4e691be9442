// Package broker is an MQTT broker within the program, for a small fleet and for
// trying things out: mochi-mqtt/server behind a door of our own. It also has what
// makes Mosquitto one for a fleet; see [Mosquitto].
//
// What it promises: whoever is connected under an agent's name has shown that
// agent's certificate, and publishes and subscribes under its own id only, each
// topic in its own direction, its last will included. One name has one
// connection, the newest. An agent that was taken back is out when [Broker.Drop]
// returns, and stays out.
package broker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"

	"ekassa/cloud/wire"
)

// Gate says who may come in.
type Gate interface {
	// Check says whether an agent's certificate is good.
	Check(ctx context.Context, c *x509.Certificate) error
	// Known says whether there is such an agent, where there are no certificates.
	Known(ctx context.Context, agent string) error
}

// Config of a broker.
type Config struct {
	Listen string      // IP:port; port 0 lets the system choose
	TLS    *tls.Config // which demands a certificate; nil: plain, on loopback only, where names are believed
	Gate   Gate
	Log    *slog.Logger
}

const (
	// patience with whoever connects and says nothing, or does not go away.
	patience = 10 * time.Second
	// pending is how many messages may wait to be written to one agent; more are
	// dropped, since all that matters is repeated. Each takes a pointer for every
	// agent, used or not.
	pending = 64
	// silent is how long a client may be that promises no signs of life.
	silent = 300 // s
)

// Broker is one that runs.
type Broker struct {
	Config
	listener net.Listener
	server   *mochi.Server
	turns    chan struct{} // those that may work on a handshake now

	mu     sync.Mutex // guards the rest
	live   map[string]*session
	open   map[*session]struct{}
	closed bool
	filter int // the last number of a subscription of the cloud's own
}

// Open listens and serves until Close.
func Open(c Config) (*Broker, error) {
	at, err := netip.ParseAddrPort(c.Listen)
	if err != nil {
		return nil, fmt.Errorf("open the broker: %q is no IP:port", c.Listen)
	}
	if c.TLS == nil && !at.Addr().IsLoopback() {
		return nil, fmt.Errorf("open the broker on %s: beyond loopback it needs TLS", c.Listen)
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("open the broker on %s: %w; stop the other program or choose another address", c.Listen, err)
	}
	b := &Broker{Config: c, listener: l, turns: make(chan struct{}, 2*runtime.GOMAXPROCS(0)), live: map[string]*session{}, open: map[*session]struct{}{}}
	able := mochi.NewDefaultServerCapabilities()
	able.MaximumPacketSize = wire.MaxMessage + 4096
	able.MaximumClientWritesPending = pending
	able.MaximumInflight = 2 * pending
	able.MinimumProtocolVersion = 4
	able.MaximumQos = 1
	able.SharedSubAvailable = 0
	b.server = mochi.New(&mochi.Options{
		InlineClient: true, Capabilities: able, SysTopicResendInterval: 3600,
		Logger: slog.New(slog.DiscardHandler), // it logs whole messages; what matters is logged here
	})
	if err := errors.Join(b.server.AddHook(&hook{b: b}, nil), b.server.AddListener(&door{b: b}), b.server.Serve()); err != nil {
		return nil, errors.Join(fmt.Errorf("open the broker on %s: %w", c.Listen, err), l.Close())
	}
	return b, nil
}

// Addr is where it listens.
func (b *Broker) Addr() string { return b.listener.Addr().String() }

// Connected are the agents that are.
func (b *Broker) Connected() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.live)
}

// Drop ends an agent's connection. Whoever comes later is asked for a
// certificate that is still good: what Gate says must have changed before.
func (b *Broker) Drop(agent string) {
	b.mu.Lock()
	s := b.live[agent]
	b.mu.Unlock()
	if s != nil {
		b.Log.Info("an agent's connection is ended", "agent", agent)
		_ = s.Close() // whether it was open or not
	}
}

// Close ends every connection and waits for them. The cloud's own clients must
// take no more messages, or none that they block on.
func (b *Broker) Close() error {
	b.mu.Lock()
	b.closed = true
	for s := range b.open {
		_ = s.Close()
	}
	b.mu.Unlock()
	return b.server.Close()
}

// session is one connection, from its first byte to its last.
type session struct {
	net.Conn
	cert   *x509.Certificate // nil: without TLS
	client *mochi.Client     // nil: not let in
	done   chan struct{}     // closed once nothing is left of it
}

// enter makes a session the only one of its name. It ends the one before, and
// waits until that has told its will and is forgotten: mochi's own takeover may
// forget the new one in place of the old.
func (b *Broker) enter(s *session, client *mochi.Client) error {
	b.mu.Lock()
	before := b.live[client.ID]
	b.live[client.ID], s.client = s, client
	b.mu.Unlock()
	if before == nil {
		return nil
	}
	_ = before.Close()
	select {
	case <-before.done:
	case <-time.After(patience):
		return errors.New("the connection before does not end")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.live[client.ID] != s {
		return errors.New("another one has come since")
	}
	return nil
}

// serve is one connection.
func (b *Broker) serve(conn net.Conn, establish listeners.EstablishFn) {
	s := &session{Conn: conn, done: make(chan struct{})}
	defer close(s.done)
	defer conn.Close()
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return
	}
	b.open[s] = struct{}{}
	b.mu.Unlock()
	defer b.leave(s)
	// Until it is let in; from then on mochi sets deadlines by the signs of life.
	if conn.SetDeadline(time.Now().Add(patience)) != nil {
		return
	}
	if b.TLS != nil {
		turn := &turn{Conn: conn, of: b.turns}
		secure := tls.Server(turn, b.TLS)
		if err := turn.handshake(secure); err != nil {
			b.Log.Info("somebody was not let in", "from", conn.RemoteAddr().String(), "error", err)
			return
		}
		s.Conn, s.cert = secure, secure.ConnectionState().PeerCertificates[0]
	}
	if err := establish(doorID, s); err != nil && s.client == nil {
		b.Log.Info("somebody was not let in", "from", conn.RemoteAddr().String(), "error", err)
	}
}

// leave forgets a session, and what mochi may have kept of it.
func (b *Broker) leave(s *session) {
	if s.client != nil {
		if c, ok := b.server.Clients.Get(s.client.ID); ok && c == s.client {
			b.server.UnsubscribeClient(c)
			b.server.Clients.Delete(c.ID)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, s)
	if s.client != nil && b.live[s.client.ID] == s {
		delete(b.live, s.client.ID)
	}
}

// Client is the cloud's own, within the program: it has every right, and cannot
// be lost.
type Client struct {
	b       *Broker
	filters map[string]int
}

// Attach subscribes the cloud. deliver is called at once for what is retained,
// and then by the goroutine of whichever agent has published: while it blocks,
// that agent's messages wait, and no other's.
func (b *Broker) Attach(filters []string, deliver func(topic string, payload []byte)) (*Client, error) {
	c := &Client{b: b, filters: map[string]int{}}
	for _, f := range filters {
		b.mu.Lock()
		b.filter++
		c.filters[f] = b.filter
		b.mu.Unlock()
		if err := b.server.Subscribe(f, c.filters[f], receive(deliver)); err != nil {
			return nil, errors.Join(fmt.Errorf("subscribe to %s: %w", f, err), c.Close())
		}
	}
	return c, nil
}

// Lost never tells anything: there is nothing in between that could break.
func (c *Client) Lost() <-chan error { return nil }

// Publish hands a message to whoever is subscribed now. Nil is no proof that
// anybody has it. It goes out with QoS 0 whatever is asked: with 1, mochi waits
// for a lock that an agent which reads nothing holds for a minute.
func (c *Client) Publish(topic string, _ byte, retained bool, payload []byte) error {
	if err := c.b.server.Publish(topic, payload, retained, 0); err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	return nil
}

// Close ends the subscriptions.
func (c *Client) Close() error {
	var all []error
	for f, id := range c.filters {
		all = append(all, c.b.server.Unsubscribe(f, id))
	}
	return errors.Join(all...)
}
