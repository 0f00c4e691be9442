package caspos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/register/tokentext"
)

// answer is the envelope of section 2. The HTTP status has no part in it: a
// document that was made may be answered with 500.
type answer struct {
	code    int64
	verbal  string // the code as the register wrote it
	message string // its own words
	data    object
	whole   []byte
}

// decode reads an answer. An empty body, text after the object, an object that
// breaks off, or one without a code is no answer.
func decode(body []byte) (answer, error) {
	o, err := objectOf(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	if err != nil {
		if len(bytes.TrimSpace(body)) == 0 {
			return answer{}, fmt.Errorf("%w: it is empty", register.ErrNotAnswer)
		}
		return answer{}, fmt.Errorf("%w: %s", register.ErrNotAnswer, clip(string(body)))
	}
	code, ok := o.integer("code")
	if !ok {
		return answer{}, fmt.Errorf("%w: its code is %q", register.ErrNotAnswer, clip(o.text("code")))
	}
	a := answer{code: code, verbal: clip(o.text("code")), message: clip(o.text("message")), whole: body}
	if v, there := o.raw("data"); there {
		a.data, _ = objectOf(v) // whatever else stands there has no fields
	}
	return a, nil
}

// object is a JSON object whose fields are found in any letter case, with or
// without underscores: shift_open and shiftOpen are both in use (section 4).
type object map[string]json.RawMessage

func objectOf(b []byte) (object, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil {
		return nil, err
	}
	if fields == nil {
		return nil, register.ErrNotAnswer
	}
	// Of two spellings of one name the first in order counts, so that the same
	// answer always means the same.
	spelled := make([]string, 0, len(fields))
	for name := range fields {
		spelled = append(spelled, name)
	}
	slices.Sort(spelled)
	o := object{}
	for _, s := range spelled {
		if old, ok := o[plain(s)]; !ok || string(old) == "null" {
			o[plain(s)] = fields[s]
		}
	}
	return o, nil
}

func plain(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

// raw gives the first of the names that stands there with a value.
func (o object) raw(names ...string) (json.RawMessage, bool) {
	for _, name := range names {
		if v, ok := o[plain(name)]; ok && string(v) != "null" {
			return v, true
		}
	}
	return nil, false
}

// text gives the first of the fields that holds anything, be it text, a number or
// a boolean. Blanks around it are cut off, and the text "null" is nothing
// (section 2).
func (o object) text(names ...string) string {
	for _, name := range names {
		v, ok := o.raw(name)
		if !ok || v[0] == '{' || v[0] == '[' {
			continue
		}
		s := string(v)
		if v[0] == '"' {
			if err := json.Unmarshal(v, &s); err != nil {
				continue
			}
		}
		if s = strings.TrimSpace(s); s != "" && !strings.EqualFold(s, "null") {
			return s
		}
	}
	return ""
}

// number reads a decimal, written as number or text, with an exponent or without.
func number(s string) (float64, bool) {
	if s == "" || strings.Trim(s, "0123456789+-.eE") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil && math.Abs(f) <= 1<<53
}

// integer reads a whole number; last_doc_number is typed float (section 5).
func (o object) integer(names ...string) (int64, bool) { return integer(o.text(names...)) }

func integer(s string) (int64, bool) {
	f, ok := number(s)
	if !ok || f != math.Trunc(f) {
		return 0, false
	}
	return int64(f), true
}

// money reads an amount, 0 where there is none. The register counts reports in
// single precision and writes 0.5999999 for 0.60: it is rounded to two decimals
// (section 2).
func (o object) money(names ...string) receipt.Money {
	f, ok := number(o.text(names...))
	if !ok || math.Abs(f) > 1<<43 { // far above any takings
		return 0
	}
	return receipt.Money(math.Round(f * 100))
}

// ident reads an id. What stands for "none" is empty.
func (o object) ident(names ...string) string {
	s := o.text(names...)
	if s == "true" || s == "false" {
		return ""
	}
	if n, ok := integer(s); ok {
		if n == 0 {
			return ""
		}
		if strings.ContainsAny(s, ".eE") {
			return strconv.FormatInt(n, 10)
		}
	}
	return clip(s)
}

// time reads a moment in the shop's zone, also under a name that says UTC: the
// register writes its own clock there (section 2). It is zero where none can be
// read.
func (o object) time(zone *time.Location, names ...string) time.Time {
	s := o.text(names...)
	for _, layout := range []string{timeLayout, timeUnblanked, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.RFC3339Nano} {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil && t.Year() >= 2000 && t.Year() <= 9999 {
			return t
		}
	}
	return time.Time{}
}

// objects gives the elements of a list that are objects, and whether all are.
func objects(v json.RawMessage) (all []object, ok bool) {
	var elements []json.RawMessage
	if err := json.Unmarshal(v, &elements); err != nil || elements == nil {
		return nil, false
	}
	for _, e := range elements {
		o, err := objectOf(e)
		if err != nil {
			return nil, false
		}
		all = append(all, o)
	}
	return all, true
}

// list gives a field's elements, nil where it is no list of objects.
func (o object) list(names ...string) []object {
	v, _ := o.raw(names...)
	all, _ := objects(v)
	return all
}

// documentIDs are the names by which a result names its document (section 4).
var documentIDs = []string{"document_id", "short_document_id", "document_number", "number"}

// named says whether the answer names a document.
func (a answer) named() bool {
	for _, name := range documentIDs {
		if a.data.ident(name) != "" {
			return true
		}
	}
	return false
}

// clip shortens foreign text for people and logs, and takes the control
// characters out.
func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	return tokentext.Cut(strings.TrimSpace(s), 200)
}
