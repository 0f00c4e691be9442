package simulator

import "time"

// Kind is what a document is. The words are the simulator's own; each protocol
// has its own names for them.
type Kind string

const (
	Sale       Kind = "sale"
	Refund     Kind = "refund"     // money back for a sale or an advance
	Rollback   Kind = "rollback"   // a whole document cancelled within its shift
	Prepay     Kind = "prepay"     // an advance
	CreditPay  Kind = "creditpay"  // a repayment of a credit sale
	Correction Kind = "correction" // takings from a time when the register was out of order
	Deposit    Kind = "deposit"    // cash put into the drawer
	Withdraw   Kind = "withdraw"   // cash taken out of the drawer
	Copy       Kind = "copy"       // a copy, where the maker numbers those: no money moves
	Interim    Kind = "interim"    // an X report, where the maker numbers those: no money moves
)

// Document is one entry of the ledger: something that the fiscal token made and
// cannot unmake. Money is in qəpik (AZN × 100), quantities in thousandths,
// percentages × 100.
type Document struct {
	Serial   string    `json:"serial"`       // of the token that made it
	Number   int64     `json:"number"`       // running number over the token's life
	ID       int64     `json:"id"`           // the device application's own number, never equal to Number
	Kind     Kind      `json:"kind"`         //
	FiscalID string    `json:"fiscal_id"`    // long id, base58, 43 or 44 characters
	ShortID  string    `json:"short_id"`     // its first 12 characters: the "Fiskal ID" on paper
	Shift    int64     `json:"shift"`        //
	InShift  int64     `json:"shift_number"` // position within the shift, from 1
	At       time.Time `json:"at"`           // the register's clock
	ByHand   bool      `json:"by_hand"`      // rung up on the device, not sent by a client
	Printed  bool      `json:"printed"`      // whether paper has ever come out

	Client Client `json:"client"`

	Parent  string `json:"parent,omitempty"`  // fiscal id of what is refunded, rolled back or repaid
	Manual  bool   `json:"manual,omitempty"`  // a refund for which the register did not look at Parent (Caspos isManual)
	Advance string `json:"advance,omitempty"` // fiscal id of the advance that pays for part of this sale

	Amount   int64    `json:"amount"`
	Payments Payments `json:"payments"`
	Change   int64    `json:"change"` // given back in cash; Payments.Cash is already without it
	Items    []Item   `json:"items,omitempty"`
	VAT      []VAT    `json:"vat,omitempty"`
}

// Client is what the sender said about a document, in its own words.
type Client struct {
	Key         string `json:"key"`    // the client's own (AzSmart documentExtID: an idempotency key), "" if none was sent
	Number      string `json:"number"` // the till's document number
	Time        string `json:"time"`   // the till's time, verbatim
	Cashier     string `json:"cashier,omitempty"`
	Till        string `json:"till,omitempty"`
	Department  string `json:"department,omitempty"`
	Footer      string `json:"footer,omitempty"`
	RRN         string `json:"rrn,omitempty"` // bank reference of a card payment
	Contract    string `json:"contract,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"` // of the business content, to tell a repeat from a reused key
}

// Payments says how an amount was paid. Cash is net of change.
type Payments struct {
	Cash     int64 `json:"cash"`
	Cashless int64 `json:"cashless"`
	Bonus    int64 `json:"bonus"`
	Prepaid  int64 `json:"prepaid"`
	Credit   int64 `json:"credit"`
}

// Total is the sum of all ways to pay.
func (p Payments) Total() int64 {
	return p.Cash + p.Cashless + p.Bonus + p.Prepaid + p.Credit
}

// Item is one line.
type Item struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Unit      string `json:"unit,omitempty"`
	Quantity  int64  `json:"quantity"` // thousandths
	Amount    int64  `json:"amount"`   // to pay, discount taken off
	Discount  int64  `json:"discount,omitempty"`
	TaxName   string `json:"tax_name"`
	TaxRate   int64  `json:"tax_rate"`             // percent × 100, or NoVAT
	Margin    bool   `json:"margin,omitempty"`     // taxed on the trade margin only
	MarginSum int64  `json:"margin_sum,omitempty"` // the taxed margin of the line
	UUID      string `json:"uuid,omitempty"`       // the client's own for this line (Caspos itemUuid)
	Parent    string `json:"parent,omitempty"`     // on a refund: UUID of the line that was sold
}

// NoVAT is the rate of what is no object of VAT, where a protocol tells it from 0 %.
const NoVAT = -1

// VAT is what one document owes at one rate. Rates 200 and 800 are simplified
// tax on turnover, not VAT; the paper and the reports list them alike.
type VAT struct {
	Rate     int64 `json:"rate"`     // percent × 100, or NoVAT
	Turnover int64 `json:"turnover"` // gross
	Tax      int64 `json:"tax"`
}

// vatOf works out the taxes of a document. What is paid by an advance or left on
// credit is outside VAT here: an advance is taxed when it is taken and credit
// when it is repaid (both sister protocols say so). A mixed basket is scaled
// down pro rata, which no page describes; it keeps the sums whole.
func vatOf(items []Item, outside int64) []VAT {
	var total int64
	order := []int64{}
	turnover := map[int64]int64{}
	for _, it := range items {
		base := it.Amount
		if it.Margin {
			base = min(it.MarginSum, it.Amount)
		}
		if _, ok := turnover[it.TaxRate]; !ok {
			order = append(order, it.TaxRate)
		}
		turnover[it.TaxRate] += base
		total += it.Amount
	}
	vat := make([]VAT, 0, len(order))
	for _, rate := range order {
		t := turnover[rate]
		if outside > 0 && total > 0 {
			t -= mulDiv(t, min(outside, total), total)
		}
		vat = append(vat, VAT{Rate: rate, Turnover: t, Tax: taxIn(t, rate)})
	}
	return vat
}

// taxIn is the tax in a gross turnover, rounded half up to the qəpik: 18 % VAT is
// inside the price (× 18/118), simplified tax is a share of turnover.
func taxIn(turnover, rate int64) int64 {
	if rate <= 0 {
		return 0
	}
	if rate == 200 || rate == 800 {
		return mulDiv(turnover, rate, 10000)
	}
	return mulDiv(turnover, rate, 10000+rate)
}
