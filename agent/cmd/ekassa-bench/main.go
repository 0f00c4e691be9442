// Command ekassa-bench measures the agent as the processes that run in a
// restaurant: real binaries, real HTTP on loopback, a real disk. Every figure
// stands beside what the machine gives without the agent, measured in turns
// with it, so that a busy machine changes both. scripts/bench runs it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"ekassa/scripts/figures"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ekassa-bench:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var b bench
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "ekassa-bench",
		Short: "Measure the agent against its aims and the machine's bare limits",
		Long: "Measure the agent against its aims and the machine's bare limits. Run it in the project's top\n" +
			"folder. An aim that is not met is said in the table and is no error: figures are this\n" +
			"machine's, and it may be busy.",
		Example:       "  scripts/bench\n  scripts/bench --quick --json",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b.say = func(text string) { fmt.Fprintln(cmd.ErrOrStderr(), text) }
			if err := b.run(cmd.Context()); err != nil {
				return err
			}
			return b.table.Print(cmd.OutOrStdout(), asJSON)
		},
	}
	cmd.Flags().BoolVar(&b.quick, "quick", false, "small journals and few rounds: a smoke run, its figures say little")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON instead of the table")
	cmd.Flags().StringVar(&b.cache, "cache", ".cache/bench", "folder for binaries and big journals; its disk is the one measured")
	cmd.Flags().StringSliceVar(&b.only, "only", nil, "of yes, sales, drain, registers, memory, start only these; big journals are multiplied from sales")
	cmd.Flags().StringVar(&b.agent, "agent", "", "measure this ekassa-agent instead of building one")
	return cmd
}

// bench is one run.
type bench struct {
	quick bool
	cache string
	say   func(string)
	table figures.Table
	only  []string

	agent, sim string // binaries
	dir        string // of this run, removed at its end
	week       [][]byte
	acceptKB   float64 // written to the disk for one yes
}

// count is n, or little in a quick run.
func (b *bench) count(n, little int) int {
	if b.quick {
		return little
	}
	return n
}

func (b *bench) run(ctx context.Context) (err error) {
	if b.cache, err = filepath.Abs(b.cache); err != nil {
		return err
	}
	if err := os.MkdirAll(b.cache, 0o755); err != nil {
		return err
	}
	if b.week, err = readWeek("agent/testdata/week.jsonl"); err != nil {
		return err
	}
	if err := b.sweep(); err != nil {
		return err
	}
	b.dir = filepath.Join(b.cache, "run-"+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(b.dir, 0o755); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	b.table.Quick = b.quick
	for _, step := range []struct {
		name, what string
		do         func(context.Context) error
	}{
		{"", "building", b.build},
		{"yes", "yes to the till, and tills at once", b.yes},
		{"sales", "whole sales", b.sales},
		{"drain", "what waited goes out", b.drain},
		{"registers", "twenty registers, and one dead among them", b.registers},
		{"memory", "memory", b.memory},
		{"start", "start", b.starts},
	} {
		if len(b.only) > 0 && step.name != "" && !slices.Contains(b.only, step.name) {
			continue
		}
		b.say("ekassa-bench: " + step.what)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return nil
}

// sweep removes what runs left behind that were killed.
func (b *bench) sweep() error {
	old, err := filepath.Glob(filepath.Join(b.cache, "run-*"))
	if err != nil {
		return err
	}
	for _, dir := range old {
		pid := strings.TrimPrefix(filepath.Base(dir), "run-")
		if _, err := os.Stat("/proc/" + pid); err == nil {
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}
