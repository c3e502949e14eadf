# prepare makes the folder of a new activation.
prepare() {
  [ -x "$toplevel/bin/switch-to-configuration" ] ||
    fail "$toplevel is not a NixOS system on this host: it has no bin/switch-to-configuration"
  [ -d $run ] || mkdir -p -m 0700 $run || fail "cannot make $run"
  sweep
  dir=$run/activate-$id
  mkdir -m 0700 "$dir" || fail "cannot make $dir"
  exec 6>"$dir/follower"
  # The status will need no room of its own then.
  flock -s 6 && printf '%s\n' "$both" "$script" >"$dir/script" && printf '%64s' '' >"$dir/status" &&
    printf '%64s' '' >"$dir/begun" && : >"$dir/running" ||
    fail "cannot write and lock files in $dir"
  say launch
}

# rejoin follows an activation that was begun before, of whose log so many bytes are known;
# a d behind them says that it has no unit. Who followed it may not have noticed
# yet that nobody hears it any more.
rejoin() {
  dir=$run/activate-$id managed=yes
  case $since in *d) managed='' since=${since%d} ;; esac
  if command exec 6<"$dir/follower" && flock -s 6 && [ -e "$dir/running" ]; then return; fi 2>/dev/null
  say "state $(system /run/current-system) $(system /nix/var/nix/profiles/system)"
  say gone
  exit 0
}

# A variable that the environment has would be passed on to every program.
unset id mark goal profile toplevel keys since dir
read -r size || exit 1
set -- $(head -c "$size")
words=$#
[ $# -ge 9 ] && whole "$@" || exit 1
id=$2 mark=$3 goal=$4 profile=$5 toplevel=$6 keys=$7 since=$8 dir=
shift 8
units=
while [ "$1" != . ]; do units="$units$1$newline" && shift; done
units=${units%"$newline"}

run=/run/colmena-go unit=colmena-go-activate-$id
exec 3<&0
if [ "$since" = - ]; then prepare && patience=30 && start; else patience=5 && rejoin; fi

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
await "$dir/log" $patience || { flock -n 5 && fail 'the activation did not start'; }
: >>"$dir/log"
say began
if [ "$since" = - ]; then since=0; fi
seen=
flock -s 5 >/dev/null 2>&1 &
running=$!
if [ -n "$units" ]; then
  turn=0
  (while [ -n "$units" ] && sleep 0.25 >/dev/null 2>&1; do if starting; then look; fi; done) &
  looking=$!
fi
# It reads once more when it has seen that the process is gone.
tail -s 0.02 -c +$((since + 1)) -f --pid=$running "$dir/log" &
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
