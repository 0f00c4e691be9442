package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"ekassa/cloud/wire"
)

const doorID = "agents"

// door takes connections. mochi's own listeners go deaf at the first failed
// accept, such as one for want of file descriptors, and wait for ever for
// whoever says nothing.
type door struct {
	b    *Broker
	once sync.Once
	all  sync.WaitGroup
}

func (d *door) Init(*slog.Logger) error { return nil }
func (d *door) ID() string              { return doorID }
func (d *door) Address() string         { return d.b.Addr() }
func (d *door) Protocol() string        { return "tcp" }

// Serve takes connections until the door is closed.
func (d *door) Serve(establish listeners.EstablishFn) {
	for {
		conn, err := d.b.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			d.b.Log.Warn("the broker cannot take a connection and goes on trying", "error", err)
			time.Sleep(100 * time.Millisecond)
		default:
			d.b.mu.Lock()
			if d.b.closed {
				_ = conn.Close()
			} else {
				d.all.Go(func() { d.b.serve(conn, establish) })
			}
			d.b.mu.Unlock()
		}
	}
}

// Close stops taking connections, and waits for those that there are.
func (d *door) Close(listeners.CloseFn) {
	d.once.Do(func() { _ = d.b.listener.Close() }) // nothing was written to it
	d.all.Wait()
}

// hook is what mochi asks.
type hook struct {
	mochi.HookBase
	b *Broker
}

func (h *hook) ID() string { return "fleet" }

func (h *hook) Provides(b byte) bool {
	return bytes.Contains([]byte{mochi.OnConnect, mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnPublish}, []byte{b})
}

// OnConnect refuses what the contract does not have.
func (h *hook) OnConnect(cl *mochi.Client, pk packets.Packet) error {
	if pk.ProtocolVersion != 4 || !pk.Connect.Clean {
		return errors.New("it speaks something else than MQTT 3.1.1 with a clean session")
	}
	if cl.State.Keepalive == 0 {
		cl.State.Keepalive = silent
	}
	return nil
}

// OnConnectAuthenticate lets an agent in under its own name.
func (h *hook) OnConnectAuthenticate(cl *mochi.Client, pk packets.Packet) bool {
	s, ok := cl.Net.Conn.(*session)
	if !ok {
		return false
	}
	if err := h.admit(s, cl, pk); err != nil {
		h.b.Log.Info("an agent was not let in", "agent", fmt.Sprintf("%.80q", cl.ID), "from", s.RemoteAddr().String(), "error", err)
		return false
	}
	return true
}

func (h *hook) admit(s *session, cl *mochi.Client, pk packets.Packet) error {
	if !wire.ValidAgent(cl.ID) || cl.ID == mochi.InlineClientId { // by which mochi calls the cloud's own
		return errors.New("the client id is no agent's")
	}
	if name := string(pk.Connect.Username); name != "" && name != cl.ID {
		return errors.New("user name and client id differ")
	}
	if s.cert != nil && s.cert.Subject.CommonName != cl.ID {
		return fmt.Errorf("the certificate is agent %.80q's", s.cert.Subject.CommonName)
	}
	// mochi publishes wills without asking OnACLCheck.
	if pk.Connect.WillFlag && !may(cl.ID, pk.Connect.WillTopic, true) {
		return errors.New("its will is for a topic that is not its own")
	}
	// Asked before it may end another's connection, and again once a Drop finds it.
	if err := h.ask(s, cl.ID); err != nil {
		return err
	}
	if err := h.b.enter(s, cl); err != nil {
		return err
	}
	return h.ask(s, cl.ID)
}

func (h *hook) ask(s *session, agent string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if s.cert != nil {
		return h.b.Gate.Check(ctx, s.cert)
	}
	return h.b.Gate.Known(ctx, agent)
}

// OnACLCheck is asked for each publication, subscription and delivery.
func (h *hook) OnACLCheck(cl *mochi.Client, topic string, write bool) bool {
	return cl.Net.Inline || may(cl.ID, topic, write)
}

// OnPublish lets an agent leave nothing behind but its presence.
func (h *hook) OnPublish(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	if !cl.Net.Inline && pk.TopicName != wire.Topic(cl.ID, wire.TopicPresence) {
		pk.FixedHeader.Retain = false
	}
	return pk, nil
}

func receive(deliver func(topic string, payload []byte)) mochi.InlineSubFn {
	return func(_ *mochi.Client, _ packets.Subscription, pk packets.Packet) { deliver(pk.TopicName, pk.Payload) }
}
