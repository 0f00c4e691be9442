// Package control is what people do with a fleet. API and console are two doors
// to it: whatever may be done, by whom, and what is written down of it, is
// decided here.
//
// Each method takes who does it. One that changes something needs a role, judges
// the whole before it touches anything, and notes the act in the audit log before
// it does it: an act that cannot be noted is not done.
package control

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"ekassa/cloud/fleet"
	"ekassa/cloud/store"
	"ekassa/cloud/wire"
)

// ErrForbidden: the person's role does not allow it.
var ErrForbidden = errors.New("not allowed for this role")

// Invalid is bad input, by field.
type Invalid struct{ Faults []wire.Fault }

// Error names every field.
func (e *Invalid) Error() string { return (&wire.SettingsError{Faults: e.Faults}).Error() }

func invalid(field, code, detail, message string) error {
	return &Invalid{Faults: []wire.Fault{{Field: field, Code: code, Detail: detail, Message: message}}}
}

// Link is the way to the agents. What is to be sent is in the store already, so
// that calls are only hints: nothing is lost where one is.
type Link interface {
	// Changed says that an agent's settings or commands have changed.
	Changed(agent string)
	// Revoked says that an agent's certificates were taken back.
	Revoked(agent string)
}

// Releases are the versions of the agent's program that can be ordered.
type Releases interface {
	List() ([]wire.Release, error)
}

// Control is the fleet's desk.
type Control struct {
	// Releases may be set before anybody comes; nil: there are none.
	Releases Releases

	store store.Store
	link  Link
	now   func() time.Time
	tries tries
}

// New makes it over what the store knows.
func New(s store.Store, link Link, now func() time.Time) *Control {
	return &Control{store: s, link: link, now: now, tries: tries{now: now, of: map[string][]time.Time{}}}
}

// Person is who does something.
type Person struct {
	Name string
	Role fleet.Role
}

func (p Person) needs(r fleet.Role) error {
	if !p.Role.May(r) {
		return fmt.Errorf("%w: %s is %s, and %s is needed", ErrForbidden, p.Name, p.Role, r)
	}
	return nil
}

// note writes an act down.
func (c *Control) note(ctx context.Context, p Person, action, object, detail string) error {
	return c.store.Note(ctx, fleet.Act{At: c.now(), User: p.Name, Action: action, Object: object, Detail: detail})
}

var idForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// AddVenue opens a venue. Errors: *Invalid, fleet.ErrExists.
func (c *Control) AddVenue(ctx context.Context, p Person, id, name string) (v fleet.Venue, err error) {
	if err := p.needs(fleet.Operator); err != nil {
		return v, err
	}
	if !idForm.MatchString(id) {
		return v, invalid("id", wire.CodeValue, "a–z, 0–9, -; 1–63: baku-01", "must be 1 to 63 small letters, digits and hyphens, such as baku-01")
	}
	if name == "" || len(name) > 200 {
		return v, invalid("name", wire.CodeValue, "1–200", "must be 1 to 200 characters")
	}
	if _, err := c.store.Venue(ctx, id); !errors.Is(err, fleet.ErrNotFound) {
		return v, errors.Join(err, exists(err))
	}
	v = fleet.Venue{ID: id, Name: name, CreatedAt: c.now()}
	if err := c.note(ctx, p, "venue.add", id, name); err != nil {
		return v, err
	}
	return v, c.store.AddVenue(ctx, v)
}

func exists(err error) error {
	if err == nil {
		return fleet.ErrExists
	}
	return nil
}

// Venues are all of them.
func (c *Control) Venues(ctx context.Context) ([]fleet.Venue, error) { return c.store.Venues(ctx) }

// Venue is one.
func (c *Control) Venue(ctx context.Context, id string) (fleet.Venue, error) {
	return c.store.Venue(ctx, id)
}

// EnrolmentLasts is how long a one-time code is good.
const EnrolmentLasts = 48 * time.Hour

// Enrol makes a one-time code with which an agent of the venue gets its
// certificate. The code is told here, once. An agent that has a certificate may
// be enrolled again, which takes the old one back.
func (c *Control) Enrol(ctx context.Context, p Person, venue, agent string) (code string, until time.Time, err error) {
	if err := p.needs(fleet.Operator); err != nil {
		return "", until, err
	}
	if _, err := c.store.Venue(ctx, venue); errors.Is(err, fleet.ErrNotFound) {
		return "", until, invalid("venue", wire.CodeUnknown, "", "there is no such venue; open it first")
	} else if err != nil {
		return "", until, err
	}
	if !wire.ValidAgent(agent) {
		return "", until, invalid("agent", wire.CodeValue, "A–Z, a–z, 0–9, -, _, .; 1–64", "must be 1 to 64 letters, digits, '-', '_' and '.', the first a letter or digit")
	}
	switch a, err := c.store.Agent(ctx, agent); {
	case err == nil && a.Venue != venue:
		return "", until, invalid("agent", wire.CodeDuplicate, "", "stands in another venue; choose another name, or name that venue")
	case err != nil && !errors.Is(err, fleet.ErrNotFound):
		return "", until, err
	}
	code, until = fleet.NewCode(), c.now().Add(EnrolmentLasts)
	if err := c.note(ctx, p, "enrolment.add", agent, "venue "+venue); err != nil {
		return "", until, err
	}
	return code, until, c.store.AddEnrolment(ctx, fleet.Enrolment{
		Hash: fleet.HashCode(code), Venue: venue, Agent: agent, By: p.Name, ExpiresAt: until,
	})
}

// Revoke takes an agent's certificates back, and ends its connection.
func (c *Control) Revoke(ctx context.Context, p Person, agent string) error {
	if err := p.needs(fleet.Admin); err != nil {
		return err
	}
	if _, err := c.store.Agent(ctx, agent); err != nil {
		return err
	}
	if err := c.note(ctx, p, "agent.revoke", agent, ""); err != nil {
		return err
	}
	if err := c.store.Revoke(ctx, agent, c.now()); err != nil {
		return err
	}
	c.link.Revoked(agent)
	return nil
}

// ReleasesHere are the versions of the agent's program that can be ordered, the
// highest first.
func (c *Control) ReleasesHere() ([]wire.Release, error) {
	if c.Releases == nil {
		return nil, nil
	}
	return c.Releases.List()
}

// ordered says whether a version can be.
func (c *Control) ordered(field, version string) error {
	list, err := c.ReleasesHere()
	if err != nil {
		return err
	}
	var versions []string
	for _, r := range list {
		versions = append(versions, r.Version)
	}
	if !slices.Contains(versions, version) {
		return invalid(field, wire.CodeUnknown, strings.Join(versions, ", "), "there is no such release here; see ekassa-cloud release add")
	}
	return nil
}

// Agents are those of a filter; Agent is one.
func (c *Control) Agents(ctx context.Context, f store.Filter) ([]fleet.Agent, error) {
	return c.store.Agents(ctx, f)
}

// Agent is one.
func (c *Control) Agent(ctx context.Context, id string) (fleet.Agent, error) {
	return c.store.Agent(ctx, id)
}

// Receipts of an agent, as it reported them last.
func (c *Control) Receipts(ctx context.Context, agent string, f store.Filter) ([]fleet.Receipt, error) {
	if _, err := c.store.Agent(ctx, agent); err != nil {
		return nil, err
	}
	return c.store.Receipts(ctx, agent, f)
}

// ShiftReports are closed shifts.
func (c *Control) ShiftReports(ctx context.Context, f store.Filter) ([]fleet.ShiftReport, error) {
	return c.store.ShiftReports(ctx, f)
}

// Totals by day.
func (c *Control) Totals(ctx context.Context, f store.Filter, zone *time.Location) ([]store.Day, error) {
	return c.store.Totals(ctx, f, zone)
}

// Alerts of a filter.
func (c *Control) Alerts(ctx context.Context, f store.Filter) ([]fleet.Alert, error) {
	return c.store.Alerts(ctx, f)
}

// Acknowledge says that somebody has taken note of an alert.
func (c *Control) Acknowledge(ctx context.Context, p Person, id int64) error {
	if err := p.needs(fleet.Operator); err != nil {
		return err
	}
	if err := c.note(ctx, p, "alert.acknowledge", fmt.Sprint(id), ""); err != nil {
		return err
	}
	return c.store.Acknowledge(ctx, id, p.Name, c.now())
}

// Acts are the audit log, newest first. Only an admin reads it.
func (c *Control) Acts(ctx context.Context, p Person, f store.Filter) ([]fleet.Act, error) {
	if err := p.needs(fleet.Admin); err != nil {
		return nil, err
	}
	return c.store.Acts(ctx, f)
}

// Drivers are the modules that a venue may have.
var Drivers = []string{wire.DriverAzSmart, wire.DriverOmnitech, wire.DriverCaspos}

// Module is one of a venue's.
type Module struct {
	Driver  string
	Enabled bool
	Since   time.Time // zero: never switched
}

// Modules of a venue, every driver once.
func (c *Control) Modules(ctx context.Context, venue string) (list []Module, err error) {
	if _, err := c.store.Venue(ctx, venue); err != nil {
		return nil, err
	}
	history, err := c.store.Modules(ctx, venue)
	if err != nil {
		return nil, err
	}
	for _, d := range Drivers {
		m := Module{Driver: d}
		if h := history[d]; len(h) > 0 {
			m.Enabled, m.Since = h[len(h)-1].On, h[len(h)-1].At
		}
		list = append(list, m)
	}
	return list, nil
}

// SwitchModule switches a venue's module on or off. It cannot be switched off
// while an agent's settings still have a register of that driver.
func (c *Control) SwitchModule(ctx context.Context, p Person, venue, driver string, on bool) error {
	if err := p.needs(fleet.Admin); err != nil {
		return err
	}
	if !slices.Contains(Drivers, driver) {
		return fmt.Errorf("module %q: %w", driver, fleet.ErrNotFound)
	}
	if _, err := c.store.Venue(ctx, venue); err != nil {
		return err
	}
	if !on {
		agents, err := c.store.Agents(ctx, store.Filter{Venue: venue})
		if err != nil {
			return err
		}
		for _, a := range agents {
			s, err := c.newest(ctx, a.ID)
			if err != nil {
				return err
			}
			if slices.ContainsFunc(s.Registers, func(r wire.Register) bool { return r.Driver == driver }) {
				return invalid("enabled", wire.CodeConflict, a.ID, "agent "+a.ID+" has a register of this module; take it out of its settings first")
			}
		}
	}
	if err := c.note(ctx, p, "module.switch", venue, fmt.Sprintf("%s %t", driver, on)); err != nil {
		return err
	}
	return c.store.SwitchModule(ctx, venue, driver, fleet.Switch{At: c.now(), On: on}, p.Name)
}

// Bill is what a venue's modules cost in a month.
type Bill struct {
	Venue string
	Month time.Time // its first day
	Lines []fleet.Line
	Total int64 // qəpik
}

// Zone in which months begin and end.
var Zone = time.FixedZone("+04", 4*60*60) // Azerbaijan has no summer time

// Bill adds up a venue's month.
func (c *Control) Bill(ctx context.Context, venue string, month time.Time) (b Bill, err error) {
	if _, err := c.store.Venue(ctx, venue); err != nil {
		return b, err
	}
	history, err := c.store.Modules(ctx, venue)
	if err != nil {
		return b, err
	}
	b = Bill{Venue: venue, Month: time.Date(month.Year(), month.Month(), 1, 0, 0, 0, 0, Zone)}
	for _, d := range Drivers {
		if line := fleet.BillLine(d, history[d], b.Month); line.Days > 0 {
			b.Lines, b.Total = append(b.Lines, line), b.Total+line.Amount
		}
	}
	return b, nil
}
