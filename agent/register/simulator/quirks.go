package simulator

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The quirks of the core. A maker offers those that its page leaves open, beside
// its own (see Protocol.Quirks).
const (
	quirkKeyUntilZ         = "key-until-z"
	quirkZNeedsSales       = "z-needs-sales"
	quirkZNeedsEmptyDrawer = "z-needs-empty-drawer"
	quirkPrepayLines       = "prepay-lines"
)

type quirks map[string]bool

func newQuirks(known map[string]string, names []string) (quirks, error) {
	q := quirks{}
	for _, n := range names {
		if _, ok := known[n]; !ok {
			return nil, fmt.Errorf("switch on quirk %q: no such quirk: use one of %s", n, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		q[n] = true
	}
	return q, nil
}

func (q quirks) has(name string) bool { return q[name] }

func (q quirks) names() []string {
	return slices.AppendSeq([]string{}, slices.Values(slices.Sorted(maps.Keys(q))))
}
