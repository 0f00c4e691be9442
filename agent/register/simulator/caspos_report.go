package simulator

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// casposGroups are the headings of an X or Z report and of the periodic report,
// which has names of its own (section 9).
var casposGroups = []struct {
	group  Group
	name   string
	period string
	sign   int64 // in the period sums
}{
	{GroupSale, "sale", "sale", 1},
	{GroupMoneyBack, "moneyBack", "saleReturn", -1},
	{GroupRollback, "rollback", "cancellation", -1},
	{GroupCorrection, "correction", "correction", 1},
	{GroupPrepay, "prepay", "prepayment", 1},
	{GroupCreditPay, "creditpay", "credit", 1},
}

// zReport is the answer of closeShift.
func (c *casposCall) zReport(r Report, z ClosedShift) answer {
	out := c.report(r, z.ClosedAt)
	out["document_id"] = z.FiscalID
	return out
}

// report writes an X or Z report (section 9).
func (c *casposCall) report(r Report, at time.Time) answer {
	money := answer{"currency": "AZN"}
	for _, g := range casposGroups {
		t := r.Groups[g.group]
		money[g.name+"Count"], money[g.name+"Sum"] = t.Count, c.sum(c.total(t))
		money[g.name+"CashSum"], money[g.name+"CashlessSum"] = c.sum(t.Payments.Cash), c.sum(t.Payments.Cashless)
		money[g.name+"BonusSum"], money[g.name+"CreditSum"] = c.sum(t.Payments.Bonus), c.sum(t.Payments.Credit)
		money[g.name+"PrepaymentSum"] = c.sum(t.Payments.Prepaid)
		money[g.name+"VatAmounts"] = c.vatAmounts(t.VAT)
	}
	in, out := r.Groups[GroupDeposit], r.Groups[GroupWithdraw]
	money["depositCount"], money["depositSum"] = in.Count, c.sum(in.Sum)
	money["withdrawCount"], money["withdrawSum"] = out.Count, c.sum(out.Sum)
	c.periodSums(money, r)
	return answer{
		"currencies": []answer{money}, "docCountToSend": r.Unsent, "firstDocNumber": r.FirstNumber, "lastDocNumber": r.LastNumber,
		"createdAtUtc": c.utc(at), "shiftOpenAtUtc": c.utc(r.OpenedAt), "reportNumber": strconv.FormatInt(r.Shift, 10),
	}
}

// total is the whole sum of a group, or what is left beside credit and advances,
// as in the sister protocol.
func (c *casposCall) total(t Totals) int64 {
	if c.quirks.has(quirkCasposNetTotals) {
		return t.Sum - t.Payments.Credit - t.Payments.Prepaid
	}
	return t.Sum
}

// vatAmounts: vatSum is gross turnover, and exempt turnover is the row without a
// percentage (section 6).
func (c *casposCall) vatAmounts(list []VAT) []answer {
	out := []answer{}
	for _, v := range list {
		row := answer{"vatSum": c.sum(v.Turnover)}
		if v.Rate != NoVAT {
			row["vatPercent"] = v.Rate / 100
		}
		out = append(out, row)
	}
	return out
}

// periodSums are what was taken less what was given back; they may be negative
// (section 9). What an advance or credit pays was taken, or is yet to be taken,
// in another document. periodVatSum is the tax at all rates.
func (c *casposCall) periodSums(out answer, r Report) {
	var sum, tax, free, zero int64
	for _, g := range casposGroups {
		t := r.Groups[g.group]
		sum += g.sign * (t.Sum - t.Payments.Credit - t.Payments.Prepaid)
		for _, v := range t.VAT {
			tax += g.sign * v.Tax
			switch v.Rate {
			case NoVAT:
				free += g.sign * v.Turnover
			case 0:
				zero += g.sign * v.Turnover
			}
		}
	}
	out["periodSum"], out["periodVatSum"] = c.sum(sum), c.sum(tax)
	out["periodVatFreeSum"], out["periodVatZeroSum"] = c.sum(free), c.sum(zero)
}

// period writes the periodic report (section 9).
func (c *casposCall) period(r Report, from, to time.Time) answer {
	out := answer{"startDate": c.clock(from), "endDate": c.clock(to), "date": c.clock(c.v.now())}
	for _, g := range casposGroups {
		t, p := r.Groups[g.group], g.period
		var tax, free int64
		for _, v := range t.VAT {
			tax += v.Tax
			if v.Rate == NoVAT {
				free += v.Turnover
			}
		}
		out[p+"Count"], out[p+"Total"] = t.Count, c.sum(c.total(t))
		out[p+"CashTotal"], out[p+"CashlessTotal"] = c.sum(t.Payments.Cash), c.sum(t.Payments.Cashless)
		out[p+"BonusTotal"], out[p+"CreditTotal"] = c.sum(t.Payments.Bonus), c.sum(t.Payments.Credit)
		out[p+"PrepaymentTotal"] = c.sum(t.Payments.Prepaid)
		out[p+"VatTotal"], out[p+"VatFreeTotal"] = c.sum(tax), c.sum(free)
	}
	in, gone := r.Groups[GroupDeposit], r.Groups[GroupWithdraw]
	out["cashInCount"], out["cashInTotal"] = in.Count, c.sum(in.Sum)
	out["cashOutCount"], out["cashOutTotal"] = gone.Count, c.sum(gone.Sum)
	c.periodSums(out, r)
	delete(out, "periodVatZeroSum") // only X and Z reports have it
	return out
}

// sum writes the money of a report; under the quirk as a program does that counts
// in single precision, 0.5999999 for 0.60 (section 2). Up to some 16,000 AZN
// that rounds back to what it was.
func (c *casposCall) sum(q int64) json.Number {
	if !c.quirks.has(quirkCasposFloat) || q == 0 {
		return casposSum(q)
	}
	true32 := float32(float64(q) / 100)
	off := true32
	for range 2 {
		off = math.Nextafter32(off, 0)
	}
	if int64(math.Round(float64(off)*100)) != q {
		off = true32
	}
	return json.Number(strconv.FormatFloat(float64(off), 'f', -1, 32))
}
