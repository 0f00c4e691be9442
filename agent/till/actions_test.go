package till_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

func TestActionsAreAllowedByState(t *testing.T) {
	person := `{"who":"Rəşad","why":"looked"}`
	for _, c := range []struct {
		action, body string
		state        receipt.State
		status       int
		becomes      string
	}{
		{"retry", "", receipt.Refused, 200, "waiting"},
		{"retry", person, receipt.Refused, 200, "waiting"},
		{"retry", "", receipt.Waiting, 409, ""},
		{"retry", "", receipt.Fiscal, 409, ""},
		{"withdraw", "", receipt.Waiting, 200, "withdrawn"},
		{"withdraw", "", receipt.Refused, 200, "withdrawn"},
		{"withdraw", person, receipt.Held, 200, "withdrawn"},
		{"withdraw", "", receipt.Held, 422, ""},
		{"withdraw", person, receipt.Sending, 409, ""},
		{"withdraw", person, receipt.Checking, 409, ""},
		{"withdraw", person, receipt.Fiscal, 409, ""},
		{"fiscalise", "", receipt.NonFiscal, 200, "waiting"},
		{"fiscalise", "", receipt.Withdrawn, 409, ""},
		{"reprint", "", receipt.Fiscal, 200, "fiscal"},
		{"reprint", "", receipt.Checking, 409, ""},
		{"resolve", `{"verdict":"send","who":"Rəşad","why":"not on the tape"}`, receipt.Held, 200, "waiting"},
		{"resolve", `{"verdict":"withdraw","who":"Rəşad","why":"guest left"}`, receipt.Held, 200, "withdrawn"},
		{"resolve", `{"verdict":"was_made","who":"Rəşad","why":"paper is here","document":{"fiscal_id":"BqZ5C1vTk9pX","number":"20"}}`, receipt.Held, 200, "fiscal"},
		{"resolve", `{"verdict":"was_made","who":"Rəşad","why":"paper is here","document":{"fiscal_id":"TAKEN"}}`, receipt.Held, 409, ""},
		{"resolve", `{"verdict":"send","who":"Rəşad","why":"x"}`, receipt.Waiting, 409, ""},
	} {
		t.Run(c.action+" "+string(c.state), func(t *testing.T) {
			s := newShop(t)
			s.Post("/v1/receipts", sale("a-1")).Want(http.StatusAccepted)
			s.journal.set("till-1", "a-1", func(x *receipt.Stored) {
				if x.State = c.state; c.state == receipt.Fiscal {
					x.Document = document()
				}
			})
			a := s.Post("/v1/receipts/a-1/"+c.action, c.body).Want(c.status)
			if c.becomes != "" && a.Field("state") != c.becomes {
				t.Errorf("became %q, want %q", a.Field("state"), c.becomes)
			}
			if now := s.Get("/v1/receipts/a-1"); c.becomes == "" && now.Field("state") != string(c.state) {
				t.Errorf("a refused action changed the state to %s", now.Field("state"))
			}
			s.Post("/v1/receipts/none/"+c.action, c.body).Want(http.StatusNotFound)
		})
	}
}

func TestARefusedActionSaysWhichStatesAllowIt(t *testing.T) {
	s := newShop(t)
	s.Post("/v1/receipts", sale("a-1")).Want(http.StatusAccepted)
	s.journal.set("till-1", "a-1", func(x *receipt.Stored) { x.State = receipt.Checking })
	a := s.Post("/v1/receipts/a-1/withdraw", "").Want(http.StatusConflict)
	want := "The receipt is now: being checked. This is possible only when it is: waiting (waiting), refused (refused), awaits a decision (held)."
	if a.Field("detail") != want {
		t.Errorf("detail %q, want %q", a.Field("detail"), want)
	}
}

func TestADecisionNamesEveryFault(t *testing.T) {
	s := newShop(t)
	for body, fields := range map[string]string{
		``:                     " not_json",
		`[]`:                   " not_json",
		`{"verdict":"send"} x`: " not_json",
		`{}`:                   "verdict required who required why required",
		`{"verdict":"guess","who":" ","why":"x"}`:                                                 "verdict not_allowed who required",
		`{"verdict":"was_made","who":"a","why":"b"}`:                                              "document required",
		`{"verdict":"was_made","who":"a","why":"b","document":{}}`:                                "document.fiscal_id required",
		`{"verdict":"send","who":"a","why":"b","document":{"fiscal_id":"x"}}`:                     "document misplaced",
		`{"verdict":"send","who":1,"why":"b"}`:                                                    "who wrong_type",
		`{"verdict":"send","who":"a","why":"b","when":"now"}`:                                     "when unknown_field",
		`{"verdict":"send","WHO":"a","who":"b","why":"c"}`:                                        "WHO unknown_field",
		`{"verdict":"send","who":"a","who":"b","why":"c"}`:                                        "who duplicate_field",
		`{"verdict":"was_made","who":"a","why":"b","document":{"fiscal_id":"x","fiscal_id":"y"}}`: "fiscal_id duplicate_field",
	} {
		a := s.Post("/v1/receipts/a-1/resolve", body).Want(http.StatusUnprocessableEntity)
		var p struct {
			Errors []struct{ Field, Code string }
		}
		a.JSON(&p)
		got := ""
		for n, e := range p.Errors {
			if n > 0 {
				got += " "
			}
			got += e.Field + " " + e.Code
		}
		if got != fields {
			t.Errorf("%s: %s, want %s", body, got, fields)
		}
	}
}

func TestAReprintPrintsAndSaysWhatTheRegisterSaid(t *testing.T) {
	s := newShop(t)
	s.Post("/v1/receipts", sale("a-1")).Want(http.StatusAccepted)
	s.journal.set("till-1", "a-1", makeFiscal)
	s.Post("/v1/receipts/a-1/reprint", "").Want(http.StatusOK)
	if len(s.desk.reprinted) != 1 || s.desk.reprinted[0] != "a-1" {
		t.Errorf("reprinted %v", s.desk.reprinted)
	}
	s.desk.err = register.ErrNoRegister
	s.Post("/v1/receipts/a-1/reprint", "").Want(http.StatusConflict)
}

func TestFiscaliseWaitsForTheDocument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		s.settings.Module.AutoSend = false
		s.Post("/v1/receipts", sale("a-1")).Want(http.StatusAccepted)
		later(time.Second, func() { s.journal.set("till-1", "a-1", makeFiscal) })
		if a := s.Post("/v1/receipts/a-1/fiscalise", "", "Prefer: wait=5").Want(http.StatusOK); a.Field("state") != "fiscal" {
			t.Errorf("answer: %s", a.Body)
		}
	})
}

// FuzzActions holds that any body of a person's action gets an answer that the
// document allows, and that a held receipt only moves where a person has said who
// and why.
func FuzzActions(f *testing.F) {
	actions := []string{"receipts/a-1/resolve", "receipts/a-1/withdraw", "receipts/a-1/retry", "receipts/a-1/fiscalise", "receipts/a-1/reprint",
		"shift/open", "shift/close", "shift/x-report", "period-report"}
	for _, body := range []string{
		"", "{}", "null", "[]", `{"who":"Rəşad","why":"looked"}`, `{"verdict":"send","who":"Rəşad","why":"x"}`, `{"cashier":"Aysel","now":true}`,
		`{"verdict":"was_made","who":"R","why":"x","document":{"fiscal_id":"BqZ5C1vTk9pX","number":"20"}}`, `{"who":"a","WHO":"b"}`, `{"who":1}`, "{\"who\":\"\xff\"}",
	} {
		for n := range actions {
			f.Add(byte(n), []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, which byte, body []byte) {
		s := newShop(t)
		s.Post("/v1/receipts", sale("a-1")).Want(http.StatusAccepted)
		s.journal.set("till-1", "a-1", func(x *receipt.Stored) { x.State = receipt.Held })
		path := "/v1/" + actions[int(which)%len(actions)]
		if body = bytes.TrimSpace(body); len(body) == 0 { // blanks are no body, whatever the document's reader says
			body = nil
		}
		r := s.Request(http.MethodPost, path, string(body))
		if len(body) == 0 {
			r.Header.Set("Content-Type", "application/json")
		}
		a := s.Do(r)
		switch a.Status {
		case http.StatusOK, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge:
		default:
			t.Errorf("%s %q: status %d", path, body, a.Status)
		}
		now, err := s.journal.Get("till-1", "a-1")
		if err != nil {
			t.Fatal(err)
		}
		if now.State != receipt.Held && (a.Status != http.StatusOK || !strings.Contains(string(body), "who") && !strings.Contains(string(body), `\u00`)) {
			t.Errorf("%s %q: status %d, and it is %s", path, body, a.Status, now.State)
		}
	})
}

func TestADecisionHasItsBounds(t *testing.T) {
	s := newShop(t)
	s.Post("/v1/receipts", sale("a-1")).Want(http.StatusAccepted)
	s.journal.set("till-1", "a-1", func(x *receipt.Stored) { x.State = receipt.Held })
	for body, status := range map[string]int{
		`{"verdict":"send","who":` + strings.Repeat(`[`, 9000) + strings.Repeat(`]`, 9000) + `,"why":"x"}`: http.StatusUnprocessableEntity,
		strings.Repeat(`{"who":`, 100_000):                                        http.StatusUnprocessableEntity,
		`{"verdict":"send","who":"` + strings.Repeat("ə", 257) + `","why":"x"}`:   http.StatusUnprocessableEntity,
		`{"verdict":"send","who":"x","why":"` + strings.Repeat("x", 1<<20) + `"}`: http.StatusRequestEntityTooLarge,
	} {
		s.Post("/v1/receipts/a-1/resolve", body).Want(status)
	}
	if now, err := s.journal.Get("till-1", "a-1"); err != nil || now.State != receipt.Held {
		t.Errorf("%+v, %v", now, err)
	}
}
