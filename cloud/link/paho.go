package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// Broker is one of its own, that is reached by MQTT.
type Broker struct {
	URL string // mqtt://host:port or mqtts://host:port
	// The broker keeps one connection of each ID.
	ID, Username, Password string
	TLS                    *tls.Config // for mqtts
}

// answer is how long a broker may take for one.
const answer = 10 * time.Second

// Dial connects with a client that is thrown away once the connection is lost
// (reliability.md A1).
func (b Broker) Dial(ctx context.Context, filters []string, deliver func(topic string, payload []byte)) (Conn, error) {
	c := &pahoConn{lost: make(chan error, 1)}
	o := mqtt.NewClientOptions().
		AddBroker(b.URL).
		SetClientID(b.ID).SetUsername(b.Username).SetPassword(b.Password).
		SetProtocolVersion(4). // else a refusal is tried again as MQTT 3.1
		SetCleanSession(true).SetAutoReconnect(false).SetConnectRetry(false).
		SetKeepAlive(20 * time.Second).SetPingTimeout(answer).SetConnectTimeout(answer).
		SetWriteTimeout(answer / 2). // else a stuck publish blocks the pings
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { c.lose(err) }).
		// In order, on paho's own goroutine: while it waits for room, the broker
		// waits too.
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { deliver(m.Topic(), m.Payload()) })
	if strings.HasPrefix(b.URL, "mqtts:") {
		o.SetTLSConfig(b.TLS.Clone())
	}
	c.client = mqtt.NewClient(o)
	err := c.wait(ctx, "connect to "+b.URL, c.client.Connect())
	for at := 0; err == nil && at < len(filters); at += 8 { // brokers exist that take no more in one request
		err = c.subscribe(ctx, filters[at:min(at+8, len(filters))])
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

type pahoConn struct {
	client mqtt.Client
	lost   chan error
}

func (c *pahoConn) Lost() <-chan error { return c.lost }

func (c *pahoConn) lose(err error) {
	select {
	case c.lost <- err:
	default: // known already
	}
}

func (c *pahoConn) wait(ctx context.Context, what string, t mqtt.Token) error {
	timeout := time.NewTimer(answer + time.Second) // paho's own goes first where it has one
	defer timeout.Stop()
	select {
	case <-t.Done():
		if err := t.Error(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	case err := <-c.lost:
		c.lose(err)
		return fmt.Errorf("%s: the connection was lost: %w", what, err)
	case <-timeout.C:
		return fmt.Errorf("%s: no answer in %s", what, answer)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
}

func (c *pahoConn) subscribe(ctx context.Context, filters []string) error {
	all := map[string]byte{}
	for _, f := range filters {
		all[f] = 1
	}
	t := c.client.SubscribeMultiple(all, nil)
	if err := c.wait(ctx, "subscribe", t); err != nil {
		return err
	}
	s, ok := t.(*mqtt.SubscribeToken)
	if !ok {
		return errors.New("subscribe: the answer cannot be read")
	}
	for filter, granted := range s.Result() {
		if granted > 1 {
			return fmt.Errorf("subscribe to %s: the broker refuses it; its access list must let the cloud read and write ekassa/v1/#", filter)
		}
	}
	return nil
}

// Publish does not wait for the broker's answer, which is no proof of anything
// that matters.
func (c *pahoConn) Publish(topic string, qos byte, retained bool, payload []byte) error {
	t := c.client.Publish(topic, qos, retained, payload)
	select {
	case <-t.Done():
		return t.Error()
	default:
		return nil
	}
}

func (c *pahoConn) Close() error {
	c.client.Disconnect(100)
	return nil
}
