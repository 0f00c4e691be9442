package till

import (
	_ "embed"
	"net/http"
	"strings"
)

// OpenAPI is the document that describes the API, in YAML.
//
//go:embed openapi.yaml
var OpenAPI []byte

func (a *api) openapi(w http.ResponseWriter, _ *request) error {
	w.Header().Set("Content-Type", "application/yaml")
	extend(w)
	_, _ = w.Write(OpenAPI)
	return nil
}

// pointer is for people who open the address: browsers, which say that they want
// HTML, get the staff page.
func (a *api) pointer(w http.ResponseWriter, r *request) error {
	if a.Page != nil && strings.Contains(r.Header.Get("Accept"), "text/html") {
		a.Page.ServeHTTP(w, r.Request)
		return nil
	}
	here := map[string]string{"name": "ekassa-agent", "api": "/v1", "openapi": "/openapi.yaml", "docs": "/docs"}
	if a.Named != nil && a.Named() != "" {
		here["host"] = a.Named()
	}
	return reply(w, r, http.StatusOK, here)
}

type okBody struct {
	Status string `json:"status"`
}

func (a *api) healthz(w http.ResponseWriter, r *request) error {
	return reply(w, r, http.StatusOK, okBody{Status: "ok"})
}

// readyz says whether receipts can be taken.
func (a *api) readyz(w http.ResponseWriter, r *request) error {
	if err := a.Journal.Health(); err != nil {
		return &problem{code: problemNotReady, err: err}
	}
	return reply(w, r, http.StatusOK, okBody{Status: "ok"})
}
