package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"ekassa/agent/dispatch"
	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// device is a register in memory whose ledger is the truth, and which fails as
// its seed says. It stands in for driver and wire together.
type device struct {
	mu       sync.Mutex
	rng      *rand.Rand
	class    register.Class
	trouble  float64 // how likely something goes wrong
	serial   string
	shift    register.Shift
	shifts   int
	ledger   []entry
	late     []late // made after their answer was lost
	noPaper  bool
	deadTill time.Time
	hand     bool             // people ring up by hand now and then
	lost     func(key string) // what happens with the next document, whose answer is lost
	noCopies bool             // it does not print any, and does not say why
	forgets  bool             // it knows a key only in the shift in which it came
	expired  bool             // its shift is over 24 hours old
	mute     bool             // it closes shifts, and its answer is lost
	deafTo   bool             // it does not close shifts, and says nothing
	noReport bool             // it gives no report of a shift that is closed
	mumbles  int              // so many questions about a document are answered by something else
	sends    map[string]int
}

type entry struct {
	key     string // empty: rung up by hand
	id      string
	shift   string
	printed bool
}

type late struct {
	at  time.Time
	key string
	on  string // the last number that it knew, where it stands on one
}

const settleTime = 3 * time.Second

var errLine = errors.New("the line is dead")

func (d *device) chance(p float64) bool { return d.rng.Float64() < p }

// tick makes what is due.
func (d *device) tick() {
	keep := d.late[:0]
	for _, l := range d.late {
		if time.Now().Before(l.at) {
			keep = append(keep, l)
		} else if d.stands(l.on) {
			d.make(l.key)
		}
	}
	d.late = keep
}

func (d *device) find(key string) *entry {
	for n := range d.ledger {
		if d.ledger[n].key == key && key != "" && (!d.forgets || d.ledger[n].shift == d.shift.ID) {
			return &d.ledger[n]
		}
	}
	return nil
}

func (d *device) make(key string) *entry {
	if e := d.find(key); e != nil && d.class == register.Key {
		return e
	}
	d.ledger = append(d.ledger, entry{key: key, id: fmt.Sprintf("%s-%d", d.serial, len(d.ledger)+1), shift: d.shift.ID, printed: !d.noPaper})
	return &d.ledger[len(d.ledger)-1]
}

// stands says whether a document may still be made that was to follow that one.
func (d *device) stands(on string) bool { return on == "" || on == strconv.Itoa(len(d.ledger)) }

func (d *device) dead() error {
	if time.Now().Before(d.deadTill) {
		return &register.Fault{Cause: register.Unreachable, Err: errLine}
	}
	if d.chance(d.trouble / 10) {
		d.deadTill = time.Now().Add(time.Duration(d.rng.IntN(20)) * time.Second)
	}
	if d.hand && d.chance(0.02) {
		d.make("")
	}
	d.tick()
	return nil
}

func (d *device) Abilities() register.Abilities {
	return register.Abilities{Settle: settleTime, Names: 100, Kinds: map[receipt.Kind]register.Class{receipt.Sale: d.class, receipt.Refund: d.class}}
}

func (d *device) Identify(context.Context) (register.Identity, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return register.Identity{Serial: d.serial, State: "ACTIVE"}, d.dead()
}

func (d *device) Shift(context.Context) (register.Shift, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.shift, d.dead()
}

func (d *device) Baseline(context.Context, receipt.Kind) (register.Baseline, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.dead()
	b := register.Baseline{Serial: d.serial, Shift: d.shift}
	if d.class == register.Neither {
		b.Counted, b.Count.Sale = true, len(d.ledger)
	}
	if d.class == register.CompareAndSet {
		b.Last = strconv.Itoa(len(d.ledger))
	}
	return b, err
}

func (d *device) Prepare(job register.Job) (register.Request, error) {
	return register.Request{Route: "/sale", Key: job.Key, Body: []byte(job.Baseline.Last)}, nil
}

func (d *device) Send(_ context.Context, r register.Request) register.Outcome {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.dead(); err != nil {
		return register.Outcome{Verdict: register.NotSent, Cause: register.Unreachable, Err: err}
	}
	if d.sends == nil {
		d.sends = map[string]int{}
	}
	d.sends[r.Key]++
	if !d.shift.Open {
		return register.Outcome{Verdict: register.Refused, Cause: register.ShiftClosed, Code: "6"}
	}
	if d.expired {
		return register.Outcome{Verdict: register.Refused, Cause: register.ShiftExpired}
	}
	if !d.stands(string(r.Body)) {
		return register.Outcome{Verdict: register.Unknown, Code: "505"}
	}
	if lost := d.lost; lost != nil {
		d.lost = nil
		lost(r.Key)
		return register.Outcome{Verdict: register.Unknown, Err: errLine}
	}
	if !d.chance(d.trouble) {
		return d.answer(d.make(r.Key))
	}
	lost := register.Outcome{Verdict: register.Unknown, Err: errLine}
	switch d.rng.IntN(6) {
	case 0: // nothing was made
	case 1: // made, answer lost
		d.make(r.Key)
	case 2: // made a moment after the answer was lost
		d.late = append(d.late, late{at: time.Now().Add(time.Duration(d.rng.IntN(2900)) * time.Millisecond), key: r.Key, on: string(r.Body)})
	case 3:
		d.shift.Open = false
		return register.Outcome{Verdict: register.Refused, Cause: register.ShiftClosed, Code: "6"}
	case 4: // paper out: made, and said so in a code that proves nothing
		d.noPaper = true
		d.make(r.Key)
		lost.Cause = register.Paper
	case 5:
		return register.Outcome{} // a driver's mistake: no verdict
	}
	return lost
}

func (d *device) expire(yes bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.expired = yes
}

func (d *device) answer(e *entry) register.Outcome {
	return register.Outcome{Verdict: register.Made, Document: &receipt.Document{FiscalID: e.id, Number: e.id, Printed: e.printed}}
}

func (d *device) Lookup(_ context.Context, r register.Request) register.Evidence {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.dead(); err != nil {
		return register.Evidence{Found: register.CannotTell, Err: err}
	}
	if d.mumbles > 0 {
		d.mumbles--
		return register.Evidence{Found: register.CannotTell, Err: &register.Fault{Cause: register.Other, Err: register.ErrNotAnswer}}
	}
	if d.chance(d.trouble / 4) {
		return register.Evidence{Found: register.InProgress, Text: "at work"}
	}
	if d.class == register.Neither && d.chance(0.5) { // it has no memory of keys, only sometimes of the last one
		return register.Evidence{Found: register.CannotTell, Text: "asked for a key it does not know"}
	}
	if e := d.find(r.Key); e != nil {
		return register.Evidence{Found: register.DocumentMade, Document: d.answer(e).Document, Text: e.id}
	}
	if !d.stands(string(r.Body)) { // its history may not have it yet, or have lost it
		return register.Evidence{Found: register.CannotTell, Text: "its number has moved on"}
	}
	return register.Evidence{Found: register.NotFound, Text: "no such key"}
}

func (d *device) OpenShift(context.Context, string) register.Outcome {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.dead(); err != nil {
		return register.Outcome{Verdict: register.NotSent, Cause: register.Unreachable, Err: err}
	}
	if d.shift.Open {
		return register.Outcome{Verdict: register.Refused, Cause: register.ShiftOpen}
	}
	d.shifts++
	d.shift = register.Shift{Open: true, ID: strconv.Itoa(d.shifts)}
	if d.chance(d.trouble) {
		return register.Outcome{Verdict: register.Unknown, Err: errLine}
	}
	return register.Outcome{Verdict: register.Made}
}

func (d *device) CloseShift(context.Context, string) (register.Report, register.Outcome) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.report(d.shift.ID)
	if d.deafTo {
		return register.Report{}, register.Outcome{Verdict: register.Unknown, Err: errLine}
	}
	d.shift.Open, d.expired = false, false
	if d.mute {
		return register.Report{}, register.Outcome{Verdict: register.Unknown, Err: errLine}
	}
	return r, register.Outcome{Verdict: register.Made}
}

// report adds up a shift; every document is a cup of tea.
func (d *device) report(shift string) register.Report {
	r := register.Report{Shift: shift}
	for _, e := range d.ledger {
		if e.shift == shift {
			r.Sales.Count++
			r.Sales.Sum += 2_00
			r.Sales.Cash += 2_00
		}
	}
	return r
}

func (d *device) XReport(_ context.Context, shift string) (register.Report, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.dead(); err != nil {
		return register.Report{}, err
	}
	if d.noReport && shift != "" {
		return register.Report{}, &register.Fault{Cause: register.Other, Text: "no such report"}
	}
	if shift == "" {
		shift = d.shift.ID
	}
	return d.report(shift), nil
}

func (d *device) Reprint(_ context.Context, doc receipt.Document) register.Outcome {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.noCopies {
		return register.Outcome{Verdict: register.Unknown, Cause: register.Other, Code: "5"}
	}
	if d.noPaper && d.chance(0.5) {
		return register.Outcome{Verdict: register.Unknown, Cause: register.Paper}
	}
	d.noPaper = false
	for n := range d.ledger {
		if d.ledger[n].id == doc.FiscalID {
			d.ledger[n].printed = true
		}
	}
	return register.Outcome{Verdict: register.Made}
}

func (d *device) Period(context.Context, time.Time, time.Time) (register.Report, error) {
	return register.Report{}, nil
}

func (d *device) setup() dispatch.Setup {
	return dispatch.Setup{
		ID: "kassa-1", Terminal: "till-1", Active: true, Enabled: true, AutoOpen: true,
		Find: func(context.Context, dispatch.Want) (netip.AddrPort, error) {
			return netip.MustParseAddrPort("127.0.0.1:8008"), nil
		},
		Dial: func(netip.AddrPort) register.Register { return d },
	}
}
