package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// readWeek gives the plain sales of a restaurant's week.
func readWeek(path string) (sales []json.RawMessage, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the week's receipts: %w; run it in the project's top folder", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var r struct {
			Kind     string            `json:"kind"`
			Fiscal   *bool             `json:"fiscal"`
			Parent   json.RawMessage   `json:"parent"`
			Payments map[string]string `json:"payments"`
		}
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		if r.Kind == "sale" && r.Fiscal == nil && r.Parent == nil && r.Payments["prepaid"] == "" {
			sales = append(sales, bytes.Clone(lines.Bytes()))
		}
	}
	if len(sales) == 0 {
		return nil, fmt.Errorf("read %s: no sales in it", path)
	}
	return sales, nil
}

var sold atomic.Int64

// sale gives the next receipt that a till closed, with an id of its own.
func (b *bench) sale() ([]byte, error) {
	n := sold.Add(1)
	var r map[string]json.RawMessage
	if err := json.Unmarshal(b.week[int(n)%len(b.week)], &r); err != nil {
		return nil, err
	}
	id := "b" + strconv.FormatInt(time.Now().UnixMicro(), 36) + "-" + strconv.FormatInt(n, 10)
	for key, value := range map[string]string{"id": id, "time": time.Now().Format(time.RFC3339)} {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		r[key] = text
	}
	return json.Marshal(r)
}

// Each terminal may ask 50 times a second, after a burst of 200; the tills
// here keep below that by having several tokens each, or by waiting.
const (
	perSecond = 45
	burst     = 190
)

// token is one terminal's, and how much of its rate was used.
type token struct {
	terminal, secret string
	used             float64
	at               time.Time
}

// ready waits until the terminal may ask again.
func (t *token) ready() {
	now := time.Now()
	t.used = max(0, t.used-perSecond*now.Sub(t.at).Seconds()) + 1
	t.at = now
	if over := t.used - burst; over > 0 {
		time.Sleep(time.Duration(over / perSecond * float64(time.Second)))
	}
}

// till is one client with one kept connection. It closes one receipt after the
// other, taking turns with its tokens.
type till struct {
	bench  *bench
	url    string
	tokens []*token
	turn   int
	client *http.Client
}

func newTill(b *bench, addr string, tokens ...*token) *till {
	return &till{bench: b, url: "http://" + addr, tokens: tokens, client: &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}}
}

func (t *till) close() { t.client.CloseIdleConnections() }

// sell posts the next receipt and gives how long the answer took. wait is for
// the document; without it yes is enough.
func (t *till) sell(ctx context.Context, wait bool) (time.Duration, error) {
	body, err := t.bench.sale()
	if err != nil {
		return 0, err
	}
	return t.post(ctx, body, wait)
}

func (t *till) post(ctx context.Context, body []byte, wait bool) (time.Duration, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url+"/v1/receipts", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	want := http.StatusAccepted
	if wait {
		r.Header.Set("Prefer", "wait=30")
		want = http.StatusCreated
	}
	begun := time.Now()
	answer, status, err := t.do(r)
	took := time.Since(begun)
	if err == nil && status != want {
		err = fmt.Errorf("the agent answered %d and not %d: %s", status, want, answer)
	}
	return took, err
}

// get reads from the API.
func (t *till) get(ctx context.Context, path string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url+path, nil)
	if err != nil {
		return nil, err
	}
	answer, status, err := t.do(r)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("GET %s: %d: %s", path, status, answer)
	}
	return answer, err
}

func (t *till) do(r *http.Request) ([]byte, int, error) {
	if len(t.tokens) > 0 {
		token := t.tokens[t.turn%len(t.tokens)]
		t.turn++
		token.ready()
		r.Header.Set("Authorization", "Bearer "+token.secret)
	}
	answer, err := t.client.Do(r)
	if err != nil {
		return nil, 0, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	return data, answer.StatusCode, err
}

// goroutines of the agent, by its own metrics.
func (t *till) goroutines(ctx context.Context) (float64, error) {
	data, err := t.get(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if n, ok := strings.CutPrefix(line, "go_goroutines "); ok {
			return strconv.ParseFloat(strings.TrimSpace(n), 64)
		}
	}
	return 0, fmt.Errorf("/metrics tells no goroutines")
}
