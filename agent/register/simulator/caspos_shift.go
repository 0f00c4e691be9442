package simulator

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"
)

// getInfo is section 5. last_doc_number is typed float.
func (c *casposCall) getInfo() (answer, error) {
	t, x := c.v.tok, c.v.owner
	out := answer{
		"application_version": "1.0.0-sim", "cashregister_model": x.Model, "cashregister_factory_number": x.Factory,
		"cashbox_tax_number": x.Token, "cashbox_factory_number": t.serial, "company_name": x.Company,
		"company_tax_number": x.VOEN, "object_name": x.Object, "object_address": x.Address, "object_tax_number": x.Code,
		"last_doc_number": json.Number(fmt.Sprintf("%d.0", t.lastNumber)), "last_online_time": c.clock(c.v.now()),
		"qr_code_url": x.QRURL, "state": "ACTIVE", "token_version": "2.18.1-sim",
	}
	if c.quirks.has(quirkCasposBlanks) {
		for k, v := range maps.Clone(out) {
			if s, ok := v.(string); ok {
				out[k] = " " + s + " "
			}
		}
	}
	return out, nil
}

// shiftStatus: the names of the sample, or those of the table (section 4).
func (c *casposCall) shiftStatus() (answer, error) {
	open, since := "shift_open", "shift_open_time"
	if c.quirks.has(quirkCasposShiftNames) {
		open, since = "shiftOpen", "shiftOpenTime"
	}
	out := answer{open: c.v.tok.open, since: ""}
	if c.v.tok.open {
		out[since] = c.clock(c.v.tok.openedAt)
	}
	return out, nil
}

// openShift: the opening float must be there and moves nothing here. What is in
// the drawer stays there over the shift's end.
func (c *casposCall) openShift() (answer, error) {
	c.data.needMoney("sum")
	by := c.cashierAnywhere()
	if c.bad != nil {
		return nil, c.bad
	}
	return nil, c.v.openShift(by)
}

// closeShift is the Z report; its UUID is a key like any other (section 8).
func (c *casposCall) closeShift() (answer, error) {
	key := c.uuid()
	c.cashier(c.data)
	if c.bad != nil {
		return nil, c.bad
	}
	if err := c.seen(key); err != nil {
		return nil, err
	}
	c.v.zKey = key
	z, r, printed, err := c.v.closeShift(false)
	if err != nil {
		return nil, err
	}
	return c.printed(c.zReport(r, z), printed)
}

func (c *casposCall) xReport() (answer, error) {
	c.cashierAnywhere()
	if c.bad != nil {
		return nil, c.bad
	}
	r, err := c.v.tok.report(0)
	if err != nil {
		return nil, err
	}
	return c.printed(c.report(r, c.v.now()), c.v.print(reportSheet(c.v.owner, "X-HESABAT", c.v.tok.serial, r, c.v.now())))
}

// printed answers for something that is no document.
func (c *casposCall) printed(out answer, printed bool) (answer, error) {
	if !printed && !c.quirks.has(quirkCasposPaperSuccess) {
		return nil, errCasposPaper
	}
	return out, nil
}

// periodic is the report on a period, in names of its own (section 9).
func (c *casposCall) periodic() (answer, error) {
	from, to := c.data.time("startDate"), c.data.time("endDate")
	if to.Before(from) {
		c.data.blame(casposTime, "endDate is before startDate")
	}
	if c.bad != nil {
		return nil, c.bad
	}
	end := to.Add(time.Second) // the last second belongs to it
	r := c.v.tok.sum(func(d *Document) bool { return !d.At.Before(from) && d.At.Before(end) })
	r.OpenedAt, r.ClosedAt, r.Drawer = from, to, c.v.tok.drawer
	return c.printed(c.period(r, from, to), c.v.print(reportSheet(c.v.owner, "DÖVRİ HESABAT", c.v.tok.serial, r, c.v.now())))
}

// casposTypes are the words of the control tape (section 4.5); the page knows
// four of them, the others are ours.
var casposTypes = map[Kind]string{Sale: "sale", Refund: "money_back", Withdraw: "withdraw", Deposit: "deposit",
	Rollback: "rollback", Correction: "correction", CreditPay: "credit", Prepay: "prepayment", Copy: "copy"}

// controlTape lists the documents of the open shift (section 8). The page names
// the fields of the header and of a row, not the list: "documents" is ours.
func (c *casposCall) controlTape() (answer, error) {
	t := c.v.tok
	if !t.open {
		return nil, refuse(ShiftClosed, "no shift is open")
	}
	rows := []answer{}
	for _, d := range t.docs {
		if d.Shift != t.shift {
			continue
		}
		var vat int64
		for _, v := range d.VAT {
			vat += v.Tax
		}
		rows = append(rows, answer{"document_id": d.FiscalID, "short_document_id": d.ShortID, "number": d.Number,
			"type": casposTypes[d.Kind], "total_sum": casposSum(d.Amount), "total_vat": casposSum(vat),
			"item_count": len(d.Items), "createdAtUtc": c.utc(d.At), "delivered": true})
	}
	return answer{"shift_number": t.shift, "documents_quantity": len(rows), "documents": rows}, nil
}

// printLast prints the last document again. Whether that is a document of its own
// is not known (section 14, point 13).
func (c *casposCall) printLast() (answer, error) {
	d := c.v.tok.find(func(d *Document) bool { return d.Kind != Copy })
	if d == nil {
		return nil, &casposProblem{code: casposNoDocument, text: "there is no document yet"}
	}
	if c.quirks.has(quirkCasposCopyCounts) {
		copied := &Document{Kind: Copy, Parent: d.FiscalID}
		done, err := c.v.submit(copied)
		switch {
		case err != nil:
			return nil, err
		case !done:
			return nil, errCasposRunning
		case !copied.Printed:
			return c.printed(nil, false)
		}
	}
	printed, err := c.v.reprint(d)
	if err != nil {
		return nil, err
	}
	return c.printed(nil, printed)
}

// printer says whether the printer would work. How it answers without paper is
// not known (section 14, point 4).
func (c *casposCall) printer() (answer, error) {
	if c.v.faults.paperIn() || c.quirks.has(quirkCasposPrinterFine) {
		return nil, nil
	}
	return nil, errCasposPaper
}

func (c *casposCall) openCashbox() (answer, error) { return nil, nil }

// clock writes a time as section 2 says.
func (c *casposCall) clock(t time.Time) string {
	s := t.In(baku).Format(casposClock)
	if c.quirks.has(quirkCasposNoBlank) {
		s = strings.Replace(s, " ", "", 1)
	}
	return s
}

// utc is for the fields called …AtUtc, which one client reads as local time.
func (c *casposCall) utc(t time.Time) string {
	if c.quirks.has(quirkCasposUTC) {
		return c.clock(t.Add(-4 * time.Hour)) // baku is UTC+4
	}
	return c.clock(t)
}
