# starting: one of the units has processes and so may wait for its key. Asking systemd
# for its jobs takes it as long as a good part of a switch, so that it is asked then,
# and now and then for units that are in another slice.
starting() {
  for group in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
    for name in $units; do
      { read -r _ <"$group/system.slice/$name/cgroup.procs"; } 2>/dev/null && return
    done
  done
  turn=$((turn + 1))
  [ $((turn % 12)) = 0 ]
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

