// Package setup is what an installer of a new agent is led through: which
// registers there are, each tried with its secret before anything is written,
// the tills, who the manager is, the cloud, and a receipt to see that it works.
// The wizard in the terminal and the page at the first start ask in their own
// ways; what the answers mean, and what is written when, is here once.
//
// Nothing is written before all is answered. Then tokens and PIN are made first,
// and the settings last: they are what makes the agent work, and end the page.
package setup

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"ekassa/agent/config"
	"ekassa/agent/people"
	"ekassa/agent/register"
	"ekassa/agent/texts"
	"ekassa/agent/token"
	"ekassa/cloud/wire"
)

// Makers are the drivers, in the order in which they are offered.
var Makers = []string{wire.DriverAzSmart, wire.DriverOmnitech, wire.DriverCaspos}

// Taxes are those that a line may have which names none, in the order in which
// they are offered: what restaurants have comes first.
var Taxes = []string{wire.TaxVAT18, wire.TaxSimplified8, wire.TaxSimplified2, wire.TaxExempt}

// Place is a register that answered a search, without its secret.
type Place struct {
	Driver    string         `json:"driver"`
	Address   netip.AddrPort `json:"address"`
	Name      string         `json:"name"`
	Announced bool           `json:"announced"` // it says by itself where it is
}

// Tried is what a register said of itself, asked with its secret.
type Tried struct {
	Serial, Model, Address string
}

// Tools are what setup asks of the rest of the program.
type Tools struct {
	// Search lists the registers that answer on the network now.
	Search func(context.Context) ([]Place, error)
	// Try reaches a register, signs or logs in, and reads who it is.
	Try func(context.Context, wire.Register) (Tried, error)
	// Enroll has the cloud let this agent in for a one-time code.
	Enroll func(ctx context.Context, cloud, code string) (config.Cloud, error)
	// Train shows a receipt's life on a register in software, of the maker of the
	// plan's first register; nil: this program cannot. Nothing of it reaches the
	// shop's journal or registers.
	Train func(context.Context, Plan) ([]Made, error)
}

// Errors of Plan.Add.
var (
	ErrMaker   = errors.New("there is no driver for such a register")
	ErrAddress = errors.New("that is no address; write IP:port")
	ErrTwice   = errors.New("this register is in the list already")
)

// Plan is what was answered so far. The zero value is the beginning.
type Plan struct {
	Language  string
	Tax       string // one of Taxes; "": the first
	Registers []wire.Register
	Terminals []wire.Terminal // one for each register, also where that serves another's
}

// Add tries a register, and takes it with a till of its own: its serial is pinned.
// One that announces itself is kept without its address: it is found by its
// serial, also when the router gives it another one.
func (p *Plan) Add(ctx context.Context, tools Tools, at Place, merchantID, username, password string) (Tried, error) {
	switch {
	case !slices.Contains(Makers, at.Driver):
		return Tried{}, ErrMaker
	case !at.Address.IsValid() || at.Address.Port() == 0:
		return Tried{}, ErrAddress
	}
	if slices.ContainsFunc(p.Registers, func(r wire.Register) bool { return r.Address == at.Address }) {
		return Tried{}, ErrTwice
	}
	n := strconv.Itoa(len(p.Registers) + 1)
	r := wire.Register{
		ID: "kassa-" + n, Name: "Kassa " + n, Driver: at.Driver, Address: at.Address, Terminal: "till-" + n, Mode: wire.ModeActive,
	}
	if at.Driver == wire.DriverAzSmart {
		r.MerchantID = wire.Secret(strings.TrimSpace(merchantID))
	} else {
		r.Username, r.Password = wire.Secret(strings.TrimSpace(username)), wire.Secret(password)
	}
	// What the settings refuse would be refused when all is answered.
	next := Plan{Registers: append(slices.Clone(p.Registers), r), Terminals: append(slices.Clone(p.Terminals), wire.Terminal{ID: r.Terminal, Name: "Till " + n})}
	if _, err := next.Settings(); err != nil {
		return Tried{}, err
	}
	tried, err := tools.Try(ctx, r)
	if err != nil {
		return Tried{}, err
	}
	same := func(o wire.Register) bool { return o.Driver == r.Driver && o.Serial == tried.Serial }
	if slices.ContainsFunc(p.Registers, same) {
		return tried, ErrTwice
	}
	last := &next.Registers[len(next.Registers)-1]
	if last.Serial = tried.Serial; at.Announced {
		last.Address = netip.AddrPort{}
	}
	p.Registers, p.Terminals = next.Registers, next.Terminals
	return tried, nil
}

// Name gives the register and the till that were added in this place, from 0 on,
// the names that people use; "" leaves one as it is. With the name of a till before
// it, the register is that till's reserve (offline), and has none of its own.
func (p *Plan) Name(n int, register, till string) {
	if register = strings.TrimSpace(register); register != "" {
		p.Registers[n].Name = register
	}
	if till = strings.TrimSpace(till); till != "" {
		p.Terminals[n].Name = till
	}
	p.Registers[n].Terminal, p.Registers[n].Mode = p.Terminals[n].ID, wire.ModeActive
	for _, r := range p.Registers[:n] {
		if t, ok := p.till(r.Terminal); ok && r.Mode == wire.ModeActive && strings.EqualFold(t.Name, p.Terminals[n].Name) {
			p.Registers[n].Terminal, p.Registers[n].Mode = r.Terminal, wire.ModeOffline
		}
	}
}

func (p *Plan) till(id string) (wire.Terminal, bool) {
	n := slices.IndexFunc(p.Terminals, func(t wire.Terminal) bool { return t.ID == id })
	if n < 0 {
		return wire.Terminal{}, false
	}
	return p.Terminals[n], true
}

// Tills are those that have a register of their own.
func (p *Plan) Tills() (tills []wire.Terminal) {
	for _, r := range p.Registers {
		if t, ok := p.till(r.Terminal); ok && r.Mode == wire.ModeActive {
			tills = append(tills, t)
		}
	}
	return tills
}

// Of gives the plan with the register that works for a till alone, and that till.
func (p *Plan) Of(till string) (one Plan, ok bool) {
	t, ok := p.till(till)
	n := slices.IndexFunc(p.Registers, func(r wire.Register) bool { return r.Terminal == till && r.Mode == wire.ModeActive })
	if n < 0 || !ok {
		return Plan{}, false
	}
	return Plan{Language: p.Language, Tax: p.Tax, Registers: []wire.Register{p.Registers[n]}, Terminals: []wire.Terminal{t}}, true
}

// Settings are what the answers make; the rest are the defaults. Error: a
// *wire.SettingsError.
func (p *Plan) Settings() (wire.Settings, error) {
	s := wire.DefaultSettings()
	s.Registers, s.Terminals = p.Registers, p.Tills()
	if p.Language != "" {
		s.Language = p.Language
	}
	if p.Tax != "" {
		s.Tax.Type = p.Tax
	}
	return s, s.Validate()
}

// Till is one with the token that is shown once.
type Till struct{ ID, Name, Token string }

// HandOut makes each till's token and, where a manager is named, the first PIN.
// They are told here and never again.
func (p *Plan) HandOut(dir, manager string) (tills []Till, pin string, err error) {
	if manager != "" { // first, since a name may be refused
		if pin, err = people.Open(dir).Add(manager, people.Manager); err != nil {
			return nil, "", err
		}
	}
	tokens := token.Open(dir)
	for _, t := range p.Tills() {
		secret, err := tokens.Add(t.ID)
		if err != nil {
			return nil, "", fmt.Errorf("make a token for %s: %w", t.ID, err)
		}
		tills = append(tills, Till{ID: t.ID, Name: t.Name, Token: secret})
	}
	return tills, pin, nil
}

// Words say what went wrong, for people.
func Words(lang string, err error) string {
	var f *register.Fault
	var unfit *wire.SettingsError
	switch {
	case errors.As(err, &f) && f.Cause == register.Credentials: // the cashier's words send for the installer
		return texts.Say(lang, "setup.credentials", nil)
	case errors.As(err, &f):
		return texts.Cause(lang, f.Cause, strings.TrimSpace(f.Code+" "+f.Text))
	case errors.As(err, &unfit):
		return texts.Say(lang, "setup.again", nil)
	case errors.Is(err, ErrTwice):
		return texts.Say(lang, "setup.twice", nil)
	case errors.Is(err, ErrAddress):
		return texts.Say(lang, "setup.address", nil)
	}
	return err.Error()
}
