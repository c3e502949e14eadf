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

# sweep removes what activations left behind whose deployer went away. The locks
# tell that neither the activation nor anyone who follows it is alive.
sweep() {
  set +f
  for old in $run/activate-*; do
    if [ -e "$old/log" ] && flock -n "$old/follower" flock -n "$old/running" rm -rf "$old"; then
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
if ! flock -n 9; then
  { read -r holder <"$run/activation"; } 2>/dev/null || holder=unknown
  end "busy $holder" 75
fi
printf "%s\n" "${dir##*/}" >"$run/activation"
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
# elsewhere, it would wait for ever.
freeBoot() {
  case $(systemctl is-system-running 2>/dev/null) in initializing | starting) ;; *) return 0 ;; esac
  case $(head -c 100 "$4/bin/switch-to-configuration" | head -n 1 | tr -d "\000") in *perl*) return 0 ;; esac
  set -f
  for unit in $(systemctl list-jobs --full --no-legend --no-pager | while read -r _ unit type state; do
    case "$type $state $unit" in "start running "*-key.service) printf "%s\n" "$unit" ;; esac
  done); do
    [ "$5" = 1 ] || end "fail the boot has not ended, as $unit waits for its key, and the switch would wait with it: run upload-keys first" 1
    awaited=$(awaits "$(systemctl show -P FragmentPath "$unit")")
    if [ -z "$awaited" ] || [ "$awaited" != "$(awaits "$4/etc/systemd/system/$unit")" ]; then
      echo "stopping $unit, which waits for a key that the new system does not have there"
      systemctl stop "$unit"
    fi
  done
}
awaits() { sed -n "s/^ExecStart=[^ ]* //p" "$1" 2>/dev/null; }
mkfifo "$dir/out" || end "fail cannot make $dir/out" 1
{ exec 7>&- 8>&- 9>&- && keep; } <"$dir/out" &
kept=$!
# A daemon that the switch leaves may hold the pipe: it is not waited for.
drain() {
  exec >>"$dir/log" 2>&1
  for pause in 0.005 0.01 0.05 0.2 0.2 0.2 0.2 0.2; do kill -0 $kept 2>/dev/null && sleep $pause; done
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
  "$4/bin/switch-to-configuration" "$2" 7>&- 8>&- 9>&-
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

# alive: the switch goes on although nobody waits for it any more. Without a unit
# it is told from those of others by its path.
alive() {
  set +f
  set -- /proc/[0-9]*
  set -f
  for process; do
    [ -O "$process" ] || continue
    what=$({ tr '\0' ' ' <"$process/cmdline"; } 2>/dev/null)
    case $what in *switch-to-configuration*) ;; *) continue ;; esac
    if [ -n "$managed" ]; then
      case $(cat "$process/cgroup" 2>/dev/null) in *"/$unit"*) return 0 ;; esac
    else
      case $what in *"$toplevel/"*) return 0 ;; esac
    fi
  done
  return 1
}

# lost: no status is there. The switch is followed to its end all the same, since
# only what waited for it may be gone; then its end is read, or asked of the journal
# and of systemd, which keeps a unit that failed.
lost() {
  while alive; do sleep 1; done
  for pause in 0 0.3 0.7 1 1; do
    sleep $pause
    { read -r status <"$dir/status"; } 2>/dev/null
    case $status in [a-z]*) return ;; esac
  done
  begun=' '
  { read -r begun <"$dir/begun"; } 2>/dev/null
  status=killed
  [ "$begun" != ' ' ] || status='fail the activation ended before the switch began'
  [ -n "$managed" ] && [ "$begun" != ' ' ] || return 0
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
  if [ "$1" -ef "$toplevel" ]; then echo "$toplevel"; else readlink -e "$1" || echo -; fi
}

# A variable that the environment has would be passed on to every program.
unset id mark goal profile toplevel keys pulse dir
read -r size || exit 1
set -- $(head -c "$size")
words=$#
[ $# -ge 9 ] && whole "$@" || exit 1
id=$2 mark=$3 goal=$4 profile=$5 toplevel=$6 keys=$7 pulse=$8 dir=
shift 8
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
flock 6 && printf '%s\n' "$script" >"$dir/script" && printf '%64s' '' >"$dir/status" &&
  printf ' ' >"$dir/begun" && : >"$dir/running" ||
  fail "cannot write and lock files in $dir"
say launch
start

# quit STATUS leaves the activation alone, and no process of ours.
running= looking= copying= watcher= living=
quit() {
  for process in $running $looking $copying $watcher $living; do kill "$process" 2>/dev/null; done
  exit "$1"
}

# The input ends when the deployer is gone: then nobody is left to follow for.
trap 'quit 3' HUP INT TERM
(while read -r line; do :; done; kill $$) <&3 6>&- >/dev/null 2>&1 &
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
# A switch may say nothing for long.
(
  trap 'kill $nap 2>/dev/null; exit' TERM
  while :; do
    sleep "$pulse" >/dev/null 2>&1 &
    nap=$!
    wait $nap
    say alive
  done
) 3<&- 5<&- 6>&- &
living=$!
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

# Only a deployer that has the result lets us forget it.
[ -z "$looking" ] || kill $looking
kill $watcher $living
wait $watcher $living 2>/dev/null
say "state $(system /run/current-system) $(system /nix/var/nix/profiles/system)"
say "$status"
if [ -n "$(timeout 30 head -n 1 <&3)" ]; then rm -rf "$dir"; fi
exit 0
}
