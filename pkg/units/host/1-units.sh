# The host's half, run by sh as root. On stdin: this script, then lists of words, each a
# call of systemctl's. On stdout, for each of them: a line with a length, what systemctl
# says, and a line with how it ended. units.go holds the other half.
set -uf
LC_ALL=C PATH=${PATH:-/bin}:/run/current-system/sw/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
unset SYSTEMD_PAGER SYSTEMD_COLORS SYSTEMD_URLIFY
IFS='
'

# A list says its number of words first and ends with a full stop: one that is cut short
# is never acted on.
whole() {
  count=$1
  shift $(($# - 1))
  [ "$1" = . ] && [ "$count" = "$words" ]
}

# asked LIMIT WORD... has systemctl do it within so many seconds. It asks nobody anything.
asked() {
  limit=$1
  shift
  timeout -k 1 "$limit" systemctl --no-pager --no-ask-password "$@" </dev/null 2>&1
  printf '\nstatus %s\n' $?
}

while read -r size && [ "$size" != 0 ]; do
  list=$(head -c "$size")
  set -- $list
  words=$#
  [ $# -ge 4 ] && whole "$@" || exit 1
  list=${list#*"$IFS"}
  set -- ${list%"$IFS".}
  said=$(asked "$@" && echo .)
  said=${said%.}
  printf '%s\n%s' "${#said}" "$said"
done
exit 0
