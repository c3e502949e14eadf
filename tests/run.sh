#!/bin/sh
# Runs all tests. Those that boot hosts need root; without it they are left out,
# which is said at the end, unless COLMENA_GO_FLEET=require makes that a failure.
set -eu
cd "$(dirname "$0")/.."

left_out=
leave_out() {
  if [ "${COLMENA_GO_FLEET-}" = require ]; then
    echo "make test: FAILED: hosts cannot be booted: $1" >&2
    exit 1
  fi
  left_out=$1
  export COLMENA_GO_FLEET=skip
}

if [ "${COLMENA_GO_FLEET-}" = skip ]; then
  left_out="COLMENA_GO_FLEET=skip"
elif [ "$(id -u)" != 0 ]; then
  leave_out "it needs root"
elif ! go run ./tests/fleet/cmd/fleet setup; then
  leave_out "see the error above"
fi
command -v nix >/dev/null || {
  echo "make test: FAILED: nix is not installed: \`make setup\` as root installs it" >&2
  exit 1
}

# -count=1: what ran on hosts some other time says nothing about now.
go test -race -count=1 -timeout 30m "$@" ./...

if [ -n "$left_out" ]; then
  echo "make test: passed, but the tests on real hosts did NOT run: $left_out"
else
  echo "make test: passed, the tests on real hosts included"
fi
