#!/usr/bin/env bash
# Sees to it that this machine can build Parade and, with the argument "test", run
# its tests. Installs what is missing on Debian and Ubuntu when it may; elsewhere it
# says what to install.
set -euo pipefail
cd "$(dirname "$0")/.."

# The Debian packages that the tests use beyond Go and that are not there. The C
# compiler and its headers are for the race detector, the libraries are what package
# linalg can load, GNU parallel is what parade run agrees with, and the daemons are what
# a cluster's engines are started by.
missing_packages() {
	local PATH=$PATH:/usr/sbin:/sbin
	command -v make >/dev/null || echo make
	command -v gcc >/dev/null || echo gcc
	command -v parallel >/dev/null || echo parallel # reads and continues our joblogs
	command -v mpiexec.openmpi >/dev/null || echo openmpi-bin # package mpi, under each of them
	command -v mpiexec.mpich >/dev/null || echo mpich
	command -v ssh >/dev/null || echo openssh-client
	command -v sshd >/dev/null || echo openssh-server
	for daemon in munged:munge slurmctld:slurmctld slurmd:slurmd sbatch:slurm-client; do
		command -v "${daemon%:*}" >/dev/null || echo "${daemon#*:}"
	done
	command -v ip >/dev/null || echo iproute2 # two machines on one
	if ! echo '#include <stdlib.h>' | gcc -E - >/dev/null 2>&1; then echo libc6-dev; fi
	for library in openblas-pthread/libopenblas.so.0:libopenblas0-pthread lapack/liblapack.so.3:liblapack3 \
		blas/libblas.so.3:libblas3 blis-pthread/libblis.so.4:libblis4-pthread; do
		# The name of the directory has the architecture in it.
		if ! ls /usr/lib/*-linux-gnu/"${library%:*}" >/dev/null 2>&1; then echo "${library#*:}"; fi
	done
}

need=$(awk '$1 == "go" { print $2 }' go.mod)
get_go="install Go ${need%.0} or newer from https://go.dev/dl/ (unpack it to /usr/local/go and put /usr/local/go/bin into PATH)"

# at_least A B: version A is not older than B.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

if ! command -v go >/dev/null; then
	echo "setup: Go is missing: $get_go" >&2
	exit 1
fi
# Within this module an older Go switches to the one that go.mod asks for, if it may
# and can fetch it.
if ! have=$(go env GOVERSION 2>&1) || ! at_least "${have#go}" "$need"; then
	echo "setup: Go is too old or could not fetch a newer one ($have): $get_go" >&2
	exit 1
fi

[ "${1:-}" = test ] || exit 0

missing=$(missing_packages | tr '\n' ' ')
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "setup: not found: $missing(these are the names on Debian); a C compiler with its headers and make are for the tests with the race detector, the libraries for the tests of each LAPACK, the daemons for those of clusters" >&2
elif [ "$(id -u)" = 0 ]; then
	echo "setup: installing $missing"
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2086
	{ apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } >&2 ||
		echo "setup: that failed; the tests run without what is missing" >&2
else
	echo "setup: for the race detector, every LAPACK and each way to start engines: sudo apt-get install $missing" >&2
fi
