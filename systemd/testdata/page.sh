# Sourced after common.sh: runs the page's boxes, in one shell as a person would.
cd /root
export HOME=/root DEBIAN_FRONTEND=noninteractive
at=''
trap '[ -z "$at" ] || die "the page, at $at"' EXIT
page() {
	at=$1
	set -e
	. "/root/page/$1"
	set +e
	at=''
	ok "$1"
}
