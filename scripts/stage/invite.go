package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// invite says where to look and what to try. The lines between the rules are
// a script that works as it stands; demo_test.go runs it.
func (s *show) invite() {
	text := `
Where to look
  $A/   the staff page, for a browser: sign in as Leyla, PIN $P
  $A/openapi.yaml   the till's API
  $A/v1/status      register, shift and queue; with the token
  $A/metrics        for Prometheus
  $R/sim/ledger     what the register made; /sim/state what it counted
  $C/api/v1/openapi.yaml   the cloud's API; its token is in cloud-token
  $D   agent.yaml, agent.log, register.log, cloud.log, token, data/ with the journal

What to try, in another terminal in this folder
--------------------------------------------------------------------------------
# Once: where everything is, and a till with its token.
A=$A R=$R D=$D C=$C
till() { curl -sS -H "Authorization: Bearer $(cat $D/token)" -H "Content-Type: application/json" "$@"; }
sale() { till $A/v1/receipts -H "Prefer: wait=20" -d '{"id":"'$1'","kind":"sale","time":"2026-11-20T21:00:00+04:00",
  "items":[{"name":"Plov","quantity":"1.5","price":"8.00"}],"payments":{"cash":"20.00"}}'; }

# Sell. The same id again is the same receipt, however often it is sent.
sale try-1
sale try-1
till $A/v1/receipts/try-1

# The register makes the document, and its answer gets lost: the agent asks, and does not sell twice.
curl -sS $R/sim/faults -d '[{"fault":"drop-after","route":"/sale","times":1}]' -o /dev/null
sale try-2

# Pull the register away for 12 seconds and sell on: the till is told yes, and the receipts wait.
curl -sS $R/sim/faults -d '[{"fault":"refuse-connection","ms":12000}]' -o /dev/null
EKASSA_TOKEN=$(cat $D/token) $D/ekassa-sim till --agent $A --receipts agent/testdata/week.jsonl --limit 5 --prefix out- --wait 2s
till "$A/v1/receipts?state=waiting,sending,checking"

# Kill the agent while they wait; the demo starts it again, and soon none waits any more.
kill -9 $(cat $D/agent.pid)
for n in $(seq 60); do sleep 1; till "$A/v1/receipts?state=waiting,sending,checking" | grep -F '{"receipts":[]}' && break; done

# The register's totals, and the end of the day: close the shift with its Z report.
till $A/v1/shift/x-report -d '{"cashier":"Aysel M."}'
till $A/v1/shift/close -d '{"cashier":"Aysel M."}'

# The cloud: how the agent is, the shifts that were closed, and what the modules cost this month.
fleet() { curl -sS -H "Authorization: Bearer $(cat $D/cloud-token)" "$@"; }
fleet $C/api/v1/agents
for n in $(seq 30); do fleet -H "Accept: text/csv" -o $D/shifts.csv $C/api/v1/shift-reports; grep ",kassa-1,2," $D/shifts.csv && break; sleep 1; done
fleet $C/api/v1/venues/demo/bill?month=$(TZ=UTC-4 date +%Y-%m)
--------------------------------------------------------------------------------
Ctrl-C ends the demo and removes everything.
`
	// Only where a value stands for itself; inside the script the shell's own
	// variables stay.
	head, script, _ := strings.Cut(text, "A=$A R=$R D=$D C=$C\n")
	fill := strings.NewReplacer("$A", s.agentURL, "$R", s.registerURL, "$D", s.dir, "$C", s.cloudURL, "$P", s.pin)
	fmt.Print(fill.Replace(head), fill.Replace("A=$A R=$R D=$D C=$C\n"), script)
	if _, err := exec.LookPath("curl"); err != nil {
		fmt.Fprintln(os.Stderr, "demo: note: curl is not installed; the lines above need it")
	}
}
