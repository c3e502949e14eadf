{
# Keeps store paths on the host from the garbage collector, also those that are not
# there yet, and then serves the store; or lets go of them. Input: the length of a
# list, a list of COUNT, keep or release, store paths and a full stop, and for keep
# what is asked of the store. A root lives in /run, and so until a reboot at most; of
# a deployment that has died it goes with the next one that comes a day later.
set -fu
read -r size || exit 1
set -- $(head -c "$size")
[ $# -ge 3 ] && [ "$1" = $# ] || exit 1
verb=$2 roots=/run/colmena-go/roots gcroots=${NIX_STATE_DIR:-/nix/var/nix}/gcroots/auto
shift 2
if [ "$verb" = keep ]; then
  # What is in /run is root's alone; the collector looks from gcroots through the
  # link there, and itself removes one that leads nowhere.
  mkdir -p -m 0700 /run/colmena-go && mkdir -p $roots && mkdir -p "$gcroots" || exit 1
  find $roots -mindepth 1 -mmin +1440 -exec rm -f {} +
fi
while [ "$1" != . ]; do
  name=${1##*/}
  case $verb in
    keep) ln -sfn "$1" "$roots/$name" && ln -sfn "$roots/$name" "$gcroots/colmena-go-$name" || exit 1 ;;
    release) rm -f "$roots/$name" "$gcroots/colmena-go-$name" ;;
  esac
  shift
done
[ "$verb" = keep ] || exit 0
exec nix-store --serve --write
}
