{
# Tells what a host is like, run by sh as root. It changes nothing. Input: the length of a
# list, and if that is not 0, a list of COUNT, the paths of files and a full stop, a word a
# line. Each line that it prints begins with what it is about; the last is a full stop.
set -uf
LC_ALL=C
PATH=${PATH:-/bin}:/run/current-system/sw/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
newline='
'
IFS=$newline
profile=/nix/var/nix/profiles/system

# line FILE is the first line of a file.
line() {
  text=
  { read -r text <"$1"; } 2>/dev/null
  printf '%s' "$text"
}

# system NAME LINK tells of one system: where it is, when the link was made, its version,
# and what of it is booted.
system() {
  [ -e "$2" ] || return 0
  set -- "$1" "$2" $(readlink -m "$2" "$2/kernel" "$2/initrd" "$2/kernel-modules")
  printf '%s\n' "system $1 $3" "version $1 $(line "$3/nixos-version")" "kernel $1 $4" "initrd $1 $5" "kernel-modules $1 $6" \
    "kernel-params $1 $(line "$3/kernel-params")"
}

read -r size || exit 1
set -- $(head -c "$size")
if [ $# -gt 0 ]; then
  count=$1
  [ "$count" = $# ] || exit 1
  shift
fi

date '+now %s'
system current /run/current-system
system booted /run/booted-system
system next $profile
stat -c 'since %Y %n' -- /run/current-system /run/booted-system 2>/dev/null
printf 'profile %s\n' "$(readlink $profile)"
# Of all generations, those whose system is one of these.
current=$(readlink -m /run/current-system) next=$(readlink -m $profile)
find ${profile%/*} -maxdepth 1 -name 'system-*-link' -printf '%f %Ts %l\n' 2>/dev/null |
while IFS=' ' read -r name when path; do
  if [ "$path" = "$current" ] || [ "$path" = "$next" ]; then printf '%s\n' "generation $name $when $path"; fi
done
printf 'state %s\n' "$(systemctl is-system-running 2>/dev/null)"
systemctl list-units --failed --plain --full --no-legend --no-pager 2>/dev/null | {
  units=0
  while IFS=' ' read -r name rest; do
    units=$((units + 1))
    [ $units -gt 50 ] || printf 'unit %s\n' "$name"
  done
  printf 'failed %s\n' $units
}
# The full stop at the end of the list is a file, too, that nobody asked about.
[ $# -eq 0 ] || stat -c 'file %a %u %g %U %G %f %n' -- "$@" 2>/dev/null
echo .
exit 0
}
