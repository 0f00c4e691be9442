package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// table is the outcome of a run.
type table struct {
	Quick bool  `json:"quick"`
	Rows  []row `json:"rows"`
}

// row is one figure. Bare is the same by the database alone. Without an aim it is
// there to explain another.
type row struct {
	Name   string  `json:"name"`
	Figure float64 `json:"figure"`
	Bare   float64 `json:"bare,omitempty"`
	Unit   string  `json:"unit"`
	Aim    string  `json:"aim,omitempty"`
	Met    *bool   `json:"met,omitempty"`
	Note   string  `json:"note,omitempty"`
}

func (t *table) add(r row) { t.Rows = append(t.Rows, r) }

// aim adds a row that has one.
func (t *table) aim(r row, aim string, met bool) {
	r.Aim, r.Met = aim, &met
	t.add(r)
}

func (t *table) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tFIGURE\tBARE\tUNIT\tAIM\tMET\tNOTE")
	for _, r := range t.Rows {
		bare, met := "", ""
		if r.Bare != 0 {
			bare = figure(r.Bare)
		}
		if r.Met != nil {
			met = map[bool]string{true: "yes", false: "NO"}[*r.Met]
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, figure(r.Figure), bare, r.Unit, r.Aim, met, r.Note)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if t.Quick {
		fmt.Fprintln(out, "A quick run: few agents and two rounds, so its figures say little.")
	}
	return nil
}

func figure(f float64) string {
	if f >= 100 {
		return fmt.Sprintf("%.0f", f)
	}
	return fmt.Sprintf("%.1f", f)
}

func median(f []float64) float64 {
	s := slices.Clone(f)
	slices.Sort(s)
	return s[len(s)/2]
}
