package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register/simulator"
)

// announced is a register that says by mDNS where it is. Other tests announce
// theirs on the same loopback: only the serials tell them apart.
func announced(t *testing.T, address, serial, state string) *simulator.Simulator {
	t.Helper()
	return register(t, simulator.Config{Listen: address, Serial: serial, State: state, MDNS: true, Interfaces: []string{"lo"}})
}

func TestDiscovery_ARegisterThatMovesIsFoundAgainByItsSerial(t *testing.T) {
	t.Parallel()
	own := fmt.Sprintf("E2E-MOVES-%d", time.Now().UnixNano())
	state := t.TempDir() + "/kassa.jsonl"
	first := announced(t, "", own, state)
	kassa := at("")
	kassa["serial"] = own
	s := newShop(t, kassa)
	s.serve(fast)
	c := s.till()
	c.Post("/v1/receipts", sale("a")) // it may not be found yet
	s.reaches("a", receipt.Fiscal)
	if a := c.Get("/v1/registers").Want(http.StatusOK); a.Field("registers.0.address") != first.Addr() {
		t.Errorf("%s", a.Body)
	}

	// It goes away. Tills are told yes all the same.
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		c.Post("/v1/receipts", sale(fmt.Sprintf("b%d", n))).Want(http.StatusAccepted)
	}
	s.becomes("b0", "waiting for the register", func(r stored) bool {
		return r.State == receipt.Waiting && (r.Reason.Code == "register_not_found" || r.Reason.Code == "register_unreachable")
	})

	// Another one, with the same Merchant ID, announces itself at the very place;
	// ours comes back elsewhere, on another port too.
	stranger := announced(t, first.Addr(), own+"-NOT", "")
	c.Post("/v1/receipts", sale("c")).Want(http.StatusAccepted)
	eventually(t, "the stranger was asked who it is", func() bool { return stranger.State().Requests["/get_info"] > 0 })
	second := announced(t, newHost()+":9008", own, state)
	s.reaches("c", receipt.Fiscal)
	if a := c.Get("/v1/registers").Want(http.StatusOK); a.Field("registers.0.address") != second.Addr() {
		t.Errorf("%s", a.Body)
	}
	referee(t, s.receipts(), second.Ledger())
	if n := len(second.Ledger()); n != 5 {
		t.Errorf("%d documents", n)
	}
	for route, n := range stranger.State().Requests {
		if route != "/get_info" && route != "/check_shift" && n > 0 {
			t.Errorf("the stranger was sent %s", route)
		}
	}
	if n := len(stranger.Ledger()); n != 0 {
		t.Errorf("the stranger made %d documents", n)
	}
}

func TestDiscovery_TheFirstRegisterIsRememberedAcrossARestart(t *testing.T) {
	t.Parallel()
	// A Merchant ID of its own, so that none of the others on this loopback fits.
	secret := fmt.Sprintf("%032x", time.Now().UnixNano())
	start := func(address, serial string) *simulator.Simulator {
		t.Helper()
		sim, err := simulator.Start(simulator.Config{
			Listen: address, Serial: serial, MerchantID: secret, MDNS: true, Interfaces: []string{"lo"},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { sim.Close() })
		return sim
	}
	first := start(newHost()+":8008", "E2E-FIRST-"+secret[20:])
	kassa := at("")
	kassa["merchant_id"] = secret
	s := newShop(t, kassa)
	stop := s.serve(fast)
	c := s.till()
	c.Post("/v1/receipts", sale("a")) // it may not be found yet
	s.reaches("a", receipt.Fiscal)
	stop()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	other := start(newHost()+":8008", "E2E-OTHER-"+secret[20:])
	s.serve(fast)
	c.Post("/v1/receipts", sale("b")).Want(http.StatusAccepted)
	eventually(t, "the other one was asked who it is", func() bool { return other.State().Requests["/get_info"] > 0 })
	if r := s.get("b"); r.State != receipt.Waiting {
		t.Errorf("%+v", r)
	}
	if n := len(other.Ledger()); n != 0 || len(first.Ledger()) != 1 {
		t.Errorf("the other one made %d documents", n)
	}
}

func TestDiscovery_ListsWhatIsThere(t *testing.T) {
	t.Parallel()
	own := fmt.Sprintf("E2E-LISTED-%d", time.Now().UnixNano())
	sim := announced(t, "", own, "")
	var list []struct {
		Driver  string `json:"driver"`
		Address string `json:"address"`
		FoundBy string `json:"found_by"`
		Name    string `json:"name"`
	}
	eventually(t, "discover lists it", func() bool { // a busy machine may miss an announcement
		r := command(t, agentBinary, "discover", "--interface", "lo", "--timeout", "1s", "--json").ok(t)
		if err := json.Unmarshal([]byte(r.out), &list); err != nil {
			t.Fatalf("%v: %s", err, r.out)
		}
		for _, x := range list {
			if x.Address == sim.Addr() && x.Driver == "azsmart" && x.FoundBy == "mdns" {
				return true
			}
		}
		return false
	})
	if n := len(sim.Ledger()); n != 0 {
		t.Errorf("%d documents", n)
	}
	oneLine(t, command(t, agentBinary, "discover", "--sweep", "8.8.8.0/24"), "8.8.8.0/24")
	oneLine(t, command(t, agentBinary, "discover", "--interface", "nothere0", "--timeout", "200ms"), "nothere0")
}
