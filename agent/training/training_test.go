package training

import (
	"context"
	"net/netip"
	"os"
	"strings"
	"testing"

	"ekassa/agent/setup"
	"ekassa/agent/texts"
	"ekassa/cloud/wire"
)

// For each maker the whole life of a receipt is shown, in each language, and nothing
// is left of it; the register of the plan hears nothing.
func TestALessonShowsAReceiptsLifeAndLeavesNothing(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	empty := func() {
		t.Helper()
		if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
	plan := func(n int) setup.Plan {
		return setup.Plan{Language: texts.Languages[n], Registers: []wire.Register{{
			ID: "kassa-7", Driver: setup.Makers[n], Address: netip.MustParseAddrPort("127.0.0.1:1"), Terminal: "till-7", Mode: wire.ModeActive,
			MerchantID: "00112233445566778899aabbccddeeff",
		}}}
	}
	for n, maker := range setup.Makers {
		made, err := Run(t.Context(), plan(n))
		var shown []string
		for _, m := range made {
			if shown = append(shown, m.Kind); m.Text == "" || m.State == "fiscal" && (m.FiscalID == "" || m.URL == "") {
				t.Errorf("%s: %+v", maker, m)
			}
		}
		if err != nil || strings.Join(shown, " ") != "sale sale refund " || made[1].State != "fiscal" || made[2].State != "fiscal" ||
			!strings.Contains(made[3].Text, "0.01") || strings.Contains(made[3].Text, "setup.") {
			t.Errorf("%s: %v, %+v", maker, err, made)
		}
		empty()
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if made, err := Run(over, plan(0)); err == nil || len(made) > 0 {
		t.Errorf("of one that was given up: %+v, %v", made, err)
	}
	empty()
	if _, err := Run(t.Context(), setup.Plan{}); err == nil || !strings.Contains(err.Error(), "choose one first") {
		t.Errorf("without a register: %v", err)
	}
}
