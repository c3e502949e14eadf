# The main process of the unit, and within it one that sees the activation
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
  for unit in $(systemctl list-jobs --full --no-legend --no-pager | while read -r _ name type _; do
    # One that waits for another job first will wait for its key after it.
    case "$type $name" in "start "*-key.service) printf "%s\n" "$name" ;; esac
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
exit $?
