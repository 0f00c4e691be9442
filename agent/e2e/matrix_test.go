package e2e

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ekassa/agent/crash"
	"ekassa/agent/receipt"
	"ekassa/agent/register/simulator"
	"ekassa/agent/till/tilltest"
)

// matrixPage has every cell run with every model, and a page made of it; else
// each cell is run with one or two of them.
var matrixPage = flag.String("matrix", "", "run the whole failure matrix, and write its results to this file")

// dyingBinary is the agent built with crash points. Without the race detector:
// it dies before that could report anything.
var dyingBinary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(agentBinary), "ekassa-agent-dying")
	out, err := exec.Command("go", "build", "-tags", "crashpoints", "-o", path, "ekassa/agent/cmd/ekassa-agent").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the dying agent: %w: %s", err, out)
	}
	return path, nil
})

// trouble is what goes wrong besides the agent's death.
type trouble struct {
	name   string
	faults string // armed before the receipt is sold, as in POST /sim/faults

	before  func(c *cell) // done before it is sold
	amid    func(c *cell) // done once the till has posted it
	between func(c *cell) // done while the agent is dead
	started func(c *cell) // done as soon as the new agent runs
	after   func(c *cell) // done when a further receipt was told yes

	again   []string // crash points at which those that come after it die as well
	clock   bool     // the agent's clock can be set
	disk    bool     // the agent has a small disk of its own
	starves bool     // on which there comes to be no room at all: it ends, and is started again
}

const (
	aYear   = 365 * 24 * 3600 // seconds
	to1970  = -56 * aYear     // about: what a machine without a battery starts with
	tooSlow = "3600"          // ms: longer than the hasty agent waits for a document
)

// troubles are the columns of the matrix.
var troubles = []trouble{
	{name: "nothing else"},
	{name: "killed again while it recovers", faults: on1("drop-after", ""), again: []string{crash.Asked, crash.ResultCommitted}},
	{name: "and again before it sends anew", faults: on1("drop-before", ""), again: []string{crash.Proven, crash.LastByte + "/sale"}},
	{name: "answer lost before", faults: on1("drop-before", "")},
	{name: "answer lost after", faults: on1("drop-after", "")},
	{name: "half an answer", faults: on1("half", "")},
	{name: "500 though done", faults: on1("500", "")},
	{name: "500 and empty", faults: on1("500-empty", "")},
	{name: "garbage", faults: on1("garbage", "")},
	{name: "slow", faults: on1("slow-after", "1500")},
	{name: "done, and slower than the timeout", faults: on1("slow-after", tooSlow)},
	{name: "done only after the timeout", faults: on1("slow", tooSlow)},
	{name: "busy", faults: on1("busy", "")},
	{name: "still at work", faults: on1("processing", "1500")},
	{name: "paper out", faults: on1("paper-out", ""), after: order("/sim/paper-in", "")},
	{name: "reboot", faults: on1("reboot", "800")},
	{name: "reboot once done", faults: on1("reboot-after", "800")},
	{name: "shift closed by hand", before: order("/sim/shift/close", "")},
	{name: "shift expired", before: order("/sim/clock", `{"offset":"25h"}`), after: order("/sim/shift/close", "")},
	{name: "another serial", between: order("/sim/serial", `{"serial":"SOMEBODY-ELSE"}`), after: func(c *cell) {
		time.Sleep(time.Second) // the new agent meets the wrong register meanwhile
		order("/sim/serial", `{"serial":"`+serial+`"}`)(c)
	}},
	{name: "rung up by hand", between: order("/sim/sale", `{"amount":500,"name":"Dolma"}`)},
	// The disk is stuffed once the receipt is stored, and the register is away
	// until then: all that follows has to do with what is left.
	{
		name: "full disk", disk: true, faults: `[{"fault":"refuse-connection","ms":1500}]`,
		amid:    (*cell).stuffOnceStored,
		started: func(c *cell) { c.finishOnFullDisk(); c.makeRoom() },
	},
	// Somebody else takes the ballast's blocks as well, so that not a byte is left:
	// the agent can do nothing but end, and be started again until there is room.
	{
		name: "full disk, ballast and all", disk: true, starves: true, faults: `[{"fault":"refuse-connection","ms":1500}]`,
		amid:    (*cell).stuffOnceStored,
		between: func(c *cell) { stuff(c, c.fill+"-2") },
		started: func(c *cell) {
			time.Sleep(300 * time.Millisecond)
			c.makeRoom()
			eventually(c, "the till is told yes", func() bool { c.revive(); return c.accepted.Load() })
		},
	},
	{
		name: "clock in 1970", clock: true,
		between: func(c *cell) { c.setClock(to1970) }, after: func(c *cell) { c.setClock(0) },
	},
	{
		name: "clock a year ahead, then right", clock: true,
		before: func(c *cell) { c.setClock(aYear) }, between: func(c *cell) { c.setClock(0) },
	},
	{
		name: "clock a year behind, then right", clock: true,
		before: func(c *cell) { c.setClock(-aYear) }, between: func(c *cell) { c.setClock(0) },
	},
	{
		name:   "settings pushed", // while questions and document are slow
		faults: `[{"fault":"slow-after","route":"/sale","times":1,"ms":400},{"fault":"slow","times":4,"ms":100}]`,
		amid:   (*cell).pushSettings,
	},
}

// on1 is one fault, that befalls the next sale.
func on1(fault, ms string) string {
	if ms == "" {
		ms = "0"
	}
	return `[{"fault":"` + fault + `","route":"/sale","times":1,"ms":` + ms + `}]`
}

func order(path, body string) func(*cell) {
	return func(c *cell) {
		c.Helper()
		if err := c.kassa.post(path, body); err != nil {
			c.Fatalf("%s: %v", path, err)
		}
	}
}

// post orders something of the simulator's control API. While it reboots, it is
// asked again.
func (d *device) post(path, body string) (err error) {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var response *http.Response
		response, err = http.Post("http://"+d.listen+path, "application/json", bytes.NewReader([]byte(body)))
		if err != nil {
			continue
		}
		if response.StatusCode/100 != 2 {
			err = fmt.Errorf("HTTP %d", response.StatusCode)
		}
		return errors.Join(err, response.Body.Close())
	}
	return err
}

// TestMatrix kills the agent at each moment between two durable steps, while
// each trouble befalls it or the register, and has a referee compare what the
// till was told, the journal and the ledger. A cell is right when all three
// agree: each receipt fiscal exactly once, or asked of a person where the
// register cannot tell.
func TestMatrix_EachCrashPointUnderEachTrouble(t *testing.T) {
	binary, err := dyingBinary()
	if err != nil {
		t.Fatal(err)
	}
	p := &page{}
	if *matrixPage != "" {
		t.Cleanup(func() { // all cells have ended
			if err := os.WriteFile(*matrixPage, p.markdown(), 0o600); err != nil {
				t.Error(err)
			}
		})
	}
	for m, kind := range models {
		for n, point := range crash.Points {
			for k, x := range troubles {
				if *matrixPage == "" && (m+n+k)%3 != 0 { // every pair has a model all the same
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/%s", kind.name, point, x.name), func(t *testing.T) {
					t.Parallel()
					c := &cell{TB: t, model: kind, point: point, trouble: x}
					defer func() { p.note(c, t.Failed()) }()
					c.play(binary)
				})
			}
		}
	}
}

// cell is one death under one trouble at one model of register.
type cell struct {
	testing.TB
	model model
	point string
	trouble

	fleet     *testFleet // where the point has to do with a cloud
	kassa     *device
	shop      *shop
	agent     *process
	till      *tilltest.Client
	clockFile string
	fill      string       // of a small disk
	accepted  atomic.Bool  // the till was told yes of the receipt amid the trouble
	inTime    atomic.Bool  // its kill came at the crash point, not later
	asked     bool         // a person
	repeats   atomic.Int32 // of posts that were told that the disk is full
}

// play is the cell from the first receipt to the referee.
func (c *cell) play(binary string) {
	c.Helper()
	c.kassa = newModel(c, c.model)
	c.shop = bareShop(c, c.model.at(c.kassa.listen))
	s := c.shop
	if c.disk {
		c.fill = filepath.Join(s.moveToSmallDisk(), "fill")
	}
	s.token = s.newToken(terminal)
	if c.clock {
		c.clockFile = filepath.Join(c.TempDir(), "clock")
		c.setClock(0)
	}
	if c.point == crash.Published || c.point == crash.Acknowledged {
		c.fleet = newFleet(c)
		c.fleet.enroll(s)
	}
	armed := c.point + ":2" // at the second receipt
	switch c.point {
	case crash.FirstByte, crash.LastByte:
		armed = c.point + "/sale:2"
	case crash.Asked, crash.Proven: // the first one passes neither
		armed = c.point
	}
	c.till = s.till()
	if c.fleet != nil { // the cloud knows of the first one before the death is armed, whose first pass is the health of the new run
		c.start(binary, "")
		c.till.Post("/v1/receipts", sale("before"), wait).Want(http.StatusCreated)
		c.fleet.hears(1)
		c.agent.kill()
		c.start(binary, armed)
	} else {
		c.start(binary, armed)
		c.till.Post("/v1/receipts", sale("before"), wait).Want(http.StatusCreated)
	}
	if c.before != nil {
		c.before(c)
	}
	if c.faults != "" {
		order("/sim/faults", c.faults)(c)
	}
	told := map[string]string{}
	sell := func(id string, meanwhile func()) { told[id] = c.sell(id, meanwhile) }
	sold := make(chan struct{})
	go func() {
		defer close(sold)
		sell("amid", func() {})
		c.accepted.Store(true)
	}()
	if c.amid != nil {
		c.amid(c)
	}
	c.inTime.Store(c.dies("amid"))
	if c.between != nil {
		c.between(c)
	}
	for _, point := range c.again {
		c.start(binary, point)
		c.dies("amid")
	}
	c.start(binary, "")
	if c.started != nil {
		c.started(c)
	}
	<-sold
	sell("after", c.revive)
	if c.after != nil {
		c.after(c)
	}
	eventually(c, "everything is fiscal", c.settled)
	c.judge(told)
	if c.fleet != nil {
		c.fleet.hears(3)
	}
}

// start starts the agent, which dies at a point; "" for none.
func (c *cell) start(binary, point string) {
	c.Helper()
	cmd := exec.Command(binary, "run", "--config", c.shop.file)
	cmd.Env = append(os.Environ(), "EKASSA_CRASH="+point, "EKASSA_CLOCK="+c.clockFile)
	// One register with a key is met with a restaurant's patience.
	if c.model != models[0] || strings.Contains(c.faults, tooSlow) {
		cmd.Env = append(cmd.Env, "EKASSA_HASTY=yes")
	}
	c.agent = startCmd(c, cmd)
	ready := make(chan struct{})
	go func() {
		defer close(ready)
		for !strings.Contains(c.agent.err.String(), "msg=ready") {
			select {
			case <-c.agent.done: // it may die sooner
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	select {
	case <-ready:
	case <-time.After(patience):
		c.Fatal("the agent is never ready")
	}
	select {
	case <-c.agent.done:
		if point == "" && !c.disk {
			c.Fatalf("the agent ended with %s", c.agent.cmd.ProcessState)
		}
	default:
	}
}

// dies waits for the agent's death, and kills it where its point does not come:
// because a receipt is done, or waits for what only a person mends.
func (c *cell) dies(id string) (byItself bool) {
	c.Helper()
	end := time.Now().Add(6 * time.Second)
	for time.Now().Before(end) {
		select {
		case <-c.agent.done:
			return true
		case <-time.After(100 * time.Millisecond):
		}
		a, err := c.till.Try(c.till.Request(http.MethodGet, "/v1/receipts/"+id, ""))
		if err == nil && a.Status == http.StatusOK && (a.Field("state") == string(receipt.Held) ||
			a.Field("state") == string(receipt.Fiscal) && a.Field("document.printed") == "true") {
			end = time.Now().Add(200 * time.Millisecond)
			break
		}
	}
	select {
	case <-c.agent.done:
		return true
	case <-time.After(time.Until(end)):
	}
	c.agent.kill()
	return false
}

// sell posts a sale until the till is told yes, as a till does whose agent dies
// or has no room, and gives the document that it was told of.
func (c *cell) sell(id string, meanwhile func()) (fiscalID string) {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(30 * time.Millisecond) {
		meanwhile()
		a, err := c.till.Try(c.till.Request(http.MethodPost, "/v1/receipts", sale(id)))
		switch {
		case err != nil || a.Status == http.StatusTooManyRequests:
		case a.Status == http.StatusInsufficientStorage && c.disk:
			c.repeats.Add(1)
		case a.Status < 300:
			return a.Field("document.fiscal_id")
		default:
			c.Errorf("answer %d to %s: %s", a.Status, id, a.Body)
			return ""
		}
	}
	c.Errorf("never told yes: %s", id)
	return ""
}

// settled says whether there is nothing left to do, and does a person's part.
func (c *cell) settled() bool {
	c.Helper()
	time.Sleep(100 * time.Millisecond)
	c.revive()
	open := 0
	for _, r := range c.shop.receipts() {
		switch r.State {
		case receipt.Fiscal:
		case receipt.Held:
			c.shop.decide(r, c.kassa.ledger())
			c.asked = true
			open++
		default:
			open++
		}
	}
	return open == 0
}

// judge is the referee's part.
func (c *cell) judge(told map[string]string) {
	c.Helper()
	all := c.shop.receipts()
	ledger := slices.DeleteFunc(c.kassa.ledger(), func(d simulator.Document) bool { return d.ByHand })
	if len(all) != 3 || len(ledger) != 3 {
		c.Errorf("%d receipts in the journal and %d documents of ours in the ledger, want 3", len(all), len(ledger))
	}
	for _, r := range all {
		if id := told[r.ID]; id != "" && id != r.Document.FiscalID {
			c.Errorf("%s: the till was told document %s, and it is %s now", r.ID, id, r.Document.FiscalID)
		}
	}
	if c.asked { // what a person sends goes after what did not wait for that
		place := map[string]int{}
		for n, d := range ledger {
			place[d.FiscalID] = n
		}
		slices.SortStableFunc(all, func(a, b stored) int { return place[a.Document.FiscalID] - place[b.Document.FiscalID] })
	}
	referee(c, all, ledger)
}

// setClock sets the agent's clock, at whatever it is, wrong by that.
func (c *cell) setClock(seconds int) {
	c.Helper()
	next := c.clockFile + ".next"
	if err := errors.Join(os.WriteFile(next, []byte(fmt.Sprint(seconds)), 0o600), os.Rename(next, c.clockFile)); err != nil {
		c.Fatal(err)
	}
}

// stuffOnceStored fills the disk once the receipt is stored, or the agent dead.
func (c *cell) stuffOnceStored() {
	c.Helper()
	eventually(c, "the receipt is stored or the agent dead", func() bool {
		select {
		case <-c.agent.done:
			return true
		default:
			return c.accepted.Load()
		}
	})
	stuff(c, c.fill+"-1")
}

func (c *cell) makeRoom() {
	c.Helper()
	for _, n := range []string{"-1", "-2"} {
		if err := os.Remove(c.fill + n); err != nil && !errors.Is(err, os.ErrNotExist) {
			c.Fatal(err)
		}
	}
}

// revive starts an agent again that ended for want of room, as its service does.
func (c *cell) revive() {
	c.Helper()
	if !c.starves {
		return
	}
	select {
	case <-c.agent.done:
		c.start(c.agent.cmd.Path, "")
	default:
	}
}

// finishOnFullDisk: what was told yes is finished without room, what was not is
// refused until there is.
func (c *cell) finishOnFullDisk() {
	c.Helper()
	eventually(c, "it is finished, or refused", func() bool {
		a, err := c.till.Try(c.till.Request(http.MethodGet, "/v1/receipts/amid", ""))
		switch {
		case err != nil:
			return false
		case a.Status == http.StatusNotFound:
			return c.repeats.Load() > 0
		}
		return a.Field("state") == string(receipt.Fiscal) || a.Field("state") == string(receipt.Held)
	})
}

// pushSettings has the agent read changed settings, twice, while the receipt is
// on its way. An agent that is dead reads them when it starts.
func (c *cell) pushSettings() {
	c.Helper()
	mine := c.model.at(c.kassa.listen)
	for n, rest := range []time.Duration{30 * time.Millisecond, 250 * time.Millisecond} {
		time.Sleep(rest) // another moment each time
		mine["name"] = fmt.Sprint("Bar ", n)
		second := c.model.at(newHost() + ":8008") // which is switched off
		second["id"], second["terminal"] = "kassa-2", "till-2"
		c.shop.settings["registers"] = []any{mine, second}
		c.shop.settings["language"] = []string{"ru", "en"}[n]
		c.shop.settings["shift"] = object{"auto_open": true, "warn_after": []string{fmt.Sprint(10+n, "h")}}
		c.shop.write()
		if err := c.agent.cmd.Process.Signal(syscall.SIGHUP); err != nil && !errors.Is(err, os.ErrProcessDone) {
			c.Fatal(err)
		}
	}
}

// page is the matrix with its results.
type page struct {
	mu    sync.Mutex
	cells map[[2]string]count // by trouble and point
	by    map[string]count    // by model
}

// count is of runs.
type count struct{ runs, wrong, asked, late int }

func (n *count) add(c *cell, failed bool) {
	n.runs++
	if failed {
		n.wrong++
	}
	if c.asked {
		n.asked++
	}
	if !c.inTime.Load() {
		n.late++
	}
}

func (p *page) note(c *cell, failed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cells == nil {
		p.cells, p.by = map[[2]string]count{}, map[string]count{}
	}
	at := [2]string{c.name, c.point}
	n, m := p.cells[at], p.by[c.model.name]
	n.add(c, failed)
	m.add(c, failed)
	p.cells[at], p.by[c.model.name] = n, m
}

func (n count) String() string {
	s := fmt.Sprint(n.runs)
	if n.wrong > 0 {
		s = fmt.Sprintf("**%d of %d wrong**", n.wrong, n.runs)
	}
	if n.asked > 0 {
		s += fmt.Sprintf(" ?%d", n.asked)
	}
	if n.late == n.runs {
		s += " ·"
	} else if n.late > 0 {
		s += fmt.Sprintf(" ·%d", n.late)
	}
	return s
}

func (p *page) markdown() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b bytes.Buffer
	fmt.Fprintf(&b, "| | %s |\n|---%s|\n", strings.ReplaceAll(strings.Join(crash.Points, " | "), "_", " "), strings.Repeat("|---", len(crash.Points)))
	var all count
	for _, x := range troubles {
		fmt.Fprintf(&b, "| %s |", x.name)
		for _, point := range crash.Points {
			fmt.Fprintf(&b, " %s |", p.cells[[2]string{x.name, point}])
		}
		fmt.Fprintln(&b)
	}
	fmt.Fprintf(&b, "\n| register | a lost sale is settled by | runs | wrong | asked a person | the moment does not come |\n|---|---|---|---|---|---|\n")
	for _, m := range models {
		n := p.by[m.name]
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %d | %d |\n", m.name, m.class, n.runs, n.wrong, n.asked, n.late)
		all = count{all.runs + n.runs, all.wrong + n.wrong, all.asked + n.asked, all.late + n.late}
	}
	fmt.Fprintf(&b, "\n%d runs, %d wrong, %d questions to a person.\n", all.runs, all.wrong, all.asked)
	return b.Bytes()
}
