package cloud

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"ekassa/cloud/authority"
	"ekassa/cloud/broker"
	"ekassa/cloud/config"
	"ekassa/cloud/link"
)

// outside is a broker of its own.
func outside(c config.Broker, own *authority.Authority) (*place, error) {
	host, err := hostOf(c.URL)
	if err != nil {
		return nil, err
	}
	b := link.Broker{URL: c.URL, Username: c.Username, Password: c.Password, TLS: &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}}
	if c.CA != "" {
		data, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("read broker.ca: %w", err)
		}
		b.TLS.RootCAs = x509.NewCertPool()
		if !b.TLS.RootCAs.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("read broker.ca %s: there is no certificate in it", c.CA)
		}
	}
	// Each process needs an id of its own: brokers keep one connection of each.
	b.ID = c.Username + "-" + unique()
	if c.Username == "" {
		b.ID = "ekassa-cloud-" + unique()
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("read broker.cert and broker.key: %w", err)
		}
		b.TLS.Certificates = []tls.Certificate{pair}
		b.ID = pair.Leaf.Subject.CommonName // and no user name: RabbitMQ refuses one beside a certificate
	}
	return &place{
		public: c.Public, dial: b.Dial, close: func() error { return nil },
		drop: func(ctx context.Context, agent string) error { return evict(ctx, b, own, agent) },
	}, nil
}

func unique() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails, or ends the program
	return hex.EncodeToString(b)
}

// evict ends an agent's connection at a broker that has no call for it: the cloud
// connects under its name, which every broker takes for the newer one.
func evict(ctx context.Context, b link.Broker, own *authority.Authority, agent string) error {
	if !strings.HasPrefix(b.URL, "mqtts:") {
		return errors.New("the broker asks agents for no certificate, so the cloud cannot speak for one; end the connection at the broker")
	}
	stand, err := own.Stand(agent)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(stand.Certificate, stand.Key)
	if err != nil {
		return err
	}
	b.ID, b.Username, b.Password = agent, "", ""
	b.TLS = b.TLS.Clone()
	b.TLS.Certificates = []tls.Certificate{pair}
	conn, err := b.Dial(ctx, nil, func(string, []byte) {})
	if err != nil {
		return fmt.Errorf("take over the connection of %s: %w", agent, err)
	}
	return conn.Close()
}

func hostOf(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return "", fmt.Errorf("the broker's address %q names no host", address)
	}
	return u.Hostname(), nil
}

// revocations keeps revoked.pem in data_dir as the database has it, for a broker
// of its own.
type revocations struct {
	own  *authority.Authority
	path string
	last string
}

func (r *revocations) write(ctx context.Context) error {
	list, serials, err := r.own.RevocationList(ctx)
	if err != nil || r.last != "" && r.last == serials {
		return err
	}
	if err := replace(filepath.Join(r.path, "revoked.pem"), list, 0o644); err != nil {
		return err
	}
	r.last = serials
	return nil
}

// replace writes a file whole, or leaves the one before.
func replace(path string, data []byte, mode os.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Mosquitto writes all that Mosquitto needs to be the broker of this cloud's
// fleet into a folder, for agents that connect to host; and what that many
// processes of the cloud show it.
func Mosquitto(ctx context.Context, cfg config.Config, host, dir string, processes int) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the folder for Mosquitto's files: %w", err)
	}
	own, closeStore, err := openAuthority(ctx, cfg)
	if err != nil {
		return err
	}
	defer closeStore()
	list, _, err := own.RevocationList(ctx)
	if err != nil {
		return err
	}
	server, err := own.Server(host)
	if err != nil {
		return err
	}
	conf, acl := broker.Mosquitto(dir)
	type file struct {
		name string
		data []byte
		mode os.FileMode
	}
	files := []file{
		{"mosquitto.conf", []byte(conf), 0o644}, {"acl", []byte(acl), 0o644}, {"ca.pem", own.PEM(), 0o644},
		{"revoked.pem", list, 0o644}, {"broker.pem", server.Certificate, 0o644}, {"broker.key", server.Key, 0o600},
	}
	for n := 1; n <= processes; n++ {
		made, err := own.Client(authority.CloudName(n))
		if err != nil {
			return err
		}
		name := fmt.Sprintf("cloud-%d", n)
		files = append(files, file{name + ".pem", made.Certificate, 0o644}, file{name + ".key", made.Key, 0o600})
	}
	for _, f := range files {
		if err := replace(filepath.Join(dir, f.name), f.data, f.mode); err != nil {
			return err
		}
	}
	return nil
}
