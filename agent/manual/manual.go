// Package manual is what makers of tills read, served by the agent without
// internet: the API document as a page, the guide, and every code. It is made
// of the same files that lie in the source.
package manual

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"sync"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"

	"ekassa/agent/openapi"
	"ekassa/agent/static"
)

//go:embed GUIDE.md ERRORS.md files
var files embed.FS

// policy: no script at all, and nothing of others.
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the pages at /docs and below it. They are made of the API
// document when the first is asked for: most agents never are.
func Handler(api []byte) http.Handler {
	pages := sync.OnceValues(func() (map[string]static.File, error) { return render(api) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		all, err := pages()
		if err != nil { // all of it is part of the program, and tests read it
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		p, ok := all[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		p.Serve(w, r, policy)
	})
}

// render makes all pages, by path.
func render(api []byte) (map[string]static.File, error) {
	doc, err := openapi.Read(api)
	if err != nil {
		return nil, err
	}
	t, err := template.New("").Funcs(template.FuncMap{
		"text": text, "line": line, "kind": kind, "anchor": anchor, "ok": func(status string) bool { return status < "3" },
		"class": func(o openapi.Operation) string { return strings.ToLower(o.Method) },
	}).ParseFS(files, "files/*.html")
	if err != nil {
		return nil, fmt.Errorf("make the manual: %w", err)
	}
	pages := map[string]static.File{}
	add := func(path, kind string, data []byte) { pages[path] = static.New(kind, data) }
	fill := func(path, name string, v any) error {
		var b bytes.Buffer
		if err := t.ExecuteTemplate(&b, name, v); err != nil {
			return fmt.Errorf("make the manual's %s: %w", name, err)
		}
		add(path, "text/html; charset=utf-8", b.Bytes())
		return nil
	}
	for path, name := range map[string]string{"/docs/guide": "GUIDE.md", "/docs/errors": "ERRORS.md"} {
		source, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("make the manual: %w", err)
		}
		title, _, _ := strings.Cut(strings.TrimPrefix(string(source), "# "), "\n")
		body, err := markdown(string(source))
		if err != nil {
			return nil, err
		}
		if err := fill(path, "page.html", map[string]any{"Path": path, "Title": title, "Body": body}); err != nil {
			return nil, err
		}
	}
	if err := fill("/docs", "api.html", map[string]any{"Path": "/docs", "Title": doc.Title, "Doc": doc}); err != nil {
		return nil, err
	}
	style, err := files.ReadFile("files/style.css")
	if err != nil {
		return nil, fmt.Errorf("make the manual: %w", err)
	}
	add("/docs/style.css", "text/css; charset=utf-8", style)
	return pages, nil
}

// links are how the files of the source are called here.
var links = strings.NewReplacer("(ERRORS.md)", "(/docs/errors)", "(GUIDE.md)", "(/docs/guide)")

var writer = goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithParserOptions(parser.WithAutoHeadingID()))

// markdown makes HTML; HTML within it is left out.
func markdown(source string) (template.HTML, error) {
	var b bytes.Buffer
	if err := writer.Convert([]byte(links.Replace(source)), &b); err != nil {
		return "", fmt.Errorf("make the manual: %w", err)
	}
	return template.HTML(wrapTables(b.String())), nil //nolint:gosec // of our own files, and goldmark escapes
}

// wrapTables lets a wide table scroll by itself on a narrow screen.
func wrapTables(html string) string {
	return strings.NewReplacer("<table>", `<div class="wide" tabindex="0"><table>`, "</table>", "</table></div>").Replace(html)
}

// text is a description, line one that stands within a line.
func text(s string) (template.HTML, error) { return markdown(s) }

func line(s string) (template.HTML, error) {
	html, err := markdown(s)
	if trimmed, ok := strings.CutPrefix(strings.TrimSpace(string(html)), "<p>"); ok && strings.Count(string(html), "<p>") == 1 {
		return template.HTML(strings.TrimSuffix(trimmed, "</p>")), err //nolint:gosec // as above
	}
	return html, err
}

func anchor(name string) string { return "schema-" + name }

// kind says in words what a value is; a component is linked.
func kind(s openapi.Schema) template.HTML {
	link := func(s openapi.Schema) string {
		name := template.HTMLEscapeString(s.Name)
		return `<a href="#` + anchor(name) + `">` + name + `</a>`
	}
	words := ""
	switch {
	case s.Reference:
		words = link(s)
	case s.Type == "array" && s.Items != nil:
		words = "list of " + string(kind(*s.Items))
	case len(s.OneOf) > 0:
		var parts []string
		for _, x := range s.OneOf {
			parts = append(parts, string(kind(x)))
		}
		words = strings.Join(parts, " or ")
	default:
		words = template.HTMLEscapeString(cmp.Or(s.Format, s.Type, "object"))
	}
	if s.Nullable {
		words += " or null"
	}
	return template.HTML(words) //nolint:gosec // escaped above
}
