package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	tokens "ekassa/agent/token"
	"ekassa/scripts/figures"
)

// merchant signs for every register here.
const merchant = "9662a13f5b4f46dbb1751bbbf86ed402"

// shop is an agent with its tills and registers: till-1 with register kassa-1,
// and so on. Terminals beyond the registers have none, so their receipts wait.
type shop struct {
	agent     *figures.Process
	binary    string
	dir       string // the agent's data folder
	config    string
	addr      string
	registers []string // addresses
	spare     string   // of a register that the agent does not know
	sims      []*figures.Process
	tokens    []*token
}

// plan of a shop.
type plan struct {
	dir                  string // holds a journal, or is made
	registers, terminals int
	away                 bool          // nobody listens where the registers should be
	spare                bool          // one more register, which the agent does not know
	print                time.Duration // that a register takes for a document
}

// shop writes the configuration and starts the registers; the agent is started
// by the caller.
func (b *bench) shop(ctx context.Context, p plan) (s *shop, err error) {
	s = &shop{binary: b.agent, dir: p.dir, config: p.dir + ".yaml"}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	for n := range p.registers {
		addr, err := freeAddress()
		if err == nil && !p.away {
			err = s.simulate(ctx, b.sim, addr, fmt.Sprintf("BENCH-%03d", n+1), p.print)
		}
		if err != nil {
			return nil, err
		}
		s.registers = append(s.registers, addr)
	}
	if p.spare {
		if s.spare, err = freeAddress(); err != nil {
			return nil, err
		}
		if err := s.simulate(ctx, b.sim, s.spare, "BENCH-SPARE", p.print); err != nil {
			return nil, err
		}
	}
	if err := os.Remove(filepath.Join(s.dir, "tokens.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	store := tokens.Open(s.dir)
	for n := range max(p.terminals, p.registers) {
		terminal := fmt.Sprintf("till-%d", n+1)
		secret, err := store.Add(terminal)
		if err != nil {
			return nil, err
		}
		s.tokens = append(s.tokens, &token{terminal: terminal, secret: secret})
	}
	if s.addr, err = freeAddress(); err != nil {
		return nil, err
	}
	return s, os.WriteFile(s.config, s.yaml(), 0o600)
}

// simulate starts a register.
func (s *shop) simulate(ctx context.Context, binary, addr, serial string, print time.Duration) error {
	sim, err := figures.Start(ctx, binary, "azsmart", "--listen", addr, "--merchant-id", merchant, "--serial", serial, "--delay", print.String())
	if err != nil {
		return err
	}
	s.sims = append(s.sims, sim)
	return listening(sim, addr)
}

func (s *shop) yaml() []byte {
	var y strings.Builder
	fmt.Fprintf(&y, "data_dir: %s\nlisten: %s\ndiscovery: {interfaces: [lo]}\nsettings:\n  registers:\n", s.dir, s.addr)
	for n, addr := range s.registers {
		fmt.Fprintf(&y, "    - {id: kassa-%d, driver: azsmart, address: %q, merchant_id: %q, terminal: till-%d, mode: active}\n", n+1, addr, merchant, n+1)
	}
	y.WriteString("  terminals:\n")
	for n := range s.registers { // a token alone lets a terminal in
		fmt.Fprintf(&y, "    - {id: till-%d, name: Till %d}\n", n+1, n+1)
	}
	return []byte(y.String())
}

// start starts the agent, without waiting for it.
func (s *shop) start(ctx context.Context) (err error) {
	s.agent, err = figures.Start(ctx, s.binary, "run", "--config", s.config)
	return err
}

// ready starts the agent and has every register make one document, so that
// addresses are known and shifts are open.
func (s *shop) ready(ctx context.Context, b *bench) error {
	if err := s.start(ctx); err != nil {
		return err
	}
	if err := listening(s.agent, s.addr); err != nil {
		return err
	}
	if len(s.sims) == 0 {
		return nil
	}
	return s.together(len(s.registers), func(n int) error {
		t := newTill(b, s.addr, s.tokens[n])
		defer t.close()
		_, err := t.sell(ctx, true)
		return err
	})
}

// together has something done for each of n tills at once.
func (s *shop) together(n int, do func(n int) error) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = do(i) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// close ends everything.
func (s *shop) close() error {
	var errs []error
	for _, p := range append([]*figures.Process{s.agent}, s.sims...) {
		if p != nil {
			errs = append(errs, p.Stop())
		}
	}
	s.agent, s.sims = nil, nil
	return errors.Join(errs...)
}

// listening waits until a process takes connections.
func listening(p *figures.Process, addr string) error {
	for {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.Ended:
			return fmt.Errorf("%s ended at once: %s", filepath.Base(p.Cmd.Path), p.Said())
		case <-time.After(time.Millisecond):
		}
	}
}
