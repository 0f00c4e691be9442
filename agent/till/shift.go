package till

import (
	"bytes"
	"context"
	"net/http"
	"time"

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
		return "", err
	}
	var b struct {
		Cashier string `json:"cashier"`
	}
	if err := decode(data, &b); err != nil {
		return "", err
	}
	return b.Cashier, asError(checkText(nil, "cashier", b.Cashier, false))
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
	who, err := cashier(w, r)
	if err != nil {
		return err
	}
	ctx, cancel := deskContext(r)
	defer cancel()
	report, err := a.Desk.CloseShift(ctx, r.terminal, who)
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

func (r *request) report(x register.Report) register.Report {
	x.OpenedAt = r.local(x.OpenedAt)
	return x
}
