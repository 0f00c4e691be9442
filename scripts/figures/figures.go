// Package figures is what both benches share: the table that they end with, and
// the programs that they run and end.
package figures

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// Table is the outcome of a run.
type Table struct {
	Quick bool  `json:"quick"` // its figures say little
	Rows  []Row `json:"rows"`
}

// Row is one figure. Bare is the same without what is measured, 0 where there is no
// such thing. Without an aim it is there to explain another.
type Row struct {
	Name   string  `json:"name"`
	Figure float64 `json:"figure"`
	Bare   float64 `json:"bare,omitempty"`
	Unit   string  `json:"unit"`
	Aim    string  `json:"aim,omitempty"`
	Met    *bool   `json:"met,omitempty"`
	Note   string  `json:"note,omitempty"`
}

// Add adds a row.
func (t *Table) Add(r Row) { t.Rows = append(t.Rows, r) }

// Aim adds a row that has one.
func (t *Table) Aim(r Row, aim string, met bool) {
	r.Aim, r.Met = aim, &met
	t.Add(r)
}

// Print writes the table for people, or for programs.
func (t *Table) Print(out io.Writer, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(t)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tFIGURE\tBARE\tUNIT\tAIM\tMET\tNOTE")
	for _, r := range t.Rows {
		bare, met := "", ""
		if r.Bare != 0 {
			bare = short(r.Bare)
		}
		if r.Met != nil {
			met = map[bool]string{true: "yes", false: "NO"}[*r.Met]
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, short(r.Figure), bare, r.Unit, r.Aim, met, r.Note)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if t.Quick {
		fmt.Fprintln(out, "A quick run: it is short and small, so its figures say little.")
	}
	return nil
}

func short(f float64) string {
	switch {
	case f >= 100:
		return fmt.Sprintf("%.0f", f)
	case f >= 10:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.2f", f)
}

// Median is the one in the middle, 0 of none.
func Median(f []float64) float64 {
	if len(f) == 0 {
		return 0
	}
	s := slices.Clone(f)
	slices.Sort(s)
	return s[len(s)/2]
}
