package broker_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"ekassa/cloud/authority"
	"ekassa/cloud/broker"
	"ekassa/cloud/broker/brokertest"
	"ekassa/cloud/fleet"
	"ekassa/cloud/store"
)

// place is a broker with its fleet: the embedded one, or Mosquitto with the
// files that are shipped.
type place struct {
	testing.TB
	store store.Store
	own   *authority.Authority
	url   string

	publish func(topic string, retained bool, payload string)
	revoke  func(agent string) // what the cloud does once the store has it

	mu   sync.Mutex
	seen []string // topic=payload, of all that the cloud received
}

func both(t *testing.T, test func(p *place)) {
	for name, open := range map[string]func(*place){"embedded": embedded, "mosquitto": mosquitto} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := store.Open(t.Context(), "sqlite", t.TempDir(), time.Now)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			p := &place{TB: t, store: s}
			p.must(s.AddVenue(t.Context(), fleet.Venue{ID: "v", CreatedAt: time.Now()}))
			p.own, err = authority.Open(t.Context(), s, time.Now, slog.New(slog.DiscardHandler))
			p.must(err)
			open(p)
			test(p)
		})
	}
}

func (p *place) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

func (p *place) receive(topic string, payload []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, topic+"="+string(payload))
}

func (p *place) has(want string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.seen {
		if s == want {
			return true
		}
	}
	return false
}

var all = []string{"ekassa/v1/+/presence", "ekassa/v1/+/report", "ekassa/v1/+/reported", "ekassa/v1/+/result", "ekassa/v1/+/desired", "ekassa/v1/+/ack", "ekassa/v1/+/command"}

func embedded(p *place) {
	b, err := broker.Open(broker.Config{Listen: "127.0.0.1:0", TLS: p.own.Listen("127.0.0.1"), Gate: p.own, Log: slog.New(slog.DiscardHandler)})
	p.must(err)
	p.Cleanup(func() { p.must(b.Close()) })
	p.url = "mqtts://" + b.Addr()
	c, err := b.Attach(all, p.receive)
	p.must(err)
	p.Cleanup(func() { p.must(c.Close()) })
	p.publish = func(topic string, retained bool, payload string) {
		p.must(c.Publish(topic, 1, retained, []byte(payload)))
	}
	p.revoke = b.Drop
}

func mosquitto(p *place) {
	m := brokertest.MustMosquitto(p, p.own)
	p.url = m.URL
	stand := func(name string, made authority.Issued, err error) *client {
		c := p.dial(name, brokertest.Pair(p, made, err), nil)
		p.must(c.err)
		return c
	}
	made, err := p.own.Client(authority.CloudName(1))
	c := stand(authority.CloudName(1), made, err)
	filters := map[string]byte{}
	for _, f := range all {
		filters[f] = 1
	}
	p.must(wait(c.SubscribeMultiple(filters, func(_ mqtt.Client, m mqtt.Message) { p.receive(m.Topic(), m.Payload()) })))
	p.publish = func(topic string, retained bool, payload string) {
		p.must(wait(c.Publish(topic, 1, retained, payload)))
	}
	p.revoke = func(agent string) {
		m.Reload()
		// The cloud ends the live connection by taking its name over.
		made, err := p.own.Stand(agent)
		stand(agent, made, err)
	}
}

func wait(t mqtt.Token) error {
	if !t.WaitTimeout(10 * time.Second) {
		return errors.New("no answer")
	}
	return t.Error()
}

func (p *place) until(what string, holds func() bool) {
	p.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			p.Fatalf("waited in vain: %s", what)
		}
	}
}

// client is an agent's connection.
type client struct {
	mqtt.Client
	err  error
	conn net.Conn
	lost chan struct{}
	in   chan string
}

func (p *place) enrol(agent string) tls.Certificate {
	p.Helper()
	code := fleet.NewCode()
	p.must(p.store.AddEnrolment(p.Context(), fleet.Enrolment{Hash: fleet.HashCode(code), Venue: "v", Agent: agent, ExpiresAt: time.Now().Add(time.Hour)}))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p.must(err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	p.must(err)
	_, cert, err := p.own.Enrol(p.Context(), code, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})))
	p.must(err)
	block, _ := pem.Decode(cert)
	return tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: key}
}

func (p *place) dial(id string, pair tls.Certificate, change func(*mqtt.ClientOptions)) *client {
	c := &client{lost: make(chan struct{}), in: make(chan string, 100)}
	once := sync.OnceFunc(func() { close(c.lost) })
	secure := &tls.Config{RootCAs: p.own.Pool(), ServerName: "127.0.0.1", Certificates: []tls.Certificate{pair}}
	o := mqtt.NewClientOptions().AddBroker(p.url).SetClientID(id).SetUsername(id).SetProtocolVersion(4).SetAutoReconnect(false).
		SetConnectTimeout(10 * time.Second).
		SetCustomOpenConnectionFn(func(at *url.URL, _ mqtt.ClientOptions) (conn net.Conn, err error) {
			conn, err = tls.Dial("tcp", at.Host, secure)
			c.conn = conn
			return conn, err
		}).
		SetConnectionLostHandler(func(mqtt.Client, error) { once() }).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { c.in <- m.Topic() + "=" + string(m.Payload()) })
	if change != nil {
		change(o)
	}
	c.Client = mqtt.NewClient(o)
	c.err = wait(c.Connect())
	p.Cleanup(func() { c.Disconnect(0) })
	return c
}

func (p *place) gone(c *client, what string) {
	p.Helper()
	select {
	case <-c.lost:
	case <-time.After(20 * time.Second):
		p.Fatalf("%s: still connected", what)
	}
}

func TestAgent_HasItsOwnTopics(t *testing.T) {
	both(t, func(p *place) {
		p.publish("ekassa/v1/a/desired", true, "old") // retained for whoever comes later
		a := p.dial("a", p.enrol("a"), func(o *mqtt.ClientOptions) { o.SetWill("ekassa/v1/a/presence", "off", 1, true) })
		p.must(a.err)
		p.must(wait(a.SubscribeMultiple(map[string]byte{"ekassa/v1/a/desired": 1, "ekassa/v1/a/ack": 1, "ekassa/v1/a/command": 1}, nil)))
		for _, last := range []string{"presence", "reported", "report", "result"} {
			p.must(wait(a.Publish("ekassa/v1/a/"+last, 1, last == "presence", "1")))
			p.until(last+" arrives", func() bool { return p.has("ekassa/v1/a/" + last + "=1") })
		}
		for _, last := range []string{"ack", "command"} {
			p.publish("ekassa/v1/a/"+last, false, "2")
		}
		got := map[string]bool{}
		for len(got) < 3 {
			select {
			case m := <-a.in:
				got[m] = true
			case <-time.After(20 * time.Second):
				t.Fatalf("the agent has %v", got)
			}
		}
		if !got["ekassa/v1/a/desired=old"] || !got["ekassa/v1/a/ack=2"] || !got["ekassa/v1/a/command=2"] {
			t.Error(got)
		}
	})
}

func TestAgent_HasNobodyElses(t *testing.T) {
	both(t, func(p *place) {
		mine, theirs := p.enrol("a"), p.enrol("b")
		b := p.dial("b", theirs, nil)
		p.must(b.err)
		p.must(wait(b.SubscribeMultiple(map[string]byte{"ekassa/v1/b/desired": 1, "ekassa/v1/b/ack": 1, "ekassa/v1/b/command": 1}, nil)))

		// What a broker does about it differs: it refuses, cuts the connection, or
		// says yes and does nothing. What counts is that nothing arrives.
		forbidden := []string{
			"ekassa/v1/b/report", "ekassa/v1/b/presence", "ekassa/v1/b/reported", "ekassa/v1/b/result", // another's
			"ekassa/v1/b/desired", "ekassa/v1/b/ack", "ekassa/v1/b/command", // in the cloud's name
			"ekassa/v1/a/desired", "ekassa/v1/a/ack", "ekassa/v1/a/command", // in the cloud's name, to itself
		}
		for _, topic := range forbidden {
			a := p.dial("a", mine, nil)
			p.must(a.err)
			_ = wait(a.Publish(topic, 1, true, "forged"))
			a.Disconnect(50)
		}
		// A will is a publication too.
		if a := p.dial("a", mine, func(o *mqtt.ClientOptions) { o.SetWill("ekassa/v1/b/presence", "forged", 1, true) }); a.err == nil {
			cut(a)
		}
		for _, filter := range []string{"ekassa/v1/b/desired", "ekassa/v1/b/command", "ekassa/v1/+/desired", "ekassa/#", "#", "$share/x/ekassa/v1/b/desired", "+/+/+/+"} {
			a := p.dial("a", mine, nil)
			p.must(a.err)
			_ = wait(a.Subscribe(filter, 1, nil))
			p.publish("ekassa/v1/b/desired", true, "secret")
			p.publish("ekassa/v1/b/command", false, "secret")
			p.publish("ekassa/v1/b/ack", false, filter)
			for m := range b.in { // b has it, so a would have it too
				if m == "ekassa/v1/b/ack="+filter {
					break
				}
			}
			select {
			case m := <-a.in:
				t.Errorf("subscribed to %s, a has %s", filter, m)
			default:
			}
			a.Disconnect(50)
		}
		a := p.dial("a", mine, nil)
		p.must(a.err)
		p.must(wait(a.Publish("ekassa/v1/a/report", 1, false, "last")))
		p.until("what came last", func() bool { return p.has("ekassa/v1/a/report=last") })
		p.mu.Lock()
		for _, s := range p.seen {
			if strings.HasSuffix(s, "=forged") {
				t.Errorf("the cloud has %s", s)
			}
		}
		p.mu.Unlock()
		select {
		case <-b.lost:
			t.Error("b was thrown out by a")
		default:
		}

		// b's name with a's certificate; no certificate; another cloud's.
		if c := p.dial("b", mine, nil); c.err == nil {
			// Mosquitto takes it for a, as the certificate says.
			_ = wait(c.Publish("ekassa/v1/b/report", 1, false, "forged as b"))
			p.must(wait(c.Publish("ekassa/v1/a/report", 1, false, "after")))
			p.until("what came after", func() bool { return p.has("ekassa/v1/a/report=after") })
		}
		select {
		case <-b.lost:
			t.Error("b was thrown out by a under its name")
		default:
		}
		if p.has("ekassa/v1/b/report=forged as b") {
			t.Error("a speaks as b")
		}
		if c := p.dial("b", tls.Certificate{}, nil); c.err == nil {
			t.Error("no certificate, and let in")
		}
		foreign, err := store.Open(t.Context(), "sqlite", t.TempDir(), time.Now)
		p.must(err)
		defer foreign.Close()
		p.must(foreign.AddVenue(t.Context(), fleet.Venue{ID: "v", CreatedAt: time.Now()}))
		other := &place{TB: t, store: foreign}
		other.own, err = authority.Open(t.Context(), foreign, time.Now, slog.New(slog.DiscardHandler))
		p.must(err)
		if c := p.dial("b", other.enrol("b"), nil); c.err == nil {
			t.Error("another cloud's certificate, and let in")
		}
	})
}

// cut ends a connection without a word, so that the will is told.
func cut(c *client) { _ = c.conn.Close() }

func TestAgent_TheNewestConnectionStays(t *testing.T) {
	both(t, func(p *place) {
		pair := p.enrol("a")
		connect := func(n int) *client {
			c := p.dial("a", pair, func(o *mqtt.ClientOptions) { o.SetWill("ekassa/v1/a/presence", fmt.Sprint("off ", n), 1, true) })
			p.must(c.err)
			p.must(wait(c.Subscribe("ekassa/v1/a/ack", 1, nil)))
			p.must(wait(c.Publish("ekassa/v1/a/presence", 1, true, fmt.Sprint("on ", n))))
			return c
		}
		last := connect(0)
		for n := 1; n <= 10; n++ {
			next := connect(n)
			p.gone(last, "the one before")
			last = next
			p.until("the will of the one before", func() bool { return p.has(fmt.Sprint("ekassa/v1/a/presence=off ", n-1)) })
			p.publish("ekassa/v1/a/ack", false, fmt.Sprint(n))
			select {
			case m := <-last.in:
				if m != fmt.Sprint("ekassa/v1/a/ack=", n) {
					t.Errorf("%d: %s", n, m)
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("connection %d is deaf", n)
			}
		}
	})
}

func TestAgent_TakenBackIsOutAtOnceAndStaysOut(t *testing.T) {
	both(t, func(p *place) {
		pair, other := p.enrol("a"), p.enrol("b")
		a, b := p.dial("a", pair, nil), p.dial("b", other, nil)
		p.must(a.err)
		p.must(b.err)
		p.must(p.store.Revoke(t.Context(), "a", time.Now()))
		p.revoke("a")
		p.gone(a, "taken back")
		if c := p.dial("a", pair, nil); c.err == nil {
			t.Error("it was let in again")
		}
		p.must(wait(b.Publish("ekassa/v1/b/report", 1, false, "still"))) // nobody else is touched
		p.until("b is heard", func() bool { return p.has("ekassa/v1/b/report=still") })
		if c := p.dial("a", p.enrol("a"), nil); c.err != nil {
			t.Errorf("enrolled anew: %v", c.err)
		}
	})
}

func TestBroker_WaitsForNobodyWhoSaysNothing(t *testing.T) {
	if _, err := broker.Open(broker.Config{Listen: "0.0.0.0:0", Log: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "TLS") {
		t.Errorf("plain beyond loopback: %v", err)
	}
	gate := gate{"a": true, "inline": true}
	b, err := broker.Open(broker.Config{Listen: "127.0.0.1:0", Gate: gate, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	silent, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	dial := func(id, user string, change func(*mqtt.ClientOptions)) error {
		o := mqtt.NewClientOptions().AddBroker("mqtt://" + b.Addr()).SetClientID(id).SetUsername(user).SetProtocolVersion(4).SetAutoReconnect(false)
		if change != nil {
			change(o)
		}
		c := mqtt.NewClient(o)
		t.Cleanup(func() { c.Disconnect(0) })
		return wait(c.Connect())
	}
	if err := dial("a", "a", nil); err != nil {
		t.Errorf("by its name, without TLS: %v", err)
	}
	for name, err := range map[string]error{
		"unknown": dial("nobody", "nobody", nil), "another's user name": dial("a", "b", nil), "the cloud's own": dial("inline", "inline", nil), "no agent's": dial("_cloud-1", "_cloud-1", nil),
		"a session that stays": dial("a", "a", func(o *mqtt.ClientOptions) { o.SetCleanSession(false) }),
		"MQTT 3.1":             dial("a", "a", func(o *mqtt.ClientOptions) { o.SetProtocolVersion(3) }),
	} {
		if err == nil {
			t.Errorf("%s: let in", name)
		}
	}
	if n := b.Connected(); n != 1 {
		t.Errorf("%d are connected", n)
	}
	closed := make(chan error)
	go func() { closed <- b.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not close")
	}
	if _, err := silent.Read(make([]byte, 1)); err == nil {
		t.Error("the silent one is still connected")
	}
}

// Whoever begins a handshake and says no more keeps nobody from theirs, and a
// fleet that comes at once gets in.
func TestBroker_ManyComeAtOnce(t *testing.T) {
	s, err := store.Open(t.Context(), "sqlite", t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p := &place{TB: t, store: s}
	p.must(s.AddVenue(t.Context(), fleet.Venue{ID: "v", CreatedAt: time.Now()}))
	p.own, err = authority.Open(t.Context(), s, time.Now, slog.New(slog.DiscardHandler))
	p.must(err)
	embedded(p)
	for range 100 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "mqtts://"))
		p.must(err)
		defer conn.Close()
		_, err = conn.Write([]byte{22, 3, 1, 0, 100}) // a handshake's first bytes, of a hundred more
		p.must(err)
	}
	var all sync.WaitGroup
	for n := range 100 {
		name := fmt.Sprint("a", n)
		pair := p.enrol(name)
		all.Go(func() {
			p.until(name+" is let in", func() bool { return p.dial(name, pair, nil).err == nil })
		})
	}
	all.Wait()
}

type gate map[string]bool

func (g gate) Check(context.Context, *x509.Certificate) error { return errors.New("no TLS here") }

func (g gate) Known(_ context.Context, agent string) error {
	if !g[agent] {
		return errors.New("unknown")
	}
	return nil
}

func TestBroker_WaitsForNobodyWhoReadsNothing(t *testing.T) {
	b, err := broker.Open(broker.Config{Listen: "127.0.0.1:0", Gate: gate{"a": true, "b": true}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	c, err := b.Attach(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// By hand: CONNECT with a keep-alive of a minute, SUBSCRIBE to what it is sent,
	// and from then on nothing is read.
	hello := "\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a" + "\x82\x18\x00\x01\x00\x13ekassa/v1/a/command\x01"
	if _, err := conn.Write([]byte(hello)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 4+5)); err != nil { // CONNACK, and SUBACK perhaps
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		for range 2000 { // 200 MB are no socket's to hold
			if err := c.Publish("ekassa/v1/a/command", 1, false, make([]byte, 100_000)); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the cloud waits for one agent")
	}
}
