package api

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"ekassa/cloud/control"
	"ekassa/cloud/fleet"
	"ekassa/cloud/wire"
)

func (a *api) venues(w http.ResponseWriter, r *request) error {
	v, err := a.Control.Venues(r.Context())
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, all(v))
}

func (a *api) addVenue(w http.ResponseWriter, r *request) error {
	var b struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	if err := read(r, &b); err != nil {
		return err
	}
	v, err := a.Control.AddVenue(r.Context(), r.person, b.ID, b.Name)
	if err != nil {
		return err
	}
	return reply(w, http.StatusCreated, v)
}

type moduleBody struct {
	Driver  string    `json:"driver"`
	Enabled bool      `json:"enabled"`
	Since   time.Time `json:"since,omitzero"`
	Fee     string    `json:"monthly_fee"`
}

func (a *api) modulesOf(r *request) (out []moduleBody, err error) {
	list, err := a.Control.Modules(r.Context(), r.PathValue("id"))
	for _, m := range list {
		out = append(out, moduleBody{m.Driver, m.Enabled, m.Since, money(fleet.MonthlyFee)})
	}
	return out, err
}

func (a *api) modules(w http.ResponseWriter, r *request) error {
	list, err := a.modulesOf(r)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, all(list))
}

func (a *api) module(w http.ResponseWriter, r *request) error {
	list, err := a.modulesOf(r)
	if err != nil {
		return err
	}
	n := slices.IndexFunc(list, func(m moduleBody) bool { return m.Driver == r.PathValue("driver") })
	if n < 0 {
		return fleet.ErrNotFound
	}
	return reply(w, http.StatusOK, list[n])
}

func (a *api) switchModule(w http.ResponseWriter, r *request) error {
	var b struct {
		Enabled *bool `json:"enabled"`
	}
	if err := read(r, &b); err != nil {
		return err
	}
	if b.Enabled == nil {
		return &control.Invalid{Faults: []wire.Fault{{Field: "enabled", Code: wire.CodeMissing, Message: "must be there: true or false"}}}
	}
	if err := a.Control.SwitchModule(r.Context(), r.person, r.PathValue("id"), r.PathValue("driver"), *b.Enabled); err != nil {
		return err
	}
	return a.module(w, r)
}

func (a *api) bill(w http.ResponseWriter, r *request) error {
	month, err := fleet.ParseMonth(r.URL.Query().Get("month"))
	if err != nil {
		return &control.Invalid{Faults: []wire.Fault{{Field: "month", Code: wire.CodeValue, Message: "must be a month such as 2026-11"}}}
	}
	bill, err := a.Control.Bill(r.Context(), r.PathValue("id"), month)
	if err != nil {
		return err
	}
	type period struct {
		From string `json:"from"`
		To   string `json:"to"`
	}
	type line struct {
		Module  string   `json:"module"`
		Days    int      `json:"days"`
		Of      int      `json:"of"`
		Periods []period `json:"periods"`
		Amount  string   `json:"amount"`
	}
	out := struct {
		Venue    string `json:"venue"`
		Month    string `json:"month"`
		Currency string `json:"currency"`
		Lines    []line `json:"lines"`
		Total    string `json:"total"`
	}{bill.Venue, bill.Month.Format("2006-01"), "AZN", []line{}, money(bill.Total)}
	for _, l := range bill.Lines {
		x := line{Module: l.Module, Days: l.Days, Of: l.Of, Amount: money(l.Amount)}
		for _, p := range l.Periods {
			x.Periods = append(x.Periods, period{p.From.Format(time.DateOnly), p.To.Format(time.DateOnly)})
		}
		out.Lines = append(out.Lines, x)
	}
	return reply(w, http.StatusOK, out)
}

// money writes qəpik as decimal text.
func money(q int64) string {
	sign := ""
	if q < 0 {
		sign, q = "-", -q
	}
	return fmt.Sprintf("%s%d.%02d", sign, q/100, q%100)
}

func (a *api) enrol(w http.ResponseWriter, r *request) error {
	var b struct {
		Venue string `json:"venue"`
		Agent string `json:"agent"`
	}
	if err := read(r, &b); err != nil {
		return err
	}
	code, until, err := a.Control.Enrol(r.Context(), r.person, b.Venue, b.Agent)
	if err != nil {
		return err
	}
	return reply(w, http.StatusCreated, map[string]any{"code": code, "expires_at": until})
}
