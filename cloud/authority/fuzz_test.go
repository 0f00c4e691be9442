package authority_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	"ekassa/cloud/authority"
)

// FuzzDoor: nobody is given anything for nonsense, and nothing breaks of it.
func FuzzDoor(f *testing.F) {
	c := newCloud(f)
	code, key := c.code("baku-1"), newKey(f)
	_, present, err := c.own.Enrol(f.Context(), code, request(f, key))
	c.must(err)
	f.Add(true, []byte(`{"code":"KHZ4-9TQW-2MBC","request":"-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n"}`))
	f.Add(false, []byte(`{"agent":"baku-1","certificate":"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n","request":"","signature":"AA=="}`))
	f.Add(false, []byte(`{"agent":"baku-1","certificate":`+quoted(string(present))+`,"request":`+quoted(request(f, key))+`,"signature":"AAAA"}`))
	f.Fuzz(func(t *testing.T, enroll bool, body []byte) {
		mux := http.NewServeMux()
		(&authority.Door{Authority: c.own, Broker: "mqtts://b:8883"}).Register(mux)
		path := "/api/v1/renew"
		if enroll {
			path = "/api/v1/enroll"
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("POST", path, bytes.NewReader(body)))
		if w.Code != 400 && w.Code != 403 && w.Code != 422 || bytes.Contains(w.Body.Bytes(), []byte("BEGIN")) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}
