package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ekassa/cloud/control"
	"ekassa/cloud/fleet"
	"ekassa/cloud/store"
	"ekassa/cloud/wire"
)

func (x *console) routes(mux *http.ServeMux) {
	for path, show := range map[string]page{
		"/{$}": x.overview, "/agents/{id}": x.agent, "/venues": x.venues, "/venues/{id}": x.venue, "/reports": x.reports,
		"/alerts": x.alerts, "/rollouts": x.rollouts, "/rollouts/{id}": x.rollout, "/users": x.users, "/webhooks": x.webhooks, "/acts": x.acts,
	} {
		mux.Handle("GET "+path, x.serve(show, nil, false))
	}
	for path, do := range map[string]struct {
		act
		page        // shown where the act fails, or has something to show once
		at   string // the page's own path
	}{
		"/agents/{id}/settings":    {x.putSettings, x.agent, "/agents/{id}"},
		"/agents/{id}/commands":    {x.command, x.agent, "/agents/{id}"},
		"/agents/{id}/revoke":      {x.revoke, x.agent, "/agents/{id}"},
		"/venues":                  {x.addVenue, x.venues, "/venues"},
		"/venues/{id}/modules":     {x.switchModule, x.venue, "/venues/{id}"},
		"/venues/{id}/enrol":       {x.enrol, x.venue, "/venues/{id}"},
		"/alerts/{id}/acknowledge": {x.acknowledge, x.alerts, "/alerts"},
		"/rollouts":                {x.startRollout, x.rollouts, "/rollouts"},
		"/rollouts/{id}/state":     {x.steerRollout, x.rollout, "/rollouts/{id}"},
		"/users":                   {x.addUser, x.users, "/users"},
		"/users/{name}":            {x.changeUser, x.users, "/users"},
		"/password":                {x.newPassword, x.users, "/users"},
		"/webhooks":                {x.addWebhook, x.webhooks, "/webhooks"},
		"/webhooks/{id}/delete":    {x.deleteWebhook, x.webhooks, "/webhooks"},
	} {
		mux.Handle("POST "+path, x.serve(func(r *request) (string, any, error) {
			r.view.Path = strings.ReplaceAll(do.at, "{id}", r.PathValue("id"))
			r.view.Here = r.view.Path
			return do.page(r)
		}, do.act, false))
	}
}

// once is a secret that is shown in the answer to the act that made it, and never again.
type once struct {
	What, Secret, More string
	Until              time.Time
}

func number(r *request) (int64, error) {
	n, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, fleet.ErrNotFound
	}
	return n, nil
}

// --- the fleet and one agent

// again is how often the list of agents is loaded anew, in seconds: it is left open
// on a screen, and has no form in which somebody could be typing.
const again = 60

func (x *console) overview(r *request) (string, any, error) {
	agents, err := x.Control.Agents(r.Context(), store.Filter{})
	if err != nil {
		return "", nil, err
	}
	alerts, err := x.Control.Alerts(r.Context(), store.Filter{Open: true, Limit: 200})
	if err != nil {
		return "", nil, err
	}
	online, waiting := 0, 0
	of := map[string]int{}
	for _, a := range alerts {
		of[a.Agent]++
	}
	for _, a := range agents {
		if a.Online {
			online++
		}
		if a.Health != nil {
			waiting += a.Health.Waiting
		}
	}
	r.view.Again = again
	return "overview", map[string]any{"Agents": agents, "Alerts": len(alerts), "AlertsOf": of, "Online": online, "Waiting": waiting}, nil
}

func (x *console) agent(r *request) (string, any, error) {
	ctx, id := r.Context(), r.PathValue("id")
	a, err := x.Control.Agent(ctx, id)
	if err != nil {
		return "", nil, err
	}
	now, err := x.Control.Settings(ctx, id, 0)
	if err != nil {
		return "", nil, err
	}
	versions, err := x.Control.Versions(ctx, id)
	if err != nil {
		return "", nil, err
	}
	type version struct {
		control.Version
		Changes []fleet.Change
	}
	var history []version
	for n, v := range versions {
		if n == 10 {
			break
		}
		from := int64(0)
		if n+1 < len(versions) {
			from = versions[n+1].Rev
		}
		changes, err := x.Control.Diff(ctx, id, from, v.Rev)
		if err != nil {
			return "", nil, err
		}
		history = append(history, version{v, changes})
	}
	commands, err := x.Control.CommandsOf(ctx, id, 10)
	if err != nil {
		return "", nil, err
	}
	receipts, err := x.Control.Receipts(ctx, id, store.Filter{State: r.URL.Query().Get("state"), Limit: 50})
	if err != nil {
		return "", nil, err
	}
	alerts, err := x.Control.Alerts(ctx, store.Filter{Agent: id, Open: true, Limit: 50})
	if err != nil {
		return "", nil, err
	}
	text, err := json.MarshalIndent(now.Settings, "", "  ")
	if err != nil {
		return "", nil, err
	}
	return "agent", map[string]any{
		"Agent": a, "Settings": string(text), "History": history, "Commands": commands, "Names": control.CommandNames(), "Receipts": receipts, "Alerts": alerts,
		"States": []string{"", "waiting", "checking", "held", "refused", "fiscal", "non_fiscal", "withdrawn"}, "State": r.URL.Query().Get("state"),
	}, nil
}

func (x *console) putSettings(r *request) (string, error) {
	id := r.PathValue("id")
	seen, err := strconv.ParseInt(r.PostFormValue("rev"), 10, 64)
	if err != nil {
		return "", fleet.ErrStale
	}
	if _, err := x.Control.PutSettings(r.Context(), *r.view.Person, id, seen, []byte(r.PostFormValue("settings"))); err != nil {
		return "", err
	}
	return "/agents/" + id + "#settings", nil
}

func (x *console) command(r *request) (string, error) {
	id, arguments := r.PathValue("id"), json.RawMessage(strings.TrimSpace(r.PostFormValue("arguments")))
	if len(arguments) == 0 {
		arguments = nil
	}
	if _, err := x.Control.Command(r.Context(), *r.view.Person, id, r.PostFormValue("name"), arguments, 0); err != nil {
		return "", err
	}
	return "/agents/" + id + "#commands", nil
}

func (x *console) revoke(r *request) (string, error) {
	id := r.PathValue("id")
	if r.PostFormValue("sure") != id {
		return "", &control.Invalid{Faults: []wire.Fault{{Field: "sure", Code: wire.CodeValue, Detail: id, Message: "must be the agent's id, " + id}}}
	}
	return "/agents/" + id, x.Control.Revoke(r.Context(), *r.view.Person, id)
}

// --- venues

func (x *console) venues(r *request) (string, any, error) {
	list, err := x.Control.Venues(r.Context())
	return "venues", map[string]any{"Venues": list}, err
}

func (x *console) addVenue(r *request) (string, error) {
	v, err := x.Control.AddVenue(r.Context(), *r.view.Person, r.PostFormValue("id"), r.PostFormValue("name"))
	return "/venues/" + v.ID, err
}

func (x *console) venue(r *request) (string, any, error) {
	ctx, id := r.Context(), r.PathValue("id")
	v, err := x.Control.Venue(ctx, id)
	if err != nil {
		return "", nil, err
	}
	modules, err := x.Control.Modules(ctx, id)
	if err != nil {
		return "", nil, err
	}
	month := fleet.Month(time.Now().In(control.Zone))
	if text := r.URL.Query().Get("month"); text != "" {
		if month, err = fleet.ParseMonth(text); err != nil {
			return "", nil, fleet.ErrNotFound
		}
	}
	bill, err := x.Control.Bill(ctx, id, month)
	if err != nil {
		return "", nil, err
	}
	agents, err := x.Control.Agents(ctx, store.Filter{Venue: id})
	return "venue", map[string]any{
		"Venue": v, "Modules": modules, "Bill": bill, "Month": month.Format("2006-01"), "Before": month.AddDate(0, -1, 0).Format("2006-01"),
		"Agents": agents,
	}, err
}

func (x *console) switchModule(r *request) (string, error) {
	id := r.PathValue("id")
	return "/venues/" + id, x.Control.SwitchModule(r.Context(), *r.view.Person, id, r.PostFormValue("driver"), r.PostFormValue("enabled") == "true")
}

func (x *console) enrol(r *request) (string, error) {
	agent := r.PostFormValue("agent")
	code, until, err := x.Control.Enrol(r.Context(), *r.view.Person, r.PathValue("id"), agent)
	if err == nil {
		r.view.Given = &once{What: agent, Secret: code, Until: until}
	}
	return "", err
}

// --- reports and alerts

// bar is one day of the chart.
type bar struct {
	store.Day
	X, Y, Height int
}

func (x *console) reports(r *request) (string, any, error) {
	f := store.Filter{Venue: r.URL.Query().Get("venue"), Agent: r.URL.Query().Get("agent"), Limit: 60}
	list, err := x.Control.ShiftReports(r.Context(), f)
	if err != nil {
		return "", nil, err
	}
	type row struct {
		fleet.ShiftReport
		Totals wire.Totals
	}
	var rows []row
	for _, s := range list {
		var t wire.Totals
		figures := s.Report
		if s.Missing != "" {
			figures = s.Journal // all that is known
		}
		if len(figures) > 0 {
			if err := json.Unmarshal(figures, &t); err != nil { // it stands there as the agent sent it
				t = wire.Totals{}
			}
		}
		rows = append(rows, row{s, t})
	}
	now := time.Now().In(control.Zone)
	f.From, f.To = time.Date(now.Year(), now.Month(), now.Day()-29, 0, 0, 0, 0, control.Zone), now.AddDate(0, 0, 1)
	days, err := x.Control.Totals(r.Context(), f, control.Zone)
	if err != nil {
		return "", nil, err
	}
	venues, err := x.Control.Venues(r.Context())
	return "reports", map[string]any{"Rows": rows, "Bars": bars(days), "Venues": venues, "Venue": f.Venue}, err
}

// bars are at most 120 high and stand 20 apart.
func bars(days []store.Day) (list []bar) {
	most := int64(1)
	for _, d := range days {
		most = max(most, d.Sum)
	}
	for n, d := range days {
		height := int(max(0, d.Sum) * 120 / most)
		list = append(list, bar{Day: d, X: n * 20, Y: 120 - height, Height: height})
	}
	return list
}

func (x *console) alerts(r *request) (string, any, error) {
	all := r.URL.Query().Get("all") == "true"
	list, err := x.Control.Alerts(r.Context(), store.Filter{Open: !all, Limit: 200})
	return "alerts", map[string]any{"Alerts": list, "All": all}, err
}

func (x *console) acknowledge(r *request) (string, error) {
	id, err := number(r)
	if err != nil {
		return "", err
	}
	return "/alerts", x.Control.Acknowledge(r.Context(), *r.view.Person, id)
}

// --- rollouts

func (x *console) rollouts(r *request) (string, any, error) {
	list, err := x.Control.Rollouts(r.Context())
	if err != nil {
		return "", nil, err
	}
	releases, err := x.Control.ReleasesHere()
	if err != nil {
		return "", nil, err
	}
	venues, err := x.Control.Venues(r.Context())
	return "rollouts", map[string]any{"Rollouts": list, "Venues": venues, "Releases": releases}, err
}

func (x *console) startRollout(r *request) (string, error) {
	agents, err := x.Control.Group(r.Context(), store.Filter{Venue: r.PostFormValue("venue")})
	if err != nil {
		return "", err
	}
	atOnce, err := strconv.Atoi(r.PostFormValue("at_once"))
	if err != nil {
		atOnce = 0 // which control refuses, with the field's name
	}
	failed, err := strconv.Atoi(r.PostFormValue("max_failed"))
	if err != nil {
		failed = -1
	}
	if version := r.PostFormValue("release"); version != "" {
		o, err := x.Control.StartRelease(r.Context(), *r.view.Person, agents, version, atOnce, failed)
		return "/rollouts/" + o.ID, err
	}
	o, err := x.Control.StartRollout(r.Context(), *r.view.Person, agents, json.RawMessage(r.PostFormValue("change")), atOnce, failed)
	return "/rollouts/" + o.ID, err
}

func (x *console) rollout(r *request) (string, any, error) {
	o, err := x.Control.Rollout(r.Context(), r.PathValue("id"))
	return "rollout", map[string]any{"Rollout": o}, err
}

func (x *console) steerRollout(r *request) (string, error) {
	id := r.PathValue("id")
	_, err := x.Control.SteerRollout(r.Context(), *r.view.Person, id, fleet.RolloutState(r.PostFormValue("state")))
	return "/rollouts/" + id, err
}

// --- people, webhooks, the audit log

func (x *console) users(r *request) (string, any, error) {
	list, err := x.Control.Users(r.Context(), *r.view.Person)
	if errors.Is(err, control.ErrForbidden) {
		list, err = nil, nil // everybody may change the own password here
	}
	return "users", map[string]any{"Users": list, "Roles": []fleet.Role{fleet.Viewer, fleet.Operator, fleet.Admin}}, err
}

func (x *console) addUser(r *request) (string, error) {
	name := r.PostFormValue("name")
	password, token, err := x.Control.AddUser(r.Context(), *r.view.Person, name, fleet.Role(r.PostFormValue("role")))
	if err == nil {
		r.view.Given = &once{What: name, Secret: password, More: token}
	}
	return "", err
}

func (x *console) changeUser(r *request) (string, error) {
	_, err := x.Control.ChangeUser(r.Context(), *r.view.Person, r.PathValue("name"), fleet.Role(r.PostFormValue("role")), r.PostFormValue("disabled") == "true")
	return "/users", err
}

func (x *console) newPassword(r *request) (string, error) {
	return "/users", x.Control.NewPassword(r.Context(), *r.view.Person, r.PostFormValue("old"), r.PostFormValue("new"))
}

func (x *console) webhooks(r *request) (string, any, error) {
	list, err := x.Control.Webhooks(r.Context(), *r.view.Person)
	return "webhooks", map[string]any{"Webhooks": list}, err
}

func (x *console) addWebhook(r *request) (string, error) {
	hook, secret, err := x.Control.AddWebhook(r.Context(), *r.view.Person, r.PostFormValue("url"))
	if err == nil {
		r.view.Given = &once{What: hook.URL, Secret: secret}
	}
	return "", err
}

func (x *console) deleteWebhook(r *request) (string, error) {
	id, err := number(r)
	if err != nil {
		return "", err
	}
	return "/webhooks", x.Control.DeleteWebhook(r.Context(), *r.view.Person, id)
}

func (x *console) acts(r *request) (string, any, error) {
	list, err := x.Control.Acts(r.Context(), *r.view.Person, store.Filter{Limit: 200})
	return "acts", map[string]any{"Acts": list}, err
}
