package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ParseSettings reads settings from JSON: it checks them against the schema
// and the rules that no schema can say, and fills in the defaults. It is
// strict: unknown settings, settings written twice and anything after the
// object are refused. The error is a [*SettingsError] that names every faulty
// field; settings are taken whole or not at all.
func ParseSettings(data []byte) (Settings, error) {
	var fs faults
	root, err := scan(data, &fs)
	if err != nil {
		fs.add("", CodeSyntax, place(err), err.Error())
		return Settings{}, fs.err()
	}
	object, ok := root.(map[string]any)
	if !ok {
		fs.add("", CodeType, forms["object"], "found "+kindOf(root)+"; write an object of settings")
		return Settings{}, fs.err()
	}
	if err := checkSchema(object, &fs); err != nil {
		return Settings{}, err
	}
	// What the schema refused is out of the tree by now, so the rules can
	// judge the rest, and people hear of everything at once.
	s, err := decode(object)
	if err != nil {
		fs.add("", CodeValue, "", err.Error())
		return Settings{}, fs.err()
	}
	checkRules(s, &fs)
	if err := fs.err(); err != nil {
		return Settings{}, err
	}
	return s, nil
}

// Validate checks settings that were made in Go as [ParseSettings] checks
// JSON, and fails in the same way.
func (s Settings) Validate() error {
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("write settings as json: %w", err)
	}
	_, err = ParseSettings(data)
	return err
}

// decode reads a tree that satisfies the schema, over the defaults.
func decode(object map[string]any) (Settings, error) {
	data, err := json.Marshal(object)
	if err != nil {
		return Settings{}, err
	}
	s := DefaultSettings()
	s.Tax = Tax{} // the default type must not stay beside a name and a rate
	if err := json.Unmarshal(data, &s); err != nil {
		return Settings{}, err
	}
	if s.Tax == (Tax{}) {
		s.Tax = DefaultSettings().Tax
	}
	for i := range s.Registers {
		r := &s.Registers[i]
		r.Address = netip.AddrPortFrom(r.Address.Addr().Unmap(), r.Address.Port())
		if r.Mode == "" {
			r.Mode = ModeActive
		}
	}
	return s, nil
}

// scan reads JSON as a tree of maps, slices and json.Number. What
// encoding/json would let pass, it reports: keys written twice, bytes that are
// no UTF-8, and numbers in whose exponent a whole machine could be lost.
func scan(data []byte, fs *faults) (any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("is not UTF-8 text; write JSON in UTF-8")
	}
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, fmt.Errorf("is not JSON at byte %d: %w; write one JSON object", syntax.Offset, syntax)
		}
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return scanValue(d, "", 0, fs)
}

// place is the byte at which JSON ceases to be readable.
func place(err error) string {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return ""
	}
	return strconv.FormatInt(syntax.Offset, 10)
}

func scanValue(d *json.Decoder, path string, depth int, fs *faults) (any, error) {
	const limit = 16 // settings are four deep
	if depth > limit {
		return nil, fmt.Errorf("is nested more than %d deep; write settings as documented", limit)
	}
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return scanObject(d, path, depth, fs)
		}
		return scanList(d, path, depth, fs)
	case json.Number:
		if len(t) > 32 || strings.ContainsAny(string(t), "eE") {
			fs.add(path, CodeValue, "", "has an exponent or too many digits; write it as short decimal text")
			return json.Number("0"), nil
		}
	}
	return token, nil
}

func scanObject(d *json.Decoder, path string, depth int, fs *faults) (any, error) {
	object := map[string]any{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		key, _ := token.(string)
		at := child(path, key)
		value, err := scanValue(d, at, depth+1, fs)
		if err != nil {
			return nil, err
		}
		if _, twice := object[key]; twice {
			fs.add(at, CodeDuplicate, "", "is written twice; keep one of the two")
		}
		object[key] = value
	}
	_, err := d.Token()
	return object, err
}

func scanList(d *json.Decoder, path string, depth int, fs *faults) (any, error) {
	list := []any{}
	for i := 0; d.More(); i++ {
		value, err := scanValue(d, item(path, i), depth+1, fs)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	_, err := d.Token()
	return list, err
}

// locate turns a location in the tree into a path such as registers[0].id.
func locate(root any, location []string) string {
	path := ""
	for _, step := range location {
		switch at := root.(type) {
		case []any:
			i, _ := strconv.Atoi(step)
			path, root = item(path, i), at[i]
		case map[string]any:
			path, root = child(path, step), at[step]
		}
	}
	return path
}

// prune takes the value at a location out of the tree. A register or terminal
// becomes an empty object, so that the others keep their numbers; warnings,
// which are compared with each other, go as a whole.
func prune(root map[string]any, location []string) {
	var at any = root
	for i, step := range location {
		last := i == len(location)-1
		switch here := at.(type) {
		case map[string]any:
			if last || step == "warn_after" {
				delete(here, step)
				return
			}
			at = here[step]
		case []any:
			n, _ := strconv.Atoi(step)
			if last {
				here[n] = map[string]any{}
				return
			}
			at = here[n]
		default:
			return // gone already, with something around it
		}
	}
}

// kindOf names the kind of a JSON value, with its article.
func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case string:
		return "text"
	case json.Number:
		return "a number"
	case []any:
		return "a list"
	default:
		return "an object"
	}
}
