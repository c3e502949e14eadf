package child

import "golang.org/x/sys/unix"

// KeepPrivate keeps this process' memory, which holds secrets, from core dumps and
// from other processes of the same user (PR_SET_DUMPABLE, prctl(2)). Programs that
// are started are not concerned.
func KeepPrivate() { unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }
