// Command ekassa-torture proves that no receipt is lost and none is made fiscal
// twice, with figures that anyone can repeat; see package agent/torture.
// scripts/chaos and scripts/powercut run it.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"ekassa/agent"
	"ekassa/agent/config"
	"ekassa/agent/torture"
)

// errBroken: a promise was broken; the report says which.
var errBroken = errors.New("a promise was broken")

func main() {
	log.SetOutput(io.Discard) // the mDNS library logs there that there is no IPv6
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		if !errors.Is(err, errBroken) {
			fmt.Fprintln(os.Stderr, "ekassa-torture:", err)
		}
		os.Exit(1)
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use: "ekassa-torture", Short: "Prove that nothing is lost and nothing doubled",
		Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(chaos(), powercut(), hasty())
	return root
}

// hasty is the agent as it runs in a restaurant, but with the patience of a test.
func hasty() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use: "agent --config FILE", Short: "The agent, with short times for a register that answers at once",
		Example: "  ekassa-torture agent --config agent.yaml", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(path)
			if err != nil {
				return err
			}
			o := torture.Hasty
			o.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			return agent.Run(cmd.Context(), cfg, o)
		},
	}
	cmd.Flags().StringVar(&path, "config", "", "agent.yaml")
	return cmd
}

// tools finds the programs beside this one.
type tools struct {
	bin        string
	production bool
}

func (t tools) programs(unsafe bool) torture.Programs {
	name := "ekassa-torture"
	if unsafe {
		name = "ekassa-torture-unsafe"
	}
	p := torture.Programs{Agent: []string{filepath.Join(t.bin, name), "agent"}, Sim: filepath.Join(t.bin, "ekassa-sim")}
	if t.production {
		p.Agent = []string{filepath.Join(t.bin, "ekassa-agent"), "run"}
	}
	return p
}

func newTools() (tools, error) {
	self, err := os.Executable()
	return tools{bin: filepath.Dir(self)}, err
}

func chaos() *cobra.Command {
	o := torture.ChaosOptions{}
	var kills, faults, minutes int
	var week, keep, driver, edition string
	var production bool
	cmd := &cobra.Command{
		Use:   "chaos",
		Short: "Sell while agent and registers are killed and fail",
		Long: "Sell while agent and registers are killed and fail, and let a referee compare what tills were told\n" +
			"with the agent's word, its journal and the registers' ledgers. Exit code 1 if anything was lost,\n" +
			"doubled, out of order, left unsettled, or contradicts itself.\n\n" +
			"The same seed makes the same receipts and the same troubles, each at the same number of receipts\n" +
			"told yes. Which byte is under way at that moment is up to the machine, so two runs of a seed differ.",
		Example: "  scripts/chaos --seed 1 --receipts 5000 --tills 4\n  scripts/chaos --driver azsmart --edition classic",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Models, err = modelsOf(cmd, driver, edition); err != nil {
				return err
			}
			t, err := newTools()
			if err != nil {
				return err
			}
			t.production = production
			if o.Week, err = readWeek(week); err != nil {
				return err
			}
			if o.Size.Kills = kills; kills < 0 {
				o.Size.Kills = o.Size.Receipts / 90
			}
			if o.Size.Faults = faults; faults < 0 {
				o.Size.Faults = o.Size.Receipts / 16
			}
			o.Programs, o.Most, o.Settle = t.programs(false), time.Duration(minutes)*time.Minute, 2*time.Minute
			if production {
				o.Settle = 10 * time.Minute
			}
			o.Say = say(cmd)
			return inFolder(keep, "chaos", func(dir string) error {
				o.Dir = dir
				r, err := torture.Chaos(cmd.Context(), o)
				if err != nil {
					return err
				}
				r.Print(cmd.ErrOrStderr())
				fmt.Fprintf(cmd.OutOrStdout(), "seed %d: %s\n", o.Seed, r.Line())
				if !r.OK() {
					return errBroken
				}
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.Uint64Var(&o.Seed, "seed", 1, "of the plan")
	f.IntVar(&o.Size.Receipts, "receipts", 5000, "how many, of all tills together")
	f.IntVar(&o.Size.Tills, "tills", 4, "each with a register of its own")
	f.StringVar(&driver, "driver", "mixed", "of the registers: azsmart, omnitech, caspos, or mixed, where tills take turns with all of them")
	f.StringVar(&edition, "edition", "new", "of AzSmart's protocol where --driver is azsmart: new or classic")
	f.IntVar(&kills, "kills", -1, "how many times something is killed (default: one for 90 receipts)")
	f.IntVar(&faults, "faults", -1, "how many faults (default: one for 16 receipts)")
	f.IntVar(&minutes, "minutes", 0, "stop selling then, whatever is left")
	f.BoolVar(&production, "production", false, "run ekassa-agent itself, with a restaurant's patience: slow")
	f.StringVar(&week, "week", "agent/testdata/week.jsonl", "receipts to sell")
	f.StringVar(&keep, "keep", "", "a new folder for journal, ledgers and logs, which stays (default: one that goes when all is well)")
	return cmd
}

func powercut() *cobra.Command {
	o := torture.PowercutOptions{}
	var control bool
	var week, driver, edition string
	cmd := &cobra.Command{
		Use:   "powercut",
		Short: "Cut the power of the disk under agent and register, again and again",
		Long: "Cut the power of the disk under agent and register, again and again, on one file system whose\n" +
			"history adds up. Needs root, for a loop mount. The cut is the file system's own shutdown without a\n" +
			"flush of its log; a drive that lies about its own cache is not modelled.\n\n" +
			"With --control the agent's journal is opened so that commits are not synced. Receipts must then be\n" +
			"lost, so that the test is known to bite; exit code 1 where none is.",
		Example: "  scripts/powercut --cuts 30\n  scripts/powercut --cuts 10 --control",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Models, err = modelsOf(cmd, driver, edition); err != nil {
				return err
			}
			t, err := newTools()
			if err != nil {
				return err
			}
			if o.Week, err = readWeek(week); err != nil {
				return err
			}
			o.Programs, o.Control, o.Say = t.programs(control), control, say(cmd)
			return inFolder("", "powercut", func(dir string) error {
				o.Dir = dir
				r, err := torture.Powercut(cmd.Context(), o)
				if err != nil {
					return err
				}
				if !control {
					r.Print(cmd.ErrOrStderr())
				}
				fmt.Fprintln(cmd.OutOrStdout(), r.Line())
				if !r.OK() {
					return errBroken
				}
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.Uint64Var(&o.Seed, "seed", 1, "of the receipts and the moments")
	f.IntVar(&o.Cuts, "cuts", 30, "how many")
	f.IntVar(&o.Tills, "tills", 2, "each with a register of its own")
	f.StringVar(&o.FS, "fs", "ext4", "file system: ext4 or xfs")
	f.StringVar(&driver, "driver", "azsmart", "of the registers: azsmart, omnitech, caspos or mixed")
	f.StringVar(&edition, "edition", "new", "of AzSmart's protocol: new or classic")
	f.BoolVar(&control, "control", false, "without syncing the journal: must lose receipts")
	f.StringVar(&week, "week", "agent/testdata/week.jsonl", "receipts to sell")
	return cmd
}

// modelsOf reads --driver and --edition.
func modelsOf(cmd *cobra.Command, driver, edition string) ([]torture.Model, error) {
	if cmd.Flags().Changed("edition") && driver != torture.AzSmart.Driver {
		return nil, fmt.Errorf("--edition is given and --driver is %s: only azsmart has editions; use --driver azsmart", driver)
	}
	return torture.ModelsOf(driver, edition)
}

func say(cmd *cobra.Command) func(string) {
	return func(text string) { fmt.Fprintln(cmd.ErrOrStderr(), text) }
}

func readWeek(path string) (list [][]byte, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the receipts to sell: %w; run it in the project's top folder, or give --week", err)
	}
	return bytes.Split(bytes.TrimSpace(data), []byte("\n")), nil
}

// inFolder gives a run its folder, which stays where something went wrong.
func inFolder(keep, name string, do func(dir string) error) error {
	dir := keep
	if dir == "" {
		if err := os.MkdirAll(".cache", 0o755); err != nil {
			return err
		}
		var err error
		if dir, err = os.MkdirTemp(".cache", name+"-"); err != nil {
			return err
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := do(dir); err != nil {
		fmt.Fprintln(os.Stderr, "everything is left in", dir)
		return err
	}
	if keep == "" {
		return os.RemoveAll(dir)
	}
	return nil
}
