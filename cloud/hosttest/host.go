// Package hosttest gives tests addresses to listen at. A port that was asked of the
// system and given back may be another's before it is taken again.
package hosttest

import (
	"encoding/binary"
	"net/netip"
	"os"
	"sync/atomic"
)

// each process has so many addresses; only processes whose numbers are that far apart
// share theirs.
const (
	each      = 3_200
	processes = 5_000
)

var given atomic.Uint32

// New gives an address on loopback, 127.x.y.z, at which each port is free, and stays
// so for whoever comes back to it.
func New() string {
	n := given.Add(1)
	if n >= each {
		panic("a test process uses more loopback addresses than it has")
	}
	const first = 127<<24 | 1<<16
	var ip [4]byte
	binary.BigEndian.PutUint32(ip[:], first+uint32(os.Getpid()%processes)*each+n)
	return netip.AddrFrom4(ip).String()
}
