package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"ekassa/agent"
	"ekassa/agent/config"
)

func enroll() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "enroll --cloud URL --code CODE --config FILE",
		Short: "Connect this agent to the cloud, with a one-time code from there",
		Long: `Connect this agent to the cloud, with a one-time code from there.

Makes a key that never leaves this machine, has the cloud make a certificate for
it, and writes broker and agent_id into the configuration. A running agent must
be restarted to connect.`,
		Example: "  ekassa-agent enroll --cloud https://cloud.example.com --code KHZ4-9TQW --config /etc/ekassa-agent/agent.yaml",
		Args:    cobra.NoArgs,
	}
	cloud := cmd.Flags().String("cloud", "", "the cloud's address, https; http only in the shop's own network")
	code := cmd.Flags().String("code", "", "the one-time code")
	ca := cmd.Flags().String("ca", "", "file with the authority of the cloud's own certificate, where the system does not know it")
	for _, name := range []string{"cloud", "code"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag stands some lines above
		}
	}
	return withConfig(cmd, func(cmd *cobra.Command, _ []string, cfg config.Config) error {
		var roots []byte
		if *ca != "" {
			var err error
			if roots, err = os.ReadFile(*ca); err != nil {
				return fmt.Errorf("read the cloud's authority: %w; give --ca the file that the cloud's operator has", err)
			}
		}
		id, err := agent.Enroll(cmd.Context(), cfg, cmd.Flag("config").Value.String(), *cloud, *code, roots)
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "enrolled as %s; restart the agent to connect\n", id)
		return nil
	})
}
