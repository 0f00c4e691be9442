package simulator

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// casposFields reads an object strictly. The first fault is kept and the reading
// goes on with zero values, so that a handler asks for all it wants and then
// looks once. Null counts as absent.
type casposFields struct {
	m       map[string]any
	path    string
	bad     **casposProblem
	strings bool // the quirk number-strings
}

func (f *casposFields) blame(code, format string, args ...any) {
	if *f.bad == nil {
		*f.bad = &casposProblem{code: code, text: fmt.Sprintf(format, args...)}
	}
}

func (f *casposFields) has(name string) bool { return f.m[name] != nil }

func (f *casposFields) missing(name string) {
	f.blame(casposSchema, "%s%s is missing", f.path, name)
}

// text reads a string of up to 255 characters.
func (f *casposFields) text(name string) string { return f.textUpTo(name, maxText, casposTooLong) }

func (f *casposFields) textUpTo(name string, most int, code string) string {
	switch v := f.m[name].(type) {
	case nil:
	case string:
		if utf8.RuneCountInString(v) > most {
			f.blame(code, "%s%s is longer than %d characters", f.path, name, most)
		}
		return v
	default:
		f.blame(casposSchema, "%s%s must be a string", f.path, name)
	}
	return ""
}

func (f *casposFields) needText(name string) string {
	s := f.text(name)
	if s == "" {
		f.missing(name)
	}
	return s
}

func (f *casposFields) flag(name string) bool {
	switch v := f.m[name].(type) {
	case nil:
	case bool:
		return v
	default:
		f.blame(casposSchema, "%s%s must be true or false", f.path, name)
	}
	return false
}

// money reads AZN with at most two decimals, in qəpik; absent is 0.
func (f *casposFields) money(name string) int64 { return f.decimal(name, 2) }

func (f *casposFields) needMoney(name string) int64 {
	if !f.has(name) {
		f.missing(name)
	}
	return f.money(name)
}

// integer reads a small code; absent is -1.
func (f *casposFields) integer(name string) int64 {
	if !f.has(name) {
		return -1
	}
	return f.decimal(name, 0)
}

// decimal reads a number without passing through binary floating point.
func (f *casposFields) decimal(name string, places int) int64 {
	var digits string
	switch v := f.m[name].(type) {
	case nil:
		return 0
	case json.Number:
		digits = v.String()
	case string:
		if !f.strings {
			f.blame(casposNotNumber, "%s%s is a string, not a number", f.path, name)
			return 0
		}
		digits = v
	default:
		f.blame(casposNotNumber, "%s%s is not a number", f.path, name)
		return 0
	}
	n, err := scaled(digits, places)
	switch {
	case strings.HasPrefix(digits, "-"):
		f.blame(casposNegative, "%s%s is negative", f.path, name)
	case err != nil:
		f.blame(casposNotNumber, "%s%s is %q: %v", f.path, name, digits, err)
	default:
		return n
	}
	return 0
}

// scaled is a decimal × 10^places. Zeros at the end do not count as decimals.
func scaled(digits string, places int) (int64, error) {
	whole, part, _ := strings.Cut(digits, ".")
	part = strings.TrimRight(part, "0")
	if whole == "" || strings.Trim(whole+part, "0123456789") != "" {
		return 0, fmt.Errorf("write it as plain digits with a point")
	}
	if len(part) > places {
		return 0, fmt.Errorf("it has more than %d decimals", places)
	}
	n, err := strconv.ParseInt(whole+part+strings.Repeat("0", places-len(part)), 10, 64)
	if err != nil || n > maxNumber {
		return 0, fmt.Errorf("it is too large")
	}
	return n, nil
}

// object is never nil: what is absent reads as empty.
func (f *casposFields) object(name string) *casposFields {
	switch v := f.m[name].(type) {
	case nil:
	case map[string]any:
		return f.under(v, name+".")
	default:
		f.blame(casposSchema, "%s%s must be an object", f.path, name)
	}
	return f.under(nil, name+".")
}

func (f *casposFields) list(name string) []*casposFields {
	var out []*casposFields
	switch v := f.m[name].(type) {
	case nil:
	case []any:
		for i, e := range v {
			o, ok := e.(map[string]any)
			if !ok {
				f.blame(casposSchema, "%s%s[%d] must be an object", f.path, name, i)
				return nil
			}
			out = append(out, f.under(o, fmt.Sprintf("%s[%d].", name, i)))
		}
	default:
		f.blame(casposSchema, "%s%s must be an array", f.path, name)
	}
	return out
}

func (f *casposFields) under(m map[string]any, path string) *casposFields {
	return &casposFields{m: m, path: f.path + path, bad: f.bad, strings: f.strings}
}

// instant reads the times of a correction: ISO 8601 with Z (section 4).
func (f *casposFields) instant(name string) time.Time {
	s := f.needText(name)
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || !strings.HasSuffix(s, "Z") {
		f.blame(casposTime, "%s%s is %q, not ISO 8601 with Z", f.path, name, s)
	}
	return t
}

// casposClock is how all other times are written (section 2).
const casposClock = "02.01.2006 15:04:05"

func (f *casposFields) time(name string) time.Time {
	s := f.needText(name)
	t, err := time.ParseInLocation(casposClock, s, baku)
	if err != nil {
		f.blame(casposTime, "%s%s is %q, not dd.MM.yyyy HH:mm:ss", f.path, name, s)
	}
	return t
}

// casposSum writes qəpik as a JSON number with two decimals.
func casposSum(q int64) json.Number { return json.Number(money(q)) }

func casposNumber(code string) json.Number { return json.Number(code) }

func casposDigits(code int) string { return strconv.Itoa(code) }
