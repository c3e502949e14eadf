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
  turn=0
  (while [ -n "$units" ] && sleep 0.25 >/dev/null 2>&1; do if starting; then look; fi; done) &
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
