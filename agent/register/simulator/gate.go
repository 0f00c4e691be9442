package simulator

import (
	"net"
	"sync"
	"time"

	"ekassa/agent/listen"
)

// gate is a listener that can be taken away for a while and come back on the same
// address, as a register that reboots, and that can accept and close at once, as
// one whose program hangs.
type gate struct {
	addr string
	done chan struct{}

	mu        sync.Mutex
	inner     net.Listener
	conns     map[*gateConn]struct{}
	downUntil time.Time // nobody listens
	shutUntil time.Time // accepted and closed
	boots     int
	closed    bool
}

func openGate(addr string) (*gate, error) {
	inner, err := listen.TCP(addr)
	if err != nil {
		return nil, err
	}
	return &gate{addr: inner.Addr().String(), inner: inner, done: make(chan struct{}), conns: map[*gateConn]struct{}{}}, nil
}

// Accept waits for a connection, through outages.
func (g *gate) Accept() (net.Conn, error) {
	for {
		g.mu.Lock()
		inner, wait, closed := g.inner, time.Until(g.downUntil), g.closed
		g.mu.Unlock()
		switch {
		case closed:
			return nil, net.ErrClosed
		case inner == nil && wait > 0:
			if !g.pause(wait) {
				return nil, net.ErrClosed
			}
			continue
		case inner == nil:
			if err := g.reopen(); err != nil && !g.pause(20*time.Millisecond) { // someone else may have the port for a moment
				return nil, net.ErrClosed
			}
			continue
		}
		conn, err := inner.Accept()
		if err != nil {
			g.mu.Lock()
			taken := g.closed || g.inner != inner
			g.mu.Unlock()
			if taken {
				continue
			}
			return nil, err
		}
		if c := g.admit(conn); c != nil {
			return c, nil
		}
		_ = conn.Close()
	}
}

func (g *gate) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-g.done:
		return false
	}
}

func (g *gate) reopen() error {
	inner, err := listen.TCP(g.addr)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || g.inner != nil || time.Now().Before(g.downUntil) {
		return inner.Close()
	}
	g.inner = inner
	return nil
}

func (g *gate) admit(conn net.Conn) net.Conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || g.inner == nil || time.Now().Before(g.shutUntil) {
		return nil
	}
	c := &gateConn{Conn: conn, gate: g}
	g.conns[c] = struct{}{}
	return c
}

// outage starts one of the three outages: nobody gets in from now on. cut ends the
// connections that there are.
func (g *gate) outage(f Fault) (cut func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return func() {}
	}
	until := time.Now().Add(f.outage())
	if f.Name == Unreachable {
		g.shutUntil = until
	} else {
		g.downUntil = until
		if g.inner != nil {
			_ = g.inner.Close()
			g.inner = nil
		}
	}
	if f.Name == Reboot || f.Name == RebootAfter {
		g.boots++
	}
	return g.cut
}

func (g *gate) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		_ = c.Conn.Close()
	}
	clear(g.conns)
}

// bootCount tells requests from before a reboot from those after it.
func (g *gate) bootCount() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.boots
}

// Close stops listening for good. Connections live on.
func (g *gate) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	g.closed = true
	close(g.done)
	if g.inner != nil {
		return g.inner.Close()
	}
	return nil
}

// Addr is the address, also while nobody listens.
func (g *gate) Addr() net.Addr {
	a, _ := net.ResolveTCPAddr("tcp", g.addr)
	return a
}

type gateConn struct {
	net.Conn
	gate *gate
}

func (c *gateConn) Close() error {
	c.gate.mu.Lock()
	delete(c.gate.conns, c)
	c.gate.mu.Unlock()
	return c.Conn.Close()
}
