package announce

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// The times that others may remember our records, in seconds (RFC 6762, 10).
const (
	hostTTL    = 120
	serviceTTL = 4500
	legacyTTL  = 10 // for resolvers that know nothing of multicast (6.7)
)

const (
	serviceType = "_http._tcp.local."
	allTypes    = "_services._dns-sd._udp.local."
	flush       = 1 << 15 // in an answer: this is all there is; in a question: tell me alone
)

// records are what is answered for one name.
type records struct {
	host, instance string // fully qualified, escaped
	port           uint16
}

func newRecords(name, service string, port uint16) records {
	return records{host: name + ".local.", instance: escape(service) + "." + serviceType, port: port}
}

// numberedService is the service's name beside the n-th host's name.
func numberedService(service string, n int) string {
	if n < 2 {
		return service
	}
	return fmt.Sprintf("%s (%d)", service, n)
}

// escape writes a label as DNS texts do.
func escape(label string) string {
	var b strings.Builder
	for n := range len(label) {
		switch c := label[n]; {
		case c == '.' || c == '\\' || c == '"' || c == '(' || c == ')' || c == ';' || c == '@' || c == '$' || c == ' ':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, "\\%03d", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func header(name string, kind uint16, class uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET | class, Ttl: ttl}
}

func (r records) a(l link, ttl uint32, class uint16) (list []dns.RR) {
	for _, addr := range l.addrs {
		list = append(list, &dns.A{Hdr: header(r.host, dns.TypeA, class, ttl), A: net.IP(addr.AsSlice())})
	}
	return list
}

// nsec says that the host has addresses of IPv4 alone, so that nobody waits for others.
func (r records) nsec(class uint16) dns.RR {
	return &dns.NSEC{Hdr: header(r.host, dns.TypeNSEC, class, hostTTL), NextDomain: r.host, TypeBitMap: []uint16{dns.TypeA}}
}

func (r records) srv(ttl uint32, class uint16) dns.RR {
	return &dns.SRV{Hdr: header(r.instance, dns.TypeSRV, class, ttl), Port: r.port, Target: r.host}
}

func (r records) txt(ttl uint32, class uint16) dns.RR {
	return &dns.TXT{Hdr: header(r.instance, dns.TypeTXT, class, ttl), Txt: []string{"path=/"}}
}

func (r records) ptr(ttl uint32) dns.RR {
	return &dns.PTR{Hdr: header(serviceType, dns.TypePTR, 0, ttl), Ptr: r.instance}
}

// announcement tells all; ttl 0 takes it back.
func (r records) announcement(l link, ttl uint32) *dns.Msg {
	m := response()
	service := uint32(serviceTTL)
	if ttl == 0 {
		service = 0
	}
	m.Answer = append(r.a(l, ttl, flush), r.srv(ttl, flush), r.txt(service, flush), r.ptr(service))
	return m
}

func response() *dns.Msg {
	m := new(dns.Msg)
	m.Response, m.Authoritative, m.Compress = true, true, true
	return m
}

// probe asks whose the names are, and says what we would answer.
func (r records) probe(l link) *dns.Msg {
	m := new(dns.Msg)
	m.Question = []dns.Question{{Name: r.host, Qtype: dns.TypeANY, Qclass: dns.ClassINET}, {Name: r.instance, Qtype: dns.TypeANY, Qclass: dns.ClassINET}}
	m.Ns = append(r.a(l, hostTTL, 0), r.srv(hostTTL, 0))
	return m
}

// claims says whether answers give one of our names to another: the host to an
// address that is none of ours, or the service to another host.
func (r records) claims(answers []dns.RR, links []link) bool {
	for _, rr := range answers {
		if rr.Header().Ttl == 0 { // a goodbye
			continue
		}
		if addr, ok := addrOf(rr); ok && strings.EqualFold(rr.Header().Name, r.host) && !own(addr, links) {
			return true
		}
		if srv, ok := rr.(*dns.SRV); ok && strings.EqualFold(rr.Header().Name, r.instance) && !strings.EqualFold(srv.Target, r.host) {
			return true
		}
	}
	return false
}

// own says whether an address is ours, on whichever link: two of them may lead
// into one network.
func own(addr netip.Addr, links []link) bool {
	return slices.ContainsFunc(links, func(l link) bool { return slices.Contains(l.addrs, addr) })
}

// beats says whether somebody who probes for our host's name at the same time, heard
// on l, has the better claim: the greater address (8.2).
func (r records) beats(proposed []dns.RR, l link, links []link) bool {
	for _, rr := range proposed {
		if addr, ok := addrOf(rr); ok && strings.EqualFold(rr.Header().Name, r.host) && addr.Compare(l.addrs[0]) > 0 && !own(addr, links) {
			return true
		}
	}
	return false
}

// reply answers what is asked of us; nil is nothing.
func (r records) reply(q *dns.Msg, l link, legacy bool) *dns.Msg {
	m := response()
	host, service, class := uint32(hostTTL), uint32(serviceTTL), uint16(flush)
	if legacy {
		host, service, class = legacyTTL, legacyTTL, 0
	}
	for _, x := range q.Question {
		asks := func(kinds ...uint16) bool { return x.Qtype == dns.TypeANY || slices.Contains(kinds, x.Qtype) }
		switch {
		case x.Qclass&^flush != dns.ClassINET && x.Qclass&^flush != dns.ClassANY:
		case strings.EqualFold(x.Name, r.host) && asks(dns.TypeA):
			m.Answer = append(m.Answer, r.a(l, host, class)...)
			m.Extra = append(m.Extra, r.nsec(class))
		case strings.EqualFold(x.Name, r.host) && !legacy:
			m.Answer = append(m.Answer, r.nsec(class))
		case strings.EqualFold(x.Name, r.instance) && asks(dns.TypeSRV, dns.TypeTXT):
			m.Answer = append(m.Answer, r.srv(host, class), r.txt(service, class))
			m.Extra = append(m.Extra, r.a(l, host, class)...)
		case strings.EqualFold(x.Name, serviceType) && asks(dns.TypePTR):
			m.Answer = append(m.Answer, r.ptr(service))
			m.Extra = append(append(m.Extra, r.srv(host, class), r.txt(service, class)), r.a(l, host, class)...)
		case strings.EqualFold(x.Name, allTypes) && asks(dns.TypePTR):
			m.Answer = append(m.Answer, &dns.PTR{Hdr: header(allTypes, dns.TypePTR, 0, service), Ptr: serviceType})
		}
	}
	m.Answer = slices.DeleteFunc(m.Answer, func(rr dns.RR) bool { return known(rr, q.Answer) })
	if len(m.Answer) == 0 {
		return nil
	}
	if legacy {
		m.Id, m.Question = q.Id, q.Question
	}
	return m
}

// known says whether the asker has it already, and will have it for long (7.1).
func known(rr dns.RR, has []dns.RR) bool {
	return slices.ContainsFunc(has, func(x dns.RR) bool {
		return dns.IsDuplicate(rr, x) && x.Header().Ttl >= rr.Header().Ttl/2
	})
}
