# What this host remembers of keys: two books of text that deployers alone read and write,
# 1 in memory (in $run) and 0 on the disk (in $lib). They hold no secret, and are root's
# alone: a salted digest of a short secret can still be guessed at.

# home BOOK: its directory.
home() { case $1 in 1) home=$run ;; *) home=$lib ;; esac }

# recall tells what the books say.
recall() {
  for book in 1 0; do
    home $book
    if [ -z "$root" ]; then
      if [ -e $home/keys ] || [ -L $home/keys ]; then (read_out) 2>/dev/null; fi
    elif [ $book = 0 ]; then
      (go_home >/dev/null && read_out) 2>/dev/null || :
    fi
  done
}

# go_home enters its directory; below another root there may be none, or one that others could
# have put there.
go_home() {
  if [ -z "$root" ]; then
    cd -P $home
    return
  fi
  ours=yes walking=0
  enter $home
  [ -z "$absent$covered" ] && [ -n "$sound" ]
}

# read_out tells of one, without a trace of it.
read_out() {
  set +e
  if [ -n "$root" ] && [ ! -e ./keys ] && [ ! -L ./keys ]; then exit 0; fi
  { [ -n "$root" ] || cd -P $home; } && [ -f ./keys ] && [ ! -L ./keys ] || { echo "unread $book it is no file"; exit 0; }
  set -- $(stat -c '%u %a %s' . - <./keys)
  size=${2##* }
  root_only "- ${1% *}" || { echo "unread $book others than root can write $home"; exit 0; }
  [ "$size" -le 8388608 ] || { echo "unread $book it is too large"; exit 0; }
  text=$(dd iflag=noatime,fullblock,count_bytes count="$size" bs=64k status=none <./keys && echo .)
  text=${text%.}
  [ "${#text}" = "$size" ] || { echo "unread $book it cannot be read"; exit 0; }
  printf 'memory %s %s\n%s' $book "$size" "$text"
}

# take SIZE reads a text, whole or not at all.
take() {
  text=
  [ "$1" != 0 ] || return 0
  text=$(head -c "$1" && echo .)
  text=${text%.}
  [ "${#text}" = "$1" ] || fail input 0 -
}

# remember BOOK WHOLE TEXT has the text take the place of the book, or adds it. A host
# that cannot do that gets its keys all the same.
remember() {
  [ -n "$3" ] || return 0
  home "$1"
  (write_down "$1" "$2" "$3") >/dev/null 2>&1 || forgot=$root$home
}

write_down() {
  set +e
  # What is there by that name was not put there by a run that lives.
  enter_home "$1" && rm -f ./keys.new || return 1
  if { { [ "$2" = 1 ] || cat ./keys; } && printf %s "$3"; } >./keys.new && lasting "$1" ./keys.new && mv -f -T ./keys.new ./keys; then
    lasting "$1" .
  else
    rm -f ./keys.new
    return 1
  fi
}

# lasting BOOK FILE: the file of that book outlives a power cut.
lasting() { [ "$1" = 1 ] || sync "$2"; }

# enter_home BOOK makes it the working directory, if it is root's alone.
enter_home() {
  home "$1"
  if [ -n "$root" ]; then
    go_home || { make_home_below && go_home; } || return 1
  else
    [ -d $home ] || make_home || return 1
    cd -P $home || return 1
  fi
  root_only "- $(stat -c '%u %a' .)"
}

make_home() {
  (umask 022 && mkdir -p "${home%/*}") && mkdir -m 0700 "$home" && sync "${home%/*}"
}

make_home_below() {
  making=yes
  eval 'made_0='
  enter "${home%/*}"
  [ -n "$sound" ] && root_only "$here" && mkdir -m 0700 "./${home##*/}" && sync .
}
