package discovery

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The protocols that are known here, and the port each maker uses.
const (
	AzSmart  = "azsmart"
	Omnitech = "omnitech"
	Caspos   = "caspos"
)

// DefaultPorts returns the makers' ports by protocol, in a map of the caller's own.
func DefaultPorts() map[string]uint16 {
	return map[string]uint16{AzSmart: 8008, Omnitech: 8989, Caspos: 5544}
}

// Via tells by which means a register was found.
type Via string

// The means, in the order in which Find uses them.
const (
	ViaFixed Via = "fixed" // the address from the settings
	ViaKnown Via = "known" // the address at which it was last seen
	ViaMDNS  Via = "mdns"  // it announced itself
	ViaSweep Via = "sweep" // its port was open
)

// Candidate is a place where a register may be. Nothing in it is proved.
type Candidate struct {
	Addr     netip.AddrPort
	Protocol string // one of the protocols above; empty when it was not told
	Serial   string // as announced: a hint, never a proof
	Name     string // the announced instance name, cleaned for logs and pages
	Via      Via
	Seen     time.Time // when it was last announced, or answered
}

// Identity is what a device said of itself, in its own protocol.
type Identity struct {
	Serial string // empty when the device did not tell it
	Model  string
	Signed bool // our signature (or login) was accepted; without it the serial counts for nothing
}

// Prover asks the device at addr who it is. It returns an error when nobody
// answers or when what answers is no register of its protocol; a register that
// refuses our signature is no error but an Identity with Signed false.
//
// A Prover must change nothing on the device, must stop with ctx, and should
// keep in mind that anyone may be listening at addr: it should not send a
// password to an address that nobody configured, nor use up the few log-ins
// after which a token locks itself.
type Prover func(ctx context.Context, addr netip.AddrPort) (Identity, error)

// Found is a register that has proved to be there.
type Found struct {
	Addr     netip.AddrPort
	Also     []netip.AddrPort // further addresses of the same register; filled by List only
	Protocol string
	Serial   string // proved; empty when Signed is false
	Model    string
	Signed   bool   // it accepts our signature
	Via      Via    // the means that led to Addr
	Name     string // the announced name, if it was announced
}

// maxCandidates bounds how many announced places are kept, see the package comment.
const maxCandidates = 32

// maxHint bounds an announced serial, in bytes.
const maxHint = 64

// fromTXT reads an instance's TXT strings as they come from the library: in
// presentation form, keys in any case, the first of several counting (RFC 6763
// section 6.4). Anything unknown or odd is left out.
func fromTXT(txt []string) (protocol, serial string) {
	var hasProtocol, hasSerial bool
	for _, t := range txt {
		key, value, _ := strings.Cut(unescape(t), "=")
		value = strings.TrimSpace(value)
		switch strings.ToLower(key) {
		case "protocol":
			if !hasProtocol {
				hasProtocol = true
				if p := strings.ToLower(value); isProtocol(p) {
					protocol = p
				}
			}
		case "serial":
			if !hasSerial {
				hasSerial = true
				if len(value) <= maxHint && clean(value) == value {
					serial = value
				}
			}
		}
	}
	return protocol, serial
}

func isProtocol(s string) bool { return s == AzSmart || s == Omnitech || s == Caspos }

// foreign reports whether an escaped instance name shows that the entry is of
// another service type. The library compares types by their end only: an
// instance of "_my_ekassa._tcp" arrives as "Bar._my", its last label beginning
// as only a type does. Other dots are let pass, though they should be escaped:
// the library, as an announcer, does not do it.
func foreign(escaped string) bool {
	label := 0 // where the last label starts
	for i := 0; i < len(escaped); i++ {
		switch escaped[i] {
		case '\\':
			i++
		case '.':
			label = i + 1
		}
	}
	return escaped == "" || strings.HasPrefix(escaped[label:], "_")
}

// unescape undoes DNS presentation form: \DDD is a byte, \X is X.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b = append(b, s[i])
			continue
		}
		if n, ok := decimalByte(s[i+1:]); ok {
			b = append(b, n)
			i += 3
			continue
		}
		i++
		b = append(b, s[i])
	}
	return string(b)
}

func decimalByte(s string) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	n := 0
	for _, c := range []byte(s[:3]) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return byte(n), n < 256
}

// clean makes a name that a stranger chose fit for a log line or a page:
// valid UTF-8, printable, at most a DNS label long.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	for len(s) > maxHint {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return strings.TrimSpace(s)
}

// plausible reports whether an announced address may be asked at all; see the
// package comment for why.
func plausible(a netip.AddrPort, loopback bool) bool {
	ip := a.Addr()
	if !ip.Is4() || a.Port() == 0 {
		return false
	}
	return ip.IsPrivate() || ip.IsLinkLocalUnicast() || (loopback && ip.IsLoopback())
}

// byAddr orders candidates so that logs and tests are the same every time.
func byAddr(a, b Candidate) int {
	return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.Protocol, b.Protocol))
}

// unique sorts candidates and keeps one for each address and protocol.
func unique(cs []Candidate) []Candidate {
	slices.SortStableFunc(cs, byAddr)
	return slices.CompactFunc(cs, func(a, b Candidate) bool { return byAddr(a, b) == 0 })
}
