package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// omniFields reads an object strictly: a value of the wrong type or a missing one
// is code 304. The first fault of a request is kept and the reading goes on with
// zero values. Unknown fields are ignored unless the quirk asks otherwise, so it
// remembers what was asked for.
type omniFields struct {
	m     map[string]any
	path  string
	asked map[string]bool
	root  *omniRoot
}

// omniRoot is what the objects of one request share.
type omniRoot struct {
	bad *omniProblem
	all []*omniFields
}

func newOmniFields(m map[string]any) *omniFields { return (&omniRoot{}).add(m, "") }

func (r *omniRoot) add(m map[string]any, path string) *omniFields {
	f := &omniFields{m: m, path: path, asked: map[string]bool{}, root: r}
	r.all = append(r.all, f)
	return f
}

func (f *omniFields) blame(code int, format string, args ...any) {
	if f.root.bad == nil {
		f.root.bad = &omniProblem{code: code, text: fmt.Sprintf(format, args...)}
	}
}

// bad is the first fault found.
func (c *omniCall) bad() error {
	if p := c.body.root.bad; p != nil {
		return p
	}
	return nil
}

// finish ends the reading of a request: nothing may be done before it.
func (c *omniCall) finish() error {
	if err := c.bad(); err != nil {
		return err
	}
	if c.quirks.has(quirkStrictFields) {
		for _, f := range c.body.root.all {
			for _, name := range slices.Sorted(maps.Keys(f.m)) {
				if !f.asked[name] {
					return &omniProblem{code: omniSchema, text: "unknown field " + f.path + name}
				}
			}
		}
	}
	return nil
}

// get returns a field; null counts as absent (the page writes null for margins).
func (f *omniFields) get(name string, needed bool) any {
	f.asked[name] = true
	v := f.m[name]
	if v == nil && needed {
		f.blame(omniSchema, "%s%s is missing", f.path, name)
	}
	return v
}

func (f *omniFields) has(name string) bool { return f.m[name] != nil }

// text reads a string that is held to the ledger's own limit of a long one.
func (f *omniFields) text(name string, needed bool) string {
	switch v := f.get(name, needed).(type) {
	case nil:
	case string:
		if utf8.RuneCountInString(v) > maxNote {
			f.blame(omniTooLong, "%s%s is too long", f.path, name)
			return ""
		}
		return v
	default:
		f.blame(omniSchema, "%s%s must be a string", f.path, name)
	}
	return ""
}

// limited reads a string of 1 to most characters; anything else is the given code.
func (f *omniFields) limited(name string, most, code int) string {
	s := f.text(name, true)
	if n := utf8.RuneCountInString(s); n < 1 || n > most {
		f.blame(code, "%s%s has %d characters: 1 to %d are allowed", f.path, name, n, most)
	}
	return s
}

// whole reads an integer that is not negative.
func (f *omniFields) whole(name string, needed bool) int64 { return f.decimal(name, 0, needed) }

// money reads AZN with up to two decimals as qəpik.
func (f *omniFields) money(name string, needed bool) int64 { return f.decimal(name, 2, needed) }

// decimal reads a JSON number with up to places decimals, as an integer of the
// last place. Zeros after them are let through: a JSON reader drops them. There
// is nothing negative (section 7) and no exponent (section 2: "with a dot").
func (f *omniFields) decimal(name string, places int, needed bool) int64 {
	v := f.get(name, needed)
	if v == nil {
		return 0
	}
	number, ok := v.(json.Number)
	if !ok {
		f.blame(omniSchema, "%s%s must be a number", f.path, name)
		return 0
	}
	if strings.HasPrefix(number.String(), "-") {
		f.blame(omniSchema, "%s%s is negative", f.path, name)
		return 0
	}
	before, after, _ := strings.Cut(number.String(), ".")
	if rest := strings.TrimRight(after, "0"); len(rest) > places || strings.ContainsAny(number.String(), "eE") {
		f.blame(omniSchema, "%s%s is %s: up to %d decimals and no exponent are allowed", f.path, name, number, places)
		return 0
	}
	after = (after + "000")[:places]
	var n int64
	for _, digit := range before + after {
		if n = n*10 + int64(digit-'0'); n > maxNumber {
			f.blame(omniSchema, "%s%s is too large", f.path, name)
			return 0
		}
	}
	return n
}

// object returns nil when it is absent or wrong.
func (f *omniFields) object(name string, needed bool) *omniFields {
	switch v := f.get(name, needed).(type) {
	case nil:
	case map[string]any:
		return f.root.add(v, f.path+name+".")
	default:
		f.blame(omniSchema, "%s%s must be an object", f.path, name)
	}
	return nil
}

// list reads an array of objects.
func (f *omniFields) list(name string, needed bool) []*omniFields {
	var out []*omniFields
	switch v := f.get(name, needed).(type) {
	case nil:
	case []any:
		for i, e := range v {
			o, ok := e.(map[string]any)
			if !ok {
				f.blame(omniSchema, "%s%s[%d] must be an object", f.path, name, i)
				return nil
			}
			out = append(out, f.root.add(o, fmt.Sprintf("%s%s[%d].", f.path, name, i)))
		}
	default:
		f.blame(omniSchema, "%s%s must be an array", f.path, name)
	}
	return out
}

// parentID reads the long id of another document. A short one is 615, which is
// the usual mistake.
func (f *omniFields) parentID(name string) string {
	s := f.text(name, true)
	if n := len(s); n < 40 || n > 64 {
		f.blame(omniParentLength, "%s%s has %d characters: a long id has 43 or 44", f.path, name, n)
	}
	return s
}

// stamp reads ISO 8601 with Z (section 4.6).
func (f *omniFields) stamp(name string) time.Time {
	s := f.text(name, true)
	t, err := time.Parse("2006-01-02T15:04:05.999Z", s)
	if err != nil {
		f.blame(omniTime, "%s%s is %q, not yyyy-MM-ddTHH:mm:ssZ", f.path, name, s)
	}
	return t
}

// wall reads YYYY-MM-DD HH:MM:SS of history and statement, on the shop's clock.
func (f *omniFields) wall(name string) time.Time {
	s := f.text(name, true)
	t, err := time.ParseInLocation(wallTime, s, baku)
	if err != nil {
		f.blame(omniTimestamp, "%s%s is %q, not yyyy-MM-dd HH:mm:ss", f.path, name, s)
	}
	return t
}

// omniOrder is the order of the envelope's keys in section 2, by object.
var omniOrder = map[string][]string{
	"":                                  {"requestData", "receiptDetails"},
	"requestData.":                      {"access_token", "int_ref", "tokenData", "checkData"},
	"requestData.tokenData.":            {"parameters", "operationId", "version"},
	"requestData.tokenData.parameters.": {"doc_type", "prev_doc_number", "data"},
}

// omniKeyOrder checks the quirk key-order on a body that is valid JSON. Keys that
// the envelope does not name may stand anywhere.
func omniKeyOrder(body []byte) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	var walk func(path string) error
	walk = func(path string) error {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		open, _ := token.(json.Delim)
		last := -1
		for (open == '{' || open == '[') && dec.More() {
			name := ""
			if open == '{' {
				key, err := dec.Token()
				if err != nil {
					return err
				}
				name = key.(string)
				if at := slices.Index(omniOrder[path], name); at >= 0 {
					if at < last {
						return &omniProblem{code: omniSchema, text: "key " + path + name + " is out of order"}
					}
					last = at
				}
			}
			if err := walk(path + name + "."); err != nil {
				return err
			}
		}
		if open == '{' || open == '[' {
			_, err = dec.Token()
		}
		return err
	}
	return walk("")
}
