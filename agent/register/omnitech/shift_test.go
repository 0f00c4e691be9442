package omnitech

import (
	"strings"
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

const report = `{"code":0,"message":"Successful operation","data":{"createdAtUtc":"2026-11-23T15:00:00","shiftOpenAtUtc":"2026-11-23T04:00:00","reportNumber":12,
 "firstDocNumber":20,"lastDocNumber":27,"docCountToSend":0,"document_id":"","_z":"","currencies":[{"currency":"AZN",
 "saleCount":3.0,"saleSum":36.1,"saleCashSum":2.41E1,"saleCashlessSum":12.000000000000002,"saleBonusSum":0.02,"saleCreditSum":0.01,"salePrepaymentSum":0.03,
 "saleVatAmounts":[{"vatSum":100.00,"vatPercent":18.0},{"vatSum":5},{"vatSum":8,"vatPercent":8}],
 "moneyBackCount":1,"moneyBackSum":12,"rollbackCount":2,"rollbackSum":1,"correctionCount":6,"correctionSum":6,"prepayCount":4,"prepaySum":4,
 "creditpayCount":5,"creditpaySum":5,"depositCount":7,"depositSum":7,"withdrawCount":8,"withdrawSum":8}]}}`

func TestReports(t *testing.T) {
	f := newFake(t)
	f.says(opXReport, report)
	f.says(opCloseShift, report)
	f.says(opStatement, strings.Replace(report, `"code":0,"message":"Successful operation"`, `"message":"success"`, 1))
	d := f.driver()
	x, err := d.XReport(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	z, o := d.CloseShift(t.Context(), "")
	if o.Verdict != register.Made {
		t.Fatalf("%+v", o)
	}
	p, err := d.Period(t.Context(), noon.AddDate(0, 0, -1), noon)
	if err != nil {
		t.Fatal(err)
	}
	if a := f.of(opStatement)[0]; a.body["date_start"] != "2026-11-22 00:00:00" || a.body["date_end"] != "2026-11-23 23:59:59" {
		t.Errorf("asked %s", a.raw)
	}
	for what, r := range map[string]register.Report{"X": x, "Z": z, "period": p} {
		want := register.Count{Sale: 3, Refund: 1, Cancel: 2, Prepayment: 4, CreditPayment: 5, Correction: 6, Deposit: 7, Withdrawal: 8}
		s := r.Sales
		if r.Count() != want || s.Sum != 36_10 || s.Cash != 24_10 || s.Card != 12_00 || s.Bonus != 2 || s.Credit != 1 || s.Prepaid != 3 ||
			r.In.Sum != 7_00 || r.Number != "12" || !r.OpenedAt.Equal(time.Date(2026, 11, 23, 8, 0, 0, 0, baku)) || len(r.Raw) == 0 || r.Missing != "" {
			t.Errorf("%s: %+v", what, r)
		}
		// vatSum is the turnover: the tax of 100 at 18 % is 15.25 (section 6).
		if len(s.VAT) != 2 || s.VAT[0] != (register.VAT{Rate: 18_00, Amount: 15_25}) || s.VAT[1] != (register.VAT{Rate: 8_00, Amount: 64}) {
			t.Errorf("%s: %+v", what, s.VAT)
		}
	}
	if x.Shift != "2026-11-23 08:00:00" || z.Shift != x.Shift || p.Shift != "" {
		t.Errorf("shifts %q, %q, %q", x.Shift, z.Shift, p.Shift)
	}
	if _, err := d.XReport(t.Context(), "2026-11-22 08:00:00"); causeIs(err) != register.Other {
		t.Errorf("the report of another shift: %v", err)
	}
	f.says(opXReport, `{"code":0}`)
	if r, err := d.XReport(t.Context(), x.Shift); err != nil || r.Missing == "" {
		t.Errorf("a report without sums: %+v, %v", r, err)
	}
}

func TestShift_Readings(t *testing.T) {
	for body, want := range map[string]struct {
		shift register.Shift
		ok    bool
	}{
		openShift: {register.Shift{Open: true, ID: "2026-11-23 08:00:00", OpenedAt: time.Date(2026, 11, 23, 8, 0, 0, 0, baku)}, true},
		`{"code":0,"shiftStatus":false,"shift_open_time":""}`:                    {register.Shift{}, true},
		`{"code":0,"shiftStatus":"true","shift_open_time":""}`:                   {register.Shift{Open: true}, true},
		`{"code":0,"shiftStatus":true,"shift_open_time":"2026-11-23T04:00:00Z"}`: {register.Shift{Open: true, ID: "2026-11-23T04:00:00Z", OpenedAt: time.Date(2026, 11, 23, 8, 0, 0, 0, baku)}, true},
		`{"code":0,"shiftStatus":"perhaps"}`:                                     {register.Shift{}, false},
		`{"code":0}`:                                                             {register.Shift{}, false},
		`{"shiftStatus":true}`:                                                   {register.Shift{}, false},
		`{"code":1210,"shiftStatus":true}`:                                       {register.Shift{}, false},
	} {
		f := newFake(t)
		f.says(opShift, body)
		s, err := f.driver().Shift(t.Context())
		if (err == nil) != want.ok || s.Open != want.shift.Open || s.ID != want.shift.ID || !s.OpenedAt.Equal(want.shift.OpenedAt) {
			t.Errorf("%s: %+v, %v", body, s, err)
		}
	}
}

// A paper that is still to come out is in the way of every other one. Who was
// killed since does not know of it, and sends nothing that would find out before
// it has counted.
func TestWhatIsStillToBePrintedIsPrinted(t *testing.T) {
	for _, x := range []struct {
		name string
		op   int
		do   func(d *Driver) error
	}{
		{"counting", opXReport, func(d *Driver) error { _, err := d.Baseline(t.Context(), receipt.Deposit); return err }},
		{"the X report", opXReport, func(d *Driver) error { _, err := d.XReport(t.Context(), ""); return err }},
		{"opening", opOpenShift, func(d *Driver) error { return d.OpenShift(t.Context(), "").Err }},
		{"closing", opCloseShift, func(d *Driver) error { _, o := d.CloseShift(t.Context(), ""); return o.Err }},
	} {
		t.Run(x.name, func(t *testing.T) {
			f := newFake(t)
			paper := false
			f.does(opReprint, func(int) string {
				if !paper {
					return `{"code":1200,"message":"no paper"}`
				}
				return `{"code":0,"message":"success"}`
			})
			f.does(x.op, func(int) string {
				if !paper || len(f.of(opReprint)) < 2 {
					return `{"code":1200,"message":"previous document is still to be printed"}`
				}
				return `{"code":0,"data":{"document_id":"","currencies":[{"currency":"AZN","saleCount":3.0}]}}`
			})
			d := f.driver()
			if err := x.do(d); causeIs(err) != register.Paper && x.op == opXReport || err == nil || len(f.of(opReprint)) != 1 {
				t.Errorf("without paper: %v, %d reprints", err, len(f.of(opReprint)))
			}
			paper = true
			if err := x.do(d); err != nil && x.do(d) != nil {
				t.Errorf("with paper: %v", err)
			}
			if n := len(f.of(opReprint)); n != 2 {
				t.Errorf("%d reprints, want one more", n)
			}
		})
	}
}

func TestReprint(t *testing.T) {
	const copied = `{"code":0,"document_number":29,"long_id":"` + madeID + `","short_id":"5FhNmPqRsTuV"}`
	for _, c := range []struct {
		name           string
		printed        bool
		reprint, copy  string
		verdict        register.Verdict
		cause          register.Cause
		times16, times int
	}{
		{"what ran out of paper", false, `{"code":0}`, copied, register.Made, "", 1, 0},
		{"still no paper", false, `{"code":1200}`, copied, register.Unknown, register.Paper, 1, 0},
		{"nothing is pending", false, `{"code":-10}`, copied, register.Made, "", 1, 1},
		{"no answer", false, `x`, copied, register.Made, "", 1, 1},
		{"a copy", true, `{"code":0}`, copied, register.Made, "", 0, 1},
		{"a copy without paper", true, ``, `{"code":1200}`, register.Unknown, register.Paper, 0, 1},
		{"no such document", true, ``, `{"code":628}`, register.Refused, register.NoParent, 0, 1},
	} {
		f := newFake(t)
		f.says(opReprint, c.reprint)
		f.says(opCopy, c.copy)
		o := f.driver().Reprint(t.Context(), receipt.Document{FiscalID: parentID, Number: "20", Printed: c.printed})
		if o.Verdict != c.verdict || o.Cause != c.cause || len(f.of(opReprint)) != c.times16 || len(f.of(opCopy)) != c.times {
			t.Errorf("%s: %+v, %d, %d", c.name, o, len(f.of(opReprint)), len(f.of(opCopy)))
		}
		if o.Verdict == register.Made && (o.Document.FiscalID != parentID || o.Document.Number != "20" || !o.Document.Printed) {
			t.Errorf("%s: the copy's ids are told: %+v", c.name, o.Document)
		}
	}
}

func TestRecognise(t *testing.T) {
	for answer, want := range map[string]bool{
		turnedAway: true, info: true, `{"code":0}`: false, `{"status":"error","code":1}`: false, `<html>`: false, `{"error":"x"}`: false,
		`{"code":1300,"message":"unknown"}`: false,
	} {
		f := newFake(t)
		f.says(opGetInfo, answer)
		if ok, err := Recognise(t.Context(), addrOf(t, f.server.Listener.Addr().String())); ok != want || err != nil {
			t.Errorf("%s: %v, %v", answer, ok, err)
		}
		for _, a := range f.asked {
			if a.raw != `{"requestData":{"checkData":{"check_type":41}}}` {
				t.Errorf("asked %s", a.raw)
			}
		}
	}
	f := newFake(t)
	addr := addrOf(t, f.server.Listener.Addr().String())
	f.server.Close()
	if _, err := Recognise(t.Context(), addr); causeIs(err) != register.Unreachable {
		t.Errorf("nobody: %v", err)
	}
}
