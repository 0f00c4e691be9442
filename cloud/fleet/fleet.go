// Package fleet has the nouns of the cloud and their rules: venues, agents,
// settings and their versions, commands, alerts, modules and what they cost,
// people and what they may. It imports the contract with the agents and nothing
// else of ours.
package fleet

import (
	"encoding/json"
	"errors"
	"time"

	"ekassa/cloud/wire"
)

// What every store answers, to be compared with errors.Is.
var (
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("exists already")
	ErrStale    = errors.New("changed meanwhile") // the rev that the caller saw is not the newest
	ErrSpent    = errors.New("used or expired")   // a one-time code, a session
)

// Venue is one restaurant.
type Venue struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
}

// Agent is one program on a Pi, as the cloud knows it.
type Agent struct {
	ID         string
	Venue      string
	EnrolledAt time.Time // zero: not yet
	Revoked    bool

	Online  bool
	Session int64     // of the connection that Online is about
	Since   time.Time // when Online became so
	Version string    // of the program

	Desired  int64         // the newest rev of its settings; 0: never pushed
	Reported wire.Reported // as the agent told it last

	Health   *wire.Health // nil: never told
	HealthAt time.Time    // when it was stored, by the cloud's clock
	Epoch    int64        // of the journal that it told of last
	UpTo     int64        // every record of Epoch up to here is stored
}

// State of an agent's settings, as contract.md 6 words it: pending, applied,
// refused or reverted; empty where none were ever pushed.
func (a Agent) State() string {
	switch {
	case a.Desired == 0:
		return ""
	case a.Reported.Judged < a.Desired:
		return StatePending
	}
	return a.Reported.State
}

// StatePending: the agent has not said yet what became of its newest settings.
const StatePending = "pending"

// Version is one version of an agent's settings.
type Version struct {
	Agent    string
	Rev      int64 // 1, 2, 3, …
	Settings json.RawMessage
	By       string // a user's name, or a rollout's id
	At       time.Time
}

// Certificate of an agent, which the authority signed.
type Certificate struct {
	Serial    string // hexadecimal
	Agent     string
	NotBefore time.Time
	NotAfter  time.Time
	RevokedAt time.Time // zero: good
}

// Enrolment is a one-time code with which an agent gets its certificate.
type Enrolment struct {
	Hash      string // of the code, as [HashCode] gives it
	Venue     string
	Agent     string
	By        string
	ExpiresAt time.Time
}

// Command is one that a person or the cloud gave an agent.
type Command struct {
	ID         string
	Agent      string
	Name       string
	Arguments  json.RawMessage
	State      CommandState
	Result     json.RawMessage
	Error      string
	By         string
	CreatedAt  time.Time
	ExpiresAt  time.Time
	AnsweredAt time.Time // zero: not yet
}

// CommandState is contract.md 6's.
type CommandState string

// The states of a command. Only a pending one may become another, and an expired
// one that is answered late.
const (
	CommandPending CommandState = "pending"
	CommandDone    CommandState = "done"
	CommandFailed  CommandState = "failed"
	CommandExpired CommandState = "expired"
)

// Receipt is a receipt as its agent reported it last.
type Receipt struct {
	Agent     string
	Number    int64     // of the store, to page on
	ChangedAt time.Time // by the agent's clock
	wire.Receipt
}

// ShiftReport is one closed shift.
type ShiftReport struct {
	Agent  string
	Number int64 // of the store, to page on
	Epoch  int64
	Seq    int64
	wire.ShiftReport
}

// Alert is something that a person should know. One of the same Agent, Register
// and Code is raised once until it has ended.
type Alert struct {
	ID             int64     `json:"id"`
	Agent          string    `json:"agent"`
	Venue          string    `json:"venue"`
	Register       string    `json:"register,omitempty"`
	Code           string    `json:"code"`
	Detail         string    `json:"detail,omitempty"`
	RaisedAt       time.Time `json:"raised_at"`
	EndedAt        time.Time `json:"ended_at,omitzero"` // what it told of is over
	AcknowledgedAt time.Time `json:"acknowledged_at,omitzero"`
	AcknowledgedBy string    `json:"acknowledged_by,omitempty"`
}

// Role says what a user may.
type Role string

// The roles; each may what the ones before it may.
const (
	Viewer   Role = "viewer"   // look
	Operator Role = "operator" // and change settings, give commands, enrol
	Admin    Role = "admin"    // and users, modules, webhooks, revocation
)

// May says whether a user of this role may do what needs another.
func (r Role) May(need Role) bool {
	rank := map[Role]int{Viewer: 1, Operator: 2, Admin: 3}
	return rank[r] > 0 && rank[need] > 0 && rank[r] >= rank[need]
}

// User is a person, or a program with a token.
type User struct {
	Name         string
	Role         Role
	PasswordHash string // as [HashPassword] gives it
	Disabled     bool
	CreatedAt    time.Time
}

// Session of a user in the console, or a bearer token of the API.
type Session struct {
	Hash      string // of the secret, as [HashToken] gives it
	User      string
	Kind      string // "session" or "token"
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Act is one line of the audit log: who changed what.
type Act struct {
	ID     int64     `json:"id"`
	At     time.Time `json:"at"`
	User   string    `json:"user"`
	Action string    `json:"action"` // such as settings.put, command.create, user.add
	Object string    `json:"object"` // such as an agent's id
	Detail string    `json:"detail,omitempty"`
}

// Rollout brings one change of settings, or one version of the program, to a group of
// agents, some at a time.
type Rollout struct {
	ID        string          `json:"id"`
	Change    json.RawMessage `json:"change,omitempty"`  // a JSON merge patch (RFC 7396) over each agent's settings
	Release   string          `json:"release,omitempty"` // a version, in place of a change
	AtOnce    int             `json:"at_once"`
	MaxFailed int             `json:"max_failed"` // refused or reverted ones above which it pauses
	State     RolloutState    `json:"state"`
	Reason    string          `json:"reason,omitempty"` // why it is paused
	By        string          `json:"by"`
	CreatedAt time.Time       `json:"created_at"`
	Agents    []RolloutAgent  `json:"agents"`
}

// RolloutState says whether a rollout goes on.
type RolloutState string

// The states of a rollout.
const (
	RolloutRunning RolloutState = "running"
	RolloutPaused  RolloutState = "paused"
	RolloutStopped RolloutState = "stopped"
	RolloutDone    RolloutState = "done"
)

// RolloutAgent is how far a rollout is with one agent.
type RolloutAgent struct {
	Agent   string `json:"agent"`
	Rev     int64  `json:"rev,omitempty"`     // that it was pushed; 0: not yet
	Command string `json:"command,omitempty"` // that ordered the version
	State   string `json:"state"`             // waiting, pending, applied, refused, reverted, skipped
	Reason  string `json:"reason,omitempty"`

	// Reported is the time, by the agent's clock, of what it had reported last of its
	// versions when it was ordered this one.
	Reported time.Time `json:"reported,omitzero"`
}

// Webhook is where alerts are sent.
type Webhook struct {
	ID        int64     `json:"id"`
	URL       string    `json:"url"`
	Secret    string    `json:"-"` // signs each delivery with HMAC-SHA256
	CreatedAt time.Time `json:"created_at"`
}

// Delivery is one alert on its way to one webhook.
type Delivery struct {
	ID       int64
	Webhook  int64
	Body     json.RawMessage
	Attempts int
	NextAt   time.Time
	Error    string // of the last attempt
}
