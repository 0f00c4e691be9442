package caspos

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
	"ekassa/agent/register/tokencode"
	"ekassa/agent/register/tokentext"
)

var _ register.Register = (*Driver)(nil)

// The times that a driver takes where its Config says nothing (section 2: what
// clients use, and our judgement).
const (
	connectWithin  = 5 * time.Second
	documentWithin = 60 * time.Second
	questionWithin = 10 * time.Second
	settleAfter    = 5 * time.Second
)

// Config is what a driver needs to know. Times that are zero take the defaults.
type Config struct {
	Addr  netip.AddrPort
	Login *Login         // nil: an empty one
	Zone  *time.Location // of the shop; nil: four hours ahead of UTC, as Baku is

	Connect  time.Duration // until the connection stands: 5 s
	Document time.Duration // until a document's answer is read: 60 s
	Question time.Duration // until any other answer is read: 10 s
	Settle   time.Duration // how long after a lost answer a document may still appear: 5 s

	Now func() time.Time // where the register gives no time; nil: time.Now
}

// Login is the account of one register. Its drivers share it, so that a wrong
// PIN is told to none of them a second time: three misses lock the token
// (section 13, code 404).
type Login struct {
	username, password string

	mu     sync.Mutex
	missed string // the register's words, once it has refused the PIN
}

// NewLogin makes a login. Both may be empty: many devices check neither
// (section 3).
func NewLogin(username, password string) *Login {
	return &Login{username: username, password: password}
}

// String leaves the secrets out.
func (l *Login) String() string { return "login" }

// GoString leaves the secrets out.
func (l *Login) GoString() string { return l.String() }

func (l *Login) miss(words string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.missed = words
}

func (l *Login) wasMissed() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.missed
}

// Driver is a Caspos register at one address.
type Driver struct {
	cfg  Config
	line once.Line

	mu       sync.Mutex // guards what is below
	loggedIn bool
	serial   string
	qrPrefix string
	open     register.Shift // the last open shift that was seen
	closing  string         // name of the shift that a Z was ordered for without an answer
	paperOut string         // key of the last request that ended with the paper
	known    string         // key of the last request that the register said to know, without naming its document
}

// New makes a driver. It sends nothing.
func New(c Config) *Driver {
	if c.Login == nil {
		c.Login = NewLogin("", "")
	}
	if c.Zone == nil {
		c.Zone = time.FixedZone("+04", 4*60*60)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	for _, d := range []struct {
		to *time.Duration
		by time.Duration
	}{{&c.Connect, connectWithin}, {&c.Document, documentWithin}, {&c.Question, questionWithin}, {&c.Settle, settleAfter}} {
		if *d.to <= 0 {
			*d.to = d.by
		}
	}
	return &Driver{cfg: c, line: once.Line{Addr: c.Addr, Connect: c.Connect}}
}

// String names the driver and its address.
func (d *Driver) String() string { return "caspos at " + d.cfg.Addr.String() }

// GoString is String.
func (d *Driver) GoString() string { return d.String() }

// Abilities: every kind of document carries the key (section 4).
func (d *Driver) Abilities() register.Abilities {
	a := register.Abilities{Kinds: map[receipt.Kind]register.Class{}, Settle: d.cfg.Settle, Names: tokentext.NameLimit}
	for kind := range operations {
		a.Kinds[kind] = register.Key
	}
	return a
}

// Identify asks who the register is (section 5).
func (d *Driver) Identify(ctx context.Context) (register.Identity, error) {
	i, _, err := d.info(ctx)
	return i, err
}

// info gives the identity and the number of the last document, "" where the
// register does not tell it.
func (d *Driver) info(ctx context.Context) (i register.Identity, last string, err error) {
	a, err := d.ask(ctx, request{Operation: opInfo})
	if err != nil {
		return i, "", err
	}
	o := a.data
	i = register.Identity{
		// The token's own first: it is what documents are tied to (rules.md 9).
		Serial:     clip(o.text("cashbox_factory_number", "cashbox_serial_number", "cashregister_factory_number")),
		Model:      clip(o.text("cashregister_model")),
		Version:    clip(o.text("application_version")),
		Company:    clip(o.text("company_name")),
		TaxNumber:  clip(o.text("company_tax_number", "cashbox_tax_number")),
		Object:     clip(o.text("object_name", "object_address")),
		State:      clip(o.text("state")),
		QRPrefix:   clip(o.text("qr_code_url")),
		LastOnline: o.time(d.cfg.Zone, "last_online_time"),
		NotAfter:   o.time(d.cfg.Zone, "not_after"),
	}
	if i.Serial == "" {
		return i, "", &register.Fault{Cause: register.Other, Err: errors.New("register tells no serial number")}
	}
	if n, ok := o.integer("last_doc_number"); ok && n >= 0 {
		last = strconv.FormatInt(n, 10)
	}
	d.mu.Lock()
	d.serial, d.qrPrefix = i.Serial, i.QRPrefix
	d.mu.Unlock()
	return i, last, nil
}

// Shift asks getShiftStatus. The register gives a shift no name, so its id is
// when it was opened.
func (d *Driver) Shift(ctx context.Context) (register.Shift, error) {
	a, err := d.ask(ctx, request{Operation: opShift})
	if err != nil {
		return register.Shift{}, err
	}
	var s register.Shift
	switch told := strings.ToLower(a.data.text("shift_open")); told {
	case "true", "1":
		s.Open = true
	case "false", "0":
		return s, nil
	default:
		return s, &register.Fault{Cause: register.Other, Err: fmt.Errorf("register does not tell whether a shift is open: shift_open %q", clip(told))}
	}
	s.OpenedAt = a.data.time(d.cfg.Zone, "shift_open_time")
	if s.ID = s.Name(); s.ID == "" {
		s.ID = a.data.ident("shift_open_time") // unreadable, and still the same for the same shift
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open.ID != s.ID {
		d.closing = ""
	}
	d.open = s
	return s, nil
}

// Baseline reads the serial, the shift and the number of the last document. There
// are no counters in it: every kind has a key, and the X report may be printed.
func (d *Driver) Baseline(ctx context.Context, _ receipt.Kind) (register.Baseline, error) {
	identity, last, err := d.info(ctx)
	if err != nil {
		return register.Baseline{}, err
	}
	shift, err := d.Shift(ctx)
	if err != nil {
		return register.Baseline{}, err
	}
	return register.Baseline{Serial: identity.Serial, Shift: shift, Last: last}, nil
}

// post sends a request, once, with the login (section 2).
func (d *Driver) post(ctx context.Context, r request, wait time.Duration) (answer, once.Answer, error) {
	r.Username, r.Password = d.cfg.Login.username, d.cfg.Login.password
	got := d.line.Post(ctx, once.Request{
		Path: "/", Type: "application/json; charset=utf-8", Body: encode(r), Wait: wait, Name: r.Operation,
	})
	// An answer that is whole counts, whatever befell the connection after it.
	a, err := decode(got.Body)
	a.message = d.mask(a.message)
	if err != nil && got.Err != nil {
		err = got.Err
	} else if err != nil {
		err = errors.New(d.mask(err.Error()))
	}
	return a, got, err
}

// mask takes the secrets out of what a register says back.
func (d *Driver) mask(s string) string {
	for _, secret := range []string{d.cfg.Login.password, d.cfg.Login.username} {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "***")
		}
	}
	return s
}

// ask puts a question. Where the session is not there, it logs in and asks once
// more: a question changes nothing. The error is a *register.Fault; with a code of
// the register in it, the answer is there as well.
func (d *Driver) ask(ctx context.Context, r request) (answer, error) {
	if err := d.login(ctx); err != nil {
		return answer{}, err
	}
	a, err := d.question(ctx, r)
	if !noSession(a) {
		return a, err
	}
	d.forget()
	if err := d.login(ctx); err != nil {
		return answer{}, err
	}
	return d.question(ctx, r)
}

func (d *Driver) question(ctx context.Context, r request) (answer, error) {
	a, got, err := d.post(ctx, r, d.cfg.Question)
	switch {
	case err != nil && got.Err != nil:
		return answer{}, &register.Fault{Cause: register.Unreachable, Err: err}
	case err != nil:
		return answer{}, &register.Fault{Cause: register.Other, Err: err}
	case a.code != tokencode.Success:
		return a, &register.Fault{Cause: causeOf(r.Operation, a), Code: a.verbal, Text: a.message}
	}
	return a, nil
}

// login starts the session, where this driver has not done so (section 3). A
// device that does not know the operation, or has words of its own for it, is
// asked what it is asked anyway: it will say itself whether it wants a login.
func (d *Driver) login(ctx context.Context) error {
	d.mu.Lock()
	done := d.loggedIn
	d.mu.Unlock()
	if done {
		return nil
	}
	if words := d.cfg.Login.wasMissed(); words != "" {
		return &register.Fault{
			Cause: register.Credentials, Text: words,
			Err: errors.New("the register refused the login, which is not tried again; correct username and password in the settings"),
		}
	}
	a, err := d.question(ctx, request{Operation: opLogin})
	var f *register.Fault
	if errors.As(err, &f) && (f.Code == "" || f.Cause == register.Busy) {
		return err
	}
	switch {
	case err != nil && a.code >= tokencode.WrongPIN && a.code <= tokencode.WrongPIN+3: // PIN and PUK, wrong or locked
		d.cfg.Login.miss(a.verbal + " " + a.message)
		fallthrough
	case err != nil && f.Cause == register.Credentials:
		return &register.Fault{Cause: register.Credentials, Code: a.verbal, Text: a.message, Err: errors.New("log in")}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.loggedIn = true
	return nil
}

func (d *Driver) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.loggedIn = false
}

// noSession says whether the register wants a login first (section 3): 401, or
// 403, which it also answers while integration mode is off (section 1).
func noSession(a answer) bool { return a.code == codeSession || a.code == tokencode.WrongRole }
