package frontdoor_test

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // the protocol's
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ekassa/agent/frontdoor"
	"ekassa/agent/journal"
	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

const secret = "00112233445566778899aabbccddeeff"

// desk is a register that does nothing but stand there: what it would make of a
// receipt, the test writes into the journal.
type desk struct{ link register.Link }

func (desk) Active(string) (string, bool) { return "kassa-1", true }
func (d desk) Registers(string) []register.Status {
	return []register.Status{{ID: "kassa-1", Link: d.link}}
}
func (desk) Check(context.Context, string, string) (register.Status, error) {
	return register.Status{}, &register.Fault{Cause: register.Unreachable}
}
func (desk) Shift(context.Context, string) (register.Shift, error) {
	return register.Shift{}, &register.Fault{Cause: register.Unreachable}
}
func (d desk) OpenShift(ctx context.Context, t, _ string) (register.Shift, error) {
	return d.Shift(ctx, t)
}
func (desk) CloseShift(context.Context, string, string) (register.Report, error) {
	return register.Report{}, &register.Fault{Cause: register.Unreachable}
}
func (desk) XReport(context.Context, string) (register.Report, error) {
	return register.Report{}, &register.Fault{Cause: register.Other, Code: "7", Text: "no cash"}
}
func (desk) Period(context.Context, string, time.Time, time.Time) (register.Report, error) {
	return register.Report{}, &register.Fault{Cause: register.Unreachable}
}
func (desk) Reprint(context.Context, string, string) error {
	return &register.Fault{Cause: register.Paper}
}

type shop struct {
	*testing.T
	*journal.Journal
	url   string
	log   bytes.Buffer
	mu    sync.Mutex
	off   bool
	waits chan struct{} // one for each request that begins to wait
}

func (s *shop) Watch(terminal, id string) (<-chan struct{}, func()) {
	defer func() { s.waits <- struct{}{} }()
	return s.Journal.Watch(terminal, id)
}

func (s *shop) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

func newShop(t *testing.T, link register.Link) *shop {
	t.Helper()
	j, err := journal.Open(filepath.Join(t.TempDir(), "data"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &shop{T: t, Journal: j, waits: make(chan struct{}, 100)}
	server := httptest.NewServer(frontdoor.AzSmart(frontdoor.Config{
		Terminal: "till-1", Journal: s, Desk: desk{link}, Log: slog.New(slog.NewTextHandler(s, nil)),
		Shop: func() frontdoor.Shop {
			return frontdoor.Shop{MerchantID: secret, Enabled: !s.off, Zone: time.UTC, Language: "en", Tax: receipt.Tax{Type: receipt.VAT18}}
		},
	}))
	t.Cleanup(func() {
		server.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the Merchant ID is in the log:\n%s", s.log.String())
		}
	})
	s.url = server.URL
	return s
}

type said struct {
	Status     string `json:"status"`
	Code       int    `json:"code"`
	Message    string `json:"message"`
	DocumentID int64  `json:"documentID"`
	DocStatus  int    `json:"docStatus"`
	FiscalID   string `json:"fiscalID"`
	PrintError int    `json:"printError"`
	raw        string
}

func form(text string) string {
	data := base64.StdEncoding.EncodeToString([]byte(text))
	sum := sha1.Sum([]byte(data + secret)) //nolint:gosec // the protocol's
	sign := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%x", sum))
	return "data=" + url.QueryEscape(data) + "&sign=" + url.QueryEscape(sign)
}

func (s *shop) post(route, text string) (a said) {
	s.Helper()
	response, err := http.Post(s.url+route, "application/x-www-form-urlencoded", strings.NewReader(form(text)))
	if err != nil {
		s.Error(err)
		return a
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil {
		a.raw = string(body)
		err = json.Unmarshal(body, &a)
	}
	if err != nil || response.StatusCode != http.StatusOK {
		s.Errorf("%s: %d %q, %v", route, response.StatusCode, body, err)
	}
	return a
}

func (s *shop) want(a said, status string, code, docStatus int) said {
	s.Helper()
	if a.Status != status || a.Code != code || a.DocStatus != docStatus {
		s.Errorf("want %s %d, docStatus %d: %s", status, code, docStatus, a.raw)
	}
	return a
}

func sale(key string) string {
	return `{"documentExtID":"` + key + `","amount":850,"items":[{"itemId":"7","itemName":"Çörək","itemQty":1000,"itemAmount":850}],"payments":{"cashAmount":1000}}`
}

// becomes writes what a register made of the receipt.
func (s *shop) becomes(id string, list ...register.Conclusion) {
	s.Helper()
	x, err := s.Get("till-1", id)
	if err != nil {
		s.Fatal(err)
	}
	a := register.Attempt{Seq: x.Seq, Number: x.Attempts + 1, Register: "kassa-1", Baseline: register.Baseline{Serial: "AZ-1"}, Request: register.Request{Route: "sale", Key: x.Key}, At: time.Now()}
	if err := s.Begin(a); err != nil {
		s.Fatal(err)
	}
	for _, c := range list {
		if err := s.Conclude(a, c); err != nil {
			s.Fatal(err)
		}
	}
}

var (
	refused = register.Conclusion{State: receipt.Refused, Proof: register.ProofRefused, Text: "no",
		Reason: receipt.Reason{Code: register.WhyRefused, Detail: "refused 18: no such line"}}
	unclear = register.Conclusion{State: receipt.Checking, Proof: register.ProofUnclear, Text: "?"}
	held    = register.Conclusion{State: receipt.Held, Proof: register.ProofUnclear, Text: "?", Reason: receipt.Reason{Code: register.WhyCannotTell}}
	made    = register.Conclusion{State: receipt.Fiscal, Proof: register.ProofMade, Text: "made",
		Document: &receipt.Document{FiscalID: "AbC123dEf456GhI", ShortID: "AbC123dEf456", Number: "20", RegisterSerial: "AZ-1", At: time.Now()}}
)

func (s *shop) kept() (states []receipt.State) {
	s.Helper()
	list, err := s.List(receipt.Filter{Terminal: "till-1"})
	if err != nil {
		s.Fatal(err)
	}
	for _, r := range list {
		states = append([]receipt.State{r.State}, states...)
	}
	return states
}

func (s *shop) keeps(want ...receipt.State) {
	s.Helper()
	if got := s.kept(); fmt.Sprint(got) != fmt.Sprint(want) {
		s.Errorf("the journal has %v, want %v", got, want)
	}
}

func TestDoor_WhatAPersonTookBackStaysSo(t *testing.T) {
	s := newShop(t, register.LinkDown)
	first := s.want(s.post("/sale", sale("a")), "success", 0, 0)
	s.want(s.post("/check_status", `{"documentExtID":"a"}`), "success", 0, 0)
	if _, err := s.Withdraw("till-1", "ext:a", "Leyla", "rung up by hand"); err != nil {
		t.Fatal(err)
	}
	s.want(s.post("/check_status", `{"documentExtID":"a"}`), "error", 9, 0)
	s.want(s.post("/check_status", fmt.Sprintf(`{"documentID":%d}`, first.DocumentID)), "success", 0, -1) // asked the older way
	s.want(s.post("/sale", sale("a")), "error", 10, 0)
	s.keeps(receipt.Withdrawn)
}

// A receipt that cannot be referred to is named by the field that the till wrote.
func TestDoor_TheParentIsNamedAsTheTillDid(t *testing.T) {
	s := newShop(t, register.LinkDown)
	first := s.post("/sale", sale("a"))
	if _, err := s.Withdraw("till-1", "ext:a", "Leyla", "rung up by hand"); err != nil {
		t.Fatal(err)
	}
	refund := fmt.Sprintf(`{"documentExtID":"b","parentDocID":%d,%s`, first.DocumentID, strings.TrimPrefix(sale("b"), `{"documentExtID":"b",`))
	refund = strings.Replace(refund, "1000}", "850}", 1)
	for route, c := range map[string]struct{ text, field string }{
		"/refund":    {refund, "parentDocID: "},
		"/rollback":  {fmt.Sprintf(`{"documentID":%d}`, first.DocumentID), "documentID: "},
		"/creditpay": {strings.Replace(refund, "parentDocID", "documentID", 1), "documentID: "},
		"/sale":      {strings.NewReplacer("parentDocID", "prepayDocID", "cashAmount", "prepaymentAmount").Replace(refund), "prepayDocID: "},
	} {
		if a := s.want(s.post(route, c.text), "error", 9, 0); !strings.HasPrefix(a.Message, c.field) {
			t.Errorf("%s does not begin with %s: %s", route, c.field, a.raw)
		}
	}
	s.keeps(receipt.Withdrawn)
}

func TestDoor_WhatOnlyAPersonKnowsIsNotClosed(t *testing.T) {
	s := newShop(t, register.LinkDown)
	s.post("/sale", sale("a"))
	s.becomes("ext:a", unclear, held)
	s.want(s.post("/sale", sale("a")), "success", 0, 0)
	s.want(s.post("/check_status", `{"documentExtID":"a"}`), "success", 0, 0)
	s.keeps(receipt.Held)
}

// A register that refuses what the till was told yes for: whoever asks hears
// that it is not closed, so that the staff's mending cannot make a second; a till
// that repeats it is told no, and may try anew.
func TestDoor_ALateRefusal(t *testing.T) {
	s := newShop(t, register.LinkDown)
	s.want(s.post("/sale", sale("a")), "success", 0, 0)
	s.becomes("ext:a", refused)
	if a := s.want(s.post("/check_status", `{"documentExtID":"a"}`), "success", 0, 0); !strings.Contains(a.Message, "no such line") {
		t.Errorf("the register's words are lost: %s", a.raw)
	}
	s.keeps(receipt.Refused)
	s.want(s.post("/sale", sale("a")), "error", 18, 0)
	s.keeps(receipt.Withdrawn)
	s.want(s.post("/check_status", `{"documentExtID":"a"}`), "error", 9, 0)
	s.want(s.post("/sale", sale("a")), "success", 0, 0)
	s.want(s.post("/sale", sale("a")), "success", 0, 0)
	s.keeps(receipt.Withdrawn, receipt.Waiting)
	s.becomes("ext:a:2", made)
	s.want(s.post("/sale", sale("a")), "success", 0, 1)
	s.want(s.post("/check_status", `{"documentExtID":"a"}`), "success", 0, 1)
	s.keeps(receipt.Withdrawn, receipt.Fiscal)
}

// A till that repeats while its first request still waits: both hear the same,
// and there is one receipt.
func TestDoor_TwoWaitForOne(t *testing.T) {
	for name, c := range map[string]struct {
		becomes register.Conclusion
		status  string
		state   receipt.State
	}{"made": {made, "success", receipt.Fiscal}, "refused": {refused, "error", receipt.Withdrawn}} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t, register.LinkReady)
			answers := make(chan said, 2)
			for range 2 {
				go func() { answers <- s.post("/sale", sale("a")) }()
			}
			<-s.waits
			<-s.waits
			s.becomes("ext:a", c.becomes)
			for range 2 {
				if a := <-answers; a.Status != c.status {
					t.Errorf("%s", a.raw)
				}
			}
			s.keeps(c.state)
		})
	}
}

func TestDoor_NoPaperIsFiscalAllTheSame(t *testing.T) {
	s := newShop(t, register.LinkDown)
	s.post("/sale", sale("a"))
	s.becomes("ext:a", made)
	if a := s.want(s.post("/sale", sale("a")), "success", 0, 1); a.PrintError == 0 || a.FiscalID != made.Document.FiscalID {
		t.Errorf("%s", a.raw)
	}
	s.want(s.post("/check_copy", `{"documentID":"AbC123dEf456GhI"}`), "error", 15, 0)
	s.want(s.post("/sale", `{"fiscalID":"AbC123dEf456GhI"}`), "error", 15, 0) // a copy, and no sale
	s.want(s.post("/sale", `{"fiscalID":"another"}`), "error", 9, 0)
	s.want(s.post("/refund", `{"fiscalID":"AbC123dEf456GhI"}`), "error", 3, 0)
	s.keeps(receipt.Fiscal)
}

func TestDoor_AModuleThatIsOffTakesNothingNew(t *testing.T) {
	s := newShop(t, register.LinkDown)
	s.post("/sale", sale("a"))
	s.off = true
	s.want(s.post("/sale", sale("a")), "success", 0, 0)
	s.want(s.post("/sale", sale("b")), "error", 5, 0)
	s.keeps(receipt.Waiting)
}

func TestDoor_AnErrorWhereTheJournalFails(t *testing.T) {
	s := newShop(t, register.LinkDown)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.want(s.post("/sale", sale("a")), "error", 5, 0)
	s.want(s.post("/check_status", `{"documentExtID":"a"}`), "error", 5, 0)
}

func TestDoor_TheRegistersOwnCode(t *testing.T) {
	s := newShop(t, register.LinkDown)
	s.want(s.post("/x_report", `{}`), "error", 7, 0)
	s.want(s.post("/check_shift", `{}`), "error", 5, 0) // never seen
	s.want(s.post("/get_info", `{"employeeName":null}`), "error", 5, 0)
}

func TestDoor_WhatIsNoRequest(t *testing.T) {
	s := newShop(t, register.LinkDown)
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{http.MethodGet, "/sale", "", http.StatusMethodNotAllowed},
		{http.MethodPost, "/", form(`{}`), http.StatusNotFound},
		{http.MethodPost, "/order", form(`{}`), http.StatusNotFound},
		{http.MethodPost, "/sale", strings.Repeat("x", 2<<20), http.StatusRequestEntityTooLarge},
	} {
		request, err := http.NewRequest(c.method, s.url+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		var a said
		err = json.NewDecoder(response.Body).Decode(&a)
		response.Body.Close()
		if err != nil || response.StatusCode != c.status || a.Status != "error" || a.Code == 0 {
			t.Errorf("%s %s: %d %+v, %v", c.method, c.path, response.StatusCode, a, err)
		}
	}
	s.keeps()
}
