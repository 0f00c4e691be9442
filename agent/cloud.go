package agent

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"ekassa/agent/config"
	"ekassa/agent/crash"
	"ekassa/agent/credential"
	"ekassa/agent/dispatch"
	"ekassa/agent/journal"
	"ekassa/agent/machine"
	"ekassa/agent/register"
	"ekassa/agent/uplink"
	"ekassa/cloud/wire"
)

// ErrRestart: the agent should begin anew, because the cloud has ordered it, or
// because it has just been let in there.
var ErrRestart = errors.New("a restart is due")

// Enroll connects an agent to the cloud: it makes a key, has the cloud make a
// certificate for it, and writes the way there into agent.yaml. It gives the
// agent's id.
func Enroll(ctx context.Context, cfg config.Config, file, cloud, code string, roots []byte) (string, error) {
	given, err := credential.Enroll(ctx, cfg.DataDir, cloud, code, roots)
	if err != nil {
		return "", err
	}
	return given.Agent, config.WriteCloud(file, config.Cloud{Broker: given.Broker, AgentID: given.Agent})
}

// soon after the machine's start everybody's machine may have started.
const soon = 5 * time.Minute

// office is what the cloud hears of the agent, and may ask of it.
type office struct {
	shop    *shop
	desk    *dispatch.Desk
	journal *journal.Journal
	own     *credential.Credential
	logs    *logTail

	versions *programs
}

// run keeps the connection to the cloud until ctx ends. Error: ErrRestart.
func (o *office) run(ctx context.Context, c config.Cloud, opt Options, metrics prometheus.Registerer) error {
	restart, pace := make(chan struct{}), opt.Cloud
	if pace == (uplink.Pace{}) {
		pace = uplink.DefaultPace
		if machine.Uptime() < soon { // a whole district has its current back
			pace.First = time.Minute
		}
	}
	u := uplink.New(uplink.Config{
		Agent: c.AgentID, Broker: c.Broker, Version: opt.Version, Journal: o.journal, Pace: pace, Log: opt.Log,
		TLS:   func() (*tls.Config, error) { return o.own.TLS(c.Broker) },
		Apply: o.apply, Reported: o.reported, Health: o.health, Do: o.do,
		Restart: sync.OnceFunc(func() { close(restart) }),
	})
	metrics.MustRegister(connected(u, o.journal))
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return u.Run(ctx) })
	parts.Go(func() error {
		o.own.Keep(ctx, crash.Now, opt.Log)
		return nil
	})
	parts.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-restart:
			return ErrRestart
		}
	})
	return parts.Wait()
}

// apply takes settings that the cloud pushed. A version of the program that has not
// proven itself takes none: the one before may not be able to read them. The cloud
// pushes them until they are judged.
func (o *office) apply(rev int64, settings []byte) wire.Reported {
	if o.versions.onTrial() {
		return o.reported()
	}
	o.shop.Apply(rev, settings)
	return o.reported()
}

// reported says what became of what was ordered: settings, and the program.
func (o *office) reported() wire.Reported {
	r := o.shop.Reported()
	r.Program = o.versions.report()
	return r
}

// health says how the agent is.
func (o *office) health() wire.Health {
	now := crash.Now()
	h := wire.Health{Registers: []wire.RegisterHealth{}}
	tellMachine(&h, machine.Here.Look(), machine.Uptime())
	for _, s := range o.desk.Registers("") {
		r := wire.RegisterHealth{
			ID: s.ID, Terminal: s.Terminal, Driver: s.Driver, Mode: s.Mode, Link: string(s.Link), Problem: s.Problem.Code,
			Serial: s.Identity.Serial, Address: s.Address, Waiting: s.Queue.Waiting, Held: s.Queue.Held,
			ShiftOpen: s.Shift.Open, LastOnline: s.Identity.LastOnline, ClockOff: int64(s.Clock.Ahead / time.Second), SeenAt: s.SeenAt,
		}
		if s.Shift.Open {
			r.ShiftAge = int64(s.Shift.Age / time.Second)
		}
		if ends := s.Identity.NotAfter; !ends.IsZero() {
			days := int(ends.Sub(now) / (24 * time.Hour))
			r.CertDays = &days
		}
		h.Registers = append(h.Registers, r)
		h.Waiting += s.Queue.Waiting
		if oldest := s.Queue.Oldest; !oldest.IsZero() {
			h.OldestSeconds = max(h.OldestSeconds, int64(now.Sub(oldest)/time.Second))
		}
	}
	// What cannot be read stays zero: /healthz says why.
	h.DiskFree, _, _ = o.journal.Room()
	h.Records, _ = o.journal.Unacknowledged()
	if days, err := o.own.Days(now); err == nil {
		h.CertDays = &days
	}
	return h
}

// order is what a command may say. Unknown fields are a newer cloud's.
type order struct {
	Register string `json:"register"` // may be left out where there is one
	Terminal string `json:"terminal"` // of reprint
	ID       string `json:"id"`       // of reprint: the receipt's
	By       string `json:"by"`       // who ordered it
	Lines    int    `json:"lines"`    // of send_logs; 0: as many as fit
	Version  string `json:"version"`  // of update
}

// do does a command of the cloud's, as the till's own call would.
func (o *office) do(ctx context.Context, c wire.Command) (any, error) {
	var a order
	if len(c.Arguments) > 0 {
		if err := json.Unmarshal(c.Arguments, &a); err != nil {
			return nil, fmt.Errorf("read the command's arguments: %w", err)
		}
	}
	by := "cloud"
	if a.By != "" {
		by += " " + a.By
	}
	switch c.Name {
	case wire.CommandSendLogs:
		return map[string][]string{"lines": o.logs.last(a.Lines)}, nil
	case wire.CommandReprint:
		return nil, o.desk.Reprint(ctx, a.Terminal, a.ID)
	case wire.CommandUpdate:
		return o.versions.fetch(ctx, o.own, a.Version)
	case wire.CommandRediscover:
		return o.rediscover(ctx, a.Register), nil
	}
	r, err := o.register(a.Register)
	if err != nil {
		return nil, err
	}
	if c.Name == wire.CommandCheck {
		s, err := o.desk.Check(ctx, r.Terminal, r.ID)
		return s, err
	}
	if name, _ := o.desk.Active(r.Terminal); name != r.ID {
		return nil, fmt.Errorf("register %s is not the active one of its till", r.ID)
	}
	switch c.Name {
	case wire.CommandXReport:
		return o.desk.XReport(ctx, r.Terminal)
	case wire.CommandOpenShift:
		return o.desk.OpenShift(ctx, r.Terminal, by)
	case wire.CommandCloseShift:
		return o.desk.CloseShift(ctx, r.Terminal, by)
	}
	return nil, fmt.Errorf("there is no command %q", c.Name)
}

// register finds the one that a command is about.
func (o *office) register(id string) (wire.Register, error) {
	s := o.shop.Settings()
	if id == "" && len(s.Registers) == 1 {
		return s.Registers[0], nil
	}
	r, ok := s.Register(id)
	if !ok {
		return r, fmt.Errorf("register %q: %w", id, register.ErrUnknownRegister)
	}
	return r, nil
}

// rediscover reaches one register anew, or each; none stops the others.
func (o *office) rediscover(ctx context.Context, id string) map[string]string {
	found := map[string]string{}
	for _, r := range o.shop.Settings().Registers {
		if id != "" && r.ID != id {
			continue
		}
		s, err := o.desk.Check(ctx, r.Terminal, r.ID)
		if found[r.ID] = s.Address; err != nil {
			found[r.ID] = strings.Join(strings.Fields(err.Error()), " ")
		}
	}
	return found
}
