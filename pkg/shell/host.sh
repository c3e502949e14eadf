{
# The host's half of a user's command, run by sh. On stdin: this script; who reads the
# line (login: the login shell; sh) and its length in bytes; the line; the word run; and
# then the command's input in pieces, the length of each on a line before it, until a line
# with the word end. What the session's input ends with is the deployer's going: then the
# command, and all that it began in its session, is ended as well. shell.go holds the
# other half.
set -u
read -r by size || exit 1
line=$(head -c "$size")
read -r go && [ "$go" = run ] || exit 1
shell='sh'
if [ "$by" = login ]; then shell=${SHELL:-sh}; fi

# In the background of a shell, ^C is ignored: the command is to have it as it is
# usual. In a session of its own all of it can be ended.
apart='' group=''
if command -v setsid >/dev/null; then apart=setsid group=-; fi
if env --default-signal=INT true 2>/dev/null; then apart="env --default-signal=INT --default-signal=QUIT $apart"; fi

feed() {
  # With exec, no copies of what is redirected stay open.
  exec <&3 3<&- 2>/dev/null
  while read -r size; do
    [ "$size" != end ] && head -c "$size" || break
  done
  exec >/dev/null
  cat
  [ "$(began)" != "$begin" ] || kill $$
}

# began is when this shell was started, which tells it from a later process of its
# number (proc_pid_stat(5)).
began() (
  read -r is <"/proc/$$/stat" && set -- ${is##*") "} && echo "${20}"
) 2>/dev/null
begin=$(began)

# gone ends the command, which may take a moment to do so in order.
gone() {
  trap '' TERM
  for signal in TERM KILL; do
    for pause in 0.1 0.2 0.3 0.4 0.5 0.5; do
      kill -s $signal -- "$group$child" 2>/dev/null || exit 1
      sleep $pause
      signal=0
    done
  done
  exit 1
}

# It is waited for the command alone: not for a feed that is part of the same job.
exec 3<&0
(feed &) | exec $apart "$shell" -c "$line" 3<&- &
child=$!
trap gone TERM
exec 3<&- </dev/null
wait $child
exit $?
}
