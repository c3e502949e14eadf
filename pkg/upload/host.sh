{
# The host's half of a key upload, run by sh as root. On stdin: this script, a
# list of words (what to look at), later a second list (what to do) and the
# bytes it needs. On stdout: one report per line. upload.go holds the other half.
set -euf
umask 077
# What changes the words of programs that are read here.
unset CDPATH TAR_OPTIONS POSIXLY_CORRECT _POSIX2_VERSION QUOTING_STYLE TIME_STYLE BLOCK_SIZE BLOCKSIZE LS_BLOCK_SIZE
LC_ALL=C PATH=${PATH:-/bin}:/run/current-system/sw/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
IFS='
'
run=/run/colmena-go dirs=0 walking= stage= keep= undo= mended= torn= closed_to_keys=
fail() { printf 'fail %s %s %s\n' "$1" "$2" "$3"; exit 1; }

# What is not there must not be taken for a failure of something else.
missing=
for name in cat chgrp chmod chown flock head id ln ls mkdir mv readlink rm rmdir sha256sum stat sync tar; do
  command -v $name >/dev/null || missing="$missing $name"
done
[ -z "$missing" ] || fail tools 0 "${missing# }"

# A list is a line with its length in bytes, then words of one line each: their
# number first and a full stop last, so that a list cut short is never acted on.
length() { read -r size || fail input 0 -; }
whole() {
  [ $# -gt 1 ] || fail input 0 -
  count=$1
  shift $(($# - 1))
  [ "$1" = . ] && [ "$count" = "$words" ] || fail input 0 -
}

# --- directories -----------------------------------------------------------

# enter DIR makes DIR the working directory, whose 'ID UID MODE' is then in `here`.
enter() {
  if trodden "$1"; then cd -P "$1"; else walk "$1"; fi
}

# trodden DIR: it exists, without symlinks, and on all the way to it only root
# can replace anything. `here` is what one program says of it.
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
    closed "${here%%"$IFS"*}" || return 1
    here=${here#*"$IFS"}
  done
}

# walk goes component by component: missing ones are made, and links are followed
# only where nobody but root can have made them.
walk() {
  rest=${1#/} links=0
  cd /
  while [ -n "$rest" ]; do
    part=${rest%%/*}
    case $rest in */*) rest=${rest#*/} ;; *) rest= ;; esac
    case $part in
      '' | .) continue ;;
      ..) cd -P ..; continue ;;
      .colmena-go.*) fail dir "$walking" "$(pwd -P)/$part is named like a stage of colmena-go: choose another" ;;
    esac
    here=$(stat -c '%d:%i %u %a' .)
    place_for_keys "${here%% *}"
    if [ -L "./$part" ]; then
      follow
      continue
    fi
    new=
    [ -e "./$part" ] || create
    [ -d "./$part" ] || fail dir "$walking" "$(pwd -P) holds a $part that is not a directory"
    cd -P "./$part" || fail dir "$walking" "cannot enter $(pwd -P)/$part"
    entered "${here%% *}" "$part" || fail dir "$walking" "$part was swapped while it was entered"
    # Ours to remove only now that it is known to be the one that was made.
    [ -z "$new" ] || eval "made_$walking=\$part\$IFS\$made_$walking"
  done
  here=$(stat -c '%d:%i %u %a' .)
  place_for_keys "${here%% *}"
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

# guarded 'ID UID MODE': only root can replace root's entries in the directory;
# in a sticky one, those of others are theirs.
guarded() { case ${1#* } in '0 '[1357]???) ;; *) closed "$1" ;; esac; }

# closed 'ID UID MODE': only root can change anything in the directory.
closed() {
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
  case $target in /*) cd / ;; esac
}

create() {
  # Not there yet, but the key units' own.
  [ "$(pwd -P)/$part" != $run-keys ] || fail dir "$walking" "it leads into $run-keys, which is no place for keys: choose another"
  if [ "$part" = keys ] && [ "$(pwd -P)" = /run ]; then
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

# --- the stage: a directory of root's own inside each destination ------------

open_stage() {
  name=$stage.$walking
  printf '%s\n' "$(pwd -P)/$name" >>$run/stages || fail dir "$walking" "cannot write $run/stages"
  mkdir -m 0700 "./$name" || fail dir "$walking" "cannot make a directory in $(pwd -P)"
  cd -P "./$name" && entered "$1" "$name" || fail dir "$walking" 'the staging directory was swapped or moved'
  own=$(stat -c '%u %a %d:%i' .)
  # A setgid parent hands its bit down.
  case $own in '0 700 '* | '0 2700 '*) ;; *) fail dir "$walking" 'the staging directory was swapped' ;; esac
  mkdir ./n ./o || fail dir "$walking" "cannot make directories in $(pwd -P)"
  # From here on it is ours to clean.
  eval "path_$walking=\$(pwd -P) own_$walking=\$own"
}

enter_stage() {
  eval "path=\${path_$1-} own=\${own_$1-}"
  [ -n "$path" ] && cd -P "$path" 2>/dev/null && [ "$(stat -c '%u %a %d:%i' .)" = "$own" ]
}

# still_in ID: somebody moved the stage, but we have not left it.
still_in() {
  [ -n "$1" ] || return 1
  [ "$(stat -c '%u %a %d:%i' .)" = "$1" ] || { cd -P .. && [ "$(stat -c '%u %a %d:%i' .)" = "$1" ]; }
}

# sweep NAME removes a stage that was left behind from the working directory, and
# nothing else: what it enters is there, and holds what stages hold. What cannot
# be removed stays.
sweep() (
  set +e
  [ -d "./$1" ] && [ ! -L "./$1" ] && [ -O "./$1" ] || exit 0
  above=$(stat -c %d:%i .)
  cd -P "./$1" && entered "$above" "$1" || exit 0
  case $(stat -c '%u %a' .) in '0 700' | '0 2700') ;; *) exit 0 ;; esac
  case $(ls -A) in '' | n | o | "n${IFS}o") ;; *) exit 0 ;; esac
  rm -rf ./n ./o
  cd -P .. && rmdir "./$1"
  exit 0
)

clean() {
  trap '' HUP INT TERM
  set +e
  while [ "$dirs" -gt 0 ]; do
    i=$dirs dirs=$((dirs - 1))
    if enter_stage $i || still_in "$own"; then
      rm -rf ./n ./o
      cd -P .. && rmdir "./$stage.$i"
    elif [ $i != "$walking" ]; then
      continue
    fi
    [ -z "$keep" ] || continue
    eval "made=\$made_$i"
    for part in $made; do cd -P .. && rmdir "./$part"; done
  done
  [ -z "$stage" ] || : >$run/stages
}

# --- looking -------------------------------------------------------------------

# look DIR N (NAME SIZE)*N reports the directory and what is at each name.
look() {
  dirs=$((dirs + 1)) walking=$dirs
  eval "made_$walking= old_$walking= path_$walking="
  dir=$1 n=$2 i=0 names= found=
  shift 2
  enter "$dir"
  set +f
  for old in ./.colmena-go.*; do
    case $old in "./$stage".*) ;; *) sweep "${old#./}" ;; esac
  done
  set -f
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
  if [ -n "$names" ] && closed "$here"; then
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

# report says what the files `names` are, a + for those that an ACL opens to
# others; their `found` is (INDEX SIZE)*. Those whose size is the wanted one are
# hashed.
report() {
  stats=$(stat -c '%f %u %g %s' $names)
  lists=$(ls -dnU $names)
  hash=
  set -- $found
  for name in $names; do
    stat=${stats%%"$IFS"*} stats=${stats#*"$IFS"}
    acl=-
    case ${lists%% *} in *+) acl=+ ;; esac
    lists=${lists#*"$IFS"}
    echo "file $1 $stat $acl"
    [ "${stat##* }" != "$2" ] || hash="$hash$name$IFS"
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

# --- doing ---------------------------------------------------------------------
# The second list is blocks: DIR TAR SUMS STATS K name*K M (MASK OWNER MODE OLD-OWNER
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
  sync $names
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

# entries DATABASE NAME... prints lines like those of passwd(5) and group(5).
entries() {
  if command -v getent >/dev/null; then getent "$@"; else cat "/etc/$1"; fi
}

# recorded: sudo keeps what we read (sudoers(5), log_input), so also the secrets
# that are yet to come.
recorded() {
  [ -n "${SUDO_USER-}" ] || return 1
  case $(PATH=$PATH:/run/wrappers/bin timeout 5 sudo -n -l -U "$SUDO_USER" </dev/null 2>/dev/null) in
    *[!!]log_input* | *[!!]log_stdin* | *[!O]LOG_INPUT*) ;;
    *) return 1 ;;
  esac
}

# --- the run --------------------------------------------------------------------

trap '' PIPE
trap 'exit 3' HUP INT TERM
trap clean EXIT
length
set -- $(head -c "$size")
words=$#
whole "$@"
who=$2 wait=$3 id=$4 volatile=$5
shift 5
[ -d $run ] || mkdir -p -m 0700 $run || fail root 0 "$(id -un)"
exec 9>>$run/lock
if ! flock -n 9; then
  # Each second it says so: when nobody is left to hear it, it ends.
  while
    holder=
    { read -r holder <$run/holder; } 2>/dev/null || :
    echo "wait $holder" || exit 3
    ! flock -w 1 9
  do
    wait=$((wait - 1))
    [ "$wait" -gt 0 ] || fail lock 0 "$holder"
  done
fi
printf '%s\n' "$who" >$run/holder
if [ -s $run/stages ]; then
  while read -r old; do
    case $old in
      */.colmena-go.*) if cd -P "${old%/*}" 2>/dev/null; then sweep "${old##*/}"; fi ;;
    esac
  done <$run/stages
fi
if recorded; then echo recorded; fi
stage=.colmena-go.$id
closed_to_keys=$(stat -c '%d:%i %n' $run $run-keys /nix/store 2>/dev/null || :)
for database in passwd group; do
  n=$1
  shift
  first "$n" "$@"
  shift "$n"
  [ "$n" = 0 ] || entries $database $first | while IFS=: read -r name _ id _; do
    printf '%s %s %s\n' $database "$id" "$name"
  done || :
done
while [ "$1" != . ]; do
  look "$@"
  shift $((2 + 2 * $2))
done
echo observed

length
if [ "$size" != 0 ]; then
  blocks=$(head -c "$size")
  set -- $blocks
  words=$#
  whole "$@"
  shift
  blocks="$*"
  each_block receive "$@"
  each_block check "$@"
  # From here to the end nothing may stop us half-way, nor may we say a word.
  trap '' HUP INT TERM
  each_block mend "$@"
  each_block place "$@"
  keep=yes
fi
clean
trap - EXIT
echo done
exit 0
}
