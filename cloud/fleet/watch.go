package fleet

import (
	"fmt"
	"strings"
	"time"

	"ekassa/cloud/wire"
)

// Verdict says whether what an alert tells of is so.
type Verdict int

// The verdicts. Between Holds and Over lies a span in which a state that wavers
// raises no second alert.
const (
	Unclear Verdict = iota // as it was before
	Holds
	Over
)

// Finding is what the cloud sees of an agent or one of its registers.
type Finding struct {
	Register string // empty: of the agent itself
	Code     string
	Verdict  Verdict
	Detail   string
}

// Silent is how long an agent that says it is there may tell nothing: it tells
// how it is every five minutes.
const Silent = 16 * time.Minute

// The whole of what is watched. The agents themselves raise shift_old,
// shift_expired and clock_off too: it is one alert, which ends here.
var (
	ofAgent = []struct {
		code  string
		judge func(a Agent, now time.Time) (Verdict, string)
	}{
		{"agent_offline", func(a Agent, now time.Time) (Verdict, string) {
			heard := a.Since
			if a.Online && a.HealthAt.After(heard) {
				heard = a.HealthAt
			}
			if heard.IsZero() {
				heard = a.EnrolledAt
			}
			away := now.Sub(heard)
			switch {
			case !a.Online && away > 10*time.Minute, a.Online && away > Silent:
				return Holds, "not heard of for " + short(away)
			case a.Online:
				return Over, ""
			}
			return Unclear, ""
		}},
		{"settings_refused", settingsAre(wire.StateRefused)},
		{"settings_reverted", settingsAre(wire.StateReverted)},
		{"update_failed", func(a Agent, _ time.Time) (Verdict, string) {
			p := a.Reported.Program
			if p == nil || p.State != wire.ProgramReverted && p.State != wire.ProgramFailed {
				return Over, ""
			}
			return Holds, fmt.Sprintf("version %s %s: %s", p.Version, p.State, p.Reason)
		}},
		// A database that was lost, or put back from an old backup: what it has is
		// not what the agent was told, so nothing is pushed until a person decides.
		{"settings_unknown", func(a Agent, _ time.Time) (Verdict, string) {
			if a.Reported.Judged > a.Desired {
				return Holds, fmt.Sprintf("the agent has settings %d, and the newest here are %d: look at them, and save them once more", a.Reported.Judged, a.Desired)
			}
			return Over, ""
		}},
		{"receipts_waiting", ofHealth(func(h wire.Health) (Verdict, string) {
			oldest := time.Duration(h.OldestSeconds) * time.Second
			return band(h.Waiting > 0 && oldest >= time.Hour, h.Waiting == 0 || oldest < 30*time.Minute),
				fmt.Sprintf("%d receipts, the oldest for %s", h.Waiting, short(oldest))
		})},
		{"certificate_ending", ofHealth(func(h wire.Health) (Verdict, string) { return certificate(h.CertDays, 30) })},
		{"clock_off", ofHealth(func(h wire.Health) (Verdict, string) {
			if h.ClockSynced == nil {
				return Unclear, ""
			}
			return band(!*h.ClockSynced, *h.ClockSynced), "the agent's clock is not set by the network"
		})},
		{"disk_short", ofHealth(func(h wire.Health) (Verdict, string) {
			const mb = 1_000_000
			return band(h.DiskFree > 0 && h.DiskFree < 200*mb, h.DiskFree > 300*mb), fmt.Sprintf("%d MB free", h.DiskFree/mb)
		})},
		{"under_voltage", ofHealth(func(h wire.Health) (Verdict, string) {
			if h.UnderVoltage == nil {
				return Unclear, ""
			}
			return band(*h.UnderVoltage, !*h.UnderVoltage), "the power supply is too weak: cards break of it"
		})},
		{"too_hot", ofHealth(func(h wire.Health) (Verdict, string) {
			if h.Temperature == nil {
				return Unclear, ""
			}
			return band(*h.Temperature >= 80, *h.Temperature < 75), fmt.Sprintf("%.0f °C", *h.Temperature)
		})},
		{"card_failing", ofHealth(func(h wire.Health) (Verdict, string) {
			used, errors := h.CardUsed != nil && *h.CardUsed >= 80, h.DiskErrors != nil && *h.DiskErrors > 0
			switch {
			case errors:
				return Holds, fmt.Sprintf("%d errors in the file system", *h.DiskErrors)
			case used:
				return Holds, fmt.Sprintf("up to %d %% of the card's life are used", *h.CardUsed)
			case h.CardUsed == nil && h.DiskErrors == nil:
				return Unclear, ""
			}
			return Over, ""
		})},
		{"card_written", ofHealth(func(h wire.Health) (Verdict, string) {
			if h.WrittenDay == nil {
				return Unclear, ""
			}
			const gb = 1_000_000_000
			return band(*h.WrittenDay >= 5*gb, *h.WrittenDay < 4*gb), fmt.Sprintf("%.1f GB a day", float64(*h.WrittenDay)/gb)
		})},
		{"wifi_weak", ofHealth(func(h wire.Health) (Verdict, string) {
			if h.WiFi == nil {
				return Unclear, ""
			}
			return band(*h.WiFi <= -80, *h.WiFi > -75), fmt.Sprintf("%d dBm", *h.WiFi)
		})},
	}
	// passed is how long ago it was told.
	ofRegister = []struct {
		code  string
		judge func(r wire.RegisterHealth, told time.Time, passed time.Duration) (Verdict, string)
	}{
		{"register_away", func(r wire.RegisterHealth, told time.Time, _ time.Duration) (Verdict, string) {
			switch {
			case r.Mode != wire.ModeActive || r.Link == "ready":
				return Over, ""
			case r.Link == "unknown" || !r.SeenAt.IsZero() && told.Sub(r.SeenAt) < 10*time.Minute:
				return Unclear, ""
			}
			return Holds, strings.TrimSpace(r.Link + " " + r.Problem)
		}},
		{"receipts_held", func(r wire.RegisterHealth, _ time.Time, _ time.Duration) (Verdict, string) {
			return band(r.Held > 0, r.Held == 0), fmt.Sprintf("%d receipts wait for a person's decision", r.Held)
		}},
		{"shift_old", func(r wire.RegisterHealth, _ time.Time, passed time.Duration) (Verdict, string) {
			age := shiftAge(r, passed)
			return band(r.ShiftOpen && age >= 22*time.Hour, !r.ShiftOpen || age < 12*time.Hour), "open for " + short(age)
		}},
		{"shift_expired", func(r wire.RegisterHealth, _ time.Time, passed time.Duration) (Verdict, string) {
			age := shiftAge(r, passed)
			return band(r.ShiftOpen && age >= 24*time.Hour, !r.ShiftOpen || age < 22*time.Hour), "open for " + short(age)
		}},
		{"certificate_ending", func(r wire.RegisterHealth, _ time.Time, _ time.Duration) (Verdict, string) {
			return certificate(r.CertDays, 30)
		}},
		{"clock_off", func(r wire.RegisterHealth, _ time.Time, _ time.Duration) (Verdict, string) {
			off := (time.Duration(r.ClockOff) * time.Second).Abs()
			return band(off >= 5*time.Minute, off < 2*time.Minute), "by " + short(off)
		}},
		{"tax_service_away", func(r wire.RegisterHealth, told time.Time, _ time.Duration) (Verdict, string) {
			if r.LastOnline.IsZero() {
				return Unclear, ""
			}
			away := told.Sub(r.LastOnline)
			return band(away >= 12*time.Hour, away < 6*time.Hour), "not online with the tax service for " + short(away)
		}},
	}
)

// Watched says whether an alert of this code is raised and ended by what the
// cloud sees.
func Watched(code string) bool {
	for _, r := range ofAgent {
		if r.code == code {
			return true
		}
	}
	for _, r := range ofRegister {
		if r.code == code {
			return true
		}
	}
	return false
}

// Watch judges an agent. What is not found any more, such as of a register that
// was taken out of the settings, is over too. An agent that was taken back is
// not watched.
func Watch(a Agent, now time.Time) []Finding {
	if a.Revoked || a.EnrolledAt.IsZero() {
		return nil
	}
	var found []Finding
	for _, r := range ofAgent {
		v, detail := r.judge(a, now)
		found = append(found, Finding{Code: r.code, Verdict: v, Detail: detail})
	}
	if a.Health == nil {
		return found
	}
	for _, h := range a.Health.Registers {
		for _, r := range ofRegister {
			v, detail := r.judge(h, a.HealthAt, max(0, now.Sub(a.HealthAt)))
			found = append(found, Finding{Register: h.ID, Code: r.code, Verdict: v, Detail: detail})
		}
	}
	return found
}

func settingsAre(state string) func(Agent, time.Time) (Verdict, string) {
	return func(a Agent, _ time.Time) (Verdict, string) {
		if a.State() == state {
			return Holds, fmt.Sprintf("settings %d: %s", a.Reported.Judged, a.Reported.Reason)
		}
		return band(false, a.State() != StatePending), ""
	}
}

// ofHealth judges what the agent told last, however long ago.
func ofHealth(judge func(wire.Health) (Verdict, string)) func(Agent, time.Time) (Verdict, string) {
	return func(a Agent, _ time.Time) (Verdict, string) {
		if a.Health == nil {
			return Unclear, ""
		}
		return judge(*a.Health)
	}
}

func band(holds, over bool) Verdict {
	switch {
	case holds:
		return Holds
	case over:
		return Over
	}
	return Unclear
}

func certificate(days *int, most int) (Verdict, string) {
	if days == nil {
		return Unclear, ""
	}
	return band(*days < most, *days >= most), fmt.Sprintf("%d days are left", *days)
}

// shiftAge goes on where an agent tells nothing more.
func shiftAge(r wire.RegisterHealth, passed time.Duration) time.Duration {
	return time.Duration(r.ShiftAge)*time.Second + passed
}

// short is a length of time as people say it.
func short(d time.Duration) string {
	d = d.Round(time.Minute)
	if d >= 48*time.Hour {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return strings.TrimSuffix(d.String(), "0s")
}
