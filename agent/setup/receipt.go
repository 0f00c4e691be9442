package setup

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
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
	Kind     string `json:"kind"` // "": it is the X report
	State    string `json:"state"`
	Text     string `json:"text"` // the truth in one sentence
	FiscalID string `json:"fiscal_id"`
	URL      string `json:"url"`          // where the buyer checks it
	QR       string `json:"qr,omitempty"` // SVG of the URL; of training alone
}

// Trial is a sale of 0.01 AZN and the refund that takes it back. However often it is
// sold, they are the same two receipts.
type Trial struct{ sale, refund map[string]any }

// NewTrial makes one, in the language's words.
func NewTrial(lang string) Trial {
	item := texts.Say(lang, "setup.test_item", nil)
	sale := map[string]any{
		"id": "setup-" + rand.Text(), "kind": "sale", "time": time.Now().Format(time.RFC3339), "note": item, "fiscal": true,
		"items": []any{map[string]any{"name": item, "quantity": "1", "price": "0.01"}}, "payments": map[string]any{"cash": "0.01"},
	}
	refund := maps.Clone(sale)
	refund["id"], refund["kind"], refund["parent"] = fmt.Sprint(sale["id"], "-back"), "refund", map[string]any{"id": sale["id"]}
	return Trial{sale, refund}
}

// Test sells a trial at an agent, as the till would, with the till's token: through
// the API, the journal and the register, which makes a document. It is taken back at
// once; the refund is not tried unless the sale is fiscal.
func Test(ctx context.Context, base, token, lang string, t Trial) ([]Made, error) {
	return client{base, token, lang}.sellAndRefund(ctx, t, false)
}

// Lesson is Test at an agent in training. What the till is told before the receipt
// is fiscal is given too, and the X report at the end.
func Lesson(ctx context.Context, base, token, lang string) ([]Made, error) {
	c := client{base, token, lang}
	made, err := c.sellAndRefund(ctx, NewTrial(lang), true)
	for n := range made { // the sentence would be true of a receipt: here it is what one will read
		made[n].Text = texts.Say(lang, "setup.test_training_said", texts.Args{"said": made[n].Text})
	}
	if err != nil {
		return made, err
	}
	x, err := c.xReport(ctx)
	if err != nil {
		return made, err
	}
	return append(made, x), nil
}

// client is a till.
type client struct{ base, token, lang string }

// sellAndRefund gives the sale, at first too as it is before it was waited for, and
// its refund.
func (c client) sellAndRefund(ctx context.Context, t Trial, first bool) (made []Made, err error) {
	if first {
		m, err := c.sell(ctx, t.sale, 0)
		if err != nil {
			return nil, err
		}
		made = append(made, m)
	}
	sold, err := c.sell(ctx, t.sale, testWait) // sent again with the same id it is the same receipt
	if err != nil {
		return made, err
	}
	if made = append(made, sold); sold.State != "fiscal" {
		return made, nil
	}
	back, err := c.sell(ctx, t.refund, testWait)
	if err != nil {
		return made, err
	}
	return append(made, back), nil
}

func (c client) sell(ctx context.Context, receipt map[string]any, wait time.Duration) (Made, error) {
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
	}
	if err := c.post(ctx, "receipts", receipt, wait, &got); err != nil {
		return Made{}, err
	}
	m := Made{ID: got.ID, Kind: got.Kind, State: got.State, Text: got.Sentence, FiscalID: got.Document.FiscalID, URL: got.Document.URL}
	if got.Reason.Text != "" {
		m.Text = got.Reason.Text
	}
	return m, nil
}

func (c client) xReport(ctx context.Context) (Made, error) {
	type turnover struct {
		Sum string `json:"sum"`
	}
	var got struct {
		Sales   turnover `json:"sales"`
		Refunds turnover `json:"refunds"`
	}
	if err := c.post(ctx, "shift/x-report", map[string]any{}, 0, &got); err != nil {
		return Made{}, err
	}
	return Made{ID: "x-report", Text: texts.Say(c.lang, "setup.test_report", texts.Args{"sales": got.Sales.Sum, "refunds": got.Refunds.Sum})}, nil
}

// post gives the answer; of a problem it gives the sentence.
func (c client) post(ctx context.Context, path string, body any, wait time.Duration, into any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, testWait+20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/v1/"+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept-Language", c.lang)
	if wait > 0 {
		r.Header.Set("Prefer", fmt.Sprintf("wait=%d", wait/time.Second))
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return fmt.Errorf("post a test receipt to the agent at %s: %w; does it run?", c.base, err)
	}
	defer answer.Body.Close()
	if data, err = io.ReadAll(io.LimitReader(answer.Body, 1<<20)); err != nil {
		return fmt.Errorf("read what became of the test receipt: %w", err)
	}
	if answer.StatusCode/100 != 2 {
		var problem struct {
			Detail string `json:"detail"`
		}
		if err := json.Unmarshal(data, &problem); err != nil || problem.Detail == "" {
			return fmt.Errorf("post a test receipt to %s: it answers %s; is that the agent?", c.base, answer.Status)
		}
		return errors.New(problem.Detail)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read what became of the test receipt: %w", err)
	}
	return nil
}

// Base is where this machine reaches an agent that listens there.
func Base(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return "http://" + net.JoinHostPort("127.0.0.1", port)
	}
	return "http://" + listen
}
