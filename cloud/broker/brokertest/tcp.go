package brokertest

import (
	"crypto/tls"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// TCP is mochi's own listener, for a broker without the cloud's door, that can be
// closed while a client leaves: its own way (v2.7.9, Clients.GetByListener) takes a
// lock for reading twice, and waits for ever where a client is forgotten in between.
type TCP struct {
	*listeners.TCP
	server *mochi.Server
}

// NewTCP gives one for a server, at an address; config may be nil.
func NewTCP(server *mochi.Server, addr string, config *tls.Config) TCP {
	return TCP{listeners.NewTCP(listeners.Config{ID: "t", Address: addr, TLSConfig: config}), server}
}

// Close implements listeners.Listener.
func (l TCP) Close(listeners.CloseFn) {
	l.TCP.Close(func(string) {
		for _, client := range l.server.Clients.GetAll() {
			if client.Net.Listener == l.ID() && !client.Closed() {
				_ = l.server.DisconnectClient(client, packets.ErrServerShuttingDown) // gives the code itself
			}
		}
	})
}
