package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"ekassa/scripts/figures"
)

// fleet measures what a whole fleet costs at the broker within.
func (b *bench) fleet(ctx context.Context) (err error) {
	c, err := b.chain(ctx, "sqlite", b.agents)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if err := c.serve(ctx); err != nil {
		return err
	}
	before, err := c.usage(ctx)
	if err != nil {
		return err
	}
	c.live(ctx)
	if err := c.shown(ctx); err != nil {
		return err
	}
	after, err := c.usage(ctx)
	if err != nil {
		return err
	}
	each := func(before, after float64) float64 { return (after - before) / float64(b.agents) }
	b.table.Add(figures.Row{Name: "memory for each connected agent, broker within", Figure: 1000 * each(before.memory, after.memory), Unit: "KB",
		Note: fmt.Sprintf("with TLS; %.0f MB with none, %.0f MB with %d; %.1f goroutines each", before.memory, after.memory, b.agents, each(before.goroutines, after.goroutines))})

	if err := c.storm(ctx, "broker within", func() error {
		c.cloud.Kill()
		return c.serve(ctx)
	}); err != nil {
		return err
	}
	return c.rollout(ctx)
}

// storm kills the broker and measures until everybody is shown online again.
func (c *chain) storm(ctx context.Context, where string, restart func() error) error {
	c.refused.Store(0)
	c.edition.Add(1)
	if err := restart(); err != nil {
		return err
	}
	begun, agents := time.Now(), ownCPU()
	if err := c.shown(ctx); err != nil {
		return err
	}
	took := time.Since(begun)
	agents = ownCPU() - agents
	after, err := c.usage(ctx)
	if err != nil {
		return err
	}
	c.table.Add(figures.Row{Name: fmt.Sprintf("%d agents come back after kill -9, %s", len(c.agents), where), Figure: took.Seconds(), Unit: "s",
		Note: fmt.Sprintf("from its being ready until all are shown online; %.0f agents/s; %d attempts came to nothing; the agents took %.1f s of the processor, the cloud %.1f s since its start",
			float64(len(c.agents))/took.Seconds(), c.refused.Load(), agents.Seconds(), after.cpu)})
	return nil
}

// rollout changes the settings of all agents at once.
func (c *chain) rollout(ctx context.Context) error {
	var r struct {
		ID, State, Reason string
		Agents            []struct{ State string }
	}
	c.judged.Store(0)
	before, err := c.usage(ctx)
	if err != nil {
		return err
	}
	begun, agents := time.Now(), ownCPU()
	err = c.ask(ctx, "POST", "/rollouts", map[string]any{"venue": venue, "change": map[string]any{"language": "ru"}, "at_once": 1000, "max_failed": 0}, &r)
	if err != nil {
		return err
	}
	accepted := time.Since(begun)
	err = c.until(ctx, "the rollout to be done", func() (bool, error) {
		if int(c.judged.Load()) < len(c.agents) {
			return false, nil
		}
		if err := c.ask(ctx, "GET", "/rollouts/"+r.ID, nil, &r); err != nil {
			return false, err
		}
		return r.State != "running", nil
	})
	if err != nil {
		return err
	}
	took := time.Since(begun)
	agents = ownCPU() - agents
	after, err := c.usage(ctx)
	if err != nil {
		return err
	}
	for _, a := range r.Agents {
		if a.State != "applied" || r.State != "done" {
			return fmt.Errorf("the rollout is %s %s, and an agent %s", r.State, r.Reason, a.State)
		}
	}
	c.table.Aim(figures.Row{Name: fmt.Sprintf("settings to %d agents, reported back", len(c.agents)), Figure: took.Seconds(), Unit: "s",
		Note: fmt.Sprintf("one rollout, 1000 at once; of that %.1f s to try the change on every agent's settings before any is sent; the cloud took %.1f s of the processor, the agents %.1f s",
			accepted.Seconds(), after.cpu-before.cpu, agents.Seconds())},
		"30 s", took <= 30*time.Second)
	return nil
}

// mosquitto measures the storm at a broker of its own.
func (b *bench) mosquitto(ctx context.Context) (err error) {
	c, err := b.chain(ctx, "sqlite", b.agents)
	if err != nil {
		return err
	}
	files := filepath.Join(c.dir, "mosquitto")
	if err := run(ctx, b.cloud, "mosquitto", "--host", "127.0.0.1", "--dir", files, "--processes", "1", "--config", c.config()); err != nil {
		return err
	}
	addr := *c.broker.Load()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	conf := filepath.Join(files, "mosquitto.conf")
	text, err := os.ReadFile(conf)
	if err != nil {
		return err
	}
	local := strings.Replace(string(text), "listener 8883", "listener "+port+" 127.0.0.1", 1)
	if os.Getuid() == 0 {
		local = "user root\n" + local // it gives its rights up, and could not read the key
	}
	if err := os.WriteFile(conf, []byte(local), 0o600); err != nil {
		return err
	}
	if err := c.configure(fmt.Sprintf("{url: \"mqtts://%s\", ca: %s/ca.pem, cert: %s/cloud-1.pem, key: %s/cloud-1.key}", addr, files, files, files)); err != nil {
		return err
	}
	broker, err := figures.Start(ctx, "mosquitto", "-c", conf)
	if err != nil {
		return fmt.Errorf("%w; apt-get install mosquitto", err)
	}
	defer func() { broker.Kill() }()
	if err := c.serve(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	c.live(ctx)
	if err := c.shown(ctx); err != nil {
		return err
	}
	return c.storm(ctx, "Mosquitto", func() error {
		broker.Kill()
		if err := c.until(ctx, "the agents to notice", func() (bool, error) { return c.connected.Load() == 0, nil }); err != nil {
			return err
		}
		broker, err = figures.Start(ctx, "mosquitto", "-c", conf)
		return err
	})
}

// ownCPU is what this process, and so the agents, have used of the processor.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
