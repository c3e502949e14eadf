#!/bin/sh
# Checks every script that runs on hosts or here, and installs shellcheck where it
# is missing and that can be done.
set -eu
cd "$(dirname "$0")/.."

if ! command -v shellcheck >/dev/null; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo 'lint: shellcheck is not installed, so no script was checked' >&2
    exit 0
  fi
  echo 'lint: installing shellcheck' >&2
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -q && apt-get install -q -y --no-install-recommends shellcheck; } >"$log" 2>&1 || {
    cat "$log" >&2
    exit 1
  }
fi

# In the host's scripts, words are parted by newlines and nothing else (IFS), so
# that they are not quoted: SC2046, SC2086. What dash can do is enough: SC3013.
for dir in pkg/*/host pkg/*/unit; do
  cat "$dir"/*.sh | shellcheck -s sh -e SC2046,SC2086,SC3013 - || {
    echo "lint: that is in $dir, whose files are joined" >&2
    exit 1
  }
done
shellcheck -s sh -e SC2046,SC2086,SC3013 pkg/*/*.sh
shellcheck -s sh tests/fleet/*.sh tests/othernix/*.sh
shellcheck nix/*.sh tests/*.sh examples/demo/*.sh .ci/run
