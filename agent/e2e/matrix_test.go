package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ekassa/agent/crash"
	"ekassa/agent/receipt"
	"ekassa/agent/register/simulator"
)

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

// trouble is what befalls the register together with the agent's death.
type trouble struct {
	name    string
	faults  string                        // armed before the receipt is sold, as in POST /sim/faults
	before  func(t *testing.T, d *device) // done before it is sold
	between func(t *testing.T, d *device) // done while the agent is dead
	after   func(t *testing.T, d *device) // done once the new agent runs
}

// troubles are the columns of the matrix.
var troubles = []trouble{
	{name: "nothing else"},
	{name: "answer lost before", faults: `[{"fault":"drop-before","route":"/sale","times":1}]`},
	{name: "answer lost after", faults: `[{"fault":"drop-after","route":"/sale","times":1}]`},
	{name: "half an answer", faults: `[{"fault":"half","route":"/sale","times":1}]`},
	{name: "500 though done", faults: `[{"fault":"500","route":"/sale","times":1}]`},
	{name: "500 and empty", faults: `[{"fault":"500-empty","route":"/sale","times":1}]`},
	{name: "garbage", faults: `[{"fault":"garbage","route":"/sale","times":1}]`},
	{name: "slow", faults: `[{"fault":"slow-after","route":"/sale","times":1,"ms":1500}]`},
	{name: "busy", faults: `[{"fault":"busy","route":"/sale","times":1}]`},
	{name: "still at work", faults: `[{"fault":"processing","route":"/sale","times":1,"ms":1500}]`},
	{name: "paper out", faults: `[{"fault":"paper-out","route":"/sale","times":1}]`, after: order("/sim/paper-in", "")},
	{name: "reboot", faults: `[{"fault":"reboot","route":"/sale","times":1,"ms":800}]`},
	{name: "reboot once done", faults: `[{"fault":"reboot-after","route":"/sale","times":1,"ms":800}]`},
	{name: "shift closed by hand", before: order("/sim/shift/close", "")},
	{name: "shift expired", before: order("/sim/clock", `{"offset":"25h"}`), after: order("/sim/shift/close", "")},
	{name: "another serial", between: order("/sim/serial", `{"serial":"SOMEBODY-ELSE"}`), after: func(t *testing.T, d *device) {
		time.Sleep(time.Second) // the new agent meets the wrong register meanwhile
		order("/sim/serial", `{"serial":"`+serial+`"}`)(t, d)
	}},
	{name: "rung up by hand", between: order("/sim/sale", `{"amount":500,"name":"Dolma"}`)},
}

func order(path, body string) func(*testing.T, *device) {
	return func(t *testing.T, d *device) {
		t.Helper()
		if err := d.post(path, body); err != nil {
			t.Fatalf("%s: %v", path, err)
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
// each trouble befalls the register, and has a referee compare what the till was
// told, the journal and the ledger. A cell is right when all three agree: each
// receipt fiscal exactly once, or asked of a person where the register cannot
// tell.
func TestMatrix_EachCrashPointUnderEachTrouble(t *testing.T) {
	binary, err := dyingBinary()
	if err != nil {
		t.Fatal(err)
	}
	for _, edition := range []simulator.Edition{simulator.New, simulator.Classic} {
		for _, point := range crash.Points {
			if point == crash.FirstByte || point == crash.LastByte {
				point += "/sale"
			}
			for _, x := range troubles {
				t.Run(fmt.Sprintf("%s/%s/%s", edition, strings.ReplaceAll(point, "/", " of a "), x.name), func(t *testing.T) {
					t.Parallel()
					cell(t, binary, edition, point, x)
				})
			}
		}
	}
}

func cell(t *testing.T, binary string, edition simulator.Edition, point string, x trouble) {
	kassa := newDevice(t, edition)
	s := newShop(t, at(kassa.listen))
	dying := exec.Command(binary, "run", "--config", s.file)
	dying.Env = append(os.Environ(), "EKASSA_CRASH="+point+":2") // at the second receipt
	agent := startCmd(t, dying)
	agent.says(&agent.err, `msg=ready listen=(\S+)`)

	till := s.till()
	told := map[string]string{}
	sell := func(id string) { told[id] = post(t, till, sale(id)).Field("document.fiscal_id") }
	till.Post("/v1/receipts", sale("before"), wait).Want(http.StatusCreated)
	if x.before != nil {
		x.before(t, kassa)
	}
	if x.faults != "" {
		order("/sim/faults", x.faults)(t, kassa)
	}
	sold := make(chan struct{})
	go func() {
		defer close(sold)
		sell("amid")
	}()
	// Where the register cannot tell, or waits for a person, the point may not
	// come; then it is the kill alone.
	select {
	case <-agent.done:
	case <-time.After(8 * time.Second):
		agent.kill()
	}
	if x.between != nil {
		x.between(t, kassa)
	}
	s.runFor(edition)
	<-sold
	sell("after")
	if x.after != nil {
		x.after(t, kassa)
	}

	asked := false // a person
	eventually(t, "everything is fiscal", func() bool {
		time.Sleep(100 * time.Millisecond)
		open := 0
		for _, r := range s.receipts() {
			switch r.State {
			case receipt.Fiscal:
			case receipt.Held:
				s.decide(r, kassa.ledger())
				asked = true
				open++
			default:
				open++
			}
		}
		return open == 0
	})
	all, ledger := s.receipts(), []simulator.Document{}
	for _, d := range kassa.ledger() {
		if d.Client.Key == "" { // rung up by hand
			continue
		}
		ledger = append(ledger, d)
	}
	if len(all) != 3 || len(ledger) != 3 {
		t.Errorf("%d receipts in the journal and %d documents of ours in the ledger, want 3", len(all), len(ledger))
	}
	for _, r := range all {
		if id := told[r.ID]; id != "" && id != r.Document.FiscalID {
			t.Errorf("%s: the till was told document %s, and it is %s now", r.ID, id, r.Document.FiscalID)
		}
	}
	if asked { // what a person sends goes after what did not wait for that
		place := map[string]int{}
		for n, d := range ledger {
			place[d.FiscalID] = n
		}
		slices.SortStableFunc(all, func(a, b stored) int { return place[a.Document.FiscalID] - place[b.Document.FiscalID] })
	}
	referee(t, all, ledger)
}
