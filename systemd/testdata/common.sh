# Sourced by what runs inside of the booted system. Every step prints "ok" or
# ends the run.
set -u
export LC_ALL=C.UTF-8
config=/etc/ekassa-agent/agent.yaml
api=http://127.0.0.1:8787

die() {
	echo "FAILED: $*"
	systemctl --no-pager list-jobs
	systemctl --no-pager --full status ekassa-agent sim ekassa-sim
	curl -sS --max-time 5 "$api/readyz"
	df -h /
	journalctl --no-pager -b -p warning -n 20
	journalctl --no-pager -b -o short-precise -u ekassa-agent -u ekassa-agent.socket -n 60
	exit 1
}
ok() { echo "ok $*"; }
within() { # SECONDS COMMAND...
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.1
	done
}
home() { curl -fsS --max-time 5 -H 'Accept: text/html' "http://$1/" | grep -q '<title>'; } # of the page, at port 80
main() { systemctl show -p MainPID --value ekassa-agent; }
running() { [ "$(ekassa-agent status)" = running ]; }
restarted() { running && [ "$(main)" != "$1" ] && curl -fsS -o /dev/null "$api/readyz"; }

# sell ID gives the state of a sale once it is final, or after ten seconds.
sell() {
	curl -fsS "$api/v1/receipts" -H "Authorization: Bearer $(cat /root/token)" -H 'Content-Type: application/json' -H 'Prefer: wait=10' \
		-d '{"id":"'"$1"'","kind":"sale","time":"2026-11-24T12:00:00+04:00","items":[{"name":"Plov","code":"1","unit":"piece","quantity":"1","price":"8.00","tax":"vat18"}],"payments":{"cash":"8.00"}}'
}
state() { curl -fsS "$api/v1/receipts/$1" -H "Authorization: Bearer $(cat /root/token)"; }
fiscal() { state "$1" | grep -q '"state":"fiscal"'; }
