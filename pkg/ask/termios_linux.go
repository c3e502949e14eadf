package ask

import "golang.org/x/sys/unix"

const (
	getTermios = unix.TCGETS
	setTermios = unix.TCSETSF
	disabled   = 0 // a character that is none (_POSIX_VDISABLE)
)
