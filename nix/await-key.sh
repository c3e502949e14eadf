# shellcheck shell=bash
# await-key PATH UNIT ends once PATH is there; UNIT is for those who look at it
# from outside. With builtins alone: one process per job that waits, none once it
# is done.
set -fu

[ ! -e "$1" ] || exit 0
exec {never}<> <(:)
until [ -e "$1" ]; do read -rt 0.2 -u "$never"; done
exit 0
