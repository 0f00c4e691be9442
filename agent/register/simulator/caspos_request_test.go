package simulator

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestCasposEnvelope_IsRefused(t *testing.T) {
	for _, tc := range []struct{ name, body, code string }{
		{"empty body", ``, "1001"},
		{"not json", `{`, "1001"},
		{"array", `[]`, "1001"},
		{"null", `null`, "1001"},
		{"two objects", `{}{}`, "1001"},
		{"not utf-8", "{\"operation\":\"getInfo\xff\"}", "1001"},
		{"bad number", `{"operation":"deposit","data":{"sum":00.0}}`, "1001"},
		{"no operation", `{}`, "304"},
		{"operation a number", `{"operation":1}`, "304"},
		{"data an array", `{"operation":"getInfo","data":[]}`, "304"},
		{"unknown operation", `{"operation":"getinfo"}`, "1200"},
		{"bank operation", `{"operation":"transactionTapXPhone","version":1,"data":{}}`, "1200"},
		{"bank check", `{"operation":"transactionTapXphoneCheck"}`, "1200"},
		{"bank day end", `{"operation":"transactionTapXphoneCloseDay"}`, "1200"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, c := startCaspos(t)
			status, got, err := c.raw("/", casposType, tc.body)
			if err != nil || status != http.StatusOK || !strings.Contains(string(got), `"code":"`+tc.code+`"`) || !strings.Contains(string(got), `"data":{}`) {
				t.Errorf("HTTP %d %v %s", status, err, got)
			}
		})
	}
}

func TestCasposRoute_IsTheRootAndNothingElse(t *testing.T) {
	_, c := startCaspos(t)
	for _, tc := range []struct {
		path, contentType, body string
		status                  int
	}{
		{"/api/print", casposType, `{"operation":"getInfo"}`, 404},
		{"/", "text/plain", `{"operation":"getInfo"}`, 415},
		{"/", "", `{"operation":"getInfo"}`, 415},
		{"/", casposType, strings.Repeat(" ", bodyLimit+1), 413},
		{"/", "application/json", `{"operation":"getInfo"}`, 200},
	} {
		status, got, err := c.raw(tc.path, tc.contentType, tc.body)
		if err != nil || status != tc.status || !strings.Contains(string(got), `"code":"`) {
			t.Errorf("%s, %s: HTTP %d %v %s", tc.path, tc.contentType, status, err, got)
		}
	}
	resp, err := c.http.Get(c.url + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "POST" {
		t.Errorf("GET: %v", resp)
	}
}

func TestCasposSession_IsOnlyAskedForOnDemand(t *testing.T) {
	_, c := openCaspos(t)
	c.done("toLogout", nil)
	c.says("getInfo", nil, "401")
	c.says("sale", roll("a"), "401")
	if out := c.done("toLogin", nil); out["access_token"] == "" {
		t.Errorf("%v", out)
	}
	c.done("sale", roll("a"))

	login := func(user, pass string) object { return object{"username": user, "password": pass} }
	_, c = startCaspos(t, quirk("login-required", "credentials-checked"), func(cfg *Config) { cfg.User, cfg.Password = "Əli", "gizli" })
	c.says("getInfo", nil, "401")
	c.at(login("Əli", DefaultPassword)).says("toLogin", nil, "401")
	c.at(login(DefaultUser, "gizli")).says("toLogin", nil, "401")
	c.says("getInfo", nil, "401")
	c.at(login("Əli", "gizli")).done("toLogin", nil)
	c.done("getInfo", nil)

	_, c = startCaspos(t, quirk("integration-off"))
	c.says("toLogin", nil, "403")
	c.says("getInfo", nil, "403")
}

func TestCasposCharset_MattersWhereItIsNotAssumed(t *testing.T) {
	js, err := json.Marshal(object{"operation": "sale", "data": roll("a")})
	if err != nil {
		t.Fatal(err)
	}
	s, c := openCaspos(t, quirk("latin1-without-charset", "any-name"))
	c.done("sale", roll("b"))
	if _, _, err := c.raw("/", "application/json", string(js)); err != nil {
		t.Fatal(err)
	}
	docs := count(t, s, 2)
	if docs[0].Items[0].Name != "Çörək 7" || docs[1].Items[0].Name != "Ã\u0087Ã¶rÉ\u0099k 7" {
		t.Errorf("%q %q", docs[0].Items[0].Name, docs[1].Items[0].Name)
	}
}

func TestCasposCode_MayBeANumber(t *testing.T) {
	_, c := startCaspos(t, quirk("code-number"))
	if out := c.answered("getInfo", nil); out["code"] != 0.0 {
		t.Errorf("%v", out)
	}
	if out := c.answered("sale", roll("a")); out["code"] != 503.0 {
		t.Errorf("%v", out)
	}
}

func TestCasposConfig_HasNoEdition(t *testing.T) {
	if s, err := Start(Config{Protocol: Caspos, Listen: "127.0.0.1:0", Edition: Classic}); err == nil {
		s.Close()
		t.Error("started with an edition")
	}
	if !slices.Contains(Protocols(), Caspos) || Caspos.DefaultListen() != "127.0.0.1:5544" {
		t.Error(Protocols(), Caspos.DefaultListen())
	}
}

func FuzzCasposRequest(f *testing.F) {
	add := func(op string, data object) {
		js, err := json.Marshal(object{"operation": op, "cashierName": "Əli", "currency": "AZN", "data": data})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(js))
	}
	add("sale", roll("a"))
	add("deposit", object{"documentUUID": "d", "sum": 5.5, "cashierName": "Əli", "currency": "AZN"})
	add("moneyBack", with(backOf("b", object{"document_id": strings.Repeat("x", 43)}, 8.5, rollItem()[0]), "isManual", true))
	add("moneyBack", with(backOf("b", object{"document_id": strings.Repeat("x", 43)}, 8.5), "isManual", true, "moneyBackType", 6))
	add("rollBack", undoOf("r", object{"document_id": strings.Repeat("x", 43)}))
	add("correction", object{"documentUUID": "k", "firstOperationAtUtc": "2026-11-23T10:00:00Z", "lastOperationAtUtc": "2026-11-23T12:00:00Z", "currency": "AZN", "cashPayment": 1, "vatType": 2})
	add("prepaymentProducts", casposAdvance("p", "items", rollItem()))
	add("credit", object{"items": rollItem("realPrice", 1), "residue": 0})
	add("getPeriodicZReport", object{"startDate": "23.11.2026 00:00:00", "endDate": "31.12.9999 23:59:59"})
	f.Add(`{"operation":"sale","data":{"items":[{"quantity":1e3,"salePrice":-0,"sum":9223372036854775808}]}}`)
	f.Add(`{"operation":"sale","data":{"items":[{"quantity":999999999.999,"salePrice":9999999999.99,"vatType":2,"purchasePrice":9999999999}]}}`)
	f.Add(`{"operation":[]}`)
	f.Fuzz(func(t *testing.T, body string) {
		for _, q := range []quirks{{}, {quirkCasposDiscount: true, quirkCasposStrings: true, quirkCasposOldTaxes: true, quirkCasposFloat: true}} {
			c := &caspos{quirks: q}
			b, _, err := openBook("", "caspos", "S", "", fixedNow)
			if err != nil {
				t.Fatal(err)
			}
			d := &device{book: b, quirks: q, clock: testClock, requests: map[string]int{}}
			if err := d.byHand(func(v *visit) error { return v.openShift("") }); err != nil {
				t.Fatal(err)
			}
			r := request{method: http.MethodPost, path: "/", contentType: casposType, body: []byte(body)}
			for range 2 {
				rep := c.answer(d.visit(c.route(r), plan{}), r)
				if !json.Valid(rep.body) || rep.body[0] != '{' {
					t.Fatalf("no answer: %s", rep.body)
				}
			}
			docs := d.ledger(0)
			if len(docs) > 1 {
				t.Fatalf("the same request made %d documents", len(docs))
			}
			for _, doc := range docs {
				if doc.Payments.Total() != doc.Amount || doc.Amount <= 0 || doc.Payments.Cash < 0 || doc.Client.Key == "" {
					t.Fatalf("a document that does not add up: %+v", doc)
				}
			}
		}
	})
}
