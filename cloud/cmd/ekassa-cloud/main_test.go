package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"ekassa/cloud/config"
	"ekassa/cloud/hosttest"
	"ekassa/cloud/store"
	"ekassa/cloud/store/storetest"
	"ekassa/cloud/wire"
)

// program is the real one, built once.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "ekassa-cloud")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "ekassa-cloud")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%v: %s", err, out))
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// process is one ekassa-cloud, and the operator in front of it.
type process struct {
	testing.TB
	dir   string
	web   string
	token string
	cmd   *exec.Cmd
	log   *os.File
}

// newProcess writes a cloud.yaml; more is added to it.
func newProcess(t testing.TB, more string) *process {
	t.Helper()
	p := &process{TB: t, dir: t.TempDir(), web: hosttest.New() + ":8788"}
	p.must(os.WriteFile(p.config(), []byte(fmt.Sprintf("data_dir: data\nlisten: %q\n%s\n", p.web, more)), 0o600))
	var err error
	p.log, err = os.Create(filepath.Join(p.dir, "log"))
	p.must(err)
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			log, _ := os.ReadFile(p.log.Name())
			t.Logf("%s", log)
		}
	})
	return p
}

func (p *process) config() string { return filepath.Join(p.dir, "cloud.yaml") }

func (p *process) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// run runs another command of the program.
func (p *process) run(args ...string) (string, error) {
	cmd := exec.Command(program, append(args, "--config", p.config())...)
	out, err := cmd.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		err = errors.New(string(failed.Stderr))
	}
	return string(out), err
}

func (p *process) addUser() {
	p.Helper()
	out, err := p.run("user", "add", "leyla", "--role", "admin", "--json")
	p.must(err)
	var made struct{ Password, Token string }
	p.must(json.Unmarshal([]byte(out), &made))
	if made.Password == "" || made.Token == "" {
		p.Fatal(out)
	}
	p.token = made.Token
}

func (p *process) start() {
	p.Helper()
	p.cmd = exec.Command(program, "serve", "--config", p.config())
	p.cmd.Stderr = p.log
	p.must(p.cmd.Start())
	p.until("it is ready", func() bool {
		r, err := http.Get("http://" + p.web + "/readyz")
		if err != nil {
			return false
		}
		defer r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
}

func (p *process) kill() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait() // killed
		p.cmd = nil
	}
}

// stop ends it in good order.
func (p *process) stop() {
	p.Helper()
	p.must(p.cmd.Process.Signal(syscall.SIGTERM))
	if err := p.cmd.Wait(); err != nil {
		p.Errorf("after SIGTERM: %v", err)
	}
	p.cmd = nil
}

func (p *process) until(what string, holds func() bool) {
	p.Helper()
	for end := time.Now().Add(3 * time.Minute); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			p.Fatalf("waited in vain: %s", what)
		}
	}
}

// call asks the API.
func (p *process) call(method, path string, body any, into any, headers ...string) int {
	p.Helper()
	data, err := json.Marshal(body)
	p.must(err)
	r, err := http.NewRequest(method, "http://"+p.web+"/api/v1"+path, bytes.NewReader(data))
	p.must(err)
	r.Header.Set("Authorization", "Bearer "+p.token)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	p.must(err)
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	p.must(err)
	if into != nil && answer.StatusCode < 300 {
		if err := json.Unmarshal(got, into); err != nil {
			p.Errorf("%s %s: %v: %s", method, path, err, got)
		}
	} else if answer.StatusCode >= 300 {
		p.Logf("%s %s: %d %s", method, path, answer.StatusCode, got)
	}
	return answer.StatusCode
}

// pi is an agent in software: it tells its records until they are acknowledged.
type pi struct {
	*process
	given wire.Enrolled
	key   *ecdsa.PrivateKey

	mu      sync.Mutex
	upTo    int64
	desired []wire.Desired
}

func (p *process) enrol(venue, agent string) *pi {
	p.Helper()
	var made struct{ Code string }
	if status := p.call("POST", "/enrolments", map[string]string{"venue": venue, "agent": agent}, &made); status != 201 && status != 200 {
		p.Fatalf("enrolment: %d", status)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p.must(err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	p.must(err)
	a := &pi{process: p, key: key}
	request := wire.Enrolment{Code: made.Code, Request: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))}
	if status := p.call("POST", "/enroll", request, &a.given); status != 200 || a.given.Agent != agent {
		p.Fatalf("enroll: %d %+v", status, a.given)
	}
	if status := p.call("POST", "/enroll", request, nil); status != 403 {
		p.Errorf("the code once more: %d", status)
	}
	return a
}

// connect gives a connection, with where its loss is told.
func (a *pi) connect(session int64) (mqtt.Client, <-chan struct{}, error) {
	block, _ := pem.Decode([]byte(a.given.Certificate))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(a.given.Authority))
	lost := make(chan struct{})
	o := mqtt.NewClientOptions().AddBroker(a.given.Broker).SetClientID(a.given.Agent).SetProtocolVersion(4).SetAutoReconnect(false).
		SetConnectTimeout(5 * time.Second).SetWriteTimeout(5 * time.Second).
		SetConnectionLostHandler(func(mqtt.Client, error) { close(lost) }).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { a.take(m) })
	if strings.HasPrefix(a.given.Broker, "mqtts:") {
		o.SetTLSConfig(&tls.Config{RootCAs: roots, Certificates: []tls.Certificate{{Certificate: [][]byte{block.Bytes}, PrivateKey: a.key}}})
	}
	c := mqtt.NewClient(o)
	filters := map[string]byte{}
	for _, last := range []string{wire.TopicDesired, wire.TopicAck, wire.TopicCommand} {
		filters[wire.Topic(a.given.Agent, last)] = 1
	}
	err := answered(c.Connect())
	if err == nil {
		err = answered(c.SubscribeMultiple(filters, nil))
	}
	if err == nil {
		err = a.say(c, wire.TopicPresence, true, wire.Presence{Online: true, Session: session, Epoch: 1})
	}
	if err == nil {
		err = a.say(c, wire.TopicReported, false, wire.Reported{})
	}
	if err != nil {
		c.Disconnect(0)
	}
	return c, lost, err
}

func answered(t mqtt.Token) error {
	if !t.WaitTimeout(5 * time.Second) {
		return errors.New("no answer")
	}
	return t.Error()
}

func (a *pi) say(c mqtt.Client, last string, retained bool, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return answered(c.Publish(wire.Topic(a.given.Agent, last), 1, retained, data))
}

func (a *pi) take(m mqtt.Message) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch m.Topic() {
	case wire.Topic(a.given.Agent, wire.TopicAck):
		var ack wire.Ack
		if json.Unmarshal(m.Payload(), &ack) == nil && ack.Epoch == 1 {
			a.upTo = max(a.upTo, ack.UpTo)
		}
	case wire.Topic(a.given.Agent, wire.TopicDesired):
		var d wire.Desired
		if json.Unmarshal(m.Payload(), &d) == nil {
			a.desired = append(a.desired, d)
		}
	}
}

func (a *pi) acked() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.upTo
}

func (a *pi) record(seq int64) wire.Record {
	data := fmt.Sprintf(`{"terminal":"till-1","id":"r-%d","kind":"sale","total":"1.00","state":"fiscal","received_at":"2026-11-24T10:00:00Z"}`, seq)
	return wire.Record{V: 1, Agent: a.given.Agent, Epoch: 1, Seq: seq, Type: wire.RecordReceipt, Time: time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC), Data: json.RawMessage(data)}
}

// tell keeps at it until n records are acknowledged, whatever becomes of cloud
// and broker meanwhile.
func (a *pi) tell(n int64, window int64) {
	for session := int64(1); a.acked() < n; session++ {
		c, lost, err := a.connect(session)
		if err != nil {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		for a.acked() < n && err == nil {
			from := a.acked()
			for seq := from + 1; seq <= min(n, from+window) && err == nil; seq++ {
				err = a.say(c, wire.TopicReport, false, a.record(seq))
			}
			for wait := 0; wait < 100 && a.acked() == from && err == nil; wait++ {
				select {
				case <-lost:
					err = errors.New("lost")
				case <-time.After(5 * time.Millisecond):
				}
			}
		}
		c.Disconnect(0)
	}
}

func TestCloud_FromTheFirstUserToARevokedAgent(t *testing.T) {
	t.Parallel()
	mqttAt := hosttest.New() + ":8883"
	p := newProcess(t, fmt.Sprintf("broker: {embedded: %q, public: \"mqtts://%s\"}", mqttAt, mqttAt))
	p.addUser()
	p.start()
	if _, err := p.run("user", "add", "leyla", "--role", "viewer"); err == nil || strings.Count(err.Error(), "\n") != 1 || !strings.Contains(err.Error(), "leyla") {
		t.Errorf("the same user again: %v", err)
	}
	if status := p.call("POST", "/venues", map[string]string{"id": "baku-01", "name": "Nizami"}, nil); status != 201 && status != 200 {
		t.Fatalf("venue: %d", status)
	}
	a := p.enrol("baku-01", "baku-01-a")
	if a.given.Broker != "mqtts://"+mqttAt {
		t.Fatalf("%+v", a.given)
	}
	a.tell(30, 10)
	var receipts struct{ Items []any }
	if status := p.call("GET", "/agents/baku-01-a/receipts", nil, &receipts); status != 200 || len(receipts.Items) != 30 {
		t.Errorf("receipts: %d, %d", status, len(receipts.Items))
	}
	c, lost, err := a.connect(99)
	p.must(err)
	var view struct {
		Online   bool
		Settings struct {
			Desired, Reported int64
			State             string
		}
	}
	p.until("it is shown online", func() bool { p.call("GET", "/agents/baku-01-a", nil, &view); return view.Online })

	// Settings: pushed at once, and shown as what became of them.
	settings := map[string]any{"language": "ru"}
	if status := p.call("PUT", "/agents/baku-01-a/settings", settings, nil, "If-Match", `"0"`); status != 200 {
		t.Fatalf("settings: %d", status)
	}
	p.until("they arrive", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return len(a.desired) > 0 && a.desired[0].Rev == 1 && strings.Contains(string(a.desired[0].Settings), `"language":"ru"`)
	})
	p.must(a.say(c, wire.TopicReported, false, wire.Reported{Rev: 1, Judged: 1, State: wire.StateApplied}))
	p.until("they are applied", func() bool {
		p.call("GET", "/agents/baku-01-a", nil, &view)
		return view.Settings.State == wire.StateApplied && view.Settings.Reported == 1
	})

	// Taken back: out at once, and not in again.
	if status := p.call("POST", "/agents/baku-01-a/revoke", nil, nil); status >= 300 {
		t.Fatalf("revoke: %d", status)
	}
	select {
	case <-lost:
	case <-time.After(10 * time.Second):
		t.Fatal("its connection holds")
	}
	if _, _, err := a.connect(100); err == nil {
		t.Error("it is let in again")
	}
	p.until("the revocation list is written", func() bool {
		_, err := os.Stat(filepath.Join(p.dir, "data", "revoked.pem"))
		return err == nil
	})
	copied := filepath.Join(p.dir, "copy.db")
	if out, err := p.run("backup", "--out", copied); err != nil || !strings.Contains(out, copied) {
		t.Errorf("backup: %s %v", out, err)
	}
	p.stop()
}

// kept checks that the database has each record up to n, once.
func (p *process) kept(agent string, n int) {
	p.Helper()
	cfg, err := config.Load(p.config())
	p.must(err)
	s, err := store.Open(p.Context(), cfg.Database, cfg.DataDir, time.Now)
	p.must(err)
	defer s.Close()
	list, err := s.Receipts(p.Context(), agent, store.Filter{Limit: 10 * n})
	p.must(err)
	seen := map[string]bool{}
	for _, r := range list {
		seen[r.ID] = true
	}
	acks, err := s.Acks(p.Context(), agent)
	p.must(err)
	if len(list) != n || len(seen) != n || len(acks) != 1 || acks[0].UpTo != int64(n) {
		p.Errorf("%s: %d receipts, %d different, %+v; %d were told", agent, len(list), len(seen), acks, n)
	}
	alerts, err := s.Alerts(p.Context(), store.Filter{Limit: 1000})
	p.must(err)
	for _, a := range alerts {
		if a.Code == store.AlertCloned {
			p.Errorf("%+v", a)
		}
	}
}

func TestCloud_KilledUnderLoadLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	p := newProcess(t, fmt.Sprintf("broker: {embedded: %q}", hosttest.New()+":1883"))
	p.addUser()
	p.start()
	p.call("POST", "/venues", map[string]string{"id": "v", "name": "v"}, nil)
	const n, agents, kills = 600, 3, 5
	var telling sync.WaitGroup
	var all []*pi
	for i := range agents {
		a := p.enrol("v", fmt.Sprintf("a%d", i))
		all = append(all, a)
		telling.Go(func() { a.tell(n, 20) })
	}
	for kill := range kills {
		at := int64(n * (kill + 1) / (kills + 1))
		p.until("so much is acknowledged", func() bool { return all[kill%agents].acked() >= at })
		p.kill()
		// What was acknowledged by now is there, whatever else happens.
		for _, a := range all {
			p.has(a.given.Agent, a.acked())
		}
		p.start()
	}
	telling.Wait()
	p.stop()
	for _, a := range all {
		p.kept(a.given.Agent, n)
	}
}

// has checks what the database of a process that is not running has.
func (p *process) has(agent string, upTo int64) {
	p.Helper()
	s, err := store.Open(p.Context(), "sqlite", filepath.Join(p.dir, "data"), time.Now)
	p.must(err)
	defer s.Close()
	acks, err := s.Acks(p.Context(), agent)
	p.must(err)
	if upTo > 0 && (len(acks) != 1 || acks[0].UpTo < upTo) {
		p.Errorf("%s was acknowledged up to %d, and the database has %+v", agent, upTo, acks)
	}
}

func TestClouds_ShareTheWorkAndOneMayDie(t *testing.T) {
	t.Parallel()
	cluster := storetest.MustPostgres(t)
	database := cluster.Database()
	// A broker that only the cloud's own commands have set up.
	setup := newProcess(t, fmt.Sprintf("database: %q", database))
	files, host := filepath.Join(t.TempDir(), "mosquitto"), hosttest.New()
	if out, err := setup.run("mosquitto", "--host", host, "--dir", files, "--processes", "2"); err != nil || !strings.Contains(out, "cloud.yaml") {
		t.Fatalf("%s %v", out, err)
	}
	setup.addUser()
	conf := filepath.Join(files, "mosquitto.conf")
	text, err := os.ReadFile(conf)
	setup.must(err)
	setup.must(os.WriteFile(conf, []byte("user root\n"+strings.Replace(string(text), "listener 8883", "listener 8883 "+host, 1)), 0o600))
	mosquitto := exec.Command("mosquitto", "-c", conf)
	if err := mosquitto.Start(); err != nil {
		t.Fatalf("start mosquitto: %v; apt-get install mosquitto", err)
	}
	t.Cleanup(func() { _ = mosquitto.Process.Kill(); _ = mosquitto.Wait() })

	var clouds []*process
	for n := 1; n <= 2; n++ {
		p := newProcess(t, fmt.Sprintf("database: %q\nbroker: {url: \"mqtts://%s:8883\", ca: %s/ca.pem, cert: %s/cloud-%d.pem, key: %s/cloud-%d.key, shared: true}", database, host, files, files, n, files, n))
		p.token = setup.token
		p.start()
		clouds = append(clouds, p)
	}
	clouds[0].call("POST", "/venues", map[string]string{"id": "v", "name": "v"}, nil)
	const n = 400
	var telling sync.WaitGroup
	var all []*pi
	for i := range 2 {
		a := clouds[i].enrol("v", fmt.Sprintf("a%d", i))
		all = append(all, a)
		telling.Go(func() { a.tell(n, 20) })
	}
	for kill := range 3 { // in turn; whoever leads is among them
		at := int64(n * (kill + 1) / 4)
		clouds[0].until("so much is acknowledged", func() bool { return all[0].acked() >= at && all[1].acked() >= at })
		clouds[kill%2].kill()
		clouds[kill%2].start()
	}
	telling.Wait()
	for i := range 2 {
		clouds[0].kept(fmt.Sprintf("a%d", i), n)
	}
	leads := func() (count int) {
		for _, p := range clouds {
			r, err := http.Get("http://" + p.web + "/metrics")
			p.must(err)
			body, err := io.ReadAll(r.Body)
			p.must(errors.Join(err, r.Body.Close()))
			if strings.Contains(string(body), "\nekassa_cloud_leads 1\n") {
				count++
			}
		}
		return count
	}
	clouds[0].until("one leads", func() bool { return leads() == 1 })

	// Taken back at one process: its connection to Mosquitto is ended by the cloud.
	c, lost, err := all[0].connect(1000)
	clouds[1].must(err)
	defer c.Disconnect(0)
	if status := clouds[1].call("POST", "/agents/a0/revoke", nil, nil); status >= 300 {
		t.Fatalf("revoke: %d", status)
	}
	select {
	case <-lost:
	case <-time.After(time.Minute): // what could not be ended is tried again
		t.Error("its connection holds")
	}
	for _, p := range clouds {
		p.stop()
	}
}

func TestCommands_SayWhatIsWrong(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "brokre: {}")
	for _, args := range [][]string{{"serve"}, {"user", "add", "x", "--role", "admin"}, {"backup", "--out", "x"}} {
		if _, err := p.run(args...); err == nil || !strings.Contains(err.Error(), `unknown field "brokre"`) || strings.Count(err.Error(), "\n") != 1 {
			t.Errorf("%v: %v", args, err)
		}
	}
	p = newProcess(t, "")
	if _, err := p.run("user", "add", "x", "--role", "owner"); err == nil || !strings.Contains(err.Error(), "role") {
		t.Errorf("%v", err)
	}
	for _, cmd := range root().Commands() {
		if cmd.HasSubCommands() {
			cmd = cmd.Commands()[0]
		}
		if cmd.Example == "" {
			t.Errorf("%s has no example", cmd.Name())
		}
	}
}
