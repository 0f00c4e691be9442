package torture

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ekassa/agent/register/simulator"
)

// evidence gathers everything for the referee. The agent is stopped for it, so
// that its journal is a file at rest.
func (s *shop) evidence(ctx context.Context, people []*staff) (Case, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	c := Case{}
	for n, t := range s.tills {
		e := Evidence{Terminal: t.terminal, Serial: s.kassas[n].serial, Model: s.kassas[n].model, API: map[string]Stored{}, Asked: people[n].answered()}
		list, err := t.list(ctx, "")
		if err != nil {
			return c, err
		}
		for _, r := range list {
			e.API[r.ID] = r
		}
		if e.Ledger, err = s.kassas[n].ledger(ctx); err != nil {
			return c, err
		}
		if e.Strangers, err = ledgerFile(s.kassas[n].stranger); err != nil {
			return c, err
		}
		for _, told := range t.told {
			if len(told.Heard) > 0 {
				e.Told = append(e.Told, told)
			} else {
				e.Unsure = append(e.Unsure, told.ID)
			}
		}
		if t.tried && t.next < len(t.orders) {
			e.Unsure = append(e.Unsure, t.orders[t.next].ID)
		}
		c.Shops = append(c.Shops, e)
		c.Other = append(c.Other, t.wrong...)
		if people[n].fault != nil {
			c.Other = append(c.Other, people[n].fault.Error())
		}
	}
	s.mu.Lock()
	c.Other = append(c.Other, s.died...)
	err := s.agent.stop()
	s.mu.Unlock()
	if err != nil {
		c.Other = append(c.Other, err.Error())
	}
	c.Other = append(c.Other, broke(s.logFiles()...)...)
	c.Journal, err = readJournal(filepath.Join(s.agentDir(), "journal.db"))
	return c, err
}

// ledgerFile reads the documents of a register that does not run any more.
func ledgerFile(path string) (list []simulator.Document, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	for line := range slices.Values(splitLines(data)) {
		var r struct {
			Document *simulator.Document `json:"document"`
		}
		if json.Unmarshal(line, &r) == nil && r.Document != nil { // a torn last line was never answered
			list = append(list, *r.Document)
		}
	}
	return list, err
}

func splitLines(data []byte) (lines [][]byte) {
	for len(data) > 0 {
		n := slices.Index(data, '\n')
		if n < 0 {
			n = len(data) - 1
		}
		lines, data = append(lines, data[:n+1]), data[n+1:]
	}
	return lines
}
