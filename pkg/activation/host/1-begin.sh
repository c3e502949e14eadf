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

# What both halves need to know, and the processes of the activation's unit: the files
# in unit/, put in here.
both='@alive.sh@'
script='@run.sh@'
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

