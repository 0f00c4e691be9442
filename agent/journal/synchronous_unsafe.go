//go:build unsafejournal

package journal

// For the control of scripts/powercut alone: a journal that loses commits at a
// power cut, so that the test of power cuts is known to find that out.
const (
	synchronous      = "NORMAL"
	synchronousReads = "1"
)

func init() { println("unsafejournal: this program loses receipts at a power cut; it is for a test") }
