package uplink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"ekassa/cloud/wire"
)

// link is one connection to the broker. It is never used again once lost.
type link struct {
	client  mqtt.Client
	answer  time.Duration
	lost    chan error
	in      chan message
	dropped atomic.Int64
}

type message struct {
	topic   string
	payload []byte
}

// incoming is how many messages may wait; more are dropped, since the cloud
// repeats whatever matters.
const incoming = 64

// maxIncoming is the most bytes of a message that are read: a hundred registers'
// settings have less.
const maxIncoming = 4 * wire.MaxMessage

// dial connects. The broker tells the will when we are gone without a word.
func (u *Uplink) dial(ctx context.Context, will wire.Presence) (*link, error) {
	l := &link{answer: u.Pace.Answer, lost: make(chan error, 1), in: make(chan message, incoming)}
	last, err := json.Marshal(will)
	if err != nil {
		return nil, fmt.Errorf("write the will: %w", err)
	}
	o := mqtt.NewClientOptions().
		AddBroker(u.Broker).
		SetClientID(u.Agent).
		SetProtocolVersion(4). // else a refusal is tried again as MQTT 3.1
		SetCleanSession(true).SetAutoReconnect(false).SetConnectRetry(false).
		SetKeepAlive(u.Pace.Alive).SetPingTimeout(u.Pace.Answer).SetConnectTimeout(u.Pace.Answer).
		SetWriteTimeout(max(time.Second, u.Pace.Answer/2)). // else a stuck publish blocks the pings
		SetBinaryWill(wire.Topic(u.Agent, wire.TopicPresence), last, 1, true).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { l.lose(err) }).
		// In order, on paho's own goroutine: receive never blocks.
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { l.receive(m) })
	if strings.HasPrefix(u.Broker, "mqtts:") {
		c, err := u.TLS()
		if err != nil {
			return nil, err
		}
		o.SetTLSConfig(c) // whose certificate says who it is: RabbitMQ refuses a user name beside it
	} else {
		o.SetUsername(u.Agent)
	}
	l.client = mqtt.NewClient(o)
	if err := l.wait(ctx, "connect to "+u.Broker, l.client.Connect()); err != nil {
		l.client.Disconnect(0)
		return nil, err
	}
	return l, nil
}

func (l *link) lose(err error) {
	select {
	case l.lost <- err:
	default: // known already
	}
}

func (l *link) receive(m mqtt.Message) {
	select {
	case l.in <- message{topic: m.Topic(), payload: m.Payload()}:
	default:
		l.dropped.Add(1)
	}
}

// wait until the broker has answered. An answer is never taken for more than
// that this connection works.
func (l *link) wait(ctx context.Context, what string, t mqtt.Token) error {
	timeout := time.NewTimer(l.answer + time.Second) // paho's own goes first where it has one
	defer timeout.Stop()
	select {
	case <-t.Done():
		if err := t.Error(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	case err := <-l.lost:
		l.lose(err)
		return fmt.Errorf("%s: the connection was lost: %w", what, err)
	case <-timeout.C:
		return fmt.Errorf("%s: no answer in %s", what, l.answer)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
}

func (l *link) subscribe(ctx context.Context, agent string, topics ...string) error {
	filters := map[string]byte{}
	for _, t := range topics {
		filters[wire.Topic(agent, t)] = 1
	}
	t := l.client.SubscribeMultiple(filters, nil)
	if err := l.wait(ctx, "subscribe", t); err != nil {
		return err
	}
	s, ok := t.(*mqtt.SubscribeToken)
	if !ok {
		return errors.New("subscribe: the answer cannot be read")
	}
	for topic, granted := range s.Result() {
		if granted > 1 {
			return fmt.Errorf("subscribe to %s: the broker refuses it; its access list must let each agent read its own topics", topic)
		}
	}
	return nil
}

// publish hands a message over. It is lost with the connection.
func (l *link) publish(topic string, retained bool, payload []byte) mqtt.Token {
	return l.client.Publish(topic, 1, retained, payload)
}

// received says whether the broker has taken a message, as far as is known.
func received(t mqtt.Token) bool {
	select {
	case <-t.Done():
		return t.Error() == nil
	default:
		return false
	}
}

func (l *link) close() { l.client.Disconnect(100) }
