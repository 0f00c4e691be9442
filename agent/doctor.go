package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ekassa/agent/config"
	"ekassa/agent/credential"
	"ekassa/agent/discovery"
	"ekassa/agent/journal"
	"ekassa/agent/machine"
	"ekassa/agent/people"
	"ekassa/agent/setup"
	"ekassa/agent/token"
	"ekassa/cloud/wire"
)

// Finding is one line of the doctor's.
type Finding struct {
	Check string `json:"check"`
	OK    bool   `json:"ok"`
	Found string `json:"found"`
	Do    string `json:"do,omitempty"` // the cure, where it is not OK
	// Warning: receipts go on meanwhile.
	Warning bool `json:"warning,omitempty"`
}

// findings collect what was looked at.
type findings []Finding

// note adds one: found where err is nil, else err with what to do.
func (l *findings) note(check string, err error, found, do string) {
	f := Finding{Check: check, OK: err == nil, Found: found}
	if err != nil {
		f.Found, f.Do = err.Error(), do
	}
	*l = append(*l, f)
}

// warn is note for what receipts go on without.
func (l *findings) warn(check string, err error, found, do string) {
	l.note(check, err, found, do)
	(*l)[len(*l)-1].Warning = err != nil
}

// Doctor looks at every precondition of a working agent. It changes nothing,
// and may run beside a running agent.
func Doctor(ctx context.Context, cfg config.Config) []Finding {
	l := &findings{}
	l.note("configuration", nil, "read, no faults", "")
	for _, w := range cfg.Warnings {
		l.note("configuration", errors.New(w), "", "see the README on agent.yaml")
	}
	cfg.Settings = l.settings(cfg)
	l.folder(cfg)
	l.program(ctx, cfg)
	now := time.Now()
	l.note("clock", clock(now), now.Format(time.RFC3339), "set the clock; the agent works meanwhile, the fiscal time is the register's")
	machineFindings(machine.Here.Look(), machine.Uptime(), cfg.DataDir, l.warn)
	l.tills(cfg)
	cloudFindings(cfg, l.note)
	programFindings(cfg, l.note)
	nameFinding(cfg, l.note)
	slipFindings(ctx, cfg, l.note)
	l.registers(ctx, cfg)
	return *l
}

// settings gives those that an agent would take: the cloud's, where it has pushed
// some.
func (l *findings) settings(cfg config.Config) wire.Settings {
	var p pushed
	s, err := p.load(filepath.Join(cfg.DataDir, settingsFile), cfg.Settings)
	switch {
	case err != nil:
		l.note("settings", err, "", "see the message")
	case p.Rev > 0:
		l.note("settings", nil, fmt.Sprintf("the cloud's, revision %d", p.Rev), "")
	case config.Kept(cfg.DataDir):
		l.note("settings", nil, "set up on the page, or agent.yaml's where it names registers", "")
	}
	return s
}

// folder looks at the data folder: whose it is, who can read it, and its disk.
func (l *findings) folder(cfg config.Config) {
	l.note("folder "+cfg.DataDir, writable(cfg.DataDir), "can be written", "make the folder and give it to the agent's user")
	if info, err := os.Stat(cfg.DataDir); err == nil && info.Mode().Perm()&0o077 != 0 {
		l.note("folder "+cfg.DataDir, fmt.Errorf("other users can look into it (mode %04o)", info.Mode().Perm()), "", "chmod 700 "+cfg.DataDir)
	}
	free, short, err := journal.RoomIn(cfg.DataDir)
	if err == nil && short {
		err = fmt.Errorf("%d MB are left on its disk: no new receipts are accepted", free>>20)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // run makes it
		l.note("journal", err, "", "delete what is not the agent's from this disk, or put in a larger one")
	}
}

// program looks at an agent that runs, or whether one could.
func (l *findings) program(ctx context.Context, cfg config.Config) {
	running, err := journal.Running(cfg.DataDir)
	state := "no agent is running on it"
	if running {
		state = "an agent is running on it"
	}
	l.note("journal", err, state, "stop what else uses the folder, or make it readable for this user")
	if running {
		l.note("agent", Ready(ctx, cfg.Listen), "takes receipts on "+cfg.Listen, "see its log: journalctl -u ekassa-agent; after a change of listen restart it")
		return
	}
	free, err := net.Listen("tcp", cfg.Listen)
	l.note("address "+cfg.Listen, err, "is free", "stop the program that has it, or choose another listen")
	if err == nil {
		free.Close()
	}
	for _, d := range cfg.FrontDoors {
		doors, err := openDoors([]config.FrontDoor{d})
		closeDoors(doors)
		l.note("front door "+d.Listen, err, "is free, for "+d.Terminal, "stop the program that has it, or choose another listen")
	}
}

// Ready asks the agent that listens there whether it takes receipts.
func Ready(ctx context.Context, listen string) error {
	base := setup.Base(listen)
	ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("ask the agent at %s: %w", base, err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask the agent at %s: %w; does it run?", base, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 4096))
	if err != nil {
		return fmt.Errorf("ask the agent at %s: %w", base, err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the agent at %s takes no receipts: %s", base, strings.TrimSpace(string(text)))
	}
	return nil
}

func (l *findings) tills(cfg config.Config) {
	tokens, err := token.Open(cfg.DataDir).List()
	for _, t := range cfg.Settings.Terminals {
		has := slices.ContainsFunc(tokens, func(x token.Token) bool { return x.Terminal == t.ID })
		missing := err
		if err == nil && !has {
			missing = errors.New("has no token")
		}
		l.note("till "+t.ID, missing, "has a token", "ekassa-agent token add "+t.ID+" --config FILE")
		if _, bound := cfg.Settings.ActiveRegister(t.ID); !bound {
			l.note("till "+t.ID, errors.New("has no active register; its receipts will wait"), "", "bind one in the settings")
		}
	}
	for _, d := range cfg.FrontDoors {
		if r, _ := cfg.Settings.ActiveRegister(d.Terminal); r.MerchantID == "" {
			l.note("front door "+d.Listen, fmt.Errorf("%s has no active register with a Merchant ID; all its requests will be refused", d.Terminal),
				"", "bind one in the settings: the till signs with its Merchant ID")
		}
	}
	if !cfg.Settings.Module.Enabled {
		l.note("module", errors.New("module.enabled is false: tills are refused"), "", "set it to true, in agent.yaml or in the cloud")
	}
	if len(cfg.Settings.Terminals) == 0 || !cfg.Settings.Module.ShowOnTerminal {
		return // nobody is to work on the page
	}
	staff, err := people.Open(cfg.DataDir).List()
	if err == nil && !slices.ContainsFunc(staff, func(p people.Person) bool { return p.Role == people.Manager }) {
		err = errors.New("no manager has a PIN: nobody can decide on a held receipt")
	}
	l.warn("staff page", err, "a manager has a PIN", "ekassa-agent pin add NAME --role manager --config FILE")
}

// oldShift is when a shift should have been closed: the register refuses sales
// after 24 hours.
const oldShift = 23 * time.Hour

func (l *findings) registers(ctx context.Context, cfg config.Config) {
	if len(cfg.Settings.Registers) == 0 {
		l.note("registers", errors.New("the settings have none"), "", "open the agent's page, or run ekassa-agent setup")
	}
	l.network(cfg)
	checked, err := Check(ctx, cfg, "")
	if err != nil {
		l.note("registers", err, "", "see the message")
	}
	for _, c := range checked {
		var failed error
		if !c.OK {
			failed = errors.New(c.Error)
		}
		l.note("register "+c.Register, failed, fmt.Sprintf("%s at %s, %s", c.Identity.Serial, c.Address, c.ShiftState()),
			"is it switched on, in this network, in fiscal printer mode, with this Merchant ID?")
		if c.OK && c.Identity.State != "" && c.Identity.State != "ACTIVE" {
			l.note("register "+c.Register, fmt.Errorf("its token is %s", c.Identity.State), "", "call the supplier")
		}
		if s := c.Shift; s != nil && s.Open && !s.OpenedAt.IsZero() && time.Since(s.OpenedAt) > oldShift {
			l.note("register "+c.Register, fmt.Errorf("its shift is open since %s; after 24 hours it sells no more", s.OpenedAt.Format(time.RFC3339)), "", "close the shift with the Z report, on the staff page")
		}
		if ends := c.Identity.NotAfter; c.OK && !ends.IsZero() && time.Until(ends) < soonEnds {
			l.note("register "+c.Register, fmt.Errorf("its certificate ends on %s", ends.Format(time.DateOnly)), "", "call the supplier")
		}
	}
}

// soonEnds is how long before a certificate's end people hear of it.
const soonEnds = 30 * 24 * time.Hour

// network looks at the interfaces on which registers without an address are
// looked for.
func (l *findings) network(cfg config.Config) {
	if !slices.ContainsFunc(cfg.Settings.Registers, func(r wire.Register) bool { return !r.Address.IsValid() }) {
		return
	}
	const do = "plug the cable in, or name the shop's interface in discovery, or write the registers' addresses into the settings"
	names := cfg.Discovery.Interfaces
	if len(names) == 0 {
		found, _, err := discovery.LAN()
		if err == nil && len(found) == 0 && len(cfg.Discovery.Sweep) == 0 {
			err = errors.New("no interface is up in a private network, where registers could be looked for")
		}
		l.note("network", err, strings.Join(found, ", "), do)
		return
	}
	for _, name := range names {
		i, err := net.InterfaceByName(name)
		if err == nil && i.Flags&net.FlagUp == 0 {
			err = errors.New("it is down")
		}
		l.note("network "+name, err, "is up", do)
	}
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

// cloudFindings are the doctor's, where there is a cloud.
func cloudFindings(cfg config.Config, note func(check string, err error, found, do string)) {
	if cfg.Cloud == nil || !strings.HasPrefix(cfg.Cloud.Broker, "mqtts:") {
		return
	}
	own, now := credential.In(cfg.DataDir), time.Now()
	days, err := own.Days(now)
	overdue := false
	if err == nil {
		overdue, err = own.Overdue(now)
	}
	switch {
	case err == nil && days < 0:
		err = fmt.Errorf("the agent's certificate has ended %d days ago", -days)
	case err == nil && overdue && days < endsSoon:
		err = fmt.Errorf("the agent's certificate holds for %d days only, and should have been renewed by now", days)
	}
	note("cloud "+cfg.Cloud.AgentID, err, fmt.Sprintf("the agent's certificate holds for %d days", days),
		"is the cloud reached? else ekassa-agent enroll, with a new code")
}

// endsSoon, in days, is when a renewal that fails is told: it is tried each hour
// after two thirds of the certificate's life.
const endsSoon = 7
