package discovery

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// ErrNotFound is matched by every error that says the register was looked for
// and is not there; see [NotFound] for what was tried.
var ErrNotFound = errors.New("register not found")

// ErrNotSigned is matched when a register of the protocol answered but refused
// our signature or login, so that its serial is not proved: most likely the
// Merchant ID, or the password, is not this register's.
var ErrNotSigned = errors.New("the register refuses our signature")

// WrongRegister says that another register than the wanted one is at an address.
type WrongRegister struct {
	Addr netip.AddrPort
	Want string // the wanted serial
	Got  string // the serial of the one that is there; empty when it tells none
}

func (e *WrongRegister) Error() string {
	got := "a register that does not tell its serial"
	if e.Got != "" {
		got = "register " + e.Got
	}
	return fmt.Sprintf("at %s is %s, not %s", e.Addr, got, e.Want)
}

// Ambiguous says that no serial was wanted and several registers accept our
// signature: a person must choose one of them.
type Ambiguous struct {
	Protocol string
	Found    []Found // sorted by serial, one for each
}

func (e *Ambiguous) Error() string {
	var names []string
	for _, f := range e.Found {
		names = append(names, fmt.Sprintf("%s at %s", f.Serial, f.Addr))
	}
	return fmt.Sprintf("%d %s registers found (%s): set the serial or the address of one",
		len(e.Found), e.Protocol, strings.Join(names, ", "))
}

// Attempt is one candidate that was asked and was not the wanted register.
type Attempt struct {
	Addr netip.AddrPort
	Via  Via
	Err  error // the Prover's error, a *WrongRegister, or ErrNotSigned
}

// NotFound tells what was tried in vain. It matches ErrNotFound and the errors
// of its attempts.
type NotFound struct {
	Protocol   string
	Serial     string         // the wanted one; empty when any would have done
	Interfaces []string       // browsed
	Prefixes   []netip.Prefix // swept
	Attempts   []Attempt      // in the order of the addresses
	Failures   []error        // looks that failed as a whole, such as a missing interface
	RetryAfter time.Duration  // until the network is looked at again; asking sooner only tries what is known
}

func (e *NotFound) Error() string {
	var b strings.Builder
	b.WriteString("find " + e.Protocol + " register")
	if e.Serial != "" {
		b.WriteString(" " + e.Serial)
	}
	b.WriteString(": not found")
	var looked []string
	if len(e.Interfaces) > 0 {
		looked = append(looked, "mdns on "+strings.Join(e.Interfaces, ", "))
	}
	if len(e.Prefixes) > 0 {
		looked = append(looked, "sweep of "+joinText(e.Prefixes))
	}
	if len(looked) == 0 {
		looked = append(looked, "no address, interface or subnet to look at is set")
	}
	fmt.Fprintf(&b, " (%s; %d asked", strings.Join(looked, "; "), len(e.Attempts))
	for i, a := range e.Attempts {
		if i == 5 {
			fmt.Fprintf(&b, ", and %d more", len(e.Attempts)-i)
			break
		}
		sep := ", "
		if i == 0 {
			sep = ": "
		}
		fmt.Fprintf(&b, "%s%s by %s: %v", sep, a.Addr, a.Via, a.Err)
	}
	b.WriteString(")")
	for _, f := range e.Failures {
		fmt.Fprintf(&b, "; %v", f)
	}
	return b.String()
}

// Unwrap makes errors.Is and errors.As see ErrNotFound and what was met.
func (e *NotFound) Unwrap() []error {
	errs := []error{ErrNotFound}
	for _, a := range e.Attempts {
		errs = append(errs, a.Err)
	}
	return append(errs, e.Failures...)
}

func joinText[T fmt.Stringer](ts []T) string {
	var ss []string
	for _, t := range ts {
		ss = append(ss, t.String())
	}
	return strings.Join(ss, ", ")
}
