package ask

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// visitors are the processes of other sessions that have our terminal open, as
// pinentry has for gpg-agent: nobody stops them when they read there.
func visitors() map[int]bool {
	name := terminalName()
	session, err := unix.Getsid(0)
	if name == "" || err != nil {
		return nil
	}
	found := map[int]bool{}
	paths, _ := filepath.Glob("/proc/[0-9]*")
	for _, path := range paths {
		pid, _ := strconv.Atoi(filepath.Base(path))
		if s, _ := statOf(path); s != session && has(path, name) {
			found[pid] = true
		}
	}
	return found
}

// statOf reads a process' session and the number of its terminal (proc(5)).
func statOf(path string) (session, tty int) {
	text, err := os.ReadFile(path + "/stat")
	if err != nil {
		return 0, 0
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 5 {
		return 0, 0
	}
	session, _ = strconv.Atoi(fields[3])
	tty, _ = strconv.Atoi(fields[4])
	return session, tty
}

// terminalName is the file of this process' terminal, "" if that is none of the usual.
func terminalName() string {
	_, tty := statOf("/proc/self")
	major, minor := int(unix.Major(uint64(uint32(tty)))), int(unix.Minor(uint64(uint32(tty))))
	switch {
	case major >= 136 && major < 144: // UNIX98 pseudoterminals
		return fmt.Sprintf("/dev/pts/%d", (major-136)<<8+minor)
	case major == 4 && minor > 0 && minor < 64:
		return fmt.Sprintf("/dev/tty%d", minor)
	}
	return ""
}

// has reports whether a process has a file open.
func has(path, name string) bool {
	files, err := os.ReadDir(path + "/fd")
	if err != nil {
		return false // of another user
	}
	for _, file := range files {
		if target, err := os.Readlink(path + "/fd/" + file.Name()); err == nil && target == name {
			return true
		}
	}
	return false
}
