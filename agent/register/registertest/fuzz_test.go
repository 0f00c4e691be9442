package registertest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/register/azsmart"
	"ekassa/agent/register/caspos"
	"ekassa/agent/register/omnitech"
)

// FuzzAnswers gives every driver the same answer to all of its questions, whatever
// it is. What it holds of each: nothing is found or made without a document that
// has a name, and nothing else has one.
func FuzzAnswers(f *testing.F) {
	for _, s := range []string{
		``, `{}`, `null`, `[]`, `{"code":0}`, `{"status":"success","code":0,"serialNum":"AZ-1","edition":"2"}`, `{"isShiftOpen":"true","shiftOpenTime":"20261123080000","status":"success"}`,
		`{"code":0,"data":{"cashbox_factory_number":"OM-1","last_doc_number":28,"shiftStatus":true,"shift_open_time":"2026-11-23 08:00:00"},"message":"success"}`,
		`{"code":"0","message":"Success operation","data":{"cashbox_factory_number":"CA-1","last_doc_number":"28.0","shift_open":true,"shift_open_time":"2026-11-23 08:00:00","documents":[{"number":28}]}}`,
		`{"code":0,"transactions":[{"int_ref":"70001","check_type":1,"operationStatus":1,"token_response":"{\"data\":{\"document_id\":\"7Q3heBDsbNRjzsHPhic5KwspRCzBGkB6RqbD12pJEhRS\",\"document_number\":28}}"}]}`,
		`{"status":"success","code":0,"docStatus":1,"fiscalID":"7Q3heBDsbNRjzsHPhic5KwspRCzBGkB6RqbD12pJEhRS","documentID":5}`,
	} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	var answer atomic.Pointer[[]byte]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, _ := io.ReadAll(r.Body)
		switch { // a login, so that something is asked at all
		case strings.Contains(string(asked), `"check_type":40`):
			_, _ = io.WriteString(w, `{"access_token":"dG9rZW4=","code":1,"message":"login success"}`)
		case strings.Contains(string(asked), `"toLogin"`):
			_, _ = io.WriteString(w, `{"code":"0","message":"Success operation","data":{}}`)
		default:
			_, _ = w.Write(*answer.Load())
		}
	}))
	f.Cleanup(server.Close)
	addr := netip.MustParseAddrPort(server.Listener.Addr().String())
	opened := time.Date(2026, 11, 23, 8, 0, 0, 0, time.FixedZone("", 4*3600))
	sold := receipt.Receipt{
		ID: "a", Kind: receipt.Sale, Time: opened.Add(time.Hour), Cashier: "Aysel", Payments: receipt.Payments{Cash: 2_00}, Fiscal: true,
		Items: []receipt.Item{{Name: "Çay", Code: "7", Unit: receipt.Piece, Quantity: 1000, Price: 2_00, Tax: receipt.Tax{Type: receipt.VAT18}}},
	}
	f.Fuzz(func(t *testing.T, body []byte, again bool) {
		answer.Store(&body)
		for _, d := range []register.Register{ // that wait for nothing
			azsmart.New(azsmart.Config{Addr: addr, MerchantID: merchant, Settle: time.Millisecond}),
			omnitech.New(omnitech.Config{Addr: addr, Login: omnitech.NewLogin("api", "right"), Settle: time.Millisecond}),
			caspos.New(caspos.Config{Addr: addr, Login: caspos.NewLogin("api", "right"), Settle: time.Millisecond}),
		} {
			shift := register.Shift{Open: true, ID: opened.Format(time.RFC3339), OpenedAt: opened}
			if s, err := d.Shift(t.Context()); err == nil && s.Open {
				shift = s
			}
			identity, err := d.Identify(t.Context())
			if err != nil && identity.Serial != "" {
				t.Errorf("%s: %q is %s, and %v", d, body, identity.Serial, err)
			}
			_, _ = d.XReport(t.Context(), "")
			_, _ = d.Baseline(t.Context(), receipt.Deposit)
			q, err := d.Prepare(register.Job{
				Key: "70001", Terminal: "till-1", Receipt: sold, Again: again,
				Baseline: register.Baseline{Serial: identity.Serial, Last: "27", Shift: shift},
			})
			if err != nil {
				t.Fatalf("%s: %v", d, err)
			}
			for _, o := range []register.Outcome{d.Send(t.Context(), q), d.Reprint(t.Context(), receipt.Document{FiscalID: "x", Number: "27"})} {
				if (o.Verdict == register.Made) != (o.Document != nil) || (o.Verdict == register.Made) != (o.Err == nil) {
					t.Errorf("%s: sent, and answered %q: %+v", d, body, o)
				}
			}
			e := d.Lookup(t.Context(), q)
			if (e.Found == register.DocumentMade) != (e.Document != nil) || e.Found == register.CannotTell && e.Err == nil {
				t.Errorf("%s: asked, and answered %q: %+v", d, body, e)
			}
		}
	})
}
