package omnitech

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"ekassa/agent/receipt"
)

// The operations, by check_type (section 4).
const (
	opSale       = 1
	opDeposit    = 7
	opWithdraw   = 8
	opRollback   = 10 // of a plain sale or a prepayment: the id alone
	opCopy       = 11
	opXReport    = 12
	opCloseShift = 13
	opShift      = 14
	opOpenShift  = 15
	opReprint    = 16
	opHistory    = 17
	opStatement  = 18
	opCorrection = 19
	opCreditPay  = 31
	opUndoWhole  = 32 // rollback of what touches credit or prepayment: the whole body
	opPrepay     = 34
	opLogin      = 40
	opGetInfo    = 41
	opMoneyBack  = 100
)

// The routes, as requests are stored and faults are named: everything goes to
// one URL, so these are the page's words for the documents.
const (
	routeSale       = "sale"
	routeRefund     = "money_back"
	routeRollback   = "rollback"
	routePrepay     = "prepay"
	routeCreditPay  = "creditpay"
	routeCorrection = "correction"
	routeDeposit    = "deposit"
	routeWithdraw   = "withdraw"
)

// routes has the route of each kind.
var routes = map[receipt.Kind]string{
	receipt.Sale: routeSale, receipt.Refund: routeRefund, receipt.Cancel: routeRollback,
	receipt.Prepayment: routePrepay, receipt.CreditPayment: routeCreditPay, receipt.Correction: routeCorrection,
	receipt.Deposit: routeDeposit, receipt.Withdrawal: routeWithdraw,
}

const (
	path        = "/v2"
	contentType = "application/json;charset=UTF-8"
	currency    = "AZN"

	wallTime = "2006-01-02 15:04:05"  // of history and statement
	utcTime  = "2006-01-02T15:04:05Z" // of a correction
)

// envelope is every request, its keys in the page's order (section 2).
type envelope struct {
	RequestData request `json:"requestData"`
}

type request struct {
	AccessToken string    `json:"access_token,omitempty"` // never in what is stored
	IntRef      string    `json:"int_ref,omitempty"`
	Name        string    `json:"name,omitempty"`
	Password    string    `json:"password,omitempty"`
	FiscalID    string    `json:"fiscalId,omitempty"`
	DateStart   string    `json:"date_start,omitempty"`
	DateEnd     string    `json:"date_end,omitempty"`
	Token       *token    `json:"tokenData,omitempty"`
	Check       checkType `json:"checkData"`
}

type checkType struct {
	Type int `json:"check_type"`
}

type token struct {
	Parameters  parameters `json:"parameters"`
	OperationID string     `json:"operationId"`
	Version     int        `json:"version"`
}

type parameters struct {
	DocType string          `json:"doc_type,omitempty"`
	Prev    json.Number     `json:"prev_doc_number,omitempty"`
	Data    json.RawMessage `json:"data"`
}

// order is a document as it is stored: what goes out but for the access token,
// and what its outcome is asked by.
type order struct {
	After    string   `json:"after,omitempty"`  // the token's last number before it
	Again    bool     `json:"again,omitempty"`  // it was sent before, and was found not to be made
	Prepared string   `json:"prepared"`         // when, RFC 3339: where to look in the history
	Opened   string   `json:"opened,omitempty"` // the shift, RFC 3339, by the register's own clock
	Request  envelope `json:"request"`
}

// document is the data of everything that has items (sections 4.1 to 4.5).
type document struct {
	Cashier        string     `json:"cashier"`
	Currency       string     `json:"currency"`
	ParentDocument string     `json:"parentDocument,omitempty"`
	RefundNumber   string     `json:"refund_document_number,omitempty"`
	RefundShortID  string     `json:"refund_short_document_id,omitempty"`
	MoneyBackType  int        `json:"moneyBackType,omitempty"`
	CreditContract string     `json:"creditContract,omitempty"`
	PaymentNumber  int        `json:"paymentNumber,omitempty"`
	Residue        *money     `json:"residue,omitempty"`
	Parents        []string   `json:"parents,omitempty"`
	Items          []item     `json:"items"`
	Sum            money      `json:"sum"`
	CashSum        money      `json:"cashSum"`
	CashlessSum    money      `json:"cashlessSum"`
	PrepaymentSum  money      `json:"prepaymentSum"`
	CreditSum      money      `json:"creditSum"`
	BonusSum       money      `json:"bonusSum"`
	IncomingSum    *money     `json:"incomingSum,omitempty"`
	VATAmounts     []turnover `json:"vatAmounts"`
}

type item struct {
	Name         string   `json:"itemName"`
	CodeType     int      `json:"itemCodeType"`
	Code         string   `json:"itemCode"`
	QuantityType int      `json:"itemQuantityType"`
	Quantity     quantity `json:"itemQuantity"`
	Price        money    `json:"itemPrice"`
	Sum          money    `json:"itemSum"`
	VATPercent   *percent `json:"itemVatPercent,omitempty"`
	MarginPrice  *money   `json:"itemMarginPrice,omitempty"`
	MarginSum    *money   `json:"itemMarginSum,omitempty"`
	Discount     money    `json:"discount,omitempty"`
}

// turnover is the turnover at one rate, the tax included: not the tax (section 6).
type turnover struct {
	Sum     money    `json:"vatSum"`
	Percent *percent `json:"vatPercent,omitempty"`
}

// correction is the data of one (section 4.6).
type correction struct {
	Cashier       string     `json:"cashier"`
	First         string     `json:"firstOperationAtUtc"`
	Last          string     `json:"lastOperationAtUtc"`
	Currency      string     `json:"currency"`
	Sum           money      `json:"sum"`
	CashSum       money      `json:"cashSum"`
	CashlessSum   money      `json:"cashlessSum"`
	PrepaymentSum money      `json:"prepaymentSum"`
	CreditSum     money      `json:"creditSum"`
	BonusSum      money      `json:"bonusSum"`
	VATAmounts    []turnover `json:"vatAmounts"`
}

type cash struct {
	Sum money `json:"cashSum"`
}

// money, quantity and percent are JSON numbers with a dot (section 2), written
// from their exact decimals.
type (
	money    receipt.Money
	quantity receipt.Quantity
	percent  receipt.Percent
)

func (m money) MarshalJSON() ([]byte, error)    { return []byte(receipt.Money(m).String()), nil }
func (q quantity) MarshalJSON() ([]byte, error) { return []byte(receipt.Quantity(q).String()), nil }
func (p percent) MarshalJSON() ([]byte, error) {
	return []byte(strings.TrimSuffix(strings.TrimRight(receipt.Percent(p).String(), "0"), ".")), nil
}

// encode writes JSON in the structs' order, letters as they are.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("omnitech: a request of our own cannot be written: " + err.Error())
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// ask is a request without a document.
func ask(op int) request { return request{Check: checkType{op}} }

// between asks for a time, on the device's clock.
func between(op int, from, to time.Time, zone *time.Location) request {
	r := ask(op)
	r.DateStart, r.DateEnd = from.In(zone).Format(wallTime), to.In(zone).Format(wallTime)
	return r
}

func number(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 0
}
