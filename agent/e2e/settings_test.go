package e2e

import (
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ekassa/agent/config"
	"ekassa/agent/receipt"
	"ekassa/agent/register/simulator"
	"ekassa/cloud/wire"
)

// hup has the agent read its settings again.
func (s *shop) hup(p *process, said string) {
	s.Helper()
	s.write()
	before := strings.Count(p.err.String(), said)
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		s.Fatal(err)
	}
	eventually(s, "the agent says "+said, func() bool { return strings.Count(p.err.String(), said) > before })
}

// A sale whose answer was lost when the till was given a register of another maker
// is settled by the register that has it, which is kept aside; it and its refund are
// never made by the other, and nobody waits for them.
func TestSettings_WhatIsInDoubtStaysWithItsRegister(t *testing.T) {
	t.Parallel()
	state := filepath.Join(t.TempDir(), "kassa.jsonl")
	c := simulator.Config{Listen: newHost() + ":8008", Serial: "FIRST", MerchantID: merchant, State: state}
	first, err := simulator.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	second, other := ofModel(t, model{protocol: simulator.Omnitech})
	s := newShop(t, at(c.Listen))
	live, changed := fast, make(chan wire.Settings)
	live.Reload = changed
	s.serve(live)
	till := s.till()
	till.Post("/v1/receipts", sale("sold"), wait).Want(http.StatusCreated)
	first.Arm(simulator.Fault{Name: simulator.DropAfter, Route: "/sale", Times: 1}, simulator.Fault{Name: simulator.RefuseConnection, Route: "/check_status", MS: 600_000})
	till.Post("/v1/receipts", sale("lost")).Want(http.StatusAccepted)
	s.reaches("lost", receipt.Checking)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	till.Post("/v1/receipts", sale("waits")).Want(http.StatusAccepted)

	other["id"] = "kassa-2"
	s.settings["registers"] = []any{extended(at(c.Listen), object{"mode": "offline"}), other}
	s.write()
	cfg, err := config.Load(s.file)
	if err != nil {
		t.Fatal(err)
	}
	changed <- cfg.Settings
	if r := s.reaches("waits", receipt.Fiscal); r.Register != "kassa-2" || r.Document.Serial != second.Serial() {
		t.Errorf("what waited: %+v", r)
	}
	till.Post("/v1/receipts", refund("back", "lost")).Want(http.StatusAccepted)
	till.Post("/v1/receipts", sale("next"), wait).Want(http.StatusCreated)
	if r := s.get("lost"); r.State != receipt.Checking || r.Register != kassa {
		t.Errorf("what is in doubt: %+v", r)
	}
	if r := s.get("back"); r.State != receipt.Waiting || r.Reason.Code != "waits_for_parent" {
		t.Errorf("its refund: %+v", r)
	}

	if first, err = simulator.Start(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := first.Close(); err != nil {
			t.Error(err)
		}
	})
	if r := s.reaches("lost", receipt.Fiscal); r.Register != kassa || r.Document.Serial != "FIRST" || r.Attempts != 1 {
		t.Errorf("settled: %+v", r)
	}
	s.reaches("back", receipt.Refused) // Omnitech knows no such parent: the staff hear of it
	if n := len(first.Ledger()); n != 2 {
		t.Errorf("the first register made %d documents, want 2", n)
	}
	if n := len(second.Ledger()); n != 2 {
		t.Errorf("the second register made %d documents, want 2", n)
	}
}

// New settings count from the next receipt on, without a restart: what was sent
// stays with the register that has it, what waits goes to the one that is the
// till's now, and what is invalid changes nothing.
func TestSettings_ChangeWhileReceiptsWait(t *testing.T) {
	t.Parallel()
	first, second := newDevice(t, simulator.New), newDevice(t, simulator.New)
	s := newShop(t, at(first.listen))
	p, till := s.run(), s.till()
	till.Post("/v1/receipts", sale("sent"), wait).Want(http.StatusCreated)
	first.process.kill()
	for _, id := range []string{"waits-1", "waits-2"} {
		till.Post("/v1/receipts", sale(id)).Want(http.StatusAccepted)
	}

	third := extended(at(second.listen), object{"id": "kassa-2"})
	s.settings["registers"] = []any{extended(third, object{"address": "nowhere"})}
	s.hup(p, "settings refused")
	if got := till.Get("/v1/receipts/waits-1").Field("register"); got != kassa {
		t.Errorf("after settings that were refused it waits for %s", got)
	}

	s.settings["registers"] = []any{extended(at(first.listen), object{"mode": "offline"}), third}
	s.hup(p, "settings applied")
	eventually(t, "what waited is fiscal", func() bool {
		return till.Get("/v1/receipts/waits-2").Field("state") == string(receipt.Fiscal)
	})
	if n, ok := second.made(); !ok || n != 2 {
		t.Errorf("the second register made %d documents, want 2", n)
	}
	got := till.Get("/v1/receipts/sent")
	if got.Field("register") != kassa || got.Field("state") != string(receipt.Fiscal) {
		t.Errorf("what was sent: %s", got.Body)
	}

	s.settings["registers"] = []any{}
	s.hup(p, "settings applied")
	if got := till.Post("/v1/receipts", sale("none")).Want(http.StatusAccepted).Field("reason.code"); got != "no_register" {
		t.Errorf("without a register it waits for %s", got)
	}
	s.settings["registers"] = []any{third}
	s.hup(p, "settings applied")
	eventually(t, "it is fiscal", func() bool {
		return till.Get("/v1/receipts/none").Field("state") == string(receipt.Fiscal)
	})
}
