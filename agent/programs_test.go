package agent

import (
	"testing"
	"time"

	"ekassa/agent/register"
	"ekassa/cloud/wire"
)

func TestClosingSoon_LeavesAShiftAloneThatIsAboutToBeClosed(t *testing.T) {
	at := wire.DefaultSettings()
	at.Shift.AutoClose, at.Shift.CloseAt = wire.AutoCloseAt, wire.TimeOfDay{Hour: 0, Minute: 10} // in Baku: 20:10 UTC
	off := wire.DefaultSettings()
	open := func(age time.Duration) []register.Status {
		return []register.Status{{ID: "closed"}, {ID: "kassa-1", Shift: register.Shift{Open: true, Age: age}}}
	}
	clock := func(hour, minute int) time.Time { return time.Date(2026, 11, 29, hour, minute, 0, 0, time.UTC) }
	for what, x := range map[string]struct {
		s    wire.Settings
		now  time.Time
		list []register.Status
		want bool
	}{
		"long before":             {at, clock(19, 39), open(time.Hour), false},
		"before, over midnight":   {at, clock(19, 41), open(time.Hour), true},
		"at the hour":             {at, clock(20, 10), open(time.Hour), true},
		"a little after":          {at, clock(20, 24), open(time.Hour), true},
		"after":                   {at, clock(20, 25), open(time.Hour), false},
		"at the hour, all closed": {at, clock(20, 10), open(time.Hour)[:1], false},
		"a person closes":         {off, clock(20, 10), open(time.Hour), false},
		"old":                     {off, clock(12, 0), open(22*time.Hour + 29*time.Minute), false},
		"older":                   {off, clock(12, 0), open(22*time.Hour + 31*time.Minute), true},
		"too old":                 {off, clock(12, 0), open(24*time.Hour + 14*time.Minute), true},
		"forgotten":               {off, clock(12, 0), open(24*time.Hour + 16*time.Minute), false},
	} {
		if got := closingSoon(x.s, x.now, x.list); got != x.want {
			t.Errorf("%s: %t", what, got)
		}
	}
}
