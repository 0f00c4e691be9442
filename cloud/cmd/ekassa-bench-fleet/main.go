// Command ekassa-bench-fleet measures the cloud with thousands of simulated
// agents from one process: the real ekassa-cloud, real TLS with each agent's own
// certificate on loopback, real databases. What agents are told decides: a record
// counts once it is acknowledged, settings once they are reported. The agents run
// on the same machine and take their share of it, which is said beside each
// figure. scripts/bench-fleet runs it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"ekassa/scripts/figures"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ekassa-bench-fleet:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var b bench
	var quick, asJSON bool
	cmd := &cobra.Command{
		Use:   "ekassa-bench-fleet",
		Short: "Measure the cloud with thousands of simulated agents",
		Long: "Measure the cloud with thousands of simulated agents. Run it in the project's top folder, as\n" +
			"root or not. It needs PostgreSQL and Mosquitto from the distribution's packages. An aim that is\n" +
			"not met is said in the table and is no error: figures are this machine's, and it may be busy.",
		Example:       "  scripts/bench-fleet\n  scripts/bench-fleet --quick --json\n  scripts/bench-fleet --only records",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b.say = func(text string) { fmt.Fprintln(cmd.ErrOrStderr(), "ekassa-bench-fleet: "+text) }
			if b.table.Quick = quick; quick {
				b.agents, b.rounds = min(b.agents, 200), 2
			}
			if err := b.run(cmd.Context()); err != nil {
				return err
			}
			return b.table.Print(cmd.OutOrStdout(), asJSON)
		},
	}
	cmd.Flags().BoolVar(&quick, "quick", false, "at most 200 agents and two rounds: a smoke run, its figures say little")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON instead of the table")
	cmd.Flags().IntVar(&b.agents, "agents", 10_000, "simulated agents")
	cmd.Flags().IntVar(&b.rounds, "rounds", 10, "turns between the cloud and the bare database")
	cmd.Flags().StringVar(&b.cache, "cache", ".cache/bench-fleet", "folder for databases; its disk is the one measured")
	cmd.Flags().StringSliceVar(&b.only, "only", nil, "of fleet, records, postgres, mosquitto these")
	cmd.Flags().StringVar(&b.cloud, "cloud", "", "measure this ekassa-cloud instead of building one")
	return cmd
}

// bench is one run.
type bench struct {
	agents, rounds int
	cache          string
	only           []string
	cloud          string // the binary
	say            func(string)
	table          figures.Table
	dir            string // of this run, removed at its end
}

func (b *bench) run(ctx context.Context) (err error) {
	if b.agents < 1 || b.agents > 25_000 {
		return errors.New("--agents: one address has ports for 1 to 25000")
	}
	if err := enoughFiles(b.agents); err != nil {
		return err
	}
	if b.cache, err = filepath.Abs(b.cache); err != nil {
		return err
	}
	if err := os.MkdirAll(b.cache, 0o755); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp(b.cache, "run-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if b.cloud == "" {
		b.say("building")
		b.cloud = filepath.Join(b.dir, "ekassa-cloud")
		if err := run(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", b.cloud, "./cloud/cmd/ekassa-cloud"); err != nil {
			return err
		}
	}
	for _, step := range []struct {
		name, what string
		do         func(context.Context) error
	}{
		{"fleet", "the whole fleet at the broker within", b.fleet},
		{"records", "records into SQLite", b.sqlite},
		{"postgres", "records into PostgreSQL", b.postgres},
		{"mosquitto", "the whole fleet at Mosquitto", b.mosquitto},
	} {
		if len(b.only) > 0 && !slices.Contains(b.only, step.name) {
			continue
		}
		b.say(step.what)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return nil
}

// enoughFiles makes sure that this process and the cloud may open one file for
// each agent.
func enoughFiles(agents int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	want := uint64(agents) + 500
	if limit.Max < want {
		return fmt.Errorf("%d agents need %d open files and %d are allowed; raise ulimit -n, or choose fewer --agents", agents, want, limit.Max)
	}
	limit.Cur = limit.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) // the cloud inherits it
}
