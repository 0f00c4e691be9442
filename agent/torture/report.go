package torture

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// Result is a run: the verdict and the figures.
type Result struct {
	Verdict
	Kills, Faults int
	Median, Worst time.Duration // from yes to document, where no person was asked
	Took          time.Duration
	Questions     []Asked
	History       map[string][]string // what the agent learned of each receipt
}

// OK says whether every promise was kept.
func (r Result) OK() bool { return len(r.Violations) == 0 }

// Line is the run in one line.
func (r Result) Line() string {
	return fmt.Sprintf("told %d, fiscal %d, non-fiscal %d, held %d, refused %d, asked a person %d, lost %d, doubled %d, out of order %d, unsettled %d, wrong %d, "+
		"kills %d, faults %d, settling median %s worst %s, %s",
		r.Told, r.Fiscal, r.NonFiscal, r.Held, r.Refused, r.Asked, r.Count(Lost), r.Count(Doubled), r.Count(OutOfOrder), r.Count(Unsettled), r.Count(Wrong),
		r.Kills, r.Faults, seconds(r.Median), seconds(r.Worst), r.Took.Round(time.Second))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1fs", d.Seconds()) }

// mostShown of each sort keeps one cause with a thousand effects readable, and
// hides no other.
const mostShown = 20

// Print writes what went wrong receipt by receipt, and what people were asked.
func (r Result) Print(w io.Writer) {
	shown := map[Sort]int{}
	for _, x := range r.Violations {
		if shown[x.Sort]++; shown[x.Sort] > mostShown {
			continue
		}
		fmt.Fprintf(w, "%s: %s\n", x.Sort, x.Text)
		for _, text := range r.History[x.ID] {
			fmt.Fprintf(w, "    %s\n", text)
		}
	}
	for sort, n := range shown {
		if n > mostShown {
			fmt.Fprintf(w, "… and %d more %s\n", n-mostShown, sort)
		}
	}
	reasons := map[string]int{}
	for _, a := range r.Questions {
		reasons[a.Kind+", "+a.Code+", answered "+a.Verdict]++
	}
	var lines []string
	for reason, n := range reasons {
		lines = append(lines, fmt.Sprintf("asked a person: %d × %s", n, reason))
	}
	slices.Sort(lines)
	for _, l := range lines {
		fmt.Fprintln(w, l)
	}
}

// figures fills in how long settling took.
func (r *Result) figures(c Case) {
	r.History = c.Journal.History
	asked := map[string]bool{}
	for _, e := range c.Shops {
		for id, list := range e.Asked {
			asked[e.Terminal+" "+id] = true
			r.Questions = append(r.Questions, list...)
		}
	}
	var took []time.Duration
	for _, row := range c.Journal.Rows {
		if row.State == "fiscal" && !asked[row.Terminal+" "+row.ID] {
			took = append(took, row.Took)
		}
	}
	if len(took) > 0 {
		slices.Sort(took)
		r.Median, r.Worst = took[len(took)/2], took[len(took)-1]
	}
}
