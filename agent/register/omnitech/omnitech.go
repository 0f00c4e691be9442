package omnitech

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/register/once"
	"ekassa/agent/register/tokentext"
)

var _ register.Register = (*Driver)(nil)

// Edition is what Identity.Edition says: the older API is not spoken (section 2).
const Edition = "v2"

// The times that a driver takes where its Config says nothing (section 2). The
// maker names none for how long it may be at work.
const (
	connectWithin  = 5 * time.Second
	documentWithin = 60 * time.Second
	questionWithin = 10 * time.Second
	settle         = 5 * time.Second
)

// longest answer: a history of some thousand rows, each with its whole request.
const longest = 8 << 20

// Config is what a driver needs to know. Times that are zero take the defaults.
type Config struct {
	Addr  netip.AddrPort
	Login *Login         // shared by all drivers of the register
	Zone  *time.Location // of the shop; nil: four hours ahead of UTC, as Baku is

	Connect  time.Duration // until the connection stands: 5 s
	Document time.Duration // until a document's answer is read: 60 s
	Question time.Duration // until any other answer is read: 10 s
	Settle   time.Duration // how long after a lost answer a document may appear: 5 s

	// Uncounted leaves the X report out of baselines, for devices that print
	// each one. Unclear outcomes of kinds that no number guards are then a
	// person's to decide.
	Uncounted bool

	Now func() time.Time // nil: time.Now
}

// Driver is an Omnitech register at one address.
type Driver struct {
	cfg   Config
	login *Login
	wire  once.Line

	mu       sync.Mutex // guards what is below
	serial   string
	qrPrefix string
	shift    string
	paperOut string // key of the last request that was answered with a printing fault
	replayed string // key of the last request that was answered with "taken back already"
	seen     *seen  // of the history, before something is sent again
	looking  *seen  // of the history, by a look-up that has not come to its end
}

// New makes a driver. It sends nothing.
func New(c Config) *Driver {
	if c.Zone == nil {
		c.Zone = time.FixedZone("+04", 4*60*60)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Login == nil {
		c.Login = NewLogin("", "")
	}
	for _, d := range []struct {
		to *time.Duration
		by time.Duration
	}{{&c.Connect, connectWithin}, {&c.Document, documentWithin}, {&c.Question, questionWithin}, {&c.Settle, settle}} {
		if *d.to <= 0 {
			*d.to = d.by
		}
	}
	return &Driver{cfg: c, login: c.Login, wire: once.Line{Addr: c.Addr, Connect: c.Connect}}
}

// String names the driver and its address.
func (d *Driver) String() string { return "omnitech at " + d.cfg.Addr.String() }

// GoString is String: the login stays out of it.
func (d *Driver) GoString() string { return d.String() }

// Abilities: prev_doc_number is promised for sale, money back and correction;
// whether it counts elsewhere is open (section 16).
func (d *Driver) Abilities() register.Abilities {
	a := register.Abilities{Kinds: map[receipt.Kind]register.Class{}, Settle: d.cfg.Settle, Names: tokentext.NameLimit}
	for kind, route := range routes {
		a.Kinds[kind] = register.Neither
		if guarded(route) {
			a.Kinds[kind] = register.CompareAndSet
		}
	}
	return a
}

// guarded says whether the page promises that a document of the route is only
// made on top of prev_doc_number.
func guarded(route string) bool {
	return route == routeSale || route == routeRefund || route == routeCorrection
}

// Identify asks who the register is.
func (d *Driver) Identify(ctx context.Context) (register.Identity, error) {
	i, _, err := d.info(ctx)
	return i, err
}

// info asks getInfo (41, section 5): who it is, and its last document's number.
func (d *Driver) info(ctx context.Context) (i register.Identity, last string, err error) {
	whole, err := d.ask(ctx, "get_info", ask(opGetInfo))
	if err != nil {
		return i, "", err
	}
	a := whole.inner("data")
	i = register.Identity{
		Serial:     clip(a.text("cashbox_factory_number")),
		Model:      clip(a.text("cashregister_model")),
		Edition:    Edition,
		Version:    clip(a.text("firmware_version")),
		Company:    clip(a.text("company_name")),
		TaxNumber:  clip(a.text("company_tax_number")),
		Object:     clip(a.text("object_name", "object_address")),
		State:      clip(a.text("state")),
		QRPrefix:   clip(a.text("qr_code_url")),
		LastOnline: a.time(d.cfg.Zone, "last_online_time"),
		NotAfter:   a.time(d.cfg.Zone, "not_after"),
	}
	if i.Serial == "" {
		return i, "", &register.Fault{Cause: register.Other, Err: errors.New("register tells no serial number of its token")}
	}
	if n, ok := a.integer("last_doc_number"); ok && n >= 0 {
		last = strconv.FormatInt(n, 10)
	}
	d.mu.Lock()
	d.serial, d.qrPrefix = i.Serial, i.QRPrefix
	d.mu.Unlock()
	return i, last, nil
}

// Shift asks the shift's status (14). The shift is named by the time at which
// the register says that it was opened, as it is written there: no number is told.
func (d *Driver) Shift(ctx context.Context) (register.Shift, error) {
	a, err := d.ask(ctx, "shift_status", ask(opShift))
	if err != nil {
		return register.Shift{}, err
	}
	open, told := a.truth("shiftStatus")
	if !told {
		return register.Shift{}, &register.Fault{Cause: register.Other, Err: fmt.Errorf("register does not tell whether a shift is open: shiftStatus %q", clip(a.text("shiftStatus")))}
	}
	s := register.Shift{Open: open}
	if open {
		s.ID, s.OpenedAt = clip(a.text("shift_open_time")), a.time(d.cfg.Zone, "shift_open_time")
	}
	d.mu.Lock()
	d.shift = s.ID
	d.mu.Unlock()
	return s, nil
}

// Baseline reads the shift and the last document's number, and the X report's
// counters for kinds that no number guards. The number is read last: whether a
// report moves it is not known (section 8).
func (d *Driver) Baseline(ctx context.Context, kind receipt.Kind) (b register.Baseline, err error) {
	if b.Shift, err = d.Shift(ctx); err != nil {
		return register.Baseline{}, err
	}
	if d.Abilities().Kinds[kind] != register.CompareAndSet && !d.cfg.Uncounted {
		if b.Count, b.Counted, err = d.counts(ctx, kind, b.Shift.Open); err != nil {
			return register.Baseline{}, err
		}
	}
	i, last, err := d.info(ctx)
	if err != nil {
		return register.Baseline{}, err
	}
	if last == "" {
		return register.Baseline{}, &register.Fault{Cause: register.Other, Err: errors.New("register does not tell the number of its last document")}
	}
	b.Serial, b.Last = i.Serial, last
	return b, nil
}

// counts reads the counters of the running shift.
func (d *Driver) counts(ctx context.Context, kind receipt.Kind, open bool) (register.Count, bool, error) {
	if !open {
		return register.Count{}, true, nil // no shift, no documents in it
	}
	a, err := d.xReport(ctx)
	var f *register.Fault
	switch {
	case err == nil:
		count, counted := counts(a, kind)
		return count, counted, nil
	case errors.As(err, &f) && f.Cause == register.ShiftClosed:
		return register.Count{}, true, nil // closed meanwhile
	case errors.As(err, &f) && f.Code != "" && f.Cause != register.Busy && f.Cause != register.Paper && f.Cause != register.Credentials:
		return register.Count{}, false, nil // it has no such report for us
	}
	return register.Count{}, false, err
}

// Send sends a prepared request, once. A second time only where the answer was
// that the session is invalid, which proves that nothing was done (section 3).
func (d *Driver) Send(ctx context.Context, r register.Request) register.Outcome {
	sent, err := orderOf(r)
	if err != nil {
		return register.Outcome{Verdict: register.NotSent, Cause: register.Other, Err: fmt.Errorf("send: %w", err)}
	}
	if sent.Again {
		switch e, ok := d.before(ctx, r, sent); {
		case e.Found == register.DocumentMade:
			return register.Outcome{Verdict: register.Made, Document: e.Document, Text: e.Text}
		case !ok:
			return unsent(fmt.Errorf("look for an earlier attempt: %w", e.Err))
		}
	}
	a, o := d.order(ctx, r.Route, sent.Request.RequestData)
	if o.Err != nil {
		return o
	}
	o = d.outcome(r.Route, sent, a)
	switch code, _ := a.code(); {
	case o.Verdict == register.Unknown && isReplay(code, a):
		d.mu.Lock()
		d.replayed = r.Key
		d.mu.Unlock()
	case o.Verdict == register.Unknown && o.Cause == register.BadData:
		o = d.proven(ctx, sent, o)
	case o.Verdict == register.Unknown && o.Cause == register.Paper:
		d.mu.Lock()
		d.paperOut = r.Key
		d.mu.Unlock()
		// Where it made nothing, another paper is still to come out, and it takes no
		// document before it: 16 prints that (section 12, code 1200).
		if o = d.proven(ctx, sent, o); o.Verdict == register.Refused {
			d.unblock(ctx) // whether it worked, the next try will tell
		}
	}
	return o
}

// proven asks for the number where a whole answer blames the data or the paper
// with a code that does not prove by itself that nothing was written: were it
// only asked about, the same would be sent for ever. A number that did not move
// proves it, since the register is done with the request.
func (d *Driver) proven(ctx context.Context, sent order, o register.Outcome) register.Outcome {
	if i, last, err := d.info(ctx); err == nil && i.Serial != "" && last != "" && last == sent.After {
		o.Verdict = register.Refused
	}
	return o
}

// order sends what changes something. With an error in the outcome there is no
// answer, and the outcome is complete.
func (d *Driver) order(ctx context.Context, name string, r request) (answer, register.Outcome) {
	dead := ""
	for {
		token, err := d.token(ctx, dead)
		if err != nil {
			o := unsent(err)
			if dead != "" { // sent, and turned away at the door
				o.Verdict = register.Refused
			}
			return answer{}, o
		}
		r.AccessToken = token
		reply := d.post(ctx, name, r, d.cfg.Document)
		if !reply.Left && reply.Err != nil {
			return answer{}, register.Outcome{Verdict: register.NotSent, Cause: register.Unreachable, Err: reply.Err}
		}
		a, err := decode(reply.Body)
		if err != nil {
			o := register.Outcome{Verdict: register.Unknown, Cause: register.Other, Err: err}
			if reply.Err != nil {
				o.Cause, o.Err = register.Unreachable, reply.Err
			}
			return answer{}, o
		}
		if !expired(a) || dead != "" {
			d.heed(a)
			return a, register.Outcome{}
		}
		dead = token
	}
}

// unsent is the outcome where not a byte of a document has left us.
func unsent(err error) register.Outcome {
	o := register.Outcome{Verdict: register.NotSent, Cause: register.Other, Err: err}
	var f *register.Fault
	if errors.As(err, &f) {
		o.Cause, o.Code, o.Text = f.Cause, f.Code, f.Text
	}
	return o
}

// ask puts a question. The error is a *register.Fault.
func (d *Driver) ask(ctx context.Context, name string, r request) (answer, error) {
	dead := ""
	for {
		token, err := d.token(ctx, dead)
		if err != nil {
			return answer{}, err
		}
		r.AccessToken = token
		reply := d.post(ctx, name, r, d.cfg.Question)
		a, err := decode(reply.Body)
		if err != nil {
			switch {
			case errors.Is(reply.Err, once.ErrTooLong): // asked again, it would be as long
				err = reply.Err
			case reply.Err != nil:
				return answer{}, &register.Fault{Cause: register.Unreachable, Err: reply.Err}
			}
			return answer{}, &register.Fault{Cause: register.Other, Err: err}
		}
		if !expired(a) || dead != "" {
			d.heed(a)
			return a, d.fault(name, a)
		}
		dead = token
	}
}

// expired says whether the session was turned away. An answer that names a
// document was not.
func expired(a answer) bool {
	code, ok := a.code()
	return ok && code == codeSession && idsOf(a) == (made{})
}

func (d *Driver) post(ctx context.Context, name string, r request, wait time.Duration) once.Answer {
	return d.wire.Post(ctx, once.Request{Path: path, Type: contentType, Body: encode(envelope{r}), Wait: wait, Name: name, Most: longest})
}

// fault is nil where the answer is a success.
func (d *Driver) fault(name string, a answer) error {
	code, ok := a.code()
	switch {
	case ok && code == 0:
		return nil
	case !ok && strings.EqualFold(a.text("message"), "success"): // history and statement (section 14)
		return nil
	case !ok:
		return &register.Fault{Cause: register.Other, Text: d.mask(a.message()), Err: fmt.Errorf("%w: no code", register.ErrNotAnswer)}
	}
	m := meaning(name, code, a)
	return &register.Fault{Cause: m.cause, Code: a.codeText(), Text: d.mask(a.message()), Err: fmt.Errorf("ask %s: register answers with code %d", name, code)}
}

// mask takes the secrets out of what a register says back, for people.
func (d *Driver) mask(s string) string {
	token, _ := d.login.at(d.cfg.Addr).hidden.Load().(string)
	for _, secret := range []string{token, d.login.password} {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "***")
		}
	}
	return s
}

func (d *Driver) remembered() (serial, shift, qrPrefix string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.serial, d.shift, d.qrPrefix
}
