#!/bin/sh
# Runs all tests. Those that need root, or programs that are not there, are left
# out, which is said at the end, whatever comes of the others; with
# COLMENA_GO_FLEET=require it is a failure, but for what single tests lack.
set -u
cd "$(dirname "$0")/.." || exit 1

fail() {
  echo "make test: FAILED: $1" >&2
  exit 1
}

hosts='the tests on real hosts (tests/hosts, tests/activation, tests/keyunits, tests/fleet, tests/othernix, parts of tests/nixos)'
not_run=
leave_out() { # WHAT WHY
  [ "${COLMENA_GO_FLEET-}" != require ] || fail "$1 cannot run: $2"
  not_run="${not_run}make test: did NOT run: $1: $2
"
}

root=yes
[ "$(id -u)" = 0 ] || root=
if [ "${COLMENA_GO_FLEET-}" = skip ]; then
  leave_out "$hosts" 'COLMENA_GO_FLEET=skip'
elif [ -z "$root" ]; then
  leave_out "$hosts" 'they need root'
elif ! go run ./tests/fleet/cmd/fleet setup; then
  leave_out "$hosts" 'see the error above'
  export COLMENA_GO_FLEET=skip
fi
[ -n "$root" ] || leave_out "the host's half of uploads and activations (pkg/upload, pkg/activation, tests/hostile)" 'it needs root'
[ -x /usr/sbin/sshd ] || leave_out 'SSH to an sshd (pkg/remote)' 'openssh-server is not installed'

sh tests/programs.sh

# Not even where every other test is required: the tree is nobody's package.
[ -e "${COLMENA_GO_TEST_NIXPKGS:-/nowhere}/standin/default.nix" ] ||
  echo "make test: will NOT run: NixOS' own modules on hosts (tests/realnixos): COLMENA_GO_TEST_NIXPKGS names no tree of them that builds offline"
[ -x "${COLMENA_GO_TEST_NIX_ROOT:-/nowhere}/usr/bin/nix" ] ||
  echo "make test: will NOT run: a Nix newer than the hosts' (tests/othernix): COLMENA_GO_TEST_NIX_ROOT names no root file system of a Debian with one"

command -v nix >/dev/null || fail 'nix is not installed: `make setup` as root installs it'
# With a configuration of its own, as tests have it (tests/nixenv).
own=$(mktemp -d) || exit 1
echo 'build-users-group =' >"$own/nix.conf"
why=$(env -u NIX_REMOTE -u NIX_STORE_DIR -u NIX_STATE_DIR NIX_CONF_DIR="$own" HOME="$own" nix-store --add tests/run.sh 2>&1)
status=$?
rm -rf "$own"
[ $status = 0 ] || fail "Nix cannot write its store as $(id -un), so nothing can be built: run this as root, or as a user who can ($(printf %s "$why" | tail -n 1))"

# Single tests tell there what they lack (tests/lacking).
COLMENA_GO_LACKING=$(mktemp) || exit 1
export COLMENA_GO_LACKING
trap 'rm -f "$COLMENA_GO_LACKING"' EXIT

# -count=1: what ran on hosts some other time says nothing about now.
go test -race -count=1 -timeout 30m "$@" ./...
status=$?

printf %s "$not_run"
sort -u "$COLMENA_GO_LACKING" | sed 's/^/make test: did NOT run: /'
if [ $status != 0 ]; then
  fail 'see above'
elif [ -n "$not_run" ] || [ -s "$COLMENA_GO_LACKING" ]; then
  echo 'make test: passed, as far as it ran'
else
  echo 'make test: passed, the tests on real hosts included'
fi
