package caspos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"ekassa/agent/receipt"
)

// The operations that are used (section 4). toLogout is not: it blocks the
// register until the next login (section 3).
const (
	opLogin      = "toLogin"
	opInfo       = "getInfo"
	opShift      = "getShiftStatus"
	opOpen       = "openShift"
	opClose      = "closeShift"
	opX          = "getXReport"
	opSale       = "sale"
	opRefund     = "moneyBack"
	opRollback   = "rollBack"
	opCredit     = "credit"
	opPrepay     = "prepaymentProducts"
	opCorrection = "correction"
	opDeposit    = "deposit"
	opWithdraw   = "withDraw"
	opPeriod     = "getPeriodicZReport"
	opTape       = "getControlTape"
	opReprint    = "printLastCheque"
	opPrinter    = "isConnectedPrinter"
)

// operations has the operation of each kind. A prepayment of ours names its
// goods, so it is always the one with items.
var operations = map[receipt.Kind]string{
	receipt.Sale: opSale, receipt.Refund: opRefund, receipt.Cancel: opRollback, receipt.Prepayment: opPrepay,
	receipt.CreditPayment: opCredit, receipt.Correction: opCorrection, receipt.Deposit: opDeposit, receipt.Withdrawal: opWithdraw,
}

// tapeWords are what the control tape calls the documents of each operation
// (section 4.5), in lower case and without underscores. The page has four of them;
// the others are the names of their operations. A word that is not here matches
// nothing.
var tapeWords = map[string][]string{
	opSale: {"sale"}, opRefund: {"moneyback"}, opDeposit: {"deposit"}, opWithdraw: {"withdraw"},
	opRollback: {"rollback"}, opCredit: {"credit", "creditpay"}, opPrepay: {"prepayment", "prepay", "prepaymentproducts"},
	opCorrection: {"correction"},
}

const currency = "AZN"

// The layouts of times on this wire (section 2).
const (
	timeLayout    = "02.01.2006 15:04:05"
	timeUnblanked = "02.01.200615:04:05"
)

// prepared is a request as it is stored: what is sent but for the login, and
// what the register said of itself before.
type prepared struct {
	Operation string          `json:"operation"`
	Data      json.RawMessage `json:"data"`
	Cashier   string          `json:"cashierName,omitempty"` // where the operation wants it at the root
	Currency  string          `json:"currency,omitempty"`
	Before    before          `json:"before"` // is not sent
}

// before is what an unclear outcome of a request is judged by.
type before struct {
	Serial string        `json:"serial"`
	Shift  string        `json:"shift"`
	Last   string        `json:"last"` // last_doc_number
	Sum    receipt.Money `json:"sum"`  // of the document
}

// request is what goes over the wire (section 2).
type request struct {
	Data      any    `json:"data,omitempty"`
	Operation string `json:"operation"`
	Username  string `json:"username"`
	Password  string `json:"password"`
	Cashier   string `json:"cashierName,omitempty"`
	Currency  string `json:"currency,omitempty"`
}

// azn writes money as a JSON number with two decimals.
type azn receipt.Money

func (a azn) MarshalJSON() ([]byte, error) { return []byte(receipt.Money(a).String()), nil }

// amount writes a quantity as a JSON number with three decimals.
type amount receipt.Quantity

func (a amount) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%d.%03d", a/1000, a%1000), nil
}

// payments are the five amounts of a document (section 4.1).
type payments struct {
	Cash    azn `json:"cashPayment"`
	Card    azn `json:"cardPayment"`
	Bonus   azn `json:"bonusPayment"`
	Credit  azn `json:"creditPayment"`
	Deposit azn `json:"depositPayment"` // a prepayment being used
}

// sale is the data of sale, prepaymentProducts, moneyBack and credit (sections
// 4, 4.1, 4.2 and 4.4), which differ in what they leave out.
type sale struct {
	UUID string `json:"documentUUID"`
	payments
	Sum            *azn   `json:"sum,omitempty"`                  // prepaymentProducts
	VATType        int    `json:"vatType,omitempty"`              // prepaymentProducts
	Parent         string `json:"parentDocumentId,omitempty"`     // moneyBack, credit
	Prepayment     string `json:"prepaymentDocumentId,omitempty"` // sale
	MoneyBackType  *int   `json:"moneyBackType,omitempty"`        // moneyBack
	Manual         *bool  `json:"isManual,omitempty"`             // moneyBack
	PaymentNumber  string `json:"paymentNumber,omitempty"`        // credit
	Residue        *azn   `json:"residue,omitempty"`              // credit
	CreditContract string `json:"creditContract,omitempty"`
	CreditPayer    string `json:"creditPayer,omitempty"`
	Items          []item `json:"items"`
	Cashier        string `json:"cashierName"`
	Note           string `json:"note,omitempty"`
	Currency       string `json:"currency"`
}

type item struct {
	Name          string `json:"name"`
	Code          string `json:"code"`
	Quantity      amount `json:"quantity"`
	SalePrice     azn    `json:"salePrice"` // net of the discount
	RealPrice     *azn   `json:"realPrice,omitempty"`
	PurchasePrice azn    `json:"purchasePrice"`
	CodeType      int    `json:"codeType"`
	QuantityType  int    `json:"quantityType"`
	VATType       int    `json:"vatType"`
	Discount      azn    `json:"discountAmount"`
	Sum           azn    `json:"sum"`
	UUID          string `json:"itemUuid"`
	ParentUUID    string `json:"parentItemUuid,omitempty"`
}

// rollback is section 4.3.
type rollback struct {
	UUID   string `json:"documentUUID"`
	Parent string `json:"parentDocumentId"`
	Sum    azn    `json:"sum"`
	payments
	VAT  []turnover `json:"vatAmounts"`
	Note string     `json:"note"`
}

type turnover struct {
	VATType int `json:"vatType"`
	VATSum  azn `json:"vatSum"` // the gross turnover, not the tax in it
}

// correction is in section 4.
type correction struct {
	UUID     string `json:"documentUUID"`
	First    string `json:"firstOperationAtUtc"`
	Last     string `json:"lastOperationAtUtc"`
	Currency string `json:"currency"`
	Cash     azn    `json:"cashPayment"`
	Card     azn    `json:"cardPayment"`
	VATType  int    `json:"vatType"`
	Note     string `json:"note"`
}

// cash is the data of deposit and withDraw (section 4).
type cash struct {
	UUID     string `json:"documentUUID"`
	Sum      azn    `json:"sum"`
	Cashier  string `json:"cashierName"`
	Currency string `json:"currency"`
}

// encode writes JSON. It only ever gets the structs of this package, which
// cannot fail.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

func moment(t time.Time, zone *time.Location) string { return t.In(zone).Format(timeLayout) }
