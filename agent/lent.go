package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"

	"ekassa/agent/listen"
)

// lent is a socket that whoever started the program has opened and keeps: systemd
// may listen on port 80, and a service without capabilities may not. It is no way
// around a listen that fewer can reach: who would not reach that is hung up on.
type lent struct {
	net.Listener
	addr netip.AddrPort // listen's address, at the socket's port
}

// openTills opens the agent's own address, or takes the lent socket that has its port
// already; others are the lent sockets besides. One that cannot be served on is left
// alone: tills come by the agent's own.
func openTills(address string, sockets []*os.File, log *slog.Logger) (own net.Listener, others []net.Listener, err error) {
	addr, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, nil, fmt.Errorf("read listen %q: %w", address, err)
	}
	for _, f := range sockets {
		l, err := net.FileListener(f) // a copy, so that a further run has it too
		if err != nil {
			log.Warn("a socket that this program was started with is not served", "socket", f.Name(), "error", err)
			continue
		}
		at, err := netip.ParseAddrPort(l.Addr().String())
		if err != nil {
			log.Warn("a socket that this program was started with is not served: it has no port", "socket", f.Name(), "address", l.Addr().String())
			_ = l.Close()
			continue
		}
		l = &lent{l, netip.AddrPortFrom(addr.Addr(), at.Port())}
		if own == nil && at.Port() == addr.Port() {
			own = l
			continue
		}
		others = append(others, l)
	}
	if own == nil {
		if own, err = listen.TCP(address); err != nil {
			closeAll(others)
			return nil, nil, fmt.Errorf("listen for tills on %s: %w; stop the other program or choose another listen", address, errors.Unwrap(err))
		}
	}
	return own, others, nil
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		_ = l.Close() // of what is not closed already
	}
}

// Addr implements net.Listener: where it is served.
func (l *lent) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.addr) }

// Accept implements net.Listener.
func (l *lent) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil || l.serves(c.LocalAddr()) {
			return c, err
		}
		_ = c.Close() // it was told nothing
	}
}

// serves says whether listen serves those who called this machine by that address.
// "localhost" may be either of two, whichever of them is written in listen.
func (l *lent) serves(called net.Addr) bool {
	at, err := netip.ParseAddrPort(called.String())
	addr, own := at.Addr().Unmap().WithZone(""), l.addr.Addr().Unmap().WithZone("")
	return err == nil && (own.IsUnspecified() || addr == own || addr.IsLoopback() && own.IsLoopback())
}
