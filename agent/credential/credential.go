// Package credential keeps what the agent shows the cloud: a key that never
// leaves the machine, and the certificate that the cloud has made for it.
package credential

import (
	"bytes"
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
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ekassa/agent/durable"
	"ekassa/cloud/wire"
)

// fileName is in the data folder, readable by its owner only. Key and
// certificate are one file, so that they are replaced together.
const fileName = "cloud.json"

// ErrNone: the agent was never enrolled.
var ErrNone = errors.New("the agent is not enrolled; run ekassa-agent enroll")

// stored is the file.
type stored struct {
	Cloud string        `json:"cloud"`           // URL
	Roots string        `json:"roots,omitempty"` // PEM: who signs the cloud's own certificate; "": the system's
	Key   string        `json:"key"`             // PEM
	Given wire.Enrolled `json:"given"`
}

// Credential is an agent's, in its data folder.
type Credential struct{ path string }

// In gives the credential that is, or will be, in a data folder.
func In(dir string) *Credential { return &Credential{path: filepath.Join(dir, fileName)} }

func (c *Credential) load() (s stored, pair tls.Certificate, err error) {
	data, err := os.ReadFile(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, pair, ErrNone
	}
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err == nil {
		pair, err = pairOf(s)
	}
	if err != nil {
		return s, pair, fmt.Errorf("read the agent's certificate %s: %w; enroll it again", c.path, err)
	}
	return s, pair, nil
}

// pairOf checks that key, certificate and agent belong together.
func pairOf(s stored) (pair tls.Certificate, err error) {
	if pair, err = tls.X509KeyPair([]byte(s.Given.Certificate), []byte(s.Key)); err != nil {
		return pair, errors.New("certificate and key do not belong together") // the library's words may tell too much
	}
	if name := pair.Leaf.Subject.CommonName; name != s.Given.Agent || !wire.ValidAgent(name) {
		return pair, fmt.Errorf("the certificate is %q's, and not agent %q's", name, s.Given.Agent)
	}
	if roots := x509.NewCertPool(); !roots.AppendCertsFromPEM([]byte(s.Given.Authority)) {
		return pair, errors.New("there is no authority in it")
	}
	return pair, nil
}

// TLS gives what an mqtts connection to the broker needs, read anew each time,
// so that a renewed certificate is used by the next connection.
func (c *Credential) TLS(broker string) (*tls.Config, error) {
	s, pair, err := c.load()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(broker)
	if err != nil {
		return nil, fmt.Errorf("read the broker's address: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(s.Given.Authority))
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}, nil
}

// Days are what is left of the certificate; negative once it has ended.
func (c *Credential) Days(now time.Time) (int, error) {
	_, pair, err := c.load()
	if err != nil {
		return 0, err
	}
	left := pair.Leaf.NotAfter.Sub(now)
	if left < 0 {
		return -int(-left/(24*time.Hour)) - 1, nil
	}
	return int(left / (24 * time.Hour)), nil
}

// Overdue says whether the certificate should have been renewed by now.
func (c *Credential) Overdue(now time.Time) (bool, error) {
	_, pair, err := c.load()
	if err != nil {
		return false, err
	}
	return now.After(due(pair.Leaf)), nil
}

// request makes a key and a signing request. The name in it is the cloud's to
// give.
func request() (key, csr string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", fmt.Errorf("write the key: %w", err)
	}
	asked, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "ekassa-agent"}}, private)
	if err != nil {
		return "", "", fmt.Errorf("write the signing request: %w", err)
	}
	text := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return text("PRIVATE KEY", der), text("CERTIFICATE REQUEST", asked), nil
}

// Enroll has the cloud make the agent's certificate for a one-time code, and
// keeps it in the data folder, which is made where it is not there. roots is the
// PEM of who signs the cloud's own certificate; nil: the system's.
func Enroll(ctx context.Context, dir, cloud, code string, roots []byte) (wire.Enrolled, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return wire.Enrolled{}, fmt.Errorf("make the data folder: %w", err)
	}
	key, csr, err := request()
	if err != nil {
		return wire.Enrolled{}, err
	}
	s := stored{Cloud: strings.TrimRight(cloud, "/"), Roots: string(roots), Key: key}
	if err := s.ask(ctx, "enroll", wire.Enrolment{Code: code, Request: csr}); err != nil {
		return wire.Enrolled{}, fmt.Errorf("enroll at %s: %w", s.Cloud, err)
	}
	if err := In(dir).keep(s); err != nil {
		return wire.Enrolled{}, fmt.Errorf("keep the certificate: %w; the code is used up: mend that, and ask for another one", err)
	}
	return s.Given, nil
}

// Renew has another certificate made, with another key, before the present one
// ends.
func (c *Credential) Renew(ctx context.Context) error {
	s, pair, err := c.load()
	if err != nil {
		return err
	}
	key, csr, err := request()
	if err != nil {
		return err
	}
	private, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return fmt.Errorf("renew the certificate: the key is a %T, not ECDSA; enroll again", pair.PrivateKey)
	}
	sum := sha256.Sum256([]byte(csr))
	signature, err := ecdsa.SignASN1(rand.Reader, private, sum[:])
	if err != nil {
		return fmt.Errorf("sign the request: %w", err)
	}
	agent, broker := s.Given.Agent, s.Given.Broker
	s.Key = key
	if err := s.ask(ctx, "renew", wire.Renewal{Agent: agent, Certificate: s.Given.Certificate, Request: csr, Signature: signature}); err != nil {
		return fmt.Errorf("renew the certificate at %s: %w", s.Cloud, err)
	}
	if s.Given.Agent != agent {
		return fmt.Errorf("renew the certificate at %s: it gave one of agent %q", s.Cloud, s.Given.Agent)
	}
	s.Given.Broker = broker // agent.yaml says which
	return c.keep(s)
}

func (c *Credential) keep(s stored) error {
	if _, err := pairOf(s); err != nil {
		return err
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return durable.Replace(c.path, append(data, '\n'))
}

// maxAnswer is the most bytes of an answer that are read.
const maxAnswer = 64 << 10

// client speaks to the cloud, which must be at a safe address.
func (s *stored) client() (*http.Client, error) {
	address, err := url.Parse(s.Cloud)
	if err != nil || address.Host == "" || address.User != nil {
		return nil, errors.New("it is no URL; write for example https://cloud.example.com")
	}
	if address.Scheme != "https" && (address.Scheme != "http" || !near(address.Hostname())) {
		return nil, errors.New("it is not https, which it must be beyond the shop's own network; write https://")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, ResponseHeaderTimeout: 30 * time.Second, DisableKeepAlives: true}
	if s.Roots != "" {
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM([]byte(s.Roots)) {
			return nil, errors.New("there is no certificate in the authority's file")
		}
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a code goes to one place only
	}, nil
}

// do sends a request. What is not a 2xx is an error, with the cloud's own words.
func (s *stored) do(client *http.Client, r *http.Request) (*http.Response, error) {
	answer, err := client.Do(r)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // the address stands in front already
		}
		var stranger x509.UnknownAuthorityError
		if errors.As(err, &stranger) {
			return nil, fmt.Errorf("%w; give the authority's file with --ca, or correct the address", err)
		}
		return nil, fmt.Errorf("%w; is the address right, and does this machine reach it?", err)
	}
	if answer.StatusCode/100 == 2 {
		return answer, nil
	}
	got, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		return nil, fmt.Errorf("read its answer: %w", err)
	}
	return nil, refusal(answer.StatusCode, got)
}

// Get asks the cloud, where the agent was enrolled, for something that everybody
// may have; path is below its API. The body is the caller's to bound and to close.
func (c *Credential) Get(ctx context.Context, path string) (*http.Response, error) {
	s, _, err := c.load()
	if err != nil {
		return nil, err
	}
	client, err := s.client()
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", s.Cloud, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Cloud+"/api/v1/"+path, nil)
	if err != nil {
		return nil, err
	}
	answer, err := s.do(client, r)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", s.Cloud, err)
	}
	return answer, nil
}

// ask sends a request and takes what the cloud gives for it.
func (s *stored) ask(ctx context.Context, what string, body any) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	client.Timeout = 30 * time.Second
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Cloud+"/api/v1/"+what, bytes.NewReader(data))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := s.do(client, r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read its answer: %w", err)
	}
	s.Given = wire.Enrolled{}
	if err := json.Unmarshal(got, &s.Given); err != nil {
		return fmt.Errorf("read its answer: %w; is that the cloud's address?", err)
	}
	_, err = pairOf(*s)
	return err
}

// refusal gives the cloud's own words, an RFC 9457 problem's, on one line.
func refusal(status int, body []byte) error {
	var p struct {
		Title  string `json:"title"`
		Detail string `json:"detail"`
	}
	said := ""
	if json.Unmarshal(body, &p) == nil {
		said = strings.Join(strings.Fields(strings.TrimSpace(p.Title+" "+p.Detail)), " ")
	}
	if r := []rune(said); len(r) > 300 {
		said = string(r[:300])
	}
	if said == "" {
		said = http.StatusText(status) + "; is that the cloud's address?"
	}
	return fmt.Errorf("it answers %d: %s", status, said)
}

// near says whether a host is this machine or in the shop's own network.
func near(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && (ip.IsLoopback() || ip.IsPrivate() || net.IP(ip.AsSlice()).IsLinkLocalUnicast())
}

// due says when a certificate should be renewed: after two thirds of its life.
func due(cert *x509.Certificate) time.Time {
	return cert.NotBefore.Add(cert.NotAfter.Sub(cert.NotBefore) * 2 / 3)
}

// Keep renews the certificate in time, until ctx ends.
func (c *Credential) Keep(ctx context.Context, now func() time.Time, log *slog.Logger) {
	failed := false
	for {
		_, pair, err := c.load()
		if errors.Is(err, ErrNone) {
			return // a broker that asks for none
		}
		if err == nil && !now().Before(due(pair.Leaf)) {
			if err = c.Renew(ctx); err == nil {
				log.Info("the agent's certificate was renewed")
			}
		}
		if err != nil && !failed && ctx.Err() == nil {
			log.Warn("the agent's certificate cannot be renewed and is tried again each hour", "error", err)
		}
		failed = err != nil
		select {
		case <-ctx.Done():
			return
		case <-time.After(50*time.Minute + mathrand.N(20*time.Minute)): // a fleet that was enrolled on one day
		}
	}
}
