package ask

import (
	"runtime"

	"golang.org/x/sys/unix"
)

const jobControl = true

// stopped reports whether a child of ours is.
func stopped(pid int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err == nil && info.Signo != 0
}

// giveTo makes a process group that of the foreground.
func (t *terminal) giveTo(group int) (err error) {
	unstopped(func() {
		err = t.control(func(fd int) error { return unix.IoctlSetPointerInt(fd, unix.TIOCSPGRP, group) })
	})
	return err
}

// unstopped does what stops a process in the background, unless it hears nothing of
// that.
func unstopped(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var mask, before unix.Sigset_t
	mask.Val[(unix.SIGTTOU-1)/bits] = 1 << ((unix.SIGTTOU - 1) % bits)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &mask, &before); err == nil {
		defer unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
	}
	f()
}

// bits of a word in a set of signals.
const bits = 32 << (^uint(0) >> 63)

// stopWriters has the terminal stop who writes to it from the background; undo is nil
// where it does so anyway.
func (t *terminal) stopWriters() (undo func()) {
	set := func(on uint32) (before uint32) {
		unstopped(func() {
			t.control(func(fd int) error {
				settings, err := unix.IoctlGetTermios(fd, getTermios)
				if err != nil {
					return err
				}
				before = settings.Lflag & unix.TOSTOP
				settings.Lflag = settings.Lflag&^unix.TOSTOP | on
				return unix.IoctlSetTermios(fd, unix.TCSETS, settings)
			})
		})
		return before
	}
	if set(unix.TOSTOP) != 0 {
		return nil
	}
	return func() { set(0) }
}
