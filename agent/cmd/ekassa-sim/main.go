// Command ekassa-sim is a fiscal cash register in software, and a till to go
// with it. See agent/register/simulator and its README for the register, and
// agent/till/replay for the till.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"ekassa/agent/register/simulator"
	"ekassa/cloud/usage"
)

// version is stamped by the build.
var version = "development"

func main() {
	log.SetOutput(io.Discard) // the mDNS library logs there that there is no IPv6
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := usage.Execute(ctx, command())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ekassa-sim: "+strings.ReplaceAll(err.Error(), "\n", "; "))
		os.Exit(1)
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "ekassa-sim",
		Version:       version,
		Short:         "A simulated fiscal cash register, till and receipt printer",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	for _, p := range simulator.Protocols() {
		root.AddCommand(register(p))
	}
	root.AddCommand(sell(), papers())
	return root
}

// register is the command of one maker's register.
func register(p simulator.Protocol) *cobra.Command {
	cfg := simulator.Config{Protocol: p}
	var edition, faults string
	cmd := &cobra.Command{
		Use:   string(p),
		Short: "Speak the protocol of the " + p.Device() + " register",
		Long: "Speak the protocol of the " + p.Device() + " register, keep a ledger, print\n" +
			"receipts as text, and fail on demand. The control API is under /sim/ on the same address.\n\n" +
			"Faults: " + strings.Join(simulator.FaultNames, ", ") + ".\n\nQuirks:\n" + quirks(p),
		Example: examples(p),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			cfg.Edition = simulator.Edition(edition)
			if cfg.Faults, err = simulator.ParseFaults(faults); err != nil {
				return err
			}
			cfg.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			return simulator.Run(cmd.Context(), cfg, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Listen, "listen", p.DefaultListen(), "address to listen on; port 0 takes a free one")
	if p == simulator.AzSmart {
		f.StringVar(&cfg.MerchantID, "merchant-id", simulator.DefaultMerchantID, "shared secret of the signature")
		f.StringVar(&edition, "edition", string(simulator.New), "documentation edition to follow: classic or new")
	} else {
		f.StringVar(&cfg.User, "user", simulator.DefaultUser, "name of the login")
		f.StringVar(&cfg.Password, "password", simulator.DefaultPassword, "password of the login")
	}
	f.StringVar(&cfg.Serial, "serial", "", "serial of the token (default: the one in the state file, or "+p.DefaultSerial()+")")
	f.StringVar(&cfg.State, "state", "", "ledger file; without it everything is forgotten at the end")
	f.StringVar(&faults, "faults", "", "faults armed from the start: NAME[:/ROUTE][:after=N][:times=N][:ms=N][:code=N][:serial=S],…")
	f.StringArrayVar(&cfg.Quirks, "quirk", nil, "another reading of an open point of the protocol; may be repeated")
	f.DurationVar(&cfg.Delay, "delay", 0, "time that a print takes, such as 2s")
	f.BoolVar(&cfg.MDNS, "mdns", false, "announce as "+simulator.Service+" in multicast dns")
	f.StringArrayVar(&cfg.Interfaces, "interface", nil, "network interface to announce on; may be repeated (default: that of the listen address)")
	return cmd
}

func examples(p simulator.Protocol) string {
	line := func(flags string) string { return "  ekassa-sim " + string(p) + " " + flags }
	all := []string{
		line("--listen " + p.DefaultListen() + " --state /tmp/kassa.jsonl"),
		line("--listen 127.0.0.1:0 --faults drop-after:/sale:after=3:times=1,slow:ms=500"),
	}
	if p == simulator.AzSmart {
		all = append(all, line("--edition classic --quirk status-by-id-only --mdns"))
	}
	return strings.Join(all, "\n")
}

func quirks(p simulator.Protocol) string {
	all := p.Quirks()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "  %-24s %s\n", name, all[name])
	}
	return b.String()
}
