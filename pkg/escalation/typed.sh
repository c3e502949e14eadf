# Runs a program that reads a password from its terminal alone. It gets one of its own, on
# which the first lines of the input are typed, those after a plus sign; behind a line with
# a dot, the input is the command's, and so is the output. The word colmena-go-terminal
# stands for the terminal's file. What the terminal shows goes to standard error, behind a mark.
# The arguments are that mark, and the words of the program and the command. It is itself an
# argument, between single quotes, of which it has none. typed.go holds the other half.
mark=$1
shift
n=0 words="" names=""
for word; do
  n=$((n + 1))
  export "COLMENA_GO_WORD_$n=$word"
  names="$names COLMENA_GO_WORD_$n"
  case $word in
    colmena-go-terminal) words="$words \"\$(tty)\"" ;;
    *) words="$words \"\$COLMENA_GO_WORD_$n\"" ;;
  esac
done
exec 3<&0 4>&1 5>&2 </dev/null
# Two pipes with both ends at hand, where sh makes them with one: 6 and 7 lead to the
# terminal, 8 and 9 to the command.
: | {
  exec 6<&0 7>/proc/self/fd/0
  : | {
    exec 8<&0 9>/proc/self/fd/0 </dev/null
    {
      while IFS= read -r typed && [ "$typed" != . ]; do
        printf "%s\n" "${typed#+}" >&7
      done
      typed=""
      exec cat >&9
    } <&3 >/dev/null 2>&1 4>&- 5>&- 6<&- 8<&- &
    exec 3<&- 9>&-
    # Nothing that is typed is shown, not even what comes before the question.
    SHELL=/bin/sh script -qec "set -- $words; unset $names; stty -echo; printf \"$mark\" >/dev/tty
exec \"\$@\" <&8 >&4 2>&5 4>&- 5>&- 8<&-" /dev/null <&6 >&5 2>&1 6<&- 7>&-
    status=$?
    kill $! 2>/dev/null
    exit $status
  }
}
