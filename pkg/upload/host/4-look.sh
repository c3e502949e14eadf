# Looking: what there is, without a change.

# look DIR N (NAME SIZE)*N reports the directory and what is at each name.
look() {
  dirs=$((dirs + 1)) walking=$dirs
  eval "made_$walking= old_$walking= path_$walking= at_$walking=-"
  dir=$1 n=$2 i=0 names= found=
  shift 2
  enter "$dir"
  eval "dir_$walking=\$dir"
  # What is below another root is on a disk, or is copied to one.
  fstype=-
  [ -n "$root" ] || fstype=$(stat -f -c %T .)
  eval "fs_$walking=\$fstype"
  if [ -n "$covered" ]; then
    echo covered
    walking=
    return
  elif [ -n "$absent" ]; then
    printf 'absent %s %s\n' "$fstype" "$absent"
    [ -w . ] || echo fixed 0
    walking=
    return
  fi
  printf 'dir %s %s\n' "$fstype" "$here"
  eval "at_$walking=\${here%% *}"
  [ -n "$peek" ] || sweep_all
  while [ $i -lt "$n" ]; do
    i=$((i + 1))
    if [ -L "./$1" ]; then echo "blocked $i a symlink"
    elif [ -f "./$1" ]; then names="$names./$1$IFS" found="$found$i$IFS$2$IFS"
    elif [ -d "./$1" ]; then echo "blocked $i a directory"
    elif [ -e "./$1" ]; then echo "blocked $i a device, pipe or socket"
    fi
    shift 2
  done
  if [ -n "$peek" ]; then
    peek_at
  elif [ -n "$names" ] && root_only "$here"; then
    # Nobody can swap the files: they are read where they are, and linked only
    # if there is something to do.
    eval "old_$walking=\$names"
  else
    open_stage "${here%% *}"
    if [ -n "$names" ]; then link_old; fi
  fi
  if [ -n "$names" ]; then report; fi
  walking=
}

# look_way N DIR reports a directory of `owned`, if it is there.
look_way() {
  enter "$2"
  [ -n "$absent$covered" ] || printf 'way %s %s %s\n' "$1" "$(stat -c '%d:%i %u %g %a' .)" "${sound:--}"
}

# peek_at tells what would stop a change. Where others may take a file away meanwhile,
# it tells the rest, too: each file is asked for by itself, and no link is followed.
peek_at() {
  [ -w . ] || echo fixed 0
  within=$(pwd -P) alone=yes list=$names hash='' room=10240
  if root_only "$here"; then alone=; else names=; fi
  set -- $found
  for name in $list; do
    if [ -z "$alone" ]; then
      ! fixed || echo "fixed $1"
    elif fixed; then
      echo "blocked $1 $unlinkable"
    elif stat=$(stat -c '%f %u %g %s' "$name" 2>/dev/null) && line=$(ls -dnU "$name" 2>/dev/null); then
      case $stat in
        8???' '*) told "$1" "$2" "$stat" "${line%% *}" ;;
        *) echo "blocked $1 no longer a regular file" ;;
      esac
    fi
    shift 2
  done
  [ -z "$alone" ] || tell_sums
}

# fixed: the file `name` cannot be replaced.
fixed() {
  case $mounts in *"$IFS$within/${name#./}$IFS"*) return 0 ;; esac
  [ ! -w "$name" ]
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
      echo "blocked $1 $unlinkable"
    fi
    shift 2
  done
  names=$linked
}

# report says what the files `names` are, a + for those that an ACL opens to
# others; their `found` is (INDEX SIZE)*. Those whose size is the wanted one are
# hashed.
report() {
  stats=$(stat -c '%f %u %g %s' $names)
  lists=$(ls -dnU $names)
  hash='' room=10240
  set -- $found
  for name in $names; do
    told "$1" "$2" "${stats%%"$IFS"*}" "${lists%% *}"
    stats=${stats#*"$IFS"} lists=${lists#*"$IFS"}
    shift 2
  done
  tell_sums
}

# told INDEX SIZE STAT MODE reports the file `name`.
told() {
  acl=-
  case $4 in *+) acl=+ ;; esac
  echo "file $1 $3 $acl"
  # With what tar puts around a file.
  [ "${3##* }" != "$2" ] || hash="$hash$name$IFS" room=$((room + $2 + 4096))
}

tell_sums() { [ -z "$hash" ] || { echo sums && sums; echo end; }; }

# at_once prints the sums of all. A look leaves the times of the last access alone: where
# we are is mounted without them, in a mount namespace that nobody else is in. It is
# called by no name, which others may have given to another directory by now, and /sys
# stands for a place where nobody else can have put something, and that nothing here needs.
at_once() {
  set -- timeout --foreground -k 1 2 sha256sum $hash
  [ -n "$peek" ] || exec "$@"
  exec unshare -m sh -c 'mount -c -o bind,noatime . /sys && cd /sys && exec "$@"' sh "$@" 2>/dev/null
}

# sums prints a line for each file of `hash`: its sum, or a dash for one that cannot
# be read at once. Its owner may have us wait for it (fcntl(2), F_SETLEASE: 45 s by
# default) or have it grow for ever; then, once in a run, each is asked for by itself.
sums() {
  if [ -z "$one_by_one$alone" ] && lines=$(at_once); then
    printf '%s\n' "$lines"
    return
  fi
  one_by_one=yes
  # tar waits for no file and follows no link, leaves the time of the last access alone
  # (open(2), O_NOATIME), and no more is read than the sizes that were told.
  lines=$(tar -c --no-recursion --atime-preserve=system --no-unquote --hard-dereference -f - $hash 2>/dev/null | head -c "$room" |
    tar -x --to-command='sum=$(sha256sum) && printf "%s %s\n" "${sum%% *}" "$TAR_FILENAME"' -f - 2>/dev/null) || :
  lines=$lines$IFS
  for name in $hash; do
    line=${lines%%"$IFS"*}
    if [ "${line#* }" = "$name" ]; then
      echo "${line%% *}"
      lines=${lines#*"$IFS"}
    else
      echo -
    fi
  done
}

# stage_late opens the stage of a directory that could be looked at without, or that
# is yet to be made.
stage_late() {
  walking=$1
  eval "dir=\$dir_$1 at=\$at_$1 names=\$old_$1"
  if [ "$at" = - ]; then
    making=yes
    enter "$dir"
    making=
    [ -z "$covered" ] || fail dir "$1" 'the directory was replaced'
    at=${here%% *}
    eval "at_$1=\$at"
    open_stage "$at"
    walking=
    return
  fi
  [ -n "$names" ] || fail dir "$1" 'the staging directory was swapped'
  enter "$dir"
  [ "${here%% *}" = "$at" ] || fail dir "$1" 'the directory was replaced'
  open_stage "$at"
  link $names || fail dir "$1" 'a file cannot be linked (immutable, or a mount point)'
  walking=
}
