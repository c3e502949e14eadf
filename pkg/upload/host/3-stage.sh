# The stage: a directory of root's own inside each destination.

open_stage() {
  name=$stage.$walking
  record "$(pwd -P)/$name"
  mkdir -m 0700 "./$name" || fail dir "$walking" "cannot make a directory in $(pwd -P)"
  cd -P "./$name" && entered "$1" "$name" || fail dir "$walking" 'the staging directory was swapped or moved'
  own=$(stat -c '%u %a %d:%i' .)
  # A setgid parent hands its bit down.
  case $own in '0 700 '* | '0 2700 '*) ;; *) fail dir "$walking" 'the staging directory was swapped' ;; esac
  mkdir ./n ./o || fail dir "$walking" "cannot make directories in $(pwd -P)"
  # From here on it is ours to clean.
  eval "path_$walking=\$(pwd -P) own_$walking=\$own"
  opened=$walking$IFS$opened
}

# in_memory N: the directory is, and needs no care for a power cut.
in_memory() {
  eval "fstype=\$fs_$1"
  case $fstype in tmpfs | ramfs) ;; *) return 1 ;; esac
}

# record STAGE writes down where a stage is about to be, for another run to remove it if
# this one dies. What is on a disk is written on the disk, as the whole machine may die.
record() {
  # Another root's is this machine's to remove, while it runs.
  if [ -z "$root" ] && ! in_memory "$walking" && (record_on_disk "$1") 2>/dev/null; then return; fi
  printf '%s\n' "$1" >>$run/stages || fail dir "$walking" "cannot write $run/stages"
}

record_on_disk() {
  enter_home 0 && [ ! -L ./stages ] && { [ -f ./stages ] || [ ! -e ./stages ]; } && printf '%s\n' "$1" >>./stages && sync ./stages .
}

# sweep_recorded removes what was written down and not lived to be removed.
sweep_recorded() {
  for book in 1 0; do
    home $book
    if [ -f $home/stages ] && [ -s $home/stages ]; then sweep_lines <$home/stages; fi
  done
}

# sweep_lines: a disk may not be there now. What is on one stays written down until it is
# found, as far as there is room.
sweep_lines() {
  while read -r old; do
    case $old in */.colmena-go.*) ;; *) continue ;; esac
    if cd -P "${old%/*}" 2>/dev/null && [ -d "./${old##*/}" ]; then
      sweep "${old##*/}"
    elif [ $book = 0 ] && [ ${#away} -lt 20000 ]; then
      away=$away$old$IFS
    fi
  done
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

# sweep_all removes the stages that were left behind in the working directory. Its
# owner may have made any number of names like theirs, but not to have us wait.
sweep_all() {
  left=10000
  set +f
  for old in ./.colmena-go.*; do
    case $old in "./$stage".*) ;; *) sweep "${old#./}" ;; esac
    [ "$left" -gt 0 ] || break
    left=$((left - 1))
  done
  set -f
}

# sweep NAME removes such a stage, and nothing else: what it enters is there, is
# root's, and holds what stages hold. What cannot be removed stays.
sweep() {
  if [ -d "./$1" ] && [ ! -L "./$1" ] && [ -O "./$1" ]; then empty "$1"; fi
}

empty() (
  set +e
  above=$(stat -c %d:%i .)
  cd -P "./$1" && entered "$above" "$1" || exit 0
  case $(stat -c '%u %a' .) in '0 700' | '0 2700') ;; *) exit 0 ;; esac
  case $(ls -A) in '' | n | o | "n${IFS}o") ;; *) exit 0 ;; esac
  rm -rf ./n ./o
  cd -P .. && rmdir "./$1"
  exit 0
)

# clean removes the stages and, unless all is done, the directories that were made.
clean() {
  [ -z "$peek" ] || return 0
  trap '' HUP INT TERM
  set +e
  # Without a stage, where we are is all that is known of a directory that was just made.
  for i in $walking $opened; do clean_one "$i"; walking=; done
  [ -n "$stage" ] || return 0
  : >$run/stages
  [ ! -s $lib/stages ] || printf %s "$away" >$lib/stages
}

# clean_stage N removes the stage, if it can be found, and is in the directory above then.
clean_stage() {
  enter_stage "$1" || still_in "$own" || return 1
  rm -rf ./n ./o
  cd -P .. && rmdir "./$stage.$1" || :
}

clean_one() {
  clean_stage "$1" || [ "$1" = "$walking" ] || return
  [ -z "$keep" ] || return
  eval "made=\$made_$1"
  for part in $made; do cd -P .. && rmdir "./$part"; done
}
