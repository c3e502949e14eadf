#!/bin/sh
# The demo: boots three hosts, deploys hive.nix to them, changes one secret,
# uploads again, and takes everything down. `make demo` calls it.
set -eu
cd "$(dirname "$0")/../.."

if [ -z "${FLEET_HOSTS-}" ]; then
  began=$(date +%s)
  mkdir -p .cache
  go build -o .cache/colmena-go .
  go build -o .cache/fleet ./tests/fleet/cmd/fleet
  .cache/fleet setup
  echo "== booting three hosts"
  if .cache/fleet run -n 3 -- sh examples/demo/run.sh; then
    echo "demo: all went well in $(($(date +%s) - began)) s; the hosts are gone again"
    exit 0
  fi
  echo "demo: FAILED after $(($(date +%s) - began)) s; the hosts are gone again" >&2
  exit 1
fi

# From here on we are among the hosts. Nothing outside the demo's own folder
# and Nix's store is written.
work=$FLEET_DIR/demo
mkdir -p "$work/conf" "$work/home"
cat >"$work/conf/nix.conf" <<CONF
experimental-features = nix-command flakes
sandbox = false
build-users-group =
substituters =
flake-registry =
CONF
export NIX_CONF_DIR="$work/conf" HOME="$work/home" NIX_PATH="nixpkgs=$PWD/tests/nixos"
rm -rf /tmp/colmena-go-demo
mkdir -m 0700 /tmp/colmena-go-demo # ours, or an error
trap 'rm -rf /tmp/colmena-go-demo' EXIT
head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n' >/tmp/colmena-go-demo/db-password
colmena="$PWD/.cache/colmena-go --config $PWD/examples/demo/hive.nix"

# landed HOST shows what is on a host: never content.
landed() {
  echo "-- $1"
  .cache/fleet shell "$1" '
    for file in /run/keys/* /var/lib/secrets/*; do
      [ -f "$file" ] || continue
      unit="$(basename "$file")-key.service"
      # The unit follows its file within moments.
      for try in 1 2 3 4 5 6 7 8 9 10; do
        ! systemctl -q is-active "$unit" && sleep 0.1 || break
      done
      printf "   %-38s %-6s %-6s %s  %s: %s\n" "$file" $(stat -c "%U %G %a" "$file") "$unit" "$(systemctl is-active "$unit")"
    done
    for service in $(systemctl list-units --plain --no-legend "report.service" | cut -d" " -f1); do
      printf "   %-38s %24s: %s\n" "which reads its key" "$service" "$(systemctl is-active "$service")"
    done
  '
}

echo "== colmena-go apply"
$colmena apply
echo "== what landed"
for host in $FLEET_HOSTS; do landed "$host"; done

echo "== one secret changes; colmena-go upload-keys --on host2"
head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n' >/tmp/colmena-go-demo/db-password
$colmena upload-keys --on host2 --json >"$work/results.json"
landed host2
changed=$(grep -c '"change": "changed"' "$work/results.json" || :)
echo "== $changed key changed"
[ "$changed" = 1 ]
