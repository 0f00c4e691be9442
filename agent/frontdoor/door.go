package frontdoor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// Journal keeps the receipts. Any method may fail with receipt.ErrStorage;
// those of one receipt with receipt.ErrNotFound.
type Journal interface {
	// Accept stores the receipt and returns only after the commit is on disk.
	// Where the same one was here before, isNew is false and its present state
	// is given. Errors: receipt.ErrConflict, receipt.Faults, receipt.ErrStorage.
	Accept(terminal, register string, r receipt.Receipt, f receipt.Fingerprint) (s receipt.Stored, isNew bool, err error)
	Get(terminal, id string) (receipt.Stored, error)
	// ByFiscalID finds a receipt by its document.
	ByFiscalID(terminal, fiscalID string) (receipt.Stored, error)
	// List gives receipts newest first.
	List(f receipt.Filter) ([]receipt.Stored, error)
	// Withdraw fails with receipt.ErrMove where the state does not allow it.
	Withdraw(terminal, id, who, why string) (receipt.Stored, error)
	// Watch gives a pulse after changes, several in one. stop ends it.
	Watch(terminal, id string) (changed <-chan struct{}, stop func())
}

// Desk is what a till may ask of its active register. Errors are a
// *register.Fault or register.ErrNoRegister.
type Desk interface {
	Active(terminal string) (register string, ok bool)
	// Registers tells of those bound to the terminal, and asks none of them.
	Registers(terminal string) []register.Status
	// Check asks one of them anew, and Shift the active one; a register that is
	// known to be failing gives Shift the error of before.
	Check(ctx context.Context, terminal, register string) (register.Status, error)
	Shift(ctx context.Context, terminal string) (register.Shift, error)
	OpenShift(ctx context.Context, terminal, who string) (register.Shift, error)
	CloseShift(ctx context.Context, terminal, who string) (register.Report, error)
	XReport(ctx context.Context, terminal string) (register.Report, error)
	// Period reads the totals of some days, first and last included.
	Period(ctx context.Context, terminal string, from, to time.Time) (register.Report, error)
	// Reprint prints a copy of a fiscal receipt's document.
	Reprint(ctx context.Context, terminal, id string) error
}

// Shop is what the settings in force say.
type Shop struct {
	MerchantID string // of the till's active register; empty: it has none
	Enabled    bool   // the fiscal module
	Tax        receipt.Tax
	Zone       *time.Location
	Language   string
}

// String leaves the secret out.
func (s Shop) String() string { return "shop" }

// GoString leaves the secret out.
func (s Shop) GoString() string { return s.String() }

// Config is all that a door stands on. Everything is required.
type Config struct {
	Terminal string // whose till calls here
	Journal  Journal
	Desk     Desk
	Shop     func() Shop
	Log      *slog.Logger
}

// Limits of one request. A register names none (section 12); 201 lines of long
// names take a fifth of the body.
const (
	maxBody     = 512 << 10
	readWithin  = 15 * time.Second
	writeWithin = 15 * time.Second
)

// Waits. Public clients give a document 100 or 120 s.
const (
	documentWait = 60 * time.Second // for a document; then it is told as not closed yet
	blockedWait  = 5 * time.Second  // where a person has to act: the register's loop tries once meanwhile
	questionWait = 5 * time.Second  // for the register's own view of its shift
	deskWait     = 3 * time.Minute  // longer than any register takes for one thing
)

type door struct {
	Config
	unsigned throttle
	pace     pace
}

// AzSmart gives a handler that answers like an AzSmart register.
func AzSmart(c Config) http.Handler { return &door{Config: c} }

// answer is the JSON object of one.
type answer map[string]any

// refusal is an answer with status error. Nothing was made, and nothing will be.
type refusal struct {
	code int
	text string
}

func (r *refusal) Error() string { return fmt.Sprintf("%d %s", r.code, r.text) }

func refuse(code int, format string, args ...any) *refusal {
	return &refusal{code, fmt.Sprintf(format, args...)}
}

// The codes (section 9).
const (
	codeSigned     = 1
	codeJSON       = 2
	codeParameter  = 3 // missing or invalid
	codeSum        = 4
	codeInternal   = 5
	codeShift      = 6 // not open; of open_shift: open already
	codePayment    = 7
	codeUnpaid     = 8
	codeNotFound   = 9
	codeNotFiscal  = 10
	codeChange     = 11 // only cash gives any
	codeTax        = 12
	codeOnePayment = 13
	codeDate       = 14
	codePrinter    = 15
	codeNoPrepay   = 20
	codeShiftOld   = 22
)

// routes are those that are answered; /order, /preorder and /control_tape are
// not passed on.
var routes = map[string]func(*call) (answer, error){
	"/sale":          (*call).sale,
	"/refund":        (*call).refund,
	"/prepay":        (*call).prepay,
	"/creditpay":     (*call).creditPay,
	"/rollback":      (*call).rollback,
	"/correction":    (*call).correction,
	"/deposit":       (*call).deposit,
	"/withdraw":      (*call).withdraw,
	"/check_status":  (*call).checkStatus,
	"/check_copy":    (*call).checkCopy,
	"/last_document": (*call).lastDocument,
	"/check_shift":   (*call).checkShift,
	"/open_shift":    (*call).openShift,
	"/close_shift":   (*call).closeShift,
	"/x_report":      (*call).xReport,
	"/dates_report":  (*call).datesReport,
	"/get_info":      (*call).getInfo,
}

// call is one signed request.
type call struct {
	*door
	ctx  context.Context
	shop Shop
	f    *fields
}

// ServeHTTP answers one request. The HTTP status is 200 for whatever the
// protocol has an answer to, as existing clients want it (section 4).
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	do, known := routes[r.URL.Path]
	switch {
	case !known:
		reply(w, http.StatusNotFound, failed(refuse(codeParameter, "no such route here")))
		return
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		reply(w, http.StatusMethodNotAllowed, failed(refuse(codeParameter, "only POST is allowed")))
		return
	}
	if d.pace.wait(r.Context()) != nil { // the till is gone
		return
	}
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(readWithin))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	_ = connection.SetReadDeadline(time.Time{}) // it would end the wait below
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		reply(w, http.StatusRequestEntityTooLarge, failed(refuse(codeJSON, "the request is longer than %d bytes", maxBody)))
		return
	case err != nil: // the till is gone, or too slow
		reply(w, http.StatusBadRequest, failed(refuse(codeJSON, "the request did not arrive whole")))
		return
	}
	out, err := d.serve(r.Context(), body, do)
	if err != nil {
		out = d.fail(r, err)
	} else {
		out["status"], out["code"] = "success", 0
	}
	reply(w, http.StatusOK, out)
}

func (d *door) serve(ctx context.Context, body []byte, do func(*call) (answer, error)) (answer, error) {
	c := &call{door: d, ctx: ctx, shop: d.Shop()}
	if c.shop.MerchantID == "" {
		return nil, refuse(codeInternal, "no active register with a Merchant ID is bound to this till; nothing was stored")
	}
	var err error
	if c.f, err = open(body, c.shop.MerchantID); err != nil {
		return nil, err
	}
	return do(c)
}

// fail makes an answer of an error, and logs it: its code and kind, and nothing
// of what the request held.
func (d *door) fail(r *http.Request, err error) answer {
	var no *refusal
	if !errors.As(err, &no) {
		no = refuse(codeInternal, "internal error")
		d.Log.Warn("front door failed", "terminal", d.Terminal, "route", r.URL.Path, "error", err)
		return failed(no)
	}
	if no.code != codeSigned {
		d.Log.Info("front door refused", "terminal", d.Terminal, "route", r.URL.Path, "code", no.code)
	} else if n, due := d.unsigned.note(time.Now()); due {
		d.Log.Warn("front door: wrong signature; the till signs with another Merchant ID than the register's of the settings",
			"terminal", d.Terminal, "remote", r.RemoteAddr, "times", n)
	}
	return failed(no)
}

func failed(r *refusal) answer {
	return answer{"status": "error", "code": r.code, "message": r.text}
}

// reply writes an answer. Where that fails the till is gone; it will ask again.
func reply(w http.ResponseWriter, status int, a answer) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(a); err != nil { // only plain values: cannot fail
		panic(err)
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeWithin))
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", fmt.Sprint(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// throttle lets one line in a minute into the log.
type throttle struct {
	mu   sync.Mutex
	last time.Time
	n    int
}

func (t *throttle) note(now time.Time) (n int, due bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
	if !t.last.IsZero() && now.Sub(t.last) < time.Minute {
		return 0, false
	}
	n, t.n, t.last = t.n, 0, now
	return n, true
}
