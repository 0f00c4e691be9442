package register

import "time"

// MaxShift is how long a shift may be open (rules.md 4): after that a register
// refuses every document until the Z report.
const MaxShift = 24 * time.Hour

// Name is what the shift is known by: the register's id for it or, where that
// gives none, when it was opened. "" where it tells neither.
func (s Shift) Name() string {
	if s.ID == "" && !s.OpenedAt.IsZero() {
		return s.OpenedAt.UTC().Format(time.RFC3339)
	}
	return s.ID
}

// Seen is a shift as the agent has seen it.
type Seen struct {
	Serial    string
	Name      string // Shift.Name
	OpenedAt  time.Time
	OpenedBy  string // a person, "auto", or "" where it was opened on the register itself
	ClosingBy string // who ordered the close that has no answer yet
}

// Reported is a report as the journal keeps it.
type Reported struct {
	Register string    `json:"register"`
	Kind     string    `json:"kind"`         // "x" or "z"
	By       string    `json:"by,omitempty"` // who asked for it; "" on the register itself
	At       time.Time `json:"at"`
	Report   Report    `json:"report"`
}
