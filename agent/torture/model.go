package torture

import (
	"fmt"
	"slices"

	"ekassa/agent/register/simulator"
)

// Model is a kind of register: a maker's protocol in one of its editions.
type Model struct {
	Driver  string // of the settings, and the simulator's command
	Edition string // AzSmart's: "new" or "classic"
}

// The models.
var (
	AzSmart  = Model{"azsmart", "new"}
	Classic  = Model{"azsmart", "classic"}
	Omnitech = Model{"omnitech", ""}
	Caspos   = Model{"caspos", ""}
)

// ModelsOf gives what the flags name; tills take turns with them.
func ModelsOf(driver, edition string) ([]Model, error) {
	if edition != "new" && edition != "classic" {
		return nil, fmt.Errorf("edition is %q: use new or classic", edition)
	}
	switch driver {
	case "azsmart":
		return []Model{{driver, edition}}, nil
	case "omnitech", "caspos":
		return []Model{{driver, ""}}, nil
	case "mixed":
		return []Model{AzSmart, Classic, Omnitech, Caspos}, nil
	}
	return nil, fmt.Errorf("driver is %q: use azsmart, omnitech, caspos or mixed", driver)
}

const (
	merchant = "00112233445566778899aabbccddeeff" // signs for every AzSmart here
	user     = "api"
	password = "right" //nolint:gosec // of every other register here
)

// flags are those of its simulator.
func (m Model) flags() []string {
	if m.Driver == AzSmart.Driver {
		return []string{"--merchant-id", merchant, "--edition", m.Edition}
	}
	return []string{"--user", user, "--password", password}
}

// settings are a register's of this model.
func (m Model) settings() map[string]any {
	if m.Driver == AzSmart.Driver {
		return map[string]any{"driver": m.Driver, "merchant_id": merchant}
	}
	return map[string]any{"driver": m.Driver, "username": user, "password": password}
}

// tells says whether a register of this model can always tell what became of a
// document of that kind, within its shift: by a key (protocol pages, AzSmart 8,
// Caspos 8), or by the number that it stands on and the history (Omnitech 8 and
// 16). Only elsewhere may a person be asked.
func (m Model) tells(kind string) bool {
	switch m {
	case AzSmart:
		return !slices.Contains([]string{"cancel", "credit_payment", "correction"}, kind)
	case Omnitech:
		return slices.Contains([]string{"sale", "refund", "correction"}, kind)
	}
	return m == Caspos
}

// miscounts says whether the register's counts may show sales by hand that nobody
// made: the older AzSmart's of what is found out later. That asks a person for
// nothing, and sends nothing.
func (m Model) miscounts() bool { return m == Classic }

// countsSeconds says whether the register gives the figures of a closed shift by
// whole seconds only (Caspos 4, getPeriodicZReport).
func (m Model) countsSeconds() bool { return m == Caspos }

// leavesUnnamed says whether the register's answer has no fiscal id for that
// kind (AzSmart's page, 5.3 and 6.2).
func (m Model) leavesUnnamed(kind string) bool {
	return m == Classic && slices.Contains([]string{"cancel", "deposit", "withdrawal"}, kind)
}

// sign writes the receipts' ids into those documents of a ledger for which the
// protocol carries no cashier: Omnitech's cash in and out, and its rollbacks. In
// a plan no two of a till's cash movements are over the same amount, and no two
// cancels of the same sale, so amount and parent tell whose they are.
func sign(ledger []simulator.Document, orders []Order) []simulator.Document {
	sales := map[string]string{} // by fiscal id: receipt
	for n, d := range ledger {
		if tag := TagOf(d); tag != "" {
			sales[d.FiscalID] = tag
			continue
		}
		for _, o := range orders {
			if made[o.Kind] != d.Kind {
				continue
			}
			if d.Parent != "" && o.Parent == sales[d.Parent] || d.Parent == "" && o.Path != receipts && o.Total == d.Amount {
				ledger[n].Client.Cashier = "Aysel " + o.ID
				break
			}
		}
	}
	return ledger
}
