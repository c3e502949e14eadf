{
# The host's half of an activation, run by sh as root. On stdin: this script, a
# list of words, and one more line once the deployer has the result. On stdout:
# what the activation prints, byte for byte, and in between reports, each a line
# that begins with a mark which nothing else on the host knows. All is on stdout, as
# login shells join stderr to it or throw it away. activation.go holds the other half.
#
# The activation itself runs in a unit of its own and lives on when this process
# goes; here it is only started and followed.
set -uf
umask 077
PATH=${PATH:-/bin}:/run/current-system/sw/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
newline='
'
IFS=$newline

# The carriage return ends an unfinished line of the activation's.
say() { printf '\r%s %s\n' "$mark" "$1"; }
fail() { say "fail $1"; [ -z "$dir" ] || rm -rf "$dir"; exit 1; }

# whole: the list says its number of words first and ends with a full stop, so
# that one cut short is never acted on.
whole() {
  count=$1
  shift $(($# - 1))
  [ "$1" = . ] && [ "$count" = "$words" ]
}

# What both halves need to know; it holds no single quote.
both='# alive DIR: the switch of the activation in DIR goes on, whoever waits for it. When
# it was started tells it from a later process of that number (proc_pid_stat(5)).
alive() (
  IFS=" "
  read -r pid began _ <"$1/begun" && read -r is <"/proc/$pid/stat" || exit 1
  set -- ${is##*") "}
  case $1 in Z | X) exit 1 ;; esac
  [ "$began" = "${20}" ]
) 2>/dev/null'
eval "$both"

# sweep removes what activations left behind whose deployer went away. The locks
# tell that nobody runs or follows the activation any more.
sweep() {
  set +f
  for old in "$run"/activate-*; do
    if [ -e "$old/log" ] && ! alive "$old" && flock -n "$old/follower" flock -n "$old/running" rm -rf "$old"; then
      systemctl reset-failed "colmena-go-${old##*/}.service" 2>/dev/null
    fi
  done
  set -f
}

# The processes of the activation's unit; it holds no single quote.
script='# The main process of the unit, and within it one that sees the activation
# through even if only the main one is killed.
set -u
dir=${0%/*} run=${0%/*/*}
# end STATUS CODE [WORDS] with words for the journal; the room for the status was
# taken beforehand.
end() {
  printf "%s\n" "$1" 1<>"$dir/status"
  written=$?
  [ -z "${3-}" ] || echo "$3" >&7
  [ $written != 0 ] || exit 0
  exit "$2"
}
# A caught signal waits for the running program; an ignored one would be inherited.
trap : HUP INT TERM
umask 077
exec 8>>"$dir/running" </dev/null
flock -n 8 || exit 0
# With `command`, a redirection that fails does not end the shell.
command exec 7>&1 >>"$dir/log" 2>&1 9>>"$run/activation.lock" || end "fail cannot write in $run" 1
flock -n 9
locked=$?
{ read -r holder <"$run/activation"; } 2>/dev/null || holder=unknown
# The lock is gone with the shells that held it, which may be killed before their switch.
if [ $locked != 0 ] || alive "$run/$holder"; then end "busy $holder" 75; fi
# It is as long as the one before it, and needs no room of its own.
printf "%s\n" "${dir##*/}" 1<>"$run/activation" || end "fail cannot write in $run" 1
# What is printed goes through a pipe, whose reader keeps the beginning and the
# end of it and stays as long as anybody writes: neither a full /run nor too much
# output stops the switch.
keep() {
  (trap "" XFSZ && ulimit -f 8192 && exec cat) 2>/dev/null
  if read -r line || [ -n "$line" ]; then
    printf "\n%s\n" "[more than is kept; the last of it follows at the end]"
    tail -c 65536 >"$dir/last" || cat >/dev/null
    cat "$dir/last"
  fi
}
# The switch of NixOS since 24.11, unlike the Perl one before, first waits until
# the boot has ended, and that waits for the services that wait for keys. For a key
# that nobody brings any more, as the new system has none of that name or has it
# elsewhere, it would wait for ever. A boot that has ended stays so until systemd is
# started anew, with another socket: it is asked once, as an answer takes it long.
freeBoot() {
  if [ "$run/booted" -ef /run/systemd/private ]; then return 0; fi
  case $(systemctl is-system-running 2>/dev/null) in
    initializing | starting) ;;
    running | degraded) ln -f /run/systemd/private "$run/booted" 2>/dev/null; return 0 ;;
    *) return 0 ;;
  esac
  case $(head -c 100 "$4/bin/switch-to-configuration" | head -n 1 | tr -d "\000") in *perl*) return 0 ;; esac
  set -f
  for unit in $(systemctl list-jobs --full --no-legend --no-pager | while read -r _ unit type state; do
    # One that waits for another job first will wait for its key after it.
    case "$type $unit" in "start "*-key.service) printf "%s\n" "$unit" ;; esac
  done); do
    awaited=$(awaits "$(systemctl show -P FragmentPath "$unit")")
    if there "$awaited"; then continue; fi
    [ "$5" = 1 ] || end "fail the boot has not ended, as $unit waits for its key, and the switch would wait with it: run upload-keys first" 1
    if [ -z "$awaited" ] || [ "$awaited" != "$(awaits "$4/etc/systemd/system/$unit")" ]; then
      echo "stopping $unit, which waits for a key that the new system does not have there"
      systemctl stop "$unit"
    fi
  done
}
awaits() { sed -n "s/^ExecStart=[^ ]* //p" "$1" 2>/dev/null; }
# there "PATH" %n: the key has come. A path that systemd has quoted does not count.
there() {
  set -- "${1#?}"
  set -- "${1%????}"
  [ -f "$1" ] && [ ! -L "$1" ]
}
mkfifo "$dir/out" || end "fail cannot make $dir/out" 1
{ exec 7>&- 8>&- 9>&- && keep; } <"$dir/out" &
kept=$!
# A daemon that the switch leaves may hold the pipe: it is not waited for. The
# reader needs a moment, which a subshell gives it for less than a program does.
drain() {
  exec >>"$dir/log" 2>&1
  for pause in "" "" "" "" 0.005 0.01 0.05 0.2 0.2 0.2 0.2 0.2; do
    kill -0 $kept 2>/dev/null || return
    if [ -n "$pause" ]; then sleep $pause; else (:); fi
  done
}
# become GOAL TOPLEVEL tells alive what it is, and turns into the switch.
become() {
  exec 7>&- 8>&- 9>&-
  read -r is </proc/self/stat
  set -- "$@" ${is##*") "}
  printf "%s %s\n" "${is%% *}" "${22-}" 1<>"$dir/begun"
  exec "$2/bin/switch-to-configuration" "$1"
}
(
  trap : HUP INT TERM
  exec >"$dir/out" 2>&1
  umask 022
  cd /
  [ "$2" = boot ] || freeBoot "$@" 7>&- 8>&- 9>&-
  printf x 1<>"$dir/begun"
  if [ "$3" = 1 ] && ! [ /nix/var/nix/profiles/system -ef "$4" ]; then
    nix-env -p /nix/var/nix/profiles/system --set "$4" 7>&- 8>&- 9>&- || { code=$?; drain; end "profile $code" 1; }
  fi
  (become "$2" "$4")
  code=$?
  drain
  end "exit $code" "$code" "switch-to-configuration $2 ended with $code"
)
exit $?'

# start runs the script as a transient service: nothing that happens to this
# process or to its session reaches it. Of the default dependencies only a
# shutdown's is left: the activation neither waits for a boot that hangs nor ends
# with a target that the switch stops.
start() {
  set -- /bin/sh "$dir/script" run "$goal" "$profile" "$toplevel" "$keys"
  managed=
  if [ -d /run/systemd/system ]; then
    if [ -n "${LOCALE_ARCHIVE-}" ]; then set -- -E "LOCALE_ARCHIVE=$LOCALE_ARCHIVE" "$@"; fi
    systemd-run --quiet --no-ask-password --unit="$unit" \
      --description="Activation by colmena-go: $goal $toplevel" \
      -p Type=exec -p DefaultDependencies=no -p Conflicts=shutdown.target -p Before=shutdown.target \
      -p IgnoreOnIsolate=yes -p KillMode=process -p OOMPolicy=continue \
      -E "PATH=$PATH" -E HOME=/root -E USER=root -E LOGNAME=root -E NIXOS_INSTALL_BOOTLOADER= \
      "$@" </dev/null >"$dir/why" 2>&1 && managed=yes && return
    case $(systemctl is-system-running 2>/dev/null) in stopping) fail 'the host is shutting down' ;; esac
    { read -r why <"$dir/why"; } 2>/dev/null || why='systemd-run failed'
  else
    why='systemd does not run here'
  fi
  say "detached $why"
  set -- /bin/sh "$dir/script" run "$goal" "$profile" "$toplevel" "$keys"
  HOME=/root NIXOS_INSTALL_BOOTLOADER='' setsid "$@" 3<&- 6>&- </dev/null >/dev/null 2>&1 &
}

# look reports the first of the units whose start job waits: seen twice, so that
# a job that merely passes by does not count.
look() {
  now=
  while IFS=' ' read -r job name type rest; do
    case $type in start | restart) ;; *) continue ;; esac
    case $newline$units$newline in *"$newline$name$newline"*) ;; *) continue ;; esac
    case "$seen " in *" $job "*) units= && say "job $name" && return ;; esac
    now="$now $job"
  done <<JOBS
$(systemctl list-jobs --full --no-legend --no-pager 2>/dev/null)
JOBS
  seen=$now
}

# await FILE SECONDS waits for a file, for a limited time.
await() {
  left=$(($2 * 50))
  until [ -e "$1" ]; do
    left=$((left - 1))
    [ $left -ge 0 ] || return 1
    sleep 0.02
  done
}

# lost: no status is there. The switch is followed to its end all the same, since
# only what waited for it may be gone; then its end is read, or asked of the journal
# and of systemd, which keeps a unit that failed.
lost() {
  while alive "$dir"; do sleep 1; done
  for pause in 0 0.3 0.7 1 1; do
    sleep $pause
    { read -r status <"$dir/status"; } 2>/dev/null
    case $status in [a-z]*) return ;; esac
  done
  begun=
  { read -r begun <"$dir/begun"; } 2>/dev/null
  case $begun in
    *[!\ ]*) status=killed ;;
    *) status='fail the activation ended before the switch began' && return ;;
  esac
  [ -n "$managed" ] || return
  result='' code=$(journalctl -q -o cat --no-pager -u "$unit" | sed -n 's/^switch-to-configuration [a-z-]* ended with \([0-9]*\)$/\1/p')
  [ -n "$code" ] || while IFS='=' read -r name value; do
    case $name in Result) result=$value ;; ExecMainStatus) code=$value ;; esac
  done <<UNIT
$(systemctl show -p Result -p ExecMainStatus "$unit")
UNIT
  case $result in '' | exit-code) status="exit $code" ;; esac
  systemctl reset-failed "$unit" 2>/dev/null
}

# system LINK prints the system that a link leads to, or a dash.
system() {
  if [ "$1" -ef "$toplevel" ]; then echo "$toplevel"; else cd -P "$1" 2>/dev/null && pwd -P || readlink -e "$1" || echo -; fi
}

# A variable that the environment has would be passed on to every program.
unset id mark goal profile toplevel keys dir
read -r size || exit 1
set -- $(head -c "$size")
words=$#
[ $# -ge 8 ] && whole "$@" || exit 1
id=$2 mark=$3 goal=$4 profile=$5 toplevel=$6 keys=$7 dir=
shift 7
units=
while [ "$1" != . ]; do units="$units$1$newline" && shift; done
units=${units%"$newline"}

[ -x "$toplevel/bin/switch-to-configuration" ] ||
  fail "$toplevel is not a NixOS system on this host: it has no bin/switch-to-configuration"
run=/run/colmena-go unit=colmena-go-activate-$id
[ -d $run ] || mkdir -p -m 0700 $run || fail "cannot make $run"
sweep
dir=$run/activate-$id
mkdir -m 0700 "$dir" || fail "cannot make $dir"
exec 3<&0 6>"$dir/follower"
# The status will need no room of its own then.
flock 6 && printf '%s\n' "$both" "$script" >"$dir/script" && printf '%64s' '' >"$dir/status" &&
  printf '%64s' '' >"$dir/begun" && : >"$dir/running" ||
  fail "cannot write and lock files in $dir"
say launch
start

# quit STATUS leaves the activation alone, and no process of ours.
running= looking= copying= watcher=
quit() {
  for process in $running $looking $copying $watcher; do kill "$process" 2>/dev/null; done
  exit "$1"
}

# The deployer asks now and then whether anybody is alive, as a switch may say
# nothing for long, and tells when it has the result: only then is it forgotten. The
# input ends when the deployer is gone: then nobody is left to follow for.
trap 'quit 3' HUP INT TERM
(
  trap '' PIPE
  while read -r line; do
    case $line in
      alive) say alive ;;
      done) exec rm -rf "$dir" ;;
    esac
  done
  kill $$
) <&3 6>&- 2>/dev/null &
watcher=$!

# One that is late must not begin after we have said that it did not.
exec 5<>"$dir/running"
await "$dir/log" 30 || { flock -n 5 && fail 'the activation did not start'; }
: >>"$dir/log"
say began
seen=
flock 5 >/dev/null 2>&1 &
running=$!
if [ -n "$units" ]; then
  (while [ -n "$units" ] && sleep 0.25 >/dev/null 2>&1; do look; done) &
  looking=$!
fi
# It reads once more when it has seen that the process is gone.
tail -s 0.02 -c +1 -f --pid=$running "$dir/log" &
copying=$!
wait $copying || quit 1
status=
{ read -r status <"$dir/status"; } 2>/dev/null
case $status in [a-z]*) ;; *) lost ;; esac
case $status in
  'exit 0' | 'exit 100' | busy* | fail* | profile*) ;;
  *)
    [ -z "$managed" ] ||
      systemctl list-units --failed --plain --full --no-legend --no-pager |
      while IFS=' ' read -r name rest; do say "failed $name"; done
    ;;
esac

[ -z "$looking" ] || kill $looking
say "state $(system /run/current-system) $(system /nix/var/nix/profiles/system)"
say "$status"
wait $watcher
exit 0
}
