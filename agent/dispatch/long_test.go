package dispatch_test

import (
	"testing"
	"time"

	"ekassa/agent/dispatch"
	"ekassa/agent/receipt"
)

// inYear begins in virtual time when clocks are set.
func (s *shop) inYear(year int) {
	s.stop()
	time.Sleep(time.Until(time.Date(year, 11, 23, 0, 0, 0, 0, time.UTC)))
	s.start()
}

// An agent runs for months: that makes no receipt old.
func TestLoop_SellsAfterDaysOfRunning(t *testing.T) {
	inShop(t, func(_ *device, setup *dispatch.Setup) { setup.Replay.Within = 24 * time.Hour }, func(s *shop) {
		s.inYear(2026)
		for range 5 {
			s.is(s.sell(), receipt.Fiscal, "")
			time.Sleep(11 * time.Hour)
		}
	})
}
