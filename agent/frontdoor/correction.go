package frontdoor

import (
	"fmt"
	"time"

	"ekassa/agent/crash"
	"ekassa/agent/receipt"
)

// correction takes takings of a time when the register was out of order (5.10):
// turnovers by rate, and no goods. The page has no key for it; the period with
// what was taken in it is one, since nothing is put right twice.
func (c *call) correction() (answer, error) {
	f := c.f
	p := &receipt.Period{From: c.moment("date_start"), To: c.moment("date_stop")}
	if *f.bad == nil && p.To.Before(p.From) {
		f.blame(codeParameter, "date_stop is before date_start")
	}
	r := c.header(receipt.Correction)
	r.Time, r.Period = crash.Now(), p
	r.Payments = receipt.Payments{Cash: f.money("cashAmount"), Card: f.money("cashlessAmount"), Bonus: f.money("bonusesAmount")}
	list := f.objects("vatAmounts")
	if len(list) == 0 {
		f.missing("vatAmounts")
	}
	if len(list) > receipt.MaxItems {
		f.blame(codeParameter, "vatAmounts has more than %d elements", receipt.MaxItems)
		list = nil
	}
	for _, v := range list {
		for _, name := range []string{"vatPercent", "vatSum"} {
			if !v.has(name) {
				v.missing(name)
			}
		}
		t := rated(v, "vatPercent", "ƏDV "+v.text("vatPercent", 16), false)
		r.Items = append(r.Items, receipt.Item{Name: "Korreksiya", Unit: receipt.Piece, Quantity: 1000, Price: v.money("vatSum"), Tax: t})
	}
	if !f.has("amount") {
		f.missing("amount")
	}
	c.sums(r)
	if *f.bad == nil && r.Payments.Change(r.Total()) > 0 {
		f.blame(codeSum, "the payments come to more than amount")
	}
	o := order{receipt: r, print: fingerprint(r, fmt.Sprint(p.From.Unix(), p.To.Unix())), echo: f.m["documentExtID"]}
	if key := f.id("documentExtID"); key != "" {
		o.base = named(namedByKey, key)
	} else {
		o.base = named(namedByTriple, fmt.Sprintf("%s %d %d %x", r.Kind, p.From.Unix(), p.To.Unix(), o.print.Said))
	}
	if err := f.fault(); err != nil {
		return nil, err
	}
	return c.take(o)
}

// moment reads a date and time of the shop's wall, which must be there.
func (c *call) moment(name string) time.Time {
	s := c.f.text(name, 64)
	for _, layout := range append(layouts, time.DateOnly) {
		if t, err := time.ParseInLocation(layout, s, c.shop.Zone); err == nil && t.Year() >= 2000 && t.Year() < 9999 {
			return t
		}
	}
	c.f.blame(codeDate, "%s is no date: write it as 2026-11-24 18:30:00", name)
	return time.Time{}
}

// datesReport reads the totals of some days from the register (6.6), by either
// client's names.
func (c *call) datesReport() (answer, error) {
	names := [2]string{"dateFrom", "dateFor"}
	if !c.f.has(names[0]) && !c.f.has(names[1]) && (c.f.has("date_start") || c.f.has("date_stop")) {
		names = [2]string{"date_start", "date_stop"}
	}
	from, to := c.moment(names[0]), c.moment(names[1])
	if *c.f.bad == nil && to.Before(from) {
		c.f.blame(codeDate, "%s is before %s", names[1], names[0])
	}
	if err := c.f.fault(); err != nil {
		return nil, err
	}
	report, err := c.Desk.Period(c.ctx, c.Terminal, from, to)
	if err != nil {
		return nil, c.faulty(err)
	}
	return c.report(report), nil
}
