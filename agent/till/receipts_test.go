package till_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

func TestANewReceiptIsStoredBeforeTheTillHearsYes(t *testing.T) {
	s := newShop(t)
	a := s.Post("/v1/receipts", sale("till1-000123")).Want(http.StatusAccepted)
	for path, want := range map[string]string{
		"id": "till1-000123", "terminal": "till-1", "register": "kassa-1", "kind": "sale", "total": "12.00", "change": "8.00",
		"state": "waiting", "ahead": "0", "attempts": "0", "reason": "", "document": "",
	} {
		if got := a.Field(path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	if got := a.Header.Get("Location"); got != "/v1/receipts/till1-000123" {
		t.Errorf("Location %q", got)
	}
	if got := a.Field("received_at"); !strings.HasSuffix(got, "+04:00") {
		t.Errorf("received_at %q is not in the shop's zone", got)
	}
	if s.journal.count() != 1 {
		t.Errorf("%d receipts in the journal", s.journal.count())
	}
	if again := s.Get(a.Header.Get("Location")).Want(http.StatusOK); again.Field("state") != "waiting" {
		t.Errorf("read back: %s", again.Body)
	}
}

func TestARepeatHearsThePresentState(t *testing.T) {
	s := newShop(t)
	s.Post("/v1/receipts", sale("a-1")).Want(http.StatusAccepted)
	s.journal.set("till-1", "a-1", makeFiscal)
	other := strings.ReplaceAll(strings.ReplaceAll(sale("a-1"), `"8.00"`, `8.000`), "\n", " ") // same meaning, other bytes
	a := s.Post("/v1/receipts", other).Want(http.StatusOK)
	for path, want := range map[string]string{
		"state": "fiscal", "document.fiscal_id": "BqZ5C1vTk9pXn6qW", "document.short_id": "BqZ5C1vTk9pX", "document.number": "20",
		"document.register_serial": "0123456789", "document.printed": "true", "document.at": "2026-11-23T19:05:14+04:00", "reason": "",
	} {
		if got := a.Field(path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	if s.journal.count() != 1 {
		t.Errorf("%d receipts in the journal", s.journal.count())
	}
}

func TestTheSameIDWithOtherContentIsAConflict(t *testing.T) {
	s := newShop(t)
	s.Post("/v1/receipts", sale("a-1")).Want(http.StatusAccepted)
	a := s.Post("/v1/receipts", strings.Replace(sale("a-1"), "Plov", "Dolma", 1)).Want(http.StatusConflict)
	if a.Field("errors.0.field") != "id" || a.Field("errors.0.code") != "conflict" {
		t.Errorf("answer: %s", a.Body)
	}
	if s.as("ek_two").Post("/v1/receipts", sale("a-1")).Want(http.StatusAccepted); s.journal.count() != 2 {
		t.Error("another till's receipt with the same id is another receipt")
	}
}

func TestEveryFaultIsNamedAndNothingIsStored(t *testing.T) {
	s := newShop(t)
	body := `{"id":"ə","kind":"sold","items":[{"quantity":"0","price":"1.234"}],"payments":{"cash":"-1"},"extra":1}`
	a := s.Post("/v1/receipts", body).Want(http.StatusUnprocessableEntity)
	var p struct {
		Errors []struct{ Field, Code, Message string }
	}
	a.JSON(&p)
	got := map[string]string{}
	for _, e := range p.Errors {
		got[e.Field] = e.Code
	}
	for field, code := range map[string]string{
		"id": "bad_pattern", "kind": "not_allowed", "time": "required", "items[0].name": "required", "items[0].quantity": "not_positive",
		"items[0].price": "too_precise", "payments.cash": "negative", "extra": "unknown_field",
	} {
		if got[field] != code {
			t.Errorf("%s: code %q, want %q", field, got[field], code)
		}
	}
	s.Post("/v1/receipts", `{`).Want(http.StatusUnprocessableEntity)
	s.journal.faults = receipt.Faults{{Field: "parent.id", Code: receipt.CodeParentState, Detail: "withdrawn"}}
	a = s.Post("/v1/receipts", sale("a-1"), "Accept-Language: ru").Want(http.StatusUnprocessableEntity)
	if want := "Исходный чек никогда не станет фискальным (состояние: отозван), на него нельзя ссылаться."; a.Field("errors.0.message") != want {
		t.Errorf("message %q, want %q", a.Field("errors.0.message"), want)
	}
	if s.journal.count() != 0 {
		t.Error("something was stored")
	}
}

func TestWhatAJournalCannotDoIsNeverAYes(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		status int
	}{
		{"disk full", fmt.Errorf("write: %w", receipt.ErrStorage), http.StatusInsufficientStorage},
		{"something else", errors.New("bug"), http.StatusInternalServerError},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newShop(t)
			s.journal.fail = c.err
			s.Post("/v1/receipts", sale("a-1"), "Prefer: wait=5").Want(c.status)
			s.Post("/v1/cash/deposit", `{"id":"c-1","amount":"1.00"}`).Want(c.status)
			s.Get("/v1/receipts").Want(c.status)
			s.Get("/v1/receipts/a-1").Want(c.status)
			s.Get("/v1/status").Want(c.status)
			s.Get("/v1/events").Want(c.status)
		})
	}
}

func TestTheSettingsAndTheTillDecideWhetherItIsFiscal(t *testing.T) {
	for _, c := range []struct {
		name     string
		autoSend bool
		said     string
		want     string
	}{
		{"the setting sends", true, "", "waiting"},
		{"the setting keeps", false, "", "non_fiscal"},
		{"the till keeps", true, `"fiscal":false,`, "non_fiscal"},
		{"the till sends", false, `"fiscal":true,`, "waiting"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newShop(t)
			s.settings.Module.AutoSend = c.autoSend
			a := s.Post("/v1/receipts", "{"+c.said+sale("a-1")[1:], "Prefer: wait=0").Want(http.StatusAccepted)
			if a.Field("state") != c.want {
				t.Errorf("state %q, want %q", a.Field("state"), c.want)
			}
			if c.want == "non_fiscal" && a.Field("reason.code") != "not_fiscal" {
				t.Errorf("reason %q", a.Field("reason.code"))
			}
		})
	}
}

func TestWhileTheModuleIsOffOnlyRepeatsAreAnswered(t *testing.T) {
	s := newShop(t)
	s.Post("/v1/receipts", sale("a-1")).Want(http.StatusAccepted)
	s.Post("/v1/cash/deposit", `{"id":"c-1","amount":"1.00"}`).Want(http.StatusAccepted)
	s.settings.Module.Enabled = false
	s.Post("/v1/receipts", sale("a-1")).Want(http.StatusOK)
	s.Post("/v1/cash/deposit", `{"id":"c-1","amount":"1.00"}`).Want(http.StatusOK)
	s.Post("/v1/receipts", strings.Replace(sale("a-1"), "Plov", "Dolma", 1)).Want(http.StatusConflict)
	for _, a := range []string{
		s.Post("/v1/receipts", sale("a-2")).Want(http.StatusForbidden).Field("errors.0.code"),
		s.Post("/v1/cash/withdraw", `{"id":"c-2","amount":"1.00"}`).Want(http.StatusForbidden).Field("errors.0.code"),
	} {
		if a != "module_off" {
			t.Errorf("code %q, want module_off", a)
		}
	}
	s.Get("/v1/receipts/a-1").Want(http.StatusOK)
	s.Get("/v1/status").Want(http.StatusOK)
	if s.journal.count() != 2 {
		t.Errorf("%d receipts in the journal, want 2", s.journal.count())
	}
}

func TestATillWithoutARegisterIsStillToldYes(t *testing.T) {
	s := newShop(t)
	for _, token := range []string{"ek_two", "ek_stray"} { // no register; not even in the settings
		a := s.as(token).Post("/v1/receipts", sale("a-1")).Want(http.StatusAccepted)
		if a.Field("register") != "" || a.Field("reason.code") != register.WhyNoRegister || a.Field("reason.text") == "" {
			t.Errorf("%s: %s", token, a.Body)
		}
		s.as(token).Get("/v1/receipts/a-1").Want(http.StatusOK)
	}
}

func TestATillSeesOnlyItsOwn(t *testing.T) {
	s := newShop(t)
	s.Post("/v1/receipts", sale("a-1")).Want(http.StatusAccepted)
	other := s.as("ek_two")
	other.Get("/v1/receipts/a-1").Want(http.StatusNotFound)
	other.Post("/v1/receipts/a-1/withdraw", "").Want(http.StatusNotFound)
	if a := other.Get("/v1/receipts").Want(http.StatusOK); a.Field("receipts.0") != "" {
		t.Errorf("listed: %s", a.Body)
	}
	other.Post("/v1/registers/kassa-1/check", "").Want(http.StatusNotFound)
	for _, id := range []string{"none", "cash%2Fa-1", "%C9%99", strings.Repeat("a", 65)} {
		s.Get("/v1/receipts/" + id).Want(http.StatusNotFound)
	}
}

func TestFiscalWithoutPaperSaysSo(t *testing.T) {
	s := newShop(t)
	s.Post("/v1/receipts", sale("a-1")).Want(http.StatusAccepted)
	s.journal.set("till-1", "a-1", func(x *receipt.Stored) { makeFiscal(x); x.Document.Printed = false })
	a := s.Get("/v1/receipts/a-1", "Accept-Language: az").Want(http.StatusOK)
	if a.Field("reason.code") != "not_printed" || !strings.Contains(a.Field("reason.text"), "Təkrar vurmayın") {
		t.Errorf("reason: %s", a.Body)
	}
}

func TestListingIsNewestFirstAndGoesOnAtTheCursor(t *testing.T) {
	s := newShop(t)
	for n := range 5 {
		s.Post("/v1/receipts", sale(fmt.Sprintf("a-%d", n))).Want(http.StatusAccepted)
	}
	s.Post("/v1/cash/deposit", `{"id":"c-1","amount":"1.00"}`).Want(http.StatusAccepted)
	s.journal.set("till-1", "a-1", func(x *receipt.Stored) { x.State = receipt.Refused })
	s.journal.set("till-1", "a-3", func(x *receipt.Stored) { x.State = receipt.Held })

	var ids []string
	path := "/v1/receipts?limit=2"
	for range 4 {
		a := s.Get(path).Want(http.StatusOK)
		for n := 0; a.Field(fmt.Sprintf("receipts.%d.id", n)) != ""; n++ {
			ids = append(ids, a.Field(fmt.Sprintf("receipts.%d.id", n)))
		}
		if a.Field("next") == "" {
			break
		}
		path = "/v1/receipts?limit=2&cursor=" + a.Field("next")
	}
	if got, want := strings.Join(ids, " "), "a-4 a-3 a-2 a-1 a-0"; got != want {
		t.Errorf("listed %s, want %s", got, want)
	}
	a := s.Get("/v1/receipts?state=refused,held").Want(http.StatusOK)
	if a.Field("receipts.0.id") != "a-3" || a.Field("receipts.1.id") != "a-1" || a.Field("receipts.2") != "" || a.Field("next") != "" {
		t.Errorf("listed: %s", a.Body)
	}
}

func TestAListingNamesTheParameterThatIsWrong(t *testing.T) {
	s := newShop(t)
	for query, field := range map[string]string{
		"state=lost": "state", "limit=0": "limit", "limit=201": "limit", "limit=x": "limit", "limit=%2B5": "limit", "cursor=x": "cursor", "cursor=-1": "cursor",
		"limit=1&limit=2": "limit", "stat=held": "stat", "limit=99999999999999999999": "limit", "%zz": "query",
	} {
		a := s.Get("/v1/receipts?" + query).Want(http.StatusUnprocessableEntity)
		if a.Field("errors.0.field") != field {
			t.Errorf("%s: names %q", query, a.Field("errors.0.field"))
		}
	}
	s.Get("/v1/receipts?state=&limit=&cursor=").Want(http.StatusOK)
	s.Get("/v1/receipts?state=held&state=refused").Want(http.StatusOK)
}

func TestCashIsKeptApartFromReceipts(t *testing.T) {
	s := newShop(t)
	s.Post("/v1/receipts", sale("x-1")).Want(http.StatusAccepted)
	a := s.Post("/v1/cash/deposit", `{"id":"x-1","amount":100.5,"cashier":"Aysel"}`).Want(http.StatusAccepted)
	for path, want := range map[string]string{"id": "x-1", "kind": "deposit", "total": "100.50", "change": "0.00", "state": "waiting"} {
		if got := a.Field(path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	if got := a.Header.Get("Location"); got != "/v1/cash/x-1" {
		t.Errorf("Location %q", got)
	}
	s.Post("/v1/cash/deposit", `{"id":"x-1","amount":"100.50","cashier":"Aysel"}`).Want(http.StatusOK)
	s.Post("/v1/cash/withdraw", `{"id":"x-1","amount":"100.50","cashier":"Aysel"}`).Want(http.StatusConflict)
	if a := s.Post("/v1/cash/withdraw", `{"id":"x-2"}`).Want(http.StatusUnprocessableEntity); a.Field("errors.0.field") != "amount" {
		t.Errorf("names %s", a.Body)
	}
	if a := s.Get("/v1/cash/x-1").Want(http.StatusOK); a.Field("kind") != "deposit" {
		t.Errorf("read: %s", a.Body)
	}
	if a := s.Get("/v1/receipts/x-1").Want(http.StatusOK); a.Field("kind") != "sale" {
		t.Errorf("read: %s", a.Body)
	}
	s.Get("/v1/cash/deposit").Want(http.StatusNotFound)
	if a := s.Get("/v1/receipts").Want(http.StatusOK); a.Field("receipts.1") != "" {
		t.Errorf("cash is listed among receipts: %s", a.Body)
	}
	s.journal.set("till-1", "cash/x-1", func(x *receipt.Stored) { x.State = receipt.Held })
	s.Post("/v1/cash/x-1/resolve", `{"verdict":"send","who":"Rəşad","why":"counted"}`).Want(http.StatusOK)
}

// FuzzPostReceipt holds that any body gets an answer that the document allows,
// and that a yes and a stored receipt always come together.
func FuzzPostReceipt(f *testing.F) {
	for _, seed := range []string{sale("a-1"), `{}`, `[]`, `{"id":1e999}`, `{"id":"a","kind":"cancel","time":"2026-11-23T19:05:12Z","parent":{"fiscal_id":"x"}}`, "\xff", `{"id":"a","id":"b"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := newShop(t)
		for _, path := range []string{"/v1/receipts", "/v1/cash/deposit"} {
			before := s.journal.count()
			r := s.Request(http.MethodPost, path, string(data))
			if len(data) == 0 {
				r.Header.Set("Content-Type", "application/json")
			}
			switch a := s.Do(r); a.Status {
			case http.StatusAccepted:
				if s.journal.count() != before+1 {
					t.Error("a yes without a stored receipt")
				}
			case http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge:
				if s.journal.count() != before {
					t.Error("a no, but a receipt was stored")
				}
			default:
				t.Errorf("status %d", a.Status)
			}
		}
	})
}

// FuzzListing holds that any query gets an answer that the document allows.
func FuzzListing(f *testing.F) {
	for _, seed := range []string{"", "limit", "state=held", "limit=5&cursor=9", "cursor=%00", "state=%C9%99", "a;b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		c := newShop(t)
		r := c.Request(http.MethodGet, "/v1/receipts", "")
		r.URL.RawQuery = query
		if a := c.Do(r); a.Status != http.StatusOK && a.Status != http.StatusUnprocessableEntity {
			t.Errorf("%q: status %d", query, a.Status)
		}
	})
}
