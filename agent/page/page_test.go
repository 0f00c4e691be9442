package page

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"ekassa/agent/setup"
	"ekassa/agent/texts"
)

func get(t *testing.T, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for n := 0; n < len(header); n += 2 {
		r.Header.Set(header[n], header[n+1])
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w
}

func TestThePageIsSmallAndLoadsNothingOfOthers(t *testing.T) {
	total := 0
	for path, kind := range map[string]string{
		"/": "text/html", "/page/base.js": "text/javascript", "/page/receipts.js": "text/javascript", "/page/shift.js": "text/javascript",
		"/page/app.js": "text/javascript", "/page/style.css": "text/css", "/page/icon.svg": "image/svg+xml", "/page/az.json": "application/json",
		"/page/setup.js": "text/javascript", "/page/setup-az.json": "application/json",
	} {
		w := get(t, path)
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) {
			t.Errorf("%s: %d, %s, want %s", path, w.Code, w.Header().Get("Content-Type"), kind)
		}
		if p := w.Header().Get("Content-Security-Policy"); !strings.Contains(p, "default-src 'none'") || strings.Contains(p, "unsafe") {
			t.Errorf("%s: policy %q", path, p)
		}
		total += w.Body.Len()
		if found := regexp.MustCompile(`(src|href|fetch\()=?["'(]+https?:`).FindString(w.Body.String()); found != "" {
			t.Errorf("%s loads from elsewhere: %s", path, found)
		}
		if again := get(t, path, "If-None-Match", w.Header().Get("ETag")); again.Code != http.StatusNotModified || again.Body.Len() > 0 {
			t.Errorf("%s is sent again although it is the same: %d", path, again.Code)
		}
	}
	if total > 100<<10 {
		t.Errorf("the page with one language is %d bytes, more than 100 KB", total)
	}
	if w := get(t, "/page/page.go"); w.Code != http.StatusNotFound {
		t.Errorf("a file that is none is answered with %d", w.Code)
	}
}

// TestEveryWordOfThePageIsInTheTexts reads the keys out of the program; those that
// it puts together it must have for every value, which package texts tests.
func TestEveryWordOfThePageIsInTheTexts(t *testing.T) {
	program := ""
	for _, m := range regexp.MustCompile(`<script src="([^"]+)"`).FindAllStringSubmatch(get(t, "/").Body.String(), -1) {
		program += get(t, m[1]).Body.String()
	}
	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`'((?:page|kind|link|act|proof|problem)\.[a-z_.]*)'`).FindAllStringSubmatch(program, -1) {
		used[m[1]] = true
	}
	// Buttons of a receipt name the rest of their key alone.
	for _, m := range regexp.MustCompile(`(?:button|asked)\('([a-z_]+)'`).FindAllStringSubmatch(program, -1) {
		used["page."+m[1]] = true
	}
	if len(used) < 60 {
		t.Fatalf("only %d keys were found in the program", len(used))
	}
	for _, lang := range texts.Languages {
		all := texts.OfPage(lang)
		for key := range used {
			if strings.HasSuffix(key, ".") || strings.HasSuffix(key, "_") { // the start of several
				found := false
				for k := range all {
					found = found || strings.HasPrefix(k, key)
				}
				if !found {
					t.Errorf("%s: no text begins with %s", lang, key)
				}
				continue
			}
			if all[key] == "" {
				t.Errorf("%s: no text %s", lang, key)
			}
		}
		for key := range all {
			started := false
			for u := range used {
				started = started || u == key || (strings.HasSuffix(u, ".") || strings.HasSuffix(u, "_")) && strings.HasPrefix(key, u)
			}
			if strings.HasPrefix(key, "page.") && !started {
				t.Errorf("%s: %s is used nowhere", lang, key)
			}
		}
	}
}

// TestEveryWordOfTheFirstStartIsInTheTexts does so for the program of the first start.
func TestEveryWordOfTheFirstStartIsInTheTexts(t *testing.T) {
	program := get(t, "/page/setup.js").Body.String()
	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?:text|numbered)\((?:real \? '([a-z_]+)' : )?'([a-z_]+)'`).FindAllStringSubmatch(program, -1) {
		used[m[1]], used[m[2]] = true, true
	}
	delete(used, "")
	if len(used) < 40 {
		t.Fatalf("only %d keys were found in the program", len(used))
	}
	for _, lang := range texts.Languages {
		all := texts.OfSetup(lang)
		for key := range used {
			found := all["setup."+key] != ""
			for k := range all {
				found = found || strings.HasSuffix(key, "_") && strings.HasPrefix(k, "setup."+key)
			}
			if !found {
				t.Errorf("%s: no text setup.%s", lang, key)
			}
		}
		for _, group := range [][]string{setup.Makers, setup.Taxes} {
			for _, name := range group {
				if all["setup.maker_"+name] == "" && all["setup.tax_"+name] == "" {
					t.Errorf("%s: %s has no name", lang, name)
				}
			}
		}
	}
}
