package receipt

import "time"

// Act is what a person did on the staff page.
type Act struct {
	N        int64     `json:"n"` // rises; 0: not written yet
	At       time.Time `json:"at"`
	Terminal string    `json:"terminal"`
	Who      string    `json:"who"`
	Role     string    `json:"role"`
	What     string    `json:"what"`              // the API's route, such as receipts_id_retry
	Subject  string    `json:"subject,omitempty"` // the receipt's or register's id
	Outcome  string    `json:"outcome"`           // ActDone, a problem's code, or "": not known
}

// ActDone is the outcome of what was done as it was asked for.
const ActDone = "done"
