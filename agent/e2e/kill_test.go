package e2e

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register/simulator"
)

// Kill -9 at random moments, while a till goes on selling: the first 150
// receipts of the week with their cancel and refund. Who is killed is the
// table; an independent referee then compares what the till was told, the
// journal, and the ledger.
func TestKill_NothingIsLostDoubledOrOutOfOrder(t *testing.T) {
	for _, x := range []struct {
		name         string
		edition      simulator.Edition
		agent, kassa bool
		every        int // documents between two kills, at most
	}{
		{"the agent, new edition", simulator.New, true, false, 16},
		{"the agent, classic edition", simulator.Classic, true, false, 24},
		{"the register", simulator.New, false, true, 30},
		{"both, new edition", simulator.New, true, true, 30},
		{"both, classic edition", simulator.Classic, true, true, 40},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			dice := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // chance that can be repeated is wanted
			kassa := newDevice(t, x.edition)
			s := newShop(t, at(kassa.listen))
			agent := s.runFor(x.edition)
			receipts := week(t)[:150]

			told := map[string]string{} // what the till heard: the fiscal id, or that it waits
			sold := make(chan struct{})
			go func() {
				defer close(sold)
				till := s.till()
				for _, r := range receipts {
					if t.Failed() {
						return
					}
					told[r.id] = post(t, till, r.body).Field("document.fiscal_id")
				}
			}()

			// The moments lie between two documents and within one.
			made, kills := 0, 0
			for until := dice.IntN(x.every); ; until = made + 1 + dice.IntN(x.every) {
				// What is held makes no more documents: quiet is the end, too.
				for grown := time.Now(); made < until && made < len(receipts) && time.Since(grown) < quiet && !t.Failed(); {
					if m, ok := kassa.made(); ok && m > made {
						made, grown = m, time.Now()
					}
					time.Sleep(3 * time.Millisecond)
				}
				if made < until || t.Failed() {
					break
				}
				time.Sleep(time.Duration(dice.IntN(40_000)) * time.Microsecond)
				victims := 1 + dice.IntN(3) // 1 the agent, 2 the register, 3 both at once
				switch {
				case !x.kassa:
					victims = 1
				case !x.agent:
					victims = 2
				}
				if victims&1 != 0 {
					agent.kill()
				}
				if victims&2 != 0 {
					kassa.process.kill()
					kassa.run()
				}
				if victims&1 != 0 {
					agent = s.runFor(x.edition)
				}
				kills++
			}
			<-sold
			if t.Failed() {
				return
			}

			// What only a person can decide is decided by the paper, as a person would.
			var stuck []stored
			for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
				stuck = nil
				for _, r := range s.receipts() {
					if r.State == receipt.Held {
						s.decide(r, kassa.ledger())
					}
					if r.State != receipt.Fiscal {
						stuck = append(stuck, r)
					}
				}
				if len(stuck) == 0 {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("%d receipts are not fiscal, the first is %+v", len(stuck), stuck[0])
				}
			}
			all := s.receipts()
			if len(all) != len(receipts) || kills == 0 {
				t.Fatalf("%d receipts in the journal of %d, after %d kills", len(all), len(receipts), kills)
			}
			ledger, again := kassa.ledger(), 0
			for n, r := range all {
				if r.ID != receipts[n].id {
					t.Fatalf("the till was told yes of %s as number %d, and the journal has %s there", receipts[n].id, n+1, r.ID)
				}
				if id := told[r.ID]; id != "" && id != r.Document.FiscalID {
					t.Errorf("%s: the till was told document %s, and it is %s now", r.ID, id, r.Document.FiscalID)
				}
				if r.Attempts > 1 {
					again++
				}
			}
			referee(t, all, ledger)
			t.Logf("%d kills; %d receipts were sent more than once; one document each", kills, again)
			if code, _ := agent.stop(); x.agent && code != 0 {
				t.Errorf("exit code %d on SIGTERM", code)
			}
		})
	}
}

// quiet is longer than an agent takes to find out what became of a receipt.
const quiet = 12 * time.Second

// made is how many documents the ledger holds; false while nobody answers.
func (d *device) made() (int, bool) {
	var list []simulator.Document
	err := d.control("/sim/ledger", &list)
	return len(list), err == nil
}

// decide does what a person does with a held receipt: looks for its paper.
// Documents that no other receipt has and that are over its sum are its own.
func (s *shop) decide(r stored, ledger []simulator.Document) {
	s.Helper()
	if r.Reason.Code == "waits_for_answer" { // the answer about another one tells
		return
	}
	others := map[string]bool{}
	for _, x := range s.receipts() {
		others[x.Document.FiscalID] = true
		if x.State == receipt.Sending || x.State == receipt.Checking {
			return // its paper may come out at any moment: nobody judges by papers now
		}
	}
	for _, d := range ledger {
		if !others[d.FiscalID] && d.Kind == kinds[r.Kind] && d.Amount == int64(r.Total) {
			s.Logf("held, and found on paper: %s: %s", r.ID, r.Reason.Text)
			s.resolve(r.ID, object{"verdict": "was_made", "document": object{"fiscal_id": d.FiscalID}})
			return
		}
	}
	s.Logf("held, and not on paper: %s: %s", r.ID, r.Reason.Text)
	s.resolve(r.ID, object{"verdict": "send"})
}

func (s *shop) resolve(id string, decision object) stored {
	s.Helper()
	body := with(object{"who": "Aysel M.", "why": "looked at the paper"}, decision)
	return storedIn(s.till().Post("/v1/receipts/"+strings.TrimPrefix(id, "cash/")+"/resolve", body).Want(http.StatusOK))
}
