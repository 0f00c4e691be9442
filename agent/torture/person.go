package torture

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"ekassa/agent/register/simulator"
)

// Asked is a question that the agent had to ask a person.
type Asked struct {
	ID, Kind   string
	Code, Text string // why
	Attempts   int
	Verdict    string
}

// staff answers held receipts of one till truthfully: by the register's ledger,
// which is the paper.
type staff struct {
	till  *till
	kassa *kassa
	look  time.Duration // held for so long: no copy can still be on its way

	mu    sync.Mutex
	asked map[string][]Asked
	lost  map[string]Asked // answered, and the agent's word on that was lost: it may have been heard
	fault error
}

func newStaff(t *till, k *kassa) *staff {
	return &staff{till: t, kassa: k, look: 3 * time.Second, asked: map[string][]Asked{}, lost: map[string]Asked{}}
}

// work answers until ctx ends.
func (s *staff) work(ctx context.Context) {
	since := map[string]time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
		held, err := s.till.list(ctx, "held")
		if err != nil {
			continue // the agent is away
		}
		now := map[string]time.Time{}
		var ripe []Stored
		for _, r := range held {
			if another(r) {
				continue
			}
			if now[r.ID] = since[r.ID]; now[r.ID].IsZero() {
				now[r.ID] = time.Now()
			}
			if time.Since(now[r.ID]) >= s.look {
				ripe = append([]Stored{r}, ripe...) // the oldest first
			}
		}
		if since = now; len(ripe) == 0 {
			continue
		}
		// What this register has put on paper, even while another stands in its place.
		ledger, err := ledgerFile(s.kassa.state)
		if err != nil {
			continue
		}
		ledger = sign(ledger, s.kassa.orders)
		for _, r := range ripe {
			if err := s.answer(ctx, r, ledger); err != nil && ctx.Err() == nil {
				s.mu.Lock()
				s.fault = err
				s.mu.Unlock()
			}
		}
	}
}

// another says whether another receipt is to be answered before this one.
func another(r Stored) bool { return r.Reason.Code == "waits_for_answer" }

// answer decides one. Paper shows the short id and no more, but where it has none.
func (s *staff) answer(ctx context.Context, r Stored, ledger []simulator.Document) error {
	decision := map[string]any{"who": "Aysel M.", "why": "looked at the paper", "verdict": "send"}
	for _, d := range ledger {
		if TagOf(d) == r.ID {
			decision["verdict"] = "was_made"
			decision["document"] = map[string]string{"fiscal_id": d.FiscalID, "number": fmt.Sprint(d.Number)}
		}
	}
	text, err := json.Marshal(decision)
	if err != nil {
		return err
	}
	path := "/v1/receipts/"
	if r.Kind == "deposit" || r.Kind == "withdrawal" {
		path = "/v1/cash/"
	}
	asked := Asked{
		ID: r.ID, Kind: r.Kind, Code: r.Reason.Code, Text: r.Reason.Text, Attempts: r.Attempts, Verdict: fmt.Sprint(decision["verdict"]),
	}
	s.mu.Lock()
	s.lost[r.ID] = asked
	s.mu.Unlock()
	status, data, _, err := s.till.do(ctx, http.MethodPost, path+r.ID+"/resolve", text, 0)
	switch {
	case err != nil, status == http.StatusTooManyRequests, status >= 500:
		return nil // another time
	case status == http.StatusConflict && bytes.Contains(data, []byte("state")):
		return nil // the answer to the last try was lost
	case status != http.StatusOK:
		return fmt.Errorf("the answer %s for %s was answered %d: %s", decision["verdict"], r.ID, status, data)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.lost, r.ID)
	s.asked[r.ID] = append(s.asked[r.ID], asked)
	return nil
}

// answered gives all that the agent has heard answers to, or may have.
func (s *staff) answered() map[string][]Asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, a := range s.lost {
		s.asked[id] = append(s.asked[id], a)
	}
	clear(s.lost)
	return s.asked
}

// TagOf is the id of the receipt that a document was made for, as the cashier's
// name on the register's paper has it.
func TagOf(d simulator.Document) string {
	return d.Client.Cashier[strings.LastIndexByte(d.Client.Cashier, ' ')+1:]
}
