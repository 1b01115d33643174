#!/usr/bin/env bash
# Measures a cluster of two engines beside IPython parallel, Dask distributed and HyperQueue,
# in one run in which the sides take turns, and prints a table in Markdown.
#
#	bench/cluster/run.sh [ROUNDS]    # 3 by default, of about 2 minutes each
#
# PYTHON names a Python that has requirements.txt; without it a venv is made. HyperQueue is
# what its Python package has, server and worker in one process, for Linux on amd64 only.
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-3}

. bench/venv.sh
venv cluster bench/cluster/requirements.txt

tmp=$(mktemp -d)
export PARADE_STATE=$tmp/state IPYTHONDIR=$tmp/ipython
end() {
	"$tmp/command" cluster stop bench --remove >/dev/null 2>&1 || true # none, unless a round was interrupted
	rm -rf "$tmp"
}
trap end EXIT
CGO_ENABLED=0 go build -o "$tmp/command" ./cmd/parade
CGO_ENABLED=0 go build -o "$tmp/parade" bench/cluster/main.go
peers=(ipyparallel dask)
if "$python" -c 'import hyperqueue' 2>/dev/null; then
	peers+=(hyperqueue)
fi
for round in $(seq "$rounds"); do
	for _ in 1 2 3; do
		"$tmp/parade" "$tmp/command" first
	done
	"$tmp/parade" "$tmp/command" measure
	echo "round $round of $rounds: Parade has been measured" >&2
	for peer in "${peers[@]}"; do
		if ! "$python" bench/cluster/peer.py "$peer" 2>"$tmp/err"; then
			cat "$tmp/err" >&2
			exit 1
		fi
		echo "round $round of $rounds: $peer has been measured" >&2
	done
done >"$tmp/results.jsonl"

echo "$(uname -sm), $(getconf _NPROCESSORS_ONLN) CPUs, $(go version | cut -d' ' -f3), $("$python" --version), $(date +%F), $rounds rounds, load at the end $(cut -d' ' -f1 /proc/loadavg)"
"$python" bench/cluster/peer.py table "$tmp/results.jsonl"
