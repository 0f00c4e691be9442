package torture

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Stored is a receipt as the agent tells of it.
type Stored struct {
	ID       string `json:"id"`
	Kind     string `json:"kind"`
	State    string `json:"state"`
	Total    string `json:"total"`
	Register string `json:"register"`
	Attempts int    `json:"attempts"`
	Document struct {
		FiscalID string `json:"fiscal_id"`
		Serial   string `json:"register_serial"`
		Printed  bool   `json:"printed"`
	} `json:"document"`
	Reason struct {
		Code string `json:"code"`
		Text string `json:"text"`
	} `json:"reason"`
}

// Heard is one yes: HTTP status, state, and the document if there was one.
type Heard struct {
	Status          int
	State, FiscalID string
}

// Told is a receipt that a till was told yes for, and all that it heard of it.
type Told struct {
	Order
	Heard []Heard
}

// till sells its orders one after the other, and repeats each until it is told yes.
type till struct {
	terminal, base, token string
	orders                []Order
	client                *http.Client
	onYes                 func() // a receipt was told yes for the first time

	mu    sync.Mutex
	next  int // of orders
	told  []Told
	tried bool     // the next one was sent at least once
	wrong []string // answers that no till should get

	marked int             // how many of wrong there were before a power cut
	closed map[string]bool // drawer cash that needs no more asking
}

func newTill(terminal, base, token string, orders []Order) *till {
	return &till{
		terminal: terminal, base: base, token: token, orders: orders, onYes: func() {}, closed: map[string]bool{},
		client: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 4}},
	}
}

// sell posts what is left of the orders, until ctx ends.
func (t *till) sell(ctx context.Context) {
	for ctx.Err() == nil {
		t.mu.Lock()
		n := t.next
		t.mu.Unlock()
		if n == len(t.orders) {
			return
		}
		o := t.orders[n]
		heard := t.post(ctx, o)
		if ctx.Err() != nil && len(heard) == 0 {
			return
		}
		t.mu.Lock()
		if ctx.Err() == nil || len(heard) > 0 {
			t.told = append(t.told, Told{o, heard})
			t.next, t.tried = n+1, false
		}
		t.mu.Unlock()
		if len(heard) > 0 {
			t.onYes()
		}
		t.trifle(ctx, o)
	}
}

// post sends an order until it is told yes, over two connections at once where
// the order says so.
func (t *till) post(ctx context.Context, o Order) (heard []Heard) {
	t.mu.Lock()
	t.tried = true
	t.mu.Unlock()
	ways := 1
	if o.Twice {
		ways = 2
	}
	answers := make(chan Heard, ways)
	var all sync.WaitGroup
	for range ways {
		all.Go(func() {
			if status, data, err := t.insist(ctx, o.Path, o.Body, o.Wait); err == nil {
				if h, ok := t.yes(o.ID, status, data); ok {
					answers <- h
				}
			}
		})
	}
	all.Wait()
	close(answers)
	for h := range answers {
		heard = append(heard, h)
	}
	return heard
}

// yes reads a yes; anything else is put down as wrong.
func (t *till) yes(id string, status int, data []byte) (Heard, bool) {
	var s Stored
	if err := json.Unmarshal(data, &s); err != nil || status > http.StatusAccepted {
		t.complain("%s was answered %d: %s", id, status, data)
		return Heard{}, false
	}
	return Heard{status, s.State, s.Document.FiscalID}, true
}

func (t *till) complain(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wrong = append(t.wrong, t.terminal+": "+fmt.Sprintf(format, args...))
}

// trifle posts an earlier receipt again, or another one under an earlier id.
func (t *till) trifle(ctx context.Context, o Order) {
	if o.Again != "" {
		for n := range t.orders {
			if t.orders[n].ID != o.Again {
				continue
			}
			status, data, err := t.insist(ctx, t.orders[n].Path, t.orders[n].Body, 0)
			if err != nil {
				return
			}
			if h, ok := t.yes(o.Again, status, data); ok {
				t.mu.Lock()
				t.told[n].Heard = append(t.told[n].Heard, h)
				t.mu.Unlock()
			}
		}
	}
	if o.Clash == "" {
		return
	}
	for _, earlier := range t.orders {
		if earlier.ID != o.Clash {
			continue
		}
		other := bytes.Replace(earlier.Body, []byte(`"cashier":"`), []byte(`"cashier":"Elvin `), 1)
		status, data, err := t.insist(ctx, earlier.Path, other, 0)
		if err == nil && status != http.StatusConflict {
			t.complain("another receipt under the id %s was answered %d: %s", o.Clash, status, data)
		}
	}
}

// insist posts until there is an answer that is not "later". Error: ctx ended.
func (t *till) insist(ctx context.Context, path string, payload []byte, wait int) (int, []byte, error) {
	for {
		status, data, pause, err := t.do(ctx, http.MethodPost, path, payload, wait)
		if err == nil && status < 500 && status != http.StatusTooManyRequests {
			return status, data, nil
		}
		select {
		case <-ctx.Done():
			return 0, nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// do asks once; pause is how long to wait before the next try.
func (t *till) do(ctx context.Context, method, path string, payload []byte, wait int) (status int, data []byte, pause time.Duration, err error) {
	pause = 20 * time.Millisecond
	r, err := http.NewRequestWithContext(ctx, method, t.base+path, bytes.NewReader(payload))
	if err != nil {
		return 0, nil, pause, err
	}
	r.Header.Set("Authorization", "Bearer "+t.token)
	r.Header.Set("Accept-Language", "en")
	if payload != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if wait > 0 {
		r.Header.Set("Prefer", "wait="+strconv.Itoa(wait))
	}
	response, err := t.client.Do(r)
	if err != nil {
		return 0, nil, pause, err
	}
	defer response.Body.Close()
	if data, err = io.ReadAll(response.Body); err != nil {
		return 0, nil, pause, err
	}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
		pause = time.Duration(seconds) * time.Second
	}
	return response.StatusCode, data, pause, nil
}

var errAnswer = errors.New("unexpected answer")

// get asks for something until it is there, for as long as ctx lives. A whole
// answer that is not 200 is an error.
func (t *till) get(ctx context.Context, path string, out any) error {
	for {
		status, data, pause, err := t.do(ctx, http.MethodGet, path, nil, 0)
		switch {
		case err == nil && status == http.StatusOK:
			return json.Unmarshal(data, out)
		case err == nil && status < 500 && status != http.StatusTooManyRequests:
			return fmt.Errorf("get %s: %w: %d %s", path, errAnswer, status, data)
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(pause):
		}
	}
}

// list gives all that the till was told yes for in some states, separated by
// commas; none is all. The agent's listing has receipts, so drawer cash is asked
// for one by one, until it is final.
func (t *till) list(ctx context.Context, states string) (all []Stored, err error) {
	if all, err = t.receipts(ctx, states); err != nil {
		return nil, err
	}
	for _, id := range t.cash(states == "") {
		var s Stored
		err := t.get(ctx, "/v1/cash/"+id, &s)
		if errors.Is(err, errAnswer) {
			continue // it does not know it: the referee will miss it
		}
		if err != nil {
			return nil, err
		}
		if s.State == "fiscal" {
			t.mu.Lock()
			t.closed[id] = true
			t.mu.Unlock()
		}
		if states == "" || strings.Contains(","+states+",", ","+s.State+",") {
			all = append(all, s)
		}
	}
	return all, nil
}

// cash gives the ids of drawer cash: all, or those that are not final yet.
func (t *till) cash(all bool) (ids []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for n := range t.told {
		if o := &t.told[n].Order; o.Path != receipts && (all || !t.closed[o.ID]) {
			ids = append(ids, o.ID)
		}
	}
	return ids
}

func (t *till) receipts(ctx context.Context, states string) (all []Stored, err error) {
	for cursor := ""; ; {
		var page struct {
			Receipts []Stored `json:"receipts"`
			Next     string   `json:"next"`
		}
		if err := t.get(ctx, "/v1/receipts?limit=200&state="+states+"&cursor="+cursor, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Receipts...)
		if cursor = page.Next; cursor == "" {
			return all, nil
		}
	}
}

// mark is called before a power cut, and gives how many receipts were told yes.
func (t *till) mark() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.marked = len(t.wrong)
	return len(t.told)
}

// back forgets what was answered after the mark, by an agent whose disk was being
// taken away: those receipts are posted again.
func (t *till) back(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told, t.next, t.tried, t.wrong = t.told[:n], n, true, t.wrong[:t.marked]
}

func (t *till) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.told)
}
