package receipt

import "strings"

// Fault is one thing that is wrong with what a till sent. The staff texts have
// a sentence for each code, in each language.
type Fault struct {
	Field  string // as in the JSON: "items[0].price"; empty: the whole body
	Code   string // one of the Code constants
	Detail string // what the sentence may name: what is allowed, the limit, the sum
}

// The codes of faults.
const (
	CodeNotJSON     = "not_json"        // the body is no JSON object in UTF-8
	CodeUnknown     = "unknown_field"   // no such field
	CodeTwice       = "duplicate_field" // the field stands there twice
	CodeType        = "wrong_type"      // Detail: the type it should have
	CodeRequired    = "required"
	CodeNotAllowed  = "not_allowed"  // Detail: the allowed values
	CodePattern     = "bad_pattern"  // Detail: the allowed characters and length
	CodeTooLong     = "too_long"     // Detail: the most characters
	CodeTooMany     = "too_many"     // Detail: the most elements
	CodeNotDecimal  = "not_decimal"  // not decimal text
	CodeTooPrecise  = "too_precise"  // Detail: the most decimals
	CodeTooLarge    = "too_large"    //
	CodeNegative    = "negative"     //
	CodeNotPositive = "not_positive" // must be more than zero
	CodeTime        = "bad_time"     // not RFC 3339 with an offset
	CodeDiscount    = "discount_too_large"
	CodeUnderpaid   = "underpaid"      // Detail: what is missing
	CodeOverpaid    = "overpaid"       // Detail: by how much; only cash gives change
	CodeUnequal     = "not_equal"      // Detail: the total that the payments must reach
	CodeMisplaced   = "misplaced"      // this kind takes no such field
	CodeParent      = "parent_unknown" // no such receipt of this terminal
	CodeParentState = "parent_state"   // Detail: the parent's state; it will never be fiscal
	CodeParentKind  = "parent_kind"    // Detail: the parent's kind
	CodePeriodOrder = "period_order"   // it ends before it begins
	CodeNoItems     = "no_items"       // at least one line
	CodeEitherOr    = "either_or"      // Detail: the two fields of which one is wanted
)

// Faults is everything that is wrong with one body. As an error it is for logs;
// tills get it sentence by sentence.
type Faults []Fault

func (f Faults) Error() string {
	var parts []string
	for _, x := range f {
		s := x.Code
		if x.Field != "" {
			s = x.Field + ": " + s
		}
		if x.Detail != "" {
			s += " (" + x.Detail + ")"
		}
		parts = append(parts, s)
	}
	return "read receipt: " + strings.Join(parts, "; ")
}
