package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"ekassa/agent"
	"ekassa/agent/config"
)

func updates() *cobra.Command {
	var back, asJSON bool
	cmd := withConfig(&cobra.Command{
		Use:   "update [FILE-OR-FOLDER] --config FILE",
		Short: "Take another version of the program over, from a USB stick; or say which runs",
		Long: "Take a signed release over, from a folder or a .tar file, such as on a USB stick. It is verified and kept; the\n" +
			"agent changes over by itself once nothing is on its way and no receipt has come for a while (update.quiet in\n" +
			"agent.yaml, 10m). A version that does not prove itself is taken back by itself. Without a file: says which\n" +
			"version runs, and what became of the last one.",
		Example: "  sudo ekassa-agent update /media/usb/1.3.0 --config /etc/ekassa-agent/agent.yaml\n" +
			"  ekassa-agent update --config /etc/ekassa-agent/agent.yaml\n" +
			"  sudo ekassa-agent update --back --config /etc/ekassa-agent/agent.yaml",
		Args: cobra.MaximumNArgs(1),
	}, func(cmd *cobra.Command, args []string, cfg config.Config) error {
		me, err := own()
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		switch {
		case !canReplace:
			return errors.New("update: on Windows updates are installed by hand: stop the service, replace the program, start it")
		case back && len(args) > 0:
			return errors.New("update: --back stands alone")
		case back:
			to, err := agent.BackProgram(cfg, me)
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "the agent goes back to %s once it is quiet\n", to)
			return nil
		case len(args) == 1:
			path, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			staged, err := agent.StageProgram(cmd.Context(), cfg, me, path)
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "version %s is verified and kept; the agent changes over once no receipt has come for %s\n", staged, cfg.Quiet)
			return nil
		}
		s, err := agent.ProgramStateOf(cfg, me)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(cmd, s)
		}
		fmt.Fprintf(out, "version %s runs, and %s is installed as a package\n", s.Current, s.Packaged)
		if s.Trial {
			fmt.Fprintln(out, "it has to prove itself still")
		}
		if s.Staged != "" {
			fmt.Fprintf(out, "version %s waits for a quiet moment\n", s.Staged)
		}
		if s.Last != nil {
			fmt.Fprintf(out, "the last was %s: %s at %s %s\n", s.Last.Version, s.Last.State, s.Last.At.Local().Format(time.DateTime), s.Last.Reason)
		}
		return nil
	})
	cmd.Flags().BoolVar(&back, "back", false, "have the version before run again")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
