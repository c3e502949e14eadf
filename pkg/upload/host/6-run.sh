# The run itself: the lock, a look, and what comes of it.

# each_look (DIR N (NAME SIZE)*N)* . looks at directories, and once at those of `owned`.
each_look() {
  while [ "$1" != . ]; do
    look "$@"
    shift $((2 + 2 * $2))
  done
  n=0
  for way in $owned; do n=$((n + 1)) && look_way "$n" "$way"; done
  owned=
  echo observed
}

# do_all (WHOLE SIZE SIZE)*2 N (PATH OWNER MODE ID)*N BLOCK* . does all of it or nothing. In between it writes down
# what is about to be, and at the end what is.
do_all() {
  whole1=$1 first1=$2 last1=$3 whole0=$4 first0=$5 last0=$6
  n=$7
  shift 7
  first $((4 * n)) "$@"
  shift $((4 * n))
  owned=$first blocks="$*"
  each_block receive "$@"
  each_block check "$@"
  take "$first1" && first1=$text && take "$last1" && last1=$text
  take "$first0" && first0=$text && take "$last0" && last0=$text
  # From here to the end nothing may stop us half-way, nor may we say a word.
  trap '' HUP INT TERM
  remember 1 "$whole1" "$first1"
  remember 0 "$whole0" "$first0"
  each_block mend "$@"
  each_block place "$@"
  see_runs
  remember 1 "$whole1" "$last1"
  remember 0 "$whole0" "$last0"
  keep=yes
  give_all
}

# see_runs has systemctl tell which run of each of the units has found the keys, or an
# earlier one. Nothing but the keys may be waited for long, and no signal ends it now.
see_runs() {
  [ -n "$units" ] || return 0
  runs=$(timeout -s KILL 10 systemctl show --no-pager --property=Id,InvocationID -- $units 2>/dev/null && echo .) || runs=
  runs=${runs%.} units=
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

# take_turn waits for the lock, and clears away what died.
take_turn() {
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
  sweep_recorded
  if recorded; then echo recorded; fi
  stage=.colmena-go.$id
}

# only_look makes nothing, not even the lock: who holds that is told, and not waited for.
only_look() {
  peek=yes
  [ "$(id -u)" = 0 ] || fail root 0 "$(id -un)"
  mounts=$IFS
  while IFS=' ' read -r _ _ _ _ place _; do mounts=$mounts$place$IFS; done </proc/self/mountinfo
  if held; then
    holder=
    { read -r holder <$run/holder; } 2>/dev/null || :
    echo "busy $holder"
  fi
}

# held: somebody has the lock (proc_locks(5)).
held() {
  inode=$(stat -c %i $run/lock 2>/dev/null) || return 1
  while read -r line; do
    case $line in *' FLOCK '*" WRITE "*":$inode "*) return 0 ;; esac
  done </proc/locks
  return 1
}

trap '' PIPE
trap 'exit 3' HUP INT TERM
trap clean EXIT
length
set -- $(head -c "$size")
words=$#
whole "$@"
who=$2 wait=$3 id=$4 root=${5#-}
shift 5
case $id in
  -) only_look ;;
  *) take_turn ;;
esac
# Its own directories wherever they are mounted, those of activations too; the
# store is read-only on NixOS, wherever.
set +f
closed_to_keys=$(stat -c '%d:%i %n' $run $run/*/ $run-keys $lib /nix/store 2>/dev/null || :)
set -f
[ -z "$root" ] || enter_root
for database in passwd group; do
  n=$1
  shift
  first "$n" "$@"
  shift "$n"
  if [ "$n" = 0 ]; then
    continue
  elif [ -n "$root" ]; then
    entries_below $database $first
    continue
  fi
  entries $database $first | while IFS=: read -r name _ id _; do
    printf '%s %s %s\n' $database "$id" "$name"
  done || :
done
n=$1
shift
first "$n" "$@"
shift "$n"
owned=$first
recall
each_look "$@"
while
  length
  [ "$size" != 0 ]
do
  blocks=$(head -c "$size")
  set -- $blocks
  words=$#
  whole "$@"
  what=$2
  shift 2
  case $what in
    look) each_look "$@" ;;
    units)
      first $(($# - 1)) "$@"
      units=$first
      ;;
    remove)
      [ -z "$peek" ] || fail input 0 -
      remove_all "$@"
      ;;
    *)
      [ -z "$peek" ] || fail input 0 -
      do_all "$@"
      break
      ;;
  esac
done
[ -z "$peek" ] || exit 0
see_runs
clean
trap - EXIT
printf %s "$kept"
[ -z "$runs" ] || printf 'units %s\n%s' "${#runs}" "$runs"
[ -z "$forgot" ] || echo "forgot $forgot"
echo 'done'
exit 0
