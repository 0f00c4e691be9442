package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"ekassa/agent/slip/printer"
)

// papers is the command of the receipt printer.
func papers() *cobra.Command {
	var cfg printer.Config
	var state printer.State
	cmd := &cobra.Command{
		Use:   "printer",
		Short: "Be a receipt printer (ESC/POS over TCP) that keeps its papers as pictures",
		Long: "Be a receipt printer, as guests' slips need one: it takes ESC/POS at a TCP port, answers how it is, and\n" +
			"writes each paper that is cut as a PNG.",
		Example: "  ekassa-sim printer --listen 127.0.0.1:9100 --dir /tmp\n  ekassa-sim printer --no-paper",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg.Printed = func(n int, file string) { fmt.Fprintf(cmd.OutOrStdout(), "paper %d %s\n", n, file) }
			p, err := printer.Start(cfg)
			if err != nil {
				return err
			}
			p.Set(state)
			fmt.Fprintf(cmd.OutOrStdout(), "listening on %s\n", p.Addr())
			<-cmd.Context().Done()
			return p.Close()
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Listen, "listen", "127.0.0.1:9100", "address to listen on; port 0 takes a free one")
	f.StringVar(&cfg.Dir, "dir", ".", "folder for the pictures")
	f.BoolVar(&state.NoPaper, "no-paper", false, "be out of paper")
	f.BoolVar(&state.CoverOpen, "cover-open", false, "have the cover open")
	f.BoolVar(&state.Mute, "mute", false, "answer no question, as many printers do not")
	return cmd
}
