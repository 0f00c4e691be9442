package simulator

// The quirks of Omnitech alone: the open points of the page's section 16, and of
// the sections named in the comments of the omnitech files.
const (
	quirkLoginKills      = "login-kills-token"
	quirkShortSession    = "short-session"
	quirkPrevIgnored     = "prev-ignored"
	quirkPrevSome        = "prev-ignored-elsewhere"
	quirkCopyDocument    = "copy-is-document"
	quirkXDocument       = "x-is-document"
	quirkZNotLast        = "z-not-last"
	quirkNoLastDocument  = "no-last-document"
	quirkHistorySales    = "history-sales-only"
	quirkHistoryNoRef    = "history-without-int-ref"
	quirkHistoryDocID    = "history-with-document-id"
	quirkHistoryFailures = "history-lists-failures"
	quirkPaperIDs        = "paper-out-with-ids"
	quirkNamesNotStored  = "names-not-stored"
	quirkDatabaseFails   = "database-fails"
	quirkDuplicate639    = "duplicate-639"
	quirkVATFenced       = "vat-fenced"
	quirkPercentNeeded   = "percent-needed"
	quirkNoContract      = "credit-without-contract"
	quirkQuotes          = "quotes-pass"
	quirkStampsBare      = "stamps-without-z"
	quirkShiftTimeUTC    = "shift-time-utc"
	quirkKeyOrder        = "key-order"
	quirkStrictFields    = "strict-fields"
)

var omnitechQuirks = map[string]string{
	quirkLoginKills:      "a login ends the sessions before it (default: they live on beside it)",
	quirkShortSession:    "an access token lives one minute (default: 23 hours)",
	quirkPrevIgnored:     "prev_doc_number is ignored everywhere",
	quirkPrevSome:        "prev_doc_number is ignored but for check types 1, 100 and 19",
	quirkCopyDocument:    "a copy (11) is a document with a number and ids of its own, so last_doc_number rises",
	quirkXDocument:       "an X report raises last_doc_number",
	quirkZNotLast:        "last_doc_number and prev_doc_number leave the Z report out, although it has a number",
	quirkNoLastDocument:  "check type 37 is unknown: code 1300",
	quirkHistorySales:    "history (17) lists sales only",
	quirkHistoryNoRef:    "history (17) lacks int_ref",
	quirkHistoryDocID:    "history (17) has the long id in documentId (default: empty, as in the example)",
	quirkHistoryFailures: "history (17) also lists refused documents of this life, with operationStatus 0",
	quirkPaperIDs:        "a document that was made and not printed is answered with success and its ids (default: code 1200, no ids)",
	quirkNamesNotStored:  "every document is made and answered with code 1205 and its ids",
	quirkDatabaseFails:   "every document is made, answered with code 1511 and no ids, and not in the history",
	quirkDuplicate639:    "a second rollback is answered with code 639 (default: 1312)",
	quirkVATFenced:       "the rates 2 and 8 are refused with code 1250: not the seller's registration",
	quirkPercentNeeded:   "an item without itemVatPercent is refused with code 616",
	quirkNoContract:      "creditSum works without creditContract",
	quirkQuotes:          "a double quote in an item name passes",
	quirkStampsBare:      "createdAtUtc and shiftOpenAtUtc come without Z",
	quirkShiftTimeUTC:    "shift_open_time is in UTC (default: Baku)",
	quirkKeyOrder:        "the envelope's keys must come in the document's order: else code 304",
	quirkStrictFields:    "a field that the page does not know is refused with code 304 (default: ignored)",
	quirkHTTP400:         "errors come with HTTP 400 instead of 200",
	quirkPrepayLines:     "a sale paid by an advance may only hold that receipt's articles: else code 628",
}
