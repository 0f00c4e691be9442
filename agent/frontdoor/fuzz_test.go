package frontdoor_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ekassa/agent/frontdoor"
	"ekassa/agent/journal"
	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// FuzzRequest sends anything to every route, signed. What it holds: the answer is
// this protocol's; a success of a document is a receipt in the journal, and an
// error leaves none that would be made.
func FuzzRequest(f *testing.F) {
	routes := []string{"/sale", "/refund", "/prepay", "/creditpay", "/rollback", "/deposit", "/withdraw", "/check_status", "/check_copy", "/last_document",
		"/check_shift", "/open_shift", "/close_shift", "/x_report", "/get_info", "/correction"}
	for _, text := range []string{
		"", "{}", "[]", `{"amount":850,"documentExtID":"1"}`, `{"documentID":1000000001}`, `{"parentDocID":"BqZ5C1vTk9pX","amount":"1"}`, `{"fiscalID":1e9}`,
		`{"documentExtID":7,"docTime":"20261123190512","docNumber":"1","employeeName":"Əli","currency":"AZN","amount":850,"items":[{"itemId":"7","itemName":"Çörək",
			"itemQty":1000,"itemAmount":850,"itemTaxes":[{"taxName":"ƏDV 18%","taxPrc":1800}]}],"payments":{"cashAmount":1000}}`,
	} {
		for n := range routes {
			f.Add(byte(n), text)
		}
	}
	j, err := journal.Open(filepath.Join(f.TempDir(), "data"), time.Now)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := j.Close(); err != nil {
			f.Error(err)
		}
	})
	config := frontdoor.Config{
		Terminal: "till-1", Journal: j, Desk: desk{register.LinkDown}, Log: slog.New(slog.DiscardHandler),
		Shop: func() frontdoor.Shop {
			return frontdoor.Shop{MerchantID: secret, Enabled: true, Zone: time.UTC, Language: "en", Tax: receipt.Tax{Type: receipt.VAT18}}
		},
	}
	f.Fuzz(func(t *testing.T, which byte, text string) {
		route := routes[int(which)%len(routes)]
		before, err := j.LastReceipt()
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, route, strings.NewReader(form(text)))
		w := httptest.NewRecorder()
		frontdoor.AzSmart(config).ServeHTTP(w, r) // a new one: an old one slows down who asks so often
		if w.Code == http.StatusNotFound && route == "/correction" || w.Code == http.StatusRequestEntityTooLarge {
			return
		}
		var a said
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != http.StatusOK || a.Status != "success" && a.Status != "error" || (a.Status == "success") != (a.Code == 0) {
			t.Fatalf("%s %q: %d %s, %v", route, text, w.Code, w.Body, err)
		}
		after, err := j.LastReceipt()
		if err != nil {
			t.Fatal(err)
		}
		if after != before && a.Status == "error" {
			list, err := j.List(receipt.Filter{Terminal: "till-1", Limit: 1})
			if err != nil || len(list) == 0 || list[0].Seq == after && list[0].State != receipt.Withdrawn {
				t.Errorf("%s %q: %s, and the journal has %+v, %v", route, text, w.Body, list, err)
			}
		}
	})
}
