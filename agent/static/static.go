// Package static gives browsers files that are part of the program, in the same
// way for each page of ours.
package static

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
)

// File is one that is served, with what tells a browser that it has it already.
type File struct {
	kind, tag string
	data      []byte
}

// New makes a file of a media type. The data must not change afterwards.
func New(kind string, data []byte) File {
	sum := sha256.Sum256(data)
	return File{kind, `"` + hex.EncodeToString(sum[:12]) + `"`, data}
}

// Serve answers with the file, under a content policy.
func (f File) Serve(w http.ResponseWriter, r *http.Request, policy string) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache") // asked for each time, sent when it is another
	h.Set("ETag", f.tag)
	if r.Header.Get("If-None-Match") == f.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(f.data)
}
