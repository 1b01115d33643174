#!/usr/bin/env bash
# Everything that the CI checks. Goes through all steps before it fails, the tests
# last, so that their result ends the output. With CI=true a skipped test is a failure.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=""

step() {
	echo "== $1"
	shift
	"$@" || failed="$failed $1"
}

step "lint" scripts/lint.sh
step "cross builds" scripts/cross.sh

race=""
if CGO_ENABLED=1 go build -race -o /dev/null ./scripts/tally 2>/dev/null; then
	race="-race"
	export CGO_ENABLED=1
	# Else every child process that a test starts waits a second at its end.
	export GORACE="atexit_sleep_ms=0 ${GORACE:-}"
else
	echo "no race detector here (it needs a C compiler): the tests run without it"
fi
# shellcheck disable=SC2086
tests() { go test -json $race -timeout 20m ./... | go run ./scripts/tally; }
step "go test $race ./..." tests

if [ -n "$failed" ]; then
	echo "failed:$failed"
	exit 1
fi
