# Another root than /, below which alone anything is done: a system that has not booted yet.
# Links and .. lead where they would lead with that as / (openat2(2), RESOLVE_IN_ROOT).

# enter_root looks for it. It is reached without links, and nobody but root can replace it.
enter_root() {
  rest=${root#/}
  cd /
  while [ -n "$rest" ]; do
    next
    here=$(stat -c '%d:%i %u %a' .)
    guarded "$here" || fail base 0 "others than root can write $(pwd -P), where $root begins"
    [ ! -L "./$part" ] || fail base 0 "$(pwd -P)/$part is a symlink: name the directory itself"
    [ -d "./$part" ] || fail base 0 "$(pwd -P) holds no directory $part"
    cd -P "./$part" && entered "${here%% *}" "$part" || fail base 0 "$part was swapped while it was entered"
  done
  here=$(stat -c '%d:%i %u %a' .)
  root_only "$here" || fail base 0 "others than root can write $root"
  root_id=${here%% *}
  case $root_id in "$(stat -c %d:%i /)") fail base 0 "$root is the host's own /: leave --root out" ;; esac
  place_for_keys "$root_id"
  find_foreign
}

# top goes to where every way begins.
top() {
  if [ -z "$root" ]; then cd /; return; fi
  trail=
  cd -P "$root" && [ "$(stat -c %d:%i .)" = "$root_id" ] || fail dir "$walking" "$root is another directory than it was"
}

# up goes to the directory above, which is the one that we came from, or nowhere.
up() {
  if [ -z "$root" ]; then cd -P ..; return; fi
  [ -n "$trail" ] || return 0
  back=${trail%%"$IFS"*} trail=${trail#*"$IFS"}
  cd -P .. && [ "$(stat -c %d:%i .)" = "$back" ] || fail dir "$walking" 'a directory on the way was moved meanwhile'
}

# within_root: where we are, and `part` there, are in the root and part of the system to be.
within_root() {
  spot=$(pwd -P)
  case $spot in "$root" | "$root"/*) ;; *) fail dir "$walking" "a directory on the way was moved out of $root" ;; esac
  spot=$spot/$part/
  case ${spot#"$root"} in
    /run/* | /dev/* | /proc/* | /sys/* | /var/run/*) covered=yes ;;
    /nix/store/* | $lib/*) [ -n "$ours" ] || fail dir "$walking" "it leads into ${spot%/}, which is no place for keys: choose another" ;;
  esac
  for place in $foreign; do
    case $spot in "$place"/*) fail dir "$walking" "it leads into $place, where something from outside of $root is mounted" ;; esac
  done
}

# find_foreign finds what is mounted below the root and can be seen outside of it as well,
# as with mount --bind (proc_pid_mountinfo(5)).
find_foreign() {
  all=
  while IFS=' ' read -r _ _ device from place _; do all="$all$device$IFS$from$IFS$place$IFS"; done </proc/self/mountinfo
  set -- $all
  while [ $# -gt 0 ]; do
    case $3 in "$root"/*) if seen_outside "$1" "$2"; then foreign="$foreign$(readable "$3")$IFS"; fi ;; esac
    shift 3
  done
}

# seen_outside DEVICE FROM: a directory of that file system has a path that is not below the root.
seen_outside() {
  what=$1 inner=${2%/}/
  set -- $all
  while [ $# -gt 0 ]; do
    if [ "$1" = "$what" ]; then
      begin=${2%/}/
      case $inner in
        "$begin"*) case ${3%/}/${inner#"$begin"} in "$root"/*) ;; *) return 0 ;; esac ;;
      esac
    fi
    shift 3
  done
  return 1
}

# readable PLACE: it, or what is above it where its name is written with escapes.
readable() { case $1 in *\\*) above=${1%%\\*} && printf %s "${above%/*}" ;; *) printf %s "$1" ;; esac }

# entries_below DATABASE NAME... reports the ids from the files of the root: whoever could write
# those could give himself any key. A file that is yet to be made knows nobody.
entries_below() {
  database=$1
  shift
  names="$IFS$*$IFS"
  walking=0
  enter /etc
  [ -z "$absent$covered" ] || return 0
  [ -n "$sound" ] && root_only "$here" || fail base 0 "others than root can write $root/etc, where its users are from"
  [ -e "./$database" ] || [ -L "./$database" ] || return 0
  [ -f "./$database" ] && [ ! -L "./$database" ] || fail base 0 "$root/etc/$database is no regular file"
  set -- "$(stat -c '%u %a %s' "./$database")"
  root_only "- ${1% *}" || fail base 0 "others than root can write $root/etc/$database"
  [ "${1##* }" -le 1048576 ] || fail base 0 "$root/etc/$database is too large to be read"
  dd iflag=noatime,fullblock,count_bytes count=1048576 bs=64k status=none <"./$database" | while IFS=: read -r name _ number _ || [ -n "$name" ]; do
    case $names in *"$IFS$name$IFS"*) ;; *) continue ;; esac
    # A number is that of a user, whoever bears it as a name.
    case $name in *[!0-9]*) ;; *) continue ;; esac
    case $number in '' | *[!0-9]* | ???????????*) number=4294967295 ;; esac
    [ "$number" -lt 4294967295 ] || fail base 0 "$root/etc/$database gives $name no number"
    names=${names%%"$IFS$name$IFS"*}$IFS${names#*"$IFS$name$IFS"}
    echo "$database $number $name"
  done
}
