package control

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ekassa/cloud/fleet"
	"ekassa/cloud/wire"
)

// Version is one version of an agent's settings, with its secrets masked.
type Version struct {
	Agent    string
	Rev      int64 // 0: none was ever pushed; these are the defaults
	Settings wire.Settings
	By       string
	At       time.Time
}

// newest are an agent's settings as the cloud has them, with their secrets.
func (c *Control) newest(ctx context.Context, agent string) (wire.Settings, error) {
	v, err := c.store.Version(ctx, agent, 0)
	if errors.Is(err, fleet.ErrNotFound) {
		return wire.DefaultSettings(), nil
	}
	if err != nil {
		return wire.Settings{}, err
	}
	return read(v)
}

func read(v fleet.Version) (wire.Settings, error) {
	s, err := wire.ParseSettings(v.Settings)
	if err != nil {
		return s, fmt.Errorf("read the stored settings %d of %s: %w", v.Rev, v.Agent, err)
	}
	return s, nil
}

// Settings gives a version of an agent's settings; rev 0 is the newest.
func (c *Control) Settings(ctx context.Context, agent string, rev int64) (Version, error) {
	if _, err := c.store.Agent(ctx, agent); err != nil {
		return Version{}, err
	}
	v, err := c.store.Version(ctx, agent, rev)
	if errors.Is(err, fleet.ErrNotFound) && rev == 0 {
		return Version{Agent: agent, Settings: wire.DefaultSettings()}, nil
	}
	if err != nil {
		return Version{}, err
	}
	return masked(v)
}

func masked(v fleet.Version) (Version, error) {
	s, err := read(v)
	return Version{Agent: v.Agent, Rev: v.Rev, Settings: s.Masked(), By: v.By, At: v.At}, err
}

// Versions of an agent's settings, newest first.
func (c *Control) Versions(ctx context.Context, agent string) (list []Version, err error) {
	if _, err := c.store.Agent(ctx, agent); err != nil {
		return nil, err
	}
	all, err := c.store.Versions(ctx, agent)
	if err != nil {
		return nil, err
	}
	for _, v := range all {
		m, err := masked(v)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b Version) int { return int(b.Rev - a.Rev) })
	return list, nil
}

// Diff names what differs between two versions; from 0 are the defaults.
func (c *Control) Diff(ctx context.Context, agent string, from, to int64) ([]fleet.Change, error) {
	if _, err := c.store.Agent(ctx, agent); err != nil {
		return nil, err
	}
	before := wire.DefaultSettings()
	if from != 0 {
		v, err := c.store.Version(ctx, agent, from)
		if err != nil {
			return nil, err
		}
		if before, err = read(v); err != nil {
			return nil, err
		}
	}
	v, err := c.store.Version(ctx, agent, to)
	if err != nil {
		return nil, err
	}
	after, err := read(v)
	if err != nil {
		return nil, err
	}
	return fleet.Diff(before, after), nil
}

// PutSettings stores an agent's next settings, and has them sent. seen is the
// rev that the person saw; a secret that they saw masked stays what it is.
// Errors: fleet.ErrStale, *wire.SettingsError.
func (c *Control) PutSettings(ctx context.Context, p Person, agent string, seen int64, data []byte) (Version, error) {
	if err := p.needs(fleet.Operator); err != nil {
		return Version{}, err
	}
	a, err := c.store.Agent(ctx, agent)
	if err != nil {
		return Version{}, err
	}
	if a.Desired != seen {
		return Version{}, fmt.Errorf("settings %d of %s are the newest, not %d: %w", a.Desired, agent, seen, fleet.ErrStale)
	}
	before, err := c.newest(ctx, agent)
	if err != nil {
		return Version{}, err
	}
	s, err := fleet.ParseSettings(data, before)
	if err != nil {
		return Version{}, err
	}
	if err := c.allowed(ctx, a.Venue, s); err != nil {
		return Version{}, err
	}
	return c.put(ctx, p, agent, seen, before, s)
}

// allowed says whether the venue has the modules that settings need.
func (c *Control) allowed(ctx context.Context, venue string, s wire.Settings) error {
	modules, err := c.Modules(ctx, venue)
	if err != nil {
		return err
	}
	var faults []wire.Fault
	for n, r := range s.Registers {
		if !slices.ContainsFunc(modules, func(m Module) bool { return m.Driver == r.Driver && m.Enabled }) {
			faults = append(faults, wire.Fault{Field: fmt.Sprintf("registers[%d].driver", n), Code: wire.CodeConflict, Detail: r.Driver,
				Message: fmt.Sprintf("needs the module %q, which is off for venue %s; switch it on first", r.Driver, venue)})
		}
	}
	if len(faults) > 0 {
		return &wire.SettingsError{Faults: faults}
	}
	return nil
}

// put stores settings that are judged.
func (c *Control) put(ctx context.Context, p Person, agent string, seen int64, before, s wire.Settings) (Version, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return Version{}, fmt.Errorf("write the settings of %s: %w", agent, err)
	}
	changed := fleet.Diff(before, s)
	if seen > 0 && len(changed) == 0 { // nothing to send
		return c.Settings(ctx, agent, 0)
	}
	var fields []string
	for _, d := range changed {
		fields = append(fields, d.Field)
	}
	if err := c.note(ctx, p, "settings.put", agent, strings.Join(fields, ", ")); err != nil {
		return Version{}, err
	}
	v, err := c.store.PutSettings(ctx, seen, fleet.Version{Agent: agent, Settings: data, By: p.Name, At: c.now()})
	if err != nil {
		return Version{}, err
	}
	c.link.Changed(agent)
	return masked(v)
}

// commands that people may give, and how long they live unless told otherwise.
var commands = map[string]time.Duration{
	wire.CommandCheck: time.Minute, wire.CommandXReport: time.Minute, wire.CommandOpenShift: time.Minute, wire.CommandCloseShift: 5 * time.Minute,
	wire.CommandReprint: time.Minute, wire.CommandRediscover: time.Minute, wire.CommandSendLogs: 10 * time.Minute, wire.CommandRestart: 10 * time.Minute,
	wire.CommandUpdate: 6 * time.Hour,
}

// CommandNames are those that people may give, in order.
func CommandNames() (list []string) {
	for name := range commands {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// longestLife of a command: whoever gave it has forgotten it by then.
const longestLife = 24 * time.Hour

// Command gives an agent a command. ttl 0 is its usual time.
func (c *Control) Command(ctx context.Context, p Person, agent, name string, arguments json.RawMessage, ttl time.Duration) (x fleet.Command, err error) {
	if err := p.needs(fleet.Operator); err != nil {
		return x, err
	}
	if _, err := c.store.Agent(ctx, agent); err != nil {
		return x, err
	}
	usual, known := commands[name]
	if ttl == 0 {
		ttl = usual
	}
	var object map[string]any
	switch names := strings.Join(CommandNames(), ", "); {
	case !known:
		return x, invalid("name", wire.CodeValue, names, "must be one of "+names)
	case ttl < time.Second || ttl > longestLife:
		return x, invalid("ttl_seconds", wire.CodeValue, "1–86400", "must be from 1 to 86400")
	case len(arguments) > 4096:
		return x, invalid("arguments", wire.CodeValue, "≤ 4096", "must not be longer than 4096 bytes")
	case len(arguments) > 0 && json.Unmarshal(arguments, &object) != nil:
		return x, invalid("arguments", wire.CodeType, "{…}", "must be an object")
	}
	if name == wire.CommandUpdate {
		version, _ := object["version"].(string)
		if err := c.ordered("arguments.version", version); err != nil {
			return x, err
		}
	}
	now := c.now()
	x = fleet.Command{
		ID: rand.Text(), Agent: agent, Name: name, Arguments: arguments, State: fleet.CommandPending, By: p.Name, CreatedAt: now, ExpiresAt: now.Add(ttl),
	}
	if err := c.note(ctx, p, "command.add", agent, name+" "+x.ID); err != nil {
		return x, err
	}
	if err := c.store.AddCommand(ctx, x); err != nil {
		return x, err
	}
	c.link.Changed(agent)
	return x, nil
}

// CommandOf is one command of an agent's; CommandsOf are its newest.
func (c *Control) CommandOf(ctx context.Context, agent, id string) (fleet.Command, error) {
	return c.store.Command(ctx, agent, id)
}

// CommandsOf are an agent's newest commands, newest first.
func (c *Control) CommandsOf(ctx context.Context, agent string, limit int) ([]fleet.Command, error) {
	if _, err := c.store.Agent(ctx, agent); err != nil {
		return nil, err
	}
	return c.store.Commands(ctx, agent, limit)
}
