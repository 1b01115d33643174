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
exit $failed
