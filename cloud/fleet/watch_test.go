package fleet_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ekassa/cloud/fleet"
	"ekassa/cloud/wire"
)

func TestWatch_RaisesAndEnds(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	days := func(n int) *int { return &n }
	yes, no, hot := true, false, 85.0
	bytes := func(n int64) *int64 { return &n }
	good := func() fleet.Agent {
		return fleet.Agent{
			ID: "a", EnrolledAt: now.Add(-1000 * time.Hour), Online: true, Since: now.Add(-time.Hour), Desired: 3, HealthAt: now.Add(-time.Minute),
			Reported: wire.Reported{Rev: 3, Judged: 3, State: wire.StateApplied},
			Health: &wire.Health{DiskFree: 8e9, CertDays: days(300), ClockSynced: &yes, UnderVoltage: &no, CardUsed: days(10), DiskErrors: bytes(0), WrittenDay: bytes(4e8), WiFi: days(-60), Registers: []wire.RegisterHealth{
				{ID: "k", Mode: "active", Link: "ready", ShiftOpen: true, ShiftAge: 3600, LastOnline: now.Add(-time.Hour), CertDays: days(100), SeenAt: now.Add(-time.Minute)},
				{ID: "spare", Mode: "offline", Link: "offline"},
			}},
		}
	}
	if got := found(good(), now, fleet.Holds); got != "" {
		t.Errorf("all is well, and %s", got)
	}
	for name, c := range map[string]struct {
		change func(a *fleet.Agent, k *wire.RegisterHealth)
		want   string
	}{
		"offline":             {func(a *fleet.Agent, _ *wire.RegisterHealth) { a.Online, a.Since = false, now.Add(-11*time.Minute) }, "agent_offline"},
		"just gone":           {func(a *fleet.Agent, _ *wire.RegisterHealth) { a.Online, a.Since = false, now.Add(-9*time.Minute) }, ""},
		"says nothing":        {func(a *fleet.Agent, _ *wire.RegisterHealth) { a.HealthAt = now.Add(-20 * time.Minute) }, "agent_offline"},
		"refused":             {func(a *fleet.Agent, _ *wire.RegisterHealth) { a.Reported.State = wire.StateRefused }, "settings_refused"},
		"reverted":            {func(a *fleet.Agent, _ *wire.RegisterHealth) { a.Reported.State = wire.StateReverted }, "settings_reverted"},
		"database lost":       {func(a *fleet.Agent, _ *wire.RegisterHealth) { a.Desired = 0 }, "settings_unknown"},
		"waiting":             {func(a *fleet.Agent, _ *wire.RegisterHealth) { a.Health.Waiting, a.Health.OldestSeconds = 3, 3700 }, "receipts_waiting"},
		"certificate":         {func(a *fleet.Agent, _ *wire.RegisterHealth) { a.Health.CertDays = days(9) }, "certificate_ending"},
		"clock":               {func(a *fleet.Agent, _ *wire.RegisterHealth) { a.Health.ClockSynced = &no }, "clock_off"},
		"disk":                {func(a *fleet.Agent, _ *wire.RegisterHealth) { a.Health.DiskFree = 1e8 }, "disk_short"},
		"power":               {func(a *fleet.Agent, _ *wire.RegisterHealth) { a.Health.UnderVoltage = &yes }, "under_voltage"},
		"hot":                 {func(a *fleet.Agent, _ *wire.RegisterHealth) { a.Health.Temperature = &hot }, "too_hot"},
		"card used":           {func(a *fleet.Agent, _ *wire.RegisterHealth) { a.Health.CardUsed = days(80) }, "card_failing"},
		"card lies":           {func(a *fleet.Agent, _ *wire.RegisterHealth) { a.Health.DiskErrors = bytes(1) }, "card_failing"},
		"card written":        {func(a *fleet.Agent, _ *wire.RegisterHealth) { a.Health.WrittenDay = bytes(5e9) }, "card_written"},
		"radio":               {func(a *fleet.Agent, _ *wire.RegisterHealth) { a.Health.WiFi = days(-81) }, "wifi_weak"},
		"away":                {func(_ *fleet.Agent, k *wire.RegisterHealth) { k.Link, k.SeenAt = "down", now.Add(-time.Hour) }, "k/register_away"},
		"never seen":          {func(_ *fleet.Agent, k *wire.RegisterHealth) { k.Link, k.SeenAt = "not_found", time.Time{} }, "k/register_away"},
		"away for a moment":   {func(_ *fleet.Agent, k *wire.RegisterHealth) { k.Link = "down" }, ""},
		"held":                {func(_ *fleet.Agent, k *wire.RegisterHealth) { k.Held = 1 }, "k/receipts_held"},
		"shift old":           {func(_ *fleet.Agent, k *wire.RegisterHealth) { k.ShiftAge = 22 * 3600 }, "k/shift_old"},
		"shift expired":       {func(_ *fleet.Agent, k *wire.RegisterHealth) { k.ShiftAge = 24 * 3600 }, "k/shift_expired k/shift_old"},
		"shift of the lost":   {func(a *fleet.Agent, _ *wire.RegisterHealth) { a.HealthAt = now.Add(-22 * time.Hour) }, "agent_offline k/shift_old"},
		"closed shift":        {func(_ *fleet.Agent, k *wire.RegisterHealth) { k.ShiftOpen, k.ShiftAge = false, 99*3600 }, ""},
		"token ends":          {func(_ *fleet.Agent, k *wire.RegisterHealth) { k.CertDays = days(29) }, "k/certificate_ending"},
		"register's clock":    {func(_ *fleet.Agent, k *wire.RegisterHealth) { k.ClockOff = -400 }, "k/clock_off"},
		"tax service":         {func(_ *fleet.Agent, k *wire.RegisterHealth) { k.LastOnline = now.Add(-13 * time.Hour) }, "k/tax_service_away"},
		"taken back":          {func(a *fleet.Agent, _ *wire.RegisterHealth) { a.Revoked, a.Online, a.Since = true, false, time.Time{} }, ""},
		"not there yet":       {func(a *fleet.Agent, _ *wire.RegisterHealth) { *a = fleet.Agent{ID: "a"} }, ""},
		"enrolled, no more":   {func(a *fleet.Agent, _ *wire.RegisterHealth) { *a = fleet.Agent{ID: "a", EnrolledAt: a.EnrolledAt} }, "agent_offline"},
		"settings on the way": {func(a *fleet.Agent, _ *wire.RegisterHealth) { a.Desired, a.Reported.State = 4, wire.StateRefused }, ""},
	} {
		a := good()
		c.change(&a, &a.Health.Registers[0])
		if got := found(a, now, fleet.Holds); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	// What the good one shows ends every alert there is.
	over := found(good(), now, fleet.Over)
	for _, f := range fleet.Watch(good(), now) {
		if f.Register == "spare" || f.Code == "too_hot" { // nobody told how hot it is
			continue
		}
		if name := strings.TrimPrefix(f.Register+"/"+f.Code, "/"); !slices.Contains(strings.Fields(over), name) {
			t.Errorf("%s does not end", name)
		}
		if !fleet.Watched(f.Code) {
			t.Errorf("%s is not watched", f.Code)
		}
	}
	if fleet.Watched("cloned_card") {
		t.Error("a clone ends by itself")
	}
}

func found(a fleet.Agent, now time.Time, v fleet.Verdict) string {
	var all []string
	for _, f := range fleet.Watch(a, now) {
		if f.Verdict == v {
			all = append(all, strings.TrimPrefix(fmt.Sprintf("%s/%s", f.Register, f.Code), "/"))
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}
