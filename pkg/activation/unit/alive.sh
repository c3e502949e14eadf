# alive DIR: the switch of the activation in DIR goes on, whoever waits for it. When
# it was started tells it from a later process of that number (proc_pid_stat(5)).
alive() (
  IFS=" "
  read -r pid began _ <"$1/begun" && read -r is <"/proc/$pid/stat" || exit 1
  set -- ${is##*") "}
  case $1 in Z | X) exit 1 ;; esac
  [ "$began" = "${20}" ]
) 2>/dev/null
