package agent

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestReady_SaysWhyNot(t *testing.T) {
	status, text := http.StatusOK, "ok"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			t.Errorf("asked for %s", r.URL)
		}
		w.WriteHeader(status)
		w.Write([]byte(text))
	}))
	defer server.Close()
	addr := server.Listener.Addr().String()
	if err := Ready(t.Context(), addr); err != nil {
		t.Error(err)
	}
	if err := Ready(t.Context(), strings.Replace(addr, "127.0.0.1", "0.0.0.0", 1)); err != nil {
		t.Error("on all networks:", err)
	}
	status, text = http.StatusServiceUnavailable, "the disk is full"
	if err := Ready(t.Context(), addr); err == nil || !strings.Contains(err.Error(), text) {
		t.Error(err)
	}
	server.Close()
	if err := Ready(t.Context(), addr); err == nil || !strings.Contains(err.Error(), "does it run?") {
		t.Error(err)
	}
}
