package azsmart

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"ekassa/agent/receipt"
)

// The routes that are used (sections 5 and 6).
const (
	routeSale        = "sale"
	routeRefund      = "refund"
	routeRollback    = "rollback"
	routePrepay      = "prepay"
	routeCreditPay   = "creditpay"
	routeCorrection  = "correction"
	routeDeposit     = "deposit"
	routeWithdraw    = "withdraw"
	routeCheckStatus = "check_status"
	routeCheckCopy   = "check_copy"
	routeCheckShift  = "check_shift"
	routeOpenShift   = "open_shift"
	routeCloseShift  = "close_shift"
	routeXReport     = "x_report"
	routeDates       = "dates_report"
	routeGetInfo     = "get_info"
)

// routes has the document route of each kind.
var routes = map[receipt.Kind]string{
	receipt.Sale: routeSale, receipt.Refund: routeRefund, receipt.Cancel: routeRollback,
	receipt.Prepayment: routePrepay, receipt.CreditPayment: routeCreditPay, receipt.Correction: routeCorrection,
	receipt.Deposit: routeDeposit, receipt.Withdrawal: routeWithdraw,
}

// keyed says whether requests of the route carry documentExtID (section 8.2).
func keyed(route string) bool {
	switch route {
	case routeSale, routeRefund, routePrepay, routeDeposit, routeWithdraw:
		return true
	}
	return false
}

const currency = "AZN"

// timeLayout is every time's on this wire: 24 hours, in the shop's zone
// (section 3).
const (
	timeLayout = "2006-01-02 15:04:05"
	dateLayout = "2006-01-02"
)

// id is a number that one edition writes as a number and the other as text.
type id struct {
	text   string
	number bool // write it as a number where it is one
}

// MarshalJSON writes the id; digits with a leading zero stay text.
func (i id) MarshalJSON() ([]byte, error) {
	if n, err := strconv.ParseInt(i.text, 10, 64); i.number && err == nil && strconv.FormatInt(n, 10) == i.text {
		return []byte(i.text), nil
	}
	return json.Marshal(i.text)
}

// IsZero leaves an empty id out of the JSON.
func (i id) IsZero() bool { return i.text == "" }

// document is the request of sale, refund and prepay (5.1, 5.2, 5.7).
type document struct {
	DocumentExtID  id        `json:"documentExtID,omitzero"`
	DocTime        string    `json:"docTime"`
	DocNumber      string    `json:"docNumber"`
	EmployeeName   string    `json:"employeeName"`
	Amount         int64     `json:"amount"`
	Currency       string    `json:"currency"`
	ParentDocID    string    `json:"parentDocID,omitempty"`
	ParentDocNum   string    `json:"parentDocNum,omitempty"`
	PrepayDocID    string    `json:"prepayDocID,omitempty"`
	PrepayDocNum   string    `json:"prepayDocNum,omitempty"`
	CreditContract string    `json:"creditContract,omitempty"`
	Items          []line    `json:"items"`
	Payments       *payments `json:"payments"`
}

// rollback is the request that cancels a document (5.3).
type rollback struct {
	DocumentID   string    `json:"documentID"`
	EmployeeName string    `json:"employeeName"`
	Items        []line    `json:"items,omitempty"`
	Payments     *payments `json:"payments,omitempty"`
}

// creditPay is the request that pays off a credit sale (5.8).
type creditPay struct {
	DocumentID     id        `json:"documentID"`
	EmployeeName   string    `json:"employeeName"`
	Amount         int64     `json:"amount"`
	Currency       string    `json:"currency"`
	CreditContract string    `json:"creditContract"`
	Items          []line    `json:"items"`
	Payments       *payments `json:"payments"`
}

// correction is the request for the takings of a time (5.10).
type correction struct {
	EmployeeName   string     `json:"employeeName"`
	DateStart      string     `json:"date_start"`
	DateStop       string     `json:"date_stop"`
	Amount         int64      `json:"amount"`
	CashAmount     int64      `json:"cashAmount"`
	CashlessAmount int64      `json:"cashlessAmount"`
	BonusesAmount  int64      `json:"bonusesAmount"`
	VATAmounts     []turnover `json:"vatAmounts"`
}

type turnover struct {
	VATPercent int64 `json:"vatPercent"`
	VATSum     int64 `json:"vatSum"` // the turnover, not the tax in it
}

// cash is the request of deposit and withdraw (6.5).
type cash struct {
	DocumentExtID id     `json:"documentExtID,omitzero"`
	DocNumber     string `json:"docNumber"`
	EmployeeName  string `json:"employeeName"`
	Amount        int64  `json:"amount"`
	Currency      string `json:"currency"`
}

type line struct {
	ItemID          string `json:"itemId"`
	ItemName        string `json:"itemName"`
	ItemUnit        string `json:"itemUnit,omitempty"`
	ItemQty         int64  `json:"itemQty"`
	ItemAmount      int64  `json:"itemAmount"` // after the discount
	Discount        int64  `json:"discount"`
	ItemMarginPrice *int64 `json:"itemMarginPrice,omitempty"` // what the goods were bought for
	ItemMarginSum   *int64 `json:"itemMarginSum,omitempty"`
	ItemTaxes       []tax  `json:"itemTaxes"`
}

type tax struct {
	TaxName  string `json:"taxName"`
	TaxPrc   int64  `json:"taxPrc"`
	CalcType int    `json:"calcType"`
}

type payments struct {
	CashAmount       int64 `json:"cashAmount"` // as handed over; the register works out the change
	CashlessAmount   int64 `json:"cashlessAmount"`
	CreditAmount     int64 `json:"creditAmount,omitempty"`
	BonusesAmount    int64 `json:"bonusesAmount,omitempty"`
	PrepaymentAmount int64 `json:"prepaymentAmount,omitempty"`
}

// encode writes the request's JSON. It only ever gets the structs of this
// file, which cannot fail.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// taxes is what each tax is called and how it counts (5.1). "VAT 0 %" has no
// public example; its name follows the others. Simplified tax is counted by
// kind 3.
var taxes = map[receipt.TaxType]tax{
	receipt.VAT18:       {"ƏDV 18%", 1800, 1},
	receipt.VAT0:        {"ƏDV 0%", 0, 1},
	receipt.Exempt:      {"ƏDV-dən azad", 0, 1},
	receipt.Margin18:    {"Ticarət əlavəsi 18%", 1800, 1},
	receipt.Simplified2: {"SV-2%", 200, 3},
	receipt.Simplified8: {"SV-8%", 800, 3},
}

// units are the names of units on paper. A piece goes without, as in all the
// examples.
var units = map[receipt.Unit]string{
	receipt.Kilogram: "kq", receipt.Litre: "l", receipt.Metre: "m",
	receipt.SquareMetre: "m2", receipt.CubicMetre: "m3",
}

func moment(t time.Time, zone *time.Location) string { return t.In(zone).Format(timeLayout) }
