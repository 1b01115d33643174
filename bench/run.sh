#!/usr/bin/env bash
# Measures Parade and the Python pools in one run on this machine and prints them
# side by side. "make bench" builds Parade and calls this.
#
#	bench/run.sh [--quick] [--workers N]
#
# PYTHON names a Python that has peers/requirements.txt; without it a venv is made.
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

. bench/venv.sh
venv peers bench/peers/requirements.txt

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
echo "measuring parade" >&2
bin/parade bench --json --workers "$workers" $quick >"$results/parade.jsonl"
echo "measuring the peers (with --quick 20 seconds, else some minutes)" >&2
"$python" bench/peers/peers.py --workers "$workers" $quick >"$results/peers.jsonl"

echo
echo "$(uname -sm), $(getconf _NPROCESSORS_ONLN) CPUs, $(go version | cut -d' ' -f3), $("$python" --version)"
"$python" bench/peers/table.py "$results/parade.jsonl" "$results/peers.jsonl"
