package discovery

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/grandcat/zeroconf"
	"github.com/miekg/dns"
)

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		`Pi\ dev`:            "Pi dev",
		`plain`:              "plain",
		`M\195\188nchen`:     "München",
		`a\.b\\c`:            `a.b\c`,
		`ends\`:              `ends\`,
		`\999x`:              "999x",
		`\12`:                "12",
		`Kassa\032Bar\226\1`: "Kassa Bar\xe21",
	} {
		if got := unescape(in); got != want {
			t.Errorf("unescape(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestClean_MakesNamesFitForALog(t *testing.T) {
	for in, want := range map[string]string{
		"Bar\n\x1b[31mred": "Bar[31mred",
		"\xff\xfeKassa":    "Kassa",
		"  Çay evi ":       "Çay evi",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := clean(strings.Repeat("ə", 100)); len(got) > maxHint || !utf8.ValidString(got) {
		t.Errorf("long name became %d bytes, valid %v", len(got), utf8.ValidString(got))
	}
}

func TestFromTXT(t *testing.T) {
	for _, c := range []struct {
		txt              []string
		protocol, serial string
	}{
		{[]string{"protocol=azsmart", "serial=A1"}, "azsmart", "A1"},
		{[]string{"PROTOCOL=Omnitech", "Serial= S 1 "}, "omnitech", "S 1"},
		{[]string{"protocol=caspos", "protocol=azsmart", "serial=1", "serial=2"}, "caspos", "1"},
		{[]string{"protocol=ipp", "serial"}, "", ""},
		{[]string{"protocol=", "protocol=azsmart"}, "", ""},
		{[]string{`serial=a\"b`}, "", `a"b`},
		{[]string{"serial=a\x00b"}, "", ""},
		{[]string{"serial=" + strings.Repeat("1", maxHint+1)}, "", ""},
		{nil, "", ""},
	} {
		if p, s := fromTXT(c.txt); p != c.protocol || s != c.serial {
			t.Errorf("fromTXT(%q) = %q, %q, want %q, %q", c.txt, p, s, c.protocol, c.serial)
		}
	}
}

func entry(instance string, port int, ips ...string) *zeroconf.ServiceEntry {
	e := zeroconf.NewServiceEntry(instance, ServiceType, domain)
	e.Port, e.Text = port, []string{"protocol=azsmart", "serial=A1"}
	for _, ip := range ips {
		e.AddrIPv4 = append(e.AddrIPv4, net.ParseIP(ip))
	}
	return e
}

func TestFromEntry_OneCandidateForEachAddressThatMayBeAsked(t *testing.T) {
	e := entry(`Pi\ dev`, 8008, "192.168.1.5", "10.0.0.5", "8.8.8.8", "127.0.0.1", "169.254.3.4", "224.0.0.1", "0.0.0.0", "fe80::1")
	e.AddrIPv4 = append(e.AddrIPv4, nil)
	now := time.Now()
	for loopback, want := range map[bool]string{
		false: "192.168.1.5:8008 10.0.0.5:8008 169.254.3.4:8008",
		true:  "192.168.1.5:8008 10.0.0.5:8008 127.0.0.1:8008 169.254.3.4:8008",
	} {
		var got []string
		for _, c := range fromEntry(e, loopback, now) {
			got = append(got, c.Addr.String())
			if c.Name != "Pi dev" || c.Serial != "A1" || c.Protocol != AzSmart || c.Via != ViaMDNS || c.Seen != now {
				t.Errorf("candidate %+v", c)
			}
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("loopback %v: %s, want %s", loopback, g, want)
		}
	}
}

func TestFromEntry_ForeignServicesAreDropped(t *testing.T) {
	http := entry("Web", 80, "192.168.1.5")
	http.Service = "_http._tcp"
	for name, e := range map[string]*zeroconf.ServiceEntry{
		"another type":             http,
		"a type with our end":      entry("Bar._my", 8008, "192.168.1.5"),
		"no name":                  entry("", 8008, "192.168.1.5"),
		"no port":                  entry("Bar", 0, "192.168.1.5"),
		"a port that cannot be":    entry("Bar", 65536, "192.168.1.5"),
		"nothing":                  nil,
		"nowhere":                  entry("Bar", 8008),
		"an escape before the dot": entry(`Bar\\._my`, 8008, "192.168.1.5"),
		"a type alone":             entry("_my", 8008, "192.168.1.5"),
	} {
		if cs := fromEntry(e, true, time.Now()); len(cs) != 0 {
			t.Errorf("%s: got %v", name, cs)
		}
	}
	for in, want := range map[string]string{`Bar\.1`: "Bar.1", `Bar No.1`: "Bar No.1", `Bar\._my`: "Bar._my"} {
		if cs := fromEntry(entry(in, 8008, "192.168.1.5"), false, time.Now()); len(cs) != 1 || cs[0].Name != want {
			t.Errorf("a name with a dot in it: got %v, want %s", cs, want)
		}
	}
}

func TestUnique(t *testing.T) {
	at := netip.MustParseAddrPort
	cs := unique([]Candidate{
		{Addr: at("10.0.0.2:1"), Protocol: "b"}, {Addr: at("10.0.0.1:1"), Protocol: "b", Name: "first"},
		{Addr: at("10.0.0.1:1"), Protocol: "b", Name: "second"}, {Addr: at("10.0.0.1:1"), Protocol: "a"},
	})
	var got string
	for _, c := range cs {
		got += fmt.Sprintf("%s %s %s;", c.Addr, c.Protocol, c.Name)
	}
	if want := "10.0.0.1:1 a ;10.0.0.1:1 b first;10.0.0.2:1 b ;"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// FuzzFromTXT packs strings as a stranger could, lets the library's DNS code
// read them back, and checks what may be relied on.
func FuzzFromTXT(f *testing.F) {
	f.Add("protocol=azsmart", "serial=A1")
	f.Add(`pro\116ocol=x`, "serial=\xff\n")
	f.Add("=", `\`)
	f.Fuzz(func(t *testing.T, a, b string) {
		txt := []string{a, b}
		rr := &dns.TXT{Hdr: dns.RR_Header{Name: "x.", Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: txt}
		buf := make([]byte, 4096)
		if n, err := dns.PackRR(rr, buf, 0, nil, false); err == nil {
			if back, _, err := dns.UnpackRR(buf[:n], 0); err == nil {
				txt = back.(*dns.TXT).Txt
			}
		}
		for _, in := range [][]string{txt, {a, b}} {
			protocol, serial := fromTXT(in)
			if protocol != "" && !isProtocol(protocol) {
				t.Errorf("protocol %q", protocol)
			}
			if len(serial) > maxHint || clean(serial) != serial {
				t.Errorf("serial %q", serial)
			}
		}
	})
}

func FuzzFromEntry(f *testing.F) {
	f.Add(`Pi\ dev`, 8008, []byte{192, 168, 1, 5}, "protocol=azsmart", true)
	f.Add("x._my", -1, []byte{}, "", false)
	f.Fuzz(func(t *testing.T, instance string, port int, ip []byte, txt string, loopback bool) {
		e := zeroconf.NewServiceEntry(instance, ServiceType, domain)
		e.Port, e.Text, e.AddrIPv4 = port, []string{txt}, []net.IP{ip}
		for _, c := range fromEntry(e, loopback, time.Now()) {
			if !plausible(c.Addr, loopback) || foreign(instance) {
				t.Errorf("candidate %v of %q", c.Addr, instance)
			}
			if clean(c.Name) != c.Name {
				t.Errorf("name %q", c.Name)
			}
		}
	})
}
