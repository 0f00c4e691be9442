package config_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"ekassa/agent/config"
	"ekassa/cloud/wire"
)

// full has every key.
const full = `
# the shop's agent
data_dir: /srv/ekassa
listen: 0.0.0.0:8787
hosts: [Till-Server.lan, 192.168.1.5]
name: Kassa-Bar
metrics_on_lan: true
cloud:
  broker: mqtts://mqtt.example.com
  agent_id: baku-0001
discovery: {interfaces: [eth0, wlan0], sweep: [192.168.1.7/24, 10.0.0.0/22]}
front_doors:
  - {protocol: azsmart, listen: "0.0.0.0:8008", terminal: till-1}
slip: {printer: "192.168.1.50:9100", printers: [{terminal: till-1, printer: "192.168.1.51:9100", paper: 80}], paper: 58, shop: "Nizami 10", link: "HTTP://Ekassa.local/", listen: "0.0.0.0:8080"}
update: {quiet: 20m}
settings:
  module: {enabled: true, show_on_terminal: true, auto_send: false}
  tax: {name: ƏDV, rate: 18.00}
  registers:
    - id: kassa-1
      driver: azsmart
      address: 192.168.1.1:8008
      merchant_id: 0123456     # looks like a number, is text
      serial: 00900123
      terminal: till-1
  terminals: [{id: till-1, name: no}]
  shift: {warn_after: [22h, 23h30m], auto_close: at, close_at: 05:00}
`

func TestParse_Full(t *testing.T) {
	c, err := config.Parse([]byte(full))
	if err != nil {
		t.Fatal(err)
	}
	s := wire.DefaultSettings()
	s.Module.AutoSend = false
	s.Tax = wire.Tax{Name: "ƏDV", Rate: "18.00"}
	s.Registers = []wire.Register{{
		ID: "kassa-1", Driver: "azsmart", Address: netip.MustParseAddrPort("192.168.1.1:8008"), MerchantID: "0123456",
		Serial: "00900123", Terminal: "till-1", Mode: "active",
	}}
	s.Terminals = []wire.Terminal{{ID: "till-1", Name: "no"}}
	s.Shift.WarnAfter = nil
	for _, text := range []string{"22h", "23h30m"} {
		var d wire.Duration
		if err := d.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		s.Shift.WarnAfter = append(s.Shift.WarnAfter, d)
	}
	s.Shift.AutoClose = wire.AutoCloseAt
	want := config.Config{
		DataDir: "/srv/ekassa", Listen: "0.0.0.0:8787", Hosts: []string{"till-server.lan", "192.168.1.5"}, Name: "kassa-bar", MetricsOnLAN: true,
		Cloud: &config.Cloud{Broker: "mqtts://mqtt.example.com:8883", AgentID: "baku-0001"},
		Discovery: config.Discovery{
			Interfaces: []string{"eth0", "wlan0"},
			Sweep:      []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24"), netip.MustParsePrefix("10.0.0.0/22")},
		},
		FrontDoors: []config.FrontDoor{{Protocol: "azsmart", Listen: "0.0.0.0:8008", Terminal: "till-1"}},
		Slip:       &config.Slip{Printer: "192.168.1.50:9100", Paper: 58, Printers: []config.TillPrinter{{Terminal: "till-1", Printer: "192.168.1.51:9100", Paper: 80}}, Shop: "Nizami 10", Link: "http://ekassa.local", Listen: "0.0.0.0:8080"},
		Quiet:      20 * time.Minute,
		Settings:   s,
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got\n%+v\nwant\n%+v", c, want)
	}
}

func TestParse_Defaults(t *testing.T) {
	c, err := config.Parse([]byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if c.DataDir != "/var/lib/ekassa-agent" || c.Listen != "127.0.0.1:8787" || c.Cloud != nil || c.MetricsOnLAN ||
		len(c.Discovery.Interfaces)+len(c.Discovery.Sweep)+len(c.FrontDoors)+len(c.Hosts) != 0 || !c.Settings.Equal(wire.DefaultSettings()) {
		t.Errorf("%+v", c)
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].String(), "neither cloud nor settings") {
		t.Errorf("warnings %q", c.Warnings)
	}
}

func TestParse_TakesTheContractsJSON(t *testing.T) {
	golden, err := os.ReadFile("../../cloud/wire/testdata/v1/settings.json")
	if err != nil {
		t.Fatal(err)
	}
	want, err := wire.ParseSettings(golden)
	if err != nil {
		t.Fatal(err)
	}
	compact := strings.Join(strings.Fields(string(golden)), "") // {"a":1} without spaces is YAML too
	compact = strings.NewReplacer("Till1", "Till 1").Replace(compact)
	c, err := config.Parse([]byte("settings: " + compact + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	if !c.Settings.Equal(want) {
		t.Errorf("got %+v", c.Settings)
	}
}

func TestParse_NamesEveryFault(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"nothing", "", "is empty; write at least data_dir"},
		{"comments", "# later\n", "is empty; write at least data_dir"},
		{"text", "hello\n", "line 1: found text; write keys and values: data_dir, listen, hosts, name, metrics_on_lan, cloud, discovery, front_doors, slip, update, settings"},
		{"two documents", "listen: 127.0.0.1:1\n---\nlisten: 127.0.0.1:2\n", "has more than one yaml document; keep one"},
		{"no quiet", "update: {quiet: 0s}\n", "line 1: update.quiet: is no time from 1s to 24h; write for example 10m"},
		{"broken", "listen: \"127\n", "line 1: is not yaml: could not find end character of double-quoted text; mend the line or the one before"},
		{"unknown", "listen: 127.0.0.1:1\nlistne: x\ncloud: {broker: 'mqtts://h', agent_id: a, ca: f}\n",
			"line 2: listne: unknown key; known here are data_dir, listen, hosts, name, metrics_on_lan, cloud, discovery, front_doors, slip, update, settings; " +
				"line 3: cloud.ca: unknown key; known here are broker, agent_id"},
		{"twice", "listen: 127.0.0.1:1\ndata_dir: /x\nlisten: 127.0.0.1:2\n", "line 3: listen: is written twice, first in line 1; keep one of the two"},
		{"no value", "listen:\ncloud: ~\n", "line 1: listen: has no value; write one, or leave the line out; line 2: cloud: has no value; write one, or leave the line out"},
		{"anchor and alias", "data_dir: &x /x\nlisten: *x\n",
			"line 1: data_dir: uses an anchor, alias, tag or merge of yaml; write the plain value; line 2: listen: uses an anchor, alias, tag or merge of yaml; write the plain value"},
		{"merge", "cloud:\n  <<: {broker: x}\n", "line 2: cloud: has a key that is no plain text; write key: value; " +
			"line 2: cloud.broker: is missing; write it, or run ekassa-agent enroll; line 2: cloud.agent_id: is missing; run ekassa-agent enroll, which writes it"},
		{"data_dir", `data_dir: ""`, "line 1: data_dir: is no path; write the folder for the journal"},
		{"listen", "listen: localhost:8787", `line 1: listen: "localhost:8787" is no IP:port; write for example 127.0.0.1:8787, or 0.0.0.0:8787 for the whole network`},
		{"listen a list", "listen: [a]", "line 1: listen: found a list; write text, in quotes"},
		{"yes", "metrics_on_lan: yes", `line 1: metrics_on_lan: found "yes"; write true or false`},
		{"hosts", "hosts: ['*.lan', 'till:80', true]", `line 1: hosts[0]: "*.lan" is no host name; write it without scheme, port and wildcards; ` +
			`line 1: hosts[1]: "till:80" is no host name; write it without scheme, port and wildcards; line 1: hosts[2]: found a boolean; write text, in quotes`},
		{"name", "name: ekassa.local", `line 1: name: "ekassa.local" is no name of a machine; write letters, digits and '-' without .local, for example ekassa`},
		{"cloud", "cloud:\n  broker: http://x\n  agent_id: a/b", `line 2: cloud.broker: "http://x" begins neither with mqtts:// nor with mqtt://; write for example mqtts://mqtt.example.com:8883; ` +
			`line 3: cloud.agent_id: "a/b" is no agent id; write 1 to 64 letters, digits, '-', '_' and '.', as the cloud has it`},
		{"discovery", "discovery:\n  interfaces: [eth 0]\n  sweep: [192.168.0.0/21, 8.8.8.0/24, 192.168.1.1, '::ffff:10.0.0.0/120']",
			`line 2: discovery.interfaces[0]: "eth 0" is no interface; write its name, for example eth0; ` +
				`line 3: discovery.sweep[0]: "192.168.0.0/21" is too large to ask politely; write at most 1024 addresses, a /22, for example 192.168.1.0/24; ` +
				`line 3: discovery.sweep[1]: "8.8.8.0/24" is no private network; write the shop's own, for example 192.168.1.0/24; ` +
				`line 3: discovery.sweep[2]: "192.168.1.1" is no network; write for example 192.168.1.0/24; ` +
				`line 3: discovery.sweep[3]: "::ffff:10.0.0.0/120" is no network; write for example 192.168.1.0/24`},
		{"discovery a list", "discovery: [eth0]", "line 1: discovery: found a list; write keys and values: interfaces, sweep"},
		{"front doors", "front_doors:\n  - {protocol: nba, listen: 0.0.0.0, terminal: a b}\n  - listen: 0.0.0.0:1\n  - x\n",
			`line 2: front_doors[0].protocol: "nba" is no protocol; write one of azsmart, omnitech, caspos; ` +
				`line 2: front_doors[0].listen: "0.0.0.0" is no IP:port; write for example 127.0.0.1:8787, or 0.0.0.0:8787 for the whole network; ` +
				`line 2: front_doors[0].terminal: "a b" is no terminal id; write 1 to 63 letters, digits and '-'; ` +
				`line 3: front_doors[1].protocol: is missing; write one of azsmart, omnitech, caspos; line 3: front_doors[1].terminal: is missing; write the till's id; ` +
				`line 4: front_doors[2]: found text; write keys and values: protocol, listen, terminal`},
		{"one port twice", "front_doors:\n  - {protocol: azsmart, listen: '0.0.0.0:8787', terminal: a}\n", `line 2: front_doors[0].listen: "0.0.0.0:8787" is taken by listen; write another port`},
		{"slip", "slip:\n  printer: 192.168.1.50\n  paper: 70\n  link: http://a.lan/r\n  listen: 8080\n  port: 9100\n",
			`line 2: slip.printer: "192.168.1.50" is no IP:port in the shop's own network; write for example 192.168.1.50:9100, the port too; ` +
				`line 3: slip.paper: "70" is no width; write 80 or 58, in millimetres; ` +
				`line 4: slip.link: "http://a.lan/r" has more than a host and a port; write for example http://ekassa.local or http://192.168.1.5:8787; ` +
				`line 5: slip.listen: "8080" is no IP:port; write for example 127.0.0.1:8787, or 0.0.0.0:8787 for the whole network; ` +
				`line 6: slip.port: unknown key; known here are printer, printers, paper, shop, link, listen`},
		{"slip to anywhere", "slip: {printer: '8.8.8.8:9100', listen: '0.0.0.0:8787', link: 'ekassa.local'}",
			`line 1: slip.printer: "8.8.8.8:9100" is no IP:port in the shop's own network; write for example 192.168.1.50:9100, the port too; ` +
				`line 1: slip.link: "ekassa.local" begins neither with http:// nor with https://; write for example http://ekassa.local or http://192.168.1.5:8787; ` +
				`line 1: slip.listen: "0.0.0.0:8787" is taken by listen; write another port`},
		{"slip without a printer", "slip: {}", `line 1: slip.printer: is missing; write IP:port of the receipt printer, for example 192.168.1.50:9100`},
		{"slip printers", `slip:
  paper: 58
  printers:
    - {terminal: bar, printer: "192.168.1.51:9100"}
    - {terminal: bar, printer: "192.168.1.52:9100"}
    - {terminal: a b, printer: 192.168.1.51}
    - {printer: "192.168.1.51:9100", paper: 80}
    - {terminal: hall, paper: 1}
    - {terminal: hall, prnter: "192.168.1.51:9100"}
    - bar
`, `line 5: slip.printers[1].terminal: "bar" has a printer in slip.printers[0] already; keep one of the two; ` +
			`line 6: slip.printers[2].terminal: "a b" is no terminal id; write 1 to 63 letters, digits and '-'; ` +
			`line 6: slip.printers[2].printer: "192.168.1.51" is no IP:port in the shop's own network; write for example 192.168.1.50:9100, the port too; ` +
			`line 7: slip.printers[3].terminal: is missing; write the till's id; ` +
			`line 7: slip.printers[3].paper: says 80, and the same printer has 58 elsewhere; write what it has; ` +
			`line 8: slip.printers[4].printer: is missing; write IP:port of the receipt printer, for example 192.168.1.50:9100; ` +
			`line 8: slip.printers[4].paper: "1" is no width; write 80 or 58, in millimetres; ` +
			`line 9: slip.printers[5].prnter: unknown key; known here are terminal, printer, paper; ` +
			`line 9: slip.printers[5].terminal: "hall" has a printer in slip.printers[4] already; keep one of the two; ` +
			`line 9: slip.printers[5].printer: is missing; write IP:port of the receipt printer, for example 192.168.1.50:9100; ` +
			`line 10: slip.printers[6]: found text; write keys and values: terminal, printer, paper`},
		{"slip without any printer", "slip: {printers: []}", `line 1: slip.printers: names no printer; write one, or slip.printer for all tills`},
		{"settings", "settings:\n  language: tr\n  tax: {type: vat18, rate: 18}\n  module: {enabled: yes}\n  registers:\n    - id: a\n      driver: caspos\n      address: 192.168.1.1\n",
			`line 2: settings.language: found "tr"; write one of az, ru, en; line 3: settings.tax.rate: stands beside type; write either type, or name and rate; ` +
				`line 4: settings.module.enabled: found text; write true or false; ` +
				`line 8: settings.registers[0].address: "192.168.1.1" has no port; write IP:port, for example 192.168.1.1:8008`},
		{"settings missing", "settings:\n  registers:\n    - name: x\n", "line 3: settings.registers[0].driver: is missing; write it; line 3: settings.registers[0].id: is missing; write it"},
		{"settings twice", "settings:\n  tax: {type: vat18, type: vat0}\n", "line 2: settings.tax.type: is written twice, first in line 2; keep one of the two"},
		{"settings null", "settings:\n", "line 1: settings: has no value; write one, or leave the line out"},
		{"settings text", "settings: x\n", "line 1: settings: found text; write an object of settings"},
		{"rate exactly", "settings: {tax: {name: x, rate: 18.001}}", `line 1: settings.tax.rate: "18.001" is no rate; write per cent with at most two decimals, for example 18.00`},
		{"bottomless brackets", strings.Repeat("[", 60<<10), "is not yaml: nested too deep; mend the line or the one before"},
		{"bottomless entries", strings.Repeat("- ", 30<<10), "is not yaml: nested too deep; mend the line or the one before"},
		{"too large", "# " + strings.Repeat("x", 300<<10), "is larger than 64 KiB; this cannot be an agent.yaml"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.Parse([]byte(tt.in))
			if err == nil || err.Error() != tt.want {
				t.Errorf("\ngot  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestParse_Broker(t *testing.T) {
	for in, want := range map[string]string{
		"mqtts://h":            "mqtts://h:8883",
		"mqtt://127.0.0.1":     "mqtt://127.0.0.1:1883",
		"mqtts://[::1]:8884/":  "mqtts://[::1]:8884",
		"mqtts://user:pw@h":    "", // and the password is not shown, see below
		"mqtts://h:0":          "",
		"mqtts://h:99999":      "",
		"mqtts://h/topic":      "",
		"mqtts://h?x=1":        "",
		"mqtts://":             "",
		"h:8883":               "",
		"mqtts://h:8883#frag ": "",
		"mqtts://h:88 83":      "",
	} {
		c, err := config.Parse(fmt.Appendf(nil, "cloud: {broker: %q, agent_id: 0001}", in))
		if want == "" {
			if err == nil || !strings.HasPrefix(err.Error(), "line 1: cloud.broker: ") || strings.Contains(err.Error(), "pw") {
				t.Errorf("%s: error %v", in, err)
			}
			continue
		}
		if err != nil || c.Cloud.Broker != want || c.Cloud.AgentID != "0001" {
			t.Errorf("%s: got %+v, %v", in, c.Cloud, err)
		}
	}
}

func TestParse_Warnings(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"none", full, ""},
		{"plain broker", "cloud: {broker: 'mqtt://h', agent_id: a}", "cloud.broker is not encrypted"},
		{"plain broker here", "cloud: {broker: 'mqtt://127.0.0.1', agent_id: a}", ""},
		{"front door to nobody", "settings: {}\nfront_doors: [{protocol: caspos, listen: '127.0.0.1:1', terminal: x}]", `front_doors[0].terminal "x" is not among`},
	} {
		c, err := config.Parse([]byte(tt.in))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var all []string
		for _, w := range c.Warnings {
			all = append(all, w.String())
		}
		if got := strings.Join(all, "\n"); (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: warnings %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "agent.yaml")
	write := func(content string, mode fs.FileMode) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil { // past the umask
			t.Fatal(err)
		}
	}

	if _, err := config.Load(path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "--config") {
		t.Errorf("no file: %v", err)
	}

	write("listen: x\n", 0o600)
	if _, err := config.Load(path); err == nil || !strings.HasPrefix(err.Error(), "load config "+path+": line 1: listen: ") {
		t.Errorf("bad file: %v", err)
	}

	write("data_dir: data\nsettings: {}\n", 0o644)
	c, err := config.Load(path)
	if err != nil || c.DataDir != filepath.Join(dir, "data") || len(c.Warnings) != 0 {
		t.Errorf("relative data_dir: %q %q %v", c.DataDir, c.Warnings, err)
	}

	t.Chdir(dir)
	if c, err = config.Load("agent.yaml"); err != nil || c.DataDir != filepath.Join(dir, "data") {
		t.Errorf("relative path: %q, %v", c.DataDir, err)
	}

	for mode, want := range map[fs.FileMode]int{0o600: 0, 0o640: 0, 0o644: 1, 0o646: 2} {
		write(full, mode)
		c, err := config.Load(path)
		if err != nil || len(c.Warnings) != want {
			t.Errorf("%o: warnings %q, %v", mode, c.Warnings, err)
		}
	}
}

func TestSecret_IsNeverShown(t *testing.T) {
	const secret = "S3CR3T"
	register := "settings:\n  registers:\n    - {id: a, driver: azsmart, merchant_id: " + secret + "}\n"
	c, err := config.Parse([]byte(register))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, v := range []any{c, &c} {
		fmt.Fprintf(&out, "%v %+v %#v %s", v, v, v, v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
	}
	for _, in := range []string{
		"merchant_id: " + secret,
		register + "x: 1\n",
		"settings:\n  registers:\n    - {id: a, merchant_id: " + secret + "Ə, driver: azsmart}\n",
		"settings:\n  registers:\n    - {id: a, merchant_id: " + secret + ", merchant_id: " + secret + ", driver: azsmart}\n",
		"settings:\n  registers:\n    - {id: a, merchant_id: [" + secret + "], driver: azsmart}\n",
		"settings:\n  registers:\n    - {id: a, merchant_id: '" + secret + ", driver: azsmart}\n",
		"settings:\n  registers:\n    - id: a\n      merchant_id: " + secret + ": x\n",
		"settings:\n  registers:\n    - id: a\n      merchant_id: @" + secret + "\n",
		"settings:\n  registers:\n    - id: a\n      merchant_id: !x " + secret + "\n",
		"settings:\n  registers:\n    - id: a\n     merchant_id: " + secret + "\n",
	} {
		if _, err := config.Parse([]byte(in)); err == nil {
			t.Errorf("accepted %s", in)
		} else {
			fmt.Fprintf(&out, "%v %+v %#v\n", err, err, err)
		}
	}
	if strings.Contains(out.String(), secret) {
		t.Errorf("shown in\n%s", out.String())
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{full, "", "{}", "a: &x [*x]\n", "? x\n: y\n", "<<: {a: 1}\n", "listen: |\n  x\n", "settings: {tax: {name: a, rate: .inf}}",
		"- a\n- {b: c}\n", "a: 1\n---\nb: 2\n", "\t", "hosts: [a\n", "'a.b': 1\na: {b: 2}\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Parse(data)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Fatalf("more than one line: %q", err)
			}
			return
		}
		if err := c.Settings.Validate(); err != nil {
			t.Fatalf("took settings that are not valid: %v", err)
		}
		if _, err := netip.ParseAddrPort(c.Listen); err != nil || c.DataDir == "" {
			t.Fatalf("took %+v", c)
		}
	})
}

func TestDataDir_IsFoundInAFileOfANewerProgram(t *testing.T) {
	file := filepath.Join(t.TempDir(), "agent.yaml")
	for text, want := range map[string]string{
		"data_dir: /srv/x\nlater: {a: 1}\n": "/srv/x",
		"data_dir: data\nlisten: no\n":      filepath.Join(filepath.Dir(file), "data"),
		"listen: no\n":                      config.DefaultDataDir,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := config.DataDir(file); err != nil || got != want {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
	if err := os.WriteFile(file, []byte("data_dir: [a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := config.DataDir(file); err == nil {
		t.Errorf("%s is found in what is not YAML", got)
	}
}
