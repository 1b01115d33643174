#!/usr/bin/env bash
# Measures smooth.Gaussian and SciPy's, as nilearn uses it, in one run, on one core and
# the same recording of 64 x 64 x 36 voxels and 200 volumes, and smooth.ToFWHM with and
# without a mask; Parade also on two cores. Then whole processes that read and write files:
# parade smooth on two cores, and nibabel with SciPy, which have one.
#
#	bench/smooth/run.sh [ROUNDS]     # 3 by default; sides take turns
#
# PYTHON names a Python that has requirements.txt; without it a venv is made.
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-3}

. bench/venv.sh
venv smooth bench/smooth/requirements.txt

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
go build -o "$tmp/parade" bench/smooth/main.go
CGO_ENABLED=0 go build -o "$tmp/command" ./cmd/parade
"$tmp/parade" write "$tmp/run.npy"
pin=()
if taskset -c 0 true 2>/dev/null; then
	pin=(taskset -c 0)
fi
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
for _ in $(seq "$rounds"); do
	for case in gaussian to-fwhm to-fwhm-mask; do
		GOMAXPROCS=1 "${pin[@]}" "$tmp/parade" "$case" "$tmp/run.npy" 1 "$tmp/$case.npy"
		"$tmp/parade" "$case" "$tmp/run.npy" 2
	done
	"${pin[@]}" "$python" bench/smooth/peer.py time "$tmp/run.npy" "$tmp/gaussian.npy"
	for file in run.nii run.nii.gz; do
		"$python" bench/smooth/peer.py spawn "$file" parade \
			"$tmp/command" smooth --fwhm 6 --force --on threads:2 -o "$tmp/out" "$tmp/$file" 2>/dev/null
		"$python" bench/smooth/peer.py spawn "$file" nibabel "$python" bench/smooth/peer.py file "$tmp/$file" "$tmp/out/peer-$file"
	done
done >"$tmp/results.jsonl"

echo "$(uname -sm), $(go version | cut -d' ' -f3), $("$python" --version), $(date +%F)"
"$python" bench/smooth/peer.py table "$tmp/results.jsonl"
