package simulator

import (
	"bytes"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// knownContentType: clients send the same body under three types, and the old
// editions name none (section 2.2).
func knownContentType(header string) bool {
	if header == "" {
		return true
	}
	t, _, err := mime.ParseMediaType(header)
	if err != nil {
		return false
	}
	return t == "application/x-www-form-urlencoded" || t == "text/plain" || t == "application/json"
}

// open checks the envelope of section 2 and returns the JSON object inside. The
// signature comes before anything is decoded.
func (a *azsmart) open(body []byte) (map[string]any, *problem) {
	data, sign, bad := a.envelope(string(body))
	if bad != nil {
		return nil, bad
	}
	if subtle.ConstantTimeCompare([]byte(sign), []byte(a.sign(data))) != 1 {
		return nil, &problem{code: codeAuth, text: "the signature does not match the data"}
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(data)
	if err != nil || strings.ContainsAny(data, "\r\n") { // the decoder skips line breaks
		return nil, &problem{code: codeBadData, text: "data is not base64"}
	}
	object, err := decodeObject(raw)
	if err != nil {
		return nil, &problem{code: codeBadData, text: "data is not a JSON object: " + err.Error()}
	}
	return object, nil
}

// sign is section 2, steps 3 and 4: base64 of the 40 hex digits of SHA-1 over the
// data as sent, followed by the merchant id.
func (a *azsmart) sign(data string) string {
	sum := sha1.Sum([]byte(data + a.merchantID))
	return base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(sum[:])))
}

// envelope takes data and sign out of the body. Percent escapes are decoded; a
// raw '+' stays, and a space, which base64 cannot hold, is read as one (section
// 2.2). Only the first '=' of a parameter divides: the rest is base64 padding
// that some client did not escape.
func (a *azsmart) envelope(body string) (data, sign string, bad *problem) {
	seen := map[string]string{}
	for _, pair := range strings.Split(body, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if name != "data" && name != "sign" {
			continue
		}
		if _, twice := seen[name]; twice {
			return "", "", &problem{code: codeBadData, text: "parameter " + name + " is there twice"}
		}
		plain, err := unescape(value, a.quirks.has(quirkStrictForm))
		if err != nil {
			return "", "", &problem{code: codeBadData, text: "parameter " + name + ": " + err.Error()}
		}
		seen[name] = plain
	}
	if seen["data"] == "" {
		return "", "", &problem{code: codeParameter, text: "parameter data is missing"}
	}
	return seen["data"], seen["sign"], nil
}

func unescape(s string, strict bool) (string, error) {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '%':
			if i+2 >= len(s) {
				return "", errors.New("a percent escape is cut off")
			}
			b, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", fmt.Errorf("%q is no percent escape", s[i:i+3])
			}
			c, i = byte(b), i+2
		case c == '+' && strict:
			c = ' '
		}
		if c == ' ' && !strict {
			c = '+'
		}
		out.WriteByte(c)
	}
	return out.String(), nil
}

// decodeObject reads exactly one JSON object in valid UTF-8, numbers as text.
func decodeObject(raw []byte) (map[string]any, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("it is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var object map[string]any
	if err := dec.Decode(&object); err != nil {
		return nil, err
	}
	if object == nil {
		return nil, errors.New("it is null")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the object")
	}
	return object, nil
}

// fields reads an object strictly. The first fault is kept and the reading goes
// on with zero values, so that a handler asks for all it wants and then looks once.
type fields struct {
	m        map[string]any
	path     string
	bad      **problem
	typeCode int
}

// maxNumber keeps sums of a whole document far from overflow: 10 billion AZN.
const maxNumber = 1_000_000_000_000

// maxID is the largest id: the largest number that every JSON reader takes
// exactly. The pages give ids no limit.
const maxID = 1 << 53

// maxText is how long a text may be, in characters (the token's limit for names).
const maxText = 255

func (f *fields) blame(code int, format string, args ...any) {
	if *f.bad == nil {
		*f.bad = &problem{code: code, text: fmt.Sprintf(format, args...)}
	}
}

func (f *fields) failed() bool { return *f.bad != nil }

func (f *fields) missing(name string) {
	f.blame(codeParameter, "parameter %s%s is missing", f.path, name)
}

func (f *fields) wrongType(name, want string) {
	f.blame(f.typeCode, "parameter %s%s must be %s", f.path, name, want)
}

func (f *fields) has(name string) bool { return f.m[name] != nil } // null counts as absent (section 3)

// maxNote is how long free lines and marking codes may be.
const maxNote = 4096

func (f *fields) text(name string) string { return f.textUpTo(name, maxText) }

func (f *fields) note(name string) string { return f.textUpTo(name, maxNote) }

func (f *fields) textUpTo(name string, most int) string {
	switch v := f.m[name].(type) {
	case nil:
	case string:
		if utf8.RuneCountInString(v) > most {
			f.blame(codeParameter, "parameter %s%s is longer than %d characters", f.path, name, most)
		}
		return v
	default:
		f.wrongType(name, "a string")
	}
	return ""
}

func (f *fields) needText(name string) string {
	s := f.text(name)
	if s == "" {
		f.missing(name)
	}
	return s
}

// int reads a whole number that is not negative; nothing in this protocol is.
func (f *fields) int(name string) int64 {
	switch v := f.m[name].(type) {
	case nil:
	case json.Number:
		return f.whole(name, v.String(), maxNumber)
	default:
		f.wrongType(name, "an integer")
	}
	return 0
}

func (f *fields) whole(name, digits string, most int64) int64 {
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case err != nil && strings.Trim(digits, "-0123456789") != "" || digits == "-0" || digits == "":
		f.wrongType(name, "an integer")
	case n < 0:
		f.blame(codeParameter, "parameter %s%s is negative", f.path, name)
	case err != nil || n > most:
		f.blame(codeParameter, "parameter %s%s is too large", f.path, name)
	default:
		return n
	}
	return 0
}

func (f *fields) needInt(name string) int64 {
	if !f.has(name) {
		f.missing(name)
	}
	return f.int(name)
}

// intOrDigits is for what the tables call a string and the examples write as an
// integer (section 11, point 10).
func (f *fields) intOrDigits(name string) int64 {
	if s, ok := f.m[name].(string); ok {
		if strings.Trim(s, "0123456789") != "" {
			f.wrongType(name, "an integer, or a string of digits")
			return 0
		}
		return f.whole(name, s, maxNumber)
	}
	return f.int(name)
}

// idText reads an id that may be an integer or a string, as text.
func (f *fields) idText(name string) string {
	if n, ok := f.m[name].(json.Number); ok {
		f.whole(name, n.String(), maxID)
		return n.String()
	}
	return f.text(name)
}

func (f *fields) flag(name string) bool {
	switch v := f.m[name].(type) {
	case nil:
	case bool:
		return v
	default:
		f.wrongType(name, "a boolean")
	}
	return false
}

// number takes any JSON number ("numeric" in the tables) and drops it.
func (f *fields) number(name string) {
	switch f.m[name].(type) {
	case nil, json.Number:
	default:
		f.wrongType(name, "a number")
	}
}

// object returns nil when it is absent.
func (f *fields) object(name string) *fields {
	switch v := f.m[name].(type) {
	case nil:
	case map[string]any:
		return f.under(v, name+".")
	default:
		f.wrongType(name, "an object")
	}
	return nil
}

func (f *fields) list(name string) []*fields {
	var out []*fields
	switch v := f.m[name].(type) {
	case nil:
	case []any:
		for i, e := range v {
			o, ok := e.(map[string]any)
			if !ok {
				f.wrongType(fmt.Sprintf("%s[%d]", name, i), "an object")
				return nil
			}
			out = append(out, f.under(o, fmt.Sprintf("%s[%d].", name, i)))
		}
	default:
		f.wrongType(name, "an array")
	}
	return out
}

func (f *fields) under(m map[string]any, path string) *fields {
	return &fields{m: m, path: f.path + path, bad: f.bad, typeCode: f.typeCode}
}

// time checks "yyyy-MM-dd HH:mm:ss" and returns it verbatim: it is part of a key.
// Old editions know no code for a bad date.
func (c *call) time(name string) string {
	s := c.f.text(name)
	if s == "" {
		return ""
	}
	if _, err := time.ParseInLocation(wallTime, s, baku); err != nil {
		code := codeDate
		if c.classic {
			code = codeParameter
		}
		c.f.blame(code, "parameter %s is %q, not yyyy-MM-dd HH:mm:ss", name, s)
	}
	return s
}
