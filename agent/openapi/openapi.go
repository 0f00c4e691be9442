// Package openapi reads as much of an OpenAPI 3.1 document as it takes to show
// it to people and to write a client from it. It judges nothing: that the
// document is right, and true of the program, is what tests hold with a library
// made for it.
package openapi

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// Doc is a document, everything in the order in which it stands there.
type Doc struct {
	Title, Version, Summary, Description string

	Tags       []Tag
	Operations []Operation
	Schemas    []Schema // of components, by Name
}

// Tag groups operations.
type Tag struct{ Name, Description string }

// Operation is one method of one path.
type Operation struct {
	ID, Method, Path     string
	Tag                  string
	Summary, Description string
	Open                 bool // without a token or session
	Parameters           []Parameter
	Body                 *Body
	Responses            []Response
}

// Parameter is of the path, the query or a header.
type Parameter struct {
	Name, In, Description string
	Required              bool
	Schema                Schema
	Example               string
}

// Body is of a request or an answer.
type Body struct {
	Description, Type string // Type is the media type
	Required          bool
	Schema            Schema
	Events            []Event // of a stream
	Examples          []Example
}

// Event is one kind of a stream's, with what its data are (x-events).
type Event struct {
	Name   string
	Schema Schema
}

// Example is a value, as JSON.
type Example struct{ Name, JSON string }

// Response is an answer.
type Response struct {
	Status, Description string
	Headers             []string
	Bodies              []Body
}

// Schema describes a value.
type Schema struct {
	Name        string // of a component; the rest is empty where it only names one
	Reference   bool   // it names a component
	Description string
	Type        string // empty: see AllOf, OneOf, or anything
	Nullable    bool
	Format      string
	Pattern     string
	Limits      string // in words: length, number, size
	Default     string
	Example     string
	Enum        []string
	Items       *Schema
	Properties  []Property
	Closed      bool // no further properties
	AllOf       []Schema
	OneOf       []Schema // without null
}

// Property of an object.
type Property struct {
	Name     string
	Required bool
	Schema   Schema
}

// Schema gives a component.
func (d *Doc) Schema(name string) (Schema, bool) {
	for _, s := range d.Schemas {
		if s.Name == name {
			return s, true
		}
	}
	return Schema{}, false
}

// Of gives the operations of a tag.
func (d *Doc) Of(tag string) (list []Operation) {
	for _, o := range d.Operations {
		if o.Tag == tag {
			list = append(list, o)
		}
	}
	return list
}

// Read reads a document in YAML.
func Read(data []byte) (doc *Doc, err error) {
	var root any
	if err := yaml.UnmarshalWithOptions(data, &root, yaml.UseOrderedMap()); err != nil {
		return nil, fmt.Errorf("read the API document: %w", err)
	}
	r := &reader{root: node{root}}
	info := r.root.get("info")
	doc = &Doc{
		Title: info.text("title"), Version: info.text("version"), Summary: info.text("summary"), Description: info.text("description"),
	}
	for _, t := range r.root.get("tags").list() {
		doc.Tags = append(doc.Tags, Tag{t.text("name"), t.text("description")})
	}
	for _, p := range r.root.get("paths").pairs() {
		for _, m := range p.value.pairs() {
			switch m.key {
			case "get", "post", "put", "delete", "patch":
				doc.Operations = append(doc.Operations, r.operation(p.key, m.key, p.value, m.value))
			}
		}
	}
	for _, s := range r.root.get("components").get("schemas").pairs() {
		x := r.schema(s.value)
		x.Name = s.key
		doc.Schemas = append(doc.Schemas, x)
	}
	if r.missing != "" {
		return nil, fmt.Errorf("read the API document: nothing stands at %s", r.missing)
	}
	return doc, nil
}

type reader struct {
	root    node
	missing string // the first reference that leads nowhere
}

// follow gives what a reference names, and anything else as it is.
func (r *reader) follow(n node) node {
	for {
		ref := n.text("$ref")
		if ref == "" {
			return n
		}
		to := r.root
		for _, part := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
			to = to.get(part)
		}
		if to.v == nil {
			if r.missing == "" {
				r.missing = ref
			}
			return to
		}
		n = to
	}
}

func (r *reader) operation(path, method string, of, n node) Operation {
	o := Operation{
		ID: n.text("operationId"), Method: strings.ToUpper(method), Path: path,
		Summary: n.text("summary"), Description: n.text("description"),
		Open: n.has("security") && len(n.get("security").list()) == 0,
	}
	if tags := n.get("tags").list(); len(tags) > 0 {
		o.Tag = tags[0].string()
	}
	for _, p := range append(of.get("parameters").list(), n.get("parameters").list()...) {
		p = r.follow(p)
		o.Parameters = append(o.Parameters, Parameter{
			Name: p.text("name"), In: p.text("in"), Description: p.text("description"), Required: p.text("required") == "true",
			Schema: r.schema(p.get("schema")), Example: p.text("example"),
		})
	}
	if n.has("requestBody") {
		b := r.follow(n.get("requestBody"))
		for _, body := range r.bodies(b) {
			body.Description, body.Required = b.text("description"), b.text("required") == "true"
			o.Body = &body
		}
	}
	for _, a := range n.get("responses").pairs() {
		v := r.follow(a.value)
		x := Response{Status: a.key, Description: v.text("description"), Bodies: r.bodies(v)}
		for _, h := range v.get("headers").pairs() {
			x.Headers = append(x.Headers, h.key)
		}
		o.Responses = append(o.Responses, x)
	}
	return o
}

func (r *reader) bodies(n node) (list []Body) {
	for _, c := range n.get("content").pairs() {
		b := Body{Type: c.key, Schema: r.schema(c.value.get("schema"))}
		for _, e := range c.value.get("x-events").pairs() {
			b.Events = append(b.Events, Event{e.key, r.schema(e.value)})
		}
		if c.value.has("example") {
			b.Examples = append(b.Examples, Example{"", c.value.get("example").json("")})
		}
		for _, e := range c.value.get("examples").pairs() {
			b.Examples = append(b.Examples, Example{e.key, r.follow(e.value).get("value").json("")})
		}
		list = append(list, b)
	}
	return list
}

func (r *reader) schema(n node) Schema {
	s := Schema{
		Description: n.text("description"), Format: n.text("format"), Pattern: n.text("pattern"), Default: n.text("default"),
	}
	if ref := n.text("$ref"); ref != "" {
		r.follow(n)
		s.Name, s.Reference = ref[strings.LastIndexByte(ref, '/')+1:], true
		return s
	}
	for _, t := range n.get("type").listOrOne() {
		if t.string() == "null" {
			s.Nullable = true
		} else {
			s.Type = t.string()
		}
	}
	for _, e := range n.get("enum").list() {
		if e.v != nil && e.string() != "" {
			s.Enum = append(s.Enum, e.string())
		}
	}
	if n.has("const") {
		s.Enum = []string{n.text("const")}
	}
	if e := n.get("examples").list(); len(e) > 0 {
		s.Example = e[0].string()
	}
	s.Limits = limits(n)
	required := map[string]bool{}
	for _, x := range n.get("required").list() {
		required[x.string()] = true
	}
	for _, p := range n.get("properties").pairs() {
		s.Properties = append(s.Properties, Property{p.key, required[p.key], r.schema(p.value)})
	}
	s.Closed = n.text("additionalProperties") == "false"
	if n.has("items") {
		items := r.schema(n.get("items"))
		s.Items = &items
	}
	for _, x := range n.get("allOf").list() {
		s.AllOf = append(s.AllOf, r.schema(x))
	}
	for _, x := range n.get("oneOf").list() {
		if x.text("type") == "null" {
			s.Nullable = true
			continue
		}
		s.OneOf = append(s.OneOf, r.schema(x))
	}
	return s
}

// limits puts what bounds a value into words.
func limits(n node) string {
	var words []string
	for _, l := range []struct{ key, words string }{
		{"minLength", "at least %s characters"}, {"maxLength", "at most %s characters"},
		{"minimum", "%s or more"}, {"maximum", "at most %s"}, {"exclusiveMinimum", "more than %s"},
		{"minItems", "at least %s"}, {"maxItems", "at most %s"},
	} {
		if v := n.text(l.key); v != "" {
			words = append(words, fmt.Sprintf(l.words, v))
		}
	}
	return strings.Join(words, ", ")
}

// node is a value of the document.
type node struct{ v any }

type pair struct {
	key   string
	value node
}

func (n node) get(key string) node {
	for _, p := range n.pairs() {
		if p.key == key {
			return p.value
		}
	}
	return node{}
}

func (n node) has(key string) bool {
	for _, p := range n.pairs() {
		if p.key == key {
			return true
		}
	}
	return false
}

func (n node) pairs() (list []pair) {
	m, _ := n.v.(yaml.MapSlice)
	for _, i := range m {
		list = append(list, pair{node{i.Key}.string(), node{i.Value}})
	}
	return list
}

func (n node) list() (list []node) {
	l, _ := n.v.([]any)
	for _, v := range l {
		list = append(list, node{v})
	}
	return list
}

func (n node) listOrOne() []node {
	if _, ok := n.v.([]any); ok || n.v == nil {
		return n.list()
	}
	return []node{n}
}

func (n node) text(key string) string { return n.get(key).string() }

// string gives a scalar as text, and nothing of what is none.
func (n node) string() string {
	switch v := n.v.(type) {
	case nil, yaml.MapSlice, []any:
		return ""
	case string:
		return strings.TrimSpace(v)
	default:
		return fmt.Sprint(v)
	}
}

// json writes the value as JSON for people: what is short on one line.
func (n node) json(indent string) string {
	open, end, parts := "", "", []string{}
	switch v := n.v.(type) {
	case yaml.MapSlice:
		open, end = "{", "}"
		for _, p := range n.pairs() {
			parts = append(parts, strconv.Quote(p.key)+": "+p.value.json(indent+"  "))
		}
	case []any:
		open, end = "[", "]"
		for _, x := range n.list() {
			parts = append(parts, x.json(indent+"  "))
		}
	case nil:
		return "null"
	case string:
		return strconv.Quote(v)
	default:
		return fmt.Sprint(v)
	}
	line := open + strings.Join(parts, ", ") + end
	if len(line) <= 72 && !strings.Contains(line, "\n") {
		return line
	}
	return open + "\n" + indent + "  " + strings.Join(parts, ",\n"+indent+"  ") + "\n" + indent + end
}
