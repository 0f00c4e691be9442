// Package store is where the cloud keeps what it knows: in SQLite, or in
// PostgreSQL. Both do the same; one suite shows it.
//
// What a method returns an error for was not done, not even in part, unless the
// connection to the database broke at the very commit: then it may have been
// done whole. What it returns nil for is on disk. Errors are those of package fleet where they are
// named there, and the database's own otherwise.
package store

import (
	"context"
	"time"

	"ekassa/cloud/fleet"
	"ekassa/cloud/wire"
)

// Store is everything that is kept. Whoever needs a part of it asks for that
// part only.
type Store interface {
	Venues
	Agents
	Records
	Settings
	Commands
	Alerts
	People
	Rollouts
	Webhooks
	Care
}

// Records are what agents tell.
type Records interface {
	// Ingest stores records of any agents in one commit: each (agent, epoch, seq)
	// once, and what follows from it: receipts in their last state, shift reports,
	// health, alerts. The acks tell, for each agent and epoch among them, what is
	// stored. A record of a known number and other content is not stored again; it
	// raises the alert cloned_card. One whose data cannot be read is stored as it
	// is, and raises the alert unreadable_record. Unknown and revoked agents'
	// records are not stored and not acknowledged.
	Ingest(ctx context.Context, records []wire.Record) ([]Stored, error)
	// Acks gives what is stored of every epoch of an agent, newest last.
	Acks(ctx context.Context, agent string) ([]wire.Ack, error)

	// Receipts of an agent as it reported them last, newest first by the time at
	// which the till was told yes.
	Receipts(ctx context.Context, agent string, f Filter) ([]fleet.Receipt, error)
	// ShiftReports are closed shifts, by the time of closing, newest first.
	ShiftReports(ctx context.Context, f Filter) ([]fleet.ShiftReport, error)
	// Totals by day of an agent's or a venue's fiscal receipts, for charts: sales,
	// and refunds with cancels.
	Totals(ctx context.Context, f Filter, zone *time.Location) ([]Day, error)
}

// Stored says what is stored of an agent's epoch.
type Stored struct {
	Agent string
	wire.Ack
}

// Day is what was sold on one day, in qəpik.
type Day struct {
	Day     string // 2026-11-24
	Sales   int
	Sum     int64
	Refunds int
	Back    int64
}

// Filter narrows a list. Zero fields narrow nothing.
type Filter struct {
	Agent, Venue string
	State        string
	From, To     time.Time // [From, To)
	Open         bool      // alerts: neither ended nor acknowledged
	Before       int64     // the Number or ID of the last one that was seen, to page on
	Limit        int       // 0: 100; agents: all
}

// Venues are restaurants with their modules.
type Venues interface {
	AddVenue(ctx context.Context, v fleet.Venue) error // fleet.ErrExists
	Venue(ctx context.Context, id string) (fleet.Venue, error)
	Venues(ctx context.Context) ([]fleet.Venue, error)
	// SwitchModule notes that a venue's module is on or off from a moment on. The
	// history stays; the same state again changes nothing.
	SwitchModule(ctx context.Context, venue, driver string, s fleet.Switch, by string) error
	// Modules gives the whole history of a venue's modules by driver, oldest first.
	Modules(ctx context.Context, venue string) (map[string][]fleet.Switch, error)
}

// Agents are the programs on the Pis.
type Agents interface {
	Agent(ctx context.Context, id string) (fleet.Agent, error)
	Agents(ctx context.Context, f Filter) ([]fleet.Agent, error)
	// Presence notes that an agent came or went. What is of an older session than
	// the one known changes nothing.
	Presence(ctx context.Context, agent string, p wire.Presence, at time.Time) error
	// Heard notes what agents said, in one commit and each agent's in order, as
	// Presence and Reported do. What unknown agents said changes nothing.
	Heard(ctx context.Context, said []Said, at time.Time) error
	// AllOffline notes that the cloud lost its broker: nobody is known to be there.
	AllOffline(ctx context.Context, at time.Time) error

	AddEnrolment(ctx context.Context, e fleet.Enrolment) error
	// Enrol spends the code and notes the certificate in one commit; the agent's
	// older certificates are revoked. sign may be asked more than once. Errors:
	// fleet.ErrNotFound, fleet.ErrSpent.
	Enrol(ctx context.Context, codeHash string, sign func(fleet.Enrolment) (fleet.Certificate, error), now time.Time) (fleet.Enrolment, error)
	// Renew notes a further certificate of an agent that is not revoked.
	Renew(ctx context.Context, c fleet.Certificate) error
	Certificate(ctx context.Context, serial string) (fleet.Certificate, error)
	// Revoke takes an agent's certificates back; it may be enrolled again.
	Revoke(ctx context.Context, agent string, at time.Time) error
	// Revoked are the certificates that were taken back and have not ended by
	// themselves.
	Revoked(ctx context.Context, now time.Time) ([]fleet.Certificate, error)
}

// Said is what an agent said of itself: one of the two.
type Said struct {
	Agent    string
	Presence *wire.Presence
	Reported *wire.Reported
}

// Settings are what agents should have, every version of it.
type Settings interface {
	// PutSettings stores the next version of an agent's settings, if rev is the
	// newest there is (0: none); otherwise fleet.ErrStale. It is numbered above
	// whatever the agent ever spoke of, since that takes higher ones only.
	PutSettings(ctx context.Context, rev int64, v fleet.Version) (fleet.Version, error)
	// Version gives one; rev 0 is the newest.
	Version(ctx context.Context, agent string, rev int64) (fleet.Version, error)
	Versions(ctx context.Context, agent string) ([]fleet.Version, error)
	// Reported notes what an agent says became of its settings.
	Reported(ctx context.Context, agent string, r wire.Reported) error
}

// Commands to agents.
type Commands interface {
	AddCommand(ctx context.Context, c fleet.Command) error
	Command(ctx context.Context, agent, id string) (fleet.Command, error)
	Commands(ctx context.Context, agent string, limit int) ([]fleet.Command, error)
	// Pending gives those to repeat, of every agent where none is named.
	Pending(ctx context.Context, agent string) ([]fleet.Command, error)
	// Answer notes a result, of an expired one too: it was begun in time, and told
	// late. The first one stays.
	Answer(ctx context.Context, agent string, r wire.Result, at time.Time) error
	// Expire ends the pending ones whose time is up.
	Expire(ctx context.Context, now time.Time) (int, error)
}

// Alerts about agents.
type Alerts interface {
	// Raise notes an alert, unless the same is open already, and queues it for
	// every webhook in the same commit.
	Raise(ctx context.Context, a fleet.Alert) (raised bool, err error)
	// End notes that what an alert told of is over.
	End(ctx context.Context, agent, register, code string, at time.Time) error
	// Acknowledge notes that a person has seen an alert. One that is not watched
	// (fleet.Watched) is over then.
	Acknowledge(ctx context.Context, id int64, by string, at time.Time) error
	Alerts(ctx context.Context, f Filter) ([]fleet.Alert, error)
}

// People, what they opened, and what they did.
type People interface {
	PutUser(ctx context.Context, u fleet.User) error // adds or replaces; disabling ends the sessions
	User(ctx context.Context, name string) (fleet.User, error)
	Users(ctx context.Context) ([]fleet.User, error)
	AddSession(ctx context.Context, s fleet.Session) error
	// Session gives whose a secret is: fleet.ErrNotFound, fleet.ErrSpent.
	Session(ctx context.Context, hash string, now time.Time) (fleet.Session, fleet.User, error)
	EndSession(ctx context.Context, hash string) error
	Note(ctx context.Context, a fleet.Act) error
	Acts(ctx context.Context, f Filter) ([]fleet.Act, error)
}

// Rollouts of settings to groups.
type Rollouts interface {
	AddRollout(ctx context.Context, r fleet.Rollout) error
	Rollout(ctx context.Context, id string) (fleet.Rollout, error)
	Rollouts(ctx context.Context) ([]fleet.Rollout, error)
	SaveRollout(ctx context.Context, r fleet.Rollout) error
}

// Webhooks and what is on its way to them.
type Webhooks interface {
	AddWebhook(ctx context.Context, w fleet.Webhook) (int64, error) // fleet.ErrExists: its URL is there
	Webhooks(ctx context.Context) ([]fleet.Webhook, error)
	DeleteWebhook(ctx context.Context, id int64) error
	// Due gives deliveries whose time has come, with their webhooks.
	Due(ctx context.Context, now time.Time, limit int) ([]fleet.Delivery, error)
	// Delivered ends a delivery; Failed puts it off.
	Delivered(ctx context.Context, id int64) error
	Failed(ctx context.Context, id int64, why string, next time.Time) error
}

// Care of the store itself.
type Care interface {
	// Lead runs do while this process is the one that leads: it holds a lock in
	// PostgreSQL, or on a file beside SQLite's. do's context ends when it no longer
	// leads; until it has noticed, for some seconds, another may lead as well. Lead
	// returns when ctx ends or do has returned by itself.
	Lead(ctx context.Context, do func(context.Context) error) error
	// Retain deletes what is older than the policy says and no bill, report or
	// acknowledgement needs.
	Retain(ctx context.Context, p Policy, now time.Time) (deleted map[string]int64, err error)
	// Backup writes a copy of one moment into a new file.
	Backup(ctx context.Context, file string) error
	// Values that the cloud keeps for itself, such as the authority's key.
	Value(ctx context.Context, key string) ([]byte, error)
	// SetValue stores one if there is none: the first stays, and is returned.
	SetValue(ctx context.Context, key string, value []byte) ([]byte, error)
	Ping(ctx context.Context) error
	Close() error
}

// Policy says how long things are kept; zero: for ever.
type Policy struct {
	Records  time.Duration // the raw records below an epoch's UpTo
	Receipts time.Duration
	Reports  time.Duration
	Acts     time.Duration
	Alerts   time.Duration // that are over or acknowledged
	Commands time.Duration
}
