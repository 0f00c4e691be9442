package caspos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ekassa/agent/register"
)

// Lookup finds out what became of a request; the package comment has the steps
// and why they are safe. Where something is new on the register, it sends the
// same document under the same UUID: that is this protocol's question by key.
func (d *Driver) Lookup(ctx context.Context, r register.Request) register.Evidence {
	p, err := read(r)
	if err != nil {
		return cannotTell("nothing was asked", err)
	}
	n, err := d.since(ctx, p.Before)
	if err != nil {
		return cannotTell("shift, last number and control tape were asked for", err)
	}
	d.mu.Lock()
	known := r.Key != "" && d.known == r.Key
	d.mu.Unlock()
	if n.nothing && !known {
		return register.Evidence{Found: register.NotFound, Text: n.text}
	}
	o, a := d.send(ctx, p, r.Key)
	text := n.text + "; sent again with the same documentUUID: " + said(o)
	switch {
	case o.Verdict == register.Made:
		return register.Evidence{Found: register.DocumentMade, Document: o.Document, Text: text}
	case a.code == codeRepeated:
		return d.byTape(p, n, r.Key, text)
	case running(o, a):
		return register.Evidence{Found: register.InProgress, Text: text}
	case o.Cause == register.Paper: // once there is paper, the UUID is asked for again
		return cannotTell(text, &register.Fault{Cause: register.Busy, Code: o.Code, Text: o.Text, Err: o.Err})
	}
	// Also a refusal proves nothing of the first copy: we do not know whether the
	// register looks at the UUID before it looks at anything else.
	return cannotTell(text, &register.Fault{Cause: o.Cause, Code: o.Code, Text: o.Text, Err: o.Err})
}

func said(o register.Outcome) string {
	s := strings.TrimSpace(string(o.Verdict) + " " + o.Code)
	if o.Text != "" {
		s += " " + o.Text
	}
	return s
}

func cannotTell(text string, err error) register.Evidence {
	return register.Evidence{Found: register.CannotTell, Text: text, Err: err}
}

// news is what a register has made since a request was written.
type news struct {
	rows    []object // of the control tape, the new ones
	nothing bool     // nothing is new
	proven  bool     // number and tape tell of the same documents, one after the other
	text    string   // for people
}

// errOtherShift: what was made since may lie in a shift that has ended, beyond
// which the register may have forgotten the documentUUID (section 8).
var errOtherShift = errors.New("the shift is another one: beyond its shift the register may have forgotten the documentUUID")

// since asks what is new. The error is a *register.Fault where it could not be
// asked, and errOtherShift where the key is not to be believed.
//
// That it is still the same shift is told by when it was opened, and better by
// the tape, which only has the running shift: where all numbers since the baseline
// are on it, ours is among them or was not made.
func (d *Driver) since(ctx context.Context, b before) (n news, err error) {
	shift, err := d.Shift(ctx)
	if err != nil {
		return n, err
	}
	if !shift.Open || shift.ID != b.Shift || b.Shift == "" {
		return n, errOtherShift
	}
	identity, last, err := d.info(ctx)
	if err != nil {
		return n, err
	}
	if identity.Serial != b.Serial {
		return n, &register.Fault{Cause: register.WrongRegister, Text: identity.Serial}
	}
	tape, told, err := d.tape(ctx)
	if err != nil {
		return n, err
	}
	n.text = fmt.Sprintf("last number %s, before %s", orNone(last), orNone(b.Last))
	then, known := integer(b.Last)
	now, ok := integer(last)
	if !known || !ok {
		return n, nil
	}
	if !told { // its number alone says whether anything is new
		n.nothing = now == then
		return n, nil
	}
	made := map[int64]bool{}
	for _, row := range tape {
		if at, ok := row.integer("number", "document_number"); !ok {
			return n, nil // a row that cannot be told old from new
		} else if at > then {
			n.rows = append(n.rows, row)
			made[at] = true
			now = max(now, at)
		}
	}
	n.text += fmt.Sprintf(", %d new on the control tape", len(n.rows))
	if now < then || int64(len(made)) != now-then || len(made) != len(n.rows) {
		return n, fmt.Errorf("%s: %w", n.text, errOtherShift)
	}
	n.nothing, n.proven = len(n.rows) == 0, true
	return n, nil
}

// tape reads the control tape of the running shift (section 8). told is false
// where the register has none for us, or none that we can read whole.
func (d *Driver) tape(ctx context.Context) (rows []object, told bool, err error) {
	a, err := d.ask(ctx, request{Operation: opTape})
	var f *register.Fault
	switch {
	case errors.As(err, &f) && (f.Cause == register.Unreachable || f.Cause == register.Busy || f.Cause == register.Credentials):
		return nil, false, err
	case err != nil:
		return nil, false, nil
	}
	rows, told = rowsOf(a.data)
	if n, ok := a.data.integer("documents_quantity"); ok && n != int64(len(rows)) {
		told = false
	}
	return rows, told, nil
}

// rowsOf finds the list of documents: the page names the fields of a row and not
// the list, so it is the only list there is.
func rowsOf(data object) (rows []object, told bool) {
	lists := 0
	for _, v := range data {
		if len(v) > 0 && v[0] == '[' {
			lists++
			rows, told = objects(v)
		}
	}
	if lists != 1 {
		return nil, false
	}
	return rows, told
}

// byTape names the document of a request that the register calls a repeat without
// saying of what. It is certain only where one document is new, its number is the
// next, and type and sum agree: the register's word that ours was made is the
// proof, and these only say which it is.
func (d *Driver) byTape(p prepared, n news, key, text string) register.Evidence {
	if !n.proven || len(n.rows) != 1 {
		return cannotTell(text, errors.New("the register has made this document and does not say which it is; look for it on its control tape"))
	}
	row := n.rows[0]
	at, _ := row.integer("number", "document_number")
	last, _ := integer(p.Before.Last)
	sum, told := row.raw("total_sum")
	if at != last+1 || !told || len(sum) == 0 || row.money("total_sum") != p.Before.Sum ||
		!slices.Contains(tapeWords[p.Operation], plain(row.text("type"))) {
		return cannotTell(text, fmt.Errorf("the only new document, number %s, is not like ours; look on the register's control tape",
			clip(row.text("number", "document_number"))))
	}
	// A row's number is the document's, and no bar code.
	named := object{"documentnumber": json.RawMessage(strconv.FormatInt(at, 10))}
	for _, name := range []string{"document_id", "short_document_id", "createdAtUtc"} {
		if v, ok := row.raw(name); ok {
			named[plain(name)] = v
		}
	}
	doc := d.document(p.Operation, named)
	d.mu.Lock()
	defer d.mu.Unlock()
	doc.Printed = d.paperOut != key
	return register.Evidence{Found: register.DocumentMade, Document: &doc, Text: text + "; found on the control tape"}
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
