package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"ekassa/agent/config"
	"ekassa/agent/crash"
	"ekassa/agent/credential"
	"ekassa/agent/dispatch"
	"ekassa/agent/journal"
	"ekassa/agent/machine"
	"ekassa/agent/register"
	"ekassa/agent/texts"
	"ekassa/agent/update"
	"ekassa/cloud/wire"
)

// ErrUpdate: another version of the program is to take this one's place. Whoever
// ran it starts the launcher anew.
var ErrUpdate = errors.New("another version of the program is to run")

// Programs is what Run has to know to give its place to another version. Without
// keys it never does.
type Programs struct {
	Own     update.Own
	Running string // the version of the folder that this is; "": the packaged program

	Check  time.Duration // between two looks at what is to run; 0: 10 s
	Steady time.Duration // that a version on trial has to live, at least; 0: a minute
	Trial  time.Duration // within which it has to prove itself; 0: five minutes
}

// The usual times of Programs.
const (
	checkPrograms = 10 * time.Second
	steady        = time.Minute
	longestTrial  = 5 * time.Minute
)

// programs watches over which version runs.
type programs struct {
	Programs
	folder  *update.Folder
	quiet   time.Duration
	shop    *shop
	desk    *dispatch.Desk
	journal *journal.Journal
	log     *slog.Logger

	began  time.Time // when this program did
	first  string    // what was to run then
	deed   int64     // the newest record, when something was to be done first
	silent time.Time // when that was seen; zero: nothing is to be done
}

func newPrograms(p Programs, cfg config.Config, s *shop, j *journal.Journal, log *slog.Logger) *programs {
	set := func(d *time.Duration, usual time.Duration) {
		if *d == 0 {
			*d = usual
		}
	}
	set(&p.Check, checkPrograms)
	set(&p.Steady, steady)
	set(&p.Trial, longestTrial)
	set(&cfg.Quiet, config.DefaultQuiet)
	return &programs{
		Programs: p, folder: update.In(cfg.DataDir, p.Own), quiet: cfg.Quiet, shop: s, desk: s.desk, journal: j, log: log, began: time.Now(),
	}
}

// run looks after the program until ctx ends. Error: ErrUpdate.
func (p *programs) run(ctx context.Context) error {
	if len(p.Own.Keys) == 0 {
		return nil
	}
	if err := p.folder.Clean(); err != nil {
		p.log.Warn("older versions of the program could not be removed", "error", err)
	}
	tick := time.NewTicker(p.Check)
	defer tick.Stop()
	failed := false
	if s, err := p.folder.Load(); err == nil {
		if p.first = s.Current; badly(s.Last) {
			p.log.Warn("the last version that was to run does not", "version", s.Last.Version, "state", s.Last.State, "reason", s.Last.Reason)
		}
	}
	for {
		other, err := p.look()
		if err != nil && !failed {
			p.log.Error("which version is to run cannot be looked after: this one does", "error", err)
		}
		if failed = err != nil; other && !failed {
			return ErrUpdate
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look says whether another version is to run, now.
func (p *programs) look() (other bool, err error) {
	s, err := p.folder.Load()
	if err != nil {
		return false, err
	}
	if s.Current == p.Running && s.Trial != nil {
		return p.judge(*s.Trial)
	}
	goBack := s.Current != p.first
	if !goBack && s.Staged == "" {
		p.silent = time.Time{}
		return false, nil
	}
	if free, err := p.idle(time.Now()); err != nil || !free {
		return false, err
	}
	if goBack { // as a person wants it
		p.log.Info("another version of the program is to run", "version", orPackaged(s.Current))
		return true, nil
	}
	switched, err := p.folder.Switch(p.shop.atWork(), crash.Now())
	if switched {
		p.log.Info("it is quiet: a new version of the program begins", "version", s.Staged)
	}
	return switched, err
}

// judge ends the trial of this version as soon as it is clear how: it has to live,
// and to reach each register that was at work before.
func (p *programs) judge(t update.Trial) (other bool, err error) {
	lived := time.Since(p.began)
	missing := p.missing(t.Worked)
	switch {
	case missing == "" && lived >= p.Steady:
		p.log.Info("this version of the program has proven itself", "version", p.Running)
		return false, p.folder.Proven(p.Running, crash.Now())
	case missing != "" && lived >= max(p.Trial, p.Steady):
		p.log.Error("this version of the program does not prove itself: the one before begins", "version", p.Running, "reason", missing)
		return true, p.folder.Revert(p.Running, missing, crash.Now())
	}
	return false, nil
}

// missing names a register that was at work before and is not reached now; "":
// there is none. One that was taken out of the settings is not missed.
func (p *programs) missing(worked []string) string {
	now := map[string]register.Status{}
	for _, s := range p.desk.Registers("") {
		now[s.ID] = s
	}
	for _, id := range worked {
		if s, there := now[id]; there && !wellEnough(s) {
			return fmt.Sprintf("register %s was at work before and is not reached: %s", id, s.Problem.Code)
		}
	}
	return ""
}

// idle says whether nobody would notice that the program begins anew: nothing is on
// its way or waits, nothing was done for a while, and no shift is about to be closed.
// The time runs from the first look on, by no clock that could jump.
func (p *programs) idle(now time.Time) (bool, error) {
	deed, err := p.journal.LastDeed()
	if err != nil {
		return false, err
	}
	if p.silent.IsZero() || deed != p.deed {
		p.deed, p.silent = deed, now
	}
	registers := p.desk.Registers("")
	for _, s := range registers {
		if s.Queue.Waiting > 0 || s.Queue.Checking > 0 {
			p.silent = now
		}
	}
	return now.Sub(p.silent) >= p.quiet && !closingSoon(p.shop.Settings(), crash.Now(), registers), nil
}

// A shift is left alone for so long before it is closed, and after that.
const (
	beforeClosing = 30 * time.Minute
	afterClosing  = 15 * time.Minute
)

// closingSoon says whether a shift is about to be closed: at the hour that the
// settings have, or because it must not grow older.
func closingSoon(s wire.Settings, now time.Time, registers []register.Status) bool {
	open := false
	for _, r := range registers {
		if !r.Shift.Open {
			continue
		}
		open = true
		if r.Shift.Age > register.MaxShift-time.Hour-beforeClosing && r.Shift.Age < register.MaxShift+afterClosing {
			return true
		}
	}
	zone, err := s.Location()
	if err != nil || !open || s.Shift.AutoClose != wire.AutoCloseAt {
		return false
	}
	now = now.In(zone)
	since := time.Duration(now.Hour()-s.Shift.CloseAt.Hour)*time.Hour + time.Duration(now.Minute()-s.Shift.CloseAt.Minute)*time.Minute
	since = (since + 24*time.Hour) % (24 * time.Hour)
	return since < afterClosing || since > 24*time.Hour-beforeClosing
}

// report is what the cloud hears of the version that was ordered last.
func (p *programs) report() *wire.ProgramReport {
	s, err := p.folder.Load()
	if err != nil {
		return nil // it is in the log
	}
	return s.Last
}

// onTrial says whether this version has not proven itself yet.
func (p *programs) onTrial() bool {
	s, err := p.folder.Load()
	return err == nil && s.Trial != nil && s.Current == p.Running
}

// fetch takes a version over from the cloud.
func (p *programs) fetch(ctx context.Context, cloud *credential.Credential, version string) (any, error) {
	if _, err := wire.ParseVersion(version); err != nil {
		return nil, fmt.Errorf("update: %w", err)
	}
	staged, err := p.folder.Stage(ctx, update.At(cloud, version), runningVersion(p.Programs), clockNow)
	if err == nil && staged != version {
		err = fmt.Errorf("update: the cloud gave version %s for %s", staged, version)
	}
	if err != nil {
		return nil, err
	}
	return map[string]string{"version": staged, "state": wire.ProgramStaged}, nil
}

// clockNow is the machine's time, believed where it is set by the network.
func clockNow() (time.Time, bool) {
	synced := machine.Here.Look().ClockSynced
	return crash.Now(), synced != nil && *synced
}

func runningVersion(p Programs) wire.Number {
	if v, err := wire.ParseVersion(p.Running); err == nil {
		return v
	}
	return p.Own.Version
}

func orPackaged(version string) string {
	if version == "" {
		return "the packaged one"
	}
	return version
}

// ProgramState is how it stands with the program's versions, for people.
type ProgramState struct {
	Packaged string              `json:"packaged"`
	Current  string              `json:"current"` // what runs from the next start on
	Staged   string              `json:"staged,omitempty"`
	Trial    bool                `json:"trial,omitempty"`
	Last     *wire.ProgramReport `json:"last,omitempty"`
}

// StageProgram takes a release over from a folder or a tar file. The running agent
// changes over when it is quiet.
func StageProgram(ctx context.Context, cfg config.Config, own update.Own, path string) (string, error) {
	from, err := update.From(path)
	if err != nil {
		return "", fmt.Errorf("update: %w", err)
	}
	folder := update.In(cfg.DataDir, own)
	if _, err := os.Stat(cfg.DataDir); err != nil {
		return "", fmt.Errorf("update: %w; start the agent once", err)
	}
	s, err := folder.Load()
	if err != nil {
		return "", fmt.Errorf("update: %w", err)
	}
	return folder.Stage(ctx, from, higher(own.Version, s.Current), clockNow)
}

// higher is what runs: an update, unless the package is newer.
func higher(own wire.Number, current string) wire.Number {
	if v, err := wire.ParseVersion(current); err == nil && v.Compare(own) > 0 {
		return v
	}
	return own
}

// BackProgram has the version before run again.
func BackProgram(cfg config.Config, own update.Own) (to string, err error) {
	to, err = update.In(cfg.DataDir, own).Back("a person has it go back", time.Now())
	if err != nil {
		return "", fmt.Errorf("update: %w", err)
	}
	return orPackaged(to), nil
}

// ProgramStateOf tells how it stands.
func ProgramStateOf(cfg config.Config, own update.Own) (p ProgramState, err error) {
	s, err := update.In(cfg.DataDir, own).Load()
	if err != nil {
		return p, fmt.Errorf("update: %w", err)
	}
	return ProgramState{
		Packaged: own.Version.String(), Current: higher(own.Version, s.Current).String(), Staged: s.Staged, Trial: s.Trial != nil, Last: s.Last,
	}, nil
}

// programFindings are the doctor's, where updates ever came.
func programFindings(cfg config.Config, l *findings) {
	s, err := update.In(cfg.DataDir, update.Own{}).Load()
	args := texts.Args{"version": s.Current, "next": s.Staged}
	if s.Current == "" {
		args["version"] = texts.Say(l.lang, "doctor.program.packaged", nil)
	}
	switch {
	case err != nil:
		l.warn(programUnreadable, texts.Args{"detail": err.Error()})
	case s.Last == nil:
	case badly(s.Last) && s.Last.State == wire.ProgramReverted:
		l.warn(programReverted, texts.Args{"version": s.Last.Version, "detail": s.Last.Reason})
	case badly(s.Last):
		l.warn(programFailed, texts.Args{"version": s.Last.Version, "detail": s.Last.Reason})
	default:
		l.good(programRuns, args)
	}
}
