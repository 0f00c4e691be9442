package torture

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"ekassa/agent/token"
	"ekassa/cloud/hosttest"
)

// Programs are what is run.
type Programs struct {
	Agent []string // a command that takes --config FILE
	Sim   string   // ekassa-sim
}

// shop is one agent with some tills, and a register for each.
type shop struct {
	programs Programs
	data     string // folder on the disk that is tortured
	logs     string // folder that is not
	listen   string
	tills    []*till
	kassas   []*kassa

	mu    sync.Mutex // who kills the agent starts it again
	agent *process
	died  []string // it ended and nobody had killed it
}

// newShop lays everything out under two folders, and starts nothing. Tills take
// turns with the models.
func newShop(programs Programs, data, logs string, models []Model, orders [][]Order) (*shop, error) {
	s := &shop{programs: programs, data: data, logs: logs, listen: hosttest.New() + ":8787"}
	if err := errors.Join(os.MkdirAll(s.agentDir(), 0o700), os.MkdirAll(logs, 0o700)); err != nil {
		return nil, err
	}
	tokens := token.Open(s.agentDir())
	registers, terminals := []any{}, []any{}
	for n, list := range orders {
		terminal, serial := fmt.Sprintf("till-%d", n+1), fmt.Sprintf("TORTURE-%d", n+1)
		secret, err := tokens.Add(terminal)
		if err != nil {
			return nil, err
		}
		k := &kassa{
			model: models[n%len(models)], orders: list,
			program: programs.Sim, serial: serial, listen: hosttest.New() + ":8008",
			state: filepath.Join(data, serial+".jsonl"), stranger: filepath.Join(data, serial+"-other.jsonl"), log: filepath.Join(logs, serial+".log"),
		}
		s.kassas = append(s.kassas, k)
		s.tills = append(s.tills, newTill(terminal, "http://"+s.listen, secret, list))
		r := k.model.settings()
		maps.Copy(r, map[string]any{"id": fmt.Sprintf("kassa-%d", n+1), "address": k.listen, "serial": serial, "terminal": terminal, "mode": "active"})
		registers = append(registers, r)
		terminals = append(terminals, map[string]any{"id": terminal, "name": terminal})
	}
	config, err := json.MarshalIndent(map[string]any{ // JSON is YAML
		"data_dir": s.agentDir(), "listen": s.listen, "discovery": map[string]any{"interfaces": []string{"lo"}},
		"settings": map[string]any{"registers": registers, "terminals": terminals},
	}, "", "  ")
	if err != nil {
		return nil, err
	}
	return s, os.WriteFile(s.config(), config, 0o600)
}

func (s *shop) agentDir() string { return filepath.Join(s.data, "agent") }
func (s *shop) config() string   { return filepath.Join(s.logs, "agent.yaml") }
func (s *shop) agentLog() string { return filepath.Join(s.logs, "agent.log") }

func (s *shop) logFiles() []string {
	files := []string{s.agentLog()}
	for _, k := range s.kassas {
		files = append(files, k.log)
	}
	return files
}

// open starts registers and agent.
func (s *shop) open() error {
	for _, k := range s.kassas {
		if err := k.run(k.state, k.serial); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.startAgent()
}

func (s *shop) startAgent() (err error) {
	command := append(append([]string(nil), s.programs.Agent...), "--config", s.config())
	s.agent, err = start(s.agentLog(), command...)
	return err
}

// restartAgent is kill -9 and a new start at once.
func (s *shop) restartAgent() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.agent.kill()
	return s.startAgent()
}

// guard starts the agent again where it ended by itself, as systemd would, and
// puts that down: nothing here gives it a reason to.
func (s *shop) guard(ctx context.Context) {
	for ctx.Err() == nil {
		s.mu.Lock()
		if !s.agent.running() && len(s.died) < 100 {
			s.died = append(s.died, fmt.Sprintf("the agent ended by itself: %s: %s", s.agent.cmd.ProcessState, lastLine(s.agentLog())))
			if err := s.startAgent(); err != nil {
				s.died = append(s.died, err.Error())
			}
		}
		s.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func lastLine(log string) string {
	text, _ := os.ReadFile(log) // only for people
	return string(text[max(0, len(text)-300):])
}

// kill kills everything.
func (s *shop) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.agent != nil {
		s.agent.kill()
	}
	for _, k := range s.kassas {
		k.mu.Lock()
		if k.p != nil {
			k.p.kill()
		}
		k.mu.Unlock()
	}
}

// heal takes all faults away.
func (s *shop) heal(ctx context.Context) error {
	var err error
	for _, k := range s.kassas {
		err = errors.Join(err, k.heal(ctx))
	}
	return err
}

// settle waits until the agent has nothing left to do, or patience is over: what
// is then still open, the referee will see.
func (s *shop) settle(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, t := range s.tills {
		for {
			open, err := t.list(ctx, "waiting,sending,checking,held")
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
			if len(open) == 0 {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	return nil
}
