package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/packets"

	"ekassa/agent/listen"
	"ekassa/agent/receipt"
	"ekassa/agent/register/simulator"
	"ekassa/cloud/broker/brokertest"
	"ekassa/cloud/wire"
)

// testFleet is a small cloud: it enrolls one agent, and stores what that tells.
type testFleet struct {
	testing.TB
	addr   string // of the broker, TLS with the agents' own certificates
	key    *ecdsa.PrivateKey
	cert   *x509.Certificate
	serial int64
	tls    *tls.Config
	broker *mochi.Server

	enrolled atomic.Bool // its code is used up

	mu        sync.Mutex
	records   map[[2]int64][]byte
	presences []wire.Presence
	reported  wire.Reported
	results   map[string]wire.Result
}

const (
	fleetAgent = "baku-0001"
	fleetCode  = "KHZ4-9TQW"
)

func newFleet(t testing.TB) *testFleet {
	t.Helper()
	f := &testFleet{TB: t, addr: newHost() + ":8883", records: map[[2]int64][]byte{}, results: map[string]wire.Result{}}
	var err error
	if f.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	f.cert = &x509.Certificate{Subject: pkix.Name{CommonName: "cloud"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	f.cert = f.sign(f.cert, f.key.Public())
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	host, _, _ := net.SplitHostPort(f.addr)
	server := f.sign(&x509.Certificate{IPAddresses: []net.IP{net.ParseIP(host)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, own.Public())
	agents := x509.NewCertPool()
	agents.AddCert(f.cert)
	f.tls = &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{server.Raw}, PrivateKey: own}}, ClientCAs: agents, ClientAuth: tls.RequireAndVerifyClientCert,
	}
	f.open()
	t.Cleanup(f.close)
	return f
}

func (f *testFleet) sign(c *x509.Certificate, key any) *x509.Certificate {
	f.Helper()
	f.serial++
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(f.serial), time.Now().Add(-time.Minute), time.Now().Add(24*time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, c, f.cert, key, f.key)
	if err == nil {
		c, err = x509.ParseCertificate(der)
	}
	if err != nil {
		f.Fatal(err)
	}
	return c
}

func (f *testFleet) open() {
	f.Helper()
	l, err := listen.TCP(f.addr)
	if err != nil {
		f.Fatal(err)
	}
	f.broker = mochi.New(&mochi.Options{Logger: slog.New(slog.DiscardHandler), InlineClient: true})
	err = errors.Join(
		f.broker.AddHook(new(auth.AllowHook), nil),
		brokertest.Serve(f.broker, tls.NewListener(l, f.tls)),
		f.broker.Subscribe("ekassa/v1/+/+", 1, f.take),
		f.broker.Serve(),
	)
	if err != nil {
		f.Fatal(err)
	}
}

func (f *testFleet) close() {
	f.Helper()
	if err := f.broker.Close(); err != nil {
		f.Error(err)
	}
}

// ServeHTTP enrolls.
func (f *testFleet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var e wire.Enrolment
	if err := json.NewDecoder(r.Body).Decode(&e); err != nil || r.URL.Path != "/api/v1/enroll" || e.Code != fleetCode || f.enrolled.Swap(true) {
		http.Error(w, `{"title":"no such code"}`, http.StatusForbidden)
		return
	}
	block, _ := pem.Decode([]byte(e.Request))
	asked, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		f.Error(err)
		return
	}
	own := f.sign(&x509.Certificate{Subject: pkix.Name{CommonName: fleetAgent}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, asked.PublicKey)
	text := func(c *x509.Certificate) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	_ = json.NewEncoder(w).Encode(wire.Enrolled{Agent: fleetAgent, Broker: "mqtts://" + f.addr, Certificate: text(own), Authority: text(f.cert)})
}

func (f *testFleet) take(_ *mochi.Client, _ packets.Subscription, p packets.Packet) {
	agent, last, ok := wire.ParseTopic(p.TopicName)
	if !ok || agent != fleetAgent {
		f.Errorf("topic %s", p.TopicName)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var err error
	switch last {
	case wire.TopicPresence:
		var x wire.Presence
		err = json.Unmarshal(p.Payload, &x)
		f.presences = append(f.presences, x)
	case wire.TopicReported:
		err = json.Unmarshal(p.Payload, &f.reported)
	case wire.TopicResult:
		var x wire.Result
		err = json.Unmarshal(p.Payload, &x)
		f.results[x.ID] = x
	case wire.TopicReport:
		var r wire.Record
		if r, err = wire.ParseRecord(p.Payload); err == nil {
			f.store(r, p.Payload)
		}
	}
	if err != nil {
		f.Errorf("%s: %v", last, err)
	}
}

func (f *testFleet) store(r wire.Record, payload []byte) {
	at := [2]int64{r.Epoch, r.Seq}
	if was, again := f.records[at]; again && !bytes.Equal(was, payload) {
		f.Errorf("record %d was told with other content:\n%s\n%s", r.Seq, was, payload)
	}
	f.records[at] = bytes.Clone(payload)
	a := wire.Ack{Epoch: r.Epoch}
	for f.records[[2]int64{r.Epoch, a.UpTo + 1}] != nil {
		a.UpTo++
	}
	if a.UpTo < r.Seq {
		a.Missing = []wire.Range{{From: a.UpTo + 1, To: r.Seq - 1}}
	}
	go f.say(wire.TopicAck, a)
}

func (f *testFleet) say(last string, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		f.Error(err)
	}
	f.mu.Lock()
	broker := f.broker
	f.mu.Unlock()
	_ = broker.Publish(wire.Topic(fleetAgent, last), data, last == wire.TopicDesired, 1) // it may be closed: repeated
}

// enroll makes a shop's agent the fleet's.
func (f *testFleet) enroll(s *shop) {
	f.Helper()
	web := httptest.NewServer(f)
	defer web.Close()
	// The shop's own file is JSON, into which nothing can be added.
	file := filepath.Join(f.TempDir(), "agent.yaml")
	if err := os.WriteFile(file, []byte("data_dir: "+s.dir+"\n"), 0o600); err != nil {
		f.Fatal(err)
	}
	command(f, agentBinary, "enroll", "--cloud", web.URL, "--code", fleetCode, "--config", file).ok(f)
	s.config["cloud"] = object{"broker": "mqtts://" + f.addr, "agent_id": fleetAgent}
	s.write()
}

// hears waits until the fleet has every record without a gap, and by these n
// receipts that are fiscal.
func (f *testFleet) hears(n int) {
	f.Helper()
	eventually(f, fmt.Sprintf("the cloud has %d fiscal receipts", n), func() bool {
		states, _ := f.last()
		for _, s := range states {
			if s != string(receipt.Fiscal) {
				return false
			}
		}
		return len(states) == n
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	for at := range f.records {
		for seq := range at[1] {
			if seq > 0 && f.records[[2]int64{at[0], seq}] == nil {
				f.Errorf("the cloud has record %d of epoch %d, and not %d", at[1], at[0], seq)
			}
		}
	}
}

// last gives each receipt's state as it was told last, and how often a type was told.
func (f *testFleet) last() (states map[string]string, types map[string]int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	states, types = map[string]string{}, map[string]int{}
	newest := map[string][2]int64{}
	for at, payload := range f.records {
		r, err := wire.ParseRecord(payload)
		if err != nil {
			f.Fatal(err)
		}
		types[r.Type]++
		body, err := r.Body()
		if err != nil {
			f.Error(err)
		}
		if x, ok := body.(*wire.Receipt); ok && (at[0] > newest[x.ID][0] || at[0] == newest[x.ID][0] && at[1] > newest[x.ID][1]) {
			newest[x.ID], states[x.ID] = at, x.State
		}
	}
	return states, types
}

// order has a command done, and repeats it until it is answered, as the cloud does.
func (f *testFleet) order(t testing.TB, c wire.Command) (r wire.Result) {
	t.Helper()
	eventually(t, "an answer to "+c.Name, func() bool {
		f.say(wire.TopicCommand, c)
		time.Sleep(50 * time.Millisecond) // the cloud does not hurry either
		f.mu.Lock()
		defer f.mu.Unlock()
		var ok bool
		r, ok = f.results[c.ID]
		return ok
	})
	return r
}

// From the command line to the cloud's database, with everything killed once.
func TestCloud_EnrolledToldOrderedAndKilled(t *testing.T) {
	t.Parallel()
	sim := register(t, simulator.Config{})
	s := newShop(t, at(sim.Addr()))
	f := newFleet(t)
	web := httptest.NewServer(f)
	defer web.Close()
	file, err := os.ReadFile(s.file)
	if err != nil {
		t.Fatal(err)
	}
	oneLine(t, command(t, agentBinary, "enroll", "--cloud", web.URL, "--code", "wrong", "--config", s.file), "enroll at", "no such code")
	// agent.yaml as a person writes it: the rest must stand as it was.
	yaml := "# the shop's own words\n" + yamlOf(t, file)
	if err := os.WriteFile(s.file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, agentBinary, "enroll", "--cloud", web.URL, "--code", "KHZ4-9TQW", "--config", s.file).ok(t)
	if after, err := os.ReadFile(s.file); err != nil || !strings.HasPrefix(string(after), yaml) || !strings.Contains(string(after), fleetAgent) {
		t.Errorf("%v\n%s", err, after)
	}
	p := s.run()
	sold := 0
	sell := func(n int) {
		for range n {
			sold++
			s.till().Post("/v1/receipts", sale(fmt.Sprint("r", sold)))
		}
	}
	told := func() bool {
		states, _ := f.last()
		for n := 1; n <= sold; n++ {
			if states[fmt.Sprint("r", n)] != string(receipt.Fiscal) {
				return false
			}
		}
		return true
	}
	sell(3)
	eventually(t, "all are told", told)
	f.close() // a night without a network
	sell(5)
	s.reaches("r8", receipt.Fiscal)
	p.kill()
	p = s.run()
	f.mu.Lock()
	f.open()
	f.mu.Unlock()
	eventually(t, "what was sold meanwhile is told", told)

	x := f.order(t, wire.Command{ID: "x1", Name: wire.CommandXReport, TTLSeconds: 60})
	if !x.OK || !strings.Contains(string(x.Result), `"sales":{"count":8,"sum":"96.00"`) {
		t.Errorf("%+v: %s", x, x.Result)
	}
	p.kill()
	p = s.run()
	f.mu.Lock()
	f.results = map[string]wire.Result{}
	f.mu.Unlock()
	if again := f.order(t, wire.Command{ID: "x1", Name: wire.CommandXReport, TTLSeconds: 60}); string(again.Result) != string(x.Result) {
		t.Errorf("%s", again.Result)
	}
	if z := f.order(t, wire.Command{ID: "z1", Name: wire.CommandCloseShift, TTLSeconds: 60, Arguments: []byte(`{"register":"kassa-1","by":"Leyla"}`)}); !z.OK {
		t.Errorf("%+v", z)
	}
	eventually(t, "the reports are told, each once", func() bool {
		_, types := f.last()
		return types[wire.RecordXReport] == 1 && types[wire.RecordShiftClosed] == 1 && types[wire.RecordShiftOpened] == 1 && types[wire.RecordHealth] > 0
	})
	if logs := f.order(t, wire.Command{ID: "l1", Name: wire.CommandSendLogs, TTLSeconds: 60}); !logs.OK || !strings.Contains(string(logs.Result), "msg=ready") ||
		strings.Contains(string(logs.Result), merchant) || strings.Contains(string(logs.Result), s.token) {
		t.Errorf("%s", logs.Result)
	}
	f.mu.Lock()
	session := f.presences[len(f.presences)-1].Session
	f.mu.Unlock()
	if r := f.order(t, wire.Command{ID: "b1", Name: wire.CommandRestart, TTLSeconds: 60}); !r.OK {
		t.Errorf("%+v", r)
	}
	eventually(t, "it begins anew, in the same process", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		last := f.presences[len(f.presences)-1]
		return last.Online && last.Session > session
	})
	f.say(wire.TopicDesired, wire.Desired{Rev: 7, Settings: []byte(`{"language":"ru","terminals":[{"id":"till-1"}],"registers":[{"id":"kassa-1","driver":"azsmart","address":"` +
		sim.Addr() + `","merchant_id":"` + merchant + `","terminal":"till-1"}]}`)})
	eventually(t, "settings are taken and reported", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.reported.Rev == 7 && f.reported.State == wire.StateApplied
	})
	sell(1)
	eventually(t, "the last is told", told)
	if code, _ := p.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	eventually(t, "it says that it goes", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return !f.presences[len(f.presences)-1].Online
	})
	if n := len(sim.Ledger()); n != sold {
		t.Errorf("%d documents of %d receipts", n, sold)
	}
}

// yamlOf writes agent.yaml's mapping as people do, a key a line.
func yamlOf(t testing.TB, file []byte) string {
	t.Helper()
	var c map[string]json.RawMessage
	if err := json.Unmarshal(file, &c); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, key := range []string{"data_dir", "listen", "discovery", "settings"} {
		var line bytes.Buffer
		if err := json.Compact(&line, c[key]); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s: %s\n", key, &line)
	}
	return b.String()
}
