package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// omniMoney is AZN as a JSON number with two decimals (section 2).
func omniMoney(q int64) json.Number { return json.Number(money(q)) }

// stamp is how reports write times (section 9). The fields say UTC; whether a Z
// stands behind is open.
func (c *omniCall) stamp(t time.Time) string {
	if c.quirks.has(quirkStampsBare) {
		return t.UTC().Format("2006-01-02T15:04:05")
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

// getInfo is section 5. The formats of its times are not documented.
func (c *omniCall) getInfo() (answer, error) {
	if err := c.finish(); err != nil {
		return nil, err
	}
	t, x, now := c.v.tok, c.v.owner, c.v.now()
	return answer{"data": answer{
		"cashbox_factory_number": t.serial, "cashbox_tax_number": x.Token, "cashregister_factory_number": x.Factory,
		"cashregister_model": x.Model, "company_name": x.Company, "company_tax_number": x.VOEN, "firmware_version": "2.20.0-sim",
		"last_doc_number": c.lastNumber(), "last_online_time": c.stamp(now),
		"not_before": c.stamp(now.AddDate(-1, 0, 0)), "not_after": c.stamp(now.AddDate(2, 0, 0)),
		"object_address": x.Address, "object_name": x.Object, "object_tax_number": x.Code, "qr_code_url": x.QRURL, "state": "ACTIVE",
	}}, nil
}

// shiftStatus is check type 14.
func (c *omniCall) shiftStatus() (answer, error) {
	if err := c.finish(); err != nil {
		return nil, err
	}
	t := c.v.tok
	out := answer{"shiftStatus": t.open, "shift_open_time": "", "serial": t.serial, "desc": ""}
	if t.open {
		zone := baku
		if c.quirks.has(quirkShiftTimeUTC) {
			zone = time.UTC
		}
		out["shift_open_time"] = t.openedAt.In(zone).Format(wallTime)
	}
	return out, nil
}

// openShift is check type 15. It names nobody.
func (c *omniCall) openShift() (answer, error) {
	if err := c.finish(); err != nil {
		return nil, err
	}
	if err := c.v.openShift(""); err != nil {
		return nil, c.refusalOfShift(err)
	}
	return answer{}, nil
}

// closeShift is check type 13: the Z report, a document of the token with a number
// and an id of its own.
func (c *omniCall) closeShift() (answer, error) {
	if err := c.finish(); err != nil {
		return nil, err
	}
	z, r, printed, err := c.v.closeShift(true) // there are no orders here
	if err != nil {
		return nil, c.refusalOfShift(err)
	}
	return c.paper(answer{"data": c.reportData(r, z.FiscalID)}, "Z-HESABAT", r, printed)
}

// xReport is check type 12.
func (c *omniCall) xReport() (answer, error) {
	if err := c.finish(); err != nil {
		return nil, err
	}
	r, err := c.v.tok.report(0)
	if err != nil {
		return nil, c.refusalOfShift(err)
	}
	if c.quirks.has(quirkXDocument) {
		if _, err := c.submit(nil, &Document{Kind: Interim, VAT: []VAT{}}); err != nil {
			return nil, err
		}
	}
	data := c.reportData(r, "")
	data["_z"] = "" // stray, and there (section 4)
	return c.paper(answer{"data": data}, "X-HESABAT", r, c.v.print(reportSheet(c.v.owner, "X-HESABAT", c.v.tok.serial, r, c.v.now())))
}

// statement is check type 18: a report over a period.
func (c *omniCall) statement() (answer, error) {
	from, to, err := c.period()
	if err != nil {
		return nil, err
	}
	t := c.v.tok
	r := t.sum(func(d *Document) bool { return !d.At.Before(from) && !d.At.After(to) })
	r.OpenedAt, r.ClosedAt, r.Drawer = from, to, t.drawer
	out := answer{"data": c.reportData(r, ""), "message": "success"}
	return c.paper(out, "DÖVRİ HESABAT", r, c.v.print(reportSheet(c.v.owner, "DÖVRİ HESABAT", t.serial, r, c.v.now())))
}

func (c *omniCall) refusalOfShift(err error) error {
	if no := (*Refusal)(nil); errors.As(err, &no) && omniReasons[no.Reason] == omniShift {
		return &omniProblem{code: omniShift, text: omniTexts[omniShift]}
	}
	return err
}

// paper answers with a report, unless it did not come out: then it waits to be
// reprinted, and the next document waits for it.
func (c *omniCall) paper(out answer, title string, r Report, printed bool) (answer, error) {
	if printed {
		return out, nil
	}
	c.report[c.v.tok.serial] = reportSheet(c.v.owner, title, c.v.tok.serial, r, c.v.now())
	if c.quirks.has(quirkPaperIDs) {
		return out, nil
	}
	return nil, &omniProblem{code: omniUnprinted, text: omniTexts[omniUnprinted]}
}

// omniGroups are the headings of a report (section 9) over those of the core. There
// is one heading for all that is rolled back.
var omniGroups = []struct {
	name string
	of   []Group
}{
	{"sale", []Group{GroupSale}}, {"moneyBack", []Group{GroupMoneyBack}},
	{"rollback", []Group{GroupRollback, GroupCreditPayRollback}},
	{"correction", []Group{GroupCorrection}}, {"prepay", []Group{GroupPrepay}}, {"creditpay", []Group{GroupCreditPay}},
}

// reportData is a report in the words of section 9.
func (c *omniCall) reportData(r Report, id string) answer {
	currency := answer{"currency": "AZN"}
	for _, g := range omniGroups {
		var t Totals
		for _, of := range g.of {
			t.plus(r.Groups[of])
		}
		currency[g.name+"Count"] = t.Count
		if g.name == "sale" {
			currency["saleCount"] = json.Number(fmt.Sprintf("%d.0", t.Count)) // a float
		}
		p := t.Payments
		currency[g.name+"Sum"] = omniMoney(t.Sum - p.Prepaid - p.Credit)
		currency[g.name+"CashSum"], currency[g.name+"CashlessSum"] = omniMoney(p.Cash), omniMoney(p.Cashless)
		currency[g.name+"BonusSum"], currency[g.name+"CreditSum"] = omniMoney(p.Bonus), omniMoney(p.Credit)
		if g.name != "prepay" { // missing there in the examples
			currency[g.name+"PrepaymentSum"] = omniMoney(p.Prepaid)
		}
		currency[g.name+"VatAmounts"] = omniVAT(t.VAT)
	}
	for _, g := range []Group{GroupDeposit, GroupWithdraw} {
		currency[string(g)+"Count"], currency[string(g)+"Sum"] = r.Groups[g].Count, omniMoney(r.Groups[g].Sum)
	}
	at := r.ClosedAt
	if at.IsZero() {
		at = c.v.now()
	}
	return answer{
		"createdAtUtc": c.stamp(at), "shiftOpenAtUtc": c.stamp(r.OpenedAt), "reportNumber": r.Shift,
		"firstDocNumber": r.FirstNumber, "lastDocNumber": r.LastNumber, "docCountToSend": r.Unsent,
		"document_id": id, "currencies": []answer{currency},
	}
}

// plus adds totals to totals.
func (s *Totals) plus(o Totals) {
	s.add(&Document{Amount: o.Sum, Payments: o.Payments, VAT: o.VAT})
	s.Count += o.Count - 1
}

// omniVAT is turnovers by rate (section 6); no percent says no object of VAT.
func omniVAT(list []VAT) []answer {
	out := []answer{}
	for _, v := range list {
		line := answer{"vatSum": omniMoney(v.Turnover)}
		if v.Rate != NoVAT {
			line["vatPercent"] = v.Rate / 100
		}
		out = append(out, line)
	}
	return out
}

func (c *omniCall) period() (from, to time.Time, err error) {
	from, to = c.req.wall("date_start"), c.req.wall("date_end")
	if to.Before(from) {
		c.req.blame(omniTimestamp, "date_end is before date_start")
	}
	return from, to.Add(time.Second - 1), c.finish() // the last second is in
}

// history is check type 17 (section 8).
func (c *omniCall) history() (answer, error) {
	from, to, err := c.period()
	if err != nil {
		return nil, err
	}
	rows := []any{}
	for _, d := range c.v.tok.docs {
		listed := d.Kind == Sale || !c.quirks.has(quirkHistorySales)
		if c.quirks.has(quirkDatabaseFails) && !d.ByHand {
			listed = false
		}
		if listed && d.Kind != Copy && d.Kind != Interim && !d.At.Before(from) && !d.At.After(to) {
			if c.written[d.FiscalID] == nil {
				c.written[d.FiscalID] = omniJSON(c.row(d))
			}
			rows = append(rows, c.written[d.FiscalID])
		}
	}
	for _, row := range c.failures[c.v.tok.serial] {
		if at, err := time.ParseInLocation(wallTime, row["date"].(string), baku); err == nil && !at.Before(from) && !at.After(to) {
			rows = append(rows, row)
		}
	}
	return answer{"message": "success", "transactions": rows}, nil
}

// omniTypes are the check types and doc_types of the kinds of document.
var omniTypes = map[Kind]struct {
	check int
	doc   string
}{
	Sale: {1, "sale"}, Refund: {100, "money_back"}, Rollback: {10, "rollback"}, Prepay: {34, "prepay"},
	CreditPay: {31, "creditpay"}, Correction: {19, "correction"}, Deposit: {7, "deposit"}, Withdraw: {8, "withdraw"},
}

// row is one transaction. Requests and answers are JSON inside strings; documentId
// is empty and transaction_id holds the short id, as in the example.
func (c *omniCall) row(d *Document) answer {
	check := omniTypes[d.Kind].check
	if p := c.v.tok.byFiscal[d.Parent]; d.Kind == Rollback && p != nil && (p.Kind == CreditPay || p.Payments.Credit+p.Payments.Prepaid > 0) {
		check = 32
	}
	items := []answer{}
	for _, it := range d.Items {
		items = append(items, answer{"itemName": it.Name, "itemCode": it.ID, "itemQuantity": json.Number(quantity(it.Quantity)), "itemSum": omniMoney(it.Amount)})
	}
	p := d.Payments
	sum := d.Amount - p.Prepaid - p.Credit
	data := answer{"cashier": d.Client.Cashier, "currency": "AZN", "items": items, "sum": omniMoney(sum), "cashSum": omniMoney(p.Cash),
		"cashlessSum": omniMoney(p.Cashless), "bonusSum": omniMoney(p.Bonus), "prepaymentSum": omniMoney(p.Prepaid),
		"creditSum": omniMoney(p.Credit), "vatAmounts": omniVAT(d.VAT)}
	row := answer{
		"id": d.ID, "date": d.At.In(baku).Format(wallTime), "check_type": check, "operationStatus": 1,
		"cash_payment": omniMoney(p.Cash), "card_payment": omniMoney(p.Cashless), "bonus_payment": omniMoney(p.Bonus),
		"credit_payment": omniMoney(p.Credit), "avans_payment": omniMoney(p.Prepaid), "summary_money": omniMoney(sum),
		"seller_name": d.Client.Cashier, "int_ref": d.Client.Key, "documentId": "", "transaction_id": d.ShortID,
		"products_list": string(omniJSON(items)), "receiptDetails": d.Client.Footer,
		"token_request": string(omniJSON(answer{"operationId": "createDocument", "version": 1,
			"parameters": answer{"doc_type": omniTypes[d.Kind].doc, "data": data}})),
		"token_response": string(omniJSON(answer{"code": 0, "message": "Successful operation",
			"data": answer{"document_id": d.FiscalID, "document_number": d.Number, "shift_document_number": d.InShift, "short_document_id": d.ShortID}})),
	}
	if c.quirks.has(quirkHistoryNoRef) {
		delete(row, "int_ref")
	}
	if c.quirks.has(quirkHistoryDocID) {
		row["documentId"] = d.FiscalID
	}
	return row
}

func omniJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain data
	}
	return b
}

// omniFailures is how many refused documents the history keeps.
const omniFailures = 100

// failed notes a refused document for the history, under the quirk.
func (c *omniCall) failed(err error) {
	p := (*omniProblem)(nil)
	if !c.quirks.has(quirkHistoryFailures) || !omniOperations[c.check].prints ||
		errors.As(err, &p) && (p.code == omniUnprinted || p.code == omniTimeout || p.code == omniNamesUnstored || p.code == omniDatabase) {
		return
	}
	serial := c.v.tok.serial
	row := answer{"id": 0, "date": c.v.now().Format(wallTime), "check_type": c.check, "operationStatus": 0, "documentId": "",
		"transaction_id": "", "products_list": "[]", "token_request": "{}", "token_response": string(omniJSON(answer{"message": err.Error()}))}
	if !c.quirks.has(quirkHistoryNoRef) {
		row["int_ref"] = c.ref
	}
	list := append(c.failures[serial], row)
	c.failures[serial] = list[max(0, len(list)-omniFailures):]
}

// lastDocument is check type 37. Its answer is not documented: this is the document
// result of the last one (probe it, says the page).
func (c *omniCall) lastDocument() (answer, error) {
	if err := c.finish(); err != nil {
		return nil, err
	}
	docs := c.v.tok.docs
	if len(docs) == 0 {
		return nil, &omniProblem{code: omniNoDocument, text: "no document exists yet"}
	}
	return omniResult(docs[len(docs)-1]), nil
}

// drawer is check types 28 and 29: a wire and nothing to report.
func (c *omniCall) drawer() (answer, error) {
	if err := c.finish(); err != nil {
		return nil, err
	}
	return answer{}, nil
}
