#!/bin/sh
# Installs ekassa-agent on a Raspberry Pi or another machine with Debian, in one line:
#   curl -fsSL @URL@/install.sh | sudo sh
# apt checks the signature of the repository with the key below, and with it the
# checksum of what it installs. scripts/repository fills in the address and the key.
set -eu

url=${EKASSA_URL:-@URL@}
key=/usr/share/keyrings/ekassa.asc
list=/etc/apt/sources.list.d/ekassa.list

fail() {
	echo "ekassa-agent is not installed: $*" >&2
	exit 1
}
# refuse leaves the machine's apt as it was.
refuse() {
	[ -n "$had" ] || rm -f "$key" "$list"
	fail "$*"
}

main() {
	[ "$(id -u)" = 0 ] || fail "it takes root: curl -fsSL $url/install.sh | sudo sh"
	command -v apt-get >/dev/null || fail "this is not Debian nor Raspberry Pi OS: there is no apt-get. Take the program alone, see the README"
	[ -d /run/systemd/system ] || fail "this machine is not run by systemd: the service could not be started"
	arch=$(dpkg --print-architecture)
	case $arch in
	amd64 | arm64 | armhf) ;;
	*) fail "there is no package for $arch; there is for armhf (every Pi), arm64 and amd64" ;;
	esac

	umask 022
	had=
	[ ! -e "$list" ] || had=yes
	cat >"$key" <<'KEY'
@KEY@
KEY
	echo "deb [signed-by=$key arch=$arch] $url stable main" >"$list"
	echo "looking at $url for $arch"
	apt-get -q update -o Dir::Etc::sourcelist="$list" -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0 -o APT::Update::Error-Mode=any ||
		refuse "the list of packages cannot be fetched, or its signature is not ours; see the lines above"
	# Nobody can be asked here, where the input is this script.
	DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends ekassa-agent </dev/null ||
		refuse "the package cannot be fetched, or is not the one that was signed; see the lines above"
	cat <<'NEXT'

ekassa-agent runs. Next, question by question:
  sudo ekassa-agent setup --config /etc/ekassa-agent/agent.yaml
or on its page, http://ekassa.local, with the code that this prints:
  sudo ekassa-agent setup --code --config /etc/ekassa-agent/agent.yaml
NEXT
}

# Called on the last line: a script that arrives in part does nothing.
main
