package azsmart

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/register/once"
	"ekassa/agent/register/tokentext"
)

var _ register.Register = (*Driver)(nil)

// The editions, as Identity.Edition names them. Only check_shift tells them
// apart, by its shiftStatus (section 10).
const (
	EditionClassic = "classic"
	EditionNew     = "new"
)

// The times that a driver takes where its Config says nothing. The maker names
// none (2.4); a settle time is how long after a lost answer a document may still
// appear: the newer edition has states to ask for, the classic one has not.
const (
	connectWithin  = 5 * time.Second
	documentWithin = 60 * time.Second
	questionWithin = 10 * time.Second
	settleNew      = 2 * time.Second
	settleClassic  = 5 * time.Second
)

// Config is what a driver needs to know. Times that are zero take the defaults.
type Config struct {
	Addr       netip.AddrPort
	MerchantID string         // the secret that only enters the signature
	Zone       *time.Location // of the shop; nil: four hours ahead of UTC, as Baku is
	Escaping   Escaping

	Connect  time.Duration // until the connection stands: 5 s
	Document time.Duration // until a document's answer is read: 60 s
	Question time.Duration // until any other answer is read: 10 s
	Settle   time.Duration // instead of both editions' settle times

	// Uncounted leaves the X report out of baselines, for devices that print
	// each one. Unclear outcomes without a key are then a person's to decide.
	Uncounted bool

	Now func() time.Time // where the register gives no time; nil: time.Now
}

// String leaves the secret out.
func (c Config) String() string { return "azsmart at " + c.Addr.String() }

// GoString leaves the secret out.
func (c Config) GoString() string { return c.String() }

// Driver is an AzSmart register at one address.
type Driver struct {
	cfg  Config // without the secret
	wire once.Line
	form func(body []byte) []byte // signs: the secret is in here and nowhere else
	mask func(b []byte) []byte    // takes the secret out of what a register says back

	mu       sync.Mutex // guards what is below
	told     string     // the edition, empty before it is known
	serial   string
	shift    string
	qrPrefix string
	paperOut string // key of the last request that got "not printed"
}

// New makes a driver. It sends nothing.
func New(c Config) *Driver {
	if c.Zone == nil {
		c.Zone = time.FixedZone("+04", 4*60*60)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	for _, d := range []struct {
		to *time.Duration
		by time.Duration
	}{{&c.Connect, connectWithin}, {&c.Document, documentWithin}, {&c.Question, questionWithin}} {
		if *d.to <= 0 {
			*d.to = d.by
		}
	}
	secret, escaping := c.MerchantID, c.Escaping
	c.MerchantID = ""
	return &Driver{
		cfg:  c,
		wire: once.Line{Addr: c.Addr, Connect: c.Connect},
		form: func(body []byte) []byte { return form(body, secret, escaping) },
		mask: func(b []byte) []byte {
			if secret == "" {
				return b
			}
			return bytes.ReplaceAll(b, []byte(secret), []byte("***"))
		},
	}
}

// String names the driver and its address.
func (d *Driver) String() string { return d.cfg.String() }

// GoString is String.
func (d *Driver) GoString() string { return d.cfg.String() }

// Abilities: the new edition promises for sales and refunds that the same key
// makes one document (8.2); nothing guards the resend of anything else, of the
// classic edition, or of a register that was not asked yet.
func (d *Driver) Abilities() register.Abilities {
	a := register.Abilities{Kinds: map[receipt.Kind]register.Class{}, Settle: settleClassic, Names: tokentext.NameLimit}
	for kind := range routes {
		a.Kinds[kind] = register.Neither
	}
	if d.edition() == EditionNew {
		a.Kinds[receipt.Sale], a.Kinds[receipt.Refund], a.Settle = register.Key, register.Key, settleNew
	}
	if d.cfg.Settle > 0 {
		a.Settle = d.cfg.Settle
	}
	return a
}

func (d *Driver) edition() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.told
}

func (d *Driver) remembered() (serial, shift, qrPrefix string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.serial, d.shift, d.qrPrefix
}

// Identify asks who the register is, and which edition it speaks.
func (d *Driver) Identify(ctx context.Context) (register.Identity, error) {
	identity, err := d.info(ctx)
	if err != nil {
		return register.Identity{}, err
	}
	if _, err := d.Shift(ctx); err != nil {
		return register.Identity{}, err
	}
	identity.Edition = d.edition()
	return identity, nil
}

// info asks get_info (6.7), the way the one public client does.
func (d *Driver) info(ctx context.Context) (register.Identity, error) {
	a, err := d.ask(ctx, routeGetInfo, []byte(`{"employeeName":null}`))
	if err != nil {
		return register.Identity{}, err
	}
	i := register.Identity{
		Serial:     clip(a.text("serial_num", "cashregister_factory_number", "cashbox_factory_number")),
		Model:      clip(a.text("cashregister_model")),
		Version:    clip(a.text("cashbox_app_version", "firmware_version", "fiscal_core_version")),
		Company:    clip(a.text("company_name")),
		TaxNumber:  clip(a.text("company_tax_number", "cashbox_tax_number")),
		Object:     clip(a.text("object_name", "object_address")),
		State:      clip(a.text("state")),
		QRPrefix:   clip(a.text("qr_code_url")),
		LastOnline: a.time(d.cfg.Zone, "last_online_time"),
		NotAfter:   a.time(d.cfg.Zone, "not_after"),
	}
	if i.Serial == "" {
		return i, &register.Fault{Cause: register.Other, Err: errors.New("register tells no serial number")}
	}
	d.mu.Lock()
	d.serial, d.qrPrefix = i.Serial, i.QRPrefix
	d.mu.Unlock()
	return i, nil
}

// Shift asks check_shift (6.1), and tells the edition by the way.
func (d *Driver) Shift(ctx context.Context) (register.Shift, error) {
	a, err := d.ask(ctx, routeCheckShift, []byte(`{}`))
	var fault *register.Fault
	if errors.As(err, &fault) && fault.Code == "6" {
		return register.Shift{}, nil // "shift not open" elsewhere, and nothing else here
	}
	if err != nil {
		return register.Shift{}, err
	}
	open, err := isOpen(a)
	if err != nil {
		return register.Shift{}, &register.Fault{Cause: register.Other, Err: err}
	}
	s := register.Shift{
		Open: open, ID: clip(a.ident("shiftID")), OpenedAt: a.time(d.cfg.Zone, "shiftOpenAt"), Cash: a.money("cash"), Drawer: a.has("cash"),
	}
	if !open {
		s.OpenedAt = time.Time{}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shift, d.told = s.ID, EditionClassic
	if a.has("shiftStatus") {
		d.told = EditionNew
	}
	return s, nil
}

// isOpen reads isShiftOpen, text or boolean, and shiftStatus, 1 open and 2
// closed. Where both are there they must agree.
func isOpen(a answer) (bool, error) {
	said := map[bool]bool{}
	switch strings.ToLower(a.text("isShiftOpen")) {
	case "true", "1":
		said[true] = true
	case "false", "0":
		said[false] = true
	}
	switch n, _ := a.integer("shiftStatus"); n {
	case 1:
		said[true] = true
	case 2:
		said[false] = true
	}
	if len(said) != 1 {
		return false, fmt.Errorf("register does not tell whether a shift is open: isShiftOpen %q, shiftStatus %q",
			clip(a.text("isShiftOpen")), clip(a.text("shiftStatus")))
	}
	return said[true], nil
}

// Baseline reads the serial and the shift, and the X report's counters where
// they are the only thing that a document of the kind could be found by.
func (d *Driver) Baseline(ctx context.Context, kind receipt.Kind) (register.Baseline, error) {
	identity, err := d.info(ctx)
	if err != nil {
		return register.Baseline{}, err
	}
	shift, err := d.Shift(ctx)
	if err != nil {
		return register.Baseline{}, err
	}
	b := register.Baseline{Serial: identity.Serial, Shift: shift}
	if d.cfg.Uncounted || d.Abilities().Kinds[kind] == register.Key {
		return b, nil
	}
	if !shift.Open {
		b.Counted = true // no shift, no documents in it
		return b, nil
	}
	a, err := d.ask(ctx, routeXReport, xReport(""))
	var fault *register.Fault
	switch {
	case err == nil, errors.As(err, &fault) && fault.Cause == register.Paper: // the numbers are there without the paper
		b.Count, b.Counted = counts(a, kind)
		b.Last = clip(a.ident("lastDocNumber"))
	case fault != nil && fault.Code == "6":
		b.Counted = true // as above
	case fault == nil || fault.Code == "" || fault.Cause == register.Busy:
		return register.Baseline{}, err // it was not answered, or will be later
	}
	return b, nil
}

// Send signs a prepared request and sends it, once.
func (d *Driver) Send(ctx context.Context, r register.Request) register.Outcome {
	known := false
	for _, route := range routes {
		known = known || route == r.Route
	}
	if !known {
		return register.Outcome{Verdict: register.NotSent, Cause: register.Other, Err: fmt.Errorf("send: no document route %q", r.Route)}
	}
	a, o := d.order(ctx, r.Route, r.Body)
	if o.Err != nil {
		return o
	}
	sent := factsOf(r.Body)
	o = d.outcome(r.Route, sent, a)
	if r.Route == routeRollback && o.Verdict == register.Made && o.Document.FiscalID == "" {
		d.name(ctx, o.Document, string(sent.DocumentID))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if o.Verdict == register.Unknown && o.Cause == register.Paper {
		d.paperOut = r.Key
	}
	return o
}

// post signs and sends, once (section 2).
func (d *Driver) post(ctx context.Context, route string, body []byte, wait time.Duration) once.Answer {
	return d.wire.Post(ctx, once.Request{
		Path: "/" + route, Type: "application/x-www-form-urlencoded", Body: d.form(body), Wait: wait, Name: route,
	})
}

// order sends what changes something. With an error in the outcome there is no
// answer, and the outcome is complete.
func (d *Driver) order(ctx context.Context, route string, body []byte) (answer, register.Outcome) {
	r := d.post(ctx, route, body, d.cfg.Document)
	if !r.Left && r.Err != nil {
		return answer{}, register.Outcome{Verdict: register.NotSent, Cause: register.Unreachable, Err: r.Err}
	}
	// An answer that is whole counts, whatever befell the connection after it.
	a, err := decode(d.mask(r.Body))
	if err == nil {
		return a, register.Outcome{}
	}
	o := register.Outcome{Verdict: register.Unknown, Cause: register.Other, Err: err}
	if r.Err != nil {
		o.Cause, o.Err = register.Unreachable, r.Err
	}
	return a, o
}

// ask puts a question. The error is a *register.Fault; with a code or words of
// the register in it, the answer is there as well.
func (d *Driver) ask(ctx context.Context, route string, body []byte) (answer, error) {
	r := d.post(ctx, route, body, d.cfg.Question)
	a, err := decode(d.mask(r.Body))
	if err != nil {
		if r.Err != nil {
			return answer{}, &register.Fault{Cause: register.Unreachable, Err: r.Err}
		}
		return answer{}, &register.Fault{Cause: register.Other, Err: err}
	}
	return a, fault(route, a)
}

// fault is nil where the answer is a success.
func fault(route string, a answer) error {
	success, told := a.status()
	code, ok := a.code()
	if told && success && ok && code == 0 {
		return nil
	}
	f := &register.Fault{Cause: causeOf(route, code), Code: a.codeText(), Text: a.message()}
	if !told || !ok || code == 0 {
		f.Cause, f.Err = register.Other, fmt.Errorf("%w: status %q", register.ErrNotAnswer, clip(a.text("status")))
	}
	return f
}
