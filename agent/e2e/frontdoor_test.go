package e2e

import (
	"crypto/sha1" //nolint:gosec // the protocol's
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register/simulator"
)

// pos is a till that knows the AzSmart protocol and nothing else, not even that
// there is an agent.
type pos struct {
	testing.TB
	address, secret string
	classic         bool
	habit           int // of its HTTP library; see habits
}

// habits are how existing programs send the same body.
var habits = []struct {
	contentType string
	escape      func(string) string
}{
	{"application/x-www-form-urlencoded", func(s string) string { return strings.ReplaceAll(s, "=", "%3D") }},
	{"text/plain", func(s string) string { return strings.ReplaceAll(s, "=", "%3D") }},
	{"application/json; charset=UTF-8", url.QueryEscape},
	{"", func(s string) string { return s }},
}

// said is an answer of the protocol.
type said struct {
	Status     string      `json:"status"`
	Code       int         `json:"code"`
	Message    string      `json:"message"`
	DocumentID int64       `json:"documentID"`
	ExtID      any         `json:"documentExtID"`
	FiscalID   loose       `json:"fiscalID"`
	FiscalNum  string      `json:"fiscalNum"`
	DocStatus  int         `json:"docStatus"`
	PrintError int         `json:"printError"`
	Payments   []payment   `json:"totalPayments"`
	Open       string      `json:"isShiftOpen"`
	ShiftID    json.Number `json:"shiftID"`
	Serial     string      `json:"serial_num"`
	SaleCount  int         `json:"saleCount"`
	SaleSum    int64       `json:"saleSum"`
	BackCount  int         `json:"moneyBackCount"`
	raw        string
}

// loose is text that one route writes as a number.
type loose string

func (l *loose) UnmarshalJSON(b []byte) error {
	*l = loose(strings.Trim(string(b), `"`))
	return nil
}

type payment struct {
	Type   string `json:"type"`
	Amount int64  `json:"amount"`
	Change int64  `json:"change"`
}

func (p *pos) sign(data string) string {
	sum := sha1.Sum([]byte(data + p.secret)) //nolint:gosec // the protocol's
	return base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(sum[:])))
}

// try sends one request on a connection of its own.
func (p *pos) try(route string, o object) (said, error) {
	p.Helper()
	body, err := json.Marshal(o)
	if err != nil {
		p.Fatal(err)
	}
	data, habit := base64.StdEncoding.EncodeToString(body), habits[p.habit%len(habits)]
	form := "data=" + habit.escape(data) + "&sign=" + habit.escape(p.sign(data))
	request, err := http.NewRequest(http.MethodPost, "http://"+p.address+route, strings.NewReader(form))
	if err != nil {
		p.Fatal(err)
	}
	request.Close = true
	if habit.contentType != "" {
		request.Header.Set("Content-Type", habit.contentType)
	}
	client := http.Client{Timeout: 100 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return said{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return said{}, err
	}
	a := said{raw: string(text)}
	if err := json.Unmarshal(text, &a); err != nil {
		p.Fatalf("%s: answer %d %q: %v", route, response.StatusCode, text, err)
	}
	return a, nil
}

func (p *pos) post(route string, o object) said {
	p.Helper()
	a, err := p.try(route, o)
	if err != nil {
		p.Fatal(err)
	}
	return a
}

func (p *pos) want(route string, o object, status string, code int) said {
	p.Helper()
	a := p.post(route, o)
	if a.Status != status || a.Code != code {
		p.Fatalf("%s: want %s %d, got %s", route, status, code, a.raw)
	}
	return a
}

// made is a success with a fiscal document.
func (p *pos) made(route string, o object) said {
	p.Helper()
	a := p.want(route, o, "success", 0)
	if a.DocStatus != 1 || a.FiscalID == "" {
		p.Fatalf("%s: not fiscal: %s", route, a.raw)
	}
	return a
}

// bill is one of the week, in the protocol's words.
func bill(t testing.TB, body string) (kind receipt.Kind, parent string, o object) {
	t.Helper()
	var r struct {
		ID       string           `json:"id"`
		Kind     receipt.Kind     `json:"kind"`
		Time     time.Time        `json:"time"`
		Cashier  string           `json:"cashier"`
		Number   string           `json:"number"`
		Items    []receiptItem    `json:"items"`
		Payments receipt.Payments `json:"payments"`
		Parent   struct{ ID string }
	}
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		t.Fatal(err)
	}
	o = object{
		"documentExtID": r.ID, "docTime": r.Time.Format("2006-01-02 15:04:05"), "docNumber": r.Number,
		"employeeName": r.Cashier, "currency": "AZN",
	}
	items, sum := []any{}, receipt.Money(0)
	for _, i := range r.Items {
		total := receipt.Gross(i.Price, i.Quantity) - i.Discount
		sum += total
		items = append(items, object{
			"itemId": i.Code, "itemName": i.Name, "itemQty": int64(i.Quantity), "itemAmount": int64(total), "discount": int64(i.Discount),
			"itemTaxes": []any{object{"taxName": "ƏDV 18%", "taxPrc": 1800, "calcType": 1}},
		})
	}
	if len(items) > 0 {
		o["items"], o["amount"] = items, int64(sum)
		o["payments"] = object{
			"cashAmount": int64(r.Payments.Cash), "cashlessAmount": int64(r.Payments.Card), "bonusesAmount": int64(r.Payments.Bonus),
		}
	}
	return r.Kind, r.Parent.ID, o
}

type receiptItem struct {
	Name     string           `json:"name"`
	Code     string           `json:"code"`
	Quantity receipt.Quantity `json:"quantity"`
	Price    receipt.Money    `json:"price"`
	Discount receipt.Money    `json:"discount"`
}

// doored gives the shop a front door.
func doored(s *shop, classic bool) *pos {
	s.Helper()
	address := newHost() + ":8008"
	s.config["front_doors"] = []any{object{"protocol": "azsmart", "listen": address, "terminal": terminal}}
	s.write()
	return &pos{TB: s.TB, address: address, secret: merchant, classic: classic}
}

// A till that only knows the protocol sells through kill -9 of the agent and an
// outage of the register. It recovers as its edition's pages say (section 8):
// the newer by the same documentExtID, the older by the same docTime, docNumber
// and amount; what is not closed yet it asks about by check_status.
func TestFrontDoor_NothingIsLostOrDoubledThroughKillsAndAnOutage(t *testing.T) {
	for _, edition := range both {
		t.Run(string(edition), func(t *testing.T) {
			t.Parallel()
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			dice := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // chance that can be repeated is wanted
			kassa := newDevice(t, edition)
			s := newShop(t, at(kassa.listen))
			p := doored(s, edition == simulator.Classic)
			agent := s.runFor(edition)

			all := week(t)
			bills := slices.Concat(all[:40], all[136:138]) // with a cancel and a refund
			outage, back := 24, 34
			last := map[string]said{}      // what the till was told last of each
			amounts := map[string]wanted{} // what it wanted
			ask := func(id string) {       // check_status, as the edition has it
				o := object{"documentExtID": id}
				if p.classic {
					o = object{"documentID": last[id].DocumentID}
				}
				if a, err := p.try("/check_status", o); err == nil {
					if a.Status != "success" || a.DocStatus < 0 {
						t.Errorf("%s: told %s, and then %s", id, last[id].raw, a.raw)
					}
					last[id] = a
				}
			}
			settled := func(id string) { // a refund's till needs its parent's fiscal id
				eventually(t, id+" is closed", func() bool {
					if last[id].DocStatus != 1 {
						ask(id)
						settleByPaper(s, kassa)
					}
					return last[id].DocStatus == 1
				})
			}
			kills, lost := 0, 0
			for n, b := range bills {
				switch n {
				case outage:
					kassa.process.kill()
				case back:
					kassa.run()
				}
				kind, parent, o := bill(t, b.body)
				route := map[receipt.Kind]string{receipt.Sale: "/sale", receipt.Refund: "/refund", receipt.Cancel: "/rollback"}[kind]
				want := wanted{kind: kind}
				if a, ok := o["amount"]; ok {
					want.amount = a.(int64)
				}
				if parent != "" {
					settled(parent)
					if kind == receipt.Refund {
						o["parentDocID"] = last[parent].FiscalID
					} else {
						o["documentID"], want.amount = last[parent].FiscalID, amounts[parent].amount
					}
				}
				amounts[b.id] = want
				if p.classic {
					delete(o, "documentExtID")
				}
				p.habit = n
				if dice.IntN(6) == 0 || n == outage+3 || n == 3 {
					kills++
					victim := agent
					go func() {
						time.Sleep(time.Duration(dice.IntN(12_000)) * time.Microsecond)
						victim.kill()
					}()
					_, err := p.try(route, o) // its answer may be lost, and counts for nothing
					if err != nil {
						lost++
					}
					<-victim.done
					agent = s.runFor(edition)
				}
				a := p.want(route, o, "success", 0)
				if again := p.want(route, o, "success", 0); again.DocumentID != a.DocumentID || a.DocStatus == 1 && again.FiscalID != a.FiscalID {
					t.Errorf("%s: told %s, and on its repeat %s", b.id, a.raw, again.raw)
				}
				if n > outage+1 && n < back && a.DocStatus != 0 {
					t.Errorf("%s: the register is away, and the till is told %s", b.id, a.raw)
				}
				last[b.id] = a
				if t.Failed() {
					return
				}
			}
			for _, b := range bills {
				settled(b.id)
			}

			// What the till was told, against the ledger.
			ledger := kassa.ledger()
			if len(ledger) != len(bills) {
				t.Errorf("the till wanted %d documents, the ledger has %d", len(bills), len(ledger))
			}
			for n, d := range ledger {
				if n == len(bills) {
					break
				}
				told, want := last[bills[n].id], amounts[bills[n].id]
				if string(told.FiscalID) != d.FiscalID && !(p.classic && want.kind == receipt.Cancel && told.FiscalID == "") ||
					d.Kind != kinds[want.kind] || d.Amount != want.amount {
					t.Errorf("%s: wanted a %s of %d, was told %s; the ledger has a %s of %d, %s", bills[n].id, want.kind, want.amount, told.raw, d.Kind, d.Amount, d.FiscalID)
				}
			}
			referee(t, s.receipts(), ledger)
			t.Logf("%d kills, %d answers lost; %d documents, each once", kills, lost, len(ledger))
			if strings.Contains(agent.err.String(), merchant) {
				t.Error("the Merchant ID is in the log")
			}
		})
	}
}

// wanted is what a document should come to.
type wanted struct {
	kind   receipt.Kind
	amount int64
}

// settleByPaper decides what only a person can.
func settleByPaper(s *shop, kassa *device) {
	s.Helper()
	for _, r := range s.receipts() {
		if r.State == receipt.Held {
			s.decide(r, kassa.ledger())
		}
	}
	time.Sleep(100 * time.Millisecond) // each listing counts against the till's limit
}

// plov is a sale of the protocol.
func plov(more ...object) object {
	o := object{
		"docTime": "2026-11-23 19:05:12", "docNumber": "123", "employeeName": "Aysel M.", "amount": 1200, "currency": "AZN",
		"items": []any{object{
			"itemId": "1001", "itemName": "Plov", "itemQty": 1500, "itemAmount": 1200,
			"itemTaxes": []any{object{"taxName": "ƏDV 18%", "taxPrc": 1800, "calcType": 1}},
		}},
		"payments": object{"cashAmount": 2000, "cashlessAmount": 0},
	}
	for _, m := range more {
		maps.Copy(o, m)
	}
	return o
}

func TestFrontDoor_AnswersAsTheRegisterWould(t *testing.T) {
	t.Parallel()
	for _, edition := range both {
		t.Run(string(edition), func(t *testing.T) {
			t.Parallel()
			sim := register(t, simulator.Config{Edition: edition})
			s := newShop(t, at(sim.Addr()))
			s.settings["shift"] = object{"auto_open": false}
			p := doored(s, edition == simulator.Classic)
			stop := s.serve(fast)

			// A shift that is closed is the till's to open.
			eventually(t, "the register is known", func() bool { return p.post("/get_info", object{}).Serial == serial })
			if a := p.want("/check_shift", object{}, "success", 0); a.Open != "false" {
				t.Errorf("shift: %s", a.raw)
			}
			asked := time.Now()
			p.want("/sale", plov(object{"documentExtID": "a-0"}), "error", 6)
			if took := time.Since(asked); took > 20*time.Second {
				t.Errorf("the till was left waiting for %v before it was told that the shift is closed", took)
			}
			p.want("/open_shift", object{"employeeName": "Əli"}, "success", 0)
			p.want("/open_shift", object{"employeeName": "Əli"}, "error", 6)
			if a := p.want("/check_shift", object{"employeeName": "Əli"}, "success", 0); a.Open != "true" {
				t.Errorf("shift: %s", a.raw)
			}

			// The same key is the same document, however it is sent.
			first := p.made("/sale", plov(object{"documentExtID": "a-0"}))
			for p.habit = range habits {
				again := p.made("/sale", plov(object{"documentExtID": "a-0", "docTime": "2026-11-23 19:07:00"}))
				if again.FiscalID != first.FiscalID || again.DocumentID != first.DocumentID || again.ExtID != "a-0" {
					t.Errorf("repeat: %s, first %s", again.raw, first.raw)
				}
			}
			if want := []payment{{"C", 1200, 800}}; !slices.Equal(first.Payments, want) {
				t.Errorf("payments: %s", first.raw)
			}
			p.want("/sale", plov(object{"documentExtID": "a-0", "payments": object{"cashAmount": 1200}}), "error", 3)
			for _, o := range []object{{"documentExtID": "a-0"}, {"documentID": first.DocumentID}, {"documentID": first.FiscalID}, {"documentID": fmt.Sprint(first.DocumentID)}} {
				if a := p.made("/check_status", o); a.FiscalID != first.FiscalID {
					t.Errorf("check_status %v: %s", o, a.raw)
				}
			}

			// Without a key, docTime with docNumber is one; without that, each is its own.
			second := p.made("/sale", plov())
			if again := p.made("/sale", plov()); again.FiscalID != second.FiscalID || second.FiscalID == first.FiscalID {
				t.Errorf("repeat: %s, %s", second.raw, again.raw)
			}
			if a := p.made("/check_status", object{"docTime": "2026-11-23 19:05:12", "docNumber": "123", "amount": 1200}); a.FiscalID != second.FiscalID {
				t.Errorf("check_status: %s", a.raw)
			}
			third, fourth := p.made("/sale", plov(object{"docNumber": ""})), p.made("/sale", plov(object{"docNumber": "", "documentExtID": 0}))
			if third.FiscalID == fourth.FiscalID {
				t.Errorf("two guests were given one receipt: %s", third.raw)
			}
			p.want("/sale", plov(object{"payments": object{"cashAmount": 1500}}), "error", 3)

			// What is not here.
			p.want("/sale", plov(object{"documentID": 41}), "error", 9)
			switch a := p.post("/check_status", object{"documentExtID": "nobody"}); {
			case p.classic && (a.Status != "success" || a.DocStatus != -1), !p.classic && (a.Status != "error" || a.Code != 9):
				t.Errorf("unknown: %s", a.raw)
			}
			p.want("/check_copy", object{"documentID": 41}, "error", 9)
			if a := p.post("/preorder", plov()); a.Status != "error" {
				t.Errorf("preorder: %s", a.raw)
			}
			stranger := *p
			stranger.secret = "11112222333344445555666677778888"
			stranger.want("/sale", plov(object{"documentExtID": "a-9"}), "error", 1)

			// The request's own arithmetic.
			for code, o := range map[int]object{
				4: {"amount": 1201}, 8: {"payments": object{"cashAmount": 1199}}, 11: {"payments": object{"cashlessAmount": 1300}},
				7: {"payments": object{"cashAmount": 1200, "otherAmount": 5}}, 3: {"items": []any{}},
			} {
				p.want("/sale", plov(object{"documentExtID": "bad"}, o), "error", code)
			}

			// A refund that the register refuses is over; mended, the same key is good.
			line := plov()["items"].([]any)[0].(object)
			other := maps.Clone(line)
			other["itemId"], other["itemName"] = "7", "Dolma"
			back := plov(object{"documentExtID": "b-0", "docNumber": "124", "parentDocID": first.FiscalID, "payments": object{"cashAmount": 1200}})
			back["items"] = []any{other}
			p.want("/refund", back, "error", 18)
			back["items"] = []any{line}
			refunded := p.made("/refund", back)
			if again := p.made("/refund", back); again.FiscalID != refunded.FiscalID {
				t.Errorf("repeat: %s", again.raw)
			}
			// A sum that no price gives, and a cancel.
			odd := p.made("/sale", plov(object{"documentExtID": "c-0", "amount": 1000, "items": []any{extended(line, object{"itemQty": 3000, "itemAmount": 1000})}}))
			for range 2 {
				p.want("/rollback", object{"documentID": odd.FiscalID, "employeeName": "Əli"}, "success", 0)
			}
			for range 2 {
				p.want("/deposit", object{"documentExtID": "d-0", "amount": 5000, "employeeName": "Əli"}, "success", 0)
			}
			p.want("/withdraw", object{"documentExtID": "e-0", "amount": 99_999_999, "employeeName": "Əli"}, "error", 9)
			p.made("/check_copy", object{"documentID": first.DocumentID})

			// Takings of a time when the register was out of order: once, however often they are sent.
			out := object{
				"employeeName": "Əli", "date_start": "2026-11-22 18:00:00", "date_stop": "2026-11-22 23:30:00", "amount": 5000, "cashAmount": 3000,
				"cashlessAmount": 2000, "bonusesAmount": 0, "vatAmounts": []any{object{"vatPercent": 1800, "vatSum": 4000}, object{"vatPercent": 0, "vatSum": 1000}},
			}
			for range 2 {
				p.made("/correction", out)
			}
			p.want("/correction", extended(out, object{"amount": 5001}), "error", 4)
			p.want("/correction", extended(out, object{"date_stop": "yesterday"}), "error", 14)

			today := time.Now().In(time.FixedZone("", 4*60*60))
			days := p.want("/dates_report", object{"employeeName": "Əli", "dateFrom": today.AddDate(0, 0, -1).Format(time.DateOnly), "dateFor": today.Format(time.DateOnly)}, "success", 0)
			p.want("/dates_report", object{"dateFrom": "24.11.2026", "dateFor": "24.11.2026"}, "error", 14)
			x := p.want("/x_report", object{"departmentName": ""}, "success", 0)
			z := p.want("/close_shift", object{"employeeName": "Əli", "openOrdersOperation": "check"}, "success", 0)
			p.want("/close_shift", object{"employeeName": "Əli"}, "error", 6)
			ledger := sim.Ledger()
			var sales, sum int64
			for _, d := range ledger {
				if d.Kind == simulator.Sale {
					sales, sum = sales+1, sum+d.Amount
				}
			}
			for _, r := range []said{days, x, z} {
				if int64(r.SaleCount) != sales || r.SaleSum != sum || r.BackCount != 1 || sales != 5 || sum != 4*1200+1000 {
					t.Errorf("%d sales of %d qəpik in the ledger, and the report is %s", sales, sum, r.raw)
				}
			}
			if len(ledger) != 5+1+1+1+1 {
				t.Errorf("%d documents in the ledger", len(ledger))
			}
			eachOnce(t, s, ledger)

			// The register goes: what is known is told, and what waits is not closed.
			if err := sim.Close(); err != nil {
				t.Fatal(err)
			}
			if a := p.want("/get_info", object{}, "success", 0); a.Serial != serial {
				t.Errorf("info: %s", a.raw)
			}
			p.want("/x_report", object{}, "error", 5)
			waits := p.want("/sale", plov(object{"documentExtID": "f-0"}), "success", 0)
			status := p.want("/check_status", object{"documentExtID": "f-0"}, "success", 0)
			if waits.DocStatus != 0 || waits.FiscalID != "" || status.DocStatus != 0 || status.DocumentID != waits.DocumentID {
				t.Errorf("away: %s, %s", waits.raw, status.raw)
			}
			before := p.want("/check_shift", object{}, "success", 0)

			// So it is after a restart, though nobody has seen the register since.
			stop()
			s.serve(fast)
			eventually(t, "the register is known as before", func() bool { return p.post("/get_info", object{}).Serial == serial })
			if a := p.want("/check_shift", object{}, "success", 0); a.Open != before.Open {
				t.Errorf("shift after a restart: %s, before %s", a.raw, before.raw)
			}
		})
	}
}

func extended(o, more object) object {
	o = maps.Clone(o)
	maps.Copy(o, more)
	return o
}

// eachOnce looks for the document of every receipt, cash in and out among them, in the ledger.
func eachOnce(t testing.TB, s *shop, ledger []simulator.Document) {
	t.Helper()
	for _, r := range s.receipts() {
		n := 0
		for _, d := range ledger {
			if d.FiscalID == r.Document.FiscalID && r.State == receipt.Fiscal {
				n++
			}
		}
		if n != 1 && r.State != receipt.Withdrawn && r.Kind != receipt.Cancel {
			t.Errorf("%+v is %d times in the ledger", r, n)
		}
	}
}
