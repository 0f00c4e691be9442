package credential

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ekassa/cloud/wire"
)

// authority is the cloud's: it signs what it is asked to, for one code.
type authority struct {
	t     *testing.T
	key   *ecdsa.PrivateKey
	cert  *x509.Certificate
	code  string
	name  string
	last  *x509.Certificate // that it gave
	given int
	mend  func(*wire.Enrolled)
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	self := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ekassa cloud"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, self, self, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{t: t, key: key, cert: cert, code: "code-1", name: "baku-0001"}
}

func (a *authority) pem(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request string
	switch r.URL.Path {
	case "/api/v1/enroll":
		var e wire.Enrolment
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			a.t.Error(err)
		}
		if e.Code != a.code {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"title":"no such code","detail":"it was used,\nor has expired"}`))
			return
		}
		a.code, request = "", e.Request
	case "/api/v1/renew":
		var e wire.Renewal
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			a.t.Error(err)
		}
		sum := sha256.Sum256([]byte(e.Request))
		if e.Agent != a.name || a.last != a.cert && e.Certificate != a.pem(a.last.Raw) || e.Certificate != a.pem(a.last.Raw) || !ecdsa.VerifyASN1(a.last.PublicKey.(*ecdsa.PublicKey), sum[:], e.Signature) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		request = e.Request
	default:
		a.t.Errorf("%s", r.URL)
	}
	block, _ := pem.Decode([]byte(request))
	asked, err := x509.ParseCertificateRequest(block.Bytes)
	if err == nil {
		err = asked.CheckSignature()
	}
	if err != nil {
		a.t.Error(err)
		return
	}
	a.given++
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(int64(1 + a.given)), Subject: pkix.Name{CommonName: a.name},
		NotBefore: time.Now(), NotAfter: time.Now().Add(90 * 24 * time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, a.cert, asked.PublicKey, a.key)
	if err != nil {
		a.t.Error(err)
	}
	if a.last, err = x509.ParseCertificate(der); err != nil {
		a.t.Error(err)
	}
	e := wire.Enrolled{Agent: a.name, Broker: "mqtts://localhost:8883", Certificate: a.pem(der), Authority: a.pem(a.cert.Raw)}
	if a.mend != nil {
		a.mend(&e)
	}
	_ = json.NewEncoder(w).Encode(e)
}

func TestEnroll_MakesAKeyThatStaysHere(t *testing.T) {
	a := newAuthority(t)
	web := httptest.NewTLSServer(a)
	defer web.Close()
	roots := []byte(a.pem(web.Certificate().Raw))
	dir := filepath.Join(t.TempDir(), "data")
	got, err := Enroll(t.Context(), dir, web.URL+"/", "code-1", roots)
	if err != nil || got.Agent != "baku-0001" || got.Broker != "mqtts://localhost:8883" {
		t.Fatalf("%+v, %v", got, err)
	}
	if info, err := os.Stat(filepath.Join(dir, fileName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	c := In(dir)
	if n, err := c.Days(time.Now()); n != 89 || err != nil {
		t.Errorf("%d days, %v", n, err)
	}
	if n, err := c.Days(time.Now().Add(91 * 24 * time.Hour)); n != -2 || err != nil {
		t.Errorf("%d days, %v", n, err)
	}
	// A broker that asks for the agent's certificate gets it, and no other's name.
	config, err := c.TLS(got.Broker)
	if err != nil || config.ServerName != "localhost" || config.MinVersion != tls.VersionTLS12 {
		t.Fatalf("%+v, %v", config, err)
	}
	if _, err := config.Certificates[0].Leaf.Verify(x509.VerifyOptions{Roots: config.RootCAs, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	before := config.Certificates[0].Leaf
	if err := c.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if config, err = c.TLS(got.Broker); err != nil || config.Certificates[0].Leaf.SerialNumber.Cmp(before.SerialNumber) == 0 ||
		before.PublicKey.(*ecdsa.PublicKey).Equal(config.Certificates[0].Leaf.PublicKey) {
		t.Errorf("not renewed: %v", err)
	}
}

func TestEnroll_RefusesWhatItCannotTrust(t *testing.T) {
	a := newAuthority(t)
	web := httptest.NewTLSServer(a)
	defer web.Close()
	roots := []byte(a.pem(web.Certificate().Raw))
	stranger := newAuthority(t)
	for name, x := range map[string]struct {
		url, code string
		roots     []byte
		mend      func(*wire.Enrolled)
		want      string
	}{
		"a used code":            {web.URL, "other", roots, nil, "no such code it was used, or has expired"},
		"a stranger's server":    {web.URL, "code-1", nil, nil, "certificate"},
		"http on the internet":   {"http://cloud.example.com", "code-1", nil, nil, "not https"},
		"a password in the URL":  {"https://a:b@localhost", "code-1", nil, nil, "no URL"},
		"no URL":                 {"cloud", "code-1", nil, nil, "no URL"},
		"another's certificate":  {web.URL, "code-1", roots, func(e *wire.Enrolled) { e.Certificate = stranger.pem(stranger.cert.Raw) }, "do not belong together"},
		"another agent's name":   {web.URL, "code-1", roots, func(e *wire.Enrolled) { e.Agent = "baku-0002" }, "not agent"},
		"without an authority":   {web.URL, "code-1", roots, func(e *wire.Enrolled) { e.Authority = "" }, "no authority"},
		"an authority like text": {web.URL, "code-1", []byte("x"), nil, "no certificate in"},
	} {
		a.code, a.mend = "code-1", x.mend
		dir := filepath.Join(t.TempDir(), "data")
		_, err := Enroll(t.Context(), dir, x.url, x.code, x.roots)
		if err == nil || !strings.Contains(err.Error(), x.want) || strings.Contains(err.Error(), "code-1") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := In(dir).TLS("mqtts://localhost:1"); !errors.Is(err, ErrNone) {
			t.Errorf("%s: something was kept: %v", name, err)
		}
	}
}

func TestRenew_ARefusalLeavesThePresentOne(t *testing.T) {
	a := newAuthority(t)
	web := httptest.NewServer(a) // in the shop's own network
	defer web.Close()
	dir := filepath.Join(t.TempDir(), "data")
	if _, err := Enroll(t.Context(), dir, web.URL, "code-1", nil); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	a.last = a.cert // it knows another key
	if err := In(dir).Renew(t.Context()); err == nil || !strings.Contains(err.Error(), "401") {
		t.Error(err)
	}
	if after, err := os.ReadFile(filepath.Join(dir, fileName)); err != nil || string(after) != string(before) {
		t.Error("the present certificate was changed", err)
	}
}

func TestKeep_WaitsForTwoThirds(t *testing.T) {
	a := newAuthority(t)
	web := httptest.NewServer(a)
	dir := filepath.Join(t.TempDir(), "data")
	if _, err := Enroll(t.Context(), dir, web.URL, "code-1", nil); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	web.Close() // no network in the bubble: what is asked for fails, and shows when
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		start, log := time.Now(), &strings.Builder{}
		now := func() time.Time { return began.Add(time.Since(start)) }
		go In(dir).Keep(ctx, now, slog.New(slog.NewTextHandler(log, nil)))
		time.Sleep(59 * 24 * time.Hour)
		synctest.Wait()
		if log.Len() > 0 {
			t.Errorf("too early: %s", log)
		}
		cancel()
		synctest.Wait()
	})
}
