package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/kardianos/service"

	"ekassa/agent"
	"ekassa/agent/config"
	"ekassa/agent/qr"
	"ekassa/agent/setup"
	"ekassa/agent/texts"
)

// begin has the service take what was written, and ends with a test receipt by
// choice.
func (g *guide) begin(cfg config.Config, tills []setup.Till) error {
	patience := 2 * time.Second
	said := "done_restart"
	if g.restarted() {
		patience, said = 30*time.Second, "done"
	}
	page, _ := agent.Page(g.cmd.Context(), cfg)
	g.say(said, texts.Args{"page": page})
	base, trial := setup.Base(cfg.Listen), setup.NewTrial(g.lang)
	for {
		choice, err := g.choose("test", 3, 1)
		if errors.Is(err, errEnded) || choice == 1 {
			return nil // all is written
		}
		if err != nil {
			return err
		}
		if choice == 2 {
			if err := g.train(); err != nil {
				g.say("trouble", texts.Args{"detail": err.Error()})
			}
			continue
		}
		if !g.serves(base, tills[0].Token, patience) {
			g.say("test_away", nil)
			continue
		}
		made, err := setup.Test(g.cmd.Context(), base, tills[0].Token, g.lang, trial)
		g.show(made, "")
		if err != nil {
			g.say("trouble", texts.Args{"detail": err.Error()})
			continue
		}
		return nil
	}
}

// train shows a receipt's life where nothing of it is real, and says so on every line.
func (g *guide) train() error {
	g.say("test_training_what", nil)
	made, err := g.tools.Train(g.cmd.Context(), g.plan)
	mark := "[" + texts.Say(g.lang, "setup.test_training_mark", nil) + "] "
	for n, m := range made {
		g.show(made[n:n+1], mark)
		if m.URL == "" || m.Kind != "sale" {
			continue
		}
		if err := qr.Blocks(g.out, m.URL); err != nil {
			return err
		}
	}
	return err
}

// show prints what became of test receipts, each on a line behind the mark.
func (g *guide) show(made []setup.Made, mark string) {
	for _, m := range made {
		if m.Kind != "" {
			m.Text = texts.Say(g.lang, "kind."+m.Kind, nil) + ": " + m.Text
		}
		fmt.Fprintln(g.out, mark+strings.TrimSpace(m.Text+" "+m.FiscalID))
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
