package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ekassa/agent/crash"
	"ekassa/agent/discovery"
	"ekassa/agent/dispatch"
	"ekassa/agent/durable"
	"ekassa/agent/journal"
	"ekassa/agent/register"
	"ekassa/cloud/wire"
)

// grace is how long new settings have to prove themselves: longer than a
// register takes to be found again.
const grace = 2 * time.Minute

// settingsFile keeps what the cloud has pushed, in the data folder.
const settingsFile = "settings.json"

// shop is what the settings make of the program: a loop for each register, and
// which till each serves. New settings are taken whole or not at all, between
// two receipts, and never touch what is in the journal.
type shop struct {
	path    string
	finder  *discovery.Finder
	journal *journal.Journal
	desk    *dispatch.Desk
	tills   *receipts
	o       Options
	spawn   func(*dispatch.Loop) // runs a loop for as long as the agent runs

	applying sync.Mutex // one change at a time; guards pushed
	pushed   pushed
	now      atomic.Pointer[wire.Settings]

	mu    sync.Mutex // guards loops
	loops map[string]*dispatch.Loop
}

// pushed is settingsFile.
type pushed struct {
	Rev      int64           `json:"rev"` // of Settings; 0: those of agent.yaml are in force
	Settings json.RawMessage `json:"settings,omitempty"`
	Trial    *trial          `json:"trial,omitempty"`
	Report   wire.Reported   `json:"report"`
}

// trial is what comes back where new settings turn out worse.
type trial struct {
	Rev      int64           `json:"rev"`
	Settings json.RawMessage `json:"settings,omitempty"`
	Worked   []string        `json:"worked"` // registers that were at work under them
}

// load reads what was pushed before, and gives the settings to start with: these,
// or those of agent.yaml.
func (p *pushed) load(path string, own wire.Settings) (wire.Settings, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return own, nil
	}
	if err == nil {
		err = json.Unmarshal(data, p)
	}
	if err != nil {
		return own, fmt.Errorf("read the pushed settings %s: %w; remove it to go back to those of agent.yaml", path, err)
	}
	if p.Rev == 0 {
		return own, nil
	}
	s, err := wire.ParseSettings(p.Settings)
	if err != nil {
		return own, fmt.Errorf("read the pushed settings %s: %w; remove it to go back to those of agent.yaml", path, err)
	}
	return s, nil
}

// start brings the settings into force that were so when the agent stopped, or
// those of agent.yaml. A trial goes on where it was.
func (s *shop) start() error {
	first, err := s.pushed.load(s.path, s.o.own)
	if err != nil {
		return err
	}
	setups, err := s.setups(first, nil)
	if err != nil {
		return err
	}
	if s.pushed.Trial != nil {
		rev := s.pushed.Rev
		time.AfterFunc(s.o.Grace, func() { s.judge(rev) })
	}
	return s.put(first, setups)
}

// Settings are those in force.
func (s *shop) Settings() wire.Settings { return *s.now.Load() }

// Reported says what became of the last settings that were pushed.
func (s *shop) Reported() wire.Reported {
	s.applying.Lock()
	defer s.applying.Unlock()
	return s.pushed.Report
}

// Apply takes settings that the cloud pushed. What is older than the last that
// was looked at changes nothing.
func (s *shop) Apply(rev int64, data []byte) wire.Reported {
	s.applying.Lock()
	defer s.applying.Unlock()
	if rev <= s.pushed.Report.Judged {
		return s.pushed.Report
	}
	report := wire.Reported{Rev: s.pushed.Rev, Judged: rev, State: wire.StateRefused}
	next, err := wire.ParseSettings(data)
	var invalid *wire.SettingsError
	if errors.As(err, &invalid) {
		report.Faults = invalid.Faults
	}
	setups, err := s.setups(next, err)
	if err != nil {
		report.Reason = err.Error()
		s.o.Log.Warn("settings refused: the present ones stay", "rev", rev, "error", err)
		return s.keep(pushed{Rev: s.pushed.Rev, Settings: s.pushed.Settings, Trial: s.pushed.Trial, Report: report})
	}
	// What is known to work comes back if these do not; where a trial is still
	// running, that is what was there before it.
	t := &trial{Rev: s.pushed.Rev, Settings: s.pushed.Settings, Worked: s.atWork()}
	if running := s.pushed.Trial; running != nil {
		t = &trial{Rev: running.Rev, Settings: running.Settings, Worked: append(t.Worked, running.Worked...)}
	}
	report.Rev, report.State = rev, wire.StateApplied
	before := s.pushed
	kept := s.keep(pushed{Rev: rev, Settings: slices.Clone(data), Trial: t, Report: report})
	if kept.State != wire.StateApplied { // the disk refused: nothing was changed
		return kept
	}
	if err := s.put(next, setups); err != nil {
		report.Rev, report.State, report.Reason = before.Rev, wire.StateRefused, err.Error()
		before.Report = report
		return s.keep(before)
	}
	s.o.Log.Info("settings applied", "rev", rev)
	time.AfterFunc(s.o.Grace, func() { s.judge(rev) })
	return report
}

// reload takes settings from agent.yaml that a person has changed. Those of the
// cloud, where there are any, stay in force.
func (s *shop) reload(own wire.Settings) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	if s.pushed.Rev > 0 {
		return errors.New("take settings from agent.yaml: the cloud has pushed others, which stay in force")
	}
	setups, err := s.setups(own, nil)
	if err != nil {
		return err
	}
	s.o.own = own
	return s.put(own, setups)
}

// judge looks after the grace time whether a register that worked is still
// reached, and brings the settings before back where the new ones lost it.
func (s *shop) judge(rev int64) {
	s.applying.Lock()
	defer s.applying.Unlock()
	t := s.pushed.Trial
	if s.pushed.Rev != rev || t == nil {
		return // newer ones are on trial
	}
	old := s.o.own
	if t.Rev > 0 {
		var err error
		if old, err = wire.ParseSettings(t.Settings); err != nil {
			s.o.Log.Error("the settings before cannot be read: the new ones stay", "rev", rev, "error", err)
			return
		}
	}
	lost := s.lost(t.Worked, old)
	if lost == "" {
		s.keep(pushed{Rev: rev, Settings: s.pushed.Settings, Report: s.pushed.Report})
		return
	}
	setups, err := s.setups(old, nil)
	if err == nil {
		err = s.put(old, setups)
	}
	if err != nil {
		s.o.Log.Error("the settings before could not be put back", "rev", rev, "error", err)
		return
	}
	s.o.Log.Warn("settings were worse: the ones before are back", "rev", rev, "back", t.Rev, "reason", lost)
	s.keep(pushed{Rev: t.Rev, Settings: t.Settings, Report: wire.Reported{Rev: t.Rev, Judged: rev, State: wire.StateReverted, Reason: lost}})
}

// atWork names the registers that work now.
func (s *shop) atWork() (ids []string) {
	for _, status := range s.desk.Registers("") {
		if wellEnough(status) {
			ids = append(ids, status.ID)
		}
	}
	return ids
}

// lost names a register that worked, was changed by the settings without being
// taken out of use, and is not reached; "" where there is none.
func (s *shop) lost(worked []string, old wire.Settings) string {
	present := s.Settings()
	for _, status := range s.desk.Registers("") {
		was, _ := old.Register(status.ID)
		is, _ := present.Register(status.ID)
		if slices.Contains(worked, status.ID) && was != is && is.Mode == wire.ModeActive && !wellEnough(status) {
			return fmt.Sprintf("register %s was at work before and is not reached: %s", status.ID, status.Problem.Code)
		}
	}
	return ""
}

// wellEnough says whether a register is reached; that it is busy, or its shift
// too old, is no fault of its settings.
func wellEnough(s register.Status) bool {
	switch s.Link {
	case register.LinkReady:
		return true
	case register.LinkBlocked:
		return s.Problem.Code != register.WhyCredentials
	}
	return false
}

// keep writes the file, and gives what is to be reported.
func (s *shop) keep(p pushed) wire.Reported {
	data, err := json.MarshalIndent(p, "", "  ")
	if err == nil {
		err = durable.Replace(s.path, append(data, '\n'))
	}
	if err != nil {
		s.o.Log.Error("settings could not be kept: the present ones stay", "file", s.path, "error", err)
		return wire.Reported{Rev: s.pushed.Rev, Judged: s.pushed.Report.Judged, State: wire.StateRefused, Reason: "the settings could not be written to the disk"}
	}
	s.pushed = p
	return p.Report
}

// setups makes every register's, or fails. It changes nothing.
func (s *shop) setups(next wire.Settings, err error) ([]dispatch.Setup, error) {
	if err != nil {
		return nil, err
	}
	zone, err := next.Location()
	if err != nil {
		return nil, fmt.Errorf("load the time zone: %w", err)
	}
	var list []dispatch.Setup
	for _, r := range next.Registers {
		driver, err := driverOf(r, zone, s.o.Settle)
		if err != nil {
			return nil, err
		}
		list = append(list, dispatch.Setup{
			ID: r.ID, Name: r.Name, Driver: r.Driver, Terminal: r.Terminal, Serial: r.Serial,
			Active: r.Mode == wire.ModeActive, Enabled: next.Module.Enabled, AutoOpen: next.Shift.AutoOpen,
			Guard:  guard(next.Shift, zone),
			Replay: dispatch.Replay{Ask: next.Offline.Replay == wire.ReplayAsk, Within: time.Duration(next.Offline.ReplayWithin)},
			Find:   s.find(r, driver.prove),
			Dial:   driver.dial,
		})
	}
	return list, nil
}

// find looks for one register, and leaves out what others have already.
func (s *shop) find(r wire.Register, prove discovery.Prover) func(context.Context, dispatch.Want) (netip.AddrPort, error) {
	return func(ctx context.Context, w dispatch.Want) (netip.AddrPort, error) {
		found, err := s.finder.Find(ctx, discovery.Want{
			Register: r.ID, Protocol: r.Driver, Serial: w.Serial, Fixed: r.Address, Last: w.Last,
			Except: s.placesBut(r.ID), Prove: prove, ByHand: w.Urgent,
		})
		return found.Addr, whyNotFound(err, r.Address.IsValid())
	}
}

func (s *shop) placesBut(id string) (others []discovery.Known) {
	s.mu.Lock()
	loops := maps.Clone(s.loops)
	s.mu.Unlock()
	for name, l := range loops {
		if addr, serial, ok := l.Place(); ok && name != id {
			others = append(others, discovery.Known{Addr: addr, Serial: serial})
		}
	}
	return others
}

// put brings settings into force. What was sent stays with the register that has
// it, also where that is no longer in the settings; what waits goes to the one
// that is its till's now.
func (s *shop) put(next wire.Settings, setups []dispatch.Setup) error {
	s.mu.Lock()
	var order, fresh []*dispatch.Loop
	known := maps.Clone(s.loops)
	for _, setup := range setups {
		l, ok := known[setup.ID]
		if ok {
			delete(known, setup.ID)
			l.Update(setup)
		} else {
			l = dispatch.New(setup, s.journal, s.o.Pace, crash.Now, s.o.Log)
			s.loops[setup.ID] = l
			fresh = append(fresh, l)
		}
		order = append(order, l)
	}
	for _, gone := range known {
		gone.Retire()
	}
	s.mu.Unlock()
	s.now.Store(&next)
	s.desk.Serve(order...)
	for _, l := range fresh {
		s.spawn(l)
	}
	return s.tills.bind(next, s.o.Log)
}
