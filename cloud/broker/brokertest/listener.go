package brokertest

import (
	"net"
	"sync"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
)

// Serve has a broker without the cloud's door listen there. When it is closed, every
// connection ends, whatever became of it by then. Left to itself, mochi (v2.7.9) waits
// for ever for a client that is let in or forgotten at that very moment, or leaves one
// connected to a broker that is no more.
func Serve(server *mochi.Server, l net.Listener) error {
	door := &door{Listener: l, open: map[net.Conn]bool{}}
	return server.AddListener(listener{listeners.NewNet("t", door)})
}

type listener struct{ *listeners.Net }

// Close implements listeners.Listener.
func (l listener) Close(listeners.CloseFn) { l.Net.Close(func(string) {}) }

// door ends its connections when it is closed.
type door struct {
	net.Listener

	mu     sync.Mutex
	open   map[net.Conn]bool
	closed bool
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		_ = c.Close()
		return nil, net.ErrClosed
	}
	d.open[c] = true
	return &conn{c, d}, nil
}

// Close implements net.Listener.
func (d *door) Close() error {
	err := d.Listener.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for c := range d.open {
		_ = c.Close()
	}
	return err
}

type conn struct {
	net.Conn
	door *door
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.door.mu.Lock()
	delete(c.door.open, c.Conn)
	c.door.mu.Unlock()
	return c.Conn.Close()
}
