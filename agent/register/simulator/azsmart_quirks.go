package simulator

// The quirks of AzSmart alone.
const (
	quirkStrictForm      = "strict-form"
	quirkStrictNames     = "strict-names"
	quirkStrictTaxNames  = "strict-tax-names"
	quirkHTTP400         = "http-400"
	quirkStatusByID      = "status-by-id-only"
	quirkStatusZeroFirst = "docstatus-0-first"
	quirkStringShiftID   = "string-shift-id"
	quirkBoolShift       = "bool-shift-open"
	quirkWithCode        = "with-code"
	quirkWithoutCode     = "without-code"
	quirkBonuses         = "bonuses-sum"
	quirkDuplicateCode   = "duplicate-code"
	quirkDuplicateBare   = "duplicate-bare"
	quirkKeyReuseFirst   = "key-reuse-returns-first"
	quirkExtIDEither     = "ext-id-either"
	quirkKeySaleRefund   = "key-sale-refund-only"
	quirkCopyNumber      = "copy-number-only"
	quirkCopyAny         = "copy-any-id"
	quirkDatesStartStop  = "dates-start-stop"
	quirkPin             = "pin-required"
	quirkRollbackItems   = "rollback-needs-items"
	quirkRefundNoParent  = "refund-without-parent"
	quirkVATPercent100   = "vat-percent-x100"
	quirkVATTurnover     = "vat-turnover"
	quirkMarginPurchase  = "margin-is-purchase"
)

var azsmartQuirks = map[string]string{
	quirkStrictForm:        "a raw '+' in the body becomes a space, as in a strict form decoder; %2B still works",
	quirkStrictNames:       "names may only hold the token's characters (no quotes, no ';', no emoji): else code 3",
	quirkStrictTaxNames:    "taxName must be one of the five known names: else code 16",
	quirkHTTP400:           "protocol errors come with HTTP 400 instead of 200",
	quirkStatusByID:        "check_status takes only documentID",
	quirkStatusZeroFirst:   "every document is first answered with docStatus 0 and is made a moment later",
	quirkStringShiftID:     "shiftID, and fiscalID of open_shift, are strings instead of numbers",
	quirkBoolShift:         "isShiftOpen is a boolean instead of the string \"true\"",
	quirkWithCode:          "classic: success carries code 0 (default: no code)",
	quirkWithoutCode:       "new: success carries no code (default: code 0)",
	quirkBonuses:           "reports say BonusesSum instead of BonusSum",
	quirkDuplicateCode:     "a repeated document is answered with status error, code 17 and the first ids",
	quirkDuplicateBare:     "a repeated document is answered with success and no ids",
	quirkKeyReuseFirst:     "a key reused with other content returns the first document (default: code 3)",
	quirkKeyUntilZ:         "idempotency keys are forgotten when the shift is closed",
	quirkExtIDEither:       "documentExtID may be a string or an integer in both editions (classic: digits only)",
	quirkKeySaleRefund:     "documentExtID is a key for sale, refund, deposit and withdraw only",
	quirkZNeedsSales:       "close_shift of a shift without documents is refused with code 26",
	quirkZNeedsEmptyDrawer: "close_shift with cash in the drawer is refused with code 27",
	quirkCopyNumber:        "classic: check_copy takes only a numeric documentID (default: also a fiscal id)",
	quirkCopyAny:           "new: check_copy also takes a fiscal id in documentID (default: numbers only)",
	quirkDatesStartStop:    "dates_report wants date_start and date_stop instead of dateFrom and dateFor",
	quirkPin:               "open_shift wants pinCode or pincode: else code 3",
	quirkPrepayLines:       "a sale paid by an advance may only hold that receipt's articles: else code 21",
	quirkRollbackItems:     "rollback must repeat items and payments, as without the Cashbox screen: else code 3",
	quirkRefundNoParent:    "refund works without parentDocID (default: code 3)",
	quirkVATPercent100:     "reports give vatPercent × 100 (1800) instead of 18",
	quirkVATTurnover:       "reports give the turnover in vatAmount instead of the tax",
	quirkMarginPurchase:    "itemMarginSum is the purchase sum instead of the margin",
}
