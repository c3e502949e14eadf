#!/bin/sh
# Installs what pages are looked at with (tests/page), where that may be done. Without it
# those tests say what they lack.
set -u
command -v chromium >/dev/null && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  exit 0
fi
echo 'tests: installing chromium' >&2
log=$(mktemp) || exit 1
export DEBIAN_FRONTEND=noninteractive
{ apt-get update -q && apt-get install -q -y --no-install-recommends chromium fonts-dejavu-core; } >"$log" 2>&1 || {
  cat "$log" >&2
  echo 'tests: chromium cannot be installed, so no page is looked at' >&2
}
rm -f "$log"
