# The way to a destination, on which root must be led nowhere else.

# enter DIR makes DIR the working directory, whose 'ID UID MODE' is then in `here`. If
# it is not there and not to be made, we are where it would begin.
enter() {
  absent= covered= sound=+
  if [ -z "$root" ] && trodden "$1"; then cd -P "$1"; else walk "$1"; fi
}

# trodden DIR: it exists, without symlinks, and all the way to it is root_only.
# `here` is what one program says of it.
trodden() {
  rest=$1/ way= ways=/
  while [ -n "$rest" ]; do
    part=${rest%%/*} rest=${rest#*/}
    case $part in '') continue ;; . | .. | .colmena-go.*) return 1 ;; esac
    way=$way/$part ways=$ways$IFS$way
    [ -d "$way" ] && [ ! -L "$way" ] || return 1
  done
  here=$(stat -c '%d:%i %u %a' -- $ways) || return 1
  while :; do
    place_for_keys "${here%% *}"
    case $here in *"$IFS"*) ;; *) return 0 ;; esac
    root_only "${here%%"$IFS"*}" || return 1
    here=${here#*"$IFS"}
  done
}

# walk goes component by component: missing ones are made if they are to be, and links
# are followed only where nobody but root can have made them.
walk() {
  rest=${1#/} later=${1#/} asked=$1 links=0
  top
  while [ -n "$rest" ]; do
    case $rest in
      # What was asked for; before it stands where links lead.
      "$later")
        next
        later=$rest
        ;;
      *) next ;;
    esac
    case $part in
      '' | .) continue ;;
      ..) up; continue ;;
      .colmena-go.*) fail dir "$walking" "$(pwd -P)/$part is named like a stage of colmena-go: choose another" ;;
    esac
    here=$(stat -c '%d:%i %u %a' .)
    place_for_keys "${here%% *}"
    root_only "$here" || sound=
    if [ -n "$root" ]; then
      within_root
      [ -z "$covered" ] || return 0
    fi
    if [ -L "./$part" ]; then
      follow
      continue
    fi
    new=
    if [ ! -e "./$part" ]; then
      may_create
      if [ -z "$making" ]; then
        absent=$(pwd -P)/$part/$rest
        return
      fi
      create
    fi
    [ -d "./$part" ] || fail dir "$walking" "$(pwd -P) holds a $part that is not a directory"
    cd -P "./$part" || fail dir "$walking" "cannot enter $(pwd -P)/$part"
    entered "${here%% *}" "$part" || fail dir "$walking" "$part was swapped while it was entered"
    trail=${here%% *}$IFS$trail
    # Ours to remove only now that it is known to be the one that was made.
    [ -z "$new" ] || eval "made_$walking=\$part\$IFS\$made_$walking"
  done
  here=$(stat -c '%d:%i %u %a' .)
  place_for_keys "${here%% *}"
  part=
  [ -z "$root" ] || within_root
}

# next takes the `part` that comes first off the `rest` of the way.
next() {
  part=${rest%%/*}
  case $rest in */*) rest=${rest#*/} ;; *) rest= ;; esac
  while :; do
    case $rest in /* | ./*) rest=${rest#*/} ;; .) rest= ;; *) return ;; esac
  done
}

# place_for_keys ID: no key goes into this program's own directories, or into the
# store, whatever leads there.
place_for_keys() {
  case $IFS$closed_to_keys in *"$IFS$1 "*) ;; *) return 0 ;; esac
  rest=$IFS$closed_to_keys
  rest=${rest#*"$IFS$1 "}
  fail dir "$walking" "it leads into ${rest%%"$IFS"*}, which is no place for keys: choose another"
}

# entered ID NAME: what we are in is what is at NAME, which stat does not follow,
# in the directory ID, where we came from.
entered() {
  below=$(stat -c %d:%i .. . "../$2") || return 1
  same=${below##*"$IFS"}
  [ "$below" = "$1$IFS$same$IFS$same" ]
}

# guarded 'ID UID MODE': root_only, or at least sticky: only root can replace
# root's entries in the directory, and those of others are theirs.
guarded() { case ${1#* } in '0 '[1357]???) ;; *) root_only "$1" ;; esac; }

# root_only 'ID UID MODE': only root can change anything in the directory.
root_only() {
  case ${1#* } in
    '0 '*[2367]? | '0 '*[2367]) return 1 ;;
    '0 '*) ;;
    *) return 1 ;;
  esac
}

follow() {
  guarded "$here" && [ "$(stat -c %u "./$part")" = 0 ] ||
    fail dir "$walking" "$(pwd -P)/$part is a symlink that root did not make"
  links=$((links + 1))
  [ $links -le 40 ] || fail dir "$walking" "too many symlinks at $part"
  target=$(readlink "./$part")
  rest=$target/$rest
  case $target in /*) top ;; esac
}

# may_create: what is not there yet may all the same be this program's, or the key units', own.
may_create() {
  case $(pwd -P)/$part in "$run" | "$run-keys" | "$lib") fail dir "$walking" "it leads into $(pwd -P)/$part, which is no place for keys: choose another" ;; esac
}

create() {
  if [ "$rest" = "$later" ] && declared "${asked%"/$later"}"; then
    create_owned
  elif [ "$part" = keys ] && [ "$(pwd -P)" = /run ]; then
    mkdir -m 0750 ./keys || fail dir "$walking" 'cannot make /run/keys'
    chgrp keys ./keys 2>/dev/null || :
  else
    mkdir -m 0755 "./$part" || fail dir "$walking" "cannot make $part in $(pwd -P)"
    # A setgid parent hands its group down. Mended only where nobody but root
    # can have swapped the new directory by now.
    case $here in
      *' '[2367]???) if guarded "$here"; then chown 0:0 "./$part" && chmod g-s "./$part"; fi ;;
    esac
  fi
  new=yes
}

# declared PATH sets the owner and mode with which a directory is to be made.
declared() {
  set -- "$1" $owned
  way=$1
  shift
  while [ $# -gt 0 ]; do
    owner=$2 mode=$3
    [ "$1" != "$way" ] || return 0
    shift 4
  done
  return 1
}

# create_owned makes the directory in a stage, where nobody can swap it, and moves it from there.
create_owned() {
  open_stage "${here%% *}"
  {
    mkdir "./n/$part" && chown "$owner" "./n/$part" && chmod "$mode" "./n/$part" && mv -n -T "./n/$part" "../$part"
  } || fail dir "$walking" "cannot make $part in $(pwd -P)"
  clean_stage "$walking"
  [ "$(stat -c %d:%i .)" = "${here%% *}" ] || fail dir "$walking" "$part was swapped while it was made"
  eval "path_$walking="
}

# give PATH OWNER MODE ID: the directory, which is root's alone and still the same, gets its owner.
give() {
  enter "$1"
  [ -n "$sound" ] && [ "${here%% *}" = "$4" ] && root_only "$here" && chown "$2" . && chmod "$3" .
}

# give_all does what is left to do of `owned`, and remembers what cannot be done.
give_all() {
  n=0
  set -- $owned
  while [ $# -gt 0 ]; do
    n=$((n + 1))
    [ "$4" = - ] || (give "$@") >/dev/null || kept="${kept}kept $n$IFS"
    shift 4
  done
}
