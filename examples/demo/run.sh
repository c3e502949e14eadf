#!/bin/sh
# The demo: boots three hosts, shows on them what is special here (scenes.sh), and
# takes them down again. It fails where something that it says is not so. `make
# demo` calls it.
set -eu
cd "$(dirname "$0")/../.."

mkdir -p .cache
go build -o .cache/colmena-go .
go build -o .cache/fleet ./tests/fleet/cmd/fleet
.cache/fleet setup
# The hosts live in namespaces of their own, and so does all that the demo writes,
# but for Nix's store and a report in .cache: they end with this command, however it
# ends.
trap : INT # those inside end, and we after them
began=$(date +%s)
status=0
.cache/fleet run -n 3 -- sh examples/demo/scenes.sh || status=$?
took=$(($(date +%s) - began))
case $status in
  0) echo "demo: all of it is so, in $took s; the hosts are gone again" ;;
  130) echo "demo: stopped after $took s; the hosts are gone again" >&2 ;;
  *) echo "demo: FAILED after $took s; the hosts are gone again" >&2 ;;
esac
exit $status
