# Doing: all of it or nothing. The last list is what becomes of the books, then blocks: DIR TAR SUMS STATS K name*K M (MASK OWNER MODE OLD-OWNER
# OLD-MODE C name*C)*M where TAR, SUMS and STATS are sizes of the data that follow the list.

each_block() {
  act=$1
  shift
  while [ "$1" != . ]; do
    block=$1 tar=$2 sums=$3 stats=$4 k=$5
    shift 5
    if enter_stage "$block" || without_stage; then $act "$@"; fi
    shift "$k"
    m=$1
    shift
    while [ "$m" -gt 0 ]; do m=$((m - 1)) && shift $((6 + $6)); done
  done
}

# without_stage: somebody moved the stage away, or there is none yet.
without_stage() {
  case $act in
    receive) stage_late "$block" ;;
    check) fail dir "$block" 'the staging directory was swapped' ;;
    mend | place) put_back 'the staging directory was swapped' ;;
    take_back) lost "$undo" ;;
    unmend) lost "$mended" ;;
  esac
}

# lost BLOCKS: what was done to the block, if it is one of them, stays.
lost() {
  case $IFS$1 in *"$IFS$block$IFS"*) torn=yes ;; esac
  return 1
}

# first K name... sets `first` to the K names that lead the arguments.
first() {
  first= left=$1
  shift
  while [ "$left" -gt 0 ]; do first="$first$1$IFS" left=$((left - 1)) && shift; done
}

receive() {
  [ "$k" -gt 0 ] || return 0
  cd -P ./n
  # With --acls, what a default ACL of the directory would add is taken off.
  head -c "$tar" | tar -x -p -m --acls --warning=no-xattr-write --numeric-owner -f - || fail write "$block" 'cannot write the new files'
  head -c "$sums" | sha256sum -c --status --strict - || fail verify "$block" 'the files on the host are not the ones that were sent'
  first "$k" "$@"
  want=$(head -c "$stats")
  names=
  for name in $first; do names="$names./$name$IFS"; done
  [ "$(stat -c '%f %u %g %s' $names)" = "$want" ] || fail verify "$block" 'owner, mode or size did not take'
  in_memory "$block" || sync $names || fail write "$block" 'cannot write the new files'
}

# check that every destination is still free of obstacles and where it was.
check() {
  first "$k" "$@"
  for name in $first; do
    if [ -L "../$name" ] || { [ -e "../$name" ] && [ ! -f "../$name" ]; }; then
      fail dir "$block" "$name is no longer a regular file"
    fi
  done
  eval "dir=\$dir_$block at=\$at_$block"
  [ "$(stat -c %d:%i ..)" = "$at" ] || fail dir "$block" 'the directory was moved'
  walking=$block
  enter "$dir"
  walking=
  [ "${here%% *}" = "$at" ] || fail dir "$block" 'the directory was replaced'
}

mend() { own_as now "$@" || put_back 'cannot set owner and mode'; }
unmend() { own_as before "$@" || torn=yes; }

# own_as WHEN BLOCK... gives files owners and modes, never wider than before and
# after, at any moment.
own_as() {
  when=$1
  shift $((1 + k))
  m=$1
  shift
  [ "$m" != 0 ] || return 0
  mended="$mended$block$IFS"
  cd -P ./o || return 1
  while [ "$m" -gt 0 ]; do
    mask=$1 owner=$2 mode=$3
    [ $when = now ] || owner=$4 mode=$5
    c=$6
    shift 6
    first "$c" "$@"
    chmod "$mask" -- $first && chown "$owner" -- $first && chmod "$mode" -- $first || return 1
    shift "$c"
    m=$((m - 1))
  done
}

place() {
  [ "$k" -gt 0 ] || return 0
  first "$k" "$@"
  undo="$undo$block$IFS"
  cd -P ./n
  mv -f -t ../.. -- $first || put_back 'cannot rename the new files into place'
  in_memory "$block" || sync_way
}

# sync_way: the directory of the stage, and those above it that were made for it, are on the
# disk. They go by no names, which others may have given to something else.
sync_way() {
  eval "made=\$made_$block"
  way=../..
  set -- $way
  for part in $made; do
    way=$way/..
    set -- "$@" $way
  done
  sync -- "$@" 2>/dev/null || :
}

# put_back WHY undoes all that was done, as far as the directories are still there.
put_back() {
  failed=$block
  each_block take_back $blocks
  each_block unmend $blocks
  [ -z "$torn" ] || fail torn "$failed" "$1"
  fail place "$failed" "$1; everything is as it was"
}

take_back() {
  case $IFS$undo in *"$IFS$block$IFS"*) ;; *) return 0 ;; esac
  first "$k" "$@"
  old=
  for name in $first; do
    if [ -e "./o/$name" ]; then old="$old./$name$IFS"
    elif [ ! -e "./n/$name" ]; then rm -f "../$name" || torn=yes
    fi
  done
  [ -n "$old" ] || return 0
  cd -P ./o
  mv -f -t ../.. -- $old || torn=yes
}
