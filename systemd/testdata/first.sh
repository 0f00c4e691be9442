# The first boot: the package is installed, sells, is killed, hangs, is stopped.
. /root/common.sh

# First the package of before: its configuration was a conffile, and it had no socket.
# What somebody wrote into that outlives the update, and nobody is asked.
dpkg -i /root/before.deb >/root/dpkg.log 2>&1 || { cat /root/dpkg.log; die "dpkg -i of the package of before"; }
within 60 running || die "the package of before does not run"
echo '# mine' >>$config
before=$(main)
dpkg -i /root/old.deb </dev/null >/root/dpkg.log 2>&1 || { cat /root/dpkg.log; die "dpkg -i"; }
within 60 restarted "$before" || die "not running after the installation"
grep -q '^# mine$' $config || die "the update took the configuration of before"
[ "$(stat -c '%U %a' /var/lib/ekassa-agent)" = "ekassa-agent 700" ] || die "data folder: $(stat -c '%U %a' /var/lib/ekassa-agent)"
[ "$(stat -c '%U:%G %a' $config)" = "root:ekassa-agent 640" ] || die "configuration: $(stat -c '%U:%G %a' $config)"
ok installed, runs as its own user

# The page at port 80, by a service that may not listen there, under the same guard.
within 60 home localhost || die "http://localhost/ is not the page: $(systemctl --no-pager status ekassa-agent.socket)"
grep -q '^CapEff:[[:space:]]*0*$' "/proc/$(main)/status" || die "it has capabilities: $(grep Cap "/proc/$(main)/status")"
[ "$(curl -s -o /dev/null -w '%{http_code}' -H 'Host: evil.example' http://localhost/)" = 403 ] || die "a stranger's name is answered at port 80"
ekassa-agent stop || die "stop"
curl -s --max-time 5 -o /dev/null http://localhost/ && die "port 80 is open while the agent is stopped"
[ "$(ekassa-agent status)" = stopped ] || die "a browser has started what was stopped"
/root/ekassa-sim azsmart --listen 0.0.0.0:80 >/root/other.log 2>&1 &
other=$!
within 60 curl -sS -o /dev/null http://127.0.0.1/ || die "the other program does not start"
ekassa-agent start && within 60 curl -fsS -o /dev/null "$api/readyz" || die "no agent where another program has port 80"
ekassa-agent doctor --lang en --config $config >/root/doctor # exits 1: it is not set up yet
grep -q '^! port 80: ' /root/doctor || { cat /root/doctor; die "the doctor says nothing of the other program"; }
kill "$other" && wait "$other"
ekassa-agent restart && within 60 home localhost || die "no page at port 80 once the other program is gone"
ok the page at port 80, without a capability, and without port 80 where that is taken

exposure=$(systemd-analyze security ekassa-agent.service --no-pager | sed -n 's/.*exposure level for [^:]*: \([0-9.]*\).*/\1/p')
awk -v e="$exposure" 'BEGIN { exit !(e != "" && e <= 2.0) }' || die "exposure $exposure"
ok "exposure $exposure"

curl -fsS "$api/metrics" >/root/metrics || die "no metrics"
for figure in ekassa_written_bytes_total ekassa_machine_disk_written_bytes_total; do
	grep -q "^$figure [0-9]" /root/metrics || die "the unit hides what $figure is read from"
done
systemd-analyze cat-config systemd/journald.conf | grep -q '^SystemMaxUse=100M' || die "the system's journal has no bounds"
ok the machine is seen from within the unit, and logs are bounded

cp /root/sim.service /etc/systemd/system/ && systemctl daemon-reload && systemctl enable --now sim

# The first start on the page, as from another machine: nobody without the code gets in,
# and what is set survives though the unit keeps the service away from /etc.
step() {
	curl -sS "$api/setup/$1" -b /root/jar -c /root/jar -H 'X-Forwarded-For: 10.0.0.7' -H 'Content-Type: application/json' -d "$2"
}
journalctl --no-pager -u ekassa-agent | grep -q 'code=[0-9]\{4\}-[0-9]\{4\}' || die "the log has no code"
step search '{}' | grep -q setup_code_needed || die "the first start is open to everybody"
step code "{\"code\":\"$(ekassa-agent setup --code --config $config)\"}" | grep -q '"ok"' || die "the code"
within 60 sh -c "curl -sS http://127.0.0.1:8008/sim/ledger" || die "the register does not start"
tried=$(step try '{"driver":"azsmart","address":"127.0.0.1:8008","merchant_id":"9662a13f5b4f46dbb1751bbbf86ed402"}')
echo "$tried" | grep -q '"serial":"..*"' || die "try: $tried"
step write '{"tax":"simplified8","manager":"Leyla"}' | sed 's/.*"token":"\([^"]*\)".*/\1/' >/root/token
step test '{"till":"till-1","real":true}' | grep -q '"kind":"refund","state":"fiscal"' || die "the test receipt"
step end '{}' | grep -q '"ok"' || die "end"
systemctl restart ekassa-agent || die "does not start after the first start"
sell page-1 | grep -q '"state":"fiscal"' || die "what was set up on the page does not last: $(state page-1)"
step state '{}' | grep -q '"status":404' || die "the first start is open again"
# There is no network here, which it minds, and which keeps nobody from selling.
ekassa-agent doctor --lang en --config $config >/root/doctor || { cat /root/doctor; die "the doctor fails without a network"; }
grep -q '^! name ekassa.local: ' /root/doctor || { cat /root/doctor; die "the doctor does not mind that there is no network"; }
grep -q '✓ register kassa-1: ' /root/doctor && grep -q '✓ till till-1: ' /root/doctor || { cat /root/doctor; die "the doctor after the first start"; }
rm /var/lib/ekassa-agent/setup.json
ok set up on the page

cp /root/agent.yaml $config
systemctl restart ekassa-agent || die "does not start with a register"
ekassa-agent token add till-1 --config $config | tail -1 >/root/token
sell first-1 | grep -q '"state":"fiscal"' || die "the first sale: $(state first-1)"
[ "$(stat -c %U /var/lib/ekassa-agent/tokens.json 2>/dev/null || echo ekassa-agent)" = ekassa-agent ] || die "the tokens are not the agent's"
ok sold

before=$(main)
kill -9 "$before"
within 60 restarted "$before" || die "not back after kill -9"
fiscal first-1 || die "the receipt is gone after kill -9"
within 60 home localhost || die "no page at port 80 after kill -9"
ok back after kill -9

mkdir -p /run/systemd/system/ekassa-agent.service.d
printf '[Service]\nWatchdogSec=10\n' >/run/systemd/system/ekassa-agent.service.d/impatient.conf
systemctl daemon-reload && systemctl restart ekassa-agent
before=$(main)
sleep 15
[ "$(main)" = "$before" ] || die "the watchdog bites an agent that lives"
kill -STOP "$before"
within 60 restarted "$before" || die "not back after it hung"
journalctl --no-pager -u ekassa-agent | grep -q 'Watchdog timeout' || die "it was not the watchdog"
rm -r /run/systemd/system/ekassa-agent.service.d && systemctl daemon-reload && systemctl restart ekassa-agent
ok the watchdog restarts what hangs, and only that

sed -i 's/name: Till 1/name: Kassa 1/' $config && systemctl reload ekassa-agent || die "reload"
within 60 sh -c "journalctl --no-pager -u ekassa-agent | grep -q 'settings applied'" || die "a reload did not take the settings"
ok settings reloaded

ekassa-agent stop && [ "$(ekassa-agent status)" = stopped ] || die "stop"
[ "$(systemctl show -p Result --value ekassa-agent)" = success ] || die "it did not stop cleanly"
ekassa-agent start && within 60 running || die "start"
ok stopped and started

# From here on the power may go at any moment.
n=0 told=0
while true; do
	n=$((n + 1))
	sell "cut-$n" >/dev/null || continue
	echo "cut-$n" >>/root/told
	told=$((told + 1))
	[ $told != 3 ] || ok selling
done
