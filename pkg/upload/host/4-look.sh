# Looking: what there is, without a change.

# look DIR N (NAME SIZE)*N reports the directory and what is at each name.
look() {
  dirs=$((dirs + 1)) walking=$dirs
  eval "made_$walking= old_$walking= path_$walking="
  dir=$1 n=$2 i=0 names= found=
  shift 2
  enter "$dir"
  sweep_all
  fstype=-
  [ "$volatile" = 0 ] || fstype=$(stat -f -c %T .)
  printf 'dir %s %s\n' "$fstype" "$here"
  eval "dir_$walking=\$dir at_$walking=\${here%% *}"
  while [ $i -lt "$n" ]; do
    i=$((i + 1))
    if [ -L "./$1" ]; then echo "blocked $i a symlink"
    elif [ -f "./$1" ]; then names="$names./$1$IFS" found="$found$i$IFS$2$IFS"
    elif [ -d "./$1" ]; then echo "blocked $i a directory"
    elif [ -e "./$1" ]; then echo "blocked $i a device, pipe or socket"
    fi
    shift 2
  done
  if [ -n "$names" ] && root_only "$here" && tell && all_roots; then
    # Nobody can change the files: they are read where they are, and linked only
    # if there is something to do.
    eval "old_$walking=\$names"
    report
  else
    open_stage "${here%% *}"
    if [ -n "$names" ]; then link_old; fi
    if [ -n "$names" ]; then
      tell
      copy
      report
      rm -f -- $hash
    fi
  fi
  walking=
}

# tell asks what the files `names` are.
tell() {
  stats=$(stat -c '%f %u %g %s' $names) && lists=$(ls -dnU $names)
}

# all_roots: only root can have changed one of the files or have it open.
all_roots() {
  for stat in $stats; do
    case ${stat#* } in '0 '*) ;; *) return 1 ;; esac
    [ $((0x${stat%% *} & 022)) = 0 ] || return 1
  done
  for list in $lists; do
    case ${list%% *} in *+) return 1 ;; esac
  done
}

# link ./NAME... links files of the directory above into o.
link() {
  above=
  for name in "$@"; do above="$above.$name$IFS"; done
  ln -P -t o -- $above
}

# link_old puts the names into the stage, to be read there, where nobody can
# swap them, and goes on with those that are regular files.
link_old() {
  link $names || :
  cd -P ./o
  set -- $found
  found= linked=
  for name in $names; do
    if [ -f "$name" ] && [ ! -L "$name" ]; then
      linked="$linked$name$IFS" found="$found$1$IFS$2$IFS"
    else
      echo "blocked $1 a file that cannot be linked (immutable, or a mount point)"
    fi
    shift 2
  done
  names=$linked
}

# copy has what is in the files `names`, whose `found` is (INDEX SIZE)*, read into
# n, if the size is the wanted one: what others may have open is not read in place,
# where its owner could have us wait (fcntl(2), F_SETLEASE: 45 s by default) or read
# for ever. tar waits for nothing, and what it cannot read at once is left out.
copy() {
  left=$stats hash='' room=10240
  set -- $found
  for name in $names; do
    stat=${left%%"$IFS"*} left=${left#*"$IFS"}
    # The file, and what tar puts around it.
    [ "${stat##* }" != "$2" ] || hash="$hash$name$IFS" room=$((room + $2 + 4096))
    shift 2
  done
  cd -P ../n
  [ -n "$hash" ] || return 0
  tar -c --hard-dereference -C ../o -f - $hash 2>/dev/null | head -c "$room" |
    tar -x --no-same-owner --no-same-permissions -f - || :
}

# report says what the files `names` are, a + for those that an ACL opens to
# others. Those whose size is the wanted one are hashed; it is -1 where that file
# is not here.
report() {
  hash=
  set -- $found
  for name in $names; do
    stat=${stats%%"$IFS"*} stats=${stats#*"$IFS"}
    acl=-
    case ${lists%% *} in *+) acl=+ ;; esac
    lists=${lists#*"$IFS"}
    if [ "${stat##* }" != "$2" ]; then :
    elif [ -f "$name" ]; then hash="$hash$name$IFS"
    else stat="${stat% *} -1"
    fi
    echo "file $1 $stat $acl"
    shift 2
  done
  [ -z "$hash" ] || { echo sums; sha256sum $hash; echo end; }
}

# stage_late opens the stage of a directory that could be looked at without.
stage_late() {
  walking=$1
  eval "dir=\$dir_$1 at=\$at_$1 names=\$old_$1"
  [ -n "$names" ] || fail dir "$1" 'the staging directory was swapped'
  enter "$dir"
  [ "${here%% *}" = "$at" ] || fail dir "$1" 'the directory was replaced'
  open_stage "$at"
  link $names || fail dir "$1" 'a file cannot be linked (immutable, or a mount point)'
  walking=
}
