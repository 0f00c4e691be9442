package fleet_test

import (
	"fmt"
	"testing"
	"time"

	"ekassa/cloud/fleet"
)

func TestBill_ByTheDay(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	on := func(s string) fleet.Switch { return fleet.Switch{At: at(s), On: true} }
	off := func(s string) fleet.Switch { return fleet.Switch{At: at(s)} }
	for _, c := range []struct {
		name     string
		month    string
		switches []fleet.Switch
		want     string // days/of amount periods
	}{
		{"never on", "2026-11", nil, "0/30 0 []"},
		{"from the first day", "2026-11", []fleet.Switch{on("2026-11-01T00:00:00+04:00")}, "30/30 1000 [1-30]"},
		{"on since another year", "2026-02", []fleet.Switch{on("2025-06-07T10:00:00+04:00")}, "28/28 1000 [1-28]"},
		{"from the 16th", "2026-11", []fleet.Switch{on("2026-11-16T23:59:59+04:00")}, "15/30 500 [16-30]"},
		{"from the 24th, rounded", "2026-11", []fleet.Switch{on("2026-11-24T12:00:00+04:00")}, "7/30 233 [24-30]"},
		{"the last day of a long month", "2026-12", []fleet.Switch{on("2026-12-31T12:00:00+04:00")}, "1/31 32 [31-31]"},
		{"rounded half up", "2028-02", []fleet.Switch{on("2028-02-01T00:00:00+04:00"), off("2028-02-03T00:00:00+04:00")}, "3/29 103 [1-3]"},
		{"the day by Baku's clock", "2026-11", []fleet.Switch{on("2026-10-31T20:00:00Z"), off("2026-11-01T19:59:00Z")}, "1/30 33 [1-1]"},
		{"the month before is not billed for it", "2026-10", []fleet.Switch{on("2026-10-31T20:00:00Z")}, "0/31 0 []"},
		{"on and off on one day is one day", "2026-11", []fleet.Switch{
			on("2026-11-05T09:00:00+04:00"), off("2026-11-05T10:00:00+04:00"),
			on("2026-11-05T11:00:00+04:00"), off("2026-11-05T12:00:00+04:00")}, "1/30 33 [5-5]"},
		{"twice on", "2026-11", []fleet.Switch{
			on("2026-10-05T09:00:00+04:00"), off("2026-11-02T10:00:00+04:00"),
			on("2026-11-29T11:00:00+04:00"), on("2026-11-30T11:00:00+04:00")}, "4/30 133 [1-2 29-30]"},
		{"off before the month", "2026-12", []fleet.Switch{on("2026-10-05T09:00:00+04:00"), off("2026-11-30T23:59:00+04:00")}, "0/31 0 []"},
	} {
		first, err := fleet.ParseMonth(c.month)
		if err != nil {
			t.Fatal(err)
		}
		l := fleet.BillLine("azsmart", c.switches, first)
		periods := []string{}
		for _, p := range l.Periods {
			periods = append(periods, fmt.Sprintf("%d-%d", p.From.Day(), p.To.Day()))
		}
		if got := fmt.Sprintf("%d/%d %d %v", l.Days, l.Of, l.Amount, periods); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	for _, bad := range []string{"", "2026", "2026-13", "2026-1", "11-2026", "2026-11-01", "0001-01"} {
		if _, err := fleet.ParseMonth(bad); err == nil {
			t.Errorf("%q was read as a month", bad)
		}
	}
}
