package child

import "golang.org/x/sys/unix"

// KeepPrivate keeps this process' memory, which holds secrets, from core dumps and
// from other processes of the same user (PR_SET_DUMPABLE, prctl(2)). Programs that
// are started, such as a Nix that evaluates texts of keys, dump no core either: they
// inherit the limit, unlike that (execve(2)).
func KeepPrivate() {
	unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_CORE, &limit) == nil {
		limit.Cur = 0
		unix.Setrlimit(unix.RLIMIT_CORE, &limit)
	}
}
