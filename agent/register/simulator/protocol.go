package simulator

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Protocol names the register that is played.
type Protocol string

const (
	AzSmart  Protocol = "azsmart"
	Omnitech Protocol = "omnitech"
	Caspos   Protocol = "caspos"
)

// Login that is asked for where the configuration names none (Omnitech, Caspos).
const (
	DefaultUser     = "ekassa"
	DefaultPassword = "ekassa-sim"
)

// maker is what sets one maker's register apart from the others, apart from what
// it says on the wire.
type maker struct {
	title  string // of the maker, as announced
	device string // what the protocol's page is about, for help texts
	listen string // default address
	serial string // default serial
	path   string // of the protocol's requests, as announced
	owner  Taxpayer
	quirks map[string]string // name → what it changes
	// speak makes the dialect, or says what is wrong with the configuration. It
	// fills the defaults of the fields that only this maker has.
	speak func(*Config, quirks) (dialect, error)
}

// makers are the registers that can be played. To add one, write its dialect (see
// server.go) and name it here.
var makers = map[Protocol]maker{
	AzSmart:  azsmartMaker,
	Omnitech: omnitechMaker,
	Caspos:   casposMaker,
}

// Protocols lists what can be played, for help texts.
func Protocols() []Protocol { return slices.Sorted(maps.Keys(makers)) }

// Device is the name of the register, for people. It is empty for a protocol that
// is not in Protocols, as are the other defaults.
func (p Protocol) Device() string { return makers[p].device }

// DefaultListen is where the register listens unless told otherwise: its own port
// on loopback.
func (p Protocol) DefaultListen() string { return makers[p].listen }

// DefaultSerial is the serial of a register without a ledger, unless told otherwise.
func (p Protocol) DefaultSerial() string { return makers[p].serial }

// Quirks names every quirk of the protocol and what it changes. A quirk is the
// other reading of a point that the public material leaves open; without any, the
// simulator follows the defaults written in README.md.
func (p Protocol) Quirks() map[string]string { return maps.Clone(makers[p].quirks) }

func (p Protocol) maker() (maker, error) {
	m, ok := makers[p]
	if !ok {
		var names []string
		for _, known := range Protocols() {
			names = append(names, string(known))
		}
		return maker{}, fmt.Errorf("start the simulator: protocol is %q: use one of %s", p, strings.Join(names, ", "))
	}
	return m, nil
}

// login fills the defaults of the login, for the makers that have one.
func (cfg *Config) login() {
	if cfg.User == "" {
		cfg.User = DefaultUser
	}
	if cfg.Password == "" {
		cfg.Password = DefaultPassword
	}
}

// noEdition refuses the fields that are AzSmart's alone.
func (cfg *Config) noEdition() error {
	if cfg.Edition != "" || cfg.MerchantID != "" {
		return fmt.Errorf("start the simulator: %s has neither an edition nor a merchant id: leave them out", cfg.Protocol)
	}
	return nil
}
