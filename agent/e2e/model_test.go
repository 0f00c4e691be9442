package e2e

import (
	"ekassa/agent/register/simulator"
)

// model is a kind of register: a maker's protocol in one of its editions.
type model struct {
	name     string
	protocol simulator.Protocol
	edition  simulator.Edition // AzSmart's
	class    string            // what a lost answer to a sale is settled by
}

// models has each class of register.
var models = []model{
	{"AzSmart, new edition", simulator.AzSmart, simulator.New, "key"},
	{"AzSmart, classic edition", simulator.AzSmart, simulator.Classic, "neither"},
	{"Omnitech", simulator.Omnitech, "", "compare-and-set"},
	{"Caspos", simulator.Caspos, "", "key"},
}

// at is such a register in the settings.
func (m model) at(address string) object {
	if m.protocol == simulator.AzSmart {
		return at(address)
	}
	r := casposAt(address)
	r["driver"] = string(m.protocol)
	return r
}

// flags are those of its simulator.
func (m model) flags() []string {
	if m.protocol == simulator.AzSmart {
		return []string{"--merchant-id", merchant, "--edition", string(m.edition)}
	}
	return []string{"--user", "api", "--password", "right"}
}
