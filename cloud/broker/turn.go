package broker

import (
	"crypto/tls"
	"errors"
	"net"
	"time"
)

// busy is how long a connection waits for its turn. A fleet that comes back at
// once asks for more than a small machine can do in the time that agents wait: to
// begin with everybody would be to finish with nobody. Who is turned away before
// anything was worked out comes again later, each at another moment.
const busy = patience / 4

var errBusy = errors.New("too many come at once; it may come again")

// turn lets few handshakes work at a time. While one waits for the other side it
// has no turn, so that nobody who says nothing keeps others from theirs.
type turn struct {
	net.Conn
	of  chan struct{}
	has bool
	out bool // no more is asked for: the handshake is over
}

func (t *turn) handshake(c *tls.Conn) error {
	err := c.Handshake()
	t.give()
	t.out = true
	return err
}

func (t *turn) Read(p []byte) (int, error) {
	t.give()
	n, err := t.Conn.Read(p)
	if err == nil && !t.out {
		err = t.take()
	}
	return n, err
}

func (t *turn) take() error {
	late := time.NewTimer(busy)
	defer late.Stop()
	select {
	case t.of <- struct{}{}:
		t.has = true
		return nil
	case <-late.C:
		return errBusy
	}
}

func (t *turn) give() {
	if t.has {
		<-t.of
		t.has = false
	}
}
