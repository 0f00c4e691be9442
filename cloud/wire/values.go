package wire

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Duration is a length of time that is "22h" or "1h30m" on the wire: whole
// hours, minutes and seconds.
type Duration time.Duration

// Numbers of at most five digits keep the sum far inside a time.Duration.
var durationForm = regexp.MustCompile(`^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?$`)

// String returns the wire form without its empty parts: "22h", not "22h0m0s".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText writes the wire form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the wire form, and fails on anything else.
func (d *Duration) UnmarshalText(text []byte) error {
	if len(text) == 0 || !durationForm.Match(text) {
		return fmt.Errorf("%s is no duration; write hours, minutes and seconds, for example 22h or 1h30m", quote(string(text)))
	}
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return err
	}
	*d = Duration(v)
	return nil
}

// TimeOfDay is a time on the shop's clock, "05:00" on the wire.
type TimeOfDay struct{ Hour, Minute int }

var timeOfDayForm = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)

// String returns the wire form, HH:MM.
func (t TimeOfDay) String() string { return fmt.Sprintf("%02d:%02d", t.Hour, t.Minute) }

// MarshalText writes the wire form.
func (t TimeOfDay) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads the wire form, and fails on anything else.
func (t *TimeOfDay) UnmarshalText(text []byte) error {
	if !timeOfDayForm.Match(text) {
		return fmt.Errorf("%s is no time of day; write HH:MM from 00:00 to 23:59, for example 05:00", quote(string(text)))
	}
	two := func(b []byte) int { return int(b[0]-'0')*10 + int(b[1]-'0') }
	*t = TimeOfDay{Hour: two(text[:2]), Minute: two(text[3:])}
	return nil
}

// Rate is a tax rate in per cent as exact decimal text with two decimals, such
// as "18.00". Empty: none. Make one with [ParseRate].
type Rate string

var rateForm = regexp.MustCompile(`^([0-9]{1,3})(?:\.([0-9]{1,2}))?$`)

// ParseRate reads "18", "18.5" or "18.00" as "18.00" and so on. It fails on
// what is no decimal, has more than two decimals, or is outside 0 to 100.
func ParseRate(text string) (Rate, error) {
	m := rateForm.FindStringSubmatch(text)
	if m == nil {
		return "", fmt.Errorf("%s is no rate; write per cent with at most two decimals, for example 18.00", quote(text))
	}
	whole := strings.TrimLeft(m[1], "0")
	if whole == "" {
		whole = "0"
	}
	r := Rate(whole + "." + (m[2] + "00")[:2])
	if r.Hundredths() > 100_00 {
		return "", fmt.Errorf("%s is more than 100; write per cent from 0 to 100, for example 18.00", quote(text))
	}
	return r, nil
}

// Hundredths returns the rate in hundredths of a per cent: 1800 for "18.00".
// It is 0 for an empty rate.
func (r Rate) Hundredths() int {
	n := 0
	for _, c := range string(r) {
		if c >= '0' && c <= '9' {
			n = n*10 + int(c-'0')
		}
	}
	return n
}

// UnmarshalJSON reads a string or a number, both exactly as decimal text; it
// fails as [ParseRate] does.
func (r *Rate) UnmarshalJSON(data []byte) error {
	text := string(data)
	if len(data) > 0 && data[0] == '"' {
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
	}
	v, err := ParseRate(text)
	if err != nil {
		return err
	}
	*r = v
	return nil
}

// The types of tax.
const (
	TaxVAT18       = "vat18"       // VAT 18 %
	TaxVAT0        = "vat0"        // VAT 0 %
	TaxExempt      = "exempt"      // no VAT
	TaxMargin18    = "margin18"    // VAT 18 % on the trade margin
	TaxSimplified2 = "simplified2" // simplified tax 2 %
	TaxSimplified8 = "simplified8" // simplified tax 8 %, public catering
)

var typeRates = map[string]Rate{
	TaxVAT18: "18.00", TaxVAT0: "0.00", TaxMargin18: "18.00", TaxSimplified2: "2.00", TaxSimplified8: "8.00",
}

// Tax is the tax of a line that names none: either Type, or Name and Rate.
// Default: Type vat18.
type Tax struct {
	// Type is vat18, vat0, exempt, margin18, simplified2 or simplified8.
	Type string `json:"type,omitempty"`
	// Name and Rate are a tax of one's own, for example "ƏDV" and "18.00".
	Name string `json:"name,omitempty"`
	Rate Rate   `json:"rate,omitempty"`
}

// Custom reports whether the tax is given by name and rate.
func (t Tax) Custom() bool { return t.Type == "" }

// Percent returns the rate that applies, whichever way the tax is given, and
// false where there is none: exempt, or a zero Tax.
func (t Tax) Percent() (Rate, bool) {
	if t.Custom() {
		return t.Rate, t.Rate != ""
	}
	r, ok := typeRates[t.Type]
	return r, ok
}
