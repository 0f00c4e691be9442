package register

import (
	"time"

	"ekassa/agent/receipt"
)

// Link says how well the agent gets on with a register.
type Link string

// The links.
const (
	LinkUnknown Link = "unknown"      // not asked yet
	LinkReady   Link = "ready"        // it answered the last time
	LinkDown    Link = "down"         // nobody answers: receipts wait
	LinkBlocked Link = "blocked"      // it answers, but a person has to act (Problem says what)
	LinkOffline Link = "offline"      // the settings keep it aside
	LinkMissing Link = "not_found"    // no address is set and none was found
	LinkWrong   Link = "wrong_serial" // another register is at the address
)

// Queue counts a register's receipts that are not done.
type Queue struct {
	Waiting  int       `json:"waiting"` // with those on their way
	Checking int       `json:"checking"`
	Held     int       `json:"held"`
	Refused  int       `json:"refused"`
	Oldest   time.Time `json:"oldest,omitzero"` // when the till was told yes of the oldest waiting one
}

// Clock is how a register's clock compares with ours. Registers tell the time
// with the opening of a shift, and AzSmart's with their documents.
type Clock struct {
	Ahead time.Duration `json:"ahead"`       // of ours
	At    time.Time     `json:"at,omitzero"` // when they were compared; zero: never
}

// ClockOff is how far two clocks may differ before people are told.
const ClockOff = 2 * time.Minute

// Off says whether people should be told.
func (c Clock) Off() bool { return c.Ahead.Abs() > ClockOff }

// Status is all that people are shown of one register.
type Status struct {
	ID       string         `json:"id"`
	Name     string         `json:"name"`
	Driver   string         `json:"driver"`
	Terminal string         `json:"terminal"`
	Mode     string         `json:"mode"` // active or offline
	Address  string         `json:"address,omitempty"`
	Link     Link           `json:"link"`
	Problem  receipt.Reason `json:"problem,omitzero"`
	Identity Identity       `json:"identity,omitzero"`
	Shift    Shift          `json:"shift,omitzero"`
	Clock    Clock          `json:"clock,omitzero"`
	Queue    Queue          `json:"queue"`
	// When it last answered. Zero: not since the agent started; Identity and Shift
	// are then as an earlier run saw them.
	SeenAt time.Time `json:"seen_at,omitzero"`
}

// What the cloud and people are alerted of.
const (
	AlertShiftOld     = "shift_old"     // Detail: its age
	AlertShiftExpired = "shift_expired" // Detail: its age
	AlertClock        = "clock_off"     // Detail: how far the register's is ahead
)

// PatientFor is how long the agent asks a register about an unclear attempt
// before a person may decide in its place: longer than any document may take.
const PatientFor = 5 * time.Minute

// Reasons that a receipt or a register may give for not going on. Each has its
// sentence in the staff texts.
const (
	WhyNoRegister    = "no_register" // no register is bound to the terminal
	WhyModuleOff     = "module_off"  //
	WhyOffline       = "register_offline"
	WhyNotFound      = "register_not_found"
	WhyUnreachable   = "register_unreachable"
	WhyBusy          = "register_busy"
	WhyWrongRegister = "wrong_register" // Detail: the serial that answered
	WhyCredentials   = "wrong_merchant_id"
	WhyShiftClosed   = "shift_closed"  // and the settings say that a person opens it
	WhyShiftExpired  = "shift_expired" // over 24 h
	WhyPaper         = "paper_out"
	WhyParent        = "waits_for_parent"    // Detail: the parent's id
	WhyAsking        = "asking_register"     // no clear answer came; the register is being asked
	WhyRefused       = "refused_by_register" // Detail: the register's code and words
	WhyCannotMake    = "register_cannot"     // the register makes no such document; Detail: why
	WhyCannotTell    = "outcome_unknown"     // the register cannot tell: a person decides
	WhySupplier      = "supplier_needed"     // Detail: the register's code and words
	WhyRangByHand    = "rung_up_by_hand"     // documents appeared that are not ours
	WhyAnswer        = "waits_for_answer"    // to a question about other receipts; Detail: their ids
	WhyAskFirst      = "ask_first"           // the settings want a person's word for what waited
	WhyTooOld        = "too_old"             // waited longer than offline.replay_within
	WhyNotFiscal     = "not_fiscal"          // kept here by the till's or the settings' word
	WhyJournalLost   = "journal_lost"        // an earlier journal may have had it, and sent it; Detail: its reason before
	WhyPerson        = "by_person"           // Detail: who and why
	WhyParentGone    = "parent_withdrawn"    // what it takes back was withdrawn; Detail: the parent's id
)
