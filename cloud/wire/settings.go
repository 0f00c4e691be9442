// Package wire is what agent and cloud say to each other, and imports nothing
// else of the program, so that both sides read the same words in the same way.
//
// So far it holds the settings: their types, the JSON Schema that is published
// with the project, and [ParseSettings], the only way in.
package wire

import (
	"log/slog"
	"net/netip"
	"slices"
	"time"
)

// Settings is everything about the business that the cloud may push to an
// agent; never the receipts. [ParseSettings] makes one from JSON and
// encoding/json writes it back, secrets included: show or log only what
// [Settings.Masked] returns.
type Settings struct {
	Module    Module     `json:"module"`
	Tax       Tax        `json:"tax"`
	Registers []Register `json:"registers,omitzero"`
	Terminals []Terminal `json:"terminals,omitzero"`
	Shift     Shift      `json:"shift"`
	Offline   Offline    `json:"offline"`
	// Timezone is the shop's zone, a name of the IANA database. Default Asia/Baku.
	Timezone string `json:"timezone"`
	// Language of messages to people who have not chosen one: az, ru or en.
	// Default az.
	Language string `json:"language"`
}

// Module says what the e-kassa module does for the tills. All default to true.
type Module struct {
	// Enabled: the agent takes receipts at all.
	Enabled bool `json:"enabled"`
	// ShowOnTerminal: the tills show their E-kassa screen.
	ShowOnTerminal bool `json:"show_on_terminal"`
	// AutoSend: a receipt that does not say so itself is made fiscal.
	AutoSend bool `json:"auto_send"`
}

// The drivers, by the protocol that a register speaks.
const (
	DriverAzSmart  = "azsmart"
	DriverOmnitech = "omnitech"
	DriverCaspos   = "caspos"
)

// The modes of a register.
const (
	ModeActive  = "active"  // the terminal's receipts go here
	ModeOffline = "offline" // stands by
)

// Register is one e-kassa on the shop's network.
type Register struct {
	// ID names the register for ever; unique without regard to letter case.
	ID string `json:"id"`
	// Name is what people call it. Default empty.
	Name string `json:"name"`
	// Driver is the protocol that it speaks: azsmart, omnitech or caspos.
	Driver string `json:"driver"`
	// Address is where it listens. The zero value (not IsValid): discovered.
	Address netip.AddrPort `json:"address,omitzero"`
	// MerchantID signs the requests to an AzSmart register; required there.
	MerchantID Secret `json:"merchant_id,omitempty"`
	// Username and Password log in to an Omnitech or Caspos register. Default
	// empty, for those that check neither.
	Username Secret `json:"username,omitempty"`
	Password Secret `json:"password,omitempty"`
	// Serial pins the register. Empty: the first one seen is remembered.
	Serial string `json:"serial"`
	// Terminal is the id of the one terminal it serves. Empty: not bound.
	Terminal string `json:"terminal"`
	// Mode is active or offline. Default active. Of several registers bound
	// to one terminal exactly one is active.
	Mode string `json:"mode"`
}

// Terminal is one till (POS).
type Terminal struct {
	// ID names the till for ever; unique without regard to letter case.
	ID string `json:"id"`
	// Name is what people call it. Default empty.
	Name string `json:"name"`
}

// The words of [Shift.AutoClose].
const (
	AutoCloseOff         = "off"          // only people close the shift
	AutoCloseAt          = "at"           // every day at CloseAt
	AutoCloseBeforeLimit = "before_limit" // at a quiet moment before the 24 hours are over
)

// Shift says how shifts are opened, watched and closed.
type Shift struct {
	// AutoOpen: the first receipt opens the shift. Default true.
	AutoOpen bool `json:"auto_open"`
	// WarnAfter are the ages of an open shift at which people are warned,
	// ascending, each more than 0 and less than 24h. Default 22h and 23h;
	// empty: never.
	WarnAfter []Duration `json:"warn_after,omitzero"`
	// AutoClose is off, at or before_limit. Default off.
	AutoClose string `json:"auto_close"`
	// CloseAt is the time of day, in the shop's zone, for AutoClose at.
	// Default 05:00.
	CloseAt TimeOfDay `json:"close_at"`
}

// The words of [Offline.Replay].
const (
	ReplayAuto = "auto" // what waited is sent by itself while younger than ReplayWithin
	ReplayAsk  = "ask"  // a person says which to send
)

// Offline says what happens to receipts that waited for a register.
type Offline struct {
	// Replay is auto or ask. Default auto.
	Replay string `json:"replay"`
	// ReplayWithin is how old a receipt may be to be sent by itself, more
	// than 0 and at most 30 days. Default 24h.
	ReplayWithin Duration `json:"replay_within"`
}

// DefaultSettings returns the settings that an empty JSON object stands for:
// every default, no registers, no terminals.
func DefaultSettings() Settings {
	return Settings{
		Module:    Module{Enabled: true, ShowOnTerminal: true, AutoSend: true},
		Tax:       Tax{Type: TaxVAT18},
		Registers: []Register{},
		Terminals: []Terminal{},
		Shift: Shift{
			AutoOpen:  true,
			WarnAfter: []Duration{Duration(22 * time.Hour), Duration(23 * time.Hour)},
			AutoClose: AutoCloseOff,
			CloseAt:   TimeOfDay{Hour: 5},
		},
		Offline:  Offline{Replay: ReplayAuto, ReplayWithin: Duration(24 * time.Hour)},
		Timezone: "Asia/Baku",
		Language: "az",
	}
}

// ActiveRegister returns the register to which the receipts of the terminal
// go, and false where none is bound to it or none of those is active.
func (s Settings) ActiveRegister(terminal string) (Register, bool) {
	for _, r := range s.Registers {
		if terminal != "" && r.Terminal == terminal && r.Mode == ModeActive {
			return r, true
		}
	}
	return Register{}, false
}

// Register returns the register with this id, and false where there is none.
func (s Settings) Register(id string) (Register, bool) {
	i := slices.IndexFunc(s.Registers, func(r Register) bool { return r.ID == id })
	if i < 0 {
		return Register{}, false
	}
	return s.Registers[i], true
}

// Terminal returns the terminal with this id, and false where there is none.
func (s Settings) Terminal(id string) (Terminal, bool) {
	i := slices.IndexFunc(s.Terminals, func(t Terminal) bool { return t.ID == id })
	if i < 0 {
		return Terminal{}, false
	}
	return s.Terminals[i], true
}

// Location returns the shop's zone. The error is that of [time.LoadLocation];
// settings that came from [ParseSettings] have none, since the program carries
// the zone database with it.
func (s Settings) Location() (*time.Location, error) { return time.LoadLocation(s.Timezone) }

// Equal reports whether both mean the same, secrets included. The order
// of registers, terminals and warnings counts.
func (s Settings) Equal(o Settings) bool {
	return s.Module == o.Module && s.Tax == o.Tax &&
		slices.Equal(s.Registers, o.Registers) && slices.Equal(s.Terminals, o.Terminals) &&
		s.Shift.AutoOpen == o.Shift.AutoOpen && slices.Equal(s.Shift.WarnAfter, o.Shift.WarnAfter) &&
		s.Shift.AutoClose == o.Shift.AutoClose && s.Shift.CloseAt == o.Shift.CloseAt &&
		s.Offline == o.Offline && s.Timezone == o.Timezone && s.Language == o.Language
}

// Masked returns a copy for showing: every merchant id, user name and password
// that is set is "***".
// [ParseSettings] refuses that mask, so a masked copy cannot come back by
// mistake as the real thing.
func (s Settings) Masked() Settings {
	s.Registers = slices.Clone(s.Registers)
	for i := range s.Registers {
		s.Registers[i] = s.Registers[i].masked()
	}
	return s
}

// LogValue keeps secrets out of logs, whatever the handler.
func (s Settings) LogValue() slog.Value {
	type plain Settings // has no LogValue of its own
	return slog.AnyValue(plain(s.Masked()))
}

func (r Register) masked() Register {
	r.MerchantID, r.Username, r.Password = r.MerchantID.masked(), r.Username.masked(), r.Password.masked()
	return r
}

// LogValue keeps the register's secrets out of logs, whatever the handler.
func (r Register) LogValue() slog.Value {
	type plain Register // has no LogValue of its own
	return slog.AnyValue(plain(r.masked()))
}
