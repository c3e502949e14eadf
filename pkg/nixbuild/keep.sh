{
# Keeps store paths on the host from the garbage collector, also those that are not
# there yet, and then serves the store. Input: the length of a list, a list of COUNT,
# store paths and a full stop, and what is asked of the store. A root lives in /run, and
# so until a reboot at most; of a deployment that has died it goes with the next one that
# comes a day later.
set -fu
read -r size || exit 1
set -- $(head -c "$size")
[ "$size" = 0 ] || { [ $# -ge 2 ] && [ "$1" = $# ] || exit 1; } # 0: no list, for no path
roots=/run/colmena-go/roots gcroots=${NIX_STATE_DIR:-/nix/var/nix}/gcroots/auto
[ $# = 0 ] || shift
# What is in /run is root's alone; the collector looks from gcroots through the link
# there, and itself removes one that leads nowhere.
if [ ! -d $roots ] || [ ! -d "$gcroots" ]; then
  mkdir -p -m 0700 /run/colmena-go && mkdir -p $roots "$gcroots" || exit 1
fi
while [ $# -gt 1 ]; do
  name=${1##*/}
  ln -sfn "$1" "$roots/$name" && ln -sfn "$roots/$name" "$gcroots/colmena-go-$name" || exit 1
  shift
done
find $roots -mindepth 1 -mmin +1440 -exec rm -f {} + </dev/null >/dev/null 2>&1 & # nobody waits
exec nix-store --serve --write
}
