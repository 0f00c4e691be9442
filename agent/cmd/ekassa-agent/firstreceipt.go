package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/kardianos/service"

	"ekassa/agent/config"
	"ekassa/agent/setup"
	"ekassa/agent/texts"
)

// begin has the service take what was written, and ends with a test receipt by
// choice.
func (g *guide) begin(cfg config.Config, tills []setup.Till) error {
	patience := 2 * time.Second
	if g.restarted() {
		patience = 30 * time.Second
		g.say("done", texts.Args{"page": pageOf(cfg.Listen)})
	} else {
		g.say("done_restart", texts.Args{"page": pageOf(cfg.Listen)})
	}
	base := setup.Base(cfg.Listen)
	for {
		choice, err := g.choose("test", 3, 1)
		if errors.Is(err, errEnded) || choice == 1 {
			return nil // all is written
		}
		if err != nil {
			return err
		}
		if !g.serves(base, tills[0].Token, patience) {
			g.say("test_away", nil)
			continue
		}
		made, err := setup.Test(g.cmd.Context(), base, tills[0].Token, g.lang, choice == 3)
		for _, m := range made {
			if m.ID != "" {
				fmt.Fprintf(g.out, "%s: %s %s\n", texts.Say(g.lang, "kind."+m.Kind, nil), m.Text, m.FiscalID)
			}
		}
		if err != nil {
			g.say("trouble", texts.Args{"detail": err.Error()})
			continue
		}
		return nil
	}
}

// restarted restarts the service, where it runs with this configuration.
func (g *guide) restarted() bool {
	if g.path != defaultConfig() {
		return false
	}
	s, err := asService(g.path)
	if err != nil {
		return false
	}
	if word, err := standing(s); err != nil || word == "not installed" {
		return false
	}
	g.say("restarting", nil)
	if err := service.Service.Restart(s); err != nil {
		g.say("trouble", texts.Args{"detail": err.Error()})
		return false
	}
	return true
}

// serves waits a little until an agent has this till with its register: it may be
// starting, or have the configuration of before.
func (g *guide) serves(base, token string, patience time.Duration) bool {
	ctx, cancel := context.WithTimeout(g.cmd.Context(), patience)
	defer cancel()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/v1/status", nil)
		if err != nil {
			return false
		}
		r.Header.Set("Authorization", "Bearer "+token)
		if answer, err := http.DefaultClient.Do(r); err == nil {
			var status struct {
				Register struct {
					ID string `json:"id"`
				} `json:"register"`
			}
			err = json.NewDecoder(answer.Body).Decode(&status)
			answer.Body.Close()
			if err == nil && status.Register.ID == g.plan.Registers[0].ID {
				return true
			}
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// pageOf is where a browser finds the staff page.
func pageOf(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err == nil && host == "0.0.0.0" {
		if name, err := os.Hostname(); err == nil {
			return "http://" + net.JoinHostPort(name+".local", port)
		}
	}
	return "http://" + listen
}
