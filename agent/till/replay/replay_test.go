package replay_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ekassa/agent/till/replay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// agent is a fake one: it stores by id, and answers as its script says.
type agent struct {
	mu      sync.Mutex
	stored  map[string]string // id to body
	posts   []string          // ids in the order they came
	prefers []string
	script  []func(w http.ResponseWriter) bool // one for each post; true: it has answered
	state   func(id string) string             // nil: fiscal
}

func (a *agent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer secret" {
		http.Error(w, `{"detail":"no such token"}`, http.StatusUnauthorized)
		return
	}
	id := strings.TrimPrefix(r.URL.Path, "/v1/receipts/")
	if r.Method == http.MethodPost {
		body, _ := io.ReadAll(r.Body)
		var x struct {
			ID     string
			Parent struct{ ID string }
		}
		if err := json.Unmarshal(body, &x); err != nil {
			panic(err)
		}
		id = x.ID
		a.posts = append(a.posts, id)
		a.prefers = append(a.prefers, r.Header.Get("Prefer"))
		if x.Parent.ID != "" && a.stored[x.Parent.ID] == "" {
			w.WriteHeader(http.StatusUnprocessableEntity)
			fmt.Fprint(w, `{"detail":"invalid","errors":[{"field":"parent.id","message":"unknown"}]}`)
			return
		}
		if old := a.stored[id]; old != "" && old != string(body) {
			w.WriteHeader(http.StatusConflict)
			return
		}
		a.stored[id] = string(body)
		if len(a.script) > 0 {
			f := a.script[0]
			a.script = a.script[1:]
			if f != nil && f(w) {
				return
			}
		}
	}
	state := "fiscal"
	if a.state != nil {
		state = a.state(id)
	}
	fmt.Fprintf(w, `{"id":%q,"state":%q,"document":{"fiscal_id":"F-%s"}}`, id, state, id)
}

func start(t *testing.T, a *agent) *replay.Till {
	a.stored = map[string]string{}
	srv := httptest.NewServer(a)
	t.Cleanup(srv.Close)
	return &replay.Till{Agent: srv.URL, Token: "secret", Wait: 5 * time.Second, Client: srv.Client()}
}

func read(t *testing.T, text string, want replay.Selection) []replay.Receipt {
	t.Helper()
	list, err := replay.Read(strings.NewReader(text), want)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

const evening = `{"id":"a1","kind":"sale","time":"2026-11-20T19:00:00+04:00","items":[{"price":8.10}]}
{"id":"a2","kind":"sale","time":"2026-11-21T04:59:59+04:00"}
{"id":"a3","kind":"refund","time":"2026-11-21T04:59:59+04:00","parent":{"id":"a1"}}

{"id":"a4","kind":"sale","time":"2026-11-21T05:00:00+04:00"}
{"id":"a5","kind":"refund","time":"2026-11-21T11:00:00+04:00","parent":{"fiscal_id":"XYZ","number":"7"}}
`

func TestRead_SelectsTheBusinessDayAndRenames(t *testing.T) {
	list := read(t, evening, replay.Selection{Day: "2026-11-20", Prefix: "x-"})
	if len(list) != 3 || list[0].ID != "x-a1" || list[2].Parent != "x-a1" {
		t.Fatalf("%+v", list)
	}
	if got := string(list[0].Body); !strings.Contains(got, `"id":"x-a1"`) || !strings.Contains(got, `"price":8.10`) {
		t.Errorf("renamed, and the amount untouched: %s", got)
	}
	if got := string(list[2].Body); !strings.Contains(got, `"parent":{"id":"x-a1"}`) {
		t.Errorf("the parent is renamed alike: %s", got)
	}
	list = read(t, evening, replay.Selection{Prefix: "x-"})
	if got := string(list[4].Body); list[4].Parent != "" || !strings.Contains(got, `"fiscal_id":"XYZ"`) {
		t.Errorf("a parent by its fiscal id stays: %s", got)
	}
	if list = read(t, evening, replay.Selection{Limit: 2}); len(list) != 2 {
		t.Errorf("limit: %d", len(list))
	}
}

func TestRead_TheTestWeek(t *testing.T) {
	f, err := os.Open("../../testdata/week.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list, err := replay.Read(f, replay.Selection{Day: "2026-11-20"})
	if err != nil || len(list) != 424 { // week-totals.json: 418 sales, 3 refunds, 3 cancels
		t.Errorf("%d receipts, %v", len(list), err)
	}
}

func TestRead_NamesWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"{":                                 "line 1: read a receipt: ",
		`{"id":"a"}`:                        "line 1: read a receipt's time",
		`{"time":"` + now + `"}`:            "line 1: read a receipt's id",
		"\n" + line(`"id":"ş"`):             "line 2: name a receipt",
		line(`"id":7`):                      "line 1: read a receipt's id",
		line(`"id":"a","parent":1`):         "line 1: read a receipt's parent",
		line(`"id":"a","parent":{"id":""}`): "line 1: parent: name a receipt",
	} {
		if _, err := replay.Read(strings.NewReader(text), replay.Selection{}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := replay.Read(strings.NewReader(""), replay.Selection{Day: "yesterday"}); err == nil {
		t.Error("a day that is none")
	}
}

const now = "2026-11-20T19:00:00+04:00"

func line(fields string) string { return `{"time":"` + now + `",` + fields + `}` }

func TestSell_RepeatsTheSameReceiptAfterALostAnswer(t *testing.T) {
	status := func(n int, after string) func(w http.ResponseWriter) bool {
		return func(w http.ResponseWriter) bool {
			w.Header().Set("Retry-After", after)
			w.WriteHeader(n)
			return true
		}
	}
	hangUp := func(http.ResponseWriter) bool { panic(http.ErrAbortHandler) }
	for name, script := range map[string][]func(http.ResponseWriter) bool{
		"connection closed": {hangUp},
		"500":               {status(500, "")},
		"507":               {status(507, "")},
		"429":               {status(429, "1")},
		"no JSON":           {func(w http.ResponseWriter) bool { _, _ = io.WriteString(w, "<html>"); return true }},
	} {
		t.Run(name, func(t *testing.T) {
			a := &agent{script: script}
			till := start(t, a)
			x := read(t, evening, replay.Selection{Limit: 1})[0]
			r := till.Sell(t.Context(), x)
			if r.Err != nil || r.Repeats != 1 || r.Answer.State != replay.Fiscal || r.Answer.Document.FiscalID != "F-a1" {
				t.Errorf("%+v", r)
			}
			if !slices.Equal(a.posts, []string{"a1", "a1"}) || a.stored["a1"] != string(x.Body) {
				t.Errorf("%v", a.posts)
			}
		})
	}
}

func TestSell_DoesNotRepeatANo(t *testing.T) {
	a := &agent{}
	till := start(t, a)
	list := read(t, evening, replay.Selection{})
	r := till.Sell(t.Context(), list[2]) // a refund of what is not there
	var no *replay.NoError
	if !errors.As(r.Err, &no) || no.Status != 422 || !strings.Contains(no.Detail, "parent.id: unknown") || len(a.posts) != 1 {
		t.Errorf("%v %v", r.Err, a.posts)
	}
	till.Token = "other"
	if r = till.Sell(t.Context(), list[0]); !errors.As(r.Err, &no) || no.Status != 401 {
		t.Errorf("%v", r.Err)
	}
}

func TestSell_GivesUpAndSaysToKeepIt(t *testing.T) {
	till := &replay.Till{Agent: "http://127.0.0.1:1", Persist: time.Millisecond}
	r := till.Sell(t.Context(), replay.Receipt{ID: "a"})
	if r.Err == nil || !strings.Contains(r.Err.Error(), "send it later with this id") {
		t.Errorf("%v", r.Err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r = (&replay.Till{Agent: "http://127.0.0.1:1"}).Sell(ctx, replay.Receipt{ID: "a"}); r.Err == nil {
		t.Error("told yes by nobody")
	}
}

func TestSell_TheNextGuestDoesNotWaitForTheSameTrouble(t *testing.T) {
	a := &agent{state: func(id string) string {
		if id == "a1" {
			return "waiting"
		}
		return "fiscal"
	}}
	till := start(t, a)
	till.Evening(t.Context(), read(t, evening, replay.Selection{Limit: 3}), 1, nil)
	if want := []string{"wait=5", "wait=1", "wait=5"}; !slices.Equal(a.prefers, want) {
		t.Errorf("%v, want %v", a.prefers, want)
	}
}

func TestEvening_KeepsTheOrderAndCounts(t *testing.T) {
	for _, parallel := range []int{0, 1, 8} {
		var text strings.Builder
		for i := range 50 {
			fmt.Fprintln(&text, line(fmt.Sprintf(`"id":"s%d"`, i)))
			fmt.Fprintln(&text, line(fmt.Sprintf(`"id":"r%d","parent":{"id":"s%d"}`, i, i)))
		}
		special := map[string]string{"s0": "refused", "s1": "held", "s2": "checking", "s3": "non_fiscal"}
		a := &agent{state: func(id string) string { return cmp.Or(special[id], "fiscal") }}
		till := start(t, a)
		list := read(t, text.String(), replay.Selection{})
		heard := 0
		results := till.Evening(t.Context(), list, parallel, func(replay.Result) { heard++ })
		for i, r := range results {
			if r.Err != nil || r.Answer.ID != list[i].ID {
				t.Errorf("%d: %+v", i, r)
			}
		}
		if parallel < 2 {
			for i, id := range a.posts {
				if id != list[i].ID {
					t.Errorf("post %d is %s, want %s", i, id, list[i].ID)
				}
			}
		}
		s := replay.Sum(results)
		if s.Told != 100 || s.Fiscal != 96 || s.Refused != 1 || s.Held != 1 || s.Waiting != 1 || s.Other != 1 || heard != 100 || s.Clean() {
			t.Errorf("%v", s)
		}
		if s.Fastest > s.Median || s.Median > s.Slowest || s.Fastest <= 0 {
			t.Errorf("%v", s)
		}
	}
}

func TestEvening_AnIdTwiceIsSoldOnce(t *testing.T) {
	a := &agent{}
	till := start(t, a)
	results := till.Evening(t.Context(), read(t, line(`"id":"a"`)+"\n"+line(`"id":"a"`), replay.Selection{}), 2, nil)
	if results[0].Err != nil || results[1].Err == nil || len(a.posts) != 1 {
		t.Errorf("%+v %v", results, a.posts)
	}
}

func TestEvening_EndsWithItsContext(t *testing.T) {
	a := &agent{}
	till := start(t, a)
	ctx, cancel := context.WithCancel(t.Context())
	results := till.Evening(ctx, read(t, evening, replay.Selection{}), 1, func(replay.Result) { cancel() })
	if s := replay.Sum(results); s.Told > 2 || s.Receipts != 5 || s.Clean() {
		t.Errorf("%v", s)
	}
}

func TestSettle_FollowsThoseOnTheirWay(t *testing.T) {
	asked := map[string]int{}
	a := &agent{state: func(id string) string {
		if asked[id]++; asked[id] < 3 {
			return "waiting"
		}
		return "fiscal"
	}}
	till := start(t, a)
	results := till.Evening(t.Context(), read(t, evening, replay.Selection{Limit: 2}), 1, nil)
	if s := replay.Sum(results); s.Waiting != 2 {
		t.Fatal(s)
	}
	till.Settle(t.Context(), results, 10*time.Second)
	if s := replay.Sum(results); s.Fiscal != 2 || !s.Clean() {
		t.Error(s)
	}
	a.mu.Lock()
	a.state = func(string) string { return "waiting" }
	a.mu.Unlock()
	results[0].Answer.State = replay.Waiting
	till.Settle(t.Context(), results, time.Millisecond)
	if s := replay.Sum(results); s.Waiting != 1 {
		t.Error(s)
	}
}
