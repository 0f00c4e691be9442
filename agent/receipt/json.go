package receipt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// value is a JSON value whose numbers are still text. encoding/json alone would
// take the last of two equal keys, match keys in any case, and stop at the
// first fault; tills are told all of them.
type value struct {
	text   string // of a string, or a number as it stood
	number bool
	flag   *bool
	object map[string]*value
	order  []string
	array  []*value
	null   bool
	twice  []string
}

func (v *value) isText() bool {
	return !v.number && v.flag == nil && v.object == nil && v.array == nil
}

const maxDepth = 8

var errDepth = fmt.Errorf("nested deeper than %d", maxDepth)

// parse reads exactly one JSON value.
func parse(data []byte) (*value, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := read(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	return v, nil
}

func read(d *json.Decoder, depth int) (*value, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case nil:
		return &value{null: true}, nil
	case bool:
		return &value{flag: &t}, nil
	case json.Number:
		return &value{text: t.String(), number: true}, nil
	case string:
		return &value{text: t}, nil
	case json.Delim:
		if t == '[' {
			return readArray(d, depth)
		}
		return readObject(d, depth)
	}
	return nil, fmt.Errorf("unexpected %v", t)
}

func readArray(d *json.Decoder, depth int) (*value, error) {
	v := &value{array: []*value{}}
	for d.More() {
		e, err := read(d, depth+1)
		if err != nil {
			return nil, err
		}
		v.array = append(v.array, e)
	}
	_, err := d.Token()
	return v, err
}

func readObject(d *json.Decoder, depth int) (*value, error) {
	v := &value{object: map[string]*value{}}
	for d.More() {
		k, err := d.Token()
		if err != nil {
			return nil, err
		}
		e, err := read(d, depth+1)
		if err != nil {
			return nil, err
		}
		key, _ := k.(string)
		if _, again := v.object[key]; again {
			v.twice = append(v.twice, key)
			continue
		}
		v.object[key] = e
		v.order = append(v.order, key)
	}
	_, err := d.Token()
	return v, err
}

// reader takes fields out of one JSON object, and notes every fault.
type reader struct {
	path   string
	v      *value
	faults *Faults
	known  map[string]bool
}

func (r *reader) at(field string) string {
	if r.path == "" {
		return field
	}
	return r.path + "." + field
}

func (r *reader) fault(field, code, detail string) {
	*r.faults = append(*r.faults, Fault{Field: r.at(field), Code: code, Detail: detail})
}

// get gives the field's value, or nil where it is left out or null.
func (r *reader) get(field string) *value {
	r.known[field] = true
	v := r.v.object[field]
	if v == nil || v.null {
		return nil
	}
	return v
}

// close notes the fields that nobody asked for.
func (r *reader) close() {
	for _, k := range r.v.order {
		if !r.known[k] {
			r.fault(clip(k), CodeUnknown, "")
		}
	}
	for _, k := range r.v.twice {
		r.fault(clip(k), CodeTwice, "")
	}
}

// clip keeps a stranger's key from filling our answers.
func clip(s string) string {
	if n := []rune(s); len(n) > 64 {
		return string(n[:64])
	}
	return s
}

func (r *reader) object(field string) *reader {
	v := r.get(field)
	if v == nil {
		return nil
	}
	if v.object == nil {
		r.fault(field, CodeType, "object")
		return nil
	}
	return &reader{path: r.at(field), v: v, faults: r.faults, known: map[string]bool{}}
}

func (r *reader) text(field string, most int) string {
	v := r.get(field)
	switch {
	case v == nil:
		return ""
	case !v.isText():
		r.fault(field, CodeType, "string")
		return ""
	case utf8.RuneCountInString(v.text) > most:
		r.fault(field, CodeTooLong, fmt.Sprint(most))
		return ""
	}
	return v.text
}

func (r *reader) need(field string, most int) string {
	if r.get(field) == nil {
		r.fault(field, CodeRequired, "")
		return ""
	}
	if v := r.get(field); v.isText() && v.text == "" {
		r.fault(field, CodeRequired, "")
	}
	return r.text(field, most)
}

func (r *reader) flag(field string) (is, given bool) {
	v := r.get(field)
	if v == nil {
		return false, false
	}
	if v.flag == nil {
		r.fault(field, CodeType, "boolean")
		return false, false
	}
	return *v.flag, true
}

var timePattern = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$`)

func (r *reader) time(field string, needed bool) time.Time {
	var s string
	if needed {
		s = r.need(field, 64)
	} else {
		s = r.text(field, 64)
	}
	if s == "" {
		return time.Time{}
	}
	// time.Parse takes more than RFC 3339 has, and some of that cannot be
	// written again: an offset of 24 hours, the year 10000 in UTC.
	t, err := time.Parse(time.RFC3339, s)
	if err == nil {
		_, err = t.MarshalText()
	}
	if year := t.UTC().Year(); err != nil || !timePattern.MatchString(s) || year < 1 || year > 9999 {
		r.fault(field, CodeTime, "2026-11-23T19:05:12+04:00")
		return time.Time{}
	}
	return t
}

// number reads decimal text, from a JSON string or a JSON number.
func (r *reader) number(field string, needed bool, places int, limit int64) (n int64, ok bool) {
	v := r.get(field)
	switch {
	case v == nil && needed:
		r.fault(field, CodeRequired, "")
		return 0, false
	case v == nil:
		return 0, true
	case !v.isText() && !v.number:
		r.fault(field, CodeType, "decimal")
		return 0, false
	}
	n, err := parseDecimal(v.text, places, limit)
	switch {
	case errors.Is(err, errTooPrecise):
		r.fault(field, CodeTooPrecise, fmt.Sprint(places))
	case errors.Is(err, errTooLarge):
		r.fault(field, CodeTooLarge, "")
	case err != nil:
		r.fault(field, CodeNotDecimal, "")
	case n < 0:
		r.fault(field, CodeNegative, "")
	default:
		return n, true
	}
	return 0, false
}

func (r *reader) money(field string, needed bool) (Money, bool) {
	n, ok := r.number(field, needed, 2, int64(MaxMoney))
	return Money(n), ok
}

// oneOf reads a word that must be among the allowed ones.
func oneOf[T ~string](r *reader, field string, needed bool, allowed ...T) T {
	var s string
	if needed {
		s = r.need(field, 64)
	} else {
		s = r.text(field, 64)
	}
	// Left out is one thing, an empty word another: a till that could not tell
	// an article's tax must not be given one.
	if v := r.get(field); s == "" && (needed || v == nil || !v.isText() || v.text != "") {
		return ""
	}
	var words []string
	for _, a := range allowed {
		if string(a) == s {
			return a
		}
		words = append(words, string(a))
	}
	r.fault(field, CodeNotAllowed, strings.Join(words, " "))
	return ""
}
