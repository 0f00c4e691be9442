package e2e

import (
	"net/http"
	"strings"
	"syscall"
	"testing"

	"ekassa/agent/receipt"
	"ekassa/agent/register/simulator"
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
