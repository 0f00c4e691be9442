package till

import (
	"strings"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/texts"
)

// receiptBody is a receipt as tills see it (contract.md 3).
type receiptBody struct {
	ID         string        `json:"id"`
	Terminal   string        `json:"terminal"`
	Register   string        `json:"register"`
	Kind       receipt.Kind  `json:"kind"`
	Total      receipt.Money `json:"total"`
	Change     receipt.Money `json:"change"`
	State      receipt.State `json:"state"`
	Ahead      int           `json:"ahead"`
	Attempts   int           `json:"attempts"`
	ReceivedAt time.Time     `json:"received_at"`
	Time       time.Time     `json:"time"`
	Number     string        `json:"number,omitempty"`
	Cashier    string        `json:"cashier,omitempty"`
	Note       string        `json:"note,omitempty"`
	Sentence   string        `json:"sentence"`
	Document   *documentBody `json:"document,omitempty"`
	Reason     *reasonBody   `json:"reason,omitempty"`
}

type documentBody struct {
	FiscalID       string    `json:"fiscal_id"`
	ShortID        string    `json:"short_id"`
	Number         string    `json:"number"`
	RegisterSerial string    `json:"register_serial"`
	URL            string    `json:"url,omitempty"`
	Printed        bool      `json:"printed"`
	At             time.Time `json:"at,omitzero"`
}

// reasonBody is a code for programs and a sentence for people.
type reasonBody struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

// whyNotPrinted is the one reason that the journal need not give: a cashier who
// sees no paper must hear that the receipt is fiscal all the same.
const whyNotPrinted = "not_printed"

func (r *request) receipt(s receipt.Stored) receiptBody {
	b := receiptBody{
		ID: strings.TrimPrefix(s.ID, receipt.CashPrefix), Terminal: s.Terminal, Register: s.Register, Kind: s.Kind,
		Total: s.Total(), Change: s.Receipt.Change(), State: s.State, Ahead: s.Ahead, Attempts: s.Attempts,
		ReceivedAt: s.ReceivedAt.In(r.zone), Time: s.Time.In(r.zone), Number: s.Number, Cashier: s.Cashier, Note: s.Note,
		Sentence: texts.State(r.lang, s.State), Reason: r.reason(s.Reason),
	}
	if s.State != receipt.Fiscal || s.Document == nil {
		return b
	}
	d := *s.Document
	b.Document = &documentBody{
		FiscalID: d.FiscalID, ShortID: d.ShortID, Number: d.Number, RegisterSerial: d.RegisterSerial,
		URL: d.URL, Printed: d.Printed, At: r.local(d.At),
	}
	if !d.Printed && b.Reason == nil {
		b.Reason = r.reason(receipt.Reason{Code: whyNotPrinted})
	}
	return b
}

func (r *request) reason(why receipt.Reason) *reasonBody {
	if why.Code == "" {
		return nil
	}
	return &reasonBody{Code: why.Code, Text: texts.Reason(r.lang, why)}
}

// local gives a time in the shop's zone, and no time where there is none.
func (r *request) local(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.In(r.zone)
}

// registerBody is a register as tills see it.
type registerBody struct {
	ID       string             `json:"id"`
	Name     string             `json:"name"`
	Driver   string             `json:"driver"`
	Terminal string             `json:"terminal"`
	Mode     string             `json:"mode"`
	Address  string             `json:"address,omitempty"`
	Link     register.Link      `json:"link"`
	Problem  *reasonBody        `json:"problem,omitempty"`
	Identity *register.Identity `json:"identity,omitempty"`
	Shift    *shiftBody         `json:"shift,omitempty"`
	Queue    queueBody          `json:"queue"`
	Clock    *clockBody         `json:"clock,omitempty"`
	SeenAt   time.Time          `json:"seen_at,omitzero"`
}

// clockBody tells how a register's clock compares with the agent's.
type clockBody struct {
	AheadSeconds int64     `json:"ahead_seconds"`
	Off          bool      `json:"off"` // by more than people should leave it
	ComparedAt   time.Time `json:"compared_at"`
}

func (r *request) register(s register.Status) registerBody {
	b := registerBody{
		ID: s.ID, Name: s.Name, Driver: s.Driver, Terminal: s.Terminal, Mode: s.Mode, Address: s.Address,
		Link: s.Link, Problem: r.reason(s.Problem), Queue: r.queue(s.Queue), SeenAt: r.local(s.SeenAt),
	}
	if s.Identity.Serial != "" {
		id := s.Identity
		id.LastOnline, id.NotAfter = r.local(id.LastOnline), r.local(id.NotAfter)
		b.Identity = &id
	}
	if !s.Clock.At.IsZero() {
		b.Clock = &clockBody{AheadSeconds: int64(s.Clock.Ahead / time.Second), Off: s.Clock.Off(), ComparedAt: r.local(s.Clock.At)}
	}
	if !s.SeenAt.IsZero() || s.Shift.Open {
		shift := r.shift(s.Shift)
		b.Shift = &shift
	}
	return b
}

// shiftBody is a register's shift, with its age by our clock.
type shiftBody struct {
	Open       bool           `json:"open"`
	ID         string         `json:"id,omitempty"`
	OpenedAt   time.Time      `json:"opened_at,omitzero"`
	AgeSeconds int64          `json:"age_seconds"`
	Cash       *receipt.Money `json:"cash,omitempty"` // nil: the register does not tell
}

func (r *request) shift(s register.Shift) shiftBody {
	b := shiftBody{Open: s.Open, ID: s.ID, OpenedAt: r.local(s.OpenedAt), AgeSeconds: int64(s.Age / time.Second)}
	if s.Drawer {
		b.Cash = &s.Cash
	}
	return b
}

type queueBody struct {
	Waiting       int       `json:"waiting"`
	Checking      int       `json:"checking"`
	Held          int       `json:"held"`
	Refused       int       `json:"refused"`
	Oldest        time.Time `json:"oldest,omitzero"`
	OldestSeconds int64     `json:"oldest_seconds"`
}

func (r *request) queue(q register.Queue) queueBody {
	b := queueBody{Waiting: q.Waiting, Checking: q.Checking, Held: q.Held, Refused: q.Refused, Oldest: r.local(q.Oldest)}
	if !q.Oldest.IsZero() {
		b.OldestSeconds = max(0, int64(time.Since(q.Oldest)/time.Second))
	}
	return b
}
