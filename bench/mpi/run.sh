#!/usr/bin/env bash
# Measures package mpi beside mpi4py.futures and beside MPI itself, under each of Open
# MPI and MPICH that is installed, with one executable and one venv.
#
#	bench/mpi/run.sh [ROUNDS] [RANKS]    # 3 rounds of 3 ranks by default; sides take turns
#
# PYTHON names a Python that has requirements.txt; without it a venv is made.
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-3}
ranks=${2:-3}

. bench/venv.sh
venv mpi bench/mpi/requirements.txt

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
CGO_ENABLED=0 go build -o "$tmp/parade" bench/mpi/main.go
# More ranks than cores, and root in a container, are an error to Open MPI otherwise.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1

files=()
# The wheel of mpi4py wants MPICH under its own name, which Debian's is not.
mkdir "$tmp/lib"
find /usr/lib -name libmpich.so.12 -exec ln -s {} "$tmp/lib/libmpi.so.12" \; -quit
for mpi in openmpi mpich; do
	mpiexec=mpiexec.$mpi
	command -v "$mpiexec" >/dev/null || { echo "bench: $mpiexec is missing" >&2 && continue; }
	for _ in $(seq "$rounds"); do
		"$mpiexec" -n "$ranks" "$tmp/parade"
		LD_LIBRARY_PATH=$tmp/lib MPI4PY_MPIABI=$mpi "$mpiexec" -n "$ranks" "$python" -m mpi4py.futures bench/mpi/peer.py measure
	done >"$tmp/$mpi.jsonl"
	files+=("$tmp/$mpi.jsonl")
done

echo "$(uname -sm), $(getconf _NPROCESSORS_ONLN) CPUs, $(go version | cut -d' ' -f3), $("$python" --version), $ranks ranks, $(date +%F)"
"$python" bench/mpi/peer.py table "${files[@]}"
