package report

import (
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/colmena-go/colmena-go/pkg/view"
)

// window is how large the terminal is that is written to, and whether something may
// stand on it: not where there is none, nor while another program is in its foreground.
func (t *Terminal) window() (size view.Size, ours bool) {
	file := t.File()
	if file == nil {
		return size, false
	}
	raw, err := file.SyscallConn() // Fd would make the file block for ever
	if err != nil {
		return size, false
	}
	err = raw.Control(func(fd uintptr) {
		columns, rows, failed := term.GetSize(int(fd))
		if size = (view.Size{Columns: columns, Rows: rows}); failed != nil {
			return
		}
		group, failed := unix.IoctlGetInt(int(fd), unix.TIOCGPGRP)
		ours = failed != nil || group == unix.Getpgrp() // or it is not the one we can be stopped from
	})
	return size, ours && err == nil && size.Columns > 0 && size.Rows > 0
}

// CanShow reports whether a picture can stand below the lines.
func (t *Terminal) CanShow() bool {
	_, ours := t.size()
	return ours && !t.InJSON()
}
