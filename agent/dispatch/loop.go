// Package dispatch brings receipts from the journal to a register, each exactly
// once: one loop for each register, in the order in which tills were told yes.
//
// What it keeps to (reliability.md C5 and C6): the attempt with its baseline is
// committed before the first byte leaves; an outcome that is not certain is
// asked about and never sent again on the chance; a further attempt needs proof
// that the last one made nothing; nothing is sent to a register whose serial is
// not the expected one. It knows no database and no protocol: the journal and
// the drivers are handed in.
package dispatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// Loop serves one register. Everything that is sent to the register is sent
// from Run's goroutine, one thing at a time.
type Loop struct {
	id      string
	journal Journal
	pace    Pace
	now     func() time.Time
	log     *slog.Logger
	asks    chan *ask
	ended   chan struct{}
	changed chan struct{} // the setup did
	pulse   pulse

	mu     sync.Mutex
	setup  Setup
	status register.Status
	lived  lived

	// Only Run's goroutine touches these.
	reg      register.Register
	addr     netip.AddrPort
	identity register.Identity
	known    register.Identity // as the journal has it
	broken   error             // the journal's: the process must end
	fault    error             // the last of failures
	failures int               // in a row; 0: the circuit is closed
	absent   bool              // something failed, or we just started: what waited is looked at first
	lost     time.Time         // when that began
	everSeen bool              // the backlog was looked at since we started
	first    int64             // the newest receipt when we started
	began    time.Time         // when that was
	doubt    doubt
	expired  register.Shift // refused as too old; nothing is sent into it again
	watch    watch
	spoiled  int64 // seq of a document that cannot be printed again
}

// New makes a loop for a register.
func New(setup Setup, j Journal, pace Pace, now func() time.Time, log *slog.Logger) *Loop {
	l := &Loop{
		id: setup.ID, journal: j, pace: pace, now: now, log: log.With("register", setup.ID),
		asks: make(chan *ask), ended: make(chan struct{}), changed: make(chan struct{}, 1), setup: setup,
	}
	l.status = register.Status{Link: register.LinkUnknown}
	return l
}

// Update gives the loop new settings. They count from the next receipt on.
func (l *Loop) Update(s Setup) {
	l.mu.Lock()
	l.setup = s
	l.mu.Unlock()
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// Retire has the loop only finish what was sent: its register is no longer in
// the settings. Update puts it back to work.
func (l *Loop) Retire() {
	s := l.settings()
	s.Terminal, s.Active = "", false
	l.Update(s)
}

func (l *Loop) settings() Setup {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.setup
}

// Run serves until ctx ends; what is on its way then is finished first. An
// error means that the journal failed, and the process must end.
func (l *Loop) Run(ctx context.Context) error {
	defer close(l.ended)
	pulse, stop := l.journal.WatchRegister(l.id)
	defer stop()
	calls, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(l.pace.Grace, cancel) })()

	if err := l.recover(); err != nil {
		return err
	}
	var err error
	if l.first, err = l.journal.LastReceipt(); err != nil {
		return err
	}
	if err := l.remember(); err != nil {
		return err
	}
	l.began, l.lost, l.absent = l.now(), l.now(), true
	defer l.pulse.rest()
	for ctx.Err() == nil {
		l.pulse.work()
		rest, err := l.turn(calls)
		if err == nil && l.broken == nil {
			l.wait(ctx, calls, rest, pulse)
		}
		if err = cmp.Or(err, l.broken); err != nil {
			l.log.Error("dispatch stops: the journal failed", "error", err)
			return fmt.Errorf("dispatch to %s: %w", l.id, err)
		}
	}
	return nil
}

// broke notes an error of the journal wherever it is met, so that it is not
// taken for one of the register's.
func (l *Loop) broke(err error) error {
	if err != nil {
		l.broken = err
	}
	return err
}

// recover makes a question of what the last run left on its way.
func (l *Loop) recover() error {
	s, a, err := l.journal.Unfinished(l.id)
	switch {
	case errors.Is(err, receipt.ErrNotFound):
		return nil
	case err != nil:
		return err
	case s.State == receipt.Sending:
		l.log.Warn("a receipt was on its way when the agent stopped: asking the register", "receipt", s.ID)
		return l.journal.Conclude(a, register.Conclusion{
			State: receipt.Checking, Reason: receipt.Reason{Code: register.WhyAsking},
			Proof: register.ProofUnclear, Text: "the agent stopped while it was on its way",
		})
	}
	return nil
}

// wait rests, and serves people meanwhile. rest 0 means there is more to do;
// below 0: until something changes.
func (l *Loop) wait(ctx, calls context.Context, rest time.Duration, pulse <-chan struct{}) {
	var timer <-chan time.Time
	if rest >= 0 {
		t := time.NewTimer(rest)
		defer t.Stop()
		timer = t.C
	}
	if rest == 0 { // a busy queue must not shut people out
		select {
		case <-l.changed:
			l.renew()
		case a := <-l.asks:
			a.answer(calls, l)
		default:
		}
		return
	}
	// While the register is failing, new receipts do not shorten the pause.
	if l.failures > 0 {
		pulse = nil
	}
	l.pulse.rest()
	select {
	case <-ctx.Done():
	case <-timer:
	case <-pulse:
	case <-l.changed:
		l.renew()
	case a := <-l.asks:
		l.pulse.work()
		a.answer(calls, l)
	}
}

// renew begins anew with changed settings: what was known of the register may
// not be so.
func (l *Loop) renew() {
	l.reg, l.failures, l.fault = nil, 0, nil
	l.show(register.LinkUnknown, receipt.Reason{})
}

// turn does the next thing, and says how long to rest after it. Its error is
// the journal's.
func (l *Loop) turn(ctx context.Context) (time.Duration, error) {
	setup := l.settings()
	s, a, err := l.journal.Unfinished(l.id)
	open := err == nil
	if err != nil && !errors.Is(err, receipt.ErrNotFound) {
		return 0, err
	}
	if !open && !setup.Active {
		l.failures = 0
		l.show(register.LinkOffline, receipt.Reason{Code: register.WhyOffline})
		return -1, nil
	}
	if fault := l.connect(ctx, false); fault != nil {
		return l.fail(fault), nil
	}
	if open {
		rest, err := l.settle(ctx, s, a)
		if errors.Is(err, receipt.ErrMove) { // a person has decided in this very moment
			return 0, nil
		}
		return rest, err
	}
	if rest, err := l.paper(ctx); rest != 0 || err != nil {
		return rest, err
	}
	if !setup.Enabled {
		l.show(register.LinkReady, receipt.Reason{Code: register.WhyModuleOff})
		return -1, nil
	}
	if journal, err := l.backlog(ctx); err != nil {
		if journal {
			return 0, err
		}
		return l.fail(err), nil
	}
	s, parent, err := l.journal.Next(l.id)
	if errors.Is(err, receipt.ErrNotFound) {
		if l.due() {
			return l.autoClose(ctx), nil
		}
		return l.idle(ctx), nil
	}
	if err != nil {
		return 0, err
	}
	return l.deliver(ctx, s, parent)
}

// idle looks at the register now and then, so that what people are shown is
// true and a dead one is known before the next guest pays.
func (l *Loop) idle(ctx context.Context) time.Duration {
	l.mu.Lock()
	seen, link := l.status.SeenAt, l.status.Link
	l.mu.Unlock()
	// One that was only just found is looked at once more, which says ready.
	if link != register.LinkUnknown && l.failures == 0 && l.now().Sub(seen) < l.pace.Probe {
		return l.pace.Probe - l.now().Sub(seen)
	}
	if err := l.look(ctx); err != nil {
		return l.fail(err)
	}
	l.recovered()
	return l.pace.Probe
}

// look asks for the shift, the cheapest question there is.
func (l *Loop) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.pace.Question)
	defer cancel()
	shift, err := l.reg.Shift(ctx)
	if err == nil {
		err = l.sawShift(ctx, shift)
	}
	return err
}

// connect finds the register and makes sure that it is the right one. It keeps
// the one it has until something fails or the settings change.
func (l *Loop) connect(ctx context.Context, urgent bool) error {
	if l.reg != nil && !urgent {
		return nil
	}
	l.reg = nil
	setup := l.settings()
	paired, address, err := l.journal.Pairing(l.id)
	if err != nil {
		return l.broke(err)
	}
	want := Want{Serial: setup.Serial, Urgent: urgent}
	if want.Serial == "" {
		want.Serial = paired
	}
	want.Last, _ = netip.ParseAddrPort(address) // none, where it was never seen
	addr, err := setup.Find(ctx, want)
	if err != nil {
		return err
	}
	reg := setup.Dial(addr)
	asking, cancel := context.WithTimeout(ctx, l.pace.Question)
	defer cancel()
	identity, err := reg.Identify(asking)
	if err != nil {
		return err
	}
	if identity.Serial == "" {
		return &register.Fault{Cause: register.Other, Text: "the register does not tell its serial"}
	}
	if want.Serial != "" && identity.Serial != want.Serial {
		return &register.Fault{Cause: register.WrongRegister, Text: identity.Serial}
	}
	if identity.Serial != paired || addr.String() != address {
		if err := l.journal.Pair(l.id, identity.Serial, addr.String()); err != nil {
			return l.broke(err)
		}
		l.log.Info("register found", "serial", identity.Serial, "address", addr.String())
	}
	lasting := identity
	lasting.LastOnline = time.Time{} // that it changes is not worth a write
	if lasting != l.known {
		if err := l.journal.Identify(l.id, lasting); err != nil {
			return l.broke(err)
		}
		l.known = lasting
	}
	l.reg, l.addr, l.identity = reg, addr, identity
	l.mu.Lock()
	l.status.Identity, l.status.Address = identity, addr.String()
	l.mu.Unlock()
	return l.look(ctx)
}

// fail notes a problem, once for each kind, and gives the pause after it. The
// address is looked for anew before the next try.
func (l *Loop) fail(err error) time.Duration {
	link, why := explain(err)
	if l.show(link, why) {
		l.log.Warn("register: receipts wait", "problem", why.Code, "error", err)
	}
	l.reg, l.fault = nil, err
	if l.failures++; !l.absent {
		l.absent, l.lost = true, l.now()
	}
	rest := l.pace.First << min(l.failures-1, 16)
	if rest > l.pace.Most || rest <= 0 {
		rest = l.pace.Most
	}
	return rest
}

// recovered closes the circuit.
func (l *Loop) recovered() {
	if l.show(register.LinkReady, receipt.Reason{}) && l.failures > 0 {
		l.log.Info("register: works again")
	}
	l.failures, l.fault = 0, nil
}

// show sets what people are shown, and says whether that is news.
func (l *Loop) show(link register.Link, why receipt.Reason) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	news := l.status.Link != link || l.status.Problem.Code != why.Code
	l.status.Link, l.status.Problem = link, why
	return news
}

// Status is what people are shown.
func (l *Loop) Status() (register.Status, error) {
	l.mu.Lock()
	s, setup := l.status, l.setup
	l.mu.Unlock()
	s.Shift = l.lastShift()
	s.ID, s.Name, s.Driver, s.Terminal, s.Mode = setup.ID, setup.Name, setup.Driver, setup.Terminal, "active"
	if !setup.Active {
		s.Mode = "offline"
	}
	queue, err := l.journal.Queue(l.id)
	s.Queue = queue
	return s, err
}

// Place tells where the register is and which it is, while it is at work; it is
// then nobody else's.
func (l *Loop) Place() (addr netip.AddrPort, serial string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.status.Link != register.LinkReady {
		return addr, "", false
	}
	addr, err := netip.ParseAddrPort(l.status.Address)
	return addr, l.status.Identity.Serial, err == nil
}

// explain makes what people are shown of an error.
func explain(err error) (register.Link, receipt.Reason) {
	var f *register.Fault
	if !errors.As(err, &f) {
		return register.LinkDown, receipt.Reason{Code: register.WhyUnreachable, Detail: err.Error()}
	}
	detail := f.Text
	if f.Code != "" {
		detail = f.Code + " " + f.Text
	}
	switch f.Cause {
	case register.Unreachable:
		return register.LinkDown, receipt.Reason{Code: register.WhyUnreachable}
	case register.Missing:
		return register.LinkMissing, receipt.Reason{Code: register.WhyNotFound}
	case register.WrongRegister:
		return register.LinkWrong, receipt.Reason{Code: register.WhyWrongRegister, Detail: f.Text}
	case register.Busy:
		return register.LinkBlocked, receipt.Reason{Code: register.WhyBusy}
	case register.Credentials:
		return register.LinkBlocked, receipt.Reason{Code: register.WhyCredentials}
	case register.ShiftClosed:
		return register.LinkBlocked, receipt.Reason{Code: register.WhyShiftClosed}
	case register.ShiftExpired:
		return register.LinkBlocked, receipt.Reason{Code: register.WhyShiftExpired}
	case register.Paper:
		return register.LinkBlocked, receipt.Reason{Code: register.WhyPaper}
	}
	return register.LinkBlocked, receipt.Reason{Code: register.WhySupplier, Detail: detail}
}
