// Package config reads agent.yaml, the one file that an agent is given by hand.
//
// It is strict, because a typing error in this file must be a message at start
// and not a till without a register: unknown keys, keys written twice, YAML's
// anchors, tags and merges are refused, and every fault is named with its line.
//
//	data_dir: /var/lib/ekassa-agent
//	listen: 127.0.0.1:8787            # the till's API and the staff page
//	hosts: [till-server.lan]          # names besides its addresses by which tills may call it
//	name: ekassa                      # http://ekassa.local in the shop's network; "" announces nothing
//	metrics_on_lan: false             # healthz, readyz and metrics beyond loopback
//	cloud: {broker: "mqtts://mqtt.example.com:8883", agent_id: baku-0001}
//	discovery: {interfaces: [eth0], sweep: [192.168.1.0/24]}
//	front_doors:
//	  - {protocol: azsmart, listen: "0.0.0.0:8008", terminal: till-1}
//	slip: {printer: "192.168.1.50:9100"}   # where guests get a slip while the register is away; see Slip
//	update: {quiet: 10m}              # so long without a receipt before another version of the program is begun
//	settings: {...}                   # see package wire; used until the cloud has pushed some
package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"ekassa/cloud/wire"
)

// The defaults of agent.yaml.
const (
	DefaultDataDir = "/var/lib/ekassa-agent"
	DefaultListen  = "127.0.0.1:8787"
	DefaultName    = "ekassa"
	DefaultQuiet   = 10 * time.Minute
)

// Config is agent.yaml with its defaults filled in and its values checked.
type Config struct {
	// DataDir holds journal, credentials and everything else that lasts.
	// [Load] makes it absolute, relative to the file's folder. Default
	// [DefaultDataDir].
	DataDir string
	// Listen is where the till's API and the staff page are served, IP:port;
	// port 0 lets the system choose. Default [DefaultListen].
	Listen string
	// Hosts are names, lower-case and without port, that are allowed in the
	// Host header besides the agent's own addresses. Default none.
	Hosts []string
	// Name is announced by multicast DNS, with .local behind it, where Listen is in
	// reach of the network; "" is none. Where another machine has it, a number is
	// put behind it. Default [DefaultName].
	Name string
	// MetricsOnLAN serves /healthz, /readyz and /metrics beyond loopback.
	// Default false.
	MetricsOnLAN bool
	// Cloud is nil where there is no cloud.
	Cloud *Cloud
	// Discovery says where to look for registers.
	Discovery Discovery
	// FrontDoors are for tills that speak a register's protocol themselves:
	// such a till is given the agent's address instead of its register's, and
	// signs as before. Default none. See package frontdoor.
	FrontDoors []FrontDoor
	// Slip is nil where no till has a receipt printer for guests' slips.
	Slip *Slip
	// Quiet is how long no receipt must have come before another version of the
	// program is begun. Default [DefaultQuiet].
	Quiet time.Duration
	// Settings are used until the cloud has pushed some. Without a settings
	// key they are wire.DefaultSettings: no registers yet. Where the file names
	// neither registers nor terminals, they are those that were set on the page at
	// the first start ([Keep]), if any.
	Settings wire.Settings
	// Warnings are facts that stop nothing but that people should hear of.
	Warnings []Warning
}

// Cloud is the way to the cloud, written by ekassa-agent enroll.
type Cloud struct {
	// Broker is mqtt://host:port or mqtts://host:port, the port filled in
	// (1883, 8883) where the file has none.
	Broker string
	// AgentID is client id, user name and topic segment: 1 to 64 letters,
	// digits, '-', '_' and '.', the first a letter or digit.
	AgentID string
}

// Discovery says where to look for registers. The zero value: only mDNS on
// every interface, no sweep.
type Discovery struct {
	// Interfaces are the names of network interfaces to listen on. Empty: all.
	Interfaces []string
	// Sweep are networks whose addresses are asked one by one: private or
	// loopback, at most 1024 addresses (/22) each.
	Sweep []netip.Prefix
}

// FrontDoor is a listener that looks to a till like a register of its own.
type FrontDoor struct {
	// Protocol is azsmart, omnitech or caspos.
	Protocol string
	// Listen is IP:port.
	Listen string
	// Terminal is the id of the till that calls here.
	Terminal string
}

// Slip is the receipt printers in the shop's network (ESC/POS over TCP), and the
// way of a guest's phone to the page that the slip's QR code leads to. It is about
// this network, so it is written here and never pushed by the cloud.
type Slip struct {
	// Printer is IP:port of the one for all tills that have none of their own; most
	// listen on port 9100. Empty, where Printers names some: those tills give none.
	Printer string
	// Paper is its width in millimetres, 80 or 58, and that of Printers unless they
	// say otherwise. Default 80.
	Paper int
	// Printers are those of single tills, in the room where the till stands. Default
	// none.
	Printers []TillPrinter
	// Shop is the name that guests know. Default: what the register says.
	Shop string
	// Link is the address at which phones reach this agent, http or https, host and
	// perhaps port, without a path. Default "": the name that the agent announces,
	// or an address that it listens on.
	Link string
	// Listen serves the guests' page, and nothing else, at one more IP:port, so that
	// the till's API need not be in reach of the guests. Default "".
	Listen string
}

// TillPrinter is the receipt printer of one till.
type TillPrinter struct {
	Terminal string // empty: all that have none of their own
	Printer  string // IP:port; several tills may share one
	Paper    int    // its width in millimetres, 80 or 58
}

// All gives every till's printer, that for all others first.
func (s Slip) All() []TillPrinter {
	if s.Printer == "" {
		return s.Printers
	}
	return append([]TillPrinter{{Printer: s.Printer, Paper: s.Paper}}, s.Printers...)
}

// LogValue keeps secrets out of logs, whatever the handler.
func (c Config) LogValue() slog.Value {
	type plain Config // has no LogValue of its own
	c.Settings = c.Settings.Masked()
	return slog.AnyValue(plain(c))
}

// maxSize of the file in bytes. A hundred registers need half of it, and the
// YAML parser takes time with the square of it.
const maxSize = 64 << 10

// Load reads and checks the file. The error is one lower-case line that names
// the file and every fault in it with its line; it never has a secret. It
// wraps that of the file system where the file could not be read.
func Load(path string) (Config, error) {
	data, mode, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, fmt.Errorf("load config: %w; write the file, or name another with --config", err)
	}
	if err != nil {
		return Config{}, fmt.Errorf("load config: %w", err)
	}
	c, err := Parse(data)
	if err != nil {
		return Config{}, fmt.Errorf("load config %s: %w", path, err)
	}
	if !filepath.IsAbs(c.DataDir) {
		c.DataDir = filepath.Join(filepath.Dir(path), c.DataDir)
	}
	if c.DataDir, err = filepath.Abs(c.DataDir); err != nil {
		return Config{}, fmt.Errorf("load config %s: data_dir: %w", path, err)
	}
	open := permissions(path, mode, c.Settings)
	if err := c.takeKept(); err != nil {
		return Config{}, fmt.Errorf("load config %s: %w", path, err)
	}
	c.Warnings = append(c.Warnings, open...)
	return c, nil
}

// DataDir gives the data_dir of the file alone, as [Load] would, and passes over
// all that it does not know: the launcher has to find a newer program that may
// read a newer file.
func DataDir(path string) (string, error) {
	data, _, err := read(path)
	if err != nil {
		return "", fmt.Errorf("load config: %w", err)
	}
	t := &tree{faults: &faults{}, lines: map[string]int{}}
	dir := DefaultDataDir
	if root := t.parse(data); root != nil && root.kind == mapping {
		if n, ok := root.fields["data_dir"]; ok {
			dir = t.text(n, "data_dir")
		}
	}
	if err := t.err(); err != nil {
		return "", fmt.Errorf("load config %s: %w", path, err)
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(filepath.Dir(path), dir)
	}
	return filepath.Abs(dir)
}

func read(path string) ([]byte, fs.FileMode, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1)) // one more, so that Parse can tell
	return data, info.Mode(), err
}

// permissions warns of a file that strangers on the machine can read, where
// it holds a secret, or change, whatever it holds.
func permissions(path string, mode fs.FileMode, s wire.Settings) []Warning {
	if !mode.IsRegular() {
		return nil
	}
	var warnings []Warning
	secret := false
	for _, r := range s.Registers {
		secret = secret || r.MerchantID != "" || r.Password != ""
	}
	if secret && mode.Perm()&0o004 != 0 {
		warnings = append(warnings, Warning{HintReadable, fmt.Sprintf("%s (mode %04o)", path, mode.Perm())})
	}
	if mode.Perm()&0o002 != 0 {
		warnings = append(warnings, Warning{HintWritable, fmt.Sprintf("%s (mode %04o)", path, mode.Perm())})
	}
	return warnings
}
