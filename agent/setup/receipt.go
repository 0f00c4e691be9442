package setup

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"ekassa/agent/texts"
)

// testWait is how long one receipt is waited for; a register may print slowly.
const testWait = 40 * time.Second

// Made is what became of a test receipt, in the language's words.
type Made struct {
	ID       string `json:"id"`
	Kind     string `json:"kind"`
	State    string `json:"state"`
	Text     string `json:"text"` // the truth in one sentence
	FiscalID string `json:"fiscal_id"`
	URL      string `json:"url"` // where the buyer checks it
}

// Test sells a receipt of 0.01 AZN at an agent, as the till would, with the till's
// token: through the API, the journal and, where it is real, the register.
//
// For practice it says that it is not to be fiscal: it is kept, can be seen on the
// page, and no register hears of it. A real one makes a document, and is taken
// back by a refund at once; the refund is not tried unless the sale is fiscal.
func Test(ctx context.Context, base, token, lang string, real bool) ([]Made, error) {
	sale := map[string]any{
		"kind": "sale", "note": texts.Say(lang, "setup.test_item", nil),
		"items":    []any{map[string]any{"name": texts.Say(lang, "setup.test_item", nil), "quantity": "1", "price": "0.01"}},
		"payments": map[string]any{"cash": "0.01"}, "fiscal": real,
	}
	id := "setup-" + rand.Text()
	sold, err := post(ctx, base, token, lang, id, sale)
	if err != nil || !real || sold.State != "fiscal" {
		return []Made{sold}, err
	}
	sale["kind"], sale["parent"] = "refund", map[string]any{"id": id}
	back, err := post(ctx, base, token, lang, id+"-back", sale)
	return []Made{sold, back}, err
}

func post(ctx context.Context, base, token, lang, id string, body map[string]any) (Made, error) {
	body["id"], body["time"] = id, time.Now().Format(time.RFC3339)
	data, err := json.Marshal(body)
	if err != nil {
		return Made{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, testWait+20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v1/receipts", bytes.NewReader(data))
	if err != nil {
		return Made{}, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept-Language", lang)
	r.Header.Set("Prefer", fmt.Sprintf("wait=%d", testWait/time.Second))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return Made{}, fmt.Errorf("post a test receipt to the agent at %s: %w", base, err)
	}
	defer answer.Body.Close()
	data, err = io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return Made{}, fmt.Errorf("read what became of the test receipt: %w", err)
	}
	var got struct {
		ID       string `json:"id"`
		Kind     string `json:"kind"`
		State    string `json:"state"`
		Sentence string `json:"sentence"`
		Reason   struct {
			Text string `json:"text"`
		} `json:"reason"`
		Document struct {
			FiscalID string `json:"fiscal_id"`
			URL      string `json:"url"`
		} `json:"document"`
		Detail string `json:"detail"` // of a problem
	}
	if err := json.Unmarshal(data, &got); err != nil {
		return Made{}, fmt.Errorf("read what became of the test receipt: %w", err)
	}
	if answer.StatusCode/100 != 2 {
		return Made{}, errors.New(got.Detail)
	}
	m := Made{ID: got.ID, Kind: got.Kind, State: got.State, Text: got.Sentence, FiscalID: got.Document.FiscalID, URL: got.Document.URL}
	if got.Reason.Text != "" {
		m.Text = got.Reason.Text
	}
	return m, nil
}

// Base is where this machine reaches an agent that listens there.
func Base(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return "http://" + net.JoinHostPort("127.0.0.1", port)
	}
	return "http://" + listen
}
