// Package training shows an installer the whole life of a receipt, and lets nothing
// of it out: a second agent, with a journal of its own in a folder that is gone
// afterwards, sells to a register in software of the same maker, both on this
// machine's loopback alone. Driver, dispatch and the till's API are the true ones.
//
// It is the one part of the agent's program that knows the simulator. It is handed
// neither the shop's journal nor its registers nor the cloud.
package training

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"ekassa/agent"
	"ekassa/agent/config"
	"ekassa/agent/register/simulator"
	"ekassa/agent/setup"
	"ekassa/agent/token"
	"ekassa/cloud/wire"
)

// here takes a free port that no other machine reaches.
const here = "127.0.0.1:0"

// Run gives what became of the training's receipts, and of the X report, in the
// language of the plan. The maker is that of the plan's first register. It takes
// some seconds. What was shown before an error is given with it.
func Run(ctx context.Context, p setup.Plan) (made []setup.Made, err error) {
	if len(p.Registers) == 0 {
		return nil, errors.New("train: no register was chosen, so there is no maker to train for; choose one first")
	}
	folder, err := os.MkdirTemp("", "ekassa-training-")
	if err != nil {
		return nil, fmt.Errorf("train: make a folder to throw away: %w; is the disk full?", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	sim, err := simulator.Start(simulator.Config{Protocol: simulator.Protocol(p.Registers[0].Driver), Listen: here, Serial: "TRAINING"})
	if err != nil {
		return nil, fmt.Errorf("train: start a register in software: %w", err)
	}
	defer func() { err = errors.Join(err, sim.Close()) }()

	p.Terminals = []wire.Terminal{{ID: "till-1", Name: "TRAINING"}}
	p.Registers = []wire.Register{{
		ID: "kassa-1", Name: "TRAINING", Driver: p.Registers[0].Driver, Address: netip.MustParseAddrPort(sim.Addr()), Terminal: "till-1", Mode: wire.ModeActive,
	}}
	if r := &p.Registers[0]; r.Driver == wire.DriverAzSmart {
		r.MerchantID = simulator.DefaultMerchantID
	} else {
		r.Username, r.Password = simulator.DefaultUser, simulator.DefaultPassword
	}
	cfg := config.Config{DataDir: filepath.Join(folder, "data"), Listen: here}
	if cfg.Settings, err = p.Settings(); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	if cfg.Discovery.Interfaces, err = loopback(); err != nil { // nothing is looked for, least of all in the shop's network
		return nil, fmt.Errorf("train: %w", err)
	}
	if err := os.Mkdir(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	secret, err := token.Open(cfg.DataDir).Add("till-1")
	if err != nil {
		return nil, fmt.Errorf("train: make a token: %w", err)
	}
	return lesson(ctx, cfg, secret, p.Language)
}

// lesson runs the second agent for as long as the lesson lasts.
func lesson(ctx context.Context, cfg config.Config, secret, lang string) (made []setup.Made, err error) {
	running, stop := context.WithCancel(ctx)
	defer stop()
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- agent.Run(running, cfg, agent.Options{Log: slog.New(slog.DiscardHandler), Ready: func(addr string) { ready <- addr }})
	}()
	select {
	case addr := <-ready:
		made, err = setup.Lesson(ctx, setup.Base(addr), secret, lang)
		stop()
		return made, errors.Join(err, <-ended)
	case err := <-ended:
		return nil, fmt.Errorf("train: start a second agent: %w", errors.Join(err, ctx.Err()))
	}
}

// loopback names the interface, which is called otherwise on every system.
func loopback() ([]string, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list the network interfaces: %w", err)
	}
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 {
			return []string{i.Name}, nil
		}
	}
	return nil, errors.New("find the loopback interface: there is none")
}
