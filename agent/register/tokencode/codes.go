package tokencode

import "ekassa/agent/register"

const (
	none        = register.CauseNone
	busy        = register.Busy
	closed      = register.ShiftClosed
	expired     = register.ShiftExpired
	badData     = register.BadData
	noParent    = register.NoParent
	credentials = register.Credentials
	supplier    = register.Supplier
	other       = register.Other

	refuses = true
	proves  = false // nothing
)

// codes is the page's table (section 13), in ascending order. Where a line there
// has two classes, the first one stands here.
//
// Refuses is our reading: the validation of a document, the state of the shift
// and the session are judged before the token writes. Faults of its storage, its
// link and its coding, and everything that a person or the maker must look at,
// may come after it. So may faults of reading and writing JSON (10xx): the
// library writes its answer too.
var codes = []Code{
	{0, 0, OK, none, proves, "success"},
	{101, 109, Service, supplier, proves, "start-up or hardware of the token"},
	{110, 110, Service, supplier, proves, "token memory overflow"},
	{111, 119, Service, supplier, proves, "start-up or hardware of the token"},
	{120, 129, Service, supplier, proves, "token's internal memory"},
	{130, 130, Service, supplier, proves, "token memory overflow"},
	{131, 131, Wait, busy, proves, "token still initialising"},
	{201, 201, Service, supplier, proves, "storage integrity"},
	{202, 202, Wait, busy, proves, "storage busy"},
	{203, 203, Service, supplier, proves, "storage integrity"},
	{204, 204, Wait, busy, proves, "storage busy"},
	{205, 212, Service, supplier, proves, "storage integrity"},
	{213, 213, Operator, other, proves, "storage full: documents are not delivered to the tax service"},
	{214, 216, Service, supplier, proves, "storage integrity"},
	{217, 217, Operator, other, proves, "storage full: documents are not delivered to the tax service"},
	{218, 228, Service, supplier, proves, "storage integrity"},
	{229, 229, Service, supplier, proves, "token not activated"},
	{230, 230, Operator, other, proves, "control tape full: close the shift"},
	{231, 231, OK, none, proves, "no document exists yet"},
	{232, 232, Service, supplier, proves, "storage integrity"},
	{233, 233, Wait, busy, proves, "documents must be delivered first"},
	{240, 252, Service, supplier, proves, "storage integrity"},
	{253, 253, Operator, other, proves, "storage full: documents are not delivered to the tax service"},
	{254, 264, Service, supplier, proves, "storage integrity"},
	{301, 303, Service, supplier, proves, "signature or cipher"},
	{304, 305, Payload, badData, refuses, "JSON does not fit the schema, or unknown command"},
	{306, 306, Operator, other, proves, "command not allowed in the token's state"},
	{307, 309, Check, other, proves, "USB framing"},
	{310, 312, Service, supplier, proves, "exchange with the server rejected"},
	{313, 313, Payload, badData, refuses, "a text is over its limit"},
	{314, 318, Check, other, proves, "USB framing"},
	{319, 323, Service, supplier, proves, "signature or cipher"},
	{324, 324, Check, other, proves, "USB framing"},
	{325, 325, Check, supplier, proves, "signing of item names"},
	{326, 328, Service, supplier, proves, "production data or coding"},
	{329, 329, Operator, other, proves, "invalid time: the device's clock"},
	{330, 332, Service, supplier, proves, "production data or coding"},
	{401, 401, Auth, credentials, refuses, "session is invalid"},
	{403, 403, Operator, credentials, proves, "wrong role: log in as cashier, integration mode on"},
	{404, 404, Operator, credentials, proves, "wrong PIN"},
	{405, 407, Service, supplier, proves, "PIN or PUK locked"},
	{408, 408, Payload, badData, refuses, "factory number missing in the login"},
	{501, 501, Payload, badData, refuses, "unknown kind of document"},
	{502, 502, Wait, busy, proves, "out of memory"},
	{503, 503, Shift, closed, refuses, "wrong state of the shift"},
	{504, 504, Shift, expired, refuses, "shift older than 24 hours"},
	{505, 505, Check, other, proves, "the token's last number is another one"},
	{601, 602, Service, supplier, proves, "serial differs from the certificate"},
	{603, 603, Wait, busy, proves, "document's time is not after the one before"},
	{604, 604, Operator, other, proves, "offline for too long: connect the internet"},
	{605, 605, Service, supplier, proves, "counter of documents exhausted"},
	{606, 606, Payload, badData, refuses, "currency"},
	{607, 607, Payload, badData, refuses, "document's total"},
	{608, 609, Payload, badData, refuses, "length of the cashier or an item's code"},
	{610, 610, Payload, badData, refuses, "no items"},
	{611, 611, Payload, badData, refuses, "total of the items"},
	{612, 612, Payload, badData, refuses, "type of an item's code"},
	{613, 613, Payload, badData, refuses, "totals of VAT"},
	{614, 614, Payload, badData, refuses, "a line's total"},
	{615, 615, Payload, badData, refuses, "length of the parent's id"},
	{616, 616, Payload, badData, refuses, "rates of VAT"},
	{617, 619, Payload, badData, refuses, "trade margin"},
	{620, 620, Payload, badData, refuses, "too many items"},
	{621, 621, Wait, busy, proves, "documents must be delivered first"},
	{622, 622, Payload, badData, refuses, "length of a marking code"},
	{623, 626, Service, supplier, proves, "exchange with the server rejected"},
	{627, 627, Payload, noParent, refuses, "sale to take back not found"},
	{628, 628, Payload, noParent, refuses, "wrong parent"},
	{629, 629, Payload, badData, refuses, "change is wrong or missing"},
	{630, 631, Payload, badData, refuses, "length of the contract or the payer's name"},
	{632, 632, Payload, badData, refuses, "credit or prepayment not allowed here"},
	{633, 634, Payload, badData, refuses, "kind of money back, or residue"},
	{635, 635, Payload, badData, refuses, "length of an item's name"},
	{636, 637, Service, supplier, proves, "exchange with the server rejected"},
	{638, 638, Payload, badData, refuses, "refund does not fit its parent"},
	{639, 639, Replay, other, proves, "parent is rolled back already"},
	{640, 640, Service, supplier, proves, "length of the item names' hash"},
	{641, 641, Payload, badData, refuses, "number of parents"},
	{642, 642, Payload, badData, refuses, "date and time"},
	{643, 645, Payload, badData, refuses, "car number or place"},
	{646, 646, Payload, badData, refuses, "length of the RRN"},
	{647, 647, Payload, badData, refuses, "length of the bonus card's number"},
	{648, 648, Payload, badData, refuses, "RRN without a cashless amount"},
	{649, 649, Payload, badData, refuses, "bonus card not allowed here"},
	{650, 650, Wait, busy, proves, "document unknown to the server: it may not be delivered yet"},
	{651, 655, Payload, badData, refuses, "petrol station's block"},
	{656, 660, Payload, badData, refuses, "commission agent's block"},
	{701, 705, Service, supplier, proves, "certificate"},
	{706, 706, Service, supplier, proves, "certificate has expired"},
	{707, 722, Service, supplier, proves, "certificate"},
	{801, 802, Check, busy, proves, "transaction inside the token"},
	{900, 915, Service, supplier, proves, "coding"},
	{916, 916, Payload, badData, proves, "text is no UTF-8"},
	{917, 930, Service, supplier, proves, "coding"},
	{1000, 1000, Check, other, proves, "unknown"},
	{1001, 1013, Payload, badData, proves, "reading or writing JSON"},
	{1014, 1019, Payload, badData, proves, "coding"},
	{1020, 1020, Wait, busy, proves, "library not initialised"},
	{1021, 1023, Payload, badData, proves, "reading or writing JSON"},
	{1101, 1110, Check, other, proves, "USB link to the token"},
	{1111, 1112, Wait, busy, proves, "call to the tax service failed"},
	{1113, 1119, Service, supplier, proves, "files of the driver library"},
	{1120, 1120, Operator, other, proves, "item names must be delivered first"},
	{1121, 1121, Service, supplier, proves, "files of the driver library"},
	{1200, 1204, Payload, badData, refuses, "unknown operation, version or kind of document, or form of a time"},
	{1205, 1205, OK, none, proves, "document made; item names not stored"},
	{1206, 1206, Payload, badData, refuses, "a character in an item's name"},
	{1207, 1208, Operator, other, proves, "firmware update"},
	{1209, 1209, Wait, busy, proves, "firmware update is running"},
	{1210, 1210, Wait, busy, proves, "documents must be delivered first"},
	{1301, 1305, Service, supplier, proves, "attestation of the software"},
	{1999, 1999, Check, other, proves, "unknown"},
	{65500, 65500, Check, other, proves, "unknown"},
}
