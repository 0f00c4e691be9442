package omnitech

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/register/once"
)

// windows are how far before and after the attempt the history is asked for: the
// page's five minutes first, and then as far as a device's clock may be out by a
// wrong zone.
var windows = []time.Duration{5 * time.Minute, wrongZone}

const wrongZone = 5 * time.Hour

// span is a part of the history.
type span struct{ from, to time.Time }

// spans are where in the history a document may be: so far around the attempt by
// our clock, and, since that may be wrong by years, in the register's shift of the
// attempt by the register's, beginning so long before it.
func (d *Driver) spans(sent order, around []time.Duration, before time.Duration) (all []span, err error) {
	prepared, err := time.Parse(time.RFC3339, sent.Prepared)
	if err != nil {
		return nil, fmt.Errorf("read when the request was prepared: %w", err)
	}
	for _, w := range around {
		if s := (span{prepared.Add(-w), d.cfg.Now().Add(w)}); s.to.After(s.from) { // our clock may have been set back
			all = append(all, s)
		}
	}
	if opened, err := time.Parse(time.RFC3339, sent.Opened); err == nil { // a register may not tell it
		all = append(all, span{opened.Add(-wrongZone - before), opened.Add(register.MaxShift + wrongZone)})
	}
	if len(all) == 0 { // looked for nowhere is not found nowhere
		return nil, errors.New("our clock was set back, and the register does not tell when its shift began")
	}
	return all, nil
}

var errNoNumber = errors.New("the request does not say on which number it stands")

// orderOf reads a stored request.
func orderOf(r register.Request) (o order, err error) {
	known := false
	for _, route := range routes {
		known = known || route == r.Route
	}
	if !known {
		return o, fmt.Errorf("no document route %q", r.Route)
	}
	if err := json.Unmarshal(r.Body, &o); err != nil {
		return o, fmt.Errorf("read the stored %s: %w", r.Route, err)
	}
	if o.Request.RequestData.Check.Type == 0 {
		return o, fmt.Errorf("the stored %s has no check_type", r.Route)
	}
	return o, nil
}

// parent is the long id of the document that the order goes back to, "" for none.
func (o order) parent() string {
	r := o.Request.RequestData
	if r.FiscalID != "" || r.Token == nil {
		return r.FiscalID
	}
	var data struct {
		ParentDocument string `json:"parentDocument"`
	}
	_ = json.Unmarshal(r.Token.Parameters.Data, &data) // no parent in what cannot be read
	return data.ParentDocument
}

// Lookup asks what became of a request (section 8): the number first, which
// proves that nothing was made where it has not moved, and then the history for
// our int_ref.
func (d *Driver) Lookup(ctx context.Context, r register.Request) register.Evidence {
	sent, err := orderOf(r)
	if err != nil {
		return cannotTell("nothing was asked", err)
	}
	after, ok := number(sent.After)
	if !ok {
		return cannotTell("nothing was asked", errNoNumber)
	}
	_, last, err := d.info(ctx)
	if err != nil {
		return cannotTell("getInfo", err)
	}
	now, ok := number(last)
	text := fmt.Sprintf("getInfo: last_doc_number %s, it was %s before", orNone(last), sent.After)
	switch {
	case !ok || now < after:
		return cannotTell(text, errors.New("the register's last number is none that it can have"))
	case d.taken(r.Key): // by an earlier attempt: it is not to be found by its number
		after = 0
	case now == after:
		return register.Evidence{Found: register.NotFound, Text: text}
	}
	return d.lookup(ctx, r, sent, after, now, text)
}

// taken says whether the register answered that the work was done before: its
// number then says nothing of us, and the same again would be answered the same.
func (d *Driver) taken(key string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return key != "" && d.replayed == key
}

// before looks for what an earlier attempt of the same receipt may have become
// after it was found not to be made: the number that this attempt stands on was
// read later still, and would have that document under it. It may be of the shift
// before.
func (d *Driver) before(ctx context.Context, r register.Request, sent order) (e register.Evidence, ok bool) {
	const text = "before it was sent again"
	spans, err := d.spans(sent, []time.Duration{time.Hour}, register.MaxShift)
	if err != nil {
		return cannotTell(text, err), false
	}
	// The shift's first: it is the same for each attempt, so that what was read
	// of it for one need not be read for the next, and the other is a part of it.
	slices.Reverse(spans)
	d.mu.Lock()
	m := d.seen
	d.mu.Unlock()
	last, ok := number(sent.After)
	if !ok {
		return cannotTell(text, errNoNumber), false
	}
	if m == nil || m.ref != r.Key || m.last != last {
		m = &seen{ref: r.Key, last: last}
	}
	e = d.search(ctx, r, sent, text, spans, m)
	d.mu.Lock()
	d.seen = m
	d.mu.Unlock()
	return e, e.Found == register.DocumentMade || errors.Is(e.Err, errNotListed)
}

var errNotListed = errors.New("the history does not have ours, although the number has moved or the register says that it was taken back already")

// seen is what was read of the history for an int_ref while the register stood on
// a number; on another number it may have more. It lets a history that takes
// longer than one attempt may be come to its end in some.
type seen struct {
	ref         string
	after, last int64            // the number before the attempt, 0 where any may be ours, and the one it stands on
	spans       []span           // where to look, of the first look
	without     []span           // ours
	long        []span           // more than an answer may be, or than was answered
	others      map[int64]string // the long id of each number after the attempt that is another document's; "": two claim it
}

// isOthers says whether each number since the attempt is another document's. Then
// no further part of the history can have ours.
func (m *seen) isOthers() bool {
	certain := int64(0)
	for _, id := range m.others {
		if id != "" {
			certain++
		}
	}
	return m.after > 0 && m.last > m.after && certain == m.last-m.after
}

// note notes a row that is not ours. Only a document that was made has a number of
// its own: a copy, or one that failed, may speak of somebody else's.
func (m *seen) note(row answer) {
	if m.after == 0 || !done(row) {
		return
	}
	switch check, _ := row.integer("check_type"); check {
	case opSale, opDeposit, opWithdraw, opRollback, opCorrection, opCreditPay, opUndoWhole, opPrepay, opMoneyBack:
	default:
		return
	}
	ids := idsOf(row.inner("token_response"))
	n, ok := number(ids.number)
	if !ok || n <= m.after || n > m.last || ids.whole() != nil {
		return
	}
	if id, noted := m.others[n]; noted && id != ids.longID {
		ids.longID = ""
	}
	m.others[n] = ids.longID
}

func (m *seen) isWithout(s span) bool {
	return slices.ContainsFunc(m.without, func(p span) bool { return !s.from.Before(p.from) && !s.to.After(p.to) })
}

func (m *seen) isLong(s span) bool {
	return slices.ContainsFunc(m.long, func(p span) bool { return s.from.Equal(p.from) && s.to.Equal(p.to) })
}

// lookup looks for our int_ref around the attempt and in its shift. Where that
// takes longer than a question may, the next look goes on where this one ended, as
// long as the register stands on the same number: it has made nothing since. What
// was looked for to the end is looked for anew.
func (d *Driver) lookup(ctx context.Context, r register.Request, sent order, after, last int64, text string) register.Evidence {
	d.mu.Lock()
	m := d.looking
	d.mu.Unlock()
	if m == nil || m.ref != r.Key || m.last != last || m.after != after {
		spans, err := d.spans(sent, windows, 0)
		if err != nil {
			return cannotTell(text, err)
		}
		m = &seen{ref: r.Key, after: after, last: last, spans: spans, others: map[int64]string{}}
	}
	e := d.search(ctx, r, sent, text, m.spans, m)
	var f *register.Fault
	if !errors.As(e.Err, &f) || f.Cause != register.Unreachable {
		m = nil
	}
	d.mu.Lock()
	d.looking = m
	d.mu.Unlock()
	return e
}

// search looks for our int_ref in parts of the history (17).
func (d *Driver) search(ctx context.Context, r register.Request, sent order, text string, spans []span, m *seen) register.Evidence {
	for _, s := range spans {
		rows, err := d.history(ctx, s, r.Key, m)
		if errors.Is(err, errNotListed) {
			break
		}
		if err != nil {
			return cannotTell(text+"; history", err)
		}
		e, found := d.among(rows, r, sent)
		if found {
			e.Text = fmt.Sprintf("%s; history: int_ref %s", text, r.Key)
			return e
		}
	}
	return cannotTell(fmt.Sprintf("%s; history: no int_ref %s", text, r.Key), errNotListed)
}

// shortest part of the history that is asked for by itself: no register makes
// more in it than an answer can hold.
const shortest = time.Minute

// history gives the rows of a part of the history (17) that bear our int_ref, or
// errNotListed where no part can have any. A busy day is longer than an answer may
// be: it is then asked for in halves.
func (d *Driver) history(ctx context.Context, s span, ref string, m *seen) (ours []answer, err error) {
	if m.isWithout(s) {
		return nil, nil
	}
	defer func() {
		if err != nil || len(ours) > 0 {
			return
		}
		if m.without = append(m.without, s); m.isOthers() {
			err = errNotListed
		}
	}()
	var a answer
	long := m.isLong(s)
	if !long {
		a, err = d.ask(ctx, "history", between(opHistory, s.from, s.to, d.cfg.Zone))
		long = errors.Is(err, once.ErrTooLong) && s.to.Sub(s.from) > shortest
		// One that was not answered may be too much for the register to put together
		// in time: the next attempt asks for less at once. Where the register was
		// away, that costs some more questions.
		var f *register.Fault
		slow := errors.As(err, &f) && f.Cause == register.Unreachable && s.to.Sub(s.from) > shortest
		if long || slow {
			m.long = append(m.long, s)
		}
	}
	if long {
		middle := s.from.Add(s.to.Sub(s.from) / 2).Truncate(time.Second) // of both: the page does not say whether ends are included
		for _, half := range []span{{s.from, middle}, {middle, s.to}} {
			rows, err := d.history(ctx, half, ref, m)
			if err != nil && (len(ours) == 0 || !errors.Is(err, errNotListed)) {
				return nil, err
			}
			ours = append(ours, rows...)
		}
		return ours, nil
	}
	if err != nil {
		return nil, err
	}
	rows, ok := a.list("transactions")
	if inner, there := a.inner("data").list("transactions"); !ok && there {
		rows, ok = inner, true
	}
	if !ok {
		return nil, errors.New("the history's answer has no transactions")
	}
	for _, row := range rows {
		if row.text("int_ref") == ref {
			ours = append(ours, row)
		} else {
			m.note(row)
		}
	}
	return ours, nil
}

// among looks for our document among rows that bear our int_ref. One that cannot be read
// wholly, or a second one, is for a person.
func (d *Driver) among(rows []answer, r register.Request, sent order) (e register.Evidence, found bool) {
	var doc receipt.Document
	for _, row := range rows {
		if n, ok := row.integer("check_type"); ok && n != int64(sent.Request.RequestData.Check.Type) {
			continue // another paper of the same reference
		}
		if !done(row) {
			continue
		}
		ids := idsOf(row.inner("token_response"))
		if err := ids.whole(); err != nil {
			return cannotTell("", fmt.Errorf("the history has our int_ref, yet %w", err)), true
		}
		if found && doc.FiscalID != ids.longID {
			return cannotTell("", fmt.Errorf("the history has our int_ref twice: documents %s and %s", doc.FiscalID, ids.longID)), true
		}
		doc, found = d.document(ids, row), true
	}
	if !found {
		return e, false
	}
	d.mu.Lock()
	doc.Printed = d.paperOut != r.Key
	d.mu.Unlock()
	return register.Evidence{Found: register.DocumentMade, Document: &doc}, true
}

// done says whether a row's document was made, as far as it says (section 8).
func done(row answer) bool {
	status, ok := row.integer("operationStatus")
	return row.text("operationStatus") == "" || ok && status == 1
}

func cannotTell(text string, err error) register.Evidence {
	return register.Evidence{Found: register.CannotTell, Text: text, Err: err}
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
