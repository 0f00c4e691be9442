package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ekassa/agent/config"
	"ekassa/agent/discovery"
	"ekassa/agent/journal"
	"ekassa/agent/machine"
	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/token"
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

// Finding is one line of the doctor's.
type Finding struct {
	Check string `json:"check"`
	OK    bool   `json:"ok"`
	Found string `json:"found"`
	Do    string `json:"do,omitempty"` // the cure, where it is not OK
	// Warning: receipts go on meanwhile.
	Warning bool `json:"warning,omitempty"`
}

// Doctor looks at every precondition of a working agent. It changes nothing,
// and may run beside a running agent.
func Doctor(ctx context.Context, cfg config.Config) []Finding {
	var list []Finding
	note := func(check string, err error, found, do string) {
		f := Finding{Check: check, OK: err == nil, Found: found}
		if err != nil {
			f.Found, f.Do = err.Error(), do
		}
		list = append(list, f)
	}
	note("configuration", nil, "read, no faults", "")
	for _, w := range cfg.Warnings {
		note("configuration", errors.New(w), "", "see the README on agent.yaml")
	}
	running, err := journal.Running(cfg.DataDir)
	state := "no agent is running on it"
	if running {
		state = "an agent is running on it"
	}
	note("journal", err, state, "stop what else uses the folder, or make it readable for this user")
	note("folder "+cfg.DataDir, writable(cfg.DataDir), "can be written", "make the folder and give it to the agent's user")
	if !running {
		l, err := net.Listen("tcp", cfg.Listen)
		note("address "+cfg.Listen, err, "is free", "stop the program that has it, or choose another listen")
		if err == nil {
			l.Close()
		}
		for _, d := range cfg.FrontDoors {
			doors, err := openDoors([]config.FrontDoor{d})
			closeDoors(doors)
			note("front door "+d.Listen, err, "is free, for "+d.Terminal, "stop the program that has it, or choose another listen")
		}
	}
	note("clock", clock(time.Now()), time.Now().Format(time.RFC3339), "set the clock; the agent works meanwhile, the fiscal time is the register's")
	machineFindings(machine.Here.Look(), machine.Uptime(), cfg.DataDir, func(check string, err error, found, do string) {
		note(check, err, found, do)
		list[len(list)-1].Warning = err != nil
	})
	tokens, err := token.Open(cfg.DataDir).List()
	for _, t := range cfg.Settings.Terminals {
		has := slices.ContainsFunc(tokens, func(x token.Token) bool { return x.Terminal == t.ID })
		missing := err
		if err == nil && !has {
			missing = errors.New("has no token")
		}
		note("till "+t.ID, missing, "has a token", "ekassa-agent token add "+t.ID+" --config FILE")
		if _, bound := cfg.Settings.ActiveRegister(t.ID); !bound {
			note("till "+t.ID, errors.New("has no active register; its receipts will wait"), "", "bind one in the settings")
		}
	}
	for _, d := range cfg.FrontDoors {
		if r, _ := cfg.Settings.ActiveRegister(d.Terminal); r.MerchantID == "" {
			note("front door "+d.Listen, fmt.Errorf("%s has no active register with a Merchant ID; all its requests will be refused", d.Terminal),
				"", "bind one in the settings: the till signs with its Merchant ID")
		}
	}
	nameFinding(cfg, note)
	slipFindings(ctx, cfg, note)
	cloudFindings(cfg, note)
	programFindings(cfg, note)
	if len(cfg.Settings.Registers) == 0 {
		note("registers", errors.New("the settings have none"), "", "add one, see ekassa-agent discover")
	}
	checked, err := Check(ctx, cfg, "")
	if err != nil {
		note("registers", err, "", "see the message")
	}
	for _, c := range checked {
		var failed error
		if !c.OK {
			failed = errors.New(c.Error)
		}
		note("register "+c.Register, failed, fmt.Sprintf("%s at %s, %s", c.Identity.Serial, c.Address, c.ShiftState()),
			"is it switched on, in this network, in fiscal printer mode, with this Merchant ID?")
		if c.OK && c.Identity.State != "" && c.Identity.State != "ACTIVE" {
			note("register "+c.Register, fmt.Errorf("its token is %s", c.Identity.State), "", "call the supplier")
		}
	}
	return list
}

// writable tries with a file that is gone at once.
func writable(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		dir = filepath.Dir(dir) // run makes the folder in there
	}
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func clock(now time.Time) error {
	if now.Year() < 2026 {
		return fmt.Errorf("it says %s", now.Format(time.RFC3339))
	}
	return nil
}
