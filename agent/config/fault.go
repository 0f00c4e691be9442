package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// fault is one thing that is wrong with the file. Line 0: nowhere in
// particular. Field empty: the whole.
type fault struct {
	line           int
	field, message string
}

func (f fault) String() string {
	var parts []string
	if f.line > 0 {
		parts = append(parts, "line "+strconv.Itoa(f.line))
	}
	if f.field != "" {
		parts = append(parts, f.field)
	}
	return strings.Join(append(parts, f.message), ": ")
}

// faults holds at most one fault for each field, the first that was found.
type faults struct {
	list  []fault
	known map[string]bool
}

func (fs *faults) add(line int, field, message string) {
	if fs.known[field] {
		return
	}
	if fs.known == nil {
		fs.known = map[string]bool{}
	}
	fs.known[field] = true
	fs.list = append(fs.list, fault{line, field, message})
}

// err returns them as one line, by line of the file, or nil.
func (fs *faults) err() error {
	const most = 50 // more than that is another kind of file
	if len(fs.list) == 0 {
		return nil
	}
	slices.SortStableFunc(fs.list, func(a, b fault) int { return cmp.Compare(a.line, b.line) })
	var all []string
	for i, f := range fs.list {
		if i == most {
			all = append(all, fmt.Sprintf("and %d more", len(fs.list)-most))
			break
		}
		all = append(all, f.String())
	}
	return errors.New(strings.Join(all, "; "))
}

// quote shows a value on one line of bounded length.
func quote(s string) string {
	const limit = 80
	if utf8.RuneCountInString(s) > limit {
		s = string([]rune(s)[:limit]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

func lowerFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(r)) + s[n:]
}
