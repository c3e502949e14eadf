//go:build !linux

package typist

import (
	"os"

	"golang.org/x/sys/unix"
)

func echoes(screen *os.File) (bool, error) {
	settings, err := unix.IoctlGetTermios(int(screen.Fd()), unix.TIOCGETA)
	if err != nil {
		return false, err
	}
	return settings.Lflag&unix.ECHO != 0, nil
}
