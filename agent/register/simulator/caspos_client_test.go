package simulator

import (
	"encoding/json"
	"fmt"
	"testing"
)

// casposTill is a client written from the page, not from the simulator.
type casposTill struct {
	*till
	root object // goes into every envelope
}

func startCaspos(t testing.TB, change ...func(*Config)) (*Simulator, *casposTill) {
	t.Helper()
	s, c := start(t, append([]func(*Config){func(c *Config) { c.Protocol = Caspos }}, change...)...)
	return s, &casposTill{till: c}
}

// openCaspos is startCaspos with an open shift.
func openCaspos(t testing.TB, change ...func(*Config)) (*Simulator, *casposTill) {
	t.Helper()
	s, c := startCaspos(t, change...)
	c.done("openShift", object{"sum": 0, "cashierName": "Əli"})
	return s, c
}

const casposType = "application/json; charset=utf-8"

func (c *casposTill) send(op string, data object) (int, []byte, error) {
	c.t.Helper()
	env := with(object{"operation": op, "username": "x", "password": "y"})
	for k, v := range c.root {
		env[k] = v
	}
	if data != nil {
		env["data"] = data
	}
	js, err := json.Marshal(env)
	if err != nil {
		c.t.Fatal(err)
	}
	return c.raw("/", casposType, string(js))
}

// answered sends and returns the whole answer.
func (c *casposTill) answered(op string, data object) object {
	c.t.Helper()
	status, body, err := c.send(op, data)
	if err != nil {
		c.t.Fatalf("%s: %v", op, err)
	}
	out := c.object(op, status, body)
	if _, ok := out["data"].(object); !ok || out["message"] == "" {
		c.t.Fatalf("%s: no envelope: %s", op, body)
	}
	return out
}

// done is for what must succeed; it returns data.
func (c *casposTill) done(op string, data object) object {
	c.t.Helper()
	return c.says(op, data, "0")
}

// says is for what must be answered with a code.
func (c *casposTill) says(op string, data object, want string) object {
	c.t.Helper()
	out := c.answered(op, data)
	if out["code"] != want {
		c.t.Fatalf("%s: want code %q, got %v", op, want, out)
	}
	return out["data"].(object)
}

// at is a copy of the till that puts cashier and currency at the root.
func (c *casposTill) at(root object) *casposTill { return &casposTill{till: c.till, root: root} }

func (c *casposTill) atRoot() *casposTill {
	return c.at(object{"cashierName": "Əli", "currency": "AZN"})
}

// goods is a line; price in AZN.
func goods(code string, quantity, price float64, vatType int) object {
	return object{"name": "Çörək " + code, "code": code, "quantity": quantity, "salePrice": price, "codeType": 0, "quantityType": 0,
		"vatType": vatType, "discountAmount": 0}
}

// roll is a sale of 8.50 against 10.00 in cash.
func roll(uuid string) object {
	return object{"documentUUID": uuid, "cashierName": "Əli", "currency": "AZN", "note": "masa 7", "items": []object{goods("7", 1, 8.50, 1)},
		"cashPayment": 10, "cardPayment": 0, "bonusPayment": 0, "creditPayment": 0, "depositPayment": 0}
}

func rollItem(changes ...any) []object { return []object{with(goods("7", 1, 8.50, 1), changes...)} }

// backOf is money back for a sale, in cash.
func backOf(uuid string, sale object, sum float64, items ...object) object {
	return object{"documentUUID": uuid, "parentDocumentId": sale["document_id"], "moneyBackType": 0, "isManual": false, "cashierName": "Əli",
		"currency": "AZN", "cashPayment": sum, "items": items}
}

func undoOf(uuid string, sale object) object {
	return object{"documentUUID": uuid, "parentDocumentId": sale["document_id"], "sum": 8.50, "cashPayment": 8.50,
		"vatAmounts": []object{{"vatType": 1, "vatSum": 8.50}}}
}

// ids are what a client keeps of a document.
func ids(data object) string {
	return fmt.Sprint(data["document_id"], data["short_document_id"], data["document_number"], data["number"])
}
