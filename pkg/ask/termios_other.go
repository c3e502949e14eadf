//go:build !linux

package ask

import "golang.org/x/sys/unix"

const (
	getTermios = unix.TIOCGETA
	setTermios = unix.TIOCSETAF
	disabled   = 0xff // a character that is none (_POSIX_VDISABLE)
)
