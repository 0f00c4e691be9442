package azsmart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/register/tokentext"
)

func causeIs(err error) register.Cause {
	var f *register.Fault
	if !errors.As(err, &f) {
		return "no fault"
	}
	return f.Cause
}

func TestIdentify_TellsTheEditionsApart(t *testing.T) {
	for _, c := range []struct {
		shift, edition string
		class          register.Class
	}{
		{newShift, EditionNew, register.Key}, {classicShift, EditionClassic, register.Neither}, {closedShift, EditionClassic, register.Neither},
		{`{"status":"success","isShiftOpen":"false","shiftStatus":"2"}`, EditionNew, register.Key},
	} {
		f := newFake(t)
		f.says(routeCheckShift, c.shift)
		d := f.driver()
		if a := d.Abilities(); a.Kinds[receipt.Sale] != register.Neither || a.Settle != settleClassic || !a.Can(receipt.Withdrawal) || a.Names != tokentext.NameLimit {
			t.Errorf("before it was asked: %+v", a)
		}
		i, err := d.Identify(context.Background())
		if err != nil || i.Edition != c.edition || d.Abilities().Kinds[receipt.Sale] != c.class || d.Abilities().Kinds[receipt.Prepayment] != register.Neither {
			t.Errorf("%s: %+v, %v, class %s", c.shift, i, err, d.Abilities().Kinds[receipt.Sale])
		}
		want := register.Identity{
			Serial: "AZ-1", Model: "SmartOne", Edition: c.edition, Version: "3.1", Company: "Kafe", TaxNumber: "123", Object: "Bar", State: "ACTIVE",
			QRPrefix: "https://monitoring.example/#/index?doc=", LastOnline: i.LastOnline, NotAfter: i.NotAfter,
		}
		if i != want || !i.LastOnline.Equal(time.Date(2026, 11, 20, 10, 0, 0, 0, baku)) || i.NotAfter.Year() != 2027 {
			t.Errorf("identity %+v", i)
		}
	}
}

func TestIdentify_Faults(t *testing.T) {
	f := newFake(t)
	if _, err := f.driver(func(c *Config) { c.MerchantID = "wrong" }).Identify(context.Background()); causeIs(err) != register.Credentials {
		t.Errorf("wrong Merchant ID: %v", err)
	}
	f.says(routeGetInfo, `{"status":"success","state":"ACTIVE"}`)
	if _, err := f.driver().Identify(context.Background()); causeIs(err) != register.Other {
		t.Errorf("no serial: %v", err)
	}
	f.says(routeGetInfo, `{"status":"success","serial_num":"","cashregister_factory_number":77}`)
	if i, err := f.driver().Identify(context.Background()); err != nil || i.Serial != "77" {
		t.Errorf("factory number: %+v, %v", i, err)
	}
	f.says(routeGetInfo, `nothing`)
	if _, err := f.driver().Identify(context.Background()); causeIs(err) != register.Other {
		t.Errorf("no JSON: %v", err)
	}
}

func TestShift_Readings(t *testing.T) {
	for _, c := range []struct {
		body string
		want register.Shift
		ok   bool
	}{
		{newShift, register.Shift{Open: true, ID: "7", OpenedAt: time.Date(2026, 11, 23, 8, 0, 0, 0, baku), Cash: 12345}, true},
		{classicShift, register.Shift{Open: true, ID: "7"}, true},
		{`{"isShiftOpen":"true","status":"success"}`, register.Shift{Open: true}, true},
		{`{"isShiftOpen":true,"status":"success","shiftID":12}`, register.Shift{Open: true, ID: "12"}, true},
		{`{"isShiftOpen":false,"status":"success","shiftID":0,"shiftOpenAt":""}`, register.Shift{}, true},
		{`{"ISSHIFTOPEN":"False","status":"success","shiftOpenAt":"2026-11-22 08:00:00"}`, register.Shift{}, true},
		{`{"shiftStatus":1,"status":"success","shiftOpenAt":"2026-11-23 08:00:00 PM"}`, register.Shift{Open: true, OpenedAt: time.Date(2026, 11, 23, 20, 0, 0, 0, baku)}, true},
		{`{"shiftStatus":"2","isShiftOpen":"false","status":"success","cash":"10"}`, register.Shift{Cash: 10}, true},
		{`{"status":"error","code":6}`, register.Shift{}, true},
		{`{"shiftStatus":2,"isShiftOpen":"true","status":"success"}`, register.Shift{}, false},
		{`{"status":"success"}`, register.Shift{}, false},
		{`{"isShiftOpen":"perhaps","status":"success"}`, register.Shift{}, false},
		{`{"status":"error","code":5,"isShiftOpen":"true"}`, register.Shift{}, false},
		{`{"isShiftOpen":"true"}`, register.Shift{}, false},
	} {
		f := newFake(t)
		f.says(routeCheckShift, c.body)
		s, err := f.driver().Shift(context.Background())
		if (err == nil) != c.ok || s.Open != c.want.Open || s.ID != c.want.ID || s.Cash != c.want.Cash || !s.OpenedAt.Equal(c.want.OpenedAt) {
			t.Errorf("%s: %+v, %v", c.body, s, err)
		}
		if err != nil && causeIs(err) == "no fault" {
			t.Errorf("%s: %v is no fault", c.body, err)
		}
	}
}

const xAnswer = `{"status":"success","shiftID":7,"shiftOpenAt":"2026-11-23 08:00:00","cashRest":"5000","reportNumber":3,"lastDocNumber":9,
 "saleCount":3,"saleSum":3600,"saleCashSum":2400,"saleCashlessSum":1200,"saleCreditSum":1,"saleBonusSum":2,"salePrepaymentSum":3,
 "saleVatAmounts":[{"vatPercent":18,"vatAmount":549},{"vatPercent":"0","vatAmount":0}],
 "moneyBackCount":"1","moneyBackSum":1200,"moneyBackCashSum":1200,"moneyBackBonusesSum":4,"moneyBackVatAmounts":[{"vatPercent":1800,"vatAmount":183}],
 "ROLLBACKCOUNT":2,"rollbackSum":100,"prepayCount":4,"prepaySum":400,"creditpayCount":5,"creditpaySum":500,"creditpayRollbackCount":99,
 "corrCount":6,"corrSum":600,"depositCount":7,"depositSum":700,"withdraw":{"Count":8,"Sum":800}}`

func TestXReport_ReadsEveryGroup(t *testing.T) {
	f := newFake(t)
	f.says(routeXReport, xAnswer)
	r, err := f.driver().XReport(context.Background(), "")
	if err != nil {
		t.Fatal(err)
	}
	want := "{Shift:7 Number:3 Cash:50.00 " +
		"Sales:{Count:3 Sum:36.00 Cash:24.00 Card:12.00 Credit:0.01 Bonus:0.02 Prepaid:0.03 VAT:[{Rate:18.00 Amount:5.49} {Rate:0.00 Amount:0.00}]} " +
		"Refunds:{Count:1 Sum:12.00 Cash:12.00 Card:0.00 Credit:0.00 Bonus:0.04 Prepaid:0.00 VAT:[{Rate:18.00 Amount:1.83}]}"
	got := fmt.Sprintf("{Shift:%s Number:%s Cash:%s Sales:%+v Refunds:%+v", r.Shift, r.Number, r.Cash, r.Sales, r.Refunds)
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	counts := []int{r.Cancels.Count, r.Prepaid.Count, r.Credit.Count, r.Correct.Count, r.In.Count, r.Out.Count}
	sums := []receipt.Money{r.Cancels.Sum, r.Prepaid.Sum, r.Credit.Sum, r.Correct.Sum, r.In.Sum, r.Out.Sum}
	if !slices.Equal(counts, []int{2, 4, 5, 6, 7, 8}) || !slices.Equal(sums, []receipt.Money{100, 400, 500, 600, 700, 800}) {
		t.Errorf("counts %v, sums %v", counts, sums)
	}
	if string(r.Raw) != xAnswer || !r.OpenedAt.Equal(time.Date(2026, 11, 23, 8, 0, 0, 0, baku)) {
		t.Errorf("opened %v, raw %s", r.OpenedAt, r.Raw)
	}
	if _, err := f.driver().XReport(context.Background(), "12"); err != nil {
		t.Error(err)
	}
	asked := f.of(routeXReport)
	if asked[0].json != `{"departmentName":""}` || asked[1].json != `{"shiftID":12,"departmentName":""}` {
		t.Errorf("asked %+v", asked)
	}
	f.says(routeXReport, `{"status":"error","code":6}`)
	if _, err := f.driver().XReport(context.Background(), ""); causeIs(err) != register.ShiftClosed {
		t.Errorf("no shift: %v", err)
	}
}

func TestBaseline(t *testing.T) {
	all := register.Count{Sale: 3, Refund: 1, Cancel: 2, Prepayment: 4, CreditPayment: 5, Correction: 6, Deposit: 7, Withdrawal: 8}
	for _, c := range []struct {
		name, shift, report string
		kind                receipt.Kind
		uncounted           bool
		counted             bool
		count               register.Count
		reports             int
	}{
		{"new, key is promised", newShift, xAnswer, receipt.Refund, false, false, register.Count{}, 0},
		{"new, key, and nothing promised", newShift, xAnswer, receipt.Prepayment, false, true, all, 1},
		{"new, cash", newShift, xAnswer, receipt.Withdrawal, false, true, all, 1},
		{"new, kind without a key", newShift, xAnswer, receipt.Cancel, false, true, all, 1},
		{"classic", classicShift, xAnswer, receipt.Sale, false, true, all, 1},
		{"classic, shift closed", closedShift, xAnswer, receipt.Sale, false, true, register.Count{}, 0},
		{"classic, shift closed meanwhile", classicShift, `{"status":"error","code":6}`, receipt.Sale, false, true, register.Count{}, 1},
		{"new, no paper for the report", newShift, `{"status":"error","code":15,"rollbackCount":2}`, receipt.Cancel, false, true, register.Count{Cancel: 2}, 1},
		{"new, no paper and no report", newShift, `{"status":"error","code":15}`, receipt.Cancel, false, false, register.Count{}, 1},
		{"classic, report refused", classicShift, `{"status":"error","code":7}`, receipt.Sale, false, false, register.Count{}, 1},
		{"classic, set not to count", classicShift, xAnswer, receipt.Sale, true, false, register.Count{}, 0},
		{"classic, the kind's counter is missing", classicShift, `{"status":"success","saleCount":3}`, receipt.Cancel, false, false, register.Count{Sale: 3}, 1},
		{"classic, the kind's counter is there", classicShift, `{"status":"success","saleCount":3}`, receipt.Sale, false, true, register.Count{Sale: 3}, 1},
		{"classic, the counter is no number", classicShift, `{"status":"success","saleCount":"many"}`, receipt.Sale, false, false, register.Count{}, 1},
	} {
		f := newFake(t)
		f.says(routeCheckShift, c.shift)
		f.says(routeXReport, c.report)
		b, err := f.driver(func(x *Config) { x.Uncounted = c.uncounted }).Baseline(context.Background(), c.kind)
		if err != nil || b.Serial != "AZ-1" || b.Counted != c.counted || b.Count != c.count || len(f.of(routeXReport)) != c.reports {
			t.Errorf("%s: %+v, %v, %d reports", c.name, b, err, len(f.of(routeXReport)))
		}
	}
	f := newFake(t)
	f.says(routeCheckShift, classicShift)
	if _, err := f.driver().Baseline(context.Background(), receipt.Sale); causeIs(err) != register.Other {
		t.Errorf("a report that is no answer: %v", err)
	}
	f = newFake(t)
	f.says(routeCheckShift, newShift)
	f.says(routeXReport, `{"status":"error","code":44}`)
	if _, err := f.driver().Baseline(context.Background(), receipt.Cancel); causeIs(err) != register.Busy {
		t.Errorf("a register that is at work on another thing: %v", err)
	}
}

func TestShift_OpenAndClose(t *testing.T) {
	f := newFake(t)
	d := f.driver()
	for _, c := range []struct {
		body    string
		verdict register.Verdict
		cause   register.Cause
	}{
		{`{"fiscalID":5,"shiftID":5,"status":"success"}`, register.Made, ""},
		{`{"status":"success","code":0,"shiftID":"5","fiscalShiftID":"x"}`, register.Made, ""},
		{`{"status":"error","code":6}`, register.Refused, register.ShiftOpen},
		{`{"status":"error","code":5}`, register.Unknown, register.Other},
		{`{"code":0}`, register.Unknown, register.Other},
		{`x`, register.Unknown, register.Other},
	} {
		f.says(routeOpenShift, c.body)
		if o := d.OpenShift(context.Background(), "Əli"); o.Verdict != c.verdict || o.Cause != c.cause {
			t.Errorf("open, %s: %+v", c.body, o)
		}
	}
	if a := f.of(routeOpenShift)[0]; a.json != `{"employeeName":"Əli"}` {
		t.Errorf("asked %s", a.json)
	}
	for _, c := range []struct {
		body    string
		verdict register.Verdict
		cause   register.Cause
	}{
		{strings.Replace(xAnswer, `"reportNumber":3`, `"fiscalShiftID":"Z9","fiscalShiftNum":44`, 1), register.Made, ""},
		{`{"status":"error","code":6}`, register.Refused, register.ShiftClosed},
		{`{"status":"error","code":24}`, register.Refused, register.Other},
		{`{"status":"error","code":40}`, register.Unknown, register.Supplier},
		{`{"status":"error","code":15}`, register.Unknown, register.Paper},
	} {
		f.says(routeCloseShift, c.body)
		r, o := d.CloseShift(context.Background(), "")
		if o.Verdict != c.verdict || o.Cause != c.cause {
			t.Errorf("close, %s: %+v", c.body, o)
		}
		if o.Verdict == register.Made && (r.Number != "44" || r.Sales.Count != 3 || string(r.Raw) != c.body) {
			t.Errorf("report %+v", r)
		}
	}
	if a := f.of(routeCloseShift)[0]; a.json != `{"employeeName":"Kassir","openOrdersOperation":"check"}` {
		t.Errorf("asked %s", a.json)
	}
}

func TestPeriod_AsksInBothForms(t *testing.T) {
	const newer, older = `{"employeeName":"Kassir","dateFrom":"2026-11-01","dateFor":"2026-11-30"}`,
		`{"employeeName":"Kassir","date_start":"2026-11-01 00:00:00","date_stop":"2026-11-30 23:59:59"}`
	from, to := time.Date(2026, 11, 1, 0, 0, 0, 0, baku), time.Date(2026, 11, 30, 12, 0, 0, 0, baku)
	for _, c := range []struct {
		first string
		want  []string
		ok    bool
	}{
		{xAnswer, []string{newer}, true},
		{`{"status":"error","code":14}`, []string{newer, older}, true},
		{`{"status":"error","code":"3"}`, []string{newer, older}, true},
		{`{"status":"error","code":5}`, []string{newer}, false},
	} {
		f := newFake(t)
		f.does(routeDates, func(body map[string]any) string {
			if body["date_start"] != nil {
				return xAnswer
			}
			return c.first
		})
		r, err := f.driver().Period(context.Background(), from, to)
		var got []string
		for _, a := range f.of(routeDates) {
			got = append(got, a.json)
		}
		if (err == nil) != c.ok || !slices.Equal(got, c.want) || c.ok && r.Sales.Count != 3 {
			t.Errorf("%s: %v, asked %v", c.first, err, got)
		}
	}
}

func TestReprint_TriesTheNumberFirst(t *testing.T) {
	const byNumber, byFiscal = `{"documentID":41}`, `{"documentID":"F1"}`
	doc := receipt.Document{RegisterID: "41", FiscalID: "F1"}
	for _, c := range []struct {
		name, number, fiscal string
		doc                  receipt.Document
		want                 []string
		verdict              register.Verdict
	}{
		{"by number", `{"status":"success","fiscalID":"F1"}`, "", doc, []string{byNumber}, register.Made},
		{"number not found", `{"status":"error","code":9}`, `{"status":"success"}`, doc, []string{byNumber, byFiscal}, register.Made},
		{"neither", `{"status":"error","code":9}`, `{"status":"error","code":9}`, doc, []string{byNumber, byFiscal}, register.Refused},
		{"unclear", `{"status":"error","code":5}`, "", doc, []string{byNumber}, register.Unknown},
		{"no paper", `{"status":"error","code":15}`, "", doc, []string{byNumber}, register.Unknown},
		{"no paper in a success", `{"status":"success","printError":1}`, "", doc, []string{byNumber}, register.Unknown},
		{"another document", `{"status":"success","fiscalID":"F2"}`, "", doc, []string{byNumber}, register.Unknown},
		{"wrong Merchant ID", `{"status":"error","code":1}`, "", doc, []string{byNumber}, register.Refused},
		{"no number known", "", `{"status":"success"}`, receipt.Document{FiscalID: "F1"}, []string{byFiscal}, register.Made},
		{"nothing known", "", "", receipt.Document{}, nil, register.NotSent},
	} {
		f := newFake(t)
		f.does(routeCheckCopy, func(body map[string]any) string {
			if _, text := body["documentID"].(string); text {
				return c.fiscal
			}
			return c.number
		})
		o := f.driver().Reprint(context.Background(), c.doc)
		var got []string
		for _, a := range f.of(routeCheckCopy) {
			got = append(got, a.json)
		}
		if o.Verdict != c.verdict || !slices.Equal(got, c.want) || o.Verdict == register.Made && !o.Document.Printed {
			t.Errorf("%s: %+v, asked %v", c.name, o, got)
		}
	}
}

func TestSend_FillsTheDocument(t *testing.T) {
	f := newFake(t)
	f.says(routeSale, `{"status":"success","code":0,"documentID":41,"documentExtID":"`+testKey+`","fiscalID":"AbC123dEf456789","fiscalNum":"20","docStatus":1,"printTime":"2026-11-23 19:05:14","printError":0}`)
	d := f.driver()
	if _, err := d.Identify(context.Background()); err != nil {
		t.Fatal(err)
	}
	o := d.Send(context.Background(), requests(t, d)["sale"])
	if o.Verdict != register.Made {
		t.Fatalf("%+v", o)
	}
	got := *o.Document
	want := receipt.Document{
		FiscalID: "AbC123dEf456789", ShortID: "AbC123dEf456", Number: "20", RegisterID: "41", RegisterSerial: "AZ-1", Shift: "7",
		URL: "https://monitoring.example/#/index?doc=AbC123dEf456", Printed: true, At: got.At,
	}
	if got != want || !got.At.Equal(time.Date(2026, 11, 23, 19, 5, 14, 0, baku)) {
		t.Errorf("document %+v", got)
	}
	f.says(routeSale, `{"status":"success","fiscalID":"F1","fiscalUrl":"https://x/F1"}`)
	o = d.Send(context.Background(), requests(t, d)["sale"])
	if o.Document.URL != "https://x/F1" || !o.Document.At.Equal(time.Date(2026, 11, 23, 19, 0, 0, 0, baku)) {
		t.Errorf("document %+v", o.Document)
	}
}

func TestEscaping_BothReachARegister(t *testing.T) {
	for _, e := range []Escaping{EscapeAll, EscapeEquals} {
		f := newFake(t)
		d := f.driver(func(c *Config) { c.Escaping = e })
		for n := range 40 { // enough for "+" and "/" to come up
			if o := d.OpenShift(context.Background(), strings.Repeat("ю>~", n)); o.Cause == register.Credentials {
				t.Fatalf("escaping %d: signature refused", e)
			}
		}
	}
}

func TestSecret_IsNeverTold(t *testing.T) {
	f := newFake(t)
	f.says(routeSale, `{"status":"error","code":1,"message":"bad sign for `+merchant+`"}`)
	f.says(routeXReport, `{"status":"error","code":1,"message":"`+merchant+`"}`)
	f.says(routeCheckStatus, merchant)
	f.says(routeDates, `{"status":"success","note":"`+merchant+`"}`)
	c := Config{Addr: f.addr(), MerchantID: merchant}
	d := New(c)
	r := requests(t, d)["sale"]
	report, err := d.XReport(context.Background(), "")
	period, _ := d.Period(context.Background(), time.Now(), time.Now())
	for _, v := range []any{
		c, &c, d, r, string(r.Body), d.Send(context.Background(), r), d.Lookup(context.Background(), r), report, err, string(period.Raw),
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if s := fmt.Sprintf(verb, v); strings.Contains(s, merchant) {
				t.Errorf("%T by %s: %s", v, verb, s)
			}
		}
	}
	if o := d.Send(context.Background(), r); strings.Contains(o.Err.Error()+o.Text, merchant) || !strings.Contains(o.Text, "***") {
		t.Errorf("outcome %+v", o)
	}
}

func TestRecognise(t *testing.T) {
	f := newFake(t)
	if ok, err := Recognise(context.Background(), f.addr()); !ok || err != nil {
		t.Errorf("a register that checks signatures: %v, %v", ok, err)
	}
	if i, err := Prove(context.Background(), Config{Addr: f.addr(), MerchantID: merchant}); err != nil || i.Serial != "AZ-1" {
		t.Errorf("prove: %+v, %v", i, err)
	}
	if _, err := Prove(context.Background(), Config{Addr: f.addr(), MerchantID: "x"}); causeIs(err) != register.Credentials {
		t.Errorf("prove with a wrong Merchant ID: %v", err)
	}
	for body, want := range map[string]bool{
		`{"isShiftOpen":"true","status":"success"}`: true, `{"status":"error","code":"1"}`: true,
		`{"status":"success"}`: false, `{"status":"error","code":404}`: false, `{"code":1,"message":"x"}`: false,
		`{"code":0,"data":{}}`: false, `{"status":200}`: false, `<html>`: false, `[]`: false, ``: false,
	} {
		s := serve(t, func(c net.Conn, read func()) {
			read()
			_, _ = io.WriteString(c, http200(body, len(body)))
		})
		if ok, err := Recognise(context.Background(), addrOf(t, s.listener.Addr().String())); ok != want || err != nil {
			t.Errorf("%s: %v, %v", body, ok, err)
		}
	}
	s := serve(t, func(net.Conn, func()) {})
	addr := addrOf(t, s.listener.Addr().String())
	if ok, err := Recognise(context.Background(), addr); ok || causeIs(err) != register.Unreachable {
		t.Errorf("one that hangs up: %v, %v", ok, err)
	}
	_ = s.listener.Close()
	if ok, err := Recognise(context.Background(), addr); ok || causeIs(err) != register.Unreachable {
		t.Errorf("nobody: %v, %v", ok, err)
	}
}
