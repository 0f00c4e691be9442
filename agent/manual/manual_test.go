package manual

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"ekassa/agent/openapi"
)

func get(t *testing.T, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	api, err := os.ReadFile("../till/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for n := 0; n < len(header); n += 2 {
		r.Header.Set(header[n], header[n+1])
	}
	w := httptest.NewRecorder()
	Handler(api).ServeHTTP(w, r)
	return w
}

func TestThePagesAreSmallAndLoadNothingOfOthers(t *testing.T) {
	for path, kind := range map[string]string{
		"/docs": "text/html", "/docs/guide": "text/html", "/docs/errors": "text/html", "/docs/style.css": "text/css",
	} {
		w := get(t, path)
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) {
			t.Errorf("%s: %d, %s, want %s", path, w.Code, w.Header().Get("Content-Type"), kind)
		}
		if p := w.Header().Get("Content-Security-Policy"); !strings.Contains(p, "default-src 'none'") || strings.Contains(p, "unsafe") || strings.Contains(p, "script") {
			t.Errorf("%s: policy %q", path, p)
		}
		if n := w.Body.Len(); n > 300<<10 {
			t.Errorf("%s has %d bytes", path, n)
		}
		if found := regexp.MustCompile(`<script|(src|href|url\()=?["'(]+https?:`).FindString(w.Body.String()); found != "" {
			t.Errorf("%s has %s", path, found)
		}
		if again := get(t, path, "If-None-Match", w.Header().Get("ETag")); again.Code != http.StatusNotModified || again.Body.Len() > 0 {
			t.Errorf("%s is sent again although it is the same: %d", path, again.Code)
		}
	}
	if w := get(t, "/docs/GUIDE.md"); w.Code != http.StatusNotFound {
		t.Errorf("what is no page is answered with %d", w.Code)
	}
}

// TestNothingOfTheDocumentIsLeftOut: each operation, parameter, answer, schema and
// field is on the page, and each link within the pages leads somewhere.
func TestNothingOfTheDocumentIsLeftOut(t *testing.T) {
	api, err := os.ReadFile("../till/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi.Read(api)
	if err != nil {
		t.Fatal(err)
	}
	page := get(t, "/docs").Body.String()
	for _, o := range doc.Operations {
		begin := strings.Index(page, `<div id="`+o.ID+`"`)
		if begin < 0 {
			t.Errorf("%s is missing", o.ID)
			continue
		}
		part := page[begin : begin+strings.Index(page[begin:], "</details>")]
		for _, x := range o.Parameters {
			if !strings.Contains(part, "<code>"+x.Name+"</code>") {
				t.Errorf("%s: the parameter %s is missing", o.ID, x.Name)
			}
		}
		for _, x := range o.Responses {
			if !strings.Contains(part, ">"+x.Status+"</b>") {
				t.Errorf("%s: the answer %s is missing", o.ID, x.Status)
			}
		}
	}
	for _, s := range doc.Schemas {
		begin := strings.Index(page, `id="schema-`+s.Name+`"`)
		if begin < 0 {
			t.Errorf("%s is missing", s.Name)
			continue
		}
		part := page[begin : begin+strings.Index(page[begin:], "</details>")]
		for _, p := range s.Properties {
			if !strings.Contains(part, "<code>"+p.Name+"</code>") {
				t.Errorf("%s: the field %s is missing", s.Name, p.Name)
			}
		}
	}
	for _, path := range []string{"/docs", "/docs/guide", "/docs/errors"} {
		page := get(t, path).Body.String()
		for _, m := range regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(page, -1) {
			to, fragment, _ := strings.Cut(m[1], "#")
			switch {
			case to == "" && strings.Contains(page, `id="`+fragment+`"`):
			case to == "/openapi.yaml", to == "/page/icon.svg": // of others
			case to != "" && get(t, to).Code == http.StatusOK:
			default:
				t.Errorf("%s: the link %s leads nowhere", path, m[1])
			}
		}
	}
}
