package frontdoor

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // the protocol's, section 2
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// open checks the signature of a request and reads the JSON object in it
// (section 2). The content type has no say: tills send this body under three.
func open(body []byte, merchantID string) (*fields, error) {
	data, sign, err := envelope(string(body))
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare([]byte(sign), []byte(signature(data, merchantID))) != 1 {
		return nil, refuse(codeSigned, "the signature is wrong")
	}
	text, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return nil, refuse(codeJSON, "data is not base64")
	}
	m, err := object(text)
	if err != nil {
		return nil, refuse(codeJSON, "data holds no JSON object: %v", err)
	}
	return &fields{m: m, bad: new(*refusal)}, nil
}

// signature is base64 of the lowercase hex SHA-1 of data and Merchant ID.
func signature(data, merchantID string) string {
	sum := sha1.Sum([]byte(data + merchantID)) //nolint:gosec // as above
	return base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(sum[:])))
}

// envelope takes data and sign out of the body, unescaped.
func envelope(body string) (data, sign string, err error) {
	found := map[string]string{}
	for _, pair := range strings.Split(strings.TrimSpace(body), "&") {
		// Only the first "=" divides: the rest is padding that was not escaped.
		name, value, _ := strings.Cut(pair, "=")
		if name != "data" && name != "sign" {
			continue
		}
		if _, twice := found[name]; twice {
			return "", "", refuse(codeParameter, "%s is there twice", name)
		}
		if found[name], err = unescape(value); err != nil {
			return "", "", refuse(codeJSON, "%s: %v", name, err)
		}
	}
	if found["data"] == "" || found["sign"] == "" {
		return "", "", refuse(codeParameter, "data or sign is missing")
	}
	return found["data"], found["sign"], nil
}

// unescape decodes percent escapes, and nothing else: most clients escape "="
// alone, so that a raw "+" is one. A space, which base64 has not, was one too
// before somebody's form decoder (section 2.2).
func unescape(s string) (string, error) {
	if !strings.ContainsAny(s, "% ") {
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			if i+2 >= len(s) {
				return "", errEscape
			}
			var decoded [1]byte
			if _, err := hex.Decode(decoded[:], []byte(s[i+1:i+3])); err != nil {
				return "", errEscape
			}
			c, i = decoded[0], i+2
		}
		if c == ' ' {
			c = '+'
		}
		b = append(b, c)
	}
	return string(b), nil
}

var (
	errEscape = errors.New("a percent escape is broken")
	errTwice  = errors.New("a name is there twice")
	errDeep   = errors.New("it is nested too deep")
)

// maxDepth of a request; the deepest that the page has is 4.
const maxDepth = 8

// object reads exactly one JSON object. Numbers stay text; a name that is there
// twice is a fault, since nobody can tell which of two amounts was meant.
func object(text []byte) (map[string]any, error) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(text) {
		return nil, errors.New("it is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := value(d, 0)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("it is something else")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows it")
	}
	return m, nil
}

func value(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errDeep
	}
	token, err := d.Token()
	if err != nil {
		return nil, errors.New("it breaks off or is broken") // the decoder's words would quote it
	}
	switch token {
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := value(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	case json.Delim('{'):
		m := map[string]any{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			key, _ := name.(string) // the decoder takes nothing else there
			if _, twice := m[key]; twice {
				return nil, errTwice
			}
			if m[key], err = value(d, depth+1); err != nil {
				return nil, err
			}
		}
		_, err := d.Token()
		return m, err
	}
	return token, nil
}
