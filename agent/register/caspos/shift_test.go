package caspos

import (
	"context"
	"strings"
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

func TestIdentify(t *testing.T) {
	f := newFake(t)
	i, err := f.driver().Identify(context.Background())
	want := register.Identity{
		Serial: "CAS-1", Model: "SUNMI V1S", Version: "2.1", Company: "Kafe", TaxNumber: "1401555071", Object: "Bar", State: "ACTIVE",
		QRPrefix: "https://monitoring.example/#/index?doc=", LastOnline: time.Date(2026, 11, 23, 10, 0, 0, 0, baku),
	}
	if err != nil || !i.LastOnline.Equal(want.LastOnline) {
		t.Errorf("%v, %+v", err, i)
	}
	if i.LastOnline = want.LastOnline; i != want {
		t.Errorf("got %+v, want %+v", i, want)
	}
	f.says(opInfo, `{"code":0,"data":{}}`)
	if _, err := f.driver().Identify(context.Background()); err == nil {
		t.Error("a register without a serial was identified")
	}
}

func TestShift(t *testing.T) {
	f := newFake(t)
	d := f.driver()
	for _, c := range []struct {
		said string
		open bool
		id   string
	}{
		{openShift, true, "2026-11-23T04:00:00Z"},
		{`{"code":0,"data":{"shiftOpen":"true","shiftOpenTime":"23.11.202608:00:00"}}`, true, "2026-11-23T04:00:00Z"},
		{`{"code":0,"data":{"shift_open":true,"shift_open_time":"gestern"}}`, true, "gestern"},
		{`{"code":0,"data":{"shift_open":true}}`, true, ""},
		{closedShift, false, ""},
	} {
		f.says(opShift, c.said)
		if s, err := d.Shift(context.Background()); err != nil || s.Open != c.open || s.ID != c.id {
			t.Errorf("%s: %v, %+v", c.said, err, s)
		}
	}
	f.says(opShift, `{"code":0,"data":{}}`)
	if s, err := d.Shift(context.Background()); err == nil {
		t.Errorf("nothing told: %+v", s)
	}
}

func TestBaseline(t *testing.T) {
	f := newFake(t)
	b, err := f.driver().Baseline(context.Background(), receipt.Sale)
	if err != nil || b.Serial != "CAS-1" || b.Last != "41" || b.Counted || b.Shift.ID != "2026-11-23T04:00:00Z" {
		t.Errorf("%v, %+v", err, b)
	}
	if len(f.of(opX)) != 0 {
		t.Error("an X report was printed for it")
	}
}

func TestOpenShift(t *testing.T) {
	for said, want := range map[string]register.Outcome{
		`{"code":"0"}`: {Verdict: register.Made},
		`{"code":"999","message":"Növbə artıq açıqdır"}`: {Verdict: register.Refused, Cause: register.ShiftOpen},
		`{"code":503}`:                     {Verdict: register.Refused, Cause: register.ShiftOpen},
		`{"code":"999","message":"xəta"}`:  {Verdict: register.Unknown, Cause: register.Other},
		`{"code":"401","message":"login"}`: {Verdict: register.Refused, Cause: register.Credentials},
		`{}`:                               {Verdict: register.Unknown, Cause: register.Other},
	} {
		f := newFake(t)
		f.says(opOpen, said)
		o := f.driver().OpenShift(context.Background(), "Aysel")
		if o.Verdict != want.Verdict || o.Cause != want.Cause {
			t.Errorf("%s: %+v", said, o)
		}
		if a := f.of(opOpen); len(a) != 1 || a[0].body["cashierName"] != "Aysel" || a[0].data["cashierName"] != "Aysel" || a[0].data["sum"] != 0.0 {
			t.Errorf("%+v", a)
		}
	}
}

const zReport = `"data":{"currencies":[{"currency":"AZN","saleCount":3.0,"saleSum":30.5999999,"saleCashSum":20.6,"saleCashlessSum":5.0,"saleBonusSum":0,
	"saleCreditSum":5,"salePrepaymentSum":0,"saleVatAmounts":[{"vatPercent":18,"vatSum":23.6},{"vatSum":7}],
	"moneyBackCount":1,"moneyBackSum":0.5999999,"moneyBackCashSum":0.6,"prepayCount":1,"prepaySum":2,"prepayCashSum":2,
	"depositCount":1,"depositSum":50,"withdrawCount":2,"withdrawSum":"20.00","periodSum":-0.8000001}],
	"docCountToSend":8,"firstDocNumber":10521,"lastDocNumber":10527,"createdAtUtc":"23.11.202623:00:00","shiftOpenAtUtc":"23.11.2026 04:00:00",
	"reportNumber":"77","document_id":"` + longID + `"}`

func TestCloseShift_ReadsTheReport(t *testing.T) {
	f := newFake(t)
	f.says(opClose, `{"code":"0",`+zReport+`}`)
	r, o := f.driver().CloseShift(context.Background(), "Aysel")
	if o.Verdict != register.Made || r.Shift != "2026-11-23T04:00:00Z" || r.Number != "77" || len(r.Raw) == 0 {
		t.Fatalf("%+v, %+v", o, r)
	}
	if r.Sales.Count != 3 || r.Sales.Sum != 3060 || r.Sales.Cash != 2060 || r.Sales.Card != 500 || r.Sales.Credit != 500 {
		t.Errorf("sales %+v", r.Sales)
	}
	if len(r.Sales.VAT) != 1 || r.Sales.VAT[0] != (register.VAT{Rate: 1800, Amount: 360}) {
		t.Errorf("VAT %+v", r.Sales.VAT)
	}
	if r.Refunds.Sum != 60 || r.Prepaid.Count != 1 || r.In.Sum != 5000 || r.In.Cash != 5000 || r.Out.Count != 2 || r.Out.Sum != 2000 {
		t.Errorf("%+v", r)
	}
	first := f.of(opClose)[0].data["documentUUID"]
	if first != closeUUID("CAS-1", "2026-11-23T04:00:00Z") {
		t.Errorf("closed under %v", first)
	}
	// The sister protocol's sums, without credit.
	f.says(opClose, `{"code":"0",`+strings.Replace(zReport, `"saleSum":30.5999999`, `"saleSum":25.6`, 1)+`}`)
	if r, _ := f.driver().CloseShift(context.Background(), "Aysel"); r.Sales.Sum != 3060 {
		t.Errorf("net sums: %+v", r.Sales)
	}
}

func TestCloseShift_WithoutAnAnswerIsRecoveredByItsKey(t *testing.T) {
	for _, lost := range []string{"", printerOut} {
		f := newFake(t)
		f.says(opClose, lost, `{"code":"1","message":"Təkrar satış",`+zReport+`}`)
		d := f.driver()
		if _, o := d.CloseShift(context.Background(), "Aysel"); o.Verdict != register.Unknown {
			t.Fatalf("%+v", o)
		}
		// Not while a shift is open: the register may have forgotten the key.
		f.says(opShift, laterShift)
		f.says(opPeriod, `{"code":"0","data":{"saleTotal":24.6,"saleCount":2}}`)
		if r, err := d.XReport(context.Background(), "2026-11-23T04:00:00Z"); err != nil || r.Sales.Count != 2 || len(f.of(opClose)) != 1 {
			t.Errorf("%v, %+v, closed %d times", err, r, len(f.of(opClose)))
		}
		f = newFake(t)
		f.says(opClose, lost, `{"code":"1","message":"Təkrar satış",`+zReport+`}`)
		d = f.driver()
		_, _ = d.CloseShift(context.Background(), "Aysel")
		f.says(opShift, closedShift)
		r, err := d.XReport(context.Background(), "2026-11-23T04:00:00Z")
		if err != nil || r.Sales.Count != 3 {
			t.Errorf("%v, %+v", err, r)
		}
		if a := f.of(opClose); len(a) != 2 || a[0].data["documentUUID"] != a[1].data["documentUUID"] {
			t.Errorf("%+v", a)
		}
	}
}

func TestCloseShift_WhereNoneIsOpen(t *testing.T) {
	f := newFake(t)
	f.says(opShift, closedShift)
	if _, o := f.driver().CloseShift(context.Background(), ""); o.Verdict != register.Refused || o.Cause != register.ShiftClosed {
		t.Errorf("%+v", o)
	}
	f.says(opShift, openShift)
	f.says(opClose, `{"code":"503"}`)
	if _, o := f.driver().CloseShift(context.Background(), ""); o.Verdict != register.Refused || o.Cause != register.ShiftClosed {
		t.Errorf("%+v", o)
	}
}

func TestXReport(t *testing.T) {
	f := newFake(t)
	f.says(opX, `{"code":"0",`+zReport+`}`)
	d := f.driver()
	for _, shift := range []string{"", "2026-11-23T04:00:00Z"} {
		if r, err := d.XReport(context.Background(), shift); err != nil || r.Sales.Count != 3 || r.Shift != "2026-11-23T04:00:00Z" {
			t.Errorf("%v, %+v", err, r)
		}
	}
	f.says(opPeriod, `{"code":"0","data":{"saleTotal":24.6,"saleCount":2}}`)
	r, err := d.XReport(context.Background(), "2026-11-22T04:00:00Z")
	if err != nil || r.Sales.Sum != 2460 || r.Shift != "2026-11-22T04:00:00Z" {
		t.Errorf("an older shift: %v, %+v", err, r)
	}
	if a := f.of(opPeriod)[0].data; a["startDate"] != "22.11.2026 08:00:00" || a["endDate"] != "23.11.2026 07:59:59" {
		t.Errorf("asked for %+v", a)
	}
	for _, shift := range []string{"gestern", "2026-11-23T05:00:00Z"} {
		if r, err := d.XReport(context.Background(), shift); cause(err) != register.Other {
			t.Errorf("shift %s: %v, %+v", shift, err, r)
		}
	}
	f.says(opX, `{"code":"503"}`)
	if _, err := d.XReport(context.Background(), ""); cause(err) != register.ShiftClosed {
		t.Error(err)
	}
}

func TestPeriod(t *testing.T) {
	f := newFake(t)
	f.says(opPeriod, `{"code":"0","data":{"startDate":"01.11.2026 00:00:00","saleTotal":100.10,"saleCount":4,"saleCashTotal":60.1,"saleCashlessTotal":40,
		"saleReturnTotal":10,"saleReturnCount":1,"cancellationCount":1,"cancellationTotal":3,"cashInTotal":7,"cashInCount":1,"cashOutCount":2,"periodSum":-0.8000001}}`)
	r, err := f.driver().Period(context.Background(), time.Date(2026, 11, 1, 9, 0, 0, 0, baku), time.Date(2026, 11, 3, 1, 0, 0, 0, baku))
	if err != nil || r.Sales.Sum != 10010 || r.Sales.Count != 4 || r.Refunds.Sum != 1000 || r.Cancels.Sum != 300 || r.In.Cash != 700 || r.Out.Count != 2 {
		t.Errorf("%v, %+v", err, r)
	}
	if a := f.of(opPeriod)[0].data; a["startDate"] != "01.11.2026 00:00:00" || a["endDate"] != "03.11.2026 23:59:59" {
		t.Errorf("%+v", a)
	}
}

func TestReprint_OnlyTheLast(t *testing.T) {
	f := newFake(t)
	f.says(opPrinter, `{"code":"0","data":{}}`)
	f.says(opReprint, `{"code":"0","data":null}`)
	d := f.driver()
	if o := d.Reprint(context.Background(), receipt.Document{Number: "41"}); o.Verdict != register.Made || !o.Document.Printed {
		t.Errorf("%+v", o)
	}
	for _, number := range []string{"40", ""} {
		if o := d.Reprint(context.Background(), receipt.Document{Number: number}); o.Verdict != register.Refused || !strings.Contains(o.Err.Error(), "last") {
			t.Errorf("number %q: %+v", number, o)
		}
	}
	f.says(opPrinter, printerOut)
	if o := d.Reprint(context.Background(), receipt.Document{Number: "41"}); o.Verdict != register.NotSent || o.Cause != register.Paper {
		t.Errorf("no paper: %+v", o)
	}
	if n := len(f.of(opReprint)); n != 1 {
		t.Errorf("printed %d times", n)
	}
	f.says(opPrinter, `{"code":"999","message":"Naməlum əməliyyat"}`)
	f.says(opReprint, printerOut)
	if o := d.Reprint(context.Background(), receipt.Document{Number: "41"}); o.Verdict != register.Unknown || o.Cause != register.Paper {
		t.Errorf("no paper after all: %+v", o)
	}
}

func TestRecognise_SendsNoSecretAndKnowsItsOwn(t *testing.T) {
	for said, want := range map[string]bool{
		openShift: true, closedShift: true, `{"code":"401","message":"x"}`: true, `{"code":403}`: true,
		`{"code":0,"data":{}}`: false, `{"code":"1200"}`: false, `{"status":"error","code":1}`: false, `hello`: false, `{}`: false,
	} {
		f := newFake(t)
		f.says(opShift, said)
		if got, err := Recognise(context.Background(), f.addr()); err != nil || got != want {
			t.Errorf("%s: %v, %v", said, got, err)
		}
		if a := f.of(opShift); len(a) != 1 || a[0].body["password"] != "" || len(f.of(opLogin)) != 0 {
			t.Errorf("%+v", a)
		}
		f.server.Close()
		if _, err := Recognise(context.Background(), f.addr()); cause(err) != register.Unreachable {
			t.Error(err)
		}
	}
}
