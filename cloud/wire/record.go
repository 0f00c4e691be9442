package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// MaxMessage is the most bytes that any message of ours has; brokers exist that
// take no more than 128 KiB.
const MaxMessage = 100 << 10

// ErrNewer: the record is of a higher version. It is neither stored nor
// acknowledged, so that a newer program can take it later.
var ErrNewer = errors.New("of a newer version")

// ParseRecord reads a record from a report message. Fields that it does not know
// are passed over; a type that it does not know is no error. Error: ErrNewer, or
// what makes it no record of ours.
func ParseRecord(data []byte) (Record, error) {
	var r Record
	if len(data) > MaxMessage {
		return r, fmt.Errorf("read a record: it has %d bytes, and at most %d are sent", len(data), MaxMessage)
	}
	if !utf8.Valid(data) {
		return r, errors.New("read a record: it is not UTF-8")
	}
	if err := json.Unmarshal(data, &r); err != nil {
		var version struct {
			V int `json:"v"`
		}
		if json.Unmarshal(data, &version) == nil && version.V > Version { // which may well have another shape
			return Record{}, fmt.Errorf("read a record of version %d: %w", version.V, ErrNewer)
		}
		return Record{}, fmt.Errorf("read a record: %w", err)
	}
	if r.V > Version {
		return Record{}, fmt.Errorf("read a record of version %d: %w", r.V, ErrNewer)
	}
	switch {
	case r.V < 1:
		return r, fmt.Errorf("read a record: version %d", r.V)
	case !ValidAgent(r.Agent):
		return r, fmt.Errorf("read a record: agent %s", quote(r.Agent))
	case r.Epoch < 1 || r.Seq < 1:
		return r, fmt.Errorf("read a record: number %d of epoch %d", r.Seq, r.Epoch)
	case r.Type == "" || r.Time.IsZero():
		return r, errors.New("read a record: without type or time")
	case !bytes.HasPrefix(bytes.TrimSpace(r.Data), []byte("{")):
		return r, errors.New("read a record: its data is no object")
	}
	r.Data = slices.Clone(r.Data)
	return r, nil
}

// Body reads the record's data: a *[Receipt] of a receipt or cash, a
// *[ShiftOpened], a *[ShiftReport] of a closed shift or an X report, an *[Alert] or
// a *[Health]; nil for a type that is not known here.
func (r Record) Body() (body any, err error) {
	switch r.Type {
	case RecordReceipt, RecordCash:
		body = &Receipt{}
	case RecordShiftOpened:
		body = &ShiftOpened{}
	case RecordShiftClosed, RecordXReport:
		body = &ShiftReport{}
	case RecordAlert:
		body = &Alert{}
	case RecordHealth:
		body = &Health{}
	default:
		return nil, nil
	}
	if err := json.Unmarshal(r.Data, body); err != nil {
		return nil, fmt.Errorf("read the data of record %d, %s: %w", r.Seq, quote(r.Type), err)
	}
	return body, nil
}
