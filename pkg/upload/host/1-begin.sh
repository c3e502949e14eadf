# The host's half of a key upload, run by sh as root. On stdin: this script, a
# list of words (what to look at), maybe more lists of that kind, and at last one of
# what to do, and the bytes it needs. On stdout: one report per line. upload.go holds the
# other half, and joins these files to one script { ...; exit; } in the order of their names.
set -euf
umask 077
# What changes the words of programs that are read here.
unset CDPATH TAR_OPTIONS POSIXLY_CORRECT _POSIX2_VERSION QUOTING_STYLE TIME_STYLE BLOCK_SIZE BLOCKSIZE LS_BLOCK_SIZE
LC_ALL=C PATH=${PATH:-/bin}:/run/current-system/sw/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
IFS='
'

# What is known, and changes on the way. Directories go by numbers, and each has
# variables of its own: dir_N and at_N (its path and ID, a dash if it is not there), old_N
# (files that are yet to be linked), path_N and own_N (of its stage), made_N (directories made to get
# there), fs_N (the type of its file system).
run=/run/colmena-go
lib=/var/lib/colmena-go
peek=                     # nothing is to be changed: only a look is wanted
closed_to_keys=           # lines 'ID PATH'; an ID is 'DEVICE:INODE'
dirs=0                    # how many were looked at
opened=                   # those with a stage, the last one first
walking=                  # the one that is being entered
absent=                   # where that would be, if it is not there
making=                   # what is not there is made
here=                     # 'ID UID MODE' of where we are
root=                     # all is done below it, as if it were /; nothing for / itself
root_id= trail=           # its ID, and those of the directories above where we are, up to it
foreign=                  # what is mounted below it and is from elsewhere
ours=                     # what is our own may be entered
covered=                  # the way leads to what a boot mounts something on
sound=                    # nobody but root can have led us there
owned=                    # PATH OWNER MODE ID of directories: to be made so, or if an ID is known given
dir= at= path= own= made= # what was just taken from a variable with a number
stage=                    # what the names of this run's stages begin with
blocks=                   # the last list: what to do
block= k=                 # of it: the directory under way, how many files it gets
one_by_one=               # files are asked for by themselves, as somebody keeps one from being read
alone=                    # the same, of one directory of others
within= mounts=           # of a look: where we are, what is mounted somewhere
unlinkable='a file that cannot be linked (immutable, or a mount point)'
undo= mended=             # blocks in which something was done
torn=                     # some of that cannot be undone
kept=                     # lines of directories that could not be given
units= runs=              # those that are waited for, and what systemctl says of them
keep=                     # all is done: directories that were made stay
number= beside= sure=     # of removed files: how many so far, where they are linked, whether we are where they are
book= home= forgot=       # of what is remembered: which one, where it is, where that failed
away=                     # lines of stages on disks that were not found

fail() { printf 'fail %s %s %s\n' "$1" "$2" "$3"; exit 1; }

# What is not there must not be taken for a failure of something else.
missing=
for name in cat chgrp chmod chown dd flock head id ln ls mkdir mv readlink rm rmdir sha256sum stat sync tar timeout; do
  command -v $name >/dev/null || missing="$missing $name"
done
[ -z "$missing" ] || fail tools 0 "${missing# }"

# A list is a line with its length in bytes, then words of one line each: their
# number first and a full stop last, so that a list cut short is never acted on.
length() { read -r size || fail input 0 -; }
whole() {
  [ $# -gt 1 ] || fail input 0 -
  count=$1
  shift $(($# - 1))
  [ "$1" = . ] && [ "$count" = "$words" ] || fail input 0 -
}
