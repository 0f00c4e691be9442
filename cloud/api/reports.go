package api

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ekassa/cloud/control"
	"ekassa/cloud/fleet"
	"ekassa/cloud/wire"
)

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
