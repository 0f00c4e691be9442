package receipt_test

import (
	"strings"
	"testing"

	"ekassa/agent/receipt"
)

// The table of contract.md 3, word for word.
const moves = `
waiting    : sending held withdrawn
sending    : fiscal refused checking waiting
checking   : fiscal waiting held
fiscal     :
refused    : waiting withdrawn
held       : waiting fiscal withdrawn
non_fiscal : waiting
withdrawn  :
`

func TestState_MayMoveAsTheContractSays(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(moves), "\n")
	if len(lines) != len(receipt.States) {
		t.Fatalf("%d states, want %d", len(receipt.States), len(lines))
	}
	for n, l := range lines {
		was, to, _ := strings.Cut(l, ":")
		if s := receipt.State(strings.TrimSpace(was)); receipt.States[n] != s {
			t.Errorf("state %d is %s, want %s", n, receipt.States[n], s)
		}
		allowed := map[string]bool{}
		for _, s := range strings.Fields(to) {
			allowed[s] = true
		}
		for _, s := range receipt.States {
			if got := receipt.States[n].May(s); got != allowed[string(s)] {
				t.Errorf("%s may become %s: %v, want %v", receipt.States[n], s, got, allowed[string(s)])
			}
		}
	}
	if receipt.State("lost").May(receipt.Waiting) || receipt.Waiting.May("lost") {
		t.Error("a state that does not exist may move")
	}
}

func TestState_IsQueuedOpenOrFinal(t *testing.T) {
	for _, s := range receipt.States {
		open := s == receipt.Sending || s == receipt.Checking
		queued := open || s == receipt.Waiting
		if s.Open() != open || s.Queued() != queued || s.Final() == queued {
			t.Errorf("%s: open %v, queued %v, final %v", s, s.Open(), s.Queued(), s.Final())
		}
	}
}

func TestShortID_IsTheFirstTwelve(t *testing.T) {
	for id, want := range map[string]string{
		"": "", "abc": "abc", "123456789abc": "123456789abc", "8GGA73rE1H5EzSGU3vfQjAAhmJZaQtVAQ": "8GGA73rE1H5E",
	} {
		if got := receipt.ShortID(id); got != want {
			t.Errorf("ShortID(%q) = %q, want %q", id, got, want)
		}
	}
}
