# The first boot: the page's commands from nothing to the first receipts, and on to
# the moment at which the plug is pulled.
. /root/common.sh
. /root/page.sh

systemctl enable --now serve
within 20 curl -fsS -o /dev/null https://packages.example.com/ekassa/install.sh || { systemctl --no-pager --full status serve; curl -v https://packages.example.com/ekassa/install.sh -o /dev/null; die "packages.example.com does not serve"; }

# What was changed on its way is refused, and nothing is left of it.
for bad in package index signature; do
	curl -fsSL https://packages.example.com/ekassa/install.sh | EKASSA_URL=https://packages.example.com/bad-$bad sh >/root/bad.log 2>&1 && { cat /root/bad.log; die "a changed $bad is installed"; }
	grep -q '^ekassa-agent is not installed: ' /root/bad.log || { cat /root/bad.log; die "a changed $bad: it does not say that nothing is installed"; }
	[ ! -e /usr/bin/ekassa-agent ] || die "a changed $bad: the program is there"
	[ ! -e /etc/apt/sources.list.d/ekassa.list ] && [ ! -e /usr/share/keyrings/ekassa.asc ] || die "a changed $bad: something is left"
	rm -rf /var/lib/apt/lists/*
	ok "a changed $bad is refused"
done

page install-1
within 20 running || die "not running after the installation"
page set-up-1
within 30 curl -fsS http://127.0.0.1:8008/sim/ledger || die "the register in software does not answer" # a person reads on meanwhile
page set-up-2 </root/page/set-up-3
page set-up-4
within 30 curl -fsS "$api/readyz" || die "not ready"
page the-first-receipts-1 >/root/first.log # not in a pipe: it sets the token for what follows
cat /root/first.log
grep -q '3 fiscal' /root/first.log || die "the first receipts are not fiscal: $(cat /root/first.log)"
ok "the first receipts are fiscal"

page pull-the-plug-1 &
documents() { [ "$(curl -fsS http://127.0.0.1:8008/sim/ledger | grep -o '"fiscal_id"' | wc -l)" -ge "$1" ]; }
within 120 documents 20 || die "it does not sell"
ok selling
wait
ok "all was sold before the plug was pulled"
sleep infinity
