package uplink

import (
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"ekassa/agent/register"
	"ekassa/cloud/wire"
)

// encode writes a record as the cloud is told it, the same bytes each time. What
// is too long goes without what it can be understood without. Error: it cannot
// be told.
func encode(agent string, c register.Record) ([]byte, error) {
	body := bodyOf(c)
	data, err := write(agent, c, body)
	if err != nil || len(data) <= wire.MaxMessage {
		return data, err
	}
	switch b := body.(type) {
	case *wire.Receipt:
		b.Detail = fmt.Sprintf("its content is left out: %d bytes %s", len(b.Content), b.Detail)
		b.Content = nil
	case *wire.ShiftReport:
		b.Raw = nil
	}
	if data, err = write(agent, c, body); err == nil && len(data) > wire.MaxMessage {
		err = fmt.Errorf("it has %d bytes, and at most %d are sent", len(data), wire.MaxMessage)
	}
	return data, err
}

func write(agent string, c register.Record, body any) ([]byte, error) {
	r := wire.Record{V: wire.Version, Agent: agent, Epoch: c.Epoch, Seq: c.Seq, Type: c.Type, Time: c.At.UTC()}
	if c.Apart != "" {
		r.Type = wire.RecordAlert
	}
	var err error
	if r.Data, err = json.Marshal(body); err != nil {
		return nil, err
	}
	data, err := json.Marshal(r)
	if err == nil && !utf8.Valid(data) {
		err = fmt.Errorf("it is not UTF-8")
	}
	return data, err
}

func bodyOf(c register.Record) any {
	if c.Apart != "" {
		return &wire.Alert{Code: wire.AlertQuarantined, Detail: fmt.Sprintf("record %d, %s: %s", c.Seq, c.Type, c.Apart)}
	}
	switch {
	case c.Receipt != nil:
		return receiptOf(c)
	case c.Report != nil:
		return reportOf(*c.Report)
	case c.Type == register.RecordShiftOpened:
		return &wire.ShiftOpened{Register: c.About, Shift: c.Code, By: c.Detail, OpenedAt: utc(c.OpenedAt)}
	case c.Type == register.RecordHealth:
		return json.RawMessage(c.Content)
	}
	return &wire.Alert{Register: c.About, Code: c.Code, Detail: c.Detail}
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC() // the shop's zone may change, a record may not
}

func receiptOf(c register.Record) *wire.Receipt {
	s := c.Receipt
	r := &wire.Receipt{
		Terminal: s.Terminal, ID: s.ID, Register: s.Register, Kind: string(s.Kind), Total: s.Total().String(),
		State: string(s.State), Reason: s.Reason.Code, Detail: s.Reason.Detail, Attempts: s.Attempts,
		ReceivedAt: utc(s.ReceivedAt), Content: c.Content,
	}
	if d := s.Document; d != nil {
		r.Document = &wire.Document{
			FiscalID: d.FiscalID, ShortID: d.ShortID, Number: d.Number, Serial: d.RegisterSerial, Shift: d.Shift,
			URL: d.URL, Printed: d.Printed, At: utc(d.At),
		}
	}
	return r
}

func reportOf(r register.Reported) *wire.ShiftReport {
	w := &wire.ShiftReport{
		Register: r.Register, Shift: r.Report.Shift, OpenedAt: utc(r.Report.OpenedAt), ClosedAt: utc(r.At), By: r.By,
		Missing: r.Report.Missing, Raw: r.Report.Raw,
	}
	figures := r.Report
	figures.Balance = nil
	w.Report = mustJSON(figures)
	if b := r.Report.Balance; b != nil {
		w.Shift, w.OpenedAt = b.Journal.Shift, utc(b.Journal.OpenedAt)
		w.Journal = mustJSON(b.Journal)
		w.Doubtful, w.Open = b.Doubtful, b.Open
		for _, d := range b.Differences {
			w.Differences = append(w.Differences, wire.Difference(d))
		}
	}
	return w
}

// mustJSON writes figures, which are numbers and text and always can be.
func mustJSON(r register.Report) json.RawMessage {
	data, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return data
}
