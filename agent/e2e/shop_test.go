package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"ekassa/agent"
	"ekassa/agent/config"
	"ekassa/agent/dispatch"
	"ekassa/agent/receipt"
	"ekassa/agent/register/simulator"
	"ekassa/agent/till/tilltest"
	"ekassa/cloud/hosttest"
)

const (
	merchant = "00112233445566778899aabbccddeeff"
	serial   = "E2E-KASSA-1"
	terminal = "till-1"
	kassa    = "kassa-1"
)

// fast is the patience of an agent whose registers answer within a blink.
var fast = agent.Options{
	Pace: dispatch.Pace{
		First: 30 * time.Millisecond, Most: 120 * time.Millisecond, Poll: 30 * time.Millisecond, Probe: 200 * time.Millisecond,
		Question: 2 * time.Second, Document: 3 * time.Second, Grace: 2 * time.Second,
	},
	Settle: 60 * time.Millisecond,
	Look:   agent.Look{Window: 400 * time.Millisecond, Pause: 100 * time.Millisecond},
}

// newHost gives a loopback address that nobody else has, not even another run.
func newHost() string {
	return hosttest.New()
}

// day is today's date in Baku: a report from the day read before the first sale to the
// day read after the last has them all, also at midnight.
func day() string {
	return time.Now().In(time.FixedZone("", 4*60*60)).Format(time.DateOnly)
}

// object is one of JSON's.
type object = map[string]any

// shop is one restaurant: a till, its agent with its folder, and the settings.
type shop struct {
	testing.TB
	dir      string // the agent's
	file     string // agent.yaml
	listen   string
	token    string
	settings object
	config   object // the rest of agent.yaml
}

// newShop makes one with a till and the registers, and gives the till a token.
func newShop(t testing.TB, registers ...object) *shop {
	t.Helper()
	s := bareShop(t, registers...)
	s.token = s.newToken(terminal)
	return s
}

func bareShop(t testing.TB, registers ...object) *shop {
	t.Helper()
	folder := t.TempDir()
	s := &shop{TB: t, dir: filepath.Join(folder, "data"), file: filepath.Join(folder, "agent.yaml"), listen: newHost() + ":8787"}
	list := []any{}
	for _, r := range registers {
		list = append(list, r)
	}
	s.config = object{"data_dir": s.dir, "listen": s.listen, "discovery": object{"interfaces": []string{"lo"}}}
	s.settings = object{
		"registers": list,
		"terminals": []any{object{"id": terminal, "name": "Kassa"}, object{"id": "till-2", "name": "Bar"}},
	}
	s.write()
	return s
}

// write writes agent.yaml. JSON is YAML.
func (s *shop) write() {
	s.Helper()
	c := object{"settings": s.settings}
	for k, v := range s.config {
		c[k] = v
	}
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(s.file, data, 0o600); err != nil {
		s.Fatal(err)
	}
}

func (s *shop) newToken(terminal string) string {
	s.Helper()
	r := command(s, agentBinary, "token", "add", terminal, "--config", s.file).ok(s)
	return strings.TrimSpace(r.out)
}

// at is a register of the settings; address "" is one to be found.
func at(address string) object {
	r := object{"id": kassa, "name": "Bar", "driver": "azsmart", "merchant_id": merchant, "terminal": terminal}
	if address != "" {
		r["address"] = address
	}
	return r
}

// run starts the real program, and returns when it serves.
func (s *shop) run() *process {
	s.Helper()
	p := start(s, agentBinary, "run", "--config", s.file)
	p.says(&p.err, `msg=ready listen=(\S+)`)
	return p
}

// runFor runs the agent for a register of that edition: an impatient one where
// the register knows no keys.
func (s *shop) runFor(edition simulator.Edition) *process {
	s.Helper()
	if edition == simulator.New {
		return s.run()
	}
	self, err := os.Executable()
	if err != nil {
		s.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), impatient+"="+s.file)
	p := startCmd(s, cmd)
	p.says(&p.err, `msg=ready listen=(\S+)`)
	return p
}

// serve runs the agent within the test, as impatient as the options say, and
// gives what ends it. It ends with the test at the latest.
func (s *shop) serve(o agent.Options) (stop func()) {
	s.Helper()
	cfg, err := config.Load(s.file)
	if err != nil {
		s.Fatal(err)
	}
	var log output
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	ready, ended := make(chan struct{}), make(chan error, 1)
	o.Ready = func(string) { close(ready) }
	ctx, cancel := context.WithCancel(context.Background())
	go func() { ended <- agent.Run(ctx, cfg, o) }()
	stopped := false
	stop = func() {
		s.Helper()
		if stopped {
			return
		}
		stopped = true
		cancel()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections() // a till would try again
		select {
		case err := <-ended:
			if err != nil {
				s.Errorf("the agent failed: %v", err)
			}
		case <-time.After(patience):
			s.Error("the agent does not stop")
		}
		if s.Failed() {
			s.Logf("the agent said:\n%s", tail(log.String(), 6000))
		}
	}
	s.Cleanup(stop)
	select {
	case <-ready:
	case err := <-ended:
		ended <- err
		s.Fatalf("the agent does not start: %v", err)
	case <-time.After(patience):
		s.Fatal("the agent does not start")
	}
	return stop
}

// till gives one that holds the shop's token.
func (s *shop) till() *tilltest.Client {
	c := tilltest.New(s, "http://"+s.listen, s.token)
	c.Language = "en"
	c.Doer = heard
	return c
}

// heard notes which answers tills have got from which routes.
var heard = &ear{got: map[string]bool{}}

type ear struct {
	mu  sync.Mutex
	got map[string]bool // "GET /v1/receipts/{id} 200"
}

var ids = regexp.MustCompile(`^/v1/(receipts|registers|cash)/([^/]+)`)

func (e *ear) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		path := r.URL.Path
		if m := ids.FindStringSubmatch(path); m != nil && (m[1] != "cash" || m[2] != "deposit" && m[2] != "withdraw") {
			path = "/v1/" + m[1] + "/{id}" + strings.TrimPrefix(path, m[0])
		}
		e.mu.Lock()
		e.got[fmt.Sprintf("%s %s %d", r.Method, path, response.StatusCode)] = true
		e.mu.Unlock()
	}
	return response, err
}

// stored is a receipt as the till is told of it.
type stored struct {
	ID       string        `json:"id"`
	Kind     receipt.Kind  `json:"kind"`
	State    receipt.State `json:"state"`
	Total    receipt.Money `json:"total"`
	Register string        `json:"register"`
	Attempts int           `json:"attempts"`
	Ahead    int           `json:"ahead"`
	Document struct {
		FiscalID string `json:"fiscal_id"`
		Number   string `json:"number"`
		Serial   string `json:"register_serial"`
		Printed  bool   `json:"printed"`
	} `json:"document"`
	Reason struct {
		Code string `json:"code"`
		Text string `json:"text"`
	} `json:"reason"`
}

func storedIn(a *tilltest.Answer) (r stored) {
	a.JSON(&r)
	return r
}

func storedFrom(t testing.TB, data string) (r stored) {
	t.Helper()
	if err := json.Unmarshal([]byte(data), &r); err != nil {
		t.Errorf("%v: %s", err, data)
	}
	return r
}

func (s *shop) get(id string) stored {
	s.Helper()
	return storedIn(s.till().Get("/v1/receipts/" + id).Want(http.StatusOK))
}

// becomes waits until the receipt is as it should be.
func (s *shop) becomes(id, what string, is func(stored) bool) (r stored) {
	s.Helper()
	end := time.Now().Add(patience)
	for r = s.get(id); !is(r); r = s.get(id) {
		if time.Now().After(end) {
			s.Fatalf("%s does not become %s; it is %+v", id, what, r)
		}
		time.Sleep(25 * time.Millisecond) // below the till's own limit of requests
	}
	return r
}

func (s *shop) reaches(id string, state receipt.State) stored {
	s.Helper()
	return s.becomes(id, string(state), func(r stored) bool { return r.State == state })
}

func (s *shop) waitsFor(id, reason string) stored {
	s.Helper()
	return s.becomes(id, "waiting for "+reason, func(r stored) bool { return r.State == receipt.Waiting && r.Reason.Code == reason })
}

// receipts lists all of the till's, in the order in which it was told yes.
func (s *shop) receipts() (list []stored) {
	s.Helper()
	for cursor := ""; ; {
		var page struct {
			Receipts []stored `json:"receipts"`
			Next     string   `json:"next"`
		}
		s.till().Get("/v1/receipts?limit=200&cursor=" + cursor).Want(http.StatusOK).JSON(&page)
		for _, r := range page.Receipts {
			list = append([]stored{r}, list...)
		}
		if cursor = page.Next; cursor == "" {
			return list
		}
	}
}

// sale is what a till posts for one plov; more replaces or adds fields.
func sale(id string, more ...object) string {
	r := object{
		"id": id, "kind": "sale", "time": "2026-11-23T19:05:12+04:00", "cashier": "Aysel M.", "number": "123",
		"items":    []any{object{"name": "Plov", "code": "1001", "quantity": "1.5", "price": "8.00", "tax": "vat18"}},
		"payments": object{"cash": "20.00"},
	}
	return with(r, more...)
}

// refund and cancel take a sale back.
func refund(id, parent string, more ...object) string {
	return sale(id, append([]object{{"kind": "refund", "parent": object{"id": parent}, "payments": object{"cash": "12.00"}}}, more...)...)
}

func cancel(id, parent string) string {
	return with(object{"id": id, "kind": "cancel", "time": "2026-11-23T19:06:00+04:00", "cashier": "Aysel M.", "parent": object{"id": parent}})
}

func with(r object, more ...object) string {
	for _, m := range more {
		for k, v := range m {
			r[k] = v
			if v == nil {
				delete(r, k)
			}
		}
	}
	data, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// wait asks the agent to answer when the receipt is final.
const wait = "Prefer: wait=30"

// register is a simulated one within the test.
func register(t testing.TB, c simulator.Config) *simulator.Simulator {
	t.Helper()
	if c.Listen == "" {
		c.Listen = newHost() + ":8008"
	}
	if c.Serial == "" {
		c.Serial = serial
	}
	if c.Protocol == "" || c.Protocol == simulator.AzSmart {
		c.MerchantID = merchant
	}
	sim, err := simulator.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	return sim
}

// device is a simulated register in a process of its own, with its ledger on
// the disk.
type device struct {
	testing.TB
	listen, state string
	model         model
	process       *process
}

func newDevice(t testing.TB, edition simulator.Edition) *device {
	t.Helper()
	return newModel(t, model{protocol: simulator.AzSmart, edition: edition})
}

func newModel(t testing.TB, m model) *device {
	t.Helper()
	d := &device{TB: t, listen: newHost() + ":8008", state: filepath.Join(t.TempDir(), "kassa.jsonl"), model: m}
	d.run()
	return d
}

func (d *device) run() {
	d.Helper()
	args := []string{string(d.model.protocol), "--listen", d.listen, "--serial", serial, "--state", d.state}
	d.process = start(d, simBinary, append(args, d.model.flags()...)...)
	d.process.says(&d.process.out, `(listening) on`)
}

// control asks the simulator's control API.
func (d *device) control(path string, v any) error {
	client := http.Client{Timeout: 5 * time.Second}
	response, err := client.Get("http://" + d.listen + path)
	if err != nil {
		return err
	}
	err = json.NewDecoder(response.Body).Decode(v)
	return errors.Join(err, response.Body.Close())
}

func (d *device) ledger() (list []simulator.Document) {
	d.Helper()
	if err := d.control("/sim/ledger", &list); err != nil {
		d.Fatal(err)
	}
	return list
}

// kinds are what the ledger calls what tills call so.
var kinds = map[receipt.Kind]simulator.Kind{
	receipt.Sale: simulator.Sale, receipt.Refund: simulator.Refund, receipt.Cancel: simulator.Rollback,
	receipt.Prepayment: simulator.Prepay, receipt.CreditPayment: simulator.CreditPay,
	receipt.Deposit: simulator.Deposit, receipt.Withdrawal: simulator.Withdraw,
}

// referee compares what the agent says with the ledger: of the receipts that
// are fiscal each is there once, over the same sum, and in the same order; and
// nothing else is there.
func referee(t testing.TB, receipts []stored, ledger []simulator.Document) {
	t.Helper()
	n, numbers := 0, map[string]bool{}
	for _, r := range receipts {
		if r.State != receipt.Fiscal {
			continue
		}
		if n == len(ledger) {
			t.Errorf("lost: %s and what comes after it: the agent says fiscal, the ledger ends at %d", r.ID, n)
			return
		}
		d := ledger[n]
		n++
		// A classic register does not tell the fiscal id of a cancel, nor of cash.
		untold := r.Document.FiscalID == "" && (d.Kind == simulator.Rollback || d.Kind == simulator.Deposit || d.Kind == simulator.Withdraw)
		if r.Document.FiscalID != d.FiscalID && !untold || r.Document.Serial != d.Serial {
			t.Errorf("%s: the agent says document %s of %s, the ledger's number %d is %s of %s", r.ID, r.Document.FiscalID, r.Document.Serial, n, d.FiscalID, d.Serial)
			return
		}
		if int64(r.Total) != d.Amount || kinds[r.Kind] != d.Kind {
			t.Errorf("%s: a %s over %s became a %s over %d qəpik", r.ID, r.Kind, r.Total, d.Kind, d.Amount)
		}
		if key := d.Client.Key; key != "" && numbers[key] {
			t.Errorf("doubled: key %s is in the ledger twice", key)
		} else {
			numbers[key] = true
		}
	}
	for _, d := range ledger[n:] {
		t.Errorf("doubled, or never asked for: the ledger has a %s of %d qəpik, key %q, that no receipt has", d.Kind, d.Amount, d.Client.Key)
	}
}
