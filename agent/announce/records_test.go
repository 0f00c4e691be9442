package announce

import (
	"net"
	"net/netip"
	"testing"

	"github.com/miekg/dns"
)

var (
	eth  = link{iface: net.Interface{Index: 1, Name: "eth0"}, addrs: []netip.Addr{netip.MustParseAddr("192.168.1.5")}}
	wlan = link{iface: net.Interface{Index: 2, Name: "wlan0"}, addrs: []netip.Addr{netip.MustParseAddr("192.168.1.6")}}
)

func question(name string, kind uint16) *dns.Msg {
	m := new(dns.Msg)
	m.Question = []dns.Question{{Name: name, Qtype: kind, Qclass: dns.ClassINET}}
	return m
}

func TestReplyAnswersForOurNamesAlone(t *testing.T) {
	r := newRecords("ekassa", "E-kassa Şəki (Bar).", 8787)
	for _, c := range []struct {
		name   string
		kind   uint16
		legacy bool
		want   uint16 // type of the first answer; 0: none
	}{
		{"ekassa.local.", dns.TypeA, false, dns.TypeA}, {"EKASSA.local.", dns.TypeANY, false, dns.TypeA},
		{"ekassa.local.", dns.TypeAAAA, false, dns.TypeNSEC}, {"ekassa.local.", dns.TypeAAAA, true, 0},
		{"ekassa-2.local.", dns.TypeA, false, 0}, {"kassa.local.", dns.TypeA, false, 0}, {"ekassa.example.", dns.TypeA, false, 0},
		{serviceType, dns.TypePTR, false, dns.TypePTR}, {allTypes, dns.TypePTR, false, dns.TypePTR}, {serviceType, dns.TypeA, false, 0},
		{r.instance, dns.TypeSRV, false, dns.TypeSRV}, {r.instance, dns.TypeTXT, true, dns.TypeSRV},
	} {
		m := r.reply(question(c.name, c.kind), eth, c.legacy)
		if (m == nil) != (c.want == 0) {
			t.Errorf("%s %s: %v", c.name, dns.TypeToString[c.kind], m)
			continue
		}
		if m == nil {
			continue
		}
		if got := m.Answer[0].Header().Rrtype; got != c.want || (len(m.Question) == 1) != c.legacy {
			t.Errorf("%s %s: %v", c.name, dns.TypeToString[c.kind], m)
		}
		data, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parse(data); err != nil {
			t.Errorf("our own answer is not understood: %v", err)
		}
		for _, rr := range m.Answer {
			if short := rr.Header().Ttl <= legacyTTL; short != c.legacy {
				t.Errorf("%s is remembered for %d s", rr, rr.Header().Ttl)
			}
		}
	}
	q := question(serviceType, dns.TypePTR)
	q.Answer = []dns.RR{r.ptr(serviceTTL)}
	if m := r.reply(q, eth, false); m != nil {
		t.Errorf("told what the asker knows: %v", m)
	}
}

func TestWhoseTheNameIs(t *testing.T) {
	r, links := newRecords("ekassa", "E-kassa", 8787), []link{eth, wlan}
	other := link{addrs: []netip.Addr{netip.MustParseAddr("192.168.1.9")}}
	lower := link{addrs: []netip.Addr{netip.MustParseAddr("192.168.1.1")}}
	elsewhere := newRecords("other", "E-kassa", 80)
	for name, c := range map[string]struct {
		answers []dns.RR
		want    bool
	}{
		"another's host":        {r.a(other, hostTTL, flush), true},
		"another's goodbye":     {r.a(other, 0, flush), false},
		"our own, on any link":  {append(r.a(eth, hostTTL, flush), r.a(wlan, hostTTL, 0)...), false},
		"another host":          {elsewhere.a(other, hostTTL, flush), false},
		"our service elsewhere": {[]dns.RR{elsewhere.srv(hostTTL, flush)}, true},
		"our service":           {[]dns.RR{r.srv(hostTTL, flush), r.ptr(serviceTTL), r.txt(serviceTTL, 0), r.nsec(0)}, false},
	} {
		if got := r.claims(c.answers, links); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	for name, c := range map[string]struct {
		from link
		want bool
	}{"greater": {other, true}, "lower": {lower, false}, "ourselves": {eth, false}, "ourselves on the other link": {wlan, false}} {
		if got := r.beats(r.probe(c.from).Ns, eth, links); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// FuzzPacket: whatever is heard, it is refused or answered with what can be sent.
func FuzzPacket(f *testing.F) {
	r := newRecords("ekassa", "E-kassa", 8787)
	for _, m := range []*dns.Msg{r.probe(eth), r.announcement(eth, hostTTL), question(serviceType, dns.TypePTR), question("ekassa.local.", dns.TypeAAAA)} {
		data, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parse(data)
		if err != nil {
			return
		}
		r.claims(append(m.Answer, m.Extra...), []link{eth})
		r.beats(m.Ns, eth, []link{eth, wlan})
		for _, legacy := range []bool{false, true} {
			if reply := r.reply(m, eth, legacy); reply != nil {
				if _, err := reply.Pack(); err != nil {
					t.Errorf("%v cannot be sent: %v", reply, err)
				}
			}
		}
	})
}
