package e2e

import (
	"bufio"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register/simulator"
	"ekassa/agent/till/tilltest"
)

// sold is one receipt of the week.
type sold struct {
	id, day string
	body    string
}

// week reads the receipts of a restaurant's week. A sale after midnight belongs
// to the evening that it ends.
func week(t testing.TB) (list []sold) {
	t.Helper()
	file, err := os.Open("../testdata/week.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var r struct {
			ID   string    `json:"id"`
			Time time.Time `json:"time"`
		}
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		list = append(list, sold{r.ID, r.Time.Add(-6 * time.Hour).Format(time.DateOnly), lines.Text()})
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

// group is one of a report: how many, how much, and how it was paid.
type group struct {
	Count int           `json:"count"`
	Sum   receipt.Money `json:"sum"`
	Cash  receipt.Money `json:"cash"`
	Card  receipt.Money `json:"card"`
}

// totals are a day's, from three sides: the book's, the report's and the ledger's.
type totals struct {
	Sales   group `json:"sales"`
	Refunds group `json:"refunds"`
	Cancels group `json:"cancels"`
}

// books reads what the week should come to. Of refunds and cancels these say
// no more than how many and how much.
func books(t testing.TB) map[string]totals {
	t.Helper()
	text, err := os.ReadFile("../testdata/week-totals.json")
	if err != nil {
		t.Fatal(err)
	}
	var days map[string]struct {
		Sales     int           `json:"sales"`
		SaleSum   receipt.Money `json:"sale_sum"`
		Cash      receipt.Money `json:"cash"`
		Card      receipt.Money `json:"card"`
		Refunds   int           `json:"refunds"`
		RefundSum receipt.Money `json:"refund_sum"`
		Cancels   int           `json:"cancels"`
		CancelSum receipt.Money `json:"cancel_sum"`
	}
	if err := json.Unmarshal(text, &days); err != nil {
		t.Fatal(err)
	}
	all := map[string]totals{}
	for day, d := range days {
		all[day] = totals{
			Sales: group{d.Sales, d.SaleSum, d.Cash, d.Card}, Refunds: group{Count: d.Refunds, Sum: d.RefundSum},
			Cancels: group{Count: d.Cancels, Sum: d.CancelSum},
		}
	}
	return all
}

// plain leaves out what the books do not say.
func (d totals) plain() totals {
	d.Refunds.Cash, d.Refunds.Card, d.Cancels.Cash, d.Cancels.Card = 0, 0, 0, 0
	return d
}

// added sums up a part of the ledger.
func added(ledger []simulator.Document) (d totals) {
	for _, x := range ledger {
		g := map[simulator.Kind]*group{simulator.Sale: &d.Sales, simulator.Refund: &d.Refunds, simulator.Rollback: &d.Cancels}[x.Kind]
		if g == nil {
			continue // a stranger in the ledger is the referee's business
		}
		g.Count++
		g.Sum += receipt.Money(x.Amount)
		g.Cash += receipt.Money(x.Payments.Cash)
		g.Card += receipt.Money(x.Payments.Cashless)
	}
	return d
}

// post sends a receipt until the till is told yes. It obeys when it is told to
// slow down, and repeats what got lost under the same id.
func post(t testing.TB, till *tilltest.Client, body string) *tilltest.Answer {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		a, err := till.Try(till.Request(http.MethodPost, "/v1/receipts", body))
		pause := 20 * time.Millisecond
		switch {
		case err != nil: // the agent is away
		case a.Status == http.StatusTooManyRequests:
			seconds, err := strconv.Atoi(a.Header.Get("Retry-After"))
			if err != nil {
				t.Fatalf("told to slow down, and not for how long: %v", err)
			}
			pause = time.Duration(seconds) * time.Second
		case a.Status < 300:
			return a
		default:
			t.Fatalf("answer %d to %s\n%s", a.Status, body, a.Body)
		}
		if time.Now().After(end) {
			t.Fatalf("never told yes: %s", body)
		}
		time.Sleep(pause)
	}
}

// The week is sold while the cloud, enrolled with, is out of reach. When it is
// back it hears of all of it, though it and the agent are killed meanwhile.
func TestWeek_ReportsLedgerBooksAndCloudAgreeToTheQepik(t *testing.T) {
	t.Parallel()
	const name = "baku-01-a"
	kassa := newDevice(t, simulator.New)
	s := newShop(t, at(kassa.listen))
	cloud := newCloud(t)
	cloud.enroll(s, name)
	program := s.run()
	eventually(t, "the agent is online", func() bool {
		var a struct{ Online bool }
		cloud.ask("GET", "/agents/"+name, "", &a)
		return a.Online
	})
	cloud.process.kill()
	receipts, want, till := week(t), books(t), s.till()

	before := 0 // documents of the days before
	for n := 0; n < len(receipts); {
		day := receipts[n].day
		for ; n < len(receipts) && receipts[n].day == day; n++ {
			post(t, till, receipts[n].body)
		}
		moves(t, "receipts that wait on "+day, 0, func() int {
			waiting, err := strconv.Atoi(till.Get("/v1/status").Field("queue.waiting"))
			if err != nil {
				t.Fatal(err)
			}
			return -waiting
		})
		ledger := kassa.ledger()[before:]
		before += len(ledger)
		for _, report := range []string{"x-report", "close"} {
			var got totals
			answer := till.Post("/v1/shift/"+report, "").Want(http.StatusOK)
			answer.JSON(&got)
			if report == "close" && (answer.Field("balance.journal.shift") == "" || strings.Contains(string(answer.Body), "differences")) {
				t.Errorf("%s: the Z report and the journal do not agree: %s", day, answer.Body)
			}
			if got.plain() != want[day] {
				t.Errorf("%s, %s:\ngot  %+v\nwant %+v", day, report, got.plain(), want[day])
			}
			if truth := added(ledger); got != truth {
				t.Errorf("%s, %s:\nreport %+v\nledger %+v", day, report, got, truth)
			}
		}
	}

	told := s.receipts()
	if len(told) != len(receipts) {
		t.Fatalf("the agent has %d receipts of %d", len(told), len(receipts))
	}
	for n, r := range told {
		if r.ID != receipts[n].id || r.State != receipt.Fiscal || !r.Document.Printed || r.Attempts != 1 {
			t.Fatalf("receipt %d should be %s, fiscal at once: %+v", n, receipts[n].id, r)
		}
	}
	referee(t, told, kassa.ledger())

	// An agent whose cloud was away for long tries it again in minutes, one that
	// starts tries it at once.
	again := func() {
		cloud.run()
		program.kill()
		program = s.run()
	}
	for range 2 { // in the middle of it
		again()
		eventually(t, "the cloud hears of the week", func() bool { return len(cloud.fiscal(name)) > 50 })
		cloud.process.kill()
	}
	again()
	cloud.has(name, kassa.ledger())
	eventually(t, "the cloud has every closed shift", func() bool { return len(cloud.closed(name)) >= len(want) })
	days := slices.Sorted(maps.Keys(want))
	for n, got := range cloud.closed(name) {
		got.Cancels = want[days[n]].Cancels // the API has no group for them
		if got.plain() != want[days[n]] {
			t.Errorf("%s in the cloud:\ngot  %+v\nwant %+v", days[n], got.plain(), want[days[n]])
		}
	}
}
