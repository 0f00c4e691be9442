package simulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Config says what register to be. The zero value is a usable one: AzSmart, new
// edition, in memory.
type Config struct {
	Protocol   Protocol // "" = AzSmart
	Listen     string   // "" = Protocol.DefaultListen; port 0 takes a free one
	MerchantID string   // AzSmart: the secret of the signature; "" = DefaultMerchantID
	Edition    Edition  // AzSmart: "" = New
	User       string   // Omnitech, Caspos: name of the login; "" = DefaultUser
	Password   string   // Omnitech, Caspos: of the login; "" = DefaultPassword
	Serial     string   // "" = the one in the state file, or Protocol.DefaultSerial
	State      string   // ledger file; "" = memory only
	Quirks     []string // see Protocol.Quirks
	Faults     []Fault  // armed from the start
	Delay      time.Duration
	MDNS       bool     // announce as _ekassa._tcp
	Interfaces []string // where to announce; none = derived from the listen address
	Clock      func() time.Time
	Log        *slog.Logger
}

// Simulator is a running register.
type Simulator struct {
	cfg     Config
	log     *slog.Logger
	dev     *device
	dialect dialect
	gate    *gate
	http    *http.Server
	control http.Handler
	turn    chan struct{} // one protocol request at a time

	mu       sync.Mutex // guards closing against entering
	done     chan struct{}
	handlers sync.WaitGroup
	failed   chan error // the accept loop's end
	announce *announcer
	closing  sync.Once
	closeErr error
}

// Start opens the ledger, listens, announces, and serves until Close.
func Start(cfg Config) (*Simulator, error) {
	if cfg.Protocol == "" {
		cfg.Protocol = AzSmart
	}
	m, err := cfg.Protocol.maker()
	if err != nil {
		return nil, err
	}
	if cfg.Listen == "" {
		cfg.Listen = m.listen
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	q, err := newQuirks(m.quirks, cfg.Quirks)
	if err != nil {
		return nil, err
	}
	speaks, err := m.speak(&cfg, q)
	if err != nil {
		return nil, err
	}
	for _, f := range cfg.Faults {
		if err := f.Validate(); err != nil {
			return nil, err
		}
	}
	book, warning, err := openBook(cfg.State, string(cfg.Protocol), cfg.Serial, m.serial, cfg.Clock().In(baku))
	if err != nil {
		return nil, err
	}
	if warning != "" {
		cfg.Log.Warn(warning)
	}
	g, err := openGate(cfg.Listen)
	if err != nil {
		_ = book.close()
		return nil, fmt.Errorf("listen on %s: %w: stop what holds the address, or use another (port 0 takes a free one)", cfg.Listen, bare(err))
	}
	s := &Simulator{
		cfg:     cfg,
		log:     cfg.Log,
		dev:     &device{book: book, quirks: q, owner: m.owner, clock: cfg.Clock, requests: map[string]int{}},
		dialect: speaks,
		gate:    g,
		turn:    make(chan struct{}, 1),
		done:    make(chan struct{}),
		failed:  make(chan error, 1),
	}
	s.control = s.controlAPI()
	if cfg.MDNS {
		if s.announce, err = newAnnouncer(cfg.Protocol, g.Addr().(*net.TCPAddr), cfg.Interfaces, s.Serial()); err != nil {
			_ = g.Close()
			_ = book.close()
			return nil, err
		}
	}
	s.http = &http.Server{Handler: s, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug)}
	go func() {
		err := s.http.Serve(g)
		if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
			err = nil
		}
		s.failed <- err
	}()
	s.Arm(cfg.Faults...)
	return s, nil
}

// bare drops the address that net errors repeat.
func bare(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// Run is Start, one line on out with the real address, and Close when ctx ends.
func Run(ctx context.Context, cfg Config, out io.Writer) error {
	s, err := Start(cfg)
	if err != nil {
		return err
	}
	variant := ""
	if e := s.dialect.edition(); e != "" {
		variant = "edition " + e + ", "
	}
	fmt.Fprintf(out, "ekassa-sim %s listening on %s (%sserial %s)\n", s.cfg.Protocol, s.Addr(), variant, s.Serial())
	select {
	case <-ctx.Done():
		return s.Close()
	case err := <-s.failed:
		s.failed <- nil // for Close
		return errors.Join(err, s.Close())
	}
}

// Close says goodbye, stops listening, lets the request in progress end without
// its waits, and closes the ledger. It may be called twice.
func (s *Simulator) Close() error {
	s.closing.Do(func() {
		if s.announce != nil {
			s.announce.close()
		}
		s.mu.Lock()
		close(s.done)
		s.mu.Unlock()
		errs := []error{s.gate.Close()}
		idle := make(chan struct{})
		go func() { s.handlers.Wait(); close(idle) }()
		select {
		case <-idle:
		case <-time.After(500 * time.Millisecond): // somebody sends a request very slowly
		}
		errs = append(errs, s.http.Close())
		<-idle
		errs = append(errs, <-s.failed)
		s.dev.mu.Lock()
		errs = append(errs, s.dev.book.close())
		s.dev.mu.Unlock()
		for _, err := range errs {
			if err != nil && !errors.Is(err, net.ErrClosed) {
				s.closeErr = errors.Join(s.closeErr, fmt.Errorf("close the simulator: %w", err))
			}
		}
	})
	return s.closeErr
}

// Addr is the listening address, host:port.
func (s *Simulator) Addr() string { return s.gate.addr }

// URL is the base of all routes.
func (s *Simulator) URL() string { return "http://" + s.Addr() }

// Serial is the serial of the device that stands here now.
func (s *Simulator) Serial() string {
	s.dev.mu.Lock()
	defer s.dev.mu.Unlock()
	return s.dev.book.current
}

// State is what GET /sim/state answers.
func (s *Simulator) State() State { return s.dev.state(string(s.cfg.Protocol), s.dialect.edition()) }

// Ledger returns every document in the order made, of every device that stood here.
func (s *Simulator) Ledger() []Document { return s.dev.ledger(0) }

// Shifts returns the closed shifts of the device that stands here now.
func (s *Simulator) Shifts() []ClosedShift {
	s.dev.mu.Lock()
	defer s.dev.mu.Unlock()
	return append([]ClosedShift{}, s.dev.book.token(s.dev.book.current).closed...)
}

// Paper returns the last thing printed.
func (s *Simulator) Paper() string {
	s.dev.mu.Lock()
	defer s.dev.mu.Unlock()
	s.dev.settle()
	return s.dev.paper
}

// Arm adds faults behind those that are armed. An outage without a route and
// without requests to let pass starts now. It panics on a fault that Validate
// refuses: that is a mistake in the test.
func (s *Simulator) Arm(list ...Fault) { s.arm(list)() }

// arm does so, and leaves the connections to cut.
func (s *Simulator) arm(list []Fault) (cut func()) {
	for _, f := range list {
		if err := f.Validate(); err != nil {
			panic(err)
		}
	}
	var down []Fault
	s.dev.mu.Lock()
	for _, f := range list {
		if f.isOutage() && f.Route == "" && f.After == 0 {
			down = append(down, f)
			continue
		}
		s.dev.faults.armed = append(s.dev.faults.armed, f)
	}
	s.dev.mu.Unlock()
	cut = func() {}
	for _, f := range down {
		cut = s.goDown(f)
	}
	return cut
}

// Disarm clears all faults. An outage that has begun runs its time.
func (s *Simulator) Disarm() {
	s.dev.mu.Lock()
	defer s.dev.mu.Unlock()
	s.dev.faults.armed = nil
}

// LoadPaper ends every armed paper-out.
func (s *Simulator) LoadPaper() {
	s.dev.mu.Lock()
	defer s.dev.mu.Unlock()
	for i := range s.dev.faults.armed {
		if s.dev.faults.armed[i].Name == PaperOut {
			s.dev.faults.armed[i].Times = spent
		}
	}
	s.dev.faults.sweep()
}

// SetClock sets how far the register's clock is from the true one.
func (s *Simulator) SetClock(offset time.Duration) {
	s.dev.mu.Lock()
	defer s.dev.mu.Unlock()
	s.dev.offset = offset
}

// SetSerial puts another device behind the address: it knows nothing of the
// documents and the shift of the one before, which comes back under its serial.
func (s *Simulator) SetSerial(serial string) error {
	if serial == "" {
		return errors.New("put another device here: the serial is empty: give one")
	}
	if err := s.dev.swap(serial); err != nil {
		return err
	}
	if s.announce != nil {
		return s.announce.rename(serial)
	}
	return nil
}

// OpenShift opens a shift by hand, on the device.
func (s *Simulator) OpenShift(cashier string) error {
	return s.dev.byHand(func(v *visit) error { return v.openShift(cashier) })
}

// CloseShift closes it by hand and makes the Z report, which keeps the device busy
// for as long as it takes to print.
func (s *Simulator) CloseShift(printing time.Duration) (z ClosedShift, err error) {
	err = s.dev.byHand(func(v *visit) error {
		if z, _, _, err = v.closeShift(false); err == nil {
			v.prints = v.clock().Add(printing)
		}
		return err
	})
	return z, err
}

// RingUp makes a sale by hand, for cash: a document without a client's key.
func (s *Simulator) RingUp(amount int64, name string) (d Document, err error) {
	err = s.dev.byHand(func(v *visit) error { d, err = v.ringUp(amount, name); return err })
	return d, err
}
