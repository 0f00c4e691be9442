package till

import (
	"bytes"
	"cmp"
	"context"
	"net/http"
	"strconv"
	"time"

	"ekassa/agent/receipt"
	"ekassa/agent/register"
)

// deskTimeout is longer than any register takes for one thing.
const deskTimeout = 3 * time.Minute

// deskContext is for what changes something on a register: it goes on when the
// till hangs up meanwhile, since the register does too.
func deskContext(r *request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.Context()), deskTimeout)
}

// cashier reads the optional body of what is done on a register.
func cashier(w http.ResponseWriter, r *request) (string, error) {
	data, err := body(w, r)
	if err != nil || len(bytes.TrimSpace(data)) == 0 {
		return r.by(""), err
	}
	var b struct {
		Cashier string `json:"cashier"`
	}
	if err := decode(data, &b); err != nil {
		return "", err
	}
	return r.by(b.Cashier), asError(checkText(nil, "cashier", b.Cashier, false))
}

// closing reads the optional body of a close: why, where it does not wait for
// the queue.
func closing(w http.ResponseWriter, r *request) (who, why string, err error) {
	data, err := body(w, r)
	if err != nil || len(bytes.TrimSpace(data)) == 0 {
		return r.by(""), "", err
	}
	var b struct {
		Cashier string `json:"cashier"`
		Why     string `json:"why"`
	}
	if err := decode(data, &b); err != nil {
		return "", "", err
	}
	return r.by(b.Cashier), b.Why, asError(checkText(checkText(nil, "cashier", b.Cashier, false), "why", b.Why, false))
}

func (a *api) getShift(w http.ResponseWriter, r *request) error {
	s, err := a.Desk.Shift(r.Context(), r.terminal)
	if err != nil {
		return err
	}
	return reply(w, r, http.StatusOK, r.shift(s))
}

func (a *api) openShift(w http.ResponseWriter, r *request) error {
	who, err := cashier(w, r)
	if err != nil {
		return err
	}
	ctx, cancel := deskContext(r)
	defer cancel()
	s, err := a.Desk.OpenShift(ctx, r.terminal, who)
	if err != nil {
		return err
	}
	return reply(w, r, http.StatusOK, r.shift(s))
}

func (a *api) closeShift(w http.ResponseWriter, r *request) error {
	who, why, err := closing(w, r)
	if err != nil {
		return err
	}
	ctx, cancel := deskContext(r)
	defer cancel()
	var report register.Report
	if why == "" {
		report, err = a.Desk.CloseShift(ctx, r.terminal, who)
	} else {
		report, err = a.Desk.CloseShiftNow(ctx, r.terminal, who, why)
	}
	if err != nil {
		return err
	}
	return reply(w, r, http.StatusOK, r.report(report))
}

func (a *api) xReport(w http.ResponseWriter, r *request) error {
	if _, err := cashier(w, r); err != nil {
		return err
	}
	report, err := a.Desk.XReport(r.Context(), r.terminal)
	if err != nil {
		return err
	}
	return reply(w, r, http.StatusOK, r.report(report))
}

// periodReport reads the register's own totals of some days.
func (a *api) periodReport(w http.ResponseWriter, r *request) error {
	from, to, err := period(w, r)
	if err != nil {
		return err
	}
	report, err := a.Desk.Period(r.Context(), r.terminal, from, to)
	if err != nil {
		return err
	}
	return reply(w, r, http.StatusOK, r.report(report))
}

// period reads the first and the last day, in the shop's zone.
func period(w http.ResponseWriter, r *request) (from, to time.Time, err error) {
	data, err := body(w, r)
	if err != nil {
		return from, to, err
	}
	var b struct {
		From string `json:"from"`
		To   string `json:"to"`
	}
	if err := decode(data, &b); err != nil {
		return from, to, err
	}
	var faults receipt.Faults
	day := func(field, text string) time.Time {
		t, err := time.ParseInLocation(time.DateOnly, text, r.zone)
		switch {
		case text == "":
			faults = append(faults, receipt.Fault{Field: field, Code: receipt.CodeRequired})
		case err != nil:
			faults = append(faults, receipt.Fault{Field: field, Code: receipt.CodeNotAllowed, Detail: "2026-11-24"})
		}
		return t
	}
	from, to = day("from", b.From), day("to", b.To)
	if len(faults) == 0 && to.Before(from) {
		faults = append(faults, receipt.Fault{Field: "to", Code: receipt.CodePeriodOrder})
	}
	return from, to, asError(faults)
}

type reportsBody struct {
	Reports []reportBody `json:"reports"`
}

type reportBody struct {
	register.Reported
	Raw string `json:"raw,omitempty"` // as the register gave it, where it is asked for
}

// getReports lists the reports that are kept, newest first.
func (a *api) getReports(w http.ResponseWriter, r *request) error {
	var faults receipt.Faults
	kind, limit := cmp.Or(r.URL.Query().Get("kind"), "z"), 20
	if kind != "x" && kind != "z" {
		faults = append(faults, receipt.Fault{Field: "kind", Code: receipt.CodeNotAllowed, Detail: "x z"})
	}
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 100 {
			faults = append(faults, receipt.Fault{Field: "limit", Code: receipt.CodeNotAllowed, Detail: "1 … 100"})
		}
		limit = n
	}
	raw := r.URL.Query().Get("raw")
	if raw != "" && raw != "true" && raw != "false" {
		faults = append(faults, receipt.Fault{Field: "raw", Code: receipt.CodeNotAllowed, Detail: "true false"})
	}
	if len(faults) > 0 {
		return faults
	}
	list, err := a.Desk.Reports(r.terminal, kind, limit)
	if err != nil {
		return err
	}
	b := reportsBody{Reports: []reportBody{}}
	for _, x := range list {
		line := reportBody{Reported: x}
		line.Report, line.At = r.report(x.Report), r.local(x.At)
		if raw == "true" {
			line.Raw = string(x.Report.Raw)
		}
		b.Reports = append(b.Reports, line)
	}
	return reply(w, r, http.StatusOK, b)
}

func (r *request) report(x register.Report) register.Report {
	x.OpenedAt = r.local(x.OpenedAt)
	if x.Balance != nil {
		b := *x.Balance
		b.Journal.OpenedAt, x.Balance = r.local(b.Journal.OpenedAt), &b
		if b.Tills != nil {
			tills := *b.Tills
			tills.OpenedAt, b.Tills = r.local(tills.OpenedAt), &tills
		}
	}
	return x
}
