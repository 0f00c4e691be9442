package api

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"ekassa/cloud/control"
	"ekassa/cloud/fleet"
	"ekassa/cloud/store"
	"ekassa/cloud/wire"
)

type list[T any] struct {
	Items []T   `json:"items"`
	Next  int64 `json:"next,omitempty"` // "before" of the next page; left out: there is none
}

// page gives the list, and where it goes on if it may.
func page[T any](items []T, limit int, number func(T) int64) list[T] {
	l := list[T]{Items: items}
	if l.Items == nil {
		l.Items = []T{}
	}
	if len(items) == limit {
		l.Next = number(items[len(items)-1])
	}
	return l
}

func all[T any](items []T) list[T] { return page(items, -1, nil) }

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

// agentBody is contract.md 6's, with more.
type agentBody struct {
	ID       string                `json:"id"`
	Venue    string                `json:"venue"`
	Enrolled time.Time             `json:"enrolled_at,omitzero"`
	Revoked  bool                  `json:"revoked"`
	Online   bool                  `json:"online"`
	Since    time.Time             `json:"since,omitzero"`
	Version  string                `json:"version"`
	Program  *wire.ProgramReport   `json:"program,omitempty"`
	Settings settingsState         `json:"settings"`
	Shops    []wire.RegisterHealth `json:"registers"`
	Queue    queueBody             `json:"queue"`
	Health   *wire.Health          `json:"health,omitempty"`
	HealthAt time.Time             `json:"health_at,omitzero"`
}

type settingsState struct {
	Desired  int64        `json:"desired"`
	Reported int64        `json:"reported"`
	State    *string      `json:"state"`
	Reason   *string      `json:"reason"`
	Faults   []wire.Fault `json:"faults,omitempty"`
}

type queueBody struct {
	Waiting       int   `json:"waiting"`
	OldestSeconds int64 `json:"oldest_seconds"`
}

func agentOf(x fleet.Agent) agentBody {
	b := agentBody{
		ID: x.ID, Venue: x.Venue, Enrolled: x.EnrolledAt, Revoked: x.Revoked, Online: x.Online, Since: x.Since, Version: x.Version, Program: x.Reported.Program,
		Settings: settingsState{Desired: x.Desired, Reported: x.Reported.Rev}, Shops: []wire.RegisterHealth{}, Health: x.Health, HealthAt: x.HealthAt,
	}
	if s := x.State(); s != "" {
		b.Settings.State = &s
		if s != fleet.StatePending {
			b.Settings.Faults = x.Reported.Faults
			if x.Reported.Reason != "" {
				b.Settings.Reason = &x.Reported.Reason
			}
		}
	}
	if h := x.Health; h != nil {
		b.Queue = queueBody{h.Waiting, h.OldestSeconds}
		if h.Registers != nil {
			b.Shops = h.Registers
		}
	}
	return b
}

func (a *api) agents(w http.ResponseWriter, r *request) error {
	found, err := a.Control.Agents(r.Context(), store.Filter{Venue: r.URL.Query().Get("venue")})
	if err != nil {
		return err
	}
	out := make([]agentBody, 0, len(found))
	for _, x := range found {
		b := agentOf(x)
		b.Health = nil // the long form is the single agent's
		out = append(out, b)
	}
	return reply(w, http.StatusOK, all(out))
}

func (a *api) agent(w http.ResponseWriter, r *request) error {
	x, err := a.Control.Agent(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, agentOf(x))
}

func (a *api) revoke(w http.ResponseWriter, r *request) error {
	if err := a.Control.Revoke(r.Context(), r.person, r.PathValue("id")); err != nil {
		return err
	}
	return a.agent(w, r)
}

// etag of a version.
func etag(rev int64) string { return `"` + strconv.FormatInt(rev, 10) + `"` }

func (a *api) settings(w http.ResponseWriter, r *request) error {
	q := &query{r: r}
	rev := q.number("rev", 0, 1<<62, 0)
	if err := q.err(); err != nil {
		return err
	}
	v, err := a.Control.Settings(r.Context(), r.PathValue("id"), rev)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", etag(v.Rev))
	return reply(w, http.StatusOK, v.Settings)
}

func (a *api) putSettings(w http.ResponseWriter, r *request) error {
	match := r.Header.Get("If-Match")
	if match == "" {
		return &problem{status: http.StatusPreconditionRequired, code: "if_match", detail: `send If-Match with the ETag that was read, such as "3"; "0" where none was ever pushed`}
	}
	seen, err := strconv.ParseInt(strings.Trim(strings.TrimPrefix(match, "W/"), `"`), 10, 64)
	if err != nil || seen < 0 {
		return fleet.ErrStale // no version has such a tag
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return unreadable(err)
	}
	v, err := a.Control.PutSettings(r.Context(), r.person, r.PathValue("id"), seen, data)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", etag(v.Rev))
	return reply(w, http.StatusOK, v.Settings)
}

func (a *api) versions(w http.ResponseWriter, r *request) error {
	found, err := a.Control.Versions(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	type version struct {
		Rev int64     `json:"rev"`
		By  string    `json:"by"`
		At  time.Time `json:"at"`
	}
	out := []version{}
	for _, v := range found {
		out = append(out, version{v.Rev, v.By, v.At})
	}
	return reply(w, http.StatusOK, all(out))
}

func (a *api) diff(w http.ResponseWriter, r *request) error {
	q := &query{r: r}
	from, to := q.number("from", 0, 1<<62, 0), q.number("to", 1, 1<<62, 0)
	if to == 0 {
		q.bad("to", "must be there: the later rev")
	}
	if err := q.err(); err != nil {
		return err
	}
	changes, err := a.Control.Diff(r.Context(), r.PathValue("id"), from, to)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, all(changes))
}

type commandBody struct {
	ID         string             `json:"id"`
	Agent      string             `json:"agent"`
	Name       string             `json:"name"`
	Arguments  json.RawMessage    `json:"arguments,omitempty"`
	State      fleet.CommandState `json:"state"`
	Result     json.RawMessage    `json:"result,omitempty"`
	Error      string             `json:"error,omitempty"`
	By         string             `json:"by"`
	CreatedAt  time.Time          `json:"created_at"`
	ExpiresAt  time.Time          `json:"expires_at"`
	AnsweredAt time.Time          `json:"answered_at,omitzero"`
}

func (a *api) commands(w http.ResponseWriter, r *request) error {
	found, err := a.Control.CommandsOf(r.Context(), r.PathValue("id"), 100)
	if err != nil {
		return err
	}
	out := []commandBody{}
	for _, x := range found {
		out = append(out, commandBody(x))
	}
	return reply(w, http.StatusOK, all(out))
}

func (a *api) addCommand(w http.ResponseWriter, r *request) error {
	var b struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
		TTL       int64           `json:"ttl_seconds"`
	}
	if err := read(r, &b); err != nil {
		return err
	}
	if b.TTL < 0 || b.TTL > 1<<31 {
		b.TTL = 1 << 31 // refused by name
	}
	x, err := a.Control.Command(r.Context(), r.person, r.PathValue("id"), b.Name, b.Arguments, time.Duration(b.TTL)*time.Second)
	if err != nil {
		return err
	}
	return reply(w, http.StatusCreated, commandBody(x))
}

func (a *api) command(w http.ResponseWriter, r *request) error {
	x, err := a.Control.CommandOf(r.Context(), r.PathValue("id"), r.PathValue("cid"))
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, commandBody(x))
}

// filter reads what lists have in common.
func (q *query) filter() store.Filter {
	v := q.r.URL.Query()
	return store.Filter{
		Agent: v.Get("agent"), Venue: v.Get("venue"), State: v.Get("state"), From: q.moment("from"), To: q.moment("to"),
		Before: q.number("before", 1, 1<<62, 0), Limit: int(q.number("limit", 1, 1000, 100)),
	}
}

type receiptBody struct {
	Agent     string    `json:"agent"`
	ChangedAt time.Time `json:"changed_at"`
	wire.Receipt
}

func (a *api) receipts(w http.ResponseWriter, r *request) error {
	q := &query{r: r}
	f := q.filter()
	if err := q.err(); err != nil {
		return err
	}
	found, err := a.Control.Receipts(r.Context(), r.PathValue("id"), f)
	if err != nil {
		return err
	}
	p := page(found, f.Limit, func(x fleet.Receipt) int64 { return x.Number })
	out := list[receiptBody]{Items: []receiptBody{}, Next: p.Next}
	for _, x := range found {
		out.Items = append(out.Items, receiptBody{x.Agent, x.ChangedAt, x.Receipt})
	}
	return reply(w, http.StatusOK, out)
}

// reportBody is contract.md 6's.
type reportBody struct {
	Agent      string            `json:"agent"`
	Register   string            `json:"register"`
	Shift      string            `json:"shift"`
	OpenedAt   time.Time         `json:"opened_at,omitzero"`
	ClosedAt   time.Time         `json:"closed_at"`
	By         string            `json:"by,omitempty"`
	Sales      wire.Sum          `json:"sales"`
	Refunds    wire.Sum          `json:"refunds"`
	VAT        []wire.VAT        `json:"vat"` // of the sales
	Report     json.RawMessage   `json:"register_report"`
	Journal    json.RawMessage   `json:"journal,omitempty"`
	Missing    string            `json:"missing,omitempty"`
	Difference []wire.Difference `json:"difference"`
	Doubtful   []string          `json:"doubtful,omitempty"`
	Open       []string          `json:"open,omitempty"`
}

func reportOf(x fleet.ShiftReport) reportBody {
	b := reportBody{
		Agent: x.Agent, Register: x.Register, Shift: x.Shift, OpenedAt: x.OpenedAt, ClosedAt: x.ClosedAt, By: x.By, Report: x.Report,
		Journal: x.Journal, Missing: x.Missing, Difference: x.Differences, Doubtful: x.Doubtful, Open: x.Open, VAT: []wire.VAT{},
	}
	var t wire.Totals
	figures := x.Report
	if x.Missing != "" {
		figures = x.Journal // all that is known
	}
	if json.Unmarshal(figures, &t) == nil { // what is stored as JSON and is no report shows as it is
		b.Sales, b.Refunds = t.Sales, t.Refunds
		b.VAT = append(b.VAT, t.Sales.VAT...)
	}
	if b.Difference == nil {
		b.Difference = []wire.Difference{}
	}
	return b
}

func (a *api) shiftReports(w http.ResponseWriter, r *request) error {
	q := &query{r: r}
	f := q.filter()
	asCSV := strings.Contains(r.Header.Get("Accept"), "text/csv")
	switch format := r.URL.Query().Get("format"); format { // for links, which cannot send the header
	case "", "json":
	case "csv":
		asCSV = true
	default:
		q.bad("format", "must be json or csv")
	}
	if asCSV && r.URL.Query().Get("limit") == "" {
		f.Limit = 1000
	}
	if err := q.err(); err != nil {
		return err
	}
	found, err := a.Control.ShiftReports(r.Context(), f)
	if err != nil {
		return err
	}
	p := page(found, f.Limit, func(x fleet.ShiftReport) int64 { return x.Number })
	if asCSV {
		if p.Next > 0 {
			w.Header().Set("Link", fmt.Sprintf("<?before=%d>; rel=next", p.Next))
		}
		return asTable(w, found)
	}
	out := list[reportBody]{Items: []reportBody{}, Next: p.Next}
	for _, x := range found {
		out.Items = append(out.Items, reportOf(x))
	}
	return reply(w, http.StatusOK, out)
}

// asTable writes reports for a spreadsheet: UTF-8 with its mark, without which
// Excel breaks Azerbaijani letters.
func asTable(w http.ResponseWriter, reports []fleet.ShiftReport) error {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="shift-reports.csv"`)
	if _, err := io.WriteString(w, "\ufeff"); err != nil {
		return nil // whoever asked has gone
	}
	c := csv.NewWriter(w)
	_ = c.Write([]string{"agent", "register", "shift", "opened_at", "closed_at", "by", "sales_count", "sales_sum", "sales_cash", "sales_card",
		"refunds_count", "refunds_sum", "refunds_cash", "refunds_card", "vat", "differences"})
	for _, x := range reports {
		b := reportOf(x)
		var vat, differences []string
		for _, v := range b.VAT {
			vat = append(vat, v.Rate+"%: "+v.Amount)
		}
		for _, d := range b.Difference {
			text := d.Figure + ": journal " + d.Journal + ", register " + d.Register
			if len(d.Receipts) > 0 {
				text += " (" + strings.Join(d.Receipts, ", ") + ")"
			}
			differences = append(differences, text)
		}
		row := []string{b.Agent, b.Register, b.Shift, stamp(b.OpenedAt), stamp(b.ClosedAt), b.By,
			strconv.Itoa(b.Sales.Count), b.Sales.Sum, b.Sales.Cash, b.Sales.Card,
			strconv.Itoa(b.Refunds.Count), b.Refunds.Sum, b.Refunds.Cash, b.Refunds.Card, strings.Join(vat, "; "), strings.Join(differences, "; ")}
		for n := range row {
			row[n] = harmless(row[n])
		}
		_ = c.Write(row)
	}
	c.Flush()
	return nil
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(control.Zone).Format("2006-01-02 15:04:05")
}

// harmless keeps a spreadsheet from taking text for a formula.
func harmless(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		if _, err := strconv.ParseFloat(s, 64); err != nil {
			return "'" + s
		}
	}
	return s
}

func (a *api) totals(w http.ResponseWriter, r *request) error {
	q := &query{r: r}
	f := q.filter()
	if err := q.err(); err != nil {
		return err
	}
	days, err := a.Control.Totals(r.Context(), f, control.Zone)
	if err != nil {
		return err
	}
	type sum struct {
		Count int    `json:"count"`
		Sum   string `json:"sum"`
	}
	type day struct {
		Day     string `json:"day"`
		Sales   sum    `json:"sales"`
		Refunds sum    `json:"refunds"`
	}
	out := []day{}
	for _, d := range days {
		out = append(out, day{d.Day, sum{d.Sales, money(d.Sum)}, sum{d.Refunds, money(d.Back)}})
	}
	return reply(w, http.StatusOK, all(out))
}
