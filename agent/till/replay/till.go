// Package replay is a till in software. It sells the receipts of a file, and is
// an example of how a till behaves well towards the agent:
//
//   - The till gives each receipt its id, once, and keeps it. After a lost
//     answer it sends the same bytes again; it never makes a new id, because a
//     new id is a new receipt.
//   - 2xx is yes: the receipt is on the agent's disk and will reach the
//     register. The guest may go, whatever the state is.
//   - Other answers below 500 are no, and are no again when repeated; only 429
//     is not about the receipt: the till waits as long as Retry-After says.
//     Answers from 500 on, and none at all, say nothing certain: send it again.
//   - It waits for the fiscal document as long as a guest would. When one did
//     not come, the next guest is not made to wait for the same trouble.
//   - It never rings up again by hand what is waiting, sending or checking.
//   - A refund follows its sale: it is sent after the till heard yes to that.
//
// It imports nothing of the agent, as no till could.
package replay

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// The defaults of a Till.
const (
	DefaultWait    = 30 * time.Second
	DefaultPersist = 5 * time.Minute
)

// Pauses between repeats after no answer: the first, doubling to the most.
const (
	firstPause = 250 * time.Millisecond
	mostPause  = 5 * time.Second
)

// Till talks to one agent with one terminal's token.
type Till struct {
	Agent   string        // such as http://127.0.0.1:8787
	Token   string        // from ekassa-agent token add
	Wait    time.Duration // for a document, at most 60 s; below 1 s: do not wait
	Persist time.Duration // how long a lost answer is asked for again; 0 is DefaultPersist
	Client  *http.Client  // nil: one without proxy

	late atomic.Bool // the last receipt's document did not come in time
}

// State of a receipt, as the agent tells it.
type State string

// The states that a till tells apart. README.md has them all.
const (
	Fiscal   State = "fiscal"
	Waiting  State = "waiting"
	Sending  State = "sending"
	Checking State = "checking"
	Refused  State = "refused"
	Held     State = "held"
)

// Unsettled says whether the agent will go on with it by itself.
func (s State) Unsettled() bool { return s == Waiting || s == Sending || s == Checking }

// Answer is what a till reads of the agent's answer.
type Answer struct {
	ID       string `json:"id"`
	State    State  `json:"state"`
	Document struct {
		FiscalID string `json:"fiscal_id"`
	} `json:"document"`
	Reason struct {
		Code string `json:"code"`
		Text string `json:"text"`
	} `json:"reason"`
}

// Result is what became of one receipt.
type Result struct {
	Receipt Receipt
	Answer  Answer        // the zero value where the till was not told yes
	Err     error         // why it was not
	Took    time.Duration // from the first try until yes
	Repeats int           // how often it had to be sent again
}

// NoError is the agent's no: sending it again would not help.
type NoError struct {
	Status int
	Detail string
}

func (e *NoError) Error() string { return fmt.Sprintf("%d: %s", e.Status, e.Detail) }

// lost is an answer that never came or says nothing certain.
type lost struct {
	why   error
	after time.Duration // Retry-After; 0: not said
}

func (e *lost) Error() string { return e.why.Error() }

// Sell hands a receipt over, and again with the same id until there is an
// answer that can be relied on.
func (t *Till) Sell(ctx context.Context, x Receipt) Result {
	r := Result{Receipt: x}
	started, pause := time.Now(), firstPause
	for {
		wait := t.Wait
		if t.late.Load() {
			wait = min(wait, time.Second)
		}
		r.Answer, r.Err = t.call(ctx, http.MethodPost, "/v1/receipts", x.Body, wait)
		r.Took = time.Since(started)
		lost, again := r.Err.(*lost)
		if !again {
			t.late.Store(r.Err == nil && r.Answer.State.Unsettled())
			return r
		}
		if persist := cmp.Or(t.Persist, DefaultPersist); r.Took > persist || ctx.Err() != nil {
			r.Err = fmt.Errorf("no answer to rely on in %s, keep it and send it later with this id: %w", r.Took.Round(time.Millisecond), lost.why)
			return r
		}
		if !sleep(ctx, cmp.Or(lost.after, pause)) {
			continue // the context's end is told above
		}
		pause = min(2*pause, mostPause)
		r.Repeats++
	}
}

// Read asks what has become of a receipt.
func (t *Till) Read(ctx context.Context, id string) (Answer, error) {
	return t.call(ctx, http.MethodGet, "/v1/receipts/"+url.PathEscape(id), nil, 0)
}

// call asks once. Its error is a *NoError or a *lost.
func (t *Till) call(ctx context.Context, method, path string, body []byte, wait time.Duration) (a Answer, err error) {
	const patience = 10 * time.Second // beyond the wait that was asked for
	ctx, cancel := context.WithTimeout(ctx, wait+patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(t.Agent, "/")+path, bytes.NewReader(body))
	if err != nil {
		return a, &NoError{Detail: err.Error()}
	}
	req.Header.Set("Authorization", "Bearer "+t.Token)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	if seconds := int(wait / time.Second); seconds > 0 {
		req.Header.Set("Prefer", "wait="+strconv.Itoa(seconds))
	}
	client := t.Client
	if client == nil {
		client = direct
	}
	resp, err := client.Do(req)
	if err != nil {
		return a, &lost{why: err}
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxLine))
	switch s := resp.StatusCode; {
	case err != nil:
		return a, &lost{why: err}
	case s == http.StatusTooManyRequests || s >= 500:
		after, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return a, &lost{why: &NoError{s, detail(data)}, after: time.Duration(after) * time.Second}
	case s < 200 || s > 299:
		return a, &NoError{s, detail(data)}
	}
	if err := json.Unmarshal(data, &a); err != nil || a.State == "" {
		return Answer{}, &lost{why: fmt.Errorf("an answer without a state: %.80q", data)}
	}
	return a, nil
}

// direct goes to the agent, whatever proxy the environment names.
var direct = &http.Client{
	Transport:     &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// detail gives a problem's faults in one line (RFC 9457).
func detail(body []byte) string {
	var p struct {
		Detail string `json:"detail"`
		Errors []struct {
			Field   string `json:"field"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if json.Unmarshal(body, &p) != nil || p.Detail == "" {
		return fmt.Sprintf("%.120q", body)
	}
	for _, e := range p.Errors {
		if e.Field != "" {
			p.Detail += " [" + e.Field + ": " + e.Message + "]"
		}
	}
	return p.Detail
}

// sleep says whether the whole time went by.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
