# Runs a program that reads a password from its terminal alone. It gets one of its own, on
# which the first lines of the input are typed: at once after a plus sign, and after a minus
# sign when the terminal was made ready for a password, as what is typed before is thrown
# away then; behind a line with a dot, the input is the command's, and so is the output. The word colmena-go-terminal
# stands for the terminal's file. What the terminal shows goes to standard error, behind a
# mark. The arguments are that mark, and the words of the program and the command. It is
# itself an argument, between single quotes: it has none, and no backslash, as login shells
# differ in how they read those. typed.go holds the other half.
export "COLMENA_GO_MARK=$1"
shift
n=0 names="COLMENA_GO_MARK COLMENA_GO_WORDS COLMENA_GO_NAMES"
for word; do
  n=$((n + 1))
  export "COLMENA_GO_WORD_$n=$word"
  names="$names COLMENA_GO_WORD_$n"
done
export "COLMENA_GO_WORDS=$n" "COLMENA_GO_NAMES=$names"
# On the terminal. Nothing that is typed is shown, not even what comes before the question.
inside=$(
  cat <<"END"
stty -echo echonl
tty >&3
printf "$COLMENA_GO_MARK" >/dev/tty
n=0 dollar="$"
set --
while [ "$n" -lt "$COLMENA_GO_WORDS" ]; do
  n=$((n + 1))
  eval "word=$dollar{COLMENA_GO_WORD_$n}"
  if [ "$word" = colmena-go-terminal ]; then word=$(tty); fi
  set -- "$@" "$word"
done
unset $COLMENA_GO_NAMES
exec "$@" <&8 >&4 2>&5 3>&- 4>&- 5>&- 8<&-
END
)
exec 3<&0 4>&1 5>&2 </dev/null
# Three pipes with both ends at hand, where sh makes them with one: 6 and 7 lead to the
# terminal, 8 and 9 to the command, 1 and 2 say which terminal it is. The command sees the
# end of its input once the innermost has closed it.
: | {
  exec 2<&0 1>/proc/self/fd/0
  : | {
    exec 6<&0 7>/proc/self/fd/0
    : | {
      exec 8<&0 9>/proc/self/fd/0 </dev/null
      {
        IFS= read -r terminal <&2
        while IFS= read -r typed <&3 && [ "$typed" != . ]; do
          n=0
          # Whoever reads a password hides the ends of lines, too.
          while [ "${typed#-}" != "$typed" ] && [ "$n" -lt 50 ] && stty -a <"$terminal" | grep -q " echonl"; do
            n=$((n + 1))
            sleep 0.1
          done
          printf "%s
" "${typed#[+-]}" >&7
        done
        typed=""
        exec cat <&3 >&9
      } 1>&- 4>&- 5>&- 6<&- 8<&- &
      exec 3<&- 9>&-
      SHELL=/bin/sh script -qec "$inside" /dev/null <&6 3>&1 >&5 2>&1 6<&- 7>&-
      status=$?
      kill $!
      exit $status
    }
  }
}
