#!/usr/bin/env bash
# Builds and vets everything, tests included, for every system that Parade runs on.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=0

for os in linux darwin windows; do
	for arch in amd64 arm64; do
		echo "$os/$arch"
		export GOOS=$os GOARCH=$arch CGO_ENABLED=0
		# Several packages at once: the results are checked and thrown away.
		go build -buildvcs=false ./... && go vet ./... || failed=1
	done
done

# What the machine's own LAPACK costs is the C library's loader: the tag leaves both out.
unset GOOS GOARCH
echo "$(go env GOOS)/$(go env GOARCH), static"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
go vet -tags static ./linalg ./cmd/parade && go build -buildvcs=false -tags static -o "$dir/parade" ./cmd/parade || failed=1
if [ "$(go env GOOS)" = linux ] && ! "$dir/parade" doctor --json | grep '"check":"linking","status":"ok","value":"static"' >/dev/null; then
	echo "parade built with -tags static is not static" >&2
	failed=1
fi
exit $failed
