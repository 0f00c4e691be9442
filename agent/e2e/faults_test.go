package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"ekassa/agent"
	"ekassa/agent/receipt"
	"ekassa/agent/register/simulator"
	"ekassa/agent/till/tilltest"
)

// ailment is one row: what goes wrong with a receipt, and what must be seen of
// it before it ends as exactly one document.
type ailment struct {
	name    string
	faults  []simulator.Fault
	byHand  bool                                         // a sale is rung up by hand between attempt and look-up
	quirks  []string                                     // of the register
	cancels bool                                         // it hits a cancel, which has no key to ask for; else a sale
	impair  func(t *testing.T, sim *simulator.Simulator) // what happens to the register besides, before the receipt
	seen    receipt.State                                // what the till must be shown before it is mended, with the reason
	reason  string                                       //
	mend    func(s *shop, sim *simulator.Simulator)      // by people, after that
	held    []simulator.Edition                          // where only a person can decide, and says what the paper says
	verdict string                                       // of that person: was_made or send
	sent    int                                          // attempts; 0: as many as it takes
	also    func(t *testing.T, sim *simulator.Simulator) // what else must be true at the end
}

var both = []simulator.Edition{simulator.New, simulator.Classic}

func one(name string, more ...simulator.Fault) []simulator.Fault {
	f := simulator.Fault{Name: name, Route: "/sale", Times: 1}
	return append([]simulator.Fault{f}, more...)
}

// hurt is when the agent in this test stops listening.
var hurt = func() agent.Options {
	o := fast
	o.Pace.Document, o.Pace.Question = 2*time.Second, 1600*time.Millisecond
	return o
}()

const otherSerial = "E2E-STRANGER"

var ailments = []ailment{
	{name: "dropped before", faults: one(simulator.DropBefore), sent: 2},
	{name: "dropped after", faults: one(simulator.DropAfter), sent: 1},
	{name: "half an answer", faults: one(simulator.Half), sent: 1},
	{name: "slower than the agent's patience", faults: one(simulator.Slow, simulator.Fault{}), sent: 1},
	{name: "made, and then slower than the agent's patience", faults: one(simulator.SlowAfter, simulator.Fault{}), sent: 1},
	{name: "HTTP 500", faults: one(simulator.HTTP500), sent: 1},
	{name: "HTTP 500 without a body", faults: one(simulator.HTTP500Empty), sent: 1},
	{name: "garbage", faults: one(simulator.Garbage), sent: 1},
	{name: "busy", faults: one(simulator.BusyFault), sent: 2},
	{name: "busy for long", faults: []simulator.Fault{{Name: simulator.BusyFault, Route: "/sale", Times: 5}}, sent: 6},
	{
		name: "in processing", faults: []simulator.Fault{{Name: simulator.Processing, Route: "/sale", Times: 1, MS: 5000}},
		seen: receipt.Checking, reason: "asking_register", sent: 1,
	},
	{name: "rebooted", faults: []simulator.Fault{{Name: simulator.Reboot, Route: "/sale", Times: 1, MS: 500}}, sent: 2},
	{name: "rebooted after", faults: []simulator.Fault{{Name: simulator.RebootAfter, Route: "/sale", Times: 1, MS: 500}}, sent: 1},
	{
		name: "the answer is lost, and so are those to the questions after it", sent: 1,
		faults: one(simulator.DropAfter, simulator.Fault{Name: simulator.DropBefore, Route: "/check_status", Times: 3}),
	},
	{
		name:   "paper is out",
		faults: []simulator.Fault{{Name: simulator.PaperOut}},
		seen:   receipt.Fiscal, reason: "not_printed", sent: 1,
		mend: func(s *shop, sim *simulator.Simulator) {
			if n := len(sim.Ledger()); n != 2 {
				s.Errorf("%d documents while paper is out, want 2: it is fiscal, and the next one waits", n)
			}
			sim.LoadPaper()
		},
		also: func(t *testing.T, sim *simulator.Simulator) {
			for _, d := range sim.Ledger() {
				if !d.Printed {
					t.Errorf("document %d never came out on paper", d.Number)
				}
			}
		},
	},
	{
		name: "refused", faults: []simulator.Fault{{Name: simulator.Refuse, Route: "/sale", Times: 1, Code: 3}},
		seen: receipt.Refused, reason: "refused_by_register", sent: 2,
		mend: func(s *shop, _ *simulator.Simulator) {
			s.till().Post("/v1/receipts/x/retry", `{"who":"Aysel M."}`).Want(http.StatusOK)
		},
	},
	{
		name: "the shift is over 24 hours old", faults: one(simulator.ShiftExpired), seen: receipt.Waiting, reason: "shift_expired",
		mend: func(s *shop, sim *simulator.Simulator) {
			s.till().Post("/v1/shift/close", `{"cashier":"Aysel M."}`).Want(http.StatusOK)
			if n := len(sim.Shifts()); n != 1 {
				s.Errorf("%d shifts closed", n)
			}
		},
	},
	{
		name:   "another register stands at the address",
		impair: func(t *testing.T, sim *simulator.Simulator) { stranger(t, sim, otherSerial) },
		seen:   receipt.Waiting, reason: "wrong_register", sent: 1,
		mend: func(s *shop, sim *simulator.Simulator) { stranger(s, sim, serial) },
		also: func(t *testing.T, sim *simulator.Simulator) {
			for _, d := range sim.Ledger() {
				if d.Serial == otherSerial {
					t.Errorf("the stranger was sent a %s", d.Kind)
				}
			}
		},
	},
	{
		name: "it hangs up at once", seen: receipt.Waiting, reason: "register_unreachable", sent: 1,
		impair: func(_ *testing.T, sim *simulator.Simulator) {
			sim.Arm(simulator.Fault{Name: simulator.Unreachable, MS: 8000})
		},
	},
	{
		name: "nobody listens", seen: receipt.Waiting, reason: "register_unreachable", sent: 1,
		impair: func(_ *testing.T, sim *simulator.Simulator) {
			sim.Arm(simulator.Fault{Name: simulator.RefuseConnection, MS: 8000})
		},
	},

	// A register that finds no document by our key or by time, number and sum.
	// What its counters show decides, and where they moved a person.
	// The newer edition's are not read for a sale, which has a key there.
	{
		name: "dropped before, and no look-up", faults: one(simulator.DropBefore), quirks: []string{"status-by-id-only"},
		held: both[:1], verdict: "send", sent: 2,
	},
	{
		name: "dropped after, and no look-up", faults: one(simulator.DropAfter), quirks: []string{"status-by-id-only"},
		held: both, verdict: "was_made", sent: 1,
	},
	{
		name: "dropped before, no look-up, and a sale by hand right then", quirks: []string{"status-by-id-only"},
		faults: one(simulator.DropBefore, simulator.Fault{Name: simulator.Slow, Route: "/check_status", MS: 150, Times: 2}),
		byHand: true, held: both, verdict: "send", sent: 2,
	},

	// A cancel carries no key in either edition.
	{name: "a cancel, dropped before", cancels: true, faults: on("/rollback", simulator.DropBefore), sent: 2},
	{name: "a cancel, dropped after", cancels: true, faults: on("/rollback", simulator.DropAfter), held: both, verdict: "was_made", sent: 1},
	{name: "a cancel, half an answer", cancels: true, faults: on("/rollback", simulator.Half), held: both, verdict: "was_made", sent: 1},
	{name: "a cancel, garbage", cancels: true, faults: on("/rollback", simulator.Garbage), held: both, verdict: "was_made", sent: 1},
	{name: "a cancel, HTTP 500", cancels: true, faults: on("/rollback", simulator.HTTP500), sent: 1},
	{name: "a cancel, rebooted", cancels: true, faults: on("/rollback", simulator.Reboot), sent: 2},
	{name: "a cancel, refused", cancels: true, faults: []simulator.Fault{{Name: simulator.Refuse, Route: "/rollback", Times: 1, Code: 36}},
		seen: receipt.Refused, reason: "refused_by_register", sent: 2,
		mend: func(s *shop, _ *simulator.Simulator) { s.till().Post("/v1/receipts/x/retry", "").Want(http.StatusOK) },
	},
}

func on(route, fault string) []simulator.Fault {
	return []simulator.Fault{{Name: fault, Route: route, Times: 1, MS: 400}}
}

func stranger(t testing.TB, sim *simulator.Simulator, serial string) {
	t.Helper()
	if err := sim.SetSerial(serial); err != nil {
		t.Fatal(err)
	}
}

func TestFaults_EachReceiptBecomesExactlyOneDocument(t *testing.T) {
	for _, edition := range both {
		for _, x := range ailments {
			t.Run(fmt.Sprintf("%s/%s", edition, x.name), func(t *testing.T) {
				t.Parallel()
				x.try(t, edition)
			})
		}
	}
}

func (x ailment) try(t *testing.T, edition simulator.Edition) {
	sim := register(t, simulator.Config{Edition: edition, Quirks: x.quirks})
	s := newShop(t, at(sim.Addr()))
	patience := hurt
	if x.byHand {
		patience = fast // so that the sale by hand comes before the agent looks
	}
	s.serve(patience)
	till := s.till()
	till.Post("/v1/receipts", sale("before"), wait).Want(http.StatusCreated)
	events := s.follow(sim)

	if x.impair != nil {
		x.impair(t, sim)
	}
	for _, f := range x.faults {
		if f.Name == "" {
			continue
		}
		if f.MS == 0 {
			f.MS = 3600 // longer than the agent waits
		}
		sim.Arm(f)
	}
	body := sale("x")
	if x.cancels {
		body = cancel("x", "before")
	}
	till.Post("/v1/receipts", body).Want(http.StatusAccepted)
	till.Post("/v1/receipts", sale("after")).Want(http.StatusAccepted)
	if x.byHand {
		// By hand, once the attempt has left and before the agent has looked.
		eventually(t, "the sale has been sent", func() bool { return sim.State().Requests["/sale"] >= 2 })
		if _, err := sim.RingUp(700, "Çay"); err != nil {
			t.Fatal(err)
		}
	}
	if x.seen != "" {
		s.becomes("x", string(x.seen)+" with "+x.reason, func(r stored) bool { return r.State == x.seen && r.Reason.Code == x.reason })
	}
	if x.seen == receipt.Refused {
		s.reaches("after", receipt.Fiscal) // what is refused holds nobody up
	}
	if x.mend != nil {
		x.mend(s, sim)
	}
	ledger := sim.Ledger
	if slices.Contains(x.held, edition) {
		r := s.reaches("x", receipt.Held)
		if r.Reason.Code != "outcome_unknown" {
			t.Errorf("held for %+v", r.Reason)
		}
		s.reaches("after", receipt.Fiscal) // what is held holds nobody up
		switch x.verdict {
		case "was_made":
			s.resolve("x", object{"verdict": "was_made", "document": object{"fiscal_id": ledger()[1].FiscalID, "number": fmt.Sprint(ledger()[1].Number)}})
		case "send":
			s.resolve("x", object{"verdict": "send"})
		}
	}
	r := s.reaches("x", receipt.Fiscal)
	s.reaches("after", receipt.Fiscal)
	if x.name == "paper is out" {
		s.becomes("x", "printed", func(r stored) bool { return r.Document.Printed && r.Reason.Code == "" })
		s.becomes("after", "printed", func(r stored) bool { return r.Document.Printed })
	}
	if x.sent != 0 && r.Attempts != x.sent {
		t.Errorf("sent %d times, want %d", r.Attempts, x.sent)
	}

	docs := slices.DeleteFunc(ledger(), func(d simulator.Document) bool { return d.ByHand && x.byHand })
	if x.seen == receipt.Refused || x.verdict == "send" && slices.Contains(x.held, edition) {
		docs[1], docs[2] = docs[2], docs[1] // what waited for a person went out last
	}
	referee(t, s.receipts(), docs)
	if x.also != nil {
		x.also(t, sim)
	}
	events(r.Document.FiscalID)
}

// follow listens to the stream of events. What it hears must be true when it is
// heard: fiscal is in the ledger, and nothing leaves that state again. The
// function that it gives waits until x was told to be fiscal.
func (s *shop) follow(sim *simulator.Simulator) func(fiscalID string) {
	s.Helper()
	till := s.till()
	request := till.Request(http.MethodGet, "/v1/events", "")
	response, err := http.DefaultClient.Do(request) //nolint:bodyclose // closed with the test
	if err != nil {
		s.Fatal(err)
	}
	var mu sync.Mutex
	var wrong []string
	last := map[string]stored{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		in := bufio.NewReader(response.Body)
		for {
			e, err := tilltest.ReadEvent(in)
			if err != nil {
				return
			}
			if e.Name != "receipt" {
				continue
			}
			till.CheckReceipt(e)
			r := storedFrom(s, e.Data)
			mu.Lock()
			if was, known := last[r.ID]; known && was.State == receipt.Fiscal && r.State != receipt.Fiscal {
				wrong = append(wrong, fmt.Sprintf("%s was fiscal and is %s", r.ID, r.State))
			}
			there := slices.ContainsFunc(sim.Ledger(), func(d simulator.Document) bool { return d.FiscalID == r.Document.FiscalID })
			if r.State == receipt.Fiscal && r.Document.FiscalID != "" && !there {
				wrong = append(wrong, fmt.Sprintf("%s is said to be document %s, which the ledger does not have", r.ID, r.Document.FiscalID))
			}
			last[r.ID] = r
			mu.Unlock()
		}
	}()
	s.Cleanup(func() {
		response.Body.Close()
		<-ended
	})
	return func(fiscalID string) {
		s.Helper()
		eventually(s, "the stream tells of x", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return last["x"].State == receipt.Fiscal && last["x"].Document.FiscalID == fiscalID
		})
		mu.Lock()
		defer mu.Unlock()
		for _, w := range wrong {
			s.Error(w)
		}
	}
}
