package till

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"ekassa/agent/receipt"
)

// maxText is the most characters of a name or a reason that a person gives.
const maxText = 256

// action is what a person has done with a receipt: it gives the receipt as it
// is afterwards, and the states in which that is possible.
type action func(r *request, id string, data []byte) (s receipt.Stored, allowed []receipt.State, err error)

// act answers an action with the receipt's present state, after the wait that
// the till may ask for.
func (a *api) act(key func(*request) (string, error), do action) handler {
	return func(w http.ResponseWriter, r *request) error {
		wait, err := waitFor(w, r)
		if err != nil {
			return err
		}
		data, err := body(w, r)
		if err != nil {
			return err
		}
		id, err := key(r)
		if err != nil {
			return err
		}
		s, allowed, err := do(r, id, data)
		if errors.Is(err, receipt.ErrMove) {
			return a.cannotMove(r, id, allowed, err)
		}
		if err != nil {
			return err
		}
		return reply(w, r, http.StatusOK, r.receipt(a.await(r, s, wait)))
	}
}

// cannotMove says in which states it would be possible.
func (a *api) cannotMove(r *request, id string, allowed []receipt.State, err error) error {
	s, getErr := a.Journal.Get(r.terminal, id)
	if getErr != nil {
		return errors.Join(err, getErr)
	}
	return &problem{code: problemMove, field: "state", state: s.State, states: allowed, err: err}
}

// personBody is who does it, and why.
type personBody struct {
	Who string `json:"who"`
	Why string `json:"why"`
}

func (p personBody) check(required bool) (faults receipt.Faults) {
	faults = checkText(faults, "who", p.Who, required)
	return checkText(faults, "why", p.Why, required)
}

func (a *api) retry(r *request, id string, data []byte) (s receipt.Stored, allowed []receipt.State, err error) {
	p, err := person(r, data)
	if err == nil {
		s, err = a.Journal.Retry(r.terminal, id, p.Who)
	}
	return s, []receipt.State{receipt.Refused}, err
}

func (a *api) fiscalise(r *request, id string, data []byte) (s receipt.Stored, allowed []receipt.State, err error) {
	p, err := person(r, data)
	if err == nil {
		s, err = a.Journal.Fiscalise(r.terminal, id, p.Who)
	}
	return s, []receipt.State{receipt.NonFiscal}, err
}

// withdraw asks for who and why where the register may have made a document:
// of a held receipt, it is a decision like any other.
func (a *api) withdraw(r *request, id string, data []byte) (s receipt.Stored, allowed []receipt.State, err error) {
	p, err := person(r, data)
	if err == nil {
		s, err = a.Journal.Get(r.terminal, id)
	}
	if err == nil && s.State == receipt.Held {
		err = asError(p.check(true))
	}
	if err == nil {
		s, err = a.Journal.Withdraw(r.terminal, id, p.Who, p.Why)
	}
	return s, []receipt.State{receipt.Waiting, receipt.Refused, receipt.Held}, err
}

// reprint prints a copy; the receipt itself does not change.
func (a *api) reprint(r *request, id string, data []byte) (s receipt.Stored, allowed []receipt.State, err error) {
	allowed = []receipt.State{receipt.Fiscal}
	if _, err = person(r, data); err != nil {
		return s, allowed, err
	}
	s, err = a.Journal.Get(r.terminal, id)
	if err == nil && s.State != receipt.Fiscal {
		err = receipt.ErrMove
	}
	if err != nil {
		return s, allowed, err
	}
	ctx, cancel := deskContext(r)
	defer cancel()
	if err = a.Desk.Reprint(ctx, r.terminal, id); err != nil {
		return s, allowed, err
	}
	if now, err := a.Journal.Get(r.terminal, id); err == nil { // printed may be true now
		s = now
	}
	return s, allowed, nil
}

// decisionBody is a person's decision on a held receipt.
type decisionBody struct {
	Verdict  receipt.Verdict `json:"verdict"`
	Who      string          `json:"who"`
	Why      string          `json:"why"`
	Document *struct {
		FiscalID string `json:"fiscal_id"`
		Number   string `json:"number"`
	} `json:"document"`
}

func (a *api) resolve(r *request, id string, data []byte) (s receipt.Stored, allowed []receipt.State, err error) {
	d, err := decision(r, data)
	if err == nil {
		s, err = a.Journal.Resolve(r.terminal, id, d)
	}
	return s, []receipt.State{receipt.Held, receipt.Checking}, err
}

// decision reads one, and gives every fault.
func decision(r *request, data []byte) (receipt.Decision, error) {
	var b decisionBody
	if err := decode(data, &b); err != nil {
		return receipt.Decision{}, err
	}
	b.Who = r.by(b.Who)
	var faults receipt.Faults
	switch b.Verdict {
	case receipt.Send, receipt.WasMade, receipt.Drop:
	case "":
		faults = append(faults, receipt.Fault{Field: "verdict", Code: receipt.CodeRequired})
	default:
		faults = append(faults, receipt.Fault{Field: "verdict", Code: receipt.CodeNotAllowed, Detail: "send was_made withdraw"})
	}
	faults = append(faults, personBody{b.Who, b.Why}.check(true)...)
	d := receipt.Decision{Verdict: b.Verdict, Who: b.Who, Why: b.Why}
	switch made := b.Verdict == receipt.WasMade; {
	case made && b.Document == nil:
		faults = append(faults, receipt.Fault{Field: "document", Code: receipt.CodeRequired})
	case !made && b.Document != nil:
		faults = append(faults, receipt.Fault{Field: "document", Code: receipt.CodeMisplaced})
	case made:
		faults = checkText(faults, "document.fiscal_id", b.Document.FiscalID, true)
		faults = checkText(faults, "document.number", b.Document.Number, false)
		// The person reads it off the paper, so there is some.
		d.Document = &receipt.Document{
			FiscalID: b.Document.FiscalID, ShortID: receipt.ShortID(b.Document.FiscalID), Number: b.Document.Number, Printed: true,
		}
	}
	return d, asError(faults)
}

// person reads a body that may be left out.
func person(r *request, data []byte) (p personBody, err error) {
	if len(bytes.TrimSpace(data)) == 0 {
		p.Who = r.by("")
		return p, nil
	}
	if err := decode(data, &p); err != nil {
		return p, err
	}
	p.Who = r.by(p.Who)
	return p, asError(p.check(false))
}

func asError(f receipt.Faults) error {
	if len(f) == 0 {
		return nil
	}
	return f
}

func checkText(faults receipt.Faults, field, s string, required bool) receipt.Faults {
	switch {
	case required && strings.TrimSpace(s) == "":
		return append(faults, receipt.Fault{Field: field, Code: receipt.CodeRequired})
	case utf8.RuneCountInString(s) > maxText:
		return append(faults, receipt.Fault{Field: field, Code: receipt.CodeTooLong, Detail: fmt.Sprint(maxText)})
	}
	return faults
}

// decode reads one small JSON object and takes no field that is not there.
func decode(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	notJSON := receipt.Faults{{Code: receipt.CodeNotJSON}}
	if !utf8.Valid(data) || !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		return notJSON
	}
	err := d.Decode(v)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		return receipt.Faults{{Field: clip(wrong.Field), Code: receipt.CodeType, Detail: jsonType(wrong.Type.Kind().String())}}
	case err != nil:
		// encoding/json has no type for this error.
		if _, name, unknown := strings.Cut(err.Error(), "unknown field "); unknown {
			return receipt.Faults{{Field: clip(strings.Trim(name, `"`)), Code: receipt.CodeUnknown}}
		}
		return notJSON
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return notJSON
	}
	return asError(oddKeys(data))
}

// oddKeys finds what encoding/json takes and we do not: keys in another case, and
// keys that are there twice, of which it would take the last.
func oddKeys(data []byte) (faults receipt.Faults) {
	d := json.NewDecoder(bytes.NewReader(data))
	type level struct {
		seen  map[string]bool // nil: an array
		value bool            // the next token is one, not a key
	}
	var levels []level
	for {
		token, err := d.Token()
		if err != nil {
			return faults
		}
		var in *level
		if n := len(levels); n > 0 {
			in = &levels[n-1]
		}
		if key, ok := token.(string); ok && in != nil && in.seen != nil && !in.value {
			switch {
			case strings.Trim(key, "abcdefghijklmnopqrstuvwxyz_") != "":
				faults = append(faults, receipt.Fault{Field: clip(key), Code: receipt.CodeUnknown})
			case in.seen[key]:
				faults = append(faults, receipt.Fault{Field: key, Code: receipt.CodeTwice})
			}
			in.seen[key], in.value = true, true
			continue
		}
		if in != nil {
			in.value = false
		}
		switch token {
		case json.Delim('{'):
			levels = append(levels, level{seen: map[string]bool{}})
		case json.Delim('['):
			levels = append(levels, level{})
		case json.Delim('}'), json.Delim(']'):
			levels = levels[:len(levels)-1]
		}
	}
}

func jsonType(goKind string) string {
	if goKind == "struct" || goKind == "ptr" {
		return "object"
	}
	return goKind
}
