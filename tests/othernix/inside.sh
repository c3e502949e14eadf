# inside.sh ROOT GIT MODULE PROGRAMS FOLDER COMMAND...: runs COMMAND, in FOLDER, in a
# copy of the root file system ROOT that is in memory, with the folders MODULE and
# PROGRAMS in the same places as outside. GIT is for a ROOT without one, or "". What is
# mounted ends with the mount namespace, which is ours alone.
set -eu
root=$1 git=$2 module=$3 programs=$4
shift 4

base=$programs/mounts
mkdir -p "$base"
mount -t tmpfs -o mode=0755 othernix "$base"
inside=$base/root
mkdir "$base/upper" "$base/work" "$inside"
mount -t overlay -o "lowerdir=$root,upperdir=$base/upper,workdir=$base/work" othernix "$inside"
# The module may lie in /tmp, as PROGRAMS does.
mount -t tmpfs -o mode=1777 othernix "$inside/tmp"
for path in "$module" "$programs"; do
  mkdir -p "$inside$path"
  mount --bind "$path" "$inside$path"
done
mount -o remount,bind,ro "$inside$module"
mount --rbind /dev "$inside/dev"
mount -t proc proc "$inside/proc"
[ -z "$git" ] || [ -e "$inside/usr/bin/git" ] || cp "$git" "$inside/usr/bin/git"

exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "COLMENA_GO_LACKING=$programs/lacking" \
  chroot "$inside" sh -euc 'cd "$1"; shift; exec "$@"' sh "$@"
