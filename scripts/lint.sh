#!/usr/bin/env bash
# Format, go vet, staticcheck, and a tidy go.mod. Runs all of them before it fails.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=0

unformatted=$(gofmt -l .) || failed=1
if [ -n "$unformatted" ]; then
	printf 'not formatted, run gofmt -w:\n%s\n' "$unformatted"
	failed=1
fi
go vet ./... || failed=1
go tool staticcheck -checks "inherit,ST1000,ST1016,ST1020,ST1021,ST1022" ./... || failed=1
go mod tidy -diff || failed=1
# Not pinned, so only where a developer has it.
if command -v golangci-lint >/dev/null; then
	golangci-lint run || failed=1
fi
exit $failed
