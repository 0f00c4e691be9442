package simulator

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
)

// omniTill is a small client written from the page, not from the simulator.
type omniTill struct {
	*till
	token string
}

func startOmnitech(t testing.TB, change ...func(*Config)) (*Simulator, *omniTill) {
	t.Helper()
	s, c := start(t, append([]func(*Config){func(c *Config) { c.Protocol = Omnitech }}, change...)...)
	return s, loginOmnitech(t, c)
}

func openOmnitech(t testing.TB, change ...func(*Config)) (*Simulator, *omniTill) {
	t.Helper()
	s, c := startOmnitech(t, change...)
	if err := s.OpenShift(""); err != nil {
		t.Fatal(err)
	}
	return s, c
}

func loginOmnitech(t testing.TB, c *till) *omniTill {
	t.Helper()
	o := &omniTill{till: c}
	out := o.code(40, 1, "name", DefaultUser, "password", DefaultPassword)
	o.token, _ = out["access_token"].(string)
	if o.token == "" || out["message"] != "login success" {
		t.Fatalf("login: %v", out)
	}
	return o
}

// envelope is section 2 with further fields of requestData.
func (o *omniTill) envelope(check int, fields ...any) object {
	req := with(object{"access_token": o.token, "checkData": object{"check_type": check}}, fields...)
	return object{"requestData": req}
}

func (o *omniTill) try(body any) (int, []byte, error) {
	js, ok := body.(string)
	if !ok {
		b, err := json.Marshal(body)
		if err != nil {
			o.t.Fatal(err)
		}
		js = string(b)
	}
	return o.send("POST", "/v2", "application/json;charset=UTF-8", js)
}

func (o *omniTill) send(method, path, contentType, body string) (int, []byte, error) {
	req, err := http.NewRequest(method, o.url+path, bytes.NewBufferString(body))
	if err != nil {
		o.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := o.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return resp.StatusCode, got, err
}

// code sends a request whose answer must have a code.
func (o *omniTill) code(check, want int, fields ...any) object {
	o.t.Helper()
	return o.answered(o.envelope(check, fields...), want)
}

func (o *omniTill) answered(body any, want int) object {
	o.t.Helper()
	status, got, err := o.try(body)
	if err != nil {
		o.t.Fatal(err)
	}
	out := o.object("/v2", status, got)
	if out["code"] != float64(want) {
		o.t.Fatalf("want code %d, got %v", want, out)
	}
	return out
}

func (o *omniTill) ok(check int, fields ...any) object {
	o.t.Helper()
	return o.code(check, 0, fields...)
}

// tokenData is the document part of the envelope.
func tokenData(docType string, data object, more ...any) object {
	return object{"parameters": with(object{"doc_type": docType, "data": data}, more...), "operationId": "createDocument", "version": 1}
}

// document sends a document and wants a code; more goes beside doc_type and data.
func (o *omniTill) document(check, want int, docType string, data object, more ...any) object {
	o.t.Helper()
	return o.code(check, want, "int_ref", "r", "tokenData", tokenData(docType, data, more...))
}

func (o *omniTill) sold(data object) object { o.t.Helper(); return o.document(1, 0, "sale", data) }

func (o *omniTill) last() int {
	o.t.Helper()
	return int(o.ok(41)["data"].(object)["last_doc_number"].(float64))
}

func tea(changes ...any) object {
	return with(object{"itemName": "Çay", "itemCodeType": 0, "itemCode": "7", "itemQuantityType": 0, "itemQuantity": 2.0, "itemPrice": 4.25,
		"itemSum": 8.50, "itemVatPercent": 18.0, "discount": 0.0}, changes...)
}

// teaSale is a sale of section 4.1 for 8.50, 10.00 handed over.
func teaSale(changes ...any) object {
	return with(object{"cashier": "Əli", "currency": "AZN", "items": []object{tea()}, "sum": 8.50, "cashSum": 8.50, "cashlessSum": 0.0,
		"bonusSum": 0.0, "prepaymentSum": 0.0, "creditSum": 0.0, "incomingSum": 10.0, "vatAmounts": []object{{"vatSum": 8.50, "vatPercent": 18.0}}}, changes...)
}

// back is money back of a document, section 4.3.
func back(parent object, number string, changes ...any) object {
	return with(with(teaSale("incomingSum", nil), "parentDocument", parent["long_id"], "refund_document_number", number,
		"refund_short_document_id", parent["short_id"]), changes...)
}
