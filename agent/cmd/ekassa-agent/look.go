package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"ekassa/agent"
	"ekassa/agent/config"
	"ekassa/agent/discovery"
	"ekassa/agent/texts"
)

func discover() *cobra.Command {
	var timeout time.Duration
	var interfaces, sweep []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "discover",
		Short: "Look for registers on the network",
		Long: "Look for registers on the network: those that announce themselves by mDNS, and those\n" +
			"that answer on their makers' ports (AzSmart 8008, Omnitech 8989, Caspos 5544).\n" +
			"Without --interface and --sweep it looks in the networks of this machine.",
		Example: "  ekassa-agent discover\n  ekassa-agent discover --sweep 192.168.1.0/24 --timeout 10s --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			prefixes, err := prefixes(sweep)
			if err != nil {
				return err
			}
			found, err := agent.Discover(cmd.Context(), interfaces, prefixes, timeout)
			if err != nil {
				return fmt.Errorf("discover: %w", err)
			}
			if asJSON {
				return printJSON(cmd, lines(found))
			}
			if len(found) == 0 {
				return fmt.Errorf("discover: no register answered; is it switched on and in this network? else type its address into the settings")
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 3, ' ', 0)
			fmt.Fprintln(w, "DRIVER\tADDRESS\tFOUND BY\tNAME")
			for _, l := range lines(found) {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", l.Driver, l.Address, l.Via, l.Name)
			}
			return w.Flush()
		},
	}
	f := cmd.Flags()
	f.DurationVar(&timeout, "timeout", 5*time.Second, "how long to listen for announcements")
	f.StringArrayVar(&interfaces, "interface", nil, "network interface to listen on; may be repeated")
	f.StringArrayVar(&sweep, "sweep", nil, "private network to ask address by address, such as 192.168.1.0/24; may be repeated")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// line is one register in discover's output.
type line struct {
	Driver  string `json:"driver"`
	Address string `json:"address"`
	Via     string `json:"found_by"`
	Name    string `json:"name"`
}

func lines(found []discovery.Found) []line {
	list := []line{}
	for _, f := range found {
		list = append(list, line{Driver: f.Protocol, Address: f.Addr.String(), Via: string(f.Via), Name: f.Name})
	}
	return list
}

func prefixes(written []string) (list []netip.Prefix, err error) {
	for _, t := range written {
		p, err := netip.ParsePrefix(t)
		if err != nil {
			return nil, fmt.Errorf("read --sweep %q: not a network; write it as 192.168.1.0/24", t)
		}
		if err := discovery.CheckPrefix(p); err != nil {
			return nil, fmt.Errorf("read --sweep: %w", err)
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

func check() *cobra.Command {
	var asJSON bool
	cmd := withConfig(&cobra.Command{
		Use:     "check [REGISTER] --config FILE",
		Short:   "Reach a register, sign, and read who it is and its shift",
		Example: "  ekassa-agent check --config agent.yaml\n  ekassa-agent check kassa-1 --config agent.yaml --json",
		Args:    cobra.MaximumNArgs(1),
	}, func(cmd *cobra.Command, args []string, cfg config.Config) error {
		id := ""
		if len(args) == 1 {
			id = args[0]
		}
		list, err := agent.Check(cmd.Context(), cfg, id)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return fmt.Errorf("check: the settings have no register; add one, see ekassa-agent discover")
		}
		failed := false
		for _, c := range list {
			failed = failed || !c.OK
			switch {
			case asJSON:
			case !c.OK:
				fmt.Fprintf(cmd.OutOrStdout(), "✗ %s: %s\n", c.Register, c.Error)
			default:
				edition := ""
				if c.Identity.Edition != "" {
					edition = c.Identity.Edition + " edition, "
				}
				fmt.Fprintf(cmd.OutOrStdout(), "✓ %s: %s %s at %s, %s%s\n", c.Register, c.Identity.Model, c.Identity.Serial, c.Address, edition, c.ShiftState())
			}
		}
		if asJSON {
			err = printJSON(cmd, list)
		}
		if err == nil && failed {
			err = errShown
		}
		return err
	})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func doctor() *cobra.Command {
	var asJSON bool
	var lang string
	cmd := withConfig(&cobra.Command{
		Use:   "doctor --config FILE",
		Short: "Look at every precondition, tick it or explain it",
		Long: "Look at every precondition, and tick it or say what to do, in the language of the settings.\n" +
			"--json is English unless --lang says otherwise; its \"code\" is the same in every language.",
		Example: "  ekassa-agent doctor --config /etc/ekassa-agent/agent.yaml\n  ekassa-agent doctor --config agent.yaml --lang en\n  ekassa-agent doctor --config agent.yaml --json",
		Args:    cobra.NoArgs,
	}, func(cmd *cobra.Command, _ []string, cfg config.Config) error {
		if lang != "" && !slices.Contains(texts.Languages, lang) {
			return fmt.Errorf("doctor: --lang %q is none of its languages; use %s", lang, strings.Join(texts.Languages, ", "))
		}
		if lang == "" && asJSON {
			lang = "en"
		}
		list, lang := agent.Doctor(cmd.Context(), cfg, lang)
		failed := false
		for _, f := range list {
			failed = failed || !f.OK && !f.Warning
			if asJSON {
				continue
			}
			mark := "✗"
			switch {
			case f.OK:
				mark = "✓"
			case f.Warning:
				mark = "!"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s: %s\n", mark, f.Check, f.Found)
			if f.Do != "" {
				fmt.Fprintf(cmd.OutOrStdout(), "    %s: %s\n", texts.Say(lang, "doctor.do", nil), f.Do)
			}
		}
		if asJSON {
			if err := printJSON(cmd, list); err != nil {
				return err
			}
		}
		if failed {
			return errShown
		}
		return nil
	})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&lang, "lang", "", "the language: "+strings.Join(texts.Languages, ", ")+"; without it that of the settings")
	return cmd
}
