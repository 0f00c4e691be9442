package dispatch_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ekassa/agent/dispatch"
	"ekassa/agent/journal"
	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// reports gives the Z reports, oldest first.
func (s *shop) reports() []register.Reported {
	s.t.Helper()
	synctest.Wait()
	list, err := s.desk.Reports("till-1", "z", 100)
	if err != nil {
		s.t.Fatal(err)
	}
	slices.Reverse(list)
	return list
}

// byHand does something on the register itself.
func (s *shop) byHand(do func(*device)) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	do(s.d)
}

func closeByHand(d *device) { d.shift.Open = false }

func openByHand(d *device) {
	d.shifts++
	d.shift = register.Shift{Open: true, ID: fmt.Sprint("hand-", d.shifts)}
}

// wantZ compares who closed each shift and whether all added up.
func (s *shop) wantZ(want ...string) {
	s.t.Helper()
	var got []string
	for _, r := range s.reports() {
		line := fmt.Sprintf("%s by %q: %d", r.Report.Shift, r.By, r.Report.Sales.Count)
		if r.Report.Missing != "" {
			line += " missing"
		}
		for _, d := range r.Report.Balance.Differences {
			line += " " + d.Figure + " " + d.Journal + "/" + d.Register
		}
		got = append(got, line)
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("Z reports %q, want %q", got, want)
	}
}

func TestShift_IsClosedOnceWhateverBecomesOfTheAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*device)
		fails  bool
		want   string
	}{
		"answered":                       {func(*device) {}, false, `1 by "Aysel": 1`},
		"answer lost":                    {func(d *device) { d.mute = true }, false, `1 by "Aysel": 1`},
		"answer lost, and no report":     {func(d *device) { d.mute, d.noReport = true, true }, true, `1 by "Aysel": 0 missing`},
		"not heard, then closed by hand": {func(d *device) { d.deafTo = true }, true, `1 by "Aysel": 1`},
	} {
		t.Run(name, func(t *testing.T) {
			inShop(t, nil, func(s *shop) {
				s.is(s.sell(), receipt.Fiscal, "")
				s.byHand(c.change)
				r, err := s.desk.CloseShift(s.t.Context(), "till-1", "Aysel")
				if (err != nil) != c.fails || err == nil && (r.Sales.Count != 1 || r.Balance == nil) {
					t.Errorf("%+v, %v", r, err)
				}
				s.byHand(closeByHand)
				time.Sleep(time.Hour)
				s.wantZ(c.want)
			})
		})
	}
}

// The register closed the shift, and we died before its answer came.
func TestShift_ThatWasClosedAsTheAgentDiedKeepsItsReport(t *testing.T) {
	inShop(t, nil, func(s *shop) {
		s.is(s.sell(), receipt.Fiscal, "")
		s.stop()
		if err := s.j.ShiftClosing("kassa-1", "Aysel"); err != nil {
			t.Fatal(err)
		}
		s.byHand(closeByHand)
		s.start()
		s.wantZ(`1 by "Aysel": 1`)
		s.is(s.sell(), receipt.Fiscal, "")
		s.wantZ(`1 by "Aysel": 1`)
	})
}

// What is known of a register that is away is told after a restart as well.
func TestShift_AndItsRegisterAreKnownWhileItIsAway(t *testing.T) {
	inShop(t, nil, func(s *shop) {
		s.is(s.sell(), receipt.Fiscal, "")
		before, err := s.loop.Status()
		if err != nil || !before.Shift.Open || before.Identity.Serial == "" {
			t.Fatalf("%+v, %v", before, err)
		}
		s.stop()
		s.away(24 * time.Hour)
		time.Sleep(time.Hour)
		s.start()
		time.Sleep(time.Minute)
		after, err := s.loop.Status()
		if err != nil || !after.SeenAt.IsZero() || !after.Shift.Open || after.Shift.ID != before.Shift.ID || after.Shift.Age < time.Hour {
			t.Errorf("%+v, %v", after, err)
		}
		before.Identity.LastOnline = time.Time{}
		if after.Identity != before.Identity {
			t.Errorf("%+v, before %+v", after.Identity, before.Identity)
		}
	})
}

// The register opened the shift, and we died before its answer came.
func TestShift_ThatWasOpenedAsTheAgentDiedIsItsOwn(t *testing.T) {
	inShop(t, nil, func(s *shop) {
		s.stop()
		if err := s.j.ShiftOpening("kassa-1", "Aysel"); err != nil {
			t.Fatal(err)
		}
		s.byHand(openByHand)
		s.start()
		s.is(s.sell(), receipt.Fiscal, "")
		if seen, err := s.j.OpenShift("kassa-1"); err != nil || seen.OpenedBy != "Aysel" {
			t.Errorf("%+v, %v", seen, err)
		}
		if who, err := s.j.Opening("kassa-1"); err != nil || who != "" {
			t.Errorf("still to be opened by %q, %v", who, err)
		}
		// An order that came to nothing is not the one that opened the next.
		s.stop()
		s.byHand(closeByHand)
		if err := s.j.ShiftOpening("kassa-1", "Aysel"); err != nil {
			t.Fatal(err)
		}
		s.start()
		time.Sleep(5 * time.Minute)
		s.byHand(openByHand)
		time.Sleep(5 * time.Minute)
		if seen, err := s.j.OpenShift("kassa-1"); err != nil || seen.OpenedBy != "" {
			t.Errorf("%+v, %v", seen, err)
		}
	})
}

func TestShift_WhatPeopleDoOnTheRegisterIsNoticed(t *testing.T) {
	inShop(t, nil, func(s *shop) {
		s.is(s.sell(), receipt.Fiscal, "")
		s.rungUpByHand()
		s.byHand(func(d *device) { closeByHand(d); openByHand(d) })
		time.Sleep(5 * time.Minute)
		s.wantZ(`1 by "": 2 sales.count 1/2 sales.sum 2.00/4.00 sales.cash 2.00/4.00`)
		seen, err := s.j.OpenShift("kassa-1")
		if err != nil || seen.Name != "hand-2" || seen.OpenedBy != "" {
			t.Errorf("%+v, %v", seen, err)
		}
		s.byHand(closeByHand)
		time.Sleep(5 * time.Minute)
		if seen, err := s.j.OpenShift("kassa-1"); err == nil {
			t.Errorf("still open: %+v", seen)
		}
		s.is(s.sell(), receipt.Fiscal, "")
		if seen, err := s.j.OpenShift("kassa-1"); err != nil || seen.OpenedBy != "auto" {
			t.Errorf("%+v, %v", seen, err)
		}
	})
}

func TestShift_IsClosedAtOnceWhereAPersonSaysWhy(t *testing.T) {
	inShop(t, nil, func(s *shop) {
		s.is(s.sell(), receipt.Fiscal, "")
		s.byHand(func(d *device) { d.shift.OpenedAt = time.Now() })
		s.byHand(func(d *device) { d.expired = true })
		id := s.sell()
		time.Sleep(time.Minute)
		s.is(id, receipt.Waiting, register.WhyShiftExpired)
		if _, err := s.desk.CloseShiftNow(s.t.Context(), "till-1", "Aysel", "going home"); err != nil {
			t.Fatal(err)
		}
		s.wantZ(`1 by "Aysel: going home": 1`)
		time.Sleep(time.Minute)
		s.is(id, receipt.Fiscal, "") // in the next one
	})
}

// A restaurant of which the doors never close, for a week: the guard keeps every
// shift under 24 hours, and loses no receipt.
func TestGuard_KeepsEveryShiftUnderADay(t *testing.T) {
	for name, guard := range map[string]dispatch.Guard{
		"before the limit": {BeforeLimit: true},
		"at five":          {At: true, Hour: 5, Zone: time.FixedZone("Baku", 4*60*60)},
	} {
		t.Run(name, func(t *testing.T) {
			inShop(t, func(_ *device, setup *dispatch.Setup) { setup.Guard = guard }, func(s *shop) {
				s.inYear(2026)
				var ids []string
				for range 7 * 24 {
					ids = append(ids, s.sell())
					time.Sleep(time.Hour)
				}
				for _, id := range ids {
					s.is(id, receipt.Fiscal, "")
				}
				list, sales := s.reports(), 0
				for _, r := range list {
					if age := r.At.Sub(r.Report.OpenedAt); age >= register.MaxShift || r.By != "auto" || len(r.Report.Balance.Differences) > 0 {
						t.Errorf("shift %s was open for %s, closed by %q: %+v", r.Report.Shift, age, r.By, r.Report.Balance)
					}
					sales += r.Report.Sales.Count
				}
				if len(list) < 6 || len(list) > 9 || s.documents() != len(ids) || sales > len(ids) {
					t.Errorf("%d Z reports with %d sales; %d documents for %d receipts", len(list), sales, s.documents(), len(ids))
				}
			})
		})
	}
}

// A power cut over the limit: the register refuses everything until the Z.
func TestGuard_ClosesAShiftThatGrewTooOldWhileWeWereOff(t *testing.T) {
	for _, on := range []bool{true, false} {
		inShop(t, func(_ *device, setup *dispatch.Setup) { setup.Guard.BeforeLimit = on }, func(s *shop) {
			s.inYear(2026)
			s.is(s.sell(), receipt.Fiscal, "")
			s.stop()
			time.Sleep(30 * time.Hour)
			s.byHand(func(d *device) { d.expired = true })
			s.start()
			id := s.sell()
			time.Sleep(5 * time.Minute)
			if !on {
				s.is(id, receipt.Waiting, register.WhyShiftExpired)
				return
			}
			s.is(id, receipt.Fiscal, "")
			s.wantZ(`1 by "auto": 1`)
		})
	}
}

// alerted listens to what people are told.
type alerted struct {
	*journal.Journal
	mu   sync.Mutex
	said []string
}

func (a *alerted) Alert(name, code, detail string) error {
	a.mu.Lock()
	a.said = append(a.said, code+" "+detail)
	a.mu.Unlock()
	return a.Journal.Alert(name, code, detail)
}

func TestGuard_WarnsOnceForEachAge(t *testing.T) {
	inShop(t, func(_ *device, setup *dispatch.Setup) {
		setup.Guard.Warn = []time.Duration{22 * time.Hour, 23 * time.Hour}
	}, func(s *shop) {
		s.stop()
		ear := &alerted{Journal: s.j}
		s.listen(ear)
		s.is(s.sell(), receipt.Fiscal, "")
		if status := s.desk.Registers("till-1")[0]; status.Shift.Age > time.Minute {
			t.Errorf("a new shift is %s old", status.Shift.Age)
		}
		time.Sleep(26 * time.Hour)
		synctest.Wait()
		ear.mu.Lock()
		defer ear.mu.Unlock()
		if len(ear.said) != 3 || ear.said[0][:13] != "shift_old 22h" || ear.said[1][:13] != "shift_old 23h" || ear.said[2][:17] != "shift_expired 24h" {
			t.Errorf("alerts %q", ear.said)
		}
		if age := s.desk.Registers("till-1")[0].Shift.Age; age < 26*time.Hour {
			t.Errorf("the shift is %s old", age)
		}
	})
}
