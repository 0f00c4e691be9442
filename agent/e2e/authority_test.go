package e2e

import (
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ekassa/agent/credential"
	"ekassa/cloud/authority"
	"ekassa/cloud/fleet"
	"ekassa/cloud/store"
)

// The agent's side of enrolment and renewal against the cloud's own.
func TestAuthority_EnrolsAndRenewsAnAgent(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.Context(), "sqlite", t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a, err := authority.Open(t.Context(), s, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	code := fleet.NewCode()
	if err := s.AddVenue(t.Context(), fleet.Venue{ID: "baku", CreatedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	err = s.AddEnrolment(t.Context(), fleet.Enrolment{Hash: fleet.HashCode(code), Venue: "baku", Agent: "baku-01-a", By: "leyla", ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	(&authority.Door{Authority: a, Broker: "mqtts://mqtt.example.com:8883"}).Register(mux)
	web := httptest.NewServer(mux)
	defer web.Close()

	dir := filepath.Join(t.TempDir(), "data")
	given, err := credential.Enroll(t.Context(), dir, web.URL, code, nil)
	if err != nil || given.Agent != "baku-01-a" || given.Broker != "mqtts://mqtt.example.com:8883" {
		t.Fatalf("%+v, %v", given, err)
	}
	if _, err := credential.Enroll(t.Context(), filepath.Join(t.TempDir(), "other"), web.URL, code, nil); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("a code is good twice: %v", err)
	}
	own := credential.In(dir)
	leaf := func() *x509.Certificate {
		t.Helper()
		c, err := own.TLS(given.Broker)
		if err != nil {
			t.Fatal(err)
		}
		cert := c.Certificates[0].Leaf
		if _, err := cert.Verify(x509.VerifyOptions{Roots: a.Pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
			t.Error(err)
		}
		if err := a.Check(t.Context(), cert); err != nil {
			t.Error(err)
		}
		return cert
	}
	first := leaf()
	for range 2 { // and with the renewed one again
		if err := own.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if second := leaf(); second.SerialNumber.Cmp(first.SerialNumber) == 0 {
		t.Error("it is the same certificate")
	}
}
