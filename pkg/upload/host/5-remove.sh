# Removing what is no key any more.

# remove_all (DIR K name*K)* . removes files that were looked at, and tells by their numbers
# which of them stay.
remove_all() {
  number=0
  # From here to the end nothing may stop us half-way.
  trap '' HUP INT TERM
  while [ "$1" != . ]; do
    block=$1 k=$2
    shift 2
    first "$k" "$@"
    shift "$k"
    remove_from
  done
  echo removed
}

# remove_from takes the names `first` out of the directory. In one of others what a name leads to
# now may be another file than the one that was looked at, which the stage has by a link.
remove_from() {
  beside='' sure=yes
  eval "dir=\$dir_$block at=\$at_$block path=\${path_$block-}"
  walking=$block
  if [ -n "$path" ]; then
    beside=$stage.$block/o/
    enter_stage "$block" && cd -P .. || sure=
  elif (enter "$dir") >/dev/null 2>&1; then
    enter "$dir"
    root_only "$here" || sure=
  else
    sure=
  fi
  walking=
  [ "$(stat -c %d:%i .)" = "$at" ] || sure=
  for name in $first; do
    number=$((number + 1))
    { [ -n "$sure" ] && removable && rm -f -- "./$name"; } 2>/dev/null || echo "left $number"
  done
  [ -z "$sure" ] || in_memory "$block" || sync . 2>/dev/null || :
}

removable() {
  [ -f "./$name" ] && [ ! -L "./$name" ] && { [ -z "$beside" ] || [ "./$name" -ef "./$beside$name" ]; }
}
