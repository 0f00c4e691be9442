package register

import (
	"time"

	"ekassa/agent/receipt"
)

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

// Record is one numbered thing that the cloud is told: what was so when it was
// written. It reads the same whenever it is read.
type Record struct {
	Epoch    int64
	Seq      int64 // 1, 2, 3, … within the epoch
	Type     string
	At       time.Time
	Receipt  *receipt.Stored // of a receipt's or cash's change, as it was then
	Content  []byte          // JSON: the whole receipt, where the cloud may not have it; of health what it says
	Report   *Reported       // of shift_closed and x_report
	About    string          // of an alert, the register or part it is about; of shift_opened the register
	Code     string          // of an alert; of shift_opened the shift's name
	Detail   string          // of an alert; of shift_opened who opened it
	OpenedAt time.Time       // of shift_opened
	// Apart says why the record itself is not told: it was set apart, or cannot be
	// read. An alert stands in for it, under its number.
	Apart string
}

// Told is how far an epoch's records are acknowledged.
type Told struct {
	Epoch int64
	Acked int64 // every one up to here
	Last  int64 // the newest there is
}

// Order is something that the cloud has asked for, by its id.
type Order struct {
	ID, Name  string
	ArrivedAt time.Time // first
	Begun     bool
	Answer    []byte // JSON, as it was answered; nil: not yet
}
