// Package listen opens TCP ports that are free again as soon as they are closed.
package listen

import (
	"net"
	"sync/atomic"
)

// TCP listens on an address, host:port, of which port 0 takes a free one. Once the
// listener is closed, its address can be taken again at once: by the next run within
// this process, or by a register that is switched on again in the same place.
//
// A closed [net.Listener] does not promise that. A program that is being started at
// that moment, in another thread, holds a copy of each of this process's sockets from
// fork to exec, and the kernel listens on for as long as a copy is open.
func TCP(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	return &listener{TCPListener: l.(*net.TCPListener)}, nil
}

type listener struct {
	*net.TCPListener
	closed atomic.Bool
}

// Accept implements net.Listener: after Close its error is [net.ErrClosed].
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.TCPListener.Accept()
	if err != nil && l.closed.Load() {
		return nil, net.ErrClosed
	}
	return c, err
}

// Close implements net.Listener.
func (l *listener) Close() error {
	if !l.closed.Swap(true) {
		end(l.TCPListener)
	}
	return l.TCPListener.Close()
}
