package register

import "time"

// Try is an attempt as people are shown it, who have to decide what it came to.
type Try struct {
	Number   int       `json:"number"`
	At       time.Time `json:"at"`
	Register string    `json:"register"`
	Serial   string    `json:"serial"`          // of the device that it was sent to
	Shift    string    `json:"shift,omitempty"` // the device's, before the first byte left
	Last     string    `json:"last,omitempty"`  // number of the device's last document by then, where it tells
	Learned  []Learned `json:"learned"`
}

// Learned is what was learned of an attempt.
type Learned struct {
	Proof Proof     `json:"proof"`
	Text  string    `json:"text"` // as it was written down for the record; English
	At    time.Time `json:"at"`
}
