package frontdoor

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"ekassa/agent/receipt"
)

// fields takes the values out of one object. Text and numbers are read from
// either, since the page's tables, its examples and clients differ (section 11);
// null and empty text are the same as left out. The first fault is kept and zero
// values are given after it, so that a route asks for all it wants and then looks
// once.
type fields struct {
	m    map[string]any
	path string
	bad  **refusal
}

func (f *fields) blame(code int, format string, args ...any) {
	if *f.bad == nil {
		*f.bad = refuse(code, format, args...)
	}
}

// fault gives the first one.
func (f *fields) fault() error {
	if *f.bad == nil {
		return nil
	}
	return *f.bad
}

func (f *fields) missing(name string) {
	f.blame(codeParameter, "%s%s is missing", f.path, name)
}

// The most characters of a text, and of an id.
const (
	maxText = 512
	maxID   = 200
)

// text reads one of at most so many characters.
func (f *fields) text(name string, most int) string {
	var s string
	switch v := f.m[name].(type) {
	case nil:
	case string:
		s = strings.TrimSpace(v)
	case json.Number:
		s = v.String()
	default:
		f.blame(codeParameter, "%s%s is no text", f.path, name)
	}
	if utf8.RuneCountInString(s) > most {
		f.blame(codeParameter, "%s%s is longer than %d characters", f.path, name, most)
		return ""
	}
	return s
}

// id reads an id. 0 is what programs send that have none.
func (f *fields) id(name string) string {
	if s := f.text(name, maxID); s != "0" {
		return s
	}
	return ""
}

// whole reads a whole number that is not negative, of at most so much.
func (f *fields) whole(name string, most int64) int64 {
	s := f.text(name, 32)
	if s == "" {
		return 0
	}
	if n, fraction, dotted := strings.Cut(s, "."); dotted && fraction != "" && strings.Trim(fraction, "0") == "" {
		s = n
	}
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil || s[0] == '+':
		f.blame(codeParameter, "%s%s is no whole number", f.path, name)
	case n < 0:
		f.blame(codeParameter, "%s%s is negative", f.path, name)
	case n > most:
		f.blame(codeParameter, "%s%s is too large", f.path, name)
	default:
		return n
	}
	return 0
}

func (f *fields) money(name string) receipt.Money {
	return receipt.Money(f.whole(name, int64(receipt.MaxMoney)))
}

// has says whether anything stands there.
func (f *fields) has(name string) bool { return f.m[name] != nil && f.m[name] != "" }

// object gives nil where there is none.
func (f *fields) object(name string) *fields {
	switch v := f.m[name].(type) {
	case nil:
	case map[string]any:
		return &fields{m: v, path: f.path + name + ".", bad: f.bad}
	default:
		f.blame(codeParameter, "%s%s is no object", f.path, name)
	}
	return nil
}

// objects gives the elements of a list.
func (f *fields) objects(name string) (list []*fields) {
	switch v := f.m[name].(type) {
	case nil:
	case []any:
		for n, e := range v {
			path := fmt.Sprintf("%s%s[%d]", f.path, name, n)
			m, ok := e.(map[string]any)
			if !ok {
				f.blame(codeParameter, "%s is no object", path)
				return nil
			}
			list = append(list, &fields{m: m, path: path + ".", bad: f.bad})
		}
	default:
		f.blame(codeParameter, "%s%s is no list", f.path, name)
	}
	return list
}

// layouts are those in which clients were seen to send docTime, or that the
// page may mean.
var layouts = []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", time.RFC3339}

// time reads docTime in the shop's zone. What cannot be read, or is no time of
// ours, is now: it is printed, and decides nothing.
func (c *call) time(now time.Time) time.Time {
	s := c.f.text("docTime", 64)
	for _, layout := range layouts {
		t, err := time.ParseInLocation(layout, s, c.shop.Zone)
		if err == nil && t.Year() >= 2000 && t.Year() < 9999 {
			return t
		}
	}
	return now
}
