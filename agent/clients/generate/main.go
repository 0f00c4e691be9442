// Command generate writes the clients for makers of tills from the API document:
// types and methods are the document's, and how to repeat stands in the templates
// beside it. Run it by scripts/clients.
package main

import (
	"bytes"
	"embed"
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"ekassa/agent/openapi"
)

//go:embed *.tmpl
var templates embed.FS

// calls are what a till needs; the rest of the document is for people's pages and
// for machines.
var calls = []string{
	"postReceipt", "listReceipts", "getReceipt", "getReceiptDetails", "retryReceipt", "withdrawReceipt", "fiscaliseReceipt", "resolveReceipt",
	"reprintReceipt", "printReceiptSlip",
	"depositCash", "withdrawCash", "listCash", "getCash", "getCashDetails", "retryCash", "takeBackCash", "resolveCash",
	"getStatus", "getShift", "openShift", "closeShift", "xReport", "periodReport", "listReports",
	"getEvents",
}

func main() {
	if err := run("agent/till/openapi.yaml", "agent/clients"); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(document, folder string) error {
	data, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	files, err := generate(data)
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generate gives the clients' files by name.
func generate(document []byte) (map[string][]byte, error) {
	doc, err := openapi.Read(document)
	if err != nil {
		return nil, err
	}
	g := &generator{doc: doc, seen: map[string]bool{}}
	api, err := g.api()
	if err != nil {
		return nil, err
	}
	t, err := template.New("").Funcs(template.FuncMap{
		"title": title, "comment": comment, "goType": goType, "tag": tag, "tsType": tsType, "tsKey": tsKey, "join": strings.Join, "line": line,
	}).ParseFS(templates, "*.tmpl")
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, name := range []string{"ekassa.go", "ekassa.mjs", "ekassa.d.mts"} {
		var b bytes.Buffer
		if err := t.ExecuteTemplate(&b, name+".tmpl", api); err != nil {
			return nil, err
		}
		files[name] = b.Bytes()
	}
	if files["ekassa.go"], err = format.Source(files["ekassa.go"]); err != nil {
		return nil, fmt.Errorf("the Go client is not Go: %w", err)
	}
	return files, nil
}

// api is what the templates are given.
type api struct {
	Calls   []call
	Types   []named
	Always  map[string][]string // by type of answer: fields without which it is none of ours
	Problem string              // the pattern of our problems' types
}

// call is one operation.
type call struct {
	openapi.Operation
	Path    []string // the pieces around the id
	ByID    bool
	Query   bool
	Wait    bool    // it takes Prefer: wait
	Key     bool    // its body has an id of the till's own: it may be repeated
	Takes   string  // the type of the body
	Gives   string  // the type of the answer
	Filters []named // of the query
	Stream  []named // the kinds of event, where it gives no answer but a stream
}

// named is a type with a name, or a field.
type named struct {
	openapi.Schema
	Name     string
	Required bool
	Object   bool // the type that it names has fields
	Fields   []named
}

type generator struct {
	doc   *openapi.Doc
	seen  map[string]bool
	types []named
}

func (g *generator) api() (*api, error) {
	a := &api{Always: map[string][]string{}}
	for _, id := range calls {
		n := slices.IndexFunc(g.doc.Operations, func(o openapi.Operation) bool { return o.ID == id })
		if n < 0 {
			return nil, fmt.Errorf("the document has no operation %s", id)
		}
		c, err := g.call(g.doc.Operations[n], a.Always)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", id, err)
		}
		a.Calls = append(a.Calls, c)
	}
	problem, _ := g.doc.Schema("Problem")
	g.reach(problem, "Problem")
	for _, p := range problem.Properties {
		if p.Name == "type" {
			a.Problem = p.Schema.Pattern
		}
	}
	if a.Problem == "" {
		return nil, fmt.Errorf("the document does not say by what a problem of ours is known")
	}
	slices.SortFunc(g.types, func(a, b named) int { return strings.Compare(a.Name, b.Name) })
	a.Types = g.types
	return a, nil
}

func (g *generator) call(o openapi.Operation, always map[string][]string) (call, error) {
	before, after, byID := strings.Cut(o.Path, "{id}")
	c := call{Operation: o, Path: []string{before, after}, ByID: byID}
	for _, p := range o.Parameters {
		switch {
		case p.In == "query":
			c.Query = true
			s := p.Schema
			s.Description = p.Description
			c.Filters = append(c.Filters, named{Schema: s, Name: p.Name})
		case p.Name == "Prefer":
			c.Wait = true
		case p.Name == "Last-Event-ID": // every stream's
		case p.In != "path":
			return c, fmt.Errorf("no client can give it the parameter %s", p.Name)
		}
	}
	if o.Body != nil {
		c.Takes = g.reach(o.Body.Schema, title(o.ID)+"Body").Name
		c.Key = slices.Contains(g.required(o.Body.Schema), "id")
	}
	for _, r := range o.Responses {
		if r.Status == "200" && len(r.Bodies) == 1 && len(r.Bodies[0].Events) > 0 {
			for _, e := range r.Bodies[0].Events {
				c.Stream = append(c.Stream, named{Schema: g.reach(e.Schema, title(o.ID)+title(e.Name)), Name: e.Name, Object: true})
			}
			return c, nil
		}
		if r.Status != "200" || len(r.Bodies) != 1 || r.Bodies[0].Type != "application/json" {
			continue
		}
		c.Gives = g.reach(r.Bodies[0].Schema, title(o.ID)+"Answer").Name
		always[c.Gives] = g.required(r.Bodies[0].Schema)
	}
	if len(always[c.Gives]) == 0 {
		return c, fmt.Errorf("it has no answer that is known by its fields")
	}
	return c, nil
}

// required gives the names of the fields that must be there.
func (g *generator) required(s openapi.Schema) (names []string) {
	if s.Reference {
		s, _ = g.doc.Schema(s.Name)
	}
	for _, part := range s.AllOf {
		names = append(names, g.required(part)...)
	}
	for _, p := range s.Properties {
		if p.Required {
			names = append(names, p.Name)
		}
	}
	return names
}

// object tells whether a schema names a type with fields.
func (g *generator) object(s openapi.Schema) bool {
	return slices.ContainsFunc(g.types, func(t named) bool { return t.Name == s.Name && len(t.Fields) > 0 })
}

// reach gives every object a name, and notes each type that it leads to. What it
// gives back names that type, or is a plain value.
func (g *generator) reach(s openapi.Schema, name string) openapi.Schema {
	if one := append(slices.Clone(s.AllOf), s.OneOf...); len(one) == 1 && one[0].Reference || len(one) == 1 && len(one[0].Properties) > 0 {
		x := g.reach(one[0], name)
		x.Nullable, x.Description = s.Nullable, s.Description
		return x
	}
	if s.Reference {
		name = s.Name
		of, _ := g.doc.Schema(name)
		g.note(of, name)
		return s
	}
	switch {
	case s.Items != nil:
		items := g.reach(*s.Items, name+"Item")
		s.Items = &items
	case len(s.Properties) > 0 || len(s.AllOf) > 0:
		g.note(s, name)
		return openapi.Schema{Name: name, Reference: true, Nullable: s.Nullable, Description: s.Description}
	}
	return s
}

func (g *generator) note(s openapi.Schema, name string) {
	if g.seen[name] {
		return
	}
	g.seen[name] = true
	n := named{Schema: s, Name: name}
	for _, part := range s.AllOf {
		if part.Reference {
			g.reach(part, name)
			n.Fields = append(n.Fields, named{Schema: part}) // without a name: its fields are ours
		}
		s.Properties = append(s.Properties, part.Properties...)
	}
	for _, p := range s.Properties {
		of := g.reach(p.Schema, name+title(p.Name))
		n.Fields = append(n.Fields, named{Schema: of, Name: p.Name, Required: p.Required, Object: g.object(of)})
	}
	g.types = append(g.types, n)
}
