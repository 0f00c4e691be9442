# The boot after the plug was pulled: the rest of the page, to the removal.
. /root/common.sh
. /root/page.sh

within 120 curl -fsS --max-time 5 -o /dev/null "$api/readyz" || die "not back after the power cut"
page pull-the-plug-2
before=$(main)
page update-and-go-back-1
within 30 restarted "$before" || die "not back after the update"
ekassa-agent --version | grep -q '1\.1\.0' || die "not updated: $(ekassa-agent --version)"
ok updated
before=$(main)
page update-and-go-back-2
within 30 restarted "$before" || die "not back after the way back"
ekassa-agent --version | grep -q '1\.0\.0' || die "not gone back: $(ekassa-agent --version)"
ok gone back
page day-by-day-1
page for-support-and-the-way-out-1
[ "$(head -c 2 evidence.zip)" = PK ] && grep -aq SHA256SUMS evidence.zip || die "no evidence"
curl -fsS http://127.0.0.1:8008/sim/ledger >/root/ledger.json || die "no ledger"
page for-support-and-the-way-out-2
[ ! -e /usr/bin/ekassa-agent ] && [ ! -e $config ] || die "it is not removed"
for u in ekassa-agent ekassa-sim; do systemctl is-active --quiet $u && die "$u runs after it was removed"; done
echo ALL DONE
