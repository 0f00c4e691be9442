package frontdoor

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
)

// The maker's own vector (section 2.1). It holds a raw "+".
const (
	vectorSecret = "9662a13f5b4f46dbb1751bbbf86ed402"
	vectorData   = "eyJkb2NOdW1iZXIiOiAgIjEyMyIsImVtcGxveWVlTmFtZSI6ICLQmNCy0LDQvdC+0LIiLCJhbW91bnQiOiAgMTUwMDAsImN1cnJlbmN5IjogIkFaTiIs" +
		"CiAiaXRlbXMiOiBbeyJpdGVtSWQiOiAiMTExMSIsICJpdGVtTmFtZSI6ICLQodC10LzQtdGH0LrQuCIsICJpdGVtUVJDb2RlIjogIiIsICJpdGVtUXR5IjogMjAwMCwK" +
		"ICJpdGVtQW1vdW50IjogMTUwMDAsImRpc2NvdW50IjogMCwiaXRlbVRheGVzIjogW3sidGF4TmFtZSI6ICLQndCU0KEiLCJ0YXhQcmMiOiAxODAwfV19XSwKICJwYXlt" +
		"ZW50cyIgOiB7ImNhc2hBbW91bnQiOiAxNTAwMCwiY2FzaGxlc3NBbW91bnQiOiAwLCJvdGhlckFtb3VudCI6IDB9fQ=="
	vectorSign = "ZmNlOTU1MjlkNzI0NjYxOTE2ODNlMDJiMTdhOGIxMjA0YzE2NWE0OQ=="
)

func TestOpen_TakesTheMakersVectorHoweverItIsEscaped(t *testing.T) {
	equals := func(s string) string { return strings.ReplaceAll(s, "=", "%3D") }
	for name, body := range map[string]string{
		"equals escaped":     "data=" + equals(vectorData) + "&sign=" + equals(vectorSign),
		"all escaped":        "data=" + url.QueryEscape(vectorData) + "&sign=" + url.QueryEscape(vectorSign),
		"lower-case escapes": "data=" + strings.ReplaceAll(vectorData, "=", "%3d") + "&sign=" + equals(vectorSign),
		"nothing escaped":    "data=" + vectorData + "&sign=" + vectorSign,
		"decoded by a form":  "data=" + strings.ReplaceAll(vectorData, "+", " ") + "&sign=" + vectorSign,
		"sign first":         "sign=" + vectorSign + "&data=" + vectorData + "\r\n",
		"a parameter more":   "command=sale&data=" + vectorData + "&sign=" + vectorSign,
	} {
		f, err := open([]byte(body), vectorSecret)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if f.text("employeeName", 99) != "Иванов" || f.money("amount") != 15000 || len(f.objects("items")) != 1 || f.fault() != nil {
			t.Errorf("%s: read %v, %v", name, f.m, f.fault())
		}
	}
}

func TestOpen_Refuses(t *testing.T) {
	signed := func(text string) string {
		data := base64.StdEncoding.EncodeToString([]byte(text))
		return "data=" + data + "&sign=" + signature(data, vectorSecret)
	}
	for name, c := range map[string]struct {
		body string
		code int
	}{
		"nothing":            {"", codeParameter},
		"no sign":            {"data=" + vectorData, codeParameter},
		"an empty sign":      {"data=" + vectorData + "&sign=", codeParameter},
		"another's sign":     {"data=" + vectorData + "&sign=" + signature(vectorData, "x"), codeSigned},
		"a sign of the raw":  {"data=" + vectorData + "&sign=" + vectorSecret, codeSigned},
		"data twice":         {"data=" + vectorData + "&data=" + vectorData + "&sign=" + vectorSign, codeParameter},
		"a broken escape":    {"data=%3&sign=" + vectorSign, codeJSON},
		"another one":        {"data=%zz&sign=" + vectorSign, codeJSON},
		"no base64":          {"data=!!&sign=" + signature("!!", vectorSecret), codeJSON},
		"no JSON":            {signed("hello"), codeJSON},
		"half of it":         {signed(`{"amount":1`), codeJSON},
		"no object":          {signed(`[{}]`), codeJSON},
		"null":               {signed(`null`), codeJSON},
		"two":                {signed(`{}{}`), codeJSON},
		"an amount twice":    {signed(`{"amount":1,"amount":100}`), codeJSON},
		"not UTF-8":          {signed("{\"employeeName\":\"\xff\"}"), codeJSON},
		"nested without end": {signed(strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20)), codeJSON},
		"nested lists":       {signed(`{"a":` + strings.Repeat(`[`, 5000) + strings.Repeat("]", 5000) + `}`), codeJSON},
		"signed nothing":     {signed(``), codeParameter},
	} {
		_, err := open([]byte(c.body), vectorSecret)
		no, ok := err.(*refusal)
		if !ok || no.code != c.code {
			t.Errorf("%s: %v, want code %d", name, err, c.code)
		}
		if err != nil && strings.Contains(err.Error(), vectorSecret) {
			t.Errorf("%s: the secret is in %v", name, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add("data=" + vectorData + "&sign=" + vectorSign)
	f.Add("data=%3D&sign=%")
	f.Fuzz(func(t *testing.T, body string) {
		fields, err := open([]byte(body), vectorSecret)
		if (fields == nil) == (err == nil) {
			t.Errorf("%v, %v", fields, err)
		}
	})
}
