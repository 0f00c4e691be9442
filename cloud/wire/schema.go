package wire

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

//go:embed settings.schema.json
var settingsSchema []byte

// SettingsSchema returns the JSON Schema (draft 2020-12) of the settings, as
// it is published.
func SettingsSchema() []byte { return bytes.Clone(settingsSchema) }

// compiled is the schema, compiled when it is first needed: a program that only
// prints its help should not wait for it.
var compiled = sync.OnceValues(func() (*jsonschema.Schema, error) {
	const id = "urn:ekassa:settings:v1"
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(settingsSchema))
	if err != nil {
		return nil, fmt.Errorf("read the embedded settings schema: %w", err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for name, check := range formats {
		c.RegisterFormat(&jsonschema.Format{Name: name, Validate: func(v any) error {
			switch v := v.(type) {
			case string:
				return check(v)
			case json.Number:
				return check(string(v))
			}
			return nil // the wrong type has its own fault
		}})
	}
	if err := c.AddResource(id, doc); err != nil {
		return nil, fmt.Errorf("read the embedded settings schema: %w", err)
	}
	return c.Compile(id)
})

// checkSchema adds what the schema finds in the tree to the faults, and prunes
// the tree of it. The error is for a schema that cannot be used at all.
func checkSchema(object map[string]any, fs *faults) error {
	schema, err := compiled()
	if err != nil {
		return err
	}
	err = schema.Validate(object)
	if err == nil {
		return nil
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return fmt.Errorf("check settings against the schema: %w", err)
	}
	leaves := leavesOf(invalid, nil)
	// The formats explain themselves best, so they come first; only one fault
	// of a field is kept.
	slices.SortStableFunc(leaves, func(a, b *jsonschema.ValidationError) int { return rank(a) - rank(b) })
	for _, leaf := range leaves {
		explain(schema, object, leaf, fs)
	}
	for _, leaf := range leaves {
		switch k := leaf.ErrorKind.(type) {
		case *kind.AdditionalProperties:
			for _, key := range k.Properties {
				prune(object, append(slices.Clone(leaf.InstanceLocation), key))
			}
		case *kind.Required, *kind.DependentRequired: // nothing is there to be taken out
		default:
			prune(object, leaf.InstanceLocation)
		}
	}
	return nil
}

func leavesOf(e *jsonschema.ValidationError, leaves []*jsonschema.ValidationError) []*jsonschema.ValidationError {
	if len(e.Causes) == 0 {
		return append(leaves, e)
	}
	for _, cause := range e.Causes {
		leaves = leavesOf(cause, leaves)
	}
	return leaves
}

func rank(e *jsonschema.ValidationError) int {
	switch e.ErrorKind.(type) {
	case *kind.Type:
		return 0
	case *kind.Format:
		return 1
	default:
		return 2
	}
}

// explain says in people's words what one error of the schema means.
func explain(schema *jsonschema.Schema, object map[string]any, e *jsonschema.ValidationError, fs *faults) {
	at := locate(object, e.InstanceLocation)
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		for _, key := range k.Properties {
			known := strings.Join(keysAt(schema, e.InstanceLocation), ", ")
			fs.add(child(at, key), CodeUnknown, known, "is no setting; known here are "+known)
		}
	case *kind.Required:
		for _, key := range k.Missing {
			fs.add(child(at, key), CodeMissing, "", missing(key))
		}
	case *kind.DependentRequired:
		for _, key := range k.Missing {
			fs.add(child(at, key), CodeMissing, "", "is missing beside "+k.Prop+"; write both, or type alone")
		}
	case *kind.FalseSchema:
		fs.add(at, CodeConflict, "type", "stands beside type; write either type, or name and rate")
	case *kind.Type:
		fs.add(at, CodeType, forms[k.Want[0]], "found "+articled(k.Got)+"; write "+wanted[k.Want[0]])
	case *kind.Enum:
		fs.add(at, enumCode(k.Got), list(k.Want), "found "+show(k.Got)+"; write one of "+list(k.Want))
	case *kind.Format:
		fs.add(at, CodeValue, examples[k.Want], k.Err.Error())
	case *kind.MinLength:
		fs.add(at, CodeMissing, "", "is empty; write a value")
	case *kind.MaxLength:
		fs.add(at, CodeValue, fmt.Sprintf("≤ %d", k.Want), fmt.Sprintf("has %d characters; write at most %d", k.Got, k.Want))
	case *kind.MaxItems:
		fs.add(at, CodeValue, fmt.Sprintf("≤ %d", k.Want), fmt.Sprintf("has %d elements; write at most %d", k.Got, k.Want))
	default: // a pattern where our format let it pass, such as an odd zone in an IPv6 address
		fs.add(at, CodeValue, "", "does not have the form that the schema asks for; see its description there")
	}
}

var wanted = map[string]string{
	"boolean": "true or false",
	"string":  "text, in quotes",
	"array":   "a list",
	"object":  "an object",
}

// forms are the same as signs.
var forms = map[string]string{
	"boolean": "true, false",
	"string":  `"…"`,
	"array":   "[…]",
	"object":  "{…}",
}

func missing(key string) string {
	if key == "merchant_id" {
		return "is missing; write the merchant id that the register's operator has given (azsmart needs it)"
	}
	return "is missing; write it"
}

// articled names a type as the schema library calls it.
func articled(got string) string {
	switch got {
	case "null":
		return "null"
	case "string":
		return "text"
	case "boolean":
		return "a boolean"
	case "array":
		return "a list"
	case "object":
		return "an object"
	default:
		return "a number"
	}
}

func enumCode(got any) string {
	if _, ok := got.(string); ok {
		return CodeValue
	}
	return CodeType
}

func show(v any) string {
	if s, ok := v.(string); ok {
		return quote(s)
	}
	return kindOf(v)
}

func list(values []any) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = fmt.Sprint(v)
	}
	return strings.Join(words, ", ")
}

// keysAt returns the names of the settings at a location, sorted.
func keysAt(schema *jsonschema.Schema, location []string) []string {
	for _, step := range location {
		next := schema.Properties[step]
		if next == nil {
			next = schema.Items2020
		}
		if next == nil {
			return nil
		}
		schema = next
	}
	return slices.Sorted(maps.Keys(schema.Properties))
}
