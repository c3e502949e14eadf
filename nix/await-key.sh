# shellcheck shell=bash
# await-key PATH UNIT ends once PATH is a regular file, as keys are; UNIT is for those who look at it
# from outside. With builtins alone: one process per job that waits, none once it
# is done.
set -fu

there() { [ -f "$1" ] && [ ! -L "$1" ]; }
! there "$1" || exit 0
exec {never}<> <(:)
until there "$1"; do read -rt 0.2 -u "$never"; done
exit 0
