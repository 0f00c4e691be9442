package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const day = "2026-11-20" // a full evening of agent/testdata/week.jsonl

// What the demo reads of the agent's and the simulated register's answers.
type (
	status struct {
		Register struct {
			Link     string `json:"link"`
			Address  string `json:"address"`
			Identity struct {
				Serial string `json:"serial"`
			} `json:"identity"`
		} `json:"register"`
		Message struct {
			Text string `json:"text"`
		} `json:"message"`
	}
	receipt struct {
		ID       string `json:"id"`
		Kind     string `json:"kind"`
		Total    string `json:"total"`
		State    string `json:"state"`
		Document struct {
			FiscalID string `json:"fiscal_id"`
			Number   string `json:"number"`
			URL      string `json:"url"`
		} `json:"document"`
	}
	document struct {
		FiscalID string `json:"fiscal_id"`
		Serial   string `json:"serial"`
		ByHand   bool   `json:"by_hand"`
		Client   struct {
			Key string `json:"key"`
		} `json:"client"`
	}
	registerState struct {
		Requests map[string]int `json:"requests"`
	}
)

// routes of the register that make documents, by the kinds of the evening.
var routes = map[string]string{"sale": "/sale", "refund": "/refund", "cancel": "/rollback"}

// sell gives what was sold, as the journal has it, the newest first.
func (s *show) sell(ctx context.Context) ([]receipt, error) {
	week := filepath.Join(s.root, "agent", "testdata", "week.jsonl")
	if s.once {
		return s.sellOne(ctx, week)
	}
	fmt.Printf("A till sells the evening of %s, one receipt after the other, and waits for each document:\n", day)
	args := []string{"till", "--agent", s.agentURL, "--receipts", week, "--day", day}
	if s.limit > 0 {
		args = append(args, "--limit", strconv.Itoa(s.limit))
	}
	till := exec.CommandContext(ctx, s.file("ekassa-sim"), args...)
	till.Env = append(os.Environ(), "EKASSA_TOKEN="+s.token)
	till.Stdout, till.Stderr = os.Stdout, os.Stderr
	till.Cancel = func() error { return till.Process.Signal(syscall.SIGTERM) }
	till.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := till.Run(); err != nil {
		return nil, fmt.Errorf("sell the evening: %w", err)
	}
	return s.journal(s.token)
}

// sellOne hands over one receipt and waits for its document.
func (s *show) sellOne(ctx context.Context, week string) ([]receipt, error) {
	body, err := firstLine(week)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	var told receipt
	code, err := s.post(ctx, "/v1/receipts", body, &told)
	if err != nil {
		return nil, err
	}
	if code != http.StatusCreated || told.State != "fiscal" {
		return nil, fmt.Errorf("sell one receipt: the answer was %d, state %q; 201 and fiscal were expected", code, told.State)
	}
	fmt.Printf("A till sold %s for %s AZN; the answer after %s was 201, fiscal.\n", told.ID, told.Total, time.Since(began).Round(time.Millisecond))
	var kept receipt
	if err := get(s.agentURL+"/v1/receipts/"+told.ID, s.token, &kept); err != nil {
		return nil, err
	}
	if kept != told {
		return nil, fmt.Errorf("read %s back from the journal: %+v, and the till was told %+v", told.ID, kept, told)
	}
	return []receipt{kept}, nil
}

func firstLine(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	line, err := bufio.NewReader(f).ReadBytes('\n')
	return bytes.TrimSpace(line), err
}

// post sends JSON to the agent as the till, and reads the answer.
func (s *show) post(ctx context.Context, path string, body []byte, into any) (code int, err error) {
	req, err := newRequest(ctx, s.agentURL+path, s.token, body)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Prefer", "wait=30")
	return answer(req, into)
}

func newRequest(ctx context.Context, address, token string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("Content-Type", "application/json")
	return req, nil
}

// journal lists all that the agent has of a till, by its API.
func (s *show) journal(token string) (list []receipt, err error) {
	for cursor := ""; ; {
		var page struct {
			Receipts []receipt `json:"receipts"`
			Next     string    `json:"next"`
		}
		if err := get(s.agentURL+"/v1/receipts?limit=200&cursor="+cursor, token, &page); err != nil {
			return nil, err
		}
		list = append(list, page.Receipts...)
		if cursor = page.Next; cursor == "" {
			return list, nil
		}
	}
}

// check compares what the journal has with what the register has: its ledger is
// the truth.
func (s *show) check(ctx context.Context, sold []receipt) error {
	fmt.Println()
	if len(sold) == 0 {
		return errors.New("nothing was sold")
	}
	ledger, err := s.ledger()
	if err != nil {
		return err
	}
	made, keys := map[string]bool{}, map[string]bool{}
	for _, d := range ledger {
		// A cancel has no key: the register allows one for each document.
		if d.ByHand || d.Serial != s.serial || keys[d.Client.Key] || made[d.FiscalID] {
			return fmt.Errorf("the register's document %s is not the agent's, or is there twice", d.FiscalID)
		}
		made[d.FiscalID], keys[d.Client.Key] = true, d.Client.Key != ""
	}
	kinds := map[string]int{}
	for _, r := range sold {
		if r.State != "fiscal" || !made[r.Document.FiscalID] {
			return fmt.Errorf("receipt %s is %s with fiscal id %q, which the register does not have", r.ID, r.State, r.Document.FiscalID)
		}
		delete(made, r.Document.FiscalID)
		kinds[r.Kind]++
	}
	if len(made) > 0 {
		return fmt.Errorf("the register made %d documents that the journal does not know", len(made))
	}
	passed("fiscal in the journal: %d; documents in the register's ledger: %d; their fiscal ids are the same", len(sold), len(ledger))
	if err := s.checkRequests(kinds); err != nil {
		return err
	}
	if !s.once && s.limit == 0 {
		if err := s.checkTotals(ctx); err != nil {
			return err
		}
	}
	if err := s.checkSignature(len(ledger)); err != nil {
		return err
	}
	if err := s.checkRepeat(ctx, len(ledger)); err != nil {
		return err
	}
	return s.paper(sold[0])
}

func (s *show) ledger() (list []document, err error) {
	return list, get(s.registerURL+"/sim/ledger", "", &list)
}

// checkRequests: a receipt that went out twice would be counted twice, whatever
// came of it.
func (s *show) checkRequests(kinds map[string]int) error {
	var state registerState
	if err := get(s.registerURL+"/sim/state", "", &state); err != nil {
		return err
	}
	var counted []string
	for _, kind := range []string{"sale", "refund", "cancel"} {
		n := state.Requests[routes[kind]]
		if n != kinds[kind] {
			return fmt.Errorf("the register counted %d requests to %s for %d receipts", n, routes[kind], kinds[kind])
		}
		if n > 0 {
			counted = append(counted, fmt.Sprintf("%d to %s", n, routes[kind]))
		}
	}
	passed("sent over HTTP, each once; requests that the register counted: %s", strings.Join(counted, ", "))
	return nil
}

// checkSignature sends a sale that is not signed with the Merchant ID.
func (s *show) checkSignature(before int) error {
	resp, err := client.PostForm(s.registerURL+"/sale", url.Values{"data": {"e30="}, "sign": {"bm90IG91cnM="}})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	ledger, err := s.ledger()
	if err != nil {
		return err
	}
	if len(ledger) != before || bytes.Contains(body, []byte("fiscalID")) {
		return fmt.Errorf("the register took a request that was not signed: %s", body)
	}
	passed("the agent's requests are signed: the register refuses one that is not")
	return nil
}

// checkRepeat is a till that never got the answer.
func (s *show) checkRepeat(ctx context.Context, before int) error {
	week := filepath.Join(s.root, "agent", "testdata", "week.jsonl")
	body, err := firstLine(week)
	if err != nil {
		return err
	}
	if !s.once { // the evening begins elsewhere in the file
		if code, err := s.post(ctx, "/v1/receipts", body, nil); err != nil || code != http.StatusCreated {
			return fmt.Errorf("sell one more: %d %w", code, err)
		}
		before++
	}
	var told receipt
	code, err := s.post(ctx, "/v1/receipts", body, &told)
	if err != nil {
		return err
	}
	ledger, err := s.ledger()
	if err != nil {
		return err
	}
	if code != http.StatusOK || len(ledger) != before || told.Document.FiscalID != ledger[len(ledger)-1].FiscalID {
		return fmt.Errorf("send %s again: the answer was %d, and the register has %d documents instead of %d", told.ID, code, len(ledger), before)
	}
	passed("sent again with the same id: 200, the same fiscal id, and no second document")
	return nil
}

// checkTotals compares the register's X report with the sums that were worked out
// from the file by other means.
func (s *show) checkTotals(ctx context.Context) error {
	data, err := os.ReadFile(filepath.Join(s.root, "agent", "testdata", "week-totals.json"))
	if err != nil {
		return err
	}
	var want map[string]struct {
		Sales   int    `json:"sales"`
		SaleSum string `json:"sale_sum"`
		Refunds int    `json:"refunds"`
	}
	type sum struct {
		Count int    `json:"count"`
		Sum   string `json:"sum"`
	}
	var report struct {
		Sales   sum `json:"sales"`
		Refunds sum `json:"refunds"`
	}
	_, err = s.post(ctx, "/v1/shift/x-report", []byte("{}"), &report)
	if err := errors.Join(err, json.Unmarshal(data, &want)); err != nil {
		return err
	}
	w := want[day]
	if report.Sales.Count != w.Sales || report.Sales.Sum != w.SaleSum || report.Refunds.Count != w.Refunds {
		return fmt.Errorf("the X report says %+v; the evening was %+v", report, w)
	}
	passed("the register's X report has %d sales, %s AZN, as agent/testdata/week-totals.json", w.Sales, w.SaleSum)
	return nil
}

// paper shows the receipt as the register printed it.
func (s *show) paper(r receipt) error {
	resp, err := client.Get(s.registerURL + "/sim/paper/" + url.PathEscape(r.Document.FiscalID))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("show the paper of %s: %s %w", r.ID, resp.Status, err)
	}
	fmt.Printf("\nReceipt %s as the register printed it; the QR code holds %s\n\n", r.ID, r.Document.URL)
	for line := range strings.Lines(string(text)) {
		fmt.Println(onPaper(strings.TrimRight(line, "\n")))
	}
	return nil
}

// onPaper makes a line black on white where that can be shown, as a phone wants
// a QR code.
func onPaper(line string) string {
	if !colours {
		return "    " + line
	}
	const width = 52
	return "  \x1b[38;5;16;48;5;231m  " + line + strings.Repeat(" ", max(0, width-len([]rune(line)))) + "\x1b[0m"
}

var colours = func() bool {
	info, err := os.Stdout.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb" && os.Getenv("TERM") != "" && os.Getenv("NO_COLOR") == ""
}()

func passed(format string, args ...any) { fmt.Printf("✓ "+format+"\n", args...) }

// client goes to loopback, whatever proxy the environment names.
var client = &http.Client{Transport: &http.Transport{}, Timeout: 70 * time.Second}

// get reads JSON, or only whether the answer is good.
func get(address, token string, into any) error {
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	_, err = answer(req, into)
	return err
}

func answer(req *http.Request, into any) (code int, err error) {
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	if resp.StatusCode > 299 {
		return resp.StatusCode, fmt.Errorf("%s %s: %s: %.300s", req.Method, req.URL, resp.Status, body)
	}
	if into == nil {
		return resp.StatusCode, nil
	}
	return resp.StatusCode, json.Unmarshal(body, into)
}
