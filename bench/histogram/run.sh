#!/usr/bin/env bash
# Measures spike.TimeHistogram and elephant.statistics.time_histogram in one run, on
# one core and the same trains, and prints how many times faster Parade is; of a large
# recording also on two cores.
#
#	bench/histogram/run.sh [ROUNDS]     # 3 by default; sides take turns
#
# PYTHON names a Python that has requirements.txt; without it a venv is made.
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-3}

. bench/venv.sh
venv elephant bench/histogram/requirements.txt

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
go build -o "$tmp/parade" bench/histogram/main.go
pin=()
if taskset -c 0 true 2>/dev/null; then
	pin=(taskset -c 0)
fi
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
for case in tutorial recording; do
	"$python" bench/histogram/peer.py write "$case" "$tmp/trains.npy"
	for _ in $(seq "$rounds"); do
		GOMAXPROCS=1 "${pin[@]}" "$tmp/parade" "$case" "$tmp/trains.npy" 1
		"${pin[@]}" "$python" bench/histogram/peer.py time "$case" "$tmp/trains.npy"
		if [ "$case" = recording ]; then
			"$tmp/parade" "$case" "$tmp/trains.npy" 2
		fi
	done
done >"$tmp/results.jsonl"

echo "$(uname -sm), $(go version | cut -d' ' -f3), $("$python" --version), $(date +%F)"
"$python" bench/histogram/peer.py table "$tmp/results.jsonl"
