package caspos

import (
	"context"
	"fmt"
	"math"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/register/tokentext"
)

// XReport reads the totals of the running shift; of one that is closed, what can
// still be had of it: see closed.
func (d *Driver) XReport(ctx context.Context, shift string) (register.Report, error) {
	now, err := d.Shift(ctx)
	if err != nil {
		return register.Report{}, err
	}
	if shift != "" && (!now.Open || shift != now.ID) {
		return d.closed(ctx, shift, now)
	}
	name := tokentext.Person("")
	a, err := d.ask(ctx, request{Operation: opX, Data: struct {
		Cashier string `json:"cashierName"`
	}{name}, Cashier: name})
	if err != nil {
		return register.Report{}, err
	}
	return d.report(a, now), nil
}

// closed gives the report of a shift that is closed. If this driver has closed it
// without hearing so, the register gives the Z report again under its documentUUID
// (section 8). That is only asked while no shift is open, so that a register that
// has forgotten the UUID has nothing that it could close. Otherwise the totals of
// the time from its opening to the next one's are the same figures, without the
// tax by rate.
func (d *Driver) closed(ctx context.Context, shift string, now register.Shift) (register.Report, error) {
	d.mu.Lock()
	last, ordered, serial := d.open, d.closing == shift, d.serial
	d.mu.Unlock()
	if !now.Open && ordered && last.ID == shift && serial != "" {
		if report, o := d.close(ctx, serial, last, ""); o.Verdict == register.Made {
			return report, nil
		}
	}
	opened, err := time.Parse(time.RFC3339, shift)
	end := lastSecond(d.cfg.Now(), d.cfg.Zone)
	if now.Open {
		end = now.OpenedAt.Add(-time.Second)
	}
	if err != nil || !end.After(opened) {
		return register.Report{}, &register.Fault{Cause: register.Other, Err: fmt.Errorf("the register has no report of shift %s", shift)}
	}
	r, err := d.period(ctx, opened, end)
	r.Shift, r.OpenedAt = shift, opened
	return r, err
}

// groups are what X and Z reports, and the periodic report, call each kind's sums
// (section 9).
var groups = []struct {
	z, period string
	to        func(*register.Report) *register.Sum
}{
	{"sale", "sale", func(r *register.Report) *register.Sum { return &r.Sales }},
	{"moneyBack", "saleReturn", func(r *register.Report) *register.Sum { return &r.Refunds }},
	{"rollback", "cancellation", func(r *register.Report) *register.Sum { return &r.Cancels }},
	{"correction", "correction", func(r *register.Report) *register.Sum { return &r.Correct }},
	{"prepay", "prepayment", func(r *register.Report) *register.Sum { return &r.Prepaid }},
	{"creditpay", "credit", func(r *register.Report) *register.Sum { return &r.Credit }},
	{"deposit", "cashIn", func(r *register.Report) *register.Sum { return &r.In }},
	{"withdraw", "cashOut", func(r *register.Report) *register.Sum { return &r.Out }},
}

// report reads an X or Z report of a shift. The shift is named by getShiftStatus:
// the report's own time may be in another zone (section 14).
func (d *Driver) report(a answer, shift register.Shift) register.Report {
	r := register.Report{
		Shift: shift.ID, OpenedAt: shift.OpenedAt, Number: clip(a.data.ident("reportNumber", "document_id")), Raw: a.whole,
	}
	if r.OpenedAt.IsZero() {
		r.OpenedAt = a.data.time(d.cfg.Zone, "shiftOpenAtUtc")
	}
	for _, c := range a.data.list("currencies") {
		if name := c.text("currency"); name != "" && name != currency {
			continue
		}
		for _, g := range groups {
			sum := sumOf(c, g.z, "Sum")
			for _, v := range c.list(g.z + "VatAmounts") {
				// vatSum is the turnover (section 6); without a rate, what is free of VAT.
				if p, ok := percent(v.text("vatPercent")); ok {
					sum.VAT = append(sum.VAT, register.VAT{Rate: p, Amount: p.TaxIn(v.money("vatSum"))})
				}
			}
			*g.to(&r) = sum
		}
		break
	}
	return r
}

// sumOf reads a group whose amounts end in the suffix.
func sumOf(o object, group, suffix string) register.Sum {
	money := func(kind string) receipt.Money { return o.money(group + kind + suffix) }
	s := register.Sum{
		Sum: money(""), Cash: money("Cash"), Card: money("Cashless"), Bonus: money("Bonus"),
		Credit: money("Credit"), Prepaid: money("Prepayment"),
	}
	if n, ok := o.integer(group + "Count"); ok && n >= 0 && n <= math.MaxInt32 {
		s.Count = int(n)
	}
	if group == "deposit" || group == "withdraw" || group == "cashIn" || group == "cashOut" {
		s.Cash = s.Sum
	}
	return s.Whole() // this protocol is said to have the sister's groups
}

// percent reads a rate in percent.
func percent(s string) (receipt.Percent, bool) {
	f, ok := number(s)
	if !ok || f < 0 || f > 100 {
		return 0, false
	}
	return receipt.Percent(math.Round(f * 100)), true
}

// Period reads the totals of some days (section 9). It has no tax by rate.
func (d *Driver) Period(ctx context.Context, from, to time.Time) (register.Report, error) {
	y, m, day := from.In(d.cfg.Zone).Date()
	return d.period(ctx, time.Date(y, m, day, 0, 0, 0, 0, d.cfg.Zone), lastSecond(to, d.cfg.Zone))
}

// lastSecond of a day.
func lastSecond(t time.Time, zone *time.Location) time.Time {
	y, m, d := t.In(zone).Date()
	return time.Date(y, m, d, 23, 59, 59, 0, zone)
}

func (d *Driver) period(ctx context.Context, from, to time.Time) (register.Report, error) {
	a, err := d.ask(ctx, request{Operation: opPeriod, Data: struct {
		Start string `json:"startDate"`
		End   string `json:"endDate"`
	}{moment(from, d.cfg.Zone), moment(to, d.cfg.Zone)}})
	if err != nil {
		return register.Report{}, err
	}
	r := register.Report{OpenedAt: a.data.time(d.cfg.Zone, "startDate"), Raw: a.whole}
	for _, g := range groups {
		*g.to(&r) = sumOf(a.data, g.period, "Total")
	}
	return r, nil
}
