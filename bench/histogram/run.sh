#!/usr/bin/env bash
# Measures spike.TimeHistogram and elephant.statistics.time_histogram in one run, on
# one core and the same trains, and prints how many times faster Parade is.
#
#	bench/histogram/run.sh [ROUNDS]     # 3 by default; sides take turns
#
# PYTHON names a Python that has requirements.txt; without it a venv is made.
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-3}

python=${PYTHON:-}
if [ -z "$python" ]; then
	venv=${XDG_CACHE_HOME:-$HOME/.cache}/parade/elephant
	if ! cmp -s bench/histogram/requirements.txt "$venv/installed.txt"; then
		rm -rf "$venv"
		python3 -m venv "$venv"
		"$venv/bin/pip" install --quiet --disable-pip-version-check -r bench/histogram/requirements.txt
		cp bench/histogram/requirements.txt "$venv/installed.txt"
	fi
	python=$venv/bin/python
fi

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
"$python" bench/histogram/peer.py write "$tmp/trains.npy"
go build -o "$tmp/parade" bench/histogram/main.go

pin=()
if taskset -c 0 true 2>/dev/null; then
	pin=(taskset -c 0)
fi
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 GOMAXPROCS=1
for _ in $(seq "$rounds"); do
	"${pin[@]}" "$tmp/parade" "$tmp/trains.npy"
	"${pin[@]}" "$python" bench/histogram/peer.py time "$tmp/trains.npy"
done >"$tmp/results.jsonl"

echo "$(uname -sm), one core, $(go version | cut -d' ' -f3), $("$python" --version), $(date +%F)"
"$python" bench/histogram/peer.py table "$tmp/results.jsonl"
