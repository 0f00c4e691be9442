# The boot after a power cut: what was told yes is there. Then an upgrade, the way
# back, and the way out.
. /root/common.sh

within 120 curl -fsS --max-time 5 -o /dev/null "$api/readyz" || die "not back after the power cut"
count=0
while read -r id; do
	within 60 fiscal "$id" || die "$id was told yes, and now: $(state "$id")"
	count=$((count + 1))
done </root/told
[ $count -ge 3 ] || die "only $count sales were told before the cut"
ok "after a power cut $count of $count sales that were told are fiscal"

within 60 home localhost || die "no page at port 80 after the power cut"
for step in new before old; do
	before=$(main)
	dpkg -i --force-downgrade /root/$step.deb </dev/null >/root/dpkg.log 2>&1 || { cat /root/dpkg.log; die "$step"; }
	within 60 restarted "$before" || die "not back with the $step package"
	if [ $step = before ]; then
		curl -s --max-time 5 -o /dev/null http://localhost/
		[ $? = 7 ] || die "port 80 is not shut by the package that knows nothing of it"
	else
		within 60 home localhost || die "no page at port 80 with the $step package"
	fi
	version=$(dpkg-query -W -f '${Version}' ekassa-agent)
	ekassa-agent --version | grep -q "${version%~*}" || die "$(ekassa-agent --version) with the $step package"
	grep -q 'Kassa 1' $config || die "the configuration was replaced"
	fiscal first-1 || die "the receipt is gone with the $step package"
	sell "with-$step" | grep -q '"state":"fiscal"' || die "no sale with the $step package"
	ok "the $step package"
done

# An update from a stick, in the place of the package's program and with no more
# rights than that. On trial it is killed until it has been begun too often.
version() { curl -fsS "$api/metrics" | sed -n 's/^ekassa_build_info{version="\(.*\)"} 1$/\1/p'; }
is() { [ "$(version)" = "$1" ]; }
[ "$(version)" = 1.0.0 ] || die "version $(version) before the update"
ekassa-agent update /root/release --config $config || die "update"
within 60 is 1.1.0 || die "the update does not begin: $(ekassa-agent update --config $config)"
sell updated | grep -q '"state":"fiscal"' || die "no sale with the update"
home localhost || die "the update has lost port 80"
ok updated
for n in 1 2 3; do
	before=$(main)
	kill -9 "$before"
	within 60 restarted "$before" || die "not back after kill $n of the update"
done
is 1.0.0 || die "the update was not taken back: $(version), $(ekassa-agent update --config $config)"
fiscal updated || die "the receipt is gone after the update was taken back"
sell taken-back | grep -q '"state":"fiscal"' || die "no sale after the update was taken back"
home localhost || die "port 80 was lost when the update was taken back"
ok the update was taken back

dpkg -r ekassa-agent >/dev/null 2>&1 || die "dpkg -r"
systemctl is-active --quiet ekassa-agent && die "it runs after it was removed"
dpkg -P ekassa-agent >/dev/null 2>&1 || die "dpkg -P"
[ -e ${config%/*} ] && die "the configuration is there after the purge: $(ls ${config%/*})"
curl -s --max-time 5 -o /dev/null http://localhost/
[ $? = 7 ] || die "port 80 is open after the purge"
[ -s /var/lib/ekassa-agent/journal.db ] || die "the purge took the journal: $(ls /var/lib/ekassa-agent)"
ok removed and purged, and the journal is there

dpkg-deb --fsys-tarfile /root/new.deb | tar -xO ./usr/bin/ekassa-agent >/usr/local/bin/ekassa-agent && chmod 755 /usr/local/bin/ekassa-agent
hash -r
[ "$(ekassa-agent status)" = "not installed" ] || die "status: $(ekassa-agent status)"
for n in once again; do
	ekassa-agent install >/root/install.log 2>&1 || { cat /root/install.log; die "install $n"; }
	within 60 running || die "not running after install $n"
done
ekassa-agent restart && within 60 running || die "restart"
within 60 home localhost || die "no page at port 80 after ekassa-agent install"
[ "$(systemctl show -p Type --value ekassa-agent)" = notify ] || die "not our unit"
ekassa-agent uninstall || die "uninstall"
[ ! -e /etc/systemd/system/ekassa-agent.socket ] && ! systemctl is-active --quiet ekassa-agent.socket || die "the socket is there after uninstall"
[ "$(ekassa-agent status)" = "not installed" ] || die "after uninstall: $(ekassa-agent status)"
[ -s /var/lib/ekassa-agent/journal.db ] || die "uninstall took the journal"
ok installed and uninstalled without a package
echo ALL DONE
