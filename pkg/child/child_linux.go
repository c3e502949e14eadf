package child

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func tie(cmd *exec.Cmd, last syscall.Signal) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = last
}

// passes bounds how often Kill looks again for what was started meanwhile.
const passes = 20

// Kill ends every process that has the mark, and nothing else; the zero Mark is
// none's.
func (m Mark) Kill() {
	if m == "" {
		return
	}
	for range passes {
		found := false
		environments, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, path := range environments {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil && m.kill(pid, path) {
				found = true
			}
		}
		if !found {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// kill ends one process if it has the mark.
func (m Mark) kill(pid int, environ string) bool {
	// Taken before the look, it cannot come to mean another process.
	fd, err := unix.PidfdOpen(pid, 0)
	if err == nil {
		defer unix.Close(fd)
	} else if !errors.Is(err, unix.ENOSYS) {
		return false
	}
	text, err := os.ReadFile(environ)
	if err != nil || !bytes.Contains(text, []byte(m+"=1")) {
		return false
	}
	if fd >= 0 {
		return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) == nil
	}
	return unix.Kill(pid, unix.SIGKILL) == nil
}

// keeper kills what has one of the marks that it holds when we are gone.
const keeper = `trap '' HUP INT TERM
marks=
while read -r act mark; do
  case $act in
    keep) marks="$marks $mark" ;;
    drop)
      left=
      for other in $marks; do [ "$other" = "$mark" ] || left="$left $other"; done
      marks=$left
      ;;
  esac
done
for again in 1 2 3 4 5; do
  for mark in $marks; do
    for process in $(grep -ls "$mark=1" /proc/[0-9]*/environ); do
      process=${process%/environ}
      kill -9 "${process#/proc/}"
    done
  done
done`

// keeperInput is what the keeper reads; nil if there is none.
var keeperInput = sync.OnceValue(func() io.Writer {
	cmd := exec.Command("sh", "-c", keeper)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // ^C is not for it
	in, err := cmd.StdinPipe()
	if err != nil || cmd.Start() != nil {
		return nil
	}
	return in
})

// Keep has all that has the mark killed should we be killed before release.
func (m Mark) Keep() (release func()) {
	tell := func(act string) {
		if in := keeperInput(); in != nil {
			fmt.Fprintf(in, "%s %s\n", act, m) // one write, which is atomic on a pipe
		}
	}
	tell("keep")
	return func() { tell("drop") }
}
