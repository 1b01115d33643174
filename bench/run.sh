#!/usr/bin/env bash
# Measures Parade and the Python pools in one run on this machine and prints them
# side by side. "make bench" builds Parade and calls this.
#
#	bench/run.sh [--quick] [--workers N]
set -euo pipefail
cd "$(dirname "$0")/.."

workers=2
quick=""
while [ $# -gt 0 ]; do
	case $1 in
	--quick) quick=--quick ;;
	--workers)
		workers=${2:?--workers needs a number}
		shift
		;;
	*)
		echo "bench: unknown option $1; there are --quick and --workers N" >&2
		exit 2
		;;
	esac
	shift
done

if [ ! -x bin/parade ]; then
	make build
fi

# The peers are kept between runs, apart from the user's own Python packages.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/parade
venv=$cache/peers
if ! command -v python3 >/dev/null; then
	echo "bench: python3 is missing; on Debian and Ubuntu: apt-get install python3-venv" >&2
	exit 1
fi
if ! cmp -s bench/peers/requirements.txt "$venv/installed.txt"; then
	rm -rf "$venv"
	mkdir -p "$cache"
	if ! python3 -m venv "$venv"; then
		echo "bench: python3 can't make a venv; on Debian and Ubuntu: apt-get install python3-venv" >&2
		rm -rf "$venv"
		exit 1
	fi
	"$venv/bin/pip" install --quiet --disable-pip-version-check -r bench/peers/requirements.txt
	cp bench/peers/requirements.txt "$venv/installed.txt"
fi

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
echo "measuring parade" >&2
bin/parade bench --json --workers "$workers" $quick >"$results/parade.jsonl"
echo "measuring the peers (with --quick 20 seconds, else some minutes)" >&2
"$venv/bin/python" bench/peers/peers.py --workers "$workers" $quick >"$results/peers.jsonl"

echo
echo "$(uname -sm), $(getconf _NPROCESSORS_ONLN) CPUs, $(go version | cut -d' ' -f3), $("$venv/bin/python" --version)"
"$venv/bin/python" bench/peers/table.py "$results/parade.jsonl" "$results/peers.jsonl"
