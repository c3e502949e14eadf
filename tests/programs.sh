#!/bin/sh
# Installs what single tests use, where that may be done: what pages are looked at with
# (tests/page), and what reads metrics (pkg/report). Without them those tests say what they
# lack.
set -u
cd "$(dirname "$0")/.." || exit 1
command -v apt-get >/dev/null || exit 0
log=$(mktemp) || exit 1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$log" "$dir"' EXIT
export DEBIAN_FRONTEND=noninteractive

quietly() { # WHAT COMMAND...
  what=$1
  shift
  echo "tests: installing $what" >&2
  "$@" >"$log" 2>&1 || {
    cat "$log" >&2
    echo "tests: $what cannot be installed" >&2
  }
}

get_chromium() {
  apt-get update -q && apt-get install -q -y --no-install-recommends chromium fonts-dejavu-core
}

# Without its package, which would start a server.
get_promtool() {
  (cd "$dir" && apt-get download -q prometheus && dpkg-deb -x prometheus_*.deb .) && mkdir -p .cache && mv "$dir/usr/bin/promtool" .cache/promtool
}

if ! command -v chromium >/dev/null && [ "$(id -u)" = 0 ]; then
  quietly chromium get_chromium
fi
if ! command -v promtool >/dev/null && [ ! -x .cache/promtool ]; then
  quietly promtool get_promtool
fi
