# shellcheck shell=bash
# watch-keys TABLE NEWS has the units of keys follow their files; a line of TABLE is
# UNIT and PATH, parted by a tab, and NEWS a regular expression of paths.
#
# Watch first, then look, so that nothing comes or goes unseen; end, and leave one
# process behind, which ends at the first event and has us run again.
set -fu

declare -A dirs=([/]=1) states=() started=() starting=() waiting=()
# An upload's events come close together.
sleep 0.05
while IFS='	' read -r unit path; do
  while path=${path%/*} && [ -n "$path" ] && [ -z "${dirs[$path]-}" ]; do
    if [ -d "$path" ]; then dirs[$path]=1; fi
  done
done <"$1"
exec 3< <(exec inotifywait -t 600 --include "$2" \
  -e create -e moved_to -e moved_from -e delete -e delete_self -e move_self -e unmount \
  -- "${!dirs[@]}" 2>&1 >/dev/null)
watching='' said=''
while read -r line <&3; do
  case $line in
    *established*) watching=1 && break ;;
    Setting*) ;;
    *) said+=" $line" ;;
  esac
done
# As when there are too many inotify instances, or a directory just went.
if [ -z "$watching" ]; then
  echo "<4>keys cannot be watched, they are looked at every 5 s:$said" >&2
  sleep 5 &
fi

# What an earlier run started is not waited for by anybody else.
if [ -e "$RUNTIME_DIRECTORY/started" ]; then
  while read -r unit; do [ -z "$unit" ] || started[$unit]=1; done <"$RUNTIME_DIRECTORY/started"
fi
start=() stop=()
# One question to systemd, whose answers about single units are slow.
while IFS=' ' read -r unit _ state _; do
  [ -z "$unit" ] || states[$unit]=$state
done < <(systemctl list-units --all --full --plain --no-legend --no-pager '*-key.service')
while IFS='	' read -r unit path; do
  state=${states[$unit]-inactive}
  # Nothing else can be a key: an upload refuses what is in its way.
  if [ -f "$path" ] && [ ! -L "$path" ]; then
    case $state in
      active | reloading) ;;
      activating)
        waiting[$unit]=$path
        [ -z "${started[$unit]-}" ] || starting[$unit]=1
        ;;
      *) start+=("$unit") starting[$unit]=1 ;;
    esac
  else
    case $state in
      active | reloading) stop+=("$unit") ;;
      activating) if [ -n "${started[$unit]-}" ]; then stop+=("$unit"); else waiting[$unit]=$path; fi ;;
    esac
  fi
done <"$1"
printf '%s\n' "${!starting[@]}" >"$RUNTIME_DIRECTORY/started"
# tell VERB UNIT... has no more of them at once than fit into arguments.
tell() {
  local verb=$1 i
  shift
  for ((i = 1; i <= $#; i += 300)); do systemctl "$verb" --no-block -- "${@:i:300}"; done
}
tell stop "${stop[@]}"
tell start "${start[@]}"

# No switch restarts a unit that waits, although its key may have got another
# path. What it waits for is asked of its process, as systemd takes long.
[ ${#waiting[@]} != 0 ] || exit 0
astray=()
set +f
for process in /proc/[0-9]*; do
  [ -O "$process" ] || continue
  { mapfile -t -d "" args <"$process/cmdline"; } 2>/dev/null || continue
  if [[ ${args[1]-} != *-colmena-go-await-key ]]; then continue; fi
  path=${waiting[${args[3]:--}]-}
  # Others may have a process of root's with any words, as of a sudo that asks.
  { cgroup=$(<"$process/cgroup"); } 2>/dev/null
  if [[ ${cgroup-} != *"/${args[3]-}"* ]]; then continue; fi
  if [ -n "$path" ] && [ "$path" != "${args[2]}" ]; then astray+=("${args[3]}"); fi
done
tell restart "${astray[@]}"
exit 0
