package receipt

import (
	"errors"
	"fmt"
	"strings"
)

// Money is an amount of AZN in whole qəpik (1.50 AZN is 150). On every wire of
// ours it is decimal text with two decimals.
type Money int64

// Quantity is an amount of goods in thousandths of its unit (1.5 kg is 1500).
type Quantity int64

// Percent is a tax rate in hundredths of a percent (18 % is 1800).
type Percent int64

// MaxMoney and MaxQuantity bound what one field of a receipt may hold. They are
// far above any restaurant's bill and so low that neither their product nor any
// sum of a receipt can overflow.
const (
	MaxMoney    Money    = 1_000_000_000 // ten million AZN
	MaxQuantity Quantity = 1_000_000_000 // a million pieces
)

// maxSum bounds what may be read as an amount at all: a year's takings, or
// whatever a register says lies in its drawer.
const maxSum = 1_000_000_000_000_000

var (
	errNotDecimal = errors.New("not a decimal number")
	errTooPrecise = errors.New("too many decimals")
	errTooLarge   = errors.New("too large")
)

// ParseMoney reads decimal text such as "12", "12.5" or "-0.05" exactly: at most
// two decimals, no exponent, no grouping, no sign but a leading minus. It may be
// more than MaxMoney, since it may be the sum of many receipts.
func ParseMoney(s string) (Money, error) {
	n, err := parseDecimal(s, 2, maxSum)
	if err != nil {
		return 0, fmt.Errorf("read amount %.40q: %w", s, err)
	}
	return Money(n), nil
}

// ParseQuantity reads decimal text with at most three decimals, exactly.
func ParseQuantity(s string) (Quantity, error) {
	n, err := parseDecimal(s, 3, int64(MaxQuantity))
	if err != nil {
		return 0, fmt.Errorf("read quantity %.40q: %w", s, err)
	}
	return Quantity(n), nil
}

// ParsePercent reads decimal text with at most two decimals, exactly.
func ParsePercent(s string) (Percent, error) {
	n, err := parseDecimal(s, 2, 100_00)
	if err != nil {
		return 0, fmt.Errorf("read percentage %.40q: %w", s, err)
	}
	return Percent(n), nil
}

// parseDecimal gives the text's value times 10^places, without ever going
// through binary floating point.
func parseDecimal(s string, places int, limit int64) (int64, error) {
	digits, negative := strings.CutPrefix(s, "-")
	whole, fraction, dotted := strings.Cut(digits, ".")
	if whole == "" || dotted && fraction == "" {
		return 0, errNotDecimal
	}
	for _, c := range whole + fraction {
		if c < '0' || c > '9' {
			return 0, errNotDecimal
		}
	}
	// Zeros beyond the last place change nothing, and some tills send them.
	fraction = strings.TrimRight(fraction, "0")
	if len(fraction) > places {
		return 0, errTooPrecise
	}
	fraction += strings.Repeat("0", places-len(fraction))
	var n int64
	for _, c := range whole + fraction {
		n = n*10 + int64(c-'0')
		if n > limit {
			return 0, errTooLarge
		}
	}
	if negative {
		n = -n
	}
	return n, nil
}

// String gives the amount with two decimals: "12.50".
func (m Money) String() string { return decimal(int64(m), 2, 2) }

// String gives the quantity without trailing zeros: "1.5", "3".
func (q Quantity) String() string { return decimal(int64(q), 3, 0) }

// String gives the percentage with two decimals: "18.00".
func (p Percent) String() string { return decimal(int64(p), 2, 2) }

// decimal writes n × 10^-places with at least keep decimals.
func decimal(n int64, places, keep int) string {
	sign := ""
	u := uint64(n)
	if n < 0 {
		sign, u = "-", -u
	}
	s := fmt.Sprintf("%0*d", places+1, u)
	whole, fraction := s[:len(s)-places], s[len(s)-places:]
	for len(fraction) > keep && fraction[len(fraction)-1] == '0' {
		fraction = fraction[:len(fraction)-1]
	}
	if fraction == "" {
		return sign + whole
	}
	return sign + whole + "." + fraction
}

// MarshalText writes the amount as decimal text, as all our wires have it.
func (m Money) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads decimal text; see ParseMoney.
func (m *Money) UnmarshalText(b []byte) (err error) { *m, err = ParseMoney(string(b)); return err }

// MarshalText writes the quantity as decimal text.
func (q Quantity) MarshalText() ([]byte, error) { return []byte(q.String()), nil }

// UnmarshalText reads decimal text; see ParseQuantity.
func (q *Quantity) UnmarshalText(b []byte) (err error) {
	*q, err = ParseQuantity(string(b))
	return err
}

// MarshalText writes the percentage as decimal text.
func (p Percent) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads decimal text; see ParsePercent.
func (p *Percent) UnmarshalText(b []byte) (err error) { *p, err = ParsePercent(string(b)); return err }

// Gross is price × quantity, rounded half up to the qəpik. Both are at least 0.
func Gross(price Money, q Quantity) Money {
	// Neither is over 10^9, so the product fits in an int64.
	return Money((int64(price)*int64(q) + 500) / 1000)
}
