#!/bin/sh
# What the demo shows, one scene after the other, among the hosts that run.sh has
# booted. What a scene claims is checked on the hosts, not taken from what the
# program says.
set -eu
trap 'exit 130' INT TERM HUP

work=$FLEET_DIR/demo # in memory, and gone with the hosts
here=$PWD/examples/demo
fleet=$PWD/.cache/fleet
mkdir -p "$work/conf" "$work/home" "$work/bin" "$work/secrets"
cat >"$work/conf/nix.conf" <<CONF
experimental-features = nix-command flakes
sandbox = false
build-users-group =
substituters =
flake-registry =
CONF
export NIX_CONF_DIR="$work/conf" HOME="$work/home" XDG_CACHE_HOME="$work/home/.cache" XDG_STATE_HOME="$work/home/.state"
export NIX_PATH="nixpkgs=$PWD/tests/nixos" PATH="$work/bin:$PATH"
ln -s "$PWD/.cache/colmena-go" "$work/bin/colmena-go"
touch "$work/began"

# --- what scenes are made of --------------------------------------------------
scene() { printf '\n\033[1m== %s\033[0m\n' "$*" | plain; }
plain() { if [ -t 1 ]; then cat; else sed 's/\x1b\[[0-9]*m//g'; fi; }

# claim TEXT COMMAND... says what the command, which must succeed, has found so.
claim() {
  text=$1
  shift
  if "$@"; then echo "   ✓ $text"; else
    echo "   ✗ NOT SO: $text"
    exit 1
  fi
}

colmena() {
  echo "   \$ colmena-go $*" >&2
  colmena-go --config "$hive" "$@"
}

# exits N COMMAND... is whether it exits with N.
exits() {
  want=$1 got=0
  shift
  "$@" || got=$?
  [ "$got" = "$want" ]
}

on() { "$fleet" shell "$1" "$2"; }
# at HOST is where the files of a host are seen from here.
at() { eval "echo /proc/\$FLEET_PID_$1/root"; }

fresh() { # NAME: a new secret in the file of that name
  head -c 12 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"$work/secrets/$1"
}

cat >"$work/bin/vault" <<VAULT
#!/bin/sh
# What a password store would say to \`vault read -field=env secret/dns01\`.
printf 'DNS_API_TOKEN=%s\n' "\$(cat $work/secrets/dns01)"
VAULT
chmod +x "$work/bin/vault"
for name in dns01 db-password backup-key replication-key; do fresh "$name"; done

# --- scenes --------------------------------------------------------------------
scene 'Three hosts at once: build, copy, secrets, activate'
hive=$here/hive.nix
colmena apply
runs() { readlink "$(at "$1")/run/current-system"; }
for host in $FLEET_HOSTS; do
  claim "$host runs its new system" test -e "$(at "$host")$(runs "$host")/activate"
done
# Their numbers: the host has these names, not we.
owned() { on host1 '[ "$(stat -c "%U %G %a" /run/keys/acme-credentials.secret)" = "acme nginx 640" ]'; }
claim "host1 has the credentials of its certificate, for acme and nginx alone" owned
reads() { on host2 'systemctl -q is-active db-password-key.service report.service'; }
claim "host2's service has started once its password was there" reads

scene 'What would happen: nothing is changed'
hive=$work/next.nix
cat >"$hive" <<NIX
let
  now = import $here/hive.nix;
in
now
// {
  host1 = { pkgs, ... }: {
    imports = [ now.host1 ];
    environment.systemPackages = [ pkgs.curl ];
    deployment.keys.new-token.text = "a new one";
  };
  host3 = { lib, pkgs, ... }: {
    imports = [ now.host3 ];
    systemd.services.status-page.serviceConfig.ExecStart = lib.mkForce (
      pkgs.writeShellScript "status-page-1.1" "echo 'there is no database'; exit 1"
    );
  };
}
NIX
colmena apply push # brings the systems, so that they can be asked which units they would change
before=$(for host in $FLEET_HOSTS; do runs "$host"; done)
claim 'two of three would change (exit code 3)' exits 3 colmena plan
same() { [ "$before" = "$(for host in $FLEET_HOSTS; do runs "$host"; done)" ]; }
claim 'the hosts run what they ran' same

scene 'A secret is rotated'
hive=$here/hive.nix
fresh db-password
# Whoever may look at processes sees these, here and on all hosts.
while :; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null || :; done >"$work/processes" &
watcher=$!
echo '   $ colmena-go upload-keys --on host2'
colmena-go --config "$hive" upload-keys --on host2 --json >"$work/rotated.json" 2>"$work/rotated.log"
kill $watcher
wait $watcher 2>/dev/null || :
changes() { jq -r "[.results[].keys[] | select(.change == \"$1\")] | length" "$work/rotated.json"; }
claim "$(changes changed) changed, $(changes unchanged) unchanged, in $(jq '.results[0].seconds * 100 | round / 100' "$work/rotated.json") s" \
  test "$(changes changed) $(changes unchanged)" = '1 3'
landed() { cmp -s "$work/secrets/db-password" "$(at host2)/var/lib/secrets/db-password"; }
claim 'host2 has the new one' landed

scene 'That secret is searched'
# hits FILE...: how many hold the secret. It is in no argument of grep's.
hits() { grep -rlsaF -f "$work/secrets/db-password" -- "$@" | wc -l; }
claim 'in its file on host2: 1 hit, so the search works' test "$(hits "$(at host2)/var/lib/secrets")" = 1
absent() {
  for place; do [ -s "$place" ] || return 1; done # what is not there has no hits
  [ "$(hits "$@")" = 0 ]
}
nowhere() { [ -s "$1" ] && ! xargs grep -rqsaF -f "$work/secrets/db-password" -- <"$1"; }
# What has come into a store since we began (times in it are all the same but this), and
# here also host2's system with all that it is made of, which may be older.
arrived() { find "$1/nix/store" -mindepth 1 -maxdepth 1 -cnewer "$work/began"; }
{
  arrived ''
  nix-store -qR "$(runs host2)" "$(nix-store -qd "$(runs host2)")"
} | sort -u >"$work/paths"
claim "in the Nix store here, $(wc -l <"$work/paths") paths: 0 hits" nowhere "$work/paths"
arrived "$(at host2)" >"$work/paths"
claim "in that of host2, $(wc -l <"$work/paths") paths: 0 hits" nowhere "$work/paths"
claim "in arguments and environments of all processes, $(wc -c <"$work/processes" | numfmt --to=si)B: 0 hits" absent "$work/processes"
journal() { on host2 'journalctl -q --no-pager -o cat >/run/journal && [ -s /run/journal ] && ! grep -qaF -f /var/lib/secrets/db-password /run/journal'; }
claim 'in the journal of host2: 0 hits' journal
claim 'in our output, our JSON and our caches: 0 hits' absent "$work/rotated.json" "$work/rotated.log" "$work/home"

scene 'The deployer is killed in the middle of an upload'
secrets=$(at host2)/var/lib/secrets
sums() { (cd "$secrets" && sha256sum db-password backup-key replication-key); }
# What is on its way lies in a folder that only root can enter.
half() { find "$secrets" -path '*/.colmena-go.*/n/*' -size +1M 2>/dev/null | grep -q .; }
killed() { # fails where the upload was over before it could be killed
  sums >"$work/old"
  fresh db-password
  for name in backup-key replication-key; do head -c 24000000 /dev/urandom >"$work/secrets/$name"; done
  colmena-go --config "$hive" upload-keys --on host2 >/dev/null 2>&1 &
  deployer=$!
  until half; do kill -0 $deployer 2>/dev/null || return 1; done
  kill -9 $deployer
  wait $deployer 2>/dev/null || :
}
tries=1
until killed; do
  tries=$((tries + 1))
  [ $tries -le 5 ] || { echo "   the uploads are over too soon to be cut"; exit 1; }
done
echo "   \$ kill -9 colmena-go     # when half of it was there"
gone() { timeout 10 sh -c "while find '$secrets' -name '.colmena-go.*' | grep -q .; do sleep 0.05; done"; }
claim 'nothing of it is left on host2' gone
old() { sums | cmp -s "$work/old"; }
claim 'all old ones are there, whole' old
colmena upload-keys --on host2
brought() { for name in db-password backup-key replication-key; do cmp -s "$work/secrets/$name" "$secrets/$name" || return 1; done; }
claim 'now all new ones are' brought

scene 'One node is broken'
report=$PWD/.cache/demo-report.html
hive=$work/next.nix
deploys() { colmena apply --json --report "$report" >"$work/results.json"; }
claim 'the program says so (exit code 1)' exits 1 deploys
ended() { [ "$(jq -r '[.results[] | "\(.node) \(.status)"] | join(", ")' "$work/results.json")" = 'host1 succeeded, host2 succeeded, host3 failed' ]; }
claim 'the others are deployed' ended
news() { on host1 '[ -e /run/current-system/sw/bin/curl ] && [ -e /run/keys/new-token ]'; }
claim 'host1 has its new program, and its new secret' news

scene 'Where the time went'
jq -r -f "$here/timeline.jq" "$work/results.json"
claim 'the same as a page, with all that was printed: .cache/demo-report.html' grep -q 'there is no database' "$report"
echo
