package fleet

import (
	"os/exec"
	"syscall"
)

// tie has a program end with us.
func tie(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// mountMemory mounts an empty file system in memory.
func mountMemory(dir string) error { return syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755") }
