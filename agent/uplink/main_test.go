package uplink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"

	"ekassa/agent/journal"
	"ekassa/agent/listen"
	"ekassa/agent/receipt"
	"ekassa/cloud/broker/brokertest"
	"ekassa/cloud/hosttest"
	"ekassa/cloud/wire"
)

const agentID = "baku-0001"

// maxPacket is what the brokers of these tests take: a larger message ends the
// connection without a word, as MQTT 3.1.1 has it.
const maxPacket = 6_000

// broker is one that can be killed and started again at the same address.
type broker interface {
	start(t testing.TB, addr string)
	kill(t testing.TB)
}

// mochiBroker runs in this process.
type mochiBroker struct{ server *mochi.Server }

func (b *mochiBroker) start(t testing.TB, addr string) {
	t.Helper()
	o := &mochi.Options{Logger: slog.New(slog.DiscardHandler), Capabilities: mochi.NewDefaultServerCapabilities()}
	o.Capabilities.MaximumPacketSize = maxPacket
	l, err := listen.TCP(addr)
	if err != nil {
		t.Fatal(err)
	}
	b.server = mochi.New(o)
	if err := errors.Join(
		b.server.AddHook(new(auth.AllowHook), nil),
		brokertest.Serve(b.server, l),
		b.server.Serve(),
	); err != nil {
		t.Fatal(err)
	}
}

func (b *mochiBroker) kill(t testing.TB) {
	t.Helper()
	if err := b.server.Close(); err != nil {
		t.Fatal(err)
	}
}

// mosquitto is Debian's.
type mosquitto struct{ cmd *exec.Cmd }

func (b *mosquitto) start(t testing.TB, addr string) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(t.TempDir(), "mosquitto.conf")
	text := fmt.Sprintf("listener %s %s\nallow_anonymous true\nmax_packet_size %d\nuser root\n", port, host, maxPacket)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b.cmd = exec.Command("mosquitto", "-c", conf)
	if err := b.cmd.Start(); err != nil {
		t.Fatalf("start mosquitto: %v; apt-get install mosquitto", err)
	}
	until(t, "mosquitto listens", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (b *mosquitto) kill(t testing.TB) {
	t.Helper()
	if err := b.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = b.cmd.Wait() // killed
}

func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// newAddr gives an address that a broker can come back to.
func newAddr() string { return hosttest.New() + ":1883" }

// cloud is the far end: it stores each number once, and says what it has.
type cloud struct {
	t      testing.TB
	client mqtt.Client

	mu        sync.Mutex
	records   map[int64]map[int64]wire.Record
	bytes     map[place][]byte
	told      map[place]int // how often each came
	presences []wire.Presence
	reported  []wire.Reported
	results   []wire.Result
	deaf      bool                   // acknowledges nothing
	refuse    func(wire.Record) bool // does not store it
	plain     bool                   // says nothing beyond UpTo and Missing
	late      time.Duration          // what it says comes so much later
	flying    int                    // the most records that ever came without an ack between
	since     int
}

func dialCloud(t testing.TB, addr string) *cloud {
	t.Helper()
	c := &cloud{t: t, records: map[int64]map[int64]wire.Record{}, bytes: map[place][]byte{}, told: map[place]int{}}
	c.dial(addr)
	return c
}

func (c *cloud) dial(addr string) {
	c.t.Helper()
	o := mqtt.NewClientOptions().AddBroker("tcp://" + addr).SetClientID(fmt.Sprint("cloud-", time.Now().UnixNano())).
		SetAutoReconnect(false).SetProtocolVersion(4).SetOrderMatters(true)
	client := mqtt.NewClient(o)
	t := client.Connect()
	if t.Wait() && t.Error() != nil {
		c.t.Fatal(t.Error())
	}
	filters := map[string]byte{}
	for _, last := range []string{wire.TopicReport, wire.TopicPresence, wire.TopicReported, wire.TopicResult} {
		filters[wire.Topic("+", last)] = 1
	}
	if t := client.SubscribeMultiple(filters, func(_ mqtt.Client, m mqtt.Message) { c.take(client, m) }); t.Wait() && t.Error() != nil {
		c.t.Fatal(t.Error())
	}
	c.mu.Lock()
	c.client = client
	c.mu.Unlock()
	c.t.Cleanup(func() { client.Disconnect(50) })
}

func (c *cloud) take(client mqtt.Client, m mqtt.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	agent, last, ok := wire.ParseTopic(m.Topic())
	if !ok || agent != agentID {
		c.t.Errorf("topic %s", m.Topic())
	}
	read := func(v any) {
		if err := json.Unmarshal(m.Payload(), v); err != nil {
			c.t.Errorf("%s: %v: %s", last, err, m.Payload())
		}
	}
	switch last {
	case wire.TopicPresence:
		var p wire.Presence
		read(&p)
		c.presences = append(c.presences, p)
	case wire.TopicReported:
		var r wire.Reported
		read(&r)
		c.reported = append(c.reported, r)
	case wire.TopicResult:
		var r wire.Result
		read(&r)
		c.results = append(c.results, r)
	case wire.TopicReport:
		c.store(client, m.Payload())
	}
}

func (c *cloud) store(client mqtt.Client, payload []byte) {
	r, err := wire.ParseRecord(payload)
	if err == nil {
		_, err = r.Body()
	}
	if err != nil {
		c.t.Errorf("%v: %s", err, payload)
		return
	}
	at := place{r.Epoch, r.Seq}
	c.told[at]++
	c.since++
	c.flying = max(c.flying, c.since)
	if c.refuse == nil || !c.refuse(r) {
		if was, again := c.bytes[at]; again && !bytes.Equal(was, payload) {
			c.t.Errorf("number %d was told with other content: a clone?\n%s\n%s", r.Seq, was, payload)
		}
		if c.records[r.Epoch] == nil {
			c.records[r.Epoch] = map[int64]wire.Record{}
		}
		c.records[r.Epoch][r.Seq], c.bytes[at] = r, payload
	}
	if !c.deaf {
		c.ack(client, r.Epoch)
	}
}

func (c *cloud) ack(client mqtt.Client, epoch int64) {
	a := wire.Ack{Epoch: epoch}
	have := c.records[epoch]
	top := int64(0)
	for seq := range have {
		top = max(top, seq)
	}
	for seq := int64(1); seq <= top; seq++ {
		if _, ok := have[seq]; ok {
			if len(a.Missing) == 0 {
				a.UpTo = seq
			}
			continue
		}
		if n := len(a.Missing); n > 0 && a.Missing[n-1].To == seq-1 {
			a.Missing[n-1].To = seq
		} else {
			a.Missing = append(a.Missing, wire.Range{From: seq, To: seq})
		}
	}
	if c.since = 0; !c.plain {
		a.Top = top
	}
	if c.late == 0 {
		c.say(client, wire.TopicAck, a)
	} else {
		time.AfterFunc(c.late, func() { c.say(client, wire.TopicAck, a) })
	}
}

func (c *cloud) say(client mqtt.Client, last string, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		c.t.Error(err)
	}
	client.Publish(wire.Topic(agentID, last), 1, last == wire.TopicDesired, data)
}

func (c *cloud) send(last string, v any) {
	c.mu.Lock()
	client := c.client
	c.mu.Unlock()
	c.say(client, last, v)
}

// has says whether an epoch's records up to a number are all stored.
func (c *cloud) has(epoch, upTo int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for seq := int64(1); seq <= upTo; seq++ {
		if _, ok := c.records[epoch][seq]; !ok {
			return false
		}
	}
	return true
}

func (c *cloud) record(epoch, seq int64) wire.Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.records[epoch][seq]
}

func (c *cloud) with(do func(c *cloud) bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return do(c)
}

func (c *cloud) result(id string) (list []wire.Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.results {
		if r.ID == id {
			list = append(list, r)
		}
	}
	return list
}

// newCloudAndShop gives both, on a broker of this process.
func newCloudAndShop(t testing.TB) (*cloud, *shop) {
	t.Helper()
	addr := newAddr()
	b := &mochiBroker{}
	b.start(t, addr)
	t.Cleanup(func() { b.kill(t) })
	return dialCloud(t, addr), newShop(t, addr)
}

// shop is an agent's journal with an uplink on it.
type shop struct {
	t    testing.TB
	j    *journal.Journal
	addr string
	pace Pace

	mu       sync.Mutex
	register string // how it is reached
	reported wire.Reported
	applied  []int64
	done     []string // commands, as often as they were done
	block    chan struct{}
	restarts int
}

var quick = Pace{
	First: time.Millisecond, Retry: 20 * time.Millisecond, Ceil: 50 * time.Millisecond, Steady: time.Second, Answer: 3 * time.Second, Alive: 2 * time.Second,
	Window: 20, Again: 300 * time.Millisecond, Gap: 50 * time.Millisecond, Apart: 100 * time.Millisecond, Breath: time.Millisecond, Note: 10 * time.Millisecond,
	Look: 10 * time.Millisecond, Health: time.Hour, Change: 10 * time.Millisecond,
}

func newShop(t testing.TB, addr string) *shop {
	t.Helper()
	s := &shop{t: t, addr: addr, pace: quick}
	s.j = openJournal(t, filepath.Join(t.TempDir(), "data"))
	return s
}

func openJournal(t testing.TB, dir string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func (s *shop) sell(id string, items int) {
	s.t.Helper()
	list := strings.Repeat(`,{"name":"Plov","quantity":"1.5","price":"8.00"}`, items)[1:]
	body := fmt.Sprintf(`{"id":%q,"kind":"sale","time":"2026-11-23T19:05:12+04:00","items":[%s],"payments":{"cash":"%d.00"}}`, id, list, 12*items)
	r, f, err := receipt.Decode([]byte(body), receipt.Defaults{Fiscal: true, Tax: receipt.Tax{Type: receipt.VAT18}})
	if err != nil {
		s.t.Fatal(err)
	}
	if _, _, err := s.j.Accept("till-1", "kassa-1", r, f); err != nil {
		s.t.Fatal(err)
	}
}

// connect runs an uplink until stop, or the test's end.
func (s *shop) connect() (u *Uplink, stop func()) {
	s.t.Helper()
	u = New(Config{
		Agent: agentID, Broker: "mqtt://" + s.addr, Version: "1.2.3", Journal: s.j, Pace: s.pace,
		Log:      slog.New(slog.DiscardHandler),
		Reported: func() wire.Reported { s.mu.Lock(); defer s.mu.Unlock(); return s.reported },
		Apply: func(rev int64, settings []byte) wire.Reported {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.applied = append(s.applied, rev)
			s.reported = wire.Reported{Rev: rev, Judged: rev, State: wire.StateApplied}
			return s.reported
		},
		Health: func() wire.Health {
			s.mu.Lock()
			defer s.mu.Unlock()
			return wire.Health{Waiting: 1, Registers: []wire.RegisterHealth{{ID: "kassa-1", Link: s.register}}}
		},
		Do: func(ctx context.Context, c wire.Command) (any, error) {
			s.mu.Lock()
			s.done = append(s.done, c.ID)
			block := s.block
			s.mu.Unlock()
			if block != nil {
				select {
				case <-block:
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
			if c.Name == wire.CommandReprint {
				return nil, errors.New("paper is out")
			}
			return map[string]string{"did": c.Name}, nil
		},
		Restart: func() { s.mu.Lock(); s.restarts++; s.mu.Unlock() },
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- u.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
	s.t.Cleanup(stop)
	return u, stop
}

func (s *shop) last() int64 {
	s.t.Helper()
	list, err := s.j.Untold()
	if err != nil {
		s.t.Fatal(err)
	}
	return list[len(list)-1].Last
}

func (s *shop) settled() bool {
	n, err := s.j.Unacknowledged()
	if err != nil {
		s.t.Fatal(err)
	}
	return n == 0
}

func (s *shop) times(id string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.done {
		if d == id {
			n++
		}
	}
	return n
}

// both runs a test against the broker in this process and against Mosquitto.
func both(t *testing.T, test func(t *testing.T, b broker, addr string)) {
	for name, b := range map[string]broker{"mochi": &mochiBroker{}, "mosquitto": &mosquitto{}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := newAddr()
			b.start(t, addr)
			t.Cleanup(func() { b.kill(t) })
			test(t, b, addr)
		})
	}
}

func revs(list []wire.Reported) (out []int64) {
	for _, r := range list {
		out = append(out, r.Rev)
	}
	return slices.Compact(out)
}
