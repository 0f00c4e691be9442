package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"ekassa/cloud/wire"
)

// Parse checks the content of an agent.yaml and fills in the defaults; a
// relative DataDir stays relative. The error is as that of [Load].
func Parse(data []byte) (Config, error) {
	t := &tree{faults: &faults{}, lines: map[string]int{}}
	root := t.parse(data)
	if root == nil {
		return Config{}, t.err()
	}
	c := Config{DataDir: DefaultDataDir, Listen: DefaultListen, Name: DefaultName, Quiet: DefaultQuiet, Settings: wire.DefaultSettings()}
	f := t.fields(root, "", "data_dir", "listen", "hosts", "name", "metrics_on_lan", "cloud", "discovery", "front_doors", "slip", "update", "settings")
	if n, ok := f["data_dir"]; ok {
		if c.DataDir = t.text(n, "data_dir"); c.DataDir == "" || strings.ContainsRune(c.DataDir, 0) {
			t.refuse(n, "data_dir", "is no path; write the folder for the journal")
		}
	}
	if n, ok := f["listen"]; ok {
		c.Listen = t.listen(n, "listen")
	}
	if n, ok := f["hosts"]; ok {
		c.Hosts = t.hosts(n)
	}
	if n, ok := f["name"]; ok {
		if c.Name = strings.ToLower(t.text(n, "name")); c.Name != "" && !labelForm.MatchString(c.Name) {
			t.refuse(n, "name", quote(c.Name)+" is no name of a machine; write letters, digits and '-' without .local, for example "+DefaultName)
		}
	}
	if n, ok := f["metrics_on_lan"]; ok {
		c.MetricsOnLAN = t.boolean(n, "metrics_on_lan")
	}
	if n, ok := f["cloud"]; ok {
		c.Cloud = t.cloud(n)
	}
	if n, ok := f["discovery"]; ok {
		c.Discovery = t.discovery(n)
	}
	if n, ok := f["front_doors"]; ok {
		c.FrontDoors = t.frontDoors(n)
	}
	if n, ok := f["slip"]; ok {
		c.Slip = t.slip(n)
	}
	if n, ok := f["update"]; ok {
		c.Quiet = t.quiet(n)
	}
	settings, given := f["settings"]
	if given {
		c.Settings = t.settings(settings)
	}
	t.clashes(c)
	if err := t.err(); err != nil {
		return Config{}, err
	}
	c.Warnings = warnings(c, given)
	return c, nil
}

func (t *tree) refuse(n *node, path, message string) {
	if n.kind != bad {
		t.add(n.line, path, message)
	}
}

// quiet reads update.
func (t *tree) quiet(n *node) time.Duration {
	q, ok := t.fields(n, "update", "quiet")["quiet"]
	if !ok {
		return DefaultQuiet
	}
	d, err := time.ParseDuration(t.text(q, "update.quiet"))
	if err != nil || d < time.Second || d > 24*time.Hour {
		t.refuse(q, "update.quiet", "is no time from 1s to 24h; write for example 10m")
	}
	return d
}

// fields returns the fields of a mapping, and refuses the unknown.
func (t *tree) fields(n *node, path string, known ...string) map[string]*node {
	if n.kind != mapping {
		t.refuse(n, path, "found "+n.kind.String()+"; write keys and values: "+strings.Join(known, ", "))
		return nil
	}
	for _, key := range n.keys {
		if !slices.Contains(known, key) {
			at := child(path, key)
			t.add(t.lines[at], at, "unknown key; known here are "+strings.Join(known, ", "))
		}
	}
	return n.fields
}

func (t *tree) list(n *node, path string) []*node {
	if n.kind != list {
		t.refuse(n, path, "found "+n.kind.String()+"; write a list, for example [a, b]")
	}
	return n.items
}

// text takes numbers too, as they are written: an id may be 0001.
func (t *tree) text(n *node, path string) string {
	if n.kind != text && n.kind != number {
		t.refuse(n, path, "found "+n.kind.String()+"; write text, in quotes")
	}
	return n.text
}

func (t *tree) boolean(n *node, path string) bool {
	if n.kind != boolean {
		t.refuse(n, path, "found "+n.show()+"; write true or false")
	}
	return n.truth
}

func (n *node) show() string {
	if n.kind == text || n.kind == number {
		return quote(n.text)
	}
	return n.kind.String()
}

// required returns a field that must be there.
func (t *tree) required(parent *node, fields map[string]*node, path, key, advice string) (*node, string, bool) {
	at := child(path, key)
	n, ok := fields[key]
	if !ok && parent.kind == mapping {
		t.add(parent.line, at, "is missing; "+advice)
	}
	return n, at, ok
}

func (t *tree) listen(n *node, path string) string {
	s := t.text(n, path)
	if _, err := netip.ParseAddrPort(s); err != nil {
		t.refuse(n, path, quote(s)+" is no IP:port; write for example "+DefaultListen+", or 0.0.0.0:8787 for the whole network")
	}
	return s
}

// labelForm leaves room for a number behind it.
var labelForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,56}[a-z0-9])?$`)

var hostForm = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$`)

func (t *tree) hosts(n *node) []string {
	var hosts []string
	for i, item := range t.list(n, "hosts") {
		at := "hosts[" + strconv.Itoa(i) + "]"
		host := strings.ToLower(t.text(item, at))
		if _, err := netip.ParseAddr(host); err != nil && (len(host) > 253 || !hostForm.MatchString(host)) {
			t.refuse(item, at, quote(host)+" is no host name; write it without scheme, port and wildcards")
		}
		hosts = append(hosts, host)
	}
	return hosts
}

var agentForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func (t *tree) cloud(n *node) *Cloud {
	c := &Cloud{}
	f := t.fields(n, "cloud", "broker", "agent_id")
	if b, at, ok := t.required(n, f, "cloud", "broker", "write it, or run ekassa-agent enroll"); ok {
		broker, err := parseBroker(t.text(b, at))
		if err != nil {
			t.refuse(b, at, err.Error())
		}
		c.Broker = broker
	}
	if id, at, ok := t.required(n, f, "cloud", "agent_id", "run ekassa-agent enroll, which writes it"); ok {
		if c.AgentID = t.text(id, at); !agentForm.MatchString(c.AgentID) {
			t.refuse(id, at, quote(c.AgentID)+" is no agent id; write 1 to 64 letters, digits, '-', '_' and '.', as the cloud has it")
		}
	}
	return c
}

// parseBroker fills in the port. Its error never has a password that someone
// has put into the URL.
func parseBroker(s string) (string, error) {
	const advice = "write for example mqtts://mqtt.example.com:8883"
	if strings.Contains(s, "@") {
		return "", errors.New("has a user name or password in it; leave them out, enroll keeps the credentials elsewhere")
	}
	u, err := url.Parse(s)
	if err != nil {
		return "", fmt.Errorf("%s is no URL; %s", quote(s), advice)
	}
	ports := map[string]string{"mqtt": "1883", "mqtts": "8883"}
	port, ok := ports[u.Scheme]
	switch {
	case !ok:
		return "", fmt.Errorf("%s begins neither with mqtts:// nor with mqtt://; %s", quote(s), advice)
	case u.Hostname() == "":
		return "", fmt.Errorf("%s names no host; %s", quote(s), advice)
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", fmt.Errorf("%s has something after the port; %s", quote(s), advice)
	}
	if p := u.Port(); p != "" {
		if v, err := strconv.ParseUint(p, 10, 16); err != nil || v == 0 {
			return "", fmt.Errorf("%s has no port from 1 to 65535; %s", quote(s), advice)
		}
		port = p
	}
	host := u.Hostname()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return u.Scheme + "://" + host + ":" + port, nil
}

var interfaceForm = regexp.MustCompile(`^[^\s/:]{1,15}$`) // what the kernel takes

func (t *tree) discovery(n *node) Discovery {
	var d Discovery
	f := t.fields(n, "discovery", "interfaces", "sweep")
	if list, ok := f["interfaces"]; ok {
		for i, item := range t.list(list, "discovery.interfaces") {
			at := "discovery.interfaces[" + strconv.Itoa(i) + "]"
			name := t.text(item, at)
			if !interfaceForm.MatchString(name) {
				t.refuse(item, at, quote(name)+" is no interface; write its name, for example eth0")
			}
			d.Interfaces = append(d.Interfaces, name)
		}
	}
	if list, ok := f["sweep"]; ok {
		for i, item := range t.list(list, "discovery.sweep") {
			at := "discovery.sweep[" + strconv.Itoa(i) + "]"
			prefix, err := parseSweep(t.text(item, at))
			if err != nil {
				t.refuse(item, at, err.Error())
			}
			d.Sweep = append(d.Sweep, prefix)
		}
	}
	return d
}

// parseSweep takes only networks that are the shop's own and soon gone
// through: a sweep must not look like an attack on anybody's network.
func parseSweep(s string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(s)
	if err != nil || prefix.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%s is no network; write for example 192.168.1.0/24", quote(s))
	}
	prefix = prefix.Masked()
	if hostBits := prefix.Addr().BitLen() - prefix.Bits(); hostBits > 10 {
		return netip.Prefix{}, fmt.Errorf("%s is too large to ask politely; write at most 1024 addresses, a /22, for example 192.168.1.0/24", quote(s))
	}
	if a := prefix.Addr(); !a.IsPrivate() && !a.IsLoopback() {
		return netip.Prefix{}, fmt.Errorf("%s is no private network; write the shop's own, for example 192.168.1.0/24", quote(s))
	}
	return prefix, nil
}

func (t *tree) frontDoors(n *node) []FrontDoor {
	var doors []FrontDoor
	protocols := []string{wire.DriverAzSmart, wire.DriverOmnitech, wire.DriverCaspos}
	for i, item := range t.list(n, "front_doors") {
		path := "front_doors[" + strconv.Itoa(i) + "]"
		f := t.fields(item, path, "protocol", "listen", "terminal")
		var d FrontDoor
		if p, at, ok := t.required(item, f, path, "protocol", "write one of "+strings.Join(protocols, ", ")); ok {
			if d.Protocol = t.text(p, at); !slices.Contains(protocols, d.Protocol) {
				t.refuse(p, at, quote(d.Protocol)+" is no protocol; write one of "+strings.Join(protocols, ", "))
			}
		}
		if l, at, ok := t.required(item, f, path, "listen", "write IP:port, for example 0.0.0.0:8008"); ok {
			d.Listen = t.listen(l, at)
		}
		if id, at, ok := t.required(item, f, path, "terminal", "write the till's id"); ok {
			if d.Terminal = t.text(id, at); !wire.ValidID(d.Terminal) {
				t.refuse(id, at, quote(d.Terminal)+" is no terminal id; write 1 to 63 letters, digits and '-'")
			}
		}
		doors = append(doors, d)
	}
	return doors
}

func (t *tree) settings(n *node) wire.Settings {
	if n.kind == bad {
		return wire.Settings{}
	}
	data, err := json.Marshal(n.value())
	if err != nil {
		t.refuse(n, "settings", "cannot be read: "+err.Error())
		return wire.Settings{}
	}
	s, err := wire.ParseSettings(data)
	var refused *wire.SettingsError
	switch {
	case errors.As(err, &refused):
		for _, f := range refused.Faults {
			path := "settings"
			if strings.HasPrefix(f.Field, "[") {
				path += f.Field
			} else if f.Field != "" {
				path += "." + f.Field
			}
			t.add(t.lineOfPath(path), path, f.Message)
		}
	case err != nil:
		t.refuse(n, "settings", err.Error())
	}
	return s
}

// clashes refuses two listeners on one port, of which the second could not start.
func (t *tree) clashes(c Config) {
	type listener struct{ path, address string }
	all := []listener{{"listen", c.Listen}}
	for i, d := range c.FrontDoors {
		all = append(all, listener{"front_doors[" + strconv.Itoa(i) + "].listen", d.Listen})
	}
	if c.Slip != nil && c.Slip.Listen != "" {
		all = append(all, listener{"slip.listen", c.Slip.Listen})
	}
	for i, b := range all {
		for _, a := range all[:i] {
			x, errX := netip.ParseAddrPort(a.address)
			y, errY := netip.ParseAddrPort(b.address)
			if errX != nil || errY != nil || x.Port() != y.Port() || x.Port() == 0 {
				continue
			}
			if x.Addr() == y.Addr() || x.Addr().IsUnspecified() || y.Addr().IsUnspecified() {
				t.add(t.lineOfPath(b.path), b.path, quote(b.address)+" is taken by "+a.path+"; write another port")
			}
		}
	}
}

// warnings are about what is legal and yet hardly meant.
func warnings(c Config, settingsGiven bool) []Warning {
	var all []Warning
	if c.Cloud == nil && !settingsGiven {
		all = append(all, Warning{Hint: HintNothing})
	}
	if c.Cloud != nil && strings.HasPrefix(c.Cloud.Broker, "mqtt://") && !loopback(c.Cloud.Broker) {
		all = append(all, Warning{Hint: HintPlainBroker})
	}
	for i, d := range c.FrontDoors {
		if _, ok := c.Settings.Terminal(d.Terminal); settingsGiven && !ok {
			all = append(all, Warning{HintDoor, fmt.Sprintf("front_doors[%d].terminal %s", i, quote(d.Terminal))})
		}
	}
	if c.Slip != nil {
		for i, p := range c.Slip.Printers {
			if _, ok := c.Settings.Terminal(p.Terminal); settingsGiven && !ok {
				all = append(all, Warning{HintPrinter, fmt.Sprintf("slip.printers[%d].terminal %s", i, quote(p.Terminal))})
			}
		}
	}
	return all
}

func loopback(broker string) bool {
	u, err := url.Parse(broker)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
}
