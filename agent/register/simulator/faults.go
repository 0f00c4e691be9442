package simulator

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault is one way to fail, armed until it has happened often enough. "Done"
// means that the request was carried out and is in the ledger.
type Fault struct {
	Name   string `json:"fault"`
	Route  string `json:"route,omitempty"`  // as "/sale"; "" for any
	After  int    `json:"after,omitempty"`  // matching requests to let pass first
	Times  int    `json:"times,omitempty"`  // how often; 0 = until cleared (outages: once)
	MS     int    `json:"ms,omitempty"`     // how long, where that matters
	Code   int    `json:"code,omitempty"`   // of refuse
	Serial string `json:"serial,omitempty"` // of serial
}

// The faults.
const (
	DropBefore        = "drop-before"        // connection closed, nothing done
	DropAfter         = "drop-after"         // done, connection closed without an answer
	Half              = "half"               // done, half the answer, then closed
	Slow              = "slow"               // waits ms, then as usual, even if the client has gone
	SlowAfter         = "slow-after"         // done, waits ms before answering
	HTTP500           = "500"                // done, HTTP 500 with the usual body
	HTTP500Empty      = "500-empty"          // done, HTTP 500 with no body
	Garbage           = "garbage"            // done, HTTP 200 with something that is not JSON
	BusyFault         = "busy"               // the protocol's "busy", nothing done
	Processing        = "processing"         // accepted, done only after ms
	PaperOut          = "paper-out"          // fiscal but not printed
	Refuse            = "refuse"             // refused with code, nothing done
	Reboot            = "reboot"             // nothing done; all connections closed, nobody listens for ms
	RebootAfter       = "reboot-after"       // the same, but done
	ShiftExpired      = "shift-expired"      // as if the shift were over 24 h
	OtherSerial       = "serial"             // another device answers
	Unreachable       = "unreachable"        // accepts and closes at once for ms
	RefuseConnection  = "refuse-connection"  // nobody listens for ms
	defaultOutage     = 1000                 // ms of an outage without ms
	defaultOtherToken = "SIM-OTHER-00000001" // who answers under OtherSerial
)

// FaultNames lists the faults, for help texts.
var FaultNames = []string{DropBefore, DropAfter, Half, Slow, SlowAfter, HTTP500, HTTP500Empty, Garbage, BusyFault,
	Processing, PaperOut, Refuse, Reboot, RebootAfter, ShiftExpired, OtherSerial, Unreachable, RefuseConnection}

// Validate says whether the fault can be armed.
func (f Fault) Validate() error {
	switch {
	case !slices.Contains(FaultNames, f.Name):
		return fmt.Errorf("arm fault %q: no such fault: use one of %s", f.Name, strings.Join(FaultNames, ", "))
	case f.Route != "" && !strings.HasPrefix(f.Route, "/"):
		return fmt.Errorf("arm fault %s: route %q does not start with a slash", f.Name, f.Route)
	case f.After < 0 || f.Times < 0 || f.MS < 0:
		return fmt.Errorf("arm fault %s: after, times and ms cannot be negative", f.Name)
	case f.Name == Refuse && f.Code == 0:
		return fmt.Errorf("arm fault %s: it needs a code, as in refuse:code=5", f.Name)
	}
	return nil
}

func (f Fault) wait() time.Duration { return time.Duration(f.MS) * time.Millisecond }

func (f Fault) outage() time.Duration {
	if f.MS == 0 {
		return defaultOutage * time.Millisecond
	}
	return f.wait()
}

// isOutage says whether the fault is about the network rather than one request.
func (f Fault) isOutage() bool {
	return f.Name == Reboot || f.Name == Unreachable || f.Name == RefuseConnection
}

// ParseFaults reads the compact form: faults joined by commas, each
// NAME[:/ROUTE][:after=N][:times=N][:ms=N][:code=N][:serial=S].
func ParseFaults(spec string) ([]Fault, error) {
	if strings.TrimSpace(spec) == "" {
		return nil, nil
	}
	var out []Fault
	for _, one := range strings.Split(spec, ",") {
		name, rest, more := strings.Cut(strings.TrimSpace(one), ":")
		f := Fault{Name: name}
		for more {
			var part string
			part, rest, more = strings.Cut(rest, ":")
			if strings.HasPrefix(part, "/") {
				f.Route = part
				continue
			}
			key, value, _ := strings.Cut(part, "=")
			number := map[string]*int{"after": &f.After, "times": &f.Times, "ms": &f.MS, "code": &f.Code}[key]
			if key == "serial" {
				f.Serial = value
				continue
			}
			if number == nil {
				return nil, fmt.Errorf("read fault %q: found %q: use /ROUTE, after=, times=, ms=, code= or serial=", one, part)
			}
			n, err := strconv.Atoi(value)
			if err != nil {
				return nil, fmt.Errorf("read fault %q: %s is %q: give a whole number", one, key, value)
			}
			*number = n
		}
		if err := f.Validate(); err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// faults are the armed ones, in the order in which they were armed.
type faults struct{ armed []Fault }

// plan is what goes wrong with one request.
type plan struct {
	wire    Fault         // zero: nothing goes wrong on the wire
	later   time.Duration // processing
	pending bool
	expired bool
	serial  string
}

// next counts a request against all armed faults and says which happen. Of the
// faults on the wire the first one happens and the others keep their turn;
// the rest (paper, serial, shift) happen beside it.
func (f *faults) next(route string) plan {
	var p plan
	for i := range f.armed {
		a := &f.armed[i]
		if a.Name == PaperOut || !a.matches(route) { // paper counts prints, not requests
			continue
		}
		if a.After > 0 {
			a.After--
			continue
		}
		switch a.Name {
		case ShiftExpired:
			p.expired = true
		case OtherSerial:
			p.serial = a.Serial
			if p.serial == "" {
				p.serial = defaultOtherToken
			}
		case Processing:
			if p.pending {
				continue
			}
			p.pending, p.later = true, a.wait()
		default:
			if p.wire.Name != "" {
				continue
			}
			p.wire = *a
		}
		a.spend()
	}
	f.sweep()
	return p
}

// paperFails counts a print and says whether it fails.
func (f *faults) paperFails(route string) bool {
	for i := range f.armed {
		a := &f.armed[i]
		if a.Name != PaperOut || !a.matches(route) {
			continue
		}
		if a.After > 0 {
			a.After--
			continue
		}
		a.spend()
		f.sweep()
		return true
	}
	return false
}

// paperOut says whether the next print of the route would fail. It counts nothing.
func (f *faults) paperOut(route string) bool {
	return slices.ContainsFunc(f.armed, func(a Fault) bool { return a.Name == PaperOut && a.After == 0 && a.matches(route) })
}

// paperIn says whether the next print would work.
func (f *faults) paperIn() bool {
	return !slices.ContainsFunc(f.armed, func(a Fault) bool { return a.Name == PaperOut && a.After == 0 })
}

const spent = -1

func (f Fault) matches(route string) bool {
	return f.Times != spent && (f.Route == "" || f.Route == route)
}

func (f *Fault) spend() {
	switch f.Times {
	case 0: // until cleared
		if f.isOutage() || f.Name == RebootAfter {
			f.Times = spent // an outage for ever would also cut off whoever clears it
		}
	case 1:
		f.Times = spent
	default:
		f.Times--
	}
}

func (f *faults) sweep() {
	f.armed = slices.DeleteFunc(f.armed, func(a Fault) bool { return a.Times == spent })
}
