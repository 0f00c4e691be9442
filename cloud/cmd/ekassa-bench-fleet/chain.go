package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"ekassa/cloud/authority"
	"ekassa/cloud/fleet"
	"ekassa/cloud/store"
	"ekassa/cloud/wire"
	"ekassa/scripts/figures"
)

const venue = "baku-01"

// settings are an ordinary shop's.
const settings = `{"module":{"enabled":true,"show_on_terminal":true,"auto_send":true},"tax":{"type":"vat18"},
 "registers":[{"id":"kassa-1","name":"Bar","driver":"azsmart","address":"192.168.1.1:8008","merchant_id":"9662a13f5b4f46dbb1751bbbf86ed402","serial":"","terminal":"till-1","mode":"active"}],
 "terminals":[{"id":"till-1","name":"Till 1"}],"shift":{"auto_open":true,"warn_after":["22h","23h"],"auto_close":"off","close_at":"05:00"},
 "offline":{"replay":"auto","replay_within":"24h"},"timezone":"Asia/Baku","language":"az"}`

// chain is a cloud, and the agents that are enrolled with it.
type chain struct {
	*bench
	dir, database string
	web           string // where people are served
	token         string // a person's
	own           *authority.Authority
	agents        []*pi
	cloud         *figures.Process
	end           context.CancelFunc // of the agents' lives
	living        sync.WaitGroup
	// processors are how many agents work on a handshake at once. Each has a
	// processor of its own in its shop, and here they share the cloud's.
	processors chan struct{}

	// What the agents do, and have seen.
	broker    atomic.Pointer[string] // IP:port
	telling   atomic.Bool            // records, as fast as they are acknowledged
	acked     atomic.Int64           // records that the cloud has acknowledged
	connected atomic.Int64
	refused   atomic.Int64 // connections that came to nothing
	judged    atomic.Int64 // settings that were applied
	edition   atomic.Int64 // of their program, so that what is shown is known to be new
}

// chain enrols so many agents. They are written into the database as the cloud
// itself does it, before it runs.
func (b *bench) chain(ctx context.Context, database string, agents int) (*chain, error) {
	dir, err := os.MkdirTemp(b.dir, "cloud-")
	if err != nil {
		return nil, err
	}
	c := &chain{bench: b, dir: dir, database: database, processors: make(chan struct{}, 200)}
	if c.web, err = freeAddress(); err != nil {
		return nil, err
	}
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	c.broker.Store(&addr)
	if err := c.configure(fmt.Sprintf("{embedded: %q, public: \"mqtts://%s\"}", addr, addr)); err != nil {
		return nil, err
	}
	var made struct{ Token string }
	out, err := output(ctx, b.cloud, "user", "add", "bench", "--role", "admin", "--json", "--config", c.config())
	if err == nil {
		err = json.Unmarshal(out, &made)
	}
	if err != nil {
		return nil, err
	}
	c.token = made.Token
	return c, c.enrol(ctx, agents)
}

func (c *chain) config() string { return filepath.Join(c.dir, "cloud.yaml") }

func (c *chain) configure(broker string) error {
	return os.WriteFile(c.config(), fmt.Appendf(nil, "data_dir: data\nlisten: %q\ndatabase: %q\nbroker: %s\n", c.web, c.database, broker), 0o600)
}

func (c *chain) enrol(ctx context.Context, agents int) error {
	s, err := store.Open(ctx, c.database, filepath.Join(c.dir, "data"), time.Now)
	if err != nil {
		return err
	}
	defer s.Close()
	if c.own, err = authority.Open(ctx, s, time.Now, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	if err := s.AddVenue(ctx, fleet.Venue{ID: venue, Name: "Nizami 10", CreatedAt: time.Now()}); err != nil {
		return err
	}
	if err := s.SwitchModule(ctx, venue, "azsmart", fleet.Switch{At: time.Now(), On: true}, "bench"); err != nil {
		return err
	}
	for n := range agents {
		p := &pi{id: fmt.Sprintf("agent-%05d", n), chain: c, rev: 1}
		code := fleet.NewCode()
		if err := s.AddEnrolment(ctx, fleet.Enrolment{Hash: fleet.HashCode(code), Venue: venue, Agent: p.id, By: "bench", ExpiresAt: time.Now().Add(time.Hour)}); err != nil {
			return err
		}
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
		if err != nil {
			return err
		}
		_, certificate, err := c.own.Enrol(ctx, code, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request})))
		if err != nil {
			return err
		}
		block, _ := pem.Decode(certificate)
		p.own = tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: key}
		if _, err := s.PutSettings(ctx, 0, fleet.Version{Agent: p.id, Settings: json.RawMessage(settings), By: "bench", At: time.Now()}); err != nil {
			return err
		}
		if err := s.Reported(ctx, p.id, wire.Reported{Rev: 1, Judged: 1, State: wire.StateApplied}); err != nil {
			return err
		}
		c.agents = append(c.agents, p)
	}
	return nil
}

// live lets all agents live, from now on.
func (c *chain) live(ctx context.Context) {
	ctx, c.end = context.WithCancel(ctx)
	for _, p := range c.agents {
		c.living.Go(func() { p.live(ctx) })
	}
}

// serve starts the cloud and waits until it is ready.
func (c *chain) serve(ctx context.Context) (err error) {
	if c.cloud, err = figures.Start(ctx, c.bench.cloud, "serve", "--config", c.config()); err != nil {
		return err
	}
	return c.until(ctx, "the cloud is ready", func() (bool, error) {
		select {
		case <-c.cloud.Ended:
			return false, fmt.Errorf("the cloud has ended: %s", c.cloud.Said())
		default:
		}
		_, err := c.get(ctx, "/readyz")
		return err == nil, nil
	})
}

// close ends agents and cloud.
func (c *chain) close() error {
	if c.end != nil {
		c.end()
		c.living.Wait()
	}
	if c.cloud == nil {
		return nil
	}
	return c.cloud.Stop()
}

// patience is how long anything may take before a run is given up.
const patience = 10 * time.Minute

func (c *chain) until(ctx context.Context, what string, holds func() (bool, error)) error {
	for end := time.Now().Add(patience); ; {
		if ok, err := holds(); err != nil || ok {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("waited in vain for %s: %d of %d agents are connected, %d attempts came to nothing", what, c.connected.Load(), len(c.agents), c.refused.Load())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (c *chain) version() string { return fmt.Sprintf("bench-%d", c.edition.Load()) }

// shown waits until people are shown every agent as online, with what it said of
// itself when it came last.
func (c *chain) shown(ctx context.Context) error {
	if err := c.until(ctx, "all agents to be connected", func() (bool, error) { return int(c.connected.Load()) == len(c.agents), nil }); err != nil {
		return err
	}
	return c.until(ctx, "all agents to be shown online", func() (bool, error) {
		var page struct {
			Items []struct {
				Online  bool
				Version string
			}
		}
		if err := c.ask(ctx, "GET", "/agents", nil, &page); err != nil {
			return false, err
		}
		online := 0
		for _, a := range page.Items {
			if a.Online && a.Version == c.version() {
				online++
			}
		}
		return online == len(c.agents), nil
	})
}

// freeAddress is one on loopback where nobody listens.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
