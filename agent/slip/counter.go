package slip

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// Config is what a counter works with; all of it is required.
type Config struct {
	Printer string // IP:port; no other counter has the same
	Paper   int    // its width in mm: 58 or 80
	Links   Links
	// Base is the address of the guests' page as a phone reaches it, such as
	// http://ekassa.local; "" where there is none now.
	Base func() string
	// Get gives a receipt as it is now, with the reason why it waits.
	Get func(terminal, id string) (receipt.Stored, error)
	// About fills in language, zone, and the names of shop and till.
	About func(receipt.Stored) Slip
	Log   *slog.Logger
	Pace  Pace // zero: DefaultPace
}

// Pace is how long a counter waits.
type Pace struct {
	Waiting  time.Duration // before a guest whose receipt waits for the register gets a slip
	Checking time.Duration // the same where the register is busy or being asked: paper may come any moment
	Guest    time.Duration // after which nobody stands there any more
	Again    time.Duration // before the printer is tried again
}

// DefaultPace is a restaurant's.
var DefaultPace = Pace{Waiting: 3 * time.Second, Checking: 15 * time.Second, Guest: 5 * time.Minute, Again: 10 * time.Second}

// most receipts that are watched at a time: more guests than a shop has.
const most = 256

// Counter hands out slips at one printer. Where there are several printers, each
// has a counter, so that one that is dead keeps only its own guests waiting.
type Counter struct {
	c       Config
	offered chan offer

	printer sync.Mutex // one slip at a time
	device  device     // under printer

	mu    sync.Mutex
	state State
}

// State is how a counter stands, since the start of the program.
type State struct {
	Printed int64
	Failed  int64     // broke off while it was printed, and is not tried again
	Missed  int64     // never printed: the printer was away for as long as a guest waits
	Problem Problem   // the printer's at the last try; empty: none
	Since   time.Time // of Problem
}

type offer struct {
	terminal, id string
	at           time.Time
}

// NewCounter makes one; Run makes it work.
func NewCounter(c Config) *Counter {
	if c.Pace == (Pace{}) {
		c.Pace = DefaultPace
	}
	return &Counter{c: c, offered: make(chan offer, most), device: device{addr: c.Printer}}
}

// Printer is where it prints, IP:port.
func (c *Counter) Printer() string { return c.c.Printer }

// Offer tells of a receipt that is new. It never waits.
func (c *Counter) Offer(s receipt.Stored) {
	if !forGuests(s.Kind) || !s.State.Queued() {
		return
	}
	select {
	case c.offered <- offer{s.Terminal, s.ID, time.Now()}:
	default:
		c.note(func(s *State) { s.Missed++ })
	}
}

// State is how it stands now.
func (c *Counter) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

func (c *Counter) note(change func(*State)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.state)
}

// Run prints slips until ctx ends. What was offered by then and not printed is
// forgotten: after a restart nothing could tell whether it came out.
func (c *Counter) Run(ctx context.Context) {
	var pending []offer
	tick := time.NewTicker(max(c.c.Pace.Waiting/6, time.Millisecond))
	defer tick.Stop()
	var rest time.Time // of a printer that failed
	for {
		var due <-chan time.Time
		if len(pending) > 0 {
			due = tick.C
		}
		select {
		case <-ctx.Done():
			return
		case o := <-c.offered:
			if len(pending) == most {
				pending = pending[1:]
				c.note(func(s *State) { s.Missed++ })
			}
			pending = append(pending, o)
		case <-due:
			var still []offer
			for _, o := range pending {
				if c.serve(ctx, o, &rest) {
					still = append(still, o)
				}
			}
			pending = still
		}
	}
}

// serve prints the slip if the guest needs one by now; it says whether to look again.
func (c *Counter) serve(ctx context.Context, o offer, rest *time.Time) (again bool) {
	s, err := c.c.Get(o.terminal, o.id)
	age := time.Since(o.at)
	if err != nil || !s.State.Queued() {
		return err != nil && age < c.c.Pace.Guest // the journal tells of its own troubles
	}
	patience := c.c.Pace.Waiting
	if s.State == receipt.Checking || s.Reason.Code == register.WhyAsking || s.Reason.Code == register.WhyBusy {
		patience = c.c.Pace.Checking
	}
	switch needs := Wanted(s); {
	case needs && age >= c.c.Pace.Guest:
		c.note(func(s *State) { s.Missed++ })
		return false
	case !needs || age < patience || time.Now().Before(*rest):
		return age < c.c.Pace.Guest
	}
	err = c.print(ctx, s, false)
	var p *PrinterError
	if !errors.As(err, &p) {
		return false
	}
	*rest = time.Now().Add(c.c.Pace.Again)
	return !p.Sent
}

// Print prints a slip because a person asks for it. Errors: a *PrinterError,
// receipt.ErrMove where the receipt is fiscal or never will be, those of Get.
func (c *Counter) Print(ctx context.Context, terminal, id string) (receipt.Stored, error) {
	s, err := c.c.Get(terminal, id)
	if err != nil {
		return s, err
	}
	for _, allowed := range Allowed {
		if s.State == allowed && forGuests(s.Kind) {
			return s, c.print(ctx, s, true)
		}
	}
	return s, receipt.ErrMove
}

// Link is the address of a receipt's page; "" where a phone has no way to it.
func (c *Counter) Link(s receipt.Stored) string {
	base := c.c.Base()
	key, err := strconv.ParseInt(s.Key, 10, 64)
	if base == "" || err != nil {
		return ""
	}
	return base + "/r/" + c.c.Links.Token(key)
}

func (c *Counter) print(ctx context.Context, s receipt.Stored, byHand bool) error {
	c.printer.Lock()
	defer c.printer.Unlock()
	slip := c.c.About(s)
	slip.Of, slip.Link = s, c.Link(s)
	img, err := slip.Draw(c.c.Paper)
	if err != nil {
		c.c.Log.Error("slip cannot be drawn", "terminal", s.Terminal, "receipt", s.ID, "error", err)
		return err
	}
	err = c.device.send(ctx, encode(img))
	var p *PrinterError
	if errors.As(err, &p) && !p.Sent && ctx.Err() != nil {
		return err // nobody waits any more: that is not the printer's fault
	}
	c.outcome(err)
	if err == nil {
		c.c.Log.Info("slip printed", "terminal", s.Terminal, "receipt", s.ID, "by_hand", byHand)
	}
	return err
}

// outcome counts, and logs when the printer begins or ceases to fail.
func (c *Counter) outcome(err error) {
	var p *PrinterError
	errors.As(err, &p)
	c.mu.Lock()
	before := c.state.Problem
	switch {
	case p == nil:
		c.state.Printed++
		c.state.Problem, c.state.Since = "", time.Time{}
	default:
		if p.Sent {
			c.state.Failed++
		}
		if before != p.Problem {
			c.state.Problem, c.state.Since = p.Problem, time.Now()
		}
	}
	c.mu.Unlock()
	switch {
	case p != nil && p.Problem != before:
		c.c.Log.Warn("guests get no slips: see to the receipt printer", "printer", c.c.Printer, "error", err)
	case p == nil && before != "":
		c.c.Log.Info("the receipt printer is back", "printer", c.c.Printer)
	}
}
