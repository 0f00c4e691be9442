package dispatch

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestBusy_TellsAHangFromRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &Loop{}
		l.pulse.work()
		time.Sleep(time.Minute)
		if l.Busy() != time.Minute {
			t.Errorf("at work for %v", l.Busy())
		}
		l.pulse.rest()
		time.Sleep(time.Minute)
		if l.Busy() != 0 {
			t.Errorf("at rest, and busy for %v", l.Busy())
		}
	})
}
