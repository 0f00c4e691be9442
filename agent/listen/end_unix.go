//go:build unix

package listen

import (
	"net"

	"golang.org/x/sys/unix"
)

// end makes the kernel listen no more, whoever holds a copy of the socket.
func end(l *net.TCPListener) {
	raw, err := l.SyscallConn()
	if err != nil {
		return // closed already
	}
	// Where this fails, closing does what it can.
	_ = raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RD) })
}
