package main

import (
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"ekassa/agent/config"
	"ekassa/agent/token"
	"ekassa/cloud/wire"
)

func tokens() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "token",
		Short:   "Give a till its bearer token, list them, take them back",
		Example: "  ekassa-agent token add till-1 --config agent.yaml",
		Args:    cobra.NoArgs,
	}
	cmd.AddCommand(withConfig(&cobra.Command{
		Use:     "add TERMINAL --config FILE",
		Short:   "Make a token for a till; it is printed once, alone on its line",
		Example: "  ekassa-agent token add till-1 --config agent.yaml",
		Args:    cobra.ExactArgs(1),
	}, func(cmd *cobra.Command, args []string, cfg config.Config) error {
		if !wire.ValidID(args[0]) {
			return fmt.Errorf("add a token for %q: not a terminal's id; use 1 to 63 letters, digits and '-'", args[0])
		}
		t, err := token.Open(cfg.DataDir).Add(args[0])
		if err != nil {
			return fmt.Errorf("add a token for %s: %w", args[0], err)
		}
		if _, known := cfg.Settings.Terminal(args[0]); !known {
			fmt.Fprintf(cmd.ErrOrStderr(), "ekassa-agent: note: the settings have no terminal %s yet\n", args[0])
		}
		fmt.Fprintln(cmd.OutOrStdout(), t)
		return nil
	}))
	cmd.AddCommand(withConfig(&cobra.Command{
		Use:     "list [TERMINAL] --config FILE",
		Short:   "List which tills have tokens, and since when",
		Example: "  ekassa-agent token list --config agent.yaml",
		Args:    cobra.MaximumNArgs(1),
	}, func(cmd *cobra.Command, args []string, cfg config.Config) error {
		list, err := token.Open(cfg.DataDir).List()
		if err != nil {
			return fmt.Errorf("list the tokens: %w", err)
		}
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 3, ' ', 0)
		fmt.Fprintln(w, "TERMINAL\tSINCE")
		for _, t := range list {
			if len(args) == 0 || args[0] == t.Terminal {
				fmt.Fprintf(w, "%s\t%s\n", t.Terminal, t.CreatedAt.Format(time.RFC3339))
			}
		}
		return w.Flush()
	}))
	cmd.AddCommand(withConfig(&cobra.Command{
		Use:     "revoke TERMINAL --config FILE",
		Short:   "Take all tokens of a till back; a running agent obeys at once",
		Example: "  ekassa-agent token revoke till-1 --config agent.yaml",
		Args:    cobra.ExactArgs(1),
	}, func(cmd *cobra.Command, args []string, cfg config.Config) error {
		n, err := token.Open(cfg.DataDir).Revoke(args[0])
		if errors.Is(err, token.ErrNone) {
			return fmt.Errorf("revoke the tokens of %s: it has none", args[0])
		}
		if err != nil {
			return fmt.Errorf("revoke the tokens of %s: %w", args[0], err)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%d revoked\n", n)
		return nil
	}))
	return cmd
}
