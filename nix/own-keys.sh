# shellcheck shell=bash
# own-keys KEYS DIRECTORIES gives both to their owners; a line of KEYS is PATH, USER,
# GROUP, MODE and NAME, and one of DIRECTORIES is PATH, USER, GROUP, MODE and the mode
# for root alone, parted by tabs.
#
# The tool leaves to root whose owner is yet to be made. Only what nobody
# but root can have put there is given away: in a directory that others can write,
# the tool replaces the file itself once the owner exists.
set -fu

say() { printf 'colmena-go: key %s: %s\n' "$1" "$2" >&2; }

# root_only DIR: only root can change anything in it.
root_only() {
  local uid mode
  IFS=' ' read -r uid mode < <(stat -c '%u %a' -- "$1") && [ "$uid" = 0 ] && ((! (0$mode & 022)))
}

# walk DIR prints it without symlinks, if root_only all the way there.
walk() {
  local rest=$1 part target links=0 at=
  while root_only "${at:-/}"; do
    while [[ $rest = /* ]]; do rest=${rest#/}; done
    if [ -z "$rest" ]; then
      printf '%s.' "$at"
      return
    fi
    part=${rest%%/*} rest=${rest#"$part"}
    if [ "$part" = . ]; then
      :
    elif [ "$part" = .. ]; then
      at=${at%/*}
    elif [ -L "$at/$part" ]; then
      ((++links <= 40)) && target=$(readlink -n -- "$at/$part" && echo .) || return
      rest=${target%.}$rest
      if [[ $rest = /* ]]; then at=; fi
    elif [ -d "$at/$part" ]; then
      at=$at/$part
    else
      return 1
    fi
  done
  return 1
}

# give PATH USER GROUP MODE NAME
give() {
  local dir=${1%/*} real said
  if [ -z "${reals[$dir/]+known}" ]; then reals[$dir/]=$(walk "$dir"); fi
  real=${reals[$dir/]}
  if [ -z "$real" ]; then
    say "$5" "others than root can write on the way to $1, so only the next upload sets its owner"
    return
  fi
  real=${real%.}/${1##*/}
  # A new owner takes the setuid and setgid bits off (chown(2)).
  if ! said=$(chown -h -- "$2:$3" "$real" 2>&1 && { ((! (0$4 & 06000))) || chmod -- "$4" "$real" 2>&1; }); then
    say "$5" "$1 could not be given to $2:$3 ($said); root keeps it. Declare the user and the group, or change the key's"
    return 1
  fi
}

# own_directory PATH USER GROUP MODE ROOTS gives one that is as the tool leaves it.
own_directory() {
  local real said
  real=$(walk "$1") || return 0
  real=${real%.}
  if [ -z "$real" ] || [ "$(stat -c '%u %g %a' -- "$real")" != "0 0 $5" ]; then return 0; fi
  if ! said=$(chown -- "$2:$3" "$real" 2>&1 && chmod -- "$4" "$real" 2>&1); then
    printf 'colmena-go: directory %s could not be given to %s:%s (%s); root keeps it. Declare the user and the group, or change it in deployment.keyDirectories\n' "$1" "$2" "$3" "$said" >&2
    return 1
  fi
}

if [ -d /run/keys ] && [ ! -L /run/keys ] && [ "$(stat -c %U:%G:%a /run/keys)" != root:keys:750 ]; then
  chown root:keys /run/keys && chmod 0750 /run/keys
fi
declare -A found reals
failed=0 there=()
while IFS='	' read -r path _; do
  if [ -f "$path" ] && [ ! -L "$path" ]; then there+=("$path"); fi
done <"$1"
# No more of them at once than fit into arguments, however long they are.
for ((i = 0; i < ${#there[@]}; i += 300)); do
  while IFS='	' read -r state path; do
    found[$path]=$state
  done < <(stat -c '%u %U %g %G %h	%n' -- "${there[@]:i:300}")
done
while IFS='	' read -r path user group mode name; do
  [ -n "${found[$path]-}" ] || continue
  IFS=' ' read -r uid owner gid team links <<<"${found[$path]}"
  if [[ $user = "$uid" || $user = "$owner" ]] && [[ $group = "$gid" || $group = "$team" ]]; then continue; fi
  if [ "$links" != 1 ]; then
    say "$name" "$path has other hard links, so only the next upload sets its owner"
    continue
  fi
  # A former owner may still have it open for writing, or in an ACL.
  if [[ $uid != 0 && $user != "$uid" && $user != "$owner" ]]; then
    say "$name" "$path belongs to $owner ($uid), so only the next upload sets its owner"
    continue
  fi
  give "$path" "$user" "$group" "$mode" "$name" || failed=1
done <"$1"
# After the keys, which are given only in root's.
while IFS='	' read -r path user group mode roots; do
  own_directory "$path" "$user" "$group" "$mode" "$roots" || failed=1
done <"$2"
exit $failed
