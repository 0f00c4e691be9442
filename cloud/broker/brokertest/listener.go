package brokertest

import (
	"net"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Listener is one for a broker without the cloud's door, that can be closed while a
// client leaves: mochi's own way (v2.7.9, Clients.GetByListener) takes a lock for
// reading twice, and waits for ever where a client is forgotten in between.
type Listener struct {
	*listeners.Net
	server *mochi.Server
}

// Over gives a broker what it listens at.
func Over(server *mochi.Server, l net.Listener) Listener {
	return Listener{listeners.NewNet("t", l), server}
}

// Close implements listeners.Listener.
func (l Listener) Close(listeners.CloseFn) {
	l.Net.Close(func(string) {
		for _, client := range l.server.Clients.GetAll() {
			if client.Net.Listener == l.ID() && !client.Closed() {
				_ = l.server.DisconnectClient(client, packets.ErrServerShuttingDown) // gives the code itself
			}
		}
	})
}
