package till_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ekassa/agent/register"
)

func TestShiftAndReports(t *testing.T) {
	s := newShop(t)
	for _, c := range []struct{ method, path, body, field, want string }{
		{"GET", "/v1/shift", "", "cash", "120.50"},
		{"GET", "/v1/shift", "", "age_seconds", "3600"},
		{"POST", "/v1/shift/open", `{"cashier":"Aysel M."}`, "open", "true"},
		{"POST", "/v1/shift/close", "", "sales.sum", "24.00"},
		{"POST", "/v1/shift/close", `{"cashier":"Aysel M."}`, "sales.vat.0.amount", "3.66"},
		{"POST", "/v1/shift/close", `{"cashier":"Aysel M.","why":"the guests are gone"}`, "sales.sum", "24.00"},
		{"GET", "/v1/reports", "", "reports.0.report.sales.count", "2"},
		{"GET", "/v1/reports?kind=x&limit=2", "", "reports.1.kind", "x"},
		{"POST", "/v1/shift/x-report", "{}", "sales.count", "2"},
	} {
		if got := s.Do(s.Request(c.method, c.path, c.body)).Want(http.StatusOK).Field(c.field); got != c.want {
			t.Errorf("%s %s: %s is %q, want %q", c.method, c.path, c.field, got, c.want)
		}
	}
	s.Post("/v1/shift/open", `{"cashier":"Aysel M."}`)
	if s.desk.who != "Aysel M." {
		t.Errorf("the register was told %q", s.desk.who)
	}
	s.Post("/v1/period-report", `{"from":"2026-11-01","to":"2026-11-24"}`).Want(http.StatusOK)
	if want := "2026-11-01T00:00:00+04:00 2026-11-24T00:00:00+04:00"; s.desk.who != want {
		t.Errorf("the register was asked for %q, want %q", s.desk.who, want)
	}
	for body, field := range map[string]string{
		`{"to":"2026-11-24"}`: "from", `{"from":"1.11.2026","to":"2026-11-24"}`: "from", `{"from":"2026-11-24","to":"2026-11-23"}`: "to",
		`{"from":"2026-11-24","to":"2026-02-30"}`: "to", `{"from":7,"to":"2026-11-24"}`: "from", ``: "",
	} {
		if a := s.Post("/v1/period-report", body).Want(http.StatusUnprocessableEntity); a.Field("errors.0.field") != field {
			t.Errorf("%s: %s", body, a.Body)
		}
	}
	s.Post("/v1/shift/open", `{"cashier":1}`).Want(http.StatusUnprocessableEntity)
	s.Post("/v1/shift/open", `{"cashier":"`+strings.Repeat("x", 257)+`"}`).Want(http.StatusUnprocessableEntity)
}

func TestARegistersFaultIsToldWithItsOwnWords(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   string
		retry  bool
	}{
		{&register.Fault{Cause: register.ShiftOpen, Code: "501", Text: "shift is open"}, 409, "shift_open", false},
		{&register.Fault{Cause: register.ShiftClosed}, 409, "shift_closed", false},
		{&register.Fault{Cause: register.ShiftExpired}, 409, "shift_expired", false},
		{&register.Fault{Cause: register.Unreachable, Err: errors.New("no route")}, 503, "unreachable", true},
		{&register.Fault{Cause: register.Busy}, 503, "busy", true},
		{&register.Fault{Cause: register.Missing}, 503, "missing", true},
		{&register.Fault{Cause: register.Supplier, Code: "217", Text: "flash full"}, 502, "supplier", false},
		{&register.Fault{}, 502, "other", false},
		{register.ErrNoRegister, 409, "no_register", false},
		{context.DeadlineExceeded, 503, "register_unavailable", true},
		{errors.New("bug"), 500, "internal", false},
	} {
		t.Run(c.code, func(t *testing.T) {
			s := newShop(t)
			s.desk.err = c.err
			for _, path := range []string{"/v1/shift/open", "/v1/shift/close", "/v1/shift/x-report", "/v1/registers/kassa-1/check", "/v1/period-report"} {
				body := ""
				if path == "/v1/period-report" {
					body = `{"from":"2026-11-01","to":"2026-11-24"}`
				}
				a := s.Post(path, body).Want(c.status)
				if a.Field("errors.0.code") != c.code {
					t.Errorf("%s: code %q", path, a.Field("errors.0.code"))
				}
				if got := a.Header.Get("Retry-After") != ""; got != c.retry {
					t.Errorf("%s: Retry-After given: %v", path, got)
				}
				var f *register.Fault
				if errors.As(c.err, &f) && f.Code != "" && (a.Field("register.code") != f.Code || a.Field("register.text") != f.Text) {
					t.Errorf("%s: the register's words are not there: %s", path, a.Body)
				}
			}
			s.Get("/v1/shift").Want(c.status)
		})
	}
}

func TestClosingAShiftGoesOnWhenTheTillHangsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		s.desk.slow = 30 * time.Second
		ctx, hangUp := context.WithCancel(t.Context())
		later(time.Second, hangUp)
		s.Do(s.Request(http.MethodPost, "/v1/shift/close", "").WithContext(ctx)).Want(http.StatusOK)
		ctx, hangUp = context.WithCancel(t.Context())
		later(time.Second, hangUp)
		s.Do(s.Request(http.MethodGet, "/v1/shift", "").WithContext(ctx)).Want(http.StatusServiceUnavailable)
	})
}

func TestRegistersAreShownAndChecked(t *testing.T) {
	s := newShop(t)
	s.desk.registers = append(s.desk.registers,
		register.Status{ID: "kassa-2", Driver: "omnitech", Terminal: "till-1", Mode: "offline", Link: register.LinkOffline},
		register.Status{ID: "kassa-3", Driver: "caspos", Terminal: "till-2", Mode: "active", Link: register.LinkReady})
	a := s.Get("/v1/registers").Want(http.StatusOK)
	for path, want := range map[string]string{
		"registers.0.id": "kassa-1", "registers.0.identity.serial": "0123456789", "registers.0.shift.cash": "50.00",
		"registers.1.id": "kassa-2", "registers.1.identity": "", "registers.1.shift": "", "registers.2": "",
	} {
		if got := a.Field(path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	s.Post("/v1/registers/kassa-1/check", "").Want(http.StatusOK)
	s.Post("/v1/registers/kassa-3/check", "").Want(http.StatusNotFound)
}

func TestTheStatusSaysTheGravestThingFirst(t *testing.T) {
	at := time.Date(2026, 11, 23, 15, 5, 0, 0, time.UTC)
	for _, c := range []struct {
		name   string
		change func(*shop)
		code   string
		text   string
	}{
		{"all is well", func(*shop) {}, "ready", "The register is ready."},
		{"the register is away", func(s *shop) {
			s.desk.registers[0].Link, s.desk.registers[0].Problem.Code = register.LinkDown, register.WhyUnreachable
			s.journal.queues["kassa-1"] = register.Queue{Waiting: 4, Oldest: at}
		}, "register_unreachable", "The register does not answer. Receipts wait and go out by themselves; check its power and cable. Receipts waiting: 4, the oldest since 23.11.2026 19:05."},
		{"the link alone tells", func(s *shop) { s.desk.registers[0].Link = register.LinkWrong }, "link_wrong_serial", "Another register answers at this address. Call the installer."},
		{"an unclear outcome", func(s *shop) { s.journal.queues["kassa-1"] = register.Queue{Waiting: 2, Checking: 1} }, "asking_register", "The result is not known yet. Do not ring the receipt up again: the register is being asked."},
		{"held ones", func(s *shop) { s.journal.queues["kassa-1"] = register.Queue{Held: 2, Refused: 1} }, "held", "Receipts that await a person's decision: 2. Do not ring them up again."},
		{"refused ones", func(s *shop) { s.journal.queues["kassa-1"] = register.Queue{Refused: 1} }, "refused", "Receipts that the register refused: 1. They are not fiscal; mend them or take them back."},
		{"on their way", func(s *shop) { s.journal.queues["kassa-1"] = register.Queue{Waiting: 1, Oldest: at} }, "sending", "Receipts on their way to the register: 1."},
		{"a wrong clock", func(s *shop) { s.desk.registers[0].Clock = register.Clock{Ahead: -5 * time.Minute, At: time.Now()} }, "clock_off", "The register's clock is off by 5 minutes. Its receipts bear a wrong time: set its clock right."},
		{"an old shift", func(s *shop) { s.desk.registers[0].Shift.Age = 23 * time.Hour }, "shift_old", "The shift has been open for 23 hours. Close it with a Z report before 24 hours are over."},
		{"a shift too old", func(s *shop) { s.desk.registers[0].Shift.Age = 25 * time.Hour }, "shift_expired", "The shift is more than 24 hours old. Close it with a Z report and open a new one."},
		{"not asked yet", func(s *shop) {
			s.desk.registers[0] = register.Status{ID: "kassa-1", Terminal: "till-1", Mode: "active", Link: register.LinkUnknown}
		}, "asking", "The register has not been asked yet. Receipts are accepted."},
		{"no register", func(s *shop) { s.desk.active, s.desk.registers, s.journal.unbound = "", nil, 3 }, "no_register", "No register is bound to this till. Receipts are kept and wait; ask the administrator to bind a register. Receipts waiting: 3."},
		{"a till that is not in the settings", func(s *shop) { s.Token = "ek_stray" }, "terminal_unknown", "This till is not in the settings. Receipts are kept and wait; ask the administrator."},
		{"the module is off", func(s *shop) { s.settings.Module.Enabled = false }, "module_off", "The e-kassa module is switched off. No receipts are accepted; ask the administrator."},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newShop(t)
			c.change(s)
			a := s.Get("/v1/status").Want(http.StatusOK)
			if a.Field("message.code") != c.code || a.Field("message.text") != c.text {
				t.Errorf("message %s %q\nwant %s %q", a.Field("message.code"), a.Field("message.text"), c.code, c.text)
			}
		})
	}
}

func TestTheStatusHasAllThatTheScreenShows(t *testing.T) {
	s := newShop(t)
	s.desk.registers = append(s.desk.registers, register.Status{ID: "kassa-2", Terminal: "till-1", Mode: "offline", Link: register.LinkOffline})
	s.journal.queues["kassa-1"] = register.Queue{Waiting: 2, Checking: 1, Oldest: time.Now().Add(-time.Minute)}
	s.journal.queues["kassa-2"] = register.Queue{Held: 1, Waiting: 1, Oldest: time.Now().Add(-time.Hour)}
	s.journal.unbound = 1
	a := s.Get("/v1/status").Want(http.StatusOK)
	for path, want := range map[string]string{
		"terminal": "till-1", "module.enabled": "true", "module.show_on_terminal": "true", "module.auto_send": "true",
		"register.id": "kassa-1", "registers.1.id": "kassa-2", "shift.open": "true", "shift.age_seconds": "3600",
		"queue.waiting": "4", "queue.checking": "1", "queue.held": "1", "queue.refused": "0", "queue.oldest_seconds": "3600",
	} {
		if got := a.Field(path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	b := s.as("ek_two").Get("/v1/status").Want(http.StatusOK)
	if b.Field("register") != "" || b.Field("shift") != "" {
		t.Errorf("a till without a register: %s", b.Body)
	}
}
