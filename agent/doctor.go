package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ekassa/agent/config"
	"ekassa/agent/credential"
	"ekassa/agent/discovery"
	"ekassa/agent/journal"
	"ekassa/agent/machine"
	"ekassa/agent/people"
	"ekassa/agent/setup"
	"ekassa/agent/texts"
	"ekassa/agent/token"
	"ekassa/cloud/wire"
)

// Finding is one line of the doctor's, in the words of a language.
type Finding struct {
	Code  string `json:"code"` // of what was found, the same in every language
	Check string `json:"check"`
	OK    bool   `json:"ok"`
	Found string `json:"found"`
	Do    string `json:"do,omitempty"` // the cure, where it is not OK
	// Warning: tills sell and receipts become fiscal meanwhile. Only what is none
	// makes the command fail.
	Warning bool `json:"warning,omitempty"`
}

// findings collect what was looked at, worded.
type findings struct {
	lang string
	list []Finding
}

// good adds what is as it should be.
func (l *findings) good(h health, args texts.Args) {
	l.add(string(h), args, Finding{OK: true})
}

// bad adds what has to be mended before receipts become fiscal, with its cure.
func (l *findings) bad(a ailment, args texts.Args) {
	l.add(string(a), args, Finding{Do: texts.Say(l.lang, "doctor."+string(a)+".do", args)})
}

// warn is bad for what receipts go on without.
func (l *findings) warn(a ailment, args texts.Args) {
	l.add(string(a), args, Finding{Do: texts.Say(l.lang, "doctor."+string(a)+".do", args), Warning: true})
}

func (l *findings) add(code string, args texts.Args, f Finding) {
	check, _, _ := strings.Cut(code, ".")
	f.Code, f.Check, f.Found = code, texts.Say(l.lang, "doctor."+check, args), texts.Say(l.lang, "doctor."+code, args)
	l.list = append(l.list, f)
}

// Doctor looks at every precondition of a working agent, and words what it found;
// lang "" is the language of the settings, which it gives back. It changes nothing,
// and may run beside a running agent.
func Doctor(ctx context.Context, cfg config.Config, lang string) (list []Finding, spoken string) {
	s, rev, err := settingsOf(cfg)
	if lang == "" {
		lang = s.Language
	}
	l := &findings{lang: lang}
	l.good(configurationRead, nil)
	for _, w := range cfg.Warnings {
		l.warn(configurationHint+ailment(w.Hint), texts.Args{"detail": w.Detail})
	}
	cfg.Settings = s
	l.settings(cfg, rev, err)
	l.folder(cfg)
	l.program(ctx, cfg)
	l.clock(time.Now())
	machineFindings(machine.Here.Look(), machine.Uptime(), cfg.DataDir, l)
	l.tills(cfg)
	cloudFindings(cfg, l)
	programFindings(cfg, l)
	nameFinding(ctx, cfg, l)
	slipFindings(ctx, cfg, l)
	l.registers(ctx, cfg)
	return l.list, l.lang
}

// settingsOf gives those that an agent would take: the cloud's, where it has pushed
// some; rev is 0 where it has not.
func settingsOf(cfg config.Config) (s wire.Settings, rev int64, err error) {
	var p pushed
	s, err = p.load(filepath.Join(cfg.DataDir, settingsFile), cfg.Settings)
	return s, p.Rev, err
}

func (l *findings) settings(cfg config.Config, rev int64, err error) {
	switch {
	case err != nil:
		l.bad(settingsUnreadable, texts.Args{"detail": err.Error()})
	case rev > 0:
		l.good(settingsCloud, texts.Args{"rev": strconv.FormatInt(rev, 10)})
	case config.Kept(cfg.DataDir):
		l.good(settingsPage, nil)
	}
}

// folder looks at the data folder: whose it is, who can read it, and its disk.
func (l *findings) folder(cfg config.Config) {
	args := texts.Args{"dir": cfg.DataDir}
	if err := writable(cfg.DataDir); err != nil {
		l.bad(folderUnwritable, texts.Args{"dir": cfg.DataDir, "detail": err.Error()})
	} else {
		l.good(folderWritable, args)
	}
	if info, err := os.Stat(cfg.DataDir); err == nil && info.Mode().Perm()&0o077 != 0 {
		l.warn(folderOpen, texts.Args{"dir": cfg.DataDir, "mode": fmt.Sprintf("%04o", info.Mode().Perm())})
	}
	free, short, err := journal.RoomIn(cfg.DataDir)
	switch {
	case err == nil && short:
		l.bad(journalShort, texts.Args{"free": strconv.FormatInt(free>>20, 10)})
	case err != nil && !errors.Is(err, fs.ErrNotExist): // run makes it
		l.bad(journalRoom, texts.Args{"detail": err.Error()})
	}
}

// program looks at an agent that runs, or whether one could.
func (l *findings) program(ctx context.Context, cfg config.Config) {
	running, err := journal.Running(cfg.DataDir)
	switch {
	case err != nil:
		l.bad(journalUnreadable, texts.Args{"detail": err.Error()})
	case running:
		l.good(journalRunning, nil)
	default:
		l.good(journalIdle, nil)
	}
	if running {
		if err := Ready(ctx, cfg.Listen); err != nil {
			l.bad(agentAway, texts.Args{"detail": err.Error()})
		} else {
			l.good(agentReady, texts.Args{"listen": cfg.Listen})
		}
		return
	}
	if free, err := net.Listen("tcp", cfg.Listen); err != nil {
		l.bad(addressTaken, texts.Args{"listen": cfg.Listen, "detail": err.Error()})
	} else {
		free.Close()
		l.good(addressFree, texts.Args{"listen": cfg.Listen})
	}
	for _, d := range cfg.FrontDoors {
		doors, err := openDoors([]config.FrontDoor{d})
		closeDoors(doors)
		if err != nil {
			l.bad(doorTaken, texts.Args{"listen": d.Listen, "detail": err.Error()})
		} else {
			l.good(doorFree, texts.Args{"listen": d.Listen, "till": d.Terminal})
		}
	}
}

// Ready asks the agent that listens there whether it takes receipts.
func Ready(ctx context.Context, listen string) error {
	base := setup.Base(listen)
	ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("ask the agent at %s: %w", base, err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask the agent at %s: %w; does it run?", base, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 4096))
	if err != nil {
		return fmt.Errorf("ask the agent at %s: %w", base, err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the agent at %s takes no receipts: %s", base, strings.TrimSpace(string(text)))
	}
	return nil
}

func (l *findings) tills(cfg config.Config) {
	tokens, err := token.Open(cfg.DataDir).List()
	for _, t := range cfg.Settings.Terminals {
		args := texts.Args{"till": t.ID}
		switch has := slices.ContainsFunc(tokens, func(x token.Token) bool { return x.Terminal == t.ID }); {
		case err != nil:
			l.bad(tillUnreadable, texts.Args{"till": t.ID, "detail": err.Error()})
		case has:
			l.good(tillToken, args)
		default:
			l.bad(tillNoToken, args)
		}
		if _, bound := cfg.Settings.ActiveRegister(t.ID); !bound {
			l.bad(tillUnbound, args)
		}
	}
	for _, d := range cfg.FrontDoors {
		if r, _ := cfg.Settings.ActiveRegister(d.Terminal); r.MerchantID == "" {
			l.bad(doorUnbound, texts.Args{"listen": d.Listen, "till": d.Terminal})
		}
	}
	if !cfg.Settings.Module.Enabled {
		l.bad(moduleOff, nil)
	}
	if len(cfg.Settings.Terminals) == 0 || !cfg.Settings.Module.ShowOnTerminal {
		return // nobody is to work on the page
	}
	staff, err := people.Open(cfg.DataDir).List()
	switch {
	case err != nil:
		l.warn(staffUnreadable, texts.Args{"detail": err.Error()})
	case slices.ContainsFunc(staff, func(p people.Person) bool { return p.Role == people.Manager }):
		l.good(staffManager, nil)
	default:
		l.warn(staffNobody, nil)
	}
}

// oldShift is when a shift should have been closed: the register refuses sales
// after 24 hours.
const oldShift = 23 * time.Hour

func (l *findings) registers(ctx context.Context, cfg config.Config) {
	if len(cfg.Settings.Registers) == 0 {
		l.bad(registersNone, nil)
	}
	l.network(cfg)
	checked, err := Check(ctx, cfg, "")
	if err != nil {
		l.bad(registersTrouble, texts.Args{"detail": err.Error()})
	}
	for _, c := range checked {
		args := texts.Args{"register": c.Register, "serial": c.Identity.Serial, "address": c.Address}
		switch {
		case !c.OK:
			args["detail"] = said(setup.Words(l.lang, c.err), c.Error)
			l.bad(registerFails, args)
			continue
		case c.Shift.Open:
			l.good(registerOpen, args)
		default:
			l.good(registerClosed, args)
		}
		if c.Identity.State != "" && c.Identity.State != "ACTIVE" {
			l.bad(registerToken, texts.Args{"register": c.Register, "detail": c.Identity.State})
		}
		if s := c.Shift; s.Open && !s.OpenedAt.IsZero() && time.Since(s.OpenedAt) > oldShift {
			l.bad(registerShift, texts.Args{"register": c.Register, "time": s.OpenedAt.Format(time.RFC3339)})
		}
		if ends := c.Identity.NotAfter; !ends.IsZero() && time.Until(ends) < soonEnds {
			l.warn(registerCertificate, texts.Args{"register": c.Register, "day": ends.Format(time.DateOnly)})
		}
	}
}

// said gives the words for people and, behind them, those for whoever they call.
func said(words, technical string) string {
	if words == technical {
		return words
	}
	return strings.TrimSuffix(words, ".") + " (" + technical + ")."
}

// soonEnds is how long before a certificate's end people hear of it.
const soonEnds = 30 * 24 * time.Hour

// network looks at the interfaces on which registers without an address are
// looked for. It explains why one is not found; whether one is, its own line says.
func (l *findings) network(cfg config.Config) {
	if !slices.ContainsFunc(cfg.Settings.Registers, func(r wire.Register) bool { return !r.Address.IsValid() }) {
		return
	}
	names := cfg.Discovery.Interfaces
	if len(names) == 0 {
		found, _, err := discovery.LAN()
		switch {
		case err != nil:
			l.warn(networkTrouble, texts.Args{"detail": err.Error()})
		case len(found) == 0 && len(cfg.Discovery.Sweep) == 0:
			l.warn(networkNone, nil)
		default:
			l.good(networkUp, texts.Args{"detail": strings.Join(found, ", ")})
		}
		return
	}
	for _, name := range names {
		switch i, err := net.InterfaceByName(name); {
		case err != nil:
			l.warn(interfaceMissing, texts.Args{"name": name, "detail": err.Error()})
		case i.Flags&net.FlagUp == 0:
			l.warn(interfaceDown, texts.Args{"name": name})
		default:
			l.good(interfaceUp, texts.Args{"name": name})
		}
	}
}

// writable tries with a file that is gone at once.
func writable(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		dir = filepath.Dir(dir) // run makes the folder in there
	}
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func (l *findings) clock(now time.Time) {
	args := texts.Args{"time": now.Format(time.RFC3339)}
	if now.Year() < 2026 {
		l.warn(clockWrong, args)
		return
	}
	l.good(clockSays, args)
}

// cloudFindings are the doctor's, where there is a cloud.
func cloudFindings(cfg config.Config, l *findings) {
	if cfg.Cloud == nil || !strings.HasPrefix(cfg.Cloud.Broker, "mqtts:") {
		return
	}
	own, now := credential.In(cfg.DataDir), time.Now()
	days, err := own.Days(now)
	overdue := false
	if err == nil {
		overdue, err = own.Overdue(now)
	}
	args := func(days int) texts.Args {
		return texts.Args{"agent": cfg.Cloud.AgentID, "days": strconv.Itoa(days)}
	}
	switch {
	case err != nil:
		l.warn(cloudUnreadable, texts.Args{"agent": cfg.Cloud.AgentID, "detail": err.Error()})
	case days < 0:
		l.warn(cloudEnded, args(-days))
	case overdue && days < endsSoon:
		l.warn(cloudShort, args(days))
	default:
		l.good(cloudHolds, args(days))
	}
}

// endsSoon, in days, is when a renewal that fails is told: it is tried each hour
// after two thirds of the certificate's life.
const endsSoon = 7
