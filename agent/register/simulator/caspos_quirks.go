package simulator

// The quirks of Caspos alone.
const (
	quirkCasposNumber        = "code-number"
	quirkCasposText          = "odd-success-text"
	quirkCaspos500           = "http-500-success"
	quirkCasposNames         = "names-not-stored"
	quirkCasposRepeatBare    = "repeat-without-ids"
	quirkCasposForgetZ       = "uuids-forgotten-at-z"
	quirkCasposForgetRestart = "uuids-forgotten-at-restart"
	quirkCasposOff           = "integration-off"
	quirkCasposLogin         = "login-required"
	quirkCasposCredentials   = "credentials-checked"
	quirkCasposLatin1        = "latin1-without-charset"
	quirkCasposStrings       = "number-strings"
	quirkCasposDiscount      = "discount-subtracted"
	quirkCasposLineSum       = "line-sum-ignored"
	quirkCasposCashNet       = "cash-net-with-card"
	quirkCasposOldTaxes      = "old-vat-types"
	quirkCasposPayer         = "vat-payer"
	quirkCasposCodeType      = "strict-code-type"
	quirkCasposAnyName       = "any-name"
	quirkCasposMisspelt      = "prepayment-id-misspelt"
	quirkCasposManualOnly    = "refund-manual-only"
	quirkCasposManualLimited = "refund-manual-limited"
	quirkCasposRefundOnce    = "refund-once"
	quirkCasposItemUUID      = "refund-item-uuid"
	quirkCasposPaperNothing  = "paper-out-makes-nothing"
	quirkCasposPaperSuccess  = "paper-out-success"
	quirkCasposPrinterFine   = "printer-always-fine"
	quirkCasposCopyCounts    = "copy-is-document"
	quirkCasposFloat         = "single-precision"
	quirkCasposNetTotals     = "totals-net"
	quirkCasposUTC           = "utc-times"
	quirkCasposNoBlank       = "time-without-blank"
	quirkCasposShiftNames    = "camel-shift-status"
	quirkCasposBlanks        = "stray-blanks"
	quirkCasposCashIDs       = "cash-id-strings"
)

var casposQuirks = map[string]string{
	quirkCasposNumber:        "code is a number instead of a string",
	quirkCasposText:          "the success text is \"Successoperation\"",
	quirkCaspos500:           "a document that was made is answered with HTTP 500 and the usual body",
	quirkCasposNames:         "a document that was made is answered with code 1205 (names not stored) and its ids",
	quirkCasposRepeatBare:    "a repeated documentUUID is answered with code 1 and no ids",
	quirkCasposForgetZ:       "documentUUIDs are forgotten when the shift is closed",
	quirkCasposForgetRestart: "documentUUIDs are forgotten when the device or the simulator restarts",
	quirkCasposOff:           "integration mode is off: everything is refused with code 403",
	quirkCasposLogin:         "code 401 until toLogin; a restart ends the session",
	quirkCasposCredentials:   "toLogin with another user name or password is refused with code 401",
	quirkCasposLatin1:        "a body whose content type names no charset is read as Latin-1",
	quirkCasposStrings:       "numbers may be sent as strings (default: code 1002)",
	quirkCasposDiscount:      "discountAmount is taken off the line (default: it changes nothing)",
	quirkCasposLineSum:       "an item's sum is checked and ignored (default: it is the line's total)",
	quirkCasposCashNet:       "with a card part there is no change: payments above the total are code 607",
	quirkCasposOldTaxes:      "the older numbering of vatType: 4 is 2 %, 5 is 8 %",
	quirkCasposPayer:         "the register of a VAT payer: simplified tax is refused with code 616",
	quirkCasposCodeType:      "codeType is required (612) and the code's length must suit it (609)",
	quirkCasposAnyName:       "names may hold any character (default: code 1206)",
	quirkCasposMisspelt:      "a sale wants prepymentDocumentId instead of prepaymentDocumentId",
	quirkCasposManualOnly:    "moneyBack with isManual false never finds the original: code 628",
	quirkCasposManualLimited: "isManual true checks the original all the same",
	quirkCasposRefundOnce:    "a second moneyBack for the same document is refused with code 638",
	quirkCasposItemUUID:      "moneyBack of a sale wants parentItemUuid of a line that was sold: else code 638",
	quirkCasposPaperNothing:  "without paper no document is made (default: made, code 999)",
	quirkCasposPaperSuccess:  "without paper a document is answered as usual (default: made, code 999)",
	quirkCasposPrinterFine:   "isConnectedPrinter is content without paper (default: code 999)",
	quirkCasposCopyCounts:    "printLastCheque makes a document of its own and raises last_doc_number",
	quirkCasposFloat:         "sums in reports are in single precision, as 0.5999999",
	quirkCasposNetTotals:     "group sums in reports leave out credit and advances, as in Omnitech's",
	quirkCasposUTC:           "fields called …AtUtc are UTC (default: local time)",
	quirkCasposNoBlank:       "times are written without the blank, as 04.10.202315:04:09",
	quirkCasposShiftNames:    "getShiftStatus says shiftOpen and shiftOpenTime",
	quirkCasposBlanks:        "the texts of getInfo carry stray blanks",
	quirkCasposCashIDs:       "deposit and withDraw give their numbers as strings",
}
