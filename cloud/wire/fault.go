package wire

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The codes of a [Fault].
const (
	CodeSyntax    = "syntax"    // the whole is not readable as JSON
	CodeUnknown   = "unknown"   // no such setting
	CodeMissing   = "missing"   // a setting that must be there is not
	CodeType      = "type"      // text instead of a list, and the like
	CodeValue     = "value"     // of the right type, but not a value this setting takes
	CodeDuplicate = "duplicate" // written twice, or already taken by another
	CodeConflict  = "conflict"  // cannot stand beside another setting
)

// Fault is one thing that is wrong with settings.
type Fault struct {
	// Field is where, as a path such as registers[0].address. Empty: the whole.
	Field string `json:"field"`
	// Code is one of the Code constants.
	Code string `json:"code"`
	// Message says in lower-case English what was found and what to do. It
	// never contains a secret.
	Message string `json:"message"`
	// Detail is what a sentence in another language may name: what would fit, or
	// what this stands against. It is signs and names alone, may be empty, never
	// contains a secret, and is not told to programs.
	Detail string `json:"-"`
}

// String returns field and message.
func (f Fault) String() string {
	if f.Field == "" {
		return f.Message
	}
	return f.Field + ": " + f.Message
}

// SettingsError is why settings were refused: every faulty field once, in the
// order of the paths. There is at least one.
type SettingsError struct{ Faults []Fault }

// Error returns all faults in one line.
func (e *SettingsError) Error() string {
	all := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		all[i] = f.String()
	}
	return "settings refused: " + strings.Join(all, "; ")
}

// faults collects at most one fault for each field: the first, which is why
// the order of the checks is from the more telling to the less.
type faults struct {
	list  []Fault
	known map[string]bool
}

func (fs *faults) add(field, code, detail, message string) {
	if fs.known[field] {
		return
	}
	if fs.known == nil {
		fs.known = map[string]bool{}
	}
	fs.known[field] = true
	fs.list = append(fs.list, Fault{Field: field, Code: code, Message: message, Detail: detail})
}

// within reports whether there is a fault at the field or inside it.
func (fs *faults) within(field string) bool {
	return slices.ContainsFunc(fs.list, func(f Fault) bool {
		rest, ok := strings.CutPrefix(f.Field, field)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// err returns nil where nothing was found.
func (fs *faults) err() error {
	if len(fs.list) == 0 {
		return nil
	}
	slices.SortFunc(fs.list, func(a, b Fault) int { return cmp.Compare(a.Field, b.Field) })
	return &SettingsError{Faults: fs.list}
}

// quote shows a value on one line of bounded length.
func quote(s string) string {
	const limit = 64
	if utf8.RuneCountInString(s) > limit {
		s = string([]rune(s)[:limit]) + "…"
	}
	return strconv.Quote(s)
}

// child returns the path of a key inside an object.
func child(path, key string) string {
	plain := key != "" && strings.IndexFunc(key, func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	}) < 0
	switch {
	case !plain:
		return path + "[" + quote(key) + "]"
	case path == "":
		return key
	default:
		return path + "." + key
	}
}

// item returns the path of an element of a list.
func item(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
