package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"ekassa/agent"
	"ekassa/agent/config"
)

func backup() *cobra.Command {
	var out string
	cmd := withConfig(&cobra.Command{
		Use:   "backup --config FILE --out FILE",
		Short: "Copy the journal to a new file, also while the agent runs",
		Long: "Copy the journal to a new file, as of one moment, checked and synced; the agent may run\n" +
			"meanwhile. Never copy journal.db itself: without the files beside it, it is not whole.",
		Example: "  ekassa-agent backup --config agent.yaml --out /media/usb/journal-2026-11-23.db",
		Args:    cobra.NoArgs,
	}, func(cmd *cobra.Command, _ []string, cfg config.Config) error {
		if err := agent.Backup(cfg, out); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "written to %s and checked\n", out)
		return nil
	})
	cmd.Flags().StringVar(&out, "out", "", "the new file; better on another disk")
	return required(cmd, "out")
}

func restore() *cobra.Command {
	var from string
	cmd := withConfig(&cobra.Command{
		Use:   "restore --config FILE --from FILE",
		Short: "Put a backup in the journal's place; the agent must be stopped",
		Long: "Put a backup in the journal's place. The agent must be stopped. The replaced journal is kept\n" +
			"whole in a folder beside it. What waited in the backup may have been made since, so it is held\n" +
			"until a person has looked at the register's papers; so is what a till posts again that was\n" +
			"closed before the restoration.",
		Example: "  ekassa-agent restore --config agent.yaml --from /media/usb/journal-2026-11-23.db",
		Args:    cobra.NoArgs,
	}, func(cmd *cobra.Command, _ []string, cfg config.Config) error {
		r, err := agent.Restore(cfg, from)
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "restored: %d receipts, of which %d waited and are held now until a person has looked\n", r.Receipts, r.Held)
		if r.Kept != "" {
			fmt.Fprintf(cmd.OutOrStdout(), "the replaced journal is in %s\n", r.Kept)
		}
		return nil
	})
	cmd.Flags().StringVar(&from, "from", "", "a file that backup has written")
	return required(cmd, "from")
}

func required(cmd *cobra.Command, flag string) *cobra.Command {
	if err := cmd.MarkFlagRequired(flag); err != nil {
		panic(err) // the flag stands in the lines above
	}
	return cmd
}

func export() *cobra.Command {
	var out, from, to, log string
	cmd := withConfig(&cobra.Command{
		Use:   "export --config FILE [--from T] [--to T] --out FILE.zip",
		Short: "Write what is known of a time into one file for support, without any secret",
		Long: "Write receipts with every attempt at the register, reports, what people did, versions, the\n" +
			"settings, the log and what doctor finds into one new zip file for whoever has to look into a\n" +
			"question; without --from and --to of all times, with the whole journal. Secrets are masked;\n" +
			"cashiers' names and what was sold are in it. The agent may run meanwhile.",
		Example: "  ekassa-agent export --config agent.yaml --from 2026-11-23 --to 2026-11-24 --out /media/usb/evidence.zip\n" +
			"  ekassa-agent export --config agent.yaml --from \"2026-11-23 19:00\" --out evening.zip --log agent.log",
		Args: cobra.NoArgs,
	}, func(cmd *cobra.Command, _ []string, cfg config.Config) (err error) {
		e := agent.Evidence{Log: log, Version: version}
		if e.From, err = agent.EvidenceTime(cfg, from); err != nil {
			return fmt.Errorf("export: --from: %w", err)
		}
		if e.To, err = agent.EvidenceTime(cfg, to); err != nil {
			return fmt.Errorf("export: --to: %w", err)
		}
		if err := agent.Export(cmd.Context(), cfg, e, out); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "written to %s\n", out)
		return nil
	})
	f := cmd.Flags()
	f.StringVar(&out, "out", "", "the new file, FILE.zip")
	f.StringVar(&from, "from", "", "from when: a day, or a moment; a day begins at midnight in the shop's zone")
	f.StringVar(&to, "to", "", "until when, not included")
	f.StringVar(&log, "log", "", "file with the agent's log, where the system's journal does not have it")
	return required(cmd, "out")
}

func reset() *cobra.Command {
	var out string
	cmd := withConfig(&cobra.Command{
		Use:   "reset --config FILE --out FILE.zip",
		Short: "Make this machine ready for another shop: write the evidence to a file, and empty the data folder",
		Long: "Make this machine ready for another shop: write the evidence to a file, as export does, and\n" +
			"then empty the data folder: journal, tokens, PINs, the cloud's certificate. The agent must be\n" +
			"stopped. It refuses while a receipt, a paper, a shift or a record is unfinished.",
		Example: "  ekassa-agent reset --config agent.yaml --out /media/usb/evidence-2026-11-24.zip",
		Args:    cobra.NoArgs,
	}, func(cmd *cobra.Command, _ []string, cfg config.Config) error {
		if err := agent.Reset(cmd.Context(), cfg, version, out); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "the evidence is in %s, and %s is empty; its settings are still in %s\n", out, cfg.DataDir, cmd.Flag("config").Value)
		return nil
	})
	cmd.Flags().StringVar(&out, "out", "", "the new file with the evidence; outside of the data folder")
	return required(cmd, "out")
}
