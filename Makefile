# make demo   builds Parade and runs the Elephant tutorial on this machine
# make test   everything that the CI checks: format, vet, lint, cross builds, tests
#
# also: build, man (the manual pages), bench (Parade beside its peers), lint, cross, clean
#
# Needed: Go, git and make. The rest is fetched.

# Settings of the user's that would change what is built.
export GOWORK := off
export GOFLAGS := -mod=readonly
# An older Go (from 1.21) fetches the one that go.mod asks for.
export GOTOOLCHAIN ?= auto

# Go fails on a repository that git does not trust (another owner); the binary then
# does without the commit in its version.
VCS := $(shell git rev-parse HEAD >/dev/null 2>&1 && echo auto || echo false)

.PHONY: build man demo test lint cross bench clean setup setup-test

build: setup
	CGO_ENABLED=0 go build -trimpath -buildvcs=$(VCS) -o bin/parade ./cmd/parade

demo: build
	bin/parade demo

# For those who package Parade: bin/man/parade.1 and so on; parade completion has the shells.
man: build
	bin/parade man bin/man

test: setup-test
	@scripts/test.sh

lint: setup
	@scripts/lint.sh

cross: setup
	@scripts/cross.sh

bench: build
	bench/run.sh

clean:
	rm -rf bin

setup:
	@scripts/setup.sh

setup-test:
	@scripts/setup.sh test
