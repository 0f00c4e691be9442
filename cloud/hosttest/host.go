// Package hosttest gives tests addresses to listen at. A port that was asked of the
// system and given back may be another's before it is taken again.
package hosttest

import (
	"fmt"
	"os"
	"sync/atomic"
)

var given atomic.Int32

// New gives an address on loopback, 127.x.y.z, at which each port is free, and stays
// so for whoever comes back to it: no other call on this machine is given it, in this
// process (1,250 calls) or in another one (12,750 of them).
func New() string {
	n, pid := int(given.Add(1)), os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d", 1+pid%250, pid/250%51*5+n/250, 1+n%250)
}
