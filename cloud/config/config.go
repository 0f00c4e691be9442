// Package config reads cloud.yaml, the one file that ekassa-cloud is given by
// hand. It is strict: an unknown key, or one written twice, is an error that
// names it.
//
//	listen: 127.0.0.1:8788            # API and console
//	tls: {cert: FILE, key: FILE}      # left out where a proxy in front speaks TLS
//	data_dir: /var/lib/ekassa-cloud
//	database: sqlite                  # or postgres://user@host/db
//	broker: {embedded: 127.0.0.1:1883}
//	keep: {records: 90}               # days; 0: for ever
//
// A broker is either within the program:
//
//	broker: {embedded: 0.0.0.0:8883, public: "mqtts://mqtt.example.com:8883"}
//
// or one of its own, with what the cloud shows it:
//
//	broker: {url: "mqtts://10.0.0.5:8883", public: "mqtts://mqtt.example.com:8883", ca: FILE, cert: FILE, key: FILE}
//	broker: {url: "mqtts://10.0.0.5:8883", ca: FILE, username: NAME, password_file: FILE, shared: true}
//
// public is what agents are told at their enrolment; left out, it is url.
// shared says that the broker has shared subscriptions ($share), so that all
// processes take records, and not the leading one alone.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"ekassa/cloud/store"
)

// The defaults of cloud.yaml.
const (
	DefaultDataDir = "/var/lib/ekassa-cloud"
	DefaultListen  = "127.0.0.1:8788"
	DefaultBroker  = "127.0.0.1:1883"
)

// Config is cloud.yaml with its defaults filled in and its values checked.
type Config struct {
	Listen   string // IP:port of API and console
	TLS      Pair   // of Listen; empty: plain HTTP
	DataDir  string // absolute
	Database string // sqlite, or a postgres:// URL. May hold a password.
	Broker   Broker
	Keep     store.Policy
	// Warnings are facts that stop nothing but that people should hear of.
	Warnings []string
}

// Pair of files: a certificate and its key, PEM.
type Pair struct{ Cert, Key string }

// Broker is where agents and cloud meet: either Embedded or URL is set.
type Broker struct {
	Embedded string // IP:port
	Plain    bool   // Embedded without TLS: on loopback only
	URL      string // mqtt:// or mqtts://
	Public   string // what agents are told
	CA       string // file; empty: the system's
	Pair
	Username, Password string
	Shared             bool // has shared subscriptions
}

// LogValue keeps secrets out of logs, whatever the handler.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(slog.String("listen", c.Listen), slog.String("data_dir", c.DataDir), slog.String("broker", c.Broker.Public))
}

// LogValue is without the password.
func (b Broker) LogValue() slog.Value { return slog.StringValue(b.Public) }

type file struct {
	Listen   string `yaml:"listen"`
	DataDir  string `yaml:"data_dir"`
	Database string `yaml:"database"`
	TLS      *struct {
		Cert string `yaml:"cert"`
		Key  string `yaml:"key"`
	} `yaml:"tls"`
	Broker *struct {
		Embedded     string `yaml:"embedded"`
		URL          string `yaml:"url"`
		Public       string `yaml:"public"`
		CA           string `yaml:"ca"`
		Cert         string `yaml:"cert"`
		Key          string `yaml:"key"`
		Username     string `yaml:"username"`
		PasswordFile string `yaml:"password_file"`
		Shared       bool   `yaml:"shared"`
	} `yaml:"broker"`
	Keep struct {
		Records  *int `yaml:"records"`
		Receipts *int `yaml:"receipts"`
		Reports  *int `yaml:"reports"`
		Acts     *int `yaml:"acts"`
		Alerts   *int `yaml:"alerts"`
		Commands *int `yaml:"commands"`
	} `yaml:"keep"`
}

const maxSize = 64 << 10

// Load reads and checks the file. The error is one lower-case line that names
// the file and what is wrong in it; it never has a secret.
func Load(path string) (Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return Config{}, fmt.Errorf("load config: %w; write the file, or name another with --config", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return Config{}, fmt.Errorf("load config: %w", err)
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return Config{}, fmt.Errorf("load config: %w", err)
	}
	c, err := Parse(data, dir)
	if err != nil {
		return Config{}, fmt.Errorf("load config %s: %w", path, err)
	}
	return c, nil
}

// Parse checks the content of a cloud.yaml in the folder dir, and fills in the
// defaults.
func Parse(data []byte, dir string) (Config, error) {
	f, err := decode(data)
	if err != nil {
		return Config{}, err
	}
	in := func(name string) string {
		if name == "" || filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(dir, name)
	}
	c := Config{Listen: f.Listen, DataDir: in(f.DataDir), Database: f.Database}
	if c.Listen == "" {
		c.Listen = DefaultListen
	}
	if c.DataDir == "" {
		c.DataDir = DefaultDataDir
	}
	if c.Database == "" {
		c.Database = "sqlite"
	}
	listen, err := netip.ParseAddrPort(c.Listen)
	if err != nil {
		return c, fmt.Errorf("listen: %.80q is no IP:port; write for example %s", c.Listen, DefaultListen)
	}
	if d := c.Database; d != "sqlite" && !strings.HasPrefix(d, "postgres://") && !strings.HasPrefix(d, "postgresql://") {
		return c, errors.New("database: is neither sqlite nor a postgres:// URL; write one of them")
	}
	if t := f.TLS; t != nil {
		if c.TLS = (Pair{in(t.Cert), in(t.Key)}); c.TLS.Cert == "" || c.TLS.Key == "" {
			return c, errors.New("tls: write both cert and key")
		}
	} else if !listen.Addr().IsLoopback() {
		c.Warnings = append(c.Warnings, "listen is not loopback and there is no tls, so passwords pass in the clear unless a proxy in front speaks TLS")
	}
	if c.Broker, err = broker(f, in); err != nil {
		return c, fmt.Errorf("broker: %w", err)
	}
	if u, err := url.Parse(c.Broker.URL); err == nil && u.Scheme == "mqtt" && !loopback(u.Host) {
		c.Warnings = append(c.Warnings, "broker.url is not encrypted, so everyone on the way can read and write along; write mqtts://")
	}
	k := f.Keep
	for _, one := range []struct {
		name string
		days *int
		most int // where nothing is said
		to   *time.Duration
	}{
		{"records", k.Records, 90, &c.Keep.Records}, {"receipts", k.Receipts, 0, &c.Keep.Receipts}, {"reports", k.Reports, 0, &c.Keep.Reports},
		{"acts", k.Acts, 0, &c.Keep.Acts}, {"alerts", k.Alerts, 365, &c.Keep.Alerts}, {"commands", k.Commands, 90, &c.Keep.Commands},
	} {
		days := one.most
		if one.days != nil {
			days = *one.days
		}
		if days < 0 || days > 100*365 {
			return c, fmt.Errorf("keep.%s: %d is no number of days; write 0 for ever, or up to 36500", one.name, days)
		}
		*one.to = time.Duration(days) * 24 * time.Hour
	}
	return c, nil
}

func decode(data []byte) (f file, err error) {
	if len(data) > maxSize {
		return f, fmt.Errorf("it is larger than %d KiB; this cannot be a cloud.yaml", maxSize>>10)
	}
	defer func() {
		if recover() != nil { // a damaged file may well find a fault of the parser
			err = errors.New("it is not yaml: the parser gave up")
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict())
	err = d.Decode(&f)
	if errors.Is(err, io.EOF) || len(bytes.TrimSpace(data)) == 0 {
		// To go on with the defaults would mean an empty database in another folder.
		return f, errors.New("it is empty; write at least data_dir")
	}
	if e := yaml.Error(nil); errors.As(err, &e) { // its Error() prints the lines around, and a secret with them
		line := ""
		if at := e.GetToken(); at != nil && at.Position != nil {
			line = "line " + strconv.Itoa(at.Position.Line) + ": "
		}
		return f, fmt.Errorf("%s%s; mend it", line, strings.ToLower(e.GetMessage()[:1])+e.GetMessage()[1:])
	}
	if err != nil {
		return f, errors.New("it is not yaml as cloud.yaml has it")
	}
	var more any
	if !errors.Is(d.Decode(&more), io.EOF) {
		return f, errors.New("it has more than one yaml document; keep one")
	}
	return f, nil
}

func broker(f file, in func(string) string) (b Broker, err error) {
	g := f.Broker
	if g == nil {
		return Broker{Embedded: DefaultBroker, Plain: true, Public: "mqtt://" + DefaultBroker}, nil
	}
	b = Broker{Embedded: g.Embedded, CA: in(g.CA), Pair: Pair{in(g.Cert), in(g.Key)}, Username: g.Username, Shared: g.Shared}
	switch {
	case (g.Embedded == "") == (g.URL == ""):
		return b, errors.New("write either embedded or url")
	case (g.Cert == "") != (g.Key == ""):
		return b, errors.New("write both cert and key, or neither")
	case (g.Username == "") != (g.PasswordFile == ""):
		return b, errors.New("write both username and password_file, or neither")
	case g.Embedded != "" && (g.CA != "" || g.Cert != "" || g.Username != "" || g.Shared):
		return b, errors.New("ca, cert, key, username, password_file and shared are for a broker with url; an embedded one has its own")
	}
	if g.Public != "" {
		if b.Public, err = address(g.Public); err != nil {
			return b, fmt.Errorf("public: %w", err)
		}
	}
	if g.Embedded != "" {
		at, err := netip.ParseAddrPort(g.Embedded)
		if err != nil {
			return b, fmt.Errorf("embedded: %.80q is no IP:port; write for example %s, or 0.0.0.0:8883 for the whole network", g.Embedded, DefaultBroker)
		}
		switch {
		case b.Public == "" && at.Addr().IsLoopback():
			b.Public = "mqtt://" + g.Embedded
		case b.Public == "" && at.Addr().IsUnspecified():
			return b, errors.New("public: is missing; write what agents shall connect to, for example mqtts://mqtt.example.com:8883")
		case b.Public == "":
			b.Public = "mqtts://" + g.Embedded
		}
		b.Plain = strings.HasPrefix(b.Public, "mqtt:")
		if b.Plain && !at.Addr().IsLoopback() {
			return b, errors.New("public: an embedded broker beyond loopback speaks mqtts only; write mqtts://")
		}
		return b, nil
	}
	if b.URL, err = address(g.URL); err != nil {
		return b, fmt.Errorf("url: %w", err)
	}
	if b.Public == "" {
		b.Public = b.URL
	}
	if g.PasswordFile != "" {
		data, err := os.ReadFile(in(g.PasswordFile))
		if err != nil {
			return b, fmt.Errorf("password_file: %w", err)
		}
		if b.Password = strings.TrimSpace(string(data)); b.Password == "" {
			return b, errors.New("password_file: is empty; write the password into it")
		}
	}
	return b, nil
}

// address fills in the port. Its error never has a password that someone has
// put into the URL.
func address(s string) (string, error) {
	const advice = "write for example mqtts://mqtt.example.com:8883"
	if strings.Contains(s, "@") {
		return "", errors.New("has a user name or password in it; write username and password_file")
	}
	u, err := url.Parse(s)
	if err != nil {
		return "", fmt.Errorf("%.80q is no URL; %s", s, advice)
	}
	port, ok := map[string]string{"mqtt": "1883", "mqtts": "8883"}[u.Scheme]
	if !ok || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%.80q is not mqtts://host:port or mqtt://host:port; %s", s, advice)
	}
	if p := u.Port(); p != "" {
		if v, err := strconv.ParseUint(p, 10, 16); err != nil || v == 0 {
			return "", fmt.Errorf("%.80q has no port from 1 to 65535; %s", s, advice)
		}
		port = p
	}
	return u.Scheme + "://" + net.JoinHostPort(u.Hostname(), port), nil
}

func loopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
