package authority_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ekassa/cloud/authority"
	"ekassa/cloud/fleet"
	"ekassa/cloud/store"
	"ekassa/cloud/wire"
)

type cloud struct {
	testing.TB
	store store.Store
	own   *authority.Authority
	now   time.Time
}

func newCloud(t testing.TB) *cloud {
	t.Helper()
	c := &cloud{TB: t, now: time.Now()}
	s, err := store.Open(t.Context(), "sqlite", t.TempDir(), func() time.Time { return c.now })
	c.must(err)
	t.Cleanup(func() { c.must(s.Close()) })
	c.store = s
	c.must(s.AddVenue(t.Context(), fleet.Venue{ID: "baku", CreatedAt: c.now}))
	c.own = c.open()
	return c
}

func (c *cloud) open() *authority.Authority {
	c.Helper()
	a, err := authority.Open(c.Context(), c.store, func() time.Time { return c.now }, slog.New(slog.DiscardHandler))
	c.must(err)
	return a
}

func (c *cloud) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *cloud) code(agent string) string {
	c.Helper()
	code := fleet.NewCode()
	c.must(c.store.AddEnrolment(c.Context(), fleet.Enrolment{Hash: fleet.HashCode(code), Venue: "baku", Agent: agent, By: "leyla", ExpiresAt: c.now.Add(time.Hour)}))
	return code
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func request(t testing.TB, key crypto.Signer) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func parse(t testing.TB, text []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("no PEM: %s", text)
		return nil
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func renewal(t testing.TB, agent string, present []byte, key, next *ecdsa.PrivateKey) wire.Renewal {
	t.Helper()
	r := wire.Renewal{Agent: agent, Certificate: string(present), Request: request(t, next)}
	sum := sha256.Sum256([]byte(r.Request))
	var err error
	if r.Signature, err = ecdsa.SignASN1(rand.Reader, key, sum[:]); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestEnrol_ACodeGivesOneCertificateInTheAgentsName(t *testing.T) {
	c := newCloud(t)
	code, key := c.code("baku-1"), newKey(t)
	if _, _, err := c.own.Enrol(t.Context(), fleet.NewCode(), request(t, key)); !errors.Is(err, fleet.ErrNotFound) {
		t.Errorf("another code: %v", err)
	}
	for name, asked := range map[string]string{"nothing": "", "a certificate": string(c.own.PEM()), "two": request(t, key) + request(t, key), "RSA": request(t, mustRSA(t)), "signed by another": forged(t, key)} {
		if _, _, err := c.own.Enrol(t.Context(), code, asked); !errors.Is(err, authority.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	agent, text, err := c.own.Enrol(t.Context(), strings.ToLower(code), request(t, key)) // what was wrong has spent no code
	if err != nil || agent != "baku-1" {
		t.Fatal(agent, err)
	}
	cert := parse(t, text)
	if cert.Subject.CommonName != "baku-1" || cert.IsCA || !cert.NotAfter.After(c.now.Add(300*24*time.Hour)) || !cert.PublicKey.(*ecdsa.PublicKey).Equal(key.Public()) {
		t.Errorf("%+v", cert.Subject)
	}
	c.must(c.own.Check(t.Context(), cert))
	if _, _, err := c.own.Enrol(t.Context(), code, request(t, key)); !errors.Is(err, fleet.ErrSpent) {
		t.Errorf("a second time: %v", err)
	}
	// A new card: what the old one had is good no more.
	_, again, err := c.own.Enrol(t.Context(), c.code("baku-1"), request(t, newKey(t)))
	c.must(err)
	if err := c.own.Check(t.Context(), cert); !errors.Is(err, authority.ErrRefused) {
		t.Errorf("the old card's: %v", err)
	}
	c.must(c.own.Check(t.Context(), parse(t, again)))
	acts, err := c.store.Acts(t.Context(), store.Filter{})
	if err != nil || len(acts) != 2 || acts[0].Action != "agent.enroll" || acts[0].Object != "baku-1" {
		t.Errorf("%+v, %v", acts, err)
	}
}

func quoted(s string) string {
	data, _ := json.Marshal(s) // text always can
	return string(data)
}

func mustRSA(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// forged is a request whose signature is of something else.
func forged(t testing.TB, key crypto.Signer) string {
	t.Helper()
	block, _ := pem.Decode([]byte(request(t, key)))
	block.Bytes[len(block.Bytes)-1] ^= 1
	return string(pem.EncodeToMemory(block))
}

func TestRenew_TakesThePresentKeyOnly(t *testing.T) {
	c := newCloud(t)
	key, next := newKey(t), newKey(t)
	_, present, err := c.own.Enrol(t.Context(), c.code("baku-1"), request(t, key))
	c.must(err)
	_, other, err := c.own.Enrol(t.Context(), c.code("baku-2"), request(t, key))
	c.must(err)
	good := renewal(t, "baku-1", present, key, next)
	text, err := c.own.Renew(t.Context(), good)
	c.must(err)
	c.must(c.own.Check(t.Context(), parse(t, text)))
	c.must(c.own.Check(t.Context(), parse(t, present))) // both hold
	if parse(t, text).Subject.CommonName != "baku-1" {
		t.Error("another name")
	}

	foreign := newCloud(t)
	_, theirs, err := foreign.own.Enrol(t.Context(), foreign.code("baku-1"), request(t, key))
	c.must(err)
	unsigned, swapped := good, good
	unsigned.Signature = nil
	swapped.Request = request(t, newKey(t))
	for name, r := range map[string]wire.Renewal{
		"another key": renewal(t, "baku-1", present, next, next), "no signature": unsigned, "another request": swapped,
		"another agent": renewal(t, "baku-2", present, key, next), "another's certificate": renewal(t, "baku-1", other, key, next),
		"another cloud's": renewal(t, "baku-1", theirs, key, next), "the authority's": renewal(t, "baku-1", c.own.PEM(), key, next), "none": renewal(t, "baku-1", nil, key, next),
	} {
		if _, err := c.own.Renew(t.Context(), r); !errors.Is(err, authority.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c.must(c.store.Revoke(t.Context(), "baku-1", c.now))
	if _, err := c.own.Renew(t.Context(), good); !errors.Is(err, authority.ErrRefused) {
		t.Errorf("revoked: %v", err)
	}
	c.now = c.now.Add(400 * 24 * time.Hour)
	if _, err := c.own.Renew(t.Context(), renewal(t, "baku-2", other, key, next)); !errors.Is(err, authority.ErrRefused) {
		t.Errorf("ended: %v", err)
	}
}

func TestAuthority_IsTheSameAfterARestart(t *testing.T) {
	c := newCloud(t)
	if again := c.open(); !bytes.Equal(again.PEM(), c.own.PEM()) {
		t.Error("another authority")
	}
}

func TestAuthority_NoAgentIsCalledLikeTheCloud(t *testing.T) {
	c := newCloud(t)
	if wire.ValidAgent(authority.CloudName(1)) {
		t.Error("an agent could have the cloud's rights")
	}
	if _, err := c.own.Client("baku-1"); err == nil {
		t.Error("the cloud would have an agent's name")
	}
	made, err := c.own.Client(authority.CloudName(1))
	c.must(err)
	if err := c.own.Check(t.Context(), parse(t, made.Certificate)); !errors.Is(err, authority.ErrRefused) {
		t.Errorf("as an agent: %v", err)
	}
}

func TestRevocationList_HasWhatWasTakenBack(t *testing.T) {
	c := newCloud(t)
	_, text, err := c.own.Enrol(t.Context(), c.code("baku-1"), request(t, newKey(t)))
	c.must(err)
	_, _, err = c.own.Enrol(t.Context(), c.code("baku-2"), request(t, newKey(t)))
	c.must(err)
	c.must(c.store.Revoke(t.Context(), "baku-1", c.now))
	list, _, err := c.own.RevocationList(t.Context())
	c.must(err)
	block, _ := pem.Decode(list)
	crl, err := x509.ParseRevocationList(block.Bytes)
	c.must(err)
	c.must(crl.CheckSignatureFrom(parse(t, c.own.PEM())))
	if len(crl.RevokedCertificateEntries) != 1 || crl.RevokedCertificateEntries[0].SerialNumber.Cmp(parse(t, text).SerialNumber) != 0 || crl.NextUpdate.Before(c.now.AddDate(20, 0, 0)) {
		t.Errorf("%+v", crl)
	}
}

func TestListen_AgentAndBrokerKnowEachOther(t *testing.T) {
	c := newCloud(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", c.own.Listen("127.0.0.1"))
	c.must(err)
	defer l.Close()
	named := make(chan string, 10)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s := conn.(*tls.Conn)
			if err := s.Handshake(); err != nil {
				named <- "refused"
			} else {
				named <- s.ConnectionState().PeerCertificates[0].Subject.CommonName
			}
			conn.Close()
		}
	}()
	dial := func(roots *x509.CertPool, pairs ...tls.Certificate) string {
		conn, err := net.Dial("tcp", l.Addr().String())
		c.must(err)
		defer conn.Close()
		s := tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", Certificates: pairs})
		_ = s.Handshake() // the server's view counts
		return <-named
	}
	key := newKey(t)
	_, text, err := c.own.Enrol(t.Context(), c.code("baku-1"), request(t, key))
	c.must(err)
	own := tls.Certificate{Certificate: [][]byte{parse(t, text).Raw}, PrivateKey: key}
	if got := dial(c.own.Pool(), own); got != "baku-1" {
		t.Error(got)
	}
	if got := dial(c.own.Pool()); got != "refused" {
		t.Errorf("without a certificate: %s", got)
	}
	foreign := newCloud(t)
	_, text, err = foreign.own.Enrol(t.Context(), foreign.code("baku-1"), request(t, key))
	c.must(err)
	if got := dial(c.own.Pool(), tls.Certificate{Certificate: [][]byte{parse(t, text).Raw}, PrivateKey: key}); got != "refused" {
		t.Errorf("with another cloud's: %s", got)
	}
	if got := dial(foreign.own.Pool(), own); got != "refused" {
		t.Errorf("an agent of another cloud: %s", got)
	}
}

func TestDoor_AnswersAgents(t *testing.T) {
	c := newCloud(t)
	var enrolled []string
	mux := http.NewServeMux()
	(&authority.Door{Authority: c.own, Broker: "mqtts://b:8883", Enrolled: func(_ context.Context, agent string) { enrolled = append(enrolled, agent) }}).Register(mux)
	post := func(path string, from int, body any) (int, map[string]any, http.Header) {
		data, err := json.Marshal(body)
		c.must(err)
		r := httptest.NewRequest("POST", "/api/v1/"+path, bytes.NewReader(data))
		r.RemoteAddr = fmt.Sprintf("10.0.0.%d:4711", from)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		var got map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Errorf("%s: %v", w.Body, err)
		}
		return w.Code, got, w.Header()
	}
	key := newKey(t)
	code := c.code("baku-1")
	status, got, _ := post("enroll", 1, wire.Enrolment{Code: code, Request: request(t, key)})
	if status != 200 || got["agent"] != "baku-1" || got["broker"] != "mqtts://b:8883" || got["authority"] != string(c.own.PEM()) || len(enrolled) != 1 {
		t.Fatalf("%d %v %v", status, got, enrolled)
	}
	present := []byte(got["certificate"].(string))
	if status, got, _ := post("enroll", 1, wire.Enrolment{Code: code, Request: request(t, key)}); status != 403 || !strings.Contains(fmt.Sprint(got["detail"]), "was used") {
		t.Errorf("again: %d %v", status, got)
	}
	if status, got, _ := post("renew", 1, renewal(t, "baku-1", present, key, newKey(t))); status != 200 || got["agent"] != "baku-1" || len(enrolled) != 1 {
		t.Errorf("renew: %d %v", status, got)
	}
	if status, got, h := post("renew", 1, renewal(t, "baku-1", present, newKey(t), key)); status != 422 || h.Get("Content-Type") != "application/problem+json" {
		t.Errorf("renew with another key: %d %v", status, got)
	}
	if status, _, _ := post("enroll", 1, "nonsense"); status != 400 {
		t.Errorf("nonsense: %d", status)
	}
	// Whoever guesses is stopped, and nobody else; with the window over, not even they.
	right := c.code("baku-2")
	stopped := 0
	for range 30 {
		if status, _, _ := post("enroll", 9, wire.Enrolment{Code: fleet.NewCode(), Request: request(t, key)}); status == 429 {
			stopped++
		}
	}
	if status, _, h := post("enroll", 9, wire.Enrolment{Code: right, Request: request(t, key)}); status != 429 || h.Get("Retry-After") == "" || stopped != 10 {
		t.Errorf("after guessing: %d, %d stopped", status, stopped)
	}
	if status, _, _ := post("enroll", 8, wire.Enrolment{Code: c.code("baku-3"), Request: request(t, key)}); status != 200 {
		t.Errorf("somebody else: %d", status)
	}
	c.now = c.now.Add(16 * time.Minute)
	if status, _, _ := post("enroll", 9, wire.Enrolment{Code: right, Request: request(t, key)}); status != 200 {
		t.Errorf("later: %d", status)
	}
}
