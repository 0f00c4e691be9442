package torture

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Size is how much a plan has of each.
type Size struct {
	Receipts, Tills, Kills, Faults int
}

// Plan is what will be sold, and what will go wrong.
type Plan struct {
	Tills  [][]Order // of each till, in its order
	Events []Event   // by the number of receipts that tills were told yes for
}

// Payments is how a receipt was paid, in qəpik; the change is taken off the cash.
type Payments struct{ Cash, Card, Prepaid, Credit int64 }

// receipts is where all but cash is posted.
const receipts = "/v1/receipts"

// Order is one thing that a till posts.
type Order struct {
	ID, Kind string
	Path     string // receipts, or one for cash
	Body     []byte
	Total    int64 // qəpik; of a cancel, what it takes back
	Paid     Payments
	Fiscal   bool
	Parent   string // id of the receipt that it goes back to, of this till
	Wait     int    // seconds that the till waits for the document
	Twice    bool   // posted by two connections at once
	Again    string // an earlier id, which is posted once more afterwards: 200
	Clash    string // an earlier id, which is posted with other content: 409
}

// line of a receipt, as the API takes it.
type line struct {
	Name     string `json:"name"`
	Code     string `json:"code,omitempty"`
	Unit     string `json:"unit,omitempty"`
	Quantity string `json:"quantity"`
	Price    string `json:"price"`
	Discount string `json:"discount,omitempty"`
	Tax      string `json:"tax,omitempty"`
}

// total is price × quantity, rounded half up, less the discount (contract 3).
func (l line) total() int64 {
	return (scaled(l.Price, 2)*scaled(l.Quantity, 3)+500)/1000 - scaled(l.Discount, 2)
}

// body is a receipt, as the API takes it.
type body struct {
	ID       string            `json:"id"`
	Kind     string            `json:"kind,omitempty"`
	Time     string            `json:"time,omitempty"`
	Cashier  string            `json:"cashier"`
	Number   string            `json:"number,omitempty"`
	Items    []line            `json:"items,omitempty"`
	Payments map[string]string `json:"payments,omitempty"`
	Parent   map[string]string `json:"parent,omitempty"`
	Period   map[string]string `json:"period,omitempty"`
	Amount   string            `json:"amount,omitempty"`
	Fiscal   *bool             `json:"fiscal,omitempty"`
	Note     string            `json:"note,omitempty"`
}

// scaled reads a decimal as a whole number of its smallest unit.
func scaled(s string, digits int) int64 {
	whole, part, _ := strings.Cut(s, ".")
	n, _ := strconv.ParseInt(whole+(part + "0000")[:digits], 10, 64)
	return n
}

func manat(n int64) string { return fmt.Sprintf("%d.%02d", n/100, n%100) }

// MakePlan is a pure function of its arguments; week are receipts as tills post them.
func MakePlan(seed uint64, size Size, week [][]byte) (Plan, error) {
	var sales []body
	for _, text := range week {
		var b body
		if err := json.Unmarshal(text, &b); err != nil {
			return Plan{}, fmt.Errorf("read the week's receipts: %w", err)
		}
		if b.Kind == "sale" {
			sales = append(sales, b)
		}
	}
	if len(sales) == 0 || size.Tills < 1 {
		return Plan{}, fmt.Errorf("plan for %d tills and %d sales to repeat: at least one of each is needed", size.Tills, len(sales))
	}
	p := Plan{}
	for t := range size.Tills {
		share := size.Receipts / size.Tills
		if t < size.Receipts%size.Tills {
			share++
		}
		c := &counter{dice: rand.New(rand.NewPCG(seed, uint64(t)+1)), till: t + 1, sales: sales} //nolint:gosec // chance that can be repeated
		for range share {
			c.next()
		}
		p.Tills = append(p.Tills, c.orders)
	}
	p.Events = events(rand.New(rand.NewPCG(seed, 0)), size) //nolint:gosec // as above
	return p, nil
}

// counter is one till while its day is planned.
type counter struct {
	dice    *rand.Rand
	till    int
	sales   []body
	orders  []Order
	plain   []body // sales that may be cancelled or refunded still
	advance []body // prepayments not spent yet
	credit  []body // credit sales not paid yet
	drawer  int64  // cash that is certainly there
}

func (c *counter) next() {
	b := body{
		ID: fmt.Sprintf("k%d-%06d", c.till, len(c.orders)+1), Kind: "sale",
		Time: time.Date(2026, 11, 23, 10, 0, len(c.orders), 0, time.FixedZone("", 4*3600)).Format(time.RFC3339),
	}
	b.Cashier, b.Number = "Aysel "+b.ID, strconv.Itoa(len(c.orders)+1)
	fiscal := true
	switch n := c.dice.IntN(1000); {
	case len(c.orders) == 0:
		c.cash(b, "/v1/cash/deposit", 1000_00)
		return
	case n < 15: // no two amounts are the same, see sign
		c.cash(b, "/v1/cash/deposit", int64(100_00+len(c.orders)))
		return
	case n < 30 && c.drawer > int64(200_00+len(c.orders)):
		c.cash(b, "/v1/cash/withdraw", int64(1_00+len(c.orders)))
		return
	case n < 80 && len(c.plain) > 0:
		c.refund(b)
		return
	case n < 115 && len(c.plain) > 0:
		c.cancel(b)
		return
	case n < 130:
		b.Kind, b.Items = "prepayment", []line{{Name: "Banket avansı", Code: "9100", Quantity: "1", Price: manat(int64(5000 + c.dice.IntN(5000))), Tax: "vat18"}}
		b.Payments = map[string]string{"cash": manat(b.Items[0].total())}
		c.advance = append(c.advance, b)
	case n < 145 && len(c.advance) > 0:
		paid := c.advance[0].Items[0].total()
		b.Parent, c.advance = map[string]string{"id": c.advance[0].ID}, c.advance[1:]
		b.Items = []line{{Name: "Banket", Code: "9101", Quantity: "1", Price: manat(paid + 30_00), Tax: "vat18"}}
		b.Payments = map[string]string{"prepaid": manat(paid), "cash": "30.00"}
	case n < 160: // one line: more are not sold on credit everywhere
		b.Items, b.Note = c.pick().Items[:1], "borc"
		b.Payments = map[string]string{"credit": manat(sum(b.Items))}
		c.credit = append(c.credit, b)
	case n < 175 && len(c.credit) > 0:
		sale := c.credit[0]
		b.Kind, b.Parent, b.Items, c.credit = "credit_payment", map[string]string{"id": sale.ID}, sale.Items, c.credit[1:]
		b.Payments = map[string]string{"card": manat(sum(b.Items))}
	case n < 178:
		b.Kind, b.Items = "correction", []line{{Name: "Satış", Code: "9102", Quantity: "1", Price: manat(int64(100 + c.dice.IntN(9000))), Tax: "vat18"}}
		b.Payments = map[string]string{"cash": manat(b.Items[0].total())}
		b.Period = map[string]string{"from": "2026-11-22T10:00:00+04:00", "to": "2026-11-22T11:00:00+04:00"}
	default:
		sale := c.pick()
		b.Items, b.Payments, b.Note = sale.Items, sale.Payments, sale.Note
		if fiscal = c.dice.IntN(40) > 0; !fiscal {
			b.Fiscal = &fiscal
		} else {
			c.plain = append(c.plain, b)
		}
	}
	c.add(b, receipts, sum(b.Items), fiscal)
}

func (c *counter) pick() body { return c.sales[c.dice.IntN(len(c.sales))] }

func sum(items []line) (total int64) {
	for _, l := range items {
		total += l.total()
	}
	return total
}

// refund takes back one line of one of the last sales.
func (c *counter) refund(b body) {
	sale := c.take(20)
	b.Kind, b.Parent = "refund", map[string]string{"id": sale.ID}
	b.Items = []line{sale.Items[c.dice.IntN(len(sale.Items))]}
	way := "card"
	if c.drawer > 500_00 {
		way = "cash"
	}
	b.Payments = map[string]string{way: manat(sum(b.Items))}
	c.add(b, receipts, sum(b.Items), true)
}

// cancel takes back one of the last three sales: it must be of the same shift.
func (c *counter) cancel(b body) {
	sale := c.take(3)
	b.Kind, b.Parent = "cancel", map[string]string{"id": sale.ID}
	c.add(b, receipts, sum(sale.Items), true)
}

// take gives one of the last few plain sales, which nobody else gets.
func (c *counter) take(last int) body {
	n := len(c.plain) - 1 - c.dice.IntN(min(last, len(c.plain)))
	sale := c.plain[n]
	c.plain = append(append([]body(nil), c.plain[:n]...), c.plain[n+1:]...)
	if len(c.plain) > 100 {
		c.plain = c.plain[50:]
	}
	return sale
}

func (c *counter) cash(b body, path string, amount int64) {
	b.Kind, b.Time, b.Number, b.Amount = "", "", "", manat(amount)
	c.add(b, path, amount, true)
}

// add makes the order of a receipt.
func (c *counter) add(b body, path string, total int64, fiscal bool) {
	text, err := json.Marshal(b)
	if err != nil {
		panic(err) // plain fields only: cannot fail
	}
	o := Order{ID: b.ID, Kind: b.Kind, Path: path, Body: text, Total: total, Fiscal: fiscal, Parent: b.Parent["id"]}
	o.Paid = Payments{scaled(b.Payments["cash"], 2), scaled(b.Payments["card"], 2), scaled(b.Payments["prepaid"], 2), scaled(b.Payments["credit"], 2)}
	if o.Paid.Cash > 0 {
		o.Paid.Cash = total - o.Paid.Card - o.Paid.Prepaid - o.Paid.Credit
	}
	switch path {
	case "/v1/cash/deposit":
		o.Kind, c.drawer = "deposit", c.drawer+total
	case "/v1/cash/withdraw":
		o.Kind, c.drawer = "withdrawal", c.drawer-total
	}
	if b.Kind == "refund" {
		c.drawer -= o.Paid.Cash
	}
	if c.dice.IntN(100) < 80 {
		o.Wait = 1 + c.dice.IntN(2)
	}
	o.Twice = c.dice.IntN(25) == 0
	if n := len(c.orders); n > 0 {
		switch c.dice.IntN(50) {
		case 0, 1:
			o.Again = c.orders[c.dice.IntN(n)].ID
		case 2:
			o.Clash = c.orders[c.dice.IntN(n)].ID
		}
	}
	c.orders = append(c.orders, o)
}
