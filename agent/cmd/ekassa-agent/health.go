package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

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
		if err := ready(cmd.Context(), cfg.Listen); err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), "ready")
		return nil
	})
}

// ready asks the agent that listens there.
func ready(ctx context.Context, listen string) error {
	addr, err := netip.ParseAddrPort(listen)
	if err != nil {
		return fmt.Errorf("read listen %q: %w", listen, err)
	}
	if addr.Addr().IsUnspecified() {
		addr = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), addr.Port())
	}
	ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr.String()+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("ask the agent on %s: %w", addr, err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask the agent on %s: %w; does it run?", addr, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 4096))
	if err != nil {
		return fmt.Errorf("ask the agent on %s: %w", addr, err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the agent on %s takes no receipts: %s", addr, strings.TrimSpace(string(text)))
	}
	return nil
}
