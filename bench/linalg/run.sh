#!/usr/bin/env bash
# Measures linalg.SVD and numpy.linalg.svd in one run, on the same matrices and with the
# very OpenBLAS that NumPy uses, one inner thread: one matrix on one core, and 20 on two
# workers, over Parade's executors, multiprocessing.Pool and joblib.
#
#	bench/linalg/run.sh [ROUNDS]     # 3 by default, of about 45 s; sides take turns
#
# PYTHON names a Python that has requirements.txt; without it a venv is made.
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-3}

. bench/venv.sh
venv linalg bench/linalg/requirements.txt

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
PARADE_LINALG=$("$python" bench/linalg/peer.py library)
export PARADE_LINALG
"$python" bench/linalg/peer.py write "$tmp/matrices"
CGO_ENABLED=0 go build -o "$tmp/parade" bench/linalg/main.go

pin=()
if taskset -c 0 true 2>/dev/null; then
	pin=(taskset -c 0)
fi
for _ in $(seq "$rounds"); do
	"${pin[@]}" "$tmp/parade" one "$tmp/matrices"
	"${pin[@]}" "$python" bench/linalg/peer.py one "$tmp/matrices"
	"$tmp/parade" many "$tmp/matrices"
	"$python" bench/linalg/peer.py many "$tmp/matrices"
done >"$tmp/results.jsonl"

echo "$(uname -sm), $(getconf _NPROCESSORS_ONLN) CPUs, $(go version | cut -d' ' -f3), $("$python" --version), $(date +%F)"
"$python" bench/linalg/peer.py table "$tmp/results.jsonl"
