package omnitech

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/register/tokentext"
)

// answer is one JSON object. Values are read from text or number.
type answer struct {
	fields map[string]json.RawMessage
	whole  []byte // as it came
}

// decode reads an answer: always an object with a code (section 2). Text after
// it, or an object that breaks off, is no answer.
func decode(body []byte) (answer, error) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	a, err := object(body)
	if err != nil {
		return answer{}, register.ErrNotAnswer // its text may be anybody's: it is not shown
	}
	return a, nil
}

func object(body []byte) (a answer, err error) {
	if err := json.Unmarshal(body, &a.fields); err != nil {
		return answer{}, err
	}
	if a.fields == nil {
		return answer{}, register.ErrNotAnswer
	}
	a.whole = body
	return a, nil
}

func (a answer) raw(name string) (json.RawMessage, bool) {
	v, ok := a.fields[name]
	return v, ok && string(v) != "null"
}

// text gives the first of the fields that is neither missing nor empty, be it
// text, a number or a boolean.
func (a answer) text(names ...string) string {
	for _, name := range names {
		if v, ok := a.raw(name); ok {
			if s := scalar(v); s != "" {
				return s
			}
		}
	}
	return ""
}

func scalar(v json.RawMessage) string {
	if len(v) == 0 || v[0] == '{' || v[0] == '[' {
		return ""
	}
	if v[0] != '"' {
		return string(v)
	}
	var s string
	if err := json.Unmarshal(v, &s); err != nil {
		return ""
	}
	return strings.TrimSpace(s)
}

// inner gives an object within, be it written as such or as text that holds one,
// as token_response is (section 8). It is empty where there is none.
func (a answer) inner(name string) answer {
	v, ok := a.raw(name)
	if !ok {
		return answer{}
	}
	if v[0] == '"' {
		v = json.RawMessage(scalar(v))
	}
	o, err := object(v)
	if err != nil {
		return answer{}
	}
	return o
}

// list gives the elements of a list that are objects. ok is false where there is
// no list.
func (a answer) list(name string) (all []answer, ok bool) {
	v, ok := a.raw(name)
	if !ok {
		return nil, false
	}
	var elements []json.RawMessage
	if err := json.Unmarshal(v, &elements); err != nil {
		return nil, false
	}
	for _, e := range elements {
		if o, err := object(e); err == nil {
			all = append(all, o)
		}
	}
	return all, true
}

// integer reads a whole number, with or without a fraction of zeros.
func (a answer) integer(names ...string) (int64, bool) {
	r, ok := decimal(a.text(names...))
	if !ok || !r.IsInt() || !r.Num().IsInt64() {
		return 0, false
	}
	return r.Num().Int64(), true
}

// maxSum bounds what is believed of a sum, far above any shift's takings.
const maxSum = 1 << 53

// money reads AZN as qəpik. A device that works in binary fractions may write
// more decimals or an exponent: it is rounded half away from zero.
func (a answer) money(names ...string) receipt.Money {
	r, ok := decimal(a.text(names...))
	if !ok {
		return 0
	}
	n, err := strconv.ParseInt(new(big.Rat).Mul(r, big.NewRat(100, 1)).FloatString(0), 10, 64)
	if err != nil || n > maxSum || n < -maxSum {
		return 0
	}
	return receipt.Money(n)
}

// decimal reads a JSON number exactly. What has an unreasonable exponent is no
// number: it would only cost memory.
func decimal(s string) (*big.Rat, bool) {
	if len(s) == 0 || len(s) > 40 || strings.Trim(s, "+-0123456789.eE") != "" {
		return nil, false
	}
	if _, exponent, there := strings.Cut(strings.ToLower(s), "e"); there {
		if n, err := strconv.Atoi(exponent); err != nil || n > 30 || n < -30 {
			return nil, false
		}
	}
	return new(big.Rat).SetString(s)
}

// truth reads a boolean.
func (a answer) truth(name string) (is, told bool) {
	switch strings.ToLower(a.text(name)) {
	case "true", "1":
		return true, true
	case "false", "0":
		return false, true
	}
	return false, false
}

// The layouts in which times were seen.
var layouts = []string{
	wallTime, "2006-01-02T15:04:05", "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04",
	"02.01.2006 15:04:05", "02-01-2006 15:04:05", "2006-01-02",
}

// time reads a moment; where it names no zone it is meant in the given one
// (section 9: unproven). It is zero where none can be read.
func (a answer) time(zone *time.Location, names ...string) time.Time {
	s := a.text(names...)
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05Z07:00"} {
		if t, err := time.Parse(layout, s); err == nil {
			return plausible(t)
		}
	}
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
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

// code gives the register's code. ok is false where there is none: then it is no
// answer, whatever the HTTP status says.
func (a answer) code() (int64, bool) { return a.integer("code") }

// message is the register's own words.
func (a answer) message() string { return clip(a.text("message", "info", "desc")) }

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

// made are the ids of a document, flat as answers have them or in a data object
// as token_response has them (sections 4 and 8).
type made struct{ longID, shortID, number string }

func idsOf(a answer) made {
	d := a.inner("data")
	m := made{
		longID:  first(a.text("long_id", "document_id"), d.text("long_id", "document_id")),
		shortID: first(a.text("short_id", "short_document_id"), d.text("short_id", "short_document_id")),
	}
	if n, ok := a.integer("document_number"); ok {
		m.number = strconv.FormatInt(n, 10)
	} else if n, ok := d.integer("document_number"); ok {
		m.number = strconv.FormatInt(n, 10)
	}
	return m
}

func first(of ...string) string {
	for _, s := range of {
		if s != "" {
			return s
		}
	}
	return ""
}

// whole says whether the ids are those of a document: a long id of at most 64
// characters, which starts with the short one, and a number (section 8).
func (m made) whole() error {
	switch {
	case m.longID == "":
		return errors.New("it names no document")
	case len(m.longID) <= 12 || len(m.longID) > 64 || strings.Trim(m.longID, idLetters) != "":
		return fmt.Errorf("%s is no long id", clip(m.longID))
	case m.shortID != "" && m.shortID != receipt.ShortID(m.longID):
		return fmt.Errorf("short id %s is not that of long id %s", clip(m.shortID), m.longID)
	case m.number == "":
		return errors.New("it tells no document number")
	}
	return nil
}

const idLetters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
