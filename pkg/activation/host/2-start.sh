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

