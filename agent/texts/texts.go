// Package texts holds every sentence that people read, in Azerbaijani, Russian
// and English: one for each code that the program gives.
//
// A sentence says what is the case, whether something is fiscal or stored where
// that matters, and what to do now. In the files {name} is replaced by the
// argument of that name, and a part in square brackets is left out where one of
// its arguments is empty. Sentences are phrased so that no number needs a
// plural form.
package texts

import (
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/language"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// Languages are those that every sentence exists in; the first is the default.
var Languages = []string{"az", "ru", "en"}

//go:embed az.json ru.json en.json
var files embed.FS

var sentences = load()

func load() map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, lang := range Languages {
		var m map[string]string
		b, err := files.ReadFile(lang + ".json")
		if err == nil {
			err = json.Unmarshal(b, &m)
		}
		if err != nil { // the files are part of the program: a test reads them all
			panic(fmt.Sprintf("texts: read %s.json: %v", lang, err))
		}
		all[lang] = m
	}
	return all
}

// Args are what a sentence may name.
type Args map[string]string

// Say gives the sentence of the key, such as "state.fiscal", in the language. An
// unknown language is Azerbaijani; of an unknown key the key itself is given,
// so that nothing is ever hidden.
func Say(lang, key string, args Args) string {
	m, ok := sentences[lang]
	if !ok {
		m = sentences[Languages[0]]
	}
	s, ok := m[key]
	if !ok {
		return key
	}
	return fill(s, args)
}

// Fault says what is wrong with a field.
func Fault(lang string, f receipt.Fault) string {
	detail := f.Detail
	switch f.Code {
	case receipt.CodeParentState:
		detail = word(lang, "label."+detail, detail)
	case receipt.CodeParentKind, receipt.CodeMisplaced:
		detail = word(lang, "kind."+detail, detail)
	}
	return Say(lang, "fault."+f.Code, Args{"detail": detail})
}

// Reason says why a receipt or a register does not go on.
func Reason(lang string, r receipt.Reason) string {
	return Say(lang, "reason."+r.Code, Args{"detail": r.Detail})
}

// Cause says what would help with a register. detail is its own words.
func Cause(lang string, c register.Cause, detail string) string {
	if c == register.CauseNone {
		c = register.Other
	}
	return Say(lang, "cause."+string(c), Args{"detail": detail})
}

// State says in one sentence what a state means for the cashier.
func State(lang string, s receipt.State) string { return Say(lang, "state."+string(s), nil) }

// Label names a state in a word or two.
func Label(lang string, s receipt.State) string { return Say(lang, "label."+string(s), nil) }

// Kind names a kind of receipt.
func Kind(lang string, k receipt.Kind) string { return Say(lang, "kind."+string(k), nil) }

// Link says how well the agent gets on with a register.
func Link(lang string, l register.Link) string { return Say(lang, "link."+string(l), nil) }

// OfPage gives what the staff page says by itself, by key; the rest it is told in
// the answers of the API.
func OfPage(lang string) map[string]string {
	return groups(lang, "page", "kind", "link", "act", "proof", "problem")
}

// OfSetup gives what the page of the first start says besides.
func OfSetup(lang string) map[string]string { return groups(lang, "setup") }

func groups(lang string, names ...string) map[string]string {
	m := map[string]string{}
	for key, s := range sentences[lang] {
		if group, _, _ := strings.Cut(key, "."); slices.Contains(names, group) {
			m[key] = s
		}
	}
	return m
}

// word gives the key's text, or otherwise where there is none.
func word(lang, key, otherwise string) string {
	if s := Say(lang, key, nil); s != key {
		return s
	}
	return otherwise
}

// fill puts the arguments in, and drops the bracketed parts that lack one.
func fill(s string, args Args) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(s, "[")
		text, _ := replace(before, args)
		out.WriteString(text)
		if !found {
			return out.String()
		}
		var part string
		part, s, _ = strings.Cut(rest, "]")
		if text, whole := replace(part, args); whole {
			out.WriteString(text)
		}
	}
}

// replace puts the arguments in; whole is false where one was empty.
func replace(s string, args Args) (text string, whole bool) {
	var out strings.Builder
	whole = true
	for {
		before, rest, found := strings.Cut(s, "{")
		out.WriteString(before)
		if !found {
			return out.String(), whole
		}
		var name string
		name, s, _ = strings.Cut(rest, "}")
		out.WriteString(args[name])
		whole = whole && args[name] != ""
	}
}

// matchers has one for each default: what nobody asked for must come first.
var matchers = func() map[string]language.Matcher {
	m := map[string]language.Matcher{}
	for _, first := range Languages {
		tags := []language.Tag{language.MustParse(first)}
		for _, l := range Languages {
			if l != first {
				tags = append(tags, language.MustParse(l))
			}
		}
		m[first] = language.NewMatcher(tags)
	}
	return m
}()

// Match chooses the language for an Accept-Language header, and the default
// where it asks for none of ours.
func Match(accept, otherwise string) string {
	m, ok := matchers[otherwise]
	if !ok {
		otherwise = Languages[0]
		m = matchers[otherwise]
	}
	if accept == "" || len(accept) > 1000 {
		return otherwise
	}
	tags, _, err := language.ParseAcceptLanguage(accept)
	if err != nil || len(tags) == 0 {
		return otherwise
	}
	tag, _, confidence := m.Match(tags...)
	if confidence == language.No {
		return otherwise
	}
	base, _ := tag.Base()
	return base.String()
}
