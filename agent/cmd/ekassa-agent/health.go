package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"ekassa/agent"
	"ekassa/agent/config"
)

func health() *cobra.Command {
	return withConfig(&cobra.Command{
		Use:   "health --config FILE",
		Short: "Say whether the agent that runs takes receipts; for containers and monitoring",
		Long: "Ask the agent that runs on this machine whether it takes receipts. Prints ready, exit code 0, or why not.\n" +
			"Whether registers are reached is doctor's question: receipts are taken without them.",
		Example: "  ekassa-agent health --config /etc/ekassa-agent/agent.yaml",
		Args:    cobra.NoArgs,
	}, func(cmd *cobra.Command, _ []string, cfg config.Config) error {
		if err := agent.Ready(cmd.Context(), cfg.Listen); err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), "ready")
		return nil
	})
}
