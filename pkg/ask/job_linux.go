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

// stopWriters has the terminal stop who writes to it from the background.
func (t *terminal) stopWriters() (undo func()) {
	change := func(f func(*unix.Termios)) {
		t.control(func(fd int) error {
			settings, err := unix.IoctlGetTermios(fd, getTermios)
			if err == nil {
				f(settings)
				err = unix.IoctlSetTermios(fd, unix.TCSETS, settings)
			}
			return err
		})
	}
	already := false
	change(func(settings *unix.Termios) {
		already = settings.Lflag&unix.TOSTOP != 0
		settings.Lflag |= unix.TOSTOP
	})
	if already {
		return nil
	}
	return func() {
		file, err := openTerminal()
		if err != nil {
			return
		}
		defer file.Close()
		t.file = file
		change(func(settings *unix.Termios) { settings.Lflag &^= unix.TOSTOP })
	}
}
