package till

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
	"ekassa/agent/texts"
)

// problemCode is the last part of a problem's type, and the key of its texts.
type problemCode string

const (
	problemInvalid         problemCode = "invalid"
	problemHeader          problemCode = "header"
	problemUnreadable      problemCode = "unreadable"
	problemToken           problemCode = "token"
	problemHost            problemCode = "host"
	problemOrigin          problemCode = "origin"
	problemModuleOff       problemCode = "module_off"
	problemLocalOnly       problemCode = "local_only"
	problemNotFound        problemCode = "not_found"
	problemNoPath          problemCode = "no_path"
	problemUnknownRegister problemCode = "unknown_register"
	problemMethod          problemCode = "method"
	problemConflict        problemCode = "conflict"
	problemMove            problemCode = "move"
	problemTaken           problemCode = "taken"
	problemNoRegister      problemCode = "no_register"
	problemTooLarge        problemCode = "too_large"
	problemMediaType       problemCode = "media_type"
	problemRate            problemCode = "rate"
	problemInternal        problemCode = "internal"
	problemStorage         problemCode = "storage"
	problemNotReady        problemCode = "not_ready"

	problemPIN     problemCode = "pin"
	problemPINWait problemCode = "pin_wait"
	problemRole    problemCode = "role"
	problemPageOff problemCode = "page_off"
	problemNoQR    problemCode = "no_qr"

	problemNoPrinter problemCode = "no_printer"
	problemPrinter   problemCode = "printer"

	problemRegisterState       problemCode = "register_state"
	problemRegisterUnavailable problemCode = "register_unavailable"
	problemRegisterFailed      problemCode = "register_failed"
)

var problemStatus = map[problemCode]int{
	problemInvalid:         http.StatusUnprocessableEntity,
	problemHeader:          http.StatusBadRequest,
	problemUnreadable:      http.StatusBadRequest,
	problemToken:           http.StatusUnauthorized,
	problemHost:            http.StatusForbidden,
	problemOrigin:          http.StatusForbidden,
	problemModuleOff:       http.StatusForbidden,
	problemLocalOnly:       http.StatusForbidden,
	problemNotFound:        http.StatusNotFound,
	problemNoPath:          http.StatusNotFound,
	problemUnknownRegister: http.StatusNotFound,
	problemMethod:          http.StatusMethodNotAllowed,
	problemConflict:        http.StatusConflict,
	problemMove:            http.StatusConflict,
	problemTaken:           http.StatusConflict,
	problemNoRegister:      http.StatusConflict,
	problemTooLarge:        http.StatusRequestEntityTooLarge,
	problemMediaType:       http.StatusUnsupportedMediaType,
	problemRate:            http.StatusTooManyRequests,
	problemInternal:        http.StatusInternalServerError,
	problemStorage:         http.StatusInsufficientStorage,
	problemNotReady:        http.StatusServiceUnavailable,

	problemPIN:     http.StatusUnauthorized,
	problemPINWait: http.StatusTooManyRequests,
	problemRole:    http.StatusForbidden,
	problemPageOff: http.StatusForbidden,
	problemNoQR:    http.StatusNotFound,

	problemNoPrinter: http.StatusConflict,
	problemPrinter:   http.StatusServiceUnavailable,

	problemRegisterState:       http.StatusConflict,
	problemRegisterUnavailable: http.StatusServiceUnavailable,
	problemRegisterFailed:      http.StatusBadGateway,
}

// retryRegister is how long a till should wait for a register that is busy or
// does not answer.
const retryRegister = 5 * time.Second

// problem is what went wrong with a request, before it is put into words.
type problem struct {
	code  problemCode
	field string         // that the one error of this problem is about
	args  texts.Args     // of the detail
	found receipt.Faults // instead of that one error

	fault   *register.Fault // what a register said
	printer string          // what is the matter with the receipt printer
	states  []receipt.State // that would allow it: problemMove
	state   receipt.State   // that does not
	retry   time.Duration   // after which it may go better
	err     error           // for the log
}

func (p *problem) Error() string {
	if p.err != nil {
		return string(p.code) + ": " + p.err.Error()
	}
	return string(p.code)
}

func (p *problem) Unwrap() error { return p.err }

// problemOf says what a till is told of an error.
func problemOf(err error) *problem {
	var p *problem
	var faults receipt.Faults
	var fault *register.Fault
	var printer *PrinterFault
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &faults):
		return &problem{code: problemInvalid, found: faults, err: err}
	case errors.As(err, &fault):
		return registerProblem(fault)
	case errors.As(err, &printer):
		return printerProblem(printer)
	case errors.Is(err, receipt.ErrConflict):
		return &problem{code: problemConflict, field: "id", err: err}
	case errors.Is(err, receipt.ErrTaken):
		return &problem{code: problemTaken, field: "document.fiscal_id", err: err}
	case errors.Is(err, receipt.ErrNotFound):
		return &problem{code: problemNotFound, field: "id", err: err}
	case errors.Is(err, receipt.ErrStorage):
		return &problem{code: problemStorage, err: err}
	case errors.Is(err, register.ErrNoRegister):
		return &problem{code: problemNoRegister, err: err}
	case errors.Is(err, register.ErrUnknownRegister):
		return &problem{code: problemUnknownRegister, field: "id", err: err}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		// Only what is asked of registers has a deadline, and ends when we stop.
		return &problem{code: problemRegisterUnavailable, retry: retryRegister, err: err}
	}
	return &problem{code: problemInternal, err: err}
}

func registerProblem(f *register.Fault) *problem {
	p := &problem{code: problemRegisterFailed, fault: f, err: f}
	switch f.Cause {
	case register.ShiftClosed, register.ShiftOpen, register.ShiftExpired, register.NoCash, register.NoParent:
		p.code = problemRegisterState
	case register.Unreachable, register.Busy, register.Missing:
		p.code, p.retry = problemRegisterUnavailable, retryRegister
	}
	return p
}

// fieldError is one thing that is wrong, as it is sent.
type fieldError struct {
	Field   string `json:"field"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// registerWords are a register's own, verbatim.
type registerWords struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

// problemBody is an RFC 9457 problem document.
type problemBody struct {
	Type     string         `json:"type"`
	Title    string         `json:"title"`
	Status   int            `json:"status"`
	Detail   string         `json:"detail"`
	Errors   []fieldError   `json:"errors"`
	Register *registerWords `json:"register,omitempty"`
}

func (p *problem) body(lang string) problemBody {
	key := "problem." + string(p.code)
	b := problemBody{
		Type: "urn:ekassa:problem:" + string(p.code), Title: texts.Say(lang, key, nil), Status: problemStatus[p.code],
	}
	args := p.args
	if len(p.states) > 0 {
		args = texts.Args{"state": texts.Label(lang, p.state), "detail": labels(lang, p.states)}
	}
	if p.printer != "" {
		args = texts.Args{"detail": texts.Say(lang, "printer."+p.printer, nil)}
	}
	b.Detail = texts.Say(lang, key+".detail", args)
	if p.fault != nil {
		cause := p.fault.Cause
		if cause == register.CauseNone {
			cause = register.Other
		}
		words := join(p.fault.Code, p.fault.Text)
		b.Detail = texts.Cause(lang, cause, words)
		b.Errors = []fieldError{{Field: "", Code: string(cause), Message: b.Detail}}
		if words != "" {
			b.Register = &registerWords{Code: p.fault.Code, Text: p.fault.Text}
		}
		return b
	}
	for _, f := range p.found {
		b.Errors = append(b.Errors, fieldError{Field: f.Field, Code: f.Code, Message: texts.Fault(lang, f)})
	}
	if len(b.Errors) == 0 {
		b.Errors = []fieldError{{Field: p.field, Code: string(p.code), Message: b.Detail}}
	}
	return b
}

func labels(lang string, states []receipt.State) (s string) {
	for _, x := range states {
		if s != "" {
			s += ", "
		}
		s += texts.Label(lang, x) + " (" + string(x) + ")"
	}
	return s
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + " " + b
}

// fail answers with a problem document.
func (a *api) fail(w http.ResponseWriter, r *request, err error) {
	p := problemOf(err)
	note(w, p)
	w.Header().Del("Preference-Applied") // nothing was waited for
	if p.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((p.retry+time.Second-1)/time.Second)))
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Content-Language", r.lang)
	data, err := json.Marshal(p.body(r.lang))
	if err != nil { // only text: cannot fail
		panic(err)
	}
	send(w, problemStatus[p.code], data)
}
