package azsmart

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// whitelist is written a second time, by what each code proves: a refusal that
// is not here must not exist.
var whitelist = map[string]map[int]register.Cause{}

func init() {
	bad := func(route string, codes ...int) {
		for _, c := range codes {
			whitelist[route][c] = register.BadData
		}
	}
	for _, route := range []string{"sale", "refund", "prepay", "creditpay", "rollback", "correction", "deposit", "withdraw"} {
		whitelist[route] = map[int]register.Cause{1: register.Credentials, 6: register.ShiftClosed}
		bad(route, 2, 3, 14)
	}
	for _, route := range []string{"sale", "refund", "prepay"} {
		bad(route, 4, 7, 8, 11, 12, 13, 16, 18, 19, 20, 21)
	}
	bad("creditpay", 4, 7, 8, 11, 12, 13, 16)
	bad("rollback", 10, 36)
	bad("correction", 4, 7, 12, 16)
	for _, route := range []string{"refund", "rollback", "creditpay"} {
		whitelist[route][9] = register.NoParent
	}
	whitelist["withdraw"][9] = register.NoCash
}

// requests has a request of ours for every document route.
func requests(tb testing.TB, d *Driver) map[string]register.Request {
	tb.Helper()
	all := map[string]register.Request{}
	for _, job := range jobs() {
		r, err := d.Prepare(job)
		if err != nil {
			tb.Fatal(err)
		}
		all[r.Route] = r
	}
	return all
}

func judge(tb testing.TB, d *Driver, r register.Request, body string) register.Outcome {
	tb.Helper()
	a, err := decode([]byte(body))
	if err != nil {
		tb.Fatalf("%s: %v", body, err)
	}
	return d.outcome(r.Route, factsOf(r.Body), a)
}

func TestOutcome_OnlyTheWhitelistRefuses(t *testing.T) {
	for _, edition := range []string{"", EditionClassic, EditionNew} {
		d := New(Config{}).set(edition)
		for route, r := range requests(t, d) {
			for code := -20; code <= 120; code++ {
				for _, form := range []string{`{"status":"error","code":%d,"message":"m"}`, `{"STATUS":"Error","Code":"%d"}`, `{"status":"error","code":%d.0,"fiscalID":""}`} {
					o := judge(t, d, r, fmt.Sprintf(form, code))
					cause, listed := whitelist[route][code]
					switch {
					case listed && (o.Verdict != register.Refused || o.Cause != cause):
						t.Errorf("%s %s code %d: %s %s, want refused %s", edition, route, code, o.Verdict, o.Cause, cause)
					case !listed && o.Verdict != register.Unknown:
						t.Errorf("%s %s code %d: %s", edition, route, code, o.Verdict)
					case !listed && o.Cause == register.CauseNone:
						t.Errorf("%s %s code %d: no cause", edition, route, code)
					case o.Err == nil || o.Code == "":
						t.Errorf("%s %s code %d: error %v, code %q", edition, route, code, o.Err, o.Code)
					}
				}
				// The same code with anything that speaks against it is no refusal.
				for _, form := range []string{
					`{"code":%d}`, `{"status":"","code":%d}`, `{"status":"success","code":%d}`, `{"status":"failure","code":%d}`,
					`{"status":"error","code":%d,"fiscalID":"AbC123dEf456"}`, `{"status":"error","code":%d,"docStatus":1}`,
					`{"status":"error","code":"%d!"}`, `{"status":"error","code":[%d]}`, `{"status":{"x":"error"},"code":%d}`,
				} {
					if o := judge(t, d, r, fmt.Sprintf(form, code)); o.Verdict != register.Unknown {
						t.Errorf("%s %s %s: %s", edition, route, fmt.Sprintf(form, code), o.Verdict)
					}
				}
			}
		}
	}
}

func TestOutcome_CausesOfWhatIsUnclear(t *testing.T) {
	d := New(Config{})
	for code, want := range map[string]register.Cause{
		"5": register.Other, "15": register.Paper, "22": register.ShiftExpired, "39": register.Supplier,
		"40": register.Supplier, "44": register.Busy, "77": register.Other,
	} {
		for route, r := range requests(t, d) {
			o := judge(t, d, r, `{"status":"error","code":`+code+`,"message":"sözlər"}`)
			if o.Verdict != register.Unknown || o.Cause != want || o.Code != code || o.Text != "sözlər" {
				t.Errorf("%s code %s: %+v", route, code, o)
			}
		}
	}
}

func TestOutcome_Shapes(t *testing.T) {
	r := requests(t, New(Config{}).set(EditionNew))["sale"]
	const key = "1234567800000001"
	for _, c := range []struct {
		name, body string
		verdict    register.Verdict
		cause      register.Cause
		printed    bool
	}{
		{"example of the page", `{"status":"success","code":0,"documentID":41,"documentExtID":"` + key + `","fiscalID":"AbC123dEf4567","fiscalNum":"20","docStatus":1,"printTime":"2026-11-23 14:05:11","printError":0,"totalPayments":[{"type":"C","amount":1200}]}`, register.Made, "", true},
		{"no code", `{"status":"success","documentID":41,"fiscalID":"AbC123dEf4567"}`, register.Made, "", true},
		{"empty code", `{"status":"success","code":"","fiscalID":"AbC123dEf4567"}`, register.Made, "", true},
		{"null code", `{"status":"success","code":null,"fiscalID":"AbC123dEf4567","message":null}`, register.Made, "", true},
		{"all as text", `{"status":"SUCCESS","code":"0","documentID":"41","fiscalID":"AbC123dEf4567","docStatus":"1","printError":"0"}`, register.Made, "", true},
		{"fiscal id as a number", `{"status":"success","fiscalID":1234567890123}`, register.Made, "", true},
		{"other letter case", `{"Status":"Success","FISCALID":"AbC123dEf4567","DocumentId":41}`, register.Made, "", true},
		{"key said back as a number", `{"status":"success","documentExtID":` + key + `,"fiscalID":"AbC123dEf4567"}`, register.Made, "", true},
		{"key said back as none", `{"status":"success","documentExtID":0,"fiscalID":"AbC123dEf4567"}`, register.Made, "", true},
		{"byte order mark", "\xef\xbb\xbf" + `{"status":"success","fiscalID":"AbC123dEf4567"}`, register.Made, "", true},
		{"printer's code in a success", `{"status":"success","code":0,"fiscalID":"AbC123dEf4567","printError":3}`, register.Made, "", false},
		{"printer's code as text", `{"status":"success","fiscalID":"AbC123dEf4567","printError":"no paper"}`, register.Made, "", false},
		{"15 in a success that is closed", `{"status":"success","code":15,"fiscalID":"AbC123dEf4567","docStatus":1}`, register.Made, "", false},
		{"15 in a success", `{"status":"success","code":15,"fiscalID":"AbC123dEf4567"}`, register.Unknown, register.Paper, false},
		{"15 in an error that is closed", `{"status":"error","code":15,"fiscalID":"AbC123dEf4567","docStatus":1}`, register.Unknown, register.Paper, false},
		{"document still open", `{"status":"success","code":0,"documentID":41,"fiscalID":"","docStatus":0}`, register.Unknown, register.Busy, false},
		{"document open with an id", `{"status":"success","fiscalID":"AbC123dEf4567","docStatus":"0"}`, register.Unknown, register.Busy, false},
		{"nothing there", `{"status":"success","fiscalID":"AbC123dEf4567","docStatus":-1}`, register.Unknown, register.Other, false},
		{"no fiscal id", `{"status":"success","code":0,"documentID":41,"docStatus":1}`, register.Unknown, register.Other, false},
		{"empty fiscal id", `{"status":"success","code":0,"documentID":41,"fiscalID":" "}`, register.Unknown, register.Other, false},
		{"fiscal id zero", `{"status":"success","code":0,"fiscalID":0}`, register.Unknown, register.Other, false},
		{"another's key", `{"status":"success","documentExtID":"99","fiscalID":"AbC123dEf4567"}`, register.Unknown, register.Other, false},
		{"another's number", `{"status":"success","docNumber":"99","fiscalID":"AbC123dEf4567"}`, register.Unknown, register.Other, false},
		{"success with 44", `{"status":"success","code":44,"fiscalID":"AbC123dEf4567"}`, register.Unknown, register.Busy, false},
		{"not paid, lying open", `{"status":"error","code":8,"documentID":41,"docStatus":0}`, register.Unknown, register.Busy, false},
		{"not paid", `{"status":"error","code":8}`, register.Refused, register.BadData, false},
		{"error without a code", `{"status":"error","message":"?"}`, register.Unknown, register.Other, false},
		{"an empty object", `{}`, register.Unknown, register.Other, false},
	} {
		o := judge(t, New(Config{Zone: baku}).set(EditionNew), r, c.body)
		if o.Verdict != c.verdict || o.Cause != c.cause {
			t.Errorf("%s: %s %q (%v), want %s %q", c.name, o.Verdict, o.Cause, o.Err, c.verdict, c.cause)
			continue
		}
		if o.Verdict == register.Made && (o.Document == nil || o.Document.Printed != c.printed || o.Document.FiscalID == "" || o.Err != nil) {
			t.Errorf("%s: document %+v, error %v", c.name, o.Document, o.Err)
		}
		if o.Verdict != register.Made && (o.Document != nil || o.Err == nil) {
			t.Errorf("%s: document %+v, error %v", c.name, o.Document, o.Err)
		}
	}
}

func TestOutcome_OtherRoutes(t *testing.T) {
	d := New(Config{Zone: baku})
	for _, c := range []struct {
		name, route, body string
		verdict           register.Verdict
		document          receipt.Document
	}{
		{"rollback says the parent back", "rollback", `{"status":"success","code":0,"documentID":"ParentFiscal01"}`, register.Made, receipt.Document{}},
		{"rollback has its own id", "rollback", `{"status":"success","documentID":77}`, register.Made, receipt.Document{RegisterID: "77"}},
		{"rollback names nothing", "rollback", `{"status":"success"}`, register.Unknown, receipt.Document{}},
		{"deposit in the classic manner", "deposit", `{"cash":109100,"cashIn":101300,"cashOut":0,"documentID":43,"fiscalID":"22","shiftOrdersCnt":0,"status":"success"}`, register.Made, receipt.Document{RegisterID: "43", Number: "22"}},
		{"deposit in the new manner", "deposit", `{"status":"success","code":0,"documentID":43,"fiscalID":"LongFiscalID0001","fiscalNum":"9"}`, register.Made, receipt.Document{RegisterID: "43", Number: "9", FiscalID: "LongFiscalID0001"}},
		{"deposit without a fiscal id", "deposit", `{"status":"success","documentID":43}`, register.Made, receipt.Document{RegisterID: "43"}},
		{"deposit names nothing", "deposit", `{"status":"success","cash":1}`, register.Unknown, receipt.Document{}},
		{"correction", "correction", `{"status":"success","documentID":4,"fiscalID":"F"}`, register.Made, receipt.Document{RegisterID: "4", FiscalID: "F"}},
		{"correction without a fiscal id", "correction", `{"status":"success","documentID":4}`, register.Unknown, receipt.Document{}},
	} {
		o := judge(t, d, requests(t, d)[c.route], c.body)
		if o.Verdict != c.verdict {
			t.Errorf("%s: %s (%v)", c.name, o.Verdict, o.Err)
			continue
		}
		if g := o.Document; g != nil && (g.RegisterID != c.document.RegisterID || g.FiscalID != c.document.FiscalID || g.Number != c.document.Number) {
			t.Errorf("%s: %+v", c.name, g)
		}
	}
}

func TestOutcome_CodesThatDependOnTheRequest(t *testing.T) {
	d := New(Config{}).set(EditionClassic)
	const notFound, notPrinted = `{"status":"error","code":9}`, `{"status":"error","code":15}`
	plain, prepaid := saleJob(), saleJob()
	prepaid.Receipt.Payments = receipt.Payments{Prepaid: 1200}
	prepaid.Receipt.Parent = &receipt.Parent{FiscalID: "Prepay"}
	for _, c := range []struct {
		job  register.Job
		want register.Verdict
	}{{plain, register.Unknown}, {prepaid, register.Refused}} {
		r, err := d.Prepare(c.job)
		if err != nil {
			t.Fatal(err)
		}
		if o := judge(t, d, r, notFound); o.Verdict != c.want || o.Cause != register.NoParent {
			t.Errorf("sale paid %+v, code 9: %s %s", c.job.Receipt.Payments, o.Verdict, o.Cause)
		}
	}
	one, two := creditJob(), creditJob()
	two.Receipt.Payments = receipt.Payments{Cash: 700, Card: 500}
	for _, c := range []struct {
		job     register.Job
		edition string
		body    string
		want    register.Verdict
	}{
		{one, EditionClassic, notPrinted, register.Unknown},
		{two, EditionClassic, notPrinted, register.Refused},
		{two, EditionClassic, `{"status":"error","code":15,"printError":2}`, register.Unknown},
		{two, EditionNew, notPrinted, register.Unknown},
		{two, "", notPrinted, register.Unknown},
	} {
		r, err := d.Prepare(c.job)
		if err != nil {
			t.Fatal(err)
		}
		if o := judge(t, New(Config{}).set(c.edition), r, c.body); o.Verdict != c.want {
			t.Errorf("creditpay paid %+v on %q, code 15: %s", c.job.Receipt.Payments, c.edition, o.Verdict)
		}
	}
}

func TestDone_ShiftRoutes(t *testing.T) {
	d := New(Config{})
	refused := map[string]map[int]register.Cause{
		routeOpenShift: {1: register.Credentials, 2: register.BadData, 3: register.BadData, 6: register.ShiftOpen, 14: register.BadData},
		routeCloseShift: {
			1: register.Credentials, 2: register.BadData, 3: register.BadData, 6: register.ShiftClosed, 14: register.BadData,
			24: register.Other, 26: register.Other, 27: register.Other,
		},
		routeCheckCopy: {1: register.Credentials, 2: register.BadData, 3: register.BadData, 9: register.NoParent},
	}
	for route, codes := range refused {
		for code := -20; code <= 120; code++ {
			a, err := decode(fmt.Appendf(nil, `{"status":"error","code":%d}`, code))
			if err != nil {
				t.Fatal(err)
			}
			o := d.done(route, a)
			cause, listed := codes[code]
			if listed != (o.Verdict == register.Refused) || listed && cause != o.Cause || !listed && o.Verdict != register.Unknown {
				t.Errorf("%s code %d: %s %s", route, code, o.Verdict, o.Cause)
			}
		}
	}
}

func TestSend_HTTPStatusDecidesNothing(t *testing.T) {
	f := newFake(t)
	f.says(routeSale, `{"status":"success","fiscalID":"AbC123dEf4567"}`)
	d := f.driver()
	for _, status := range []int{200, 201, 400, 401, 404, 500, 502, 503} {
		f.mu.Lock()
		f.status = status
		f.mu.Unlock()
		if o := d.Send(context.Background(), requests(t, d)["sale"]); o.Verdict != register.Made {
			t.Errorf("HTTP %d with a success: %s (%v)", status, o.Verdict, o.Err)
		}
	}
	f.says(routeSale, `<html><body>Not here</body></html>`)
	f.mu.Lock()
	f.status = http.StatusOK
	f.mu.Unlock()
	if o := d.Send(context.Background(), requests(t, d)["sale"]); o.Verdict != register.Unknown || !strings.Contains(o.Err.Error(), "Not here") {
		t.Errorf("a page of HTML: %s (%v)", o.Verdict, o.Err)
	}
}

func TestSend_UnknownRouteIsNotSent(t *testing.T) {
	f := newFake(t)
	for _, route := range []string{"", "close_shift", "x_report", "../sale", "sale\r\nX: y"} {
		if o := f.driver().Send(context.Background(), register.Request{Route: route, Body: []byte(`{}`)}); o.Verdict != register.NotSent {
			t.Errorf("route %q: %s", route, o.Verdict)
		}
	}
	if len(f.asked) != 0 {
		t.Errorf("asked %v", f.asked)
	}
}

func FuzzOutcome(f *testing.F) {
	for _, s := range []string{
		`{"status":"success","code":0,"fiscalID":"AbC123dEf4567","docStatus":1}`, `{"status":"error","code":6}`,
		`{"status":"error","code":15,"printError":1}`, `{"isShiftOpen":"true","status":"success"}`,
		`{"authID":"","docStatus":-1,"fiscalID":"","items":[],"status":"success"}`, `{"status":"success","code":44}`,
		`{"status":"error","Status":"success","code":9,"fiscalid":"x"}`, `[]`, `null`, `{"status":"success","fiscalID":`,
		`{"saleCount":3,"saleSum":"1200","saleVatAmounts":[{"vatPercent":18,"vatAmount":"183"}],"status":"success"}`,
	} {
		for _, route := range []string{"sale", "rollback", "withdraw", "close_shift"} {
			f.Add(route, s)
		}
	}
	d := New(Config{Zone: baku}).set(EditionClassic)
	f.Fuzz(func(t *testing.T, route, body string) {
		a, err := decode([]byte(body))
		if err != nil {
			return
		}
		sent := facts{DocumentExtID: "1"}
		o := d.outcome(route, sent, a)
		success, told := a.status()
		code, ok := a.code()
		switch o.Verdict {
		case register.Made:
			if !told || !success || !ok || code != 0 && code != 15 || o.Document == nil || o.Err != nil {
				t.Errorf("%s %s: made", route, body)
			}
		case register.Refused:
			if !told || success || !ok || !slices.Contains(refusals[route], code) || a.ident("fiscalID") != "" {
				t.Errorf("%s %s: refused", route, body)
			}
		case register.Unknown:
			if o.Document != nil || o.Err == nil {
				t.Errorf("%s %s: %+v", route, body, o)
			}
		default:
			t.Errorf("%s %s: verdict %q", route, body, o.Verdict)
		}
		b, _ := decode([]byte(body))
		if again := d.outcome(route, sent, b); again.Verdict != o.Verdict || again.Cause != o.Cause || again.Text != o.Text {
			t.Errorf("%s %s: %+v, then %+v", route, body, o, again)
		}
		_ = d.report(a)
		e := d.found(register.Request{Route: route}, sent, a, fault(route, a))
		if (e.Found == register.DocumentMade) != (e.Document != nil) || e.Found == register.CannotTell && e.Err == nil {
			t.Errorf("%s %s: %+v", route, body, e)
		}
	})
}
