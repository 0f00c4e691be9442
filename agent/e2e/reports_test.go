package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register/simulator"
	"ekassa/agent/till/tilltest"
)

// ofModel is a register of the model within the test, and how the settings
// name it.
func ofModel(t testing.TB, m model, quirks ...string) (*simulator.Simulator, object) {
	t.Helper()
	c := simulator.Config{Protocol: m.protocol, Edition: m.edition, Quirks: quirks}
	if m.protocol != simulator.AzSmart {
		c.User, c.Password = "api", "right"
	}
	sim := register(t, c)
	return sim, m.at(sim.Addr())
}

// kept is a report as the agent keeps it, with what the register said itself.
type kept struct {
	By     string `json:"by"`
	Raw    string `json:"raw"`
	Report struct {
		Cash    *receipt.Money `json:"cash"`
		Sales   group          `json:"sales"`
		Balance struct {
			Journal, Tills map[string]any
			Differences    []struct {
				Figure   string
				Receipts []string
			}
			Doubtful, Open []string
		} `json:"balance"`
	} `json:"report"`
}

func reports(t testing.TB, till *tilltest.Client, kind string) (list []kept) {
	t.Helper()
	var body struct{ Reports []kept }
	till.Get("/v1/reports?raw=true&kind=" + kind).Want(http.StatusOK).JSON(&body)
	return body.Reports
}

// A shift with everything in it that a restaurant has: banquets paid in advance or
// on credit, taxes of each kind, cash in and out, a cancel and a refund. At each
// maker what tills sent, journal and Z report are the same, down to the tax.
func TestReports_OfEveryKindAddUpAtEveryMaker(t *testing.T) {
	t.Parallel()
	for _, m := range models {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			var quirks []string
			if m.protocol == simulator.AzSmart {
				quirks = []string{"margin-is-purchase"} // which is what AzSmart's clients send
			}
			sim, at := ofModel(t, m, quirks...)
			s := newShop(t, at)
			s.serve(fast)
			till := s.till()
			line := func(name, price string, more ...object) object {
				o := object{"name": name, "quantity": "1", "price": price, "tax": "vat18"}
				for _, x := range more {
					o = extended(o, x)
				}
				return o
			}
			of := func(kind string, pay object, lines ...object) object {
				return object{"kind": kind, "items": lines, "payments": pay}
			}
			first := day()
			cancelled := object{"kind": "cancel", "items": nil, "payments": nil, "number": nil, "parent": object{"id": "mixed"}}
			for _, r := range []struct {
				id string
				o  object
			}{
				{"mixed", of("sale", object{"cash": "2.00", "card": "10.00"}, line("Plov", "12.00"))},
				{"taxes", of("sale", object{"cash": "20.00"}, line("Su", "2.00", object{"tax": "exempt"}), line("Ət", "21.50", object{"quantity": "0.333"}))},
				{"credit", extended(of("sale", object{"credit": "60.00", "card": "40.00"}, line("Banket", "100.00")), object{"contract": "M-7"})},
				{"repaid", extended(of("credit_payment", object{"cash": "30.00"}, line("Banket", "30.00")), object{"parent": object{"id": "credit"}})},
				{"advance", of("prepayment", object{"card": "50.00"}, line("Ad günü", "50.00"))},
				{"party", extended(of("sale", object{"prepaid": "50.00", "cash": "30.00"}, line("Ad günü", "80.00")), object{"parent": object{"id": "advance"}})},
				{"cancelled", cancelled},
				{"simplified", of("sale", object{"bonus": "700.00"}, line("Tort", "700.00", object{"tax": "simplified8"}))},
				{"margin", of("sale", object{"card": "1700.00"}, line("Viski", "1700.00", object{"tax": "margin18", "purchase_price": "1000.00"}))},
				{"back", extended(of("refund", object{"cash": "2.00"}, line("Su", "2.00", object{"tax": "exempt"})), object{"parent": object{"id": "taxes"}})},
			} {
				if a := till.Post("/v1/receipts", sale(r.id, r.o), wait); a.Status != http.StatusCreated {
					t.Fatalf("%s: %d %s", r.id, a.Status, a.Body)
				}
			}
			till.Post("/v1/cash/deposit", `{"id":"float","amount":"50.00"}`, wait).Want(http.StatusCreated)
			till.Post("/v1/cash/withdraw", `{"id":"taken","amount":"10.00"}`, wait).Want(http.StatusCreated)

			for _, path := range []string{"x-report", "close"} {
				a := till.Post("/v1/shift/"+path, "").Want(http.StatusOK)
				for field, want := range map[string]string{
					"sales.count": "6", "sales.sum": "2601.16", "sales.credit": "60.00", "sales.prepaid": "50.00", "credit_payments.cash": "30.00",
					"deposits.cash": "50.00", "withdrawals.cash": "10.00", "refunds.count": "1", "cancels.card": "10.00",
				} {
					if got := a.Field(field); got != want {
						t.Errorf("%s: %s is %q, want %s", path, field, got, want)
					}
				}
			}
			if a := till.Post("/v1/period-report", fmt.Sprintf(`{"from":%q,"to":%q}`, first, day())).Want(http.StatusOK); a.Field("sales.sum") != "2601.16" {
				t.Errorf("the day: %s", a.Body)
			}

			for _, kind := range []string{"x", "z"} {
				list := reports(t, till, kind)
				if len(list) != 1 || !json.Valid([]byte(list[0].Raw)) || !strings.Contains(strings.ToLower(list[0].Raw), "salecount") {
					t.Fatalf("%s reports, and the register's own words: %+v", kind, list)
				}
				if told := list[0].Report.Cash != nil; told != (m.protocol == simulator.AzSmart) {
					t.Errorf("%s: the register tells what is in the drawer: %t", kind, told)
				}
			}
			b := reports(t, till, "z")[0].Report.Balance
			if len(b.Differences)+len(b.Doubtful)+len(b.Open) > 0 {
				t.Errorf("all is well, and it is said that %+v; the register: %s", b, reports(t, till, "z")[0].Raw)
			}
			if fmt.Sprint(b.Tills) != fmt.Sprint(b.Journal) {
				t.Errorf("tills sent %v, the journal has %v", b.Tills, b.Journal)
			}
			if n := len(sim.Ledger()); n != 12 {
				t.Errorf("%d documents", n)
			}
		})
	}
}

// What tills sent, what the journal holds and what the register says are three
// things on a bad day. The receipts that make the difference are named.
func TestReports_ADifferenceIsNamedByReceipt(t *testing.T) {
	t.Parallel()
	sim := register(t, simulator.Config{Edition: simulator.Classic, Quirks: []string{"status-by-id-only"}})
	s := newShop(t, at(sim.Addr()))
	s.serve(fast)
	till := s.till()
	close := func() (z kept) {
		t.Helper()
		till.Post("/v1/shift/close", `{"why":"the day is over"}`).Want(http.StatusOK)
		return reports(t, till, "z")[0]
	}
	named := func(z kept) map[string][]string {
		m := map[string][]string{}
		for _, d := range z.Report.Balance.Differences {
			m[d.Figure] = d.Receipts
		}
		return m
	}

	// It was made, and a person who has not looked well takes it back.
	till.Post("/v1/receipts", sale("good"), wait).Want(http.StatusCreated)
	sim.Arm(simulator.Fault{Name: simulator.DropAfter, Route: "/sale", Times: 1})
	till.Post("/v1/receipts", sale("taken-back", object{"payments": object{"card": "12.00"}})).Want(http.StatusAccepted)
	s.reaches("taken-back", receipt.Held)
	till.Post("/v1/receipts", sale("also-good"), wait).Want(http.StatusCreated)
	till.Post("/v1/receipts/taken-back/withdraw", `{"who":"Aysel M.","why":"no paper came"}`).Want(http.StatusOK)
	// This one is left open: the register refuses it.
	sim.Arm(simulator.Fault{Name: simulator.Refuse, Route: "/sale", Times: 1, Code: 3})
	till.Post("/v1/receipts", sale("refused", object{"payments": object{"card": "12.00"}})).Want(http.StatusAccepted)
	s.reaches("refused", receipt.Refused)
	z := close()
	got := named(z)
	for _, figure := range []string{"sales.count", "sales.sum", "sales.card"} {
		if !slices.Equal(got[figure], []string{"taken-back"}) {
			t.Errorf("%s: %v; %+v", figure, got[figure], z.Report.Balance)
		}
	}
	if _, differs := got["sales.cash"]; differs {
		t.Error("cash differs although none does")
	}
	if b := z.Report.Balance; !slices.Equal(b.Open, []string{"refused"}) || !slices.Equal(b.Doubtful, []string{"taken-back"}) {
		t.Errorf("open %v, doubtful %v", b.Open, b.Doubtful)
	}
	count := func(side map[string]any) any { return side["sales"].(map[string]any)["count"] }
	if b := z.Report.Balance; z.Report.Sales.Count != 3 || count(b.Journal) != 2.0 || count(b.Tills) != 3.0 {
		t.Errorf("tills sent %v, the journal has %v, the register %d", count(b.Tills), count(b.Journal), z.Report.Sales.Count)
	}

	// It was not made, and a person says that it was.
	sim.Arm(simulator.Fault{Name: simulator.DropBefore, Route: "/sale", Times: 1}, simulator.Fault{Name: simulator.Refuse, Route: "/x_report", Code: 5})
	till.Post("/v1/receipts", sale("never", object{"payments": object{"card": "12.00"}})).Want(http.StatusAccepted)
	s.becomes("never", "held", func(r stored) bool { return r.State == receipt.Held })
	sim.Disarm()
	s.resolve("never", object{"verdict": "was_made", "document": object{"fiscal_id": "a paper of another day"}})
	if got := named(close()); !slices.Equal(got["sales.count"], []string{"never"}) || !slices.Equal(got["sales.card"], []string{"never"}) {
		t.Errorf("%v", got)
	}

	// Rung up by hand: no receipt of ours.
	till.Post("/v1/receipts", sale("last"), wait).Want(http.StatusCreated)
	if _, err := sim.RingUp(700, "Çay"); err != nil {
		t.Fatal(err)
	}
	if got := named(close()); len(got) == 0 || len(got["sales.count"]) > 0 {
		t.Errorf("%v", got)
	}
}

// A register whose clock is off is shown and warned of, at every maker: also where
// only the opening of the shift tells the time.
func TestClock_OfEveryMakerIsWatched(t *testing.T) {
	t.Parallel()
	for _, m := range models {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			sim, at := ofModel(t, m)
			sim.SetClock(5 * time.Minute)
			s := newShop(t, at)
			s.serve(fast)
			till := s.till()
			for _, id := range []string{"a", "b"} { // the second does not make it forgotten
				till.Post("/v1/receipts", sale(id), wait).Want(http.StatusCreated)
				a := till.Get("/v1/status").Want(http.StatusOK)
				if a.Field("register.clock.off") != "true" || a.Field("message.code") != "clock_off" {
					t.Errorf("after %s: %s", id, a.Body)
				}
			}
			if has := string(till.Get("/metrics").Want(http.StatusOK).Body); !strings.Contains(has, "\nekassa_register_clock_ahead_seconds{register=\"kassa-1\"} ") {
				t.Error("the metrics do not have it")
			}
		})
	}
}
