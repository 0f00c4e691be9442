package azsmart

import (
	"bytes"
	"encoding/json"
	"fmt"
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

// answer is one JSON object of the register. Names are looked up in any letter
// case, values read from text or number: the maker's tables, examples and
// clients differ (section 11).
type answer struct {
	fields map[string]json.RawMessage // by lower-case name
	whole  []byte                     // as it came
}

// decode reads an answer. Text after the object, or an object that breaks off,
// is no answer.
func decode(body []byte) (answer, error) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	a, err := object(body)
	if err != nil {
		return answer{}, fmt.Errorf("%w: %s", register.ErrNotAnswer, clip(string(body)))
	}
	return a, nil
}

func object(body []byte) (answer, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return answer{}, err
	}
	if fields == nil {
		return answer{}, register.ErrNotAnswer
	}
	// Where two names differ in case only, the first in order counts, so that
	// the same answer always means the same.
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	a := answer{whole: body, fields: make(map[string]json.RawMessage, len(fields))}
	for _, name := range names {
		lower := strings.ToLower(name)
		if old, ok := a.fields[lower]; !ok || string(old) == "null" {
			a.fields[lower] = fields[name]
		}
	}
	return a, nil
}

// raw gives the first of the names that stands there with a value.
func (a answer) raw(names ...string) (json.RawMessage, bool) {
	for _, name := range names {
		if v, ok := a.fields[strings.ToLower(name)]; ok && string(v) != "null" {
			return v, true
		}
	}
	return nil, false
}

func (a answer) has(names ...string) bool {
	_, ok := a.raw(names...)
	return ok
}

// text gives the first of the fields that is neither missing nor empty, be it
// text, a number or a boolean.
func (a answer) text(names ...string) string {
	for _, name := range names {
		v, ok := a.raw(name)
		if !ok {
			continue
		}
		s := scalar(v)
		if s != "" {
			return s
		}
	}
	return ""
}

func scalar(v json.RawMessage) string {
	if len(v) == 0 || v[0] == '{' || v[0] == '[' {
		return ""
	}
	var s string
	if v[0] != '"' {
		return string(v)
	}
	if err := json.Unmarshal(v, &s); err != nil {
		return ""
	}
	return strings.TrimSpace(s)
}

// integer reads a whole number, written as number or text, with or without a
// fraction of zeros.
func (a answer) integer(names ...string) (int64, bool) { return integer(a.text(names...)) }

func integer(s string) (int64, bool) {
	if whole, fraction, dotted := strings.Cut(s, "."); dotted && fraction != "" && strings.Trim(fraction, "0") == "" {
		s = whole
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// ident reads an id. What stands for "none" in either type is empty.
func (a answer) ident(names ...string) string {
	s := a.text(names...)
	if s == "0" || strings.EqualFold(s, "null") || s == "true" || s == "false" {
		return ""
	}
	if n, ok := integer(s); ok && strings.Contains(s, ".") {
		return strconv.FormatInt(n, 10)
	}
	return s
}

// maxSum bounds what is believed of a sum, far above any shift's takings.
const maxSum = 1 << 53

func (a answer) money(names ...string) receipt.Money {
	n, ok := a.integer(names...)
	if !ok || n > maxSum || n < -maxSum {
		return 0
	}
	return receipt.Money(n)
}

// drawer is the cash in it; nil where it is not told.
func (a answer) drawer(names ...string) *receipt.Money {
	if !a.has(names...) {
		return nil
	}
	m := a.money(names...)
	return &m
}

// objects gives the elements of a list that are objects.
func (a answer) objects(names ...string) []answer {
	v, ok := a.raw(names...)
	if !ok {
		return nil
	}
	var elements []json.RawMessage
	if err := json.Unmarshal(v, &elements); err != nil {
		return nil
	}
	var all []answer
	for _, e := range elements {
		if o, err := object(e); err == nil {
			all = append(all, o)
		}
	}
	return all
}

// The layouts in which times were seen, and those that "hh" may mean.
var layouts = []string{
	timeLayout, "2006-01-02 03:04:05 PM", "2006-01-02 3:04:05 PM", "2006-01-02T15:04:05", "2006-01-02 15:04", dateLayout,
	"02.01.2006 15:04:05", "2006-01-02 15:04:05.999", "2006-01-02T15:04:05.999",
}

// time reads a moment in the shop's zone. It is zero where none can be read.
func (a answer) time(zone *time.Location, names ...string) time.Time {
	s := a.text(names...)
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05Z0700"} {
		if t, err := time.Parse(layout, s); err == nil {
			return plausible(t)
		}
	}
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, strings.ToUpper(s), zone); err == nil {
			return plausible(t)
		}
	}
	return time.Time{}
}

// plausible leaves out what stands for "none" in some calendars.
func plausible(t time.Time) time.Time {
	if t.Year() < 2000 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}

// status says whether the register reports success, and whether it says so at
// all. The HTTP status has no say (section 4).
func (a answer) status() (success, told bool) {
	switch strings.ToLower(a.text("status")) {
	case "success":
		return true, true
	case "error":
		return false, true
	}
	return false, false
}

// code gives the register's code; a missing one is 0 (section 4). ok is false
// where what stands there is no code.
func (a answer) code() (n int64, ok bool) {
	v, there := a.raw("code")
	if !there || string(v) == `""` {
		return 0, true
	}
	return a.integer("code")
}

// message is the register's own words.
func (a answer) message() string {
	return clip(a.text("message", "error_description", "errorDescription"))
}

// unprinted says whether the register reports that paper did not come out.
func (a answer) unprinted() bool {
	s := a.text("printError")
	n, ok := integer(s)
	return s != "" && (!ok || n != 0) && s != "false"
}

// codeText is the code as the register wrote it.
func (a answer) codeText() string { return clip(a.text("code")) }

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
