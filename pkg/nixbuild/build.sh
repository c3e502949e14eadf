{
# Builds a derivation on the host, or fetches a path, with its daemon where there is
# one: the limits and the surroundings that its owner gave to builds are the daemon's.
# Input: the length of a list, a list of COUNT, a setting and its value (two dashes for
# none), the derivation or path, options and a full stop. The end of the input ends all.
set -fu
read -r size || exit 1
set -- $(head -c "$size")
[ $# -ge 5 ] && [ "$1" = $# ] || exit 1
# The value may be a URL with a login: everybody can see arguments, and only root what
# root has in its environment.
if [ "$2" != - ]; then
  NIX_CONFIG="${NIX_CONFIG-}
$2 = $3"
  export NIX_CONFIG
fi
shift 3
list=
while [ "$1" != . ]; do list="$list $1" && shift; done
if [ -S "${NIX_STATE_DIR:-/nix/var/nix}/daemon-socket/socket" ]; then
  NIX_REMOTE=daemon
  export NIX_REMOTE
fi
exec 3<&0
nix-store --realise --no-gc-warning --log-format internal-json $list </dev/null >/dev/null 3<&- &
build=$!
(
  while read -r _; do :; done
  kill $build
) <&3 >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait $build
status=$?
kill $watcher 2>/dev/null
exit $status
}
