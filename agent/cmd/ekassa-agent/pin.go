package main

import (
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"ekassa/agent/config"
	"ekassa/agent/people"
)

func pins() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "pin",
		Short:   "Let people work on the staff page: give PINs, list them, take them away",
		Example: "  ekassa-agent pin add \"Aysel M.\" --role cashier --config agent.yaml",
		Args:    cobra.NoArgs,
	}
	var role string
	add := withConfig(&cobra.Command{
		Use:     "add NAME --role cashier|manager --config FILE",
		Short:   "Make a PIN for a person; it is printed once, alone on its line. A second one replaces the first",
		Example: "  ekassa-agent pin add \"Aysel M.\" --role cashier --config agent.yaml",
		Args:    cobra.ExactArgs(1),
	}, func(cmd *cobra.Command, args []string, cfg config.Config) error {
		pin, err := people.Open(cfg.DataDir).Add(args[0], role)
		if err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), pin)
		return nil
	})
	add.Flags().StringVar(&role, "role", people.Cashier, "cashier, or manager, who also decides and takes back")
	cmd.AddCommand(add)
	cmd.AddCommand(withConfig(&cobra.Command{
		Use:     "list --config FILE",
		Short:   "List who has a PIN, in which role, and since when",
		Example: "  ekassa-agent pin list --config agent.yaml",
		Args:    cobra.NoArgs,
	}, func(cmd *cobra.Command, _ []string, cfg config.Config) error {
		list, err := people.Open(cfg.DataDir).List()
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 3, ' ', 0)
		fmt.Fprintln(w, "NAME\tROLE\tSINCE")
		for _, p := range list {
			fmt.Fprintf(w, "%s\t%s\t%s\n", p.Name, p.Role, p.Since.Format(time.RFC3339))
		}
		return w.Flush()
	}))
	cmd.AddCommand(withConfig(&cobra.Command{
		Use:     "remove NAME --config FILE",
		Short:   "Take a person's PIN away; a running agent obeys at once",
		Example: "  ekassa-agent pin remove \"Aysel M.\" --config agent.yaml",
		Args:    cobra.ExactArgs(1),
	}, func(cmd *cobra.Command, args []string, cfg config.Config) error {
		err := people.Open(cfg.DataDir).Remove(args[0])
		if errors.Is(err, people.ErrNone) {
			return fmt.Errorf("remove the PIN of %s: there is no such person; see ekassa-agent pin list", args[0])
		}
		return err
	}))
	return cmd
}
