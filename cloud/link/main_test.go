package link_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"ekassa/cloud/authority"
	"ekassa/cloud/broker"
	"ekassa/cloud/broker/brokertest"
	"ekassa/cloud/fleet"
	"ekassa/cloud/link"
	"ekassa/cloud/store"
	"ekassa/cloud/wire"
)

// cloud is a store with a broker. Its clock can be moved.
type cloud struct {
	testing.TB
	store store.Store
	own   *authority.Authority
	url   string
	ids   int
	dial  func() link.Dial
	drop  func(ctx context.Context, agent string) error
	in    bool // the broker is within
	keeps bool // what an agent leaves at the broker is there for the cloud

	mosquitto *brokertest.Mosquitto

	mu    sync.Mutex
	ahead time.Duration
}

var quick = link.Pace{
	Retry: 10 * time.Millisecond, Ceil: 50 * time.Millisecond, Steady: time.Second, Room: 2 * time.Second,
	Memory: 1 << 20, Batch: 50, Linger: time.Millisecond, Tick: 10 * time.Millisecond, Again: 50 * time.Millisecond, Watch: 20 * time.Millisecond, Grace: time.Minute,
}

func (c *cloud) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *cloud) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *cloud) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// everywhere runs a test at each kind of broker.
func everywhere(t *testing.T, test func(t *testing.T, c *cloud)) {
	for name, open := range map[string]func(*cloud){"within": within, "mosquitto": mosquitto, "rabbitmq": rabbitmq} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			open(c)
			test(t, c)
		})
	}
}

func newCloud(t testing.TB) *cloud {
	t.Helper()
	c := &cloud{TB: t}
	var err error
	c.store, err = store.Open(t.Context(), "sqlite", t.TempDir(), c.now)
	c.must(err)
	t.Cleanup(func() { c.must(c.store.Close()) })
	c.must(c.store.AddVenue(t.Context(), fleet.Venue{ID: "v", CreatedAt: c.now()}))
	_, err = c.store.SetValue(t.Context(), "authority", key())
	c.must(err)
	c.own, err = authority.Open(t.Context(), c.store, c.now, slog.New(slog.DiscardHandler))
	c.must(err)
	return c
}

func within(c *cloud) {
	b, err := broker.Open(broker.Config{Listen: "127.0.0.1:0", Gate: c.own, TLS: c.own.Listen("127.0.0.1"), Log: slog.New(slog.DiscardHandler)})
	c.must(err)
	c.Cleanup(func() { c.must(b.Close()) })
	c.url, c.in, c.keeps = "mqtts://"+b.Addr(), true, true
	c.drop = func(_ context.Context, agent string) error { b.Drop(agent); return nil }
	c.dial = func() link.Dial {
		return func(_ context.Context, filters []string, deliver func(string, []byte)) (link.Conn, error) {
			return b.Attach(filters, deliver)
		}
	}
}

func mosquitto(c *cloud) {
	c.mosquitto = brokertest.MustMosquitto(c, c.own)
	c.url, c.keeps = c.mosquitto.URL, true
	c.dials(func() string { return c.url })
}

// dials has the cloud connect as its next process does.
func (c *cloud) dials(url func() string) {
	c.dial = func() link.Dial {
		c.ids++
		name := authority.CloudName(c.ids)
		made, err := c.own.Client(name)
		pair := brokertest.Pair(c, made, err)
		return link.Broker{URL: url(), ID: name, TLS: &tls.Config{RootCAs: c.own.Pool(), ServerName: "127.0.0.1", Certificates: []tls.Certificate{pair}}}.Dial
	}
}

// key is the authority's, one for all tests: RabbitMQ takes a while to start, and
// is shared by them.
var key = sync.OnceValue(func() []byte {
	dir, err := os.MkdirTemp("", "key")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	s, err := store.Open(ctx, "sqlite", dir, time.Now)
	if err != nil {
		panic(err)
	}
	defer s.Close()
	if _, err := authority.Open(ctx, s, time.Now, slog.New(slog.DiscardHandler)); err != nil {
		panic(err)
	}
	value, err := s.Value(ctx, "authority")
	if err != nil {
		panic(err)
	}
	return value
})

// rabbits is the cluster of this package's tests.
var rabbits struct {
	sync.Mutex // held by the one test that uses it: RabbitMQ knows clients by their id
	cluster    *brokertest.Rabbit
}

func TestMain(m *testing.M) {
	code := m.Run()
	if r := rabbits.cluster; r != nil {
		if err := r.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// rabbitmq is a cluster of three nodes: agents are connected to the first, and
// the cloud's processes to the others.
func rabbitmq(c *cloud) {
	rabbits.Lock()
	c.Cleanup(rabbits.Unlock)
	if rabbits.cluster == nil {
		var err error
		rabbits.cluster, err = brokertest.StartRabbit(c.own, "a", "b", authority.CloudName(1), authority.CloudName(2))
		c.must(err)
	}
	c.url = "mqtts://" + rabbits.cluster.Address(0)
	c.dials(func() string { return "mqtts://" + rabbits.cluster.Address(1+(c.ids+1)%2) })
}

// run starts a link, which ends with the test or by stop. It leads where lead
// says so.
func (c *cloud) run(s link.Store, lead bool, change func(*link.Config)) (l *link.Link, stop func()) {
	c.Helper()
	cfg := link.Config{Store: s, Dial: c.dial(), Within: c.in, Drop: c.drop, Now: c.now, Pace: quick, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	l = link.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	stop = sync.OnceFunc(func() { cancel(); parts.Wait() })
	c.Cleanup(stop)
	if lead { // first: a connection from before that hears nothing is given up
		parts.Go(func() { l.Lead(ctx) })
		c.until("the link leads", func() bool { _, leads := l.State(); return leads })
	}
	parts.Go(func() {
		if err := l.Run(ctx); err != nil {
			c.Error(err)
		}
	})
	c.until("the link is connected", func() bool { up, leads := l.State(); return up && leads == lead })
	return l, stop
}

func (c *cloud) until(what string, holds func() bool) {
	c.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			c.Fatalf("waited in vain: %s", what)
		}
	}
}

func (c *cloud) agent(id string) fleet.Agent {
	c.Helper()
	a, err := c.store.Agent(c.Context(), id)
	c.must(err)
	return a
}

// open are the codes of alerts that are not over.
func (c *cloud) open(code string) bool {
	c.Helper()
	list, err := c.store.Alerts(c.Context(), store.Filter{Limit: 1000})
	c.must(err)
	for _, a := range list {
		if a.Code == code && a.EndedAt.IsZero() {
			return true
		}
	}
	return false
}

// agent speaks as one.
type agent struct {
	*cloud
	id   string
	pair tls.Certificate

	client mqtt.Client
	lost   chan struct{}

	mu       sync.Mutex
	acks     []wire.Ack
	desired  []wire.Desired
	commands []wire.Command
	early    string // what is wrong with an ack
}

func (c *cloud) enrol(id string) *agent {
	c.Helper()
	code := fleet.NewCode()
	c.must(c.store.AddEnrolment(c.Context(), fleet.Enrolment{Hash: fleet.HashCode(code), Venue: "v", Agent: id, ExpiresAt: c.now().Add(time.Hour)}))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	c.must(err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	c.must(err)
	_, cert, err := c.own.Enrol(c.Context(), code, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})))
	c.must(err)
	block, _ := pem.Decode(cert)
	return &agent{cloud: c, id: id, pair: tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: key}}
}

// connect begins a session, and says so.
func (a *agent) connect(p wire.Presence) error {
	gone := p
	gone.Online = false
	will, err := json.Marshal(gone)
	a.must(err)
	ended := make(chan struct{}) // of this session, whoever looks at a.lost by then
	a.lost = ended
	lost := sync.OnceFunc(func() { close(ended) })
	o := mqtt.NewClientOptions().AddBroker(a.url).SetClientID(a.id).SetProtocolVersion(4).SetAutoReconnect(false).
		SetTLSConfig(&tls.Config{RootCAs: a.own.Pool(), ServerName: "127.0.0.1", Certificates: []tls.Certificate{a.pair}}).
		SetBinaryWill(wire.Topic(a.id, wire.TopicPresence), will, 1, true).
		SetConnectionLostHandler(func(mqtt.Client, error) { lost() }).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { a.take(m) })
	a.client = mqtt.NewClient(o)
	a.Cleanup(func() { a.client.Disconnect(0) })
	if err := wait(a.client.Connect()); err != nil {
		return err
	}
	filters := map[string]byte{}
	for _, last := range []string{wire.TopicDesired, wire.TopicAck, wire.TopicCommand} {
		filters[wire.Topic(a.id, last)] = 1
	}
	if err := wait(a.client.SubscribeMultiple(filters, nil)); err != nil {
		return err
	}
	return a.try(wire.TopicPresence, true, p)
}

func (a *agent) mustConnect(p wire.Presence) {
	a.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) { // as agents try
		err := a.connect(p)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			a.Fatalf("no broker takes %s: %v", a.id, err)
		}
	}
}

func wait(t mqtt.Token) error {
	if !t.WaitTimeout(10 * time.Second) {
		return errors.New("no answer")
	}
	return t.Error()
}

func (a *agent) try(last string, retained bool, v any) error {
	data, err := json.Marshal(v)
	a.must(err)
	return wait(a.client.Publish(wire.Topic(a.id, last), 1, retained, data))
}

func (a *agent) say(last string, v any) {
	a.Helper()
	a.must(a.try(last, last == wire.TopicPresence, v))
}

func (a *agent) take(m mqtt.Message) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var err error
	switch m.Topic() {
	case wire.Topic(a.id, wire.TopicAck):
		var ack wire.Ack
		err = json.Unmarshal(m.Payload(), &ack)
		a.acks = append(a.acks, ack)
		// What is acknowledged is in the database by now.
		stored, err := a.store.Acks(context.Background(), a.id)
		have := int64(0)
		for _, s := range stored {
			if s.Epoch == ack.Epoch {
				have = s.UpTo
			}
		}
		if err != nil || have < ack.UpTo {
			a.early = fmt.Sprintf("acknowledged up to %d, stored up to %d, %v", ack.UpTo, have, err)
		}
	case wire.Topic(a.id, wire.TopicDesired):
		var d wire.Desired
		err = json.Unmarshal(m.Payload(), &d)
		a.desired = append(a.desired, d)
	case wire.Topic(a.id, wire.TopicCommand):
		var x wire.Command
		err = json.Unmarshal(m.Payload(), &x)
		a.commands = append(a.commands, x)
	}
	if err != nil {
		a.Errorf("%s: %v", m.Topic(), err)
	}
}

func (a *agent) with(do func() bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return do()
}

// desiredFirst are the first settings that arrived. More may arrive meanwhile.
func (a *agent) desiredFirst() wire.Desired {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.desired[0]
}

// record is a receipt, or a command of another type.
func (a *agent) record(epoch, seq int64) wire.Record {
	data := fmt.Sprintf(`{"terminal":"till-1","id":"r-%d","kind":"sale","total":"%d.00","state":"fiscal","received_at":"2026-11-24T10:00:00Z"}`, seq, seq)
	return wire.Record{V: 1, Agent: a.id, Epoch: epoch, Seq: seq, Type: wire.RecordReceipt, Time: time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC), Data: json.RawMessage(data)}
}

func (a *agent) acked(epoch int64) (upTo int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.early != "" {
		a.Error(a.early)
	}
	for _, x := range a.acks {
		if x.Epoch == epoch {
			upTo = max(upTo, x.UpTo)
		}
	}
	return upTo
}
