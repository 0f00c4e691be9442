// Command ekassa-agent is the program next to the till. It parses flags and
// calls package agent, which does the work.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/spf13/cobra"

	"ekassa/agent"
	"ekassa/agent/config"
	"ekassa/agent/training"
	"ekassa/cloud/usage"
	"ekassa/cloud/wire"
)

// version is stamped by the build.
var version = "development"

// errShown: what went wrong stands in the output already; only the exit code is
// left to say.
var errShown = errors.New("failed")

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50) // a Pi is short of memory sooner than of time
	}
	log.SetOutput(io.Discard) // the mDNS library logs there that there is no IPv6
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := usage.Execute(ctx, root())
	stop()
	if err != nil {
		if !errors.Is(err, errShown) {
			fmt.Fprintln(os.Stderr, "ekassa-agent: "+worded(err))
		}
		os.Exit(1)
	}
}

// worded is what people read of an error. Most commands work in the agent's own folder,
// so where somebody may not, root is what is missing.
func worded(err error) string {
	s := strings.ReplaceAll(err.Error(), "\n", "; ")
	if errors.Is(err, fs.ErrPermission) && !strings.Contains(s, "root") {
		s += "; run it as root (sudo)"
	}
	return s
}

func root() *cobra.Command {
	root := &cobra.Command{
		Use:           "ekassa-agent",
		Short:         "Brings a till's receipts to the fiscal register, each exactly once",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(services()...)
	root.AddCommand(run(), setUp(), health(), discover(), check(), doctor(), tokens(), pins(), enroll(), backup(), restore(), export(), reset(), updates())
	return root
}

// withConfig gives a command its --config, and what it says.
func withConfig(cmd *cobra.Command, do func(cmd *cobra.Command, args []string, cfg config.Config) error) *cobra.Command {
	path := cmd.Flags().String("config", "", "the agent's configuration, agent.yaml")
	if err := cmd.MarkFlagRequired("config"); err != nil {
		panic(err) // the flag stands one line above
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := config.Load(*path)
		if err != nil {
			return err
		}
		return do(cmd, args, cfg)
	}
	return cmd
}

func run() *cobra.Command {
	var sockets []*os.File // open until the program ends: another version of it takes them over
	cmd := withConfig(&cobra.Command{
		Use:     "run --config FILE",
		Short:   "Serve tills in the foreground until SIGTERM",
		Example: "  ekassa-agent run --config /etc/ekassa-agent/agent.yaml",
		Args:    cobra.NoArgs,
	}, func(cmd *cobra.Command, _ []string, cfg config.Config) error {
		log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
		o := patience()
		file := cmd.Flag("config").Value.String()
		var err error
		if o.Programs.Own, err = own(); err != nil {
			return err
		}
		o.Programs.Running = running()
		o.Train = training.Run
		sockets = activation.Files(false)
		o.Sockets = sockets
		o.Version, o.Log, o.Reload = version, log, reloads(cmd.Context(), file, log)
		tell(&o)
		return serve(cmd.Context(), func(ctx context.Context) error { return again(ctx, file, cfg, o) })
	})
	// Before anything of the file but its folder is looked at: the version that is
	// to run may read a newer one.
	start := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		launch(cmd.Flag("config").Value.String(), slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)))
		err := start(cmd, args)
		if errors.Is(err, agent.ErrUpdate) {
			return relaunch(sockets)
		}
		return err
	}
	return cmd
}

// again runs the agent, and runs it anew as often as that is due.
func again(ctx context.Context, file string, cfg config.Config, o agent.Options) error {
	for {
		err := agent.Run(ctx, cfg, o)
		if !errors.Is(err, agent.ErrRestart) {
			return err
		}
		o.Log.Info("beginning anew")
		next, err := config.Load(file)
		if err != nil {
			o.Log.Error("the configuration cannot be read: the present one stays", "error", err)
			continue
		}
		cfg = next
	}
}

// reloads reads the settings of the configuration again at each SIGHUP.
func reloads(ctx context.Context, file string, log *slog.Logger) <-chan wire.Settings {
	hup, settings := make(chan os.Signal, 1), make(chan wire.Settings)
	signal.Notify(hup, syscall.SIGHUP)
	go func() {
		defer signal.Stop(hup)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hup:
			}
			cfg, err := config.Load(file)
			if err != nil {
				log.Warn("settings refused: the present ones stay", "error", err)
				continue
			}
			select {
			case settings <- cfg.Settings:
			case <-ctx.Done():
				return
			}
		}
	}()
	return settings
}

// printJSON is the stable output of --json.
func printJSON(cmd *cobra.Command, v any) error {
	e := json.NewEncoder(cmd.OutOrStdout())
	e.SetIndent("", "  ")
	return e.Encode(v)
}
