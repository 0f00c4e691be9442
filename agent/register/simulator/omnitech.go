package simulator

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// omnitech speaks the Omnitech (Omnicashier, API v2) protocol. "Section" in the
// comments of the omnitech files means a section of its page.
type omnitech struct {
	user, password string
	quirks         quirks

	// What the device keeps in memory only, by serial.
	sessions map[string]map[string]time.Time // access token → when it was given out
	misses   map[string]int                  // wrong passwords in a row
	report   map[string]string               // a report that did not come out, as text
	failures map[string][]answer             // rows of the history, under the quirk
	written  map[string]json.RawMessage      // rows of the history, by fiscal id: a document does not change
}

var omnitechMaker = maker{
	title:  "Omnitech",
	device: "Omnitech (Omnicashier, API v2)",
	listen: "127.0.0.1:8989", // section 2
	serial: "SIM-OMNITECH-00000001",
	path:   omniPath,
	owner:  exampleTaxpayer("OMNITECH SIMULATOR"),
	quirks: omnitechQuirks,
	speak:  speakOmnitech,
}

func speakOmnitech(cfg *Config, q quirks) (dialect, error) {
	if err := cfg.noEdition(); err != nil {
		return nil, err
	}
	cfg.login()
	return newOmnitech(cfg.User, cfg.Password, q), nil
}

func newOmnitech(user, password string, q quirks) *omnitech {
	return &omnitech{user: user, password: password, quirks: q, sessions: map[string]map[string]time.Time{},
		misses: map[string]int{}, report: map[string]string{}, failures: map[string][]answer{}, written: map[string]json.RawMessage{}}
}

// omniPath is the one URL for everything. The older API on "/" is not spoken.
const omniPath = "/v2"

// omniTokenLife: the page states none; one client assumes 23 h (section 3).
const omniTokenLife = 23 * time.Hour

// omniTries is how many wrong passwords in a row lock the token (section 3).
const omniTries = 3

// The codes used here (sections 12 and 13).
const (
	omniOK            = 0
	omniLoginOK       = 1 // section 3: not 0
	omniTimeout       = -2
	omniNoDocument    = 231
	omniSchema        = 304
	omniTooLong       = 313
	omniAuth          = 401
	omniPIN           = 404
	omniPINLocked     = 405
	omniDocType       = 501
	omniShift         = 503
	omniShiftOld      = 504
	omniPrev          = 505
	omniCurrency      = 606
	omniDocTotal      = 607
	omniCashier       = 608
	omniItemCode      = 609
	omniNoItems       = 610
	omniItemsTotal    = 611
	omniCodeType      = 612
	omniVATTotal      = 613
	omniLineTotal     = 614
	omniParentLength  = 615
	omniVATPercent    = 616
	omniMarginPrice   = 617
	omniMarginSum     = 618
	omniMarginRatio   = 619
	omniTooManyItems  = 620
	omniNotThere      = 627
	omniParent        = 628
	omniChange        = 629
	omniContract      = 630
	omniNotAllowed    = 632
	omniBackType      = 633
	omniResidue       = 634
	omniName          = 635
	omniBackTotal     = 638
	omniUndone        = 639
	omniParents       = 641
	omniTime          = 642
	omniUTF8          = 916
	omniUnprinted     = 1200 // the wrapper's meaning
	omniOperationID   = 1201
	omniVersion       = 1202
	omniTimestamp     = 1204
	omniNamesUnstored = 1205
	omniCharacter     = 1206
	omniRegistration  = 1250
	omniUnknown       = 1300
	omniParse         = 1301
	omniSyntax        = 1302
	omniDone          = 1312
	omniBusy          = 1412
	omniDatabase      = 1511
	omniCash          = 1512
)

// omniTexts are the words for codes that are refused on demand. Where one number
// has two meanings (section 12) it is the wrapper's.
var omniTexts = map[int]string{
	-1: "unknown error", omniTimeout: "time-out", -10: "operation failed", 99: "restriction error",
	omniAuth: "invalid API key", omniPIN: "wrong PIN", omniPINLocked: "PIN is locked", omniShift: "document: invalid shift status",
	omniShiftOld: "document: invalid shift duration", omniPrev: "document: prev_doc_number does not match",
	omniUndone: "parent document was already rolled back", omniUnprinted: "previous document is still to be printed",
	1210: "external printer error", omniRegistration: "request parse error", omniDone: "document was already refunded or rolled back",
	omniBusy: "another document is queued", omniDatabase: "write to the device database failed",
}

// omniProblem is an answer whose code is not success.
type omniProblem struct {
	code int
	text string
	with answer // further fields
}

func (p *omniProblem) Error() string { return p.text }

// omniReasons are the codes for the token's reasons, but for those that depend on
// the operation (see omniCall.refusal). A repayment above the debt and an advance
// that is spent have no number of their own, so they share 632.
var omniReasons = map[Reason]int{
	ShiftClosed: omniShift, ShiftOpen: omniShift, ShiftUnknown: omniShift, ShiftTooOld: omniShiftOld,
	NotInSale: omniBackTotal, TooMuch: omniBackTotal, AlreadyUndone: omniDone, PartlyRefunded: omniDone,
	AdvanceSpent: omniNotAllowed, AboveDebt: omniNotAllowed, NotInAdvance: omniParent, DrawerShort: omniCash,
	NotFound: omniParent, Busy: omniBusy, Broken: omniDatabase,
}

// omniOperation is one check_type (section 4).
type omniOperation struct {
	route  string // what faults go by: doc_type, or the page's word
	open   bool   // works without an access token
	prints bool   // blocked while something is still to be printed
	do     func(*omniCall) (answer, error)
}

var omniOperations = map[int64]omniOperation{
	40:  {"/login", true, false, (*omniCall).login},
	41:  {"/get_info", false, false, (*omniCall).getInfo},
	14:  {"/shift_status", false, false, (*omniCall).shiftStatus},
	15:  {"/open_shift", false, false, (*omniCall).openShift},
	13:  {"/close_shift", false, true, (*omniCall).closeShift},
	12:  {"/x_report", false, true, (*omniCall).xReport},
	7:   {"/deposit", false, true, (*omniCall).deposit},
	8:   {"/withdraw", false, true, (*omniCall).withdraw},
	1:   {"/sale", false, true, (*omniCall).sale},
	100: {"/money_back", false, true, (*omniCall).moneyBack},
	10:  {"/rollback", false, true, (*omniCall).rollback},
	32:  {"/rollback", false, true, (*omniCall).rollbackWhole},
	31:  {"/creditpay", false, true, (*omniCall).creditPay},
	34:  {"/prepay", false, true, (*omniCall).prepay},
	19:  {"/correction", false, true, (*omniCall).correction},
	11:  {"/copy", false, true, (*omniCall).copy},
	16:  {"/reprint", false, false, (*omniCall).reprint},
	17:  {"/history", false, false, (*omniCall).history},
	18:  {"/statement", false, true, (*omniCall).statement},
	28:  {"/open_drawer", true, false, (*omniCall).drawer}, // shown without a token (section 3)
	29:  {"/close_drawer", true, false, (*omniCall).drawer},
	37:  {"/last_document", false, false, (*omniCall).lastDocument},
}

// omniCall is one request on its way to an answer.
type omniCall struct {
	*omnitech
	v     *visit
	check int64
	ref   string      // int_ref: a label, never a key (section 8)
	body  *omniFields // the whole object
	req   *omniFields // requestData
}

// edition implements dialect: there is one.
func (o *omnitech) edition() string { return "" }

// restarted implements dialect. A PIN that is locked stays so.
func (o *omnitech) restarted() {
	clear(o.sessions)
	clear(o.report)
	clear(o.failures)
}

// route implements dialect: all operations share one path, so they go by name.
func (o *omnitech) route(r request) string {
	object, err := decodeObject(r.body)
	if err != nil || r.path != omniPath {
		return r.path
	}
	data, _ := object["requestData"].(map[string]any)
	check, _ := data["checkData"].(map[string]any)
	number, _ := check["check_type"].(json.Number)
	n, _ := number.Int64() // 0 is no operation
	if op, ok := omniOperations[n]; ok {
		return op.route
	}
	return r.path
}

// answer implements dialect.
func (o *omnitech) answer(v *visit, r request) reply {
	switch {
	case r.path != omniPath:
		return o.fail(http.StatusNotFound, &omniProblem{code: omniUnknown, text: "no such path: " + r.path + ": everything is at " + omniPath})
	case r.method != http.MethodPost:
		rep := o.fail(http.StatusMethodNotAllowed, &omniProblem{code: omniUnknown, text: "only POST is allowed"})
		rep.allow = http.MethodPost
		return rep
	case r.tooLong:
		return o.fail(http.StatusRequestEntityTooLarge, &omniProblem{code: omniParse, text: "the request is longer than 1 MiB"})
	case !omniContentType(r.contentType):
		return o.fail(http.StatusUnsupportedMediaType, &omniProblem{code: omniParse, text: "content type must be application/json;charset=UTF-8"})
	}
	c := &omniCall{omnitech: o, v: v}
	out, err := c.run(r.body)
	if err != nil {
		return o.fail(http.StatusOK, err)
	}
	if _, ok := out["code"]; !ok {
		out["code"] = omniOK
	}
	if _, ok := out["message"]; !ok {
		out["message"] = "Successful operation"
	}
	return reply{status: http.StatusOK, body: encode(out)}
}

// omniContentType: section 2 names one; the charset may be left out, since JSON
// is UTF-8 anyway, but not be another.
func omniContentType(header string) bool {
	t, params, err := mime.ParseMediaType(header)
	charset := params["charset"]
	return err == nil && t == "application/json" && (charset == "" || strings.EqualFold(charset, "utf-8"))
}

func (o *omnitech) fail(status int, err error) reply {
	p, no := (*omniProblem)(nil), (*Refusal)(nil)
	switch {
	case errors.As(err, &p):
	case errors.As(err, &no):
		p = &omniProblem{code: omniReasons[no.Reason], text: no.Text}
	default:
		p = &omniProblem{code: omniDatabase, text: err.Error()}
	}
	out := answer{}
	for k, v := range p.with {
		out[k] = v
	}
	out["code"], out["message"] = p.code, p.text
	if status == http.StatusOK && o.quirks.has(quirkHTTP400) {
		status = http.StatusBadRequest
	}
	return reply{status: status, body: encode(out)}
}

func (o *omnitech) busy() reply { return o.refused(omniBusy) }

func (o *omnitech) refused(code int) reply {
	text := omniTexts[code]
	if text == "" {
		text = "refused on demand"
	}
	return o.fail(http.StatusOK, &omniProblem{code: code, text: text})
}

// run opens the envelope of section 2, checks the session, and does what is asked.
func (c *omniCall) run(body []byte) (answer, error) {
	if err := c.open(body); err != nil {
		return nil, err
	}
	data := c.req.object("checkData", true)
	if data != nil {
		c.check = data.whole("check_type", true)
		data.whole("payment_change", false) // unexplained (section 4)
	}
	if err := c.bad(); err != nil {
		return nil, err
	}
	op, ok := omniOperations[c.check]
	if !ok || c.check == 37 && c.quirks.has(quirkNoLastDocument) {
		return nil, &omniProblem{code: omniUnknown, text: fmt.Sprintf("unknown check_type %d", c.check)}
	}
	token := c.req.text("access_token", false)
	if !op.open && !c.session(token) {
		return nil, &omniProblem{code: omniAuth, text: omniTexts[omniAuth]}
	}
	c.ref = c.intRef()
	c.req.text("pos_status", false) // unexplained (section 4)
	if op.prints && c.unprinted() {
		return nil, &omniProblem{code: omniUnprinted, text: omniTexts[omniUnprinted]}
	}
	out, err := op.do(c)
	if err != nil {
		c.failed(err)
	}
	return out, err
}

// session says whether the access token is alive.
func (c *omniCall) session(token string) bool {
	at, ok := c.sessions[c.v.tok.serial][token]
	return ok && c.v.now().Sub(at) < c.life()
}

func (c *omniCall) life() time.Duration {
	if c.quirks.has(quirkShortSession) {
		return time.Minute
	}
	return omniTokenLife
}

// login is section 3. What a wrong login answers is not documented: an unknown
// name is 401, a wrong password 404, and three of those in a row lock it (405), as
// the page says of the token's PIN.
func (c *omniCall) login() (answer, error) {
	name, password := c.req.text("name", true), c.req.text("password", true)
	if err := c.finish(); err != nil {
		return nil, err
	}
	serial := c.v.tok.serial
	switch {
	case c.misses[serial] >= omniTries:
		return nil, &omniProblem{code: omniPINLocked, text: omniTexts[omniPINLocked]}
	case name != c.user:
		return nil, &omniProblem{code: omniAuth, text: "no such account"}
	case password != c.password:
		c.misses[serial]++
		return nil, &omniProblem{code: omniPIN, text: omniTexts[omniPIN]}
	}
	c.misses[serial] = 0
	live := c.sessions[serial]
	if live == nil || c.quirks.has(quirkLoginKills) {
		live = map[string]time.Time{}
		c.sessions[serial] = live
	}
	for t, at := range live {
		if c.v.now().Sub(at) >= c.life() {
			delete(live, t)
		}
	}
	random := make([]byte, 16)
	_, _ = rand.Read(random) // never fails
	token := base64.StdEncoding.EncodeToString(random)
	live[token] = c.v.now()
	return answer{"access_token": token, "code": omniLoginOK, "message": "login success"}, nil
}

// open reads the envelope.
func (c *omniCall) open(body []byte) error {
	object, err := decodeObject(body)
	if err != nil {
		code := omniSyntax
		if json.Valid(body) {
			code = omniParse // JSON, but no object
		}
		if !utf8.Valid(body) {
			code = omniUTF8
		}
		return &omniProblem{code: code, text: "the request is not a JSON object: " + err.Error()}
	}
	c.body = newOmniFields(object)
	c.req = c.body.object("requestData", true)
	if c.req == nil {
		return &omniProblem{code: omniParse, text: "requestData is missing or no object"}
	}
	if c.quirks.has(quirkKeyOrder) {
		return omniKeyOrder(body)
	}
	return nil
}
