package wire

import (
	"encoding/json"
	"fmt"
	"regexp"
	"time"
)

// Version of the messages. A receiver ignores fields that it does not know, and
// leaves messages of a higher version to a newer program.
const Version = 1

// The last levels of the topics ekassa/v1/{agent}/…; contract.md 5 says who
// sends which.
const (
	TopicPresence = "presence" // retained
	TopicDesired  = "desired"  // retained
	TopicReported = "reported"
	TopicReport   = "report"
	TopicAck      = "ack"
	TopicCommand  = "command"
	TopicResult   = "result"
)

var agentForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// ValidAgent says whether id can name an agent: one topic segment, its client
// id, user name and certificate name.
func ValidAgent(id string) bool { return agentForm.MatchString(id) }

// Topic gives the topic of an agent. The agent "+" is every agent's.
func Topic(agent, last string) string { return fmt.Sprintf("ekassa/v1/%s/%s", agent, last) }

// ParseTopic reads a topic of ours.
func ParseTopic(topic string) (agent, last string, ok bool) {
	m := topicForm.FindStringSubmatch(topic)
	if m == nil || !ValidAgent(m[1]) {
		return "", "", false
	}
	return m[1], m[2], true
}

var topicForm = regexp.MustCompile(`^ekassa/v1/([^/+#]+)/(presence|desired|reported|report|ack|command|result)$`)

// Presence says that an agent is there. Its will is the same with Online false.
type Presence struct {
	Online  bool      `json:"online"`
	Session int64     `json:"session"` // rises with each connection, so that a late will is known
	Since   time.Time `json:"since,omitzero"`
	Version string    `json:"version"` // of the program
	Rev     int64     `json:"rev"`     // of the settings in force; 0: those of its own file
	Epoch   int64     `json:"epoch"`   // of its journal
}

// Desired are the settings that an agent should have.
type Desired struct {
	Rev      int64           `json:"rev"`
	Settings json.RawMessage `json:"settings"` // as ParseSettings reads them
}

// What became of desired settings.
const (
	StateApplied  = "applied"
	StateRefused  = "refused"  // they are invalid; Faults and Reason say why
	StateReverted = "reverted" // they were worse; the ones before are back in force
)

// Reported says what became of desired settings, and of the version that was
// ordered. It is repeated on each connect.
type Reported struct {
	Rev    int64   `json:"rev"`    // in force; 0: those of the agent's own file
	Judged int64   `json:"judged"` // the last desired rev that was looked at
	State  string  `json:"state"`  // what became of that one
	Reason string  `json:"reason,omitempty"`
	Faults []Fault `json:"faults,omitempty"`
	// Program says what became of the last version that was ordered; nil: none was.
	Program *ProgramReport `json:"program,omitempty"`
}

// What became of a version of the program.
const (
	ProgramStaged   = "staged" // verified, on the disk, and waits for a quiet moment
	ProgramTrial    = "trial"  // it runs, and has to prove itself
	ProgramApplied  = "applied"
	ProgramReverted = "reverted" // it did not prove itself; the one before is back
	ProgramFailed   = "failed"   // it was not what was signed any more, or could not be started
)

// ProgramReport is what became of a version.
type ProgramReport struct {
	Version string    `json:"version"`
	State   string    `json:"state"`
	Reason  string    `json:"reason,omitempty"`
	At      time.Time `json:"at"`
}

// Record is one numbered thing that an agent tells, kept by it until the cloud
// has acknowledged it.
type Record struct {
	V     int             `json:"v"`
	Agent string          `json:"agent"`
	Epoch int64           `json:"epoch"` // rises with a new or restored journal
	Seq   int64           `json:"seq"`   // 1, 2, 3, … without gaps within an epoch
	Type  string          `json:"type"`
	Time  time.Time       `json:"time"` // when it was written, by the agent's clock
	Data  json.RawMessage `json:"data"` // by Type, as Body gives it
}

// The types of records.
const (
	RecordReceipt     = "receipt"
	RecordCash        = "cash"
	RecordShiftOpened = "shift_opened"
	RecordShiftClosed = "shift_closed"
	RecordXReport     = "x_report"
	RecordAlert       = "alert"
	RecordHealth      = "health"
)

// Receipt is a receipt as it was after one change of its state. Money is decimal
// text.
type Receipt struct {
	Terminal   string          `json:"terminal"`
	ID         string          `json:"id"`
	Register   string          `json:"register,omitempty"`
	Kind       string          `json:"kind"`
	Total      string          `json:"total"`
	State      string          `json:"state"`
	Reason     string          `json:"reason,omitempty"` // a code
	Detail     string          `json:"detail,omitempty"`
	Attempts   int             `json:"attempts"`
	ReceivedAt time.Time       `json:"received_at"`
	Content    json.RawMessage `json:"content,omitempty"` // the whole receipt, with its first record only
	Document   *Document       `json:"document,omitempty"`
}

// Document is what a register made of a receipt.
type Document struct {
	FiscalID string    `json:"fiscal_id"`
	ShortID  string    `json:"short_id,omitempty"`
	Number   string    `json:"number,omitempty"`
	Serial   string    `json:"register_serial"`
	Shift    string    `json:"shift,omitempty"`
	URL      string    `json:"url,omitempty"`
	Printed  bool      `json:"printed"`
	At       time.Time `json:"at"`
}

// ShiftOpened tells that a shift is open on a register.
type ShiftOpened struct {
	Register string    `json:"register"`
	Shift    string    `json:"shift"`
	OpenedAt time.Time `json:"opened_at,omitzero"`
	By       string    `json:"by,omitempty"` // empty: on the register itself
}

// ShiftReport is a closed shift; an XReport has the same shape.
type ShiftReport struct {
	Register    string          `json:"register"`
	Shift       string          `json:"shift"`
	OpenedAt    time.Time       `json:"opened_at,omitzero"`
	ClosedAt    time.Time       `json:"closed_at"` // of an X report: when it was read
	By          string          `json:"by,omitempty"`
	Missing     string          `json:"missing,omitempty"` // why the register's figures are not here
	Report      json.RawMessage `json:"report"`            // the register's figures, structured: see Totals
	Raw         []byte          `json:"raw,omitempty"`     // as the register gave them
	Journal     json.RawMessage `json:"journal,omitempty"` // the same figures, from the agent's journal
	Differences []Difference    `json:"difference,omitempty"`
	Doubtful    []string        `json:"doubtful,omitempty"`
	Open        []string        `json:"open,omitempty"`
}

// Totals are the figures of a report, as far as the cloud reads them.
type Totals struct {
	Shift   string `json:"shift"`
	Sales   Sum    `json:"sales"`
	Refunds Sum    `json:"refunds"`
	Cancels Sum    `json:"cancels"`
	In      Sum    `json:"deposits"`
	Out     Sum    `json:"withdrawals"`
}

// Sum is one group of a report. Money is decimal text.
type Sum struct {
	Count int    `json:"count"`
	Sum   string `json:"sum"`
	Cash  string `json:"cash"`
	Card  string `json:"card"`
	VAT   []VAT  `json:"vat,omitempty"`
}

// VAT is a report's tax at one rate.
type VAT struct {
	Rate   string `json:"rate"`
	Amount string `json:"amount"`
}

// Difference is one figure of a register's report that is another in the
// journal.
type Difference struct {
	Figure   string   `json:"figure"`
	Journal  string   `json:"journal"`
	Register string   `json:"register"`
	Receipts []string `json:"receipts,omitempty"` // of which one, or all, would explain it
}

// Alert is something that a person should know.
type Alert struct {
	Register string `json:"register,omitempty"`
	Code     string `json:"code"` // such as shift_old, shift_expired, clock_off, or one of the Alert constants
	Detail   string `json:"detail,omitempty"`
}

// The alerts that stand in for a record, under its number. Detail says why.
const (
	AlertQuarantined = "quarantined" // no broker takes it, or it cannot be read; the agent's journal has it
	AlertRecordLost  = "record_lost" // it is not in the agent's journal any more
)

// Health is how an agent is, told now and then while it is connected. It is the
// one record that a newer one replaces: none is written before the last is
// acknowledged, so a week offline has none.
type Health struct {
	Registers     []RegisterHealth `json:"registers"`
	Waiting       int              `json:"waiting"`
	OldestSeconds int64            `json:"oldest_seconds"`
	DiskFree      int64            `json:"disk_free_bytes"`
	Records       int64            `json:"records_unacknowledged"`
	Temperature   *float64         `json:"temperature_celsius,omitempty"`
	UnderVoltage  *bool            `json:"under_voltage,omitempty"`
	ClockSynced   *bool            `json:"clock_synced,omitempty"`
	CertDays      *int             `json:"certificate_days,omitempty"` // left of the agent's own
	CardUsed      *int             `json:"card_used_percent,omitempty"`
	DiskErrors    *int64           `json:"disk_errors,omitempty"`           // found by the file systems, ever
	WrittenDay    *int64           `json:"written_bytes_per_day,omitempty"` // to all disks, as since the machine started
	Swap          *int64           `json:"swap_bytes,omitempty"`            // on a disk
	WiFi          *int             `json:"wifi_signal_dbm,omitempty"`
}

// RegisterHealth is how one register is.
type RegisterHealth struct {
	ID         string    `json:"id"`
	Terminal   string    `json:"terminal,omitempty"`
	Driver     string    `json:"driver"`
	Mode       string    `json:"mode"`
	Link       string    `json:"link"`
	Problem    string    `json:"problem,omitempty"`
	Serial     string    `json:"serial,omitempty"`
	Address    string    `json:"address,omitempty"`
	Waiting    int       `json:"waiting"`
	Held       int       `json:"held"`
	ShiftOpen  bool      `json:"shift_open"`
	ShiftAge   int64     `json:"shift_age_seconds"`
	LastOnline time.Time `json:"last_online,omitzero"` // with the tax service
	CertDays   *int      `json:"certificate_days,omitempty"`
	ClockOff   int64     `json:"clock_off_seconds"`
	SeenAt     time.Time `json:"seen_at,omitzero"`
}

// Ack says what is stored in the cloud's database.
type Ack struct {
	Epoch   int64   `json:"epoch"`
	UpTo    int64   `json:"up_to"` // every record up to here is stored
	Missing []Range `json:"missing,omitempty"`
	// Top is the highest number up to which Missing is complete: what is not
	// missing below it is stored. 0: nothing is said beyond UpTo.
	Top int64 `json:"top,omitempty"`
}

// Range of record numbers, both included.
type Range struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// Command asks an agent to do something, at most once. It is repeated until it
// is answered or has expired.
type Command struct {
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	Arguments  json.RawMessage `json:"arguments,omitempty"`
	TTLSeconds int             `json:"ttl_seconds"` // from when it arrives first
}

// The commands.
const (
	CommandCheck      = "check"
	CommandXReport    = "x_report"
	CommandOpenShift  = "open_shift"
	CommandCloseShift = "close_shift"
	CommandReprint    = "reprint"
	CommandRediscover = "rediscover"
	CommandSendLogs   = "send_logs"
	CommandRestart    = "restart"
	CommandUpdate     = "update" // {"version"}: fetched from the cloud, verified, and done when it is quiet
)

// Result answers a command.
type Result struct {
	ID     string          `json:"id"`
	OK     bool            `json:"ok"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  string          `json:"error,omitempty"`
}

// Enrolment of an agent, over HTTPS or in the shop's own network: POST
// /api/v1/enroll.
type Enrolment struct {
	Code    string `json:"code"`
	Request string `json:"request"` // PEM: a certificate signing request
}

// Enrolled is the answer.
type Enrolled struct {
	Agent       string `json:"agent"`
	Broker      string `json:"broker"`      // mqtts://…
	Certificate string `json:"certificate"` // PEM
	Authority   string `json:"authority"`   // PEM: who signs the broker's certificate
}

// Renewal asks for another certificate before the present one ends: POST
// /api/v1/renew. The answer is [Enrolled]; both certificates hold until the old
// one ends.
type Renewal struct {
	Agent       string `json:"agent"`
	Certificate string `json:"certificate"` // PEM: the present one
	Request     string `json:"request"`     // PEM: a signing request with a new key
	Signature   []byte `json:"signature"`   // ASN.1 ECDSA by the present certificate's key, of the SHA-256 of Request's bytes
}
