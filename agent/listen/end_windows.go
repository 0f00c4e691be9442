package listen

import "net"

// end has nothing to do: a program that is started inherits no socket here.
func end(*net.TCPListener) {}
