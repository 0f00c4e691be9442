package agent

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"time"

	"ekassa/agent/config"
	"ekassa/agent/credential"
	"ekassa/agent/discovery"
	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/setup"
	"ekassa/cloud/wire"
)

// Discover lists every register on the network, without any of their secrets.
// Empty interfaces or sweep: those of the shop's network; with one given, only
// that is used.
func Discover(ctx context.Context, interfaces []string, sweep []netip.Prefix, timeout time.Duration) ([]discovery.Found, error) {
	if len(interfaces) == 0 && len(sweep) == 0 {
		var err error
		if interfaces, sweep, err = discovery.LAN(); err != nil {
			return nil, fmt.Errorf("list the network interfaces: %w", err)
		}
	}
	f, err := discovery.New(discovery.Config{
		Interfaces: interfaces, Sweep: sweep, Provers: recognisers(), Window: timeout,
	})
	if err != nil {
		return nil, fmt.Errorf("set up discovery: %w", err)
	}
	return f.List(ctx)
}

// Checked is what one register answered.
type Checked struct {
	Register string            `json:"register"`
	Driver   string            `json:"driver"`
	OK       bool              `json:"ok"`
	Address  string            `json:"address,omitempty"`
	Identity register.Identity `json:"identity,omitzero"`
	Shift    *CheckedShift     `json:"shift,omitempty"` // nil: it was not reached
	Error    string            `json:"error,omitempty"`

	err error // a *register.Fault where the register, or its absence, is the cause
}

// Check reaches registers of the settings, signs, and reads identity and shift.
// id "" is all of them.
func Check(ctx context.Context, cfg config.Config, id string) ([]Checked, error) {
	finder, err := finder(cfg, Look{})
	if err != nil {
		return nil, err
	}
	zone, err := cfg.Settings.Location()
	if err != nil {
		return nil, fmt.Errorf("load the time zone: %w", err)
	}
	list := []Checked{}
	for _, r := range cfg.Settings.Registers {
		if id == "" || r.ID == id {
			list = append(list, checkOne(ctx, finder, r, zone))
		}
	}
	if id != "" && len(list) == 0 {
		return nil, fmt.Errorf("check register %q: the settings have no such register", id)
	}
	return list, nil
}

func checkOne(ctx context.Context, f *discovery.Finder, r wire.Register, zone *time.Location) Checked {
	c := Checked{Register: r.ID, Driver: r.Driver}
	err := func() error {
		driver, err := driverOf(r, zone, 0)
		if err != nil {
			return err
		}
		found, err := f.Find(ctx, discovery.Want{
			Register: r.ID, Protocol: r.Driver, Serial: r.Serial, Fixed: r.Address, Prove: driver.prove, ByHand: true,
		})
		if err != nil {
			c.err = whyNotFound(err, r.Address.IsValid())
			return err
		}
		c.Address = found.Addr.String()
		reg := driver.dial(found.Addr)
		if c.Identity, err = reg.Identify(ctx); err != nil {
			return err
		}
		shift, err := reg.Shift(ctx)
		if err == nil {
			c.Shift = &CheckedShift{Open: shift.Open, ID: shift.ID, OpenedAt: shift.OpenedAt}
			if shift.Drawer {
				c.Shift.Cash = &shift.Cash
			}
		}
		return err
	}()
	if c.OK = err == nil; !c.OK {
		c.Error = err.Error()
		c.err = cmp.Or(c.err, err)
	}
	return c
}

// CheckedShift is a register's own view of its shift.
type CheckedShift struct {
	Open     bool           `json:"open"`
	ID       string         `json:"id,omitempty"`
	OpenedAt time.Time      `json:"opened_at,omitzero"`
	Cash     *receipt.Money `json:"cash,omitempty"` // in the drawer, where it tells
}

// ShiftState says whether the shift is open; empty where it was not reached.
func (c Checked) ShiftState() string {
	switch {
	case c.Shift == nil:
		return ""
	case c.Shift.Open:
		return "shift open"
	}
	return "shift closed"
}

// SetupTools are what package setup needs of an agent with this configuration,
// which need not have registers yet. Enroll leaves writing down the way to the
// cloud to its caller.
func SetupTools(cfg config.Config) setup.Tools {
	return setup.Tools{
		Search: func(ctx context.Context) (places []setup.Place, err error) {
			found, err := Discover(ctx, cfg.Discovery.Interfaces, cfg.Discovery.Sweep, searchTime)
			for _, f := range found {
				places = append(places, setup.Place{Driver: f.Protocol, Address: f.Addr, Name: f.Name, Announced: f.Via == discovery.ViaMDNS})
			}
			return places, err
		},
		Try: func(ctx context.Context, r wire.Register) (setup.Tried, error) {
			finder, err := finder(cfg, Look{})
			if err != nil {
				return setup.Tried{}, err
			}
			c := checkOne(ctx, finder, r, time.UTC)
			return setup.Tried{Serial: c.Identity.Serial, Model: c.Identity.Model, Address: c.Address}, c.err
		},
		Enroll: func(ctx context.Context, cloud, code string) (config.Cloud, error) {
			given, err := credential.Enroll(ctx, cfg.DataDir, cloud, code, nil)
			return config.Cloud{Broker: given.Broker, AgentID: given.Agent}, err
		},
	}
}

// searchTime is how long an installer waits for registers to announce themselves.
const searchTime = 4 * time.Second
