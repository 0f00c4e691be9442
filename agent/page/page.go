// Package page is what staff see in a browser: files that need no build step, no
// network but the agent, and nothing of anybody else's. They are served as they
// lie here, with the sentences of package texts; all else comes from the till's
// API (package till), to which a person signs in.
package page

import (
	"embed"
	"encoding/json"
	"io/fs"
	"mime"
	"net/http"
	"path"

	"ekassa/agent/static"
	"ekassa/agent/texts"
)

//go:embed files
var embedded embed.FS

// policy lets the page load what is ours and nothing else, and nobody frame it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the page at / and its files below /page/. It panics where one of
// them cannot be read: they are part of the program.
func Handler() http.Handler {
	files := map[string]static.File{}
	add := func(name string, data []byte) {
		files["/page/"+name] = static.New(mime.TypeByExtension(path.Ext(name)), data)
	}
	list, err := fs.ReadDir(embedded, "files")
	if err != nil {
		panic(err)
	}
	for _, e := range list {
		data, err := embedded.ReadFile("files/" + e.Name())
		if err != nil {
			panic(err)
		}
		add(e.Name(), data)
	}
	for _, lang := range texts.Languages {
		for name, all := range map[string]map[string]string{lang: texts.OfPage(lang), "setup-" + lang: texts.OfSetup(lang)} {
			data, err := json.Marshal(all)
			if err != nil {
				panic(err)
			}
			add(name+".json", data)
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Path
		if name == "/" {
			name = "/page/index.html"
		}
		f, ok := files[name]
		if !ok {
			http.NotFound(w, r)
			return
		}
		f.Serve(w, r, policy)
	})
}
