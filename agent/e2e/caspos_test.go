package e2e

import (
	"net/http"
	"slices"
	"testing"

	"ekassa/agent/receipt"
	"ekassa/agent/register/simulator"
)

// casposAt is a Caspos register of the settings.
func casposAt(address string) object {
	return object{
		"id": kassa, "name": "Bar", "driver": "caspos", "username": "api", "password": "right", "terminal": terminal, "address": address,
	}
}

// TestCaspos_EachAilmentMakesOneDocument: what a lost answer hides is found by the
// register's key, its number and its tape, and by a person only where these end.
func TestCaspos_EachAilmentMakesOneDocument(t *testing.T) {
	const bare = "repeat-without-ids"
	for _, x := range []struct {
		name    string
		faults  []simulator.Fault
		quirks  []string
		byHand  bool // a sale is rung up by hand while the agent does not know
		z       bool // the shift is closed and opened again by hand meanwhile
		held    bool // only a person can decide
		printed func(sim *simulator.Simulator)
	}{
		{name: "dropped before", faults: one(simulator.DropBefore)},
		{name: "dropped after", faults: one(simulator.DropAfter)},
		{name: "dropped after, a repeat is not named", faults: one(simulator.DropAfter), quirks: []string{bare}},
		{name: "half an answer", faults: one(simulator.Half)},
		{name: "HTTP 500 with the document", quirks: []string{"http-500-success", "names-not-stored", "code-number"}},
		{name: "HTTP 500 without a body", faults: one(simulator.HTTP500Empty)},
		{name: "garbage", faults: one(simulator.Garbage)},
		{name: "busy", faults: one(simulator.BusyFault)},
		{name: "processed for long", faults: one(simulator.Processing)},
		{name: "slower than the agent", faults: one(simulator.Slow)},
		{name: "made, and then slower than the agent", faults: one(simulator.SlowAfter)},
		{name: "reboot", faults: one(simulator.Reboot)},
		{name: "made, and reboot", faults: one(simulator.RebootAfter)},
		{name: "made, and reboot, with a login", faults: one(simulator.RebootAfter), quirks: []string{"login-required", "credentials-checked", bare}},
		{name: "reboot, and one by hand", faults: one(simulator.Reboot), byHand: true},
		{name: "made, reboot, and one by hand", faults: one(simulator.RebootAfter), byHand: true},
		{
			name: "made, reboot, one by hand, a repeat is not named", quirks: []string{bare}, byHand: true, held: true,
			faults: one(simulator.RebootAfter),
		},
		{
			name: "made, reboot, and a Z that forgets", quirks: []string{"uuids-forgotten-at-z"}, z: true, held: true,
			faults: one(simulator.RebootAfter),
		},
		{name: "paper is out", faults: []simulator.Fault{{Name: simulator.PaperOut}}, printed: (*simulator.Simulator).LoadPaper},
		{
			name: "paper is out and nothing is made", faults: []simulator.Fault{{Name: simulator.PaperOut}},
			quirks: []string{"paper-out-makes-nothing"}, printed: (*simulator.Simulator).LoadPaper,
		},
		{name: "odd ways of writing", quirks: []string{"single-precision", "time-without-blank", "camel-shift-status", "stray-blanks", "odd-success-text"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			sim := register(t, simulator.Config{
				Protocol: simulator.Caspos, Listen: newHost() + ":5544", User: "api", Password: "right", Quirks: x.quirks,
			})
			s := newShop(t, casposAt(sim.Addr()))
			s.serve(hurt)
			till := s.till()
			till.Post("/v1/receipts", sale("before"), wait).Want(http.StatusCreated)
			for _, f := range x.faults {
				if f.MS == 0 {
					f.MS = 3600 // longer than the agent waits
					if x.byHand || x.z {
						f.MS = 5000 // nor is it back before the hand has done its part
					}
				}
				sim.Arm(f)
			}
			till.Post("/v1/receipts", sale("x")).Want(http.StatusAccepted)
			till.Post("/v1/receipts", sale("after")).Want(http.StatusAccepted)
			if x.byHand || x.z {
				eventually(t, "the sale has been sent", func() bool { return sim.State().Requests["/sale"] >= 2 })
			}
			if x.byHand {
				if _, err := sim.RingUp(700, "Çay"); err != nil {
					t.Fatal(err)
				}
			}
			if x.z {
				if _, err := sim.CloseShift(0); err != nil {
					t.Fatal(err)
				}
				if err := sim.OpenShift("Əli"); err != nil {
					t.Fatal(err)
				}
			}
			if x.printed != nil {
				s.becomes("x", "waiting for paper", func(r stored) bool {
					return r.Reason.Code == "paper_out" || r.State == receipt.Fiscal && !r.Document.Printed
				})
				x.printed(sim)
			}
			if x.held {
				if r := s.reaches("x", receipt.Held); r.Reason.Code != "outcome_unknown" {
					t.Errorf("held for %+v", r.Reason)
				}
				d := sim.Ledger()[1]
				s.resolve("x", object{"verdict": "was_made", "document": object{"fiscal_id": d.FiscalID, "number": "2"}})
			}
			s.reaches("x", receipt.Fiscal)
			if x.byHand { // what waited might have been rung up as well
				if r := s.reaches("after", receipt.Held); r.Reason.Code != "rung_up_by_hand" {
					t.Errorf("held for %+v", r.Reason)
				}
				s.resolve("after", object{"verdict": "send"})
			}
			s.reaches("after", receipt.Fiscal)
			if x.printed != nil {
				s.becomes("x", "printed", func(r stored) bool { return r.Document.Printed })
			}
			referee(t, s.receipts(), slices.DeleteFunc(sim.Ledger(), func(d simulator.Document) bool { return d.ByHand }))
		})
	}
}
