package simulator

import (
	"fmt"
	"strconv"
)

// shiftID is a number, as in the example of open_shift; clients have also read a
// string (section 11, point 6).
func (c *call) shiftID(n int64) any {
	if c.quirks.has(quirkStringShiftID) {
		return strconv.FormatInt(n, 10)
	}
	return n
}

// checkShift is section 6.1.
func (c *call) checkShift() (answer, error) {
	t := c.v.tok
	out := answer{"isShiftOpen": strconv.FormatBool(t.open), "shiftID": c.shiftID(t.shift)}
	if c.quirks.has(quirkBoolShift) {
		out["isShiftOpen"] = t.open
	}
	if c.classic {
		return out, nil
	}
	out["shiftStatus"], out["shiftOpenAt"], out["cash"] = 2, "", t.drawer
	if t.open {
		out["shiftStatus"], out["shiftOpenAt"] = 1, t.openedAt.In(baku).Format(wallTime)
	}
	return out, nil
}

// openShift is section 6.2. Open already is code 6, too.
func (c *call) openShift() (answer, error) {
	by := c.f.text("employeeName")
	pin := c.f.idText("pinCode") + c.f.idText("pincode")
	if c.quirks.has(quirkPin) && pin == "" {
		c.f.missing("pinCode")
	}
	if c.f.failed() {
		return nil, *c.f.bad
	}
	if err := c.v.openShift(by); err != nil {
		return nil, err
	}
	n := c.shiftID(c.v.tok.shift)
	return answer{"shiftID": n, "fiscalID": n, "fiscalShiftID": n}, nil
}

// closeShift is the Z report (section 6.3).
func (c *call) closeShift() (answer, error) {
	f := c.f
	for _, name := range []string{"employeeName", "departmentName", "departmentCode", "wsName"} {
		f.text(name)
	}
	orders := f.text("openOrdersOperation")
	if f.failed() {
		return nil, *f.bad
	}
	if orders == "delete" {
		if err := c.v.dropOrders(); err != nil {
			return nil, err
		}
	}
	z, r, printed, err := c.v.closeShift(orders == "renew")
	if err != nil {
		return nil, err
	}
	out := c.reportAnswer(r)
	out["fiscalShiftID"], out["fiscalShiftNum"] = z.FiscalID, strconv.FormatInt(z.Number, 10)
	out["shiftCloseAt"] = z.ClosedAt.In(baku).Format(wallTime)
	out["currency_name"] = "AZN"
	return c.printed(out, printed)
}

// xReport is section 6.4. With a shiftID it reports a closed shift as well.
func (c *call) xReport() (answer, error) {
	f := c.f
	f.text("departmentName")
	f.text("departmentCode")
	var shift int64
	if f.has("shiftID") {
		if shift = f.intOrDigits("shiftID"); shift == 0 {
			f.blame(codeShift, "there is no shift 0")
		}
	}
	if f.failed() {
		return nil, *f.bad
	}
	r, err := c.v.tok.report(shift)
	if err != nil {
		return nil, err
	}
	return c.printed(c.reportAnswer(r), c.v.print(reportSheet(c.v.owner, "X-HESABAT", c.v.tok.serial, r, c.v.now())))
}

// datesReport is section 6.6; its answer is not documented, so it is that of an X
// report without a shift.
func (c *call) datesReport() (answer, error) {
	first, last := "dateFrom", "dateFor"
	if c.quirks.has(quirkDatesStartStop) {
		first, last = "date_start", "date_stop"
	}
	from, to := c.date(first), c.date(last)
	if !c.f.failed() && to.Before(from) {
		c.f.blame(codeDate, "parameter %s is before %s", last, first)
	}
	if c.f.failed() {
		return nil, *c.f.bad
	}
	r := c.v.tok.period(from, to)
	out := c.reportAnswer(r)
	delete(out, "shiftID")
	delete(out, "shiftOpenAt")
	out[first], out[last] = from.Format("2006-01-02"), to.Format("2006-01-02")
	return c.printed(out, c.v.print(reportSheet(c.v.owner, "DÖVRİ HESABAT", c.v.tok.serial, r, c.v.now())))
}

// reportAnswer writes a report in the words of section 6.4.
func (c *call) reportAnswer(r Report) answer {
	out := answer{
		"shiftID": c.shiftID(r.Shift), "shiftOpenAt": r.OpenedAt.In(baku).Format(wallTime),
		"cash": r.Drawer, "cashRest": r.Drawer,
		"firstDocNumber": r.FirstNumber, "lastDocNumber": r.LastNumber, "docCountToSend": r.Unsent,
		"openOrdersCnt": r.Orders, "reportNumber": r.Shift,
	}
	bonus := "BonusSum"
	if c.quirks.has(quirkBonuses) {
		bonus = "BonusesSum"
	}
	for _, g := range groups {
		t, p := r.Groups[g], string(g)
		out[p+"Count"], out[p+"Sum"] = t.Count, t.Sum
		if g == GroupDeposit || g == GroupWithdraw {
			continue
		}
		out[p+"CashSum"], out[p+"CashlessSum"], out[p+"CreditSum"] = t.Payments.Cash, t.Payments.Cashless, t.Payments.Credit
		out[p+bonus], out[p+"PrepaymentSum"] = t.Payments.Bonus, t.Payments.Prepaid
		out[p+"VatAmounts"] = c.vatAmounts(t.VAT)
	}
	return out
}

// vatAmounts: the table calls vatPercent "percent" and gives no scale; the name
// vatAmount says tax.
func (c *call) vatAmounts(list []VAT) []answer {
	out := []answer{}
	for _, v := range list {
		rate, sum := v.Rate/100, v.Tax
		if c.quirks.has(quirkVATPercent100) {
			rate = v.Rate
		}
		if c.quirks.has(quirkVATTurnover) {
			sum = v.Turnover
		}
		out = append(out, answer{"vatPercent": rate, "vatAmount": sum})
	}
	return out
}

func (c *call) deposit() (answer, error)  { return c.cash(Deposit) }
func (c *call) withdraw() (answer, error) { return c.cash(Withdraw) }

// cash moves money in or out of the drawer (section 6.5).
func (c *call) cash(kind Kind) (answer, error) {
	f := c.f
	d := &Document{Kind: kind, Client: c.client()}
	if !f.has("amount") {
		f.missing("amount")
	}
	if d.Amount = c.amount("amount"); d.Amount == 0 {
		f.blame(codeParameter, "parameter amount must be above 0")
	}
	if cur := f.text("currency"); cur != "" && cur != "AZN" {
		f.blame(codeParameter, "parameter currency is %q, not AZN", cur)
	}
	if f.failed() {
		return nil, *f.bad
	}
	d.Payments.Cash = d.Amount
	d.Client.Fingerprint = c.fingerprint(d)
	if out, err := c.seenByKey(d); out != nil || err != nil {
		return out, err
	}
	return c.submit(d)
}

// cashAnswer: in the old editions fiscalID is the bare document number, as in
// their example.
func (c *call) cashAnswer(d *Document) answer {
	if !c.classic {
		return c.identity(d)
	}
	r, _ := c.v.tok.report(d.Shift) // its own shift is there
	out := answer{"cash": c.v.tok.drawer, "cashIn": r.Groups[GroupDeposit].Sum, "cashOut": r.Groups[GroupWithdraw].Sum,
		"documentID": d.ID, "fiscalID": fiscalNum(d), "shiftOrdersCnt": 0}
	c.echoKey(out, d)
	return out
}

// getInfo is section 6.7. The formats of its times are not documented.
func (c *call) getInfo() (answer, error) {
	t, x, now := c.v.tok, c.v.owner, c.v.now()
	app := "2.0.0-sim"
	if c.classic {
		app = "1.0.0-sim"
	}
	oldest := ""
	if len(t.docs) > 0 {
		oldest = t.docs[0].At.In(baku).Format(wallTime)
	}
	return answer{
		"serial_num": t.serial, "cashbox_factory_number": t.serial, "cashbox_app_version": app,
		"cashbox_tax_number": x.Token, "cashregister_factory_number": x.Factory, "cashregister_model": x.Model,
		"company_name": x.Company, "company_tax_number": x.VOEN, "object_name": x.Object, "object_address": x.Address,
		"object_tax_number": x.Code, "firmware_version": "sim-1", "fiscal_core_version": "sim-1",
		"last_online_time": now.Format(wallTime), "oldest_document_time": oldest,
		"not_before": now.AddDate(-1, 0, 0).Format(wallTime), "not_after": now.AddDate(2, 0, 0).Format(wallTime),
		"qr_code_url": x.QRURL, "state": "ACTIVE", "terminalID": fmt.Sprintf("SIM%05d", len(t.serial)),
	}, nil
}
