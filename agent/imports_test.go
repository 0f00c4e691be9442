package agent_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

// list asks the go command for packages of the module.
func list(t *testing.T, patterns ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Deps"}, patterns...)...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

// mayImport is the whole of who in the program may know whom of ours. A package
// that is not in it may import nothing of ours; what is not said is forbidden.
var mayImport = map[string][]string{
	// The nouns and the contract with the cloud import nothing of ours.
	"agent/receipt": {},
	"cloud/usage":   {},
	"cloud/wire":    {},
	// What is asked of a register speaks of receipts.
	"agent/register":           {"agent/receipt"},
	"agent/register/azsmart":   {"agent/receipt", "agent/register", "agent/register/once", "agent/register/tokentext"},
	"agent/register/once":      {"agent/crash"},
	"agent/register/tokentext": {},
	"agent/register/omnitech": {
		"agent/receipt", "agent/register", "agent/register/once", "agent/register/tokencode", "agent/register/tokentext",
	},
	// What the makers of one token share, and no maker's own.
	"agent/register/tokencode": {"agent/register"},
	"agent/register/caspos": {
		"agent/receipt", "agent/register", "agent/register/once", "agent/register/tokencode", "agent/register/tokentext",
	},
	// The simulator knows the protocol page only: what it shared with the driver
	// would hide that driver's mistakes.
	"agent/register/simulator": {"agent/listen"},
	// The parts know the nouns and never each other.
	"agent/journal":   {"agent/durable", "agent/receipt", "agent/register"},
	"agent/dispatch":  {"agent/crash", "agent/receipt", "agent/register"},
	"agent/crash":     {}, // does nothing in what is shipped
	"agent/listen":    {},
	"agent/discovery": {},
	"agent/machine":   {},
	"agent/texts":     {"agent/receipt", "agent/register"}, // it words their codes
	"agent/token":     {"agent/durable"},
	"agent/people":    {"agent/durable"},
	"agent/page":      {"agent/static", "agent/texts"},
	"agent/static":    {},
	"agent/openapi":   {},
	"agent/manual":    {"agent/openapi", "agent/static"}, // it is given the document
	"agent/uplink":    {"agent/crash", "agent/receipt", "agent/register", "cloud/wire"},
	"agent/durable":   {},
	"agent/announce":  {},
	"agent/slip":      {"agent/durable", "agent/receipt", "agent/register", "agent/texts"},
	"agent/till":      {"agent/crash", "agent/qr", "agent/receipt", "agent/register", "agent/texts", "cloud/wire"},
	"agent/qr":        {},
	// It knows its protocol's page only, as the simulator does.
	"agent/frontdoor": {"agent/crash", "agent/receipt", "agent/register", "agent/texts"},
	// Of the cloud the agent knows the contract alone.
	"agent/config":     {"agent/durable", "cloud/wire"},
	"agent/credential": {"agent/durable", "cloud/wire"},
	"agent/update":     {"agent/crash", "agent/durable", "cloud/wire"},
	// It leads through what other parts keep, and writes their files.
	"agent/setup": {"agent/config", "agent/durable", "agent/people", "agent/qr", "agent/register", "agent/texts", "agent/token", "cloud/wire"},
	// What the fleet's operator works with.
	"cloud/fleet": {"cloud/wire"},
	"cloud/store": {"cloud/fleet", "cloud/wire"},
	// What people may do with it, whichever door they come by.
	"cloud/control": {"cloud/fleet", "cloud/store", "cloud/wire"},
	// The parts of the cloud know the nouns and the store, and never each other.
	"cloud/config":    {"cloud/store"},
	"cloud/api":       {"cloud/control", "cloud/fleet", "cloud/store", "cloud/wire"},
	"cloud/authority": {"cloud/fleet", "cloud/wire"},
	"cloud/broker":    {"cloud/wire"},
	"cloud/release":   {"cloud/wire"},
	"cloud/link":      {"cloud/fleet", "cloud/store", "cloud/wire"},
	"cloud/console":   {"cloud/api", "cloud/control", "cloud/fleet", "cloud/store", "cloud/wire"},
	"cloud":           {"cloud/api", "cloud/authority", "cloud/broker", "cloud/config", "cloud/console", "cloud/control", "cloud/fleet", "cloud/link", "cloud/release", "cloud/store", "cloud/wire"},

	"cloud/cmd/ekassa-cloud": {"cloud", "cloud/config", "cloud/fleet", "cloud/usage"},
	// One page sees them all.
	"agent": {
		"agent/announce", "agent/config", "agent/crash", "agent/credential", "agent/discovery", "agent/dispatch", "agent/durable", "agent/frontdoor", "agent/journal", "agent/listen", "agent/machine", "agent/manual", "agent/page", "agent/people", "agent/receipt", "agent/register",
		"agent/register/azsmart", "agent/register/caspos", "agent/register/omnitech", "agent/setup", "agent/slip", "agent/texts", "agent/till", "agent/token", "agent/update", "agent/uplink", "cloud/wire",
	},
	// It alone of the agent's program knows the simulator, beside an agent of its own.
	"agent/training": {"agent", "agent/config", "agent/register/simulator", "agent/setup", "agent/token", "cloud/wire"},
	"agent/cmd/ekassa-agent": {
		"agent", "agent/config", "agent/discovery", "agent/durable", "agent/journal", "agent/people", "agent/qr", "agent/setup", "agent/texts", "agent/token", "agent/training", "agent/update", "cloud/usage", "cloud/wire", "systemd",
	},
	"agent/cmd/ekassa-release": {"agent/journal", "agent/update", "cloud/wire"},
	"systemd":                  {}, // the units as text
	"scripts/figures":          {}, // both benches print them
	"agent/till/replay":        {}, // a till in software knows the API only
	"agent/clients":            {}, // made to be copied into others' tills
	"agent/clients/generate":   {"agent/openapi"},
	"agent/slip/printer":       {"agent/listen"}, // a receipt printer in software knows ESC/POS only
	"agent/cmd/ekassa-sim":     {"agent/register/simulator", "agent/slip/printer", "agent/till/replay", "cloud/usage"},
}

// testOnly packages help tests, may import anything, and are in no program.
var testOnly = []string{"cloud/broker/brokertest", "cloud/store/storetest", "cloud/browsertest", "cloud/hosttest", "agent/register/registertest", "agent/till/tilltest", "agent/e2e", "agent/cmd/ekassa-bench", "cloud/cmd/ekassa-bench-fleet", "agent/torture", "agent/cmd/ekassa-torture"}

func TestArrowsBetweenPackages(t *testing.T) {
	for _, p := range list(t, "ekassa/...") {
		name := strings.TrimPrefix(p.ImportPath, "ekassa/")
		if slices.Contains(testOnly, name) {
			continue
		}
		for _, i := range p.Imports {
			of, ours := strings.CutPrefix(i, "ekassa/")
			if ours && !slices.Contains(mayImport[name], of) {
				t.Errorf("%s imports %s, and nothing says that it may", name, of)
			}
		}
	}
}

// doors: each tool has one, so that it can be replaced, and so that its traps
// are handled in one place.
func TestEachToolHasOneDoor(t *testing.T) {
	doors := []struct {
		tool    string
		only    []string
		because string
	}{
		{"github.com/mattn/go-sqlite3", []string{"agent/journal", "cloud/store"}, "its defaults lose commits; the connect of either sets them right"},
		{"github.com/jackc/pgx/v5", []string{"cloud/store"}, "statements are written for both databases in one place"},
		{"github.com/jackc/pgx/v5/stdlib", []string{"cloud/store"}, "statements are written for both databases in one place"},
		{"github.com/grandcat/zeroconf", []string{"agent/discovery", "agent/register/simulator"}, "it multicasts everywhere unless told where"},
		{"github.com/eclipse/paho.mqtt.golang", []string{"agent/uplink", "cloud/link"}, "its tokens lie across reconnects"},
		{"github.com/mochi-mqtt/server/v2", []string{"cloud/broker"}, "it publishes wills unasked, and forgets the wrong one of two connections; broker.enter and hook.admit see to that"},
		{"github.com/coreos/go-systemd/v22/daemon", []string{"agent/cmd/ekassa-agent"}, "a library that is used elsewhere too must not speak to systemd"},
		{"github.com/coreos/go-systemd/v22/activation", []string{"agent/cmd/ekassa-agent"}, "the sockets belong to the process: whoever takes them anew takes somebody's files"},
		{"github.com/kardianos/service", []string{"agent/cmd/ekassa-agent"}, "its worker may die while the service looks healthy"},
		{"github.com/spf13/cobra", []string{"agent/cmd/ekassa-agent", "agent/cmd/ekassa-sim", "agent/cmd/ekassa-bench", "agent/cmd/ekassa-release", "cloud/cmd/ekassa-cloud", "cloud/usage"}, "flags are read in one place"},
		{"rsc.io/qr", []string{"agent/qr", "agent/slip", "agent/slip/printer", "agent/register/simulator"}, "codes for screens are drawn in one place; paper needs other dots"},
		{"github.com/santhosh-tekuri/jsonschema/v6", []string{"cloud/wire"}, "settings are judged in one place"},
	}
	for _, p := range list(t, "ekassa/...") {
		name := strings.TrimPrefix(p.ImportPath, "ekassa/")
		if slices.Contains(testOnly, name) {
			continue
		}
		for _, d := range doors {
			if slices.Contains(p.Imports, d.tool) && !slices.Contains(d.only, name) {
				t.Errorf("%s imports %s; only %v may: %s", name, d.tool, d.only, d.because)
			}
		}
	}
}

// What serves a shop never knows the simulator: it is linked for training alone, which
// has a journal of its own.
func TestAShopIsNeverServedByTheSimulator(t *testing.T) {
	for _, p := range list(t, "ekassa/agent", "ekassa/agent/cmd/ekassa-agent") {
		for _, d := range p.Deps {
			if d == "testing" || p.ImportPath == "ekassa/agent" && strings.HasPrefix(d, "ekassa/agent/register/simulator") {
				t.Errorf("%s links %s", p.ImportPath, d)
			}
		}
	}
	for _, p := range list(t, "ekassa/agent/...") {
		name := strings.TrimPrefix(p.ImportPath, "ekassa/")
		if !slices.Contains(testOnly, name) && name != "agent/training" && name != "agent/cmd/ekassa-sim" && slices.Contains(p.Imports, "ekassa/agent/register/simulator") {
			t.Errorf("%s knows the simulator", name)
		}
	}
}

func TestCloudNeverImportsTheAgent(t *testing.T) {
	for _, p := range list(t, "ekassa/cloud/...") {
		for _, d := range p.Deps {
			if strings.HasPrefix(d, "ekassa/agent") {
				t.Errorf("%s depends on %s: the cloud and the agent meet in cloud/wire", p.ImportPath, d)
			}
		}
	}
}
