// Package hosttest gives tests addresses to listen at. A port that was asked of the
// system and given back may be another's before it is taken again.
package hosttest

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
)

// Each process has a block of so many addresses, of so many blocks.
const (
	each   = 3_200
	blocks = 5_000
)

var given atomic.Uint32

// mine is the block of this process, which is held by a socket in the kernel for as long
// as the process lives: no other one takes it.
var mine = sync.OnceValues(func() (block uint32, held net.Listener) {
	for n := range blocks {
		block := (os.Getpid() + n) % blocks
		if held, err := net.Listen("unix", fmt.Sprintf("@ekassa-hosttest-%d", block)); err == nil {
			return uint32(block), held
		}
	}
	panic("every block of loopback addresses is another test process's")
})

// New gives an address on loopback, 127.x.y.z, at which each port is free, and stays
// so for whoever comes back to it.
func New() string {
	n := given.Add(1)
	if n >= each {
		panic("a test process uses more loopback addresses than it has")
	}
	block, _ := mine()
	const first = 127<<24 | 1<<16
	var ip [4]byte
	binary.BigEndian.PutUint32(ip[:], first+block*each+n)
	return netip.AddrFrom4(ip).String()
}
