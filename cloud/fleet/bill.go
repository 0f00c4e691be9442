package fleet

import (
	"fmt"
	"slices"
	"time"
)

// MonthlyFee is what a module that is switched on costs a month, in qəpik:
// 10 AZN (contract.md 6).
const MonthlyFee = 10_00

// Billing days are the days of Azerbaijan's calendar, wherever the cloud runs.
// Baku has been four hours ahead since 2016, without summer time.
var billingZone = time.FixedZone("Asia/Baku", 4*60*60)

// Switch is a module switched on or off.
type Switch struct {
	At time.Time
	On bool
}

// Line is what one module costs in one month.
type Line struct {
	Module  string   // the driver
	Days    int      // on which it was on
	Of      int      // days of the month
	Periods []Period // that add up to Days
	Amount  int64    // qəpik
}

// Period of days, both included.
type Period struct{ From, To time.Time }

// ParseMonth reads "2026-11" as the first day of that month.
func ParseMonth(text string) (time.Time, error) {
	t, err := time.ParseInLocation("2006-01", text, billingZone)
	if err != nil || t.Year() < 2020 || t.Year() > 2199 {
		return time.Time{}, fmt.Errorf("%.20q is no month; write it as 2026-11", text)
	}
	return t, nil
}

// Month gives the first day of the month in which t is.
func Month(t time.Time) time.Time {
	t = t.In(billingZone)
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, billingZone)
}

// BillLine says what a module costs in the month that begins at first.
//
// The rule: the fee is for a calendar month; of a month in which the module was
// not on every day, as many parts are due as there were days on which it was on
// at any moment, the days of switching on and off included, each once. The
// module's sum is rounded half up to the qəpik. A module that is on counts as on
// until the month ends; switching it off shortens that.
func BillLine(module string, switches []Switch, first time.Time) Line {
	next := first.AddDate(0, 1, 0)
	line := Line{Module: module, Of: next.AddDate(0, 0, -1).Day()}
	switches = slices.SortedStableFunc(slices.Values(switches), func(a, b Switch) int { return a.At.Compare(b.At) })
	on := make([]bool, line.Of+1)
	mark := func(from, to time.Time) { // both included
		for d := later(day(from), first); d.Before(next) && !d.After(to); d = d.AddDate(0, 0, 1) {
			on[d.Day()] = true
		}
	}
	var since time.Time
	for _, s := range switches {
		switch {
		case s.On && since.IsZero():
			since = s.At
		case !s.On && !since.IsZero():
			mark(since, s.At)
			since = time.Time{}
		}
	}
	if !since.IsZero() {
		mark(since, next)
	}
	for d := 1; d <= line.Of; d++ {
		if !on[d] {
			continue
		}
		line.Days++
		date := first.AddDate(0, 0, d-1)
		if last := len(line.Periods) - 1; last >= 0 && on[d-1] {
			line.Periods[last].To = date
		} else {
			line.Periods = append(line.Periods, Period{date, date})
		}
	}
	line.Amount = (2*MonthlyFee*int64(line.Days) + int64(line.Of)) / (2 * int64(line.Of))
	return line
}

func day(t time.Time) time.Time {
	t = t.In(billingZone)
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, billingZone)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
