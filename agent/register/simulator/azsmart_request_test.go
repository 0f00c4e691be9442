package simulator

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// The official vector and the two computed ones (section 2.1).
var vectors = []struct{ name, data, sign string }{
	{"official", "eyJkb2NOdW1iZXIiOiAgIjEyMyIsImVtcGxveWVlTmFtZSI6ICLQmNCy0LDQvdC+0LIiLCJhbW91bnQiOiAgMTUwMDAsImN1cnJlbmN5IjogIkFaTiIsCiAiaXRlbXMiOiBbeyJpdGVtSWQiOiAiMTExMSIsICJpdGVtTmFtZSI6ICLQodC10LzQtdGH0LrQuCIsICJpdGVtUVJDb2RlIjogIiIsICJpdGVtUXR5IjogMjAwMCwKICJpdGVtQW1vdW50IjogMTUwMDAsImRpc2NvdW50IjogMCwiaXRlbVRheGVzIjogW3sidGF4TmFtZSI6ICLQndCU0KEiLCJ0YXhQcmMiOiAxODAwfV19XSwKICJwYXltZW50cyIgOiB7ImNhc2hBbW91bnQiOiAxNTAwMCwiY2FzaGxlc3NBbW91bnQiOiAwLCJvdGhlckFtb3VudCI6IDB9fQ==",
		"ZmNlOTU1MjlkNzI0NjYxOTE2ODNlMDJiMTdhOGIxMjA0YzE2NWE0OQ=="},
	{"empty object", "e30=", "NWRhNzU1ZTA5ZWZlNzA2YjE5NGI3NmJmOWFiZjk2ZGIyNzhmMzlkNg=="},
	{"azerbaijani", "eyJlbXBsb3llZU5hbWUiOiLGj2xpIn0=", "MGYxNDU1YjAzMjYyZjllNDYzMGM3YTI4YmJmZjY5ODkwMzVlN2I2NQ=="},
}

func TestSign_MatchesThePublishedVectors(t *testing.T) {
	a := &azsmart{merchantID: DefaultMerchantID}
	for _, v := range vectors {
		if got := a.sign(v.data); got != v.sign {
			t.Errorf("%s: got %s, want %s", v.name, got, v.sign)
		}
	}
}

func TestOfficialVector_IsASaleInEveryWayOfSendingIt(t *testing.T) {
	v := vectors[0]
	onlyEquals := func(s string) string { return strings.ReplaceAll(s, "=", "%3D") }
	bodies := map[string]string{
		"all escaped":      "data=" + url.QueryEscape(v.data) + "&sign=" + url.QueryEscape(v.sign),
		"only equals":      "data=" + onlyEquals(v.data) + "&sign=" + onlyEquals(v.sign),
		"nothing escaped":  "data=" + v.data + "&sign=" + v.sign,
		"sign first":       "sign=" + onlyEquals(v.sign) + "&data=" + onlyEquals(v.data),
		"plus as space":    "data=" + strings.ReplaceAll(onlyEquals(v.data), "+", "%20") + "&sign=" + v.sign,
		"lower hex escape": "data=" + strings.ToLower(url.QueryEscape("="))[:0] + strings.ReplaceAll(v.data, "=", "%3d") + "&sign=" + v.sign,
	}
	for _, edition := range []Edition{Classic, New} {
		s, c := open(t, func(cfg *Config) { cfg.Edition = edition })
		made := 0
		for name, body := range bodies {
			for _, contentType := range []string{"application/x-www-form-urlencoded", "text/plain", "application/json; charset=UTF-8", ""} {
				status, got, err := c.raw("/sale", contentType, body)
				if err != nil || status != http.StatusOK || !strings.Contains(string(got), `"status":"success"`) {
					t.Errorf("%s, %s, %q: HTTP %d %v %s", edition, name, contentType, status, err, got)
				}
				made++
			}
		}
		docs := count(t, s, made)
		if d := docs[0]; d.Items[0].Name != "Семечки" || d.Amount != 15000 || d.Client.Cashier != "Иванов" {
			t.Errorf("read wrongly: %+v", d)
		}
	}
}

func TestStrictForm_LosesARawPlusButReadsTheEscape(t *testing.T) {
	_, c := open(t, quirk("strict-form"))
	v := vectors[0]
	_, got, _ := c.raw("/sale", "", "data="+v.data+"&sign="+v.sign)
	if !strings.Contains(string(got), `"code":1`) {
		t.Errorf("raw plus: %s", got)
	}
	_, got, _ = c.raw("/sale", "", "data="+url.QueryEscape(v.data)+"&sign="+url.QueryEscape(v.sign))
	if !strings.Contains(string(got), `"success"`) {
		t.Errorf("escaped plus: %s", got)
	}
}

func TestEnvelope_IsRefused(t *testing.T) {
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	v := vectors[1]
	for _, tc := range []struct {
		name, body string
		status     int
		code       string
	}{
		{"wrong sign", "data=e30%3D&sign=" + vectors[0].sign, 200, "1"},
		{"no sign", "data=e30%3D", 200, "1"},
		{"sign of raw digest", "data=e30%3D&sign=XadV4Jnv5waxlLdr+av5bbJ485bWNg==", 200, "1"},
		{"sign without padding", "data=e30%3D&sign=" + strings.TrimRight(v.sign, "="), 200, "1"},
		{"no data", "sign=" + v.sign, 200, "3"},
		{"empty body", "", 200, "3"},
		{"json body", `{"data":"e30=","sign":"x"}`, 200, "3"},
		{"data twice", "data=e30%3D&data=e30%3D&sign=" + v.sign, 200, "2"},
		{"bad escape", "data=e3%zz&sign=x", 200, "2"},
		{"cut escape", "data=e30%3", 200, "2"},
		{"not base64", signed("e30"), 200, "2"},
		{"line break in base64", signed("e3\n0="), 200, "2"},
		{"not json", signed(b64("{")), 200, "2"},
		{"array", signed(b64("[]")), 200, "2"},
		{"null", signed(b64("null")), 200, "2"},
		{"two objects", signed(b64("{}{}")), 200, "2"},
		{"not utf-8", signed(b64("{\"a\":\"\xff\"}")), 200, "2"},
		{"too long", "data=" + strings.Repeat("A", bodyLimit), 413, "2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, c := start(t)
			status, got, err := c.raw("/check_shift", "text/plain", tc.body)
			if err != nil || status != tc.status || !strings.Contains(string(got), `"code":`+tc.code+`,`) {
				t.Errorf("HTTP %d %v %s", status, err, got)
			}
		})
	}
}

func TestRoutes_WrongMethodRouteAndTypeHaveAnEnvelope(t *testing.T) {
	_, c := start(t)
	resp, err := c.http.Get(c.url + "/sale")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "POST" || resp.Header.Get("Content-Type") != answerType {
		t.Errorf("GET: %v", resp)
	}
	for route, want := range map[string]int{"/": 404, "/sale/": 404, "/nothing": 404, "/last_document": 404, "/sim": 404} {
		if status, got, _ := c.raw(route, "", signed("e30=")); status != want || !strings.Contains(string(got), `"status":"error"`) {
			t.Errorf("%s: HTTP %d %s", route, status, got)
		}
	}
	if status, _, _ := c.raw("/check_shift", "multipart/form-data; boundary=x", signed("e30=")); status != http.StatusUnsupportedMediaType {
		t.Errorf("multipart: HTTP %d", status)
	}
	_, c = start(t, quirk("http-400"))
	if status, _, _ := c.try("/sale", "{}"); status != http.StatusBadRequest {
		t.Errorf("http-400: HTTP %d", status)
	}
}

func FuzzRequest(f *testing.F) {
	for _, v := range vectors {
		f.Add("data="+url.QueryEscape(v.data)+"&sign="+url.QueryEscape(v.sign), "")
	}
	f.Add("data=%", `{"amount":1e3,"items":[null]}`)
	f.Add("data=a&data=b", `{"items":[{"itemId":"1","itemQty":9223372036854775808,"itemTaxes":[{}]}],"payments":{}}`)
	f.Add("&&&", `{"documentID":1,"documentExtID":[],"payments":{"cashAmount":-0}}`)
	f.Fuzz(func(t *testing.T, body, js string) {
		for _, isClassic := range []bool{false, true} {
			a := &azsmart{merchantID: "m", classic: isClassic, quirks: quirks{}}
			b, _, err := openBook("", "azsmart", "S", "", fixedNow)
			if err != nil {
				t.Fatal(err)
			}
			d := &device{book: b, quirks: a.quirks, clock: testClock, requests: map[string]int{}}
			if err := d.byHand(func(v *visit) error { return v.openShift("") }); err != nil {
				t.Fatal(err)
			}
			data := base64.StdEncoding.EncodeToString([]byte(js))
			for route := range azRoutes {
				for _, in := range []string{body, "data=" + url.QueryEscape(data) + "&sign=" + url.QueryEscape(a.sign(data))} {
					v := d.visit(route, plan{})
					rep := a.answer(v, request{method: http.MethodPost, path: route, body: []byte(in)})
					if len(rep.body) == 0 || rep.body[0] != '{' {
						t.Fatalf("%s: no answer", route)
					}
				}
			}
			for _, doc := range d.ledger(0) {
				if doc.Payments.Total() != doc.Amount || doc.Amount <= 0 || doc.Payments.Cash < 0 {
					t.Fatalf("a document that does not add up: %+v", doc)
				}
			}
		}
	})
}
