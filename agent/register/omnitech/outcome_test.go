package omnitech

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/register/tokencode"
)

func TestSend_Outcomes(t *testing.T) {
	const made, refused, unknown = register.Made, register.Refused, register.Unknown
	ids := strings.TrimPrefix(success, `{"code":0,`)
	for _, c := range []struct {
		body    string
		verdict register.Verdict
		cause   register.Cause
	}{
		{success, made, ""},
		{`{"code":"0",` + ids, made, ""},
		{`{"code":0.0,` + ids, made, ""},
		{`{"code":0,"data":{"document_id":"` + madeID + `","document_number":28,"short_document_id":"5FhNmPqRsTuV"}}`, made, ""},
		{`{"code":1205,` + ids, made, ""},
		{`{"code":1205,"message":"names"}`, unknown, register.Other},
		{`{"code":0,"message":"Successful operation"}`, unknown, register.Other},
		{strings.Replace(success, "28", "27", 1), unknown, register.Other},                      // not after the number that was read
		{strings.Replace(success, madeID, parentID, 1), unknown, register.Other},                // short id of another
		{strings.Replace(success, `"document_number":28,`, ``, 1), unknown, register.Other},     // no number
		{strings.Replace(success, madeID, "5FhNmPqRsTuV", 1), unknown, register.Other},          // no long id
		{strings.Replace(success, madeID, `"; DROP`, 1), unknown, register.Other},               // no JSON
		{strings.Replace(success, madeID, strings.Repeat("5", 65), 1), unknown, register.Other}, // too long
		{`{"code":607,` + ids, unknown, register.BadData},                                       // contradicts itself
		{strings.TrimPrefix(success, `{"code":0,`), unknown, register.Other},                    // no JSON
		{`{` + ids, unknown, register.Other},                                                    // no code
		{`{"code":1,"message":"login success"}`, unknown, register.Other},                       // no code of a document
		{`{"code":503,"message":"document: invalid shift status"}`, refused, register.ShiftClosed},
		{`{"code":504,"message":"document: invalid shift duration"}`, refused, register.ShiftExpired},
		{`{"code":505}`, unknown, register.Other},
		{`{"code":613}`, refused, register.BadData}, {`{"code":627}`, refused, register.NoParent}, {`{"code":628}`, refused, register.NoParent},
		{`{"code":639}`, unknown, register.Other}, {`{"code":604}`, unknown, register.Other}, {`{"code":706}`, unknown, register.Supplier},
		{`{"code":131}`, unknown, register.Busy}, {`{"code":404}`, unknown, register.Credentials}, {`{"code":99}`, unknown, register.Credentials},
		{`{"code":-11}`, refused, register.Credentials},
		{`{"code":-1}`, unknown, register.Other}, {`{"code":-2}`, unknown, register.Other}, {`{"code":-4}`, unknown, register.Busy},
		{`{"code":1300}`, refused, register.BadData},
		{`{"code":1301,"message":"JSON parse error"}`, refused, register.BadData},
		{`{"code":1301,"message":"attestation"}`, unknown, register.Supplier}, {`{"code":1302}`, unknown, register.Supplier},
		{`{"code":1312,"message":"VAT total is wrong"}`, refused, register.BadData},
		{`{"code":1312,"message":"already refunded"}`, unknown, register.Other}, {`{"code":1312}`, unknown, register.Other},
		{`{"code":1250,"message":"request parse error"}`, refused, register.BadData},
		{`{"code":1250,"message":"Shift invalid"}`, refused, register.ShiftClosed},
		{`{"code":1250,"message":"invalid shift duration"}`, refused, register.ShiftExpired},
		{`{"code":1412,"message":"another document queued"}`, unknown, register.Busy},
		{`{"code":1511}`, unknown, register.Supplier}, {`{"code":1512}`, refused, register.BadData},
		{`{"code":1206}`, refused, register.BadData},
		{`{"code":1200,"message":"unknown operation"}`, refused, register.BadData},
		{`{"code":4711}`, unknown, register.Other}, {`{"code":null}`, unknown, register.Other}, {`{"code":"x"}`, unknown, register.Other},
		{`{"code":1e999}`, unknown, register.Other},
		{`[]`, unknown, register.Other}, {`null`, unknown, register.Other}, {success + success, unknown, register.Other},
	} {
		f := newFake(t)
		f.says(opSale, c.body)
		f.says(opGetInfo, strings.Replace(info, `"last_doc_number":27`, `"last_doc_number":28`, 1))
		d := f.driver()
		o := d.Send(t.Context(), prepared(t, d, job(sold(), nil)))
		if o.Verdict != c.verdict || o.Cause != c.cause || (o.Verdict == made) != (o.Document != nil) || (o.Verdict == made) == (o.Err != nil) {
			t.Errorf("%s: %+v", c.body, o)
		}
	}
}

// What a code only probably means is proven by the number, since the answer is
// there: the register is done with it.
func TestSend_ANumberThatStandsProvesARefusal(t *testing.T) {
	for _, c := range []struct {
		code, last int
		verdict    register.Verdict
		cause      register.Cause
		reprints   int
	}{
		{1005, 27, register.Refused, register.BadData, 0}, {1005, 28, register.Unknown, register.BadData, 0},
		{916, 27, register.Refused, register.BadData, 0}, {-6, 28, register.Unknown, register.BadData, 0},
		{1200, 27, register.Refused, register.Paper, 1}, {1200, 28, register.Unknown, register.Paper, 0},
		{505, 27, register.Unknown, register.Other, 0}, {-2, 27, register.Unknown, register.Other, 0},
	} {
		f := newFake(t)
		f.says(opSale, fmt.Sprintf(`{"code":%d}`, c.code))
		f.says(opReprint, `{"code":0}`)
		f.says(opGetInfo, strings.Replace(info, `"last_doc_number":27`, fmt.Sprintf(`"last_doc_number":%d`, c.last), 1))
		d := f.driver()
		o := d.Send(t.Context(), prepared(t, d, job(sold(), nil)))
		if o.Verdict != c.verdict || o.Cause != c.cause || len(f.of(opSale)) != 1 || len(f.of(opReprint)) != c.reprints {
			t.Errorf("%+v: %+v, %d reprints", c, o, len(f.of(opReprint)))
		}
	}
}

func TestMeaning_RefusesOnlyWhatThePagesClassesProve(t *testing.T) {
	for code := int64(-20); code < 70000; code++ {
		a, err := decode(fmt.Appendf(nil, `{"code":%d}`, code))
		if err != nil {
			t.Fatal(err)
		}
		m := meaning(routeSale, code, a)
		if c := tokencode.Of(code); m.refuses && !c.Refuses && code != -11 && code != 1250 && code != 1300 && code != 1512 {
			t.Errorf("%d refuses", code)
		}
	}
}

func TestSend_NeverTwiceWhereverTheLineIsCut(t *testing.T) {
	http200 := func(body string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	whole := http200(success)
	type cut struct {
		name, answer string
		want         register.Verdict
	}
	cuts := []cut{{"whole", whole, register.Made}, {"nothing", "", register.Unknown},
		{"HTTP 500 with the success", strings.Replace(whole, "200 OK", "500 Oops", 1), register.Made},
		{"HTTP 500 without a body", "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", register.Unknown}}
	for n := 1; n < len(whole); n += 11 {
		cuts = append(cuts, cut{fmt.Sprintf("%d bytes into the answer", n), whole[:n], register.Unknown})
	}
	for _, c := range cuts {
		var sales atomic.Int64
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				r, err := http.ReadRequest(bufio.NewReader(conn))
				if err == nil {
					body, _ := io.ReadAll(r.Body)
					if strings.Contains(string(body), `"check_type":40`) {
						_, _ = io.WriteString(conn, http200(`{"access_token":"t","code":1}`))
					} else {
						sales.Add(1)
						_, _ = io.WriteString(conn, c.answer)
					}
				}
				_ = conn.Close()
			}
		}()
		d := New(Config{Addr: addrOf(t, l.Addr().String()), Login: NewLogin("api", "s3cret"), Document: 5 * time.Second})
		o := d.Send(t.Context(), prepared(t, d, job(sold(), nil)))
		_ = l.Close()
		<-done
		if o.Verdict != c.want || sales.Load() != 1 {
			t.Errorf("cut %s: %+v, sent %d times", c.name, o, sales.Load())
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		success, info, openShift, `{"code":0}`, `{"code":1e30}`, `{"code":-1E-30}`, `{"transactions":[{"int_ref":"70001","check_type":1,"token_response":"{}"}]}`,
		`{"code":0,"data":{"currencies":[{"currency":"AZN","saleCount":2.0,"saleSum":1.234E3,"saleVatAmounts":[{"vatPercent":18,"vatSum":100}]}]}}`, `null`, `[]`, `{"data":"{}"}`,
	} {
		f.Add([]byte(s))
	}
	d := New(Config{Now: func() time.Time { return noon }})
	sent := order{After: "27"}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decode(b)
		if err != nil {
			return
		}
		if !json.Valid(b) && !json.Valid(b[min(3, len(b)):]) { // a byte order mark may stand before
			t.Fatalf("took %q", b)
		}
		for _, route := range routes {
			o := d.outcome(route, sent, a)
			if code, _ := a.code(); o.Verdict == register.Made && code != 0 && code != 1205 ||
				o.Verdict == register.Made && (len(o.Document.FiscalID) <= 12 || o.Document.Number == "") ||
				o.Verdict != register.Made && o.Err == nil {
				t.Errorf("%q: %+v", b, o)
			}
		}
		r := d.report(a, "")
		for _, s := range []register.Sum{r.Sales, r.Refunds, r.In, r.Out} {
			if s.Count < 0 || s.Sum > maxSum || s.Sum < -maxSum {
				t.Errorf("%q: %+v", b, s)
			}
		}
		counts(a, receipt.Sale)
		rows, _ := a.list("transactions")
		if e, found := d.among(rows, register.Request{Key: "70001"}, sent); found && e.Found == register.DocumentMade && len(e.Document.FiscalID) <= 12 {
			t.Errorf("%q: %+v", b, e)
		}
		a.time(baku, "date")
		a.message()
	})
}
