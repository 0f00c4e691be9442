package main

import (
	"strings"

	"ekassa/agent/openapi"
)

// title writes a name of the document as Go exports it: fiscal_id is FiscalID.
func title(name string) string {
	var b strings.Builder
	for _, word := range strings.Split(name, "_") {
		switch word {
		case "id", "url", "qr":
			b.WriteString(strings.ToUpper(word))
		case "":
		default:
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}

// comment puts text behind the mark of a comment, line by line.
func comment(mark, text string) string {
	if text == "" {
		return ""
	}
	return mark + strings.ReplaceAll(text, "\n", "\n"+mark) + "\n"
}

// goType is a field's or an alias's type. Amounts and quantities are text, which
// alone is exact; what may be left out and has an own meaning then is a pointer.
func goType(n named) string {
	s := n.Schema
	switch {
	case s.Items != nil:
		return "[]" + goType(named{Schema: *s.Items, Required: true})
	case s.Reference:
		if s.Nullable || !n.Required && n.Object {
			return "*" + s.Name
		}
		return s.Name
	case s.Type == "integer":
		return "int64"
	case s.Type == "boolean" && !n.Required:
		return "*bool"
	case s.Type == "boolean":
		return "bool"
	}
	return "string"
}

// tag is a Go field's: what a till leaves out is not sent.
func tag(n named) string {
	if n.Required {
		return "`json:\"" + n.Name + "\"`"
	}
	return "`json:\"" + n.Name + ",omitempty\"`"
}

// tsType is a TypeScript type.
func tsType(s openapi.Schema) (t string) {
	switch {
	case s.Items != nil:
		t = tsType(*s.Items)
		if strings.Contains(t, " ") {
			t = "(" + t + ")"
		}
		t += "[]"
	case s.Reference:
		t = s.Name
	case len(s.Enum) > 0:
		t = "'" + strings.Join(s.Enum, "' | '") + "'"
	case len(s.OneOf) > 0:
		parts := []string{}
		for _, x := range s.OneOf {
			parts = append(parts, tsType(x))
		}
		t = strings.Join(parts, " | ")
	case s.Type == "integer":
		t = "number"
	default:
		t = s.Type
	}
	if s.Nullable {
		t += " | null"
	}
	return t
}

// tsKey is a property's name, with the mark of what may be left out.
func tsKey(n named) string {
	if n.Required {
		return n.Name
	}
	return n.Name + "?"
}

// line puts text on one line.
func line(text string) string { return strings.Join(strings.Fields(text), " ") }

// Short tells whether the description goes behind the field.
func (n named) Short() bool {
	return n.Description != "" && len(n.Description) <= 72 && !strings.Contains(n.Description, "\n")
}
