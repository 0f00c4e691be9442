package till_test

import (
	"net/http"
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
		`{"verdict":"guess","who":" ","why":"x"}`:                             "verdict not_allowed who required",
		`{"verdict":"was_made","who":"a","why":"b"}`:                          "document required",
		`{"verdict":"was_made","who":"a","why":"b","document":{}}`:            "document.fiscal_id required",
		`{"verdict":"send","who":"a","why":"b","document":{"fiscal_id":"x"}}`: "document misplaced",
		`{"verdict":"send","who":1,"why":"b"}`:                                "who wrong_type",
		`{"verdict":"send","who":"a","why":"b","when":"now"}`:                 "when unknown_field",
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
