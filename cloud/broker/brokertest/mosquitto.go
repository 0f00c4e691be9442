// Package brokertest starts Debian's Mosquitto with the files that are shipped
// for it.
package brokertest

import (
	"crypto/tls"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ekassa/cloud/authority"
	"ekassa/cloud/broker"
	"ekassa/cloud/hosttest"
)

// Mosquitto is one on loopback, until the test ends.
type Mosquitto struct {
	testing.TB
	URL string // mqtts://

	own  *authority.Authority
	dir  string
	addr string
	cmd  *exec.Cmd
	log  strings.Builder
}

// MustMosquitto starts one for the agents of an authority.
func MustMosquitto(tb testing.TB, own *authority.Authority) *Mosquitto {
	tb.Helper()
	host := hosttest.New()
	m := &Mosquitto{TB: tb, own: own, dir: tb.TempDir(), addr: host + ":8883"}
	m.URL = "mqtts://" + m.addr
	conf, acl := broker.Mosquitto(m.dir)
	conf = strings.Replace(conf, "listener 8883", "user root\nlistener 8883 "+host, 1)
	server, err := own.Server("127.0.0.1") // by which name its clients know it
	m.must(err)
	for name, data := range map[string][]byte{"mosquitto.conf": []byte(conf), "acl": []byte(acl), "ca.pem": own.PEM(), "broker.pem": server.Certificate, "broker.key": server.Key} {
		m.write(name, data)
	}
	m.list()
	m.Start()
	tb.Cleanup(func() {
		m.Kill()
		if tb.Failed() {
			tb.Log(m.log.String())
		}
	})
	return m
}

func (m *Mosquitto) must(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

func (m *Mosquitto) write(name string, data []byte) {
	m.must(os.WriteFile(filepath.Join(m.dir, name), data, 0o600))
}

func (m *Mosquitto) list() {
	m.Helper()
	crl, _, err := m.own.RevocationList(m.Context())
	m.must(err)
	m.write("revoked.pem", crl)
}

// Start runs it, and waits until it listens.
func (m *Mosquitto) Start() {
	m.Helper()
	m.cmd = exec.Command("mosquitto", "-c", filepath.Join(m.dir, "mosquitto.conf"))
	m.cmd.Stderr = &m.log
	if err := m.cmd.Start(); err != nil {
		m.Fatalf("start mosquitto: %v; apt-get install mosquitto", err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("tcp", m.addr)
		if err == nil {
			m.must(c.Close())
			return
		}
		if time.Now().After(end) {
			m.Fatalf("mosquitto does not listen: %s", m.log.String())
		}
	}
}

// Kill ends it at once.
func (m *Mosquitto) Kill() {
	_ = m.cmd.Process.Kill()
	_ = m.cmd.Wait() // killed
}

// Reload has it read the revocation list anew.
func (m *Mosquitto) Reload() {
	m.Helper()
	m.list()
	m.must(m.cmd.Process.Signal(syscall.SIGHUP))
}

// Pair is a certificate made for the cloud.
func Pair(tb testing.TB, made authority.Issued, err error) tls.Certificate {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
	pair, err := tls.X509KeyPair(made.Certificate, made.Key)
	if err != nil {
		tb.Fatal(err)
	}
	return pair
}
