package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// azsmart speaks the AzSmart (SmartOne Cashbox) protocol. "Section" in the
// comments of the azsmart files means a section of the protocol page.
type azsmart struct {
	merchantID string
	classic    bool // editions I and R, else N (section 10)
	quirks     quirks
}

// DefaultMerchantID is that of the official test vector (2.1).
const DefaultMerchantID = "9662a13f5b4f46dbb1751bbbf86ed402"

// Edition is a documentation edition of the AzSmart protocol (the page, sections
// 1 and 10).
type Edition string

const (
	Classic Edition = "classic" // editions I and R
	New     Edition = "new"     // edition N
)

var azsmartMaker = maker{
	title:  "AzSmart",
	device: "AzSmart (SmartOne Cashbox)",
	listen: "127.0.0.1:8008", // section 2
	serial: "SIM-AZSMART-00000001",
	path:   "/",
	owner:  exampleTaxpayer("AZSMART SIMULATOR"),
	quirks: azsmartQuirks,
	speak:  speakAzSmart,
}

func speakAzSmart(cfg *Config, q quirks) (dialect, error) {
	if cfg.MerchantID == "" {
		cfg.MerchantID = DefaultMerchantID
	}
	if cfg.Edition == "" {
		cfg.Edition = New
	}
	if cfg.Edition != Classic && cfg.Edition != New {
		return nil, fmt.Errorf("start the simulator: edition is %q: use classic or new", cfg.Edition)
	}
	if cfg.User != "" || cfg.Password != "" {
		return nil, errors.New("start the simulator: azsmart has no login: leave user and password out")
	}
	return &azsmart{merchantID: cfg.MerchantID, classic: cfg.Edition == Classic, quirks: q}, nil
}

// answer is the JSON object that goes back.
type answer map[string]any

// call is one signed request on its way to an answer.
type call struct {
	*azsmart
	v     *visit
	route string
	f     *fields
}

// problem is an answer with status error.
type problem struct {
	code int
	text string
	with answer // further fields
}

func (p *problem) Error() string { return p.text }

// The codes used here (section 9).
const (
	codeAuth       = 1
	codeBadData    = 2
	codeParameter  = 3
	codeSum        = 4
	codeInternal   = 5
	codeShift      = 6
	codePayment    = 7
	codeNotPaid    = 8
	codeNotFound   = 9
	codeNotFiscal  = 10
	codeChange     = 11
	codeTaxUnknown = 12
	codeOneKind    = 13
	codeDate       = 14
	codeNotPrinted = 15
	codeTaxWrong   = 16
	codeDuplicate  = 17 // not on the page: only under the quirk duplicate-code
	codeNotInSale  = 18
	codeTooMuch    = 19
	codeNoPrepay   = 20
	codeNotPrepaid = 21
	codeShiftOld   = 22
	codeOrders     = 24
	codeEmptyShift = 26
	codeDrawer     = 27
	codeRefunded   = 36
	codeProcessing = 44
)

// reasonCodes are the codes for the token's reasons. Three have no code on the
// page: an advance that is spent counts as not paid, a repayment above the debt as
// a wrong parameter, and a short drawer shares 9 (section 6.5).
var reasonCodes = map[Reason]int{
	ShiftClosed: codeShift, ShiftOpen: codeShift, ShiftUnknown: codeShift, ShiftTooOld: codeShiftOld,
	ShiftEmpty: codeEmptyShift, DrawerNotEmpty: codeDrawer, OrdersOpen: codeOrders, SumMismatch: codeSum,
	NotPaid: codeNotPaid, ChangeNotCash: codeChange, NotFound: codeNotFound, NotInSale: codeNotInSale,
	TooMuch: codeTooMuch, AlreadyUndone: codeNotFiscal, PartlyRefunded: codeRefunded, AdvanceSpent: codeNotPaid,
	NotInAdvance: codeNotPrepaid, AboveDebt: codeParameter, DrawerShort: codeNotFound, Broken: codeInternal,
}

// azRoutes are the routes of section 1. Those marked classic are in no list of
// edition N and answer 404 there; for all others "page not found" is read as "the
// device has it".
var azRoutes = map[string]struct {
	classic bool
	do      func(*call) (answer, error)
}{
	"/sale":          {false, (*call).sale},
	"/refund":        {false, (*call).refund},
	"/prepay":        {false, (*call).prepay},
	"/rollback":      {false, (*call).rollback},
	"/creditpay":     {false, (*call).creditPay},
	"/correction":    {false, (*call).correction},
	"/order":         {false, (*call).order},
	"/preorder":      {false, (*call).preorder},
	"/check_status":  {false, (*call).checkStatus},
	"/check_copy":    {false, (*call).checkCopy},
	"/last_document": {true, (*call).lastDocument},
	"/control_tape":  {true, (*call).controlTape},
	"/check_shift":   {false, (*call).checkShift},
	"/open_shift":    {false, (*call).openShift},
	"/close_shift":   {false, (*call).closeShift},
	"/x_report":      {false, (*call).xReport},
	"/dates_report":  {false, (*call).datesReport},
	"/deposit":       {false, (*call).deposit},
	"/withdraw":      {false, (*call).withdraw},
	"/get_info":      {false, (*call).getInfo},
}

func (a *azsmart) edition() string {
	if a.classic {
		return string(Classic)
	}
	return string(New)
}

// route implements dialect: every operation has a path of its own.
func (a *azsmart) route(r request) string { return r.path }

// restarted implements dialect: a signature needs no memory.
func (a *azsmart) restarted() {}

// answer implements dialect.
func (a *azsmart) answer(v *visit, r request) reply {
	route, ok := azRoutes[r.path]
	if !ok || route.classic && !a.classic {
		return a.fail(http.StatusNotFound, &problem{code: codeParameter, text: "no such route in edition " + a.edition() + ": " + r.path})
	}
	if r.method != http.MethodPost {
		rep := a.fail(http.StatusMethodNotAllowed, &problem{code: codeParameter, text: "only POST is allowed"})
		rep.allow = http.MethodPost
		return rep
	}
	if r.tooLong {
		return a.fail(http.StatusRequestEntityTooLarge, &problem{code: codeBadData, text: "the request is longer than 1 MiB"})
	}
	if !knownContentType(r.contentType) {
		return a.fail(http.StatusUnsupportedMediaType, &problem{code: codeBadData,
			text: "content type must be application/x-www-form-urlencoded, text/plain or application/json"})
	}
	object, bad := a.open(r.body)
	if bad != nil {
		return a.fail(http.StatusOK, bad)
	}
	c := &call{azsmart: a, v: v, route: r.path, f: &fields{m: object, bad: new(*problem), typeCode: a.typeCode()}}
	out, err := route.do(c)
	if err == nil && *c.f.bad != nil {
		err = *c.f.bad
	}
	if err != nil {
		return a.fail(http.StatusOK, err)
	}
	return a.succeed(out)
}

// typeCode is the code for a value of the wrong type. N says that 3 is "missing or
// invalid"; the old editions keep 3 for what is missing, so there the parser
// itself fails (section 9).
func (a *azsmart) typeCode() int {
	if a.classic {
		return codeBadData
	}
	return codeParameter
}

// succeed leaves the code out in classic, as the documented examples do (section 4).
func (a *azsmart) succeed(out answer) reply {
	out["status"] = "success"
	if a.classic && a.quirks.has(quirkWithCode) || !a.classic && !a.quirks.has(quirkWithoutCode) {
		out["code"] = 0
	}
	return reply{status: http.StatusOK, body: encode(out)}
}

func (a *azsmart) fail(status int, err error) reply {
	p := (*problem)(nil)
	no := (*Refusal)(nil)
	switch {
	case errors.As(err, &p):
	case errors.As(err, &no) && no.Reason == Busy:
		p = &problem{code: a.busyCode(), text: no.Text}
	case errors.As(err, &no):
		p = &problem{code: reasonCodes[no.Reason], text: no.Text}
	default:
		p = &problem{code: codeInternal, text: err.Error()}
	}
	out := answer{}
	for k, v := range p.with {
		out[k] = v
	}
	out["status"], out["code"], out["message"] = "error", p.code, p.text
	if status == http.StatusOK && a.quirks.has(quirkHTTP400) {
		status = http.StatusBadRequest
	}
	return reply{status: status, body: encode(out)}
}

func encode(out answer) []byte {
	body, err := json.Marshal(out)
	if err != nil {
		panic(err) // an answer holds nothing that JSON cannot say
	}
	return body
}

// busyCode: only N has a code for it; before, a busy device is an internal error.
func (a *azsmart) busyCode() int {
	if a.classic {
		return codeInternal
	}
	return codeProcessing
}

func (a *azsmart) busy() reply {
	return a.fail(http.StatusOK, &problem{code: a.busyCode(), text: "the device is busy"})
}

func (a *azsmart) refused(code int) reply {
	return a.fail(http.StatusOK, &problem{code: code, text: "refused on demand"})
}
