// Package authority signs the certificates of a fleet: those with which agents
// show a broker who they are, and the broker's own.
//
// What it promises: a certificate names one agent, and is signed for whoever has
// that agent's one-time code, once, or its present key. One that was taken back
// is good no more, at once where [Authority.Check] is asked.
//
// Its key lies in the cloud's database, and is made there at the first start.
// Whoever reads that database can make any agent's certificate.
package authority

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"slices"
	"sync"
	"time"

	"ekassa/cloud/fleet"
	"ekassa/cloud/wire"
)

// Store is what the authority keeps, and asks.
type Store interface {
	Enrol(ctx context.Context, codeHash string, sign func(fleet.Enrolment) (fleet.Certificate, error), now time.Time) (fleet.Enrolment, error)
	Renew(ctx context.Context, c fleet.Certificate) error
	Agent(ctx context.Context, id string) (fleet.Agent, error)
	Certificate(ctx context.Context, serial string) (fleet.Certificate, error)
	Revoked(ctx context.Context, now time.Time) ([]fleet.Certificate, error)
	SetValue(ctx context.Context, key string, value []byte) ([]byte, error)
	Note(ctx context.Context, a fleet.Act) error
}

const (
	life    = 365 * 24 * time.Hour
	early   = 30 * 24 * time.Hour // before its end a listening broker's is made anew
	ownLife = 30 * 365 * 24 * time.Hour
	brief   = 5 * time.Minute
	// backdated: clocks differ, and a Pi begins with an old one.
	backdated = 24 * time.Hour
	valueKey  = "authority"
)

// ErrRefused: what was shown is no proof of being the agent, or asks for
// something that is not signed.
var ErrRefused = errors.New("refused")

// Authority signs. It is safe for concurrent use.
type Authority struct {
	store Store
	now   func() time.Time
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey
	pem   []byte
	log   *slog.Logger
}

// Open gives the authority whose key is in the store, and makes it there at the
// first time.
func Open(ctx context.Context, store Store, now func() time.Time, log *slog.Logger) (*Authority, error) {
	fresh, err := generate(now())
	if err != nil {
		return nil, fmt.Errorf("make the authority's key: %w", err)
	}
	// Of two processes that start at once, the first one's stays.
	kept, err := store.SetValue(ctx, valueKey, fresh)
	if err != nil {
		return nil, fmt.Errorf("keep the authority's key: %w", err)
	}
	pair, err := tls.X509KeyPair(kept, kept)
	if err != nil {
		return nil, errors.New("read the authority's key: what the database has is damaged; restore a backup") // the library's words may tell too much
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !pair.Leaf.IsCA {
		return nil, errors.New("read the authority's key: what the database has is no authority's; restore a backup")
	}
	return &Authority{store: store, now: now, cert: pair.Leaf, key: key, pem: certificatePEM(pair.Leaf.Raw), log: log}, nil
}

func generate(now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "ekassa cloud", SerialNumber: fmt.Sprintf("%x", serial)[:8]},
		NotBefore: now.Add(-backdated), NotAfter: now.Add(ownLife), IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := keyPEM(key)
	return append(certificatePEM(der), private...), err
}

func newSerial() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, err
	}
	return n.Add(n, new(big.Int).Lsh(big.NewInt(1), 126)), nil // 127 bits, never short
}

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func keyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

// PEM is the authority's own certificate, which agents and brokers trust.
func (a *Authority) PEM() []byte { return a.pem }

// Pool has the authority alone.
func (a *Authority) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// Enrol spends a one-time code for an agent's certificate. Errors:
// fleet.ErrNotFound and fleet.ErrSpent of the code, ErrRefused of the request.
func (a *Authority) Enrol(ctx context.Context, code, request string) (agent string, certificate []byte, err error) {
	public, err := readRequest(request)
	if err != nil {
		return "", nil, err // before the code is looked at: a broken request spends none
	}
	e, err := a.store.Enrol(ctx, fleet.HashCode(code), func(e fleet.Enrolment) (fleet.Certificate, error) {
		var c fleet.Certificate
		c, certificate, err = a.sign(e.Agent, public)
		return c, err
	}, a.now())
	if err != nil {
		return "", nil, err
	}
	a.note(ctx, e.Agent, "agent.enroll", "with the code of "+e.By)
	return e.Agent, certificate, nil
}

// Renew signs a further certificate for whoever has the present one's key. Both
// hold until the old one ends. Errors: ErrRefused, fleet.ErrNotFound of a
// revoked agent.
func (a *Authority) Renew(ctx context.Context, r wire.Renewal) (certificate []byte, err error) {
	public, err := readRequest(r.Request)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode([]byte(r.Certificate))
	if block == nil || block.Type != "CERTIFICATE" || len(rest) > 0 {
		return nil, fmt.Errorf("the present certificate is no PEM: %w", ErrRefused)
	}
	present, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the present certificate cannot be read: %w", ErrRefused)
	}
	if err := a.Check(ctx, present); err != nil {
		return nil, err
	}
	if present.Subject.CommonName != r.Agent {
		return nil, fmt.Errorf("the present certificate is another agent's: %w", ErrRefused)
	}
	key, ok := present.PublicKey.(*ecdsa.PublicKey)
	sum := sha256.Sum256([]byte(r.Request))
	if !ok || !ecdsa.VerifyASN1(key, sum[:], r.Signature) {
		return nil, fmt.Errorf("the request is not signed by the present key: %w", ErrRefused)
	}
	c, certificate, err := a.sign(r.Agent, public)
	if err != nil {
		return nil, err
	}
	if err := a.store.Renew(ctx, c); err != nil {
		return nil, err
	}
	a.note(ctx, r.Agent, "agent.renew", "")
	return certificate, nil
}

// note writes the audit log. The certificate is signed by then, and given out.
func (a *Authority) note(ctx context.Context, agent, action, detail string) {
	err := a.store.Note(ctx, fleet.Act{At: a.now(), User: "agent " + agent, Action: action, Object: agent, Detail: detail})
	if err != nil {
		a.log.Error("the audit log misses that an agent was given a certificate", "agent", agent, "action", action, "error", err)
	}
}

// readRequest gives the key of a signing request whose sender has it.
func readRequest(text string) (*ecdsa.PublicKey, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE REQUEST" || len(rest) > 0 {
		return nil, fmt.Errorf("the signing request is no PEM of a CERTIFICATE REQUEST: %w", ErrRefused)
	}
	r, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the signing request cannot be read: %w", ErrRefused)
	}
	if err := r.CheckSignature(); err != nil {
		return nil, fmt.Errorf("the signing request is not signed by its own key: %w", ErrRefused)
	}
	key, ok := r.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() && key.Curve != elliptic.P384() {
		return nil, fmt.Errorf("the signing request has a key that is not ECDSA on P-256 or P-384: %w", ErrRefused)
	}
	return key, nil
}

// sign makes an agent's certificate. Of the request only the key is taken: the
// name is the cloud's to give.
func (a *Authority) sign(agent string, key *ecdsa.PublicKey) (fleet.Certificate, []byte, error) {
	if !wire.ValidAgent(agent) {
		return fleet.Certificate{}, nil, fmt.Errorf("sign for agent %.80q: no agent is called so", agent)
	}
	cert, err := a.issue(&x509.Certificate{Subject: pkix.Name{CommonName: agent}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, key, life)
	if err != nil {
		return fleet.Certificate{}, nil, err
	}
	return fleet.Certificate{Serial: serialOf(cert), Agent: agent, NotBefore: cert.NotBefore, NotAfter: cert.NotAfter}, certificatePEM(cert.Raw), nil
}

func (a *Authority) issue(t *x509.Certificate, key crypto.PublicKey, lasts time.Duration) (*x509.Certificate, error) {
	var err error
	if t.SerialNumber, err = newSerial(); err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	now := a.now()
	t.NotBefore, t.NotAfter = now.Add(-backdated), now.Add(lasts)
	// An agent that was in a drawer for months may begin with the clock of then: a
	// broker's certificate holds for it too.
	if t.NotBefore.Before(a.cert.NotBefore) || slices.Contains(t.ExtKeyUsage, x509.ExtKeyUsageServerAuth) {
		t.NotBefore = a.cert.NotBefore
	}
	t.KeyUsage, t.BasicConstraintsValid = x509.KeyUsageDigitalSignature, true
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, key, a.key)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

func serialOf(c *x509.Certificate) string { return c.SerialNumber.Text(16) }

// Check says whether an agent's certificate is good: signed here, in its time,
// and neither it nor the agent taken back. Error: ErrRefused, or the store's.
func (a *Authority) Check(ctx context.Context, c *x509.Certificate) error {
	_, err := c.Verify(x509.VerifyOptions{Roots: a.Pool(), CurrentTime: a.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return fmt.Errorf("the certificate does not hold: %w: %w", ErrRefused, err)
	}
	known, err := a.store.Certificate(ctx, serialOf(c))
	switch {
	case errors.Is(err, fleet.ErrNotFound):
		return fmt.Errorf("the certificate is not on record; enroll the agent again: %w", ErrRefused)
	case err != nil:
		return err
	case !known.RevokedAt.IsZero():
		return fmt.Errorf("the certificate was taken back: %w", ErrRefused)
	case known.Agent != c.Subject.CommonName:
		return fmt.Errorf("the certificate is on record for another agent: %w", ErrRefused)
	}
	return a.Known(ctx, known.Agent)
}

// Known says whether an agent is enrolled and not taken back. Error: as Check's.
func (a *Authority) Known(ctx context.Context, agent string) error {
	known, err := a.store.Agent(ctx, agent)
	switch {
	case errors.Is(err, fleet.ErrNotFound):
		return fmt.Errorf("there is no such agent: %w", ErrRefused)
	case err != nil:
		return err
	case known.Revoked || known.EnrolledAt.IsZero():
		return fmt.Errorf("the agent is not enrolled, or was taken back: %w", ErrRefused)
	}
	return nil
}

// Issued is a certificate with its key, PEM.
type Issued struct{ Certificate, Key []byte }

// CloudName is the name in the certificate of a cloud's own process, from 1. No
// agent can be called so.
func CloudName(n int) string { return fmt.Sprintf("_cloud-%d", n) }

// Server makes a broker's certificate, for a host name or IP.
func (a *Authority) Server(host string) (Issued, error) {
	t := &x509.Certificate{Subject: pkix.Name{CommonName: host}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if ip := net.ParseIP(host); ip != nil {
		t.IPAddresses = []net.IP{ip}
	} else {
		t.DNSNames = []string{host}
	}
	return a.withKey(t, life)
}

// Client makes a certificate of the cloud's own, to show a broker.
func (a *Authority) Client(name string) (Issued, error) {
	if wire.ValidAgent(name) {
		return Issued{}, fmt.Errorf("sign for the cloud as %s: an agent could be called so", name)
	}
	return a.withKey(&x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, life)
}

// Stand makes a short-lived certificate in an agent's name, with which the cloud
// takes over the live connection of an agent that was taken back.
func (a *Authority) Stand(agent string) (Issued, error) {
	return a.withKey(&x509.Certificate{Subject: pkix.Name{CommonName: agent}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, brief)
}

func (a *Authority) withKey(t *x509.Certificate, lasts time.Duration) (Issued, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Issued{}, fmt.Errorf("make a key: %w", err)
	}
	cert, err := a.issue(t, key.Public(), lasts)
	if err != nil {
		return Issued{}, err
	}
	private, err := keyPEM(key)
	return Issued{certificatePEM(cert.Raw), private}, err
}

// Listen is what a server of the cloud's own needs that agents connect to by
// host: its certificate, made anew in time, and the demand for theirs.
func (a *Authority) Listen(host string) *tls.Config {
	var mu sync.Mutex // guards pair
	var pair *tls.Certificate
	return &tls.Config{
		MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.Pool(), Time: a.now,
		// A resumed session would show a certificate as it was when it was checked.
		SessionTicketsDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			mu.Lock()
			defer mu.Unlock()
			if pair == nil || pair.Leaf.NotAfter.Sub(a.now()) < early {
				made, err := a.Server(host)
				if err != nil {
					return nil, err
				}
				p, err := tls.X509KeyPair(made.Certificate, made.Key)
				if err != nil {
					return nil, err
				}
				pair = &p
			}
			return pair, nil
		},
	}
}

// RevocationList is what a broker of its own reads to keep agents out that were
// taken back: PEM. It has no end of its own, or a broker that nobody brings the
// next one would refuse every agent. serials tells one list from another.
func (a *Authority) RevocationList(ctx context.Context) (list []byte, serials string, err error) {
	revoked, err := a.store.Revoked(ctx, a.now())
	if err != nil {
		return nil, "", err
	}
	now := a.now()
	t := &x509.RevocationList{Number: big.NewInt(now.Unix()), ThisUpdate: now.Add(-backdated), NextUpdate: a.cert.NotAfter}
	serials = "serials:"
	for _, c := range revoked {
		serials += c.Serial + " "
		serial, ok := new(big.Int).SetString(c.Serial, 16)
		if !ok {
			return nil, "", fmt.Errorf("write the revocation list: %.80q is no serial number", c.Serial)
		}
		t.RevokedCertificateEntries = append(t.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: serial, RevocationTime: c.RevokedAt})
	}
	der, err := x509.CreateRevocationList(rand.Reader, t, a.cert, a.key)
	if err != nil {
		return nil, "", fmt.Errorf("write the revocation list: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), serials, nil
}
