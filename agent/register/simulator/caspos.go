package simulator

import (
	"errors"
	"mime"
	"net/http"
	"unicode/utf8"
)

// caspos speaks the protocol of Caspos Mobile ("Caspos … — protocol", called
// "the page" in the caspos files). Everything is one POST to the root.
type caspos struct {
	user, password string // of the login, checked only under a quirk
	quirks         quirks
	app            casposApp
}

// casposApp is what the device's program holds in memory: a reboot loses it.
type casposApp struct {
	loggedIn  bool
	loggedOut bool             // toLogout blocks everything until the next login (section 3)
	since     map[string]int64 // serial → last document number of the earlier life
}

var casposMaker = maker{
	title:  "Caspos",
	device: "Caspos Mobile (Sunmi and similar)",
	listen: "127.0.0.1:5544", // section 2
	serial: "SIM-CASPOS-00000001",
	path:   "/",
	owner:  casposOwner(),
	quirks: casposQuirks,
	speak:  speakCaspos,
}

func casposOwner() Taxpayer {
	x := exampleTaxpayer("SUNMI V1S")
	x.QRURL = "https://monitoring.e-kassa.gov.az/#/index?doc=" // section 5
	return x
}

func speakCaspos(cfg *Config, q quirks) (dialect, error) {
	if err := cfg.noEdition(); err != nil {
		return nil, err
	}
	cfg.login()
	return &caspos{user: cfg.User, password: cfg.Password, quirks: q}, nil
}

// The codes used here (sections 12 and 13). Where the page gives a range and no
// meaning for each number (1001–1013), the first ones stand for what they say.
const (
	casposOK           = "0"
	casposRepeated     = "1"
	casposBusy         = "202"
	casposNoDocument   = "231"
	casposSchema       = "304" // a field is missing or of the wrong type
	casposTooLong      = "313"
	casposSession      = "401"
	casposRole         = "403"
	casposShift        = "503"
	casposShiftOld     = "504"
	casposCurrency     = "606"
	casposTotal        = "607"
	casposCashier      = "608"
	casposCodeLength   = "609"
	casposNoItems      = "610"
	casposCodeType     = "612"
	casposVATTotals    = "613"
	casposLineTotal    = "614"
	casposParentLength = "615"
	casposVATTypes     = "616"
	casposMarginPrice  = "617"
	casposMarginSum    = "618"
	casposManyItems    = "620"
	casposMarking      = "622"
	casposNoSale       = "627"
	casposParent       = "628"
	casposChange       = "629"
	casposContract     = "630"
	casposPayer        = "631"
	casposPayment      = "632"
	casposMoneyBack    = "633"
	casposResidue      = "634"
	casposNameLength   = "635"
	casposRefundTotal  = "638"
	casposUndone       = "639"
	casposParents      = "641"
	casposTime         = "642"
	casposRRNLength    = "646"
	casposRRNAlone     = "648"
	casposOther        = "999"
	casposBadJSON      = "1001"
	casposNotNumber    = "1002"
	casposNegative     = "1003"
	casposStorage      = "1115"
	casposUnknown      = "1200"
	casposNamesLost    = "1205" // made and fiscal all the same
	casposBadName      = "1206"
)

// casposReasons are the codes for the token's reasons. A short drawer has none.
var casposReasons = map[Reason]string{
	ShiftClosed: casposShift, ShiftOpen: casposOther, ShiftUnknown: casposShift, ShiftTooOld: casposShiftOld,
	SumMismatch: casposTotal, NotPaid: casposTotal, ChangeNotCash: casposChange, NotFound: casposParent,
	NotInSale: casposRefundTotal, TooMuch: casposRefundTotal, AlreadyUndone: casposUndone, PartlyRefunded: casposParent,
	AdvanceSpent: casposPayment, NotInAdvance: casposVATTypes, AboveDebt: casposPayment, DrawerShort: casposOther,
	Busy: casposBusy, Broken: casposStorage,
}

// casposWords are the texts that clients are known to meet (sections 9 and 13).
var casposWords = map[Reason]string{
	ShiftOpen:   "Növbə artıq açıqdır",
	ShiftClosed: "document: invalid shift status",
	ShiftTooOld: "document: invalid shift duration",
}

// casposProblem is an answer with a code other than success.
type casposProblem struct {
	code string
	text string
	data answer // mostly none
}

func (p *casposProblem) Error() string { return p.text }

// casposCall is one request on its way to an answer.
type casposCall struct {
	*caspos
	v    *visit
	root *casposFields
	data *casposFields
	bad  *casposProblem
}

// casposOperations are those of section 4 but the bank's (transactionTap…), which
// this device does not have: they are unknown operations.
var casposOperations = map[string]func(*casposCall) (answer, error){
	"toLogin":            (*casposCall).toLogin,
	"toLogout":           (*casposCall).toLogout,
	"getInfo":            (*casposCall).getInfo,
	"getShiftStatus":     (*casposCall).shiftStatus,
	"openShift":          (*casposCall).openShift,
	"closeShift":         (*casposCall).closeShift,
	"getXReport":         (*casposCall).xReport,
	"deposit":            (*casposCall).deposit,
	"withDraw":           (*casposCall).withdraw,
	"sale":               (*casposCall).sale,
	"credit":             (*casposCall).credit,
	"prepayment":         (*casposCall).prepayment,
	"prepaymentProducts": (*casposCall).prepaymentProducts,
	"moneyBack":          (*casposCall).moneyBack,
	"rollBack":           (*casposCall).rollBack,
	"correction":         (*casposCall).correction,
	"printLastCheque":    (*casposCall).printLast,
	"getPeriodicZReport": (*casposCall).periodic,
	"getControlTape":     (*casposCall).controlTape,
	"isConnectedPrinter": (*casposCall).printer,
	"openCashbox":        (*casposCall).openCashbox,
}

func (c *caspos) edition() string { return "" }

// route implements dialect: the operation, since every request goes to the root.
func (c *caspos) route(r request) string {
	if r.path == "/" {
		if m, err := decodeObject(r.body); err == nil {
			if op, _ := m["operation"].(string); casposOperations[op] != nil {
				return "/" + op
			}
		}
	}
	return r.path
}

// restarted implements dialect: the program has forgotten its session.
func (c *caspos) restarted() { c.app = casposApp{} }

// answer implements dialect.
func (c *caspos) answer(v *visit, r request) reply {
	if r.path != "/" {
		return c.fail(http.StatusNotFound, &casposProblem{code: casposOther, text: "not found: everything goes to the root path, not to " + r.path})
	}
	if r.method != http.MethodPost {
		rep := c.fail(http.StatusMethodNotAllowed, &casposProblem{code: casposOther, text: "only POST is allowed"})
		rep.allow = http.MethodPost
		return rep
	}
	if r.tooLong {
		return c.fail(http.StatusRequestEntityTooLarge, &casposProblem{code: casposOther, text: "the request is longer than 1 MiB"})
	}
	t, params, err := mime.ParseMediaType(r.contentType)
	if err != nil || t != "application/json" {
		return c.fail(http.StatusUnsupportedMediaType, &casposProblem{code: casposOther, text: "content type must be application/json; charset=utf-8"})
	}
	body := r.body
	if params["charset"] == "" && c.quirks.has(quirkCasposLatin1) {
		body = fromLatin1(body)
	}
	m, err := decodeObject(body)
	if err != nil {
		return c.fail(http.StatusOK, &casposProblem{code: casposBadJSON, text: "the request is not a JSON object: " + err.Error()})
	}
	call := &casposCall{caspos: c, v: v}
	call.root = &casposFields{m: m, bad: &call.bad, strings: c.quirks.has(quirkCasposStrings)}
	out, err := call.do()
	if err == nil && call.bad != nil {
		err = call.bad
	}
	if err != nil {
		return c.fail(http.StatusOK, err)
	}
	return c.succeed(out)
}

// do checks who asks and for what, and carries it out.
func (c *casposCall) do() (answer, error) {
	name := c.root.needText("operation")
	c.data = c.root.object("data")
	if c.bad != nil {
		return nil, c.bad
	}
	op := casposOperations[name]
	switch {
	case c.quirks.has(quirkCasposOff):
		return nil, &casposProblem{code: casposRole, text: "integration mode is off, or the user is not a cashier"}
	case op == nil:
		return nil, &casposProblem{code: casposUnknown, text: "unknown operation: " + name}
	case name == "toLogin":
	case c.app.loggedOut, c.quirks.has(quirkCasposLogin) && !c.app.loggedIn:
		return nil, &casposProblem{code: casposSession, text: "the session is invalid: log in"}
	}
	if c.app.since == nil {
		c.app.since = map[string]int64{}
	}
	if _, known := c.app.since[c.v.tok.serial]; !known {
		c.app.since[c.v.tok.serial] = c.v.tok.lastNumber
	}
	return op(c)
}

// fromLatin1 reads bytes as a server does that is not told the charset: every
// letter outside ASCII becomes two wrong ones (section 2).
func fromLatin1(body []byte) []byte {
	out := make([]byte, 0, len(body))
	for _, b := range body {
		out = utf8.AppendRune(out, rune(b))
	}
	return out
}

// succeed: the code is a string, and 0 or 1205 (section 12).
func (c *caspos) succeed(out answer) reply {
	text := "Success operation"
	if c.quirks.has(quirkCasposText) {
		text = "Successoperation"
	}
	code := casposOK
	status := http.StatusOK
	if out["short_document_id"] != nil { // a Z report has none
		if c.quirks.has(quirkCasposNames) {
			code, text = casposNamesLost, "item names were not stored"
		}
		if c.quirks.has(quirkCaspos500) {
			status = http.StatusInternalServerError
		}
	}
	return c.envelope(status, code, text, out)
}

func (c *caspos) fail(status int, err error) reply {
	p := (*casposProblem)(nil)
	no := (*Refusal)(nil)
	switch {
	case errors.As(err, &p):
	case errors.As(err, &no):
		p = &casposProblem{code: casposReasons[no.Reason], text: no.Text}
		if p.code == "" {
			p.code = casposOther
		}
		if w := casposWords[no.Reason]; w != "" {
			p.text = w
		}
	default:
		p = &casposProblem{code: casposOther, text: err.Error()}
	}
	return c.envelope(status, p.code, p.text, p.data)
}

func (c *caspos) envelope(status int, code, text string, data answer) reply {
	if data == nil {
		data = answer{}
	}
	out := answer{"data": data, "code": code, "message": text}
	if c.quirks.has(quirkCasposNumber) {
		out["code"] = casposNumber(code)
	}
	return reply{status: status, body: encode(out)}
}

// busy: of the codes that mean "wait", this one belongs to a token at work.
func (c *caspos) busy() reply {
	return c.fail(http.StatusOK, &casposProblem{code: casposBusy, text: "the token is busy"})
}

func (c *caspos) refused(code int) reply {
	return c.fail(http.StatusOK, &casposProblem{code: casposDigits(code), text: "refused on demand"})
}

// toLogin starts the session (section 3). The token is kept by the device itself.
func (c *casposCall) toLogin() (answer, error) {
	name, pass := c.root.text("username"), c.root.text("password")
	if c.bad != nil {
		return nil, c.bad
	}
	if c.quirks.has(quirkCasposCredentials) && (name != c.user || pass != c.password) {
		return nil, &casposProblem{code: casposSession, text: "wrong user name or password"}
	}
	c.app.loggedIn, c.app.loggedOut = true, false
	return answer{"access_token": "sim-" + c.v.tok.serial}, nil
}

// toLogout blocks everything until the next login (section 3).
func (c *casposCall) toLogout() (answer, error) {
	c.app.loggedIn, c.app.loggedOut = false, true
	return nil, nil
}
