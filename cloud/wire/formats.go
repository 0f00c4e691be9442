package wire

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a shop's zone must load on a Pi without the tzdata package too
	"unicode"
)

// formats are the schema's own: each returns what was found and what to do.
// They say more than the patterns beside them, which are for validators that
// do not know them.
var formats = map[string]func(string) error{
	"ekassa-id":          checkID,
	"ekassa-terminal":    optional(checkID),
	"ekassa-text":        checkText,
	"ekassa-address":     optional(checkAddress),
	"ekassa-serial":      checkSerial,
	"ekassa-merchant-id": checkMerchantID,
	"ekassa-username":    checkLogin("user name"),
	"ekassa-password":    checkLogin("password"),
	"ekassa-rate":        func(s string) error { _, err := ParseRate(s); return err },
	"ekassa-shift-age": func(s string) error {
		return checkDuration(s, 24*time.Hour-1, "more than 0 and less than 24h")
	},
	"ekassa-replay-window": func(s string) error {
		return checkDuration(s, 30*24*time.Hour, "more than 0 and at most 720h (30 days)")
	},
	"ekassa-time-of-day": func(s string) error { return new(TimeOfDay).UnmarshalText([]byte(s)) },
	"ekassa-timezone":    checkTimezone,
}

// examples are what fits a format, as signs.
var examples = map[string]string{
	"ekassa-id":            "A–Z, a–z, 0–9, -; 1–63",
	"ekassa-terminal":      "A–Z, a–z, 0–9, -; 1–63",
	"ekassa-address":       "192.168.1.1:8008",
	"ekassa-rate":          "18.00; 0–100",
	"ekassa-shift-age":     "22h, 1h30m; < 24h",
	"ekassa-replay-window": "24h, 1h30m; ≤ 720h",
	"ekassa-time-of-day":   "05:00; 00:00–23:59",
	"ekassa-timezone":      "Asia/Baku",
}

func optional(check func(string) error) func(string) error {
	return func(s string) error {
		if s == "" {
			return nil
		}
		return check(s)
	}
}

var idForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,62}$`)

// ValidID reports whether s can be the id of a register or a terminal: 1 to 63
// letters a to z, digits and '-', the first no '-'.
func ValidID(s string) bool { return idForm.MatchString(s) }

func checkID(s string) error {
	if !ValidID(s) {
		return fmt.Errorf("%s is no id; write 1 to 63 letters a to z, digits and '-', the first no '-'", quote(s))
	}
	return nil
}

func checkText(s string) error {
	if strings.IndexFunc(s, unicode.IsControl) >= 0 {
		return fmt.Errorf("%s has control characters; leave them out", quote(s))
	}
	return nil
}

func checkSerial(s string) error {
	if strings.IndexFunc(s, func(r rune) bool { return r < '!' || r > '~' }) >= 0 {
		return fmt.Errorf("%s has spaces or characters that no serial number has; copy it from the register", quote(s))
	}
	return nil
}

// checkMerchantID never says what it was given.
func checkMerchantID(s string) error {
	switch {
	case strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) >= 0:
		return errors.New("has characters outside printable ASCII; copy it again from the register's operator")
	case strings.TrimSpace(s) != s:
		return errors.New("begins or ends with a space; write it without")
	case s == mask:
		return fmt.Errorf("is the mask %s, not the value; write the merchant id itself", mask)
	}
	return nil
}

// checkLogin checks one half of a login. It never says what it was given.
func checkLogin(what string) func(string) error {
	return func(s string) error {
		switch {
		case strings.IndexFunc(s, unicode.IsControl) >= 0:
			return errors.New("has control characters; leave them out")
		case strings.TrimSpace(s) != s:
			return errors.New("begins or ends with a space; write it without")
		case s == mask:
			return fmt.Errorf("is the mask %s, not the value; write the %s itself", mask, what)
		}
		return nil
	}
}

const addressForm = "write IP:port, for example 192.168.1.1:8008"

func checkAddress(s string) error {
	bare := s
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		bare = s[1 : len(s)-1]
	}
	if ip, err := netip.ParseAddr(bare); err == nil {
		return fmt.Errorf("%s has no port; write IP:port, for example %s", quote(s), netip.AddrPortFrom(ip, 8008))
	}
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 {
		return fmt.Errorf("%s has neither IP nor port; %s", quote(s), addressForm)
	}
	host, port := s[:colon], s[colon+1:]
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || len(port) > 5 {
		return fmt.Errorf("%s has no port from 1 to 65535; %s", quote(s), addressForm)
	}
	address, err := netip.ParseAddrPort(s)
	if err != nil {
		return fmt.Errorf("%s has %s in place of an IP; %s", quote(s), quote(host), addressForm)
	}
	if ip := address.Addr(); ip.IsUnspecified() || ip.IsMulticast() || ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return fmt.Errorf("%s is not the address of one device; %s", quote(s), addressForm)
	}
	return nil
}

func checkDuration(s string, most time.Duration, bounds string) error {
	var d Duration
	if err := d.UnmarshalText([]byte(s)); err != nil {
		return err
	}
	if d <= 0 || time.Duration(d) > most {
		return fmt.Errorf("%s is out of bounds; write %s", quote(s), bounds)
	}
	return nil
}

func checkTimezone(s string) error {
	// LoadLocation takes these two for UTC and for the machine's own zone.
	if s != "" && s != "Local" {
		if _, err := time.LoadLocation(s); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s is no time zone; write a name of the IANA database, for example Asia/Baku", quote(s))
}
